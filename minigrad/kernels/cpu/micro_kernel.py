"""The innermost loops of the matrix product, in the CPU's own vectors.

multiply_tile holds a (ROWS, COLUMNS) tile of C in registers and adds A (ROWS, depth) @ B (depth,
COLUMNS) to it as a sum of outer products: each step loads a row of B as vectors, broadcasts a
column of A value by value, and does one fused multiply-add for every accumulator. A step reads
ROWS + COLUMNS floats for ROWS · COLUMNS multiply-adds, so the tile is as large as the registers
hold; that is what makes it fast. gather_lines brings the operands into the order it reads.

Numba cannot be trusted to keep two dozen accumulators in registers, nor to see that a stride is
one, so these loops are emitted as LLVM IR, in which an accumulator is a value and nothing else.

The tile: Van Zee & van de Geijn, "BLIS: A Framework for Rapidly Instantiating BLAS Functionality"
(ACM TOMS 41, 2015), section 5. Its shape: Low et al., "Analytical Modeling Is Enough for
High-Performance BLIS" (ACM TOMS 43, 2016), section 4.1.
"""

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def _tile() -> tuple[int, int, int, int]:
    """(floats in a vector, rows, columns) of the tile that this CPU's registers hold, and the most rows they could."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 16, 12, 32, 14  # 32 registers: 24 accumulators (28), 2 of B
    if features.get("avx2") and features.get("fma"):
        return 8, 6, 16, 6  # 16 registers: 12 accumulators, 2 of B, 1 of A
    if features.get("neon"):
        return 4, 8, 12, 8  # 32 registers: 24 accumulators, 3 of B
    return 4, 4, 8, 4  # 16 registers: 8 accumulators, 2 of B


WIDTH, ROWS, COLUMNS, TALLEST = _tile()
UNROLL = 4  # outer products in one turn of the loop
STRETCH = 4  # elements of each line that gather_lines transposes at a time

_index = types.intp
_place = types.UniTuple(_index, 2)  # where a tile begins in C, and how far apart its rows are
_int = ir.IntType(64)
_float = ir.FloatType()
_vector = ir.VectorType(_float, WIDTH)
_vectors = COLUMNS // WIDTH  # in a row of the tile


@intrinsic
def multiply_tile(typingctx, depth, a, a_at, b, b_at, c, place, accumulate):
    """C tile = A panel @ B panel (+ C tile if accumulate), in flat arrays and without bounds checks.

    a[a_at:] holds the panel (depth, ROWS), b[b_at:] the panel (depth, COLUMNS), both contiguous;
    row i of the tile is c[at + i * stride :][:COLUMNS] for place = (at, stride).
    """
    signature = types.void(_index, a, _index, b, _index, c, _place, types.boolean)

    def generate(context, builder, signature, args):
        depth, a, a_at, b, b_at, c, place, accumulate = args
        c_at, c_stride = cgutils.unpack_tuple(builder, place)
        a_at = _pointer(context, builder, signature.args[1], a, a_at)
        b_at = _pointer(context, builder, signature.args[3], b, b_at)
        c_at = _pointer(context, builder, signature.args[5], c, c_at)
        builder.call(_tile_function(builder.module, ROWS), [depth, a_at, b_at, c_at, c_stride, accumulate])
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def multiply_rows(typingctx, rows, depth, a, a_at, b, b_at, c, place):
    """C (rows, COLUMNS) = A (rows, depth) @ B (depth, COLUMNS) for 1 to TALLEST rows, which is not checked.

    Like multiply_tile, with a panel (depth, rows) of A: for products of so few rows that filling up the
    last tile with zeros would be felt.
    """
    signature = types.void(_index, _index, a, _index, b, _index, c, _place)

    def generate(context, builder, signature, args):
        rows, depth, a, a_at, b, b_at, c, place = args
        c_at, c_stride = cgutils.unpack_tuple(builder, place)
        a_at = _pointer(context, builder, signature.args[2], a, a_at)
        b_at = _pointer(context, builder, signature.args[4], b, b_at)
        c_at = _pointer(context, builder, signature.args[6], c, c_at)
        after = builder.append_basic_block("multiplied")
        choice = builder.switch(rows, after)
        for height in range(1, TALLEST + 1):
            with builder.goto_block(builder.append_basic_block(f"rows_{height}")):
                choice.add_case(_int(height), builder.block)
                function = _tile_function(builder.module, height)
                builder.call(function, [depth, a_at, b_at, c_at, c_stride, ir.IntType(1)(0)])
                builder.branch(after)
        builder.position_at_end(after)
        return context.get_dummy_value()

    return signature, generate


def _tile_function(module, rows):
    """multiply_tile as a function of its own: inlined, it would be compiled once more for every use."""
    pointer = _float.as_pointer()
    function_type = ir.FunctionType(ir.VoidType(), [_int, pointer, pointer, pointer, _int, ir.IntType(1)])
    function = cgutils.get_or_insert_function(module, function_type, f"minigrad_multiply_tile_{rows}")
    if not function.is_declaration:
        return function
    function.linkage = "linkonce_odr"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block())
    depth, a_at, b_at, c_at, c_stride, accumulate = function.args
    tile = empty_tile(rows * _vectors)
    turns, rest = builder.udiv(depth, _int(UNROLL)), builder.urem(depth, _int(UNROLL))
    a_at, b_at, tile = _outer_products(builder, turns, UNROLL, a_at, b_at, tile)
    _, _, tile = _outer_products(builder, rest, 1, a_at, b_at, tile)
    with builder.if_else(accumulate) as (add, overwrite):
        with add:
            _store_tile(builder, tile, c_at, c_stride, add_to_memory=True)
        with overwrite:
            _store_tile(builder, tile, c_at, c_stride, add_to_memory=False)
    builder.ret_void()
    return function


def _outer_products(builder, turns, steps, a_at, b_at, tile):
    """`turns` times `steps` outer products; returns the pointers and the tile after them."""
    rows = len(tile) // _vectors

    def body(a_now, b_now, *tile):
        for step in range(steps):
            column = [forward(builder, a_now, step * rows + i) for i in range(rows)]
            tile = outer_product(builder, column, forward(builder, b_now, step * COLUMNS), tile)
        return [forward(builder, a_now, steps * rows), forward(builder, b_now, steps * COLUMNS), *tile]

    a_at, b_at, *tile = repeat(builder, turns, body, [a_at, b_at, *tile])
    return a_at, b_at, tile


# ---- what every product of tiles is made of, here and in tiles.py ---------------------------


def repeat(builder: Any, turns: Any, body: Callable, values: list) -> list:
    """Emit a loop: `turns` times values = body(*values). Returns the values after it.

    In LLVM's form a value is assigned once: what changes from turn to turn is a phi node, which
    takes its first value from before the loop and the next ones from the end of its body.
    """
    before, loop = builder.block, builder.append_basic_block("turn")
    after = builder.append_basic_block("turned")
    builder.cbranch(builder.icmp_signed(">", turns, _int(0)), loop, after)

    builder.position_at_end(loop)
    first = [_int(0), *values]
    turn, *now = phis = [builder.phi(value.type) for value in first]
    following = [builder.add(turn, _int(1)), *body(*now)]
    for phi, value, next_value in zip(phis, first, following, strict=True):
        phi.add_incoming(value, before)
        phi.add_incoming(next_value, loop)
    builder.cbranch(builder.icmp_signed("<", following[0], turns), loop, after)

    builder.position_at_end(after)
    results = []
    for value, next_value in zip(first, following, strict=True):
        phi = builder.phi(value.type)
        phi.add_incoming(value, before)
        phi.add_incoming(next_value, loop)
        results.append(phi)
    return results[1:]


def outer_product(builder: Any, column: list, row: Any, tile: list) -> list:
    """The tile (its vectors row by row) plus the numbers at the pointers `column` times those at `row`."""
    multiply_add = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_vector, [_vector] * 3), f"llvm.fmuladd.v{WIDTH}f32"
    )
    vectors = len(tile) // len(column)
    row_of_b = [load(builder, forward(builder, row, v * WIDTH), WIDTH) for v in range(vectors)]
    result = []
    for i, place in enumerate(column):
        value = _everywhere(builder, builder.load(place))
        result += [builder.call(multiply_add, [value, row_of_b[v], tile[i * vectors + v]]) for v in range(vectors)]
    return result


def store_row(builder: Any, vectors: list, at: Any, add_to_memory: bool) -> None:
    """A row of the tile to the pointer `at`, over what is there or added to it."""
    for v, value in enumerate(vectors):
        place = forward(builder, at, v * WIDTH)
        store(builder, builder.fadd(value, load(builder, place, WIDTH)) if add_to_memory else value, place)


def empty_tile(vectors: int) -> list:
    """So many vectors of 0."""
    return [ir.Constant(_vector, None)] * vectors


def forward(builder: Any, pointer: Any, elements: int) -> Any:
    """The pointer moved on by a known number of floats."""
    return builder.gep(pointer, [_int(elements)])


def load(builder: Any, pointer: Any, count: int) -> Any:
    """`count` floats from any float's address, as a vector."""
    return builder.load(builder.bitcast(pointer, ir.VectorType(_float, count).as_pointer()), align=4)


