"""A pytest plugin: cupy's sorting, whose kernels come compiled for a GPU, by numpy on the same memory."""

import ctypes
import math

import numpy as np
from cupy.cuda import thrust


def _array(address: int, dtype, shape) -> np.ndarray:
    memory = (ctypes.c_char * (math.prod(shape) * np.dtype(dtype).itemsize)).from_address(address)
    return np.frombuffer(memory, dtype).reshape(shape)


def _sort(dtype, data, keys, shape):
    _array(data, dtype, shape).sort(-1)


def _argsort(dtype, indices, data, keys, shape):
    _array(indices, np.int64, shape)[...] = _array(data, dtype, shape).argsort(-1, kind="stable")


thrust.sort, thrust.argsort = _sort, _argsort
