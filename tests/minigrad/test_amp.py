"""Half precision: dtypes and values of every operation, autocast against float32 and PyTorch, the gradient scaler."""

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad import kernels
from minigrad.dtypes import HALVES, as_dtype, epsilon, is_half
from minigrad.tensor import Tensor
from models.gpt import GPT, GPTConfig
from tests.support import fake_cupy
from tests.support.fake_cupy.namespace import compute_types
from tests.support.layers_table import CASES as CASES_OF_LAYERS
from tests.support.ops_table import CASES

pytest.importorskip("ml_dtypes")
half = pytest.mark.parametrize("dtype", HALVES)


def run(case, dtype):
    inputs = [Tensor(x.astype(as_dtype(dtype)), requires_grad=True) for x in case.inputs]
    y = case.expression(mg, *inputs)
    upstream = Tensor(np.random.default_rng(7).uniform(0.5, 1.5, y.shape).astype(y.dtype))
    return y, [y.detach(), *mg.grad(y, inputs, upstream, allow_unused=True)]


@pytest.mark.parametrize("case", [c for c in CASES if c.name not in ("astype",)], ids=lambda case: case.id)
@half
def test_every_operation_keeps_half_precision(case, dtype):
    y, results = run(case, dtype)
    assert y.dtype == as_dtype(dtype)
    rounded = [x.astype(as_dtype(dtype)).astype(np.float64) for x in case.inputs]
    exact = case.numpy(*rounded)
    scale = max(1.0, np.abs(exact).max(initial=0))
    np.testing.assert_allclose(y.detach().numpy().astype(np.float64), exact, atol=6 * epsilon(y.dtype) * scale)
    assert {g.dtype for g in results if g is not None} == {as_dtype(dtype)}


def test_sums_of_half_precision_do_not_stall():
    """Added one by one in bfloat16, a sum of ones stops at 256."""
    for dtype in HALVES:
        x = mg.ones(1000, 4, dtype=dtype)
        np.testing.assert_array_equal(x.sum(0).astype("float32").numpy(), [1000] * 4)
        a = mg.ones(1, 1000, dtype=dtype)
        assert mg.matmul(a, x).astype("float32").numpy().tolist() == [[1000] * 4]
        assert mg.linear(a, mg.ones(1, 1000, dtype=dtype)).item() == 1000


def test_dtypes_of_half_precision():
    x = mg.ones(3, dtype="bfloat16")
    assert is_half(x.dtype)
    assert x.is_floating_point()
    for y in (x * 2, 2.0 * x, x + 1.5, x / 3, x - np.float64(1), x**2, x * mg.tensor([1, 2, 3]), x.mean(), -x, 1 / x):
        assert y.dtype == as_dtype("bfloat16")
    assert (x + mg.ones(3)).dtype == np.float32
    assert (x > 0).dtype == bool
    assert x.float().dtype == np.float32
    assert mg.tensor([1.5], dtype="bfloat16").item() == 1.5
    assert "bfloat16" in repr(x)
    assert mg.randn(3, dtype="bfloat16").dtype == x.dtype


