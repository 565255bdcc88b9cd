"""GELU and SiLU on the CPU: one pass over the elements, on simd's exp and normal_cdf."""

import math

import numpy as np
from numba import prange

from minigrad.kernels.cpu import simd
from minigrad.kernels.reference.activation import TAIL as _TAIL

BLOCK = 4096  # elements
ONE, HALF, TWO = np.float32(1), np.float32(0.5), np.float32(2)
CUBIC, CUBIC_SLOPE = np.float32(0.044715), np.float32(3 * 0.044715)
SQRT_2_PI = np.float32(math.sqrt(2 / math.pi))
DENSITY_AT_0 = np.float32(math.sqrt(0.5 / math.pi))  # of the normal distribution
TAIL = np.float32(_TAIL)


def gelu(x, approximate):
    return _elementwise(_choose(approximate, _gelu_tanh, _gelu_exact), x)


def gelu_backward(grad, x, approximate):
    return _elementwise(_choose(approximate, _gelu_tanh_backward, _gelu_exact_backward), x, grad)


def silu(x):
    return _elementwise(_silu, x)


def silu_backward(grad, x):
    return _elementwise(_silu_backward, x, grad)


def _choose(approximate, tanh, exact):
    if approximate == "tanh":
        return tanh
    if approximate == "none":
        return exact
    raise ValueError(f'gelu: approximate is {approximate!r}; choose "none" or "tanh"')


def _elementwise(kernel, x, *more):
    y = np.empty(x.shape, np.float32)
    kernel(*[np.ascontiguousarray(a, np.float32).reshape(-1) for a in (x, *more)], y.reshape(-1))
    return y


# Each kernel is a loop over one block, which LLVM vectorises, and a loop over the blocks, which the threads
# share. One prange over all the elements would be simpler, but LLVM does not vectorise that as well.


@simd.parallel
def _gelu_tanh(x, y):
    for block in prange(-(-x.size // BLOCK)):
        start, stop = block * BLOCK, (block + 1) * BLOCK
        _gelu_tanh_block(x[start:stop], y[start:stop])


@simd.serial
def _gelu_tanh_block(x, y):
    for i in range(x.size):
        v = x[i]
        u = SQRT_2_PI * (v + CUBIC * v * v * v)
        y[i] = v * simd.sigmoid(TWO * u)  # (1 + tanh u) / 2 is sigmoid 2u


@simd.parallel
def _gelu_tanh_backward(x, grad, dx):
    for block in prange(-(-x.size // BLOCK)):
        start, stop = block * BLOCK, (block + 1) * BLOCK
        _gelu_tanh_backward_block(x[start:stop], grad[start:stop], dx[start:stop])


@simd.serial
def _gelu_tanh_backward_block(x, grad, dx):
    for i in range(x.size):
        v = simd.clamp(x[i], TAIL)
        u = SQRT_2_PI * (v + CUBIC * v * v * v)
        phi = simd.sigmoid(TWO * u)
        u_slope = SQRT_2_PI * (ONE + CUBIC_SLOPE * v * v)
        dx[i] = grad[i] * (phi + v * (TWO * u_slope * phi * (ONE - phi)))


@simd.parallel
def _gelu_exact(x, y):
    for block in prange(-(-x.size // BLOCK)):
        start, stop = block * BLOCK, (block + 1) * BLOCK
        _gelu_exact_block(x[start:stop], y[start:stop])


@simd.serial
def _gelu_exact_block(x, y):
    for i in range(x.size):
        y[i] = x[i] * simd.normal_cdf(x[i])


@simd.parallel
def _gelu_exact_backward(x, grad, dx):
    for block in prange(-(-x.size // BLOCK)):
        start, stop = block * BLOCK, (block + 1) * BLOCK
        _gelu_exact_backward_block(x[start:stop], grad[start:stop], dx[start:stop])


@simd.serial
def _gelu_exact_backward_block(x, grad, dx):
    for i in range(x.size):
        v = simd.clamp(x[i], TAIL)
        density = DENSITY_AT_0 * simd.exp(-HALF * v * v)
        dx[i] = grad[i] * (simd.normal_cdf(v) + v * density)


@simd.parallel
def _silu(x, y):
    for block in prange(-(-x.size // BLOCK)):
        start, stop = block * BLOCK, (block + 1) * BLOCK
        _silu_block(x[start:stop], y[start:stop])


@simd.serial
def _silu_block(x, y):
    for i in range(x.size):
        y[i] = x[i] * simd.sigmoid(x[i])


@simd.parallel
def _silu_backward(x, grad, dx):
    for block in prange(-(-x.size // BLOCK)):
        start, stop = block * BLOCK, (block + 1) * BLOCK
        _silu_backward_block(x[start:stop], grad[start:stop], dx[start:stop])


@simd.serial
def _silu_backward_block(x, grad, dx):
    for i in range(x.size):
        s = simd.sigmoid(x[i])
        dx[i] = grad[i] * (s + x[i] * s * (ONE - s))
