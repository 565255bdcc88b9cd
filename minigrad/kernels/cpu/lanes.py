"""Sixteen float32 at once, as values that a numba function can name, pass and return.

A loop that numba vectorises by itself must prove first that no array overlaps another, keeps one sum a
loop, and finishes what is left over number by number. Where rows are short and scattered, as in word
vectors, that costs more than the arithmetic. Here the vector is written down:

    total = lanes.zero()
    for column in range(0, table.shape[1], lanes.WIDTH):
        total = lanes.multiply_add(lanes.load(table, i, column), lanes.load(table, j, column), total)
    return lanes.sum(total)

The tables are two-dimensional float32 in C order and WIDTH divides their number of columns: `padded`
makes them so. Nothing is checked: an index out of range reads or writes what is there.
LLVM takes a vector apart where the CPU's are shorter.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

WIDTH = 16
_ALIGNMENT = 64  # bytes: a cache line, and a vector of 16


def padded(array: np.ndarray) -> np.ndarray:
    """A copy (rows, columns) with columns of 0 up to a multiple of WIDTH, each row on a cache line of its own."""
    rows, columns = array.shape
    width = -(-columns // WIDTH) * WIDTH
    memory = np.zeros(rows * width + _ALIGNMENT // 4, np.float32)
    offset = -memory.ctypes.data % _ALIGNMENT // 4
    out = memory[offset : offset + rows * width].reshape(rows, width)
    out[:, :columns] = array
    return out


class Lanes(types.Type):
    """The type of a vector inside numba."""

    def __init__(self):
        super().__init__(name=f"float32x{WIDTH}")


_lanes = Lanes()
_vector = ir.VectorType(ir.FloatType(), WIDTH)


@register_model(Lanes)
class _Model(models.PrimitiveModel):
    def __init__(self, manager, lanes_type):
        super().__init__(manager, lanes_type, _vector)


def _address(context, builder, array_type, array, row, column):
    data = context.make_array(array_type)(context, builder, array)
    columns = cgutils.unpack_tuple(builder, data.shape)[1]
    index = builder.add(builder.mul(row, columns), column)
    return builder.bitcast(builder.gep(data.data, [index]), _vector.as_pointer())


@intrinsic
def load(typing, table, row, column):
    """table[row, column : column + WIDTH]."""

    def generate(context, builder, signature, arguments):
        address = _address(context, builder, signature.args[0], *arguments)
        return builder.load(address, align=4)

    return _lanes(table, types.intp, types.intp), generate


@intrinsic
def store(typing, vector, table, row, column):
    """table[row, column : column + WIDTH] = vector."""

    def generate(context, builder, signature, arguments):
        vector, *place = arguments
        address = _address(context, builder, signature.args[1], *place)
        builder.store(vector, address, align=4)
        return context.get_dummy_value()

    return types.void(_lanes, table, types.intp, types.intp), generate


@intrinsic
def zero(typing):
    """0 in every lane."""
    return _lanes(), lambda context, builder, signature, arguments: ir.Constant(_vector, None)


@intrinsic
def broadcast(typing, x):
    """The float32 x in every lane."""

    def generate(context, builder, signature, arguments):
        undefined, first = ir.Constant(_vector, ir.Undefined), ir.Constant(ir.IntType(32), 0)
        one = builder.insert_element(undefined, arguments[0], first)
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), None)
        return builder.shuffle_vector(one, undefined, everywhere)

    return _lanes(types.float32), generate


@intrinsic
def multiply_add(typing, a, b, c):
    """a·b + c, lane by lane, rounded once."""

    def generate(context, builder, signature, arguments):
        function_type = ir.FunctionType(_vector, [_vector] * 3)
        function = cgutils.get_or_insert_function(builder.module, function_type, f"llvm.fma.v{WIDTH}f32")
        return builder.call(function, arguments)

    return _lanes(_lanes, _lanes, _lanes), generate


@intrinsic
def divided_by_root(typing, a, b):
    """a / √b, lane by lane."""

    def generate(context, builder, signature, arguments):
        function_type = ir.FunctionType(_vector, [_vector])
        root = cgutils.get_or_insert_function(builder.module, function_type, f"llvm.sqrt.v{WIDTH}f32")
        return builder.fdiv(arguments[0], builder.call(root, arguments[1:]))

    return _lanes(_lanes, _lanes), generate


@intrinsic
def sum(typing, vector):
    """The sum of the lanes, a float32."""

    def generate(context, builder, signature, arguments):
        function_type = ir.FunctionType(ir.FloatType(), [ir.FloatType(), _vector])
        name = f"llvm.vector.reduce.fadd.v{WIDTH}f32"
        function = cgutils.get_or_insert_function(builder.module, function_type, name)
        return builder.call(function, [ir.Constant(ir.FloatType(), -0.0), *arguments], fastmath=("reassoc",))

    return types.float32(_lanes), generate
