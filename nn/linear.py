"""Linear: the affine map at the bottom of everything; and the two layers that only pass or reshape."""

import math

import minigrad as mg
from nn import functional as F
from nn import init
from nn.checks import check_sizes
from nn.module import Module, Parameter


class Linear(Module):
    """y = x Wᵀ + b for x (..., in_features), weight (out_features, in_features), bias (out_features,).

    Both start uniform on ±1/√in_features.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, dtype="float32"):
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

    def forward(self, input, activation: str | None = None):
        """The map; with activation "relu", "gelu", "gelu_tanh" or "silu" applied in the same pass."""
        return F.linear(input, self.weight, self.bias, activation)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Identity(Module):
    """y = x; takes and ignores any arguments, so that it can stand in for another layer."""

    def __init__(self, *args, **kwargs):
        super().__init__()

    def forward(self, input):
        return input


class Flatten(Module):
    """Dimensions start_dim to end_dim joined into one; by default all but the batch."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input):
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
