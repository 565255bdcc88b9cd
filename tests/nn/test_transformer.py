"""Transformer layers and stacks beyond the table: caches for decoding, fused activations, bad input."""

import numpy as np
import pytest

import minigrad as mg
import nn
from nn import functional as F


def random(*shape, seed=0):
    return mg.tensor(np.random.default_rng(seed).standard_normal(shape, dtype=np.float32))


def close(a, b):
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("norm_first", [True, False])
def test_encoder_stack_decodes_with_caches(batch_first, norm_first):
    mg.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=batch_first, norm_first=norm_first)
    model = nn.TransformerEncoder(layer, 3, nn.LayerNorm(8)).eval()
    time = 1 if batch_first else 0
    x = random(*((2, 6, 8) if batch_first else (6, 2, 8)))
    with mg.no_grad():
        full = model(x, is_causal=True)
        caches = model.new_caches(2, 6)
        close(mg.cat([model(part, is_causal=True, caches=caches) for part in x.split([3, 1, 2], time)], time), full)


@pytest.mark.parametrize("norm_first", [True, False])
def test_decoder_stack_decodes_with_caches_and_reads_the_memory_once(norm_first):
    mg.manual_seed(0)
    layer = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True, norm_first=norm_first)
    model = nn.TransformerDecoder(layer, 2, nn.LayerNorm(8)).eval()
    x, memory = random(2, 5, 8), random(2, 4, 8, seed=1)
    pad = mg.tensor([[False] * 4, [False, False, True, True]])
    with mg.no_grad():
        full = model(x, memory, memory_key_padding_mask=pad, tgt_is_causal=True)
        caches = model.new_caches(2, 5, 4)
        options = {"memory_key_padding_mask": pad, "tgt_is_causal": True, "caches": caches}
        first = model(x[:, :1], memory, **options)
        rest = [model(x[:, t : t + 1], memory * 0, **options) for t in range(1, 5)]
    close(mg.cat([first, *rest], 1), full)
    assert [cache.memory.length for cache in caches] == [4, 4]


@pytest.mark.parametrize(
    ("given", "function"),
    [
        ("relu", F.relu),
        ("gelu", F.gelu),
        ("gelu_tanh", lambda x: F.gelu(x, "tanh")),
        ("silu", F.silu),
        (F.gelu, F.gelu),
        (nn.GELU("tanh"), lambda x: F.gelu(x, "tanh")),
        (lambda x: x * x, lambda x: x * x),
    ],
)
def test_activations_by_name_function_and_module(given, function):
    mg.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, activation=given, batch_first=True)
    x = random(2, 3, 8)
    a = layer.norm1(x + layer.self_attn(x, x, x)[0])
    close(layer(x), layer.norm2(a + layer.linear2(function(layer.linear1(a)))))


def test_hooks_of_the_inner_layers_run():
    layer = nn.TransformerEncoderLayer(8, 2, 16)
    seen = []
    for module in layer.modules():
        module.register_forward_hook(lambda module, args, output: seen.append(type(module).__name__))
    layer(random(3, 1, 8))
    assert sorted(set(seen)) == ["Dropout", "LayerNorm", "Linear", "MultiheadAttention", "TransformerEncoderLayer"]
    assert seen.count("Linear") == 3


def test_copies_of_a_layer_are_their_own():
    layer = nn.TransformerEncoderLayer(8, 2, 16)
    model = nn.TransformerEncoder(layer, 2)
    a, b = (m.linear1.weight for m in model.layers)
    np.testing.assert_array_equal(a.data, b.data)
    assert not np.shares_memory(a.data, b.data)
    assert len(list(model.parameters())) == 2 * len(list(layer.parameters()))


def test_dropout_in_training_only():
    layer = nn.TransformerDecoderLayer(8, 2, 16, dropout=0.5)
    x = random(3, 1, 8)
    assert (layer(x, x).data != layer(x, x).data).any()
    layer.eval()
    assert (layer(x, x).data == layer(x, x).data).all()


@pytest.mark.parametrize("build", [nn.TransformerEncoderLayer, nn.TransformerDecoderLayer])
@pytest.mark.parametrize("norm_first", [True, False])
def test_every_dropout_takes_part(build, norm_first):
    layer = build(8, 2, 16, dropout=0.0, norm_first=norm_first)
    inputs = [random(3, 2, 8)] if build is nn.TransformerEncoderLayer else [random(3, 2, 8), random(4, 2, 8, seed=1)]
    plain = layer(*inputs).data
    dropping = [(module, "p") for module in layer.modules() if isinstance(module, nn.Dropout)]
    dropping += [(module, "dropout") for module in layer.modules() if isinstance(module, nn.MultiheadAttention)]
    assert len(dropping) == (4 if build is nn.TransformerEncoderLayer else 6)
    for module, name in dropping:
        setattr(module, name, 0.9)
        assert (layer(*inputs).data != plain).any(), module
        setattr(module, name, 0.0)
        np.testing.assert_array_equal(layer(*inputs).data, plain)


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda: nn.TransformerEncoderLayer(10, 4), ValueError, "embed_dim=10 is not divisible by num_heads=4"),
        (lambda: nn.TransformerEncoderLayer(8, 2, -1), ValueError, "dim_feedforward=-1"),
        (lambda: nn.TransformerEncoderLayer(8, 2, dropout=-0.1), ValueError, "p=-0.1"),
        (
            lambda: nn.TransformerDecoderLayer(8, 2, activation="swish"),
            ValueError,
            "choose relu, gelu, gelu_tanh, silu",
        ),
        (lambda: nn.TransformerDecoderLayer(8, 2, activation=3), TypeError, "a name or a function"),
        (lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2), -1), ValueError, "num_layers=-1"),
        (
            lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2), 2)(random(2, 1, 8), caches=[None]),
            ValueError,
            "1 caches for 2 layers",
        ),
        (lambda: nn.TransformerEncoderLayer(8, 2)(random(2, 1, 6)), ValueError, "in_features = 8"),
    ],
)
def test_bad_input(act, error, message):
    with pytest.raises(error, match=message):
        act()
