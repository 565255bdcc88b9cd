"""The elementary functions and choices, element by element, with broadcasting. See arithmetic.py for how to read it."""

import math
from typing import Any

import numpy as np

from minigrad.amp import for_sums
from minigrad.devices import array_module
from minigrad.dtypes import as_number, beside, filled, result_type
from minigrad.function import Function
from minigrad.ops.arithmetic import somewhere
from minigrad.ops.comparison import sign
from minigrad.ops.conversion import astype, floating, in_dtype, operands, promoted
from minigrad.tensor import Tensor, unwrap, wrap
from minigrad.typing import Array, TensorLike


class Pow(Function):
    """z = x^y;  dx = g·y·x^(y-1)  (0 where y = 0),  dy = g·x^y·ln x  (0 where x = 0 and y ≥ 0)."""

    fresh = True

    def forward(self, x, y):
        if isinstance(y, (int, float)) and y == 2:
            z = x * x
        else:
            kind = (x if hasattr(x, "dtype") else y).dtype.kind
            if kind == "b":
                raise TypeError("pow: two boolean operands; cast one with .long()")
            if kind == "i" and somewhere(y < 0):
                raise ValueError("pow: integers to a negative integer power; cast one of them with .float()")
            z = x**y
        self.save_for_backward(x, y, z if self.parents[1] is not None else None)  # y = x**2; y += 1 is no matter
        return z

    def backward(self, grad):
        x, y, z = self.saved
        dx = dy = None
        if self.parents[0] is not None:
            y = as_number(y) if isinstance(y, np.generic) else y  # as which a number stands beside bfloat16
            if not hasattr(y, "dtype"):
                dx = _zeros_like(grad) if y == 0 else grad * y * (x if y == 2 else x ** (y - 1))
            else:  # where y = 0, x^(y-1) may be infinite, and 0·∞ is NaN
                zero = unwrap(y) == 0
                dx = where(zero, 0.0, grad * y * x ** where(zero, 1.0, y - 1))
        if self.parents[1] is not None:
            zero = (unwrap(x) == 0) & (unwrap(y) >= 0)
            if not hasattr(x, "dtype"):
                slope = math.log(x) if x > 0 else -math.inf if x == 0 else math.nan
                dy = where(zero, 0.0, grad * z * slope)
            else:
                dy = where(zero, 0.0, grad * z * log(where(zero, 1.0, x)))
        return dx, dy


def _zeros_like(grad):
    zeros = array_module(unwrap(grad)).zeros_like(unwrap(grad))
    return wrap(zeros) if isinstance(grad, Tensor) else zeros


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
    """y = |x|;  dx = g·sign x  (0 at 0 and NaN)."""

    fresh = True

    def forward(self, x):
        if x.dtype.kind == "b":
            raise TypeError("abs: a boolean tensor; expected numbers, write .long() first")
        self.save_for_backward(x)
        return abs(x)

    def backward(self, grad):
        (x,) = self.saved
        return grad * sign(unwrap(x))


class Extremum(Function):
    """z = max(x, y) or min(x, y) by element, NaN where either is; g goes to the chosen one, half to each at a tie.

    Where one of them is NaN, neither is the smaller one, and both get g, as in PyTorch.
    """

    fresh = True

    def __init__(self, largest: bool):
        self.largest = largest

    def forward(self, x, y):
        self.save_for_backward(x, y)
        xp = array_module(x if hasattr(x, "dtype") else y)
        return xp.maximum(x, y) if self.largest else xp.minimum(x, y)

    def backward(self, grad):
        x, y = (unwrap(saved) for saved in self.saved)
        above, below = (x > y, x < y) if self.largest else (x < y, x > y)
        shared = where(x == y, grad * 0.5, grad)
        return where(below, 0.0, shared), where(above, 0.0, shared)


class Clamp(Function):
    """y = min(max(x, low), high), so high where low > high, and NaN where any is.

    dx = g where low ≤ x ≤ high,  dlow = g where x < low < high,  dhigh = g where x > high or low > high;  else 0.
    A bound that is None stays open.
    """

    fresh = True

    def forward(self, x, low, high):
        self.save_for_backward(x, low, high)
        xp = array_module(x)
        y = x if low is None else xp.maximum(x, low)
        return y if high is None else xp.minimum(y, high)

    def backward(self, grad):
        x, low, high = (unwrap(saved) for saved in self.saved)
        low = -math.inf if low is None else low
        high = math.inf if high is None else high
        if grad.dtype.kind == "V":  # beside which Python's numbers have another form
            low, high = (beside(bound, grad.dtype) if type(bound) is float else bound for bound in (low, high))
        return (
            where((x >= low) & (x <= high), grad, 0.0),
            where((x < low) & (low < high), grad, 0.0) if self.parents[1] is not None else None,
            where((x > high) | (low > high), grad, 0.0) if self.parents[2] is not None else None,
        )

    def flops(self, inputs, outputs):
        return outputs[0].size * sum(bound is not None for bound in inputs[1:])  # comparisons


