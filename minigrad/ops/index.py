"""Picking and placing elements: slicing, fancy indexing, gather and scatter."""

from typing import Any

import numpy as np

from minigrad.devices import array_module, device_of, is_array, looks_at_values, move
from minigrad.dtypes import add_at
from minigrad.explain import same_device
from minigrad.function import Function, PartialGradient
from minigrad.modes import is_grad_enabled
from minigrad.ops.dims import at_least_1d, dims
from minigrad.ops.shape import reshape
from minigrad.tensor import Tensor, unwrap
from minigrad.typing import Array, ArrayModule, Data, Number, Shape
from minigrad.typing import Index as AnyIndex
from minigrad.views import record_write, refuse_recorded_write, refuse_unwritable
from minigrad.writes import note_write, owner


class Index:
    """x[index] in two steps: a view of x by integers, slices, None and ..., and of that the elements at some places.

    This is how PyTorch reads an integer beside an array: x[0, :, ids] is x[0][:, ids], whereas numpy takes the integer
    for an array, too, and puts the dimensions of both in front.

    view     what to index x with first; None for all of x
    places   what to index the view with then, arrays of integers or booleans among it; None for all of it
    repeats  whether `places` may name an element twice
    """

    __slots__ = ("places", "repeats", "view")

    def __init__(self, view, places=None, repeats=False):
        self.view, self.places, self.repeats = view, places, repeats

    def read(self, x: Array) -> Array:
        """x[index] of an array: a view of it where there are no `places`, else a copy."""
        view = x if self.view is None else x[self.view]
        if self.places is not None:
            y = view[self.places]
            if type(self.places) is tuple and x.flags.c_contiguous and not y.flags.c_contiguous:
                return y.copy()  # numpy lays the indexed dimensions out first; in C order, reshape gives a view
            return y
        return x[(*self.view, ...)] if isinstance(view, np.generic) else view  # a number: 0-d, a view like the others

    def write(self, buffer: Array, value: Array | Number) -> None:
        """buffer[index] = value for arrays; which of several values an element named twice keeps, is numpy's choice."""
        if self.places is None:
            buffer[self.view] = value
        else:
            (buffer if self.view is None else buffer[self.view])[self.places] = value

    def add(self, buffer: Array, values: Array) -> None:
        """buffer[index] += values for arrays, adding every time an element is named more than once."""
        if self.places is None:
            buffer[self.view] += values
            return
        view = buffer if self.view is None else buffer[self.view]
        if self.repeats:
            add_at(view, self.places, values)
        else:
            view[self.places] += values


class GetItem(Function):
    """y = x[index];  dx = g added up at the index, 0 elsewhere."""

    moves = True

    def __init__(self, index: Index):
        self.index = index

    def forward(self, x):
        self.from_shape = x.shape
        return self.index.read(x)

    def backward(self, grad):
        if isinstance(grad, Tensor):
            return Place(self.index, self.from_shape)(grad)
        return PartialGradient(grad, lambda buffer: self.index.add(buffer, grad))

    def put(self, base: Tensor, view: Tensor) -> Tensor:
        """base with the view at the index."""
        return SetItem(self.index, in_place=True)(base, view)

    def backward_flops(self, grads, results):
        return grads[0].size if self.index.repeats else 0  # additions


class Place(Function):
    """y = zeros with x added at the index: the transpose of GetItem;  dx = g[index]."""

    def __init__(self, index: Index, shape: tuple):
        self.index, self.to_shape = index, shape

    def forward(self, x):
        y = array_module(x).zeros(self.to_shape, dtype=x.dtype)
        self.index.add(y, x)
        return y

    def backward(self, grad):
        return getitem(grad, self.index)

    def flops(self, inputs, outputs):
        return inputs[0].size if self.index.repeats else 0  # additions

    def backward_flops(self, grads, results):
        return 0


