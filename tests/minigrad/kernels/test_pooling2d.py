"""The largest of each window: numba against reference and windows one by one, ties, NaN, windows that see nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import kernels
from tests.support.windows import pool2d


def run(backend, name, *args):
    with kernels.use(backend), kernels.strict():
        return getattr(kernels, name)(*args)


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@given(
    images=st.integers(0, 4), sizes=pairs(1, 9), field=pairs(1, 4), stride=pairs(1, 3), dilation=pairs(1, 2),
    padding=pairs(0, 2), seed=st.integers(0, 99), few=st.booleans(),
)  # fmt: skip
def test_both_equal_the_windows(images, sizes, field, stride, dilation, padding, seed, few):
    reach = [d * (n - 1) + 1 for d, n in zip(dilation, field, strict=True)]
    sizes = tuple(max(size, r - 2 * p) for size, r, p in zip(sizes, reach, padding, strict=True))
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 2, (images, *sizes)).astype("f") if few else rng.standard_normal((images, *sizes), np.float32)
    out = tuple((n + 2 * p - r) // s + 1 for n, p, r, s in zip(sizes, padding, reach, stride, strict=True))
    settings = (field, stride, padding, dilation, out)
    y, position = run("numba", "max_pool2d", x, *settings)
    expected, places = run("reference", "max_pool2d", x, *settings)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(position, places)
    if images:
        np.testing.assert_array_equal(y, pool2d(x, np.max, field, stride, padding, dilation))
    grad = rng.standard_normal(y.shape, np.float32)
    dx = run("numba", "max_pool2d_backward", grad, position, x.shape)
    np.testing.assert_allclose(
        dx, run("reference", "max_pool2d_backward", grad, position, x.shape), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(dx.sum(), grad[position >= 0].sum(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_nan_is_the_largest_and_minus_infinity_is_found(backend):
    x = np.array([[[1, np.nan, -np.inf, -np.inf], [5, 2, -np.inf, -np.inf]]], np.float32)
    y, position = run(backend, "max_pool2d", x, (2, 2), (2, 2), (0, 0), (1, 1), (1, 2))
    np.testing.assert_array_equal(y, [[[np.nan, -np.inf]]])
    np.testing.assert_array_equal(position, [[[1, 2]]])


@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_a_window_that_sees_nothing_gives_no_gradient(backend):
    x = np.ones((1, 2, 2), np.float32)
    y, position = run(backend, "max_pool2d", x, (2, 2), (1, 1), (1, 1), (3, 3), (1, 1))
    assert y.tolist() == [[[-np.inf]]]
    assert position.tolist() == [[[-1]]]
    assert not run(backend, "max_pool2d_backward", np.ones((1, 1, 1), np.float32), position, x.shape).any()
