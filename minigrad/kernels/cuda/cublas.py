"""cuBLAS by its C interface, for products within a CUDA graph: cupy's own refuse to be recorded.

cuBLAS allows it (its manual, section 2.1.9) where it need not make memory of its own, so each stream gets a
workspace that stays.
"""

import ctypes
from functools import cache
from typing import Any

import numpy as np

from minigrad.devices import array_module

TYPES = {"float32": 0, "float64": 1, "float16": 2, "bfloat16": 14}  # cudaDataType_t
FLOAT32, FLOAT64, TF32 = 68, 70, 77  # cublasComputeType_t
DEFAULT_ALGORITHM = -1
WORKSPACE = 32 << 20  # bytes, what the manual recommends for Hopper


def product(a: Any, b: Any) -> Any:
    """a @ b for cupy arrays of two dimensions or more, on the current stream."""
    xp = array_module(a)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    shape = (*batch, a.shape[-2], b.shape[-1])
    if 0 in shape or not a.shape[-1]:
        return xp.zeros(shape, a.dtype)
    c = xp.empty(shape, a.dtype)
    a, b = in_one_batch(a, batch), in_one_batch(b, batch)
    (first, op_first, ld_first, step_first), (second, op_second, ld_second, step_second) = operand(b), operand(a)
    kind, number = TYPES[a.dtype.name], ctypes.c_double if a.dtype == np.float64 else ctypes.c_float
    m, n = c.shape[-2:]
    status = _library().cublasGemmStridedBatchedEx(
        _handle(), op_first, op_second, n, m, a.shape[-1], ctypes.byref(number(1)),
        first.data.ptr, kind, ld_first, step_first,
        second.data.ptr, kind, ld_second, step_second, ctypes.byref(number(0)),
        c.data.ptr, kind, n, m * n, len(a), _compute_type(a.dtype), DEFAULT_ALGORITHM,
    )  # fmt: skip
    if status:
        raise RuntimeError(f"cublas: {a.dtype}{list(a.shape)} @ {list(b.shape)}: cublasStatus_t {status}")
    return c


def in_one_batch(x: Any, batch: tuple[int, ...]) -> Any:
    """x (..., rows, columns), broadcast to that batch, as (items, rows, columns)."""
    if x.ndim == 2:
        items = int(np.prod(batch))
        return array_module(x).broadcast_to(x, (items, *x.shape))
    if x.shape[:-2] != batch:
        x = array_module(x).broadcast_to(x, (*batch, *x.shape[-2:]))
    return x.reshape(-1, *x.shape[-2:])


def operand(x: Any) -> tuple[Any, int, int, int]:
    """(x (items, rows, columns), operation, leading dimension, numbers from item to item), as cuBLAS reads its memory.

    cuBLAS knows matrices whose columns are contiguous, and ours are contiguous in rows: to it they are transposed, so
    it is asked for cᵀ = bᵀ aᵀ. What to us lies in rows is operation 0 (as it is), in columns 1 (transposed). x is
    copied if it is neither.
    """
    _, rows, columns = x.shape
    step, row, column = (stride // x.itemsize for stride in x.strides)
    if (column == 1 or columns == 1) and (row >= columns or rows == 1):
        return x, 0, max(row, columns) if rows > 1 else columns, step
    if (row == 1 or rows == 1) and (column >= rows or columns == 1):
        return x, 1, max(column, rows) if columns > 1 else rows, step
    return array_module(x).ascontiguousarray(x), 0, columns, rows * columns


def _compute_type(dtype) -> int:
    from cupy._core import get_compute_type
    from cupy._core._routines_linalg import COMPUTE_TYPE_TF32

    if dtype == np.float64:
        return FLOAT64
    return TF32 if dtype == np.float32 and get_compute_type(dtype) == COMPUTE_TYPE_TF32 else FLOAT32


def _handle() -> ctypes.c_void_p:
    """cupy's handle, set to the current stream and its workspace."""
    import cupy

    handle, stream = ctypes.c_void_p(cupy.cuda.device.get_cublas_handle()), cupy.cuda.get_current_stream().ptr
    _library().cublasSetStream_v2(handle, ctypes.c_void_p(stream))
    _library().cublasSetWorkspace_v2(handle, ctypes.c_void_p(_workspace(stream).ptr), ctypes.c_size_t(WORKSPACE))
    return handle


@cache
def _workspace(stream: int):
    """Memory that a graph recorded on the stream may use whenever it runs, so it is never given back."""
    from cupy.cuda import memory

    return memory.alloc(WORKSPACE)


@cache
def _library() -> ctypes.CDLL:
    from cuda import pathfinder  # comes with cupy, which has loaded the library already

    library = ctypes.CDLL(pathfinder.load_nvidia_dynamic_lib("cublas").abs_path)
    number, pointer, long = ctypes.c_int, ctypes.c_void_p, ctypes.c_longlong
    matrix: list[Any] = [pointer, number, number, long]
    library.cublasGemmStridedBatchedEx.argtypes = [
        pointer, number, number, number, number, number, pointer, *matrix, *matrix, pointer, *matrix,
        number, number, number,
    ]  # fmt: skip
    return library
