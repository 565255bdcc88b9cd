"""Layer normalisation and RMSNorm on the CPU: a row stays in the cache for all its passes.

The gradients of weight and bias are sums over rows. Rows are cut into chunks whose number does not
depend on the number of threads; each chunk sums its own rows, and the chunks are added in order, so
the result is the same bit for bit in every run.
"""

import math

import numpy as np
from numba import prange

from minigrad.kernels.cpu import simd

CHUNKS = 32
ONE = np.float32(1)


def layer_norm(x, weight, bias, eps):
    if x.size == 0:
        return _empty(x.shape), _nan(x.shape[:-1]), _nan(x.shape[:-1])
    rows = _rows(x)
    y, mean, rstd = _empty(x.shape), _empty(x.shape[:-1]), _empty(x.shape[:-1])
    n = x.shape[-1]
    weight = np.ones(n, np.float32) if weight is None else np.ascontiguousarray(weight, np.float32)
    bias = np.zeros(n, np.float32) if bias is None else np.ascontiguousarray(bias, np.float32)
    _layer_norm(rows, weight, bias, eps, y.reshape(rows.shape), mean.reshape(-1), rstd.reshape(-1))
    return y, mean, rstd


def layer_norm_backward(grad, x, weight, mean, rstd):
    dx = _empty(x.shape)
    n = x.shape[-1]
    dweight, dbias = np.zeros(n, np.float32), np.zeros(n, np.float32)
    if x.size:
        rows = _rows(x)
        w = np.ones(n, np.float32) if weight is None else np.ascontiguousarray(weight, np.float32)
        partial = np.zeros((min(CHUNKS, len(rows)), 2, n), np.float32)  # each chunk's dweight and dbias
        out = partial, dx.reshape(rows.shape), dweight, dbias
        _layer_norm_backward(_rows(grad), rows, w, (_flat(mean), _flat(rstd)), *out)
    return (dx, None, None) if weight is None else (dx, dweight, dbias)


def rms_norm(x, weight, eps):
    if x.size == 0:
        return _empty(x.shape), _nan(x.shape[:-1])
    rows = _rows(x)
    y, rstd = _empty(x.shape), _empty(x.shape[:-1])
    weight = np.ones(x.shape[-1], np.float32) if weight is None else np.ascontiguousarray(weight, np.float32)
    _rms_norm(rows, weight, eps, y.reshape(rows.shape), rstd.reshape(-1))
    return y, rstd


def rms_norm_backward(grad, x, weight, rstd):
    dx = _empty(x.shape)
    n = x.shape[-1]
    dweight = np.zeros(n, np.float32)
    if x.size:
        rows = _rows(x)
        w = np.ones(n, np.float32) if weight is None else np.ascontiguousarray(weight, np.float32)
        partial = np.zeros((min(CHUNKS, len(rows)), n), np.float32)  # each chunk's dweight
        _rms_norm_backward(_rows(grad), rows, w, _flat(rstd), partial, dx.reshape(rows.shape), dweight)
    return (dx, None) if weight is None else (dx, dweight)


def _rows(x):
    return np.ascontiguousarray(x, np.float32).reshape(-1, x.shape[-1])


def _flat(x):
    return np.ascontiguousarray(x, np.float32).reshape(-1)


def _empty(shape):
    return np.empty(shape, np.float32)


def _nan(shape):
    return np.full(shape, np.nan, np.float32)  # the mean of no numbers


@simd.parallel
def _layer_norm(x, weight, bias, eps, y, mean, rstd):
    rows, n = x.shape
    eps, scale = np.float32(eps), ONE / np.float32(n)
    for i in prange(rows):
        total = 0.0  # in float64: an error in a large mean would be squared into the variance
        for j in range(n):
            total += x[i, j]
        m = np.float32(total / n)
        squares = np.float32(0)
        for j in range(n):
            d = x[i, j] - m
            squares += d * d
        r = ONE / math.sqrt(squares * scale + eps)
        mean[i], rstd[i] = m, r
        for j in range(n):
            y[i, j] = (x[i, j] - m) * r * weight[j] + bias[j]


@simd.parallel
def _layer_norm_backward(grad, x, weight, statistics, partial, dx, dweight, dbias):
    """Write dx (rows, n), dweight and dbias (n,); see reference.layer_norm_backward for the formulas.

    grad and x are (rows, n), statistics the mean and the rstd (rows,). Chunk c has the rows from c * rows // chunks
    to (c + 1) * rows // chunks, and prange deals out the chunks. Each adds its rows' share of dweight to partial[c, 0]
    and of dbias to partial[c, 1]: partial (chunks, 2, n), dweight and dbias come as zeros. Then the chunks are added
    in order.
    """
    mean, rstd = statistics
    rows, n = x.shape
    scale = ONE / np.float32(n)
    chunks = len(partial)
    for c in prange(chunks):
        for i in range(c * rows // chunks, (c + 1) * rows // chunks):
            m, r = mean[i], rstd[i]
            g_mean, gh_mean = np.float32(0), np.float32(0)
            for j in range(n):
                h = (x[i, j] - m) * r
                g = grad[i, j] * weight[j]
                g_mean += g
                gh_mean += g * h
                partial[c, 0, j] += grad[i, j] * h
                partial[c, 1, j] += grad[i, j]
            g_mean *= scale
            gh_mean *= scale
            for j in range(n):
                h = (x[i, j] - m) * r
                dx[i, j] = r * (grad[i, j] * weight[j] - g_mean - h * gh_mean)
    for c in range(chunks):
        for j in range(n):
            dweight[j] += partial[c, 0, j]
            dbias[j] += partial[c, 1, j]


@simd.parallel
def _rms_norm(x, weight, eps, y, rstd):
    rows, n = x.shape
    eps, scale = np.float32(eps), ONE / np.float32(n)
    for i in prange(rows):
        squares = np.float32(0)
        for j in range(n):
            squares += x[i, j] * x[i, j]
        r = ONE / math.sqrt(squares * scale + eps)
        rstd[i] = r
        for j in range(n):
            y[i, j] = x[i, j] * r * weight[j]


@simd.parallel
def _rms_norm_backward(grad, x, weight, rstd, partial, dx, dweight):
    rows, n = x.shape
    scale = ONE / np.float32(n)
    chunks = len(partial)
    for c in prange(chunks):
        for i in range(c * rows // chunks, (c + 1) * rows // chunks):
            r = rstd[i]
            gh_mean = np.float32(0)
            for j in range(n):
                h = x[i, j] * r
                gh_mean += grad[i, j] * weight[j] * h
                partial[c, j] += grad[i, j] * h
            gh_mean *= scale
            for j in range(n):
                dx[i, j] = r * (grad[i, j] * weight[j] - x[i, j] * r * gh_mean)
    for c in range(chunks):
        for j in range(n):
            dweight[j] += partial[c, j]
