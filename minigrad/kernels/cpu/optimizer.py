"""Optimiser steps on the CPU: every parameter of a model in one parallel loop.

A model has dozens of arrays, most of them small. A launch for each would cost more than the work,
and one thread for each would leave the rest waiting for the largest. So the arrays are cut into chunks
of equal size, and one loop runs over the chunks of all arrays.

A compiled function wants one type for each argument, not a Python list of arrays. It gets a table of
addresses and sizes, read from the array objects themselves: asking Python for an address takes longer
than updating a bias. Arrays that are not float32, C-contiguous and writeable go to the reference.
"""

import math

import numpy as np
from llvmlite import ir
from numba import carray, prange, types
from numba.extending import intrinsic

from minigrad.kernels.cpu import simd
from minigrad.kernels.reference import optimizer as reference

CHUNK = 16384  # elements; fixed, so that a sum over chunks does not depend on the number of threads
ONE, ZERO = np.float32(1), np.float32(0)


def adamw(params, grads, exp_avgs, exp_avg_sqs, step, lr, options):
    beta1, beta2, eps, weight_decay, decoupled = options
    addresses, sizes, rest = _tabulate(params, grads, exp_avgs, exp_avg_sqs)
    if rest:
        reference.adamw(*rest, step, lr, options)
    shrink, l2 = (1 - lr * weight_decay, 0.0) if decoupled else (1.0, weight_decay)
    step_size = lr / (1 - beta1**step)
    correction = 1 / math.sqrt(1 - beta2**step)
    floats = (step_size, beta1, beta2, eps, correction, shrink, l2)
    _adamw(addresses, sizes, tuple(map(float, floats)))


def sgd(params, grads, buffers, lr, options, first):
    momentum, dampening, nesterov, weight_decay = options
    # Without momentum there are no buffers; the parameters fill their place in the table, unused.
    addresses, sizes, rest = _tabulate(params, grads, buffers if momentum else params)
    if rest:
        reference.sgd(*rest, lr, options, first)
    lr, momentum, damped = float(lr), float(momentum), float(1 - dampening)
    _sgd(addresses, sizes, (lr, momentum, damped, float(weight_decay)), bool(nesterov), bool(first))


def grad_norm(arrays):
    addresses, sizes, rest = _tabulate(arrays)
    others = reference.grad_norm(*rest) if rest else 0.0
    return math.sqrt(_sum_of_squares(addresses, sizes) + others * others)


def scale(arrays, factor):
    addresses, sizes, rest = _tabulate(arrays)
    if rest:
        reference.scale(*rest, factor)
    _scale(addresses, sizes, float(factor))


# ---- the table -----------------------------------------------------------------------------


def _tabulate(*lists):
    """(addresses (lists, arrays), sizes (arrays,), rest): rest are the lists again, cut down to what the
    kernels do not take, or None if they take everything. What is in rest has size 0 in the table."""
    if len({len(arrays) for arrays in lists}) > 1:
        raise ValueError(f"optimizer: lists of {[len(arrays) for arrays in lists]} arrays; expected equal lengths")
    objects = np.array([[id(a) if type(a) is np.ndarray else 0 for a in arrays] for arrays in lists], np.int64)
    addresses, sizes = np.empty(objects.shape, np.int64), np.empty(objects.shape[1], np.int64)
    if not _read_objects(objects, id(np.dtype(np.float32)), addresses, sizes):
        return addresses, sizes, None
    rest = [[arrays[i] for i in np.flatnonzero(sizes < 0)] for arrays in lists]
    return addresses, np.maximum(sizes, 0), rest


# An ndarray in memory (PyArrayObject_fields of numpy's C interface), offsets in bytes.
_DATA = object.__basicsize__  # char *data, after the head that all Python objects have
_NDIM = _DATA + 8  # int nd
_SHAPE = _DATA + 16  # npy_intp *dimensions
_DTYPE = _DATA + 40  # PyArray_Descr *descr, after strides and base
_FLAGS = _DATA + 48  # int flags
_INT = 0xFFFFFFFF
_PLAIN = 0x001 | 0x100 | 0x400  # the flags C_CONTIGUOUS, ALIGNED and WRITEABLE


@intrinsic
def _load(typing, address):
    """The int64 at an address."""

    def generate(context, builder, signature, arguments):
        int64 = ir.IntType(64)
        return builder.load(builder.inttoptr(arguments[0], int64.as_pointer()))

    return types.int64(types.int64), generate


