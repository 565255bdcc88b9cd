"""GRU on the CPU: what one thread does with its sequences, forward and backward; see recurrent.py."""

import numpy as np
from numba import njit, prange

from minigrad.kernels.cpu import simd
from minigrad.kernels.cpu.micro_kernel import COLUMNS
from minigrad.kernels.cpu.recurrent_parts import ONE, add, copy, multiply_by, pack, sigmoid, through_sigmoid
from minigrad.kernels.cpu.tiles import call, span


@simd.serial
def _add_both(w, x, y):
    for u in range(y.size):
        y[u] += w[u] + x[u]


@simd.serial
def _new_candidate(x, r, recurrent, new):
    for u in range(new.size):
        new[u] = simd.tanh(x[u] + r[u] * recurrent[u])


@simd.serial
def _between(new, z, h):
    for u in range(h.size):
        h[u] = new[u] + z[u] * (h[u] - new[u])


@simd.serial
def _through_between(dh, z, new, dn):
    for u in range(dn.size):
        dn[u] = dh[u] * (ONE - z[u]) * (ONE - new[u] * new[u])


@simd.serial
def _through_update(dh, earlier, new, z, dz):
    for u in range(dz.size):
        dz[u] = dh[u] * (earlier[u] - new[u]) * z[u] * (ONE - z[u])


@njit(error_model="numpy")
def _sequences(multiply, first, last, gates, panels, bias, sizes, starts, reverse, h, output, hidden, activated):
    n, steps = h.shape[1], len(sizes)
    stride = (n + COLUMNS - 1) // COLUMNS * COLUMNS
    packed, product = np.empty((last - first) * n, np.float32), np.empty((last - first) * 3 * stride, np.float32)
    for step in range(steps):
        t = steps - 1 - step if reverse else step
        rows = min(last, sizes[t]) - first
        if rows <= 0:
            continue
        pack(h, first, rows, packed)
        call(multiply, (rows, n, packed, panels, 3, stride, product))
        for row in range(rows):
            at, p = starts[t] + first + row, row * 3 * stride
            a, s = at * 3 * n, at * n
            r, z, new = span(activated, a, n), span(activated, a + n, n), span(activated, a + 2 * n, n)
            p_r, p_z, p_n = span(product, p, n), span(product, p + stride, n), span(product, p + 2 * stride, n)
            h_now = span(h, (first + row) * n, n)
            add(span(bias, 0, n), p_r)
            add(span(bias, n, n), p_z)
            add(span(bias, 2 * n, n), p_n)
            sigmoid(p_r, span(gates, a, n), r)
            sigmoid(p_z, span(gates, a + n, n), z)
            _new_candidate(span(gates, a + 2 * n, n), r, p_n, new)
            _between(new, z, h_now)
            copy(p_n, span(hidden, s, n))
            copy(h_now, span(output, s, n))


@njit(error_model="numpy")
def _sequences_backward(
    multiply, first, last, grad, panels, sizes, starts, reverse, activated, hidden, earlier, dh, dgates, drecurrent
):
    n, steps = dh.shape[1], len(sizes)
    stride = (n + COLUMNS - 1) // COLUMNS * COLUMNS  # of carried: the part of dh that came through the product
    packed, carried = np.empty((last - first) * 3 * n, np.float32), np.zeros((last - first) * stride, np.float32)
    for step in range(steps):
        t = step if reverse else steps - 1 - step
        rows = min(last, sizes[t]) - first
        if rows <= 0:
            continue
        for row in range(rows):
            at = starts[t] + first + row
            a, s = at * 3 * n, at * n
            r, z, new = span(activated, a, n), span(activated, a + n, n), span(activated, a + 2 * n, n)
            dr, dz, dn = span(dgates, a, n), span(dgates, a + n, n), span(dgates, a + 2 * n, n)
            dh_now, dn_recurrent = span(dh, (first + row) * n, n), span(drecurrent, a + 2 * n, n)
            _add_both(span(grad, s, n), span(carried, row * stride, n), dh_now)
            _through_between(dh_now, z, new, dn)
            through_sigmoid(dn, span(hidden, s, n), r, dr)
            _through_update(dh_now, span(earlier, s, n), new, z, dz)
            copy(dr, span(drecurrent, a, n))
            copy(dz, span(drecurrent, a + n, n))
            copy(dn, dn_recurrent)
            multiply_by(r, dn_recurrent)
            multiply_by(z, dh_now)
        pack(drecurrent, starts[t] + first, rows, packed)
        call(multiply, (rows, 3 * n, packed, panels, 1, stride, carried))
    for row in range(last - first):
        add(span(carried, row * stride, n), span(dh, (first + row) * n, n))


@simd.parallel
def forward(multiply, gates, panels, bias, sizes, starts, bounds, reverse, h, output, hidden, activated):
    """All sequences, shared among the threads at `bounds`: thread i takes those from bounds[i] to bounds[i + 1]."""
    for share in prange(len(bounds) - 1):
        _sequences(
            multiply, bounds[share], bounds[share + 1], gates, panels, bias, sizes, starts, reverse, h, output,
            hidden, activated,
        )  # fmt: skip


@simd.parallel
def backward(
    multiply, grad, panels, sizes, starts, bounds, reverse, activated, hidden, earlier, dh, dgates, drecurrent
):
    """The same in backward."""
    for share in prange(len(bounds) - 1):
        _sequences_backward(
            multiply, bounds[share], bounds[share + 1], grad, panels, sizes, starts, reverse, activated, hidden,
            earlier, dh, dgates, drecurrent,
        )  # fmt: skip
