"""Activations, and softmax in its two forms."""

import math
from typing import Any

import numpy as np

from minigrad import kernels
from minigrad.amp import for_sums
from minigrad.devices import array_module
from minigrad.dtypes import DEFAULT, FLOATING, is_half
from minigrad.function import Function
from minigrad.ops.arithmetic import mul
from minigrad.ops.conversion import floating, only_floating
from minigrad.ops.dims import at_least_1d, dims
from minigrad.ops.elementwise import exp, expm1, where
from minigrad.ops.keywords import also_takes
from minigrad.ops.reduce import sum
from minigrad.ops.shape import swapaxes
from minigrad.tensor import Tensor, unwrap
from minigrad.typing import Array


class Tanh(Function):
    """y = tanh x;  dx = g·(1 - y²)."""

    fresh = True

    def forward(self, x):
        x = x if x.dtype.kind in FLOATING else x.astype(DEFAULT)
        y = array_module(x).tanh(x)
        self.save_for_backward(y)
        return y

    def backward(self, grad):
        (y,) = self.saved
        return grad * (1 - y * y)


class Sigmoid(Function):
    """y = 1/(1 + e⁻ˣ);  dx = g·y·(1 - y)."""

    fresh = True

    def forward(self, x):
        wide = x.astype(np.float32) if is_half(x.dtype) else x
        with np.errstate(over="ignore"):  # e⁻ˣ may be infinite: then y is 0
            y = array_module(x).exp(-wide)
        y += 1
        y = (1 / y).astype(x.dtype, copy=False)
        self.save_for_backward(y)
        return y

    def backward(self, grad):
        (y,) = self.saved
        return grad * y * (1 - y)


class ReLU(Function):
    """y = max(x, 0);  dx = 0 where x ≤ 0, else g."""

    fresh = True

    def forward(self, x):
        if x.dtype.kind == "b":
            raise TypeError("relu: a boolean tensor; expected numbers, write .float() first")
        y = array_module(x).maximum(x, 0)
        self.save_for_backward(y)  # y > 0 where x is: x may be written to
        return y

    def backward(self, grad):
        return grad * ~(unwrap(self.saved[0]) <= 0)


class LeakyReLU(Function):
    """y = x where x > 0, else slope·x;  dx = g or slope·g."""

    fresh = True

    def __init__(self, slope: float):
        self.slope = slope

    def forward(self, x):
        self.save_for_backward(x)
        y = array_module(x).where(x > 0, x, x * x.dtype.type(self.slope))
        return y.astype(x.dtype, copy=False)  # cupy's is float32 for bfloat16

    def backward(self, grad):
        positive = unwrap(self.saved[0]) > 0
        return where(positive, grad, grad * self.slope)


class ELU(Function):
    """y = x where x > 0, else α·(eˣ - 1)  (Clevert et al. 2015);  dx = g or g·α·eˣ."""

    fresh = True

    def __init__(self, alpha: float):
        self.alpha = alpha

    def forward(self, x):
        self.save_for_backward(x)
        negative = x <= 0
        return where(negative, mul(self.alpha, expm1(where(negative, x, 0.0))), x)

    def backward(self, grad):
        (x,) = self.saved
        negative = unwrap(x) <= 0
        return where(negative, grad * self.alpha * exp(where(negative, x, 0.0)), grad)


class Softplus(Function):
    """y = ln(1 + eˣ) = max(x, 0) + ln(1 + e^-|x|);  dx = g·sigmoid(x)."""

    fresh = True

    def forward(self, x):
        self.save_for_backward(x)
        return array_module(x).logaddexp(x, x.dtype.type(0))

    def backward(self, grad):
        (x,) = self.saved
        return grad * sigmoid(x)


class Erf(Function):
    """y = erf x = 2/√π ∫₀ˣ e^(-t²) dt;  dx = g·2/√π·e^(-x²)."""

    fresh = True

    def forward(self, x):
        self.save_for_backward(x)
        if array_module(x) is np:
            return np.asarray(_math_erf(x), x.dtype)  # numpy lacks it: the C library's, one number at a time
        from cupyx.scipy.special import erf

        return erf(x)

    def backward(self, grad):
        (x,) = self.saved
        return grad * exp(-x * x) * (2 / math.sqrt(math.pi))


_math_erf = np.vectorize(math.erf, otypes=[np.float64])


