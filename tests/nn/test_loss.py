"""Losses beyond the table: extreme values, rows that do not count, zero sizes, bad input."""

import math

import numpy as np
import pytest

import minigrad as mg
import nn
from nn import functional as F


def leaf(*values):
    return mg.tensor(list(values), dtype="float64", requires_grad=True)


def test_extreme_logits_give_finite_losses_and_gradients():
    x = leaf([1e4, -1e4, 0.0], [1e30, 0.0, -1e30])
    loss = F.cross_entropy(x, mg.tensor([1, 0]), reduction="none")
    np.testing.assert_allclose(loss.detach().numpy(), [2e4, 0])
    loss.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [[1, -1, 0], [0, 0, 0]])
    x = leaf(1e4, -1e4)
    loss = F.binary_cross_entropy_with_logits(x, mg.tensor([0.0, 1.0], dtype="float64"))
    assert loss.item() == 1e4
    loss.backward()
    np.testing.assert_allclose(x.grad.numpy(), [0.5, -0.5])


def test_binary_cross_entropy_at_0_and_1_is_cut_off_at_100():
    x = leaf(0.0, 1.0, 0.0)
    loss = F.binary_cross_entropy(x, mg.tensor([1.0, 1.0, 0.0], dtype="float64"), reduction="none")
    np.testing.assert_allclose(loss.detach().numpy(), [100, 0, 0])
    loss.sum().backward()
    assert np.isfinite(x.grad.numpy()).all()


def test_cross_entropy_of_ids_equals_that_of_their_one_hot():
    rng = np.random.default_rng(0)
    x, ids = mg.tensor(rng.standard_normal((2, 4, 3))), rng.integers(0, 4, (2, 3))
    one_hot = mg.tensor(np.eye(4)[ids].swapaxes(1, 2))
    for options in ({}, {"reduction": "none"}, {"label_smoothing": 0.3, "reduction": "sum"}):
        a, b = F.cross_entropy(x, mg.tensor(ids), **options), F.cross_entropy(x, one_hot, **options)
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)
        if "label_smoothing" not in options:
            np.testing.assert_allclose(a.numpy(), F.nll_loss(x.log_softmax(1), mg.tensor(ids), **options).numpy())


@pytest.mark.parametrize("function", [F.cross_entropy, F.nll_loss])
def test_ignored_rows_count_nothing(function):
    x = leaf([0.1, 0.2, 0.7], [0.5, 0.1, 0.4])
    loss = function(x, mg.tensor([2, -100]))
    assert loss.item() == pytest.approx(function(x[:1], mg.tensor([2])).item())
    loss.backward()
    assert not x.grad.numpy()[1].any()
    assert math.isnan(function(x, mg.tensor([-100, -100])).item())
    assert function(x, mg.tensor([-100, -100]), reduction="sum").item() == 0


def test_kl_divergence_where_the_target_is_0():
    log_p = mg.tensor(np.log([[0.5, 0.25, 0.25]]), requires_grad=True)
    loss = F.kl_div(log_p, mg.tensor([[0.5, 0.5, 0.0]], dtype="float64"), reduction="batchmean")
    assert loss.item() == pytest.approx(0.5 * math.log(2))
    loss.backward()
    np.testing.assert_allclose(log_p.grad.numpy(), [[-0.5, -0.5, 0]])


@pytest.mark.parametrize(
    "loss", [nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss, nn.BCEWithLogitsLoss, nn.KLDivLoss]
)
def test_the_mean_of_nothing_is_nan_and_its_sum_0(loss):
    nothing = mg.zeros(0, 3)
    assert math.isnan(loss()(nothing, nothing).item())
    assert loss(reduction="sum")(nothing, nothing).item() == 0


def test_settings_are_moved_and_saved_with_the_module():
    loss = nn.CrossEntropyLoss(mg.ones(3)).double()
    assert loss.weight.dtype == "float64"
    assert list(loss.state_dict()) == ["weight"]
    assert list(nn.CrossEntropyLoss().state_dict()) == []


X, IDS = mg.zeros(2, 3), mg.tensor([0, 1])


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda: F.mse_loss(X, mg.zeros(2, 1)), ValueError, r"mse_loss: input \(2, 3\), target \(2, 1\)"),
        (lambda: F.l1_loss(X, X, reduction="avg"), ValueError, 'reduction=\'avg\'; use "mean", "sum" or "none"'),
        (lambda: F.cross_entropy(X, IDS, reduction="avg"), ValueError, "reduction='avg'"),
        (lambda: F.cross_entropy(X, X, reduction="avg"), ValueError, "reduction='avg'"),
        (lambda: F.cross_entropy(X, mg.tensor([0, 3])), IndexError, "3"),
        (lambda: F.cross_entropy(X, mg.tensor([0, -1])), IndexError, "-1"),
        (lambda: F.cross_entropy(X, mg.tensor([0])), ValueError, r"target \(1,\); expected a target \(2,\)"),
        (lambda: F.cross_entropy(X, mg.zeros(2)), ValueError, "class numbers of shape .* or probabilities"),
        (lambda: F.cross_entropy(X, mg.tensor([True, False])), TypeError, "bool; expected integer"),
        (lambda: F.cross_entropy(X, IDS, mg.ones(2)), ValueError, "one factor for each of the 3 classes"),
        (lambda: F.cross_entropy(X, IDS, label_smoothing=2), ValueError, "label_smoothing=2"),
        (lambda: F.cross_entropy(X, X, label_smoothing=-1), ValueError, "label_smoothing=-1"),
        (lambda: F.cross_entropy(mg.tensor(1.0), IDS), ValueError, "0-d input"),
        (lambda: F.nll_loss(X, mg.tensor([0, 3])), IndexError, "target 3 is not one of the 3 classes"),
        (lambda: F.nll_loss(X, mg.zeros(2)), TypeError, "float32; expected integer"),
        (lambda: F.nll_loss(X, mg.tensor([0])), ValueError, r"expected a target of shape \(2,\)"),
        (lambda: F.binary_cross_entropy(X - 1, X), ValueError, "for logits use binary_cross_entropy_with_logits"),
        (lambda: F.smooth_l1_loss(X, X, beta=-1), ValueError, "beta=-1"),
        (lambda: F.huber_loss(X, X, delta=0), ValueError, "delta=0"),
        (lambda: nn.MSELoss("sum"), TypeError, "positional"),
    ],
)
def test_bad_input(act, error, message):
    with pytest.raises(error, match=message):
        act()
