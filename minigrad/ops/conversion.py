"""To another dtype, to another device, or into other memory: the same numbers, joined to the graph."""

from typing import Any

import numpy as np
from numpy import ndarray

from minigrad import kernels
from minigrad.devices import device_of
from minigrad.devices import move as move_array
from minigrad.dtypes import FLOATING, as_dtype, as_number, beside, result_type
from minigrad.function import Function, Identity
from minigrad.tensor import DEFAULT_DTYPE, Tensor, unwrap, wrap
from minigrad.typing import Device, DType, DTypeLike


class Cast(Function):
    """y = x in another floating dtype;  dx = g, cast back."""

    fresh = True
    moves = True

    def __init__(self, dtype):
        self.dtype_to = dtype

    def forward(self, x):
        self.dtype_from = x.dtype
        return kernels.cast(x, self.dtype_to)

    def backward(self, grad):
        return astype(grad, self.dtype_from)


class Clone(Identity):
    """y = x in memory of its own;  dx = dy."""

    def forward(self, x):
        return x.copy()


class Move(Function):
    """y = x on another device;  dx = g, moved back."""

    moves = True

    def __init__(self, device: str):
        self.to_device = device

    def forward(self, x):
        self.from_device = device_of(x)
        return move_array(x, self.to_device)

    def backward(self, grad):
        return move(grad, self.from_device)


def astype(x: Any, dtype: DTypeLike) -> Tensor:
    """x in another dtype; floating to floating carries gradients."""
    dtype = as_dtype(dtype)
    array = unwrap(x)
    if array.dtype == dtype:
        return x
    if dtype.kind in FLOATING and array.dtype.kind in FLOATING:
        return Cast(dtype)(x)
    return wrap(array.astype(dtype)) if isinstance(x, Tensor) else array.astype(dtype)


def move(x: Any, device: Device) -> Tensor:
    """x on "cpu" or "cuda"; itself if it is there, else a copy that carries gradients back."""
    return x if device_of(unwrap(x)) == device else Move(device)(x)


def clone(x: Any) -> Tensor:
    """A copy of the data, joined to the graph."""
    return Clone()(x)


def floating(x: Any) -> Tensor:
    """x if it is floating, else as float32."""
    return x if x.dtype.kind in FLOATING else astype(x, DEFAULT_DTYPE)


def only_floating(x: Any, op: str) -> Tensor:
    """x, which must be floating: TypeError for integers and booleans, as in PyTorch."""
    if x.dtype.kind not in FLOATING:
        raise TypeError(f"{op}: a {x.dtype} tensor; expected a floating one, write .float() first")
    return x


def promoted(x: Any, y: Any, no_bool: str = "") -> tuple:
    """Two operands in the dtype where they meet (dtypes.result_type), the casts joined to the graph.

    A Python number stays one, which takes the dtype of the array beside it; so does a numpy scalar beside a Tensor.
    Between arrays, in a gradient rule, a numpy scalar is a 0-d array: it keeps its precision.

    no_bool  the name of an operation that takes no booleans, for the TypeError
    """
    if isinstance(x, Tensor):  # the usual cases first
        if isinstance(y, Tensor):
            if x.array.dtype is y.array.dtype:
                return x, y
        elif type(y) in (float, int) and x.array.dtype.char in "fd":
            return x, y
    elif type(x) in (float, int):
        if isinstance(y, (Tensor, ndarray)) and y.dtype.char in "fd":
            return x, y
    elif type(x) is ndarray and type(y) is ndarray and x.dtype is y.dtype:
        return x, y
    x, y = operands(x, y)
    if no_bool and "b" in (result_type(x).kind, result_type(y).kind):
        raise TypeError(f"{no_bool}: a boolean operand; to invert a mask write ~mask, to count with it mask.long()")
    return in_dtype(result_type(x, y), x, y)


def all_promoted(*given: Any) -> tuple:
    """Several operands in the dtype where they meet, as promoted() does with two; None stays None."""
    given = operands(*given)
    return in_dtype(result_type(*(x for x in given if x is not None)), *given)


def operands(*given: Any) -> tuple:
    """Operands as result_type is to see them: numpy scalars as numbers beside a Tensor, as 0-d arrays without one.

    cupy's 0-d results are arrays; beside them a numpy scalar is a number.
    """
    if any(isinstance(x, Tensor) or device_of(x) == "cuda" for x in given):
        return tuple(as_number(x) if isinstance(x, np.generic) else x for x in given)
    return tuple(np.asarray(x) if isinstance(x, np.generic) else x for x in given)


def in_dtype(dtype: DType, *given: Any) -> tuple:
    """Operands in one dtype: tensors and arrays cast, numbers as they have to stand beside them."""
    return tuple(astype(x, dtype) if hasattr(x, "dtype") else x if x is None else beside(x, dtype) for x in given)
