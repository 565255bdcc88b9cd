"""A convolution over time and the maximum over time of what it gives: the feature extractor of TextCNN."""

from collections.abc import Sequence

import numpy as np

from minigrad.devices import array_module, looks_at_values
from minigrad.kernels.reference.half import in_float32
from minigrad.typing import Array


@in_float32
def conv1d_max(x: Array, weight: Array, bias: Array, lengths: Array) -> tuple[Array, Array]:
    """(y, start): y[b, f] = max over t of sum_j weight[f, :, j] · x[b, t + j] + bias[f], both (batch, filters).

    x (batch, time, channels), of which the first lengths[b] steps count and zeros stand around them;
    weight (filters, channels, width), bias (filters,), lengths (batch,) integers, 1 to time.

    The window's start t runs from -(width - 1) to lengths[b] - 1, so that every window that touches the text
    counts (a "wide" convolution: Kalchbrenner, Grefenstette & Blunsom 2014, section 3.1) and a text shorter
    than the filter is no exception. start[b, f] is the first t that has the maximum.
    """
    check(x, weight, bias, lengths)
    xp = array_module(x)
    filters, channels, width = weight.shape
    steps = x.shape[1] + width - 1  # windows
    windows = _windows(x, width, lengths).reshape(-1, width * channels)
    y = windows @ xp.swapaxes(weight, 1, 2).reshape(filters, -1).T + bias
    y = y.reshape(len(x), steps, filters)
    outside = xp.arange(steps) >= xp.asarray(lengths)[:, None] + width - 1
    y[outside] = -np.inf
    return y.max(1), y.argmax(1) - (width - 1)


@in_float32
def conv1d_max_backward(
    grad: Array, x: Array, weight: Array, start: Array, lengths: Array, needs: Sequence[bool]
) -> tuple[Array | None, ...]:
    """(dx, dweight, dbias) for grad, the gradient of y; None where needs (3 bools) is False.

    Only the window that has the maximum gets a gradient, one for each text and filter: this costs about
    time times less than the forward pass.
    """
    xp = array_module(x)
    width = weight.shape[2]
    rows = xp.arange(len(x))[:, None]
    dx = xp.zeros_like(x) if needs[0] else None
    dweight = xp.zeros_like(weight) if needs[1] else None
    for j in range(width):
        at = start + j  # (batch, filters)
        inside = (at >= 0) & (at < xp.asarray(lengths)[:, None])
        g = (grad * inside)[..., None]  # (batch, filters, 1)
        at = xp.where(inside, at, 0)
        if needs[0]:
            xp.add.at(dx, (rows, at), g * weight[:, :, j])
        if needs[1]:
            dweight[:, :, j] = (g * x[rows, at]).sum(0)  # type: ignore[index]
    return dx, dweight, grad.sum(0) if needs[2] else None


def _windows(x, width: int, lengths):
    """(batch, time + width - 1, width, channels): what each window sees, zeros around the text."""
    xp = array_module(x)
    batch, time, channels = x.shape
    padded = xp.zeros((batch, time + 2 * (width - 1), channels), x.dtype)
    inside = xp.arange(time) < xp.asarray(lengths)[:, None]
    padded[:, width - 1 : width - 1 + time] = xp.where(inside[..., None], x, 0)
    steps = time + width - 1
    return xp.stack([padded[:, j : j + steps] for j in range(width)], 2)


def check(x: Array, weight: Array, bias: Array, lengths: Array) -> None:
    """Raise the ValueError for shapes that do not fit, and for lengths outside 1 .. time."""
    fits = x.ndim == weight.ndim == 3 and x.shape[2] == weight.shape[1] and weight.shape[2] >= 1
    if not fits or bias.shape != weight.shape[:1] or lengths.shape != x.shape[:1]:
        raise ValueError(
            f"conv1d_max: x {x.shape}, weight {weight.shape}, bias {bias.shape}, lengths {lengths.shape}; expected "
            "(batch, time, channels), (filters, channels, width), (filters,) and (batch,)"
        )
    if lengths.size and looks_at_values(lengths) and not (lengths.min() >= 1 and lengths.max() <= x.shape[1]):
        raise ValueError(
            f"conv1d_max: lengths from {int(lengths.min())} to {int(lengths.max())}; expected 1 to {x.shape[1]}, "
            "the steps of x"
        )
