"""Convolution over height and width on the CPU: a matrix product whose operand is written a block at a time.

The windows of all images, one after the other, are the columns of a matrix (im2col) with a row for each element of a
window, (channel, i, j). BLOCK of its columns and DEPTH of its rows fit in the L2 cache: they are gathered there from
the images, which have been copied once with their zeros around them, and multiplied before the next block is gathered:

    y        weight · block, a tile of filters × windows in registers       (accumulated over the stretches of DEPTH)
    dweight  block · gradientᵀ, a tile of elements × filters in registers   (accumulated over the blocks)
    dx       y again: of the gradient, spread out by the stride, with the filters turned round

An element of the windows of one row is a run of neighbouring numbers, even with a stride s: the columns of an image
are then laid out in the order 0, s, 2s, …, 1, s + 1, …. So a block is gathered by whole vectors. What a vector has
beyond the end of its run is overwritten by the next run.

Beside the copy of the images each thread has a block of BLOCK · DEPTH numbers (156 KiB) and BLOCK · filters more; the
partial sums of dweight take PARTS times its memory at most.

The inner loops are those of micro_kernel.py, with strides that are known when they are compiled.
"""

import numba
import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from minigrad.kernels.cpu import micro_kernel, simd
from minigrad.kernels.cpu.convolution_images import BLOCK, ROW, copy_and_add, find_windows, gather, lay_out, runs_of
from minigrad.kernels.cpu.matmul import _kept, _make_pack
from minigrad.kernels.cpu.micro_kernel import COLUMNS, ROWS, TALLEST, UNROLL, WIDTH
from minigrad.kernels.reference.convolution2d import out_sizes

DEPTH = 192  # rows of a block, so that COLUMNS of them stay in L1; every ROWS divides it
PART, PARTS = 1024, 16  # windows of one partial sum of dweight, at least; fixed, so that no thread count changes it
ZERO = np.float32(0)


