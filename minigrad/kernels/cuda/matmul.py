"""The matrix product in CUDA C: operands of any layout for the kernels of matmul.cu and its sequels.

matmul(a, b) takes the fastest kernel for the dtype; matmul(a, b, step="shared") one of STEPS, the ladder that
matmul.cu explains, for lessons and benchmarks. float32, float16 and bfloat16.
"""

import math
from typing import Any

import numpy as np

from minigrad.devices import array_module
from minigrad.kernels.cuda.loader import Module, address, empty, load
from minigrad.kernels.cuda.tensor_map import tensor_map
from minigrad.kernels.reference.matmul import check
from minigrad.typing import Array

# name -> side of the square of c that a block computes, its threads; these five take any strides
SIMPLE = {
    "naive": (32, (32, 32)),
    "coalesced": (32, (32, 32)),
    "shared": (32, (32, 32)),
    "tile_1d": (64, 512),
    "tile_2d": (128, 256),
}
HALF_STEPS = ("tensor_cores", "hopper")
STEPS = {"float32": (*SIMPLE, "vectorised", "warp_tile"), "float16": HALF_STEPS, "bfloat16": HALF_STEPS}

# (rows, columns) of c that a block computes, the most economical first: larger tiles load less, smaller ones are more
BLOCK = ("BLOCK_ROWS", "BLOCK_COLUMNS")
FLOAT_TILES = ((128, 128), (64, 64))
HALF_TILES = ((128, 256), (128, 128), (64, 64))
TYPES = {"float32": "float", "float16": "fp16", "bfloat16": "bf16"}  # of common.cuh
DEPTH, STAGES, HOPPER_STAGES = 64, 3, 4  # of matmul_tensor_cores.cu and matmul_hopper.cu
FULL = 264  # blocks that keep a GPU busy: two for each of an H100's 132 multiprocessors
SHORTEST_PART = 128  # of k

STRIDES = np.dtype([("outer", "i8"), ("inner", "i8"), ("row", "i8"), ("column", "i8")])
PRODUCT = np.dtype([("m", "i4"), ("n", "i4"), ("k", "i4"), ("inner", "i4"), ("a", STRIDES), ("b", STRIDES)])


def matmul(a, b, step=None):
    check(a, b)
    _check_step(a, b, step)
    if b.ndim == 2 and a.ndim > 2:  # one product with the batch as rows
        rows = a.reshape(math.prod(a.shape[:-1]), a.shape[-1])
        return matmul(rows, b, step).reshape(*a.shape[:-1], b.shape[-1])
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    c = empty((*batch, a.shape[-2], b.shape[-1]), a, a.dtype)
    if c.size:
        a, b = with_two_batch_axes(a, batch), with_two_batch_axes(b, batch)
        if step in SIMPLE:
            side, threads = SIMPLE[step]
            load("matmul.cu").launch(f"matmul_{step}", blocks(a, b, side, side), threads, (a, b, c, product(a, b)))
        elif step == "vectorised":
            a, b, defines = laid_out(a, b)
            defines |= dict(zip(BLOCK, FLOAT_TILES[-1], strict=True))  # step 7's: compiled together, but not used here
            module = load("matmul_fp32.cu", defines)
            module.launch("matmul_vectorised", blocks(a, b, 128, 128), 256, (a, b, c, product(a, b)))
        elif step == "hopper":
            _on_hopper(a, b, c)
        else:
            multiply(a, b, c)
    return c


def _check_step(a, b, step) -> None:
    if a.dtype != b.dtype or a.dtype.name not in STEPS:
        raise TypeError(f"matmul: {a.dtype} @ {b.dtype}: the CUDA C kernels take two of {', '.join(STEPS)}")
    if step is not None and step not in STEPS[a.dtype.name]:
        raise ValueError(f"matmul: no step {step!r} for {a.dtype}; choose one of {', '.join(STEPS[a.dtype.name])}")


