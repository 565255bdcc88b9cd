"""The other methods with an underscore: x.exp_() is ops.exp(x) written into x, and x.normal_() draws into it.

What writing means while gradients are recorded, and what is refused, is told in inplace.py.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad import ops, random
from minigrad.devices import device_of
from minigrad.dtypes import FLOATING
from minigrad.inplace import InPlace, fill, in_place
from minigrad.random import Generator
from minigrad.tensor import Tensor, wrap


def _written(function: Callable) -> Callable[..., Tensor]:
    """The method that writes function(x, …) into x."""
    name = function.__name__.rstrip("_") + "_"

    @functools.wraps(function)
    def method(self: Any, *args: Any, **keywords: Any) -> Tensor:
        return in_place(name, function, self, *args, **keywords)

    method.__name__ = name
    method.__doc__ = f"{name[:-1]} written into x; see minigrad.{name[:-1]}."
    return method


def _drawn(op: str, x: Tensor, draw: Callable, generator: Generator | None) -> Tensor:
    if x.dtype.kind not in FLOATING:
        raise TypeError(f"{op}: a {x.dtype} tensor; expected a floating one")
    return fill(op, x, wrap(draw(x.shape, x.dtype, device_of(x.data), generator)))


class Overwriting:
    """The methods; methods.py hangs them on Tensor."""

    __slots__ = ()

    abs_ = _written(ops.abs)
    addcdiv_ = _written(ops.addcdiv)
    addcmul_ = _written(ops.addcmul)
    ceil_ = _written(ops.ceil)
    cos_ = _written(ops.cos)
    cumsum_ = _written(ops.cumsum)
    erf_ = _written(ops.erf)
    exp_ = _written(ops.exp)
    expm1_ = _written(ops.expm1)
    floor_ = _written(ops.floor)
    floor_divide_ = _written(ops.floor_divide)
    fmod_ = _written(ops.fmod)
    frac_ = _written(ops.frac)
    index_add_ = _written(ops.index_add)
    index_copy_ = _written(ops.index_copy)
    index_fill_ = _written(ops.index_fill)
    lerp_ = _written(ops.lerp)
    log1p_ = _written(ops.log1p)
    log_ = _written(ops.log)
    masked_scatter_ = _written(ops.masked_scatter)
    nan_to_num_ = _written(ops.nan_to_num)
    neg_ = _written(ops.neg)
    reciprocal_ = _written(ops.reciprocal)
    relu_ = _written(ops.relu)
    remainder_ = _written(ops.remainder)
    round_ = _written(ops.round)
    rsqrt_ = _written(ops.rsqrt)
    scatter_ = _written(ops.scatter)
    scatter_add_ = _written(ops.scatter_add)
    sigmoid_ = _written(ops.sigmoid)
    sign_ = _written(ops.sign)
    sin_ = _written(ops.sin)
    sqrt_ = _written(ops.sqrt)
    square_ = _written(ops.square)
    tan_ = _written(ops.tan)
    tanh_ = _written(ops.tanh)
    tril_ = _written(ops.tril)
    triu_ = _written(ops.triu)
    trunc_ = _written(ops.trunc)

    clip_ = InPlace.clamp_
    divide_ = InPlace.div_
    multiply_ = InPlace.mul_
    subtract_ = InPlace.sub_

    # Random numbers.

    def uniform_(self: Any, a: float = 0.0, b: float = 1.0, *, generator: Generator | None = None) -> Tensor:
        """Uniform draws between a and b, written into x."""
        if not a <= b or not math.isfinite(b - a):
            raise ValueError(f"uniform_: from {a} to {b}; expected finite numbers, the smaller one first")
        return _drawn("uniform_", self, lambda *of: random.uniform(*of) * self.dtype.type(b - a) + a, generator)

    def normal_(self: Any, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
        """Normal draws with this mean and standard deviation, written into x."""
        if std < 0:
            raise ValueError(f"normal_: std={std}; expected 0 or more")
        return _drawn("normal_", self, lambda *of: random.standard_normal(*of) * self.dtype.type(std) + mean, generator)

    def bernoulli_(self: Any, p: float = 0.5, *, generator: Generator | None = None) -> Tensor:
        """1 with probability p, else 0, written into x."""
        if not 0 <= p <= 1:
            raise ValueError(f"bernoulli_: p={p}; expected a probability")
        return fill(
            "bernoulli_", self, wrap(random.uniform(self.shape, "float64", device_of(self.data), generator) < p)
        )

    def fill_diagonal_(self: Any, fill_value: float) -> Tensor:
        """One number written on the diagonal x[i, i] of a matrix."""
        if self.ndim != 2:
            raise ValueError(f"fill_diagonal_: x has shape {self.shape}; expected a matrix")
        i = np.arange(min(self.shape))
        ops.setitem(self, (i, i), fill_value)
        return self
