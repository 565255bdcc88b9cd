"""Convolution over height and width on the CPU: a matrix product whose operand is never written out.

In an image with its zeros around it, flat in memory, the element (c, i, j) of the windows that start at neighbouring
places is a run of neighbouring numbers, if the stride is 1. So the innermost loop of the matrix product, of
micro_kernel.py, reads the rows of its operand where they are: multiply_runs below. Windows that reach over the right
edge into the next row are computed, too, and left out when the rows of the output are copied. With another stride the
runs are gathered first, a panel at a time.

Backward, dx is a convolution of the gradient, spread out by the stride, with the filters turned round; and
dweight[f, k] is the product of two runs, the gradient of filter f and element k of all windows, 4 × 4 at a time.
"""

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from minigrad.kernels.cpu import micro_kernel, simd
from minigrad.kernels.cpu.micro_kernel import COLUMNS, TALLEST, UNROLL
from minigrad.kernels.reference.convolution2d import out_sizes

RUN = 1024  # windows that one partial sum of dweight has, about; fixed, so that no thread count changes the result
ZERO = np.float32(0)


def conv2d(x, weight, bias, stride, padding, dilation, groups):
    """See reference.convolution2d.conv2d."""
    (top, bottom), (left, right) = padding
    sizes = top + x.shape[2] + bottom, left + x.shape[3] + right
    laid_out = _lay_out(x, (top, left), sizes)
    bias = np.zeros(len(weight), np.float32) if bias is None else np.ascontiguousarray(bias)
    return _convolved(laid_out, len(x), x.shape[1], sizes, weight, bias, stride, dilation, groups)


def conv2d_backward(grad, x, weight, stride, padding, dilation, groups, needs):
    """See reference.convolution2d.conv2d_backward."""
    dx = dweight = None
    if needs[0]:
        dx = _dx(grad, x.shape, weight, stride, padding, dilation, groups)
    if needs[1]:
        dweight = _dweight(grad, x, weight, stride, padding, dilation, groups)
    dbias = grad.sum((2, 3)).sum(0) if needs[2] else None
    return dx, dweight, dbias


