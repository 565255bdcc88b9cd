"""Pooling: the largest or the mean value of each window of time, or of the whole of it."""

import math
from typing import Any

from minigrad.devices import array_module
from minigrad.dtypes import FLOATING
from minigrad.ops.convolution import integer
from minigrad.ops.elementwise import where
from minigrad.ops.half import in_float32
from minigrad.ops.index import gather
from minigrad.ops.order import amax
from minigrad.ops.reduce import sum
from minigrad.ops.shape import cat
from minigrad.tensor import Tensor, unwrap


def max_pool1d(
    x: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> Tensor:
    """The largest of each window of kernel_size steps of x (..., time): torch.nn.functional.max_pool1d.

    stride     steps from window to window, kernel_size by default
    padding    steps of -inf put on both sides, half of kernel_size at most
    dilation   steps from element to element of a window
    ceil_mode  a last window that reaches over the end counts, too

    Returns (..., steps). The gradient goes to the first of the largest.
    """
    size, stride, padding, dilation = _settings("max_pool1d", kernel_size, stride, padding, dilation)
    steps, beyond = _steps("max_pool1d", x, size, stride, padding, dilation, ceil_mode)
    array = unwrap(x)
    if array.dtype.kind not in FLOATING:
        raise TypeError(f"max_pool1d: x is {array.dtype}; use .astype('float32') first")
    xp = array_module(array)
    padded = xp.pad(array, [(0, 0)] * (x.ndim - 1) + [(padding, beyond)], constant_values=-math.inf)
    first = xp.stack(list(_elements(padded, steps, size, stride, dilation))).argmax(0)  # (..., steps)
    position = xp.arange(steps) * stride - padding + first * dilation
    return gather(x, -1, position.clip(0, x.shape[-1] - 1))  # outside only if all that is inside is -inf, too


@in_float32
def avg_pool1d(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of kernel_size steps of x (..., time): torch.nn.functional.avg_pool1d.

    padding            steps of 0 put on both sides, half of kernel_size at most
    count_include_pad  they count in the mean; what a last window sees beyond them never does

    The other arguments, and the result, are max_pool1d's.
    """
    size, stride, padding, _ = _settings("avg_pool1d", kernel_size, stride, padding, 1)
    steps, beyond = _steps("avg_pool1d", x, size, stride, padding, 1, ceil_mode)
    array = unwrap(x)
    xp = array_module(array)
    left, right = (xp.zeros((*x.shape[:-1], zeros), array.dtype) for zeros in (padding, beyond))
    total, *rest = _elements(cat([left, x, right], -1), steps, size, stride, 1)
    for element in rest:
        total = total + element
    counted = padding if count_include_pad else 0
    start = xp.arange(steps) * stride - padding
    inside = (start + size).clip(max=x.shape[-1] + counted) - start.clip(min=-counted)
    return total / inside.astype(array.dtype)


def adaptive_max_pool1d(x: Tensor, output_size: Any) -> Tensor:
    """The largest of each of output_size parts of x (..., time): torch.nn.functional.adaptive_max_pool1d.

    Part i runs from step ⌊i·time/output_size⌋ up to, not including, ⌈(i + 1)·time/output_size⌉.
    """
    size, time = integer("adaptive_max_pool1d", "output_size", output_size, 1), x.shape[-1]
    if time == 0:
        raise ValueError(f"adaptive_max_pool1d: x {x.shape} has no steps to take the maximum of")
    parts = [(i * time // size, -(-(i + 1) * time // size)) for i in range(size)]
    return cat([amax(x[..., start:stop], -1, keepdim=True) for start, stop in parts], -1)


def max_over_time(x: Tensor, padding_mask: Any = None) -> Tensor:
    """The largest over time of each channel of x (batch, time, channels), as (batch, channels).

    padding_mask (batch, time) is True at steps to leave out; where it is True at all, the result is 0.
    """
    hidden = _hidden("max_over_time", x, padding_mask)
    if hidden is None:
        return amax(x, 1)
    zero, low = x.dtype.type(0), x.dtype.type(-math.inf)
    blind = hidden.all(1, keepdims=True)
    return amax(where(blind, zero, where(hidden, low, x)), 1)


@in_float32
def mean_over_time(x: Tensor, padding_mask: Any = None) -> Tensor:
    """The mean over time of each channel; arguments and result as max_over_time's."""
    hidden = _hidden("mean_over_time", x, padding_mask)
    if hidden is None:
        return sum(x, 1) / x.shape[1]
    counted = (~hidden).sum(1).clip(min=1).astype(x.dtype)  # (batch, 1)
    return sum(where(hidden, x.dtype.type(0), x), 1) / counted


def _settings(op: str, kernel_size, stride, padding, dilation) -> tuple[int, int, int, int]:
    size = integer(op, "kernel_size", kernel_size, 1)
    stride = size if stride is None else integer(op, "stride", stride, 1)
    padding = integer(op, "padding", padding, 0)
    if padding > size // 2:
        raise ValueError(
            f"{op}: padding={padding} is more than half of kernel_size={size}: some windows would be empty"
        )
    return size, stride, padding, integer(op, "dilation", dilation, 1)


def _steps(op: str, x, size, stride, padding, dilation, ceil_mode) -> tuple[int, int]:
    """How many windows there are, and how far padding on the right must go for the last."""
    reach = dilation * (size - 1) + 1
    time = x.shape[-1]
    room = time + 2 * padding - reach
    steps = (-(-room // stride) if ceil_mode else room // stride) + 1
    if ceil_mode and (steps - 1) * stride >= time + padding:
        steps -= 1  # it would start in the padding
    if time == 0 or steps < 1:
        raise ValueError(f"{op}: a window of {reach} steps does not fit x {x.shape} with {padding} more on both sides")
    return steps, max(padding, (steps - 1) * stride - padding + reach - time)


def _elements(x, steps: int, size: int, stride: int, dilation: int):
    """The first elements of all windows, the second ones, and so on, each (..., steps)."""
    for j in range(size):
        yield x[..., j * dilation : j * dilation + (steps - 1) * stride + 1 : stride]


def _hidden(op: str, x, padding_mask):
    """The mask as an array (batch, time, 1); None for none."""
    if x.ndim != 3 or (padding_mask is None and x.shape[1] == 0):
        raise ValueError(f"{op}: x {x.shape}; expected (batch, time, channels) with one step at least")
    if padding_mask is None:
        return None
    mask = unwrap(padding_mask)
    if mask.shape != x.shape[:2] or mask.dtype != bool:
        raise ValueError(f"{op}: padding_mask {mask.dtype} {mask.shape}; expected bool {x.shape[:2]}, True: left out")
    return mask[..., None]
