"""Softmax on the CPU: each row is read three times, but from the cache after the first."""

import math

import numpy as np
from numba import prange

from minigrad.kernels.cpu import simd


def softmax(x):
    return _by_rows(_softmax, x)


def softmax_backward(grad, y):
    return _by_rows(_softmax_backward, grad, y)


def log_softmax(x):
    return _by_rows(_log_softmax, x)


def log_softmax_backward(grad, y):
    return _by_rows(_log_softmax_backward, grad, y)


def _by_rows(kernel, *inputs):
    """A new array of the inputs' shape, filled by kernel(*inputs, new), all as matrices of rows."""
    result = np.empty(inputs[-1].shape, np.float32)
    if result.size:
        rows = [_rows(x) for x in inputs]
        kernel(*rows, result.reshape(rows[-1].shape))
    return result


def _rows(x):
    """x as a C-contiguous matrix (rows, n): the one layout the kernels are compiled for."""
    return np.ascontiguousarray(x, np.float32).reshape(-1, x.shape[-1])


@simd.parallel
def _softmax(x, y):
    """y = softmax of each row of x; both (rows, n) of float32, n at least 1. See reference.softmax.

    Three loops along each row, the rows dealt out by prange. simd.maximum and simd.exp vectorise, max and math.exp
    would not; constants are np.float32.
    """
    rows, n = x.shape
    for i in prange(rows):
        largest = x[i, 0]
        for j in range(n):
            largest = simd.maximum(largest, x[i, j])
        total = np.float32(0)
        for j in range(n):
            e = simd.exp(x[i, j] - largest)
            y[i, j] = e
            total += e
        factor = np.float32(1) / total
        for j in range(n):
            y[i, j] *= factor


@simd.parallel
def _softmax_backward(grad, y, dx):
    """dx = y * (grad - sum(grad * y)) for each row, from softmax's output y; all (rows, n) of float32."""
    rows, n = y.shape
    for i in prange(rows):
        dot = np.float32(0)
        for j in range(n):
            dot += grad[i, j] * y[i, j]
        for j in range(n):
            dx[i, j] = y[i, j] * (grad[i, j] - dot)


@simd.parallel
def _log_softmax(x, y):
    rows, n = x.shape
    for i in prange(rows):
        largest = x[i, 0]
        for j in range(n):
            largest = simd.maximum(largest, x[i, j])
        total = np.float32(0)
        for j in range(n):
            total += simd.exp(x[i, j] - largest)
        log_total = np.float32(math.log(total))
        for j in range(n):
            y[i, j] = _minus_both(x[i, j], largest, log_total)


@simd.inline
def _minus_both(x, largest, log_total):
    # In this order: added to a large maximum, log_total would be rounded away.
    return (x - largest) - log_total


@simd.parallel
def _log_softmax_backward(grad, y, dx):
    rows, n = y.shape
    for i in prange(rows):
        total = np.float32(0)
        for j in range(n):
            total += grad[i, j]
        for j in range(n):
            dx[i, j] = grad[i, j] - simd.exp(y[i, j]) * total
