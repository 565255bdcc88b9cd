"""Placing and picking at positions that a tensor names: scatter, index_add, masked_select and others."""

import math
from typing import Any

import numpy as np

from minigrad.devices import array_module, looks_at_values
from minigrad.ops.conversion import astype
from minigrad.ops.dims import dims, one_dim
from minigrad.ops.index import Index, Place, SetItem, _check_range, along, gather, getitem
from minigrad.ops.order import sort
from minigrad.ops.rearrange import broadcast_shapes
from minigrad.ops.shape import broadcast_to, reshape
from minigrad.tensor import Tensor, unwrap


def scatter(x: Tensor, dim: int, index: Tensor, src: Any = None, *, value: float | None = None) -> Tensor:
    """x with src[i][j][k], or one number, at x[index[i][j][k]][j][k] for dim 0, and likewise for the others.

    src may be larger than index; its first elements count. Of several put in one place the last one stays.
    """
    if (src is None) == (value is None):
        raise TypeError("scatter: give src, a tensor, or value, a number; one of the two")
    place = unwrap(index)
    (d,) = dims(dim, x.ndim, "scatter") or (0,)
    src = value if src is None else src
    if isinstance(src, (Tensor, np.ndarray)) and src.ndim:
        if (
            place.ndim != x.ndim
            or src.ndim != x.ndim
            or any(i > n for i, n in zip(place.shape, src.shape, strict=True))
        ):
            raise ValueError(f"scatter: index {place.shape} and src {src.shape} do not fit {x.shape} along dim {d}")
        src = _in_dtype_of(x, src, "scatter")
        if src.shape != place.shape:
            src = getitem(src, tuple(slice(0, n) for n in place.shape))
    elif not isinstance(src, Tensor):
        src = unwrap(x).dtype.type(src)
    if place.ndim != x.ndim or any(i > n for j, (i, n) in enumerate(zip(place.shape, x.shape, strict=True)) if j != d):
        raise ValueError(f"scatter: index {place.shape} does not fit inside {x.shape} in the dimensions other than {d}")
    _check_range(place, x.shape[d] if x.ndim else 1, "scatter")
    if x.ndim == 0:
        return reshape(SetItem(Index(None, (place.reshape(1),)))(reshape(x, 1), src), ())
    return SetItem(Index(None, along(place, d), repeats=True))(x, src)


