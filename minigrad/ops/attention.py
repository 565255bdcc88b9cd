"""Scaled dot-product attention: fused, so that the score matrix is never stored, and in primitives."""

import math
from typing import Any

import numpy as np

from minigrad import kernels, random
from minigrad.amp import autocast_dtype, for_products
from minigrad.devices import array_module
from minigrad.dtypes import FLOATING
from minigrad.function import Function
from minigrad.kernels.reference.attention import AttentionSettings
from minigrad.ops.activation import softmax
from minigrad.ops.dropout import Dropout
from minigrad.ops.elementwise import where
from minigrad.ops.linalg import matmul
from minigrad.ops.shape import expand, reshape, swapaxes
from minigrad.tensor import Tensor, unwrap


class Attention(Function):
    """O = softmax(scale·Q Kᵀ + mask) V  (Vaswani et al. 2017, eq. 1; computed as in Dao 2023)."""

    fresh = True

    def __init__(self, causal_offset, scale: float, dropout_p: float, seed: int):
        self.settings = AttentionSettings(causal_offset, scale, dropout_p, seed)

    def forward(self, q, k, v, mask):
        out, lse = kernels.attention(q, k, v, mask, self.settings)
        self.save_for_backward(q, k, v, mask, out, lse)
        return out

    def backward(self, grad):
        q, k, v, mask, out, lse = self.saved
        return (*kernels.attention_backward(grad, q, k, v, out, lse, mask, self.settings), None)

    def flops(self, inputs, outputs):
        q, _, v, mask = inputs  # two products; scale, (mask,) softmax and (dropout)
        added = mask is not None and mask.dtype.kind != "b"
        each = 2 * (q.shape[-1] + v.shape[-1]) + 6 + added + bool(self.settings.dropout_p)
        return each * self._pairs(*inputs[:2])

    def backward_flops(self, grads, results):
        q, k, v = self.saved[:3]  # S and dP again, then dQ, dK and dV; in between exp, softmax's rule and the scales
        added = self.saved[3] is not None and self.saved[3].dtype.kind != "b"
        each = 2 * (3 * q.shape[-1] + 2 * v.shape[-1]) + 6 + added + 2 * bool(self.settings.dropout_p)
        return each * self._pairs(q, k) + 2 * grads[0].size  # Σ g·y of each query

    def _pairs(self, q, k) -> int:
        """The (query, key) pairs that causality lets meet, over batch and heads; what a mask hides is computed, too."""
        batch, heads, queries = q.shape[:3]
        keys, offset = k.shape[2], self.settings.causal_offset
        if offset is None:
            return batch * heads * queries * keys
        return batch * heads * int(np.clip(np.arange(queries) + offset + 1, 0, keys).sum())

    def composite(self, q, k, v, mask):
        return attention_with_weights(q, k, v, mask, *self.settings)[0]


def attention_with_weights(
    q: Tensor, k: Tensor, v: Tensor, mask: Any, causal_offset: int | None, scale: float, dropout_p: float, seed: int
) -> tuple[Tensor, Tensor]:
    """Attention in primitives: its output, and its weights softmax(scale·q kᵀ), (batch, heads, queries, keys).

    q              (batch, heads, queries, head_dim)
    k, v           (batch, kv_heads, keys, head_dim) and (batch, kv_heads, keys, value_dim), kv_heads dividing heads
    mask           None, or boolean, True where a query may look, or float, added to the scores
    causal_offset  None, or query i sees the keys 0 to i + causal_offset
    dropout_p      probability of dropping a weight, the dropped ones following from the seed

    A query that may look nowhere gets 0.
    """
    heads, queries = q.shape[1:3]
    k, v = (_for_every_head(x, heads) for x in (k, v))
    scores = matmul(q, swapaxes(k, -1, -2)) * scale
    xp = array_module(unwrap(scores))
    hidden = xp.zeros((1, 1, 1, 1), bool)
    if mask is not None and unwrap(mask).dtype == bool:
        hidden = ~unwrap(mask)
    elif mask is not None:
        scores = scores + mask
        hidden = unwrap(mask) == -math.inf
    if causal_offset is not None:
        hidden = hidden | (xp.arange(k.shape[2]) > xp.arange(queries)[:, None] + causal_offset)
    hidden = xp.broadcast_to(hidden, scores.shape)
    blind = hidden.all(axis=-1, keepdims=True)  # queries with nothing to see: softmax has no answer, 0 is ours
    zero, low = scores.dtype.type(0), scores.dtype.type(-math.inf)
    weights = softmax(where(blind, zero, where(hidden, low, scores)))
    weights = where(blind, zero, weights)
    if dropout_p:
        weights = Dropout(dropout_p, seed)(weights)
    return matmul(weights, v), weights


