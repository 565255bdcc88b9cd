"""GELU and SiLU: every implementation against reference, reference against formulas, finite differences and torch."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from minigrad.kernels.reference import activation as reference
from tests.minigrad.kernels.implementations import others, run

BACKENDS = others("gelu")
FUNCTIONS = [("gelu", "none"), ("gelu", "tanh"), ("silu",)]
FORMULAS = {
    ("gelu", "none"): lambda x: x * 0.5 * math.erfc(-x / math.sqrt(2)),
    ("gelu", "tanh"): lambda x: x * 0.5 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    ("silu",): lambda x: x / (1 + math.exp(-x)),
}


def check(backend, function, x, grad):
    name, *options = function
    for suffix, args in (("", (x,)), ("_backward", (grad, x))):
        expected = getattr(reference, name + suffix)(*args, *options)
        actual = run(backend, name + suffix, *args, *options)
        assert actual.dtype == expected.dtype == np.float32
        assert actual.shape == expected.shape
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=2e-6)


def normal(shape, seed=0):
    return 3 * np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0), (7,), (33, 65), (2, 3, 5)], ids=str)
def test_matches_reference(backend, function, shape):
    check(backend, function, np.asarray(normal(shape)), np.asarray(normal(shape, 1)))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
@pytest.mark.parametrize("view", [lambda x: x.T, lambda x: x[::2, ::-3], lambda x: np.broadcast_to(x[0], (4, 60))])
def test_any_strides(backend, function, view):
    check(backend, function, view(normal((40, 60))), view(normal((40, 60), 1)))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
def test_extreme_values(backend, function):
    x = np.array([np.inf, -np.inf, np.nan, 1e30, -1e30, 3e38, -3e38, 88, -88, 1e-40, 0, -5, 5, 41, -41] * 3, np.float32)
    check(backend, function, x, np.ones_like(x))


@pytest.mark.parametrize("backend", [*BACKENDS, "reference"])
@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
def test_formula(backend, function):
    x = np.linspace(-12, 12, 4001, dtype=np.float32)
    name, *options = function
    expected = [FORMULAS[function](float(v)) for v in x]
    np.testing.assert_allclose(run(backend, name, x, *options), expected, rtol=3e-6, atol=1e-6)


@settings(max_examples=30, deadline=None)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
@given(x=arrays(np.float32, array_shapes(min_side=0, max_side=40), elements=st.floats(-100, 100, width=32)))
def test_any_numbers(backend, function, x):
    check(backend, function, x, np.ones_like(x))


@pytest.mark.parametrize("backend", [*BACKENDS, "reference"])
@pytest.mark.parametrize("name", ["gelu", "gelu_backward"])
def test_an_unknown_approximation_is_named(backend, name):
    x = normal((50, 50))
    with pytest.raises(ValueError, match=r"approximate is 'fast'; choose \"none\" or \"tanh\""):
        run(backend, name, *[x] * (1 + name.endswith("backward")), "fast")


@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
def test_reference_gradient_by_finite_differences(function):
    name, *options = function
    x, h = np.linspace(-6, 6, 101), 1e-5
    forward, backward = getattr(reference, name), getattr(reference, f"{name}_backward")
    numeric = (forward(x + h, *options) - forward(x - h, *options)) / (2 * h)
    np.testing.assert_allclose(backward(np.full_like(x, 2), x, *options), 2 * numeric, rtol=1e-6, atol=1e-9)


@pytest.mark.parity
@pytest.mark.parametrize("backend", [*BACKENDS, "reference"])
@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
def test_torch_parity(backend, function):
    torch = pytest.importorskip("torch")
    name, *options = function
    x, grad = normal((30, 40)), normal((30, 40), 1)
    tensor = torch.tensor(x, requires_grad=True)
    theirs = getattr(torch.nn.functional, name)(tensor, **({"approximate": options[0]} if options else {}))
    theirs.backward(torch.tensor(grad))
    np.testing.assert_allclose(run(backend, name, x, *options), theirs.detach().numpy(), rtol=1e-5, atol=1e-6)
    dx = run(backend, f"{name}_backward", grad, x, *options)
    np.testing.assert_allclose(dx, tensor.grad.numpy(), rtol=1e-5, atol=2e-5)  # theirs rounds 1 + tanh
