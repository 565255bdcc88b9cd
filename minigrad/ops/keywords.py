"""The keywords that PyTorch's functions take besides their own: numpy's axis and keepdims, and dtype."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from minigrad.ops.conversion import astype

NAMES = {"axis": "dim", "keepdims": "keepdim"}  # numpy's, and ours


def also_takes(*keywords: str) -> Callable[[Callable], Callable]:
    """A decorator: the function takes `axis`, `keepdims` or `dtype` too.

    axis, keepdims  dim and keepdim under numpy's names
    dtype           the first argument is cast to it before anything else, so that integers have a mean and narrow
                    ones do not overflow; the result is of it, too
    """

    def decorated(function: Callable) -> Callable:
        first = next(iter(inspect.signature(function).parameters))

        @functools.wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            if not options:
                return function(*args)
            for numpys, ours in NAMES.items():
                if numpys in options and numpys in keywords:
                    if ours in options:
                        raise TypeError(f"{function.__name__}: {numpys} and {ours} are the same; give one of them")
                    options[ours] = options.pop(numpys)
            dtype = options.pop("dtype", None) if "dtype" in keywords else None
            if dtype is None:
                return function(*args, **options)
            x, *rest = args or (options.pop(first),)
            return astype(function(astype(x, dtype), *rest, **options), dtype)

        return call

    return decorated