def _convolved(laid_out, batch, channels, sizes, weight, bias, stride, dilation, groups):
    """The convolution of laid-out images with `sizes`, zeros included."""
    filters, field = len(weight), weight.shape[2:]
    out = out_sizes(sizes, field, stride, ((0, 0), (0, 0)), dilation)
    y = np.empty((batch, filters, *out), np.float32)
    if not y.size:
        return y
    if not weight.size:
        y[...] = bias[:, None, None]
        return y
    windows = _windows(channels // groups, sizes, field, out, stride, dilation)
    heights = _heights(filters // groups)
    ends = np.cumsum(heights)
    flat = weight.reshape(groups, filters // groups, -1)
    panels = [
        flat[g, end - height : end].T.reshape(-1)
        for g in range(groups)
        for height, end in zip(heights, ends, strict=True)
    ]
    _multiply(laid_out, windows, np.concatenate(panels), heights, bias, y.reshape(batch * groups, -1, *out))
    return y


def _dx(grad, shape, weight, stride, padding, dilation, groups):
    """dx[s] = sum over f, k of weight[f, k] · g[s - k]."""
    filters, channels, *field = weight.shape
    reach = [d * (n - 1) for d, n in zip(dilation, field, strict=True)]
    sizes = [size + r for size, r in zip(shape[2:], reach, strict=True)]
    before = [r - pad[0] for r, pad in zip(reach, padding, strict=True)]
    spread = _lay_out(grad, before, sizes, stride)
    turned = weight.reshape(groups, filters // groups, channels, *field)[..., ::-1, ::-1].swapaxes(1, 2)
    turned = turned.reshape(groups * channels, filters // groups, *field)
    no_bias = np.zeros(len(turned), np.float32)
    return _convolved(spread, len(grad), filters, sizes, turned, no_bias, (1, 1), dilation, groups)


def _dweight(grad, x, weight, stride, padding, dilation, groups):
    (top, bottom), (left, right) = padding
    sizes = top + x.shape[2] + bottom, left + x.shape[3] + right
    out = grad.shape[2:]
    windows = _windows(weight.shape[1], sizes, weight.shape[2:], out, stride, dilation)
    filters = len(weight) // groups
    together = -(-RUN // (out[0] * out[1])) if grad.size else 1  # images
    parts = np.zeros((groups, -(-len(x) // together), filters, len(windows.offsets)), np.float32)
    if parts.size and grad.size:
        grads = np.ascontiguousarray(grad).reshape(len(x) * groups, filters, *out)
        _add_products(_lay_out(x, (top, left), sizes), windows, grads, together, parts)
    return parts.sum(1).reshape(weight.shape)


def _lay_out(x, before, sizes, step=(1, 1)):
    """x (batch, channels, height, width) flat, in images of `sizes`: x[..., u, v] at before + (u, v)·step, else zeros.

    What would be outside is left out. A few more zeros at the end may be read by the last panel.
    """
    batch, channels = x.shape[:2]
    count = batch * channels * sizes[0] * sizes[1]
    flat = np.zeros(count + COLUMNS, np.float32)
    images = flat[:count].reshape(batch, channels, *sizes)
    to, of = [], []
    for at, size, s, n in zip(before, sizes, step, x.shape[2:], strict=True):
        first = max(0, -(at // s)) if at < 0 else 0  # the first that is inside
        last = min(n, max(first, -(-(size - at) // s)))
        to.append(slice(at + first * s, max(at + (last - 1) * s + 1, 0) if last > first else at + first * s, s))
        of.append(slice(first, last))
    images[:, :, *to] = x[:, :, *of]
    return flat


class Windows(NamedTuple):
    """Where the windows of a group are in a laid-out image.

    image     numbers in the group's channels of an image
    offsets   of each element of a window from the window's start
    starts    of the windows, in panels of COLUMNS; none if they are 0, 1, 2, … because the stride is 1
    row       how far apart two rows of windows are in that order
    gathered  the offsets once a panel of other starts has been gathered
    """

    image: int
    offsets: np.ndarray
    starts: np.ndarray
    row: int
    gathered: np.ndarray


def _windows(channels, sizes, field, out, stride, dilation):
    c, i, j = np.ogrid[:channels, : field[0], : field[1]]
    offsets = ((c * sizes[0] + i * dilation[0]) * sizes[1] + j * dilation[1]).reshape(-1)
    starts, row = np.empty(0, np.int64), sizes[1]
    if stride != (1, 1):
        u, v = np.ogrid[: out[0], : out[1]]
        starts, row = (u * (stride[0] * sizes[1]) + v * stride[1]).reshape(-1), out[1]
        starts = np.concatenate([starts, np.zeros(-len(starts) % COLUMNS, np.int64)])
    return Windows(channels * sizes[0] * sizes[1], offsets, starts, row, np.arange(len(offsets)) * COLUMNS)


def _heights(rows):
    """Rows of an operand cut into tiles of nearly the same height, TALLEST at most."""
    tiles = -(-rows // TALLEST)
    return np.array([rows // tiles + (t < rows % tiles) for t in range(tiles)], np.int64)


@intrinsic
def multiply_runs(typingctx, rows, depth, a, a_at, x, x_at, offsets, c, c_at, c_stride):
    """c[c_at + i·c_stride + s] = Σ_k a[a_at + k·rows + i] · x[x_at + offsets[k] + s], i < rows and s < COLUMNS.

    micro_kernel.multiply_rows with the rows of B wherever they are; 1 to TALLEST rows, which is not checked.
    """
    index = types.intp

    def generate(context, builder, signature, args):
        rows, depth, a, a_at, x, x_at, offsets, c, c_at, c_stride = args
        a_at = micro_kernel._pointer(context, builder, signature.args[2], a, a_at)
        x_at = micro_kernel._pointer(context, builder, signature.args[4], x, x_at)
        first = micro_kernel._pointer(context, builder, signature.args[6], offsets, ir.IntType(64)(0))
        c_at = micro_kernel._pointer(context, builder, signature.args[7], c, c_at)
        after = builder.append_basic_block("multiplied")
        choice = builder.switch(rows, after)
        for height in range(1, TALLEST + 1):
            with builder.goto_block(builder.append_basic_block(f"rows_{height}")):
                choice.add_case(ir.IntType(64)(height), builder.block)
                builder.call(_runs_function(builder.module, height), [depth, a_at, x_at, first, c_at, c_stride])
                builder.branch(after)
        builder.position_at_end(after)
        return context.get_dummy_value()

    return types.void(index, index, a, index, x, index, offsets, c, index, index), generate


def _runs_function(module, rows):
    """multiply_runs for a number of rows, as a function of its own."""
    integer, pointer = ir.IntType(64), ir.FloatType().as_pointer()
    function_type = ir.FunctionType(ir.VoidType(), [integer, pointer, pointer, integer.as_pointer(), pointer, integer])
    function = cgutils.get_or_insert_function(module, function_type, f"minigrad_multiply_runs_{rows}")
    if not function.is_declaration:
        return function
    function.linkage = "linkonce_odr"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block())
    depth, a_at, x_at, offsets, c_at, c_stride = function.args
    tile = [ir.Constant(micro_kernel._vector, None)] * (rows * micro_kernel._vectors)
    turns, rest = builder.udiv(depth, integer(UNROLL)), builder.urem(depth, integer(UNROLL))
    a_at, offsets, tile = _runs(builder, turns, UNROLL, rows, a_at, x_at, offsets, tile)
    _, _, tile = _runs(builder, rest, 1, rows, a_at, x_at, offsets, tile)
    micro_kernel._store_tile(builder, tile, c_at, c_stride, add_to_memory=False)
    builder.ret_void()
    return function


def _runs(builder, turns, steps, rows, a_at, x_at, offsets, tile):
    """`turns` times `steps` outer products, as micro_kernel._outer_products, each with the run at its offset."""
    before, body, after = builder.block, builder.append_basic_block("turn"), builder.append_basic_block("turned")
    zero = ir.IntType(64)(0)
    builder.cbranch(builder.icmp_signed(">", turns, zero), body, after)

    builder.position_at_end(body)
    first = [zero, a_at, offsets, *tile]
    now = [builder.phi(value.type) for value in first]
    turn, a_now, offsets_now, *tile_now = now
    for step in range(steps):
        run = builder.gep(x_at, [builder.load(micro_kernel._forward(builder, offsets_now, step))])
        a_step = micro_kernel._forward(builder, a_now, step * rows)
        tile_now = micro_kernel._outer_product(builder, a_step, run, 0, tile_now)
    a_next = micro_kernel._forward(builder, a_now, steps * rows)
    offsets_next = micro_kernel._forward(builder, offsets_now, steps)
    following = [builder.add(turn, ir.IntType(64)(1)), a_next, offsets_next, *tile_now]
    for phi, value, next_value in zip(now, first, following, strict=True):
        phi.add_incoming(value, before)
        phi.add_incoming(next_value, body)
    builder.cbranch(builder.icmp_signed("<", following[0], turns), body, after)

    builder.position_at_end(after)
    results = []
    for value, next_value in zip(first, following, strict=True):
        phi = builder.phi(value.type)
        phi.add_incoming(value, before)
        phi.add_incoming(next_value, body)
        results.append(phi)
    return results[1], results[2], results[3:]


@simd.serial
def _copy_and_add(source, number, target):
    for j in range(target.size):
        target[j] = source[j] + number


@simd.parallel
def _multiply(x, windows, weight, heights, bias, y):
    """y (images, filters of a group, u, v) = windows · weight + bias, x flat, weight in panels (depth, height)."""
    image, offsets, starts, row, gathered = windows
    images, filters, height, width = y.shape
    depth, groups = offsets.size, bias.size // filters
    panels = ((height - 1) * row + width + COLUMNS - 1) // COLUMNS
    for n in prange(images):
        panel = np.empty(depth * COLUMNS if starts.size else 0, np.float32)
        wide = np.empty(filters * panels * COLUMNS, np.float32)  # the output with what is left out
        for first in range(0, panels * COLUMNS, COLUMNS):
            for k in range(depth if starts.size else 0):
                for s in range(COLUMNS):
                    panel[k * COLUMNS + s] = x[n * image + offsets[k] + starts[first + s]]
            f, w = 0, n % groups * filters * depth
            for tile in range(heights.size):
                rows, at = heights[tile], f * panels * COLUMNS + first
                if starts.size:
                    multiply_runs(rows, depth, weight, w, panel, 0, gathered, wide, at, panels * COLUMNS)
                else:
                    multiply_runs(rows, depth, weight, w, x, n * image + first, offsets, wide, at, panels * COLUMNS)
                f, w = f + rows, w + rows * depth
        for f in range(filters):
            for u in range(height):
                start = f * panels * COLUMNS + u * row
                _copy_and_add(wide[start : start + width], bias[n % groups * filters + f], y[n, f, u])


@simd.serial
def _products(a, b, c, d, e, f, g, h, sums, i, j):
    """sums[i:i+4, j:j+4] += the products of each of a, b, c, d with each of e, f, g, h."""
    ae = af = ag = ah = be = bf = bg = bh = ce = cf = cg = ch = de = df = dg = dh = ZERO
    for q in range(a.size):
        ae += a[q] * e[q]
        af += a[q] * f[q]
        ag += a[q] * g[q]
        ah += a[q] * h[q]
        be += b[q] * e[q]
        bf += b[q] * f[q]
        bg += b[q] * g[q]
        bh += b[q] * h[q]
        ce += c[q] * e[q]
        cf += c[q] * f[q]
        cg += c[q] * g[q]
        ch += c[q] * h[q]
        de += d[q] * e[q]
        df += d[q] * f[q]
        dg += d[q] * g[q]
        dh += d[q] * h[q]
    for r, row in enumerate(((ae, af, ag, ah), (be, bf, bg, bh), (ce, cf, cg, ch), (de, df, dg, dh))):
        for s, value in enumerate(row):
            if i + r < sums.shape[0] and j + s < sums.shape[1]:
                sums[i + r, j + s] += value


@simd.parallel
def _add_products(x, windows, grads, together, parts):
    """parts[g, chunk, f, k] = the sum over `together` images of gradient f times element k of the windows."""
    image, offsets, starts, row, _ = windows
    groups, chunks, filters, depth = parts.shape
    images, height, width = grads.shape[0] // groups, grads.shape[2], grads.shape[3]
    count = (height - 1) * row + width
    for task in prange(chunks * groups):
        chunk, g = task // groups, task % groups
        first, last = chunk * together, min(images, (chunk + 1) * together)
        wide = np.zeros((filters, (last - first) * count), np.float32)  # 0 for the windows that are left out
        for f in range(filters):
            for b in range(first, last):
                for u in range(height):
                    at = (b - first) * count + u * row
                    _copy_and_add(grads[b * groups + g, f, u], ZERO, wide[f, at : at + width])
        runs = np.empty((4, (last - first) * count), np.float32)  # four elements of all windows
        end = filters - 1
        for j in range(0, depth, 4):
            for s in range(4):
                for b in range(first, last):
                    run = runs[s, (b - first) * count : (b - first + 1) * count]
                    at = (b * groups + g) * image + offsets[min(j + s, depth - 1)]
                    if starts.size == 0:
                        _copy_and_add(x[at : at + count], ZERO, run)
                    else:
                        for q in range(count):
                            run[q] = x[at + starts[q]]
            for i in range(0, filters, 4):
                _products(
                    wide[i], wide[min(i + 1, end)], wide[min(i + 2, end)], wide[min(i + 3, end)],
                    runs[0], runs[1], runs[2], runs[3], parts[g, chunk], i, j,
                )  # fmt: skip
