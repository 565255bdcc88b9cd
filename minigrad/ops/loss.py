"""Losses that are fused with the softmax before them."""

import math
from typing import Any

import numpy as np

from minigrad import kernels
from minigrad.amp import for_sums
from minigrad.devices import array_module
from minigrad.dtypes import FLOATING
from minigrad.function import Function
from minigrad.ops.activation import log_softmax
from minigrad.ops.elementwise import where
from minigrad.ops.half import in_float32
from minigrad.ops.index import getitem
from minigrad.ops.reduce import sum
from minigrad.tensor import Tensor, unwrap


class CrossEntropy(Function):
    """l_i = ln Σ_j e^(x_ij) - x_i,t_i  for each row of logits;  dx_ij = g_i·(softmax(x_i)_j - [j = t_i]).

    With label smoothing s the target is (1 - s)·[j = t] + s/classes (Szegedy et al. 2015,
    section 7); weight scales each class; rows whose target is ignore_index count 0.
    """

    fresh = True

    def __init__(self, ignore_index: int, label_smoothing: float):
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, logits, targets, weight):
        losses, lse = kernels.cross_entropy(logits, targets, self.ignore_index, self.label_smoothing, weight)
        self.save_for_backward(logits, targets, weight, lse)
        return losses

    def backward(self, grad):
        logits, targets, weight, lse = self.saved
        dlogits = kernels.cross_entropy_backward(
            grad, logits, targets, lse, self.ignore_index, self.label_smoothing, weight
        )
        return dlogits, None, None

    def flops(self, inputs, outputs):
        logits, _, weight = inputs  # maximum, subtract, exp, sum; ln, add and subtract for each row
        each, row = 4, 3 + (weight is not None)
        if self.label_smoothing:  # -ln p of every class, summed; the two parts mixed
            each, row = each + 2 + (weight is not None), row + 3
        return each * logits.size + row * len(logits)

    def backward_flops(self, grads, results):
        each = 3 + bool(self.label_smoothing)  # subtract, exp, (the share of each class,) times g; 1 at the target
        return each * results[0].size + len(results[0])

    def composite(self, logits, targets, weight):
        targets, weight = unwrap(targets), unwrap(weight)
        xp = array_module(targets)
        counted = targets != self.ignore_index
        safe = xp.where(counted, targets, 0)
        log_p = log_softmax(logits)
        row_weight = counted.astype(log_p.dtype) * (1 if weight is None else weight[safe])
        losses = -getitem(log_p, (xp.arange(len(safe)), safe)) * row_weight
        if self.label_smoothing:
            spread = -sum(log_p if weight is None else log_p * weight, -1) / logits.shape[-1]
            spread = where(counted, spread, log_p.dtype.type(0))
            losses = (1 - self.label_smoothing) * losses + self.label_smoothing * spread
        return losses


@in_float32
def cross_entropy(
    logits: Tensor,
    targets: Any,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy of logits (n, classes) against integer targets (n,), as torch.nn.functional.cross_entropy.

    reduction  "mean" (over the rows that count, by weight), "sum" or "none"
    IndexError names the first target that is neither a class nor ignore_index. In half precision the losses are added
    up in float32, so that the mean of many is right where PyTorch's overflows to NaN.
    """
    if logits.ndim != 2 or targets.shape != logits.shape[:1]:
        raise ValueError(
            f"cross_entropy: logits {logits.shape}, targets {targets.shape}; expected (n, classes) and (n,)"
        )
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f'cross_entropy: reduction={reduction!r}; use "mean", "sum" or "none"')
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing={label_smoothing}; expected 0 to 1")
    logits, ids = for_sums(logits), unwrap(targets)
    if unwrap(logits).dtype.kind not in FLOATING:
        raise TypeError(f"cross_entropy: logits are {unwrap(logits).dtype}; expected floating numbers")
    if ids.dtype.kind not in "iu":
        raise TypeError(f"cross_entropy: targets are {ids.dtype}; expected integer class numbers")
    weight = None if weight is None else unwrap(weight).astype(unwrap(logits).dtype, copy=False)
    losses = CrossEntropy(ignore_index, float(label_smoothing))(logits, ids, weight)
    if reduction == "none":
        return losses
    total = sum(losses)
    if reduction == "sum":
        return total
    return total / number_to_divide_by(_row_weights(ids, ignore_index, weight).sum())


def _row_weights(ids, ignore_index: int, weight):
    """How much each row counts: 0 where it is ignored, else its class's weight, or 1."""
    xp = array_module(ids)
    counted = ids != ignore_index
    return counted if weight is None else xp.where(counted, weight[xp.where(counted, ids, 0)], 0)


def number_to_divide_by(count: Any) -> Any:
    """A count to divide by: a Python float on the CPU; a GPU is not waited for. NaN for 0."""
    if array_module(count) is np:
        return float(count) or math.nan
    return count.astype(np.float32)
