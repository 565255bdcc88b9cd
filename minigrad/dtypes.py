"""The dtypes of tensors: numpy's, and bfloat16, which numpy and cupy get from the package ml_dtypes.

bfloat16 has float32's exponent and 8 bits of precision. numpy knows such an added dtype by kind "V", and does not
let it go before Python's numbers as it does its own; what that takes is in this file and in elementwise._promoted.
"""

import numpy as np

from minigrad.devices import array_module

DEFAULT = np.dtype(np.float32)
FLOATING = "fV"  # the kinds of floating dtypes; V is bfloat16's
HALVES = ("float16", "bfloat16")


def as_dtype(dtype) -> np.dtype:
    """A dtype by name, type or itself; "bfloat16" among them. ImportError says what to install for that one."""
    if dtype == "bfloat16":
        try:
            import ml_dtypes  # noqa: F401  makes numpy know the name
        except ImportError:
            raise ImportError("bfloat16 needs the package ml_dtypes: in your clone, pip install -e '.[half]'") from None
    return np.dtype(dtype)


def is_half(dtype) -> bool:
    """float16 or bfloat16."""
    return dtype.itemsize == 2 and dtype.kind in FLOATING


def without_bfloat16(x):
    """x, as float32 if it is bfloat16: cupy cannot sort that, scan it or add it at places."""
    return x.astype(np.float32) if x.dtype.kind == "V" else x


def add_at(buffer, index, values) -> None:
    """buffer[index] += values, adding every time an element is named more than once."""
    wide = without_bfloat16(buffer)
    array_module(buffer).add.at(wide, index, without_bfloat16(values))
    if wide is not buffer:
        buffer[...] = wide


def epsilon(dtype) -> float:
    """The distance from 1 to the next larger number."""
    return 2.0**-7 if dtype.kind == "V" else float(np.finfo(dtype).eps)
