"""The largest, the smallest, sort and top-k: every dtype, NaN, ties, 0-d and nothing to choose from."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg
from minigrad.tensor import Tensor

inf, nan = math.inf, math.nan
DTYPES = ["bool", "uint8", "int8", "int32", "int64", "float16", "bfloat16", "float32", "float64"]
FLOATING = DTYPES[5:]


def ranked(array, descending: bool) -> np.ndarray:
    """The indices of a row in order, as Python's sort finds them, which keeps equals in order; NaN is the largest."""
    keys = [(math.isnan(float(v)), v.item()) for v in array]
    keys = [(is_nan, 0 if is_nan else value) for is_nan, value in keys]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__, reverse=descending), dtype=int)


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_sort_and_topk_of_every_dtype(dtype, data):
    if dtype in FLOATING:
        elements = st.sampled_from([0.0, -0.5, 1.0, 2.0, inf, -inf, nan])
        row = np.array(data.draw(st.lists(elements, min_size=1, max_size=8)))
        x = Tensor(row).astype(dtype)
    else:
        info = np.iinfo(dtype) if dtype != "bool" else None
        elements = st.booleans() if info is None else st.sampled_from([0, 1, 2, 3, info.min, info.max])
        row = np.array(data.draw(st.lists(elements, min_size=1, max_size=8)), dtype)
        x = Tensor(row)
    k = data.draw(st.integers(0, len(row)))
    for descending in (False, True):
        order = ranked(x.data, descending)
        values, indices = mg.sort(x, descending=descending)
        np.testing.assert_array_equal(indices.data, order)
        np.testing.assert_array_equal(values.data.astype(row.dtype), row[order])
        values, indices = mg.topk(x, k, largest=descending)
        assert values.dtype == x.dtype
        np.testing.assert_array_equal(values.data.astype(row.dtype), row[order[:k]])
        np.testing.assert_array_equal(values.data.astype(row.dtype), row[indices.data])
        assert len(set(indices.tolist())) == k


@pytest.mark.parametrize("dtype", FLOATING)
def test_nan_is_the_largest_and_the_smallest(dtype):
    x = Tensor(np.array([[1.0, nan, 3.0, nan], [1.0, 3.0, 2.0, 3.0]])).astype(dtype).requires_grad_()
    for call in (mg.max, mg.min):
        values, indices = call(x, 1)
        assert np.isnan(float(values.data[0]))
        assert indices.data[0] == 1
        assert np.isnan(float(call(x).data))
    np.testing.assert_array_equal(mg.argmax(x, 1).data, [1, 1])
    np.testing.assert_array_equal(mg.argmin(x, 1).data, [1, 0])
    (g,) = mg.grad(x.max(), x)
    np.testing.assert_array_equal(g.data.astype(float), [[0, 0.5, 0, 0.5], [0, 0, 0, 0]])


def test_ties_along_one_dim_send_the_gradient_to_the_index():
    x = mg.tensor([[2.0, 5.0, 5.0], [1.0, 1.0, 1.0]], requires_grad=True)
    for call, expected in [(mg.max, [[0, 1, 0], [1, 0, 0]]), (mg.min, [[1, 0, 0], [1, 0, 0]])]:
        values, indices = call(x, 1)
        (g,) = mg.grad(values, x, mg.ones(2))
        np.testing.assert_array_equal(g.data, expected)
        np.testing.assert_array_equal(np.take_along_axis(x.data, indices.data[:, None], 1)[:, 0], values.data)
    (g,) = mg.grad(x.amax(1), x, mg.ones(2))
    np.testing.assert_allclose(g.data, [[0, 0.5, 0.5], [1 / 3] * 3])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_tie_of_more_than_half_precision_can_count(dtype):
    x = mg.zeros(70_000, dtype=dtype, requires_grad=True)
    (x.max() * 4096.0).backward()
    np.testing.assert_allclose(x.grad.data.astype(float), 4096 / 70_000, rtol=0.01)


@given(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4), st.data())
def test_max_and_min_along_a_dim(shape, data):
    array = np.random.default_rng(0).permutation(math.prod(shape)).reshape(shape).astype(float)
    dim, keepdim = data.draw(st.integers(-len(shape), len(shape) - 1)), data.draw(st.booleans())
    x = Tensor(array, requires_grad=True)
    for call, find in [(mg.max, np.argmax), (mg.min, np.argmin)]:
        values, indices = call(x, dim, keepdim)
        np.testing.assert_array_equal(indices.data, find(array, dim, keepdims=keepdim))
        np.testing.assert_array_equal(values.data, getattr(array, call.__name__)(dim, keepdims=keepdim))
        mg.gradcheck(lambda x, call=call: call(x, dim, keepdim)[0], x, order=2)


def test_0d():
    x = mg.tensor(3.0, requires_grad=True)
    for values, indices in (x.max(0), x.min(-1), x.sort(), x.sort(0, descending=True), x.topk(1), x.max(0, True)):
        assert (values.shape, indices.shape, values.item(), indices.item()) == ((), (), 3, 0)
        assert mg.grad(values, x)[0].item() == 1
    assert x.argmax().item() == x.argmin(0).item() == x.argmax(-1, keepdim=True).item() == 0


def test_nothing_to_choose_from():
    x = mg.zeros(0, 3)
    for call in (mg.max, mg.min):
        values, indices = call(x, 1)
        assert (values.shape, indices.shape, indices.dtype) == ((0,), (0,), np.int64)
    assert x.amax(1).shape == x.amin(1).shape == x.argmax(1).shape == x.argmin(1).shape == (0,)
    for call in (mg.max, mg.min, mg.amax, mg.amin, mg.argmax, mg.argmin):
        for arguments in ((0,), ()):
            with pytest.raises(ValueError, match=r"shape \(0, 3\) has no elements to choose from"):
                call(x, *arguments)
    assert mg.sort(x, 0).values.shape == (0, 3)
    assert mg.topk(x, 0, 0).values.shape == (0, 3)
    assert mg.topk(x, 2, 1).values.shape == (0, 2)
