"""Gradient clipping and parameter vectors."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from nn import utils


def with_grads(seed, scale=1.0):
    rng = np.random.default_rng(seed)
    params = [mg.zeros(*s, requires_grad=True) for s in [(7, 5), (3,), (90, 61)]]
    for p in params:
        p.grad = mg.tensor((scale * rng.standard_normal(p.shape)).astype("float32"))
    return params


def joint_norm(params, norm_type):
    flat = np.concatenate([p.grad.numpy().reshape(-1) for p in params]).astype("float64")
    return float(np.linalg.norm(flat, norm_type))


@given(st.integers(0, 1000), st.sampled_from([1.0, 2.0, 3.5, math.inf]), st.floats(1e-3, 1e3))
def test_clipped_norm_is_at_most_the_limit_and_directions_stay(seed, norm_type, max_norm):
    params = with_grads(seed)
    before = [p.grad.numpy().copy() for p in params]
    norm = joint_norm(params, norm_type)
    returned = utils.clip_grad_norm_(params, max_norm, norm_type)
    assert float(returned) == pytest.approx(norm, rel=1e-5)
    assert joint_norm(params, norm_type) <= max_norm * (1 + 1e-5)
    factor = min(1.0, max_norm / (norm + 1e-6))
    for p, g in zip(params, before, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), g * np.float32(factor), rtol=1e-5)


@pytest.mark.parity
@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3, math.inf, "inf", 0, 0.5, -1.0, -math.inf])
def test_equals_torch(norm_type):
    torch = pytest.importorskip("torch")
    params = with_grads(3)
    theirs = [torch.zeros(p.shape, requires_grad=True) for p in params]
    for p, q in zip(params, theirs, strict=True):
        q.grad = torch.tensor(p.grad.numpy().copy())
    params[1].grad.data[:] = theirs[1].grad[:] = 0
    params[2].grad = theirs[2].grad = None
    params.append(mg.tensor(2.0, requires_grad=True))
    params[-1].grad = mg.tensor(-3.0)
    theirs.append(torch.tensor(2.0, requires_grad=True))
    theirs[-1].grad = torch.tensor(-3.0)
    norm = torch.nn.utils.clip_grad_norm_(theirs, 0.7, float(norm_type))
    assert float(utils.clip_grad_norm_(params, 0.7, norm_type)) == pytest.approx(float(norm), rel=1e-5)
    for p, q in zip(params, theirs, strict=True):
        if p.grad is not None:
            np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-5)


@pytest.mark.parity
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("norm_type", [1.0, 2.0, math.inf])
def test_nonfinite_gradients_are_clipped_as_torchs(value, norm_type):
    torch = pytest.importorskip("torch")
    p, q = mg.zeros(3, requires_grad=True), torch.zeros(3, requires_grad=True)
    p.grad, q.grad = mg.tensor([1.0, value, -3.0]), torch.tensor([1.0, value, -3.0])
    ours, theirs = (m.clip_grad_norm_(x, 1.0, norm_type) for m, x in ((utils, p), (torch.nn.utils, q)))
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    np.testing.assert_array_equal(p.grad.numpy(), q.grad.numpy())


def test_no_gradients_and_the_precision_of_the_norm():
    p = mg.zeros(2, dtype="float64", requires_grad=True)
    assert float(utils.clip_grad_norm_([p], 1.0)) == 0
    assert float(utils.clip_grad_norm_([], 1.0, math.inf)) == 0
    p.grad = mg.tensor(np.array([1.0, 1e-9]))
    assert utils.clip_grad_norm_(iter([p]), 5.0, 1).item() == 1 + 1e-9
    assert utils.get_total_norm([p.grad, p.grad], 1).item() == 2 + 2e-9
    with pytest.raises(ValueError, match="max_norm=nan"):
        utils.clip_grad_norm_([p], math.nan)
    with pytest.raises(ValueError, match="no parameters"):
        utils.parameters_to_vector([])


def test_nonfinite_gradients_are_reported_when_asked():
    params = with_grads(0)
    params[0].grad.data[0, 0] = np.nan
    with pytest.raises(RuntimeError, match="detect_anomaly"):
        utils.clip_grad_norm_(params, 1.0, error_if_nonfinite=True)


def test_clip_value():
    params = with_grads(1, scale=10)
    utils.clip_grad_value_(params, 0.5)
    assert max(float(abs(p.grad.numpy()).max()) for p in params) == 0.5


def test_parameters_to_vector_and_back():
    params = [mg.randn(2, 3, requires_grad=True), mg.randn(4, requires_grad=True)]
    vector = utils.parameters_to_vector(params)
    copies = [mg.zeros(2, 3, requires_grad=True), mg.zeros(4, requires_grad=True)]
    utils.vector_to_parameters(vector.detach(), copies)
    for p, q in zip(params, copies, strict=True):
        assert np.array_equal(p.detach().numpy(), q.detach().numpy())
    with pytest.raises(ValueError, match="10 elements"):
        utils.vector_to_parameters(mg.zeros(9), copies)
