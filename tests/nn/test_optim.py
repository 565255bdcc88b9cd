"""Optimisers: update rules against PyTorch and against the papers' formulas, groups, state, bad input."""

import numpy as np
import pytest

import minigrad as mg
import nn
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
    ("SGD", {"lr": 0.1, "momentum": 0.9, "maximize": True, "weight_decay": 0.05}),
    ("Adam", {"lr": 0.01, "amsgrad": True, "weight_decay": 0.1}),
    ("AdamW", {"lr": 0.01, "amsgrad": True, "maximize": True, "betas": (0.5, 0.6)}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.8, "weight_decay": 0.1, "maximize": True}),
    ("Adamax", {"lr": 0.01}),
    ("Adamax", {"lr": 0.01, "betas": (0.8, 0.95), "weight_decay": 0.1}),
    ("NAdam", {"lr": 0.01}),
    ("NAdam", {"lr": 0.01, "weight_decay": 0.1, "momentum_decay": 0.1}),
    ("NAdam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {"lr": 0.01}),
    ("RAdam", {"lr": 0.01, "betas": (0.8, 0.7), "weight_decay": 0.1}),
    ("RAdam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("Adafactor", {}),
    ("Adafactor", {"lr": 0.1, "beta2_decay": -0.5, "eps": (1e-3, 1e-2), "d": 1.5, "weight_decay": 0.1}),
]
IDS = [f"{name}-{'-'.join(options)}" for name, options in CASES]
NAMES = list(dict.fromkeys(name for name, _ in CASES))
SHAPES = [(7, 5), (5,), (), (70, 41), (1,), (2, 3, 4)]


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
    tolerance = 2e-5 if dtype == "float32" else 1e-6 if name == "NAdam" else 1e-12  # its mu_product is float32 there
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


@pytest.mark.parametrize("name", [*NAMES, "Muon"])
def test_every_optimizer_descends(name):
    x = mg.tensor([[3.0, -2.0]], requires_grad=True)
    optimizer = getattr(optim, name)([x], lr=10 if name == "Adadelta" else 0.1)
    start = float((x * x).sum())
    for _ in range(60):
        optimizer.zero_grad()
        (x * x).sum().backward()
        optimizer.step()
    assert float((x * x).sum()) < 0.5 * start


@pytest.mark.parametrize("name", NAMES)
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
        (lambda p: optim.Adam([p, p]), "parameter 1, .* is given twice"),
        (lambda p: optim.SGD([p], lr=float("nan")), "lr=nan"),
        (lambda p: optim.SGD([{"params": [p], "nesterov": True}]), "needs momentum"),
        (lambda p: optim.Adagrad([p], initial_accumulator_value=-1), "initial_accumulator_value=-1"),
        (lambda p: optim.Adadelta([p], rho=2), "rho=2"),
        (lambda p: optim.AdamW([p], capturable=True), "capturable=True is not offered"),
        (lambda p: optim.AdamW([p], differentiable=True), "differentiable=True is not offered"),
        (lambda p: optim.Muon([p]), r"shape \(3,\); expected matrices"),
        (lambda p: optim.Muon([p.detach()[None]], adjust_lr_fn="fast"), "adjust_lr_fn='fast'"),
        (lambda p: optim.Adafactor([p], d=0.5), "d=0.5"),
        (lambda p: optim.Adafactor([p], eps=(-1, 1)), "eps="),
        (lambda p: optim.LBFGS([{"params": [p]}, {"params": [p.detach()]}]), "second group"),
        (lambda p: optim.LBFGS([p, p.detach().double()]), "several dtypes"),
        (lambda p: optim.LBFGS([p], line_search_fn="armijo"), "armijo"),
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


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: optim.SGD(p), "params is a Tensor"),
        (lambda p: optim.SGD({"params": [p]}), "params is a dict"),
        (lambda p: optim.SGD([{"params": {p}}]), "are a set"),
        (lambda p: optim.SGD(["weight"]), "parameter 0 is a str"),
        (lambda p: optim.SGD([p], momentun=0.9), "unknown option momentun"),
        (lambda p: optim.SGD([p]).add_param_group([p]), "must be a dict"),
        (lambda p: optim.LBFGS([p]).step(), "pass a closure"),
    ],
)
def test_bad_types(make, message):
    with pytest.raises(TypeError, match=message):
        make(mg.ones(3, requires_grad=True))


