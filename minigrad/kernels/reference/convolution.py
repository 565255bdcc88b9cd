"""Convolution over time as one matrix product: every window written out as a row (im2col)."""

import math
from collections.abc import Sequence

from minigrad.devices import array_module
from minigrad.kernels.reference.half import in_float32
from minigrad.typing import Array, Pair


@in_float32
def conv1d(
    x: Array, weight: Array, bias: Array | None, stride: int, padding: Pair, dilation: int, groups: int
) -> Array:
    """y[b, f, t] = bias[f] + sum over c, j of weight[f, c, j] · x[b, c, t·stride + j·dilation].

    x (batch, channels, time), to which padding = (left, right) zeros are added in time; weight (filters,
    channels/groups, width), bias (filters,) or None. Filter f sees the channels of its group alone: the first
    filters/groups filters the first channels/groups channels, and so on.

    y is (batch, filters, steps), steps = (left + time + right - dilation·(width - 1) - 1)//stride + 1.
    """
    windows = _windows(x, weight, stride, padding, dilation, groups)
    y = windows @ _by_group(weight, groups).swapaxes(1, 2)  # (groups, batch·steps, filters of a group)
    count = steps(x.shape[2], weight.shape[2], stride, padding, dilation)
    y = y.reshape(groups, len(x), count, y.shape[2]).transpose(1, 0, 3, 2)
    y = y.reshape(len(x), len(weight), count)
    return y if bias is None else y + bias[:, None]


@in_float32
def conv1d_backward(
    grad: Array, x: Array, weight: Array, stride: int, padding: Pair, dilation: int, groups: int, needs: Sequence[bool]
) -> tuple[Array | None, ...]:
    """(dx, dweight, dbias) for grad, the gradient of y; None where needs (3 bools) is False."""
    batch, filters, steps = grad.shape
    rows: Array = grad.reshape(batch, groups, filters // groups, steps).transpose(1, 0, 3, 2)
    rows = rows.reshape(groups, batch * steps, filters // groups)
    dx = dweight = None
    if needs[1]:
        windows = _windows(x, weight, stride, padding, dilation, groups)
        dweight = (rows.swapaxes(1, 2) @ windows).reshape(weight.shape)
    if needs[0]:
        dwindows = rows @ _by_group(weight, groups)
        dx = _add_windows(dwindows, x.shape, weight.shape[2], stride, padding, dilation)
    return dx, dweight, grad.sum((0, 2)) if needs[2] else None


def steps(time: int, width: int, stride: int, padding: tuple, dilation: int) -> int:
    """How many windows fit."""
    return (time + sum(padding) - dilation * (width - 1) - 1) // stride + 1


def _windows(x, weight, stride, padding, dilation, groups):
    """(groups, batch·steps, channels of a group · width): what each window of each text sees."""
    xp = array_module(x)
    batch, channels, time = x.shape
    width = weight.shape[2]
    count = steps(time, width, stride, padding, dilation)
    padded = xp.pad(x, ((0, 0), (0, 0), padding))
    windows = xp.empty((groups, batch, count, channels // groups, width), x.dtype)
    for j in range(width):
        column = padded[:, :, _positions(j, count, stride, dilation)]  # (batch, channels, steps)
        windows[..., j] = column.reshape(batch, groups, channels // groups, count).transpose(1, 0, 3, 2)
    return windows.reshape(groups, batch * count, channels // groups * width)


def _add_windows(dwindows, shape, width, stride, padding, dilation):
    """The transpose of _windows: each number goes back, and is added, where it was read."""
    xp = array_module(dwindows)
    batch, channels, time = shape
    groups, count = len(dwindows), steps(time, width, stride, padding, dilation)
    dwindows = dwindows.reshape(groups, batch, count, channels // groups, width)
    padded = xp.zeros((batch, channels, time + sum(padding)), dwindows.dtype)
    for j in range(width):
        column = dwindows[..., j].transpose(1, 0, 3, 2).reshape(batch, channels, count)
        padded[:, :, _positions(j, count, stride, dilation)] += column
    return padded[:, :, padding[0] : padding[0] + time]


def _positions(j: int, count: int, stride: int, dilation: int) -> slice:
    """Where the windows have their element j."""
    return slice(j * dilation, j * dilation + (count - 1) * stride + 1, stride)


def _by_group(weight, groups):
    """(groups, filters of a group, channels of a group · width)"""
    return weight.reshape(groups, len(weight) // groups, math.prod(weight.shape[1:]))
