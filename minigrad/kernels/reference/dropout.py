"""Dropout (Srivastava et al., 2014) whose mask is a function, not a memory.

Whether element i is kept depends on i and a 64-bit seed alone (a counter-based random number, as in
Salmon et al., Parallel random numbers: as easy as 1, 2, 3, 2011). Backward asks the function again
instead of storing a mask, and every implementation, with any number of threads, gives the same bits.
"""

from typing import Any

import numpy as np

from minigrad.devices import array_module, is_array
from minigrad.typing import Array

# The multipliers and shifts of a 32-bit mix found by search (Chris Wellons, hash prospector, lowbias32).
MULTIPLY_1, MULTIPLY_2 = 0x7FEB352D, 0x846CA68B
HIGH_MULTIPLY = 0x9E3779B9


def dropout(x: Array, p: float, seed: int | Array) -> Array:
    """x * mask / (1 - p), where each element of mask is 0 with probability p, else 1. 0 <= p <= 1.

    A dropped element is 0 even if it was NaN or inf. The same call on the gradient is the backward.
    """
    xp = array_module(x)
    threshold, factor = threshold_and_factor(p)
    kept = keep(xp.arange(x.size, dtype=xp.uint64), threshold, *keys(seed)).reshape(x.shape)
    y = xp.where(kept, x * x.dtype.type(factor), x.dtype.type(0))
    return y.astype(x.dtype, copy=False)  # cupy's is float32 for bfloat16


def keep(index: Array, threshold: Any, key_1: Any, key_2: Any) -> Array:
    """Boolean mask of these uint64 element indices."""
    return random_bits(index, key_1, key_2) >= threshold


def random_bits(index: Array, key_1: Any, key_2: Any) -> Array:
    """32 random bits for each of these uint64 indices: two rounds of shift and multiply, a key before each."""
    xp = array_module(index)
    u32 = xp.uint32
    key_1, key_2 = (key if is_array(key) else u32(key) for key in (key_1, key_2))
    high = (index >> xp.uint64(32)).astype(u32)
    h = index.astype(u32) ^ key_1 ^ (high * u32(HIGH_MULTIPLY))
    h ^= h >> u32(16)
    h *= u32(MULTIPLY_1)
    h ^= h >> u32(15)
    h += key_2
    h *= u32(MULTIPLY_2)
    h ^= h >> u32(16)
    return h  # uniform over 0 .. 2^32 - 1


def threshold_and_factor(p: float) -> tuple[int, float]:
    """(the hash from which on an element is kept, the factor 1 / (1 - p) that it gets; for p = 1 that is 0)."""
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p is {p}; expected a probability between 0 and 1")
    return min(round(p * 2**32), 2**32 - 1), (1 / (1 - p) if p < 1 else 0.0)


def keys(seed: int | Array) -> tuple[Any, Any]:
    """Two 32-bit keys from a 64-bit seed by one step of SplitMix64, so that seeds 1, 2, 3 differ in every bit.

    Of a seed in a 0-d uint64 array on the GPU the keys are such arrays too.
    """
    if is_array(seed):
        return _keys_of_array(seed)
    z = (int(seed) + 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    z ^= z >> 31
    return z % 2**32, z >> 32


def _keys_of_array(seed):
    u64 = np.uint64
    z = seed + u64(0x9E3779B97F4A7C15)  # uint64 keeps the remainder by itself
    z = (z ^ (z >> u64(30))) * u64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> u64(27))) * u64(0x94D049BB133111EB)
    z = z ^ (z >> u64(31))
    return z.astype(np.uint32), (z >> u64(32)).astype(np.uint32)
