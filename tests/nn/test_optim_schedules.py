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
    ("OneCycleLR", {"max_lr": 0.7, "epochs": 3, "steps_per_epoch": 7, "three_phase": True}),
    ("OneCycleLR", {"max_lr": [0.7], "total_steps": 21, "pct_start": 0.0, "cycle_momentum": False}),
    ("MultiStepLR", {"milestones": [8, 3, 3], "gamma": 0.5}),
    ("MultiStepLR", {"milestones": []}),
    ("ConstantLR", {"factor": 0.2, "total_iters": 4}),
    ("PolynomialLR", {"total_iters": 7, "power": 1.5}),
    ("CosineAnnealingWarmRestarts", {"T_0": 4, "eta_min": 0.02}),
    ("CosineAnnealingWarmRestarts", {"T_0": 2, "T_mult": 2}),
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


def sequence(module, o):
    parts = [
        module.LinearLR(o, start_factor=0.1, total_iters=4),
        module.CosineAnnealingLR(o, T_max=6),
        module.StepLR(o, 3, 0.5),
        module.ExponentialLR(o, 0.9),
    ]
    return module.SequentialLR(o, parts, milestones=[5, 9, 14])


def chain(module, o):
    parts = [
        module.ConstantLR(o, factor=0.1, total_iters=3),
        module.ExponentialLR(o, gamma=0.9),
        module.CosineAnnealingLR(o, T_max=50),
    ]
    return module.ChainedScheduler(parts, optimizer=o)


@pytest.mark.parity
@pytest.mark.parametrize("make", [sequence, chain])
def test_combinations_equal_torch_and_resume(make):
    torch = pytest.importorskip("torch")
    ours, theirs = optimizer(momentum=0.9), torch.optim.SGD([torch.ones(2, requires_grad=True)], lr=0.5, momentum=0.9)
    schedule, oracle = make(lr_scheduler, ours), make(torch.optim.lr_scheduler, theirs)
    for step in range(20):
        assert ours.param_groups[0]["lr"] == pytest.approx(theirs.param_groups[0]["lr"], abs=1e-12), step
        assert schedule.get_last_lr() == [ours.param_groups[0]["lr"]]
        if step == 11:
            ours = optimizer(momentum=0.9)
            resumed = make(lr_scheduler, ours)
            resumed.load_state_dict(schedule.state_dict())
            schedule = resumed
            assert ours.param_groups[0]["lr"] == pytest.approx(theirs.param_groups[0]["lr"], abs=1e-12)
        theirs.step()
        schedule.step()
        oracle.step()


METRICS = [3.0, 2.9, 2.8999, 2.9, 2.95, 2.9, float("nan"), 2.0, 2.0, 2.0, 2.0, 2.1, 2.0, 1.0, 1.0, 1.1, 1.2, 1.3, 1.4]


@pytest.mark.parity
@pytest.mark.parametrize(
    "options",
    [
        {"patience": 2},
        {"patience": 0, "factor": 0.5, "cooldown": 2, "min_lr": 0.1},
        {"mode": "max", "patience": 1, "threshold": 0.5, "threshold_mode": "abs"},
        {"patience": 1, "threshold": 0.1, "eps": 0.1},
    ],
)
def test_plateau_equals_torch_and_resumes(options):
    torch = pytest.importorskip("torch")
    ours, theirs = optimizer(), torch.optim.SGD([torch.ones(2, requires_grad=True)], lr=0.5)
    schedule = lr_scheduler.ReduceLROnPlateau(ours, **options)
    oracle = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **options)
    rates = set()
    for step, metric in enumerate(METRICS):
        schedule.step(mg.tensor(metric) if step % 2 else metric)
        oracle.step(metric)
        rates.update(schedule.get_last_lr())
        assert ours.param_groups[0]["lr"] == pytest.approx(theirs.param_groups[0]["lr"], abs=1e-12), step
        if step == 9:
            resumed = lr_scheduler.ReduceLROnPlateau(ours, **options)
            resumed.load_state_dict(schedule.state_dict())
            schedule = resumed
    assert len(rates) > 1


def test_a_second_schedule_has_the_same_base_rate():
    o = optimizer()
    lr_scheduler.LinearLR(o, start_factor=0.1)
    assert lr_scheduler.StepLR(o, 10).base_lrs == [0.5]
    assert o.param_groups[0]["lr"] == 0.5


def test_lambdas_for_each_group_and_a_late_start():
    o = optim.SGD([{"params": [mg.ones(2)]}, {"params": [mg.ones(3)], "lr": 0.1}], lr=1.0)
    schedule = lr_scheduler.LambdaLR(o, [lambda step: 0.5**step, lambda step: 1.0 + step])
    schedule.step()
    assert schedule.get_last_lr() == [0.5, 0.2]
    late = lr_scheduler.StepLR(o, 2, 0.5, last_epoch=3)
    assert late.get_last_lr() == [0.25, 0.025]
    with pytest.raises(KeyError, match="no initial_lr"):
        lr_scheduler.StepLR(optimizer(), 2, last_epoch=3)
    o.add_param_group({"params": [mg.ones(1)]})
    with pytest.raises(ValueError, match="3 groups in the optimiser and 2 in the schedule"):
        schedule.step()


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
        (lambda o: lr_scheduler.OneCycleLR(o, 0.1), "total_steps, or epochs"),
        (lambda o: lr_scheduler.OneCycleLR(o, [0.1, 0.2], 10), "2 values of max_lr for 1 groups"),
        (lambda o: lr_scheduler.OneCycleLR(optimizer("Adagrad"), 0.1, 10), "neither momentum nor betas"),
        (lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.StepLR(o, 2)], [3]), "1 schedulers and 1 milestones"),
        (lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.StepLR(o, 2)] * 3, [5, 3]), "expected growing"),
        (lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.StepLR(optimizer(), 2)], []), "another optimiser"),
        (lambda o: lr_scheduler.ChainedScheduler([]), "no schedulers"),
        (lambda o: lr_scheduler.ChainedScheduler([lr_scheduler.OneCycleLR(o, 0.1, 9)]), "cannot be chained"),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=1), "factor=1"),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o, mode="least"), "mode='least'"),
        (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 0), "T_0=0"),
        (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 3, 1.5), "T_mult=1.5"),
        (lambda o: lr_scheduler.ConstantLR(o, 2), "factor=2"),
        (lambda o: lr_scheduler.PolynomialLR(o, 0), "total_iters=0"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make(optimizer())
