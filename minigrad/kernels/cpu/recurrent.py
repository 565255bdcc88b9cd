"""Recurrent cells on the CPU: the walk over time is in recurrent_walk.py, the cells' steps are in recurrent_cells.py.

The gradient of the weight is a sum over steps, and so one large product after the walk.
"""

import numpy as np

from minigrad import kernels
from minigrad.kernels.cpu import recurrent_cells as cells_of
from minigrad.kernels.cpu.recurrent_walk import empty, walk_of
from minigrad.kernels.reference.recurrent import previous


def lstm(gates, h0, c0, weight, sizes, reverse):
    """See reference.recurrent.lstm."""
    gates, h, c = np.ascontiguousarray(gates), h0.copy("C"), c0.copy("C")
    output, cells, activated = empty(len(gates), h.shape[1]), empty(len(gates), h.shape[1]), empty(*gates.shape)
    cells_of.lstm(walk_of(weight, 4, sizes, reverse), cells_of.LSTM(gates, h, c, output, cells, activated))
    return output, h, c, activated, cells


def lstm_backward(grad, grad_h, grad_c, saved, sizes, reverse):
    """See reference.recurrent.lstm_backward."""
    h0, c0, weight, output, activated, cells = saved
    grad, activated, cells = map(np.ascontiguousarray, (grad, activated, cells))
    dh, dc, dgates = grad_h.copy("C"), grad_c.copy("C"), empty(*activated.shape)
    earlier = previous(c0, cells, sizes, reverse)
    arrays = cells_of.LSTMBackward(grad, dh, dc, activated, cells, earlier, dgates)
    cells_of.lstm_backward(walk_of(weight.T, 1, sizes, reverse), arrays)
    return dgates, dh, dc, kernels.matmul(dgates.T, previous(h0, output, sizes, reverse))


def gru(gates, h0, weight, bias, sizes, reverse):
    """See reference.recurrent.gru."""
    gates, h = np.ascontiguousarray(gates), h0.copy("C")
    bias = np.zeros(len(weight), np.float32) if bias is None else np.ascontiguousarray(bias)
    output, hidden, activated = empty(len(gates), h.shape[1]), empty(len(gates), h.shape[1]), empty(*gates.shape)
    cells_of.gru(walk_of(weight, 3, sizes, reverse), cells_of.GRU(gates, bias, h, output, hidden, activated))
    return output, h, activated, hidden


def gru_backward(grad, grad_h, saved, sizes, reverse):
    """See reference.recurrent.gru_backward."""
    h0, weight, output, activated, hidden = saved
    grad, output, activated, hidden = map(np.ascontiguousarray, (grad, output, activated, hidden))
    dh, dgates, drecurrent = grad_h.copy("C"), empty(*activated.shape), empty(*activated.shape)
    earlier = previous(h0, output, sizes, reverse)
    arrays = cells_of.GRUBackward(grad, dh, activated, hidden, earlier, dgates, drecurrent)
    cells_of.gru_backward(walk_of(weight.T, 1, sizes, reverse), arrays)
    return dgates, dh, kernels.matmul(drecurrent.T, earlier), drecurrent.sum(0)


def rnn(gates, h0, weight, sizes, reverse, relu):
    """See reference.recurrent.rnn."""
    gates, h = np.ascontiguousarray(gates), h0.copy("C")
    output = empty(*gates.shape)
    cells_of.rnn(walk_of(weight, 1, sizes, reverse), cells_of.RNN(gates, h, output, bool(relu)))
    return output, h


def rnn_backward(grad, grad_h, h0, weight, output, sizes, reverse, relu):
    """See reference.recurrent.rnn_backward."""
    grad, output = np.ascontiguousarray(grad), np.ascontiguousarray(output)
    dh, dgates = grad_h.copy("C"), empty(*output.shape)
    arrays = cells_of.RNNBackward(grad, dh, output, dgates, bool(relu))
    cells_of.rnn_backward(walk_of(weight.T, 1, sizes, reverse), arrays)
    return dgates, dh, kernels.matmul(dgates.T, previous(h0, output, sizes, reverse))
