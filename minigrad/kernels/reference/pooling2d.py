"""Pooling over height and width: the largest, or the sum, of each window."""

import math

from minigrad.devices import array_module
from minigrad.dtypes import add_at
from minigrad.typing import Array, Pair, Shape


def max_pool2d(x: Array, field: Pair, stride: Pair, padding: Pair, dilation: Pair, out: Pair) -> tuple[Array, Array]:
    """(y, position), both (images, out_height, out_width): the largest of each window of x (images, height, width).

    Window (u, v) has the elements x[u·sᵤ + i·dᵤ - pᵤ, v·sᵥ + j·dᵥ - pᵥ] for (i, j) in the field, without those outside;
    all settings are pairs. position is the place of the first of the largest, row·width + column; NaN is the largest. A
    window that is all outside, as there may be with a dilation, has -inf, and the position -1.
    """
    xp = array_module(x)
    height, width = x.shape[1:]
    u, v = (xp.arange(n) * s - p for n, s, p in zip(out, stride, padding, strict=True))
    y = xp.full((len(x), *out), -math.inf, x.dtype)
    position = xp.full((len(x), *out), -1, "int64")
    for i in range(field[0]):
        for j in range(field[1]):
            rows, columns = u[:, None] + i * dilation[0], v[None] + j * dilation[1]
            inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
            rows, columns = rows.clip(0, height - 1), columns.clip(0, width - 1)
            seen = x[:, rows, columns]
            better = inside & ((seen > y) | (position < 0) | ((seen != seen) & (y == y)))
            y = xp.where(better, seen, y)
            position = xp.where(better, rows * width + columns, position)
    return y, position


def max_pool2d_backward(grad: Array, position: Array, shape: Shape) -> Array:
    """dx, of shape (images, height, width), for grad, the gradient of y: each number added at its position."""
    xp = array_module(grad)
    images, places = len(grad), math.prod(grad.shape[1:])
    dx = xp.zeros((images, shape[1] * shape[2]), grad.dtype)
    position = position.reshape(images, places)
    grad = xp.where(position < 0, 0, grad.reshape(images, places)).astype(grad.dtype)
    add_at(dx, (xp.arange(images)[:, None], position.clip(0)), grad)
    return dx.reshape(shape)
