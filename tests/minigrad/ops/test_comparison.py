"""Comparisons, steps and questions of every dtype and at the edges."""

import math
import operator

import numpy as np
import pytest

import minigrad as mg
from minigrad.tensor import Tensor
from tests.support.extremes import NUMBERS, ONE_OPERAND, PRECISION, TWO_OPERANDS, differences, inf, nan

COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge"]


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparisons_are_pythons(name):
    x, y = TWO_OPERANDS
    found = getattr(mg, name)(mg.tensor(x), mg.tensor(y))
    assert found.tolist() == [getattr(operator, name)(a, b) for a, b in zip(x, y, strict=True)]
    for a in NUMBERS:
        assert getattr(mg, name)(mg.tensor(NUMBERS), a).tolist() == [getattr(operator, name)(b, a) for b in NUMBERS]


@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 3)])
@pytest.mark.parametrize("name", [*COMPARISONS, "logical_and", "logical_or", "logical_xor"])
def test_comparisons_give_booleans_and_cut_the_graph(name, shape):
    x = mg.ones(*shape, requires_grad=True)
    for other in (x, 1, 1.5, True, np.float64(1), np.ones(shape)):
        y = getattr(mg, name)(x, other)
        assert (y.dtype, y.shape, y.requires_grad) == (np.bool_, shape, False)
        assert isinstance(y.data, np.ndarray)


# The nearest integers, to which halves go evenly.
STEPS = [-2.5, -1.5, -0.5, -0.0, 0.0, 0.49, 0.5, 1.5, 2.5, 1e10, inf, -inf, nan]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_steps_of_floating_numbers(dtype):
    x = mg.tensor(STEPS, dtype="float64").to(dtype)
    numbers = x.data.astype(np.float64).tolist()
    for name, exact in {"floor": math.floor, "ceil": math.ceil, "round": round}.items():
        y = getattr(mg, name)(x)
        assert y.dtype == x.dtype
        expected = [exact(n) if math.isfinite(n) else n for n in numbers]
        np.testing.assert_array_equal(y.data.astype(np.float64), expected)
    signs = [0.0 if math.isnan(n) or n == 0 else math.copysign(1, n) for n in numbers]
    np.testing.assert_array_equal(x.sign().data.astype(np.float64), signs)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "int64"])
def test_steps_of_integers_are_the_integers(dtype):
    x = mg.tensor([0, 1, 7], dtype=dtype)
    for name in ("floor", "ceil", "round"):
        y = getattr(mg, name)(x)
        assert (y.dtype, y.tolist()) == (x.dtype, [0, 1, 7])
    assert (x.sign().dtype, x.sign().tolist()) == (x.dtype, [0, 1, 1])
    assert (mg.isnan(x).any().item(), mg.isfinite(x).all().item()) == (False, True)


def test_the_sign_of_integers_and_booleans():
    assert mg.tensor([-3, 0, 5]).sign().tolist() == [-1, 0, 1]
    assert mg.tensor([True, False]).sign().tolist() == [True, False]


def test_booleans_have_no_steps():
    for name in ("floor", "ceil", "round"):
        with pytest.raises(TypeError, match=f"{name}: a boolean tensor"):
            getattr(mg, name)(mg.tensor([True]))


def test_round_to_decimals():
    x = mg.tensor([1.25, 1.35, -2.5, 125.0, nan, inf])
    np.testing.assert_allclose(mg.round(x, decimals=1).data, [1.2, 1.4, -2.5, 125, nan, inf], rtol=1e-6)
    np.testing.assert_array_equal(mg.round(x, decimals=-1).data, [0, 0, -0.0, 120, nan, inf])
    assert mg.round(mg.tensor(0.126), 2).shape == ()
    with pytest.raises(TypeError, match="decimals=1 of a int64 tensor"):
        mg.round(mg.tensor([15]), 1)


def test_sign_leaves_its_input_alone():
    array = np.array([nan, 2.0])
    assert mg.sign(array).tolist() == [0, 1]
    assert np.isnan(array[0])
    assert Tensor(np.array(nan)).sign().item() == 0


@pytest.mark.parity
@pytest.mark.parametrize("dtype", PRECISION)
class TestEdgesArePytorchs:
    @pytest.mark.parametrize("name", [*COMPARISONS, "logical_and", "logical_or", "logical_xor"])
    def test_two_operands(self, name, dtype):
        torch = pytest.importorskip("torch")
        assert list(differences(torch, getattr(mg, name), getattr(torch, name), TWO_OPERANDS, dtype)) == []

    @pytest.mark.parametrize("name", ["sign", "floor", "ceil", "round", "isnan", "isinf", "isfinite", "logical_not"])
    def test_one_operand(self, name, dtype):
        torch = pytest.importorskip("torch")
        columns = [ONE_OPERAND + STEPS]
        assert list(differences(torch, getattr(mg, name), getattr(torch, name), columns, dtype)) == []
