"""Every operation of the table: values, gradients, second-order gradients, dtypes, plain arrays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg
from minigrad import kernels, ops
from minigrad.function import Function
from minigrad.tensor import Tensor, unwrap
from tests.support.ops_table import CASES, ELEMENTWISE, WITHOUT_GRADIENT
from tests.support.strategies import LAYOUTS, laid_out

every_op = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
every_elementwise = pytest.mark.parametrize("op", ELEMENTWISE, ids=lambda op: op.name)


def tensors(case, dtype=np.float64) -> list[Tensor]:
    return [Tensor(x.astype(dtype), requires_grad=True) for x in case.inputs]


def upstream(shape, dtype=np.float64) -> np.ndarray:
    return np.random.default_rng(7).uniform(0.5, 1.5, shape).astype(dtype)


def gradients(case, inputs, create_graph=False) -> list[np.ndarray]:
    y = case.expression(mg, *inputs)
    found = mg.grad(y, inputs, Tensor(upstream(y.shape, y.dtype)), create_graph=create_graph)
    return [g.data for g in found]


def test_every_op_is_in_the_table():
    listed = {case.name for case in CASES} | set(WITHOUT_GRADIENT)
    assert set(ops.__all__) == listed


@every_op
def test_values(case):
    y = case.expression(mg, *tensors(case))
    expected = case.numpy(*case.inputs)
    assert y.shape == np.shape(expected)
    np.testing.assert_allclose(y.data, expected, rtol=1e-10, atol=1e-12)


@every_op
def test_gradients_of_first_and_second_order(case):
    mg.gradcheck(lambda *inputs: case.expression(mg, *inputs), tensors(case), order=2)


@every_op
def test_recorded_gradient_is_the_same(case):
    """create_graph goes through the composites of the fused operations: kernel against primitives."""
    for fast, recorded in zip(gradients(case, tensors(case)), gradients(case, tensors(case), True), strict=True):
        np.testing.assert_allclose(fast, recorded, rtol=1e-9, atol=1e-11)


@every_op
def test_float32_stays_float32(case):
    inputs = tensors(case, np.float32)
    y = case.expression(mg, *inputs)
    if case.name != "astype":
        assert y.dtype == np.float32
    np.testing.assert_allclose(y.data, case.numpy(*case.inputs), rtol=2e-4, atol=2e-5)
    found = gradients(case, inputs)
    assert [g.dtype for g in found] == [np.float32] * len(inputs)
    for single, double in zip(found, gradients(case, tensors(case)), strict=True):
        np.testing.assert_allclose(single, double, rtol=5e-4, atol=5e-5)


METHODS_ONLY = ["setitem", "expand", "repeat", "contiguous", "unfold", "view_as", "expand_as"]
# Their indices are Tensors.
WITH_INDICES = ["max", "min", "sort", "topk", "cummax", "cummin", "median", "nanmedian", "mode", "aminmax"]


@every_op
def test_plain_arrays_just_compute(case):
    if case.name in METHODS_ONLY + WITH_INDICES:
        pytest.skip("written with methods, or gives Tensors for its indices")
    result = unwrap(case.expression(mg, *case.inputs))
    np.testing.assert_allclose(result, case.numpy(*case.inputs), rtol=1e-10, atol=1e-12)


def fused_operations() -> set[type]:
    found, stack = set(), [Function]
    while stack:
        for child in stack.pop().__subclasses__():
            stack.append(child)
            if child.composite is not None and child.__module__.startswith("minigrad."):
                found.add(child)
    return found


def functions_in(y: Tensor) -> set[type]:
    found, stack = set(), [y.grad_fn] if y.grad_fn else []
    while stack:
        node = stack.pop()
        found.add(type(node))
        stack += [parent for parent in node.parents if parent is not None and not isinstance(parent, Tensor)]
    return found


def test_every_fused_operation_is_reached():
    reached = set()
    for case in CASES:
        reached |= functions_in(case.expression(mg, *tensors(case)))
    assert fused_operations() <= reached


FUSED = ["cross_entropy", "gelu", "layer_norm", "linear", "rms_norm", "scaled_dot_product_attention", "silu"]


@pytest.mark.parametrize("case", [c for c in CASES if c.name in FUSED], ids=lambda case: case.id)
def test_numba_kernel_gradient_is_the_composites(case):
    with kernels.use("numba"):
        found = gradients(case, tensors(case, np.float32))
    expected = gradients(case, tensors(case), create_graph=True)
    for kernel, composite in zip(found, expected, strict=True):
        np.testing.assert_allclose(kernel, composite, rtol=1e-3, atol=2e-4)


shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)


def drawn(domain, shape) -> np.ndarray:
    return np.asarray(domain(*shape), dtype=np.float64)


@every_elementwise
@settings(max_examples=15)
@given(data=st.data())
def test_elementwise_over_shapes_broadcasting_and_strides(op, data):
    count = len(op.domains)
    if count == 1:
        wanted = [data.draw(shapes)]
    else:
        wanted = data.draw(
            hnp.mutually_broadcastable_shapes(num_shapes=count, min_dims=0, max_dims=2, min_side=0, max_side=3)
        ).input_shapes
    arrays = [drawn(domain, shape) for domain, shape in zip(op.domains, wanted, strict=True)]
    inputs = [Tensor(laid_out(a, data.draw(st.sampled_from(LAYOUTS))), requires_grad=True) for a in arrays]
    y = op.expression(mg, *inputs)
    expected = op.numpy(*arrays)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.data, expected, rtol=1e-10, atol=1e-12)
    mg.gradcheck(lambda *inputs: op.expression(mg, *inputs), inputs)


@every_elementwise
def test_second_order_of_0d_tensors(op):
    """numpy gives scalars where 0-d arrays meet: a saved output must still be known as the output."""
    inputs = [Tensor(drawn(domain, ()), requires_grad=True) for domain in op.domains]
    mg.gradcheck(lambda *inputs: op.expression(mg, *inputs), inputs, order=2)


REDUCTIONS = {
    "sum": np.sum,
    "mean": np.mean,
    "amax": np.max,
    "amin": np.min,
    "logsumexp": lambda x, axis, keepdims: np.log(np.exp(x).sum(axis, keepdims=keepdims)),
    "norm": lambda x, axis, keepdims: np.sqrt((x**2).sum(axis, keepdims=keepdims)),
}


@pytest.mark.parametrize("name", REDUCTIONS)
@given(data=st.data())
def test_reductions_over_any_dims(name, data):
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=1, max_side=3))
    array = np.random.default_rng(1).permutation(np.prod(shape, dtype=int)).reshape(shape) / 7 + 0.1
    axes = data.draw(st.none() | hnp.valid_tuple_axes(len(shape), min_size=1) if shape else st.none())
    keepdim = data.draw(st.booleans())
    x = Tensor(laid_out(array, data.draw(st.sampled_from(LAYOUTS))), requires_grad=True)
    expected = np.asarray(REDUCTIONS[name](array, axis=axes, keepdims=keepdim))
    y = getattr(x, name)(dim=axes, keepdim=keepdim)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.data, expected, rtol=1e-10)
    mg.gradcheck(lambda x: getattr(x, name)(dim=axes, keepdim=keepdim), x)


OVER_LAST = {
    "softmax": lambda x: mg.softmax(x),
    "log_softmax": lambda x: mg.log_softmax(x),
    "layer_norm": lambda x: mg.layer_norm(x, eps=0.1),
    "rms_norm": lambda x: mg.rms_norm(x, eps=0.1),
    "cumsum": lambda x: mg.cumsum(x, -1),
    "sort": lambda x: mg.sort(x).values,
}


@pytest.mark.parametrize("name", OVER_LAST)
@given(shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4), layout=st.sampled_from(LAYOUTS))
def test_rows_of_any_shape_and_stride(name, shape, layout):
    if shape[-1] == 0 and name in ("layer_norm", "rms_norm"):
        shape = (*shape[:-1], 2)  # the mean of nothing has no value
    array = np.random.default_rng(2).permutation(np.prod(shape, dtype=int)).reshape(shape) / 5.0
    x = Tensor(laid_out(array, layout), requires_grad=True)
    np.testing.assert_allclose(OVER_LAST[name](x).data, OVER_LAST[name](Tensor(array.copy())).data, rtol=1e-12)
    mg.gradcheck(OVER_LAST[name], x)


def test_embedding_padding_gathers_no_gradient():
    weight = mg.randn(4, 3, dtype=np.float64, requires_grad=True)
    ids = np.array([[1, 0, 3], [1, 1, 0]])
    for create_graph in (False, True):
        (g,) = mg.grad(mg.embedding(ids, weight, padding_idx=1).sum(), weight, create_graph=create_graph)
        np.testing.assert_array_equal(g.data, np.array([2, 0, 0, 1])[:, None] * np.ones(3))


COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor", "floor_divide"]
TENSORS_ONLY = ["heaviside", "isclose", "isin"]


@pytest.mark.parametrize("name", WITHOUT_GRADIENT)
def test_without_gradient(name):
    if name in ("allclose", "equal", "broadcast_shapes"):
        pytest.skip("gives no tensor; see test_search.py")
    x = mg.tensor([[3, 1, 2], [0, 2, 1]])
    real = mg.randn(2, 3, requires_grad=True)
    if name == "one_hot":
        y = mg.one_hot(x, 4)
    elif name == "bitwise_not":
        y = mg.bitwise_not(x)
    elif name.startswith("bitwise"):
        y = getattr(mg, name)(x, 1)
    elif name == "bincount":
        y = mg.bincount(x[0])
    elif name in ("searchsorted", "bucketize"):
        y = getattr(mg, name)(*[mg.arange(4.0), real][:: -1 if name == "bucketize" else 1])
    elif name in COMPARISONS + TENSORS_ONLY:
        y = getattr(mg, name)(real, mg.ones(1) if name in TENSORS_ONLY else 1)
    else:
        y = getattr(mg, name)(real)
    assert isinstance(y, Tensor)
    assert not y.requires_grad


def test_casting_carries_the_gradient():
    x = mg.randn(3, requires_grad=True)
    (x.double() * 2).sum().backward()
    assert x.grad.dtype == np.float32
    np.testing.assert_array_equal(x.grad.data, [2, 2, 2])
