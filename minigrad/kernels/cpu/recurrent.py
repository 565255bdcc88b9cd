"""Recurrent cells on the CPU: each thread takes some sequences of the batch through all steps by itself.

Sequences do not depend on each other, so between the first step and the last no thread waits for
another. The recurrent weight is packed once for the micro-kernel of the matrix product; a step packs
its few rows of the state, multiplies them with the weight, and applies the gates row by row while the
products are in the cache. Backward takes the same walk the other way. The gradient of the weight is a
sum over steps, and so one large product afterwards.

The rows of a step are split into tiles of equal height (25 into 13 and 12): with so few rows, filling up
the last tile with zeros would cost a third of the time.
"""

import numba
import numpy as np
from numba import njit, prange, types

from minigrad import kernels
from minigrad.kernels.cpu import simd
from minigrad.kernels.cpu.matmul import _pack_columns
from minigrad.kernels.cpu.micro_kernel import COLUMNS, TALLEST, multiply_rows
from minigrad.kernels.cpu.tiles import address_of, call, span
from minigrad.kernels.reference.recurrent import previous

ONE, ZERO = np.float32(1), np.float32(0)


def lstm(gates, h0, c0, weight, sizes, reverse):
    gates, h, c = np.ascontiguousarray(gates), h0.copy("C"), c0.copy("C")
    output, cells, activated = _empty(len(gates), h.shape[1]), _empty(len(gates), h.shape[1]), _empty(*gates.shape)
    _lstm(_PRODUCT, gates, _panels(weight, 4), *_walk(sizes), reverse, h, c, output, cells, activated)
    return output, h, c, activated, cells


def lstm_backward(grad, grad_h, grad_c, h0, c0, weight, output, activated, cells, sizes, reverse):
    grad, activated, cells = map(np.ascontiguousarray, (grad, activated, cells))
    dh, dc, dgates = grad_h.copy("C"), grad_c.copy("C"), _empty(*activated.shape)
    earlier = previous(c0, cells, sizes, reverse)
    panels = _panels(weight.T, 1)
    _lstm_backward(_PRODUCT, grad, panels, *_walk(sizes), reverse, activated, cells, earlier, dh, dc, dgates)
    return dgates, dh, dc, kernels.matmul(dgates.T, previous(h0, output, sizes, reverse))


def gru(gates, h0, weight, bias, sizes, reverse):
    gates, h = np.ascontiguousarray(gates), h0.copy("C")
    bias = np.zeros(len(weight), np.float32) if bias is None else np.ascontiguousarray(bias)
    output, hidden, activated = _empty(len(gates), h.shape[1]), _empty(len(gates), h.shape[1]), _empty(*gates.shape)
    _gru(_PRODUCT, gates, _panels(weight, 3), bias, *_walk(sizes), reverse, h, output, hidden, activated)
    return output, h, activated, hidden


def gru_backward(grad, grad_h, h0, weight, output, activated, hidden, sizes, reverse):
    grad, output, activated, hidden = map(np.ascontiguousarray, (grad, output, activated, hidden))
    dh, dgates, drecurrent = grad_h.copy("C"), _empty(*activated.shape), _empty(*activated.shape)
    earlier = previous(h0, output, sizes, reverse)
    panels = _panels(weight.T, 1)
    _gru_backward(_PRODUCT, grad, panels, *_walk(sizes), reverse, activated, hidden, earlier, dh, dgates, drecurrent)
    return dgates, dh, kernels.matmul(drecurrent.T, earlier), drecurrent.sum(0)


def rnn(gates, h0, weight, sizes, reverse, relu):
    gates, h = np.ascontiguousarray(gates), h0.copy("C")
    output = _empty(*gates.shape)
    _rnn(_PRODUCT, gates, _panels(weight, 1), *_walk(sizes), reverse, relu, h, output)
    return output, h


def rnn_backward(grad, grad_h, h0, weight, output, sizes, reverse, relu):
    grad, output = np.ascontiguousarray(grad), np.ascontiguousarray(output)
    dh, dgates = grad_h.copy("C"), _empty(*output.shape)
    _rnn_backward(_PRODUCT, grad, _panels(weight.T, 1), *_walk(sizes), reverse, relu, output, dh, dgates)
    return dgates, dh, kernels.matmul(dgates.T, previous(h0, output, sizes, reverse))


def _empty(*shape):
    return np.empty(shape, np.float32)


