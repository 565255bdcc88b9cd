"""Products of small tiles that lie in the cache as they are, in any orientation.

The matrix product packs its operands into panels because it reads them many times. Attention
multiplies tiles that it has just made and uses once, so here the strides are arguments: A may be
read along its rows or along its columns (its values are broadcast one by one, so that A
transposed costs nothing), and the rows of B and C are whole vectors.

The loop is that of micro_kernel.py, emitted as LLVM IR, with its own shape of tile.
"""

from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from minigrad.kernels.cpu.micro_kernel import WIDTH, empty_tile, outer_product, repeat, store_row


def _shape() -> tuple[int, int]:
    """(rows, columns) of the block of C that this CPU's registers hold.

    Rows and columns are powers of two, so that tiles of 64 divide evenly. Eight accumulators keep
    two units with a latency of four cycles busy: on Zen 3, 4 x 16 was as fast as 6 x 16.
    """
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 8, 32
    if features.get("avx2") and features.get("fma"):
        return 4, 16
    if features.get("neon"):
        return 8, 8
    return 4, 8


ROWS, COLUMNS = _shape()

_int = ir.IntType(64)
_vectors = COLUMNS // WIDTH  # of a row


@intrinsic
def outer_products(typing, depth, a, a_place, b, b_place, c, c_place, accumulate):
    """C (ROWS, COLUMNS) = (C if accumulate else 0) + A (ROWS, depth) @ B (depth, COLUMNS).

    a_place is (at, row, step): A[i, k] is a[at + i * row + k * step]; b_place is (at, step): B[k, j] is
    b[at + k * step + j]; c_place is (at, row): C[i, j] is c[at + i * row + j]. Positions count floats from
    the first element of the arrays, whose shapes do not matter. Nothing is checked.
    """
    n = types.intp
    two, three = types.UniTuple(n, 2), types.UniTuple(n, 3)
    signature = types.void(n, a, three, b, two, c, two, types.boolean)

    def generate(context, builder, signature, arguments):
        depth, a, a_place, b, b_place, c, c_place, accumulate = arguments
        a_at, a_row, a_step = cgutils.unpack_tuple(builder, a_place)
        b_at, b_step = cgutils.unpack_tuple(builder, b_place)
        c_at, c_row = cgutils.unpack_tuple(builder, c_place)

        def address(array_type, array, offset):
            return builder.gep(context.make_array(array_type)(context, builder, array).data, [offset])

        a_rows = [builder.mul(a_row, _int(i)) for i in range(ROWS)]

        def body(a_now, b_now, *tile):
            column = [builder.gep(a_now, [row]) for row in a_rows]
            return [
                builder.gep(a_now, [a_step]),
                builder.gep(b_now, [b_step]),
                *outer_product(builder, column, b_now, tile),
            ]

        start = [address(signature.args[1], a, a_at), address(signature.args[3], b, b_at)]
        _, _, *tile = repeat(builder, depth, body, [*start, *empty_tile(ROWS * _vectors)])
        c_at = address(signature.args[5], c, c_at)
        rows_of_c = [builder.gep(c_at, [builder.mul(c_row, _int(i))]) for i in range(ROWS)]
        with builder.if_else(accumulate) as branches:
            for branch, add_to_memory in zip(branches, (True, False), strict=True):
                with branch:
                    for i, row in enumerate(rows_of_c):
                        store_row(builder, tile[i * _vectors : (i + 1) * _vectors], row, add_to_memory)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def row(typing, x, index):
    """x[index] (all but the last axis) of an array whose last axis is contiguous, typed as contiguous.

    The other strides are free. Indexing gives an array of unknown stride, over which no loop
    vectorises. The result borrows x's memory and counts no reference; nothing is checked.
    """
    row_type = types.Array(x.dtype, 1, "C")
    signature = row_type(x, index)

    def generate(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        indices = cgutils.unpack_tuple(builder, arguments[1])
        data = array.data
        for i, stride in zip(indices, cgutils.unpack_tuple(builder, array.strides), strict=False):
            data = cgutils.pointer_add(builder, data, builder.mul(i, stride), data.type)
        return _borrow(context, builder, row_type, data, cgutils.unpack_tuple(builder, array.shape)[-1])

    return signature, generate


@intrinsic
def span(typing, x, start, size):
    """`size` elements from position `start` of a contiguous array of any shape, as one flat array.

    Like a slice of x.reshape(-1), which costs two atomic operations to count the references:
    this borrows x's memory. Nothing is checked.
    """
    span_type = types.Array(x.dtype, 1, "C")
    signature = span_type(x, types.intp, types.intp)

    def generate(context, builder, signature, arguments):
        x, start, size = arguments
        array = context.make_array(signature.args[0])(context, builder, x)
        return _borrow(context, builder, span_type, builder.gep(array.data, [start]), size)

    return signature, generate


def _borrow(context, builder, array_type, data, size):
    array = context.make_array(array_type)(context, builder)
    itemsize = context.get_constant(types.intp, array_type.dtype.bitwidth // 8)
    populate_array(array, data=data, shape=[size], strides=[itemsize], itemsize=itemsize, meminfo=None)
    return array._getvalue()


def address_of(function: Any, argument_types: Any) -> int:
    """Where the machine code of a jitted function for these types is; compiles it."""
    function.compile(argument_types)
    compiled = function.overloads[argument_types]
    return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)


@intrinsic
def call(typing, address, arguments):
    """Call the function at this address, which takes exactly these arguments and returns nothing."""
    signature = types.void(types.intp, arguments)

    def generate(context, builder, signature, values):
        convention, argument_types = context.call_conv, list(signature.args[1])
        function_type = convention.get_function_type(types.void, argument_types)
        function = builder.inttoptr(values[0], function_type.as_pointer())
        arguments = cgutils.unpack_tuple(builder, values[1])
        convention.call_function(builder, function, types.void, argument_types, arguments)
        return context.get_dummy_value()

    return signature, generate
