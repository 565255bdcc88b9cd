"""Conversion between the floating dtypes."""


def cast(x, dtype):
    """x in another floating dtype, rounded to the nearest, to the even one of two as near."""
    return x.astype(dtype)
