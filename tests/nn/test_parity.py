"""Every layer and loss of the table against PyTorch on shared weights: values, gradients, ten steps, state_dict."""

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad import kernels
from nn import optim
from tests.support.layers_table import CASES

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore::UserWarning:torch", "ignore:enable_nested")]
torch = pytest.importorskip("torch")

# float64 shows a wrong formula, float32 goes through the kernels that training uses.
TOLERANCE = {"float64": {"rtol": 1e-7, "atol": 1e-9}, "float32": {"rtol": 1e-3, "atol": 2e-5}}


def pair(case, dtype):
    """Our module and PyTorch's with equal weights, none of them at its 0 or 1, and the inputs of both."""
    torch.manual_seed(0)
    theirs = case.build(torch.nn).to(getattr(torch, dtype))
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, dtype=parameter.dtype)
    ours = case.build(nn).to(dtype)
    ours.load_state_dict(theirs.state_dict())
    our_inputs, their_inputs = [], []
    for i, x in enumerate(case.inputs):
        x = x.astype(dtype) if x.dtype.kind == "f" else x
        wanted = x.dtype.kind == "f" and i not in case.constants
        our_inputs.append(mg.tensor(x, requires_grad=wanted))
        their_inputs.append(torch.tensor(x, requires_grad=wanted))
    return ours, theirs, our_inputs, their_inputs