def conv2d(x, weight, bias, stride, padding, dilation, groups):
    """See reference.convolution2d.conv2d."""
    sizes = tuple(before + size + after for size, (before, after) in zip(x.shape[2:], padding, strict=True))
    bias = np.zeros(len(weight), np.float32) if bias is None else np.ascontiguousarray(bias)
    laid_out = lay_out(x, [before for before, _ in padding], sizes, (1, 1), stride[1])
    weight = weight.reshape(groups, len(weight) // groups, *weight.shape[1:])
    return _convolved(laid_out, len(x), sizes, weight, bias, stride, dilation)


def conv2d_backward(grad, x, weight, stride, padding, dilation, groups, needs):
    """See reference.convolution2d.conv2d_backward."""
    dx = dweight = None
    if needs[0]:
        dx = _dx(grad, x.shape, weight, stride, padding, dilation, groups)
    if needs[1]:
        dweight = _dweight(grad, x, weight, stride, padding, dilation, groups)
    return dx, dweight, _dbias(grad) if needs[2] else None


def _dbias(grad):
    sums = np.empty(grad.shape[:2], np.float32)
    _sum_images(np.ascontiguousarray(grad).reshape(sums.size, grad.shape[2] * grad.shape[3]), sums.reshape(-1))
    return sums.sum(0)


def _convolved(laid_out, batch, sizes, weight, bias, stride, dilation):
    """The convolution of laid-out images with `sizes`, zeros included; weight (groups, filters of a group, …)."""
    groups, filters, channels, *field = weight.shape
    out = out_sizes(sizes, field, stride, ((0, 0), (0, 0)), dilation)
    y = np.empty((batch, groups * filters, *out), np.float32)
    if not (y.size and weight.size):
        y[...] = bias[:, None, None]
        return y
    windows = find_windows(channels, groups, sizes, tuple(field), out, stride, dilation)
    heights = _heights(filters)
    panels, at = np.empty(weight.size, np.float32), 0  # (depth, height) each
    for g in range(groups):
        for height, end in zip(heights, np.cumsum(heights), strict=True):
            panel = panels[at : (at := at + height * windows.offsets.size)]
            panel.reshape(*weight.shape[2:], height)[...] = weight[g, end - height : end].transpose(1, 2, 3, 0)
    threads = numba.get_num_threads()
    block, wide = _kept("block", threads * DEPTH * ROW), _kept("wide", threads * filters * ROW)
    _multiply(laid_out, windows, panels, heights, bias, y.reshape(batch, groups, filters, -1), block[None], wide)
    return y


def _dx(grad, shape, weight, stride, padding, dilation, groups):
    """dx[s] = sum over f, k of weight[f, k] · g[s - k]."""
    filters, channels, *field = weight.shape
    reach = [d * (n - 1) for d, n in zip(dilation, field, strict=True)]
    sizes = tuple(size + r for size, r in zip(shape[2:], reach, strict=True))
    before = [r - pad[0] for r, pad in zip(reach, padding, strict=True)]
    spread = lay_out(grad, before, sizes, stride, 1)
    turned = weight.reshape(groups, filters // groups, channels, *field)[..., ::-1, ::-1].swapaxes(1, 2)
    return _convolved(spread, len(grad), sizes, turned, np.zeros(groups * channels, np.float32), (1, 1), dilation)


def _dweight(grad, x, weight, stride, padding, dilation, groups):
    if not (grad.size and weight.size):
        return np.zeros(weight.shape, np.float32)
    sizes = tuple(before + size + after for size, (before, after) in zip(x.shape[2:], padding, strict=True))
    laid_out = lay_out(x, [before for before, _ in padding], sizes, (1, 1), stride[1])
    windows = find_windows(weight.shape[1], groups, sizes, weight.shape[2:], grad.shape[2:], stride, dilation)
    filters, depth = len(weight) // groups, len(windows.offsets)
    width = filters // COLUMNS * COLUMNS + _panel(filters % COLUMNS)
    height = -(-depth // ROWS) * ROWS
    grads = np.ascontiguousarray(grad).reshape(len(x), groups, filters, -1)
    count = len(x) * grads.shape[3]
    parts = np.empty((groups, max(1, min(PARTS, count // PART)), height, width), np.float32)
    threads = numba.get_num_threads()
    block, wide = _kept("block", threads * DEPTH * ROW), _kept("wide", threads * width * ROW)
    _add_products(laid_out, windows, grads, parts, block[None], wide)
    dweight = parts.sum(1) if parts.shape[1] > 1 else parts[:, 0]
    return np.ascontiguousarray(dweight[:, :depth, :filters].swapaxes(1, 2)).reshape(weight.shape)


def _heights(rows):
    """Rows of an operand cut into tiles of nearly the same height, TALLEST at most."""
    tiles = -(-rows // TALLEST)
    return np.array([rows // tiles + (t < rows % tiles) for t in range(tiles)], np.int64)


# ---- the products ---------------------------------------------------------------------------


def _product(shapes):
    """C[c_at + i·c_stride:] = (C if accumulate else 0) + Σ_p<depth A[a_at + i·a_row + p·a_step] · B[b_at + p·b_step:].

    shapes {choice: (rows, vectors, a_row, a_step, b_step)} of which the first argument chooses, which is not checked.
    """
    index = types.intp

    def function(module, choice):
        rows, vectors, a_row, a_step, b_step = shapes[choice]
        pointer, integer = ir.FloatType().as_pointer(), ir.IntType(64)
        of = ir.FunctionType(ir.VoidType(), [integer, pointer, pointer, pointer, integer, ir.IntType(1)])
        name = f"minigrad_product_{rows}_{vectors}_{a_row}_{a_step}_{b_step}"
        function = cgutils.get_or_insert_function(module, of, name)
        if not function.is_declaration:
            return function
        function.linkage = "linkonce_odr"
        function.attributes.add("noinline")
        builder = ir.IRBuilder(function.append_basic_block())
        depth, a_at, b_at, c_at, c_stride, accumulate = function.args

        def steps(count):
            def body(a_now, b_now, *tile):
                for p in range(count):
                    column = [micro_kernel.forward(builder, a_now, p * a_step + i * a_row) for i in range(rows)]
                    row = micro_kernel.forward(builder, b_now, p * b_step)
                    tile = micro_kernel.outer_product(builder, column, row, tile)
                return [
                    micro_kernel.forward(builder, a_now, count * a_step),
                    micro_kernel.forward(builder, b_now, count * b_step),
                    *tile,
                ]

            return body

        values = [a_at, b_at, *micro_kernel.empty_tile(rows * vectors)]
        values = micro_kernel.repeat(builder, builder.udiv(depth, integer(UNROLL)), steps(UNROLL), values)
        _, _, *tile = micro_kernel.repeat(builder, builder.urem(depth, integer(UNROLL)), steps(1), values)
        with builder.if_else(accumulate) as branches:
            for branch, add_to_memory in zip(branches, (True, False), strict=True):
                with branch:
                    for i in range(rows):
                        place = builder.gep(c_at, [builder.mul(integer(i), c_stride)])
                        micro_kernel.store_row(builder, tile[i * vectors : (i + 1) * vectors], place, add_to_memory)
        builder.ret_void()
        return function

    @intrinsic
    def product(typingctx, choice, depth, a, a_at, b, b_at, c, c_at, c_stride, accumulate):
        def generate(context, builder, signature, args):
            choice, depth, a, a_at, b, b_at, c, c_at, c_stride, accumulate = args
            at = [
                micro_kernel._pointer(context, builder, signature.args[n], array, index)
                for n, array, index in ((2, a, a_at), (4, b, b_at), (6, c, c_at))
            ]
            after = builder.append_basic_block("multiplied")
            cases = builder.switch(choice, after)
            for value in shapes:
                with builder.goto_block(builder.append_basic_block(f"choice_{value}")):
                    cases.add_case(ir.IntType(64)(value), builder.block)
                    builder.call(function(builder.module, value), [depth, *at, c_stride, accumulate])
                    builder.branch(after)
            builder.position_at_end(after)
            return context.get_dummy_value()

        return types.void(index, index, a, index, b, index, c, index, index, types.boolean), generate

    return product


@simd.inline
def _panel(filters):
    """Columns of the panel that holds so many filters' gradients: a vector, or the whole width of a tile."""
    return 0 if filters <= 0 else WIDTH if filters <= WIDTH else COLUMNS


# filters × COLUMNS windows: a panel (depth, filters) of weight, rows of a block
_multiply_filters = _product({rows: (rows, COLUMNS // WIDTH, 1, rows, ROW) for rows in range(1, TALLEST + 1)})
# ROWS elements × filters: rows of a block, a panel (windows, filters) of the gradient
_multiply_gradient = _product({width: (ROWS, width // WIDTH, ROW, 1, width) for width in (WIDTH, COLUMNS)})
_pack_narrow, _pack_wide = _make_pack(WIDTH), _make_pack(COLUMNS)


@simd.serial
def _sum(numbers):
    total = ZERO
    for number in numbers:
        total += number
    return total


@simd.parallel
def _sum_images(grads, sums):
    for n in prange(len(grads)):
        sums[n] = _sum(grads[n])


@simd.parallel
def _multiply(x, windows, weight, heights, bias, y, blocks, wides):
    """y (images, groups, filters of a group, windows) = weight · windows + bias, weight in panels (depth, height)."""
    images, groups, filters, count = y.shape
    depth, total = windows.offsets.size, images * count
    tasks = (total + BLOCK - 1) // BLOCK
    for task in prange(groups * tasks):
        g, first = task // tasks, task % tasks * BLOCK
        number = min(BLOCK, total - first)
        thread = numba.get_thread_id()
        block, wide = thread * DEPTH * ROW, thread * filters * ROW
        places, targets = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
        runs = runs_of(windows, first, number, places, targets)
        for start in range(0, depth, DEPTH):
            offsets = windows.offsets[start : start + DEPTH]
            gather(x, g * windows.group, offsets, places[:runs], targets[:runs], blocks, block)
            for s in range(0, number, COLUMNS):
                f, panel = 0, g * filters * depth
                for height in heights:
                    _multiply_filters(
                        height, offsets.size, weight, panel + start * height, blocks, block + s,
                        wides, wide + f * ROW + s, ROW, start > 0,
                    )  # fmt: skip
                    f, panel = f + height, panel + height * depth
        s = 0
        while s < number:
            n, place = divmod(first + s, count)
            run = min(count - place, number - s)
            for f in range(filters):
                at = wide + f * ROW + s
                copy_and_add(wides[at : at + run], bias[g * filters + f], y[n, g, f, place : place + run])
            s += run


@simd.parallel
def _add_products(x, windows, grads, parts, blocks, wides):
    """parts[g, part] (elements of a window, filters) = windows · gradientᵀ over a part of all windows."""
    images, groups, filters, count = grads.shape
    chunks, height, width = parts.shape[1:]
    depth, total = windows.offsets.size, images * count
    for task in prange(groups * chunks):
        g, chunk = task // chunks, task % chunks
        begin, end = chunk * total // chunks, (chunk + 1) * total // chunks
        thread = numba.get_thread_id()
        block, wide = thread * DEPTH * ROW, thread * width * ROW
        places, targets = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
        for first in range(begin, end, BLOCK):
            number = min(BLOCK, end - first)
            runs = runs_of(windows, first, number, places, targets)
            s = 0
            while s < number:
                n, place = divmod(first + s, count)
                run = min(count - place, number - s)
                for f in range(0, filters, COLUMNS):
                    lines = min(COLUMNS, filters - f)
                    at = wide + f * BLOCK + s * _panel(lines)
                    if lines > WIDTH:
                        _pack_wide(grads, (n, g), f, lines, place, run, wides, at)
                    else:
                        _pack_narrow(grads, (n, g), f, lines, place, run, wides, at)
                s += run
            for start in range(0, depth, DEPTH):
                offsets = windows.offsets[start : start + DEPTH]
                gather(x, g * windows.group, offsets, places[:runs], targets[:runs], blocks, block)
                for f in range(0, filters, COLUMNS):
                    for k in range(0, offsets.size, ROWS):
                        to = ((g * chunks + chunk) * height + start + k) * width + f
                        _multiply_gradient(
                            _panel(filters - f), number, blocks, block + k * ROW, wides, wide + f * BLOCK,
                            parts, to, width, first > begin,
                        )  # fmt: skip