def test_a_gradient_of_another_shape_is_refused_and_not_broadcast():
    p = mg.ones(3, 3, requires_grad=True)
    p.grad = mg.ones(3)
    with pytest.raises(ValueError, match=r"gradient of shape \(3,\) for a parameter of shape \(3, 3\)"):
        optim.SGD([p]).step()


def test_parameters_come_from_a_generator_or_with_names():
    layer = nn.Linear(2, 3)
    assert len(optim.SGD(p for p in layer.parameters()).param_groups[0]["params"]) == 2
    optimizer = optim.Adam(layer.named_parameters(), foreach=True, fused=False)
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.param_groups[0]["params"] == list(layer.parameters())
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]


@pytest.mark.parametrize("name", [*NAMES, "Muon"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_empty_and_transposed_parameters_and_those_without_gradient(name, dtype):
    base = mg.tensor(np.arange(6.0).reshape(2, 3), dtype=dtype)
    contiguous = mg.tensor(base.numpy().T.copy(), requires_grad=True)
    transposed = mg.Tensor(base.data.T, requires_grad=True)
    empty, idle = mg.zeros(0, 3, dtype=dtype, requires_grad=True), mg.ones(2, 2, dtype=dtype, requires_grad=True)
    optimizer = getattr(optim, name)([contiguous, transposed, empty, idle])
    for step in range(3):
        for p in (contiguous, transposed, empty):
            p.grad = mg.Tensor(np.cos(np.arange(p.numel()) + step).reshape(p.shape).astype(dtype))
        optimizer.step()
    assert contiguous.dtype == transposed.dtype == dtype
    np.testing.assert_allclose(
        contiguous.detach().numpy(), transposed.detach().numpy(), rtol=1e-2 if dtype == "float16" else 1e-6
    )
    assert np.isfinite(transposed.data).all()
    assert (transposed.data != np.arange(6).reshape(2, 3).T).any()
    assert (idle.data == 1).all()


@pytest.mark.parametrize("name", [*NAMES, "Muon"])
def test_step_with_a_closure_records_and_returns_the_loss(name):
    x = mg.tensor([[3.0, -2.0]], requires_grad=True)
    optimizer = getattr(optim, name)([x])

    def closure():
        optimizer.zero_grad()
        loss = (x * x).sum()
        loss.backward()
        return loss

    with mg.no_grad():
        assert optimizer.step(closure).item() == 13
    assert (x.data != [[3, -2]]).all()


@pytest.mark.parity
@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_states_go_to_torch_and_come_back(name, options):
    """Three steps here, the state to PyTorch and three there, the state back and three here; and all nine in one."""
    torch = pytest.importorskip("torch")
    stream = gradients("float64", 9)
    straight, ours = parameters("float64"), parameters("float64")
    optimizer, alone = getattr(optim, name)(ours, **options), getattr(optim, name)(straight, **options)
    for grads in stream:
        set_grads(straight, grads)
        alone.step()
    for grads in stream[:3]:
        set_grads(ours, grads)
        optimizer.step()

    theirs = [torch.tensor(p.detach().numpy().copy(), requires_grad=True) for p in ours]
    oracle = getattr(torch.optim, name)(theirs, **options)
    state = optimizer.state_dict()
    for entries in state["state"].values():
        entries.update({k: torch.tensor(v, dtype=torch.float64) for k, v in entries.items()})
    template = oracle.state_dict()["param_groups"]
    oracle.load_state_dict({"state": state["state"], "param_groups": [template[0] | state["param_groups"][0]]})
    for grads in stream[3:6]:
        for p, g in zip(theirs, grads, strict=True):
            p.grad = torch.tensor(g)
        oracle.step()

    back = [mg.tensor(p.detach().numpy(), requires_grad=True) for p in theirs]
    resumed = getattr(optim, name)(back)
    resumed.load_state_dict(oracle.state_dict())
    assert set(resumed.param_groups[0]) == {*resumed.defaults, "params"}
    for grads in stream[6:]:
        set_grads(back, grads)
        resumed.step()
    for p, q in zip(back, straight, strict=True):
        tolerance = 1e-6 if name == "NAdam" else 1e-9
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=tolerance, atol=1e-12)


@pytest.mark.parity
@pytest.mark.parametrize(
    "options", [{}, {"nesterov": False, "adjust_lr_fn": "match_rms_adamw"}, {"ns_steps": 3, "weight_decay": 0.0}]
)
def test_muon_equals_torch_to_the_precision_of_bfloat16(options):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for shape in [(8, 8), (30, 7), (5, 40)]:
        values = rng.standard_normal(shape).astype("float32")
        p, q = mg.tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)
        ours, theirs = optim.Muon([p], lr=0.1, **options), torch.optim.Muon([q], lr=0.1, **options)
        for _ in range(5):
            g = rng.standard_normal(shape).astype("float32")
            p.grad, q.grad = mg.tensor(g), torch.tensor(g)
            ours.step()
            theirs.step()
        np.testing.assert_allclose(
            ours.state[p]["momentum_buffer"], theirs.state[q]["momentum_buffer"], rtol=1e-5, atol=1e-7
        )
        moved = np.abs(p.detach().numpy() - values).max()
        assert np.abs(p.detach().numpy() - q.detach().numpy()).max() < 0.03 * moved


