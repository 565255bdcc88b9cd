"""Dropout in CUDA C: the same bits as every other implementation's."""

import numpy as np

from minigrad.devices import is_array
from minigrad.kernels.cuda.activation import THREADS, elementwise_blocks
from minigrad.kernels.cuda.loader import empty, load, prepared
from minigrad.kernels.reference.dropout import keys, threshold_and_factor

DROPOUT = np.dtype([("key_1", "u4"), ("key_2", "u4"), ("threshold", "u4"), ("factor", "f4")])  # in dropout.cuh


def dropout(x, p, seed):
    numbers = dropout_arguments(p, seed)
    y = empty(x.shape, like=x)
    if y.size:
        arguments = (prepared(x), y, np.int64(y.size), *numbers)
        load("dropout.cu").launch("dropout", elementwise_blocks(y.size), THREADS, arguments)
    return y


def dropout_arguments(p, seed):
    """A kernel's arguments: the struct Dropout, and None or the array that holds the seed."""
    in_memory = is_array(seed)
    both = (0, 0) if in_memory else keys(seed)
    return np.array((*both, *threshold_and_factor(p)), DROPOUT)[()], seed.reshape(1) if in_memory else None
