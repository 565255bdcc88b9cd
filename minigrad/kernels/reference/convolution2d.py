"""Convolution over height and width as one matrix product for each group: every window written out (im2col)."""

from collections.abc import Sequence

from minigrad.devices import array_module
from minigrad.kernels.reference.half import in_float32
from minigrad.typing import Array, Pair, Sides


@in_float32
def conv2d(
    x: Array, weight: Array, bias: Array | None, stride: Pair, padding: Sides, dilation: Pair, groups: int
) -> Array:
    """y[b, f, u, v] = bias[f] + sum over c, i, j of weight[f, c, i, j] · x[b, c, u·sᵤ + i·dᵤ, v·sᵥ + j·dᵥ].

    x (batch, channels, height, width), to which padding = ((top, bottom), (left, right)) zeros are added; weight
    (filters, channels/groups, rows, columns), bias (filters,) or None; stride s and dilation d are pairs. Filter f sees
    the channels of its group alone: the first filters/groups filters the first channels/groups channels, and so on.

    y is (batch, filters, out_height, out_width), see out_sizes.
    """
    batch, filters = len(x), len(weight)
    out = out_sizes(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    windows = _windows(x, weight.shape[2:], out, stride, padding, dilation, groups)  # (batch, groups, c·i·j, u·v)
    y = weight.reshape(groups, filters // groups, -1) @ windows
    y = y.reshape(batch, filters, *out)
    return y if bias is None else y + bias[:, None, None]


@in_float32
def conv2d_backward(
    grad: Array,
    x: Array,
    weight: Array,
    stride: Pair,
    padding: Sides,
    dilation: Pair,
    groups: int,
    needs: tuple[bool, bool, bool],
) -> tuple[Array | None, Array | None, Array | None]:
    """(dx, dweight, dbias) for grad, the gradient of y; None where needs (3 bools) is False."""
    batch, filters, *out = grad.shape
    rows = grad.reshape(batch, groups, filters // groups, out[0] * out[1])
    dx = dweight = None
    if needs[1]:
        windows = _windows(x, weight.shape[2:], out, stride, padding, dilation, groups)
        dweight = (rows @ windows.swapaxes(2, 3)).sum(0).reshape(weight.shape)
    if needs[0]:
        dwindows = weight.reshape(groups, filters // groups, -1).swapaxes(1, 2) @ rows
        dx = _add_windows(dwindows, x.shape, weight.shape[2:], out, stride, padding, dilation)
    return dx, dweight, grad.sum((0, 2, 3)) if needs[2] else None


def out_sizes(
    sizes: Sequence[int], field: Sequence[int], stride: Pair, padding: Sides, dilation: Pair
) -> tuple[int, ...]:
    """How many windows fit along each dimension: (size + both paddings - dilation·(field - 1) - 1)//stride + 1."""
    return tuple(
        (size + sum(pad) - d * (width - 1) - 1) // s + 1
        for size, width, s, pad, d in zip(sizes, field, stride, padding, dilation, strict=True)
    )


def _windows(x, field, out, stride, padding, dilation, groups):
    """(batch, groups, channels of a group · rows · columns, windows): what each window of each image sees."""
    xp = array_module(x)
    padded = xp.pad(x, ((0, 0), (0, 0), *padding))
    windows = xp.empty((*x.shape[:2], *field, *out), x.dtype)
    for i, j, rows, columns in _positions(field, out, stride, dilation):
        windows[:, :, i, j] = padded[:, :, rows, columns]
    return windows.reshape(len(x), groups, x.shape[1] // groups * field[0] * field[1], out[0] * out[1])


def _add_windows(dwindows, shape, field, out, stride, padding, dilation):
    """The transpose of _windows: each number goes back, and is added, where it was read."""
    (top, bottom), (left, right) = padding
    batch, channels, height, width = shape
    dwindows = dwindows.reshape(batch, channels, *field, *out)
    xp = array_module(dwindows)
    padded = xp.zeros((batch, channels, top + height + bottom, left + width + right), dwindows.dtype)
    for i, j, rows, columns in _positions(field, out, stride, dilation):
        padded[:, :, rows, columns] += dwindows[:, :, i, j]
    return padded[:, :, top : top + height, left : left + width]


def _positions(field, out, stride, dilation):
    """(i, j, rows, columns): for each element of the field where the windows have it."""
    for i in range(field[0]):
        for j in range(field[1]):
            starts = i * dilation[0], j * dilation[1]
            yield i, j, *(slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(starts, out, stride, strict=True))
