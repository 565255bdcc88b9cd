"""Operations written from others, in half precision: computed in float32, and rounded once at the end."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.amp import autocast_dtype
from minigrad.dtypes import is_half
from minigrad.ops.conversion import astype
from minigrad.tensor import unwrap


def in_float32(function: Callable[..., Any]) -> Callable[..., Any]:
    """The operation for half precision too: its first argument widened to float32, its result rounded back.

    Within autocast the result stays float32. Other dtypes pass through.
    """

    first = next(iter(inspect.signature(function).parameters))

    @functools.wraps(function)
    def widened(*args, **options):
        x, *args = args or (options.pop(first),)
        dtype = unwrap(x).dtype
        if not is_half(dtype):
            return function(x, *args, **options)
        result = function(astype(x, np.float32), *args, **options)
        return result if autocast_dtype() is not None else astype(result, dtype)

    return widened
