"""Scans, which carry a value along a dimension: running sums and products, and the product of all."""

import math
from typing import Any

import numpy as np

from minigrad.amp import for_sums
from minigrad.devices import array_module
from minigrad.dtypes import is_half, without_bfloat16
from minigrad.function import Function
from minigrad.ops.conversion import astype
from minigrad.ops.dims import at_least_1d, dims, keep_dims, reduced_dims
from minigrad.ops.keywords import also_takes
from minigrad.ops.shape import cat, flip, permute, reshape, swapaxes
from minigrad.tensor import Tensor, unwrap
from minigrad.typing import Dim


class CumSum(Function):
    """y_i = Σ_{j≤i} x_j along dim;  dx_j = Σ_{i≥j} g_i."""

    def __init__(self, dim: int):
        self.dim = dim

    def forward(self, x):
        return _rounded(without_bfloat16(x).cumsum(axis=self.dim, dtype=_wide_dtype(x)), x)

    def backward(self, grad):
        return flip(cumsum(flip(grad, self.dim), self.dim), self.dim)

    def backward_flops(self, grads, results):
        return grads[0].size


class CumProd(Function):
    """y_i = Π_{j≤i} x_j along dim;  dx_j = s_j·Π_{i<j} x_i  with  s_j = x_{j+1}·s_{j+1} + g_j: exact with zeros."""

    def __init__(self, dim: int):
        self.dim = dim

    def forward(self, x):
        self.save_for_backward(x)
        return _rounded(without_bfloat16(x).cumprod(axis=self.dim, dtype=_wide_dtype(x)), x)

    def backward(self, grad):
        (x,) = self.saved
        wide = swapaxes(astype(x, _wide_dtype(x)), self.dim, -1)
        grad = swapaxes(astype(grad, wide.dtype), self.dim, -1)
        dx = products_before(wide) * _backwards(_next(wide), grad)
        return astype(swapaxes(dx, self.dim, -1), x.dtype)

    def backward_flops(self, grads, results):
        return 4 * results[0].size  # the running product, s with a multiply-add, and their product


class Prod(Function):
    """y = Π x along dim;  dx_i = g·(Π_{j<i} x_j)·(Π_{j>i} x_j), the products on each side of x_i: exact with zeros."""

    def __init__(self, dim: int):
        self.dim = dim

    def forward(self, x):
        self.save_for_backward(x)
        return _rounded(without_bfloat16(x).prod(axis=self.dim, dtype=_wide_dtype(x)), x)

    def backward(self, grad):
        (x,) = self.saved
        wide = swapaxes(astype(x, _wide_dtype(x)), self.dim, -1)
        others = products_before(wide) * flip(products_before(flip(wide, -1)), -1)
        grad = keep_dims(astype(grad, wide.dtype), x.shape, (self.dim,))
        return astype(grad * swapaxes(others, self.dim, -1), x.dtype)

    def flops(self, inputs, outputs):
        return inputs[0].size

    def backward_flops(self, grads, results):
        return 4 * results[0].size  # two running products, multiplied with one another and g


class Recurrence(Function):
    """y_i = a_i·y_{i-1} + b_i along the last dimension;  db_i = a_{i+1}·db_{i+1} + g_i,  da_i = db_i·y_{i-1}."""

    def forward(self, a, b):
        xp = array_module(a)
        y = xp.empty(a.shape, b.dtype)
        a_steps, b_steps, steps = (xp.moveaxis(x, -1, 0) for x in (a, b, y))
        for i in range(len(steps)):
            steps[i] = a_steps[i] * steps[i - 1] + b_steps[i] if i else b_steps[i]
        self.save_for_backward(a, y)
        return y

    def backward(self, grad):
        a, y = self.saved
        db = _backwards(_next(a), grad)
        return db * _previous(y), db

    def flops(self, inputs, outputs):
        return 2 * outputs[0].size

    def backward_flops(self, grads, results):
        return 3 * grads[0].size


@also_takes("axis", "dtype")
def cumsum(x: Tensor, dim: int) -> Tensor:
    """The running sum along dim: y_i = x_0 + … + x_i. Of integers and booleans in int64."""
    d = dims(dim, x.ndim, "cumsum")
    return CumSum(*d)(for_sums(x)) if d else at_least_1d(CumSum(0), for_sums(x))


@also_takes("axis", "dtype")
def cumprod(x: Tensor, dim: int) -> Tensor:
    """The running product along dim: y_i = x_0 · … · x_i. Of integers and booleans in int64."""
    d = dims(dim, x.ndim, "cumprod")
    return CumProd(*d)(for_sums(x)) if d else at_least_1d(CumProd(0), for_sums(x))


@also_takes("axis", "keepdims", "dtype")
def prod(x: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Π x over dim (an int, a tuple or None for all); 1 for no elements. Of integers and booleans in int64."""
    x, gone = for_sums(x), reduced_dims(dim, x.ndim, "prod")
    kept = [d for d in range(x.ndim) if d not in gone]
    if len(gone) == 1:
        y = Prod(gone[0])(x)
    else:  # several dims as one, the last
        rows = permute(x, kept + list(gone)) if kept else x
        y = Prod(len(kept))(reshape(rows, *(x.shape[d] for d in kept), math.prod(x.shape[d] for d in gone)))
    return keep_dims(y, x.shape, gone) if keepdim else y


def products_before(x: Any) -> Any:
    """y_i = Π_{j<i} x_j along the last dimension: 1 first, and without the last element."""
    array = unwrap(x)
    if array.shape[-1] == 0:
        return x
    ones = array_module(array).ones((*array.shape[:-1], 1), array.dtype)
    return cumprod(cat([ones, x[..., :-1]], -1), -1)


def _backwards(a, b):
    """y_i = a_i·y_{i+1} + b_i along the last dimension, from 0 after it."""
    return flip(Recurrence()(flip(a, -1), flip(b, -1)), -1)


def _next(x):
    """x_{i+1} along the last dimension, and 0 last."""
    return cat([x[..., 1:], _zero(x)], -1)


def _previous(x):
    """x_{i-1} along the last dimension, and 0 first."""
    return cat([_zero(x), x[..., :-1]], -1)


def _zero(x):
    array = unwrap(x)
    return array_module(array).zeros_like(array[..., :1])


_INT64, _FLOAT32, _FLOAT64 = np.dtype(np.int64), np.dtype(np.float32), np.dtype(np.float64)


def _wide_dtype(x) -> np.dtype:
    """The dtype that a scan over x carries: int64 for integers, float32 for half precision, float64 on the CPU."""
    dtype = x.dtype
    if dtype.kind in "iub":
        return _INT64
    if is_half(dtype):
        return _FLOAT32
    return _FLOAT64 if array_module(unwrap(x)) is np else dtype


def _rounded(y, x):
    """The result of a scan in the dtype of x; of integers in int64."""
    if x.dtype.kind in "iub":
        return y
    if not is_half(x.dtype):
        return y.astype(x.dtype, copy=False)
    with np.errstate(over="ignore"):  # what half precision cannot hold is inf
        return y.astype(x.dtype)
