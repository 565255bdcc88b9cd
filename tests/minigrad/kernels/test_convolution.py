"""Convolution over time: numba against reference, reference against windows one by one, overlapping views."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided

from minigrad import kernels
from tests.support.ops_table import conv1d as window_by_window

BACKENDS = ["numba", "reference"]
ALL = (True, True, True)
NEEDS = [(a, b, c) for a in (False, True) for b in (False, True) for c in (False, True)]


def run(backend, name, *args):
    with kernels.use(backend), kernels.strict():
        return getattr(kernels, name)(*args)


def problem(batch, channels, time, filters, width, padding=(0, 0), seed=0):
    rng = np.random.default_rng(seed)
    x, weight, bias = (
        rng.standard_normal(shape, np.float32)
        for shape in ((batch, channels, time), (filters, channels, width), filters)
    )
    grad = rng.standard_normal((batch, filters, time + sum(padding) - width + 1)).astype("f4")
    return x, weight, bias, grad


def close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


SIZES = st.tuples(*[st.integers(1, high) for high in (4, 20, 9, 18, 5)])  # batch, channels, time, filters, width
PADDING = st.tuples(st.integers(0, 6), st.integers(0, 6))


@given(sizes=SIZES, padding=PADDING, seed=st.integers(0, 99))
def test_numba_equals_the_windows_and_the_reference(sizes, padding, seed):
    _, _, time, _, width = sizes
    padding = (padding[0] + max(0, width - time), padding[1])  # so that one window fits
    x, weight, bias, grad = problem(*sizes, padding, seed)
    settings = (1, padding, 1, 1)
    y = run("numba", "conv1d", x, weight, bias, *settings)
    close(y, window_by_window(x, weight, bias, padding=padding))
    assert y.dtype == np.float32
    for ours, theirs in zip(
        run("numba", "conv1d_backward", grad, x, weight, *settings, ALL),
        run("reference", "conv1d_backward", grad, x, weight, *settings, ALL),
        strict=True,
    ):
        assert ours.shape == theirs.shape
        close(ours, theirs)


@given(
    sizes=st.tuples(*[st.integers(1, high) for high in (3, 3, 9, 3, 4)]),
    padding=PADDING,
    stride=st.integers(1, 4),
    dilation=st.integers(1, 3),
    groups=st.integers(1, 3),
)
def test_reference_equals_the_windows(sizes, padding, stride, dilation, groups):
    batch, channels, time, filters, width = sizes
    padding = (padding[0] + max(0, dilation * (width - 1) + 1 - time), padding[1])
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, channels * groups, time))
    weight = rng.standard_normal((filters * groups, channels, width))
    y = run("reference", "conv1d", x, weight, None, stride, padding, dilation, groups)
    np.testing.assert_allclose(y, window_by_window(x, weight, 0.0, stride, padding, dilation, groups), atol=1e-10)
    # The rule is linear in x and in the weight: <g, conv(x, w)> is the inner product with either gradient.
    grad = rng.standard_normal(y.shape)
    dx, dweight, dbias = run("reference", "conv1d_backward", grad, x, weight, stride, padding, dilation, groups, ALL)
    value = (grad * y).sum()
    np.testing.assert_allclose([(dx * x).sum(), (dweight * weight).sum()], value, atol=1e-8)
    np.testing.assert_allclose(dbias, grad.sum((0, 2)))


VIEWS = {
    "channels last": lambda x: np.ascontiguousarray(x.transpose(0, 2, 1)).transpose(0, 2, 1),
    "every other": lambda x: np.repeat(x, 2, axis=2)[:, :, ::2],
    "backwards": lambda x: x[::-1].copy()[::-1],
    "one repeated": lambda x: np.broadcast_to(x[:, :1], x.shape),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_any_strides(view, backend):
    x, weight, bias, grad = problem(3, 20, 30, 18, 4, (2, 1))
    x, weight, grad = view(x), view(weight), view(grad)
    settings = (1, (2, 1), 1, 1)
    copies = [np.ascontiguousarray(a) for a in (x, weight, grad)]
    close(run(backend, "conv1d", x, weight, bias, *settings), window_by_window(x, weight, bias, padding=(2, 1)))
    for ours, theirs in zip(
        run(backend, "conv1d_backward", grad, x, weight, *settings, ALL),
        run("reference", "conv1d_backward", copies[2], *copies[:2], *settings, ALL),
        strict=True,
    ):
        close(ours, theirs)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("needs", NEEDS)
def test_computes_only_what_is_needed(backend, needs):
    x, weight, _, grad = problem(2, 3, 6, 4, 2)
    found = run(backend, "conv1d_backward", grad, x, weight, 1, (0, 0), 1, 1, needs)
    assert tuple(g is not None for g in found) == needs


def test_what_numba_does_not_take_goes_to_the_reference():
    x, weight, bias, _ = problem(2, 4, 60, 8, 3)
    for settings in [(2, (0, 0), 1, 1), (1, (0, 0), 2, 1)]:
        assert kernels.conv1d.choose(x, weight, bias, *settings).__module__.endswith("reference.convolution")
        close(kernels.conv1d(x, weight, bias, *settings), window_by_window(x, weight, bias, *settings))
    big = np.zeros((8, 16, 60), np.float32)
    assert kernels.conv1d.choose(big, weight, bias, 1, (0, 0), 1, 1).__module__.endswith("cpu.convolution")


@pytest.mark.parametrize("backend", ["numba", "blas"])
def test_matrix_product_of_overlapping_rows(backend):
    """What the windows of a convolution are: BLAS takes a copy, our product the view."""
    flat = np.random.default_rng(0).standard_normal(1000).astype("f4")
    windows = as_strided(flat, (150, 48), (4 * 6, 4))
    other = np.random.default_rng(1).standard_normal((48, 20)).astype("f4")
    close(run(backend, "matmul", windows, other), windows.copy() @ other)
    close(run(backend, "matmul", other.T[:, :48], windows.T), other.T @ windows.T.copy())


@pytest.mark.parity
@pytest.mark.parametrize("padding", [0, 2])
def test_torch_parity_at_a_size_for_the_fast_kernels(padding):
    torch = pytest.importorskip("torch")
    x, weight, bias, grad = problem(6, 32, 50, 48, 5, (padding, padding))
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, weight, bias)]
    y = torch.nn.functional.conv1d(*tensors, padding=padding)
    y.backward(torch.tensor(grad))
    settings = (1, (padding, padding), 1, 1)
    close(run("numba", "conv1d", x, weight, bias, *settings), y.detach().numpy())
    for ours, tensor in zip(run("numba", "conv1d_backward", grad, x, weight, *settings, ALL), tensors, strict=True):
        np.testing.assert_allclose(ours, tensor.grad.numpy(), rtol=1e-3, atol=2e-4)
