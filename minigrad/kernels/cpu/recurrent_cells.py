"""What each recurrent cell does with one row of one step on the CPU, forward and backward; see recurrent_walk.py.

A row of a step belongs to one sequence. `at` is its number among all rows, `sequence` its number in the batch; with
n units, the row's gates are the numbers at · gates · n and on of the arrays that hold gates.
"""

from typing import NamedTuple

import numpy as np
from numba import prange

from minigrad.kernels.cpu import recurrent_walk, simd
from minigrad.kernels.cpu.recurrent_walk import inline
from minigrad.kernels.cpu.tiles import span
from minigrad.typing import Array

ONE, ZERO = np.float32(1), np.float32(0)


# ---- LSTM: i, f, g, o; c = f·c' + i·g, h = o·tanh(c) ----------------------------------------


class LSTM(NamedTuple):
    """The arrays of reference.recurrent.lstm; h and c (batch, n) hold the initial states, and then the last."""

    gates: Array
    h: Array
    c: Array
    output: Array
    cells: Array
    activated: Array


@inline
def _lstm(product, stride, at, sequence, h, arrays):
    n = h.size
    a, activated, gates = at * 4 * n, arrays.activated, arrays.gates
    i, f = span(activated, a, n), span(activated, a + n, n)
    g, o = span(activated, a + 2 * n, n), span(activated, a + 3 * n, n)
    c = span(arrays.c, sequence * n, n)
    _sigmoid(span(product, 0, n), span(gates, a, n), i)
    _sigmoid(span(product, stride, n), span(gates, a + n, n), f)
    _tanh(span(product, 2 * stride, n), span(gates, a + 2 * n, n), g)
    _sigmoid(span(product, 3 * stride, n), span(gates, a + 3 * n, n), o)
    _new_cell(i, f, g, c)
    _new_hidden(o, c, h)
    _copy(c, span(arrays.cells, at * n, n))
    _copy(h, span(arrays.output, at * n, n))


_lstm_sequences = recurrent_walk.forward(_lstm, gates=4)


@simd.parallel
def lstm(walk, arrays):
    """All threads' sequences, arrays filled in place."""
    for share in prange(len(walk.bounds) - 1):
        _lstm_sequences(share, walk, arrays)


class LSTMBackward(NamedTuple):
    """The arrays of reference.recurrent.lstm_backward; earlier (rows, n) is c before each row, drecurrent dgates."""

    grad: Array
    dh: Array
    dc: Array
    activated: Array
    cells: Array
    earlier: Array
    drecurrent: Array


@inline
def _lstm_backward(at, sequence, dh, arrays):
    n = dh.size
    a, s, activated, dgates = at * 4 * n, at * n, arrays.activated, arrays.drecurrent
    i, f = span(activated, a, n), span(activated, a + n, n)
    g, o = span(activated, a + 2 * n, n), span(activated, a + 3 * n, n)
    dc, tanh_c = span(arrays.dc, sequence * n, n), span(dgates, a + 2 * n, n)  # dg's place, written last
    _tanh_of(span(arrays.cells, s, n), tanh_c)
    _through_hidden(dh, o, tanh_c, dc)
    _through_sigmoid(dc, g, i, span(dgates, a, n))
    _through_sigmoid(dc, span(arrays.earlier, s, n), f, span(dgates, a + n, n))
    _through_sigmoid(dh, tanh_c, o, span(dgates, a + 3 * n, n))
    _through_tanh(dc, i, g, span(dgates, a + 2 * n, n))
    _multiply_by(f, dc)
    dh[:] = ZERO  # all of it goes through the product


_lstm_backward_sequences = recurrent_walk.backward(_lstm_backward, gates=4)


@simd.parallel
def lstm_backward(walk, arrays):
    """All threads' sequences, arrays filled in place."""
    for share in prange(len(walk.bounds) - 1):
        _lstm_backward_sequences(share, walk, arrays)


# ---- GRU: r, z, n; h = (1 - z)·n + z·h' ------------------------------------------------------


class GRU(NamedTuple):
    """The arrays of reference.recurrent.gru; h (batch, n) holds the initial states, and then the last."""

    gates: Array
    bias: Array
    h: Array
    output: Array
    hidden: Array
    activated: Array


