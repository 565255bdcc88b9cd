"""Dropout in CUDA C: the same bits as every other implementation's."""

import numpy as np

from minigrad.kernels.cuda.activation import THREADS, elementwise_blocks
from minigrad.kernels.cuda.loader import empty, load, prepared
from minigrad.kernels.reference.dropout import keys, threshold_and_factor

DROPOUT = np.dtype([("key_1", "u4"), ("key_2", "u4"), ("threshold", "u4"), ("factor", "f4")])  # in dropout.cuh


def dropout(x, p, seed):
    argument = dropout_argument(p, seed)
    y = empty(x.shape, like=x)
    if y.size:
        arguments = (prepared(x), y, np.int64(y.size), argument)
        load("dropout.cu").launch("dropout", elementwise_blocks(y.size), THREADS, arguments)
    return y


def dropout_argument(p, seed) -> np.void:
    """A kernel's argument of the type Dropout."""
    return np.array((*keys(seed), *threshold_and_factor(p)), DROPOUT)[()]
