"""GELU (Hendrycks and Gimpel, Gaussian Error Linear Units, 2016) and SiLU, and their derivatives."""

import math

import numpy as np

from minigrad.devices import array_module
from minigrad.kernels.reference.half import in_float32
from minigrad.typing import Array

# Beyond this the Gaussian tail is 0 in every float type. Derivatives take x no further out, because
# there it meets a factor 0 and inf * 0 would be NaN.
TAIL = 40.0


@in_float32
def gelu(x: Array, approximate: str) -> Array:
    """x * Phi(x), Phi the normal distribution function; approximate="tanh" replaces Phi by a tanh.

    "none":  x * (1 + erf(x / sqrt 2)) / 2
    "tanh":  x * (1 + tanh(u)) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3)
    """
    with np.errstate(over="ignore", invalid="ignore"):  # x^3, -inf * 0
        return x * _phi(x, approximate)


@in_float32
def gelu_backward(grad: Array, x: Array, approximate: str) -> Array:
    """grad * (Phi(x) + x * Phi'(x))."""
    xp = array_module(x)
    x = xp.clip(x, -TAIL, TAIL)
    phi = _phi(x, approximate)
    if approximate == "tanh":
        # Phi = sigmoid(2u), whose derivative is 2 u' Phi (1 - Phi)
        slope = 2 * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x) * phi * (1 - phi)
    else:
        slope = math.sqrt(0.5 / math.pi) * xp.exp(-0.5 * x * x)
    return grad * (phi + x * slope)


@in_float32
def silu(x: Array) -> Array:
    """x * sigmoid(x)."""
    with np.errstate(invalid="ignore"):  # -inf * 0
        return x * _sigmoid(x)


@in_float32
def silu_backward(grad: Array, x: Array) -> Array:
    """grad * (s + x * s * (1 - s)), s = sigmoid(x)."""
    s = _sigmoid(x)
    with np.errstate(invalid="ignore"):  # inf * 0
        return grad * (s + x * s * (1 - s))


def _phi(x, approximate):
    """The normal distribution function; no 1 + tanh, no 1 + erf, which lose the lower tail to rounding."""
    if approximate == "tanh":
        return _sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))  # (1 + tanh u) / 2
    if approximate == "none":
        return 0.5 * _erfc(x * -math.sqrt(0.5))
    raise ValueError(f'gelu: approximate is {approximate!r}; choose "none" or "tanh"')


def _sigmoid(x):
    with np.errstate(over="ignore"):  # 1 / (1 + inf) is right
        return 1 / (1 + array_module(x).exp(-x))


def _erfc(x):
    """1 - erf(x), which numpy lacks: the C library's on the CPU, one number at a time."""
    if array_module(x) is np:
        return np.asarray(_math_erfc(x), x.dtype)
    from cupyx.scipy.special import erfc

    return erfc(x)


_math_erfc = np.vectorize(math.erfc, otypes=[np.float64])
