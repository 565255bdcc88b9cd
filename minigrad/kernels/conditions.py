"""What the implementations of kernels ask about the arguments of a call.

A condition takes some of its kernel's parameters, by their names, or *args: all of them, without those that the
kernel declares to be `anywhere`. An argument may be an array, a list or a NamedTuple of arrays and numbers, a number
or None.
"""

from typing import Any

import numpy as np

from minigrad.dtypes import FLOATING, is_half

FLOAT32 = np.dtype(np.float32)


def always(*args: Any) -> bool:
    """True of all arguments."""
    return True


def no_limit(*args: Any) -> None:
    """No reason against any arguments."""
    return None


# ---- where the arrays are ------------------------------------------------------------------


def is_cupy(arg: Any) -> bool:
    """It is an array on a GPU."""
    return hasattr(arg, "__cuda_array_interface__")


def on_gpu(*args: Any) -> bool:
    """There are arrays, and all are cupy's."""
    arrays = _flat(args)
    return any(map(is_cupy, arrays)) and not any(isinstance(array, np.ndarray) for array in arrays)


def on_cpu(*args: Any) -> bool:
    """No array is cupy's."""
    return not any(map(is_cupy, _flat(args)))


# ---- of which dtype ------------------------------------------------------------------------


def float32(*args: Any) -> bool:
    """Every floating array of numpy's is float32."""
    for arg in args:
        if isinstance(arg, np.ndarray):
            dtype = arg.dtype
            if dtype is not FLOAT32 and dtype.kind in FLOATING and dtype != FLOAT32:
                return False
        elif (type(arg) is list or isinstance(arg, tuple)) and not float32(*arg):
            return False
    return True


def float32_on_gpu(*args: Any) -> bool:
    """All arrays are cupy's, and every floating one is float32."""
    arrays = [array for array in _flat(args) if is_cupy(array)]
    return on_gpu(*args) and all(array.dtype.kind not in FLOATING or array.dtype == FLOAT32 for array in arrays)


def float32_on_cpu(*args: Any) -> bool:
    """All arrays are numpy's, and every floating one is float32."""
    return float32(*args) and on_cpu(*args)


def float32_or_half(*dtypes: Any) -> bool:
    """Each of these dtypes is float32, float16 or bfloat16."""
    return all(dtype == FLOAT32 or is_half(dtype) for dtype in dtypes)


def one_precision(*args: Any) -> bool:
    """All arrays are float32, or all are of the same half precision."""
    dtypes = {arg.dtype for arg in _flat(args) if hasattr(arg, "dtype")}
    return len(dtypes) == 1 and float32_or_half(*dtypes)


def _flat(args) -> list:
    """The arguments, and in the place of a list or tuple its elements."""
    return [each for arg in args for each in (arg if isinstance(arg, (list, tuple)) else (arg,))]
