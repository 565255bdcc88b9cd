"""Convolution over height and width."""

import math
from typing import Any

from minigrad import kernels
from minigrad.amp import autocast_dtype, for_products
from minigrad.devices import array_module
from minigrad.function import Function
from minigrad.kernels.reference.convolution2d import out_sizes
from minigrad.ops.convolution import integer
from minigrad.ops.linalg import matmul
from minigrad.ops.shape import cat, reshape, stack
from minigrad.tensor import Tensor, unwrap
from minigrad.typing import Pair


class Conv2d(Function):
    """y_bfuv = bias_f + Σ_cij W_fcij·x_bc,u+i,v+j;  dx_bc,st = Σ_fij W_fcij·g_bf,s-i,t-j,
    dW_fcij = Σ_buv g_bfuv·x_bc,u+i,v+j,  dbias_f = Σ_buv g_bfuv  (and likewise with stride, padding, dilation, groups).
    """

    fresh = True

    def __init__(self, stride: Pair, padding: tuple[Pair, Pair], dilation: Pair, groups: int):
        self.settings = (stride, padding, dilation, groups)

    def forward(self, x, weight, bias):
        self.save_for_backward(x, weight, bias)
        return kernels.conv2d(x, weight, bias, *self.settings)

    def backward(self, grad):
        x, weight, _ = self.saved
        return kernels.conv2d_backward(grad, x, weight, *self.settings, self.needs_input_grad)

    def flops(self, inputs, outputs):
        _, weight, bias = inputs  # zeros of the padding count as x does
        return outputs[0].size * (2 * math.prod(weight.shape[1:]) + (bias is not None))

    def backward_flops(self, grads, results):
        dx, dweight, dbias = results
        products = (dx is not None) + (dweight is not None)
        return grads[0].size * (2 * math.prod(self.saved[1].shape[1:]) * products + (dbias is not None))

    def composite(self, x, weight, bias):
        stride, padding, dilation, groups = self.settings
        filters, channels, rows, columns = weight.shape
        out = out_sizes(x.shape[2:], (rows, columns), stride, padding, dilation)
        x = padded(x, padding, 0)
        seen = stack([w for _, _, w in windows(x, (rows, columns), out, stride, dilation)], 2)
        seen = reshape(seen, len(x), groups, channels * rows * columns, out[0] * out[1])
        y = matmul(reshape(weight, groups, filters // groups, channels * rows * columns), seen)
        y = reshape(y, len(x), filters, *out)
        return y if bias is None else y + reshape(bias, filters, 1, 1)


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Pair = 1,
    padding: int | Pair | str = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """y[b, f, u, v] = bias[f] + Σ_c,i,j weight[f, c, i, j] · x[b, c, u·sᵤ + i·dᵤ, v·sᵥ + j·dᵥ]: torch's conv2d.

    x        (batch, channels, height, width), or without the batch
    weight   (filters, channels/groups, rows, columns), bias (filters,) or None
    padding  zeros put on both sides; "valid" is 0; "same" gives as many windows as x has places (stride 1 only: for an
             odd number of zeros one more below and on the right)
    groups   channels and filters are cut into this many parts, and each part of the filters sees its channels alone

    stride, padding and dilation are numbers or pairs, of height and of width. Returns (batch, filters, out_height,
    out_width), out = (size + 2·padding - dilation·(field - 1) - 1)//stride + 1. ValueError for shapes that do not fit,
    TypeError for two dtypes.
    """
    if x.ndim == 3:
        return conv2d(reshape(x, 1, *x.shape), weight, bias, stride, padding, dilation, groups)[0]
    stride, dilation = pair("conv2d", "stride", stride, 1), pair("conv2d", "dilation", dilation, 1)
    if x.ndim != 4 or weight.ndim != 4 or 0 in weight.shape[2:] or groups < 1:
        raise ValueError(
            f"conv2d: x {x.shape}, weight {weight.shape}, groups={groups}; expected (batch, channels, height, width), "
            "(filters, channels/groups, rows, columns) with a field of 1 × 1 at least, and one group at least"
        )
    if x.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
        raise ValueError(
            f"conv2d: x {x.shape} with weight {weight.shape}, groups={groups}: x must have {weight.shape[1]}·{groups} "
            f"channels, and groups divide the {weight.shape[0]} filters"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"conv2d: bias {bias.shape} with weight {weight.shape}: expected ({weight.shape[0]},)")
    if autocast_dtype() is not None:
        x, weight, bias = for_products(x, weight, bias)
    for name, operand in (("weight", weight), ("bias", bias)):
        if operand is not None and unwrap(x).dtype != unwrap(operand).dtype:
            raise TypeError(f"conv2d: x is {unwrap(x).dtype}, {name} {unwrap(operand).dtype}: cast one with .astype()")
    reach = tuple(d * (size - 1) + 1 for d, size in zip(dilation, weight.shape[2:], strict=True))
    sides = _both_sides(padding, stride, reach)
    if any(size + sum(side) < r for size, side, r in zip(x.shape[2:], sides, reach, strict=True)):
        raise ValueError(
            f"conv2d: a window of {reach[0]} × {reach[1]} does not fit x {x.shape} with padding={padding!r}: "
            "use more padding or a smaller filter"
        )
    return Conv2d(stride, sides, dilation, groups)(x, weight, bias)


def _both_sides(padding: int | Pair | str, stride: Pair, reach: tuple[int, ...]) -> tuple[Pair, Pair]:
    """Zeros above and below, and on the left and on the right."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        if stride != (1, 1):
            raise ValueError(f'conv2d: padding="same" with stride={stride}; it is defined for stride 1 alone')
        (top, bottom), (left, right) = (((r - 1) // 2, r // 2) for r in reach)
        return (top, bottom), (left, right)
    if isinstance(padding, str):
        raise ValueError(f"conv2d: padding={padding!r}; expected a number, a pair, 'same' or 'valid'")
    vertical, horizontal = pair("conv2d", "padding", padding, 0)
    return (vertical, vertical), (horizontal, horizontal)


def pair(op: str, name: str, value: Any, least: int) -> Pair:
    """Two integers from a number, for both, or from a pair of them; ValueError for others and for smaller ones."""
    values = tuple(value) if isinstance(value, (tuple, list)) and len(value) == 2 else (value, value)
    return integer(op, name, values[0], least), integer(op, name, values[1], least)


def padded(x: Tensor, padding: tuple[Pair, Pair], value: float) -> Tensor:
    """x (..., height, width) with `value` above and below, and on the left and on the right."""
    (top, bottom), (left, right) = padding
    array = unwrap(x)
    full = array_module(array).full
    if top or bottom:
        above, below = (full((*x.shape[:-2], n, x.shape[-1]), value, array.dtype) for n in (top, bottom))
        x = cat([above, x, below], -2)
    if left or right:
        before, after = (full((*x.shape[:-1], n), value, array.dtype) for n in (left, right))
        x = cat([before, x, after], -1)
    return x


def windows(x: Any, field: Pair, out: Any, stride: Pair, dilation: Pair) -> Any:
    """(i, j, element (i, j) of every window (..., out_height, out_width)) for each element of the field."""
    for i in range(field[0]):
        for j in range(field[1]):
            starts = i * dilation[0], j * dilation[1]
            rows, columns = (slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(starts, out, stride, strict=True))
            yield i, j, x[..., rows, columns]