class SetItem(Function):
    """y = x but v at the index;  dx = g with 0 at the index,  dv = g[index].  in_place: y takes the memory of x."""

    moves = True

    def __init__(self, index: Index, in_place: bool = False):
        self.index, self.in_place = index, in_place

    def forward(self, x, value):
        y = x if self.in_place else x.copy()
        if is_array(value) and owner(value) is owner(y):  # x[1:] = x[:-1] reads all before it writes
            value = value.copy()
        self.index.write(y, value)
        self.value_ndim = getattr(value, "ndim", 0)
        return y

    def backward(self, grad):
        zero = unwrap(grad).dtype.type(0)
        dx = SetItem(self.index)(grad, zero) if self.parents[0] is not None else None
        if self.parents[1] is None:
            return dx, None
        dvalue = getitem(grad, self.index)
        if self.index.repeats:  # of several values written to one element only the last stays
            xp = array_module(unwrap(grad))
            turn = xp.arange(unwrap(dvalue).size).reshape(dvalue.shape)
            last = xp.zeros(grad.shape, dtype=turn.dtype)
            self.index.write(last, turn)
            dvalue = dvalue * (self.index.read(last) == turn)
        if dvalue.ndim < self.value_ndim:  # a value may have more dimensions in front, of size 1
            dvalue = reshape(dvalue, (1,) * (self.value_ndim - dvalue.ndim) + dvalue.shape)
        return dx, dvalue


class Gather(Function):
    """y[i, j, …] = x[index[i, j, …] in place of dim];  dx = g added up at the index."""

    fresh = True
    moves = True

    def __init__(self, index, dim: int, repeats: bool = False):
        self.index = Index(None, along(index, dim), repeats)

    def forward(self, x):
        self.from_shape = x.shape
        return self.index.read(x)

    def backward(self, grad):
        return Place(self.index, self.from_shape)(grad)

    def backward_flops(self, grads, results):
        return grads[0].size if self.index.repeats else 0  # additions


class ScatterAdd(Function):
    """y = x with src added at index along dim;  dx = g,  dsrc = g gathered at index."""

    def __init__(self, index, dim: int):
        self.index = Index(None, along(index, dim), True)
        self.corner = Index(tuple(slice(0, n) for n in index.shape))  # the part of src that is read

    def forward(self, x, src):
        y = x.copy()
        self.index.add(y, self.corner.read(src))
        self.src_shape = src.shape
        return y

    def backward(self, grad):
        return grad, Place(self.corner, self.src_shape)(getitem(grad, self.index))

    def flops(self, inputs, outputs):
        return self.corner.read(inputs[1]).size  # additions

    def backward_flops(self, grads, results):
        return 0


def along(index: Array, dim: int) -> tuple:
    """Fancy indices that read position index[…] along dim and the own position along the others."""
    grids = list(open_grid(index.shape, array_module(index)))
    grids[dim] = index
    return tuple(grids)


def open_grid(shape: Shape, xp: ArrayModule) -> tuple:
    """For each dimension its positions 0, 1, …, shaped to broadcast: x[open_grid(x.shape, xp)] is x."""
    return tuple(xp.arange(n).reshape((1,) * d + (n,) + (1,) * (len(shape) - d - 1)) for d, n in enumerate(shape))


_BASIC = {int, slice, type(None), type(Ellipsis)}


def normalized_index(index: AnyIndex, x: Array) -> Index:
    """An index as users write it, with Tensors, lists and numbers of any kind, as the steps that read it from array x.

    Integer arrays, and lists and ranges of integers, pick elements and broadcast against one another; a boolean array
    of n dimensions picks where it is True among n dimensions of x; True and False alone add a dimension of size 1 or
    0. A 0-d integer tensor is an integer. uint8 arrays are integers, as in numpy. IndexError for anything else.
    """
    if type(index) in _BASIC:
        return Index((index,))
    index = unwrap(index)
    if type(index) is type(x) and index.ndim:  # one array, the usual case
        kind = index.dtype.kind
        if kind in "iub":
            return Index(None, index, kind != "b")
    given = index if type(index) is tuple else (index,)
    if all(type(part) in _BASIC for part in given):
        return Index(given)
    parts = [_plain(part, x) for part in given]
    arrays = [part for part in parts if is_array(part)]
    if not arrays:
        return Index(tuple(parts))
    view, places = _two_steps(parts, x)
    return Index(view, places, len(arrays) > 1 or arrays[0].dtype != bool)


