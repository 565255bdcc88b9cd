"""Questions and steps, element by element: what has no gradient, or none but zero."""

from typing import Any

import numpy as np

from minigrad.dtypes import FLOATING
from minigrad.ops.conversion import operands, promoted
from minigrad.tensor import Tensor, unwrap, wrap
from minigrad.typing import Array


def _array(result):
    """numpy gives scalars for 0-d results; tensors hold arrays."""
    return np.asarray(result) if isinstance(result, np.generic) else result


def _comparison(name: str, symbol: str):
    def compare(x, y):
        try:
            x, y = promoted(x, y)
        except OverflowError:  # with an integer beyond the dtype numpy compares exactly
            x, y = operands(x, y)
        return wrap(_array(getattr(np, name)(unwrap(x), unwrap(y))))

    compare.__name__ = name
    compare.__doc__ = (
        f"x {symbol} y by element, as a boolean tensor without gradient. Two dtypes are compared in the one "
        "where they meet: an int64 tensor with 0.5 in float32."
    )
    return compare


eq = _comparison("equal", "==")
ne = _comparison("not_equal", "!=")
lt = _comparison("less", "<")
le = _comparison("less_equal", "<=")
gt = _comparison("greater", ">")
ge = _comparison("greater_equal", ">=")
logical_and = _comparison("logical_and", "and")
logical_or = _comparison("logical_or", "or")
logical_xor = _comparison("logical_xor", "xor")


def _without_gradient(name: str, doc: str):
    def call(x):
        result = _array(getattr(np, name)(unwrap(x)))
        return wrap(result) if isinstance(x, Tensor) else result

    call.__name__ = name
    call.__doc__ = doc
    return call


isnan = _without_gradient("isnan", "Where x is not a number.")
isinf = _without_gradient("isinf", "Where x is infinite.")
isfinite = _without_gradient("isfinite", "Where x is neither infinite nor NaN.")
logical_not = _without_gradient("logical_not", "not x, by element; of numbers, whether they are 0.")
_sign = _without_gradient("sign", "-1, 0 or 1 by element.")
_floor = _without_gradient("floor", "The largest integer not above x.")
_ceil = _without_gradient("ceil", "The smallest integer not below x.")


def sign(x: Any) -> Tensor:
    """-1, 0 or 1 by element, 0 for NaN; its gradient is zero everywhere, so none is recorded."""
    kind = x.dtype.kind
    if kind == "b":
        return x
    sign = _sign(x)
    if kind in FLOATING:
        array = unwrap(sign)
        array[array != array] = 0
    return sign


def floor(x: Tensor | Array) -> Tensor:
    """The largest integer not above x, in x's dtype; no gradient. TypeError for booleans."""
    return _floor(_not_bool(x, "floor"))


def ceil(x: Tensor | Array) -> Tensor:
    """The smallest integer not below x, in x's dtype; no gradient. TypeError for booleans."""
    return _ceil(_not_bool(x, "ceil"))


def round(x: Tensor | Array, decimals: int = 0) -> Tensor:
    """x to that many decimals (negative: to tens, hundreds, …), halves to even, in x's dtype; no gradient.

    TypeError for booleans, and for integers with decimals.
    """
    if decimals and x.dtype.kind not in FLOATING:
        raise TypeError(f"round: decimals={decimals} of a {x.dtype} tensor; expected a floating one")
    result = _array(np.round(unwrap(_not_bool(x, "round")), decimals))
    return wrap(result) if isinstance(x, Tensor) else result


def _not_bool(x, op: str):
    if x.dtype.kind == "b":
        raise TypeError(f"{op}: a boolean tensor; expected numbers, write .long() first")
    return x
