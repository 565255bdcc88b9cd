"""Arithmetic and the elementary functions, element by element, with broadcasting.

Each operation is a short class, the formula and its derivative first, and the
function that users call. Rules are written with operators and the functions of this
package, so they compute on arrays and record themselves on Tensors.
"""

import numpy as np
from numpy import ndarray

from minigrad.amp import for_sums
from minigrad.devices import array_module, device_of
from minigrad.devices import move as move_array
from minigrad.dtypes import FLOATING, as_dtype, is_half
from minigrad.function import Function, Identity
from minigrad.tensor import DEFAULT_DTYPE, Tensor, unwrap, wrap

NUMBERS = {bool, int, float}


def _promoted(x, y):
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
        x, y = _promoted(x, y)
        return x + y

    def backward(self, grad):
        return grad, grad


class Sub(Function):
    """z = x - y;  dx = g,  dy = -g."""

    def forward(self, x, y):
        x, y = _promoted(x, y)
        return x - y

    def backward(self, grad):
        return grad, -grad if self.parents[1] is not None else None


class Mul(Function):
    """z = x·y;  dx = g·y,  dy = g·x."""

    def forward(self, x, y):
        self.save_for_backward(x, y)
        x, y = _promoted(x, y)
        return x * y

    def backward(self, grad):
        x, y = self.saved
        return grad * y if self.parents[0] is not None else None, grad * x if self.parents[1] is not None else None


class Div(Function):
    """z = x / y;  dx = g/y,  dy = -g·x/y²."""

    def forward(self, x, y):
        self.save_for_backward(x, y)
        x, y = _promoted(x, y)
        if _kind(x) not in FLOATING and _kind(y) not in FLOATING:
            x = x.astype(DEFAULT_DTYPE) if hasattr(x, "dtype") else float(x)
            y = y.astype(DEFAULT_DTYPE) if hasattr(y, "dtype") else float(y)
        return x / y

    def backward(self, grad):
        x, y = self.saved
        dx = grad / y
        return dx, -dx * x / y if self.parents[1] is not None else None


class Pow(Function):
    """z = x^y;  dx = g·y·x^(y-1),  dy = g·x^y·ln x  (0 where x = 0)."""

    def forward(self, x, y):
        x, y = _promoted(x, y)
        z = x * x if isinstance(y, (int, float)) and y == 2 else x**y
        self.save_for_backward(x, y, z)
        return z

    def backward(self, grad):
        x, y, z = self.saved
        dx = dy = None
        if self.parents[0] is not None:
            if isinstance(y, (int, float)):
                dx = grad * y * (x if y == 2 else x ** (y - 1))
            else:  # x^(y-1) is infinite at x = 0, y = 0, where the derivative is 0
                dx = grad * y * x ** where(unwrap(y) == 0, unwrap(y) * 0 + 1, y - 1)
        if self.parents[1] is not None:
            if isinstance(x, (int, float)):
                dy = grad * z * float(np.log(x)) if x > 0 else grad * 0
            else:
                positive = unwrap(x) > 0
                dy = grad * where(positive, z * log(where(positive, x, 1.0)), 0.0)
        return dx, dy


class Neg(Function):
    """y = -x;  dx = -g."""

    def forward(self, x):
        return -x

    def backward(self, grad):
        return -grad


class Exp(Function):
    """y = eˣ;  dx = g·y."""

    def forward(self, x):
        y = array_module(x).exp(x)
        self.save_for_backward(y)
        return y

    def backward(self, grad):
        (y,) = self.saved
        return grad * y


class Expm1(Function):
    """y = eˣ - 1, exact for small x;  dx = g·(y + 1)."""

    def forward(self, x):
        y = array_module(x).expm1(x)
        self.save_for_backward(y)
        return y

    def backward(self, grad):
        (y,) = self.saved
        return grad * (y + 1)


class Log(Function):
    """y = ln x;  dx = g/x."""

    def forward(self, x):
        self.save_for_backward(x)
        return array_module(x).log(x)

    def backward(self, grad):
        (x,) = self.saved
        return grad / x


class Log1p(Function):
    """y = ln(1 + x), exact for small x;  dx = g/(1 + x)."""

    def forward(self, x):
        self.save_for_backward(x)
        return array_module(x).log1p(x)

    def backward(self, grad):
        (x,) = self.saved
        return grad / (1 + x)


class Sqrt(Function):
    """y = √x;  dx = g/(2y)."""

    def forward(self, x):
        y = array_module(x).sqrt(x)
        self.save_for_backward(y)
        return y

    def backward(self, grad):
        (y,) = self.saved
        return grad * 0.5 / y


class Sin(Function):
    """y = sin x;  dx = g·cos x."""

    def forward(self, x):
        self.save_for_backward(x)
        return array_module(x).sin(x)

    def backward(self, grad):
        (x,) = self.saved
        return grad * cos(x)


class Cos(Function):
    """y = cos x;  dx = -g·sin x."""

    def forward(self, x):
        self.save_for_backward(x)
        return array_module(x).cos(x)

    def backward(self, grad):
        (x,) = self.saved
        return -grad * sin(x)


class Abs(Function):
    """y = |x|;  dx = g·sign x  (0 at 0)."""

    def forward(self, x):
        self.save_for_backward(x)
        return abs(x)

    def backward(self, grad):
        (x,) = self.saved
        x = unwrap(x)
        return grad * array_module(x).sign(x)