def assert_close(ours, theirs, dtype, what):
    np.testing.assert_allclose(ours, theirs.detach().numpy(), err_msg=what, **TOLERANCE[dtype])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_values_and_gradients(case, dtype):
    ours, theirs, our_inputs, their_inputs = pair(case, dtype)
    our_out, their_out = case.call(ours, *our_inputs), case.call(theirs, *their_inputs)
    assert our_out.shape == tuple(their_out.shape)
    assert our_out.dtype == dtype
    assert_close(our_out.detach().numpy(), their_out, dtype, "output")

    if not our_out.requires_grad:
        return
    upstream = np.random.default_rng(1).standard_normal(our_out.shape).astype(dtype)
    our_out.backward(mg.tensor(upstream))
    their_out.backward(torch.tensor(upstream))
    for i, (x, y) in enumerate(zip(our_inputs, their_inputs, strict=True)):
        if x.requires_grad:
            assert_close(x.grad.numpy(), y.grad, dtype, f"gradient of input {i}")
    their_parameters = dict(theirs.named_parameters())
    assert list(their_parameters) == [name for name, _ in ours.named_parameters()]
    for name, parameter in ours.named_parameters():
        assert_close(parameter.grad.numpy(), their_parameters[name].grad, dtype, f"gradient of {name}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_ten_steps(case):
    """Ten steps of AdamW on the parameters, and on the inputs where a layer has none, end at the same place."""
    ours, theirs, our_inputs, their_inputs = pair(case, "float64")
    our_leaves = [*ours.parameters(), *(x for x in our_inputs if x.requires_grad)]
    their_leaves = [*theirs.parameters(), *(x for x in their_inputs if x.requires_grad)]
    options = {"lr": 1e-3, "weight_decay": 0.1}
    our_optimizer, their_optimizer = optim.AdamW(our_leaves, **options), torch.optim.AdamW(their_leaves, **options)
    upstream = None
    losses = []
    for _ in range(10):
        our_out, their_out = case.call(ours, *our_inputs), case.call(theirs, *their_inputs)
        if upstream is None:
            upstream = np.random.default_rng(1).standard_normal(our_out.shape)
        our_loss, their_loss = (our_out * upstream).sum(), (their_out * torch.tensor(upstream)).sum()
        losses.append((our_loss.item(), their_loss.item()))
        our_optimizer.zero_grad()
        their_optimizer.zero_grad()
        our_loss.backward()
        their_loss.backward()
        our_optimizer.step()
        their_optimizer.step()
    np.testing.assert_allclose(*zip(*losses, strict=True), rtol=1e-6, atol=1e-9)
    assert losses[0] != losses[-1]
    for a, b in zip(our_leaves, their_leaves, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_state_dict_both_ways(case):
    ours, theirs, *_ = pair(case, "float32")
    state = ours.state_dict()
    there = theirs.state_dict()
    assert list(state) == list(there)
    assert [tuple(x.shape) for x in there.values()] == [x.shape for x in state.values()]
    result = case.build(torch.nn).load_state_dict({name: torch.tensor(x.numpy()) for name, x in state.items()})
    assert not result.missing_keys
    assert not result.unexpected_keys


@pytest.mark.parametrize("options", [{}, {"norm_first": True, "activation": "gelu"}])
def test_sizes_that_the_fast_kernels_take(options):
    """A layer large enough that every kernel of it runs in numba, against PyTorch in float32."""

    def build(nn):
        return nn.TransformerEncoderLayer(64, 4, 256, dropout=0.0, batch_first=True, **options)

    theirs, ours = build(torch.nn), build(nn)
    ours.load_state_dict(theirs.state_dict())
    x = np.random.default_rng(0).standard_normal((4, 37, 64), dtype=np.float32)
    upstream = np.random.default_rng(1).standard_normal((4, 37, 64), dtype=np.float32)
    with kernels.use("numba"), kernels.strict():
        our_x = mg.tensor(x, requires_grad=True)
        our_out = ours(our_x, is_causal=True)
        our_out.backward(mg.tensor(upstream))
    their_x = torch.tensor(x, requires_grad=True)
    their_out = theirs(their_x, torch.nn.Transformer.generate_square_subsequent_mask(37), is_causal=True)
    their_out.backward(torch.tensor(upstream))
    np.testing.assert_allclose(our_out.detach().numpy(), their_out.detach().numpy(), rtol=1e-4, atol=2e-5)
    np.testing.assert_allclose(our_x.grad.numpy(), their_x.grad.numpy(), rtol=1e-3, atol=1e-4)
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-3, atol=3e-4, err_msg=name)


FRESH = (
    "linear",
    "conv1d-everything",
    "additive",
    "embedding",
    "embedding-padding",
    "self",
    "no-bias",
    "kdim-vdim",
    "encoder-layer",
    "decoder-layer",
)


@pytest.mark.parametrize("case", [case for case in CASES if case.name in FRESH], ids=lambda case: case.name)
def test_initial_distributions(case):
    """Mean and spread of fresh parameters, over enough copies to see a wrong scale."""
    torch.manual_seed(0)
    mg.manual_seed(0)
    ours, theirs = [case.build(nn) for _ in range(100)], [case.build(torch.nn) for _ in range(100)]
    for name, parameter in ours[0].named_parameters():
        a = np.stack([dict(m.named_parameters())[name].detach().numpy() for m in ours])
        b = np.stack([dict(m.named_parameters())[name].detach().numpy() for m in theirs])
        spread = b.std() + 1e-12
        assert abs(a.mean() - b.mean()) < 6 * spread / np.sqrt(b.size) * 2 + 1e-9, name
        assert abs(a.std() / spread - 1) < 0.1 or b.std() == 0 == a.std(), name
        assert abs(np.abs(a).max() - np.abs(b).max()) <= 0.35 * np.abs(b).max(), name
        assert parameter.dtype == "float32"


def test_initialisers():
    """Scales of the schemes on a rectangular weight, and the gains."""
    from nn import init

    for name, options in [
        ("xavier_uniform_", {"gain": 1.5}),
        ("xavier_normal_", {}),
        ("kaiming_uniform_", {"a": 0.3, "mode": "fan_out"}),
        ("kaiming_normal_", {"nonlinearity": "relu"}),
        ("trunc_normal_", {"mean": 0.5, "std": 2.0, "a": -1.0, "b": 3.0}),
        ("uniform_", {"a": -1.0, "b": 3.0}),
        ("normal_", {"mean": 2.0, "std": 0.5}),
        ("orthogonal_", {"gain": 2.0}),
    ]:
        for shape in [(200, 300), (60, 20, 5)]:
            ours = getattr(init, name)(mg.zeros(*shape), **options).numpy()
            theirs = getattr(torch.nn.init, name)(torch.zeros(shape), **options).numpy()
            assert ours.std() == pytest.approx(theirs.std(), rel=0.05), (name, shape)
            assert ours.mean() == pytest.approx(theirs.mean(), abs=0.05), (name, shape)
            assert np.abs(ours).max() == pytest.approx(np.abs(theirs).max(), rel=0.3), (name, shape)
    for nonlinearity in ("linear", "conv1d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert init.calculate_gain(nonlinearity) == pytest.approx(torch.nn.init.calculate_gain(nonlinearity))
    assert init.calculate_gain("leaky_relu", 0.2) == pytest.approx(torch.nn.init.calculate_gain("leaky_relu", 0.2))


@pytest.mark.parametrize(
    "build",
    [
        lambda nn: nn.Linear(3, 4),
        lambda nn: nn.MaxPool1d(3, padding=1),
        lambda nn: nn.AdaptiveMaxPool1d(1),
        lambda nn: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Identity()),
        lambda nn: nn.ModuleDict({"a": nn.Embedding(5, 3, padding_idx=0), "b": nn.RMSNorm((2, 3))}),
        lambda nn: nn.Sequential(nn.Flatten(), nn.Sequential(nn.GELU("tanh"), nn.LeakyReLU(0.2))),
    ],
)
def test_repr_is_pytorchs(build):
    assert repr(build(nn)) == repr(build(torch.nn))