def _two_steps(parts: list, x) -> tuple:
    """The view and the places of an index with arrays in it; `...` is written out, as it has a place among them."""
    named = sum(_consumed(part) for part in parts)
    dots = [i for i, part in enumerate(parts) if part is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    for i in dots:
        parts[i : i + 1] = [slice(None)] * max(x.ndim - named, 0)
    view, places = [], []
    for part in parts:
        if not is_array(part):
            view.append(part)
            places += [slice(None)] * (part is None or isinstance(part, slice))
        elif part.ndim == 0 and part.dtype == bool:  # picks one or none of a new dimension
            view.append(None)
            places.append(part.reshape(1))
        else:
            view += [slice(None)] * _consumed(part)
            places.append(part)
    untouched = all(isinstance(part, slice) and part == slice(None) for part in view)
    return None if untouched else tuple(view), tuple(places)


def _consumed(part) -> int:
    """How many dimensions of x a part of an index speaks of."""
    if is_array(part):
        return part.ndim if part.dtype == bool else 1
    return 0 if part is None or part is Ellipsis else 1


def _plain(part, x):
    """One part of an index as a number, a slice, None, ... or an array where x is."""
    if type(part) in _BASIC:
        return part
    if isinstance(part, (list, tuple, range)):
        part = _listed(part)
    elif isinstance(part, (bool, np.bool_)):
        part = np.asarray(part)
    part = unwrap(part)
    if not is_array(part):
        if not hasattr(part, "__index__"):
            raise IndexError(
                f"an index of type {type(part).__name__}; use integers, slices, None, ... or arrays of them"
            )
        return int(part)
    if part.dtype.kind not in "iub":
        raise IndexError(f"indices must be integers or booleans, not {part.dtype}; use .astype('int64')")
    if part.ndim == 0 and part.dtype != bool and isinstance(part, np.ndarray):
        return int(part)  # a number; one on a GPU stays there, to be waited for by nobody
    return part if isinstance(part, type(x)) else _host_index(part, x)


def _listed(part) -> np.ndarray:
    try:
        array = np.asarray([unwrap(each) for each in part], dtype=None if len(part) else np.int64)
    except (ValueError, TypeError):
        array = None
    if array is None or array.dtype == object:
        raise IndexError(f"the list {part!r} in an index; expected integers or booleans, rows of equal length")
    return array


def _host_index(index, x):
    """An index from the other device than x: one on the host may follow a tensor to the GPU, not the reverse."""
    if device_of(x) == "cpu":
        same_device("getitem", x=x, index=index)
    return move(index, "cuda")


def getitem(x: Tensor | Array, index: AnyIndex) -> Tensor:
    """x[index]: slices, integers, None, ..., integer and boolean arrays, and their mixtures, as in PyTorch.

    Where numpy would do otherwise (an integer and an array with a slice between them), PyTorch is followed.
    """
    try:
        return GetItem(index if type(index) is Index else normalized_index(index, unwrap(x)))(x)
    except IndexError as error:
        raise IndexError(f"index {index!r} into shape {x.shape}: {error}") from None


def setitem(x: Tensor, index: AnyIndex, value: Data) -> None:
    """x[index] = value, written into the memory of x: whatever looks at it sees the new values, and their gradients.

    RuntimeError while recording, if x is a leaf that requires grad, or a view of one. What was computed from x before
    keeps its gradient where that does not need the old values, and refuses to run backward where it does.
    """
    name = "x[...] = value"
    index = normalized_index(index, x.array)
    recorded = is_grad_enabled() and (x.requires_grad or (isinstance(value, Tensor) and value.requires_grad))
    if recorded:
        refuse_recorded_write(x, name)
    refuse_unwritable(x.array, name)
    if not isinstance(value, Tensor) and (recorded or isinstance(value, (list, np.ndarray))):
        value = move(np.asarray(value, dtype=x.dtype if recorded else None), x.device)
    try:
        if recorded:
            written = SetItem(index, in_place=True)(x, value)
        else:
            SetItem(index, in_place=True).forward(x.array, unwrap(value))
    except (ValueError, IndexError) as error:
        shape = getattr(value, "shape", ())
        raise type(error)(f"x[index] = value with x {x.shape}, value {shape}: {error}") from None
    note_write(x.array)
    if recorded and written.requires_grad:
        record_write(x, written)


def gather(x: Tensor | Array, dim: int, index: Tensor | Array) -> Tensor:
    """y[i][j][k] = x[index[i][j][k]][j][k] for dim 0, and likewise for the other dims, as torch.gather.

    index may be smaller than x in the other dimensions, and longer along it. IndexError for an index below 0 or past x.
    """
    index, x_shape = unwrap(index), x.shape
    d = _scattered_dim("gather", x, dim, index)
    if any(i > n for j, (i, n) in enumerate(zip(index.shape, x_shape, strict=True)) if j != d):
        raise ValueError(f"gather: index {index.shape} does not fit inside {x_shape} in the dimensions other than {d}")
    same_device("gather", x=x, index=index)
    _check_range(index, x_shape[d] if x_shape else 1, "gather")
    if x.ndim == 0:
        return at_least_1d(Gather(index.reshape(1), 0), x)
    return Gather(index, d, repeats=True)(x)


def scatter_add(x: Tensor | Array, dim: int, index: Tensor | Array, src: Tensor | Array) -> Tensor:
    """x with src[i][j][k] added at x[index[i][j][k]][j][k] for dim 0, and likewise for the others.

    index may be smaller than src, and than x in the other dimensions. IndexError for an index below 0 or beyond x.
    """
    index = unwrap(index)
    d = _scattered_dim("scatter_add", x, dim, index)
    within = [max(n, i) if j == d else n for j, (n, i) in enumerate(zip(x.shape, index.shape, strict=True))]
    if src.ndim != x.ndim or any(i > s or i > n for i, s, n in zip(index.shape, src.shape, within, strict=True)):
        raise ValueError(f"scatter_add: index {index.shape} and src {src.shape} do not fit {x.shape} along dim {d}")
    if unwrap(src).dtype != unwrap(x).dtype:
        raise TypeError(f"scatter_add: x is {unwrap(x).dtype}, src {unwrap(src).dtype}; cast one with .astype()")
    same_device("scatter_add", x=x, index=index, src=src)
    _check_range(index, x.shape[d] if x.shape else 1, "scatter_add")
    if x.ndim == 0:
        return at_least_1d(lambda one: ScatterAdd(index.reshape(1), 0)(one, src.reshape((1,))), x)
    return ScatterAdd(index, d)(x, src)


def _scattered_dim(op: str, x, dim, index) -> int:
    (d,) = dims(dim, x.ndim, op) or (0,)
    if index.ndim != x.ndim:
        raise ValueError(f"{op}: index {index.shape} does not fit inside {x.shape}: they need as many dimensions")
    return d


def index_select(x: Any, dim: int, index: Tensor | Array) -> Tensor:
    """The slices of x at `index` (integers, 1-D or one number) along dim."""
    index = unwrap(index)
    (d,) = dims(dim, x.ndim, "index_select") or (0,)
    if index.ndim > 1:
        raise ValueError(f"index_select: the index has shape {index.shape}; give a 1-D tensor of integers")
    index = index.reshape(-1)
    _check_range(index, x.shape[d] if x.shape else 1, "index_select")
    if x.ndim == 0:
        if index.size != 1:
            raise ValueError(f"index_select: {index.size} indices into a 0-d tensor, which has one element")
        return x
    return getitem(x, (slice(None),) * d + (index,))


def _check_range(index, n: int, op: str) -> None:
    if index.dtype.kind not in "iu":
        raise IndexError(f"{op}: the index is {index.dtype}; use integers")
    if index.size and looks_at_values(index) and (index.min() < 0 or index.max() >= n):
        raise IndexError(f"{op}: indices {index.min()} to {index.max()} do not fit a dimension of size {n}")
