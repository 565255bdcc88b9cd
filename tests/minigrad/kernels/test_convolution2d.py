"""Convolution over height and width: numba and reference against windows one by one; each other's gradients."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import kernels
from tests.support.windows import conv2d as window_by_window

ALL = (True, True, True)


def run(backend, name, *args):
    with kernels.use(backend), kernels.strict():
        return getattr(kernels, name)(*args)


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


def problem(batch, channels, sizes, filters, field, groups=1, seed=0):
    rng = np.random.default_rng(seed)
    return (
        rng.standard_normal((batch, channels * groups, *sizes), np.float32),
        rng.standard_normal((filters * groups, channels, *field), np.float32),
        rng.standard_normal(filters * groups, np.float32),
    )


def close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=2e-4)


@given(
    numbers=st.tuples(*[st.integers(1, high) for high in (5, 3, 30, 3)]),  # batch, channels, filters, groups
    sizes=pairs(1, 9), field=pairs(1, 4), stride=pairs(1, 3), padding=st.tuples(pairs(0, 4), pairs(0, 4)),
    dilation=pairs(1, 2), seed=st.integers(0, 99),
)  # fmt: skip
def test_both_equal_the_windows_and_each_others_gradients(numbers, sizes, field, stride, padding, dilation, seed):
    batch, channels, filters, groups = numbers
    reach = [d * (n - 1) + 1 for d, n in zip(dilation, field, strict=True)]
    sizes = tuple(max(size, r - sum(p)) for size, r, p in zip(sizes, reach, padding, strict=True))  # one window fits
    x, weight, bias = problem(batch, channels, sizes, filters, field, groups, seed)
    settings = (stride, padding, dilation, groups)
    expected = window_by_window(x, weight, bias, *settings)
    for backend in ("numba", "reference"):
        y = run(backend, "conv2d", x, weight, bias, *settings)
        assert y.dtype == np.float32
        close(y, expected)
    grad = np.random.default_rng(seed).standard_normal(expected.shape, np.float32)
    for ours, theirs in zip(
        run("numba", "conv2d_backward", grad, x, weight, *settings, ALL),
        run("reference", "conv2d_backward", grad, x, weight, *settings, ALL),
        strict=True,
    ):
        assert ours.shape == theirs.shape
        close(ours, theirs)


@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_the_gradients_are_the_transposes(backend):
    """The convolution is linear in x and in weight: <g, conv(x, w)> = <dx, x> = <dw, w>."""
    rng = np.random.default_rng(0)
    x, weight, _ = problem(3, 2, (7, 6), 5, (3, 2), 2)
    settings = ((2, 1), ((1, 2), (0, 3)), (1, 2), 2)
    y = run(backend, "conv2d", x, weight, None, *settings)
    grad = rng.standard_normal(y.shape, np.float32)
    dx, dweight, dbias = run(backend, "conv2d_backward", grad, x, weight, *settings, ALL)
    product = (grad * y).sum()
    np.testing.assert_allclose([(dx * x).sum(), (dweight * weight).sum()], [product, product], rtol=1e-4)
    close(dbias, grad.sum((0, 2, 3)))


@pytest.mark.parametrize("backend", ["numba", "reference"])
@pytest.mark.parametrize("needs", [(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)])
def test_only_what_is_needed(backend, needs):
    x, weight, _ = problem(2, 2, (5, 5), 3, (3, 3))
    grad = np.ones((2, 3, 3, 3), np.float32)
    found = run(backend, "conv2d_backward", grad, x, weight, (1, 1), ((0, 0), (0, 0)), (1, 1), 1, needs)
    assert [each is not None for each in found] == [bool(need) for need in needs]


@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_any_strides_and_no_images(backend):
    x, weight, bias = problem(2, 3, (6, 5), 4, (3, 3))
    grad = np.random.default_rng(1).standard_normal((2, 4, 6, 5), np.float32)
    settings = ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    views = [np.asfortranarray(each)[:] for each in (grad, x, weight)]
    doubled = [np.repeat(each, 2, -1)[..., ::2] for each in (grad, x, weight)]
    expected = run(backend, "conv2d_backward", grad, x, weight, *settings, ALL)
    for other in (views, doubled):
        close(run(backend, "conv2d", other[1], other[2], bias, *settings), window_by_window(x, weight, bias, *settings))
        for ours, theirs in zip(run(backend, "conv2d_backward", *other, *settings, ALL), expected, strict=True):
            close(ours, theirs)
    none = run(backend, "conv2d", x[:0], weight, bias, *settings)
    assert none.shape == (0, 4, 6, 5)
    dx, dweight, dbias = run(backend, "conv2d_backward", none, x[:0], weight, *settings, ALL)
    assert dx.shape == (0, 3, 6, 5)
    assert not dweight.any()
    assert not dbias.any()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_one_number_that_is_not_finite_stays_in_the_windows_that_see_it(value):
    x, weight, bias = problem(3, 1, (6, 6), 2, (3, 3))
    x[1, 0, 2, 5] = value
    for backend in ("numba", "reference"):
        y = run(backend, "conv2d", x, weight, bias, (1, 1), ((0, 0), (0, 0)), (1, 1), 1)
        bad = ~np.isfinite(y)
        assert bad[1, :, :3, 3].all()
        assert bad.sum() == 2 * 3


# more than a vector in a row, a tile of filters, a block of windows, a stretch of elements, one partial sum
LARGE = [
    (5, 23, (19, 33), 45, (3, 3), 1, (1, 1), 1),
    (9, 3, (17, 67), 35, (2, 5), 2, (2, 3), 2),
    (70, 1, (7, 7), 17, (3, 3), 1, (1, 1), 1),
    (130, 2, (1, 50), 33, (1, 1), 1, (1, 2), 0),
]


@pytest.mark.parametrize(("batch", "channels", "sizes", "filters", "field", "groups", "stride", "padding"), LARGE)
def test_more_than_fits_a_vector_a_tile_or_a_block(batch, channels, sizes, filters, field, groups, stride, padding):
    x, weight, bias = problem(batch, channels, sizes, filters, field, groups)
    settings = (stride, ((padding, padding),) * 2, (1, 1), groups)
    expected = run("reference", "conv2d", x, weight, bias, *settings)
    np.testing.assert_allclose(run("numba", "conv2d", x, weight, bias, *settings), expected, rtol=1e-3, atol=1e-3)
    grad = np.random.default_rng(1).standard_normal(expected.shape, np.float32)
    for ours, theirs in zip(
        run("numba", "conv2d_backward", grad, x, weight, *settings, ALL),
        run("reference", "conv2d_backward", grad, x, weight, *settings, ALL),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=2e-3)


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("backend", ["numba", "reference"])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2)])
def test_nan_does_not_spread_to_other_images_filters_or_channels(backend, stride):
    settings = (stride, ((1, 1), (1, 1)), (1, 1), 1)
    x, weight, bias = problem(5, 3, (7, 9), 19, (3, 3))
    y = run(backend, "conv2d", x, weight, bias, *settings)
    grad = np.ones_like(y)
    x[2] = np.nan
    changed = run(backend, "conv2d", x, weight, bias, *settings)
    assert np.isnan(changed[2]).all()
    close(np.delete(changed, 2, 0), np.delete(y, 2, 0))

    x[...] = 1
    x[:, 1] = np.nan
    grad[:, 4] = np.nan
    _, dweight, dbias = run(backend, "conv2d_backward", grad, x, weight, *settings, ALL)
    bad = np.zeros(weight.shape, bool)
    bad[4] = bad[:, 1] = True
    np.testing.assert_array_equal(np.isnan(dweight), bad)
    np.testing.assert_array_equal(np.isnan(dbias), np.arange(19) == 4)

    grad[...] = 1
    grad[3] = np.inf
    dx, _, _ = run(backend, "conv2d_backward", grad, x, weight, *settings, ALL)
    assert np.isfinite(np.delete(dx, 3, 0)).all()
    assert not np.isfinite(dx[3]).any()


@pytest.mark.parity
@pytest.mark.parametrize(("filters", "field", "padding"), [(16, 5, 0), (32, 3, 1), (64, 3, 1)])
def test_lenets_shapes_equal_torch(filters, field, padding):
    torch = pytest.importorskip("torch")
    x, weight, bias = problem(8, 6, (14, 14), filters, (field, field))
    settings = ((1, 1), ((padding,) * 2,) * 2, (1, 1), 1)
    tensors = [torch.tensor(each, requires_grad=True) for each in (x, weight, bias)]
    y = torch.nn.functional.conv2d(*tensors, padding=padding)
    close(run("numba", "conv2d", x, weight, bias, *settings), y.detach().numpy())
    grad = np.random.default_rng(1).standard_normal(tuple(y.shape), np.float32)
    y.backward(torch.tensor(grad))
    for ours, tensor in zip(run("numba", "conv2d_backward", grad, x, weight, *settings, ALL), tensors, strict=True):
        np.testing.assert_allclose(ours, tensor.grad.numpy(), rtol=1e-3, atol=1e-3)