def _walk(sizes):
    """(sizes, the first row of each step, bounds): thread k takes sequences bounds[k] to bounds[k + 1] - 1.

    The longest sequences come first, so equal shares of the steps are unequal shares of the sequences.
    """
    lengths = (sizes[:, None] > np.arange(sizes[0])).sum(0)
    threads = min(numba.get_num_threads(), len(lengths))
    middles = np.cumsum(lengths) - lengths / 2
    bounds = np.searchsorted(middles, lengths.sum() * np.arange(threads + 1) / threads)
    return sizes, np.cumsum(sizes) - sizes, bounds


# ---- packing, and the product of a step -----------------------------------------------------


def _panels(weight, gates):
    """The rows of weight (gates · units, depth) in panels of COLUMNS units, those of a gate filled up with zeros."""
    units = len(weight) // gates
    packed = _empty(-(-units // COLUMNS) * gates * COLUMNS * weight.shape[1])
    _pack_weight(weight[None, None], gates, packed)
    return packed


@simd.parallel
def _pack_weight(weight, gates, packed):
    rows, depth = weight.shape[2], weight.shape[3]
    units = rows // gates
    panels = (units + COLUMNS - 1) // COLUMNS
    for task in prange(panels * gates):
        first, gate = task % panels * COLUMNS, task // panels
        lines = min(COLUMNS, units - first)
        _pack_columns(weight, 0, 0, gate * units + first, lines, 0, depth, packed, task * depth * COLUMNS)


@njit(error_model="numpy")
def _height(rows):
    """The height of the tiles that `rows` rows are split into; the last one may be lower."""
    tiles = (rows + TALLEST - 1) // TALLEST
    return (rows + tiles - 1) // tiles


@njit(error_model="numpy")
def _pack(x, first, rows, packed):
    """packed = x[first : first + rows] as panels (depth, height) of its tiles."""
    depth, height = x.shape[1], _height(rows)
    for row in range(0, rows, height):
        lines = min(height, rows - row)
        for i in range(lines):
            at = row * depth + i
            for k in range(depth):
                packed[at + k * lines] = x[first + row + i, k]


@njit(error_model="numpy")
def _multiply(rows, depth, packed, panels, panel, out, at, stride):
    """out[at:] (rows, COLUMNS of rows `stride` apart) = packed rows @ one panel of the weight."""
    height = _height(rows)
    for row in range(0, rows, height):
        multiply_rows(
            min(height, rows - row), depth, packed, row * depth, panels, panel * depth * COLUMNS,
            out, at + row * stride, stride,
        )  # fmt: skip


@njit(error_model="numpy", cache=True)
def _multiply_panels(rows, depth, packed, panels, gates, stride, product):
    """product (rows, gates, stride) = packed rows @ the panels of all gates; a gate's units are padded to `stride`."""
    for gate in range(gates):
        for unit in range(0, stride, COLUMNS):
            panel = (gate * stride + unit) // COLUMNS
            _multiply(rows, depth, packed, panels, panel, product, gate * stride + unit, gates * stride)


# Called by its address, so that the micro-kernel in all its heights is compiled once and not in every kernel.
_flat = types.Array(types.float32, 1, "C")
_PRODUCT = address_of(_multiply_panels, (types.intp, types.intp, _flat, _flat, types.intp, types.intp, _flat))


# ---- loops over the units of one sequence -----------------------------------------------------
#
# Each writes one array and reads few: LLVM vectorises a loop only if a handful of comparisons at its
# start can show that no two of its arrays overlap.


@simd.serial
def _copy(x, y):
    for u in range(x.size):
        y[u] = x[u]


@simd.serial
def _add(x, y):
    for u in range(x.size):
        y[u] += x[u]


@simd.serial
def _multiply_by(x, y):
    for u in range(x.size):
        y[u] *= x[u]


@simd.serial
def _sigmoid(p, x, y):
    for u in range(y.size):
        y[u] = simd.sigmoid(p[u] + x[u])


@simd.serial
def _tanh(p, x, y):
    for u in range(y.size):
        y[u] = simd.tanh(p[u] + x[u])


@simd.serial
def _through_sigmoid(d, x, s, y):
    """y = d · x · the slope of the sigmoid whose value is s"""
    for u in range(y.size):
        y[u] = d[u] * x[u] * s[u] * (ONE - s[u])


@simd.serial
def _through_tanh(d, x, t, y):
    """y = d · x · the slope of the tanh whose value is t"""
    for u in range(y.size):
        y[u] = d[u] * x[u] * (ONE - t[u] * t[u])


# ---- LSTM -----------------------------------------------------------------------------------


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
def _lstm_sequences(multiply, first, last, gates, panels, sizes, starts, reverse, h, c, output, cells, activated):
    n, steps = h.shape[1], len(sizes)
    stride = (n + COLUMNS - 1) // COLUMNS * COLUMNS
    packed, product = np.empty((last - first) * n, np.float32), np.empty((last - first) * 4 * stride, np.float32)
    for step in range(steps):
        t = steps - 1 - step if reverse else step
        rows = min(last, sizes[t]) - first
        if rows <= 0:
            continue
        _pack(h, first, rows, packed)
        call(multiply, (rows, n, packed, panels, 4, stride, product))
        for row in range(rows):
            at, p = starts[t] + first + row, row * 4 * stride
            a, s = at * 4 * n, at * n
            i, f = span(activated, a, n), span(activated, a + n, n)
            g, o = span(activated, a + 2 * n, n), span(activated, a + 3 * n, n)
            c_now, h_now = span(c, (first + row) * n, n), span(h, (first + row) * n, n)
            _sigmoid(span(product, p, n), span(gates, a, n), i)
            _sigmoid(span(product, p + stride, n), span(gates, a + n, n), f)
            _tanh(span(product, p + 2 * stride, n), span(gates, a + 2 * n, n), g)
            _sigmoid(span(product, p + 3 * stride, n), span(gates, a + 3 * n, n), o)
            _new_cell(i, f, g, c_now)
            _new_hidden(o, c_now, h_now)
            _copy(c_now, span(cells, s, n))
            _copy(h_now, span(output, s, n))


@njit(error_model="numpy")
def _lstm_sequences_backward(
    multiply, first, last, grad, panels, sizes, starts, reverse, activated, cells, earlier, dh, dc, dgates
):
    n, steps = dh.shape[1], len(sizes)
    stride = (n + COLUMNS - 1) // COLUMNS * COLUMNS  # of carried: dh with room for whole panels
    packed, carried = np.empty((last - first) * 4 * n, np.float32), np.empty((last - first) * stride, np.float32)
    tanh_c = np.empty(n, np.float32)
    for row in range(last - first):
        _copy(span(dh, (first + row) * n, n), span(carried, row * stride, n))
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
            _add(span(grad, s, n), dh_now)
            _through_hidden(dh_now, o, tanh_c, dc_now)
            _through_sigmoid(dc_now, g, i, span(dgates, a, n))
            _through_sigmoid(dc_now, span(earlier, s, n), f, span(dgates, a + n, n))
            _through_tanh(dc_now, i, g, span(dgates, a + 2 * n, n))
            _through_sigmoid(dh_now, tanh_c, o, span(dgates, a + 3 * n, n))
            _multiply_by(f, dc_now)
        _pack(dgates, starts[t] + first, rows, packed)
        call(multiply, (rows, 4 * n, packed, panels, 1, stride, carried))
    for row in range(last - first):
        _copy(span(carried, row * stride, n), span(dh, (first + row) * n, n))


@simd.parallel
def _lstm(multiply, gates, panels, sizes, starts, bounds, reverse, h, c, output, cells, activated):
    for share in prange(len(bounds) - 1):
        _lstm_sequences(
            multiply,
            bounds[share],
            bounds[share + 1],
            gates,
            panels,
            sizes,
            starts,
            reverse,
            h,
            c,
            output,
            cells,
            activated,
        )


@simd.parallel
def _lstm_backward(multiply, grad, panels, sizes, starts, bounds, reverse, activated, cells, earlier, dh, dc, dgates):
    for share in prange(len(bounds) - 1):
        _lstm_sequences_backward(
            multiply, bounds[share], bounds[share + 1], grad, panels, sizes, starts, reverse, activated, cells, earlier,
            dh, dc, dgates,
        )  # fmt: skip


# ---- GRU ------------------------------------------------------------------------------------


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
def _gru_sequences(multiply, first, last, gates, panels, bias, sizes, starts, reverse, h, output, hidden, activated):
    n, steps = h.shape[1], len(sizes)
    stride = (n + COLUMNS - 1) // COLUMNS * COLUMNS
    packed, product = np.empty((last - first) * n, np.float32), np.empty((last - first) * 3 * stride, np.float32)
    for step in range(steps):
        t = steps - 1 - step if reverse else step
        rows = min(last, sizes[t]) - first
        if rows <= 0:
            continue
        _pack(h, first, rows, packed)
        call(multiply, (rows, n, packed, panels, 3, stride, product))
        for row in range(rows):
            at, p = starts[t] + first + row, row * 3 * stride
            a, s = at * 3 * n, at * n
            r, z, new = span(activated, a, n), span(activated, a + n, n), span(activated, a + 2 * n, n)
            p_r, p_z, p_n = span(product, p, n), span(product, p + stride, n), span(product, p + 2 * stride, n)
            h_now = span(h, (first + row) * n, n)
            _add(span(bias, 0, n), p_r)
            _add(span(bias, n, n), p_z)
            _add(span(bias, 2 * n, n), p_n)
            _sigmoid(p_r, span(gates, a, n), r)
            _sigmoid(p_z, span(gates, a + n, n), z)
            _new_candidate(span(gates, a + 2 * n, n), r, p_n, new)
            _between(new, z, h_now)
            _copy(p_n, span(hidden, s, n))
            _copy(h_now, span(output, s, n))


@njit(error_model="numpy")
def _gru_sequences_backward(
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
            _through_sigmoid(dn, span(hidden, s, n), r, dr)
            _through_update(dh_now, span(earlier, s, n), new, z, dz)
            _copy(dr, span(drecurrent, a, n))
            _copy(dz, span(drecurrent, a + n, n))
            _copy(dn, dn_recurrent)
            _multiply_by(r, dn_recurrent)
            _multiply_by(z, dh_now)
        _pack(drecurrent, starts[t] + first, rows, packed)
        call(multiply, (rows, 3 * n, packed, panels, 1, stride, carried))
    for row in range(last - first):
        _add(span(carried, row * stride, n), span(dh, (first + row) * n, n))


@simd.parallel
def _gru(multiply, gates, panels, bias, sizes, starts, bounds, reverse, h, output, hidden, activated):
    for share in prange(len(bounds) - 1):
        _gru_sequences(
            multiply,
            bounds[share],
            bounds[share + 1],
            gates,
            panels,
            bias,
            sizes,
            starts,
            reverse,
            h,
            output,
            hidden,
            activated,
        )


@simd.parallel
def _gru_backward(
    multiply, grad, panels, sizes, starts, bounds, reverse, activated, hidden, earlier, dh, dgates, drecurrent
):
    for share in prange(len(bounds) - 1):
        _gru_sequences_backward(
            multiply, bounds[share], bounds[share + 1], grad, panels, sizes, starts, reverse, activated, hidden,
            earlier, dh, dgates, drecurrent,
        )  # fmt: skip


# ---- the plain RNN --------------------------------------------------------------------------


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
def _rnn_sequences(multiply, first, last, gates, panels, sizes, starts, reverse, relu, h, output):
    n, steps = h.shape[1], len(sizes)
    stride = (n + COLUMNS - 1) // COLUMNS * COLUMNS
    packed, product = np.empty((last - first) * n, np.float32), np.empty((last - first) * stride, np.float32)
    for step in range(steps):
        t = steps - 1 - step if reverse else step
        rows = min(last, sizes[t]) - first
        if rows <= 0:
            continue
        _pack(h, first, rows, packed)
        call(multiply, (rows, n, packed, panels, 1, stride, product))
        for row in range(rows):
            s = (starts[t] + first + row) * n
            p, h_now = span(product, row * stride, n), span(h, (first + row) * n, n)
            if relu:
                _relu(p, span(gates, s, n), h_now)
            else:
                _tanh(p, span(gates, s, n), h_now)
            _copy(h_now, span(output, s, n))


@njit(error_model="numpy")
def _rnn_sequences_backward(multiply, first, last, grad, panels, sizes, starts, reverse, relu, output, dh, dgates):
    n, steps = dh.shape[1], len(sizes)
    stride = (n + COLUMNS - 1) // COLUMNS * COLUMNS
    packed, carried = np.empty((last - first) * n, np.float32), np.empty((last - first) * stride, np.float32)
    for row in range(last - first):
        _copy(span(dh, (first + row) * n, n), span(carried, row * stride, n))
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
        _pack(dgates, starts[t] + first, rows, packed)
        call(multiply, (rows, n, packed, panels, 1, stride, carried))
    for row in range(last - first):
        _copy(span(carried, row * stride, n), span(dh, (first + row) * n, n))


@simd.parallel
def _rnn(multiply, gates, panels, sizes, starts, bounds, reverse, relu, h, output):
    for share in prange(len(bounds) - 1):
        _rnn_sequences(
            multiply, bounds[share], bounds[share + 1], gates, panels, sizes, starts, reverse, relu, h, output
        )


@simd.parallel
def _rnn_backward(multiply, grad, panels, sizes, starts, bounds, reverse, relu, output, dh, dgates):
    for share in prange(len(bounds) - 1):
        _rnn_sequences_backward(
            multiply, bounds[share], bounds[share + 1], grad, panels, sizes, starts, reverse, relu, output, dh, dgates
        )