def test_muons_steps_are_nearly_orthogonal():
    for shape in [(6, 6), (20, 4), (3, 50)]:
        p = mg.zeros(*shape, requires_grad=True)
        p.grad = mg.tensor(np.random.default_rng(1).standard_normal(shape).astype("float32"))
        optim.Muon([p], lr=1.0, adjust_lr_fn=None).step()
        singular = np.linalg.svd(p.data, compute_uv=False) / np.sqrt(max(1, shape[0] / shape[1]))
        assert 0.5 < singular.min() <= singular.max() < 1.3


def rosenbrock(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


@pytest.mark.parity
@pytest.mark.parametrize("options", [{"line_search_fn": "strong_wolfe"}, {"lr": 0.001}, {"history_size": 3, "lr": 1e-3},
                                     {"line_search_fn": "strong_wolfe", "max_iter": 7, "history_size": 2}])  # fmt: skip
def test_lbfgs_takes_torchs_steps(options):
    torch = pytest.importorskip("torch")
    p, q = mg.tensor(np.array([-1.2, 1.0]), requires_grad=True), torch.tensor([-1.2, 1.0], dtype=torch.float64)
    q.requires_grad_()
    ours, theirs = optim.LBFGS([p], **options), torch.optim.LBFGS([q], **options)

    def closure(x, optimizer, calls):
        def evaluate():
            calls.append(1)
            optimizer.zero_grad()
            loss = rosenbrock(x)
            loss.backward()
            return loss

        return evaluate

    our_calls, their_calls = [], []
    for _ in range(6):
        a, b = ours.step(closure(p, ours, our_calls)), theirs.step(closure(q, theirs, their_calls))
        assert a.item() == pytest.approx(b.item(), rel=1e-6, abs=1e-12)
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-6, atol=1e-9)
        assert len(our_calls) == len(their_calls)
    assert ours.state[p]["n_iter"] == theirs.state[q]["n_iter"]
    assert ours.state[p]["func_evals"] == theirs.state[q]["func_evals"]


def test_lbfgs_finds_the_minimum_and_resumes():
    def run(stop):
        p, other = mg.tensor(np.array([-1.2, 1.0]), requires_grad=True), mg.tensor(np.array(3.0), requires_grad=True)
        optimizer = optim.LBFGS([p, other], line_search_fn="strong_wolfe", max_iter=6)

        def closure():
            optimizer.zero_grad()
            loss = rosenbrock(p) + (other - 2) ** 2
            loss.backward()
            return loss

        for step in range(20):
            if step == stop:
                state = optimizer.state_dict()
                optimizer = optim.LBFGS([p, other])
                optimizer.load_state_dict(state)
            optimizer.step(closure)
        return p.detach().numpy(), other.item()

    straight, resumed = run(None), run(5)
    np.testing.assert_allclose(straight[0], [1, 1], atol=1e-4)  # a loss that changes by less than 1e-9 is the end
    assert straight[1] == pytest.approx(2, abs=1e-4)
    np.testing.assert_array_equal(straight[0], resumed[0])


def test_moments_follow_a_converted_model():
    layer = nn.Linear(3, 2)
    optimizer = optim.AdamW(layer.parameters())
    for dtype in ("float32", "float64"):
        layer.to(dtype)
        optimizer.zero_grad()
        layer(mg.ones(1, 3, dtype=dtype)).sum().backward()
        optimizer.step()
    assert optimizer.state[layer.weight]["exp_avg"].dtype == "float64"
    assert layer.weight.dtype == "float64"
