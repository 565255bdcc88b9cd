"""How far apart, and how alike in direction, vectors are, as Modules."""

from minigrad.tensor import Tensor
from nn import functional as F
from nn.module import Module


class CosineSimilarity(Module):
    """x₁·x₂/(max(‖x₁‖, eps)·max(‖x₂‖, eps)) along dim."""

    def __init__(self, dim: int = 1, eps: float = 1e-8):
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """The formula above, of shapes that broadcast: without dimension dim."""
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """‖x₁ - x₂ + eps‖ₚ along the last dimension."""

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False):
        super().__init__()
        self.p, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """The formula above, of shapes that broadcast: without the last dimension unless keepdim."""
        return F.pairwise_distance(x1, x2, self.p, self.eps, self.keepdim)
