"""One product of the vendor's library."""

import numpy as np

from minigrad.cuda_graph import is_recording
from minigrad.devices import array_module
from minigrad.dtypes import is_half
from minigrad.typing import Array


def product(a: Array, b: Array) -> Array:
    """a @ b for two dimensions or more. Half precision is added up in float32, as cuBLAS does by itself."""
    half = is_half(a.dtype)
    if array_module(a) is np:
        return (a.astype(np.float32) @ b.astype(np.float32)).astype(a.dtype) if half else a @ b
    if is_recording() or (half and max(a.ndim, b.ndim) > 2):
        # cupy's own cannot be recorded, and a batch of bfloat16 is a TypeError in it, one of float16 slow.
        from minigrad.kernels.cuda import cublas

        return cublas.product(a, b)
    return a @ b
