"""cuBLAS by its C interface: how it is told an array's layout, and on a GPU what it computes within a graph."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided

import minigrad as mg
from minigrad.cuda_graph import WARM_UP, RecordingError
from minigrad.kernels.cuda import cublas

sizes = st.integers(1, 4)
VIEWS = {
    "as it is": lambda x: x,
    "transposed": lambda x: x.swapaxes(1, 2),
    "part of the columns": lambda x: x[:, :, :2],
    "part of the rows": lambda x: x[:, :1],
    "every other column": lambda x: x[:, :, ::2],
    "every other row": lambda x: x[:, ::2],
    "backwards": lambda x: x[:, ::-1, ::-1],
    "one matrix for all": lambda x: np.broadcast_to(x[0], x.shape),
    "one row for all": lambda x: np.broadcast_to(x[:, :1], x.shape),
    "items inside": lambda x: x.transpose(1, 0, 2),
}


@given(sizes, sizes, sizes, st.sampled_from(sorted(VIEWS)), st.booleans())
def test_what_cublas_is_told_is_where_the_numbers_are(items, rows, columns, view, transposed):
    x = VIEWS[view](np.arange(items * rows * columns).reshape(items, rows, columns))
    x = x.swapaxes(1, 2) if transposed else x
    y, operation, leading, step = cublas.operand(x)
    _, rows, columns = x.shape
    # What lies in rows is, to cuBLAS, a matrix of `columns` rows; the leading dimension cannot be less (its manual).
    assert leading >= (columns if operation == 0 else rows) > 0
    item = y.itemsize
    strides = (step * item, leading * item, item) if operation == 0 else (step * item, item, leading * item)
    np.testing.assert_array_equal(as_strided(y, x.shape, strides), x)


@pytest.mark.parametrize(
    "batches", [((), ()), ((2, 3), (2, 3)), ((2, 3), (3,)), ((3,), ()), ((), (4,)), ((2, 1), (1, 3))]
)
def test_operands_are_brought_into_one_batch(batches):
    a, b = (
        np.random.default_rng(i).normal(size=(*batch, *shape))
        for i, (batch, shape) in enumerate(zip(batches, [(4, 5), (5, 2)], strict=True))
    )
    batch = np.broadcast_shapes(*batches)
    one, other = cublas.in_one_batch(a, batch), cublas.in_one_batch(b, batch)
    assert one.ndim == other.ndim == 3
    np.testing.assert_array_equal((one @ other).reshape(*batch, 4, 2), a @ b)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("shapes", [((3, 5), (5, 4)), ((2, 6, 3, 5), (6, 5, 1)), ((7, 1, 8), (8, 9)), ((2, 0), (0, 3))])
@pytest.mark.parametrize("transposed", [(), (0,), (1,), (0, 1)])
def test_products_in_a_graph(dtype, shapes, transposed):
    arrays = []
    for i, shape in enumerate(shapes):
        shape = (*shape[:-2], shape[-1], shape[-2]) if i in transposed else shape
        x = mg.randn(*shape, device="cuda").astype(dtype)
        arrays.append(mg.swapaxes(x, -1, -2) if i in transposed else x)
    graph = mg.CudaGraph(lambda: (arrays[0] @ arrays[1]).data)
    for _ in range(5):
        found = graph.run()
    graph.stream.synchronize()
    assert graph.is_recorded
    expected = arrays[0].cpu().astype("float64") @ arrays[1].cpu().astype("float64")
    tolerance = {"float32": 1e-5, "float64": 1e-12, "float16": 2e-2, "bfloat16": 1e-1}[dtype]
    np.testing.assert_allclose(found.get().astype(float), expected.numpy(), atol=tolerance, rtol=tolerance)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("shapes", [((3, 5), (5, 4)), ((2, 6, 3, 5), (6, 5, 1)), ((7, 1, 8), (8, 9))])
def test_batches_in_half_precision(dtype, shapes):
    """cupy's own product does not take them in bfloat16."""
    a, b = (mg.randn(*shape, device="cuda").astype(dtype) for shape in shapes)
    expected = a.cpu().astype("float64") @ b.cpu().astype("float64")
    found = (a @ b).cpu()
    assert found.dtype == a.dtype
    tolerance = {"float16": 2e-2, "bfloat16": 1e-1}[dtype]
    np.testing.assert_allclose(found.numpy().astype(float), expected.numpy(), atol=tolerance, rtol=tolerance)


@pytest.mark.gpu
def test_what_reads_a_number_back_cannot_be_recorded():
    x = mg.ones(3, device="cuda")
    graph = mg.CudaGraph(lambda: x * x.sum().item())
    for _ in range(WARM_UP):
        graph.run()
    with pytest.raises(RecordingError, match="the work cannot be recorded: "):
        graph.run()
    assert not graph.is_recorded
    assert (x + x).sum().item() == 6  # the device goes on
