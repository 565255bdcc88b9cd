"""Conversion between the floating dtypes."""

from minigrad.typing import Array, DTypeLike


def cast(x: Array, dtype: DTypeLike) -> Array:
    """x in another floating dtype, rounded to the nearest, to the even one of two as near."""
    return x.astype(dtype)
