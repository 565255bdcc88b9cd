"""The elementary functions and choices, element by element, with broadcasting. See arithmetic.py for how to read it."""

import numpy as np

from minigrad.devices import array_module
from minigrad.dtypes import is_half
from minigrad.function import Function
from minigrad.ops.arithmetic import promoted
from minigrad.ops.conversion import floating
from minigrad.tensor import DEFAULT_DTYPE, Tensor, unwrap


class Pow(Function):
    """z = x^y;  dx = g·y·x^(y-1),  dy = g·x^y·ln x  (0 where x = 0)."""

    fresh = True

    def forward(self, x, y):
        x, y = promoted(x, y)
        z = x * x if isinstance(y, (int, float)) and y == 2 else x**y
        self.save_for_backward(x, y, z)
        return z

    def backward(self, grad):
        x, y, z = self.saved
        dx = dy = None
        if self.parents[0] is not None:
            if isinstance(y, (int, float)):
                dx = grad * y * (x if y == 2 else x ** (y - 1))
            elif isinstance(y, np.generic):  # as which promoted() returns a number beside bfloat16
                dx = grad * y * x ** type(y)(1 if y == 0 else y - 1)
            else:  # x^(y-1) is infinite at x = 0, y = 0, where the derivative is 0
                dx = grad * y * x ** where(unwrap(y) == 0, unwrap(y) * 0 + 1, y - 1)
        if self.parents[1] is not None:
            if isinstance(x, (int, float)):
                dy = grad * z * float(np.log(x)) if x > 0 else grad * 0
            else:
                positive = unwrap(x) > 0
                dy = grad * where(positive, z * log(where(positive, x, 1.0)), 0.0)
        return dx, dy


class Exp(Function):
    """y = eˣ;  dx = g·y."""

    fresh = True

    def forward(self, x):
        y = array_module(x).exp(x)
        self.save_for_backward(y)
        return y

    def backward(self, grad):
        (y,) = self.saved
        return grad * y


class Expm1(Function):
    """y = eˣ - 1, exact for small x;  dx = g·(y + 1)."""

    fresh = True

    def forward(self, x):
        y = array_module(x).expm1(x)
        self.save_for_backward(y)
        return y

    def backward(self, grad):
        (y,) = self.saved
        return grad * (y + 1)


class Log(Function):
    """y = ln x;  dx = g/x."""

    fresh = True

    def forward(self, x):
        self.save_for_backward(x)
        return array_module(x).log(x)

    def backward(self, grad):
        (x,) = self.saved
        return grad / x


class Log1p(Function):
    """y = ln(1 + x), exact for small x;  dx = g/(1 + x)."""

    fresh = True

    def forward(self, x):
        self.save_for_backward(x)
        return array_module(x).log1p(x)

    def backward(self, grad):
        (x,) = self.saved
        return grad / (1 + x)


class Sqrt(Function):
    """y = √x;  dx = g/(2y)."""

    fresh = True

    def forward(self, x):
        y = array_module(x).sqrt(x)
        self.save_for_backward(y)
        return y

    def backward(self, grad):
        (y,) = self.saved
        return grad * 0.5 / y


class Sin(Function):
    """y = sin x;  dx = g·cos x."""

    fresh = True

    def forward(self, x):
        self.save_for_backward(x)
        return array_module(x).sin(x)

    def backward(self, grad):
        (x,) = self.saved
        return grad * cos(x)


class Cos(Function):
    """y = cos x;  dx = -g·sin x."""

    fresh = True

    def forward(self, x):
        self.save_for_backward(x)
        return array_module(x).cos(x)

    def backward(self, grad):
        (x,) = self.saved
        return -grad * sin(x)


class Abs(Function):
    """y = |x|;  dx = g·sign x  (0 at 0)."""

    fresh = True

    def forward(self, x):
        self.save_for_backward(x)
        return abs(x)

    def backward(self, grad):
        (x,) = self.saved
        x = unwrap(x)
        return grad * array_module(x).sign(x)


