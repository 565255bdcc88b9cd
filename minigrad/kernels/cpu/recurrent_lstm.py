"""LSTM on the CPU: what one thread does with its sequences, forward and backward; see recurrent.py."""

import numpy as np
from numba import njit, prange

from minigrad.kernels.cpu import simd
from minigrad.kernels.cpu.micro_kernel import COLUMNS
from minigrad.kernels.cpu.recurrent_parts import (
    ONE,
    add,
    copy,
    multiply_by,
    pack,
    sigmoid,
    tanh,
    through_sigmoid,
    through_tanh,
)
from minigrad.kernels.cpu.tiles import call, span


@simd.serial
def _new_cell(i, f, g, c):
    for u in range(c.size):
        c[u] = f[u] * c[u] + i[u] * g[u]


@simd.serial
def _new_hidden(o, c, h):
    for u in range(h.size):
        h[u] = o[u] * simd.tanh(c[u])


@simd.serial
def _tanh_of(x, y):
    for u in range(x.size):
        y[u] = simd.tanh(x[u])


@simd.serial
def _through_hidden(dh, o, tanh_c, dc):
    for u in range(dc.size):
        dc[u] += dh[u] * o[u] * (ONE - tanh_c[u] * tanh_c[u])


@njit(error_model="numpy")
def _sequences(multiply, first, last, gates, panels, sizes, starts, reverse, h, c, output, cells, activated):
    n, steps = h.shape[1], len(sizes)
    stride = (n + COLUMNS - 1) // COLUMNS * COLUMNS
    packed, product = np.empty((last - first) * n, np.float32), np.empty((last - first) * 4 * stride, np.float32)
    for step in range(steps):
        t = steps - 1 - step if reverse else step
        rows = min(last, sizes[t]) - first
        if rows <= 0:
            continue
        pack(h, first, rows, packed)
        call(multiply, (rows, n, packed, panels, 4, stride, product))
        for row in range(rows):
            at, p = starts[t] + first + row, row * 4 * stride
            a, s = at * 4 * n, at * n
            i, f = span(activated, a, n), span(activated, a + n, n)
            g, o = span(activated, a + 2 * n, n), span(activated, a + 3 * n, n)
            c_now, h_now = span(c, (first + row) * n, n), span(h, (first + row) * n, n)
            sigmoid(span(product, p, n), span(gates, a, n), i)
            sigmoid(span(product, p + stride, n), span(gates, a + n, n), f)
            tanh(span(product, p + 2 * stride, n), span(gates, a + 2 * n, n), g)
            sigmoid(span(product, p + 3 * stride, n), span(gates, a + 3 * n, n), o)
            _new_cell(i, f, g, c_now)
            _new_hidden(o, c_now, h_now)
            copy(c_now, span(cells, s, n))
            copy(h_now, span(output, s, n))


@njit(error_model="numpy")
def _sequences_backward(
    multiply, first, last, grad, panels, sizes, starts, reverse, activated, cells, earlier, dh, dc, dgates
):
    n, steps = dh.shape[1], len(sizes)
    stride = (n + COLUMNS - 1) // COLUMNS * COLUMNS  # of carried: dh with room for whole panels
    packed, carried = np.empty((last - first) * 4 * n, np.float32), np.empty((last - first) * stride, np.float32)
    tanh_c = np.empty(n, np.float32)
    for row in range(last - first):
        copy(span(dh, (first + row) * n, n), span(carried, row * stride, n))
    for step in range(steps):
        t = step if reverse else steps - 1 - step
        rows = min(last, sizes[t]) - first
        if rows <= 0:
            continue
        for row in range(rows):
            at = starts[t] + first + row
            a, s = at * 4 * n, at * n
            i, f = span(activated, a, n), span(activated, a + n, n)
            g, o = span(activated, a + 2 * n, n), span(activated, a + 3 * n, n)
            dh_now, dc_now = span(carried, row * stride, n), span(dc, (first + row) * n, n)
            _tanh_of(span(cells, s, n), tanh_c)
            add(span(grad, s, n), dh_now)
            _through_hidden(dh_now, o, tanh_c, dc_now)
            through_sigmoid(dc_now, g, i, span(dgates, a, n))
            through_sigmoid(dc_now, span(earlier, s, n), f, span(dgates, a + n, n))
            through_tanh(dc_now, i, g, span(dgates, a + 2 * n, n))
            through_sigmoid(dh_now, tanh_c, o, span(dgates, a + 3 * n, n))
            multiply_by(f, dc_now)
        pack(dgates, starts[t] + first, rows, packed)
        call(multiply, (rows, 4 * n, packed, panels, 1, stride, carried))
    for row in range(last - first):
        copy(span(carried, row * stride, n), span(dh, (first + row) * n, n))


@simd.parallel
def forward(multiply, gates, panels, sizes, starts, bounds, reverse, h, c, output, cells, activated):
    """All sequences, shared among the threads at `bounds`: thread i takes those from bounds[i] to bounds[i + 1]."""
    for share in prange(len(bounds) - 1):
        _sequences(
            multiply, bounds[share], bounds[share + 1], gates, panels, sizes, starts, reverse, h, c, output,
            cells, activated,
        )  # fmt: skip


@simd.parallel
def backward(multiply, grad, panels, sizes, starts, bounds, reverse, activated, cells, earlier, dh, dc, dgates):
    """The same in backward."""
    for share in prange(len(bounds) - 1):
        _sequences_backward(
            multiply, bounds[share], bounds[share + 1], grad, panels, sizes, starts, reverse, activated, cells, earlier,
            dh, dc, dgates,
        )  # fmt: skip
