"""The layers and losses as functions, under PyTorch's names; usually imported as F.

Layers with parameters take them as arguments. What minigrad has under the same name and
with the same meaning is that very function. Losses take reduction="mean", "sum" or "none".
"""

import math

from minigrad import ops
from minigrad.amp import for_sums
from minigrad.devices import array_module, looks_at_values
from minigrad.dtypes import FLOATING, epsilon
from minigrad.ops import (
    adaptive_max_pool1d,
    avg_pool1d,
    conv1d,
    conv1d_max,
    dropout,
    elu,
    embedding,
    gelu,
    leaky_relu,
    linear,
    log_softmax,
    max_over_time,
    max_pool1d,
    mean_over_time,
    one_hot,
    relu,
    scaled_dot_product_attention,
    sigmoid,
    silu,
    softmax,
    tanh,
)
from minigrad.ops.half import in_float32
from minigrad.ops.loss import number_to_divide_by
from minigrad.tensor import unwrap
from nn.huffman import huffman_paths


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Mean 0 and variance 1 over the last dimensions, whose sizes are normalized_shape; then ·weight + bias."""
    shape = _trailing("layer_norm", input, normalized_shape, weight, bias)
    if len(shape) == 1 and (bias is None or weight is not None):
        return ops.layer_norm(input, weight, bias, eps)
    size = math.prod(shape)
    flat = ops.reshape(input, *input.shape[: input.ndim - len(shape)], size)
    if weight is None:
        y = ops.reshape(ops.layer_norm(flat, eps=eps), *input.shape)
        return y if bias is None else y + bias
    bias = None if bias is None else ops.reshape(bias, size)
    return ops.reshape(ops.layer_norm(flat, ops.reshape(weight, size), bias, eps), *input.shape)


def rms_norm(input, normalized_shape, weight=None, eps=None):
    """Root mean square 1 over the last dimensions, whose sizes are normalized_shape; then ·weight."""
    input = for_sums(input)
    shape = _trailing("rms_norm", input, normalized_shape, weight)
    if eps is None:
        eps = epsilon(unwrap(input).dtype)
    if len(shape) == 1:
        return ops.rms_norm(input, weight, eps)
    size = math.prod(shape)
    flat = ops.reshape(input, *input.shape[: input.ndim - len(shape)], size)
    weight = None if weight is None else ops.reshape(weight, size)
    return ops.reshape(ops.rms_norm(flat, weight, eps), *input.shape)


def softplus(input, beta=1.0, threshold=20.0):
    """ln(1 + e^(beta·input))/beta; input itself where beta·input is above threshold."""
    if beta <= 0:
        raise ValueError(f"softplus: beta={beta}; expected more than 0")
    return ops.where(unwrap(input) * beta > threshold, input, ops.softplus(input * beta) / beta)


def mse_loss(input, target, *, reduction="mean"):
    """(input - target)²"""
    _same_shape("mse_loss", input, target)
    return _reduce("mse_loss", ops.square(input - target), reduction)


def l1_loss(input, target, *, reduction="mean"):
    """|input - target|"""
    _same_shape("l1_loss", input, target)
    return _reduce("l1_loss", ops.abs(input - target), reduction)


def smooth_l1_loss(input, target, *, reduction="mean", beta=1.0):
    """With d = |input - target|: d²/(2 beta) where d < beta, d - beta/2 elsewhere  (Girshick 2015, eq. 3)."""
    if beta < 0:
        raise ValueError(f"smooth_l1_loss: beta={beta}; expected 0 or more")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    _same_shape("smooth_l1_loss", input, target)
    d = ops.abs(input - target)
    return _reduce("smooth_l1_loss", ops.where(unwrap(d) < beta, ops.square(d) / (2 * beta), d - beta / 2), reduction)


def huber_loss(input, target, *, reduction="mean", delta=1.0):
    """With d = |input - target|: d²/2 where d < delta, delta·(d - delta/2) elsewhere  (Huber 1964)."""
    if delta <= 0:
        raise ValueError(f"huber_loss: delta={delta}; expected more than 0")
    _same_shape("huber_loss", input, target)
    d = ops.abs(input - target)
    return _reduce("huber_loss", ops.where(unwrap(d) < delta, ops.square(d) / 2, delta * (d - delta / 2)), reduction)


def kl_div(input, target, *, reduction="mean", log_target=False):
    """target·(ln target - input) for log-probabilities input; log_target: target holds logarithms too.

    reduction="batchmean", the sum divided by the batch, is the Kullback-Leibler divergence;
    "mean" divides by the number of elements.
    """
    _same_shape("kl_div", input, target)
    if log_target:
        losses = ops.exp(target) * (target - input)
    else:
        positive = unwrap(target) > 0  # 0·ln 0 is 0
        one = unwrap(target).dtype.type(1)
        losses = target * (ops.log(ops.where(positive, target, one)) - input)
    if reduction == "batchmean":
        if input.ndim == 0:
            raise ValueError('kl_div: reduction="batchmean" of a 0-d input; it has no batch')
        return ops.sum(losses) / input.shape[0]
    return _reduce("kl_div", losses, reduction)


def binary_cross_entropy(input, target, weight=None, *, reduction="mean"):
    """-(t ln p + (1 - t) ln(1 - p)) for probabilities p; logarithms are cut off at -100, as in PyTorch."""
    _same_shape("binary_cross_entropy", input, target)
    p = unwrap(input)
    if p.size and looks_at_values(p) and not ((p >= 0) & (p <= 1)).all():
        raise ValueError(
            f"binary_cross_entropy: inputs from {p.min():.4g} to {p.max():.4g}; expected probabilities "
            "(for logits use binary_cross_entropy_with_logits)"
        )
    losses = -(target * _log_above(input, -100.0) + (1 - target) * _log_above(1 - input, -100.0))
    return _reduce("binary_cross_entropy", losses if weight is None else losses * weight, reduction)


def _log_above(p, floor: float):
    """max(ln p, floor), with gradient 0 where it is cut off."""
    low = math.exp(floor)
    return ops.where(unwrap(p) > low, ops.log(ops.where(unwrap(p) > low, p, unwrap(p).dtype.type(1))), floor)


def binary_cross_entropy_with_logits(input, target, weight=None, *, reduction="mean", pos_weight=None):
    """-(w₊·t ln σ(x) + (1 - t) ln(1 - σ(x))) for logits x, from softplus, so that nothing overflows.

    pos_weight  w₊, broadcast to the input: more than 1 raises recall, less raises precision
    weight      factor of each loss, broadcast to the input
    """
    _same_shape("binary_cross_entropy_with_logits", input, target)
    if pos_weight is None:  # -ln σ(x) = softplus(x) - x and -ln(1 - σ(x)) = softplus(x)
        losses = ops.softplus(input) - input * target
    else:
        losses = pos_weight * target * ops.softplus(-input) + (1 - target) * ops.softplus(input)
    return _reduce("binary_cross_entropy_with_logits", losses if weight is None else losses * weight, reduction)


def cross_entropy(input, target, weight=None, *, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """-ln softmax(input)[target], the classes along dimension 1 (or 0 of a 1-D input).

    input   logits (classes,), (n, classes) or (n, classes, d₁, …)
    target  class numbers, input's shape without its classes; or probabilities of input's shape
    weight  (classes,) a factor for each class; "mean" divides by the factors of the rows that count

    Rows whose target is ignore_index count nothing. label_smoothing moves that much of the
    target to the uniform distribution (Szegedy et al. 2015, section 7).
    """
    rows, lead = _class_last("cross_entropy", input)
    _check_weight("cross_entropy", weight, rows.shape[1])
    if unwrap(target).dtype.kind in FLOATING:
        if target.shape != input.shape:
            raise ValueError(
                f"cross_entropy: input {input.shape}, floating target {target.shape}; expected class numbers of shape "
                f"{lead}, or probabilities of input's shape"
            )
        return _cross_entropy_of_probabilities(rows, lead, target, weight, reduction, label_smoothing)
    if target.shape != lead:
        raise ValueError(f"cross_entropy: input {input.shape}, target {target.shape}; expected a target {lead}")
    flat = target.reshape(-1) if target.ndim != 1 else target
    losses = ops.cross_entropy(rows, flat, weight, ignore_index, reduction, label_smoothing)
    return ops.reshape(losses, *lead) if reduction == "none" else losses


def _cross_entropy_of_probabilities(rows, lead, target, weight, reduction, label_smoothing):
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing={label_smoothing}; expected 0 to 1")
    goal, _ = _class_last("cross_entropy", target)
    if label_smoothing:
        goal = goal * (1 - label_smoothing) + label_smoothing / rows.shape[1]
    log_p = ops.log_softmax(rows)
    losses = -ops.sum(goal * (log_p if weight is None else log_p * weight), -1)
    if reduction == "mean":
        return ops.sum(losses) / math.prod(lead) if losses.shape[0] else ops.sum(losses) * math.nan
    return _reduce("cross_entropy", ops.reshape(losses, *lead), reduction)


@in_float32
def nll_loss(input, target, weight=None, *, ignore_index=-100, reduction="mean"):
    """-input[target] for log-probabilities laid out as cross_entropy's logits; the other arguments are the same."""
    rows, lead = _class_last("nll_loss", input)
    _check_weight("nll_loss", weight, rows.shape[1])
    ids = unwrap(target)
    if ids.dtype.kind not in "iu":
        raise TypeError(f"nll_loss: targets are {ids.dtype}; expected integer class numbers")
    if ids.shape != lead:
        raise ValueError(f"nll_loss: input {input.shape}, target {ids.shape}; expected a target of shape {lead}")
    xp = array_module(ids)
    ids = ids.reshape(-1)
    counted = ids != ignore_index
    known = (ids >= 0) & (ids < rows.shape[1])
    if looks_at_values(ids) and (counted & ~known).any():
        raise IndexError(f"nll_loss: target {int(ids[counted & ~known][0])} is not one of the {rows.shape[1]} classes")
    safe = xp.where(known, ids, 0)
    factor = xp.where(known, counted, xp.where(counted, xp.nan, 0)).astype(rows.dtype)
    if weight is not None:
        factor = factor * unwrap(weight)[safe]
    picked = ops.where(counted, ops.getitem(rows, (xp.arange(len(safe)), safe)), rows.dtype.type(0))
    losses = -picked * factor
    if reduction == "mean":
        return ops.sum(losses) / number_to_divide_by(factor.sum())
    return _reduce("nll_loss", ops.reshape(losses, *lead), reduction)


