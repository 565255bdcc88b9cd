"""Operators on the bits of integers, which on booleans are the logical ones. Once & | ~ were logical on integers."""

import itertools
import operator

import numpy as np
import pytest

import minigrad as mg
from minigrad.tensor import Tensor

SIGNED = [0, 1, -1, 5, -6, 127, -128]
OPERATORS = {"bitwise_and": operator.and_, "bitwise_or": operator.or_, "bitwise_xor": operator.xor}
SHIFTS = {"bitwise_left_shift": operator.lshift, "bitwise_right_shift": operator.rshift}
INTEGERS = ["int8", "int16", "int32", "int64"]


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("name", OPERATORS)
def test_operators_are_pythons(name, dtype):
    x, y = zip(*itertools.product(SIGNED, SIGNED), strict=True)
    expected = [OPERATORS[name](a, b) for a, b in zip(x, y, strict=True)]
    a, b = mg.tensor(x, dtype=dtype), mg.tensor(y, dtype=dtype)
    for found in (getattr(mg, name)(a, b), OPERATORS[name](a, b), getattr(a, name)(b)):
        assert (found.dtype, found.tolist()) == (a.dtype, expected)
    for n in SIGNED:
        expected = [OPERATORS[name](m, n) for m in SIGNED]
        tensor = mg.tensor(SIGNED, dtype=dtype)
        for found in (OPERATORS[name](tensor, n), OPERATORS[name](n, tensor), OPERATORS[name](tensor, np.int64(n))):
            assert (found.dtype, found.tolist()) == (tensor.dtype, expected)


def test_not():
    assert (~mg.tensor([5, 0, -1])).tolist() == [-6, -1, 0]
    assert (~mg.tensor([5], dtype="uint8")).tolist() == [250]
    assert (~mg.tensor([True, False])).tolist() == [False, True]
    assert (~mg.tensor(True)).shape == ()


def test_booleans_are_logical():
    x, y = mg.tensor([True, True, False, False]), mg.tensor([True, False, True, False])
    assert (x & y).tolist() == [True, False, False, False]
    assert (x | y).tolist() == [True, True, True, False]
    assert (x ^ y).tolist() == [False, True, True, False]
    assert (x & True).tolist() == (True & x).tolist() == x.tolist()
    assert (x & 3).tolist() == [1, 1, 0, 0]
    assert (x | y).dtype == np.bool_


@pytest.mark.parametrize("dtype", INTEGERS)
def test_shifts(dtype):
    bits = np.dtype(dtype).itemsize * 8
    for x, y in itertools.product([0, 1, -1, 5, -6], [0, 1, 3, bits - 1, bits, bits + 1]):
        a, b = mg.tensor([x], dtype=dtype), mg.tensor([y], dtype=dtype)
        left = (x << y) % 2**bits  # the bits that stay, read as a signed number
        left -= 2**bits * (left >= 2 ** (bits - 1))
        assert ((a << b).item(), (a >> b).item()) == (left, x >> y), f"{x}, {y}"
        assert ((a << y).item(), (x >> b).item()) == (left, x >> y), f"{x}, {y}"
    negative = mg.tensor([-1], dtype=dtype)
    assert (mg.tensor([-8], dtype=dtype) >> negative).tolist() == [-1]
    assert (mg.tensor([8], dtype=dtype) << negative).tolist() == [0]


@pytest.mark.parametrize("shape", [(), (0,), (2, 1)])
def test_shapes(shape):
    x = Tensor(np.ones(shape, np.int64))
    for y in (x & x, x | 1, 1 ^ x, ~x, x << 1, 1 >> x):
        assert y.shape == shape
        assert isinstance(y.data, np.ndarray)


def test_floating_operands_are_refused():
    x, n, b = mg.tensor([1.0]), mg.tensor([1]), mg.tensor([True])
    for refused in [
        lambda: x & x, lambda: n | x, lambda: n ^ 1.0, lambda: ~x, lambda: x << 1, lambda: 1.0 << n, lambda: b << b,
        lambda: n & np.float64(1), lambda: b & x,
    ]:  # fmt: skip
        with pytest.raises(TypeError, match="expected integers"):
            refused()


@pytest.mark.parity
@pytest.mark.parametrize("name", [*OPERATORS, *SHIFTS])
def test_bits_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    for dtype in ["uint8", *INTEGERS]:
        numbers = [0, 1, 5, 127, 200 if dtype == "uint8" else -128, 3, 250 if dtype == "uint8" else -1, 7, 8, 64]
        x, y = (np.array(column, dtype) for column in zip(*itertools.product(numbers, numbers), strict=True))
        theirs = getattr(torch, name)(torch.tensor(x), torch.tensor(y)).numpy()
        np.testing.assert_array_equal(getattr(mg, name)(Tensor(x), Tensor(y)).data, theirs, strict=True)
