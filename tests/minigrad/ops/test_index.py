"""Reading and assigning with every kind of index, against numpy, and PyTorch where the two differ."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg
from minigrad.tensor import Tensor
from tests.support.indices import picked, random_case
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


def test_assigning_overwrites_what_was_used_before():
    x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x * 1.0
    before = y * 3.0
    needs_y = y * y
    y[0] = 5.0
    (before + y).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [3, 4, 4])
    with pytest.raises(RuntimeError, match=r"of Mul, .* was modified in place"):
        needs_y.sum().backward()


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


def as_tensors(index):
    """The index with its arrays as Tensors."""
    if isinstance(index, tuple):
        return tuple(map(as_tensors, index))
    return mg.tensor(index) if isinstance(index, np.ndarray) else index


@settings(max_examples=200)
@given(st.integers(0, 2**32 - 1))
def test_every_mixture_of_indices(seed):
    """Integers beside arrays and masks, None, ..., lists: reading, the gradient, and writing, by flat positions."""
    shape, index = random_case(np.random.default_rng(seed))
    positions = picked(shape, index)
    array = numbers(shape)
    x = Tensor(array.copy(), requires_grad=True)
    for each in (index, as_tensors(index)):
        y = x[each]
        np.testing.assert_array_equal(y.data, array.reshape(-1)[positions])
    upstream = numbers((2, *positions.shape))[1]
    (g,) = mg.grad(y, x, Tensor(upstream))
    expected = np.bincount(positions.reshape(-1), upstream.reshape(-1), array.size).reshape(shape)
    np.testing.assert_allclose(g.data, expected, atol=1e-12)
    mg.gradcheck(lambda x: x[index] * 1.0, x, order=2)

    written, flat = Tensor(array.copy()), array.reshape(-1).copy()
    written[index] = 7.0
    flat[positions] = 7.0
    np.testing.assert_array_equal(written.data, flat.reshape(shape))
    if len(np.unique(positions)) == positions.size:
        written[as_tensors(index)] = Tensor(upstream)
        flat[positions] = upstream
        np.testing.assert_array_equal(written.data, flat.reshape(shape))


@pytest.mark.parametrize(
    ("index", "shape"),
    [
        ((0, slice(None), [0, 1]), (3, 2, 5)),  # in numpy (2, 3, 5)
        ((slice(None), [0, 1], slice(None), 0), (2, 2, 4)),  # in numpy the 2 of the list first
        ((0, None, [0, 1]), (1, 2, 4, 5)),
        (([0, 1], slice(None), 0, [1, 2]), (2, 3)),
        ((..., 0, [0, 1]), (2, 3, 2)),
        ((slice(None), [0, 1], ..., [1, 0]), (2, 2, 4)),
        ((slice(None), slice(None), [0, 1], ..., [1, 0]), (2, 3, 2)),  # ... of no dimensions keeps neighbours together
        (True, (1, 2, 3, 4, 5)),
        (False, (0, 2, 3, 4, 5)),
        ((0, True, [0, 1]), (2, 4, 5)),
        (np.True_, (1, 2, 3, 4, 5)),
        (np.int32(-1), (3, 4, 5)),
        (np.array(1), (3, 4, 5)),
        (range(2), (2, 3, 4, 5)),
        ([], (0, 3, 4, 5)),
        (([True, False], 0), (1, 4, 5)),
    ],
)
def test_shapes_are_pytorchs(index, shape):
    x = mg.randn(2, 3, 4, 5)
    assert x[index].shape == shape
    x[index] = 1.0
    assert (x[index].data == 1).all()


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("a", "an index of type str"),
        (1.0, "an index of type float"),
        ([0.5], "must be integers or booleans, not float"),
        ([0, None], "the list .* expected integers or booleans"),
        ([[0, 1], [0]], "rows of equal length"),
        ((..., [0], ...), "single ellipsis"),
        (([0], [0], [0]), "too many indices"),
        (([0], True, 0, 0), "too many indices"),
        ((0, [4]), "out of bounds"),
        (([0, 1], [0, 1, 2]), "could not be broadcast"),
        (np.ones((3, 3), bool), "boolean index did not match"),
        ((slice(None), np.ones(3, bool)), "boolean index did not match"),
    ],
)
def test_every_bad_index_is_one_clear_error(index, message):
    for call in (lambda: mg.zeros(3, 4)[index], lambda: mg.zeros(3, 4).__setitem__(index, 0.0)):
        with pytest.raises(IndexError, match=message):
            call()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_many_gradients_of_one_element_add_up(dtype):
    """3,000 ones into one element: half precision alone would stay at 2,048 or 256."""
    x = mg.zeros(2, 2, dtype=dtype, requires_grad=True)
    ids = np.zeros(3000, int)
    for y in (x[ids], mg.gather(x, 0, np.zeros((3000, 2), int)), mg.embedding(ids, x), x.index_select(0, ids)):
        (g,) = mg.grad(y, x, mg.ones(*y.shape, dtype=dtype))
        np.testing.assert_array_equal(g.data.astype(float), [[3000 if dtype != "bfloat16" else 3008] * 2, [0, 0]])


def test_gather_and_scatter_of_0d_and_smaller_indices():
    x = mg.tensor(3.0, requires_grad=True)
    zero = mg.tensor(0)
    assert mg.grad(mg.gather(x, 0, zero), x)[0].item() == 1
    assert mg.scatter_add(x, 0, zero, mg.tensor(4.0)).item() == 7
    assert mg.index_select(x, 0, mg.tensor([0])).item() == 3
    np.testing.assert_array_equal(mg.index_select(mg.tensor([1.0, 2.0]), 0, mg.tensor(1)).data, [2])
    assert mg.gather(mg.ones(2, 3), 1, mg.zeros(2, 0, dtype="int64")).shape == (2, 0)
    for call, error, message in [
        (lambda: mg.gather(x, 0, mg.tensor(1)), IndexError, "indices 1 to 1 do not fit a dimension of size 1"),
        (lambda: mg.gather(mg.ones(3), 0, mg.tensor([-1])), IndexError, "indices -1 to -1"),
        (lambda: mg.scatter_add(mg.ones(3), 0, mg.tensor([0]), mg.ones(1).double()), TypeError, "src float64; cast"),
        (lambda: mg.scatter_add(mg.ones(2, 3), 1, mg.zeros(3, 1).long(), mg.ones(3, 1)), ValueError, "do not fit"),
        (lambda: mg.index_select(x, 0, mg.tensor([0, 0])), ValueError, "2 indices into a 0-d tensor"),
    ]:
        with pytest.raises(error, match=message):
            call()


@pytest.mark.parity
def test_parity_of_every_mixture():
    torch = pytest.importorskip("torch")

    def torchs(index):
        if isinstance(index, tuple):
            return tuple(map(torchs, index))
        return torch.tensor(index) if isinstance(index, np.ndarray) else index

    rng = np.random.default_rng(0)
    for _ in range(3000):
        shape, index = random_case(rng)
        array = rng.standard_normal(shape)
        x, t = Tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)
        y, expected = x[index], t[torchs(index)]
        assert y.shape == tuple(expected.shape), (shape, index)
        np.testing.assert_array_equal(y.data, expected.detach().numpy())
        upstream = rng.standard_normal(y.shape)
        y.backward(Tensor(upstream))
        expected.backward(torch.tensor(upstream))
        np.testing.assert_allclose(x.grad.data, t.grad.numpy(), atol=1e-12)


@pytest.mark.parametrize(
    "index", [(..., [0, 0]), (slice(None), [1, 0], slice(None)), (slice(1, None), [[1, 0], [0, 0]])]
)
def test_what_an_index_after_a_slice_picks_lies_in_c_order(index):
    """numpy's result does not, so that reshape copied it, and a write into the reshaped tensor was lost."""
    picked = mg.tensor(np.arange(24.0).reshape(3, 2, 4))[index]
    picked.reshape(-1).zero_()
    assert not picked.array.any()
