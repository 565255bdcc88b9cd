"""Softmax and its logarithm over the last axis, x (..., n), any number of axes >= 1.

A row that is all -inf has no probabilities: it gives NaN, as in PyTorch.
"""

import numpy as np

from minigrad.devices import array_module
from minigrad.kernels.reference.half import in_float32
from minigrad.typing import Array


@in_float32
def softmax(x: Array) -> Array:
    """y_i = e^x_i / sum_j e^x_j; the maximum is taken off first, so that no exponential overflows."""
    xp = array_module(x)
    with np.errstate(invalid="ignore", over="ignore"):  # inf - inf, 3e38 - -3e38
        e = xp.exp(x - row_maximum(x))
        return e / e.sum(axis=-1, keepdims=True)


@in_float32
def softmax_backward(grad: Array, y: Array) -> Array:
    """dx = y * (grad - sum(grad * y)), from the output y."""
    return y * (grad - (grad * y).sum(axis=-1, keepdims=True))


@in_float32
def log_softmax(x: Array) -> Array:
    """y_i = x_i - log sum_j e^x_j."""
    xp = array_module(x)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):  # the same, and log 0
        shifted = x - row_maximum(x)
        return shifted - xp.log(xp.exp(shifted).sum(axis=-1, keepdims=True))


@in_float32
def log_softmax_backward(grad: Array, y: Array) -> Array:
    """dx = grad - e^y * sum(grad), from the output y."""
    xp = array_module(y)
    return grad - xp.exp(y) * grad.sum(axis=-1, keepdims=True)


def row_maximum(x: Array) -> Array:
    """The largest of each row, (..., 1); -inf for rows without elements."""
    if x.shape[-1] == 0:
        return array_module(x).full((*x.shape[:-1], 1), -np.inf, x.dtype)
    return x.max(axis=-1, keepdims=True)
