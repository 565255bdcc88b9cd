"""The dtypes of tensors and how they mix: numpy's, and bfloat16, which numpy and cupy get from the package ml_dtypes.

bfloat16 has float32's exponent and 8 bits of precision. numpy knows such an added dtype by kind "V", and does not
let it win over Python's numbers as it does its own; what that takes is in this file.

Operands of two dtypes meet in one, `result_type`, by PyTorch's rule. There are three categories, bool < integer <
floating, and three ranks, Python numbers < 0-d tensors < tensors with dimensions. The operands of the highest rank
decide, unless one of a lower rank is of a higher category. So a float32 tensor stays float32 beside any number and any
0-d tensor, and an integer tensor beside 0.5 becomes float32, the default.
"""

from functools import cache
from typing import Any

import numpy as np

from minigrad.devices import array_module
from minigrad.typing import Array, DTypeLike, Index, Number, TensorLike

DEFAULT = np.dtype(np.float32)
FLOATING = "fV"  # the kinds of floating dtypes; V is bfloat16's
HALVES = ("float16", "bfloat16")
CATEGORY = {"b": 0, "i": 1, "u": 1, "f": 2, "V": 2}  # of each kind; other kinds, such as complex, make no tensors
LARGEST_FLOAT16 = 65504
OF_NUMBER = {bool: np.dtype(bool), int: np.dtype(np.int64), float: DEFAULT}


def as_dtype(dtype: DTypeLike) -> np.dtype:
    """A dtype by name, type or itself; "bfloat16" among them, for which ImportError says what to install.

    TypeError for what no tensor holds: complex numbers, text, objects.
    """
    if dtype == "bfloat16":
        try:
            import ml_dtypes  # noqa: F401  makes numpy know the name
        except ImportError:
            raise ImportError("bfloat16 needs the package ml_dtypes: in your clone, pip install -e '.[half]'") from None
    dtype = np.dtype(dtype)
    if dtype.kind not in CATEGORY:
        raise TypeError(f"dtype {dtype}: tensors hold booleans, integers and floating numbers; choose one of those")
    return dtype


def result_type(*operands: TensorLike) -> np.dtype:
    """The dtype in which operands meet: tensors, arrays, Python numbers, numpy scalars (which count as Python numbers).

    PyTorch's rule; see the top of this file. Within a rank the higher category wins, and within a category the wider
    dtype: float16 with bfloat16 gives float32, uint8 with int8 int16. Beyond PyTorch, which refuses them,
    uint16, uint32 and uint64 meet other integers in the narrowest dtype that holds both. TypeError where there is none:
    for uint64 with a signed integer, and for an operand that is not of the above.
    """
    return _result_type(*map(_rank, operands))


@cache
def _result_type(*ranked) -> Any:
    found = None
    for rank in (2, 1, 0):
        dtypes = [dtype for each, dtype in ranked if each == rank]
        if not dtypes:
            continue
        lower = dtypes[0]
        for dtype in dtypes[1:]:
            lower = _wider(lower, dtype)
        if found is None or CATEGORY[lower.kind] > CATEGORY[found.kind]:
            found = lower
    return found


def _rank(x: Any) -> tuple[int, np.dtype]:
    """0 for a number, 1 for a 0-d tensor, 2 for one with dimensions; and its dtype."""
    if hasattr(x, "dtype") and not isinstance(x, np.generic):
        return (2 if x.ndim else 1), x.dtype
    number = as_number(x)
    if number is None:
        raise TypeError(f"an operand is a {type(x).__name__}; expected a tensor, an array or a number")
    return 0, OF_NUMBER[type(number)]


def _wider(a: np.dtype, b: np.dtype) -> np.dtype:
    """The dtype in which two of one rank meet."""
    if a == b:
        return a
    if CATEGORY[a.kind] != CATEGORY[b.kind]:
        return a if CATEGORY[a.kind] > CATEGORY[b.kind] else b
    if a.kind in FLOATING:
        if a.itemsize == b.itemsize:  # float16 and bfloat16: neither holds the other
            return DEFAULT
        return a if a.itemsize > b.itemsize else b
    both = np.promote_types(a, b)
    if both.kind not in "iu":
        raise TypeError(f"{a} with {b}: no integer dtype holds both; cast one with .astype()")
    return both


def as_number(x: object) -> bool | int | float | None:
    """A Python number or numpy scalar as the Python number it is; None for anything else."""
    if isinstance(x, np.generic):
        return {"b": bool, "i": int, "u": int}.get(x.dtype.kind, float)(x) if x.dtype.kind in CATEGORY else None
    for kind in (bool, int, float):  # bool first, which is an int
        if isinstance(x, kind):
            return kind(x)
    return None


def beside(number: bool | int | float, dtype: np.dtype) -> Number:
    """A number as it has to stand beside an array of dtype, so that the result has that dtype.

    OverflowError for a finite number beyond an integer dtype or float16. (PyTorch wraps an integer around in
    arithmetic: uint8 + 300 adds 44 there, silently. A number beside float16 it takes in float32; here it is rounded.)
    """
    if dtype.kind == "V":
        return dtype.type(number)  # ml_dtypes' types give way to Python's numbers only in this form
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if not limits.min <= number <= limits.max:
            raise OverflowError(
                f"{number} does not fit {dtype}, which holds {limits.min} to {limits.max}; "
                "cast the tensor to a wider dtype first, with .astype()"
            )
    if dtype.char == "e" and LARGEST_FLOAT16 < abs(number) < float("inf"):
        raise OverflowError(f"{number} does not fit float16, which ends at {LARGEST_FLOAT16}; write .float() first")
    return number


def filled(number: bool | int | float, dtype: np.dtype, op: str) -> Number:
    """A number as an element of dtype: fractions cut off for integers, anything but 0 True for bool.

    OverflowError for a finite number beyond dtype's range, and for inf or NaN as an integer.
    """
    if dtype.kind == "b":
        return bool(number)
    if dtype.kind in "iu":
        if number != number or number in (float("inf"), float("-inf")):
            raise OverflowError(f"{op}: {number} cannot be a {dtype}; cast the tensor to a floating dtype first")
        return beside(int(number), dtype)
    with np.errstate(over="ignore"):
        element = dtype.type(number)
    if np.isinf(element) and number not in (float("inf"), float("-inf")):
        raise OverflowError(f"{op}: {number} is beyond the range of {dtype}; use inf, or cast the tensor first")
    return element


def is_half(dtype: np.dtype) -> bool:
    """float16 or bfloat16."""
    return dtype.itemsize == 2 and dtype.kind in FLOATING


def without_bfloat16(x: Array) -> Array:
    """x, as float32 if it is bfloat16: cupy cannot sort that, scan it or add it at places."""
    return x.astype(np.float32) if x.dtype.kind == "V" else x


def add_at(buffer: Array, index: Index, values: Array) -> None:
    """buffer[index] += values, adding every time an element is named more than once."""
    xp = array_module(buffer)
    on_cpu = is_half(buffer.dtype) and xp is np  # a GPU adds float16 at places without a copy of the buffer
    wide = buffer.astype(np.float32) if on_cpu else without_bfloat16(buffer)
    xp.add.at(wide, index, without_bfloat16(values))
    if wide is not buffer:
        buffer[...] = wide


def epsilon(dtype: np.dtype) -> float:
    """The distance from 1 to the next larger number."""
    return 2.0**-7 if dtype.kind == "V" else float(np.finfo(dtype).eps)
