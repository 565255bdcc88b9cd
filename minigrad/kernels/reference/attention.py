"""Scaled dot-product attention: softmax(q kᵀ · scale + mask) v, the definition.

Vaswani et al., "Attention Is All You Need" (2017), section 3.2.1. Here the whole matrix of
probabilities is made, which is the clearest way to write it and takes memory (query time x key
time); cpu/attention.py gives the same numbers without it.
"""

from typing import NamedTuple

from minigrad.devices import array_module
from minigrad.kernels.reference.dropout import dropout
from minigrad.kernels.reference.half import in_float32
from minigrad.typing import Array


class AttentionSettings(NamedTuple):
    """How the scores of attention become weights, apart from a mask.

    causal_offset  None, or an int: query i sees the keys j <= i + causal_offset
    scale          the factor of q kᵀ
    dropout_p      probability of zeroing a probability; the others are divided by 1 - dropout_p
    seed           64-bit number from which the dropped ones follow, as in reference/dropout.py
    """

    causal_offset: int | None
    scale: float
    dropout_p: float
    seed: int | Array


@in_float32
def attention(q: Array, k: Array, v: Array, mask: Array | None, settings: AttentionSettings) -> tuple[Array, Array]:
    """Every query's mean of the values, weighted by how well the keys match it.

    q     (batch, heads, query time, head_dim)
    k, v  (batch, kv heads, key time, head_dim) and (..., value_dim); kv heads divides heads, and each key/value head
          serves heads / kv heads neighbouring query heads (Ainslie et al., "GQA", 2023)
    mask  None, bool (True: may attend) or float (added to the scores), broadcastable to
          (batch, heads, query time, key time)

    Returns out (batch, heads, query time, value_dim), a view of memory laid out
    (batch, time, heads, value_dim), so that joining the heads is free; and lse (batch, heads,
    query time), the log of the sum of e^score, from which backward finds the probabilities again.
    A query that may see nothing gets out 0 and lse -inf.
    """
    causal_offset, scale, dropout_p, seed = settings
    xp = array_module(q)
    check_shapes(q, k, v)
    k, v = _repeat_heads(k, q), _repeat_heads(v, q)
    scores = _scores(q, k, mask, causal_offset, scale)
    lse = _logsumexp(scores)
    probabilities = _probabilities(scores, lse)
    dropped = dropout(probabilities, dropout_p, seed) if dropout_p else probabilities
    return _heads_inside_time(xp.matmul(dropped, v)), lse


@in_float32
def attention_backward(
    grad: Array,
    q: Array,
    k: Array,
    v: Array,
    out: Array,
    lse: Array,
    mask: Array | None,
    settings: AttentionSettings,
) -> tuple[Array, Array, Array]:
    """Gradients (dq, dk, dv) from grad (like out), the arguments of attention and its results.

    With P the probabilities and dP = grad vᵀ, the softmax's gradient is P ∘ (dP - rowsum(P ∘ dP)),
    and rowsum(P ∘ dP) = rowsum(grad ∘ out), which needs no matrix (Dao et al., "FlashAttention",
    2022, appendix B.2; it holds with dropout as well). In memory, too, the heads are inside time.
    """
    causal_offset, scale, dropout_p, seed = settings
    xp = array_module(q)
    check_shapes(q, k, v)
    kv_heads = k.shape[1]
    k, v = _repeat_heads(k, q), _repeat_heads(v, q)
    probabilities = _probabilities(_scores(q, k, mask, causal_offset, scale), lse)
    dropped = probabilities
    dprobabilities = xp.matmul(grad, v.swapaxes(2, 3))
    if dropout_p:
        dropped = dropout(probabilities, dropout_p, seed)
        dprobabilities = dropout(dprobabilities, dropout_p, seed)
    dv = xp.matmul(dropped.swapaxes(2, 3), grad)
    delta = (grad * out).sum(axis=-1, keepdims=True)  # (batch, heads, query time, 1)
    dscores = probabilities * (dprobabilities - delta) * q.dtype.type(scale)
    dq = xp.matmul(dscores, k)
    dk = xp.matmul(dscores.swapaxes(2, 3), q)
    dk, dv = _sum_groups(dk, kv_heads), _sum_groups(dv, kv_heads)
    return _heads_inside_time(dq), _heads_inside_time(dk), _heads_inside_time(dv)


def check_shapes(q: Array, k: Array, v: Array) -> None:
    """ValueError unless q, k and v fit together."""
    batch, heads, _, head_dim = q.shape
    kv_heads, key_time = k.shape[1:3]
    if (
        k.shape != (batch, kv_heads, key_time, head_dim)
        or v.shape[:3] != k.shape[:3]
        or (heads % kv_heads if kv_heads else heads)
    ):
        raise ValueError(
            f"attention: q {q.shape}, k {k.shape}, v {v.shape}: expected q (batch, heads, query time, head_dim), "
            "k (batch, kv heads, key time, head_dim), v (batch, kv heads, key time, value_dim), "
            "kv heads dividing heads"
        )


def _scores(q, k, mask, causal_offset, scale):
    """(batch, heads, query time, key time), -inf where a query may not look."""
    xp = array_module(q)
    scores = xp.matmul(q * q.dtype.type(scale), k.swapaxes(2, 3))
    minus_inf = scores.dtype.type(-xp.inf)
    if mask is not None:
        if mask.dtype == bool:
            scores = xp.where(mask, scores, minus_inf)
        else:
            scores = scores + mask.astype(scores.dtype, copy=False)
    if causal_offset is not None:
        query, key = xp.arange(q.shape[2])[:, None], xp.arange(k.shape[2])
        scores = xp.where(key <= query + causal_offset, scores, minus_inf)
    return scores


def _logsumexp(scores):
    """Over the last axis; -inf for a row of -inf or without elements."""
    xp = array_module(scores)
    if scores.shape[-1] == 0:
        return xp.full(scores.shape[:-1], -xp.inf, scores.dtype)
    maximum = scores.max(axis=-1, keepdims=True)
    maximum = xp.where(maximum == -xp.inf, scores.dtype.type(0), maximum)  # -inf - -inf would be NaN
    total = xp.exp(scores - maximum).sum(axis=-1)
    nothing = total == 0
    logarithm = xp.log(xp.where(nothing, scores.dtype.type(1), total))
    return xp.where(nothing, scores.dtype.type(-xp.inf), maximum[..., 0] + logarithm)


def _probabilities(scores, lse):
    """softmax(scores); 0 in the rows that see nothing."""
    xp = array_module(scores)
    lse = xp.where(lse == -xp.inf, lse.dtype.type(xp.inf), lse)  # e^(-inf - inf) = 0
    return xp.exp(scores - lse[..., None])


def _repeat_heads(x, q):
    """Give every query head its own copy of the key/value head it uses."""
    groups = q.shape[1] // max(x.shape[1], 1)
    return x if groups == 1 else array_module(x).repeat(x, groups, axis=1)


def _sum_groups(x, kv_heads):
    """The gradient of _repeat_heads."""
    batch, heads, time, dim = x.shape
    if heads == kv_heads:
        return x
    return x.reshape(batch, kv_heads, heads // kv_heads, time, dim).sum(axis=2)


def _heads_inside_time(x):
    """The same array in memory laid out (batch, time, heads, dim)."""
    return array_module(x).ascontiguousarray(x.swapaxes(1, 2)).swapaxes(1, 2)
