"""Arithmetic, element by element, with broadcasting and the dtypes a deep-learning user means.

Each operation is a short class, the formula and its derivative first, and the
function that users call. Rules are written with operators and the functions of this
package, so they compute on arrays and record themselves on Tensors.
"""

import numpy as np
from numpy import ndarray

from minigrad.dtypes import FLOATING
from minigrad.function import Function
from minigrad.tensor import DEFAULT_DTYPE

NUMBERS = {bool, int, float}


def promoted(x, y):
    """Two operands with the dtypes a deep-learning user means, where numpy would go to float64.

    A scalar never widens an array, and integers take the floating type they meet.
    """
    if type(x) is type(y):  # the two usual cases first
        if type(x) in NUMBERS or x.dtype is y.dtype:
            return x, y
    elif type(y) in NUMBERS and type(x) is ndarray and x.dtype.kind == "f":
        return x, y
    x, y = _plain(x), _plain(y)
    x_kind, y_kind = _kind(x), _kind(y)
    if x_kind == "V" or y_kind == "V":
        x, y = _beside_bfloat16(x, y_kind), _beside_bfloat16(y, x_kind)
    if x_kind in FLOATING and y_kind in "iub" and hasattr(y, "dtype"):
        return x, y.astype(getattr(x, "dtype", DEFAULT_DTYPE))
    if y_kind in FLOATING and x_kind in "iub" and hasattr(x, "dtype"):
        return x.astype(getattr(y, "dtype", DEFAULT_DTYPE)), y
    return x, y


def _beside_bfloat16(x, other_kind: str):
    """A Python number beside a bfloat16 array as bfloat16: numpy lets numbers go before its own dtypes only."""
    from ml_dtypes import bfloat16

    return bfloat16(x) if other_kind == "V" and type(x) in NUMBERS else x


def _plain(x):
    return x.item() if isinstance(x, np.generic) else x


def _kind(x) -> str:
    if hasattr(x, "dtype"):
        return x.dtype.kind
    return "f" if isinstance(x, float) else "i"


class Add(Function):
    """z = x + y;  dx = g,  dy = g."""

    def forward(self, x, y):
        x, y = promoted(x, y)
        return x + y

    def backward(self, grad):
        return grad, grad


class Sub(Function):
    """z = x - y;  dx = g,  dy = -g."""

    def forward(self, x, y):
        x, y = promoted(x, y)
        return x - y

    def backward(self, grad):
        return grad, -grad if self.parents[1] is not None else None


class Mul(Function):
    """z = x·y;  dx = g·y,  dy = g·x."""

    fresh = True

    def forward(self, x, y):
        self.save_for_backward(x, y)
        x, y = promoted(x, y)
        return x * y

    def backward(self, grad):
        x, y = self.saved
        return grad * y if self.parents[0] is not None else None, grad * x if self.parents[1] is not None else None


class Div(Function):
    """z = x / y;  dx = g/y,  dy = -g·x/y²."""

    fresh = True

    def forward(self, x, y):
        self.save_for_backward(x, y)
        x, y = promoted(x, y)
        if _kind(x) not in FLOATING and _kind(y) not in FLOATING:
            x = x.astype(DEFAULT_DTYPE) if hasattr(x, "dtype") else float(x)
            y = y.astype(DEFAULT_DTYPE) if hasattr(y, "dtype") else float(y)
        return x / y

    def backward(self, grad):
        x, y = self.saved
        dx = grad / y
        return dx, -dx * x / y if self.parents[1] is not None else None


class Neg(Function):
    """y = -x;  dx = -g."""

    fresh = True

    def forward(self, x):
        return -x

    def backward(self, grad):
        return -grad


def add(x, y):
    """x + y, by element."""
    return Add()(x, y)


def sub(x, y):
    """x - y, by element."""
    return Sub()(x, y)


def mul(x, y):
    """x · y, by element."""
    return Mul()(x, y)


def div(x, y):
    """x / y, by element; integers give floats."""
    return Div()(x, y)


def neg(x):
    """-x."""
    return Neg()(x)


def reciprocal(x):
    """1/x."""
    return Div()(1.0, x)
