"""Normalisation over the trailing dimensions: LayerNorm and RMSNorm."""

import minigrad as mg
from nn import functional as F
from nn.checks import check_sizes
from nn.module import Module, Parameter


class LayerNorm(Module):
    """y = (x - mean)/√(var + eps)·weight + bias over the last dimensions  (Ba, Kiros & Hinton 2016, eq. 3-4).

    normalized_shape  the sizes of those dimensions, an int for the last one alone
    weight, bias      of that shape, starting at 1 and 0; neither without elementwise_affine
    """

    def __init__(
        self, normalized_shape, eps: float = 1e-5, elementwise_affine: bool = True, bias: bool = True, dtype="float32"
    ):
        super().__init__()
        self.normalized_shape, self.eps = _shape("LayerNorm", normalized_shape), eps
        self.elementwise_affine = elementwise_affine
        self.weight = Parameter(mg.ones(self.normalized_shape, dtype=dtype)) if elementwise_affine else None
        self.bias = Parameter(mg.zeros(self.normalized_shape, dtype=dtype)) if elementwise_affine and bias else None

    def forward(self, input):
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        settings = f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        return f"{settings}, bias={self.bias is not None}"


class RMSNorm(Module):
    """y = x/√(mean x² + eps)·weight over the last dimensions  (Zhang & Sennrich 2019, eq. 4).

    eps  None stands for the machine epsilon of the input's dtype
    """

    def __init__(self, normalized_shape, eps: float | None = None, elementwise_affine: bool = True, dtype="float32"):
        super().__init__()
        self.normalized_shape, self.eps = _shape("RMSNorm", normalized_shape), eps
        self.elementwise_affine = elementwise_affine
        self.weight = Parameter(mg.ones(self.normalized_shape, dtype=dtype)) if elementwise_affine else None

    def forward(self, input):
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


def _shape(layer: str, normalized_shape) -> tuple[int, ...]:
    shape = tuple(normalized_shape) if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
    if not shape:
        raise ValueError(f"{layer}: normalized_shape=(); name at least one dimension")
    for size in shape:
        check_sizes(layer, normalized_shape=size)
    return shape
