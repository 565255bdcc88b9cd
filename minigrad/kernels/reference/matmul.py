"""The matrix product."""

import numpy as np

from minigrad.devices import array_module
from minigrad.dtypes import is_half
from minigrad.typing import Array


def matmul(a: Array, b: Array) -> Array:
    """c[..., i, j] = sum over k of a[..., i, k] b[..., k, j].

    a (..., m, k) and b (..., k, n), two dimensions or more; the leading ones broadcast, as in numpy.
    """
    check(a, b)
    c = array_module(a).einsum("...ik,...kj->...ij", *_widened(a, b))
    return c.astype(a.dtype, copy=False)


def _widened(a, b):
    return (a.astype(np.float32), b.astype(np.float32)) if is_half(a.dtype) else (a, b)


def check(a: Array, b: Array) -> None:
    """Raise the ValueError for inner dimensions that differ."""
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(f"matmul: {a.shape} @ {b.shape}: inner dimensions {a.shape[-1]} and {b.shape[-2]} differ")
