"""GELU and SiLU in CUDA C."""

import numpy as np

from minigrad.kernels.cuda.loader import empty, load, prepared

THREADS, EACH = 256, 4  # numbers per thread
GELU = {"none": "gelu", "tanh": "gelu_tanh"}


def gelu(x, approximate):
    return _activate(x, _named(approximate))


def gelu_backward(grad, x, approximate):
    return _activate_backward(grad, x, _named(approximate))


def silu(x):
    return _activate(x, "silu")


def silu_backward(grad, x):
    return _activate_backward(grad, x, "silu")


def _activate(x, name: str):
    """The activation that activation.cu has under this name."""
    y = empty(x.shape, like=x)
    if y.size:
        load("activation.cu").launch(name, elementwise_blocks(y.size), THREADS, (prepared(x), y, np.int64(y.size)))
    return y


def _activate_backward(grad, x, name: str):
    """grad taken through that activation at x."""
    dx = empty(x.shape, like=x)
    if dx.size:
        arguments = (prepared(grad), prepared(x), dx, np.int64(dx.size))
        load("activation.cu").launch(f"{name}_backward", elementwise_blocks(dx.size), THREADS, arguments)
    return dx


def elementwise_blocks(size: int) -> int:
    """How many blocks of THREADS threads with EACH numbers there are."""
    return -(-size // (THREADS * EACH))


def _named(approximate: str) -> str:
    if approximate not in GELU:
        raise ValueError(f'gelu: approximate is {approximate!r}; choose "none" or "tanh"')
    return GELU[approximate]
