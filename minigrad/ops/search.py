"""Finding and comparing whole tensors: sorted positions, distinct values, membership, closeness. No gradients."""

from typing import Any

import numpy as np

from minigrad.devices import array_module
from minigrad.ops.conversion import promoted
from minigrad.tensor import Tensor, unwrap, wrap


def isclose(x: Tensor, y: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Where |x - y| ≤ atol + rtol·|y|, as booleans; infinities are close to themselves, NaN if equal_nan says so."""
    x, y = _one_dtype("isclose", x, y)
    xp = array_module(x)
    if x.dtype.kind in "biu":  # exactly: differences of unsigned numbers would wrap, of large ones be rounded
        x, y = (each.astype(np.float64) if each.dtype.kind != "b" else each.astype(np.int64) for each in (x, y))
    return wrap(xp.asarray(xp.isclose(x, y, rtol=rtol, atol=atol, equal_nan=equal_nan)))


def allclose(x: Tensor, y: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether |x - y| ≤ atol + rtol·|y| everywhere (see isclose)."""
    return bool(isclose(x, y, rtol, atol, equal_nan).data.all())


def equal(x: Tensor, y: Tensor) -> bool:
    """Whether two tensors have one shape and the same elements; NaN equals nothing."""
    x, y = promoted(unwrap(x), unwrap(y))
    return x.shape == y.shape and bool((x == y).all())


def _one_dtype(op: str, x, y):
    x, y = unwrap(x), unwrap(y)
    if x.dtype != y.dtype:
        raise TypeError(f"{op}: {x.dtype} and {y.dtype}: cast one of them with .to()")
    return x, y


def isin(elements: Tensor, test_elements: Tensor, *, invert: bool = False) -> Tensor:
    """Where the elements are among test_elements (invert: where they are not), as booleans of elements' shape."""
    elements, test = unwrap(elements), unwrap(test_elements)
    xp = array_module(elements)
    return wrap(xp.asarray(xp.isin(elements, test, invert=invert)))


def searchsorted(sorted_sequence: Tensor, values: Tensor, *, right: bool = False, side: str | None = None) -> Tensor:
    """Where each value would have to stand to keep sorted_sequence sorted: before equal ones, or (right) after; int64.

    sorted_sequence (n,), and values of any shape; or (…, n) and (…, m), row by row
    """
    if side not in (None, "left", "right"):
        raise ValueError(f'searchsorted: side={side!r}; use "left" or "right"')
    if side == "left" and right:
        raise ValueError('searchsorted: right=True and side="left" disagree')
    side = side or ("right" if right else "left")
    row, x = unwrap(sorted_sequence), unwrap(values)
    xp = array_module(row)
    x = xp.asarray(x)
    if row.ndim == 0:
        raise ValueError("searchsorted: sorted_sequence is 0-d; expected (n,) or (…, n)")
    if row.ndim == 1:
        return wrap(xp.asarray(xp.searchsorted(row, x, side=side), dtype=np.int64))
    if row.shape[:-1] != x.shape[:-1]:
        raise ValueError(f"searchsorted: sorted_sequence {row.shape}, values {x.shape}; all but the last must be equal")
    found = xp.empty(x.shape, np.int64)
    for place in np.ndindex(row.shape[:-1]):
        found[place] = xp.searchsorted(row[place], x[place], side=side)
    return wrap(found)


def bucketize(x: Tensor, boundaries: Tensor, *, right: bool = False) -> Tensor:
    """The number of the bucket each element of x falls into: boundaries[i-1] < x ≤ boundaries[i] (right: ≤ and <)."""
    if unwrap(boundaries).ndim != 1:
        raise ValueError(f"bucketize: boundaries {unwrap(boundaries).shape}; expected one dimension")
    return searchsorted(boundaries, x, right=right)


def unique(
    x: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The distinct elements in ascending order, or the distinct slices along dim.

    return_inverse  also, for each element (or slice), its place among the distinct ones
    return_counts   also, how often each occurs
    """
    array = unwrap(x)
    if dim is not None and array.ndim == 0:
        raise ValueError("unique: a 0-d tensor has no dimension")
    xp = array_module(array)
    found = xp.unique(array, return_inverse=True, return_counts=True, axis=dim, equal_nan=False)
    values, inverse, counts = found
    inverse = inverse.reshape(array.shape if dim is None else -1).astype(np.int64)
    return _chosen(values, inverse, counts, return_inverse, return_counts)


def unique_consecutive(x: Tensor, return_inverse: bool = False, return_counts: bool = False) -> Any:
    """The elements of x, as if it were flat, without those equal to the one before."""
    array = unwrap(x)
    xp = array_module(array)
    flat = array.reshape(-1)
    starts = xp.ones(flat.shape, bool)
    starts[1:] = flat[1:] != flat[:-1]
    inverse = (starts.cumsum() - 1).reshape(array.shape).astype(np.int64)
    counts = xp.bincount(inverse.reshape(-1))
    return _chosen(flat[starts], inverse, counts, return_inverse, return_counts)


def _chosen(values, inverse, counts, return_inverse: bool, return_counts: bool):
    results = [wrap(values)]
    if return_inverse:
        results.append(wrap(inverse))
    if return_counts:
        results.append(wrap(counts.astype(np.int64)))
    return tuple(results) if len(results) > 1 else results[0]
