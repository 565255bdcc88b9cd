"""Random tensors: uniform, normal, integers, permutations, and draws with given probabilities.

All draw from the one generator that manual_seed starts, or from `generator`, a minigrad.Generator.
"""

import numpy as np

from minigrad import random
from minigrad.creation import sizes_of
from minigrad.devices import array_module, device_of, is_array, move
from minigrad.dtypes import FLOATING, as_dtype
from minigrad.random import Generator
from minigrad.tensor import DEFAULT_DTYPE, Tensor, unwrap
from minigrad.typing import Device, DTypeLike, Shape


def randn(
    *size: int | Shape,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    device: Device | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Independent draws from the normal distribution with mean 0 and variance 1."""
    dtype = as_dtype(dtype or DEFAULT_DTYPE)
    drawn = random.standard_normal(sizes_of(size), dtype, device or "cpu", generator)
    return Tensor(drawn, requires_grad=requires_grad)


def rand(
    *size: int | Shape,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    device: Device | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Independent draws from the uniform distribution on [0, 1)."""
    dtype = as_dtype(dtype or DEFAULT_DTYPE)
    drawn = random.uniform(sizes_of(size), dtype, device or "cpu", generator)
    return Tensor(drawn, requires_grad=requires_grad)


def randint(
    low: int,
    high: int | Shape | None = None,
    size: Shape = (),
    dtype: DTypeLike = np.int64,
    device: Device | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Integers from low to high - 1, equally likely. randint(high, size) starts at 0."""
    if isinstance(high, (tuple, list)):
        return randint(0, low, high, dtype, device, generator)
    first, end = (0, low) if high is None else (low, high)
    if end <= first:
        raise ValueError(f"randint: no integers from {first} to {end - 1}; high must be above low")
    drawn = random.generator(generator).integers(first, end, sizes_of(tuple(size)))
    return Tensor(move(np.asarray(drawn).astype(as_dtype(dtype)), device or "cpu"))


def randperm(n: int, device: Device | None = None, generator: Generator | None = None) -> Tensor:
    """0 to n - 1 in random order."""
    return Tensor(move(random.generator(generator).permutation(n), device or "cpu"))


def randn_like(input: Tensor, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """Normal draws in the shape, dtype and device of a tensor."""
    array = unwrap(input)
    return randn(*array.shape, dtype=dtype or array.dtype, requires_grad=requires_grad, device=device_of(array))


def rand_like(input: Tensor, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """Uniform draws in the shape, dtype and device of a tensor."""
    array = unwrap(input)
    return rand(*array.shape, dtype=dtype or array.dtype, requires_grad=requires_grad, device=device_of(array))


def randint_like(input: Tensor, low: int, high: int | None = None, dtype: DTypeLike | None = None) -> Tensor:
    """Integers from low to high - 1 in the shape, dtype and device of a tensor."""
    array = unwrap(input)
    return randint(low, high, array.shape, dtype or array.dtype, device_of(array))


def normal(
    mean: float | Tensor, std: float | Tensor, size: Shape | None = None, generator: Generator | None = None
) -> Tensor:
    """Normal draws with these means and standard deviations: tensors, broadcast, or numbers and a size; no gradient."""
    mean, std = (np.float64(x) if isinstance(x, (int, float)) else unwrap(x) for x in (mean, std))
    if bool(array_module(std).any(std < 0)):
        raise ValueError("normal: a standard deviation is negative")
    given = [x for x in (mean, std) if is_array(x)]
    if not given and size is None:
        raise TypeError("normal: mean and std are numbers; say of which size, as in normal(0.0, 1.0, (2, 3))")
    shape = np.broadcast_shapes(*(x.shape for x in given)) if size is None else sizes_of((size,))
    dtype = given[0].dtype if given and given[0].dtype.kind in FLOATING else DEFAULT_DTYPE
    device = device_of(given[0]) if given else "cpu"
    drawn = random.standard_normal(tuple(shape), dtype, device, generator) * std + mean
    return Tensor(drawn.astype(dtype, copy=False))


def bernoulli(input: Tensor, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability that an element gives (or p, everywhere), else 0; in the dtype of input, no gradient."""
    array = unwrap(input)
    chance = array if p is None else np.float64(p)
    if p is None and array.dtype.kind not in FLOATING:
        raise TypeError(f"bernoulli: probabilities are {array.dtype}; use floats")
    if not bool(array_module(array).all((chance >= 0) & (chance <= 1))):
        raise ValueError("bernoulli: probabilities must lie in [0, 1]")
    drawn = random.uniform(array.shape, np.float64, device_of(array), generator)
    return Tensor((drawn < chance).astype(array.dtype))


def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Numbers of classes drawn with probabilities in proportion to the weights input: (classes,) or (n, classes).

    Returns int64 (num_samples,) or (n, num_samples). Without replacement no class comes twice. ValueError for weights
    that are negative, infinite or NaN, for rows without a positive one, and for too few classes to draw from.
    """
    weights = unwrap(input)
    if weights.ndim not in (1, 2) or weights.dtype.kind not in FLOATING:
        raise ValueError(
            f"multinomial: weights are {weights.dtype} of shape {weights.shape}; expected floats, one or two dimensions"
        )
    xp = array_module(weights)
    rows = weights.reshape(-1, weights.shape[-1]).astype(np.float64)
    if not bool((xp.isfinite(rows) & (rows >= 0)).all()):
        raise ValueError("multinomial: weights must be finite and not negative")
    possible = (rows > 0).sum(-1)
    needed = 1 if replacement else num_samples
    if num_samples <= 0 or bool((possible < needed).any()):
        fewest = int(possible.min(initial=rows.shape[-1]))
        raise ValueError(
            f"multinomial: {num_samples} samples from rows with {fewest} positive weights at the fewest; expected one "
            "sample or more, and without replacement as many positive weights"
        )
    device = device_of(weights)
    if replacement:
        edges = rows.cumsum(-1)
        drawn = random.uniform((len(rows), num_samples), np.float64, device, generator) * edges[:, -1:]
        chosen = (drawn[:, :, None] >= edges[:, None, :]).sum(-1)
        last = rows.shape[-1] - 1 - xp.flip(rows > 0, -1).argmax(-1)  # where rounding went past the end
        chosen = xp.minimum(chosen, last[:, None])
    else:  # the smallest of exponential times with these rates: Efraimidis & Spirakis 2006
        drawn = random.uniform(rows.shape, np.float64, device, generator)
        times = xp.where(rows > 0, -xp.log1p(-drawn) / xp.where(rows > 0, rows, 1.0), np.inf)
        chosen = xp.argsort(times, axis=-1)[:, :num_samples]
    return Tensor(chosen.reshape((*weights.shape[:-1], num_samples)).astype(np.int64))
