"""A fully connected layer whose products are BLAS's, or cuBLAS's for cupy arrays."""

from collections.abc import Sequence

from minigrad.kernels.blas.product import product
from minigrad.kernels.reference import linear as reference
from minigrad.typing import Array


def linear(x: Array, weight: Array, bias: Array | None, activation: str | None) -> tuple[Array, Array | None]:
    """See reference.linear."""
    return reference.linear(x, weight, bias, activation, product=product)


def linear_backward(
    grad: Array, x: Array, weight: Array, pre: Array | None, activation: str | None, needs: Sequence[bool]
) -> tuple[Array | None, ...]:
    """See reference.linear_backward."""
    return reference.linear_backward(grad, x, weight, pre, activation, needs, product=product)