class Extremum(Function):
    """z = max(x, y) or min(x, y) by element; the gradient goes to the chosen one, half to each at a tie."""

    def __init__(self, largest: bool):
        self.largest = largest

    def forward(self, x, y):
        x, y = _promoted(x, y)
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

    def __init__(self, condition):
        self.condition = condition

    def forward(self, x, y):
        x, y = _promoted(x, y)
        arrays = (x, y) if hasattr(x, "dtype") or hasattr(y, "dtype") else (DEFAULT_DTYPE.type(x), y)
        return array_module(self.condition).where(self.condition, *arrays)

    def backward(self, grad):
        zero = unwrap(grad).dtype.type(0)
        return (
            where(self.condition, grad, zero) if self.parents[0] is not None else None,
            where(self.condition, zero, grad) if self.parents[1] is not None else None,
        )


class Cast(Function):
    """y = x in another floating dtype;  dx = g, cast back."""

    def __init__(self, dtype):
        self.dtype_to = dtype

    def forward(self, x):
        self.dtype_from = x.dtype
        return x.astype(self.dtype_to)

    def backward(self, grad):
        return astype(grad, self.dtype_from)


class Move(Function):
    """y = x on another device;  dx = g, moved back."""

    def __init__(self, device: str):
        self.to_device = device

    def forward(self, x):
        self.from_device = device_of(x)
        return move_array(x, self.to_device)

    def backward(self, grad):
        return move(grad, self.from_device)


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


def pow(x, exponent):
    """x to the power of exponent, by element."""
    return Pow()(x, exponent)


def neg(x):
    """-x."""
    return Neg()(x)


def exp(x):
    """eˣ."""
    return Exp()(_floating(x))


def expm1(x):
    """eˣ - 1, exact for small x."""
    return Expm1()(_floating(x))


def log(x):
    """The natural logarithm."""
    return Log()(_floating(x))


def log1p(x):
    """ln(1 + x), exact for small x."""
    return Log1p()(_floating(x))


def sqrt(x):
    """The square root."""
    return Sqrt()(_floating(x))


def rsqrt(x):
    """1/√x."""
    return 1.0 / sqrt(x)


def square(x):
    """x²."""
    return Pow()(x, 2)


def reciprocal(x):
    """1/x."""
    return Div()(1.0, x)


def sin(x):
    """The sine of x in radians."""
    return Sin()(_floating(x))


def cos(x):
    """The cosine of x in radians."""
    return Cos()(_floating(x))


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


def astype(x, dtype):
    """x in another dtype; floating to floating carries gradients."""
    dtype = as_dtype(dtype)
    array = unwrap(x)
    if array.dtype == dtype:
        return x
    if dtype.kind in FLOATING and array.dtype.kind in FLOATING:
        return Cast(dtype)(x)
    return wrap(array.astype(dtype)) if isinstance(x, Tensor) else array.astype(dtype)


def move(x, device: str):
    """x on "cpu" or "cuda"; itself if it is there, else a copy that carries gradients back."""
    return x if device_of(unwrap(x)) == device else Move(device)(x)


def clone(x):
    """A copy of the data, joined to the graph."""
    copied = Identity()(x)
    if isinstance(copied, Tensor):
        copied.data = copied.data.copy()
        return copied
    return copied.copy()


def _floating(x):
    """x if it is floating, else as float32; autocast wants float32 here."""
    return for_sums(x) if unwrap(x).dtype.kind in FLOATING else astype(x, DEFAULT_DTYPE)


def _array(result):
    """numpy gives scalars for 0-d results; tensors hold arrays."""
    return np.asarray(result) if isinstance(result, np.generic) else result


def _comparison(name: str, symbol: str):
    def compare(x, y):
        return wrap(_array(getattr(np, name)(*_promoted(unwrap(x), unwrap(y)))))

    compare.__name__ = name
    compare.__doc__ = f"x {symbol} y by element, as a boolean tensor without gradient."
    return compare


eq = _comparison("equal", "==")
ne = _comparison("not_equal", "!=")
lt = _comparison("less", "<")
le = _comparison("less_equal", "<=")
gt = _comparison("greater", ">")
ge = _comparison("greater_equal", ">=")
logical_and = _comparison("logical_and", "and")
logical_or = _comparison("logical_or", "or")


def _without_gradient(name: str, doc: str):
    def call(x):
        result = getattr(np, name)(unwrap(x))
        return wrap(_array(result)) if isinstance(x, Tensor) else result

    call.__name__ = name
    call.__doc__ = doc
    return call


sign = _without_gradient("sign", "-1, 0 or 1 by element; its gradient is zero everywhere, so none is recorded.")
floor = _without_gradient("floor", "The largest integer not above x; no gradient.")
ceil = _without_gradient("ceil", "The smallest integer not below x; no gradient.")
round = _without_gradient("round", "The nearest integer, halves to even; no gradient.")
isnan = _without_gradient("isnan", "Where x is not a number.")
isinf = _without_gradient("isinf", "Where x is infinite.")
isfinite = _without_gradient("isfinite", "Where x is neither infinite nor NaN.")
logical_not = _without_gradient("logical_not", "not x, by element.")


def floor_divide(x, y):
    """x // y by element; no gradient."""
    return wrap(_array(unwrap(x) // unwrap(y)))


def remainder(x, y):
    """x % y by element, with the sign of y; no gradient."""
    return wrap(_array(unwrap(x) % unwrap(y)))
