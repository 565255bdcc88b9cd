"""Running sums and products, and the product of all: over any dims, exact with zeros, in linear time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg
from minigrad.ops.scan import Recurrence
from minigrad.tensor import Tensor
from tests.support.strategies import LAYOUTS, laid_out


@given(hnp.array_shapes(min_dims=0, max_dims=4, max_side=3), st.data())
def test_prod_over_any_dims_with_zeros(shape, data):
    """With respect to each factor: the product of the others, by hand. No quotient, so zeros are exact."""
    array = data.draw(hnp.arrays(np.float64, shape, elements=st.sampled_from([0.0, -1.5, 0.5, 2.0, 3.0])))
    dim = data.draw(st.none() | hnp.valid_tuple_axes(len(shape), min_size=1) if shape else st.none())
    if isinstance(dim, tuple) and len(dim) == 1 and data.draw(st.booleans()):
        dim = dim[0]
    keepdim = data.draw(st.booleans())
    x = Tensor(laid_out(array, data.draw(st.sampled_from(LAYOUTS))), requires_grad=True)
    y = x.prod(dim, keepdim)
    expected = np.asarray(array.prod(axis=dim, keepdims=keepdim))
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.data, expected)
    (g,) = mg.grad(y, x, mg.ones(*y.shape, dtype="float64"))
    others = np.empty(shape)
    for place in np.ndindex(*shape):
        at = array.copy()
        at[place] = 1
        full = np.broadcast_to(at.prod(axis=dim, keepdims=True), shape)
        others[place] = full[place]
    np.testing.assert_allclose(g.data, others)


@pytest.mark.parametrize("zeros", [0, 1, 2])
@pytest.mark.parametrize("dim", [0, 1, 2, -1, (0, 2), (2, 0, 1), None])
def test_prod_is_differentiable_twice(zeros, dim):
    array = np.random.default_rng(zeros).uniform(0.5, 1.5, (2, 3, 4))
    array[0, 1, :zeros] = 0
    mg.gradcheck(lambda x: x.prod(dim), Tensor(array, requires_grad=True), order=2)


@pytest.mark.parametrize("zeros", [0, 1, 3])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_cumprod_is_differentiable_twice(zeros, dim):
    array = np.random.default_rng(zeros).uniform(0.5, 1.5, (2, 4, 4))
    array[0, 1, :zeros] = 0
    x = Tensor(array, requires_grad=True)
    np.testing.assert_allclose(x.cumprod(dim).data, array.cumprod(dim))
    mg.gradcheck(lambda x: x.cumprod(dim), x, order=2)


def test_a_recurrence_step_by_step():
    a, b = (np.random.default_rng(i).standard_normal((2, 5)) for i in range(2))
    y = Recurrence()(a, b)
    for row in range(2):
        carried = 0.0
        for i in range(5):
            carried = a[row, i] * carried + b[row, i]
            assert y[row, i] == pytest.approx(carried)
    mg.gradcheck(
        lambda a, b: Recurrence()(a, b), [Tensor(a, requires_grad=True), Tensor(b, requires_grad=True)], order=2
    )


def test_the_product_of_very_many():
    """A rule that took a step for each pair of factors would not come to its end here."""
    x = Tensor(np.random.default_rng(0).uniform(0.99, 1.01, 300_000), requires_grad=True)
    (g,) = mg.grad(x.prod(), x)
    np.testing.assert_allclose(g.data * x.data, x.data.prod(), rtol=1e-9)


def test_factors_whose_partial_products_leave_float32():
    """1e-30 · 1e-30 is 0 in float32; that of all four is 1, and every derivative a number."""
    x = mg.tensor([1e-30, 1e-30, 1e30, 1e30], requires_grad=True)
    x.prod().backward()
    assert x.prod().item() == pytest.approx(1)
    np.testing.assert_allclose(x.grad.data, 1 / x.data.astype(float), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_running_sums_and_products_carry_more_digits(dtype):
    x = mg.ones(3000, dtype=dtype)
    np.testing.assert_array_equal(x.cumsum(0).data, np.arange(1, 3001).astype(x.dtype))
    x = mg.full((400,), 1.01).astype(dtype)
    exact = x.data.astype(float).cumprod()
    np.testing.assert_allclose(x.cumprod(0).data.astype(float), exact, rtol=mg.dtypes.epsilon(x.dtype))


def test_0d_and_empty():
    x = mg.tensor(3.0, requires_grad=True)
    for y in (x.cumsum(0), x.cumprod(-1), x.prod(0), x.prod()):
        assert (y.shape, y.item()) == ((), 3)
        (g,) = mg.grad(y, x)
        assert g.item() == 1
    empty = mg.zeros(2, 0, requires_grad=True)
    for y in (empty.cumsum(1), empty.cumprod(1)):
        assert y.shape == (2, 0)
        y.sum().backward()
    np.testing.assert_array_equal(empty.prod(1).data, [1, 1])
    empty.prod(1).sum().backward()
    for call in (mg.cumsum, mg.cumprod):
        with pytest.raises(IndexError, match="dim 1 of a tensor with 0 dimensions; use -1 to 0"):
            call(x, 1)
