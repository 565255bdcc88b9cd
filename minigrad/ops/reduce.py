"""Reductions: sums, means and norms over all or some dimensions. The largest and smallest are in order.py."""

import math
from typing import Any

import numpy as np

from minigrad.amp import for_sums
from minigrad.devices import array_module
from minigrad.dtypes import FLOATING, is_half
from minigrad.function import Function
from minigrad.kernels.reference.sum import total, wide_total
from minigrad.ops.conversion import astype, floating
from minigrad.ops.dims import dims, drop_dims, keep_dims, reduced_dims
from minigrad.ops.elementwise import abs_, exp, pow, sqrt, square, where
from minigrad.ops.half import in_float32
from minigrad.ops.keywords import also_takes
from minigrad.ops.order import amax, amin
from minigrad.ops.shape import Expand
from minigrad.tensor import Tensor, unwrap, wrap


class Sum(Function):
    """y = Σ x over dim;  dx = g, repeated along dim."""

    def __init__(self, dim: tuple, keepdim: bool):
        self.dim, self.keepdim = dim, keepdim

    def forward(self, x):
        self.from_shape = x.shape
        return total(x, self.dim, self.keepdim)

    def backward(self, grad):
        return Expand(self.from_shape)(keep_dims(grad, self.from_shape, self.dim))

    def flops(self, inputs, outputs):
        return inputs[0].size

    def backward_flops(self, grads, results):
        return 0


class Mean(Function):
    """y = Σ x / n over dim, of n elements each;  dx = g/n, repeated along dim."""

    def __init__(self, dim: tuple, keepdim: bool):
        self.dim, self.keepdim = dim, keepdim

    def forward(self, x):
        self.from_shape = x.shape
        self.n = math.prod(x.shape[d] for d in self.dim)
        return (wide_total(x, self.dim, self.keepdim) / (self.n or math.nan)).astype(x.dtype, copy=False)

    def backward(self, grad):
        dtype = unwrap(grad).dtype
        each = astype(grad, np.float32) if is_half(dtype) else grad  # n may be more than float16 can hold
        return Expand(self.from_shape)(keep_dims(each / (self.n or 1), self.from_shape, self.dim))

    def flops(self, inputs, outputs):
        return inputs[0].size + outputs[0].size

    def backward_flops(self, grads, results):
        return grads[0].size  # divisions, before it is repeated


class LogSumExp(Function):
    """y = ln Σ eˣ over dim, computed around the maximum so that it cannot overflow;  dx = g·e^(x - y)."""

    fresh = True

    def __init__(self, dim: tuple, keepdim: bool):
        self.dim, self.keepdim = dim, keepdim

    def forward(self, x):
        xp = array_module(x)
        top = x.max(axis=self.dim, keepdims=True, initial=-math.inf) if x.size == 0 else x.max(self.dim, keepdims=True)
        offset = xp.where(xp.isfinite(top), top, x.dtype.type(0))
        with np.errstate(divide="ignore", over="ignore"):  # ln 0 of nothing but -inf, e^inf
            y = xp.log(total(xp.exp(x - offset), self.dim, True)) + offset
        y = y if self.keepdim else drop_dims(y, self.dim)
        self.save_for_backward(x, y)
        return y

    def backward(self, grad):
        x, y = self.saved
        with np.errstate(invalid="ignore"):  # -inf - -inf
            return keep_dims(grad, x.shape, self.dim) * exp(x - keep_dims(y, x.shape, self.dim))

    def flops(self, inputs, outputs):
        return 4 * inputs[0].size + 2 * outputs[0].size  # maximum, subtract, exp, sum; ln, add

    def backward_flops(self, grads, results):
        return 3 * results[0].size  # subtract, exp, multiply


class Norm(Function):
    """y = (Σ|x|ᵖ)^(1/p) over dim;  dx = g·sign x·(|x|/y)^(p-1)  (0 where x or y is 0)."""

    fresh = True

    def __init__(self, p: float, dim: tuple, keepdim: bool):
        self.p, self.dim, self.keepdim = p, dim, keepdim

    def forward(self, x):
        with np.errstate(divide="ignore", over="ignore"):  # 0^p = inf for a negative p
            powers = x * x if self.p == 2 else abs(x) ** self.p
            y = total(powers, self.dim, self.keepdim)
            y = array_module(x).sqrt(y) if self.p == 2 else y ** (1 / self.p)
        self.save_for_backward(x, y)
        return y

    def backward(self, grad):
        x, y = self.saved
        grad, y = keep_dims(grad, x.shape, self.dim), keep_dims(y, x.shape, self.dim)
        one, zero = unwrap(x).dtype.type(1), unwrap(x).dtype.type(0)
        if self.p == 2:
            blind = unwrap(y) == 0
            return where(blind, zero, grad * (x / where(blind, one, y)))
        blind = (unwrap(x) == 0) | (unwrap(y) == 0)
        ratio = where(blind, one, abs_(x) / where(unwrap(y) == 0, one, y))
        return where(blind, zero, grad * array_module(unwrap(x)).sign(unwrap(x)) * pow(ratio, self.p - 1))

    def flops(self, inputs, outputs):
        return (2 if self.p == 2 else 3) * inputs[0].size + outputs[0].size  # (absolute value,) power, sum; root

    def backward_flops(self, grads, results):
        return (2 if self.p == 2 else 5) * results[0].size  # divide, times g (absolute value, power, times the sign)


