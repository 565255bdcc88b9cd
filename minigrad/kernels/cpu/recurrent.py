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

from minigrad import kernels
from minigrad.kernels.cpu import recurrent_gru, recurrent_lstm, recurrent_rnn
from minigrad.kernels.cpu.recurrent_parts import PRODUCT, empty, panels_of
from minigrad.kernels.reference.recurrent import previous


def lstm(gates, h0, c0, weight, sizes, reverse):
    gates, h, c = np.ascontiguousarray(gates), h0.copy("C"), c0.copy("C")
    output, cells, activated = empty(len(gates), h.shape[1]), empty(len(gates), h.shape[1]), empty(*gates.shape)
    recurrent_lstm.forward(PRODUCT, gates, panels_of(weight, 4), *_walk(sizes), reverse, h, c, output, cells, activated)
    return output, h, c, activated, cells


def lstm_backward(grad, grad_h, grad_c, h0, c0, weight, output, activated, cells, sizes, reverse):
    grad, activated, cells = map(np.ascontiguousarray, (grad, activated, cells))
    dh, dc, dgates = grad_h.copy("C"), grad_c.copy("C"), empty(*activated.shape)
    earlier = previous(c0, cells, sizes, reverse)
    panels = panels_of(weight.T, 1)
    recurrent_lstm.backward(PRODUCT, grad, panels, *_walk(sizes), reverse, activated, cells, earlier, dh, dc, dgates)
    return dgates, dh, dc, kernels.matmul(dgates.T, previous(h0, output, sizes, reverse))


def gru(gates, h0, weight, bias, sizes, reverse):
    gates, h = np.ascontiguousarray(gates), h0.copy("C")
    bias = np.zeros(len(weight), np.float32) if bias is None else np.ascontiguousarray(bias)
    output, hidden, activated = empty(len(gates), h.shape[1]), empty(len(gates), h.shape[1]), empty(*gates.shape)
    recurrent_gru.forward(
        PRODUCT, gates, panels_of(weight, 3), bias, *_walk(sizes), reverse, h, output, hidden, activated
    )
    return output, h, activated, hidden


def gru_backward(grad, grad_h, h0, weight, output, activated, hidden, sizes, reverse):
    grad, output, activated, hidden = map(np.ascontiguousarray, (grad, output, activated, hidden))
    dh, dgates, drecurrent = grad_h.copy("C"), empty(*activated.shape), empty(*activated.shape)
    earlier = previous(h0, output, sizes, reverse)
    panels = panels_of(weight.T, 1)
    recurrent_gru.backward(
        PRODUCT, grad, panels, *_walk(sizes), reverse, activated, hidden, earlier, dh, dgates, drecurrent
    )
    return dgates, dh, kernels.matmul(drecurrent.T, earlier), drecurrent.sum(0)


def rnn(gates, h0, weight, sizes, reverse, relu):
    gates, h = np.ascontiguousarray(gates), h0.copy("C")
    output = empty(*gates.shape)
    recurrent_rnn.forward(PRODUCT, gates, panels_of(weight, 1), *_walk(sizes), reverse, relu, h, output)
    return output, h


def rnn_backward(grad, grad_h, h0, weight, output, sizes, reverse, relu):
    grad, output = np.ascontiguousarray(grad), np.ascontiguousarray(output)
    dh, dgates = grad_h.copy("C"), empty(*output.shape)
    recurrent_rnn.backward(PRODUCT, grad, panels_of(weight.T, 1), *_walk(sizes), reverse, relu, output, dh, dgates)
    return dgates, dh, kernels.matmul(dgates.T, previous(h0, output, sizes, reverse))


def _walk(sizes):
    """(sizes, the first row of each step, bounds): thread k takes sequences bounds[k] to bounds[k + 1] - 1.

    The longest sequences come first, so equal shares of the steps are unequal shares of the sequences.
    """
    lengths = (sizes[:, None] > np.arange(sizes[0])).sum(0)
    threads = min(numba.get_num_threads(), len(lengths))
    middles = np.cumsum(lengths) - lengths / 2
    bounds = np.searchsorted(middles, lengths.sum() * np.arange(threads + 1) / threads)
    return sizes, np.cumsum(sizes) - sizes, bounds
