"""Softmax in CUDA C: which kernel of softmax.cu serves which row length."""

import numpy as np

from minigrad.kernels.cuda.loader import empty, load, prepared

WARPS = 4  # a block, each with a row of its own
WIDE = 256  # threads for a long row
LONGEST_IN_REGISTERS = 1024  # numbers of a row


def softmax(x):
    return _forward(x, log=0)


def log_softmax(x):
    return _forward(x, log=1)


def softmax_backward(grad, y):
    return _backward(grad, y, log=0)


def log_softmax_backward(grad, y):
    return _backward(grad, y, log=1)


def _forward(x, log: int):
    y = empty(x.shape, like=x)
    if not y.size:
        return y
    x, n = prepared(x), x.shape[-1]
    rows = y.size // n
    if n > LONGEST_IN_REGISTERS:
        kernel = "softmax_wide" if n % 4 == 0 else "softmax_online"
        load("softmax.cu", {"LOG": log}).launch(kernel, rows, WIDE, (x, y, np.int32(n)))
        return y
    if n % 4 == 0:
        kernel, defines = "softmax_vectorised", {"LOG": log, "VECTORS": vectors_for(n)}
    else:
        kernel, defines = "softmax_warp", {"LOG": log}
    load("softmax.cu", defines).launch(kernel, blocks(rows), 32 * WARPS, (x, y, np.int32(rows), np.int32(n)))
    return y


def _backward(grad, y, log: int):
    dx = empty(y.shape, like=y)
    if not dx.size:
        return dx
    grad, y, n = prepared(grad), prepared(y), y.shape[-1]
    rows = dx.size // n
    module = load("softmax.cu", {"LOG": log})
    if n > LONGEST_IN_REGISTERS and n % 4 == 0:
        module.launch("softmax_backward_vectorised", rows, WIDE, (grad, y, dx, np.int32(n)))
    else:
        arguments = (grad, y, dx, np.int32(rows), np.int32(n))
        module.launch("softmax_backward_warp", blocks(rows), 32 * WARPS, arguments)
    return dx


def vectors_for(n: int) -> int:
    """How many float4 a lane needs for a row of n numbers: a power of two, so that few versions are compiled."""
    return 1 << max(0, (n - 1) // 128).bit_length()


def blocks(rows: int) -> int:
    """How many blocks of WARPS rows there are."""
    return -(-rows // WARPS)
