"""Which dimensions a caller means by `dim`, and how a reduced array gets its lost ones back."""

from collections.abc import Callable
from operator import index
from typing import Any

from minigrad.typing import Dim, Shape


def dims(dim: Dim, ndim: int, op: str) -> tuple[int, ...]:
    """dim as a sorted tuple of non-negative numbers; None means all of them."""
    if dim is None:
        return tuple(range(ndim))
    if type(dim) is int and -ndim <= dim < ndim:  # the usual case
        return (dim % ndim,)
    given = tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    limit = ndim or 1  # a 0-d tensor takes dim 0 and -1, as in PyTorch
    found = []
    for d in map(index, given):
        if not -limit <= d < limit:
            raise IndexError(f"{op}: dim {d} of a tensor with {ndim} dimensions; use {-limit} to {limit - 1}")
        found.append(d % limit)
    if len(set(found)) != len(found):
        raise ValueError(f"{op}: dim {given} names a dimension twice")
    return tuple(sorted(found)) if ndim else ()


def reduced_dims(dim: Dim, ndim: int, op: str) -> tuple[int, ...]:
    """The dims of a reduction, where naming none, dim=(), means every one, as in PyTorch."""
    return dims(None if dim is not None and type(dim) is not int and dim in ((), []) else dim, ndim, op)


def one_dim(dim: int, ndim: int, op: str) -> int:
    """The one dimension that dim names, as a non-negative number. ValueError for a 0-d tensor, which has none."""
    if ndim == 0:
        raise ValueError(f"{op}: a 0-d tensor has no dimensions; reshape it to (1,)")
    (d,) = dims(index(dim), ndim, op)
    return d


def keep_dims(reduced: Any, shape: Shape, dim: tuple[int, ...]) -> Any:
    """A reduced array with its lost dimensions back, as ones, so that it broadcasts against the input."""
    return reduced.reshape(tuple(1 if i in dim else n for i, n in enumerate(shape)))


def drop_dims(kept: Any, dim: tuple[int, ...]) -> Any:
    """The reverse: an array without the dimensions `dim`, which are ones."""
    return kept.reshape(tuple(n for i, n in enumerate(kept.shape) if i not in dim))


def at_least_1d(function: Callable, x: Any, *args: Any) -> Any:
    """function(x, *args), which works along dim 0 or -1, for a 0-d x too: as for one element, and 0-d again."""
    if x.ndim:
        return function(x, *args)
    result = function(x.reshape((1,)), *args)
    if isinstance(result, tuple):
        return type(result)(*(part.reshape(()) for part in result))
    return result.reshape(())
