"""A fully connected layer in CUDA C: products of matmul.py, with the bias and the activation as their epilogue."""

import numpy as np

from minigrad.devices import array_module
from minigrad.kernels.cuda.loader import empty, load, prepared
from minigrad.kernels.cuda.matmul import TYPES, matmul, multiply, with_two_batch_axes

ACTIVATIONS = (None, "relu", "gelu", "gelu_tanh", "silu")  # by their number in activation.cuh
ROWS = 256  # of a part of the sums, as in linear.cu


def linear(x, weight, bias, activation):
    number = _number(activation)
    y = empty((x.shape[0], weight.shape[0]), x, x.dtype)
    before = None if activation is None else empty(y.shape, x, x.dtype)
    if y.size:
        bias = None if bias is None else prepared(bias, x.dtype)
        multiply(*(with_two_batch_axes(each, ()) for each in (x, weight.T)), y, bias, before, number)
    return y, before


def linear_backward(grad, x, weight, pre, activation, needs):
    needs_x, needs_weight, needs_bias = needs
    dbias = None
    if activation is not None or needs_bias:
        grad, dbias = _through_activation(grad, pre, _number(activation))
    return (
        matmul(grad, weight) if needs_x else None,
        matmul(grad.T, x) if needs_weight else None,
        dbias if needs_bias else None,
    )


def _through_activation(grad, pre, number: int):
    """(grad through the activation, the sums of its columns in float32)."""
    rows, n = grad.shape
    grad = prepared(grad, grad.dtype)
    h = grad if pre is None else empty(grad.shape, grad, grad.dtype)
    if not grad.size:
        return h, array_module(grad).zeros(n, np.float32)
    before, result = (None, None) if pre is None else (prepared(pre, grad.dtype), h)
    count, columns = -(-rows // ROWS), -(-n // 32)
    parts, sums = empty((count, n), like=grad), empty(n, like=grad)
    numbers = (np.int32(number), np.int32(rows), np.int32(n))
    module = load("linear.cu", {"TYPE": TYPES[grad.dtype.name]})
    module.launch("linear_backward", (columns, count), (32, 8), (grad, before, result, parts, *numbers))
    add = load("normalization.cu", {"RMS": 0})
    add.launch("add_parts", columns, (32, 8), (parts, sums, np.int32(count), np.int32(n)))
    return h, sums


def _number(activation) -> int:
    if activation not in ACTIVATIONS:
        raise ValueError(f"linear: activation {activation!r}; choose None or one of {', '.join(ACTIVATIONS[1:])}")
    return ACTIVATIONS.index(activation)
