"""Losses as functions: reduction is "mean", "sum" or "none"."""

import math
from typing import Any

import numpy as np

from minigrad import ops
from minigrad.devices import array_module, looks_at_values
from minigrad.dtypes import FLOATING
from minigrad.ops.half import in_float32
from minigrad.ops.loss import number_to_divide_by
from minigrad.tensor import Tensor, unwrap


def mse_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """(input - target)²"""
    check_same_shape("mse_loss", input, target)
    return reduced("mse_loss", ops.square(input - target), reduction)


def l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """|input - target|"""
    check_same_shape("l1_loss", input, target)
    return reduced("l1_loss", ops.abs(input - target), reduction)


def smooth_l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """With d = |input - target|: d²/(2 beta) where d < beta, d - beta/2 elsewhere  (Girshick 2015, eq. 3)."""
    if beta < 0:
        raise ValueError(f"smooth_l1_loss: beta={beta}; expected 0 or more")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    check_same_shape("smooth_l1_loss", input, target)
    d = ops.abs(input - target)
    return reduced("smooth_l1_loss", ops.where(unwrap(d) < beta, ops.square(d) / (2 * beta), d - beta / 2), reduction)


def huber_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """With d = |input - target|: d²/2 where d < delta, delta·(d - delta/2) elsewhere  (Huber 1964)."""
    if delta <= 0:
        raise ValueError(f"huber_loss: delta={delta}; expected more than 0")
    check_same_shape("huber_loss", input, target)
    d = ops.abs(input - target)
    return reduced("huber_loss", ops.where(unwrap(d) < delta, ops.square(d) / 2, delta * (d - delta / 2)), reduction)


def kl_div(input: Tensor, target: Tensor, *, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """target·(ln target - input) for log-probabilities input; log_target: target holds logarithms too.

    reduction="batchmean", the sum divided by the batch, is the Kullback-Leibler divergence;
    "mean" divides by the number of elements.
    """
    check_same_shape("kl_div", input, target)
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
    return reduced("kl_div", losses, reduction)


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean"
) -> Tensor:
    """-(t ln p + (1 - t) ln(1 - p)) for probabilities p; logarithms are cut off at -100, as in PyTorch."""
    check_same_shape("binary_cross_entropy", input, target)
    p = unwrap(input)
    if p.size and looks_at_values(p) and not ((p >= 0) & (p <= 1)).all():
        raise ValueError(
            f"binary_cross_entropy: inputs from {p.min():.4g} to {p.max():.4g}; expected probabilities "
            "(for logits use binary_cross_entropy_with_logits)"
        )
    losses = -(target * _log_above(input, -100.0) + (1 - target) * _log_above(1 - input, -100.0))
    return reduced("binary_cross_entropy", losses if weight is None else losses * weight, reduction)


def _log_above(p, floor: float):
    """max(ln p, floor), with gradient 0 where it is cut off."""
    low = math.exp(floor)
    return ops.where(unwrap(p) > low, ops.log(ops.where(unwrap(p) > low, p, unwrap(p).dtype.type(1))), floor)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """-(w₊·t ln σ(x) + (1 - t) ln(1 - σ(x))) for logits x, from softplus, so that nothing overflows.

    pos_weight  w₊, broadcast to the input: more than 1 raises recall, less raises precision
    weight      factor of each loss, broadcast to the input
    """
    check_same_shape("binary_cross_entropy_with_logits", input, target)
    if pos_weight is None:  # -ln σ(x) = softplus(x) - x and -ln(1 - σ(x)) = softplus(x)
        losses = ops.softplus(input) - input * target
    else:
        losses = pos_weight * target * ops.softplus(-input) + (1 - target) * ops.softplus(input)
    return reduced("binary_cross_entropy_with_logits", losses if weight is None else losses * weight, reduction)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
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
    return reduced("cross_entropy", ops.reshape(losses, *lead), reduction)


@in_float32
def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
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
    return reduced("nll_loss", ops.reshape(losses, *lead), reduction)


def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    """(ln var + (input - target)²/var)/2: the negative log-likelihood of a normal distribution  (Nix & Weigend 1994).

    var   of input's shape, or without or with 1 for its last dimension, or a number; var below eps counts as eps, with
          the gradient of var
    full  with the constant ln(2π)/2

    ValueError for a negative var, or one of another shape.
    """
    check_same_shape("gaussian_nll_loss", input, target)
    if not isinstance(var, (int, float)):
        if var.shape == input.shape[:-1] != input.shape:
            var = ops.unsqueeze(var, -1)
        if var.shape not in (input.shape, (*input.shape[:-1], 1)):
            raise ValueError(f"gaussian_nll_loss: var {var.shape} for input {input.shape}")
    values = unwrap(var)
    if (looks_at_values(values) or isinstance(values, (int, float))) and (np.asarray(values) < 0).any():
        raise ValueError("gaussian_nll_loss: a variance below 0")
    if isinstance(var, (int, float)):
        spread = input * 0 + max(var, eps)
    else:
        spread = var + array_module(values).maximum(eps - values, 0).astype(values.dtype)
    losses = (ops.log(spread) + ops.square(input - target) / spread) / 2
    return reduced("gaussian_nll_loss", losses + math.log(2 * math.pi) / 2 if full else losses, reduction)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    *,
    reduction: str = "mean",
) -> Tensor:
    """exp(input) - target·input: the negative log-likelihood of counts.

    log_input  whether input is the logarithm of the rate; for the rate itself, input - target·ln(input + eps)
    full       with Stirling's approximation of ln target! where target is above 1
    """
    check_same_shape("poisson_nll_loss", input, target)
    losses = ops.exp(input) - target * input if log_input else input - target * ops.log(input + eps)
    if full:
        large = unwrap(target) > 1
        count = ops.masked_fill(target, ~large, 1)
        stirling = count * ops.log(count) - count + ops.log(count * (2 * math.pi)) / 2
        losses = losses + ops.masked_fill(stirling, ~large, 0)
    return reduced("poisson_nll_loss", losses, reduction)


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


def check_same_shape(op: str, input: Tensor, target: Tensor) -> None:
    """ValueError if they differ in shape."""
    if input.shape != target.shape:
        raise ValueError(
            f"{op}: input {input.shape}, target {target.shape}; they must be equal, broadcasting here is nearly always "
            "a mistake"
        )


def reduced(op: str, losses: Tensor, reduction: str) -> Tensor:
    """The losses of an op as they are, their sum or their mean, NaN for none; ValueError for another reduction."""
    if reduction == "none":
        return losses
    if reduction == "sum":
        return ops.sum(losses)
    if reduction != "mean":
        raise ValueError(f'{op}: reduction={reduction!r}; use "mean", "sum" or "none"')
    return ops.mean(losses) if losses.numel() else ops.sum(losses) * math.nan
