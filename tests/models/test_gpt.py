"""GPT: configuration, forward and backward, caches, and parity with PyTorch and transformers."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
import models
from minigrad.io import save
from models.errors import UserError
from models.gpt import GPT, PRESETS, GPTConfig
from nn.optim import AdamW
from nn.utils import decay_groups

TINY = GPTConfig(vocab_size=11, context_length=8, num_layers=2, num_heads=2, embedding_dim=8)


def tiny(seed=0, **changes) -> GPT:
    mg.manual_seed(seed)
    return GPT(GPTConfig(**vars(TINY) | changes)).eval()


def random_ids(shape, vocab_size=11, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, vocab_size, shape)


def perturbed(model: GPT, scale=0.3) -> GPT:
    """With weights large enough for every part to matter, biases and gains included."""
    rng = np.random.default_rng(1)
    for parameter in model.parameters():
        parameter.data += (scale * rng.standard_normal(parameter.shape)).astype(parameter.dtype)
    return model


# Configuration.


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        *[
            (name, value, f"{name}={value!r}: expected a whole number above 0")
            for name in ("vocab_size", "context_length", "num_layers", "num_heads", "embedding_dim")
            for value in (0, -1, 2.5, True, "8")
        ],
        ("embedding_dim", 9, "embedding_dim=9 is not divisible by num_heads=2: take 8 or"),
        ("embedding_dim", 1, "embedding_dim=1 is not divisible by num_heads=2: take 2 or"),
        ("dropout", -0.1, "dropout=-0.1: expected a probability, from 0 to below 1"),
        ("dropout", 1, "dropout=1: expected a probability"),
        ("dropout", "0", "dropout='0': expected a probability"),
        ("bias", 1, "bias=1: expected True or False"),
    ],
)
def test_every_field_is_checked(field, value, message):
    with pytest.raises(UserError) as error:
        GPTConfig(**vars(TINY) | {field: value})
    assert message in str(error.value)


def count_parameters(config: GPTConfig) -> int:
    width, biases = config.embedding_dim, config.bias
    block = 12 * width**2 + 2 * width + biases * (3 + 1 + 4 + 1 + 2) * width
    return (config.vocab_size + config.context_length) * width + config.num_layers * block + (1 + biases) * width


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("layers", [1, 3])
def test_number_of_parameters(layers, bias):
    model = tiny(num_layers=layers, bias=bias)
    assert model.num_parameters() == count_parameters(model.config)
    assert any(name.endswith("bias") for name, _ in model.named_parameters()) == bias


def test_presets_have_the_published_sizes():
    published = {"gpt2": 124_439_808, "gpt2-medium": 354_823_168, "gpt2-large": 774_030_080, "gpt2-xl": 1_557_611_200}
    for name, parameters in published.items():
        assert count_parameters(GPTConfig.preset(name)) == parameters
    assert set(PRESETS) == {*published, "nano"}
    assert GPTConfig.preset("nano", vocab_size=65, dropout=0.1) == GPTConfig(65, 64, 4, 4, 128, 0.1)
    with pytest.raises(UserError, match="no GPT preset 'gtp2': did you mean 'gpt2'"):
        GPTConfig.preset("gtp2")


def test_initial_weights_are_gpt2s():
    mg.manual_seed(3)
    model = GPT(GPTConfig(vocab_size=100, context_length=64, num_layers=8, num_heads=4, embedding_dim=64))
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2:
            assert (parameter.data == ("norm" in name and name.endswith("weight"))).all(), name
        else:
            residual = name.endswith(("out_proj.weight", "project.weight"))
            assert parameter.data.std() == pytest.approx(0.02 / 4 if residual else 0.02, rel=0.06), name
            assert abs(parameter.data.mean()) < 0.002, name


def test_same_seed_same_weights():
    first, second, other = (tiny(seed).state_dict() for seed in (5, 5, 6))
    assert all((first[name].data == second[name].data).all() for name in first)
    assert (first["token_embedding.weight"].data != other["token_embedding.weight"].data).any()


def test_public_names_are_found_where_they_live():
    assert models.GPT is GPT
    assert models.UserError is UserError
    assert set(models.__all__) <= set(dir(models))
    for name in models.__all__:
        assert getattr(models, name).__name__ == name
    with pytest.raises(AttributeError, match="models has no attribute 'GTP'"):
        _ = models.GTP


# Forward.


@given(batch=st.integers(1, 4), time=st.integers(1, 8), seed=st.integers(0, 99))
def test_any_batch_and_length_and_no_look_ahead(batch, time, seed):
    model = perturbed(tiny())
    ids = random_ids((batch, time), seed=seed)
    logits = model(ids).data
    assert logits.shape == (batch, time, 11)
    for row in range(batch):  # rows do not see each other
        np.testing.assert_allclose(model(ids[row : row + 1]).data[0], logits[row], rtol=2e-4, atol=2e-5)
    changed = seed % time
    ids[:, changed] = (ids[:, changed] + 1) % 11
    again = model(ids).data
    np.testing.assert_allclose(again[:, :changed], logits[:, :changed], rtol=2e-4, atol=2e-5)
    assert np.abs(again[:, changed] - logits[:, changed]).max() > 1e-3


@given(
    pieces=st.lists(st.integers(1, 4), min_size=1, max_size=4).filter(lambda p: sum(p) <= 8), batch=st.integers(1, 3)
)
def test_cached_pieces_equal_the_whole(pieces, batch):
    model = perturbed(tiny())
    ids = random_ids((batch, sum(pieces)))
    with mg.no_grad():
        whole = model(ids).data
        caches, end = model.new_caches(batch), 0
        for length in pieces:
            start, end = end, end + length
            logits = model(ids[:, start:end], caches=caches).data
            np.testing.assert_allclose(logits, whole[:, start:end], rtol=2e-4, atol=2e-5)
        np.testing.assert_allclose(model.next_logits(ids).data, whole[:, -1], rtol=2e-4, atol=2e-5)


def test_loss_is_the_mean_cross_entropy_of_the_targets_that_count():
    model = perturbed(tiny())
    ids, targets = random_ids((3, 5)), random_ids((3, 5), seed=1)
    targets[0, 2:] = -100
    logits, loss = model(ids, targets)
    rows = logits.data.reshape(-1, 11).astype(np.float64)
    log_p = rows - np.log(np.exp(rows).sum(-1, keepdims=True))
    expected = [-log_p[i, t] for i, t in enumerate(targets.reshape(-1)) if t != -100]
    assert loss.item() == pytest.approx(np.mean(expected), rel=1e-5)


def test_dropout_only_while_training_and_by_the_seed():
    model = tiny(dropout=0.5)
    ids = random_ids((2, 8))
    assert (model(ids).data == model(ids).data).all()
    model.train()
    draws = []
    for seed in (1, 1, 2):
        mg.manual_seed(seed)
        draws.append(model(ids).data)
    assert (draws[0] == draws[1]).all()
    assert (draws[0] != draws[2]).any()


@pytest.mark.parametrize(
    ("ids", "targets", "error", "message"),
    [
        (np.zeros((1, 9), int), None, ValueError, "9 tokens: the model looks at context_length=8 at most"),
        (np.zeros((1, 0), int), None, ValueError, r"ids \(1, 0\); expected \(batch, time\)"),
        (np.zeros(4, int), None, ValueError, r"ids \(4,\); expected \(batch, time\)"),
        (np.zeros((1, 4)), None, TypeError, "ids are float64; expected integers"),
        (np.array([[0, 11]]), None, IndexError, "id 11 at .* 0 to 10"),
        (np.array([[0, -1]]), None, IndexError, "id -1 at .* 0 to 10"),
        (np.zeros((1, 4), int), np.zeros((1, 3), int), ValueError, r"targets \(1, 3\) for ids \(1, 4\)"),
        (np.zeros((1, 4), int), np.full((1, 4), 11), IndexError, "11"),
    ],
)
def test_bad_input(ids, targets, error, message):
    with pytest.raises(error, match=message):
        tiny()(ids, targets)


def test_full_caches():
    model = tiny()
    with mg.no_grad():
        caches = model.new_caches(1)
        model(np.zeros((1, 6), int), caches=caches)
        with pytest.raises(ValueError, match="3 tokens after 6 in the caches: the model looks at context_length=8"):
            model(np.zeros((1, 3), int), caches=caches)


# Backward and training.


@pytest.mark.parametrize("bias", [True, False])
def test_gradients_against_finite_differences(bias):
    """In float64, along random directions through all parameters at once."""
    model = perturbed(tiny(bias=bias).double())
    ids, targets = random_ids((2, 8)), random_ids((2, 8), seed=1)
    model(ids, targets)[1].backward()
    parameters = list(model.parameters())
    rng = np.random.default_rng(2)
    for _ in range(3):
        directions = [rng.standard_normal(p.shape) for p in parameters]
        losses = []
        for sign in (1, -1):
            for p, d in zip(parameters, directions, strict=True):
                p.data += sign * 1e-5 * d
            losses.append(model(ids, targets)[1].item())
            for p, d in zip(parameters, directions, strict=True):
                p.data -= sign * 1e-5 * d
        slope = sum((p.grad.data * d).sum() for p, d in zip(parameters, directions, strict=True))
        assert slope == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-6)


def test_parameter_groups_decay_matrices_only():
    model = tiny()
    decayed, free = decay_groups(model.parameters(), 0.1)
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    names = {parameter: name for name, parameter in model.named_parameters()}
    assert {names[p] for p in decayed["params"]} == {
        n for p, n in names.items() if n.endswith("weight") and "norm" not in n
    } | {n for n in names.values() if n.endswith("in_proj_weight")}
    assert len(decayed["params"]) + len(free["params"]) == len(names)


def test_overfits_one_batch():
    model = tiny(embedding_dim=32).train()
    ids = random_ids((4, 9))
    optimizer = AdamW(decay_groups(model.parameters(), 0.0), lr=1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        _, loss = model(ids[:, :-1], ids[:, 1:])
        loss.backward()
        optimizer.step()
    # The first tokens of some rows may be equal with different followers: that much cannot be learnt.
    assert loss.item() < 0.15


# transformers' weights.


def huggingface_state(model: GPT) -> dict:
    """The model's weights under transformers' names, made here by hand."""
    own = {name: tensor.data for name, tensor in model.state_dict().items()}
    state = {
        "transformer.wte.weight": own["token_embedding.weight"],
        "transformer.wpe.weight": own["position_embedding.weight"],
        "transformer.ln_f.weight": own["final_norm.weight"],
        "transformer.ln_f.bias": own["final_norm.bias"],
        "lm_head.weight": own["token_embedding.weight"],
    }
    for i in range(model.config.num_layers):
        for part in ("weight", "bias"):
            for ours, theirs in {
                f"norm_1.{part}": f"ln_1.{part}",
                f"attention.in_proj_{part}": f"attn.c_attn.{part}",
                f"attention.out_proj.{part}": f"attn.c_proj.{part}",
                f"norm_2.{part}": f"ln_2.{part}",
                f"mlp.expand.{part}": f"mlp.c_fc.{part}",
                f"mlp.project.{part}": f"mlp.c_proj.{part}",
            }.items():
                state[f"transformer.h.{i}.{theirs}"] = own[f"blocks.{i}.{ours}"].T
        state[f"transformer.h.{i}.attn.bias"] = np.ones((1, 1, 8, 8), bool)
    return state


def write_huggingface(directory, state, **settings):
    save(state, directory / "model.safetensors")
    (directory / "config.json").write_text(json.dumps({"model_type": "gpt2", "n_head": 2, "n_embd": 8} | settings))


def test_from_huggingface_directory_file_and_state(tmp_path):
    model = perturbed(tiny())
    state = huggingface_state(model)
    write_huggingface(tmp_path, state)
    ids = random_ids((2, 8))
    bare = {name.removeprefix("transformer."): array for name, array in state.items()}
    for loaded in (
        GPT.from_huggingface(tmp_path),
        GPT.from_huggingface(str(tmp_path / "model.safetensors")),
        GPT.from_huggingface(bare, num_heads=2),
    ):
        assert loaded.config == TINY
        assert (loaded(ids).data == model(ids).data).all()


def drop(name):
    return lambda state: state.pop(f"transformer.{name}")


def put(name, array):
    return lambda state: state.update({name: array})


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (drop("wte.weight"), ["no matrix wte.weight"]),
        (drop("h.1.ln_1.bias"), ["missing: blocks.1.norm_1.bias (8,)"]),
        (put("transformer.h.0.attn.extra", np.ones(3)), ["unexpected: h.0.attn.extra (3,)"]),
        (put("transformer.h.0.mlp.c_fc.bias", np.ones(3, "f4")), ["blocks.0.mlp.expand.bias is (32,) here, (3,) in"]),
        (put("lm_head.weight", np.ones((11, 8), "f4")), ["lm_head.weight differs from wte.weight"]),
    ],
)
def test_from_huggingface_names_every_bad_tensor(change, messages):
    state = huggingface_state(tiny())
    change(state)
    with pytest.raises(UserError) as error:
        GPT.from_huggingface(state, num_heads=2)
    for message in messages:
        assert message in str(error.value)


def test_from_huggingface_bad_files(tmp_path):
    with pytest.raises(UserError, match="no such file; expected a directory with model"):
        GPT.from_huggingface(tmp_path)
    state = huggingface_state(tiny())
    with pytest.raises(UserError, match="pass num_heads"):
        GPT.from_huggingface(state)
    write_huggingface(tmp_path, state, activation_function="relu", layer_norm_epsilon=1e-6, n_inner=16)
    with pytest.raises(UserError) as error:
        GPT.from_huggingface(tmp_path)
    for part in ("activation_function is 'relu'", "layer_norm_epsilon is 1e-06", "n_inner is 16, only 4·n_embd = 32"):
        assert part in str(error.value)
    (tmp_path / "config.json").unlink()
    data = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(data[:-10])
    with pytest.raises(UserError, match="truncated or not a safetensors file"):
        GPT.from_huggingface(tmp_path, num_heads=2)


@pytest.mark.parity
def test_transformers_gpt2_gives_the_same_logits(tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=50, n_positions=16, n_embd=24, n_layer=3, n_head=4)
    theirs = transformers.GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    theirs.save_pretrained(tmp_path)
    ids = random_ids((3, 16), vocab_size=50)
    with torch.no_grad():
        expected = theirs(torch.from_numpy(ids)).logits.numpy()
    np.testing.assert_allclose(GPT.from_huggingface(tmp_path)(ids).data, expected, rtol=1e-4, atol=1e-5)
    again = GPT.from_huggingface(
        {name: value.detach().numpy() for name, value in theirs.state_dict().items()}, num_heads=4
    )
    np.testing.assert_allclose(again(ids).data, expected, rtol=1e-4, atol=1e-5)


# The same model in PyTorch, from the same weights.


def torch_gpt(weights, config, ids, targets):
    """Logits and loss, written with torch.nn.functional only."""
    import torch
    from torch.nn import functional as F

    def layer_norm(x, name):
        return F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights.get(f"{name}.bias"))

    def linear(x, weight, bias):
        return F.linear(x, weights[weight], weights.get(bias))

    x = weights["token_embedding.weight"][ids] + weights["position_embedding.weight"][: ids.shape[1]]
    batch, time, width = x.shape
    for i in range(config.num_layers):
        block = f"blocks.{i}"
        qkv = linear(
            layer_norm(x, f"{block}.norm_1"), f"{block}.attention.in_proj_weight", f"{block}.attention.in_proj_bias"
        )
        q, k, v = (y.view(batch, time, config.num_heads, -1).transpose(1, 2) for y in qkv.split(width, -1))
        scores = q @ k.transpose(-1, -2) / (width // config.num_heads) ** 0.5
        scores = scores.masked_fill(torch.ones(time, time, dtype=torch.bool).triu(1), float("-inf"))
        y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, time, width)
        x = x + linear(y, f"{block}.attention.out_proj.weight", f"{block}.attention.out_proj.bias")
        h = linear(layer_norm(x, f"{block}.norm_2"), f"{block}.mlp.expand.weight", f"{block}.mlp.expand.bias")
        x = x + linear(F.gelu(h, approximate="tanh"), f"{block}.mlp.project.weight", f"{block}.mlp.project.bias")
    logits = layer_norm(x, "final_norm") @ weights["token_embedding.weight"].T
    return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten())


PARITY_CONFIGS = [
    GPTConfig(vocab_size=17, context_length=16, num_layers=2, num_heads=2, embedding_dim=16),
    GPTConfig(vocab_size=33, context_length=32, num_layers=3, num_heads=4, embedding_dim=64, bias=False),
    GPTConfig(vocab_size=65, context_length=64, num_layers=4, num_heads=4, embedding_dim=128),  # nanoGPT's
]


@pytest.mark.parity
@pytest.mark.parametrize("config", PARITY_CONFIGS, ids=lambda config: f"{config.embedding_dim}-wide")
def test_torch_gpt_parity(config):
    """Equal logits, gradients, and losses over ten AdamW steps."""
    torch = pytest.importorskip("torch")
    mg.manual_seed(0)
    model = perturbed(GPT(config), scale=0.05)
    weights = {n: torch.tensor(p.data.copy(), requires_grad=True) for n, p in model.named_parameters()}
    decay = [weights[n] for n, p in model.named_parameters() if p.ndim >= 2]
    free = [weights[n] for n, p in model.named_parameters() if p.ndim < 2]
    theirs = torch.optim.AdamW([{"params": decay}, {"params": free, "weight_decay": 0.0}], lr=1e-3, weight_decay=0.1)
    ours = AdamW(decay_groups(model.parameters(), 0.1), lr=1e-3)
    for step in range(10):
        windows = random_ids((3, config.context_length + 1), config.vocab_size, seed=step)
        ids, targets = windows[:, :-1], windows[:, 1:]
        logits, loss = model(mg.Tensor(ids), mg.Tensor(targets))
        expected, torch_loss = torch_gpt(weights, config, torch.from_numpy(ids), torch.from_numpy(targets))
        assert loss.item() == pytest.approx(torch_loss.item(), abs=1e-4)
        ours.zero_grad()
        theirs.zero_grad()
        loss.backward()
        torch_loss.backward()
        if step == 0:
            np.testing.assert_allclose(logits.data, expected.detach().numpy(), rtol=1e-4, atol=1e-5)
            for name, parameter in model.named_parameters():
                np.testing.assert_allclose(
                    parameter.grad.data, weights[name].grad.numpy(), rtol=1e-3, atol=1e-4, err_msg=name
                )
        ours.step()
        theirs.step()
