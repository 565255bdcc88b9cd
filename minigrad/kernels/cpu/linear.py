"""A fully connected layer on the CPU: a matrix product, and one pass over memory for everything else.

Forward, that pass adds the bias and applies the activation; backward, it takes the gradient through
the activation and sums its columns for the bias. numpy would read and write the (rows, out) array
once for every operation in the formula.
"""

import numpy as np
from numba import prange

from minigrad import kernels
from minigrad.kernels.cpu import simd
from minigrad.kernels.cpu.activation import (
    _gelu_exact_backward_block,
    _gelu_exact_block,
    _gelu_tanh_backward_block,
    _gelu_tanh_block,
    _silu_backward_block,
    _silu_block,
)

CHUNK = 64  # rows whose sum is one partial sum; fixed, so that the result depends on no thread count
SMALL = 1 << 15  # elements up to which numpy adds the bias and sums columns as fast

ZERO, ONE = np.float32(0), np.float32(1)


def linear(x, weight, bias, activation):
    pre = kernels.matmul(x, weight.T)  # (rows, out)
    if activation is not None:
        y = np.empty_like(pre)
        bias = np.zeros(len(weight), np.float32) if bias is None else np.ascontiguousarray(bias)
        _find(activation)[0](pre, bias, y)
        return y, pre
    if bias is not None and pre.size <= SMALL:
        pre += bias
    elif bias is not None:
        _add_bias(pre, np.ascontiguousarray(bias))
    return pre, None


def linear_backward(grad, x, weight, pre, activation, needs):
    needs_x, needs_weight, needs_bias = needs
    dbias = None
    if activation is not None:
        h = np.empty(grad.shape, np.float32)
        sums = _no_sums(grad)
        _find(activation)[1](np.ascontiguousarray(grad), np.ascontiguousarray(pre), h, sums)
        grad, dbias = h, sums.sum(0)
    elif needs_bias:
        dbias = _sum_of_rows(grad)
    return (
        kernels.matmul(grad, weight) if needs_x else None,
        kernels.matmul(grad.T, x) if needs_weight else None,
        dbias if needs_bias else None,
    )


def _sum_of_rows(grad):
    if grad.size <= SMALL:
        return grad.sum(0)
    sums = _no_sums(grad)
    _add_rows(np.ascontiguousarray(grad), sums)
    return sums.sum(0)


def _no_sums(grad):
    """Zeros for the sum of each chunk of rows."""
    return np.zeros((-(-grad.shape[0] // CHUNK), grad.shape[1]), np.float32)


@simd.serial
def _add(x, y):
    for j in range(x.size):
        x[j] += y[j]


@simd.parallel
def _add_bias(pre, bias):
    for i in prange(len(pre)):
        _add(pre[i], bias)


@simd.serial
def _add_four(x, a, b, c, d):
    for j in range(x.size):
        x[j] += (a[j] + b[j]) + (c[j] + d[j])


@simd.parallel
def _add_rows(grad, sums):
    for chunk in prange(len(sums)):
        last = min(len(grad), (chunk + 1) * CHUNK)
        for i in range(chunk * CHUNK, last - 3, 4):  # four at a time: the sums are read and written less often
            _add_four(sums[chunk], grad[i], grad[i + 1], grad[i + 2], grad[i + 3])
        for i in range(last - last % 4, last):
            _add(sums[chunk], grad[i])


@simd.serial
def _relu_block(x, y):
    for j in range(x.size):
        y[j] = simd.select(x[j] < ZERO, ZERO, x[j])  # in this order NaN stays NaN


@simd.serial
def _relu_backward_block(x, grad, dx):
    for j in range(x.size):
        dx[j] = grad[j] * simd.select(x[j] > ZERO, ONE, ZERO)


# ---- a row at a time, while it is in the cache: pre += bias; y = activation(pre) ------------


@simd.parallel
def _relu(pre, bias, y):
    for i in prange(len(pre)):
        _add(pre[i], bias)
        _relu_block(pre[i], y[i])


@simd.parallel
def _gelu(pre, bias, y):
    for i in prange(len(pre)):
        _add(pre[i], bias)
        _gelu_exact_block(pre[i], y[i])


@simd.parallel
def _gelu_tanh(pre, bias, y):
    for i in prange(len(pre)):
        _add(pre[i], bias)
        _gelu_tanh_block(pre[i], y[i])


@simd.parallel
def _silu(pre, bias, y):
    for i in prange(len(pre)):
        _add(pre[i], bias)
        _silu_block(pre[i], y[i])


# ---- likewise h = grad · activation'(pre); sums = h summed by chunks of rows ----------------


@simd.parallel
def _relu_backward(grad, pre, h, sums):
    for chunk in prange(len(sums)):
        for i in range(chunk * CHUNK, min(len(grad), (chunk + 1) * CHUNK)):
            _relu_backward_block(pre[i], grad[i], h[i])
            _add(sums[chunk], h[i])


@simd.parallel
def _gelu_backward(grad, pre, h, sums):
    for chunk in prange(len(sums)):
        for i in range(chunk * CHUNK, min(len(grad), (chunk + 1) * CHUNK)):
            _gelu_exact_backward_block(pre[i], grad[i], h[i])
            _add(sums[chunk], h[i])


@simd.parallel
def _gelu_tanh_backward(grad, pre, h, sums):
    for chunk in prange(len(sums)):
        for i in range(chunk * CHUNK, min(len(grad), (chunk + 1) * CHUNK)):
            _gelu_tanh_backward_block(pre[i], grad[i], h[i])
            _add(sums[chunk], h[i])


@simd.parallel
def _silu_backward(grad, pre, h, sums):
    for chunk in prange(len(sums)):
        for i in range(chunk * CHUNK, min(len(grad), (chunk + 1) * CHUNK)):
            _silu_backward_block(pre[i], grad[i], h[i])
            _add(sums[chunk], h[i])


ACTIVATIONS = {
    "relu": (_relu, _relu_backward),
    "gelu": (_gelu, _gelu_backward),
    "gelu_tanh": (_gelu_tanh, _gelu_tanh_backward),
    "silu": (_silu, _silu_backward),
}


def _find(activation):
    if activation not in ACTIVATIONS:
        raise ValueError(f"linear: activation {activation!r}; choose None or one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[activation]
