"""The walk of the recurrent cells over time: each thread takes its sequences of the batch through all steps by itself.

Sequences do not depend on each other, so between the first step and the last no thread waits for
another. The recurrent weight is packed once for the micro-kernel of the matrix product. A step packs
its few rows of the state, multiplies them with the weight, and hands the products to the cell, row by row, while
they are in the cache. Backward takes the same walk the other way. What the cells do is in recurrent_cells.py.

The rows of a step are split into tiles of equal height (25 into 13 and 12): with so few rows, filling up
the last tile with zeros would cost a third of the time.
"""

from collections.abc import Callable
from typing import NamedTuple

import numba
import numpy as np
from numba import njit, prange, types

from minigrad.kernels.compiled_cache import jit
from minigrad.kernels.cpu import simd
from minigrad.kernels.cpu.matmul import pack_columns
from minigrad.kernels.cpu.micro_kernel import COLUMNS, TALLEST, multiply_rows
from minigrad.kernels.cpu.tiles import address_of, call, span
from minigrad.typing import Array

inline = njit(error_model="numpy")  # without a cache of its own: it is compiled into what calls it


def empty(*shape: int) -> Array:
    """A float32 array without values yet."""
    return np.empty(shape, np.float32)


class Walk(NamedTuple):
    """What a walk needs besides the cell's arrays.

    multiply  the address of _multiply_panels
    panels    the recurrent weight, packed; from panels_of
    sizes     the number of rows of each step
    starts    the first row of each step
    bounds    thread k takes sequences bounds[k] to bounds[k + 1] - 1
    reverse   from each sequence's last step to its first
    """

    multiply: int
    panels: Array
    sizes: Array
    starts: Array
    bounds: Array
    reverse: bool


def walk_of(weight: Array, gates: int, sizes: Array, reverse: bool) -> Walk:
    """The walk over steps of these sizes, with weight (gates · units, depth)."""
    panels, starts = panels_of(weight, gates), np.cumsum(sizes) - sizes
    return Walk(PRODUCT, panels, sizes, starts, _shares(sizes), bool(reverse))


def _shares(sizes: Array) -> Array:
    """The longest sequences come first, so equal shares of the steps are unequal shares of the sequences."""
    lengths = (sizes[:, None] > np.arange(sizes[0])).sum(0)
    threads = min(numba.get_num_threads(), len(lengths))
    middles = np.cumsum(lengths) - lengths / 2
    return np.searchsorted(middles, lengths.sum() * np.arange(threads + 1) / threads)


def forward(cell: Callable, gates: int) -> Callable:
    """sequences(share, walk, arrays): one thread's sequences, from their first step to their last, through `cell`.

    cell(product, stride, at, sequence, h, arrays), compiled, makes the state h of row `at` of all rows, which belongs
    to that sequence of the batch. h holds the state before; product[k * stride:] is the recurrent product of gate k.
    arrays.h is (batch, units).
    """

    @inline
    def sequences(share, walk, arrays):
        first, last = walk.bounds[share], walk.bounds[share + 1]
        h, steps = arrays.h, len(walk.sizes)
        n, stride = h.shape[1], _whole_panels(h.shape[1])
        packed = np.empty((last - first) * n, np.float32)
        product = np.empty((last - first) * gates * stride, np.float32)
        for step in range(steps):
            t = steps - 1 - step if walk.reverse else step
            rows = min(last, walk.sizes[t]) - first
            if rows <= 0:
                continue
            pack(h, first, rows, packed)
            call(walk.multiply, (rows, n, packed, walk.panels, gates, stride, product))
            for row in range(rows):
                at, sequence = walk.starts[t] + first + row, first + row
                products = span(product, row * gates * stride, gates * stride)
                cell(products, stride, at, sequence, span(h, sequence * n, n), arrays)

    return sequences


def backward(cell: Callable, gates: int) -> Callable:
    """sequences(share, walk, arrays): the same sequences from their last step to their first.

    cell(at, sequence, dh, arrays) gets the gradient dh of a row's state, gathered from all sides, and writes the row's
    arrays.drecurrent (rows, gates · units), the gradient of the recurrent product. It leaves in dh what reaches the
    state before without that product. arrays.dh (batch, units) starts as the last states' gradient and becomes that
    of the first ones; arrays.grad (rows, units) is that of every state by itself.
    """

    @inline
    def sequences(share, walk, arrays):
        first, last = walk.bounds[share], walk.bounds[share + 1]
        dh, drecurrent, steps = arrays.dh, arrays.drecurrent, len(walk.sizes)
        n, stride = dh.shape[1], _whole_panels(dh.shape[1])
        packed = np.empty((last - first) * gates * n, np.float32)
        carried = np.zeros((last - first) * stride, np.float32)  # what comes back through the product
        for step in range(steps):
            t = step if walk.reverse else steps - 1 - step
            rows = min(last, walk.sizes[t]) - first
            if rows <= 0:
                continue
            for row in range(rows):
                at, sequence = walk.starts[t] + first + row, first + row
                dh_now = span(dh, sequence * n, n)
                _add_both(span(arrays.grad, at * n, n), span(carried, row * stride, n), dh_now)
                cell(at, sequence, dh_now, arrays)
            pack(drecurrent, walk.starts[t] + first, rows, packed)
            call(walk.multiply, (rows, gates * n, packed, walk.panels, 1, stride, carried))
        for row in range(last - first):
            _add(span(carried, row * stride, n), span(dh, (first + row) * n, n))

    return sequences


@simd.serial
def _add_both(w, x, y):
    for u in range(y.size):
        y[u] += w[u] + x[u]


@simd.serial
def _add(x, y):
    for u in range(x.size):
        y[u] += x[u]


@inline
def _whole_panels(units):
    return (units + COLUMNS - 1) // COLUMNS * COLUMNS


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
        pack_columns(weight, (0, 0), gate * units + first, lines, 0, depth, packed, task * depth * COLUMNS)


@inline
def _height(rows):
    """The height of the tiles that `rows` rows are split into; the last one may be lower."""
    tiles = (rows + TALLEST - 1) // TALLEST
    return (rows + tiles - 1) // tiles


@inline
def pack(x, first, rows, packed):
    """packed = x[first : first + rows] as panels (depth, height) of its tiles."""
    depth, height = x.shape[1], _height(rows)
    for row in range(0, rows, height):
        lines = min(height, rows - row)
        for i in range(lines):
            at = row * depth + i
            for k in range(depth):
                packed[at + k * lines] = x[first + row + i, k]


@inline
def _multiply(rows, depth, packed, panels, panel, out, at, stride):
    """out[at:] (rows, COLUMNS of rows `stride` apart) = packed rows @ one panel of the weight."""
    height = _height(rows)
    for row in range(0, rows, height):
        multiply_rows(
            min(height, rows - row), depth, packed, row * depth, panels, panel * depth * COLUMNS,
            out, (at + row * stride, stride),
        )  # fmt: skip


@jit(error_model="numpy")
def _multiply_panels(rows, depth, packed, panels, gates, stride, product):
    """product (rows, gates, stride) = packed rows @ the panels of all gates; a gate's units are padded to `stride`."""
    for gate in range(gates):
        for unit in range(0, stride, COLUMNS):
            panel = (gate * stride + unit) // COLUMNS
            _multiply(rows, depth, packed, panels, panel, product, gate * stride + unit, gates * stride)


# Called by its address, so that the micro-kernel in all its heights is compiled once and not in every kernel.
_flat = types.Array(types.float32, 1, "C")
PRODUCT = address_of(_multiply_panels, (types.intp, types.intp, _flat, _flat, types.intp, types.intp, _flat))
