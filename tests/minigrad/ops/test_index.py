"""Reading and assigning with every kind of index, against numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg
from minigrad.tensor import Tensor
from tests.support.strategies import LAYOUTS, laid_out

shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)


@st.composite
def shape_and_index(draw):
    """A shape and an index into it: slices, integers, ..., None, integer and boolean arrays, mixed."""
    shape = draw(shapes)
    kind = draw(st.sampled_from(["basic", "integers", "boolean", "mixed", "partly boolean"]))
    if kind == "basic":
        return shape, draw(hnp.basic_indices(shape, allow_newaxis=True))
    if kind == "integers":
        return shape, draw(hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=3)))
    if kind == "boolean":
        return shape, draw(hnp.arrays(bool, shape))
    if kind == "partly boolean":
        return shape, draw(hnp.arrays(bool, shape[:1]))
    length = draw(st.integers(1, 4))
    ids = draw(hnp.arrays(np.int64, length, elements=st.integers(-shape[0], shape[0] - 1)))
    return shape, (
        ids,
        *draw(st.lists(st.sampled_from([slice(None), slice(None, None, -1), 0]), max_size=len(shape) - 1)),
    )


def numbers(shape) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape)


@given(shape_and_index(), st.sampled_from(LAYOUTS))
def test_reading(case, layout):
    shape, index = case
    array = numbers(shape)
    x = Tensor(laid_out(array, layout), requires_grad=True)
    np.testing.assert_array_equal(x[index].data, array[index])
    mg.gradcheck(lambda x: x[index] * 1.0, x, order=2)


@given(shape_and_index())
def test_assigning_without_gradient(case):
    shape, index = case
    array, x = numbers(shape), Tensor(numbers(shape))
    array[index] = 7.0
    x[index] = 7.0
    np.testing.assert_array_equal(x.data, array)


@given(shape_and_index())
def test_assigning_with_gradient(case):
    shape, index = case
    if not isinstance(index, tuple) or not any(isinstance(part, np.ndarray) for part in index):
        picked = np.zeros(shape)[index].shape
        mg.gradcheck(lambda x, v: assigned(x, index, v), [leaf(shape), leaf(picked)], order=2)
    mg.gradcheck(lambda x, v: assigned(x, index, v), [leaf(shape), leaf(())])


def leaf(shape):
    return Tensor(numbers(shape), requires_grad=True)


def assigned(x, index, value):
    x = x.clone()
    x[index] = value
    return x


def test_assigning_keeps_what_was_used_before():
    x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x * 1.0
    before = y * y
    y[0] = 5.0
    (before + y).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [2, 5, 7])


def test_assigning_into_a_constant_makes_it_part_of_the_graph():
    x, buffer = mg.tensor([2.0], requires_grad=True), mg.zeros(3)
    buffer[1:2] = x
    (buffer * 3.0).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [3])


def test_tensors_and_lists_as_indices():
    x = mg.randn(4, 3)
    np.testing.assert_array_equal(x[mg.tensor([2, 0])].data, x.data[[2, 0]])
    np.testing.assert_array_equal(x[[2, 0]].data, x.data[[2, 0]])
    np.testing.assert_array_equal(x[x > 0].data, x.data[x.data > 0])
    np.testing.assert_array_equal(x[mg.tensor([1, 2]), mg.tensor([0, 1])].data, x.data[[1, 2], [0, 1]])
    assert x[mg.tensor(2)].shape == (3,)


def test_repeated_indices_add_up():
    x = mg.zeros(3, requires_grad=True)
    x[np.array([0, 0, 2, 0])].sum().backward()
    np.testing.assert_array_equal(x.grad.data, [3, 0, 1])


def test_many_slices_of_one_tensor_add_into_one_gradient():
    x = mg.randn(50, 3, dtype=np.float64, requires_grad=True)
    total = sum((x[i] * (i + 1.0)).sum() for i in range(50)) + (x * 2.0).sum()
    total.backward()
    np.testing.assert_array_equal(x.grad.data, (np.arange(50.0) + 3)[:, None] * np.ones(3))


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (5, r"index 5 into shape \(3, 4\): .*out of bounds"),
        ((0, 0, 0), r"into shape \(3, 4\): too many indices"),
        (np.array([0.5]), "must be integers or booleans, not float64.*astype"),
        (np.ones((2, 2), bool), r"into shape \(3, 4\): boolean index did not match"),
    ],
)
def test_bad_index(index, message):
    with pytest.raises(IndexError, match=message):
        mg.zeros(3, 4)[index]


def test_bad_assignment():
    with pytest.raises(ValueError, match=r"x \(3, 4\), value \(5,\): could not broadcast"):
        mg.zeros(3, 4)[0] = mg.zeros(5)
    with pytest.raises(IndexError, match=r"x \(3, 4\).*out of bounds"):
        mg.zeros(3, 4)[7] = 0.0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: mg.gather(x, 1, mg.tensor([[9]])), IndexError, "gather: indices 9 to 9 do not fit .* size 4"),
        (lambda x: mg.gather(x, 0, mg.tensor([1])), ValueError, r"gather: index \(1,\) does not fit inside \(3, 4\)"),
        (lambda x: mg.gather(x, 1, mg.zeros(1, 1)), IndexError, "gather: the index is float32; use integers"),
        (lambda x: mg.scatter_add(x, 0, mg.tensor([[3]]), x), IndexError, "scatter_add: indices 3 to 3"),
        (lambda x: mg.index_select(x, 0, mg.tensor([-1])), IndexError, "index_select: indices -1 to -1"),
        (lambda x: mg.index_select(x, 0, mg.tensor([[0]])), ValueError, r"shape \(1, 1\); give a 1-D tensor"),
        (lambda x: mg.topk(x, 5), ValueError, "topk: k=5 of a dimension of size 4; use 0 to 4"),
        (lambda x: mg.one_hot(mg.tensor([4]), 3), IndexError, "one_hot: ids 4 to 4 do not fit 3 classes"),
        (lambda x: mg.embedding(mg.tensor([1, 7]), x), IndexError, r"id 7 at \[1\] has no row in a table of 3"),
        (lambda x: mg.embedding(mg.zeros(2), x), TypeError, "ids are float32; expected integers"),
    ],
)
def test_out_of_range(call, error, message):
    with pytest.raises(error, match=message):
        call(mg.zeros(3, 4))


@given(shapes, st.data())
def test_sort_and_topk_against_numpy(shape, data):
    array = data.draw(hnp.arrays(np.float64, shape, elements=st.sampled_from([0.0, 1.0, 2.0, -1.0])))
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    k = data.draw(st.integers(0, shape[dim]))
    values, indices = mg.sort(Tensor(array), dim)
    np.testing.assert_array_equal(indices.data, np.argsort(array, axis=dim, kind="stable"))
    np.testing.assert_array_equal(values.data, np.sort(array, axis=dim))
    values, indices = mg.sort(Tensor(array), dim, descending=True)
    np.testing.assert_array_equal(indices.data, np.argsort(-array, axis=dim, kind="stable"))
    values, indices = mg.topk(Tensor(array), k, dim)
    np.testing.assert_array_equal(values.data, -np.sort(-array, axis=dim).take(range(k), axis=dim))
    np.testing.assert_array_equal(values.data, np.take_along_axis(array, indices.data, axis=dim))
