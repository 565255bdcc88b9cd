"""How far apart, and how alike in direction, vectors are."""

from minigrad.ops.conversion import floating
from minigrad.ops.elementwise import clamp
from minigrad.ops.rearrange import broadcast_tensors
from minigrad.ops.reduce import norm
from minigrad.ops.reduce import sum as sum_of
from minigrad.ops.shape import unsqueeze
from minigrad.tensor import Tensor


def normalize(x: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """x / max(‖x‖ₚ, eps): vectors of length 1 along dim (0 stays 0)."""
    x = floating(x)
    return x / clamp(norm(x, p, dim, keepdim=True), min=eps)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between vectors along dim, broadcast: x1·x2 / (max(‖x1‖, eps)·max(‖x2‖, eps))."""
    x1, x2 = broadcast_tensors(floating(x1), floating(x2))
    x1, x2 = (x / clamp(norm(x, 2, dim, keepdim=True), min=eps) for x in (x1, x2))
    return sum_of(x1 * x2, dim)


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """‖x1 - x2 + eps‖ₚ over the last dimension: the distance of each vector from its partner, broadcast."""
    return norm(floating(x1) - floating(x2) + eps, p, -1, keepdim)


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0) -> Tensor:
    """The distance ‖x1[i] - x2[j]‖ₚ of every vector from every other: (…, n, d) and (…, m, d) give (…, n, m).

    The gradient at distance 0 is 0.
    """
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise ValueError(f"cdist: {x1.shape} and {x2.shape}; expected (…, n, d) and (…, m, d)")
    apart = unsqueeze(floating(x1), -2) - unsqueeze(floating(x2), -3)
    return norm(apart, p if x1.shape[-1] else 1, -1)  # vectors of no elements are 0 apart
