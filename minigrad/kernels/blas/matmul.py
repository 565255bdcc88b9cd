"""The matrix product by BLAS, or by cuBLAS for cupy arrays."""

import math

import numpy as np

from minigrad.devices import array_module
from minigrad.kernels.blas.product import product
from minigrad.kernels.reference.matmul import check
from minigrad.threads import all_threads_for_blas
from minigrad.typing import Array

WORTH_ALL_THREADS = 1 << 27  # multiply-adds: milliseconds


def matmul(a: Array, b: Array) -> Array:
    """See reference.matmul; in as few and as large products as the layout allows."""
    check(a, b)
    if array_module(a) is np and a.size * b.shape[-1] >= WORTH_ALL_THREADS:
        with all_threads_for_blas():
            return _product(a, b)
    return _product(a, b)


def _product(a, b):
    if b.ndim == 2 and a.ndim > 2:  # one product with the batch as rows, not one product for each
        return product(a.reshape(math.prod(a.shape[:-1]), a.shape[-1]), b).reshape(*a.shape[:-1], b.shape[-1])
    if array_module(a) is np:
        a, b = _for_blas(a), _for_blas(b)
    return product(a, b)


def _for_blas(x):
    """x, copied if neither its rows nor its columns are contiguous, or if they overlap (the windows of a
    convolution): numpy would leave BLAS for a slow loop."""
    (rows, columns), (row, column), item = x.shape[-2:], x.strides[-2:], x.itemsize
    fits = (column == item and row >= columns * item) or (row == item and column >= rows * item)
    return x if fits else np.ascontiguousarray(x)
