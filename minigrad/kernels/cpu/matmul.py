"""Matrix product on the CPU: packed, register-blocked, the threads over blocks of rows.

Loops as in Goto & van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (ACM TOMS 34,
2008), each sized for the memory that holds what it reuses:

    for a block of columns                   # L3: the block of B, (depth, columns), shared by all threads
        for a stretch of the inner dimension
            pack the block of B
            for a block of rows              # L2: the block of A, (rows, depth), one per thread
                pack the block of A
                for a panel of B             # L1: (depth, COLUMNS)
                    for a panel of A         # registers: the (ROWS, COLUMNS) tile of micro_kernel.py

Packing rewrites a block as panels that the innermost loop reads from first byte to last. It costs
n² steps beside n³ of work and absorbs whatever strides an operand has: a transpose is free. Panels
that stick out over an edge are filled up with zeros, so the innermost loop knows one shape only.
A batch of small products (attention heads) is taken in groups whose packed B fits the same cache.
"""

import math
import threading

import numba
import numpy as np
from numba import float32, int64, njit, prange, types

from minigrad.kernels.cpu import simd
from minigrad.kernels.cpu.micro_kernel import COLUMNS, ROWS, STRETCH, gather_lines, multiply_tile

DEPTH = 384  # a panel of B takes 24 KiB of a 32 KiB L1 (48 of 48 with AVX-512)
BLOCK_ROWS = 144 // ROWS * ROWS  # a block of A takes 216 KiB of L2
BLOCK_COLUMNS = 4096  # a block of B takes 6 MiB of L3
PACKING = 0.04  # of a product's time, when the threads pack the same rows

_operand = types.Array(float32, 4, "A", readonly=True)  # takes writable arrays of any layout, too
_flat = types.Array(float32, 1, "C")


