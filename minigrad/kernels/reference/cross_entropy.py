"""Cross-entropy of logits (rows, classes) against one target class a row, as torch.nn.functional.cross_entropy.

With p = softmax(x), target t, class weights w (ones if None) and label smoothing s, one row's loss is

    (1 - s) w_t (-log p_t)  +  (s / classes) sum_c w_c (-log p_c)

and 0 where the target is `ignore_index`. Rows are not averaged: the caller divides, by whatever it likes.
"""

import numpy as np

from minigrad.devices import array_module, looks_at_values
from minigrad.kernels.reference.half import in_float32
from minigrad.kernels.reference.softmax import row_maximum
from minigrad.typing import Array


@in_float32
def cross_entropy(
    logits: Array, targets: Array, ignore_index: int, label_smoothing: float, weight: Array | None
) -> tuple[Array, Array]:
    """(losses (rows,), lse (rows,)): each row's loss, and its log-sum-exp, which backward wants.

    IndexError for a target outside 0 .. classes - 1 that is not `ignore_index`; on a GPU the loss NaN.
    """
    xp = array_module(logits)
    rows, classes = logits.shape
    check_targets(targets, classes, ignore_index)
    largest = row_maximum(logits)
    offset = xp.where(xp.isneginf(largest), 0, largest)  # a row of nothing but -inf has lse = -inf
    with np.errstate(invalid="ignore", divide="ignore"):  # inf - inf, log 0
        lse = xp.log(xp.exp(logits - offset).sum(axis=-1)) + offset[:, 0]

        counted = targets != ignore_index
        known = (targets >= 0) & (targets < classes)
        safe = xp.where(known, targets, 0)
        losses = lse - logits[xp.arange(rows), safe] if classes else xp.zeros_like(lse)
        if weight is not None:
            losses = losses * weight[safe]
        if label_smoothing:
            surprise = lse[:, None] - logits  # -log p of every class
            spread = surprise.sum(axis=-1) if weight is None else (surprise * weight).sum(axis=-1)
            losses = (1 - label_smoothing) * losses + label_smoothing / classes * spread
    losses = xp.where(known, losses, xp.nan)
    return xp.where(counted, losses, 0).astype(logits.dtype), lse


@in_float32
def cross_entropy_backward(
    grad: Array,
    logits: Array,
    targets: Array,
    lse: Array,
    ignore_index: int,
    label_smoothing: float,
    weight: Array | None,
) -> Array:
    """dlogits (rows, classes) from grad (rows,): grad * (p * (all the weight a row's terms carry) - their own)."""
    xp = array_module(logits)
    rows, classes = logits.shape
    counted = targets != ignore_index
    safe = xp.where(counted, targets, 0)
    on_target = (1 - label_smoothing) * (xp.ones_like(lse) if weight is None else weight[safe])
    on_each = label_smoothing / max(classes, 1) * (xp.ones_like(logits[:1]) if weight is None else weight[None])
    grad = xp.where(counted, grad, 0)[:, None]

    with np.errstate(invalid="ignore"):  # inf - inf
        p = xp.exp(logits - lse[:, None])
        dlogits = p * (on_target[:, None] + on_each.sum()) - on_each
    if classes:
        dlogits[xp.arange(rows), safe] -= on_target
    return xp.where(counted[:, None], grad * dlogits, 0).astype(logits.dtype)


def check_targets(targets: Array, classes: int, ignore_index: int) -> None:
    """Raise the IndexError for the first target that is no class; on a GPU only within detect_anomaly()."""
    if not looks_at_values(targets):
        return
    wrong = ((targets < 0) | (targets >= classes)) & (targets != ignore_index)
    if wrong.any():
        row = int(wrong.argmax())
        raise IndexError(
            f"cross_entropy: target {int(targets[row])} in row {row} is not one of the {classes} classes "
            f"(0 to {classes - 1}) and not ignore_index ({ignore_index})"
        )
