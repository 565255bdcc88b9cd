"""linear: every implementation against reference, reference against formulas and finite differences."""

import math

import numpy as np
import pytest

from minigrad.kernels.reference import linear as reference
from tests.minigrad.kernels.implementations import others, run

BACKENDS = others("linear")
ACTIVATIONS = [None, "relu", "gelu", "gelu_tanh", "silu"]
FORMULAS = {
    "relu": lambda x: max(x, 0.0),
    "gelu": lambda x: x * 0.5 * math.erfc(-x / math.sqrt(2)),
    "gelu_tanh": lambda x: x * 0.5 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "silu": lambda x: x / (1 + math.exp(-x)),
}
ALL = (True, True, True)


def normal(shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def close(actual, expected):
    assert (actual is None) == (expected is None)
    if expected is not None:
        assert actual.dtype == expected.dtype
        assert actual.shape == expected.shape
        np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=2e-5 * max(1, math.sqrt(expected.size)))


def check(backend, x, weight, bias, grad, activation, needs=ALL):
    """Against the reference in float64: its sums of 50,000 float32 would be the rougher ones."""
    y, pre = run(backend, "linear", x, weight, bias, activation)
    *exact, exact_grad = (None if array is None else array.astype(np.float64) for array in (x, weight, bias, grad))
    expected_y, expected_pre = reference.linear(*exact, activation)
    close(y, _float32(expected_y))
    close(pre, _float32(expected_pre))
    before = grad.copy()
    actual = run(backend, "linear_backward", grad, x, weight, pre, activation, needs)
    expected = reference.linear_backward(exact_grad, *exact[:2], expected_pre, activation, needs)
    for one, other in zip(actual, expected, strict=True):
        close(one, _float32(other))
    np.testing.assert_array_equal(grad, before)  # it belongs to someone else


def _float32(array):
    return None if array is None else array.astype(np.float32)


SHAPES = [(1, 1, 1), (0, 3, 4), (3, 0, 4), (3, 4, 0), (65, 7, 33), (1, 30, 300), (130, 5, 600)]  # (rows, in, out)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("with_bias", [True, False])
def test_matches_reference(backend, activation, shape, with_bias):
    rows, n_in, n_out = shape
    bias = normal(n_out, 2) if with_bias else None
    check(backend, normal((rows, n_in)), normal((n_out, n_in), 1), bias, normal((rows, n_out), 3), activation)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_bias_for_all_threads(activation):
    shapes = ((13, 2), (50_000, 2), 50_000, (13, 50_000))
    check("numba", *(normal(shape, seed) for seed, shape in enumerate(shapes)), activation)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    "view",
    [
        lambda x: np.ascontiguousarray(x.T).T,
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: x[::-1].copy()[::-1],
        lambda x: np.broadcast_to(x[:1], x.shape),
        lambda x: np.broadcast_to(x[:, :1], x.shape),
    ],
)
def test_any_strides(backend, activation, view):
    x, weight, grad = view(normal((40, 6))), view(normal((50, 6), 1)), view(normal((40, 50), 2))
    check(backend, x, weight, np.repeat(normal(50, 3), 2)[::2], grad, activation)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("needs", [(a, b, c) for a in (False, True) for b in (False, True) for c in (False, True)])
def test_computes_only_what_is_needed(backend, needs):
    for activation in (None, "relu"):
        check(backend, normal((9, 4)), normal((5, 4), 1), normal(5, 2), normal((9, 5), 3), activation, needs)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_extreme_values(backend, activation):
    values = np.array([np.inf, -np.inf, np.nan, 1e30, -1e30, 88, -88, 41, -41, 1e-40, 0], np.float32)
    check(
        backend, values[:, None], np.ones((1, 1), np.float32), np.zeros(1, np.float32),
        np.ones((len(values), 1), np.float32), activation, (True, False, False),
    )  # fmt: skip


@pytest.mark.parametrize("activation", ACTIVATIONS[1:])
def test_reference_is_the_formula(activation):
    x, weight, bias = (normal(s, i, np.float64) for i, s in enumerate([(4, 3), (5, 3), 5]))
    y, pre = reference.linear(x, weight, bias, activation)
    for r in range(4):
        for c in range(5):
            value = sum(x[r, i] * weight[c, i] for i in range(3)) + bias[c]
            assert pre[r, c] == pytest.approx(value, rel=1e-12)
            assert y[r, c] == pytest.approx(FORMULAS[activation](value), rel=1e-10, abs=1e-14)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_reference_gradients_are_finite_differences(activation):
    inputs = [normal(s, i, np.float64) for i, s in enumerate([(4, 3), (5, 3), 5])]
    grad = normal((4, 5), 9, np.float64)
    _, pre = reference.linear(*inputs, activation)
    gradients = reference.linear_backward(grad, inputs[0], inputs[1], pre, activation, ALL)
    for array, gradient in zip(inputs, gradients, strict=True):
        direction = np.random.default_rng(5).standard_normal(array.shape)
        ends = []
        for sign in (1, -1):
            array += sign * 1e-6 * direction
            ends.append((reference.linear(*inputs, activation)[0] * grad).sum())
            array -= sign * 1e-6 * direction
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx((gradient * direction).sum(), rel=1e-6)


@pytest.mark.parametrize("backend", ["reference", *BACKENDS])
def test_unknown_activation(backend):
    with pytest.raises(ValueError, match=r"linear: activation 'swish'; choose None or one of relu, gelu"):
        run(backend, "linear", normal((2, 2)), normal((2, 2)), None, "swish")


def test_same_bits_for_any_number_of_threads():
    import numba

    grad, x, weight = normal((700, 300)), normal((700, 8), 1), normal((300, 8), 2)
    _, pre = run("numba", "linear", x, weight, None, "gelu_tanh")
    results = []
    for threads in (1, numba.get_num_threads()):
        before = numba.get_num_threads()
        numba.set_num_threads(threads)
        results.append(run("numba", "linear_backward", grad, x, weight, pre, "gelu_tanh", (False, False, True))[2])
        numba.set_num_threads(before)
    np.testing.assert_array_equal(*results)
