"""The definition of every kernel, in array code: it serves every dtype and every device.

Each function's docstring is the kernel's specification, and its results are what the others are compared with. What it
computes is left to numpy or cupy, products included: `a @ b` of cupy arrays is cuBLAS's, and an einsum's may be.
"""

from minigrad.kernels.reference import (
    activation,
    attention,
    cast,
    convolution,
    convolution2d,
    convolution_max,
    cross_entropy,
    dropout,
    embedding,
    linear,
    matmul,
    normalization,
    optimizer,
    pooling2d,
    recurrent,
    softmax,
)

__all__ = [
    "activation",
    "attention",
    "cast",
    "convolution",
    "convolution2d",
    "convolution_max",
    "cross_entropy",
    "dropout",
    "embedding",
    "linear",
    "matmul",
    "normalization",
    "optimizer",
    "pooling2d",
    "recurrent",
    "softmax",
]
