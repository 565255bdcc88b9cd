"""Optimisers: update rules against PyTorch and against the papers' formulas, groups, state, bad input."""

import numpy as np
import pytest

import minigrad as mg
from nn import optim

CASES = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.05}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("Adagrad", {"lr": 0.1}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.05, "initial_accumulator_value": 0.2}),
    ("RMSprop", {"lr": 0.01}),
    ("RMSprop", {"lr": 0.01, "alpha": 0.9, "momentum": 0.8, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.01, "centered": True, "momentum": 0.5}),
    ("Adam", {"lr": 0.01}),
    ("Adam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-5, "weight_decay": 0.1}),
    ("AdamW", {"lr": 0.01}),
    ("AdamW", {"lr": 0.01, "betas": (0.8, 0.95), "weight_decay": 0.3}),
]
IDS = [f"{name}-{'-'.join(options)}" for name, options in CASES]
SHAPES = [(7, 5), (5,), (), (70, 41)]


def parameters(dtype, seed=0):
    rng = np.random.default_rng(seed)
    return [mg.tensor(rng.standard_normal(s).astype(dtype), requires_grad=True) for s in SHAPES]


def gradients(dtype, steps, seed=1):
    rng = np.random.default_rng(seed)
    return [[rng.standard_normal(s).astype(dtype) for s in SHAPES] for _ in range(steps)]


def set_grads(params, grads):
    for p, g in zip(params, grads, strict=True):
        p.grad = mg.tensor(g)


@pytest.mark.parity
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_ten_steps_equal_torch(name, options, dtype):
    torch = pytest.importorskip("torch")
    ours = parameters(dtype)
    theirs = [torch.tensor(p.detach().numpy().copy(), requires_grad=True) for p in ours]
    optimizer, oracle = getattr(optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
    for grads in gradients(dtype, 10):
        set_grads(ours, grads)
        for p, g in zip(theirs, grads, strict=True):
            p.grad = torch.tensor(g)
        optimizer.step()
        oracle.step()
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_state_dict_continues_where_it_was(name, options):
    stream = gradients("float32", 6)
    straight = parameters("float32")
    optimizer = getattr(optim, name)(straight, **options)
    for grads in stream:
        set_grads(straight, grads)
        optimizer.step()

    first = parameters("float32")
    optimizer = getattr(optim, name)(first, **options)
    for grads in stream[:3]:
        set_grads(first, grads)
        optimizer.step()
    second = [mg.tensor(p.detach(), requires_grad=True) for p in first]
    resumed = getattr(optim, name)(second, lr=123.0)
    resumed.load_state_dict(optimizer.state_dict())
    for grads in stream[3:]:
        set_grads(second, grads)
        resumed.step()
    for p, q in zip(straight, second, strict=True):
        assert np.array_equal(p.detach().numpy(), q.detach().numpy())


@pytest.mark.parametrize("name", ["SGD", "Adagrad", "RMSprop", "Adam", "AdamW"])
def test_every_optimizer_descends(name):
    x = mg.tensor([3.0, -2.0], requires_grad=True)
    optimizer = getattr(optim, name)([x], lr=0.1)
    start = float((x * x).sum())
    for _ in range(60):
        optimizer.zero_grad()
        (x * x).sum().backward()
        optimizer.step()
    assert float((x * x).sum()) < 0.5 * start


@pytest.mark.parametrize("name", ["SGD", "Adagrad", "RMSprop", "Adam", "AdamW"])
def test_l1_adds_the_sign_of_the_parameter(name):
    grads = gradients("float64", 4)
    with_l1, by_hand = parameters("float64"), parameters("float64")
    a, b = getattr(optim, name)(with_l1, lr=0.1, l1=0.3), getattr(optim, name)(by_hand, lr=0.1)
    for gs in grads:
        set_grads(with_l1, gs)
        set_grads(by_hand, [g + 0.3 * np.sign(p.detach().numpy()) for g, p in zip(gs, by_hand, strict=True)])
        a.step()
        b.step()
    for p, q in zip(with_l1, by_hand, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-12)


def test_groups_have_options_of_their_own():
    a, b = mg.ones(3, requires_grad=True), mg.ones(3, requires_grad=True)
    optimizer = optim.SGD([{"params": [a], "lr": 0.5}, {"params": [b]}], lr=0.1)
    set_grads([a, b], [np.ones(3, "float32")] * 2)
    optimizer.step()
    np.testing.assert_allclose(a.detach().numpy(), 0.5)
    np.testing.assert_allclose(b.detach().numpy(), 0.9)


def test_a_parameter_without_gradient_is_left_alone_and_its_steps_not_counted():
    a, b = mg.ones(3, requires_grad=True), mg.ones(3, requires_grad=True)
    optimizer = optim.Adam([a, b], lr=0.1)
    a.grad = mg.ones(3)
    optimizer.step()
    assert np.array_equal(b.detach().numpy(), np.ones(3, "float32"))
    b.grad = mg.ones(3)
    optimizer.step()
    np.testing.assert_allclose(b.detach().numpy(), 0.9, rtol=1e-6)  # its first step has size lr
    assert optimizer.state[a]["step"] == 2
    assert optimizer.state[b]["step"] == 1


def test_zero_grad():
    a = mg.ones(3, requires_grad=True)
    optimizer = optim.SGD([a], lr=0.1)
    a.grad = mg.ones(3)
    optimizer.zero_grad(set_to_none=False)
    assert np.array_equal(a.grad.numpy(), np.zeros(3))
    optimizer.zero_grad()
    assert a.grad is None


def test_a_step_between_forward_and_backward_is_noticed():
    w = mg.ones(3, requires_grad=True)
    loss = (w * w).sum()
    w.grad = mg.ones(3)
    optim.SGD([w], lr=0.1).step()
    with pytest.raises(RuntimeError, match="modified in place"):
        loss.backward()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: optim.SGD([], lr=0.1), "no parameters"),
        (lambda p: optim.SGD([p], lr=-1), "lr=-1"),
        (lambda p: optim.SGD([p], nesterov=True), "needs momentum"),
        (lambda p: optim.Adam([p], betas=(0.9, 1.0)), "betas"),
        (lambda p: optim.RMSprop([p], alpha=1.5), "alpha"),
        (lambda p: optim.Adam([{"params": [p], "speed": 3}]), "unknown option speed"),
        (lambda p: optim.Adam([{"params": [p]}, {"params": [p]}]), "two groups"),
        (lambda p: optim.Adam([p * 2]), "not a leaf"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make(mg.ones(3, requires_grad=True))


def test_state_of_another_model_is_refused():
    a, b = mg.ones(3, requires_grad=True), mg.ones(4, requires_grad=True)
    one, other = optim.Adam([a]), optim.Adam([b])
    a.grad = mg.ones(3)
    one.step()
    with pytest.raises(ValueError, match=r"shape \(3,\) for a parameter of shape \(4,\)"):
        other.load_state_dict(one.state_dict())
    with pytest.raises(ValueError, match="saved groups"):
        optim.Adam([a, b]).load_state_dict(one.state_dict())
