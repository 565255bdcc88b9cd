"""Questions about tensors and dtypes, as functions."""

from typing import Any

import numpy as np

from minigrad.dtypes import DEFAULT, FLOATING, as_dtype
from minigrad.tensor import Tensor
from minigrad.typing import DType, DTypeLike


def is_tensor(value: object) -> bool:
    """Whether it is a Tensor; arrays are not."""
    return isinstance(value, Tensor)


def is_floating_point(x: Tensor) -> bool:
    """Whether its dtype is a floating one."""
    return x.dtype.kind in FLOATING


def numel(x: Tensor) -> int:
    """How many elements it has."""
    return x.numel()


def finfo(dtype: DTypeLike = DEFAULT) -> Any:
    """The limits of a floating dtype: .eps .min .max .tiny .bits, as numpy.finfo gives them."""
    dtype = as_dtype(dtype)
    if dtype.kind != "V":
        return np.finfo(dtype)
    import ml_dtypes

    return ml_dtypes.finfo(dtype)


def iinfo(dtype: DTypeLike) -> Any:
    """The limits of an integer dtype: .min .max .bits, as numpy.iinfo gives them."""
    return np.iinfo(as_dtype(dtype))


def get_default_dtype() -> DType:
    """float32, the dtype of Python's floats and of tensors made without one; it is always the same."""
    return DEFAULT
