"""Losses that push apart by a margin: rankings, pairs and triplets."""

from minigrad import ops
from minigrad.tensor import Tensor, unwrap
from nn.functional.loss import check_same_shape, reduced


def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, *, reduction: str = "mean"
) -> Tensor:
    """max(0, margin - y·(x₁ - x₂)): for y = 1 the first shall be larger by the margin, for y = -1 the second."""
    check_same_shape("margin_ranking_loss", input1, input2)
    check_same_shape("margin_ranking_loss", input1, target)
    return reduced("margin_ranking_loss", ops.clamp(margin - target * (input1 - input2), min=0), reduction)


def hinge_embedding_loss(input: Tensor, target: Tensor, margin: float = 1.0, *, reduction: str = "mean") -> Tensor:
    """x for y = 1, max(0, margin - x) for y = -1: distances x of what is alike, and of what is not."""
    check_same_shape("hinge_embedding_loss", input, target)
    y = unwrap(target)
    losses = ops.masked_fill(ops.clamp(margin - input, min=0), y == 1, 0) + ops.masked_fill(input, y == -1, 0)
    return reduced("hinge_embedding_loss", losses, reduction)


def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, *, reduction: str = "mean"
) -> Tensor:
    """1 - cos(x₁, x₂) for y = 1, max(0, cos(x₁, x₂) - margin) for y = -1.

    input1, input2 (batch, size) with target (batch,), or (size,) with target (). ValueError for other shapes.
    """
    check_same_shape("cosine_embedding_loss", input1, input2)
    if input1.ndim not in (1, 2) or target.shape != input1.shape[:-1]:
        raise ValueError(
            f"cosine_embedding_loss: inputs {input1.shape}, target {target.shape}; expected (batch, size) and (batch,)"
            ", or both without the batch"
        )
    lengths = [ops.sum(ops.square(x), -1) + 1e-12 for x in (input1, input2)]
    cosine = ops.sum(input1 * input2, -1) / ops.sqrt(lengths[0] * lengths[1])
    y = unwrap(target)
    losses = ops.masked_fill(1 - cosine, y != 1, 0) + ops.masked_fill(ops.clamp(cosine - margin, min=0), y != -1, 0)
    return reduced("cosine_embedding_loss", losses, reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    *,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin + d(a, p) - d(a, n)), d(x, y) = ‖x - y + eps‖ₚ along the last dimension  (Balntas et al. 2016).

    swap  d(p, n) in place of d(a, n) where it is smaller
    """
    check_same_shape("triplet_margin_loss", anchor, positive)
    check_same_shape("triplet_margin_loss", anchor, negative)
    near, far = ops.norm(anchor - positive + eps, p, -1), ops.norm(anchor - negative + eps, p, -1)
    if swap:
        far = ops.minimum(far, ops.norm(positive - negative + eps, p, -1))
    return reduced("triplet_margin_loss", ops.clamp(margin + near - far, min=0), reduction)
