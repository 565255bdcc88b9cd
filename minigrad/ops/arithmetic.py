"""Arithmetic, element by element, with broadcasting.

Each operation is a short class, the formula and its derivative first, and the
function that users call, which brings its operands to one dtype (conversion.promoted).
Rules are written with operators and the functions of this package, so they compute on
arrays and record themselves on Tensors.
"""

import numpy as np

from minigrad.devices import array_module, looks_at_values
from minigrad.dtypes import DEFAULT, FLOATING
from minigrad.function import Function
from minigrad.ops.conversion import promoted
from minigrad.tensor import Tensor, unwrap, wrap
from minigrad.typing import Array, TensorLike


class Add(Function):
    """z = x + y;  dx = g,  dy = g."""

    def forward(self, x, y):
        return x + y

    def backward(self, grad):
        return grad, grad


class Sub(Function):
    """z = x - y;  dx = g,  dy = -g."""

    def forward(self, x, y):
        return x - y

    def backward(self, grad):
        return grad, -grad if self.parents[1] is not None else None


class Mul(Function):
    """z = x·y;  dx = g·y,  dy = g·x."""

    fresh = True

    def forward(self, x, y):
        dx, dy = self.parents  # what is not wanted keeps nothing, so that h = x * 2; x += 1 is no matter
        self.save_for_backward(x if dy is not None else None, y if dx is not None else None)
        return x * y

    def backward(self, grad):
        x, y = self.saved
        return grad * y if self.parents[0] is not None else None, grad * x if self.parents[1] is not None else None


class Div(Function):
    """z = x / y;  dx = g/y,  dy = -g·x/y²."""

    fresh = True

    def forward(self, x, y):
        self.save_for_backward(x if self.parents[1] is not None else None, y)
        if (x if hasattr(x, "dtype") else y).dtype.kind not in FLOATING:
            x, y = (each.astype(DEFAULT) if hasattr(each, "dtype") else float(each) for each in (x, y))
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


class Remainder(Function):
    """z = x - y·⌊x/y⌋ (floor), or with the quotient cut off towards 0;  dx = g,  dy = -g·⌊x/y⌋."""

    def __init__(self, floor: bool):
        self.floor = floor

    def forward(self, x, y):
        self.save_for_backward(x, y)
        xp = array_module(x if hasattr(x, "dtype") else y)
        with np.errstate(all="ignore"):
            return xp.remainder(x, y) if self.floor else xp.fmod(x, y)

    def backward(self, grad):
        if self.parents[1] is None:
            return grad, None
        x, y = (unwrap(saved) for saved in self.saved)
        with np.errstate(all="ignore"):
            quotient = x // y if self.floor else array_module(y).trunc(x / y)
        return grad, -grad * quotient


def add(x: TensorLike, y: TensorLike, *, alpha: float | None = None) -> Tensor:
    """x + y, by element, or x + alpha·y; of booleans, whether either is true."""
    if alpha is not None:
        y = mul(y, bool(alpha) if getattr(unwrap(y), "dtype", None) == np.bool_ else alpha)
    return Add()(*promoted(x, y))


def sub(x: TensorLike, y: TensorLike, *, alpha: float | None = None) -> Tensor:
    """x - y, by element, or x - alpha·y. TypeError for booleans."""
    if alpha is not None:
        y = mul(y, alpha)
    return Sub()(*promoted(x, y, no_bool="sub"))


def mul(x: TensorLike, y: TensorLike) -> Tensor:
    """x · y, by element; of booleans, whether both are true."""
    return Mul()(*promoted(x, y))


def div(x: TensorLike, y: TensorLike, *, rounding_mode: str | None = None) -> Tensor:
    """x / y, by element; integers give float32.

    rounding_mode  "floor" for ⌊x / y⌋, "trunc" for x / y cut off towards 0; of integers integers, and no gradient
    """
    if rounding_mode is not None:
        return _whole_quotient(x, y, rounding_mode)
    return Div()(*promoted(x, y))


def _whole_quotient(x, y, rounding_mode: str) -> Tensor:
    if rounding_mode == "floor":
        return floor_divide(x, y)
    if rounding_mode != "trunc":
        raise ValueError(f'div: rounding_mode={rounding_mode!r}; use None, "floor" or "trunc"')
    over, under = (unwrap(each) for each in _divisible(x, y, "div"))
    with np.errstate(all="ignore"):
        quotient = array_module(over if hasattr(over, "dtype") else under).trunc(over / under)
        if over.dtype.kind in "iu":
            quotient = (over - array_module(over).fmod(over, under)) // under  # exact for large ones, too
    return wrap(np.asarray(quotient) if isinstance(quotient, np.generic) else quotient)


def floor_divide(x: TensorLike, y: TensorLike) -> Tensor:
    """⌊x / y⌋, by element, in the dtype of the operands; without gradient, which is 0 wherever there is one.

    ZeroDivisionError for integers by 0 (on a GPU within detect_anomaly only); TypeError for booleans.
    """
    over, under = (unwrap(each) for each in _divisible(x, y, "floor_divide"))
    with np.errstate(all="ignore"):
        quotient = over // under
    return wrap(np.asarray(quotient) if isinstance(quotient, np.generic) else quotient)


def remainder(x: TensorLike, y: TensorLike) -> Tensor:
    """x - y·⌊x/y⌋, by element, which has the sign of y. Errors as in floor_divide."""
    return Remainder(floor=True)(*_divisible(x, y, "remainder"))


def fmod(x: TensorLike, y: TensorLike) -> Tensor:
    """The remainder of x/y cut off towards 0, by element, which has the sign of x. Errors as in floor_divide."""
    return Remainder(floor=False)(*_divisible(x, y, "fmod"))


def _divisible(x, y, op: str) -> tuple:
    """The operands in one dtype, if they have a quotient in it."""
    x, y = promoted(x, y)
    dtype = x.dtype if hasattr(x, "dtype") else y.dtype
    if dtype.kind == "b":
        raise TypeError(f"{op}: two boolean operands; cast one with .long()")
    if dtype.kind not in FLOATING and somewhere(unwrap(y) == 0):
        raise ZeroDivisionError(f"{op}: an integer divided by 0; cast to a floating dtype for inf and NaN")
    return x, y


def somewhere(condition: Array | bool) -> bool:
    """Whether a condition holds for some element; on a GPU only within detect_anomaly(), else False."""
    if isinstance(condition, (bool, np.bool_)):
        return bool(condition)
    return looks_at_values(condition) and bool(condition.any())


def neg(x: Tensor | Array) -> Tensor:
    """-x. TypeError for booleans, by the array library: to invert a mask write ~mask."""
    return Neg()(x)


def reciprocal(x: Tensor | Array) -> Tensor:
    """1/x; integers give float32."""
    return div(1.0, x)