class Where(Function):
    """z = x where the condition holds, else y;  dx = g there and 0 elsewhere, dy the reverse."""

    fresh = True
    moves = True

    def __init__(self, condition):
        self.condition = condition

    def forward(self, x, y):
        dtype = x.dtype if hasattr(x, "dtype") else y.dtype
        z = array_module(self.condition).where(self.condition, x, y)
        return z.astype(dtype, copy=False)  # cupy's is float32 for bfloat16

    def backward(self, grad):
        return (
            where(self.condition, grad, 0.0) if self.parents[0] is not None else None,
            where(self.condition, 0.0, grad) if self.parents[1] is not None else None,
        )


def pow(x: TensorLike, exponent: TensorLike) -> Tensor:
    """x to the power of exponent, by element, in the dtype where they meet.

    ValueError for integers to a negative integer power, which no integer is; TypeError for booleans to a boolean.
    """
    return Pow()(*promoted(x, exponent))


def exp(x: Tensor | Array) -> Tensor:
    """eˣ."""
    return Exp()(for_sums(floating(x)))


def expm1(x: Tensor | Array) -> Tensor:
    """eˣ - 1, exact for small x."""
    return Expm1()(for_sums(floating(x)))


def log(x: Tensor | Array) -> Tensor:
    """The natural logarithm."""
    return Log()(for_sums(floating(x)))


def log1p(x: Tensor | Array) -> Tensor:
    """ln(1 + x), exact for small x."""
    return Log1p()(for_sums(floating(x)))


def sqrt(x: Tensor | Array) -> Tensor:
    """The square root."""
    return Sqrt()(for_sums(floating(x)))


def rsqrt(x: Tensor | Array) -> Tensor:
    """1/√x."""
    return 1.0 / sqrt(x)


def square(x: Tensor | Array) -> Tensor:
    """x²."""
    return pow(x, 2)


def sin(x: Tensor | Array) -> Tensor:
    """The sine of x in radians."""
    return Sin()(for_sums(floating(x)))


def cos(x: Tensor | Array) -> Tensor:
    """The cosine of x in radians."""
    return Cos()(for_sums(floating(x)))


def abs_(x: Tensor | Array) -> Tensor:
    """|x|; of the least int8, …, int64, which has no opposite, itself. TypeError for booleans."""
    return Abs()(x)


def maximum(x: TensorLike, y: TensorLike) -> Tensor:
    """The larger of x and y, by element; NaN where either is."""
    return Extremum(True)(*promoted(x, y))


def minimum(x: TensorLike, y: TensorLike) -> Tensor:
    """The smaller of x and y, by element; NaN where either is."""
    return Extremum(False)(*promoted(x, y))


def clamp(x: Tensor | Array, min: TensorLike | None = None, max: TensorLike | None = None) -> Tensor:
    """x limited to [min, max], numbers or tensors, which get gradients too; None leaves that side open.

    max where min > max, and NaN where x or a bound is. The dtype is the one where all meet: an integer tensor with a
    floating bound gives floating numbers. OverflowError for a number beyond that dtype; TypeError for booleans with a
    Python one.
    """
    if min is None and max is None:
        raise ValueError("clamp: give min, max or both")
    given = operands(x, min, max)
    dtype = result_type(*(each for each in given if each is not None))
    x, *bounds = given
    if dtype.kind == "b" and any(isinstance(bound, bool) for bound in bounds):
        raise TypeError("clamp: a boolean tensor with a boolean bound; cast one with .long()")
    low, high = (b if b is None or hasattr(b, "dtype") else filled(b, dtype, "clamp") for b in bounds)
    return Clamp()(*in_dtype(dtype, x, low, high))


def where(condition: TensorLike, x: TensorLike, y: TensorLike) -> Tensor:
    """x where the condition holds, y elsewhere, in the dtype where they meet; of two numbers, a tensor of theirs.

    condition  boolean, or numbers, of which all but 0 count as true
    """
    mask = unwrap(condition)
    mask = np.asarray(mask) if not hasattr(mask, "dtype") else mask
    if mask.dtype != np.bool_:
        mask = mask != 0
    if isinstance(condition, Tensor):
        _, x, y = operands(condition, x, y)
    if not hasattr(x, "dtype") and not hasattr(y, "dtype"):
        dtype = result_type(x, y)
        x, y = dtype.type(x), dtype.type(y)
        z = Where(mask)(x, y)
        return wrap(z) if isinstance(condition, Tensor) else z
    return Where(mask)(*promoted(x, y))


def masked_fill(x: Tensor | Array, mask: TensorLike, value: Any) -> Tensor:
    """x with `value` where the mask is True (broadcast against x), in x's dtype.

    value  a number or a 0-d tensor; an integer tensor takes the integer part of a fraction, as in PyTorch

    OverflowError for a number that x's dtype cannot hold; ValueError for a value with dimensions, for which there is
    where().
    """
    if getattr(value, "ndim", 0):
        raise ValueError(f"masked_fill: a value of shape {value.shape}; expected a number or a 0-d tensor, see where()")
    number = as_number(value)
    value = astype(value, x.dtype) if number is None else filled(number, x.dtype, "masked_fill")
    return where(mask, value, x)
