"""Sums, products, quotients and remainders at the edges: signs, zeros, what is not finite, integers."""

import itertools
import math

import numpy as np
import pytest

import minigrad as mg
from minigrad.tensor import Tensor
from tests.support.extremes import NUMBERS, PRECISION, TWO_OPERANDS, differences

SIGNED = [7, -7, 8, -8, 1, 0]


@pytest.mark.parametrize("dtype", ["int8", "int64", "float32", "float64", "float16"])
def test_quotient_and_remainder_are_pythons(dtype):
    for x, y in itertools.product(SIGNED, [3, -3, 2, -2]):
        a, b = (mg.tensor([n], dtype=dtype) for n in (x, y))
        for quotient, remainder in [(a // b, a % b), (a // y, a % y), (x // b, x % b)]:
            assert (quotient.item(), remainder.item()) == divmod(x, y)
            assert quotient.dtype == remainder.dtype == np.dtype(dtype)
        assert mg.fmod(a, b).item() == math.fmod(x, y)


def test_unsigned_quotients():
    x = mg.tensor([250], dtype="uint8")
    assert ((x // 7).item(), (x % 7).item()) == divmod(250, 7)
    assert (x // mg.tensor([-7], dtype="int8")).item() == -36  # in int16, which holds both


def quotients(x: float, y: float) -> tuple[float, float, float]:
    """⌊x/y⌋, x - y·⌊x/y⌋ and fmod as IEEE 754 and Python have them, where Python raises, too."""
    if math.isnan(x) or math.isnan(y) or math.isinf(x):
        quotient = math.nan if y or math.isnan(x) else math.copysign(1, x) * math.copysign(1, y) * math.inf
        return quotient, math.nan, math.nan
    if y == 0:
        return (math.nan if x == 0 else math.copysign(math.inf, x) * math.copysign(1, y)), math.nan, math.nan
    return x // y, x % y, math.fmod(x, y)


def test_floating_quotients_at_the_edges():
    for x, y in itertools.product(NUMBERS, NUMBERS):
        a, b = mg.tensor([x], dtype="float64"), mg.tensor([y], dtype="float64")
        found = [(a // b).item(), (a % b).item(), mg.fmod(a, b).item()]
        np.testing.assert_array_equal(found, quotients(x, y), err_msg=f"{x}, {y}")


@pytest.mark.parametrize("divide", [mg.floor_divide, mg.remainder, mg.fmod])
def test_integers_by_zero_are_refused(divide):
    for x, y in [(mg.tensor([1]), 0), (mg.tensor([1, 2]), mg.tensor([1, 0])), (1, mg.tensor(0)), (mg.tensor([]), 0.0)]:
        if isinstance(y, float):
            assert divide(x, y).shape == (0,)
            continue
        with pytest.raises(ZeroDivisionError, match="an integer divided by 0"):
            divide(x, y)
    with pytest.raises(ZeroDivisionError):
        divide(mg.tensor([True]), mg.tensor([0]))


def test_the_remainders_gradients():
    """x - y⌊x/y⌋ has the slopes 1 and -⌊x/y⌋: once it had none, and the graph ended there."""
    x = mg.tensor([7.0, -7.0, 7.0], requires_grad=True)
    y = mg.tensor([3.0, 3.0, -3.0], requires_grad=True)
    (x % y).sum().backward()
    assert (x.grad.tolist(), y.grad.tolist()) == ([1, 1, 1], [-2, 3, 3])
    x.grad = y.grad = None
    mg.fmod(x, y).sum().backward()
    assert (x.grad.tolist(), y.grad.tolist()) == ([1, 1, 1], [-2, 2, 2])
    x.grad = None
    (10.0 % x).sum().backward()
    assert x.grad.tolist() == [-1, 2, -1]


@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 3)])
@pytest.mark.parametrize("op", ["add", "sub", "mul", "div", "floor_divide", "remainder", "fmod"])
def test_shapes(op, shape):
    x, y = mg.full(shape, 5.0), mg.full(shape, 2.0)
    z = getattr(mg, op)(x, y)
    assert isinstance(z.data, np.ndarray)
    assert z.shape == shape
    assert getattr(mg, op)(x, 2.0).shape == getattr(mg, op)(5.0, y).shape == shape


def test_integers_divide_into_float32():
    assert (mg.tensor([7]) / 2).tolist() == [3.5]
    assert (mg.tensor([1]) / 0).tolist() == [math.inf]
    assert mg.reciprocal(mg.tensor([4])).tolist() == [0.25]
    assert (3 / mg.tensor([True])).dtype == np.float32


def test_booleans():
    x, y = mg.tensor([True, True, False]), mg.tensor([True, False, False])
    assert (x + y).tolist() == [True, True, False]
    assert (x * y).tolist() == [True, False, False]
    for refused in [lambda: x - y, lambda: x - 1, lambda: 1 - x, lambda: mg.ones(3) - x, lambda: x - True, lambda: -x]:
        with pytest.raises(TypeError, match=r"~|\^"):
            refused()


def test_the_least_integer_has_no_opposite():
    x = mg.tensor([-128], dtype="int8")
    assert (-x).item() == abs(x).item() == (x * -1).item() == -128


def test_a_number_beyond_float32_is_infinite():
    with np.errstate(over="ignore"):
        assert (mg.tensor([1.0]) * 1e300).tolist() == [math.inf]
    assert (Tensor(np.array([1.0])) * 1e300).tolist() == [1e300]


@pytest.mark.parity
@pytest.mark.parametrize("dtype", PRECISION)
@pytest.mark.parametrize("op", ["add", "sub", "mul", "div", "floor_divide", "remainder", "fmod"])
def test_edges_are_pytorchs(op, dtype):
    torch = pytest.importorskip("torch")
    assert list(differences(torch, getattr(mg, op), getattr(torch, op), TWO_OPERANDS, dtype)) == []