def _for_every_head(x, heads: int):
    """Grouped keys or values (batch, kv_heads, time, size), repeated to as many heads as the queries have.

    (Ainslie et al., "GQA", 2023.)
    """
    batch, kv_heads, time, size = x.shape
    if kv_heads == heads:
        return x
    x = expand(reshape(x, batch, kv_heads, 1, time, size), batch, kv_heads, heads // kv_heads, time, size)
    return reshape(x, batch, heads, time, size)


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    causal_offset: int | None = None,
) -> Tensor:
    """softmax(scale·Q Kᵀ + mask) V over the last two dimensions.

    query (..., heads, queries, d), key (..., kv_heads, keys, d), value (..., kv_heads, keys, dv);
    kv_heads may divide heads (grouped heads). No leading dimension, one or several; without heads, (time, d).

    attn_mask      boolean (True: may attend) or float (added to the scores), broadcast to (..., queries, keys)
    is_causal      query i sees keys 0..i; with causal_offset, 0..i + causal_offset (for a key/value cache)
    scale          1/√d by default
    enable_gqa     PyTorch's; without effect: grouped heads are known by their numbers
    dropout_p      probability of dropping an attention weight

    A query that may attend to nothing gives 0. TypeError unless query, key and value have one floating dtype and the
    mask is boolean or floating; ValueError for shapes that do not fit.
    """
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise ValueError(
            f"attention: query {query.shape}, key {key.shape}, value {value.shape}: two dimensions at least"
        )
    if autocast_dtype() is not None:
        query, key, value = for_products(query, key, value)
    _check_dtypes(query, key, value)
    lead = query.shape[:-2]
    q, k, v = (_four(x) for x in (query, key, value))
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2] or key.shape[:-2] != value.shape[:-2]:
        raise ValueError(
            f"attention: query {query.shape}, key {key.shape}, value {value.shape}: query and key must agree in the "
            "last dimension, key and value in all others"
        )
    heads_fit = q.shape[1] % k.shape[1] == 0 if k.shape[1] else q.shape[1] == 0
    if query.shape[:-3] != key.shape[:-3] or not heads_fit:
        raise ValueError(
            f"attention: query {query.shape}, key {key.shape}: batches must agree and "
            "the key heads divide the query heads"
        )
    if not 0 <= dropout_p <= 1:
        raise ValueError(f"attention: dropout_p={dropout_p}; expected a probability between 0 and 1")
    if is_causal and causal_offset is None:
        causal_offset = 0
    scale = 1 / math.sqrt(q.shape[-1] or 1) if scale is None else float(scale)
    mask = None if attn_mask is None else _four_mask(attn_mask, (*lead, query.shape[-2], key.shape[-2]))
    dropped = dropout_p == 1  # every weight
    seed = random.next_seed() if dropout_p and not dropped else 0
    function = Attention(causal_offset, scale, 0.0 if dropped else dropout_p, seed)
    if isinstance(mask, Tensor) and mask.requires_grad:  # the kernels give no gradient for the mask
        out = function.composite(q, k, v, mask)
    else:
        out = function(q, k, v, mask)
    if dropped:
        array = unwrap(out)
        out = where(array_module(array).ones((), bool), array.dtype.type(0), out)
    return out if query.ndim == 4 else reshape(out, *lead, *out.shape[-2:])


def _check_dtypes(query, key, value) -> None:
    dtypes = {unwrap(x).dtype for x in (query, key, value)}
    if len(dtypes) > 1 or any(dtype.kind not in FLOATING for dtype in dtypes):
        given = ", ".join(str(unwrap(x).dtype) for x in (query, key, value))
        raise TypeError(
            f"attention: query, key and value are {given}; expected one floating dtype, cast with .astype()"
        )


def _four(x):
    """(..., heads, time, d) as (batch, heads, time, d)."""
    if x.ndim == 4:
        return x
    lead = x.shape[:-3]
    heads = x.shape[-3] if x.ndim > 2 else 1
    return reshape(x, math.prod(lead), heads, *x.shape[-2:])


def _four_mask(mask, full: tuple):
    """A mask that broadcasts to full = (..., queries, keys) as one that broadcasts to (batch, heads, queries, keys)."""
    dtype = unwrap(mask).dtype
    if dtype.kind not in ("b" + FLOATING):
        raise TypeError(
            f"attention: the mask is {dtype}; expected bool (True: may attend) or floating (added to the scores)"
        )
    if mask.ndim > len(full):
        raise ValueError(f"attention: mask {mask.shape} has more dimensions than the scores {full}")
    if any(n not in (1, m) for n, m in zip(mask.shape[::-1], full[::-1], strict=False)):
        raise ValueError(f"attention: mask {mask.shape} does not broadcast to {full}")
    if mask.ndim <= 4 and len(full) <= 4:
        return reshape(mask, (1,) * (4 - mask.ndim) + mask.shape)
    mask = reshape(mask, (1,) * (len(full) - mask.ndim) + mask.shape)
    batch, own = full[:-3], mask.shape[-3:]
    if math.prod(mask.shape[:-3]) == 1:  # the same for every batch
        return reshape(mask, 1, *own)
    return reshape(expand(mask, *batch, *own), math.prod(batch), *own)
