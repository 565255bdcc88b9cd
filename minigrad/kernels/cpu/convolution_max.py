"""Convolution and maximum over time on the CPU: one matrix product, then one pass that shifts, adds and compares.

y[t] = sum_j x[t + j] · W_j: the products x · W_j for all j are one matrix product, x times the W_j side
by side, without the copies of x that windows would need. A step of x then adds its width rows of products
to width windows. Texts are taken a few at a time, so that their products are still in the cache.

Backward touches, for each text and filter, the one window that had the maximum.
"""

import numpy as np
from numba import prange

from minigrad import kernels
from minigrad.kernels.cpu import simd
from minigrad.kernels.reference.convolution_max import check

PRODUCTS = 1 << 18  # products kept at a time, 1 MB of them
ZERO = np.float32(0)


def conv1d_max(x, weight, bias, lengths):
    check(x, weight, bias, lengths)
    batch, time, channels = x.shape
    filters, _, width = weight.shape
    x = np.ascontiguousarray(x, np.float32)
    side_by_side = np.ascontiguousarray(weight.transpose(1, 2, 0)).reshape(channels, width * filters)
    bias, lengths = np.ascontiguousarray(bias, np.float32), np.ascontiguousarray(lengths, np.int64)
    y = np.empty((batch, filters), np.float32)
    start = np.empty((batch, filters), np.int64)
    texts = max(1, PRODUCTS // max(time * width * filters, 1))
    for first in range(0, batch, texts):
        part = slice(first, first + texts)
        products = kernels.matmul(x[part].reshape(-1, channels), side_by_side)
        products = np.ascontiguousarray(products).reshape(-1, time, width, filters)
        _shift_add_max(products, bias, lengths[part], y[part], start[part])
    return y, start


def conv1d_max_backward(grad, x, weight, start, lengths, needs):
    grad, x = np.ascontiguousarray(grad, np.float32), np.ascontiguousarray(x, np.float32)
    lengths, start = np.ascontiguousarray(lengths, np.int64), np.ascontiguousarray(start, np.int64)
    dx = dweight = None
    if needs[0]:
        dx = np.empty_like(x)
        _backward_x(grad, np.ascontiguousarray(weight.transpose(0, 2, 1), np.float32), start, lengths, dx)
    if needs[1]:
        filters, channels, width = weight.shape
        dweight = np.empty((filters, width, channels), np.float32)
        _backward_weight(grad, x, start, lengths, dweight)
        dweight = dweight.transpose(0, 2, 1)
    return dx, dweight, grad.sum(0) if needs[2] else None


@simd.parallel
def _shift_add_max(products, bias, lengths, y, start):
    """products (batch, time, width, filters) of x and W_j; y, start (batch, filters)."""
    width, filters = products.shape[2:]
    for b in prange(len(products)):
        window, best = np.empty(filters, np.float32), np.full(filters, -np.inf, np.float32)
        where = np.full(filters, 1 - width, np.float32)  # as floats, which vectorise with the rest; exact up to 2^24
        for t in range(1 - width, lengths[b]):
            window[:] = ZERO
            for j in range(max(0, -t), min(width, lengths[b] - t)):
                _add(window, products[b, t + j, j])
            _keep_maximum(window, np.float32(t), best, where)
        for f in range(filters):
            y[b, f] = best[f] + bias[f]
            start[b, f] = np.int64(where[f])


@simd.serial
def _add(total, term):
    for f in range(total.size):
        total[f] += term[f]


@simd.serial
def _keep_maximum(window, t, best, where):
    for f in range(window.size):
        keep = (window[f] <= best[f]) | (best[f] != best[f])  # the first NaN is the maximum, as numpy's
        where[f] = simd.select(keep, where[f], t)
        best[f] = simd.select(keep, best[f], window[f])


@simd.parallel
def _backward_x(grad, weight, start, lengths, dx):
    """A worker has all filters of a text. weight (filters, width, channels)."""
    filters, width, _ = weight.shape
    for b in prange(len(dx)):
        dx[b] = ZERO
        for f in range(filters):
            t = start[b, f]
            if grad[b, f] != ZERO:
                for j in range(max(0, -t), min(width, lengths[b] - t)):
                    _add_multiple(dx[b, t + j], grad[b, f], weight[f, j])


@simd.parallel
def _backward_weight(grad, x, start, lengths, dweight):
    """A worker has all texts of a filter. dweight (filters, width, channels)."""
    filters, width, _ = dweight.shape
    for f in prange(filters):
        dweight[f] = ZERO
        for b in range(len(x)):
            t = start[b, f]
            if grad[b, f] != ZERO:
                for j in range(max(0, -t), min(width, lengths[b] - t)):
                    _add_multiple(dweight[f, j], grad[b, f], x[b, t + j])


@simd.serial
def _add_multiple(total, factor, term):
    for c in range(total.size):
        total[c] += factor * term[c]
