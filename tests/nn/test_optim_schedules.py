"""Learning-rate schedules: against PyTorch, and at the points the formulas are known for."""

import numpy as np
import pytest

import minigrad as mg
from nn import optim
from nn.optim import lr_scheduler

CASES = [
    ("StepLR", {"step_size": 3, "gamma": 0.5}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("CosineAnnealingLR", {"T_max": 11, "eta_min": 0.01}),
    ("LinearLR", {"start_factor": 0.25, "end_factor": 0.8, "total_iters": 7}),
    ("LambdaLR", {"lr_lambda": lambda step: 1 / (1 + step)}),
    ("OneCycleLR", {"max_lr": 0.7, "total_steps": 21}),
    ("OneCycleLR", {"max_lr": 0.7, "total_steps": 21, "anneal_strategy": "linear", "pct_start": 0.4}),
]


def optimizer(name="SGD", **options):
    return getattr(optim, name)([mg.ones(2, requires_grad=True)], lr=0.5, **options)


@pytest.mark.parity
@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize(("name", "options"), CASES, ids=[f"{n}-{i}" for i, (n, _) in enumerate(CASES)])
def test_equals_torch(name, options, kind):
    torch = pytest.importorskip("torch")
    momentum = {"momentum": 0.9} if kind == "SGD" else {}
    ours = optimizer(kind, **momentum)
    theirs = getattr(torch.optim, kind)([torch.ones(2, requires_grad=True)], lr=0.5, **momentum)
    schedule = getattr(lr_scheduler, name)(ours, **options)
    oracle = getattr(torch.optim.lr_scheduler, name)(theirs, **options)
    for _ in range(11 if name == "CosineAnnealingLR" else 20):
        assert ours.param_groups[0]["lr"] == pytest.approx(theirs.param_groups[0]["lr"], abs=1e-12)
        if name == "OneCycleLR":
            group, other = ours.param_groups[0], theirs.param_groups[0]
            if kind == "SGD":
                assert group["momentum"] == pytest.approx(other["momentum"], abs=1e-12)
            else:
                assert group["betas"] == pytest.approx(other["betas"], abs=1e-12)
        theirs.step()
        schedule.step()
        oracle.step()


def test_warmup_cosine_at_its_corners():
    o = optimizer()
    schedule = lr_scheduler.LinearWarmupCosine(o, warmup_steps=4, total_steps=14, min_lr=0.05)
    rates = []
    for _ in range(20):
        rates.append(o.param_groups[0]["lr"])
        schedule.step()
    assert rates[0] == pytest.approx(0.1)  # a fifth of the way up
    assert rates[4] == pytest.approx(0.5)  # the top
    assert rates[9] == pytest.approx((0.5 + 0.05) / 2)  # half way down
    assert rates[14:] == [0.05] * 6
    assert np.all(np.diff(rates[:5]) > 0)
    assert np.all(np.diff(rates[4:15]) < 0)


@pytest.mark.parametrize(("name", "options"), CASES, ids=[f"{n}-{i}" for i, (n, _) in enumerate(CASES)])
def test_a_resumed_schedule_goes_on_unchanged(name, options):
    straight, first = optimizer(), optimizer()
    a, b = (getattr(lr_scheduler, name)(o, **options) for o in (straight, first))
    for _ in range(5):
        a.step()
        b.step()
    second = optimizer()
    c = getattr(lr_scheduler, name)(second, **options)
    c.load_state_dict(b.state_dict())
    for _ in range(5):
        assert second.param_groups[0]["lr"] == straight.param_groups[0]["lr"]
        a.step()
        c.step()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda o: lr_scheduler.StepLR(o, 0), "step_size=0"),
        (lambda o: lr_scheduler.LinearWarmupCosine(o, 10, 5), "warmup_steps=10"),
        (lambda o: lr_scheduler.OneCycleLR(o, 0.1, 10, anneal_strategy="sine"), "anneal_strategy"),
        (lambda o: lr_scheduler.OneCycleLR(o, 0.1, 10, pct_start=2), "pct_start"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make(optimizer())
