"""Questions and steps, element by element: what has no gradient, or none but zero."""

import numpy as np

from minigrad.ops.arithmetic import promoted
from minigrad.tensor import Tensor, unwrap, wrap


def _array(result):
    """numpy gives scalars for 0-d results; tensors hold arrays."""
    return np.asarray(result) if isinstance(result, np.generic) else result


def _comparison(name: str, symbol: str):
    def compare(x, y):
        return wrap(_array(getattr(np, name)(*promoted(unwrap(x), unwrap(y)))))

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