def store(builder: Any, vector: Any, pointer: Any) -> None:
    """A vector to any float's address."""
    builder.store(vector, builder.bitcast(pointer, vector.type.as_pointer()), align=4)


def _store_tile(builder, tile, c_at, c_stride, add_to_memory):
    for i in range(len(tile) // _vectors):
        row = builder.gep(c_at, [builder.mul(_int(i), c_stride)])
        store_row(builder, tile[i * _vectors : (i + 1) * _vectors], row, add_to_memory)


def gather_lines(count: int) -> Any:
    """The two fast ways to bring `count` lines of a strided array together, element by element.

    Returns (gather_adjacent, gather_contiguous) with the same arguments. The lines are
    x[outer, inner, line + i, at : at + STRETCH] for i < count, and target[to:] becomes the
    first element of each line, then the second, and so on. Lines that are adjacent in memory
    are copied; lines that are contiguous, each on its own, are transposed in registers.
    """

    @intrinsic
    def gather_adjacent(typingctx, x, outer, inner, line, at, target, to):
        def generate(context, builder, signature, args):
            for p in range(STRETCH):
                source, target = _line(context, builder, signature, args, 0, p)
                store(builder, load(builder, source, count), forward(builder, target, p * count))
            return context.get_dummy_value()

        return types.void(x, _index, _index, _index, _index, target, _index), generate

    @intrinsic
    def gather_contiguous(typingctx, x, outer, inner, line, at, target, to):
        def generate(context, builder, signature, args):
            lines = []
            for i in range(count):
                source, target = _line(context, builder, signature, args, i, 0)
                lines.append(load(builder, source, STRETCH))
            joined = _concatenate(builder, lines)
            order = [i * STRETCH + p for p in range(STRETCH) for i in range(count)]
            store(builder, _shuffle(builder, joined, order), target)
            return context.get_dummy_value()

        return types.void(x, _index, _index, _index, _index, target, _index), generate

    return gather_adjacent, gather_contiguous


def _line(context, builder, signature, args, i, p):
    """Pointers to x[outer, inner, line + i, at + p] and target[to]."""
    x, outer, inner, line, at, target, to = args
    array = context.make_array(signature.args[0])(context, builder, value=x)
    indices = [outer, inner, builder.add(line, _int(i)), builder.add(at, _int(p))]
    source = cgutils.get_item_pointer(context, builder, signature.args[0], array, indices)
    return source, _pointer(context, builder, signature.args[5], target, to)


def _pointer(context, builder, array_type, array, index):
    """A pointer to element `index` of a flat array."""
    return builder.gep(context.make_array(array_type)(context, builder, value=array).data, [index])


def _everywhere(builder, number):
    """A vector of this number in every place."""
    undefined = ir.Constant(_vector, ir.Undefined)
    return _shuffle(builder, builder.insert_element(undefined, number, ir.IntType(32)(0)), [0] * WIDTH)


def _shuffle(builder, vector, order, other=None):
    """The elements of `vector` (followed by those of `other`) in the given order."""
    indices = ir.Constant(ir.VectorType(ir.IntType(32), len(order)), [ir.IntType(32)(i) for i in order])
    return builder.shuffle_vector(vector, other or ir.Constant(vector.type, ir.Undefined), indices)


def _concatenate(builder, vectors):
    """One vector of them all, joined in pairs: a shuffle takes two vectors of one length."""
    if len(vectors) == 1:
        return vectors[0]
    half = 1 << (len(vectors) - 1).bit_length() - 1
    left, right = _concatenate(builder, vectors[:half]), _concatenate(builder, vectors[half:])
    last = right.type.count - 1
    right = _shuffle(builder, right, [min(i, last) for i in range(left.type.count)])
    return _shuffle(builder, left, range(2 * left.type.count), right)