class GELU(Function):
    """y = x·Φ(x), Φ the normal distribution function, exact or by tanh (Hendrycks & Gimpel 2016)."""

    fresh = True

    def __init__(self, approximate: str):
        self.approximate = approximate

    def forward(self, x):
        self.save_for_backward(x)
        return kernels.gelu(x, self.approximate)

    def backward(self, grad):
        return kernels.gelu_backward(grad, self.saved[0], self.approximate)

    def flops(self, inputs, outputs):
        return ACTIVATION_FLOPS["gelu_tanh" if self.approximate == "tanh" else "gelu"][0] * outputs[0].size

    def backward_flops(self, grads, results):
        return ACTIVATION_FLOPS["gelu_tanh" if self.approximate == "tanh" else "gelu"][1] * results[0].size

    def composite(self, x):
        if self.approximate == "tanh":
            return 0.5 * x * (1 + tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
        return 0.5 * x * (1 + erf(x * math.sqrt(0.5)))


class SiLU(Function):
    """y = x·sigmoid(x)  (Elfwing et al. 2017; "swish")."""

    fresh = True

    def forward(self, x):
        self.save_for_backward(x)
        return kernels.silu(x)

    def backward(self, grad):
        return kernels.silu_backward(grad, self.saved[0])

    def flops(self, inputs, outputs):
        return ACTIVATION_FLOPS["silu"][0] * outputs[0].size

    def backward_flops(self, grads, results):
        return ACTIVATION_FLOPS["silu"][1] * results[0].size

    def composite(self, x):
        return x * sigmoid(x)


class Softmax(Function):
    """y_i = e^(x_i) / Σ_j e^(x_j) over the last dimension;  dx = y·(g - Σ g·y)."""

    fresh = True

    def forward(self, x):
        y = kernels.softmax(x)
        self.save_for_backward(y)
        return y

    def backward(self, grad):
        (y,) = self.saved
        if isinstance(grad, Tensor):
            return y * (grad - sum(grad * y, -1, keepdim=True))
        return kernels.softmax_backward(grad, y)

    def flops(self, inputs, outputs):
        return 5 * outputs[0].size  # maximum, subtract, exp, sum, divide

    def backward_flops(self, grads, results):
        return 4 * results[0].size  # g·y, sum, subtract, multiply


class LogSoftmax(Function):
    """y_i = x_i - ln Σ_j e^(x_j) over the last dimension;  dx = g - e^y·Σ g."""

    fresh = True

    def forward(self, x):
        y = kernels.log_softmax(x)
        self.save_for_backward(y)
        return y

    def backward(self, grad):
        (y,) = self.saved
        if isinstance(grad, Tensor):
            return grad - exp(y) * sum(grad, -1, keepdim=True)
        return kernels.log_softmax_backward(grad, y)

    def flops(self, inputs, outputs):
        return 5 * outputs[0].size  # maximum, subtract, exp, sum, subtract

    def backward_flops(self, grads, results):
        return 4 * results[0].size  # sum, exp, multiply, subtract


def tanh(x: Tensor | Array) -> Tensor:
    """The hyperbolic tangent; of integers in float32."""
    return Tanh()(x)


def sigmoid(x: Tensor | Array) -> Tensor:
    """1/(1 + e⁻ˣ); of integers in float32."""
    return Sigmoid()(floating(x))


def relu(x: Tensor | Array) -> Tensor:
    """max(x, 0), in x's dtype. TypeError for booleans."""
    return ReLU()(x)


def leaky_relu(x: Tensor | Array, negative_slope: float = 0.01) -> Tensor:
    """x where positive, negative_slope·x elsewhere. TypeError unless x is floating."""
    return LeakyReLU(negative_slope)(only_floating(x, "leaky_relu"))


def softplus(x: Tensor | Array) -> Tensor:
    """ln(1 + eˣ), without overflow. TypeError unless x is floating."""
    return Softplus()(for_sums(only_floating(x, "softplus")))


def erf(x: Tensor | Array) -> Tensor:
    """The error function; of integers in float32."""
    return Erf()(floating(x))


def gelu(x: Tensor | Array, approximate: str = "none") -> Tensor:
    """x·Φ(x); approximate="tanh" for GPT-2's form. TypeError unless x is floating."""
    if approximate not in ("none", "tanh"):
        raise ValueError(f'gelu: approximate={approximate!r}; use "none" or "tanh"')
    return GELU(approximate)(only_floating(x, "gelu"))


def silu(x: Tensor | Array) -> Tensor:
    """x·sigmoid(x). TypeError unless x is floating."""
    return SiLU()(only_floating(x, "silu"))


def elu(x: Tensor | Array, alpha: float = 1.0) -> Tensor:
    """x where positive, alpha·(eˣ - 1) elsewhere (Clevert et al. 2015). TypeError unless x is floating."""
    return ELU(alpha)(only_floating(x, "elu"))


@also_takes("axis", "dtype")
def softmax(x: Tensor | Array, dim: int = -1) -> Tensor:
    """eˣ normalised to sum 1 along dim. A row of -inf alone has no answer and gives NaN. TypeError unless floating."""
    return _over_last(Softmax(), x, dim, "softmax")


@also_takes("axis", "dtype")
def log_softmax(x: Tensor | Array, dim: int = -1) -> Tensor:
    """ln softmax(x), computed without leaving the logarithm. TypeError unless x is floating."""
    return _over_last(LogSoftmax(), x, dim, "log_softmax")


def _over_last(function, x, dim, name):
    x = for_sums(only_floating(x, name))
    (d,) = dims(dim, x.ndim, name) or (-1,)
    if x.ndim == 0:
        return at_least_1d(function, x)
    if d == x.ndim - 1:
        return function(x)
    return swapaxes(function(swapaxes(x, d, -1)), d, -1)


ACTIVATIONS = {
    "relu": relu,
    "gelu": gelu,
    "gelu_tanh": lambda x: gelu(x, "tanh"),
    "silu": silu,
}

# Floating-point operations per element, forward and backward, of the formulas above and their derivatives.
ACTIVATION_FLOPS = {None: (0, 0), "relu": (1, 1), "gelu": (5, 11), "gelu_tanh": (9, 18), "silu": (2, 6)}


def activate(x: Any, activation: str | None) -> Tensor:
    """An activation by the name that linear and the Transformer layers take; None leaves x alone."""
    if activation is None:
        return x
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation {activation!r}: choose one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[activation](x)