def negative_sampling_loss(hidden, weight, target, negatives, *, reduction="mean"):
    """-ln σ(wₜ·h) - Σₖ ln σ(-wₖ·h): the target told from noise  (Mikolov et al. 2013b, eq. 4).

    hidden (n, dim), weight (classes, dim), target (n,), negatives (n, k); ops.softplus(-x) is -ln σ(x)
    """
    target, negatives = unwrap(target), unwrap(negatives)
    _check_hidden("negative_sampling_loss", hidden, weight, target)
    if negatives.ndim != 2 or len(negatives) != len(target):
        raise ValueError(
            f"negative_sampling_loss: target {target.shape}, negatives {negatives.shape}; expected (n,) and (n, k)"
        )
    xp = array_module(target)
    rows = ops.embedding(xp.concatenate([target[:, None], negatives], 1), weight)  # (n, 1 + k, dim)
    scores = ops.sum(rows * ops.reshape(hidden, len(target), 1, hidden.shape[1]), -1)
    signs = xp.ones(scores.shape, scores.dtype)
    signs[:, 0] = -1
    return _reduce("negative_sampling_loss", ops.sum(ops.softplus(scores * signs), 1), reduction)


def hierarchical_softmax(hidden, weight, target, tree, *, reduction="mean"):
    """-ln p(t|h) = -Σ ln σ(±vₙ·h) over the inner nodes n above t in a tree from nn.huffman  (Morin & Bengio 2005).

    hidden (n, dim), weight (classes - 1, dim), target (n,), tree (2·classes - 2,). huffman_paths gives the inner nodes
    above each target, and + or - as 1 or -1, 0 where a path has ended. ops.softplus(-x) is -ln σ(x).
    """
    target = unwrap(target)
    _check_hidden("hierarchical_softmax", hidden, weight, target)
    classes = weight.shape[0] + 1
    if target.size and looks_at_values(target) and not (target.min() >= 0 and target.max() < classes):
        wrong = target[(target < 0) | (target >= classes)][0]
        raise IndexError(f"hierarchical_softmax: target {int(wrong)} is not one of the {classes} classes")
    nodes, signs = huffman_paths(unwrap(tree), target)
    scores = ops.sum(ops.embedding(nodes, weight) * ops.reshape(hidden, len(target), 1, hidden.shape[1]), -1)
    signs = signs.astype(scores.dtype)
    losses = ops.sum(ops.softplus(scores * -signs) * abs(signs), 1)
    return _reduce("hierarchical_softmax", losses, reduction)