def matmul(a, b):
    """a (..., m, k) @ b (..., k, n) in float32, any strides; see reference.matmul."""
    (m, k), (k_of_b, n) = a.shape[-2:], b.shape[-2:]
    if k != k_of_b:
        raise ValueError(f"matmul: {a.shape} @ {b.shape}: inner dimensions {k} and {k_of_b} differ")
    if b.ndim == 2 and a.ndim > 2:  # one product with the batch as rows
        return matmul(a.reshape(math.prod(a.shape[:-1]), k), b).reshape(*a.shape[:-1], n)
    batch = a.shape[:-2] if a.shape[:-2] == b.shape[:-2] else np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    if not (k and m and n and math.prod(batch)):
        return np.zeros((*batch, m, n), np.float32)
    c = np.empty((*batch, m, n), np.float32)
    a, b = _with_two_batch_axes(a, batch), _with_two_batch_axes(b, batch)

    threads = numba.get_num_threads()
    columns, depth = min(_round_up(n, COLUMNS), BLOCK_COLUMNS), min(k, DEPTH)
    group = min(math.prod(batch), max(1, BLOCK_COLUMNS * DEPTH // (columns * depth)))
    block_rows, block_columns = _blocks(m, columns, group, threads)
    packed_a = _kept("packed_a", threads * block_rows * depth)
    packed_b = _kept("packed_b", group * columns * depth)
    edge = _kept("edge", threads * ROWS * COLUMNS)
    _multiply(a, b.swapaxes(2, 3), c.reshape(-1), packed_a, packed_b, edge, (group, block_rows, block_columns))
    return c


def _with_two_batch_axes(x, batch):
    """x as (outer, inner, rows, columns): heads cut out of a width need two strides."""
    if x.shape[:-2] != batch:
        x = np.broadcast_to(x, batch + x.shape[-2:])
    if not x.flags.aligned:
        x = x.copy()
    if x.ndim < 4:
        return x[(None,) * (4 - x.ndim)]
    return x if x.ndim == 4 else x.reshape(-1, *x.shape[-3:])


def _blocks(m, columns, group, threads):
    """Rows and columns of the blocks that are dealt out to the threads: of the ways to cut, the fairest.

    Cutting the rows is preferred, because every thread then packs rows of its own; but 128 rows, 11 tiles
    high, are two blocks of 6 and 5, and cutting their columns gives each thread the same.
    """
    if group >= threads:
        cuts = [(1, 1)]
    else:
        cuts = [(threads // pieces, pieces) for pieces in range(1, threads + 1) if threads % pieces == 0]

    def cut(row_pieces, column_pieces):
        row_blocks = _round_up(_divide_up(m, BLOCK_ROWS), row_pieces)
        block_rows = _round_up(_divide_up(m, row_blocks), ROWS)
        block_columns = _round_up(_divide_up(columns, column_pieces), COLUMNS)
        tasks = group * _divide_up(m, block_rows) * _divide_up(columns, block_columns)
        longest = _divide_up(tasks, threads) * (block_rows // ROWS) * (block_columns // COLUMNS)
        return longest * (1 + PACKING * (column_pieces - 1)), block_rows, block_columns

    return min(cut(*pieces) for pieces in cuts)[1:]


def _divide_up(x, y):
    return -(-x // y)


def _round_up(x, multiple):
    return -(-x // multiple) * multiple


_buffers = threading.local()


def _kept(name, size):
    """This thread's buffer of that name, kept from call to call: fresh memory costs page faults."""
    buffer = getattr(_buffers, name, None)
    if buffer is None or buffer.size < size:
        buffer = np.empty(size, np.float32)
        setattr(_buffers, name, buffer)
    return buffer


def _make_pack(width):
    """The function that packs `width` lines of an operand: rows of A, or columns of B."""
    gather_adjacent, gather_contiguous = gather_lines(width)

    @njit(error_model="numpy")
    def pack(x, product, line, lines, start, depth, packed, at):
        """packed[at:] = the panel (depth, width) of x[product][line:, start:] (lines, depth)."""
        outer, inner = product
        done = 0
        if lines == width and x.strides[2] == 4:
            while done + STRETCH <= depth:
                gather_adjacent(x, outer, inner, line, start + done, packed, at + done * width)
                done += STRETCH
        elif lines == width and x.strides[3] == 4:
            while done + STRETCH <= depth:
                gather_contiguous(x, outer, inner, line, start + done, packed, at + done * width)
                done += STRETCH
        for p in range(done, depth):
            for i in range(width):
                packed[at + p * width + i] = x[outer, inner, line + i, start + p] if i < lines else float32(0)

    return pack


pack_rows = _make_pack(ROWS)
pack_columns = _make_pack(COLUMNS)


@njit(error_model="numpy")
def _multiply_block(shape, a, b, c, edge, at, n, accumulate):
    """c (rows, columns of rows n apart) = packed A (rows, depth) @ packed B (depth, columns).

    shape  (rows, depth, columns)
    at     where A, B, C and the room for a tile over the edge begin
    """
    rows, depth, columns = shape
    a_at, b_at, c_at, edge_at = at
    for j in range(0, columns, COLUMNS):
        for i in range(0, rows, ROWS):
            a_panel, b_panel, tile = a_at + i * depth, b_at + j * depth, c_at + i * n + j
            if i + ROWS <= rows and j + COLUMNS <= columns:
                multiply_tile(depth, a, a_panel, b, b_panel, c, (tile, n), accumulate)
                continue
            multiply_tile(depth, a, a_panel, b, b_panel, edge, (edge_at, COLUMNS), False)
            for r in range(min(ROWS, rows - i)):
                for s in range(min(COLUMNS, columns - j)):
                    value = edge[edge_at + r * COLUMNS + s]
                    c[tile + r * n + s] = c[tile + r * n + s] + value if accumulate else value


# Which part of the problem is at work, `part`: the first product of the group, the first column and how many, the
# start of the stretch of the inner dimension and its depth.


@njit(error_model="numpy")
def _pack_task(task, b, part, packed):
    """Pack one panel of the block of B."""
    first, column, columns, start, depth = part
    panels = (columns + COLUMNS - 1) // COLUMNS
    product, j = first + task // panels, task % panels * COLUMNS
    outer, inner, lines = product // b.shape[1], product % b.shape[1], min(COLUMNS, columns - j)
    pack_columns(b, (outer, inner), column + j, lines, start, depth, packed, task * COLUMNS * depth)


@njit(error_model="numpy")
def _block_task(task, a, c, part, sizes, packed, packed_b, edge):
    """Pack one block of A and multiply it with (a part of) the block of B. sizes: columns of C, rows and columns of
    the blocks."""
    first, column, columns, start, depth = part
    n, block_rows, block_columns = sizes
    batch, m, k = a.shape[1:]
    panels = (columns + COLUMNS - 1) // COLUMNS
    row_blocks, column_blocks = (m + block_rows - 1) // block_rows, (columns + block_columns - 1) // block_columns
    member, block = task // (row_blocks * column_blocks), task % (row_blocks * column_blocks)
    row, j = block // column_blocks * block_rows, block % column_blocks * block_columns
    outer, inner, rows = (first + member) // batch, (first + member) % batch, min(block_rows, m - row)
    thread = numba.get_thread_id()
    a_at = thread * block_rows * min(k, DEPTH)
    b_at = (member * panels * COLUMNS + j) * depth
    c_at = ((first + member) * m + row) * n + column + j
    for i in range(0, rows, ROWS):
        lines = min(ROWS, rows - i)
        pack_rows(a, (outer, inner), row + i, lines, start, depth, packed, a_at + i * depth)
    shape, at = (rows, depth, min(block_columns, columns - j)), (a_at, b_at, c_at, thread * ROWS * COLUMNS)
    _multiply_block(shape, packed, packed_b, c, edge, at, n, start > 0)


@simd.parallel
def _multiply(a, b, c, packed_a, packed_b, edge, cut):
    """c = a @ bᵀ for a (outer, inner, m, k) and b (outer, inner, n, k), c flat.

    cut  products of a group, rows and columns of a block
    """
    group, block_rows, block_columns = cut
    m, k, n = a.shape[2], a.shape[3], b.shape[2]
    products = a.shape[0] * a.shape[1]
    for first in range(0, products, group):
        members = min(group, products - first)
        for column in range(0, n, BLOCK_COLUMNS):
            columns = min(BLOCK_COLUMNS, n - column)
            panels = (columns + COLUMNS - 1) // COLUMNS
            blocks = ((m + block_rows - 1) // block_rows) * ((columns + block_columns - 1) // block_columns)
            for start in range(0, k, DEPTH):
                part = (first, column, columns, start, min(DEPTH, k - start))
                for task in prange(members * panels):
                    _pack_task(task, b, part, packed_b)
                for task in prange(members * blocks):
                    _block_task(task, a, c, part, (n, block_rows, block_columns), packed_a, packed_b, edge)


_multiply.compile((_operand, _operand, _flat, _flat, _flat, _flat, types.UniTuple(int64, 3)))
_multiply.disable_compile()  # other layouts are converted to these types, not compiled for them