def test_bfloat16_without_its_package(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ml_dtypes", None)
    with pytest.raises(
        ImportError, match=r"bfloat16 needs the package ml_dtypes: in your clone, pip install -e '\.\[half\]'"
    ):
        mg.zeros(3, dtype="bfloat16")


# autocast.


@half
def test_products_are_half_and_the_rest_is_not(dtype):
    x, weight = mg.randn(4, 8, requires_grad=True), mg.randn(8, 8, requires_grad=True)
    with mg.autocast(dtype):
        products = [
            x @ weight,
            mg.linear(x, weight),
            mg.scaled_dot_product_attention(x, x, x),
            mg.einsum("ij,kj", x, x),
        ]
        assert {y.dtype for y in products} == {as_dtype(dtype)}
        y = products[0]
        wide = [y.sum(), y.mean(), y.var(), mg.softmax(y), mg.log_softmax(y), mg.layer_norm(y), mg.rms_norm(y)]
        wide += [mg.exp(y), mg.log(abs(y)), mg.logsumexp(y, -1), mg.norm(y), mg.cumsum(y, 0), mg.softplus(y), y + x]
        wide += [mg.cross_entropy(y, mg.tensor([0, 1, 2, 3])), nn.functional.mse_loss(y, x)]
        assert {y.dtype for y in wide} == {np.dtype(np.float32)}
        assert {y.dtype for y in (mg.relu(y), mg.gelu(y), mg.dropout(y, 0.3), y * 2, y.T)} == {as_dtype(dtype)}
        with mg.autocast(enabled=False):
            assert (x @ weight).dtype == np.float32
    assert (x @ weight).dtype == np.float32
    products[0].sum().backward()
    assert x.grad.dtype == weight.grad.dtype == np.float32


def test_autocast_is_a_decorator_and_wants_a_half_dtype():
    x = mg.ones(2, 2)
    assert mg.autocast("float16")(lambda: x @ x)().dtype == np.float16
    with pytest.raises(ValueError, match=r'autocast: dtype .float32.; choose "bfloat16" or "float16"'):
        mg.autocast("float32")


def test_a_parameter_is_cast_once_in_a_block():
    weight = nn.Parameter(mg.randn(8, 8))
    x = mg.randn(4, 8)
    with mg.autocast("bfloat16"):
        a, b = mg.linear(x, weight), mg.linear(x * 2, weight)
        assert a.grad_fn.parents[1] is b.grad_fn.parents[1]
        (a + b).sum().backward()
        first = weight.grad.numpy().copy()
        weight.grad = None
        (mg.linear(x, weight) + mg.linear(x * 2, weight)).sum().backward()  # again, after a backward pass
        np.testing.assert_array_equal(weight.grad.numpy(), first)
        with mg.no_grad():
            weight.mul_(2)
        assert (mg.linear(x, weight).float() - 2 * a.float()).abs().max().item() == 0


WITHOUT_DROPOUT = [case for case in CASES_OF_LAYERS if "drop" not in case.name]


@pytest.mark.parametrize("case", WITHOUT_DROPOUT, ids=lambda case: case.name)
@pytest.mark.parametrize("given", ["float32", "bfloat16"])
def test_every_layer_in_mixed_precision(case, given):
    """Inputs as a layer before would give them: from a sum in float32, from a product in bfloat16."""
    mg.manual_seed(1)
    module = case.build(nn).float()
    inputs = [Tensor(x.astype(np.float32)) if x.dtype.kind == "f" else Tensor(x) for x in case.inputs]
    exact = first(case.call(module, *inputs)).detach().numpy()
    probabilities = case.name.startswith(("bce", "kl", "nll"))  # these are no layer's products
    with mg.autocast("bfloat16"):
        if given == "bfloat16" and not probabilities:
            inputs = [x.astype(given) if x.is_floating_point() else x for x in inputs]
        out = first(case.call(module, *inputs))
        loss = (out * out).sum()
    assert loss.dtype == np.float32
    if loss.requires_grad:
        loss.backward()
        assert {p.grad.dtype for p in module.parameters() if p.grad is not None} == {np.dtype(np.float32)}
    size = max(1.0, np.abs(exact).max())
    np.testing.assert_allclose(out.detach().float().numpy(), exact, atol=0.05 * size)


def first(output):
    while isinstance(output, tuple):
        output = output[0]
    return output


CONFIG = GPTConfig(vocab_size=31, context_length=16, num_layers=2, num_heads=2, embedding_dim=32)


def gradients(dtype, device="cpu"):
    """Loss and gradients of a small GPT in mixed precision, or in float32 for None."""
    mg.manual_seed(0)
    model = GPT(CONFIG).to(device)
    ids = mg.tensor(np.random.default_rng(0).integers(0, 31, (4, 17)), device=device)
    with mg.autocast(dtype or "bfloat16", enabled=dtype is not None):
        _, loss = model(ids[:, :-1], ids[:, 1:])
    scale = 1024.0 if dtype == "float16" else 1.0
    (loss * scale).backward()
    return loss.item(), {n: p.grad.cpu().numpy() / scale for n, p in model.named_parameters()}


def agree(ours, expected, tolerance):
    """The direction and length of each gradient agree, which rounding disturbs little."""
    for name in expected:
        difference = np.linalg.norm(ours[name] - expected[name])
        assert difference <= tolerance * np.linalg.norm(expected[name]) + 1e-7, name


@pytest.mark.parametrize(("dtype", "tolerance"), [("bfloat16", 0.06), ("float16", 0.02)])
def test_a_gpt_in_mixed_precision_has_nearly_the_same_gradients(dtype, tolerance):
    loss, found = gradients(dtype)
    exact_loss, exact = gradients(None)
    assert loss == pytest.approx(exact_loss, rel=3e-3)
    assert {g.dtype for g in found.values()} == {np.dtype(np.float32)}
    agree(found, exact, tolerance)


@half
def test_mixed_precision_on_the_gpu(dtype, cupy):
    loss, found = gradients(dtype, "cuda")
    expected_loss, expected = gradients(dtype)
    assert loss == pytest.approx(expected_loss, rel=2e-3)
    agree(found, expected, 0.05)


@pytest.mark.parity
def test_autocast_against_torch():
    """The same block in both, in bfloat16 on the CPU: as near to each other as each is to float32."""
    torch = pytest.importorskip("torch")
    mg.manual_seed(0)
    ours = nn.TransformerEncoderLayer(32, 2, 64, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
    theirs = torch.nn.TransformerEncoderLayer(32, 2, 64, 0.0, "gelu", batch_first=True, norm_first=True)
    theirs.load_state_dict({n: torch.from_numpy(t.numpy().copy()) for n, t in ours.state_dict().items()})
    x = np.random.default_rng(1).standard_normal((2, 12, 32)).astype(np.float32)
    with mg.autocast("bfloat16"):
        out = ours(mg.tensor(x))
        loss = (out * out).mean()
    loss.backward()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        their_out = theirs(torch.from_numpy(x))
        their_loss = (their_out * their_out).mean()
    their_loss.backward()
    assert str(out.dtype) == str(their_out.dtype).removeprefix("torch.")
    assert loss.item() == pytest.approx(their_loss.item(), rel=2e-3)
    agree(
        {n: p.grad.numpy() for n, p in ours.named_parameters()},
        {n: p.grad.numpy() for n, p in theirs.named_parameters()},
        0.04,
    )


# GradScaler.


def scaled_steps(scaler, losses):
    """A step for each factor of the loss; the weights after each."""
    weight = nn.Parameter(mg.ones(3))
    optimizer = nn.optim.SGD([weight], lr=0.1)
    history = []
    for factor in losses:
        optimizer.zero_grad()
        with np.errstate(invalid="ignore"):  # infinite on purpose
            scaler.scale((weight * factor).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        history.append((weight.detach().numpy().copy(), scaler.get_scale()))
    return history


def test_an_infinite_gradient_costs_a_step_and_halves_the_factor():
    history = scaled_steps(mg.GradScaler(1024, growth_interval=2), [1.0, np.inf, 1.0, 1.0, 1.0])
    np.testing.assert_allclose([w[0] for w, _ in history], [0.9, 0.9, 0.8, 0.7, 0.6], rtol=1e-6)
    assert [scale for _, scale in history] == [1024, 512, 512, 1024, 1024]


@pytest.mark.parity
def test_the_scaler_does_what_torchs_does():
    torch = pytest.importorskip("torch")
    factors = [1.0, 2.0, np.inf, 0.5, np.nan, 1.0, 3.0, 1.0]
    ours = scaled_steps(mg.GradScaler(256, 2.0, 0.5, 2), factors)
    scaler = torch.amp.GradScaler("cpu", 256, 2.0, 0.5, 2)
    weight = torch.ones(3, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.1)
    for factor, (expected, scale) in zip(factors, ours, strict=True):
        optimizer.zero_grad()
        scaler.scale((weight * factor).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        np.testing.assert_allclose(expected, weight.detach().numpy(), rtol=1e-6)
        assert scale == scaler.get_scale()


def test_unscale_lets_gradients_be_clipped():
    weight = nn.Parameter(mg.ones(4))
    optimizer, scaler = nn.optim.SGD([weight], lr=1.0), mg.GradScaler(2.0**10)
    scaler.scale((weight * 3).sum()).backward()
    scaler.unscale_(optimizer)
    assert nn.utils.clip_grad_norm_([weight], 1.0).item() == pytest.approx(6)
    with pytest.raises(RuntimeError, match="called twice"):
        scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    np.testing.assert_allclose(weight.detach().numpy(), 0.5, rtol=1e-5)
    with pytest.raises(RuntimeError, match="no step"):
        scaler.update()


def test_the_scaler_continues_from_its_state():
    one = mg.GradScaler(64, growth_interval=3)
    scaled_steps(one, [1.0, np.inf, 1.0])
    other = mg.GradScaler()
    other.load_state_dict(one.state_dict())
    assert scaled_steps(one, [1.0, 1.0, 1.0])[-1][1] == scaled_steps(other, [1.0, 1.0, 1.0])[-1][1]
    off = mg.GradScaler(enabled=False)
    assert (off.state_dict(), off.get_scale()) == ({}, 1.0)
    np.testing.assert_allclose(scaled_steps(off, [1.0])[0][0], 0.9)
    with pytest.raises(ValueError, match="backoff_factor=2"):
        mg.GradScaler(backoff_factor=2)


def test_scaling_on_the_gpu_reads_one_number():
    with fake_cupy.installed() as cupy:
        weight = nn.Parameter(mg.ones(3).cuda())
        optimizer, scaler = nn.optim.SGD([weight], lr=0.1), mg.GradScaler(2.0)
        scaler.scale((weight * 2).sum()).backward()
        cupy.copies.clear()
        scaler.step(optimizer)
        scaler.update()
        assert cupy.copies == {"to host": 1}


# TF32.


def test_tf32_within_a_block():
    with fake_cupy.installed():
        with mg.float32_matmul_precision("high"):
            assert compute_types[np.float32] == 5
            with mg.float32_matmul_precision("highest"):
                assert compute_types[np.float32] == 3
        assert compute_types[np.float32] == 0
    with pytest.raises(ValueError, match='choose "highest" or "high"'), mg.float32_matmul_precision("medium"):
        pass


@pytest.mark.gpu
def test_tf32_rounds_the_factors():
    a = mg.randn(256, 256, device="cuda")
    exact = a.double() @ a.double()
    errors = []
    for precision in ("highest", "high"):
        with mg.float32_matmul_precision(precision), kernels.use("cublas"):
            errors.append((a @ a - exact).abs().max().item())
    assert errors[0] < 1e-4 < errors[1] < 1


KEPT = {
    "where": lambda x: mg.where(x > 0, x, x * 2),
    "where-number": lambda x: mg.where(x > 0, x, 0.5),
    "masked_fill": lambda x: x.masked_fill(x > 0, 3),
    "var": lambda x: x.var(dim=1),
    "cube": lambda x: x**3,
    "to the power of 0": lambda x: x**0,
    "tril": lambda x: x.tril(),
    "leaky_relu": lambda x: nn.functional.leaky_relu(x),
    "dropout": lambda x: nn.functional.dropout(x, 0.5),
    "cumsum": lambda x: x.cumsum(1),
    "rows, one of them twice": lambda x: x[mg.tensor([2, 0, 2]).to(x.device)],
    "sort": lambda x: x.sort(1)[0],
    "topk": lambda x: x.topk(2, 1)[0],
    "embedding": lambda x: nn.functional.embedding(mg.tensor([2, 0, 2]).to(x.device), x),
}


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("name", KEPT)
def test_bfloat16_stays_bfloat16(name, device):
    """cupy makes float32 of it in where, tril and triu, and cannot sort it, scan it or add it at places."""
    mg.manual_seed(0)
    numbers = np.random.default_rng(0).standard_normal((3, 4))
    x = mg.tensor(numbers, dtype="bfloat16", device=device, requires_grad=True)
    y = KEPT[name](x)
    assert y.dtype == x.dtype
    y.backward(mg.ones_like(y))
    assert x.grad.dtype == x.dtype
    assert np.isfinite(x.grad.cpu().astype("float32").numpy()).all()
