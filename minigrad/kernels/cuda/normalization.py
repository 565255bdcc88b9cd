"""layer_norm and rms_norm in CUDA C: which kernel of normalization.cu serves which row length."""

import numpy as np

from minigrad.kernels.cuda.loader import empty, load, prepared
from minigrad.kernels.cuda.softmax import LONGEST_IN_REGISTERS, WARPS, WIDE, blocks, vectors_for
from minigrad.kernels.reference import normalization as reference

MOST_PARTS = 528  # blocks that add up columns, four for each multiprocessor of a Hopper GPU
ROWS_A_PART = 16  # at least


def layer_norm(x, weight, bias, eps):
    if not x.size:
        return reference.layer_norm(x, weight, bias, eps)
    mean = empty(x.shape[:-1], like=x)
    y, rstd = _forward(x, weight, bias, mean, eps, rms=0)
    return y, mean, rstd


def layer_norm_backward(grad, x, weight, mean, rstd):
    if not x.size:
        return reference.layer_norm_backward(grad, x, weight, mean, rstd)
    dx, sums = _backward(grad, x, weight, mean, rstd, rms=0)
    return (dx, None, None) if weight is None else (dx, sums[0], sums[1])


def rms_norm(x, weight, eps):
    if not x.size:
        return reference.rms_norm(x, weight, eps)
    return _forward(x, weight, None, None, eps, rms=1)


def rms_norm_backward(grad, x, weight, rstd):
    if not x.size:
        return reference.rms_norm_backward(grad, x, weight, rstd)
    dx, sums = _backward(grad, x, weight, None, rstd, rms=1)
    return (dx, None) if weight is None else (dx, sums[0])


def _forward(x, weight, bias, mean, eps, rms: int):
    n = x.shape[-1]
    rows = x.size // n
    y, rstd = empty(x.shape, like=x), empty(x.shape[:-1], like=x)
    arrays = (prepared(x), _optional(weight), _optional(bias), y, mean, rstd)
    if n > LONGEST_IN_REGISTERS:
        load("normalization.cu", {"RMS": rms}).launch("norm_block", rows, WIDE, (*arrays, np.int32(n), np.float32(eps)))
    else:
        kernel, module = _for_length(n, rms, "norm_vectorised", "norm_warp")
        module.launch(kernel, blocks(rows), 32 * WARPS, (*arrays, np.int32(rows), np.int32(n), np.float32(eps)))
    return y, rstd


def _backward(grad, x, weight, mean, rstd, rms: int):
    """(dx, the sums over the rows (2, n) of grad h and of grad, or None without a weight)."""
    n = x.shape[-1]
    rows, sizes = x.size // n, (np.int32(x.size // n), np.int32(n))
    grad, x, weight, rstd, mean = prepared(grad), prepared(x), _optional(weight), prepared(rstd), _optional(mean)
    dx = empty(x.shape, like=x)
    count = min(MOST_PARTS, -(-rows // ROWS_A_PART))
    parts = None if weight is None else empty((count, 2, n), like=x)
    vectorised, module = _for_length(n, rms, True, False)
    if vectorised:
        grid = blocks(rows) if parts is None else count
        both = (grad, x, weight, mean, rstd, dx, parts, *sizes)
        module.launch("norm_backward_vectorised", grid, 32 * WARPS, both, shared_bytes=8 * n)
    else:
        arguments = (grad, x, weight, mean, rstd, dx, *sizes)
        module.launch("norm_backward_warp", blocks(rows), 32 * WARPS, arguments)
        if parts is not None:
            module.launch("norm_columns", (-(-n // 32), count), (32, 8), (grad, x, mean, rstd, parts, *sizes))
    if parts is None:
        return dx, None
    sums = empty((2, n), like=x)
    module.launch("add_parts", -(-2 * n // 32), (32, 8), (parts, sums, np.int32(count), np.int32(2 * n)))
    return dx, sums


def _for_length(n: int, rms: int, vectorised, other):
    """One of the two, and the module for it: rows of a multiple of 4 numbers that fit in registers are vectorised."""
    if n % 4 == 0 and n <= LONGEST_IN_REGISTERS:
        return vectorised, load("normalization.cu", {"RMS": rms, "VECTORS": vectors_for(n)})
    return other, load("normalization.cu", {"RMS": rms})


def _optional(x):
    return None if x is None else prepared(x)