class Extremum(Function):
    """z = max(x, y) or min(x, y) by element; the gradient goes to the chosen one, half to each at a tie."""

    fresh = True

    def __init__(self, largest: bool):
        self.largest = largest

    def forward(self, x, y):
        x, y = promoted(x, y)
        self.save_for_backward(x, y)
        xp = array_module(x if hasattr(x, "dtype") else y)
        return xp.maximum(x, y) if self.largest else xp.minimum(x, y)

    def backward(self, grad):
        x, y = (unwrap(saved) for saved in self.saved)
        chosen = x > y if self.largest else x < y
        share = (chosen + 0.5 * (x == y)).astype(grad.dtype)
        return grad * share, grad * (1 - share)


class Clamp(Function):
    """y = min(max(x, low), high);  dx = g where low ≤ x ≤ high, else 0."""

    fresh = True

    def __init__(self, low, high):
        self.low, self.high = low, high

    def forward(self, x):
        self.save_for_backward(x)
        y = array_module(x).clip(x, self.low, self.high)
        return y.astype(x.dtype, copy=False) if is_half(x.dtype) else y

    def backward(self, grad):
        x = unwrap(self.saved[0])
        inside = array_module(x).ones(x.shape, dtype=x.dtype)
        if self.low is not None:
            inside *= x >= self.low
        if self.high is not None:
            inside *= x <= self.high
        return grad * inside


class Where(Function):
    """z = x where the condition holds, else y;  dx = g there and 0 elsewhere, dy the reverse."""

    fresh = True

    def __init__(self, condition):
        self.condition = condition

    def forward(self, x, y):
        x, y = promoted(x, y)
        arrays = (x, y) if hasattr(x, "dtype") or hasattr(y, "dtype") else (DEFAULT_DTYPE.type(x), y)
        z = array_module(self.condition).where(self.condition, *arrays)
        if all(getattr(each, "dtype", z.dtype).kind == "V" for each in arrays):
            return z.astype(arrays[0].dtype, copy=False)  # cupy's is float32
        return z

    def backward(self, grad):
        zero = unwrap(grad).dtype.type(0)
        return (
            where(self.condition, grad, zero) if self.parents[0] is not None else None,
            where(self.condition, zero, grad) if self.parents[1] is not None else None,
        )


def pow(x, exponent):
    """x to the power of exponent, by element."""
    return Pow()(x, exponent)


def exp(x):
    """eˣ."""
    return Exp()(floating(x))


def expm1(x):
    """eˣ - 1, exact for small x."""
    return Expm1()(floating(x))


def log(x):
    """The natural logarithm."""
    return Log()(floating(x))


def log1p(x):
    """ln(1 + x), exact for small x."""
    return Log1p()(floating(x))


def sqrt(x):
    """The square root."""
    return Sqrt()(floating(x))


def rsqrt(x):
    """1/√x."""
    return 1.0 / sqrt(x)


def square(x):
    """x²."""
    return Pow()(x, 2)


def sin(x):
    """The sine of x in radians."""
    return Sin()(floating(x))


def cos(x):
    """The cosine of x in radians."""
    return Cos()(floating(x))


def abs_(x):
    """|x|."""
    return Abs()(x)


def maximum(x, y):
    """The larger of x and y, by element."""
    return Extremum(True)(x, y)


def minimum(x, y):
    """The smaller of x and y, by element."""
    return Extremum(False)(x, y)


def clamp(x, min=None, max=None):
    """x limited to [min, max]; None leaves that side open."""
    if min is None and max is None:
        raise ValueError("clamp: give min, max or both")
    return Clamp(unwrap(min), unwrap(max))(x)


def where(condition, x, y):
    """x where the condition holds, y elsewhere."""
    condition = unwrap(condition)
    if condition.dtype != np.bool_:
        condition = condition != 0
    return Where(condition)(x, y)


def masked_fill(x, mask, value):
    """x with `value` where the mask is True (broadcast against x)."""
    if not isinstance(value, Tensor):
        value = unwrap(x).dtype.type(value)
    return where(mask, value, x)
