"""Pooling over height and width: the largest or the mean value of each window, or of each of a few parts."""

import math
from typing import Any

from minigrad import kernels
from minigrad.devices import array_module
from minigrad.dtypes import FLOATING
from minigrad.function import Function
from minigrad.ops.convolution2d import padded, pair, windows
from minigrad.ops.elementwise import masked_fill
from minigrad.ops.half import in_float32
from minigrad.ops.index import gather
from minigrad.ops.order import amax
from minigrad.ops.reduce import mean
from minigrad.ops.shape import cat, reshape
from minigrad.tensor import Tensor, unwrap
from minigrad.typing import Pair


class MaxPool2d(Function):
    """y_uv = max over the window's elements x_st;  dx_st = Σ g_uv over the windows whose (first) largest it is."""

    fresh = True

    def __init__(self, field: Pair, stride: Pair, padding: Pair, dilation: Pair, out: Pair):
        self.settings = (field, stride, padding, dilation, out)

    def forward(self, x):  # (images, height, width)
        self.save_for_backward(x)
        y, self.position = kernels.max_pool2d(x, *self.settings)
        return y

    def backward(self, grad):
        return kernels.max_pool2d_backward(grad, self.position, self.saved[0].shape)

    def flops(self, inputs, outputs):
        return outputs[0].size * math.prod(self.settings[0])  # comparisons

    def backward_flops(self, grads, results):
        return grads[0].size  # additions

    def composite(self, x):
        places = reshape(x, len(x), x.shape[1] * x.shape[2])
        position = self.position.reshape(len(x), -1)
        y = masked_fill(gather(places, 1, position.clip(0)), position < 0, -math.inf)
        return reshape(y, *self.position.shape)


