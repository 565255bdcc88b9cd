"""Dropout on the CPU: the mask is hashed eight elements at a time and never stored."""

import numpy as np
from numba import prange

from minigrad.kernels.cpu import simd
from minigrad.kernels.reference import dropout as reference

BLOCK = 4096  # divides 2^32, so that the high half of the index is the same all through a block
MULTIPLY_1, MULTIPLY_2 = np.uint32(reference.MULTIPLY_1), np.uint32(reference.MULTIPLY_2)
SHIFT_1, SHIFT_2 = np.uint32(16), np.uint32(15)
HIGH_MULTIPLY = np.uint32(reference.HIGH_MULTIPLY)


def dropout(x, p, seed):
    threshold, factor = reference.threshold_and_factor(p)
    key_1, key_2 = reference.keys(seed)
    y = np.empty(x.shape, np.float32)
    x = np.ascontiguousarray(x, np.float32)
    _dropout(x.reshape(-1), threshold, factor, key_1, key_2, y.reshape(-1))
    return y


@simd.inline
def hashed(index, key_1, key_2):
    """32 random bits for the low half of an element's index; the high half is in key_1. See reference.dropout.keep."""
    # numba widens the sum and product of 32-bit integers to 64 bits: cut each back.
    h = np.uint32(index ^ key_1)
    h = np.uint32((h ^ (h >> SHIFT_1)) * MULTIPLY_1)
    h = np.uint32((h ^ (h >> SHIFT_2)) + key_2)
    h = np.uint32(h * MULTIPLY_2)
    return np.uint32(h ^ (h >> SHIFT_1))


@simd.parallel
def _dropout(x, threshold, factor, key_1, key_2, y):
    for block in prange(-(-x.size // BLOCK)):
        start, stop = block * BLOCK, (block + 1) * BLOCK
        high = np.uint32((start >> 32) * HIGH_MULTIPLY)
        keys = np.uint32(key_1 ^ high), np.uint32(key_2)
        first = np.uint32(start)
        _dropout_block(x[start:stop], first, np.uint32(threshold), np.float32(factor), *keys, y[start:stop])


@simd.serial
def _dropout_block(x, first, threshold, factor, key_1, key_2, y):
    for i in range(x.size):
        h = hashed(np.uint32(first + i), key_1, key_2)
        y[i] = simd.select(h >= threshold, x[i] * factor, np.float32(0))
