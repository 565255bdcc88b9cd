"""The images of a convolution over height and width, with their zeros, and blocks of its windows (im2col).

See convolution2d.py, which multiplies the blocks.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from minigrad.kernels.cpu import lanes, micro_kernel, simd

BLOCK = 192  # windows; every micro_kernel.COLUMNS divides it
ROW = BLOCK + lanes.WIDTH  # from one row of a block to the next: the last vector of a row may reach beyond its end
ZERO = np.float32(0)


def lay_out(x, before, sizes, step, phases):
    """x (batch, channels, height, width) in images of `sizes`: x[..., u, v] at before + (u, v)·step, else zeros.

    What would be outside is left out. Column c of an image is at place c//phases of part c % phases of its row. The
    images are flat, in an array (1, numbers), with a vector more at the end for whoever reads beyond it.
    """
    height, width = sizes[0], -(-sizes[1] // phases)
    images = x.shape[0] * x.shape[1]
    flat = np.empty((1, images * height * phases * width + lanes.WIDTH), np.float32)
    flat[0, -lanes.WIDTH :] = 0
    target = flat[0, : -lanes.WIDTH].reshape(images, height, phases, width)
    x = np.ascontiguousarray(x).reshape(images, *x.shape[2:])
    _copy_images(x, tuple(np.int64(n) for n in (*before, *step, sizes[1])), target)
    return flat


@intrinsic
def _copy(typingctx, count, source, at, target, to):
    """target[to : to + count] = source[at : at + count], numbers of flat memory, for a count up to lanes.WIDTH.

    With a mask: a loop over the few numbers of a short row would take several times as long.
    """
    index = types.intp

    def generate(context, builder, signature, args):
        count, source, at, target, to = args
        places = ir.VectorType(ir.IntType(32), lanes.WIDTH)
        counts = ir.Constant(places, ir.Undefined)
        for i in range(lanes.WIDTH):
            counts = builder.insert_element(counts, builder.trunc(count, ir.IntType(32)), ir.IntType(32)(i))
        mask = builder.icmp_signed("<", ir.Constant(places, list(range(lanes.WIDTH))), counts)
        vector, alignment = ir.VectorType(ir.FloatType(), lanes.WIDTH), ir.IntType(32)(4)
        pointer, name = vector.as_pointer(), f"v{lanes.WIDTH}f32.p0"
        of = ir.FunctionType(vector, [pointer, alignment.type, mask.type, vector])
        load = cgutils.get_or_insert_function(builder.module, of, f"llvm.masked.load.{name}")
        of = ir.FunctionType(ir.VoidType(), [vector, pointer, alignment.type, mask.type])
        store = cgutils.get_or_insert_function(builder.module, of, f"llvm.masked.store.{name}")
        source = micro_kernel._pointer(context, builder, signature.args[1], source, at)
        target = micro_kernel._pointer(context, builder, signature.args[3], target, to)
        source, target = builder.bitcast(source, pointer), builder.bitcast(target, pointer)
        numbers = builder.call(load, [source, alignment, mask, ir.Constant(vector, None)])
        builder.call(store, [numbers, target, alignment, mask])
        return context.get_dummy_value()

    return types.void(index, source, index, target, index), generate


@simd.serial
def _fill(target, number):
    for j in range(target.size):
        target[j] = number


@simd.serial
def copy_and_add(source, number, target):
    for j in range(target.size):
        target[j] = source[j] + number


@simd.parallel
def _copy_images(x, settings, target):
    top, left, down, across, size = settings
    height, phases = target.shape[1], target.shape[2]
    for n in prange(len(x)):
        _fill(target[n].reshape(-1), ZERO)
        for u in range(x.shape[1]):
            s = top + u * down
            if s < 0 or s >= height:
                continue
            row = (n * height + s) * target.shape[2] * target.shape[3]
            if phases == 1 and across == 1:
                first, last = max(0, -left), min(x.shape[2], size - left)
                for v in range(first, last, lanes.WIDTH):
                    _copy(min(lanes.WIDTH, last - v), x, (n * x.shape[1] + u) * x.shape[2] + v, target, row + left + v)
                continue
            for v in range(x.shape[2]):
                t = left + v * across
                if 0 <= t < size:
                    target[n, s, t % phases, t // phases] = x[n, u, v]


class Windows(NamedTuple):
    """Where the windows are in laid-out images.

    image      numbers in an image
    group      numbers in the channels of a group
    offsets    of each element of a window from the window's start
    row        from a window to the one below; the next one on the right is at the next number
    width      windows in a row
    per_image  windows in an image
    """

    image: int
    group: int
    offsets: np.ndarray
    row: int
    width: int
    per_image: int


@lru_cache(64)
def find_windows(channels, groups, sizes, field, out, stride, dilation):
    phases = stride[1]
    width = -(-sizes[1] // phases)
    c, i, j = np.ogrid[:channels, : field[0], : field[1]]
    rows = (c * sizes[0] + i * dilation[0]) * phases + j * dilation[1] % phases
    offsets = (rows * width + j * dilation[1] // phases).reshape(-1)
    group = channels * sizes[0] * phases * width
    return Windows(groups * group, group, offsets, stride[0] * phases * width, out[1], out[0] * out[1])


@simd.serial
def runs_of(windows, first, count, places, targets):
    """Cut `count` windows, from number `first` on, into runs of a vector at most: places in the images, in a block."""
    runs = s = 0
    while s < count:
        n, place = divmod(first + s, windows.per_image)
        u, v = divmod(place, windows.width)
        places[runs], targets[runs] = n * windows.image + u * windows.row + v, s
        s += min(windows.width - v, lanes.WIDTH)
        runs += 1
    return runs


@simd.serial
def gather(x, at, offsets, places, targets, block, to):
    """Rows of a block, one for each offset: the elements of the windows at these places."""
    last = offsets.size - offsets.size % 4
    for k in range(0, last, 4):  # four rows at a time: the places are read less often
        first, second, third, fourth = offsets[k], offsets[k + 1], offsets[k + 2], offsets[k + 3]
        for run in range(places.size):
            start, row = at + places[run], to + k * ROW + targets[run]
            lanes.store(lanes.load(x, 0, start + first), block, 0, row)
            lanes.store(lanes.load(x, 0, start + second), block, 0, row + ROW)
            lanes.store(lanes.load(x, 0, start + third), block, 0, row + 2 * ROW)
            lanes.store(lanes.load(x, 0, start + fourth), block, 0, row + 3 * ROW)
    for k in range(last, offsets.size):
        for run in range(places.size):
            place = at + offsets[k] + places[run]
            lanes.store(lanes.load(x, 0, place), block, 0, to + k * ROW + targets[run])