def _check_hidden(op: str, hidden, weight, target) -> None:
    if hidden.ndim != 2 or hidden.shape[1:] != weight.shape[1:] or target.shape != hidden.shape[:1]:
        raise ValueError(
            f"{op}: hidden {hidden.shape}, weight {weight.shape}, target {target.shape}; "
            "expected (n, dim), (classes, dim) and (n,)"
        )
    if target.dtype.kind not in "iu":
        raise TypeError(f"{op}: targets are {target.dtype}; expected integer class numbers")


def _trailing(op: str, input, normalized_shape, weight, bias=None) -> tuple:
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape or tuple(input.shape[-len(shape) :]) != shape:
        raise ValueError(f"{op}: input {input.shape} does not end in normalized_shape {shape}")
    for name, parameter in (("weight", weight), ("bias", bias)):
        if parameter is not None and parameter.shape != shape:
            raise ValueError(f"{op}: {name} {parameter.shape}; expected normalized_shape {shape}")
    return shape


def _class_last(op: str, input):
    """Logits with their classes last, as rows (n·d₁·…, classes); and the shape without the classes."""
    if input.ndim == 0:
        raise ValueError(f"{op}: a 0-d input; expected (classes,), (n, classes) or (n, classes, d₁, …)")
    if input.ndim == 2:
        return input, input.shape[:1]
    if input.ndim == 1:
        return ops.reshape(input, 1, input.shape[0]), ()
    last = ops.permute(input, 0, *range(2, input.ndim), 1)
    lead = last.shape[:-1]
    return ops.reshape(last, math.prod(lead), input.shape[1]), lead


