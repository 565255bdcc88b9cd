"""Dropout: what is dropped is 0 whatever it was, what is kept is scaled, and the gradient has the same mask."""

import numpy as np
import pytest

import minigrad as mg


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (7,), (300, 400)])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("p", [0.25, 0.9, 1.0])
def test_dropped_or_scaled_and_the_gradient_likewise(shape, dtype, p):
    x = mg.tensor(np.full(shape, 3.0), dtype=dtype, requires_grad=True)
    y = mg.dropout(x, p)
    y.backward(mg.ones_like(y))
    assert (y.shape, y.dtype, x.grad.shape) == (x.shape, x.dtype, x.shape)
    y = y.detach()
    kept = y.numpy() != 0
    scale = 0 if p == 1 else 1 / (1 - p)
    np.testing.assert_allclose(y.numpy(), 3 * scale * kept, rtol=2e-3)
    np.testing.assert_allclose(x.grad.numpy(), scale * kept, rtol=2e-3)
    if kept.size > 1000:
        assert abs(kept.mean() - (1 - p)) < 0.01


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("p", [0.5, 1.0])
def test_what_is_dropped_is_zero_whatever_it_was(value, p):
    y = mg.dropout(mg.full((4000,), value), p).numpy()
    dropped = y == 0
    assert dropped.mean() == pytest.approx(p, abs=0.05)
    np.testing.assert_array_equal(y[~dropped], value)


def test_nothing_is_dropped_in_evaluation():
    x = mg.ones(5)
    assert mg.dropout(x, 0.5, training=False) is x
    assert mg.dropout(x, 0.0) is x


def test_integers_are_refused():
    with pytest.raises(TypeError, match="dropout: x is int64"):
        mg.dropout(mg.arange(4), 0.5)


@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan")])
def test_no_probability(p):
    with pytest.raises(ValueError, match="expected a probability between 0 and 1"):
        mg.dropout(mg.ones(2), p)
