"""The largest and the smallest, and elements in order: max, argmax, sort, top-k.

NaN is larger than every number, as in PyTorch: max gives it, sort puts it last.
"""

from typing import Any, NamedTuple

import numpy as np

from minigrad.devices import array_module, is_array
from minigrad.dtypes import is_half, without_bfloat16
from minigrad.function import Function
from minigrad.ops.dims import at_least_1d, dims, keep_dims, reduced_dims
from minigrad.ops.elementwise import maximum, minimum
from minigrad.ops.index import Gather, Index, Place, along
from minigrad.ops.keywords import also_takes
from minigrad.tensor import Tensor, unwrap, wrap


class ValuesAndIndices(NamedTuple):
    """What max(dim), min(dim), sort and topk return."""

    values: Tensor
    indices: Tensor


class Extreme(Function):
    """y = max x (or min) over dim; the gradient goes to the extreme elements, in equal shares at a tie."""

    fresh = True

    def __init__(self, dim: tuple, keepdim: bool, largest: bool):
        self.dim, self.keepdim, self.largest = dim, keepdim, largest

    def forward(self, x):
        y = x.max(axis=self.dim, keepdims=self.keepdim) if self.largest else x.min(axis=self.dim, keepdims=self.keepdim)
        self.save_for_backward(x, y)
        return y

    def backward(self, grad):
        x, y = map(unwrap, self.saved)
        chosen = (x == keep_dims(y, x.shape, self.dim)) | (x != x)  # there is a NaN only where y is one
        count = chosen.sum(axis=self.dim, keepdims=True).astype(np.float32 if is_half(x.dtype) else x.dtype)
        return keep_dims(grad, x.shape, self.dim) / count * chosen

    def flops(self, inputs, outputs):
        return inputs[0].size  # comparisons


class ExtremeAt(Function):
    """y = x at the indices of the largest (or smallest) along dim;  dx = g there, 0 elsewhere."""

    fresh = True

    def __init__(self, where, dim: int, keepdim: bool, largest: bool):
        self.where, self.dim, self.keepdim, self.largest = where, dim, keepdim, largest

    def forward(self, x):
        self.from_shape = x.shape
        return (
            x.max(axis=self.dim, keepdims=self.keepdim) if self.largest else x.min(axis=self.dim, keepdims=self.keepdim)
        )

    def backward(self, grad):
        where = array_module(self.where).expand_dims(self.where, self.dim)
        return Place(Index(None, along(where, self.dim)), self.from_shape)(
            keep_dims(grad, self.from_shape, (self.dim,))
        )

    def flops(self, inputs, outputs):
        return inputs[0].size  # comparisons

    def backward_flops(self, grads, results):
        return 0


def _extreme(x, dim, keepdim, largest: bool):
    op = "max" if largest else "min"
    if isinstance(dim, Tensor) or is_array(dim):
        return maximum(x, dim) if largest else minimum(x, dim)  # torch.max(x, y)
    if dim is None or isinstance(dim, (tuple, list)):
        dim = None if dim is None else tuple(dim)
        return amax(x, dim, keepdim) if largest else amin(x, dim, keepdim)
    array = unwrap(x)
    gone = dims(dim, x.ndim, op)
    _check_not_empty(op, array, gone)
    if not gone:
        return at_least_1d(_extreme, x, 0, False, largest)
    (d,) = gone
    where = _arg(array, d, largest)
    values = ExtremeAt(where, d, keepdim, largest)(x)
    indices = keep_dims(where, x.shape, gone) if keepdim else where
    return ValuesAndIndices(values, wrap(indices)) if isinstance(x, Tensor) else values