@intrinsic
def _pointer(typing, address):
    """An address as a pointer to float32, which carray makes an array of."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], ir.FloatType().as_pointer())

    return types.CPointer(types.float32)(types.int64), generate


@simd.serial
def _read_objects(objects, float32, addresses, sizes):
    """Fill the table. An array that is not plain, or not as large as its partners, gets size -1; were there any?"""
    some_left = False
    lists, count = objects.shape
    for i in range(count):
        for k in range(lists):
            array = objects[k, i]
            size = -1
            if array and _load(array + _DTYPE) == float32 and _load(array + _FLAGS) & _PLAIN == _PLAIN:
                size = 1
                for axis in range(_load(array + _NDIM) & _INT):
                    size *= _load(_load(array + _SHAPE) + 8 * axis)
                addresses[k, i] = _load(array + _DATA)
            if k == 0:
                sizes[i] = size
            elif size != sizes[i]:
                sizes[i] = -1
        some_left |= sizes[i] < 0
    return some_left


@simd.serial
def _cut(sizes):
    """(array, start) of every chunk of at most CHUNK elements."""
    count = 0
    for size in sizes:
        count += (size + CHUNK - 1) // CHUNK
    array, start = np.empty(count, np.int64), np.empty(count, np.int64)
    c = 0
    for i in range(sizes.size):
        for begin in range(0, sizes[i], CHUNK):
            array[c], start[c] = i, begin
            c += 1
    return array, start


@simd.serial
def _chunk(addresses, sizes, k, array, start):
    """One chunk of an array of list k."""
    return carray(_pointer(addresses[k, array] + 4 * start), (min(CHUNK, sizes[array] - start),), np.float32)


# ---- the loops -----------------------------------------------------------------------------


@simd.inline
def _decayed(grad, param, weight_decay):
    """grad + weight_decay·param; without decay grad, also where the parameter is infinite and 0·inf would be NaN."""
    return grad + simd.select(weight_decay != ZERO, weight_decay * param, ZERO)


@simd.parallel
def _adamw(addresses, sizes, floats):
    array, start = _cut(sizes)
    for c in prange(array.size):
        param = _chunk(addresses, sizes, 0, array[c], start[c])
        grad = _chunk(addresses, sizes, 1, array[c], start[c])
        exp_avg = _chunk(addresses, sizes, 2, array[c], start[c])
        exp_avg_sq = _chunk(addresses, sizes, 3, array[c], start[c])
        _adamw_chunk(param, grad, exp_avg, exp_avg_sq, floats)


@simd.serial
def _adamw_chunk(param, grad, exp_avg, exp_avg_sq, floats):
    step_size, beta1, beta2, eps, correction, shrink, l2 = floats
    rest1, rest2, beta2 = np.float32(1 - beta1), np.float32(1 - beta2), np.float32(beta2)
    step_size, eps, correction = np.float32(step_size), np.float32(eps), np.float32(correction)
    shrink, l2 = np.float32(shrink), np.float32(l2)
    for j in range(param.size):
        p = param[j]
        g = _decayed(grad[j], p, l2)
        m = exp_avg[j] + rest1 * (g - exp_avg[j])
        v = beta2 * exp_avg_sq[j] + rest2 * g * g
        exp_avg[j], exp_avg_sq[j] = m, v
        param[j] = p * shrink - step_size * m / (math.sqrt(v) * correction + eps)


@simd.parallel
def _sgd(addresses, sizes, floats, nesterov, first):
    array, start = _cut(sizes)
    for c in prange(array.size):
        param = _chunk(addresses, sizes, 0, array[c], start[c])
        grad = _chunk(addresses, sizes, 1, array[c], start[c])
        buffer = _chunk(addresses, sizes, 2, array[c], start[c])
        _sgd_chunk(param, grad, buffer, floats, nesterov, first)


@simd.serial
def _sgd_chunk(param, grad, buffer, floats, nesterov, first):
    lr, momentum, damped = np.float32(floats[0]), np.float32(floats[1]), np.float32(floats[2])
    weight_decay = np.float32(floats[3])
    if momentum == 0:
        for j in range(param.size):
            param[j] -= lr * _decayed(grad[j], param[j], weight_decay)
        return
    if first:
        for j in range(param.size):
            buffer[j] = _decayed(grad[j], param[j], weight_decay)
    else:
        for j in range(param.size):
            buffer[j] = momentum * buffer[j] + damped * _decayed(grad[j], param[j], weight_decay)
    on_buffer = momentum if nesterov else ONE
    for j in range(param.size):
        ahead = simd.select(nesterov, _decayed(grad[j], param[j], weight_decay), ZERO)
        param[j] -= lr * (on_buffer * buffer[j] + ahead)


@simd.parallel
def _sum_of_squares(addresses, sizes):
    array, start = _cut(sizes)
    partial = np.empty(array.size, np.float64)
    for c in prange(array.size):
        values = _chunk(addresses, sizes, 0, array[c], start[c])
        total = 0.0
        for j in range(values.size):
            v = np.float64(values[j])
            total += v * v
        partial[c] = total
    total = 0.0
    for c in range(partial.size):
        total += partial[c]
    return total


@simd.parallel
def _scale(addresses, sizes, factor):
    array, start = _cut(sizes)
    for c in prange(array.size):
        values = _chunk(addresses, sizes, 0, array[c], start[c])
        for j in range(values.size):
            values[j] *= np.float32(factor)
