"""Small combinations of several tensors, element by element, and numbers cut to what is wanted."""

import numpy as np

from minigrad.devices import array_module
from minigrad.dtypes import FLOATING
from minigrad.function import Function
from minigrad.ops.conversion import floating, promoted
from minigrad.ops.elementwise import where
from minigrad.tensor import Tensor, unwrap, wrap


class Hypot(Function):
    """z = √(x² + y²), without overflow;  dx = g·x/z,  dy = g·y/z."""

    def forward(self, x, y):
        z = array_module(x).hypot(x, y)
        self.save_for_backward(x, y, z)
        return z

    def backward(self, grad):
        x, y, z = self.saved
        return grad * x / z, grad * y / z


class Frac(Function):
    """y = x without its whole part;  dx = g."""

    def forward(self, x):
        return x - array_module(x).trunc(x)

    def backward(self, grad):
        return grad


def hypot(x: Tensor, y: Tensor) -> Tensor:
    """√(x² + y²), without overflow."""
    return Hypot()(*promoted(floating(x), floating(y)))


def frac(x: Tensor) -> Tensor:
    """The part of x after the decimal point, with the sign of x: -1.25 gives -0.25."""
    return Frac()(x)


def trunc(x: Tensor) -> Tensor:
    """x without the digits after the decimal point: the nearest integer towards 0; no gradient."""
    array = unwrap(x)
    if array.dtype.kind not in FLOATING:
        return wrap(array.copy())
    return wrap(np.asarray(array_module(array).trunc(array)) if array.ndim == 0 else array_module(array).trunc(array))


def heaviside(x: Tensor, values: Tensor) -> Tensor:
    """The step function: 0 where x < 0 (or NaN), 1 where x > 0, values where x is 0; no gradient."""
    x, values = promoted(unwrap(x), unwrap(values))
    xp = array_module(x)
    return wrap(xp.asarray(xp.where(x == 0, values, (x > 0).astype(x.dtype)), dtype=x.dtype))


def nan_to_num(x: Tensor, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """x with numbers in place of NaN, ∞ and -∞ (None: the largest and smallest of the dtype); no gradient there."""
    array = unwrap(x)
    if array.dtype.kind not in FLOATING:
        return x
    xp = array_module(array)
    largest = _largest(array.dtype)
    x = where(xp.isnan(array), nan, x)
    x = where(array == np.inf, largest if posinf is None else posinf, x)
    return where(array == -np.inf, -largest if neginf is None else neginf, x)


def _largest(dtype) -> float:
    if dtype.kind != "V":
        return float(np.finfo(dtype).max)
    import ml_dtypes

    return float(ml_dtypes.finfo(dtype).max)


def lerp(start: Tensor, end: Tensor, weight: Tensor | float) -> Tensor:
    """start + weight·(end - start): start where the weight is 0, end where it is 1."""
    return start + weight * (end - start)


def addcmul(x: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """x + value·tensor1·tensor2."""
    return x + value * (tensor1 * tensor2)


def addcdiv(x: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """x + value·tensor1/tensor2."""
    return x + value * (tensor1 / tensor2)
