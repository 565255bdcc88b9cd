"""A fully connected layer, y = activation(x @ weightᵀ + bias), and its gradients."""

from collections.abc import Callable, Sequence

import numpy as np

from minigrad.devices import array_module
from minigrad.dtypes import is_half
from minigrad.kernels.reference.activation import gelu, gelu_backward, silu, silu_backward
from minigrad.kernels.reference.matmul import matmul
from minigrad.kernels.reference.sum import total
from minigrad.typing import Array


def linear(
    x: Array,
    weight: Array,
    bias: Array | None,
    activation: str | None,
    *,
    product: Callable[[Array, Array], Array] = matmul,
) -> tuple[Array, Array | None]:
    """(y, pre): y = activation(pre) with pre = x @ weightᵀ + bias, both (rows, out).

    x (rows, in), weight (out, in), bias (out,) or None; activation None, "relu", "gelu",
    "gelu_tanh" or "silu". pre is what linear_backward needs: None without an activation.
    product(a, b) multiplies two matrices: by default as the definition does, in blas/linear.py as the vendor does.
    """
    if is_half(x.dtype) and array_module(x) is np and bias is not None:  # rounded once, after the bias
        x32, weight32, bias32 = (a.astype(np.float32) for a in (x, weight, bias))
        wide, pre = linear(x32, weight32, bias32, activation, product=product)
        return wide.astype(x.dtype), pre
    pre = product(x, weight.T)
    if bias is not None:
        pre += bias
    if activation is None:
        return pre, None
    return _forward(activation)(pre), pre


def linear_backward(
    grad: Array,
    x: Array,
    weight: Array,
    pre: Array | None,
    activation: str | None,
    needs: Sequence[bool],
    *,
    product: Callable[[Array, Array], Array] = matmul,
) -> tuple[Array | None, ...]:
    """(dx, dweight, dbias) for grad, the gradient of y (rows, out); None where needs (3 bools) is False.

    grad is first taken through the activation; then dx = grad @ weight, dweight = gradᵀ @ x and
    dbias = the sum of grad over the rows.
    """
    if activation is not None:
        grad = _backward(activation)(grad, pre)
    needs_x, needs_weight, needs_bias = needs
    return (
        product(grad, weight) if needs_x else None,
        product(grad.T, x) if needs_weight else None,
        total(grad, (0,)) if needs_bias else None,
    )


def relu(x: Array) -> Array:
    """x where it is positive, else 0."""
    return array_module(x).maximum(x, 0)


def relu_backward(grad: Array, x: Array) -> Array:
    """grad where x is positive, else 0."""
    return grad * (x > 0)


ACTIVATIONS = {
    "relu": (relu, relu_backward),
    "gelu": (lambda x: gelu(x, "none"), lambda grad, x: gelu_backward(grad, x, "none")),
    "gelu_tanh": (lambda x: gelu(x, "tanh"), lambda grad, x: gelu_backward(grad, x, "tanh")),
    "silu": (silu, silu_backward),
}


def _forward(name):
    return _find(name)[0]


def _backward(name):
    return _find(name)[1]


def _find(name):
    if name not in ACTIVATIONS:
        raise ValueError(f"linear: activation {name!r}; choose None or one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]
