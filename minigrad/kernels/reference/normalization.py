"""Layer normalisation (Ba, Kiros and Hinton, 2016) and RMSNorm (Zhang and Sennrich, 2019).

Both work on the last axis of x (..., n). Forward also returns the statistics of each row, mean and
rstd = 1 / standard deviation, both x.shape[:-1], from which backward rebuilds the normalised x.
"""

import numpy as np

from minigrad.devices import array_module
from minigrad.kernels.reference.half import in_float32
from minigrad.typing import Array


@in_float32
def layer_norm(x: Array, weight: Array | None, bias: Array | None, eps: float) -> tuple[Array, Array, Array]:
    """(y, mean, rstd): y = (x - mean) * rstd * weight + bias, rstd = 1 / sqrt(var(x) + eps).

    weight and bias are (n,) or None. The variance is taken about the mean in a second pass: the mean
    of squares less the square of the mean loses everything once the mean is large.
    """
    xp = array_module(x)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        mean = x.mean(axis=-1, keepdims=True)
        centred = x - mean
        rstd = 1 / xp.sqrt((centred * centred).mean(axis=-1, keepdims=True) + eps)
        y = centred * rstd
    if weight is not None:
        y = y * weight
    if bias is not None:
        y = y + bias
    return y.astype(x.dtype, copy=False), mean[..., 0], rstd[..., 0].astype(x.dtype, copy=False)


@in_float32
def layer_norm_backward(
    grad: Array, x: Array, weight: Array | None, mean: Array, rstd: Array
) -> tuple[Array, Array | None, Array | None]:
    """(dx, dweight, dbias); the last two are None without a weight.

    With h = (x - mean) * rstd and g = grad * weight:  dx = rstd * (g - mean(g) - h * mean(g * h)).
    """
    normalised = (x - mean[..., None]) * rstd[..., None]
    g = grad if weight is None else grad * weight
    inner = g - g.mean(axis=-1, keepdims=True) - normalised * (g * normalised).mean(axis=-1, keepdims=True)
    dx = rstd[..., None] * inner
    if weight is None:
        return dx, None, None
    rows = tuple(range(x.ndim - 1))
    return dx, (grad * normalised).sum(axis=rows), grad.sum(axis=rows)


@in_float32
def rms_norm(x: Array, weight: Array | None, eps: float) -> tuple[Array, Array]:
    """(y, rstd): y = x * rstd * weight, rstd = 1 / sqrt(mean(x^2) + eps); weight is (n,) or None."""
    xp = array_module(x)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        rstd = 1 / xp.sqrt((x * x).mean(axis=-1, keepdims=True) + eps)
        y = x * rstd
    if weight is not None:
        y = y * weight
    return y.astype(x.dtype, copy=False), rstd[..., 0].astype(x.dtype, copy=False)


@in_float32
def rms_norm_backward(grad: Array, x: Array, weight: Array | None, rstd: Array) -> tuple[Array, Array | None]:
    """(dx, dweight or None); with h = x * rstd and g = grad * weight:  dx = rstd * (g - h * mean(g * h))."""
    normalised = x * rstd[..., None]
    g = grad if weight is None else grad * weight
    dx = rstd[..., None] * (g - normalised * (g * normalised).mean(axis=-1, keepdims=True))
    if weight is None:
        return dx, None
    return dx, (grad * normalised).sum(axis=tuple(range(x.ndim - 1)))
