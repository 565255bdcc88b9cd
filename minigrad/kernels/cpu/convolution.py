"""Convolution over time on the CPU: three matrix products, and no windows written out.

With the channels last, the window that starts at step t is width·channels numbers in a row, from t·channels
on. So the matrix of all windows is a view of the padded texts, laid end to end, whose rows overlap; and the
matrix product, which packs its operands whatever their strides, reads it as it is. Windows that reach from
one text into the next are computed, too, and skipped: width - 1 of each text's.

Backward is of the same kind. dweight is the product of the gradient with that view. dx is the convolution of
the gradient with the filters turned round: dx[t] = Σ_j W_jᵀ g[t - j].
"""

import numpy as np
from numba import prange
from numpy.lib.stride_tricks import as_strided

from minigrad import kernels
from minigrad.kernels.cpu import simd
from minigrad.kernels.cpu.linear import linear

LINE = 16  # float32 in a cache line


def conv1d(x, weight, bias, stride, padding, dilation, groups):
    """See reference.convolution.conv1d; here stride, dilation and groups are 1."""
    filters, channels, width = weight.shape
    laid_out = _lay_out(x, *padding, width)  # texts of left + time + right steps
    texts = laid_out[width - 1 :]
    side_by_side = weight.transpose(0, 2, 1).reshape(filters, width * channels)
    y, _ = linear(_windows(texts, width), side_by_side, bias, None)
    y = y.reshape(len(x), x.shape[2] + sum(padding), filters)
    return y[:, : y.shape[1] - width + 1].transpose(0, 2, 1)


def conv1d_backward(grad, x, weight, stride, padding, dilation, groups, needs):
    """See reference.convolution.conv1d_backward; here stride, dilation and groups are 1."""
    batch, channels, time = x.shape
    filters, _, width = weight.shape
    dx = dweight = None
    grads = _lay_out(grad, 0, width - 1, width)  # zeros for the windows that were skipped, so texts are as long as x's
    if needs[1]:
        windows = _windows(_lay_out(x, *padding, width)[width - 1 :], width)
        dweight = kernels.matmul(grads[width - 1 : width - 1 + len(windows)].T, windows)
        dweight = dweight.reshape(filters, width, channels).transpose(0, 2, 1)
    if needs[0]:
        turned = weight[:, :, ::-1].transpose(2, 0, 1).reshape(width * filters, channels)
        dx = kernels.matmul(_windows(grads[: len(grads) - width + 1], width), turned)
        dx = dx.reshape(batch, time + sum(padding), channels)[:, padding[0] : padding[0] + time].transpose(0, 2, 1)
    return dx, dweight, grads.sum(0) if needs[2] else None


def _lay_out(x, left: int, right: int, width: int):
    """x (batch, channels, time) as (steps, channels): its texts end to end, `left` and `right` zeros around each,
    and width - 1 more before the first and after the last."""
    batch, channels, time = x.shape
    steps = batch * (left + time + right)
    laid_out = np.zeros((width - 1 + steps + width - 1, channels), np.float32)
    texts = laid_out[width - 1 : width - 1 + steps].reshape(batch, left + time + right, channels)
    if x.strides[1] == x.itemsize:
        texts[:, left : left + time] = x.transpose(0, 2, 1)
    else:
        _transpose(x, left, texts)
    return laid_out


@simd.parallel
def _transpose(x, left, texts):
    """texts[b, left + t, c] = x[b, c, t], a cache line of channels at a time."""
    batch, channels, time = x.shape
    blocks = (channels + LINE - 1) // LINE
    for task in prange(batch * blocks):
        b, first = task // blocks, task % blocks * LINE
        for t in range(time):
            for c in range(first, min(first + LINE, channels)):
                texts[b, left + t, c] = x[b, c, t]


def _windows(texts, width: int):
    """(steps, width·channels): at each step of texts the window that starts there; overlapping, to be read only."""
    steps, channels = len(texts) - width + 1, texts.shape[1]
    strides = (channels * texts.itemsize, texts.itemsize)
    return as_strided(texts, (steps, width * channels), strides, writeable=False)