def multiply(
    a: Array, b: Array, c: Array, bias: Array | None = None, before: Array | None = None, activation: int = 0
) -> None:
    """c = activation(a @ b + bias) for operands with two batch axes; `before`, if given, gets the activation's input.

    c and before are C-contiguous, all are of one dtype; activation is a number of matmul.cuh.
    """
    m, k, n, batch = a.shape[-2], a.shape[-1], b.shape[-1], math.prod(a.shape[:2])
    half = c.dtype.itemsize == 2
    tiles = HALF_TILES[0 if _has_large_shared_memory(c) else 1 :] if half else FLOAT_TILES
    rows, columns, parts = plan(m, n, k, batch, tiles)
    epilogue = (bias, before, np.int32(activation))
    if parts == 1:
        _on_tiles(a, b, c, epilogue, rows, columns)
        return
    a, b = a.reshape(m, parts, k // parts).swapaxes(0, 1)[None], b.reshape(1, parts, k // parts, n)
    partial = empty((parts, m, n), like=c)
    module = _on_tiles(a, b, partial, (None, None, np.int32(0)), rows, columns)
    numbers = (np.int32(parts), np.int64(m * n), np.int32(n))
    module.launch("add_parts_half" if half else "add_parts", -(-m * n // 256), 256, (partial, c, *epilogue, *numbers))


def _has_large_shared_memory(x) -> bool:
    """Whether 144 KB are there for a block; consumers' GPUs have 99."""
    xp = array_module(x)
    return xp is np or xp.cuda.Device().compute_capability in ("80", "87", "90", "100", "103")


def _on_tiles(a, b, c, epilogue: tuple, rows: int, columns: int) -> Module:
    """Launch the fastest kernel for the dtype with tiles of this size; c may be float32 where a and b are not."""
    a, b, defines = laid_out(a, b)
    if a.dtype == np.float32:
        module = load("matmul_fp32.cu", defines | dict(zip(BLOCK, (rows, columns), strict=True)))
        threads = 32 * (rows // 32) * (columns // 64)  # a warp computes 32 x 64
        module.launch("matmul_warp_tile", blocks(a, b, rows, columns), threads, (a, b, c, *epilogue, product(a, b)))
        return module
    if not defines["ALIGNED"]:
        columns = min(columns, 128)  # loads by number take more registers
    warp = 64 if rows > 64 else 32
    defines |= {**dict(zip(BLOCK, (rows, columns), strict=True)), "TYPE": TYPES[a.dtype.name], "WARP": warp}
    if c.dtype != a.dtype:
        defines["RESULT"] = "float"
    module = load("matmul_tensor_cores.cu", defines)
    grid, threads = blocks(a, b, rows, columns), 32 * (rows // warp) * (columns // warp)
    shared = STAGES * (rows + columns) * DEPTH * a.itemsize
    module.launch("matmul_tensor_cores", grid, threads, (a, b, c, *epilogue, product(a, b)), shared)
    return module


def _on_hopper(a, b, c) -> None:
    """Step 9. ValueError without a Hopper GPU, or for operands that its copies cannot read."""
    xp = array_module(a)
    if xp is np or xp.cuda.Device().compute_capability != "90":
        raise ValueError('matmul: step "hopper" needs a Hopper GPU (compute capability 9.0); the emulator has none')
    a, b = (_without_repeats(x) for x in (a, b))
    a, b, defines = laid_out(a, b)
    if not defines.pop("ALIGNED") or not a.shape[-1]:
        raise ValueError(f'matmul: {a.shape} @ {b.shape}: step "hopper" takes rows of whole 16 bytes, not empty')
    a_contiguous, b_contiguous = 3 - defines["A_TRANSPOSED"], 3 - defines["B_TRANSPOSED"]
    maps = (
        tensor_map(a, a_contiguous, 128 if a_contiguous == 3 else 64),  # a whole tile, or 64 x 64 of it
        tensor_map(b, b_contiguous, 256 if b_contiguous == 2 else 64),
    )
    module = load("matmul_hopper.cu", defines | {"TYPE": TYPES[a.dtype.name]})
    shared = HOPPER_STAGES * (128 + 256) * DEPTH * a.itemsize + 1024  # to start at a multiple of 1,024
    arguments = (*maps, c, None, None, np.int32(0), product(a, b))
    module.launch("matmul_hopper", blocks(a, b, 128, 256), 3 * 128, arguments, shared)


def _without_repeats(x):
    """x, copied if it runs backwards or is broadcast along some axis."""
    goes_on = all(stride > 0 for stride, length in zip(x.strides, x.shape, strict=True) if length > 1)
    return x if goes_on else array_module(x).ascontiguousarray(x)


def plan(m: int, n: int, k: int, batch: int, tiles: tuple) -> tuple[int, int, int]:
    """(rows, columns) of a block's tile, and into how many parts k is cut so that there are enough blocks."""
    for rows, columns in tiles:
        count = batch * -(-m // rows) * -(-n // columns)
        if count >= FULL:
            return rows, columns, 1
    parts = 1
    while batch == 1 and 2 * parts * count <= FULL and k % (16 * parts) == 0 and k >= 2 * parts * SHORTEST_PART:
        parts *= 2
    return rows, columns, parts


def with_two_batch_axes(x: Array, batch: tuple) -> Array:
    """x broadcast to that batch, as (outer, inner, rows, columns), at an address that is a multiple of its dtype's."""
    if x.shape[:-2] != batch:
        x = array_module(x).broadcast_to(x, batch + x.shape[-2:])
    if address(x) % x.itemsize or any(stride % x.itemsize for stride in x.strides):
        x = x.copy()
    if x.ndim < 4:
        return x[(None,) * (4 - x.ndim)]
    return x if x.ndim == 4 else x.reshape(-1, *x.shape[-3:])


def laid_out(a: Array, b: Array) -> tuple[Array, Array, Any]:
    """(a, b, the constants that describe them): copied if neither their rows nor their columns are contiguous."""
    (a, a_transposed, a_aligned), (b, b_transposed, b_aligned) = _laid_out(a), _laid_out(b)
    flags = {"A_TRANSPOSED": a_transposed, "B_TRANSPOSED": b_transposed, "ALIGNED": a_aligned and b_aligned}
    return a, b, {name: int(flag) for name, flag in flags.items()}


def _laid_out(x):
    """(x, whether its columns are what is contiguous, whether 16-byte accesses can read it)."""
    *_, rows, columns = x.shape
    if columns > 1 and x.strides[-1] != x.itemsize:
        if rows == 1 or x.strides[-2] == x.itemsize:
            return x, True, _is_aligned(x, contiguous=2)
        x = array_module(x).ascontiguousarray(x)
    return x, False, _is_aligned(x, contiguous=3)


def _is_aligned(x, contiguous: int) -> bool:
    strides = [stride for axis, stride in enumerate(x.strides) if axis != contiguous and x.shape[axis] > 1]
    extent = x.shape[contiguous] * x.itemsize
    return all(number % 16 == 0 for number in (address(x), extent, *strides))


def product(a: Array, b: Array) -> Any:
    """The Product of matmul.cuh."""
    strides = [tuple(stride // x.itemsize for stride in x.strides) for x in (a, b)]
    return np.array((a.shape[-2], b.shape[-1], a.shape[-1], a.shape[1], *strides), PRODUCT)[()]


def blocks(a: Array, b: Array, rows: int, columns: int) -> int:
    """How many tiles of c there are."""
    return math.prod(a.shape[:2]) * -(-a.shape[-2] // rows) * -(-b.shape[-1] // columns)
