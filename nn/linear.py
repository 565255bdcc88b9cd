"""Linear, the affine map at the bottom of everything; and the layers that only pass or reshape."""

import math
from collections.abc import Sequence
from typing import Any

import minigrad as mg
from minigrad import ops
from minigrad.tensor import Tensor
from minigrad.typing import DTypeLike
from nn import functional as F
from nn import init
from nn.checks import check_sizes
from nn.module import Module, Parameter


class Linear(Module):
    """y = x Wᵀ + b for x (..., in_features), weight (out_features, in_features), bias (out_features,).

    Both start uniform on ±1/√in_features.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, dtype: DTypeLike = "float32"):
        super().__init__()
        check_sizes("Linear", in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(mg.empty(out_features, in_features, dtype=dtype))
        self.bias = Parameter(mg.empty(out_features, dtype=dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        bound = 1 / math.sqrt(max(self.in_features, 1))
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor, activation: str | None = None) -> Tensor:
        """The map; with activation "relu", "gelu", "gelu_tanh" or "silu" applied in the same pass."""
        return F.linear(input, self.weight, self.bias, activation)

    def extra_repr(self) -> str:
        """The settings."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Identity(Module):
    """y = x; takes and ignores any arguments, so that it can stand in for another layer."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__()

    def forward(self, input: Any) -> Any:
        """input"""
        return input


class Flatten(Module):
    """Dimensions start_dim to end_dim joined into one; by default all but the batch."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        """input, reshaped."""
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """The settings."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Dimension dim cut into several of sizes unflattened_size, one of which may be -1: what is left for it."""

    def __init__(self, dim: int, unflattened_size: Sequence[int]):
        super().__init__()
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        """input, reshaped. ValueError if the sizes do not fit, IndexError if there is no such dimension."""
        if not -input.ndim <= self.dim < input.ndim:
            raise IndexError(f"Unflatten: dim {self.dim} of input {input.shape}")
        dim, known = self.dim % input.ndim, math.prod(size for size in self.unflattened_size if size != -1)
        open_sizes = self.unflattened_size.count(-1)
        if open_sizes > 1 or (
            known != input.shape[dim] and not (open_sizes and known and input.shape[dim] % known == 0)
        ):
            raise ValueError(f"Unflatten: dim {self.dim} of input {input.shape} is not {self.unflattened_size}")
        sizes = (input.shape[dim] // known if size == -1 else size for size in self.unflattened_size)
        return ops.reshape(input, *input.shape[:dim], *sizes, *input.shape[dim + 1 :])

    def extra_repr(self) -> str:
        """The settings."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
