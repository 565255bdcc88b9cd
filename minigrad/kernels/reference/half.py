"""Half precision in the reference kernels: computed in float32, and rounded once at the end."""

import functools

import numpy as np

from minigrad.cuda_graph import is_recording
from minigrad.devices import array_module, is_array
from minigrad.dtypes import is_half


def in_float32(kernel):
    """The kernel for half precision too: its arguments widened to float32, its result (the first of several) rounded.

    What it returns besides, such as a softmax's logarithm of the sum, stays float32, for its backward.
    """

    @functools.wraps(kernel)
    def widened(*args):
        half = next((x.dtype for x in args if is_array(x) and is_half(x.dtype)), None)
        if half is None:
            return kernel(*args)
        args = [x.astype(np.float32) if is_array(x) and is_half(x.dtype) else x for x in args]
        result = kernel(*args)
        if not isinstance(result, tuple):
            return result.astype(half)
        return (result[0] if result[0] is None else result[0].astype(half), *result[1:])

    return widened


def product(a, b):
    """a @ b; for half precision the terms are added up in float32, as cuBLAS does by itself."""
    half = is_half(a.dtype)
    if array_module(a) is np:
        return (a.astype(np.float32) @ b.astype(np.float32)).astype(a.dtype) if half else a @ b
    if is_recording() or (half and max(a.ndim, b.ndim) > 2):
        # cupy's own cannot be recorded, and a batch of bfloat16 is a TypeError in it, one of float16 slow.
        from minigrad.kernels.cuda import cublas

        return cublas.product(a, b)
    return a @ b
