"""Sums that keep their digits: in float32 for half precision, in int64 for integers, in blocks for long columns.

Added up one after the other, n numbers lose n times the last digit, and 16,777,216 ones in float32 are as many as
16,777,217. numpy adds in pairs of halves, which loses log n times the last digit (Higham, The Accuracy of Floating
Point Summation, 1993), but along the elements that are neighbours in memory only. Elsewhere this file helps it.
"""

import math

import numpy as np

from minigrad.dtypes import is_half
from minigrad.typing import Array

BLOCK = 64  # terms added one after the other at most
LONG = 4096  # elements from which on the order of the terms matters


FLOAT32 = np.dtype(np.float32)
_reduce = np.add.reduce


def total(x: Array, axis: tuple[int, ...], keepdims: bool = False) -> Array:
    """The sum of an array over the axes `axis`, in its dtype; of integers and booleans in int64."""
    dtype = x.dtype
    if dtype is FLOAT32 and x.size <= LONG and type(x) is np.ndarray:  # the usual small sum, without a detour
        return _reduce(x, axis=axis, keepdims=keepdims)  # type: ignore[call-overload]
    if dtype.kind in "iub":
        return x.sum(axis=axis, dtype=np.int64, keepdims=keepdims)
    if type(x) is not np.ndarray:
        if is_half(dtype):
            return x.sum(axis=axis, dtype=np.float32, keepdims=keepdims).astype(dtype)
        return x.sum(axis=axis, keepdims=keepdims)
    if is_half(dtype):
        with np.errstate(over="ignore"):  # a sum that float16 cannot hold is inf
            return _float_sum(x.astype(np.float32), axis, keepdims).astype(dtype)
    return _float_sum(x, axis, keepdims)


def wide_total(x: Array, axis: tuple[int, ...], keepdims: bool = False) -> Array:
    """The same before it is rounded: in float32 for half precision."""
    if not is_half(x.dtype):
        return total(x, axis, keepdims)
    if type(x) is not np.ndarray:
        return x.sum(axis=axis, dtype=np.float32, keepdims=keepdims)
    return _float_sum(x.astype(np.float32), axis, keepdims)


def _float_sum(x, axis: tuple, keepdims: bool):
    if x.size <= LONG or x.dtype != np.float32:
        return _reduce(x, axis=axis, keepdims=keepdims)  # type: ignore[call-overload]
    if x.flags.f_contiguous and not x.flags.c_contiguous:
        mirrored = tuple(x.ndim - 1 - a for a in reversed(axis))
        return _float_sum(x.T, mirrored, keepdims).T
    kept = x.ndim - len(axis)
    if x.flags.c_contiguous and (not axis or axis[0] == kept):  # the last axes, which are one in memory
        return _reduce(x, axis=axis, keepdims=keepdims)  # type: ignore[call-overload]
    if x.flags.c_contiguous and axis[-1] == len(axis) - 1 and x.shape[-1] >= 16:  # the first axes: sums of columns
        return _columns(x, len(axis)).reshape((1,) * (len(axis) * keepdims) + x.shape[len(axis) :])
    return _reduce(x, axis=axis, keepdims=keepdims, dtype=np.float64).astype(np.float32)  # type: ignore[call-overload]


def _columns(x, count: int):
    """The sum over the first `count` axes of a contiguous array: of each block of rows, then of the blocks."""
    rows = math.prod(x.shape[:count])
    x = x.reshape(rows, -1)
    if rows <= BLOCK:
        return _reduce(x, axis=0)  # type: ignore[call-overload]
    whole = rows - rows % BLOCK
    blocks = _reduce(x[:whole].reshape(-1, BLOCK, x.shape[1]), axis=1)
    rest = _reduce(x[whole:], axis=0, keepdims=True)
    return _reduce(np.concatenate([blocks, rest]), axis=0, dtype=np.float64).astype(np.float32)  # type: ignore[call-overload]
