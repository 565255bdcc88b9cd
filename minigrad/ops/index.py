"""Picking and placing elements: slicing, fancy indexing, gather, scatter, sort, top-k."""

import numpy as np

from minigrad.devices import array_module, device_of, is_array, looks_at_values, move
from minigrad.dtypes import FLOATING, add_at, without_bfloat16
from minigrad.explain import same_device
from minigrad.function import Function, PartialGradient, is_grad_enabled
from minigrad.ops.reduce import ValuesAndIndices, dims
from minigrad.tensor import Tensor, unwrap, wrap


class GetItem(Function):
    """y = x[index];  dx = g added up at the index, 0 elsewhere."""

    def __init__(self, index):
        self.index = index

    def forward(self, x):
        self.from_shape = x.shape
        return x[self.index]

    def backward(self, grad):
        if isinstance(grad, Tensor):
            return Place(self.index, self.from_shape)(grad)
        return PartialGradient(grad, lambda buffer: _add_at(buffer, self.index, grad))


class Place(Function):
    """y = zeros with x added at the index: the transpose of GetItem;  dx = g[index]."""

    def __init__(self, index, shape: tuple):
        self.index, self.to_shape = index, shape

    def forward(self, x):
        y = array_module(x).zeros(self.to_shape, dtype=x.dtype)
        _add_at(y, self.index, x)
        return y

    def backward(self, grad):
        return grad[self.index]


class SetItem(Function):
    """y = x but v at the index;  dx = g with 0 at the index,  dv = g[index]."""

    def __init__(self, index):
        self.index = index

    def forward(self, x, value):
        y = x.copy()
        y[self.index] = value
        return y

    def backward(self, grad):
        zero = unwrap(grad).dtype.type(0)
        dvalue = grad[self.index]
        if not _is_basic(self.index):  # of several values written to one element only the last stays
            xp = array_module(unwrap(grad))
            turn = xp.arange(unwrap(dvalue).size).reshape(dvalue.shape)
            last = xp.zeros(grad.shape, dtype=turn.dtype)
            last[self.index] = turn
            dvalue = dvalue * (last[self.index] == turn)
        return SetItem(self.index)(grad, zero), dvalue


class Gather(Function):
    """y[i, j, …] = x[index[i, j, …] in place of dim];  dx = g added up at the index."""

    def __init__(self, index, dim: int):
        self.index, self.dim = index, dim

    def forward(self, x):
        self.from_shape = x.shape
        return x[_along(self.index, self.dim)]

    def backward(self, grad):
        return Place(_along(self.index, self.dim), self.from_shape)(grad)


class ScatterAdd(Function):
    """y = x with src added at index along dim;  dx = g,  dsrc = g gathered at index."""

    def __init__(self, index, dim: int):
        self.index, self.dim = index, dim

    def forward(self, x, src):
        y = x.copy()
        _add_at(y, _along(self.index, self.dim), src[tuple(slice(0, n) for n in self.index.shape)])
        self.src_shape = src.shape
        return y

    def backward(self, grad):
        dsrc = gather(grad, self.dim, self.index)
        if dsrc.shape != self.src_shape:
            dsrc = Place(tuple(slice(0, n) for n in self.index.shape), self.src_shape)(dsrc)
        return grad, dsrc


