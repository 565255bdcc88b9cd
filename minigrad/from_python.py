"""The array that a tensor made from Python's numbers and nested lists holds."""

from typing import Any

import numpy as np

from minigrad.dtypes import DEFAULT
from minigrad.tensor import unwrap


def array_from_python(data: Any, dtype: np.dtype | None) -> np.ndarray:
    """The array of numbers, booleans or nested lists of them: Python's floats are float32, numpy's keep their dtype.

    ValueError for lists of unequal lengths, TypeError for what are no numbers.
    """
    if isinstance(data, np.generic):
        return np.asarray(data, dtype=dtype)
    if isinstance(data, (list, tuple)):
        data = _without_tensors(data)
    try:
        array = np.array(data, dtype=dtype)
    except ValueError as error:
        raise ValueError(f"tensor: the nested lists are ragged, every row needs the same length ({error})") from None
    if array.dtype.kind not in "fiubV":
        raise TypeError(f"tensor: {type(data).__name__} gives dtype {array.dtype}; use numbers or booleans")
    if dtype is None and array.dtype == np.float64 and not _holds_arrays(data):
        array = array.astype(DEFAULT)
    return array


def _without_tensors(data):
    return [_without_tensors(x) if isinstance(x, (list, tuple)) else unwrap(x) for x in data]


def _holds_arrays(data) -> bool:
    """Whether some element was float64 on purpose: an array or numpy scalar rather than a Python float."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (np.ndarray, np.generic))