@also_takes("axis", "keepdims")
def max(x: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """The largest element; with an int dim, (values, indices) along it.

    Over all elements, or over a tuple of dims, ties share the gradient; along one dim it goes to the element that the
    index names, the first. ValueError if there is nothing to take the largest of.
    """
    return _extreme(x, dim, keepdim, True)


@also_takes("axis", "keepdims")
def min(x: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """The smallest element; with an int dim, (values, indices) along it. Gradients and errors are max's."""
    return _extreme(x, dim, keepdim, False)


@also_takes("axis", "keepdims")
def amax(x: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The largest element over one or several dims, values only. Ties share the gradient."""
    gone = reduced_dims(dim, x.ndim, "amax")
    _check_not_empty("amax", unwrap(x), gone)
    return Extreme(gone, keepdim, True)(x)


@also_takes("axis", "keepdims")
def amin(x: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The smallest element over one or several dims, values only. Ties share the gradient."""
    gone = reduced_dims(dim, x.ndim, "amin")
    _check_not_empty("amin", unwrap(x), gone)
    return Extreme(gone, keepdim, False)(x)


@also_takes("axis", "keepdims")
def argmax(x: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The index of the largest element, the first at a tie, in the flattened x or along dim; int64, no gradient."""
    return _arg_over("argmax", x, dim, keepdim, True)


@also_takes("axis", "keepdims")
def argmin(x: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The index of the smallest element, the first at a tie, in the flattened x or along dim; int64, no gradient."""
    return _arg_over("argmin", x, dim, keepdim, False)


def _arg_over(op: str, x, dim, keepdim: bool, largest: bool):
    array = unwrap(x)
    gone = dims(dim, array.ndim, op)
    _check_not_empty(op, array, gone)
    found = _arg(array, None if dim is None or array.ndim == 0 else gone[0], largest)
    return wrap(keep_dims(found, array.shape, gone) if keepdim else found)


def _arg(array, axis: int | None, largest: bool):
    found = array.argmax(axis=axis) if largest else array.argmin(axis=axis)
    return array_module(array).asarray(found, dtype=np.int64)


def _check_not_empty(op: str, array, gone: tuple) -> None:
    if array.size == 0 and (not gone or any(array.shape[d] == 0 for d in gone)):
        raise ValueError(f"{op}: a tensor of shape {array.shape} has no elements to choose from over dim {gone}")


@also_takes("axis")
def sort(x: Tensor, dim: Any = -1, descending: bool = False, stable: bool = True) -> Any:
    """(values, indices) in ascending (or descending) order along dim; equal elements always keep their order."""
    d = dims(dim, x.ndim, "sort")
    return at_least_1d(_sort, x, *(d or (0,)), descending)


def _sort(x, d: int, descending: bool):
    order = _order(without_bfloat16(unwrap(x)), d, descending)
    return _taken(x, order, d)


def _order(array, d: int, descending: bool):
    """The indices that put an array in order along d, the first of equal elements first."""
    xp = array_module(array)
    if not descending:
        return xp.argsort(array, axis=d, kind="stable")
    # The reverse of an ascending order; of the reversed array, so that equal elements keep their order.
    return array.shape[d] - 1 - xp.flip(xp.argsort(xp.flip(array, d), axis=d, kind="stable"), d)


@also_takes("axis")
def topk(x: Tensor, k: int, dim: Any = -1, largest: bool = True, sorted: bool = True) -> Any:
    """(values, indices) of the k largest (or smallest) elements along dim, always in order; of equal ones any."""
    d = dims(dim, x.ndim, "topk")
    n = x.shape[d[0]] if d else 1
    if not 0 <= k <= n:
        raise ValueError(f"topk: k={k} of a dimension of size {n}; use 0 to {n}")
    return at_least_1d(_topk, x, k if d else 1, *(d or (0,)), largest)


def _topk(x, k: int, d: int, largest: bool):
    array = without_bfloat16(unwrap(x))
    xp = array_module(array)
    n = array.shape[d]
    if 0 < k < n:  # a partition finds the k in linear time; only they are sorted
        split = xp.argpartition(array, n - k if largest else k - 1, axis=d)
        chosen = xp.sort(split.take(xp.arange(n - k, n) if largest else xp.arange(k), axis=d), axis=d)
        ranks = _order(xp.take_along_axis(array, chosen, axis=d), d, largest)
        order = xp.take_along_axis(chosen, ranks, axis=d)
    else:
        order = _order(array, d, largest).take(xp.arange(k), axis=d)
    return _taken(x, order, d)


def _taken(x, order, d: int) -> ValuesAndIndices:
    return ValuesAndIndices(Gather(order, d)(x), wrap(order))


def nonzero(x: Tensor, *, as_tuple: bool = False) -> Any:
    """The indices of the elements that are not 0, shape (count, ndim); int64, no gradient.

    as_tuple  instead a tensor (count,) for each dimension, which together are an index: x[nonzero(x, as_tuple=True)]
    """
    array = unwrap(x)
    if as_tuple:
        return tuple(wrap(places.astype(np.int64)) for places in (array if array.ndim else array.reshape(1)).nonzero())
    return wrap(array_module(array).argwhere(array).astype(np.int64))
