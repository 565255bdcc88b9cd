"""What attention forward and backward share: the sizes of their tiles, and the small loops around them."""

import numpy as np
from numba import njit

from minigrad.kernels.compiled_cache import jit
from minigrad.kernels.cpu import simd
from minigrad.kernels.cpu.dropout import HIGH_MULTIPLY, hashed
from minigrad.kernels.cpu.tiles import COLUMNS, row, span

# Queries and keys of a tile, the other way round in backward: the outer loop's are kept in the cache while
# the inner loop's stream by, all buffers together about half of a second-level cache of 512 KB.
OUTER, INNER = 128, 64
LINE = OUTER + COLUMNS  # from line to line: no power of two, which would put a column into a few sets of the cache
LANES = 32  # loops along a line of a tile do a multiple of this many elements, so that nothing is left over

NO_MASK, ALLOWED, BIAS = 0, 1, 2  # kinds of mask

ZERO, ONE, INF = np.float32(0), np.float32(1), np.float32(np.inf)

# Without the wrappers for calls from Python and C, each of which would contain the code once more.
_OPTIONS = {"fastmath": simd.REORDER, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
inline = njit(**_OPTIONS)  # type: ignore[call-overload]
worker_function = jit(**_OPTIONS)


@inline
def round_up(n, multiple):
    """The next multiple of `multiple` that is not below n."""
    return (n + multiple - 1) // multiple * multiple


@inline
def block_of(lane, size):
    """Where the block of `size` lanes (a power of two) begins that has this lane; 0 for a negative one."""
    return max(lane, 0) & -size


@inline
def clear(x):
    """x = 0."""
    for i in range(x.size):
        x[i] = ZERO


@inline
def load(x, b, h, start, rows, tile):
    """tile[i] = x[b, h, start + i]; beyond the rows and columns of x the tile keeps what it had."""
    for i in range(rows):
        source, target = row(x, (b, h, start + i)), span(tile, i * tile.shape[1], tile.shape[1])
        for d in range(source.size):
            target[d] = source[d]


@inline
def load_transposed(x, b, h, start, rows, scale, tile):
    """tile[:, i] = x[b, h, start + i] * scale."""
    for i in range(rows):
        source = row(x, (b, h, start + i))
        for d in range(source.size):
            tile[d, i] = source[d] * scale


@inline
def masked(score, mask, b, h, i, j):
    """The score of query i and key j under the mask: -inf for a hidden key, even if the score is NaN."""
    kind, allowed, bias = mask
    if kind == BIAS:
        return score + bias[b, h, i, j]
    return simd.select(allowed[b, h, i, j], score, -INF)


@inline
def drop(index, dropping):
    """What dropout multiplies element number `index` by: reference.dropout.keep, one at a time."""
    threshold, factor, key_1, key_2 = dropping
    high = np.uint32(np.uint32(index >> 32) * HIGH_MULTIPLY)
    x = hashed(np.uint32(index & 0xFFFFFFFF), np.uint32(np.uint32(key_1) ^ high), np.uint32(key_2))
    # A threshold of 2^32 drops everything and does not fit in 32 bits; the factor is 0 then.
    return simd.select(x >= np.uint32(min(threshold, 0xFFFFFFFF)), factor, ZERO)


@inline
def dot(x, y):
    """Σ x·y."""
    total = ZERO
    for i in range(x.size):
        total += x[i] * y[i]
    return total
