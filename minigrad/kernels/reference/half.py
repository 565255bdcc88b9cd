"""Half precision in the reference kernels: computed in float32, and rounded once at the end."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np

from minigrad.devices import is_array
from minigrad.dtypes import is_half

P = ParamSpec("P")
R = TypeVar("R")


def in_float32(kernel: Callable[P, R]) -> Callable[P, R]:
    """The kernel for half precision too: its arguments widened to float32, its result (the first of several) rounded.

    Its other results, such as a softmax's logarithm of the sum, stay float32, for its backward.
    """
    compute = cast(Callable[..., Any], kernel)

    @functools.wraps(kernel)
    def widened(*args):
        half = next((x.dtype for x in args if is_array(x) and is_half(x.dtype)), None)
        if half is None:
            return compute(*args)
        result = compute(*(x.astype(np.float32) if is_array(x) and is_half(x.dtype) else x for x in args))
        if not isinstance(result, tuple):
            return result.astype(half)
        return (result[0] if result[0] is None else result[0].astype(half), *result[1:])

    return cast(Callable[P, R], widened)
