"""New tensors: from data, filled, ranges and random. All take device="cuda" for one on the GPU."""

import numpy as np

from minigrad import random
from minigrad.devices import array_module, device_of, library, move
from minigrad.dtypes import as_dtype
from minigrad.tensor import DEFAULT_DTYPE, Tensor, unwrap


def tensor(data, dtype=None, requires_grad=False, device=None) -> Tensor:
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


def _sizes(shape) -> tuple:
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = tuple(shape[0])
    for n in shape:
        if n < 0:
            raise ValueError(f"a tensor of shape {tuple(shape)}: sizes must not be negative")
    return tuple(shape)


def zeros(*shape, dtype=DEFAULT_DTYPE, requires_grad=False, device="cpu") -> Tensor:
    """zeros(2, 3) or zeros((2, 3)): a tensor of 0."""
    return Tensor(library(device).zeros(_sizes(shape), as_dtype(dtype)), requires_grad=requires_grad)


def ones(*shape, dtype=DEFAULT_DTYPE, requires_grad=False, device="cpu") -> Tensor:
    """A tensor of 1."""
    return Tensor(library(device).ones(_sizes(shape), as_dtype(dtype)), requires_grad=requires_grad)


def empty(*shape, dtype=DEFAULT_DTYPE, requires_grad=False, device="cpu") -> Tensor:
    """A tensor whose values are whatever was in memory."""
    return Tensor(library(device).empty(_sizes(shape), as_dtype(dtype)), requires_grad=requires_grad)


def full(shape, value, dtype=None, requires_grad=False, device="cpu") -> Tensor:
    """A tensor of one value; floats give float32, integers int64, booleans bool."""
    shape = _sizes(shape if isinstance(shape, (tuple, list)) else (shape,))
    scalar = Tensor(value, dtype=dtype)
    return Tensor(library(device).full(shape, scalar.item(), scalar.dtype), requires_grad=requires_grad)


def arange(start, stop=None, step=1, dtype=None, device="cpu") -> Tensor:
    """start, start + step, … below stop; arange(n) counts 0 to n - 1. Integers give int64, floats float32."""
    if step == 0:
        raise ValueError("arange: step 0 never arrives; use a positive or negative step")
    start, stop = (0, start) if stop is None else (start, stop)
    whole = all(isinstance(n, (int, np.integer)) for n in (start, stop, step))
    dtype = dtype or (np.int64 if whole else DEFAULT_DTYPE)
    return Tensor(library(device).arange(start, stop, step, dtype=dtype))


def linspace(start, stop, steps: int, dtype=DEFAULT_DTYPE, device="cpu") -> Tensor:
    """`steps` values evenly from start to stop, both included."""
    return Tensor(library(device).linspace(start, stop, steps, dtype=dtype))


def eye(n: int, m: int | None = None, dtype=DEFAULT_DTYPE, device="cpu") -> Tensor:
    """The identity matrix n × n, or n × m."""
    return Tensor(library(device).eye(n, m, dtype=dtype))


def randn(*shape, dtype=DEFAULT_DTYPE, requires_grad=False, device="cpu") -> Tensor:
    """Independent draws from the normal distribution with mean 0 and variance 1."""
    return Tensor(random.standard_normal(_sizes(shape), as_dtype(dtype), device), requires_grad=requires_grad)


def rand(*shape, dtype=DEFAULT_DTYPE, requires_grad=False, device="cpu") -> Tensor:
    """Independent draws from the uniform distribution on [0, 1)."""
    return Tensor(random.uniform(_sizes(shape), as_dtype(dtype), device), requires_grad=requires_grad)


def randint(low: int, high: int | None = None, size=(), dtype=np.int64, device="cpu") -> Tensor:
    """Integers from low to high - 1 (randint(high, size=...) starts at 0), equally likely."""
    low, high = (0, low) if high is None else (low, high)
    if high <= low:
        raise ValueError(f"randint: no integers from {low} to {high - 1}; high must be above low")
    drawn = np.asarray(random.generator().integers(low, high, _sizes(tuple(size))), dtype=dtype)
    return Tensor(move(drawn, device))


def randperm(n: int, device="cpu") -> Tensor:
    """0 to n - 1 in random order."""
    return Tensor(move(random.generator().permutation(n), device))


def zeros_like(x, dtype=None, requires_grad=False) -> Tensor:
    """0 in the shape, dtype and device of x."""
    return Tensor(array_module(unwrap(x)).zeros_like(unwrap(x), dtype=dtype), requires_grad=requires_grad)


def ones_like(x, dtype=None, requires_grad=False) -> Tensor:
    """1 in the shape, dtype and device of x."""
    return Tensor(array_module(unwrap(x)).ones_like(unwrap(x), dtype=dtype), requires_grad=requires_grad)


def full_like(x, value, dtype=None, requires_grad=False) -> Tensor:
    """One value in the shape, dtype and device of x."""
    return Tensor(array_module(unwrap(x)).full_like(unwrap(x), value, dtype=dtype), requires_grad=requires_grad)


def randn_like(x, requires_grad=False) -> Tensor:
    """Normal draws in the shape, dtype and device of x."""
    return randn(*x.shape, dtype=x.dtype, requires_grad=requires_grad, device=device_of(unwrap(x)))


def rand_like(x, requires_grad=False) -> Tensor:
    """Uniform draws in the shape, dtype and device of x."""
    return rand(*x.shape, dtype=x.dtype, requires_grad=requires_grad, device=device_of(unwrap(x)))
