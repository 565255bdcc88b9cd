"""Bit by bit: and, or, exclusive or, not, and shifts. Integers and booleans, for which they are the logical ones."""

import numpy as np

from minigrad.ops.conversion import promoted
from minigrad.tensor import Tensor, unwrap, wrap
from minigrad.typing import Array, TensorLike


def bitwise_and(x: TensorLike, y: TensorLike) -> Tensor:
    """x & y: the bits that both have; of booleans, whether both are true. TypeError for floating operands."""
    return _bits("and", np.bitwise_and, x, y)


def bitwise_or(x: TensorLike, y: TensorLike) -> Tensor:
    """x | y: the bits that either has; of booleans, whether either is true. TypeError for floating operands."""
    return _bits("or", np.bitwise_or, x, y)


def bitwise_xor(x: TensorLike, y: TensorLike) -> Tensor:
    """x ^ y: the bits that one of them has; of booleans, whether one is true. TypeError for floating operands."""
    return _bits("xor", np.bitwise_xor, x, y)


def bitwise_not(x: Tensor | Array) -> Tensor:
    """~x: every bit reversed, which is -x - 1 for signed integers; not x for booleans. TypeError for floating x."""
    return wrap(_checked("not", np.bitwise_not, "biu", unwrap(x)))


def bitwise_left_shift(x: TensorLike, y: TensorLike) -> Tensor:
    """x << y, which is x · 2ʸ in the dtype's bits; 0 for y below 0 or beyond them. TypeError unless integers."""
    return _bits("left_shift", np.left_shift, x, y, "iu")


def bitwise_right_shift(x: TensorLike, y: TensorLike) -> Tensor:
    """x >> y, which is ⌊x / 2ʸ⌋; 0 or -1 for y below 0 or beyond the dtype's bits. TypeError unless integers."""
    return _bits("right_shift", np.right_shift, x, y, "iu")


def _bits(op: str, ufunc, x, y, kinds: str = "biu"):
    x, y = promoted(x, y)
    return wrap(_checked(op, ufunc, kinds, unwrap(x), unwrap(y)))


def _checked(op: str, ufunc, kinds: str, *arrays):
    """ufunc(*arrays), whose dtype is of one of the kinds."""
    dtype = next(x.dtype for x in arrays if hasattr(x, "dtype"))
    if dtype.kind not in kinds or any(isinstance(x, float) for x in arrays):
        raise TypeError(f"bitwise_{op}: operands meet in {dtype}; expected integers{' or booleans' * ('b' in kinds)}")
    bits = ufunc(*arrays)
    return np.asarray(bits) if isinstance(bits, np.generic) else bits
