"""Dropout in CUDA C: the same bits as every other implementation's."""

from typing import Any

import numpy as np

from minigrad.kernels.cuda.activation import THREADS, elementwise_blocks
from minigrad.kernels.cuda.loader import empty, load, prepared
from minigrad.kernels.reference.dropout import keys, threshold_and_factor
from minigrad.typing import Array

DROPOUT = np.dtype([("key_1", "u4"), ("key_2", "u4"), ("threshold", "u4"), ("factor", "f4")])  # in dropout.cuh


def dropout(x, p, seed):
    numbers = dropout_arguments(p, seed)
    y = empty(x.shape, like=x)
    if y.size:
        arguments = (prepared(x), y, np.int64(y.size), *numbers)
        load("dropout.cu").launch("dropout", elementwise_blocks(y.size), THREADS, arguments)
    return y


def dropout_arguments(p: float, seed: int | Array) -> tuple[Any, Array | None]:
    """A kernel's arguments: the struct Dropout, and None or the array that holds the seed."""
    in_memory = None if isinstance(seed, (int, np.integer)) else seed.reshape(1)
    both = keys(seed) if in_memory is None else (0, 0)
    return np.array((*both, *threshold_and_factor(p)), DROPOUT)[()], in_memory
