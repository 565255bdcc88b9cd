"""Convolution and max-over-time pooling in one: what TextCNN makes of a text."""

import math
from typing import Any

from minigrad import kernels
from minigrad.devices import array_module
from minigrad.function import Function
from minigrad.ops.convolution import conv1d
from minigrad.ops.elementwise import where
from minigrad.ops.pooling import max_over_time
from minigrad.ops.shape import swapaxes
from minigrad.tensor import Tensor, unwrap


class Conv1dMax(Function):
    """y_bf = max_t Σ_j W_f,j · x_b,t+j + bias_f;  with t* where the maximum is: dx_b,t*+j += g_bf·W_f,j,
    dW_f,j = Σ_b g_bf·x_b,t*+j, dbias_f = Σ_b g_bf.

    The maximum lets one window of each text and filter through, and so the gradient is a sum over those
    windows alone.
    """

    fresh = True

    def __init__(self, lengths):
        self.lengths = lengths

    def forward(self, x, weight, bias):
        y, start = kernels.conv1d_max(x, weight, bias, self.lengths)
        self.save_for_backward(x, weight, bias, start)
        return y

    def backward(self, grad):
        x, weight, _, start = self.saved
        return kernels.conv1d_max_backward(grad, x, weight, start, self.lengths, self.needs_input_grad)

    def flops(self, inputs, outputs):
        x, weight, _ = inputs  # every window that touches a text, compared with the largest so far
        filters, channels, width = weight.shape
        windows = int(self.lengths.sum()) + len(x) * (width - 1)
        return windows * filters * (2 * channels * width + 1) + outputs[0].size

    def backward_flops(self, grads, results):
        dx, dweight, dbias = results
        products = (dx is not None) + (dweight is not None)
        return grads[0].size * (2 * math.prod(self.saved[1].shape[1:]) * products + (dbias is not None))

    def composite(self, x, weight, bias):
        xp = array_module(unwrap(x))
        width = weight.shape[2]
        text = xp.arange(x.shape[1]) < self.lengths[:, None]  # (batch, time)
        x = where(text[..., None], x, x.dtype.type(0))
        y = swapaxes(conv1d(swapaxes(x, 1, 2), weight, bias, padding=width - 1), 1, 2)  # (batch, windows, filters)
        return max_over_time(y, xp.arange(y.shape[1]) >= self.lengths[:, None] + width - 1)


def conv1d_max(x: Tensor, weight: Tensor, bias: Tensor, lengths: Any) -> Tensor:
    """The maximum over time of a convolution of each text: (batch, filters)  (Kim 2014, equations 2 to 4).

    x        (batch, time, channels); steps from lengths[b] on are padding and count as zeros
    weight   (filters, channels, width), bias (filters,): as nn.Conv1d has them
    lengths  (batch,) integers, 1 to time

    Every window that touches the text counts, so a text may be shorter than the filter, and the result
    depends neither on the padding nor on the other texts of the batch.
    """
    return Conv1dMax(unwrap(lengths))(x, weight, bias)
