"""Reductions: many elements to one, over all or some dimensions."""

import math
from typing import NamedTuple

import numpy as np

from minigrad.amp import for_sums
from minigrad.devices import array_module
from minigrad.dtypes import FLOATING, is_half, without_bfloat16
from minigrad.function import Function
from minigrad.ops.elementwise import abs_, exp, log, pow, sqrt, square, where
from minigrad.tensor import Tensor, unwrap, wrap


class ValuesAndIndices(NamedTuple):
    """What max(dim), min(dim), sort and topk return."""

    values: Tensor
    indices: Tensor


def dims(dim, ndim: int, op: str) -> tuple[int, ...]:
    """dim as a sorted tuple of non-negative numbers; None means all of them."""
    if dim is None:
        return tuple(range(ndim))
    given = dim if isinstance(dim, (tuple, list)) else (dim,)
    limit = ndim or 1  # a 0-d tensor takes dim 0 and -1, as in PyTorch
    found = []
    for d in given:
        if not -limit <= d < limit:
            raise IndexError(f"{op}: dim {d} of a tensor with {ndim} dimensions; use {-ndim} to {ndim - 1}")
        found.append(d % ndim if ndim else 0)
    if len(set(found)) != len(found):
        raise ValueError(f"{op}: dim {tuple(given)} names a dimension twice")
    return tuple(sorted(found)) if ndim else ()


def keep_dims(reduced, shape: tuple, dim: tuple):
    """A reduced array with its lost dimensions back, as ones, so that it broadcasts against the input."""
    return reduced.reshape(tuple(1 if i in dim else n for i, n in enumerate(shape)))


class Sum(Function):
    """y = Σ x over dim;  dx = g, repeated along dim."""

    def __init__(self, dim: tuple, keepdim: bool):
        self.dim, self.keepdim = dim, keepdim

    def forward(self, x):
        self.from_shape = x.shape
        if is_half(x.dtype):  # added up in float32
            return x.sum(axis=self.dim, keepdims=self.keepdim, dtype=np.float32).astype(x.dtype)
        return x.sum(axis=self.dim, keepdims=self.keepdim)

    def backward(self, grad):
        from minigrad.ops.shape import expand

        return expand(keep_dims(grad, self.from_shape, self.dim), self.from_shape)


class Prod(Function):
    """y = Π x over dim;  dx_i = g·Π_{j≠i} x_j, from products before and after i, so zeros are exact."""

    def __init__(self, dim: int):
        self.dim = dim

    def forward(self, x):
        self.save_for_backward(x)
        return x.prod(axis=self.dim)

    def backward(self, grad):
        from minigrad.ops.shape import cat, expand

        (x,) = self.saved
        x = x.swapaxes(self.dim, -1)
        n = x.shape[-1]
        others = []
        for i in range(n):
            rest = cat([x[..., :i], x[..., i + 1 :]], -1) if n > 1 else x[..., :0]
            others.append(_product_of_last(rest, n - 1))
        stacked = cat([o.reshape((*o.shape, 1)) for o in others], -1) if others else x
        return (expand(grad.reshape((*grad.shape, 1)), stacked.shape) * stacked).swapaxes(self.dim, -1)