class Count(Function):
    """y = the number of elements over dim that are not 0;  dx = 0."""

    def __init__(self, dim: tuple, keepdim: bool):
        self.dim, self.keepdim = dim, keepdim

    def forward(self, x):
        self.from_shape = x.shape
        return total(x != 0, self.dim, self.keepdim).astype(x.dtype)

    def backward(self, grad):
        return Expand(self.from_shape)(keep_dims(grad * 0.0, self.from_shape, self.dim))

    def flops(self, inputs, outputs):
        return inputs[0].size

    def backward_flops(self, grads, results):
        return 0


@also_takes("axis", "keepdims", "dtype")
def sum(x: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Σ x over dim (an int, a tuple or None for all). Of integers, and of booleans, which count, in int64."""
    return Sum(reduced_dims(dim, x.ndim, "sum"), keepdim)(for_sums(x))


@also_takes("axis", "keepdims", "dtype")
def mean(x: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The mean over dim, NaN of no elements. TypeError for integers."""
    dim = reduced_dims(dim, x.ndim, "mean")
    _check_floating("mean", x)
    return Mean(dim, keepdim)(for_sums(x))


def _correction(op: str, dim, unbiased, correction) -> tuple:
    """dim and correction; unbiased is True for 1, False for 0, and may stand alone in the place of dim."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None and correction is not None:
        raise TypeError(f"{op}: unbiased and correction say the same; give one of them")
    if unbiased is not None:
        return dim, int(unbiased)
    return dim, 1 if correction is None else correction


@also_takes("axis", "keepdims")
@in_float32
def var(
    x: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None
) -> Tensor:
    """The variance Σ (x - mean)² / (n - correction) over dim, of n elements each (1: unbiased; 0: population).

    unbiased  True for correction=1, which is what is taken when neither is given; False for correction=0

    ValueError unless n > correction, where PyTorch warns and gives NaN: a batch of one is a mistake to hear of.
    """
    dim, correction = _correction("var", dim, unbiased, correction)
    dim = reduced_dims(dim, x.ndim, "var")
    n = math.prod(x.shape[d] for d in dim)
    if n - correction <= 0:
        raise ValueError(f"var: {n} elements with correction={correction}; pass correction=0 for so few")
    return sum(square(x - mean(x, dim, keepdim=True)), dim, keepdim) / (n - correction)


@also_takes("axis", "keepdims")
@in_float32
def std(
    x: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None
) -> Tensor:
    """The standard deviation over dim, √var. Its gradient where all elements are equal is 0."""
    variance = var(x, dim, unbiased, keepdim, correction=correction)
    constant = unwrap(variance) == 0  # √ has no derivative at 0: step aside there
    one, zero = unwrap(variance).dtype.type(1), unwrap(variance).dtype.type(0)
    return where(constant, zero, sqrt(where(constant, one, variance)))


@also_takes("axis", "keepdims")
def logsumexp(x: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """ln Σ eˣ over dim, without overflow; -inf of no elements. Integers are taken as float32."""
    return _logsumexp(floating(x), dim, keepdim)


@in_float32
def _logsumexp(x, dim, keepdim):
    return LogSumExp(reduced_dims(dim, x.ndim, "logsumexp"), keepdim)(x)


@in_float32
def norm(x: Tensor, p: float | str = 2, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The p-norm (Σ|x|ᵖ)^(1/p) over dim, as torch.linalg.vector_norm.

    p  any number; inf is the largest |x|, -inf the smallest, 0 the number of elements that are not 0; "fro" is 2

    The gradient is 0 at an element, and for a norm, of 0. TypeError for integers; ValueError for another p, and for
    ±inf or a negative p of no elements.
    """
    p = 2 if p in ("fro", None) else p
    if not isinstance(p, (int, float, np.number)) or p != p:
        raise ValueError(f'norm: p={p!r}; expected a number, inf or -inf among them, or "fro"')
    _check_floating("norm", x)
    gone = reduced_dims(dim, x.ndim, "norm")
    if abs(p) == math.inf:
        return (amax if p > 0 else amin)(abs_(x), gone, keepdim)
    if p < 0 and any(x.shape[d] == 0 for d in gone):
        raise ValueError(f"norm: p={p} of no elements, x {x.shape}, has no value")
    if p == 0:
        return Count(gone, keepdim)(x)
    return sum(abs_(x), gone, keepdim) if p == 1 else Norm(p, gone, keepdim)(x)


@also_takes("axis", "keepdims")
def any_(x: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether some element is true, over dim."""
    return _logical(x, dim, keepdim, "any")


@also_takes("axis", "keepdims")
def all_(x: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether every element is true, over dim."""
    return _logical(x, dim, keepdim, "all")


def _logical(x, dim, keepdim, name):
    array = unwrap(x)
    found = getattr(array, name)(axis=dims(dim, array.ndim, name), keepdims=keepdim)
    return wrap(array_module(array).asarray(found))


def _check_floating(op: str, x) -> None:
    dtype = unwrap(x).dtype
    if dtype.kind not in FLOATING:
        raise TypeError(f"{op}: a {dtype} tensor has no floating {op}; use .astype('float32') first")
