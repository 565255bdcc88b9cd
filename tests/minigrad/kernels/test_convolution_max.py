"""Convolution and maximum over time: numba against reference, reference against windows one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import kernels

BACKENDS = ["numba", "reference"]
ALL = (True, True, True)


def run(backend, name, *args):
    with kernels.use(backend), kernels.strict():
        return getattr(kernels, name)(*args)


def problem(batch, time, channels, filters, width, seed=0):
    rng = np.random.default_rng(seed)
    x, weight = (
        rng.standard_normal(shape, np.float32) for shape in ((batch, time, channels), (filters, channels, width))
    )
    bias, grad = rng.standard_normal(filters).astype("f4"), rng.standard_normal((batch, filters)).astype("f4")
    return x, weight, bias, rng.integers(1, time + 1, batch), grad


def window_by_window(x, weight, bias, lengths):
    """The definition: every window that touches the text, one after the other."""
    filters, _, width = weight.shape
    y, start = np.full((len(x), filters), -np.inf), np.zeros((len(x), filters), int)
    for b, length in enumerate(lengths):
        for t in range(1 - width, length):
            value = bias.astype(np.float64)
            for j in range(width):
                if 0 <= t + j < length:
                    value = value + weight[:, :, j] @ x[b, t + j].astype(np.float64)
            better = value > y[b]
            y[b, better], start[b, better] = value[better], t
    return y, start


SIZES = st.tuples(*[st.integers(1, high) for high in (4, 9, 7, 6, 5)])  # batch, time, channels, filters, width


@pytest.mark.parametrize("backend", BACKENDS)
@given(sizes=SIZES, seed=st.integers(0, 99))
def test_is_the_best_of_all_windows(backend, sizes, seed):
    x, weight, bias, lengths, _ = problem(*sizes, seed)
    y, start = run(backend, "conv1d_max", x, weight, bias, lengths)
    expected, first = window_by_window(x, weight, bias, lengths)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(start, first)


@given(sizes=SIZES, seed=st.integers(0, 99))
def test_backward_equals_the_reference(sizes, seed):
    x, weight, bias, lengths, grad = problem(*sizes, seed)
    _, start = run("reference", "conv1d_max", x, weight, bias, lengths)
    ours = run("numba", "conv1d_max_backward", grad, x, weight, start, lengths, ALL)
    theirs = run("reference", "conv1d_max_backward", grad, x, weight, start, lengths, ALL)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_padding_does_not_matter(backend):
    x, weight, bias, lengths, grad = problem(5, 8, 16, 12, 3)
    longer = np.concatenate([x, np.full((5, 4, 16), np.nan, np.float32)], 1)
    for b, length in enumerate(lengths):
        longer[b, length:] = 1e30  # whatever stands there
    y, start = run(backend, "conv1d_max", x, weight, bias, lengths)
    np.testing.assert_array_equal(run(backend, "conv1d_max", longer, weight, bias, lengths)[0], y)
    dx = run(backend, "conv1d_max_backward", grad, longer, weight, start, lengths, ALL)[0]
    assert not dx[np.arange(12) >= lengths[:, None]].any()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("place", [0, 3, 6])
def test_nan_is_the_maximum_and_the_first_one_stands(backend, place):
    """It was lost if a window after it was whole."""
    x, weight, bias, _, _ = problem(2, 9, 3, 4, 2)
    x[0, place] = x[0, place + 1] = np.nan
    y, start = run(backend, "conv1d_max", x, weight, bias, np.array([9, 9]))
    assert np.isnan(y[0]).all()
    assert np.isfinite(y[1]).all()
    np.testing.assert_array_equal(start[0], place - 1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_only_what_is_needed(backend):
    x, weight, bias, lengths, grad = problem(2, 5, 3, 4, 2)
    _, start = run(backend, "conv1d_max", x, weight, bias, lengths)
    for needs in [(True, False, False), (False, True, False), (False, False, True)]:
        found = run(backend, "conv1d_max_backward", grad, x, weight, start, lengths, needs)
        assert tuple(g is not None for g in found) == needs


@pytest.mark.parametrize("backend", BACKENDS)
def test_shapes_and_lengths_that_do_not_fit(backend):
    x, weight, bias, lengths, _ = problem(2, 5, 3, 4, 2)
    with pytest.raises(ValueError, match=r"weight \(4, 2, 2\).*expected \(batch, time, channels\)"):
        run(backend, "conv1d_max", x, weight[:, :2], bias, lengths)
    for wrong in (0, 6):
        with pytest.raises(ValueError, match=r"lengths from \d to \d; expected 1 to 5"):
            run(backend, "conv1d_max", x, weight, bias, np.array([wrong, 3]))


@pytest.mark.parity
@pytest.mark.parametrize("backend", BACKENDS)
def test_torch_parity(backend):
    torch = pytest.importorskip("torch")
    x, weight, bias, lengths, grad = problem(6, 20, 32, 24, 4)
    inside = torch.tensor(np.arange(20) < lengths[:, None])
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, weight, bias)]
    masked = torch.where(inside[..., None], tensors[0], 0.0)
    y = torch.nn.functional.conv1d(masked.mT, tensors[1], tensors[2], padding=3)
    y = y.masked_fill((torch.arange(23) >= torch.tensor(lengths)[:, None] + 3)[:, None], -torch.inf).amax(2)
    y.backward(torch.tensor(grad))
    ours, start = run(backend, "conv1d_max", x, weight, bias, lengths)
    np.testing.assert_allclose(ours, y.detach().numpy(), rtol=1e-4, atol=1e-4)
    found = run(backend, "conv1d_max_backward", grad, x, weight, start, lengths, ALL)
    for one, tensor in zip(found, tensors, strict=True):
        np.testing.assert_allclose(one, tensor.grad.numpy(), rtol=1e-4, atol=1e-4)
