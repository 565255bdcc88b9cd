"""What the recurrent cells on the CPU share: the weight packed once, the product of a step, loops over units."""

import numpy as np
from numba import njit, prange, types

from minigrad.kernels.cpu import simd
from minigrad.kernels.cpu.matmul import pack_columns
from minigrad.kernels.cpu.micro_kernel import COLUMNS, TALLEST, multiply_rows
from minigrad.kernels.cpu.tiles import address_of
from minigrad.typing import Array

ONE, ZERO = np.float32(1), np.float32(0)


def empty(*shape: int) -> Array:
    """An uninitialised float32 array."""
    return np.empty(shape, np.float32)


# ---- packing, and the product of a step -----------------------------------------------------


def panels_of(weight: Array, gates: int) -> Array:
    """The rows of weight (gates · units, depth) in panels of COLUMNS units, those of a gate filled up with zeros."""
    units = len(weight) // gates
    packed = empty(-(-units // COLUMNS) * gates * COLUMNS * weight.shape[1])
    _pack_weight(weight[None, None], gates, packed)
    return packed


@simd.parallel
def _pack_weight(weight, gates, packed):
    rows, depth = weight.shape[2], weight.shape[3]
    units = rows // gates
    panels = (units + COLUMNS - 1) // COLUMNS
    for task in prange(panels * gates):
        first, gate = task % panels * COLUMNS, task // panels
        lines = min(COLUMNS, units - first)
        pack_columns(weight, 0, 0, gate * units + first, lines, 0, depth, packed, task * depth * COLUMNS)


@njit(error_model="numpy")
def _height(rows):
    """The height of the tiles that `rows` rows are split into; the last one may be lower."""
    tiles = (rows + TALLEST - 1) // TALLEST
    return (rows + tiles - 1) // tiles


@njit(error_model="numpy")
def pack(x, first, rows, packed):
    """packed = x[first : first + rows] as panels (depth, height) of its tiles."""
    depth, height = x.shape[1], _height(rows)
    for row in range(0, rows, height):
        lines = min(height, rows - row)
        for i in range(lines):
            at = row * depth + i
            for k in range(depth):
                packed[at + k * lines] = x[first + row + i, k]


@njit(error_model="numpy")
def _multiply(rows, depth, packed, panels, panel, out, at, stride):
    """out[at:] (rows, COLUMNS of rows `stride` apart) = packed rows @ one panel of the weight."""
    height = _height(rows)
    for row in range(0, rows, height):
        multiply_rows(
            min(height, rows - row), depth, packed, row * depth, panels, panel * depth * COLUMNS,
            out, at + row * stride, stride,
        )  # fmt: skip


@njit(error_model="numpy", cache=True)
def _multiply_panels(rows, depth, packed, panels, gates, stride, product):
    """product (rows, gates, stride) = packed rows @ the panels of all gates; a gate's units are padded to `stride`."""
    for gate in range(gates):
        for unit in range(0, stride, COLUMNS):
            panel = (gate * stride + unit) // COLUMNS
            _multiply(rows, depth, packed, panels, panel, product, gate * stride + unit, gates * stride)


# Called by its address, so that the micro-kernel in all its heights is compiled once and not in every kernel.
_flat = types.Array(types.float32, 1, "C")
PRODUCT = address_of(_multiply_panels, (types.intp, types.intp, _flat, _flat, types.intp, types.intp, _flat))


# ---- loops over the units of one sequence -----------------------------------------------------
#
# Each writes one array and reads few: LLVM vectorises a loop only if a handful of comparisons at its
# start can show that no two of its arrays overlap.


@simd.serial
def copy(x, y):
    """y = x."""
    for u in range(x.size):
        y[u] = x[u]


@simd.serial
def add(x, y):
    """y += x."""
    for u in range(x.size):
        y[u] += x[u]


@simd.serial
def multiply_by(x, y):
    """y *= x."""
    for u in range(x.size):
        y[u] *= x[u]


@simd.serial
def sigmoid(p, x, y):
    """y = σ(p + x)."""
    for u in range(y.size):
        y[u] = simd.sigmoid(p[u] + x[u])


@simd.serial
def tanh(p, x, y):
    """y = tanh(p + x)."""
    for u in range(y.size):
        y[u] = simd.tanh(p[u] + x[u])


@simd.serial
def through_sigmoid(d, x, s, y):
    """y = d · x · the slope of the sigmoid whose value is s"""
    for u in range(y.size):
        y[u] = d[u] * x[u] * s[u] * (ONE - s[u])


@simd.serial
def through_tanh(d, x, t, y):
    """y = d · x · the slope of the tanh whose value is t"""
    for u in range(y.size):
        y[u] = d[u] * x[u] * (ONE - t[u] * t[u])
