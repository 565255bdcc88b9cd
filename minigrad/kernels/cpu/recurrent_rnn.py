"""The plain RNN on the CPU: what one thread does with its sequences, forward and backward; see recurrent.py."""

import numpy as np
from numba import njit, prange

from minigrad.kernels.cpu import simd
from minigrad.kernels.cpu.micro_kernel import COLUMNS
from minigrad.kernels.cpu.recurrent_parts import ONE, ZERO, copy, pack, tanh
from minigrad.kernels.cpu.tiles import call, span


@simd.serial
def _relu(p, x, y):
    for u in range(y.size):
        a = p[u] + x[u]
        y[u] = simd.select(a < ZERO, ZERO, a)  # in this order NaN stays NaN


@simd.serial
def _through_tanh_of(dh, grad, h, dgates):
    for u in range(dgates.size):
        dgates[u] = (dh[u] + grad[u]) * (ONE - h[u] * h[u])


@simd.serial
def _through_relu_of(dh, grad, h, dgates):
    for u in range(dgates.size):
        dgates[u] = (dh[u] + grad[u]) * simd.select(h[u] > ZERO, ONE, ZERO)


@njit(error_model="numpy")
def _sequences(multiply, first, last, gates, panels, sizes, starts, reverse, relu, h, output):
    n, steps = h.shape[1], len(sizes)
    stride = (n + COLUMNS - 1) // COLUMNS * COLUMNS
    packed, product = np.empty((last - first) * n, np.float32), np.empty((last - first) * stride, np.float32)
    for step in range(steps):
        t = steps - 1 - step if reverse else step
        rows = min(last, sizes[t]) - first
        if rows <= 0:
            continue
        pack(h, first, rows, packed)
        call(multiply, (rows, n, packed, panels, 1, stride, product))
        for row in range(rows):
            s = (starts[t] + first + row) * n
            p, h_now = span(product, row * stride, n), span(h, (first + row) * n, n)
            if relu:
                _relu(p, span(gates, s, n), h_now)
            else:
                tanh(p, span(gates, s, n), h_now)
            copy(h_now, span(output, s, n))


@njit(error_model="numpy")
def _sequences_backward(multiply, first, last, grad, panels, sizes, starts, reverse, relu, output, dh, dgates):
    n, steps = dh.shape[1], len(sizes)
    stride = (n + COLUMNS - 1) // COLUMNS * COLUMNS
    packed, carried = np.empty((last - first) * n, np.float32), np.empty((last - first) * stride, np.float32)
    for row in range(last - first):
        copy(span(dh, (first + row) * n, n), span(carried, row * stride, n))
    for step in range(steps):
        t = step if reverse else steps - 1 - step
        rows = min(last, sizes[t]) - first
        if rows <= 0:
            continue
        for row in range(rows):
            s = (starts[t] + first + row) * n
            dh_now, h, d = span(carried, row * stride, n), span(output, s, n), span(dgates, s, n)
            if relu:
                _through_relu_of(dh_now, span(grad, s, n), h, d)
            else:
                _through_tanh_of(dh_now, span(grad, s, n), h, d)
        pack(dgates, starts[t] + first, rows, packed)
        call(multiply, (rows, n, packed, panels, 1, stride, carried))
    for row in range(last - first):
        copy(span(carried, row * stride, n), span(dh, (first + row) * n, n))


@simd.parallel
def forward(multiply, gates, panels, sizes, starts, bounds, reverse, relu, h, output):
    """All sequences, shared among the threads at `bounds`: thread i takes those from bounds[i] to bounds[i + 1]."""
    for share in prange(len(bounds) - 1):
        _sequences(multiply, bounds[share], bounds[share + 1], gates, panels, sizes, starts, reverse, relu, h, output)


@simd.parallel
def backward(multiply, grad, panels, sizes, starts, bounds, reverse, relu, output, dh, dgates):
    """The same in backward."""
    for share in prange(len(bounds) - 1):
        _sequences_backward(
            multiply, bounds[share], bounds[share + 1], grad, panels, sizes, starts, reverse, relu, output, dh, dgates
        )