def _product_of_last(x, n: int):
    """The product over the last dimension, of length n, by halves: differentiable as it stands."""
    if n == 0:
        return x.sum(-1) * 0 + 1
    if n == 1:
        return x[..., 0]
    return _product_of_last(x[..., : n // 2], n // 2) * _product_of_last(x[..., n // 2 :], n - n // 2)


class Extreme(Function):
    """y = max x (or min) over dim; the gradient goes to the extreme elements, in equal shares at a tie."""

    def __init__(self, dim: tuple, keepdim: bool, largest: bool):
        self.dim, self.keepdim, self.largest = dim, keepdim, largest

    def forward(self, x):
        y = x.max(axis=self.dim, keepdims=True) if self.largest else x.min(axis=self.dim, keepdims=True)
        chosen = (x == y).astype(x.dtype)
        self.share = chosen / chosen.sum(axis=self.dim, keepdims=True)
        return y if self.keepdim else y.reshape(tuple(n for i, n in enumerate(x.shape) if i not in self.dim))

    def backward(self, grad):
        return keep_dims(grad, self.share.shape, self.dim) * self.share


class CumSum(Function):
    """y_i = Σ_{j≤i} x_j along dim;  dx_j = Σ_{i≥j} g_i."""

    def __init__(self, dim: int):
        self.dim = dim

    def forward(self, x):
        wide = without_bfloat16(x)
        return wide.cumsum(axis=self.dim, dtype=wide.dtype).astype(x.dtype, copy=False)

    def backward(self, grad):
        from minigrad.ops.shape import flip

        return flip(cumsum(flip(grad, self.dim), self.dim), self.dim)


def sum(x, dim=None, keepdim=False):
    """Σ x over dim (an int, a tuple or None for all). Booleans are counted."""
    return Sum(dims(dim, x.ndim, "sum"), keepdim)(for_sums(x))


def mean(x, dim=None, keepdim=False):
    """The mean over dim; floating tensors only."""
    dim = dims(dim, x.ndim, "mean")
    if unwrap(x).dtype.kind not in FLOATING:
        raise TypeError(f"mean: a {unwrap(x).dtype} tensor has no floating mean; use .astype('float32') first")
    return sum(x, dim, keepdim) / math.prod(x.shape[d] for d in dim)


def var(x, dim=None, keepdim=False, correction=1):
    """The variance Σ (x - mean)² / (n - correction) over dim, of n elements each (1: unbiased; 0: population).

    ValueError unless n > correction.
    """
    dim = dims(dim, x.ndim, "var")
    n = math.prod(x.shape[d] for d in dim)
    if n - correction <= 0:
        raise ValueError(f"var: {n} elements with correction={correction}; pass correction=0 for so few")
    return sum(square(x - mean(x, dim, keepdim=True)), dim, keepdim) / (n - correction)


def std(x, dim=None, keepdim=False, correction=1):
    """The standard deviation over dim: √var."""
    return sqrt(var(x, dim, keepdim, correction))


def prod(x, dim=None, keepdim=False):
    """Π x over one dim, or over all elements."""
    x = for_sums(x)
    if dim is None:
        return Prod(0)(x.reshape((-1,)))
    (d,) = dims(dim, x.ndim, "prod")
    y = Prod(d)(x)
    return keep_dims(y, x.shape, (d,)) if keepdim else y


def _extreme(x, dim, keepdim, largest: bool):
    op = "max" if largest else "min"
    if unwrap(x).size == 0:
        raise ValueError(f"{op}: a tensor of shape {x.shape} has no elements")
    where_to = dims(dim, x.ndim, op)
    values = Extreme(where_to, keepdim, largest)(x)
    if dim is None or isinstance(dim, (tuple, list)) or not isinstance(x, Tensor):
        return values
    return ValuesAndIndices(values, argmax(x, dim, keepdim) if largest else argmin(x, dim, keepdim))


def max(x, dim=None, keepdim=False):
    """The largest element; with an int dim, (values, indices) along it. Ties share the gradient."""
    return _extreme(x, dim, keepdim, True)


def min(x, dim=None, keepdim=False):
    """The smallest element; with an int dim, (values, indices) along it. Ties share the gradient."""
    return _extreme(x, dim, keepdim, False)


def amax(x, dim=None, keepdim=False):
    """The largest element over one or several dims, values only."""
    return Extreme(dims(dim, x.ndim, "amax"), keepdim, True)(x)


def amin(x, dim=None, keepdim=False):
    """The smallest element over one or several dims, values only."""
    return Extreme(dims(dim, x.ndim, "amin"), keepdim, False)(x)


def _arg(x, dim, keepdim, name: str):
    array = unwrap(x)
    if array.size == 0:
        raise ValueError(f"{name}: a tensor of shape {array.shape} has no elements")
    if dim is None:
        found = getattr(array, name)()
        found = found.reshape((1,) * array.ndim) if keepdim else found
    else:
        (d,) = dims(dim, array.ndim, name) or (None,)
        found = getattr(array, name)(axis=d)
        found = array_module(array).expand_dims(found, d) if keepdim and d is not None else found
    return wrap(array_module(array).asarray(found, dtype=np.int64))


def argmax(x, dim=None, keepdim=False):
    """The index of the largest element, the first at a tie; int64, no gradient."""
    return _arg(x, dim, keepdim, "argmax")


def argmin(x, dim=None, keepdim=False):
    """The index of the smallest element, the first at a tie; int64, no gradient."""
    return _arg(x, dim, keepdim, "argmin")


def cumsum(x, dim):
    """The running sum along dim."""
    (d,) = dims(dim, x.ndim, "cumsum") or (0,)
    return CumSum(d)(for_sums(x))


def logsumexp(x, dim=None, keepdim=False):
    """ln Σ eˣ over dim, computed around the maximum so that it cannot overflow."""
    dim, x = dims(dim, x.ndim, "logsumexp"), for_sums(x)
    array = unwrap(x)
    top = array.max(axis=dim, keepdims=True)
    top = array_module(array).where(array_module(array).isfinite(top), top, 0).astype(array.dtype)
    y = log(sum(exp(x - top), dim, keepdim=True)) + top
    return y if keepdim else y.reshape(tuple(n for i, n in enumerate(x.shape) if i not in dim))


def norm(x, p=2, dim=None, keepdim=False):
    """The p-norm (Σ|x|ᵖ)^(1/p) over dim; p may be inf. The gradient at the zero vector is 0."""
    x = for_sums(x)
    if p == math.inf:
        return amax(abs_(x), dim, keepdim)
    if p == 1:
        return sum(abs_(x), dim, keepdim)
    total = sum(square(x) if p == 2 else pow(abs_(x), p), dim, keepdim)
    zero = unwrap(total) == 0  # √ has no derivative at 0: step aside there and give 0
    root = pow(where(zero, unwrap(total).dtype.type(1), total), 1.0 / p)
    return where(zero, unwrap(total).dtype.type(0), root)


def any_(x, dim=None, keepdim=False):
    """Whether some element is true, over dim."""
    return _logical(x, dim, keepdim, "any")


def all_(x, dim=None, keepdim=False):
    """Whether every element is true, over dim."""
    return _logical(x, dim, keepdim, "all")


def _logical(x, dim, keepdim, name):
    array = unwrap(x)
    found = getattr(array, name)(axis=dims(dim, array.ndim, name), keepdims=keepdim)
    return wrap(array_module(array).asarray(found))
