"""New tensors: from data, filled, ranges. All take device="cuda" for one on the GPU. Random ones are in sampling.py."""

import numpy as np

from minigrad.devices import array_module, device_of, is_array, library, move
from minigrad.dtypes import as_dtype
from minigrad.tensor import DEFAULT_DTYPE, Tensor, unwrap
from minigrad.typing import Array, Data, Device, DTypeLike, Number, Shape


def tensor(
    data: Data, dtype: DTypeLike | None = None, requires_grad: bool = False, device: Device | None = None
) -> Tensor:
    """A Tensor holding a copy of data: numbers, nested lists, arrays or Tensors; on their device unless one is named.

    Raises RuntimeError for device="cuda" where no GPU can be used, saying why.
    """
    given = unwrap(data)
    made = Tensor(given, dtype=dtype)
    if device is not None:
        made = Tensor(move(made.data, device))
    if made.data is given:
        made = Tensor(made.data.copy())
    return made.requires_grad_() if requires_grad else made


def as_tensor(data: Data, dtype: DTypeLike | None = None, device: Device | None = None) -> Tensor:
    """A Tensor of data without a copy where that can be: a Tensor is itself, and an array shares its memory."""
    if isinstance(data, Tensor):
        return data.to(dtype=dtype, device=device)
    made = Tensor(data, dtype=dtype)
    return made if device is None else Tensor(move(made.data, device))


def from_numpy(array: Array) -> Tensor:
    """A Tensor that shares its memory with a numpy array, and has its dtype."""
    if not is_array(array):
        raise TypeError(f"from_numpy: {type(array).__name__}; expected a numpy array; tensor() takes numbers and lists")
    return Tensor(array)


def sizes_of(shape: tuple) -> Shape:
    """(2, 3) and ((2, 3),) alike as a shape; ValueError for negative sizes."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = tuple(shape[0])
    for n in shape:
        if n < 0:
            raise ValueError(f"a tensor of shape {tuple(shape)}: sizes must not be negative")
    return tuple(shape)


def zeros(
    *size: int | Shape, dtype: DTypeLike | None = None, requires_grad: bool = False, device: Device | None = None
) -> Tensor:
    """zeros(2, 3) or zeros((2, 3)): a tensor of 0."""
    return Tensor(library(device).zeros(sizes_of(size), as_dtype(dtype or DEFAULT_DTYPE)), requires_grad=requires_grad)


def ones(
    *size: int | Shape, dtype: DTypeLike | None = None, requires_grad: bool = False, device: Device | None = None
) -> Tensor:
    """A tensor of 1."""
    return Tensor(library(device).ones(sizes_of(size), as_dtype(dtype or DEFAULT_DTYPE)), requires_grad=requires_grad)


def empty(
    *size: int | Shape, dtype: DTypeLike | None = None, requires_grad: bool = False, device: Device | None = None
) -> Tensor:
    """A tensor whose values are whatever was in memory."""
    return Tensor(library(device).empty(sizes_of(size), as_dtype(dtype or DEFAULT_DTYPE)), requires_grad=requires_grad)


def full(
    size: int | Shape,
    fill_value: Number | Tensor,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    device: Device | None = None,
) -> Tensor:
    """A tensor of one value; floats give float32, integers int64, booleans bool."""
    size = sizes_of(size if isinstance(size, (tuple, list)) else (size,))
    value = Tensor(fill_value, dtype=dtype)
    return Tensor(library(device).full(size, value.item(), value.dtype), requires_grad=requires_grad)


def arange(
    start: Number,
    end: Number | None = None,
    step: Number = 1,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    device: Device | None = None,
) -> Tensor:
    """start, start + step, … below end; arange(n) counts 0 to n - 1. Integers give int64, floats float32."""
    if step == 0:
        raise ValueError("arange: step 0 never arrives; use a positive or negative step")
    first, last = (0, start) if end is None else (start, end)
    first, last, by = (n.item() if isinstance(n, (Tensor, np.generic)) else n for n in (first, last, step))
    whole = all(isinstance(n, int) for n in (first, last, by))
    dtype = as_dtype(dtype or (np.int64 if whole else DEFAULT_DTYPE))
    wide = np.float32 if dtype.kind == "V" else dtype  # arange does not know bfloat16
    counted = library(device).arange(first, last, by, dtype=wide).astype(dtype, copy=False)
    return Tensor(counted, requires_grad=requires_grad)


def linspace(
    start: Number,
    end: Number,
    steps: int,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    device: Device | None = None,
) -> Tensor:
    """`steps` values evenly from start to end, both included."""
    if steps < 0:
        raise ValueError(f"linspace: {steps} steps; expected 0 or more")
    first, last = (n.item() if isinstance(n, Tensor) else n for n in (start, end))
    values = library(device).linspace(first, last, steps).astype(as_dtype(dtype or DEFAULT_DTYPE))
    return Tensor(values, requires_grad=requires_grad)


def logspace(
    start: Number,
    end: Number,
    steps: int,
    base: float = 10.0,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    device: Device | None = None,
) -> Tensor:
    """`steps` powers of base, their exponents evenly from start to end."""
    exponents = linspace(start, end, steps, dtype=np.float64, device=device).data
    return Tensor((base**exponents).astype(as_dtype(dtype or DEFAULT_DTYPE)), requires_grad=requires_grad)


def eye(
    n: int,
    m: int | None = None,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    device: Device | None = None,
) -> Tensor:
    """The identity matrix n × n, or n × m."""
    return Tensor(library(device).eye(n, m, dtype=as_dtype(dtype or DEFAULT_DTYPE)), requires_grad=requires_grad)


def tril_indices(row: int, col: int, offset: int = 0, device: Device | None = None) -> Tensor:
    """The rows and the columns (2, count) of the elements on and below diagonal `offset` of a row × col matrix."""
    return Tensor(np.stack(np.tril_indices(row, offset, col)).astype(np.int64)).to(device=device)


def triu_indices(row: int, col: int, offset: int = 0, device: Device | None = None) -> Tensor:
    """The rows and the columns (2, count) of the elements on and above diagonal `offset` of a row × col matrix."""
    return Tensor(np.stack(np.triu_indices(row, offset, col)).astype(np.int64)).to(device=device)


def zeros_like(
    input: Tensor, dtype: DTypeLike | None = None, requires_grad: bool = False, device: Device | None = None
) -> Tensor:
    """0 in the shape, dtype and device of a tensor, but for what is given."""
    return full_like(input, 0, dtype, requires_grad, device)


def ones_like(
    input: Tensor, dtype: DTypeLike | None = None, requires_grad: bool = False, device: Device | None = None
) -> Tensor:
    """1 in the shape, dtype and device of a tensor, but for what is given."""
    return full_like(input, 1, dtype, requires_grad, device)


def empty_like(
    input: Tensor, dtype: DTypeLike | None = None, requires_grad: bool = False, device: Device | None = None
) -> Tensor:
    """Whatever was in memory, in the shape, dtype and device of a tensor, but for what is given."""
    array = unwrap(input)
    dtype, device = dtype or array.dtype, device or device_of(array)
    return empty(array.shape, dtype=dtype, requires_grad=requires_grad, device=device)


def full_like(
    input: Tensor,
    fill_value: Number,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    device: Device | None = None,
) -> Tensor:
    """One value in the shape, dtype and device of a tensor, but for what is given."""
    array = unwrap(input)
    xp = array_module(array) if device is None else library(device)
    dtype = array.dtype if dtype is None else as_dtype(dtype)
    return Tensor(xp.full(array.shape, unwrap(fill_value), dtype=dtype), requires_grad=requires_grad)
