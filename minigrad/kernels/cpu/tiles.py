"""Products of small tiles that lie in the cache as they are, in any orientation.

The matrix product packs its operands into panels because it reads them many times. Attention
multiplies tiles that it has just made and uses once, so here the strides are arguments: A may be
read along its rows or along its columns (its values are broadcast one by one, so that A
transposed costs nothing), and the rows of B and C are whole vectors.

As in micro_kernel.py the loop is emitted as LLVM IR, in which the accumulators are registers and
nothing else.
"""

from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array


def _shape() -> tuple[int, int, int]:
    """(floats in a vector, rows, columns) of the block of C that this CPU's registers hold.

    Rows and columns are powers of two, so that tiles of 64 divide evenly. Eight accumulators keep
    two units with a latency of four cycles busy: on Zen 3, 4 x 16 was as fast as 6 x 16.
    """
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 16, 8, 32
    if features.get("avx2") and features.get("fma"):
        return 8, 4, 16
    if features.get("neon"):
        return 4, 8, 8
    return 4, 4, 8


WIDTH, ROWS, COLUMNS = _shape()

_int = ir.IntType(64)
_vector = ir.VectorType(ir.FloatType(), WIDTH)
_vectors = range(COLUMNS // WIDTH)  # of a row


@intrinsic
def outer_products(typing, depth, a, a_at, a_row, a_step, b, b_at, b_step, c, c_at, c_row, accumulate):
    """C (ROWS, COLUMNS) = (C if accumulate else 0) + A (ROWS, depth) @ B (depth, COLUMNS).

    A[i, k] is a[a_at + i * a_row + k * a_step], B[k, j] is b[b_at + k * b_step + j] and C[i, j] is
    c[c_at + i * c_row + j]: positions count floats from the first element of the arrays, whose
    shapes do not matter. Nothing is checked.
    """
    n = types.intp
    signature = types.void(n, a, n, n, n, b, n, n, c, n, n, types.boolean)

    def generate(context, builder, signature, arguments):
        depth, a, a_at, a_row, a_step, b, b_at, b_step, c, c_at, c_row, accumulate = arguments

        def address(array_type, array, offset):
            return builder.gep(context.make_array(array_type)(context, builder, array).data, [offset])

        block = _sum_of_outer_products(
            builder,
            depth,
            address(signature.args[1], a, a_at),
            [builder.mul(a_row, _int(i)) for i in range(ROWS)],
            a_step,
            address(signature.args[5], b, b_at),
            b_step,
        )
        c_at = address(signature.args[8], c, c_at)
        rows_of_c = [builder.gep(c_at, [builder.mul(c_row, _int(i))]) for i in range(ROWS)]
        with builder.if_else(accumulate) as (add, overwrite):
            with add:
                for (row, v), value in block.items():
                    at = _vector_at(builder, rows_of_c[row], v)
                    builder.store(builder.fadd(builder.load(at, align=4), value), at, align=4)
            with overwrite:
                for (row, v), value in block.items():
                    builder.store(value, _vector_at(builder, rows_of_c[row], v), align=4)
        return context.get_dummy_value()

    return signature, generate


def _sum_of_outer_products(builder, depth, a_at, a_rows, a_step, b_at, b_step):
    """Emit the loop over depth; returns {(row, vector): accumulator}."""
    before = builder.block
    loop = builder.append_basic_block("outer_products")
    after = builder.append_basic_block("outer_products_end")
    zero = ir.Constant(_vector, None)
    block = {(i, v): zero for i in range(ROWS) for v in _vectors}
    first = [_int(0), a_at, b_at, *block.values()]
    builder.cbranch(builder.icmp_signed(">", depth, _int(0)), loop, after)

    builder.position_at_end(loop)  # what changes from turn to turn is a phi node
    phis = [builder.phi(value.type) for value in first]
    k, a_now, b_now, *sums = phis
    row_of_b = [builder.load(_vector_at(builder, b_now, v), align=4) for v in _vectors]
    values = [_broadcast(builder, builder.load(builder.gep(a_now, [row]))) for row in a_rows]
    following = [builder.add(k, _int(1)), builder.gep(a_now, [a_step]), builder.gep(b_now, [b_step])]
    for (i, v), total in zip(block, sums, strict=True):
        following.append(_multiply_add(builder, values[i], row_of_b[v], total))
    for phi, initial, updated in zip(phis, first, following, strict=True):
        phi.add_incoming(initial, before)
        phi.add_incoming(updated, loop)
    builder.cbranch(builder.icmp_signed("<", following[0], depth), loop, after)

    builder.position_at_end(after)
    for place, updated in zip(block, following[3:], strict=True):
        block[place] = builder.phi(_vector)
        block[place].add_incoming(zero, before)
        block[place].add_incoming(updated, loop)
    return block


def _vector_at(builder, row, v):
    return builder.bitcast(builder.gep(row, [_int(v * WIDTH)]), _vector.as_pointer())


def _broadcast(builder, value):
    undefined = ir.Constant(_vector, ir.Undefined)
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), None)
    first = builder.insert_element(undefined, value, ir.IntType(32)(0))
    return builder.shuffle_vector(first, undefined, lanes)


def _multiply_add(builder, x, y, z):
    function_type = ir.FunctionType(_vector, [_vector] * 3)
    name = f"llvm.fmuladd.v{WIDTH}f32"
    return builder.call(cgutils.get_or_insert_function(builder.module, function_type, name), [x, y, z])


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
