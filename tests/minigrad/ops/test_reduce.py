"""Sums, means, variances and norms: no dims, all dims, no elements, long columns, half precision, infinities."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.kernels.reference.sum import total
from minigrad.tensor import Tensor
from tests.support.strategies import LAYOUTS, laid_out

HALVES = ["float16", "bfloat16"]
inf, nan = math.inf, math.nan


@pytest.mark.parametrize("name", ["sum", "mean", "amax", "amin", "prod", "logsumexp", "norm"])
def test_no_dim_named_is_every_dim(name):
    x = mg.randn(2, 3)
    np.testing.assert_array_equal(getattr(x, name)(dim=()).data, getattr(x, name)(dim=None).data)
    assert getattr(x, name)(dim=(), keepdim=True).shape == (1, 1)
    with pytest.raises(ValueError, match=f"{name}: dim \\(0, -2\\) names a dimension twice"):
        getattr(x, name)(dim=(0, -2))
    with pytest.raises(IndexError, match="dim 2 of a tensor with 2 dimensions; use -2 to 1"):
        getattr(x, name)(dim=2)


@pytest.mark.parametrize(
    ("name", "over_nothing"), [("sum", 0.0), ("mean", nan), ("prod", 1.0), ("logsumexp", -inf), ("norm", 0.0)]
)
def test_no_elements(name, over_nothing):
    x = mg.zeros(0, 3, requires_grad=True)
    np.testing.assert_array_equal(getattr(x, name)(dim=0).data, np.full(3, over_nothing, np.float32))
    assert getattr(x, name)(dim=1).shape == (0,)
    y = getattr(x, name)(dim=())
    np.testing.assert_array_equal(y.data, np.float32(over_nothing))
    y.backward()
    assert x.grad.shape == (0, 3)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int16", "int32", "int64"])
def test_integers_are_added_and_multiplied_in_int64(dtype):
    x = mg.full((200,), 1 if dtype == "bool" else 100).astype(dtype)
    for y, expected in [(x.sum(), x.data.astype(int).sum()), (x[:3].prod(), int(x.data[0]) ** 3)]:
        assert (y.dtype, y.item()) == (np.int64, expected)
    assert x.cumsum(0).dtype == np.int64
    np.testing.assert_array_equal(x.cumsum(0).data, x.data.astype(int).cumsum())
    np.testing.assert_array_equal(x[:3].cumprod(0).data, x.data[:3].astype(int).cumprod())


@pytest.mark.parametrize("call", [mg.mean, mg.var, mg.std, mg.norm])
def test_means_of_integers_are_refused(call):
    with pytest.raises(TypeError, match=r"int64 tensor has no floating .*; use .astype\('float32'\)"):
        call(mg.tensor([1, 2]))


LONG = [(70_000,), (4096, 40), (40, 4096), (3, 30_000, 2), (70_000, 1), (1, 70_000)]


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("shape", LONG)
def test_half_precision_is_rounded_once(dtype, shape):
    """Each reduction of many halves is what float64 gives, rounded to half; and its gradient, too."""
    exact = mg.tensor(np.random.default_rng(1).uniform(0.5, 1.5, shape)).astype(dtype).data.astype(np.float64)
    unit = mg.dtypes.epsilon(np.zeros(0, mg.dtypes.as_dtype(dtype)).dtype)
    for dim in (None, 0, -1):
        for name in ("sum", "mean", "std", "logsumexp", "norm", "amax", "cumsum"):
            if (name == "cumsum" and dim is None) or (name == "std" and dim is not None and shape[dim] == 1):
                continue
            x = Tensor(exact).astype(dtype).requires_grad_()
            wide = Tensor(exact, requires_grad=True)
            y, expected = (getattr(t, name)(dim=dim) for t in (x, wide))
            assert str(y.dtype) == dtype
            with np.errstate(over="ignore"):
                rounded = expected.data.astype(y.dtype).astype(float)
            np.testing.assert_allclose(y.data.astype(float), rounded, rtol=2 * unit, atol=1e-6)
            (g,) = mg.grad(y, x, mg.ones(*y.shape, dtype=dtype))
            (g_wide,) = mg.grad(expected, wide, mg.ones(*y.shape, dtype="float64"))
            with np.errstate(over="ignore"):
                rounded = g_wide.data.astype(g.dtype).astype(float)
            np.testing.assert_allclose(g.data.astype(float), rounded, rtol=0.03, atol=1.2e-7)


def test_the_means_of_the_issue():
    assert mg.ones(65_504 + 1, dtype="float16").mean().item() == 1
    assert (mg.ones(4096, 40) * 3).half().mean().item() == 3


@pytest.mark.parametrize("dim", [0, 1, (0, 1), (0, 2), (1, 2), (0, 1, 2), None])
@given(st.sampled_from(LAYOUTS), st.booleans())
def test_long_sums_keep_their_digits(dim, layout, keepdims):
    x = laid_out(np.random.default_rng(0).uniform(0.5, 1.5, (90, 40, 30)).astype(np.float32), layout)
    axis = (dim,) if isinstance(dim, int) else (0, 1, 2) if dim is None else dim
    y = total(x, axis, keepdims)
    expected = x.astype(np.float64).sum(axis=axis, keepdims=keepdims)
    assert y.dtype == np.float32
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=4e-7)


@pytest.mark.parametrize("shape", [(20_000_000, 1), (2_000_000, 17)])
def test_as_many_ones_as_there_are(shape):
    """Added one after the other in float32, ones stay at 16,777,216."""
    ones = np.broadcast_to(np.float32(1), shape)
    assert (total(ones, (0,)) == shape[0]).all()
    assert mg.mean(Tensor(ones), 0).data[0] == 1
    x = np.full((2_000_000, 17), 0.1, np.float32)
    np.testing.assert_allclose(total(x, (0,)), 2_000_000 * float(np.float32(0.1)), rtol=2e-6)


def test_the_standard_deviation_of_equal_elements_has_gradient_0():
    x = mg.tensor([[2.0, 2.0, 2.0], [1.0, 2.0, 3.0]], requires_grad=True)
    x.std(1).sum().backward()
    np.testing.assert_allclose(x.grad.data, [[0, 0, 0], [-0.5, 0, 0.5]], atol=1e-7)


ORDERS = [0, 0.5, 1, 1.5, 2, 3, -1, -2, inf, -inf]


@pytest.mark.parametrize("p", ORDERS)
@pytest.mark.parametrize("dim", [None, 0, 1, (0, 1)])
def test_norms(p, dim):
    array = np.random.default_rng(3).uniform(0.5, 2, (3, 4)) * np.array([1, -1, 1, -1])
    x = Tensor(array, requires_grad=True)
    flat = array.reshape(-1) if dim in (None, (0, 1)) else array
    expected = np.linalg.norm(flat, p, None if dim in (None, (0, 1)) else dim)
    np.testing.assert_allclose(x.norm(p, dim).data, expected, rtol=1e-12)
    mg.gradcheck(lambda x: x.norm(p, dim, keepdim=True), x, order=1 if abs(p) in (0, inf) else 2)


@pytest.mark.parametrize("p", ORDERS)
def test_norms_of_zeros_have_gradient_0(p):
    for row in ([0.0, 0.0], [0.0, 3.0], [0.0, -3.0, 0.0]):
        x = Tensor(np.array(row), requires_grad=True)
        y = x.norm(p)
        y.backward()
        assert y.item() == pytest.approx(np.linalg.norm(row, p) if p >= 0 else 0, abs=0)
        moving = np.sign(row) if p > 0 else np.zeros(len(row))  # the one element that is not 0 carries the norm
        np.testing.assert_allclose(x.grad.data, moving, atol=0)


def test_norms_by_name_and_mistakes():
    x = mg.tensor([[3.0, 4.0]])
    assert x.norm("fro").item() == 5
    for p in ("nuc", nan, (0, 1)):
        with pytest.raises(ValueError, match="expected a number, inf or -inf among them"):
            x.norm(p)
    for p in (inf, -inf):
        with pytest.raises(ValueError, match="no elements to choose from"):
            mg.zeros(0).norm(p)
    with pytest.raises(ValueError, match="p=-1 of no elements"):
        mg.zeros(2, 0).norm(-1, dim=1)


@pytest.mark.parametrize(
    ("row", "value", "gradient"),
    [
        ([inf, 1.0], inf, [nan, 0]),
        ([-inf, -inf], -inf, [nan, nan]),
        ([-inf, 0.0], 0, [0, 1]),
        ([-inf, inf], inf, [0, nan]),
        ([nan, 0.0], nan, [nan, nan]),
        ([1000.0, 1000.0], 1000 + math.log(2), [0.5, 0.5]),
        ([-1000.0, -1000.0], -1000 + math.log(2), [0.5, 0.5]),
    ],
)
def test_logsumexp_at_infinity(row, value, gradient):
    """The values and gradients of PyTorch."""
    x = Tensor(np.array(row), requires_grad=True)
    y = x.logsumexp(0)
    y.backward()
    np.testing.assert_allclose(y.data, value)
    np.testing.assert_allclose(x.grad.data, gradient)