def _check_weight(op: str, weight, classes: int) -> None:
    if weight is not None and weight.shape != (classes,):
        raise ValueError(f"{op}: weight {weight.shape}; expected one factor for each of the {classes} classes")


def _same_shape(op: str, input, target) -> None:
    if input.shape != target.shape:
        raise ValueError(
            f"{op}: input {input.shape}, target {target.shape}; they must be equal, broadcasting here is nearly always "
            "a mistake"
        )


def _reduce(op: str, losses, reduction: str):
    if reduction == "none":
        return losses
    if reduction == "sum":
        return ops.sum(losses)
    if reduction != "mean":
        raise ValueError(f'{op}: reduction={reduction!r}; use "mean", "sum" or "none"')
    return ops.mean(losses) if losses.numel() else ops.sum(losses) * math.nan


__all__ = [
    "adaptive_max_pool1d",
    "avg_pool1d",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "conv1d",
    "conv1d_max",
    "cross_entropy",
    "dropout",
    "elu",
    "embedding",
    "gelu",
    "hierarchical_softmax",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "max_over_time",
    "max_pool1d",
    "mean_over_time",
    "mse_loss",
    "negative_sampling_loss",
    "nll_loss",
    "one_hot",
    "relu",
    "rms_norm",
    "scaled_dot_product_attention",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "softplus",
    "tanh",
]
