"""Shapes taken apart and put together: rolling, windows, diagonals, grids, stacking. The basic ones are in shape.py."""

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.devices import array_module, looks_at_values
from minigrad.function import Function
from minigrad.ops.dims import dims as dims_of
from minigrad.ops.dims import one_dim
from minigrad.ops.index import getitem, index_select
from minigrad.ops.reduce import sum as sum_of
from minigrad.ops.shape import (
    broadcast_to,
    cat,
    expand,
    flip,
    permute,
    repeat,
    reshape,
    sizes,
    stack,
    swapaxes,
    unsqueeze,
)
from minigrad.tensor import Tensor, unwrap
from minigrad.typing import Dim, Shape


class Roll(Function):
    """y = x shifted along dims, what leaves at one end coming in at the other;  dx = g shifted back."""

    moves = True

    def __init__(self, shifts: tuple, dims: tuple):
        self.shifts, self.dims = shifts, dims

    def forward(self, x):
        return array_module(x).roll(x, self.shifts, self.dims)

    def backward(self, grad):
        return Roll(tuple(-shift for shift in self.shifts), self.dims)(grad)


class Diagonal(Function):
    """y[…, i] = x[…, i, i + offset], a view;  dx = g on that diagonal, 0 elsewhere."""

    moves = True

    def __init__(self, offset: int):
        self.offset = offset

    def forward(self, x):
        self.from_shape = x.shape
        y = x.diagonal(self.offset, -2, -1)
        if isinstance(y, np.ndarray):
            y.flags.writeable = x.flags.writeable  # numpy's is read-only unless told otherwise
        return y

    def backward(self, grad):
        return OnDiagonal(self.offset, self.from_shape)(grad)


class OnDiagonal(Function):
    """y = zeros with y[…, i, i + offset] = x[…, i]: the transpose of Diagonal;  dx = the diagonal of g."""

    moves = True

    def __init__(self, offset: int, shape: tuple):
        self.offset, self.to_shape = offset, shape

    def forward(self, x):
        xp = array_module(x)
        y = xp.zeros(self.to_shape, dtype=x.dtype)
        i = xp.arange(x.shape[-1])
        y[..., i + max(-self.offset, 0), i + max(self.offset, 0)] = x
        return y

    def backward(self, grad):
        return Diagonal(self.offset)(grad)