def max_pool2d(
    x: Tensor,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """The largest of each window of kernel_size of x (..., height, width): torch.nn.functional.max_pool2d.

    stride     from window to window, kernel_size by default
    padding    places of -inf put on both sides, half of kernel_size at most
    dilation   from element to element of a window
    ceil_mode  a last window that reaches over the end counts, too

    All are numbers or pairs, of height and of width. The gradient goes to the first of the largest. Returns (...,
    out_height, out_width). ValueError for windows that do not fit, TypeError for integers.
    """
    field, stride, padding, dilation = _settings("max_pool2d", kernel_size, stride, padding, dilation)
    out, _ = _out("max_pool2d", x, field, stride, padding, dilation, ceil_mode)
    lead = x.shape[:-2]
    images = reshape(x, math.prod(lead), *x.shape[-2:])
    return reshape(MaxPool2d(field, stride, padding, dilation, out)(images), *lead, *out)


@in_float32
def avg_pool2d(
    x: Tensor,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of kernel_size of x (..., height, width): torch.nn.functional.avg_pool2d.

    padding            places of 0 put on both sides, half of kernel_size at most
    count_include_pad  they count in the mean; what a last window sees beyond them never does
    divisor_override   what the sums are divided by instead of their counts

    The other arguments, and the result, are max_pool2d's.
    """
    field, stride, padding, _ = _settings("avg_pool2d", kernel_size, stride, padding, 1)
    if divisor_override == 0:
        raise ValueError("avg_pool2d: divisor_override=0; expected another number")
    out, beyond = _out("avg_pool2d", x, field, stride, padding, (1, 1), ceil_mode)
    sides = (padding[0], beyond[0]), (padding[1], beyond[1])
    total: Any = None
    for _, _, element in windows(padded(x, sides, 0), field, out, stride, (1, 1)):
        total = element if total is None else total + element
    if divisor_override is not None:
        return total / divisor_override
    array = unwrap(x)
    xp = array_module(array)
    counts = []
    for n, s, p, size, width in zip(out, stride, padding, x.shape[-2:], field, strict=True):
        counted = p if count_include_pad else 0
        start = xp.arange(n) * s - p
        counts.append((start + width).clip(max=size + counted) - start.clip(min=-counted))
    return total / (counts[0][:, None] * counts[1]).astype(array.dtype)


def adaptive_avg_pool1d(x: Tensor, output_size: int) -> Tensor:
    """The mean of each of output_size parts of x (..., time): torch.nn.functional.adaptive_avg_pool1d.

    Part i runs from step ⌊i·time/output_size⌋ up to, not including, ⌈(i + 1)·time/output_size⌉.
    """
    return _parts("adaptive_avg_pool1d", mean, x, -1, output_size)


def adaptive_avg_pool2d(x: Tensor, output_size: Any) -> Tensor:
    """The mean of each of (rows, columns) parts of x (..., height, width); None for as many as there are.

    output_size may be a number for both. The parts are cut as adaptive_avg_pool1d's: torch's adaptive_avg_pool2d.
    """
    return _parts_2d("adaptive_avg_pool2d", mean, x, output_size)


def adaptive_max_pool2d(x: Tensor, output_size: Any) -> Tensor:
    """The largest of each of (rows, columns) parts of x (..., height, width), as adaptive_avg_pool2d."""
    return _parts_2d("adaptive_max_pool2d", amax, x, output_size)


def _parts_2d(op: str, reduce: Any, x: Tensor, output_size: Any) -> Tensor:
    if x.ndim < 2:
        raise ValueError(f"{op}: x {x.shape}; expected (..., height, width)")
    rows, columns = output_size if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    return _parts(op, reduce, _parts(op, reduce, x, -2, rows), -1, columns)


def _parts(op: str, reduce: Any, x: Tensor, dim: int, count: int | None) -> Tensor:
    """x with `count` parts of one dimension reduced: a part of two is a part of a part."""
    size = x.shape[dim]
    count = size if count is None else pair(op, "output_size", count, 1)[0]
    if size == 0:
        raise ValueError(f"{op}: x {x.shape} has a dimension of size 0")
    if count == size:
        return x
    if size % count == 0:
        at = x.ndim + dim
        cut = reshape(x, *x.shape[:at], count, size // count, *x.shape[at + 1 :])
        return reduce(cut, at + 1)
    pieces = []
    for i in range(count):
        part = slice(i * size // count, -(-(i + 1) * size // count))
        piece = x[..., part] if dim == -1 else x[..., part, :]
        pieces.append(reduce(piece, dim, keepdim=True))
    return cat(pieces, dim)


def _settings(op: str, kernel_size: Any, stride: Any, padding: Any, dilation: Any) -> tuple[Pair, Pair, Pair, Pair]:
    field = pair(op, "kernel_size", kernel_size, 1)
    stride = field if stride is None else pair(op, "stride", stride, 1)
    padding = pair(op, "padding", padding, 0)
    if any(pad > size // 2 for pad, size in zip(padding, field, strict=True)):
        raise ValueError(
            f"{op}: padding={padding} is more than half of kernel_size={field}: some windows would be empty"
        )
    return field, stride, padding, pair(op, "dilation", dilation, 1)


def _out(op: str, x: Any, field: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool) -> tuple[Any, Any]:
    """How many windows there are, and how far padding below and on the right must go for the last."""
    if x.ndim < 3:
        raise ValueError(f"{op}: x {x.shape}; expected (batch, channels, height, width), or without the batch")
    if unwrap(x).dtype.kind not in FLOATING:
        raise TypeError(f"{op}: x is {unwrap(x).dtype}; expected a floating dtype")
    out, beyond = [], []
    for size, width, s, p, d in zip(x.shape[-2:], field, stride, padding, dilation, strict=True):
        reach = d * (width - 1) + 1
        room = size + 2 * p - reach
        count = (-(-room // s) if ceil_mode else room // s) + 1
        if ceil_mode and (count - 1) * s >= size + p:
            count -= 1  # it would start in the padding
        if size == 0 or count < 1:
            raise ValueError(f"{op}: a window of {field} does not fit x {x.shape} with padding={padding}")
        out.append(count)
        beyond.append(max(p, (count - 1) * s - p + reach - size))
    return tuple(out), tuple(beyond)
