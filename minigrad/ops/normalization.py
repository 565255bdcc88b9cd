"""Layer normalisation and root-mean-square normalisation over the last dimension."""

import math

from minigrad import kernels
from minigrad.amp import for_sums
from minigrad.dtypes import FLOATING
from minigrad.function import Function
from minigrad.ops.elementwise import rsqrt, square
from minigrad.ops.reduce import mean
from minigrad.tensor import Tensor, unwrap


class LayerNorm(Function):
    """y = (x - μ)/√(σ² + ε)·w + b over the last dimension (Ba, Kiros & Hinton 2016, eq. 3-4)."""

    fresh = True

    def __init__(self, eps: float):
        self.eps = eps

    def forward(self, x, weight, bias):
        y, mean, rstd = kernels.layer_norm(x, weight, bias, self.eps)
        self.save_for_backward(x, weight, bias, mean, rstd)
        return y

    def backward(self, grad):
        x, weight, bias, mean, rstd = self.saved
        dx, dweight, dbias = kernels.layer_norm_backward(grad, x, weight, mean, rstd)
        return dx, dweight, None if bias is None else dbias

    def flops(self, inputs, outputs):
        x, weight, bias = inputs  # two means, centre, square, scale; a division, ε, root and 1/√ for each row
        rows = math.prod(x.shape[:-1])
        return x.size * (5 + (weight is not None) + (bias is not None)) + 5 * rows

    def backward_flops(self, grads, results):
        dx, dweight, dbias = results  # x̂: 2, dx: 7 and the product with w
        return dx.size * (9 + 3 * (dweight is not None) + (dbias is not None))

    def composite(self, x, weight, bias):
        centred = x - mean(x, -1, keepdim=True)
        y = centred * rsqrt(mean(square(centred), -1, keepdim=True) + self.eps)
        y = y if weight is None else y * weight
        return y if bias is None else y + bias


class RMSNorm(Function):
    """y = x/√(mean x² + ε)·w over the last dimension (Zhang & Sennrich 2019, eq. 4)."""

    fresh = True

    def __init__(self, eps: float):
        self.eps = eps

    def forward(self, x, weight):
        y, rstd = kernels.rms_norm(x, weight, self.eps)
        self.save_for_backward(x, weight, rstd)
        return y

    def backward(self, grad):
        x, weight, rstd = self.saved
        return kernels.rms_norm_backward(grad, x, weight, rstd)

    def flops(self, inputs, outputs):
        x, weight = inputs  # square, sum, scale; a division, ε, root and 1/√ for each row
        return x.size * (3 + (weight is not None)) + 4 * math.prod(x.shape[:-1])

    def backward_flops(self, grads, results):
        dx, dweight = results  # x̂: 1, dx: 5 and the product with w
        return dx.size * (6 + 3 * (dweight is not None))

    def composite(self, x, weight):
        y = x * rsqrt(mean(square(x), -1, keepdim=True) + self.eps)
        return y if weight is None else y * weight


def layer_norm(x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """x with mean 0 and variance 1 over its last dimension, then scaled by weight and shifted by bias."""
    x = for_sums(x)
    _check("layer_norm", x, weight, bias)
    return LayerNorm(eps)(x, weight, bias)


def rms_norm(x: Tensor, weight: Tensor | None = None, eps: float = 1e-6) -> Tensor:
    """x with root mean square 1 over its last dimension, then scaled by weight."""
    x = for_sums(x)
    _check("rms_norm", x, weight)
    return RMSNorm(eps)(x, weight)


def _check(op: str, x, weight, bias=None) -> None:
    if unwrap(x).dtype.kind not in FLOATING:
        raise TypeError(f"{op}: x is {unwrap(x).dtype}; use .astype('float32') first")
    if x.ndim == 0:
        raise ValueError(f"{op}: a 0-d tensor has no last dimension to normalise")
    for name, parameter in (("weight", weight), ("bias", bias)):
        if parameter is not None and parameter.shape != x.shape[-1:]:
            raise ValueError(f"{op}: {name} {parameter.shape} for x {x.shape}; expected {x.shape[-1:]}")
    if bias is not None and weight is None:
        raise ValueError(f"{op}: a bias without a weight; give both")