class Unfold(Function):
    """y[…, i, …, k] = x[…, i·step + k, …]: windows along dim, a view;  dx = g added up where windows overlap."""

    moves = True

    def __init__(self, dim: int, size: int, step: int):
        self.dim, self.size, self.step = dim, size, step

    def forward(self, x):
        self.from_shape = x.shape
        d, n = self.dim, x.shape[self.dim]
        shape = (*x.shape[:d], (n - self.size) // self.step + 1, *x.shape[d + 1 :], self.size)
        strides = (*x.strides[:d], x.strides[d] * self.step, *x.strides[d + 1 :], x.strides[d])
        return array_module(x).lib.stride_tricks.as_strided(x, shape=shape, strides=strides)

    def backward(self, grad):
        return Fold(self.dim, self.size, self.step, self.from_shape)(grad)

    def backward_flops(self, grads, results):
        return grads[0].size  # additions


class Fold(Function):
    """y = zeros with each window x[…, i, …, :] added at i·step: the transpose of Unfold;  dx = the windows of g."""

    def __init__(self, dim: int, size: int, step: int, shape: tuple):
        self.dim, self.size, self.step, self.to_shape = dim, size, step, shape

    def forward(self, x):
        y = array_module(x).zeros(self.to_shape, dtype=x.dtype)
        count = x.shape[self.dim]
        for k in range(self.size):
            y[(slice(None),) * self.dim + (slice(k, k + count * self.step, self.step),)] += x[..., k]
        return y

    def backward(self, grad):
        return Unfold(self.dim, self.size, self.step)(grad)

    def flops(self, inputs, outputs):
        return inputs[0].size  # additions

    def backward_flops(self, grads, results):
        return 0


def roll(x: Tensor, shifts: int | Shape, dims: Dim = None) -> Tensor:
    """x shifted by `shifts` along `dims` (an int or a tuple each); what leaves at one end comes in at the other.

    Without dims x is rolled as if it were flat.
    """
    shifts = tuple(shifts) if isinstance(shifts, (tuple, list)) else (shifts,)
    if dims is None:
        if len(shifts) != 1:
            raise ValueError(f"roll: {len(shifts)} shifts without dims; say which dimension each is for")
        return reshape(Roll(shifts, (0,))(reshape(x, -1)), x.shape)
    dims = tuple(dims) if isinstance(dims, (tuple, list)) else (dims,)
    if len(dims) != len(shifts):
        raise ValueError(f"roll: {len(shifts)} shifts for {len(dims)} dims; give one for each")
    if x.ndim == 0:
        raise IndexError(f"roll: dims {dims} of a 0-d tensor; leave dims out")
    return Roll(shifts, tuple(one_dim(d, x.ndim, "roll") for d in dims))(x)


def rot90(x: Tensor, k: int = 1, dims: Shape = (0, 1)) -> Tensor:
    """x turned by k right angles in the plane of two dims, from the first towards the second."""
    first, second = (one_dim(d, x.ndim, "rot90") for d in dims)
    if first == second:
        raise ValueError(f"rot90: dims {tuple(dims)} are the same dimension; give two")
    k %= 4
    if k == 2:
        return flip(x, (first, second))
    if k == 0:
        return reshape(x, x.shape)
    return swapaxes(flip(x, second), first, second) if k == 1 else flip(swapaxes(x, first, second), second)


def fliplr(x: Tensor) -> Tensor:
    """x with its columns (dim 1) in reverse order; x has two dimensions or more."""
    if x.ndim < 2:
        raise ValueError(f"fliplr: x has shape {x.shape}; it needs two dimensions")
    return flip(x, 1)


def flipud(x: Tensor) -> Tensor:
    """x with its rows (dim 0) in reverse order; x has one dimension or more."""
    if x.ndim < 1:
        raise ValueError("flipud: a 0-d tensor has no rows")
    return flip(x, 0)


def repeat_interleave(x: Tensor, repeats: int | Tensor, dim: int | None = None) -> Tensor:
    """Each slice of x along dim `repeats` times in a row: [1, 2] gives [1, 1, 2, 2]. Without dim x is flat.

    repeats  an int, or integers of shape (x.shape[dim],): how often each slice
    """
    if dim is None:
        x, dim = reshape(x, -1), 0
    (d,) = dims_of(dim, x.ndim, "repeat_interleave") or (0,)
    counts = unwrap(repeats)
    n = x.shape[d] if x.ndim else 1
    if getattr(counts, "ndim", 0) and counts.shape != (1,):
        if counts.shape != (n,):
            raise ValueError(f"repeat_interleave: repeats {counts.shape} for dim {d} of {x.shape}; expected ({n},)")
        if counts.dtype.kind not in "iu":
            raise TypeError(f"repeat_interleave: repeats are {counts.dtype}; use integers")
        if counts.size and looks_at_values(counts) and counts.min() < 0:
            raise ValueError(f"repeat_interleave: repeats from {counts.min()}; they must not be negative")
        xp, ends = array_module(counts), counts.cumsum()
        slices = xp.searchsorted(ends, xp.arange(int(ends[-1]) if n else 0), side="right")
        return index_select(x, d, slices)
    times = operator.index(counts if isinstance(counts, int) else counts.item())
    if times < 0:
        raise ValueError(f"repeat_interleave: {times} repeats; they must not be negative")
    copies = expand(unsqueeze(x, d + 1), (*x.shape[: d + 1], times, *x.shape[d + 1 :]))
    return reshape(copies, (*x.shape[:d], n * times, *x.shape[d + 1 :]))


def tile(x: Tensor, *dims: int | Shape) -> Tensor:
    """x laid side by side dims[i] times along dimension i, counted from the last, as numpy.tile."""
    times = sizes(dims)
    return repeat(x, (1,) * (x.ndim - len(times)) + times)


def movedim(x: Tensor, source: int | Shape, destination: int | Shape) -> Tensor:
    """x with the dims `source` (an int or a tuple) at the places `destination`, the others in their order; a view."""
    source = tuple(source) if isinstance(source, (tuple, list)) else (source,)
    destination = tuple(destination) if isinstance(destination, (tuple, list)) else (destination,)
    if len(source) != len(destination):
        raise ValueError(f"movedim: {len(source)} sources, {len(destination)} destinations; give as many of each")
    dims_of(source, x.ndim, "movedim"), dims_of(destination, x.ndim, "movedim")  # in range, and none twice
    if x.ndim == 0:
        return x
    origins, places = [d % x.ndim for d in source], [d % x.ndim for d in destination]
    rest = iter(d for d in range(x.ndim) if d not in origins)
    order = [origins[places.index(d)] if d in places else next(rest) for d in range(x.ndim)]
    return permute(x, order)


def t(x: Tensor) -> Tensor:
    """The transpose of a matrix, a view; a tensor of fewer dimensions as it is."""
    if x.ndim > 2:
        raise ValueError(f"t: x has shape {x.shape}; two dimensions at most, use .mT or transpose(dim0, dim1)")
    return permute(x, *reversed(range(x.ndim)))


def narrow(x: Tensor, dim: int, start: int, length: int) -> Tensor:
    """x[start : start + length] along dim, a view; IndexError if that is not all inside."""
    d = one_dim(dim, x.ndim, "narrow")
    n = x.shape[d]
    first = start + n if start < 0 else start
    if not 0 <= first <= n or length < 0 or first + length > n:
        raise IndexError(f"narrow: start {start} and length {length} do not fit dim {d} of size {n}")
    return getitem(x, (slice(None),) * d + (slice(first, first + length),))


def select(x: Tensor, dim: int, index: int) -> Tensor:
    """x[index] along dim, which the result has no more; a view."""
    d = one_dim(dim, x.ndim, "select")
    return getitem(x, (slice(None),) * d + (operator.index(index),))


def unflatten(x: Tensor, dim: int, sizes: int | Shape) -> Tensor:
    """x with dimension dim split into several of the given sizes, one of which may be -1; a view."""
    d = one_dim(dim, x.ndim, "unflatten")
    sizes = tuple(int(n) for n in (sizes if isinstance(sizes, (tuple, list)) else (sizes,)))
    n, known = x.shape[d], math.prod(s for s in sizes if s != -1)
    fits = known and n % known == 0 if sizes.count(-1) == 1 else known == n
    if not sizes or sizes.count(-1) > 1 or not fits:
        raise ValueError(f"unflatten: sizes {sizes} do not multiply to dim {d} of shape {x.shape}, which is {n}")
    return reshape(x, (*x.shape[:d], *(n // known if s == -1 else s for s in sizes), *x.shape[d + 1 :]))


def unfold(x: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """The windows of `size` elements, `step` apart, along a dimension; a view with the windows' elements last."""
    if x.ndim == 0:
        return select(unfold(reshape(x, 1), 0, size, step), 0, 0)
    d = one_dim(dimension, x.ndim, "unfold")
    if step <= 0 or not 0 <= size <= x.shape[d]:
        raise ValueError(
            f"unfold: size {size}, step {step} in dim {d} of shape {x.shape}; sizes fit, steps are positive"
        )
    return Unfold(d, size, step)(x)


def diagonal(x: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The elements x[…, i, i + offset] of the planes (dim1, dim2), along a last dimension in their place; a view."""
    first, second = (one_dim(d, x.ndim, "diagonal") for d in (dim1, dim2))
    if first == second:
        raise ValueError(f"diagonal: dims {dim1} and {dim2} of shape {x.shape}; give two different dimensions")
    return Diagonal(offset)(movedim(x, (first, second), (-2, -1)))


def diag_embed(x: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Square matrices with the last dimension of x on their diagonal number `offset`, 0 elsewhere."""
    if x.ndim == 0:
        raise ValueError("diag_embed: a 0-d tensor has no dimension to lay on a diagonal")
    n = x.shape[-1] + abs(offset)
    first, second = (one_dim(d, x.ndim + 1, "diag_embed") for d in (dim1, dim2))
    if first == second:
        raise ValueError(f"diag_embed: dims {dim1} and {dim2} are the same dimension; give two")
    return movedim(OnDiagonal(offset, (*x.shape[:-1], n, n))(x), (-2, -1), (first, second))


def diag(x: Tensor, diagonal: int = 0) -> Tensor:
    """The matrix with x on a diagonal if x has one dimension; the diagonal of x if it has two."""
    if x.ndim == 1:
        return diag_embed(x, diagonal)
    if x.ndim != 2:
        raise ValueError(f"diag: x has shape {x.shape}; give one or two dimensions, or use diagonal or diag_embed")
    return Diagonal(diagonal)(x)


def diagflat(x: Tensor, offset: int = 0) -> Tensor:
    """The matrix with all elements of x on a diagonal."""
    return diag_embed(reshape(x, -1), offset)


def trace(x: Tensor) -> Tensor:
    """The sum of the diagonal of a matrix."""
    if x.ndim != 2:
        raise ValueError(f"trace: x has shape {x.shape}; expected a matrix")
    return sum_of(Diagonal(0)(x))


def atleast_1d(*tensors: Tensor) -> Any:
    """Each tensor with one dimension at least: 0-d become (1,). One tensor gives a tensor, several a tuple."""
    return _each(tensors, lambda x: reshape(x, 1) if x.ndim == 0 else x)


def atleast_2d(*tensors: Tensor) -> Any:
    """Each tensor with two dimensions at least; (n,) become (1, n)."""
    return _each(tensors, lambda x: unsqueeze(reshape(x, -1), 0) if x.ndim < 2 else x)


def atleast_3d(*tensors: Tensor) -> Any:
    """Each tensor with three dimensions at least; (n,) become (1, n, 1), and (m, n) become (m, n, 1)."""
    return _each(tensors, lambda x: unsqueeze(atleast_2d(x), -1) if x.ndim < 3 else x)


def _each(tensors, change):
    if len(tensors) == 1 and not isinstance(tensors[0], (tuple, list)):
        return change(tensors[0])
    return tuple(change(x) for x in (tensors[0] if len(tensors) == 1 else tensors))


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors side by side: joined along dim 1, or along dim 0 if they have one dimension."""
    tensors = atleast_1d(*tensors) if len(tensors) > 1 else (atleast_1d(*tensors),)
    return cat(tensors, 0 if tensors[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors one below the other: joined along dim 0, each (n,) being a row (1, n)."""
    return cat([atleast_2d(x) for x in tensors], 0)


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors one behind the other: joined along dim 2."""
    return cat([atleast_3d(x) for x in tensors], 2)


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors side by side, each (n,) being a column (n, 1)."""
    return cat([reshape(x, -1, 1) if x.ndim < 2 else x for x in tensors], 1)


def block_diag(*tensors: Tensor) -> Tensor:
    """The matrix with the given matrices ((n,) is a row) one after the other on its diagonal, 0 elsewhere."""
    blocks = [atleast_2d(x) for x in tensors]
    for i, x in enumerate(blocks):
        if x.ndim != 2:
            raise ValueError(f"block_diag: tensor {i} has shape {x.shape}; two dimensions at most")
    width = sum(x.shape[1] for x in blocks)
    rows, before = [], 0
    for x in blocks:
        xp, height = array_module(unwrap(x)), x.shape[0]
        left = xp.zeros((height, before), x.dtype)
        right = xp.zeros((height, width - before - x.shape[1]), x.dtype)
        rows.append(cat([left, x, right], 1))
        before += x.shape[1]
    return cat(rows, 0)


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors broadcast to one shape, without copies."""
    shape = broadcast_shapes(*(x.shape for x in tensors))
    return tuple(broadcast_to(x, shape) for x in tensors)


def broadcast_shapes(*shapes: Shape) -> tuple[int, ...]:
    """The shape that tensors of these shapes have together; ValueError if they do not go together."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(
            f"broadcast: {', '.join(str(tuple(shape)) for shape in shapes)} do not go together; from the right, "
            "sizes must be equal or 1"
        ) from None


def meshgrid(*tensors: Tensor, indexing: str = "ij") -> tuple[Tensor, ...]:
    """The coordinates of a grid's points, a tensor for each axis, varying along its dim; "xy" swaps the first two."""
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    if indexing not in ("ij", "xy"):
        raise ValueError(f'meshgrid: indexing={indexing!r}; use "ij" (matrices) or "xy" (pictures)')
    for i, x in enumerate(tensors):
        if x.ndim > 1:
            raise ValueError(f"meshgrid: tensor {i} has shape {x.shape}; expected one dimension")
    axes = [reshape(x, -1) for x in tensors]
    order = list(range(len(axes)))
    if indexing == "xy" and len(axes) > 1:
        order[:2] = [1, 0]
    shape = tuple(axes[i].shape[0] for i in order)
    return tuple(
        expand(reshape(x, (1,) * at + (-1,) + (1,) * (len(axes) - at - 1)), shape)
        for x, at in ((x, order.index(i)) for i, x in enumerate(axes))
    )


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """Every choice of one element from each tensor, a row each, the last varying fastest."""
    for i, x in enumerate(tensors):
        if x.ndim != 1:
            raise ValueError(f"cartesian_prod: tensor {i} has shape {x.shape}; expected one dimension")
    if len(tensors) == 1:
        return tensors[0]
    return stack([reshape(x, -1) for x in meshgrid(*tensors)], 1)


def view_as(x: Tensor, other: Tensor) -> Tensor:
    """x in the shape of other."""
    return reshape(x, other.shape)


def expand_as(x: Tensor, other: Tensor) -> Tensor:
    """x repeated without a copy to the shape of other."""
    return expand(x, other.shape)
