"""Every layer, loss, optimiser and tool of nn on arrays of the GPU, against the CPU."""

from dataclasses import replace

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad import kernels
from tests.nn.test_gradients import OURS
from tests.support import fake_cupy
from tests.support.layers_table import CASES

every_case = pytest.mark.parametrize("case", CASES + OURS, ids=lambda case: case.name)


def run(case, device, dtype="float64"):
    """The output and all gradients, as numpy arrays."""
    mg.manual_seed(1)
    module = case.build(nn).to(dtype)
    for parameter in module.parameters():
        parameter.data += (0.3 * np.random.default_rng(2).standard_normal(parameter.shape)).astype(dtype)
    module.to(device)
    inputs = [
        mg.tensor(x, device=device, requires_grad=x.dtype.kind == "f" and i not in case.constants)
        for i, x in enumerate(case.inputs)
    ]
    out = case.call(module, *inputs)
    out = out[0] if isinstance(out, tuple) else out
    assert out.device == device
    wanted = [x for x in (*inputs, *module.parameters()) if x.requires_grad]
    upstream = mg.tensor(np.random.default_rng(3).standard_normal(out.shape).astype(dtype), device=device)
    gradients = mg.grad(out, wanted, upstream, allow_unused=True) if wanted else ()
    return [x.detach().cpu().numpy() for x in (out, *gradients) if x is not None]


@every_case
def test_outputs_and_gradients_are_the_cpus(case, cupy):
    for ours, expected in zip(run(case, "cuda"), run(case, "cpu"), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.slow
@pytest.mark.emulator
@every_case
def test_the_kernels_in_cuda_c_give_the_same(case):
    """In float32, the kernels on the stand-in's arrays run in the emulator."""
    single = replace(case, inputs=[x.astype(np.float32) if x.dtype.kind == "f" else x for x in case.inputs])
    with kernels.strict(False):
        expected = run(single, "cpu", "float32")
        with fake_cupy.installed(), fake_cupy.emulated():
            found = run(single, "cuda", "float32")
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-4)


OPTIMIZERS = {
    "sgd": lambda p: nn.optim.SGD(p, 0.1),
    "momentum": lambda p: nn.optim.SGD(p, 0.1, momentum=0.9, dampening=0.1, weight_decay=0.1),
    "nesterov": lambda p: nn.optim.SGD(p, 0.1, momentum=0.9, nesterov=True, l1=0.01),
    "adagrad": lambda p: nn.optim.Adagrad(p, 0.1, lr_decay=0.1, weight_decay=0.1),
    "rmsprop": lambda p: nn.optim.RMSprop(p, 0.01, momentum=0.5, centered=True, weight_decay=0.1),
    "adam": lambda p: nn.optim.Adam(p, 0.01, weight_decay=0.1, l1=0.01),
    "adamw": lambda p: nn.optim.AdamW(p, 0.01),
}


def problem():
    mg.manual_seed(4)
    model = nn.Sequential(nn.Linear(5, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 1))
    return model, mg.randn(16, 5), mg.randn(16, 1)


def train(model, optimizer, x, y, steps=5):
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimisers_take_the_same_steps(name, cupy):
    weights = {}
    for device in ("cpu", "cuda"):
        model, x, y = problem()
        model.to(device)
        train(model, OPTIMIZERS[name](model.parameters()), x.to(device), y.to(device))
        weights[device] = [p.detach().cpu().numpy() for p in model.parameters()]
    for ours, expected in zip(weights["cuda"], weights["cpu"], strict=True):
        np.testing.assert_allclose(ours, expected, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimiser_follows_its_parameters(name, cupy):
    """Three steps on the CPU, three on the GPU, three more on the CPU; and a state_dict across."""
    model, x, y = problem()
    optimizer = OPTIMIZERS[name](model.parameters())
    train(model, optimizer, x, y, 3)
    model.cuda()
    train(model, optimizer, x.cuda(), y.cuda(), 3)
    state = optimizer.state_dict()
    model.cpu()
    again = OPTIMIZERS[name](model.parameters())
    again.load_state_dict(state)
    train(model, again, x, y, 3)
    one, x, y = problem()
    train(one, OPTIMIZERS[name](one.parameters()), x, y, 9)
    for ours, expected in zip(model.parameters(), one.parameters(), strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), expected.detach().numpy(), rtol=5e-4, atol=5e-5)


@pytest.mark.parametrize("norm_type", [2, 1, 3.5, np.inf])
@pytest.mark.parametrize("max_norm", [0.1, 1e6])
def test_clipping_stays_on_the_gpu(norm_type, max_norm):
    results = {}
    for device in ("cpu", "cuda"):
        with fake_cupy.installed() as cupy:
            parameters = [mg.randn(3, 4), mg.randn(7)]
            mg.manual_seed(0)
            parameters = [mg.tensor(mg.randn(n, 4), device=device, requires_grad=True) for n in (3, 7)]
            for p in parameters:
                (p * p).sum().backward()
            cupy.copies.clear()
            norm = nn.utils.clip_grad_norm_(parameters, max_norm, norm_type)
            assert not cupy.copies
            assert norm.device == device
            results[device] = [x.cpu().numpy() for x in (norm, *(p.grad for p in parameters))]
    for ours, expected in zip(results["cuda"], results["cpu"], strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5)


def test_state_dicts_and_initialisers_across_devices(cupy):
    mg.manual_seed(0)
    one = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    mg.manual_seed(0)
    other = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).cuda()
    other.apply(lambda m: m.reset_parameters() if hasattr(m, "reset_parameters") else None)
    other.load_state_dict(one.state_dict())
    one.load_state_dict(other.state_dict())
    assert {p.device for p in other.parameters()} == {"cuda"}
    assert {p.device for p in one.parameters()} == {"cpu"}
    for name, p in one.named_parameters():
        np.testing.assert_array_equal(dict(other.named_parameters())[name].detach().cpu().numpy(), p.detach().numpy())


def test_a_cache_lives_where_the_layer_does(cupy):
    attention = nn.MultiheadAttention(8, 2, batch_first=True, rotary=nn.RotaryEmbedding(4))
    x = mg.randn(1, 5, 8)
    with mg.no_grad():
        whole, _ = attention(x, x, x, is_causal=True, need_weights=False)
        attention.cuda()
        cache = attention.new_cache(1, 5)
        steps = [x.cuda()[:, i : i + 1] for i in range(5)]
        outs = [attention(s, s, s, is_causal=True, need_weights=False, cache=cache)[0].cpu().numpy() for s in steps]
    np.testing.assert_allclose(np.concatenate(outs, 1), whole.numpy(), rtol=1e-4, atol=1e-5)
