"""Running results along a dimension: the largest so far, the smallest so far, differences. cumsum is in scan.py."""

from collections.abc import Callable

from minigrad.devices import array_module
from minigrad.dtypes import without_bfloat16
from minigrad.ops.dims import at_least_1d, dims, one_dim
from minigrad.ops.index import Gather
from minigrad.ops.order import ValuesAndIndices
from minigrad.ops.rearrange import narrow
from minigrad.ops.shape import cat
from minigrad.tensor import Tensor, unwrap, wrap
from minigrad.typing import Array, ArrayModule


def cummax(x: Tensor, dim: int) -> ValuesAndIndices:
    """(values, indices) of the largest element so far along dim, the last one at a tie; a NaN stays."""
    return _running(x, dim, "cummax")


def cummin(x: Tensor, dim: int) -> ValuesAndIndices:
    """(values, indices) of the smallest element so far along dim, the last one at a tie; a NaN stays."""
    return _running(x, dim, "cummin")


def _running(x, dim, op: str) -> ValuesAndIndices:
    d = dims(dim, x.ndim, op)
    return at_least_1d(_along, x, *(d or (0,)), op)


def _along(x, d: int, op: str) -> ValuesAndIndices:
    array = without_bfloat16(unwrap(x))
    xp = array_module(array)
    best = accumulate(xp, xp.maximum if op == "cummax" else xp.minimum, array, d)
    own = xp.arange(array.shape[d]).reshape((-1,) + (1,) * (array.ndim - d - 1))
    reached = (array == best) | (array != array)  # NaN differs from itself
    indices = accumulate(xp, xp.maximum, xp.where(reached, own, 0), d)
    return ValuesAndIndices(Gather(indices, d, repeats=True)(x), wrap(indices))


def accumulate(xp: ArrayModule, combine: Callable, array: Array, d: int) -> Array:
    """combine(y_1, …, y_i) for each i along d, in log₂ n steps (Hillis & Steele 1986); cupy has none of its own."""
    y, reach, n = array.copy(), 1, array.shape[d]
    before = (slice(None),) * d
    while reach < n:
        later = combine(y[(*before, slice(reach, None))], y[(*before, slice(None, -reach))])
        y[(*before, slice(reach, None))] = later
        reach *= 2
    return y


def diff(x: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None) -> Tensor:
    """The differences of neighbours along dim, n times over; prepend and append are joined on before."""
    d = one_dim(dim, x.ndim, "diff")
    if n < 0:
        raise ValueError(f"diff: n={n}; expected 0 or more")
    parts = [part for part in (prepend, x, append) if part is not None]
    if len(parts) > 1:
        x = cat(parts, d)
    for _ in range(min(n, x.shape[d])):
        count = max(x.shape[d] - 1, 0)
        later, earlier = narrow(x, d, x.shape[d] - count, count), narrow(x, d, 0, count)
        x = later != earlier if unwrap(x).dtype.kind == "b" else later - earlier
    return x
