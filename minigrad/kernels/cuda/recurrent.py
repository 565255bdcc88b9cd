"""A long short-term memory in CUDA C: a product and one fused kernel a step."""

import numpy as np

from minigrad import kernels
from minigrad.kernels.cuda.loader import empty, load, prepared
from minigrad.kernels.reference.recurrent import previous, steps

THREADS = 256


def lstm(gates, h0, c0, weight, sizes, reverse):
    gates, h, c = prepared(gates), h0.copy("C"), c0.copy("C")
    rows, hidden = len(gates), h.shape[1]
    output, activated, cells = (empty((rows, n), like=gates) for n in (hidden, 4 * hidden, hidden))
    for step in steps(sizes, reverse):
        count = step.stop - step.start
        product = prepared(kernels.matmul(h[:count], weight.T))
        _launch("lstm_step", gates[step], product, h[:count], c[:count], output[step], activated[step], cells[step])
    return output, h, c, activated, cells


def lstm_backward(grad, grad_h, grad_c, saved, sizes, reverse):
    h0, c0, weight, output, activated, cells = saved
    grad, activated, cells = map(prepared, (grad, activated, cells))
    dh, dc = grad_h.copy("C"), grad_c.copy("C")
    dgates, earlier = empty(activated.shape, like=activated), previous(c0, cells, sizes, reverse)
    for step in steps(sizes, not reverse):
        count = step.stop - step.start
        arrays = (grad[step], activated[step], cells[step], earlier[step], dh[:count], dc[:count], dgates[step])
        _launch("lstm_step_backward", *arrays)
        dh[:count] = kernels.matmul(dgates[step], weight)
    return dgates, dh, dc, kernels.matmul(dgates.T, previous(h0, output, sizes, reverse))


def _launch(kernel: str, *arrays) -> None:
    """A thread for every unit of the first array of that many columns; all are parts of C-contiguous ones."""
    rows, hidden = min((array.shape for array in arrays), key=lambda shape: shape[1])
    if rows * hidden:
        arguments = (*arrays, np.int32(rows), np.int32(hidden))
        load("recurrent.cu").launch(kernel, -(-rows * hidden // THREADS), THREADS, arguments)
