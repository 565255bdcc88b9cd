"""softmax and log_softmax: every implementation against reference, reference against finite differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from minigrad.kernels.reference import softmax as reference
from tests.minigrad.kernels.implementations import others, run

SHAPES = [(1,), (7,), (0,), (3, 0), (0, 5), (1, 1), (5, 33), (2, 3, 64), (3, 5000), (300, 8)]
pytestmark = pytest.mark.parametrize("backend", others("softmax"))


def check(backend, name, *args, atol=1e-6):
    before = [a.copy() for a in args]
    with np.errstate(invalid="ignore"):
        expected = getattr(reference, name)(*args)
    actual = run(backend, name, *args)
    assert actual.dtype == np.float32
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=atol)
    for array, old in zip(args, before, strict=True):
        np.testing.assert_array_equal(array, old)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_matches_reference(backend, name, shape):
    x = 5 * normal(*shape)
    check(backend, name, x)
    check(backend, f"{name}_backward", normal(*shape, seed=1), getattr(reference, name)(x), atol=1e-5)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize(
    "view",
    [lambda x: x.T, lambda x: x[::2, ::-3], lambda x: np.broadcast_to(x[:1], (4, 60))],
    ids=["transposed", "strided", "broadcast"],
)
def test_any_strides(backend, name, view):
    x = view(normal(40, 60))
    check(backend, name, x)
    grad = view(normal(40, 60, seed=1))
    check(backend, f"{name}_backward", grad, getattr(reference, name)(x), atol=1e-5)


INF, NAN = np.inf, np.nan


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize(
    "row",
    [
        [1e30, 0, -1e30],
        [-INF, 0, 1],
        [-INF, -INF, 3],
        [-INF, -INF, -INF],
        [INF, 0, 1],
        [NAN, 0, 1],
        [3e38, 3e38, -3e38],
        [-1e30, -1e30, -1e30],
        [1e-40, 0, 88.7],
    ],
    ids=str,
)
def test_extreme_values(backend, name, row):
    check(backend, name, np.array([row, [0, 1, 2]] * 3, np.float32))
    check(backend, name, np.array([row * 15] * 2, np.float32))


def test_masked_entries_are_exactly_zero(backend):
    x = normal(4, 50)
    x[:, 20:] = -np.inf
    assert (run(backend, "softmax", x)[:, 20:] == 0).all()


def test_a_row_of_minus_infinity_is_nan(backend):
    assert np.isnan(run(backend, "softmax", np.full((2, 40), -np.inf, np.float32))).all()


@settings(max_examples=40, deadline=None)
@given(arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 70)), elements=st.floats(-1e4, 1e4, width=32)))
def test_rows_are_distributions_and_shifts_do_not_matter(backend, x):
    y = run(backend, "softmax", x)
    assert (y >= 0).all()
    np.testing.assert_allclose(y.sum(axis=-1), 1, atol=1e-5)
    np.testing.assert_allclose(run(backend, "softmax", x + 1024), y, atol=2e-3)  # x + 1024 rounds to 2^-13 … 2^-10
    np.testing.assert_allclose(np.exp(run(backend, "log_softmax", x)), y, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_reference_gradient_by_finite_differences(backend, name):
    forward, backward = getattr(reference, name), getattr(reference, f"{name}_backward")
    rng = np.random.default_rng(0)
    x, grad, direction = rng.standard_normal((3, 4, 6))
    h = 1e-6
    numeric = ((forward(x + h * direction) - forward(x - h * direction)) / (2 * h) * grad).sum()
    np.testing.assert_allclose((backward(grad, forward(x)) * direction).sum(), numeric, rtol=1e-7)
