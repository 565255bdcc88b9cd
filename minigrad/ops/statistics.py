"""Statistics beyond mean and var: medians, quantiles, the most frequent, counts, and what leaves NaN out."""

import math
from typing import Any, NamedTuple

import numpy as np

from minigrad.devices import array_module
from minigrad.dtypes import FLOATING, without_bfloat16
from minigrad.ops.dims import at_least_1d, dims
from minigrad.ops.elementwise import where
from minigrad.ops.index import Gather
from minigrad.ops.keywords import also_takes
from minigrad.ops.order import ValuesAndIndices, amax, amin, sort
from minigrad.ops.rearrange import movedim
from minigrad.ops.reduce import mean, std, sum, var
from minigrad.ops.running import accumulate
from minigrad.ops.shape import reshape, squeeze, unsqueeze
from minigrad.tensor import Tensor, unwrap, wrap
from minigrad.typing import Dim


class MinAndMax(NamedTuple):
    """What aminmax returns."""

    min: Tensor
    max: Tensor


@also_takes("axis", "keepdims")
def median(x: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor | ValuesAndIndices:
    """The middle element, the lower of two; with a dim, (values, indices) along it. NaN if there is a NaN.

    Without dim, equal elements share the gradient.
    """
    return _middle(x, dim, keepdim, "median")


@also_takes("axis", "keepdims")
def nanmedian(x: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor | ValuesAndIndices:
    """The median of what is not NaN; NaN where nothing is left."""
    return _middle(x, dim, keepdim, "nanmedian")


def _middle(x, dim, keepdim, op: str):
    array = unwrap(x)
    xp = array_module(array)
    if dim is None:
        if array.size == 0 and array.dtype.kind not in FLOATING:
            raise ValueError(f"{op}: a tensor of shape {array.shape} has no elements")
        if array.size == 0:
            return sum(x) + math.nan
        flat = reshape(x, -1)
        middle = unwrap(_middle(flat, 0, False, op)[0])
        chosen = (unwrap(flat) == middle) | (xp.isnan(middle) & xp.isnan(unwrap(flat)))
        return mean(flat[chosen]) if array.dtype.kind in FLOATING else flat[chosen][0]
    if array.ndim == 0:
        return at_least_1d(_middle, x, dim, False, op)
    (d,) = dims(dim, array.ndim, op)
    if array.shape[d] == 0:
        raise ValueError(f"{op}: dim {d} of shape {array.shape} has no elements")
    order = unwrap(sort(wrap(array), d).indices)
    missing = xp.isnan(array).sum(d, keepdims=True)
    n = array.shape[d]
    if op == "median":  # NaN are sorted to the end, and any of them wins
        place = xp.where(missing > 0, n - missing, (n - 1) // 2)
    else:
        place = xp.maximum(n - missing - 1, 0) // 2
    return _picked(x, order, place, d, keepdim)


def _picked(x, order, place, d: int, keepdim: bool) -> ValuesAndIndices:
    """The elements of x at a place in the order along d, and their indices in x."""
    index = array_module(order).take_along_axis(order, place, axis=d)
    values, index = Gather(index, d)(x), wrap(index)
    return ValuesAndIndices(values, index) if keepdim else ValuesAndIndices(squeeze(values, d), squeeze(index, d))


@also_takes("axis", "keepdims")
def mode(x: Tensor, dim: int = -1, keepdim: bool = False) -> ValuesAndIndices:
    """(values, indices) of the most frequent element along dim, the smallest at a tie; the index of its last."""
    array = without_bfloat16(unwrap(x))
    xp = array_module(array)
    if array.ndim == 0:
        return at_least_1d(mode, x, dim)
    (d,) = dims(dim, array.ndim, "mode")
    if array.shape[d] == 0:
        raise ValueError(f"mode: dim {d} of shape {array.shape} has no elements")
    order = unwrap(sort(wrap(array), d).indices)
    in_order = xp.moveaxis(xp.take_along_axis(array, order, axis=d), d, -1)
    starts = xp.ones(in_order.shape, bool)  # of runs of equal elements
    starts[..., 1:] = in_order[..., 1:] != in_order[..., :-1]
    place = xp.arange(in_order.shape[-1])
    since = place - accumulate(xp, xp.maximum, xp.where(starts, place, 0), starts.ndim - 1)
    end = since.argmax(-1)  # where the first of the longest runs ends
    return _picked(x, order, xp.moveaxis(end[..., None], -1, d), d, keepdim)


def quantile(
    x: Tensor, q: float | Tensor, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """The value below which a share q of the elements lies, over dim (None: all). NaN if there is a NaN.

    q              a number in [0, 1], or a tensor (n,) of them, which gives a first dimension of size n
    interpolation  between the two nearest elements: "linear", "lower", "higher", "nearest" or "midpoint"
    """
    if interpolation not in ("linear", "lower", "higher", "nearest", "midpoint"):
        raise ValueError(
            f'quantile: interpolation={interpolation!r}; use "linear", "lower", "higher", "nearest" or "midpoint"'
        )
    array = unwrap(x)
    if array.dtype.kind not in FLOATING:
        raise TypeError(f"quantile: a {array.dtype} tensor; use .float() first")
    shares = np.asarray(q.data.tolist() if isinstance(q, Tensor) else q, np.float64)
    if shares.ndim > 1 or not ((shares >= 0) & (shares <= 1)).all():
        raise ValueError(f"quantile: q={shares}; expected a number in [0, 1], or one dimension of them")
    ndim = array.ndim
    if dim is None:
        x, d = reshape(x, -1), 0
    elif ndim == 0:
        dims(dim, ndim, "quantile")
        x, d = reshape(x, 1), 0
    else:
        (d,) = dims(dim, ndim, "quantile")
    n = x.shape[d]
    if array.size == 0:
        raise ValueError(f"quantile: a tensor of shape {array.shape} has no elements")
    ordered = movedim(sort(x, d).values, d, 0)
    rank = shares.reshape(-1) * (n - 1)
    if interpolation in ("lower", "higher", "nearest"):
        rounded: dict[str, Any] = {"lower": np.floor, "higher": np.ceil, "nearest": np.round}
        rank = rounded[interpolation](rank)
    low = np.floor(rank).astype(np.int64)
    part = (rank - low).astype(np.float64)
    if interpolation == "midpoint":
        part = np.where(part > 0, 0.5, 0.0)
    xp = array_module(array)
    low, part = xp.asarray(low), xp.asarray(part, dtype=array.dtype).reshape((-1,) + (1,) * (ordered.ndim - 1))
    below, above = ordered[low], ordered[xp.minimum(low + 1, n - 1)]
    exact = part == 0  # so that an infinite neighbour does not make NaN
    y = below + where(exact, 0.0, part * (where(exact, below, above) - below))
    y = where(xp.isnan(unwrap(ordered)).any(0), math.nan, y)
    if keepdim:
        y = unsqueeze(y, d + 1) if dim is not None and ndim else reshape(y, (len(rank),) + (1,) * ndim)
    return y if shares.ndim else squeeze(y, 0)


@also_takes("axis", "keepdims", "dtype")
def nansum(x: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Σ x over dim, with 0 for NaN."""
    array = unwrap(x)
    return sum(x if array.dtype.kind not in FLOATING else where(_isnan(array), 0.0, x), dim, keepdim)


@also_takes("axis", "keepdims", "dtype")
def nanmean(x: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The mean over dim of what is not NaN; NaN where nothing is left."""
    array = unwrap(x)
    if array.dtype.kind not in FLOATING:
        raise TypeError(f"nanmean: a {array.dtype} tensor has no floating mean; use .float() first")
    count = (~_isnan(array)).sum(dims(dim, x.ndim, "nanmean"), keepdims=keepdim)
    return nansum(x, dim, keepdim) / array_module(array).asarray(count, dtype=array.dtype)


def _isnan(array):
    return array_module(array).isnan(array)


def aminmax(x: Tensor, *, dim: int | None = None, keepdim: bool = False) -> MinAndMax:
    """(min, max) over dim, or over all elements."""
    if not math.prod(x.shape[d] for d in dims(dim, x.ndim, "aminmax")):
        raise ValueError(f"aminmax: dim {dim} of shape {x.shape} has no elements")
    return MinAndMax(amin(x, dim, keepdim), amax(x, dim, keepdim))


@also_takes("axis", "keepdims")
def std_mean(
    x: Tensor,
    dim: Dim = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """(std, mean) over dim; see std."""
    over = None if isinstance(dim, bool) else dim
    return std(x, dim, unbiased, keepdim, correction=correction), mean(x, over, keepdim)


@also_takes("axis", "keepdims")
def var_mean(
    x: Tensor,
    dim: Dim = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """(var, mean) over dim; see var."""
    over = None if isinstance(dim, bool) else dim
    return var(x, dim, unbiased, keepdim, correction=correction), mean(x, over, keepdim)


@also_takes("axis")
def count_nonzero(x: Tensor, dim: Dim = None) -> Tensor:
    """How many elements are not 0, over dim; int64, no gradient."""
    array = unwrap(x)
    xp = array_module(array)
    return wrap(xp.asarray((array != 0).sum(dims(dim, array.ndim, "count_nonzero")), dtype=np.int64))


def bincount(x: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often 0, 1, … occur among non-negative integers (n,), or the sum of their weights; no gradient.

    As long as the largest integer asks for, and minlength at least.
    """
    array = unwrap(x)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"bincount: {array.dtype} of shape {array.shape}; expected one dimension of integers")
    if array.size and array.min() < 0:
        raise ValueError(f"bincount: integers from {array.min()}; they must not be negative")
    weights = unwrap(weights)
    if weights is not None and weights.shape != array.shape:
        raise ValueError(f"bincount: weights {weights.shape} for {array.shape}; give one for each")
    counts = array_module(array).bincount(array.astype(np.int64), weights, minlength)
    keep = weights is not None and weights.dtype == np.float32
    return wrap(counts.astype(np.float32 if keep else np.int64 if weights is None else np.float64))


def histc(x: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements lie in each of `bins` equal intervals from min to max (both 0: x's), in x's dtype.

    The last interval holds its right end, too; what lies outside counts nowhere.
    """
    array = unwrap(x)
    xp = array_module(array)
    if array.dtype.kind not in FLOATING:
        raise TypeError(f"histc: a {array.dtype} tensor; use .float() first, or bincount")
    if bins <= 0 or min > max:
        raise ValueError(f"histc: {bins} bins from {min} to {max}; expected one at least, and min ≤ max")
    low, high = float(min), float(max)
    if low == high and array.size:
        low, high = float(array.min()), float(array.max())
    if low == high:
        low, high = low - 1, high + 1
    if not math.isfinite(low) or not math.isfinite(high):
        raise ValueError(f"histc: the range {low} to {high} is not finite; give min and max")
    inside = array[(array >= low) & (array <= high)].astype(np.float64)
    bin_of = xp.minimum(((inside - low) * (bins / (high - low))).astype(np.int64), bins - 1)
    return wrap(xp.bincount(bin_of, minlength=bins).astype(array.dtype))
