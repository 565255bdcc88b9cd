"""Pooling over height and width on the CPU: an image at a time."""

import numpy as np
from numba import prange

from minigrad.kernels.cpu import simd

LOWEST = np.float32(-np.inf)


def max_pool2d(x, field, stride, padding, dilation, out):
    """See reference.pooling2d.max_pool2d."""
    y, position = np.empty((len(x), *out), np.float32), np.empty((len(x), *out), np.int64)
    settings = tuple(np.int64(n) for pair in (field, stride, padding, dilation) for n in pair)
    _max(np.ascontiguousarray(x), settings, y, position)
    return y, position


def max_pool2d_backward(grad, position, shape):
    """See reference.pooling2d.max_pool2d_backward."""
    dx = np.zeros((shape[0], shape[1] * shape[2]), np.float32)
    flat = len(grad), grad.shape[1] * grad.shape[2]
    _put(np.ascontiguousarray(grad).reshape(flat), position.reshape(flat), dx)
    return dx.reshape(shape)


@simd.parallel
def _max(x, settings, y, position):
    rows, columns, down, across, top, left, row_step, column_step = settings
    height, width = x.shape[1:]
    for n in prange(len(x)):
        for u in range(y.shape[1]):
            for v in range(y.shape[2]):
                best, place = LOWEST, -1
                for i in range(rows):
                    s = u * down - top + i * row_step
                    if s < 0 or s >= height:
                        continue
                    for j in range(columns):
                        t = v * across - left + j * column_step
                        if t < 0 or t >= width:
                            continue
                        value = x[n, s, t]
                        if place < 0 or value > best or (value != value and best == best):
                            best, place = value, s * width + t
                y[n, u, v], position[n, u, v] = best, place


@simd.parallel
def _put(grad, position, dx):
    for n in prange(len(grad)):
        for i in range(grad.shape[1]):
            if position[n, i] >= 0:
                dx[n, position[n, i]] += grad[n, i]
