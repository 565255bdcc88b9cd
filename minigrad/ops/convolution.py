"""Convolution over time."""

import math
from typing import Any

from minigrad import kernels
from minigrad.amp import autocast_dtype, for_products
from minigrad.devices import array_module
from minigrad.function import Function
from minigrad.kernels.reference.convolution import steps
from minigrad.ops.linalg import matmul
from minigrad.ops.shape import cat, reshape, stack
from minigrad.tensor import Tensor, unwrap


class Conv1d(Function):
    """y_bft = bias_f + Σ_cj W_fcj·x_bc,t+j;  dx_bc,s = Σ_fj W_fcj·g_bf,s-j,  dW_fcj = Σ_bt g_bft·x_bc,t+j,
    dbias_f = Σ_bt g_bft  (and likewise with stride, padding, dilation and groups, see conv1d).
    """

    fresh = True

    def __init__(self, stride: int, padding: tuple[int, int], dilation: int, groups: int):
        self.settings = (stride, padding, dilation, groups)

    def forward(self, x, weight, bias):
        self.save_for_backward(x, weight, bias)
        return kernels.conv1d(x, weight, bias, *self.settings)

    def backward(self, grad):
        x, weight, _ = self.saved
        return kernels.conv1d_backward(grad, x, weight, *self.settings, self.needs_input_grad)

    def flops(self, inputs, outputs):
        _, weight, bias = inputs  # zeros of the padding count as x does
        return outputs[0].size * (2 * math.prod(weight.shape[1:]) + (bias is not None))

    def backward_flops(self, grads, results):
        dx, dweight, dbias = results
        products = (dx is not None) + (dweight is not None)
        return grads[0].size * (2 * math.prod(self.saved[1].shape[1:]) * products + (dbias is not None))

    def composite(self, x, weight, bias):
        stride, padding, dilation, groups = self.settings
        filters, channels, width = weight.shape
        xp = array_module(unwrap(x))
        left, right = (xp.zeros((*x.shape[:2], zeros), x.dtype) for zeros in padding)
        count = steps(x.shape[2], width, stride, padding, dilation)
        x = cat([left, x, right], 2)
        starts = [j * dilation for j in range(width)]
        seen = stack([x[:, :, j : j + (count - 1) * stride + 1 : stride] for j in starts], 2)
        seen = reshape(seen, len(x), groups, channels * width, count)
        y = matmul(reshape(weight, groups, filters // groups, channels * width), seen)
        y = reshape(y, len(x), filters, count)
        return y if bias is None else y + reshape(bias, filters, 1)


def conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """y[b, f, t] = bias[f] + Σ_c,j weight[f, c, j] · x[b, c, t·stride + j·dilation]: torch.nn.functional.conv1d.

    x        (batch, channels, time), or (channels, time)
    weight   (filters, channels/groups, width), bias (filters,) or None
    padding  zeros put on both sides; "valid" is 0; "same" gives as many steps as x has (stride 1 only: for an
             odd number of zeros one more on the right)
    groups   channels and filters are cut into this many parts, and each part of the filters sees its channels alone

    Returns (batch, filters, steps), steps = (time + 2·padding - dilation·(width - 1) - 1)//stride + 1.
    """
    if x.ndim == 2:
        return conv1d(reshape(x, 1, *x.shape), weight, bias, stride, padding, dilation, groups)[0]
    stride, dilation = (integer("conv1d", n, v, 1) for n, v in (("stride", stride), ("dilation", dilation)))
    if x.ndim != 3 or weight.ndim != 3 or weight.shape[2] == 0 or groups < 1:
        raise ValueError(
            f"conv1d: x {x.shape}, weight {weight.shape}, groups={groups}; expected (batch, channels, time), "
            "(filters, channels/groups, width) with a width of 1 at least, and one group at least"
        )
    if x.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
        raise ValueError(
            f"conv1d: x {x.shape} with weight {weight.shape}, groups={groups}: x must have {weight.shape[1]}·{groups} "
            f"channels, and groups divide the {weight.shape[0]} filters"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"conv1d: bias {bias.shape} with weight {weight.shape}: expected ({weight.shape[0]},)")
    if autocast_dtype() is not None:
        x, weight, bias = for_products(x, weight, bias)
    if unwrap(x).dtype != unwrap(weight).dtype:
        raise TypeError(f"conv1d: x is {unwrap(x).dtype}, weight {unwrap(weight).dtype}: cast one with .astype()")
    reach = dilation * (weight.shape[2] - 1) + 1
    padding = _both_sides(padding, stride, reach)
    if x.shape[2] + sum(padding) < reach:
        raise ValueError(
            f"conv1d: a window of {reach} steps does not fit x {x.shape} with {padding} zeros around it: "
            "use more padding or a narrower filter"
        )
    return Conv1d(stride, padding, dilation, groups)(x, weight, bias)


def _both_sides(padding, stride: int, reach: int) -> tuple[int, int]:
    """Zeros on the left and on the right."""
    if padding == "valid":
        return 0, 0
    if padding == "same":
        if stride != 1:
            raise ValueError(f'conv1d: padding="same" with stride={stride}; it is defined for stride 1 alone')
        return (reach - 1) // 2, reach // 2
    padding = integer("conv1d", "padding", padding, 0)
    return padding, padding


def integer(op: str, name: str, value: Any, least: int) -> int:
    """An integer, or, as PyTorch's modules keep it, a tuple of one."""
    (value,) = value if isinstance(value, tuple) and len(value) == 1 else (value,)
    if not isinstance(value, int) or value < least:
        raise ValueError(f"{op}: {name}={value!r}; expected an integer of {least} or more")
    return value
