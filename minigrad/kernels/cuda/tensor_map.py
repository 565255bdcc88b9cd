"""Tensor maps: the description of an array that Hopper's tensor memory accelerator takes, made by the driver.

CUDA driver API, cuTensorMapEncodeTiled. A map holds the array's address, shape and strides, and the box that a copy
takes of it, whose rows of 128 bytes arrive in shared memory with their 16-byte chunks swizzled.
"""

import ctypes
from functools import cache
from typing import Any

import numpy as np

TENSOR_MAP = np.dtype("V128")  # CUtensorMap
FLOAT16, BFLOAT16 = 6, 9  # CUtensorMapDataType
NO_INTERLEAVE, SWIZZLE_128_BYTES, PROMOTE_TO_256_BYTES, ZEROS_OUTSIDE = 0, 3, 3, 0
ROW_BYTES = 128


def tensor_map(x: Any, contiguous: int, lines: int) -> np.void:
    """The map of x (outer, inner, rows, columns), half precision, for boxes of `lines` times 128 bytes.

    `contiguous` is the axis, 2 or 3, along which numbers lie side by side; it comes first in a copy's coordinates, and
    the other of the two second. RuntimeError if the driver refuses: strides must be multiples of 16 bytes and not 0.
    """
    axes = (contiguous, 5 - contiguous, 1, 0)
    shape = (ctypes.c_uint64 * 4)(*(x.shape[axis] for axis in axes))
    strides = (ctypes.c_uint64 * 3)(*(x.strides[axis] if x.shape[axis] > 1 else ROW_BYTES for axis in axes[1:]))
    box = (ctypes.c_uint32 * 4)(ROW_BYTES // x.itemsize, lines, 1, 1)
    steps = (ctypes.c_uint32 * 4)(1, 1, 1, 1)
    buffer = ctypes.create_string_buffer(TENSOR_MAP.itemsize + 64)
    start = -ctypes.addressof(buffer) % 64  # where the driver wants it
    kind = FLOAT16 if x.dtype == np.float16 else BFLOAT16
    result = _driver().cuTensorMapEncodeTiled(
        ctypes.c_void_p(ctypes.addressof(buffer) + start), kind, 4, ctypes.c_void_p(x.data.ptr), shape, strides, box,
        steps, NO_INTERLEAVE, SWIZZLE_128_BYTES, PROMOTE_TO_256_BYTES, ZEROS_OUTSIDE,
    )  # fmt: skip
    if result:
        raise RuntimeError(f"tensor_map: the driver refuses {x.dtype}{list(x.shape)}, strides {x.strides}: {result}")
    return np.frombuffer(buffer.raw[start : start + TENSOR_MAP.itemsize], TENSOR_MAP)[0]


@cache
def _driver() -> ctypes.CDLL:
    return ctypes.CDLL("libcuda.so.1")