@inline
def _gru(product, stride, at, sequence, h, arrays):
    n = h.size
    a, activated, gates, bias = at * 3 * n, arrays.activated, arrays.gates, arrays.bias
    r, z, new = span(activated, a, n), span(activated, a + n, n), span(activated, a + 2 * n, n)
    p_r, p_z, p_n = span(product, 0, n), span(product, stride, n), span(product, 2 * stride, n)
    _add(span(bias, 0, n), p_r)
    _add(span(bias, n, n), p_z)
    _add(span(bias, 2 * n, n), p_n)
    _sigmoid(p_r, span(gates, a, n), r)
    _sigmoid(p_z, span(gates, a + n, n), z)
    _new_candidate(span(gates, a + 2 * n, n), r, p_n, new)
    _between(new, z, h)
    _copy(p_n, span(arrays.hidden, at * n, n))
    _copy(h, span(arrays.output, at * n, n))


_gru_sequences = recurrent_walk.forward(_gru, gates=3)


@simd.parallel
def gru(walk, arrays):
    """All threads' sequences, arrays filled in place."""
    for share in prange(len(walk.bounds) - 1):
        _gru_sequences(share, walk, arrays)


class GRUBackward(NamedTuple):
    """The arrays of reference.recurrent.gru_backward; earlier (rows, n) is h before each row."""

    grad: Array
    dh: Array
    activated: Array
    hidden: Array
    earlier: Array
    dgates: Array
    drecurrent: Array


@inline
def _gru_backward(at, sequence, dh, arrays):
    n = dh.size
    a, s, activated, dgates, drecurrent = at * 3 * n, at * n, arrays.activated, arrays.dgates, arrays.drecurrent
    r, z, new = span(activated, a, n), span(activated, a + n, n), span(activated, a + 2 * n, n)
    dr, dz, dn = span(dgates, a, n), span(dgates, a + n, n), span(dgates, a + 2 * n, n)
    dn_recurrent = span(drecurrent, a + 2 * n, n)
    _through_between(dh, z, new, dn)
    _through_sigmoid(dn, span(arrays.hidden, s, n), r, dr)
    _through_update(dh, span(arrays.earlier, s, n), new, z, dz)
    _copy(dr, span(drecurrent, a, n))
    _copy(dz, span(drecurrent, a + n, n))
    _copy(dn, dn_recurrent)
    _multiply_by(r, dn_recurrent)
    _multiply_by(z, dh)


_gru_backward_sequences = recurrent_walk.backward(_gru_backward, gates=3)


@simd.parallel
def gru_backward(walk, arrays):
    """All threads' sequences, arrays filled in place."""
    for share in prange(len(walk.bounds) - 1):
        _gru_backward_sequences(share, walk, arrays)


# ---- the plain RNN: h = tanh(…) or relu(…) ----------------------------------------------------


class RNN(NamedTuple):
    """The arrays of reference.recurrent.rnn; h (batch, n) holds the initial states, and then the last."""

    gates: Array
    h: Array
    output: Array
    relu: bool


@inline
def _rnn(product, stride, at, sequence, h, arrays):
    gates = span(arrays.gates, at * h.size, h.size)
    if arrays.relu:
        _relu(span(product, 0, h.size), gates, h)
    else:
        _tanh(span(product, 0, h.size), gates, h)
    _copy(h, span(arrays.output, at * h.size, h.size))


_rnn_sequences = recurrent_walk.forward(_rnn, gates=1)


@simd.parallel
def rnn(walk, arrays):
    """All threads' sequences, arrays filled in place."""
    for share in prange(len(walk.bounds) - 1):
        _rnn_sequences(share, walk, arrays)


class RNNBackward(NamedTuple):
    """The arrays of reference.recurrent.rnn_backward; drecurrent is dgates."""

    grad: Array
    dh: Array
    output: Array
    drecurrent: Array
    relu: bool


@inline
def _rnn_backward(at, sequence, dh, arrays):
    n = dh.size
    h, dgates = span(arrays.output, at * n, n), span(arrays.drecurrent, at * n, n)
    if arrays.relu:
        _through_relu_of(dh, h, dgates)
    else:
        _through_tanh_of(dh, h, dgates)
    dh[:] = ZERO


_rnn_backward_sequences = recurrent_walk.backward(_rnn_backward, gates=1)


@simd.parallel
def rnn_backward(walk, arrays):
    """All threads' sequences, arrays filled in place."""
    for share in prange(len(walk.bounds) - 1):
        _rnn_backward_sequences(share, walk, arrays)


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
def _relu(p, x, y):
    for u in range(y.size):
        a = p[u] + x[u]
        y[u] = simd.select(a < ZERO, ZERO, a)  # in this order NaN stays NaN


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


@simd.serial
def _through_tanh_of(dh, h, y):
    for u in range(y.size):
        y[u] = dh[u] * (ONE - h[u] * h[u])


@simd.serial
def _through_relu_of(dh, h, y):
    for u in range(y.size):
        y[u] = dh[u] * simd.select(h[u] > ZERO, ONE, ZERO)


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
