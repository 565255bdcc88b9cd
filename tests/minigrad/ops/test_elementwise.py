"""Powers, the elementary functions, choices and bounds at the edges: values, gradients, and where they come from."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad.tensor import Tensor
from tests.support.extremes import ONE_OPERAND, PRECISION, THREE_OPERANDS, TWO_OPERANDS, differences, inf, nan

FUNCTIONS = ["exp", "expm1", "log", "log1p", "sqrt", "rsqrt", "square", "reciprocal", "sin", "cos", "abs", "neg"]


def at(f, *numbers):
    """f and its gradients at float64 numbers, given as 1-d tensors."""
    leaves = [Tensor(np.array([x], np.float64), requires_grad=True) for x in numbers]
    with np.errstate(all="ignore"):
        y = f(*leaves)
        found = mg.grad(y, leaves, mg.ones(1, dtype="float64"), allow_unused=True)
    return (y.item(), *(g.item() for g in found))


# x to a power that is a number: (x, power, value, slope).
POWERS = [
    (0, 0, 1, 0), (nan, 0, 1, 0), (inf, 0, 1, 0), (-1, 0, 1, 0), (0, 1, 0, 1), (0, 2, 0, 0), (-3, 2, 9, -6),
    (0, 0.5, 0, inf), (inf, 0.5, inf, 0), (-1, 0.5, nan, nan), (4, 0.5, 2, 0.25), (0, -1, inf, -inf),
    (-0.0, -1, -inf, -inf), (inf, -1, 0, 0), (-2, 3, -8, 12), (-inf, 3, -inf, inf),
    (-2, -2, 0.25, 0.25), (1, nan, 1, nan),
]  # fmt: skip

# x to a power that is a tensor: (x, power, value, slope in x, slope in the power).
POWERS_OF_TENSORS = [
    (0, 0, 1, 0, 0), (0, 1, 0, 1, 0), (0, 2, 0, 0, 0), (0, -1, inf, -inf, -inf), (2, 3, 8, 12, 8 * math.log(2)),
    (-2, 2, 4, -4, nan), (-1, 0.5, nan, nan, nan), (nan, 0, 1, 0, nan), (inf, 0, 1, 0, inf), (2, -inf, 0, nan, 0),
]  # fmt: skip


@pytest.mark.parametrize(("x", "power", "value", "slope"), POWERS)
def test_power_by_a_number(x, power, value, slope):
    np.testing.assert_array_equal(at(lambda t: t**power, x), (value, slope))
    np.testing.assert_array_equal(at(lambda t: t ** float(power), x), (value, slope))


@pytest.mark.parametrize(("x", "power", "value", "dx", "dpower"), POWERS_OF_TENSORS)
def test_power_by_a_tensor(x, power, value, dx, dpower):
    np.testing.assert_allclose(at(mg.pow, x, power), (value, dx, dpower), rtol=1e-14)
    np.testing.assert_allclose(at(lambda t: mg.pow(x, t), power), (value, dpower), rtol=1e-14)


def test_power_0_has_gradient_0_whatever_comes_from_above():
    x = mg.tensor([0.0, 1.0], requires_grad=True)
    (x**0).backward(mg.tensor([inf, nan]))
    assert x.grad.tolist() == [0, 0]
    (dx,) = mg.grad((x**0).sum(), [x], create_graph=True)
    assert isinstance(dx, Tensor)


def test_integers_to_negative_powers_are_refused():
    for power in (-1, mg.tensor([-1]), mg.tensor(-1), np.int64(-2)):
        with pytest.raises(ValueError, match="negative integer power"):
            mg.tensor([2]) ** power
    with pytest.raises(ValueError, match="negative integer power"):
        2 ** mg.tensor([-1])
    assert (mg.tensor([2]) ** -1.0).tolist() == [0.5]
    assert (mg.tensor([2.0]) ** mg.tensor([-1])).tolist() == [0.5]
    assert (mg.tensor([True]) ** 2).tolist() == [1]
    with pytest.raises(TypeError, match="boolean"):
        mg.tensor([True]) ** True


@pytest.mark.parametrize("name", ["exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "abs"])
def test_elementary_functions_are_maths(name):
    exact = math.fabs if name == "abs" else getattr(math, name)
    for x in [1e-20, 1e-8, 0.5, 1.0, 3.0, 20.0, 100.0]:
        value, _ = at(getattr(mg, name), x)
        np.testing.assert_allclose(value, exact(x), rtol=1e-14)


# function, x, value, slope
EDGES = [
    ("exp", inf, inf, inf), ("exp", -inf, 0, 0), ("expm1", 1e-20, 1e-20, 1), ("expm1", -inf, -1, 0),
    ("log", 0.0, -inf, inf), ("log", inf, inf, 0), ("log1p", 1e-20, 1e-20, 1), ("log1p", -1.0, -inf, inf),
    ("sqrt", 0.0, 0, inf), ("sqrt", inf, inf, 0), ("rsqrt", 0.0, inf, -inf), ("reciprocal", -0.0, -inf, -inf),
    ("abs", 0.0, 0, 0), ("abs", nan, nan, 0), ("abs", -inf, inf, -1),
    ("square", -inf, inf, -inf), ("sin", inf, nan, nan),
]  # fmt: skip


@pytest.mark.parametrize(("name", "x", "value", "slope"), EDGES)
def test_edges(name, x, value, slope):
    np.testing.assert_array_equal(at(getattr(mg, name), x), (value, slope))


# x, y, max, slopes: half to each at a tie, and to both where one of them is NaN.
LARGER = [
    (1, 2, 2, 0, 1), (2, 2, 2, 0.5, 0.5), (3, 2, 3, 1, 0), (nan, 1, nan, 1, 1), (1, nan, nan, 1, 1),
    (0.0, -0.0, 0, 0.5, 0.5), (inf, inf, inf, 0.5, 0.5),
]  # fmt: skip


@pytest.mark.parametrize(("x", "y", "value", "dx", "dy"), LARGER)
def test_maximum_and_minimum(x, y, value, dx, dy):
    np.testing.assert_array_equal(at(mg.maximum, x, y), (value, dx, dy))
    np.testing.assert_array_equal(at(mg.minimum, -x, -y), (-value, dx, dy))
    np.testing.assert_array_equal(at(lambda t: mg.maximum(t, y), x), (value, dx))
    np.testing.assert_array_equal(at(lambda t: mg.maximum(x, t), y), (value, dy))


# x, low, high, value, slopes
BOUNDED = [
    (1, 2, 4, 2, 0, 1, 0), (5, 2, 4, 4, 0, 0, 1), (3, 2, 4, 3, 1, 0, 0), (2, 2, 4, 2, 1, 0, 0), (4, 2, 4, 4, 1, 0, 0),
    (3, 4, 2, 2, 0, 0, 1), (nan, 2, 4, nan, 0, 0, 0), (3, nan, 4, nan, 0, 0, 0), (3, 2, nan, nan, 0, 0, 0),
    (inf, -inf, inf, inf, 1, 0, 0),
]  # fmt: skip


@pytest.mark.parametrize(("x", "low", "high", "value", "dx", "dlow", "dhigh"), BOUNDED)
def test_clamp(x, low, high, value, dx, dlow, dhigh):
    np.testing.assert_array_equal(at(mg.clamp, x, low, high), (value, dx, dlow, dhigh))
    np.testing.assert_array_equal(at(lambda t: mg.clamp(t, low, high), x), (value, dx))


def test_the_bounds_of_clamp():
    x, low = mg.tensor([1, 5], requires_grad=False), mg.tensor([1.5, 9.0], requires_grad=True)
    y = x.clamp(min=low)
    assert (y.tolist(), y.dtype) == ([1.5, 9.0], np.float32)
    y.sum().backward()
    assert low.grad.tolist() == [1, 1]
    assert x.clamp(min=1.5).tolist() == [1.5, 5]
    assert x.clamp(0, inf).dtype == np.float32
    assert x.clamp(min=2).tolist() == [2, 5]
    bound = mg.tensor([[2.0], [3.0]], requires_grad=True)  # broadcast
    mg.ones(2, 3).clamp(min=bound).sum().backward()
    assert bound.grad.tolist() == [[3], [3]]
    with pytest.raises(OverflowError, match="float16"):
        mg.tensor([1.0]).half().clamp(max=1e6)
    with pytest.raises(ValueError, match="give min, max or both"):
        x.clamp()
    with pytest.raises(TypeError, match="boolean"):
        mg.tensor([True]).clamp(max=True)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_choices_and_bounds_in_half_precision(dtype):
    x = mg.tensor([1.0, 5.0, nan]).to(dtype).requires_grad_()
    for y in [x.clamp(2, 4), x.clamp(min=2.5), mg.maximum(x, 2), mg.where(x > 2, x, 0.5), x.masked_fill(x > 2, -inf)]:
        assert y.dtype == x.dtype
        x.grad = None
        y.backward(mg.ones(3).to(dtype))
        assert x.grad.dtype == x.dtype


POWERS_BY_A_NUMBER = [0, 1, 2, 3, -1, -2, 2.5, -1.5, inf, -inf, nan]
BASES = [0.0, 2, -2, 0.5, inf, -inf, nan, 1]
BOUNDS = [(-1, 1), (None, 1), (-1, None), (2, -2), (nan, 1), (-1, nan), (0.0, 0.0)]


@pytest.mark.parity
@pytest.mark.parametrize("dtype", PRECISION)
class TestEdgesArePytorchs:
    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_functions(self, name, dtype):
        torch = pytest.importorskip("torch")
        assert list(differences(torch, getattr(mg, name), getattr(torch, name), [ONE_OPERAND], dtype)) == []

    @pytest.mark.parametrize("power", POWERS_BY_A_NUMBER)
    def test_powers_by_a_number(self, power, dtype):  # by ±0.5 torch takes √x, which has another answer at -0 and -inf
        torch = pytest.importorskip("torch")
        assert list(differences(torch, lambda x: x**power, lambda x: x**power, [ONE_OPERAND], dtype)) == []

    @pytest.mark.parametrize("base", BASES)
    def test_powers_of_a_number(self, base, dtype):
        torch = pytest.importorskip("torch")
        assert list(differences(torch, lambda x: base**x, lambda x: base**x, [ONE_OPERAND], dtype)) == []

    @pytest.mark.parametrize("name", ["pow", "maximum", "minimum"])
    def test_two_operands(self, name, dtype):
        torch = pytest.importorskip("torch")
        assert list(differences(torch, getattr(mg, name), getattr(torch, name), TWO_OPERANDS, dtype)) == []

    @pytest.mark.parametrize(("low", "high"), BOUNDS)
    def test_clamp_by_numbers(self, low, high, dtype):
        torch = pytest.importorskip("torch")
        call = {"min": low, "max": high}
        ours, theirs = (lambda x: mg.clamp(x, **call)), (lambda x: torch.clamp(x, **call))
        assert list(differences(torch, ours, theirs, [ONE_OPERAND], dtype)) == []

    def test_clamp_by_tensors(self, dtype):
        torch = pytest.importorskip("torch")
        assert list(differences(torch, mg.clamp, torch.clamp, THREE_OPERANDS, dtype)) == []