def _is_basic(index) -> bool:
    """Slices, integers, None and ...: no element is named twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is Ellipsis or isinstance(part, (slice, int, np.integer)) for part in parts)


def _add_at(buffer, index, values) -> None:
    """buffer[index] += values, adding every time an element is named more than once."""
    if _is_basic(index):
        buffer[index] += values
    else:
        add_at(buffer, index, values)


def _along(index, dim: int) -> tuple:
    """Fancy indices that read position index[…] along dim and the own position along the others."""
    grids = list(open_grid(index.shape, array_module(index)))
    grids[dim] = index
    return tuple(grids)


def open_grid(shape, xp) -> tuple:
    """For each dimension its positions 0, 1, …, shaped to broadcast: x[open_grid(x.shape, xp)] is x."""
    return tuple(xp.arange(n).reshape((1,) * d + (n,) + (1,) * (len(shape) - d - 1)) for d, n in enumerate(shape))


def index_array(index, x):
    """An index as users write it, Tensors and lists included, as the array library of x understands it."""
    if isinstance(index, tuple):
        return tuple(index_array(part, x) for part in index)
    if isinstance(index, list):
        index = np.asarray(index, dtype=None if index else np.int64)
    index = unwrap(index)
    if not is_array(index):
        return index
    if index.dtype.kind in FLOATING:
        raise IndexError(f"indices must be integers or booleans, not {index.dtype}; use .astype('int64')")
    return index if isinstance(index, type(x)) else _host_index(index, x)


def _host_index(index, x):
    """An index from the other device than x: one on the host may follow a tensor to the GPU, not the reverse."""
    if device_of(x) == "cpu":
        same_device("getitem", x=x, index=index)
    return move(index, "cuda")


def getitem(x, index):
    """x[index]: slices, integers, None, ..., integer and boolean arrays, and their mixtures, as in numpy."""
    try:
        return GetItem(index_array(index, unwrap(x)))(x)
    except IndexError as error:
        raise IndexError(f"index {index!r} into shape {x.shape}: {error}") from None


def setitem(x: Tensor, index, value) -> None:
    """x[index] = value.

    In place under no_grad or where x needs no gradient. Where it does, x becomes the
    result of a recorded copy, so that whatever used x before keeps its value.
    """
    index = index_array(index, x.data)
    value_needs_grad = isinstance(value, Tensor) and value.requires_grad
    if is_grad_enabled() and (x.requires_grad or value_needs_grad):
        if x.is_leaf and x.requires_grad:
            raise RuntimeError(
                "x[...] = value on a leaf that requires grad; write inside `with minigrad.no_grad():`, or to a .clone()"
            )
        if not isinstance(value, Tensor):
            value = move(np.asarray(value, dtype=x.dtype), x.device)
        y = SetItem(index)(x, value)
        x.data, x.grad_fn, x.requires_grad = y.data, y.grad_fn, y.requires_grad
        return
    try:
        value = unwrap(value)
        x.data[index] = move(np.asarray(value), x.device) if isinstance(value, (list, np.ndarray)) else value
    except (ValueError, IndexError) as error:
        shape = getattr(value, "shape", ())
        raise type(error)(f"x[index] = value with x {x.shape}, value {shape}: {error}") from None
    x.bump_version()


def gather(x, dim, index):
    """y[i][j][k] = x[index[i][j][k]][j][k] for dim 0, and likewise for the other dims (torch.gather)."""
    index = unwrap(index)
    (d,) = dims(dim, x.ndim, "gather")
    if index.ndim != x.ndim or any(i > n for j, (i, n) in enumerate(zip(index.shape, x.shape, strict=True)) if j != d):
        raise ValueError(f"gather: index {index.shape} does not fit inside {x.shape} away from dim {d}")
    same_device("gather", x=x, index=index)
    _check_range(index, x.shape[d], "gather")
    return Gather(index, d)(x)


def scatter_add(x, dim, index, src):
    """x with src[i][j][k] added at x[index[i][j][k]][j][k] for dim 0, and likewise for the others."""
    index = unwrap(index)
    (d,) = dims(dim, x.ndim, "scatter_add")
    if index.ndim != x.ndim or src.ndim != x.ndim or any(i > n for i, n in zip(index.shape, src.shape, strict=True)):
        raise ValueError(f"scatter_add: index {index.shape} and src {src.shape} do not fit {x.shape} along dim {d}")
    same_device("scatter_add", x=x, index=index, src=src)
    _check_range(index, x.shape[d], "scatter_add")
    return ScatterAdd(index, d)(x, src)


def index_select(x, dim, index):
    """The slices of x at `index` (1-D integers) along dim."""
    index = unwrap(index)
    (d,) = dims(dim, x.ndim, "index_select")
    if index.ndim != 1:
        raise ValueError(f"index_select: the index has shape {index.shape}; give a 1-D tensor of integers")
    _check_range(index, x.shape[d], "index_select")
    return getitem(x, (slice(None),) * d + (index,))


def _check_range(index, n: int, op: str) -> None:
    if index.dtype.kind not in "iu":
        raise IndexError(f"{op}: the index is {index.dtype}; use integers")
    if index.size and looks_at_values(index) and (index.min() < 0 or index.max() >= n):
        raise IndexError(f"{op}: indices {index.min()} to {index.max()} do not fit a dimension of size {n}")


def sort(x, dim=-1, descending=False):
    """(values, indices) in ascending (or descending) order along dim; equal elements keep their order."""
    (d,) = dims(dim, x.ndim, "sort")
    array = without_bfloat16(unwrap(x))
    xp = array_module(array)
    if descending:  # reversed input keeps equal elements in order after the second reversal
        n = array.shape[d]
        order = n - 1 - xp.flip(xp.argsort(xp.flip(array, d), axis=d, kind="stable"), d)
    else:
        order = xp.argsort(array, axis=d, kind="stable")
    return ValuesAndIndices(gather(x, d, order), wrap(order))


def topk(x, k, dim=-1, largest=True):
    """(values, indices) of the k largest (or smallest) elements along dim, in order."""
    (d,) = dims(dim, x.ndim, "topk")
    n = x.shape[d]
    if not 0 <= k <= n:
        raise ValueError(f"topk: k={k} of a dimension of size {n}; use 0 to {n}")
    array = without_bfloat16(unwrap(x))
    xp = array_module(array)
    keyed = -array if largest else array
    if 0 < k < n:  # a partition finds the k in linear time; only they are sorted
        candidates = xp.argpartition(keyed, k - 1, axis=d).take(xp.arange(k), axis=d)
    else:
        candidates = xp.argsort(keyed, axis=d, kind="stable").take(xp.arange(k), axis=d)
    order = xp.argsort(xp.take_along_axis(keyed, candidates, axis=d), axis=d, kind="stable")
    chosen = xp.take_along_axis(candidates, order, axis=d)
    return ValuesAndIndices(gather(x, d, chosen), wrap(chosen))


def nonzero(x):
    """The indices of the elements that are not 0, shape (count, ndim); int64, no gradient."""
    array = unwrap(x)
    return wrap(array_module(array).argwhere(array).astype(np.int64))