def index_add(x: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
    """x with alpha·source[i] added to slice index[i] along dim, every time an index is named."""
    if x.ndim == 0:
        return reshape(index_add(reshape(x, 1), dim, index, reshape(source, -1), alpha=alpha), ())
    place = _slices("index_add", x, dim, index)
    source = _in_dtype_of(x, source, "index_add")
    _check_source("index_add", x, place, source)
    added = Place(Index(None, place, repeats=True), x.shape)(source)
    return astype(x + (added if alpha == 1 else added * alpha), unwrap(x).dtype)


def index_copy(x: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """x with source[i] as slice index[i] along dim; of several for one slice the last one stays."""
    if x.ndim == 0:
        return reshape(index_copy(reshape(x, 1), dim, index, reshape(source, -1)), ())
    place = _slices("index_copy", x, dim, index)
    source = _in_dtype_of(x, source, "index_copy")
    _check_source("index_copy", x, place, source)
    return SetItem(Index(None, place, repeats=True))(x, source)


def index_fill(x: Tensor, dim: int, index: Tensor, value: float | Tensor) -> Tensor:
    """x with one value in the slices `index` along dim."""
    if x.ndim == 0:
        return reshape(index_fill(reshape(x, 1), dim, index, value), ())
    place = _slices("index_fill", x, dim, index)
    if getattr(unwrap(value), "ndim", 0):
        raise ValueError(f"index_fill: value has shape {unwrap(value).shape}; expected one number")
    return SetItem(Index(None, place))(x, value if isinstance(value, Tensor) else unwrap(x).dtype.type(value))


def masked_select(x: Tensor, mask: Tensor) -> Tensor:
    """The elements of x where the mask is True (the two broadcast), in order, as one dimension."""
    mask = unwrap(mask)
    if mask.dtype != np.bool_:
        raise TypeError(f"masked_select: the mask is {mask.dtype}; use booleans")
    shape = broadcast_shapes(x.shape, mask.shape)
    return getitem(broadcast_to(x, shape), array_module(mask).broadcast_to(mask, shape))


def masked_scatter(x: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """x with the elements of source, in order, where the mask is True (broadcast against x)."""
    mask = unwrap(mask)
    if mask.dtype != np.bool_:
        raise TypeError(f"masked_scatter: the mask is {mask.dtype}; use booleans")
    x = broadcast_to(x, broadcast_shapes(x.shape, mask.shape))
    mask = array_module(mask).broadcast_to(mask, x.shape)
    count = int(mask.sum())
    if count > math.prod(source.shape):
        raise ValueError(f"masked_scatter: {count} places but {math.prod(source.shape)} elements in source")
    source = getitem(reshape(_in_dtype_of(x, source, "masked_scatter"), -1), slice(0, count))
    return SetItem(Index(None, mask))(x, source)


def take(x: Tensor, index: Any) -> Tensor:
    """The elements of x, as if it were flat, at `index`, in the shape of index; negative ones count from the end."""
    index = unwrap(index)
    size = math.prod(x.shape)
    if index.dtype.kind not in "iu":
        raise IndexError(f"take: the index is {index.dtype}; use integers")
    if index.size and looks_at_values(index) and (index.min() < -size or index.max() >= size):
        raise IndexError(f"take: indices {index.min()} to {index.max()} do not fit {size} elements")
    return getitem(reshape(x, -1), index)


def take_along_dim(x: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """y[i][j][k] = x[indices[i][j][k]][j][k] for dim 0, the two broadcast: what argmax and argsort point at.

    Without dim x is flat.
    """
    index = unwrap(indices)
    if dim is None:
        return gather(reshape(x, -1), 0, index.reshape(-1))
    d = one_dim(dim, x.ndim, "take_along_dim")
    if index.ndim != x.ndim:
        raise ValueError(f"take_along_dim: indices {index.shape} for {x.shape}; expected as many dimensions")
    rest = broadcast_shapes(*((*shape[:d], 1, *shape[d + 1 :]) for shape in (x.shape, index.shape)))
    index = array_module(index).broadcast_to(index, (*rest[:d], index.shape[d], *rest[d + 1 :]))
    return gather(broadcast_to(x, (*rest[:d], x.shape[d], *rest[d + 1 :])), d, index)


def argsort(x: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = True) -> Tensor:
    """The indices that sort x along dim; equal elements keep their order, whether or not stable is asked for."""
    return sort(x, dim, descending).indices


def _slices(op: str, x, dim, index) -> tuple:
    """The index that names the slices `index` of x along dim."""
    index = unwrap(index)
    if index.ndim > 1:
        raise ValueError(f"{op}: the index has shape {index.shape}; give a 1-D tensor of integers")
    (d,) = dims(dim, x.ndim, op)
    _check_range(index, x.shape[d], op)
    return (slice(None),) * d + (index.reshape(-1),)


def _check_source(op: str, x, place: tuple, source) -> None:
    d = len(place) - 1
    expected = (*x.shape[:d], len(place[d]), *x.shape[d + 1 :])
    if source.shape != expected:
        raise ValueError(
            f"{op}: source {source.shape}; expected {expected}, a slice for each of {len(place[d])} indices"
        )


def _in_dtype_of(x, source, op: str):
    if unwrap(source).dtype != unwrap(x).dtype:
        raise TypeError(f"{op}: x is {unwrap(x).dtype}, the source {unwrap(source).dtype}: cast one with .to()")
    return source
