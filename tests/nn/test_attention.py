"""MultiheadAttention and KVCache beyond the table: caches, masks, grouped heads, properties, bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
import nn


def attention(embed_dim=8, num_heads=4, **options):
    mg.manual_seed(0)
    return nn.MultiheadAttention(embed_dim, num_heads, **{"batch_first": True, **options}).double()


def random(*shape, seed=1):
    return mg.tensor(np.random.default_rng(seed).standard_normal(shape))


def itself(layer, x, **options):
    return layer(x, x, x, **{"need_weights": False, **options})[0]


def close(a, b):
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("steps", [[1] * 7, [4, 1, 2], [7]])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize(
    "options", [{}, {"num_kv_heads": 2}, {"num_kv_heads": 1, "rotary": nn.RotaryEmbedding(2)}], ids=str
)
@pytest.mark.parametrize("need_weights", [True, False])
def test_decoding_with_a_cache_equals_the_full_forward(steps, batch_first, options, need_weights):
    layer = attention(batch_first=batch_first, **options).eval()
    time = 1 if batch_first else 0
    x = random(*((3, 7, 8) if batch_first else (7, 3, 8)))
    full = itself(layer, x, is_causal=True)
    with mg.no_grad():
        cache = layer.new_cache(3, 9)
        pieces = [itself(layer, part, is_causal=True, cache=cache, need_weights=need_weights)
                  for part in x.split(steps, time)]  # fmt: skip
    close(mg.cat(pieces, time), full)
    assert cache.length == 7
    assert repr(cache).startswith("KVCache(7 of 9 positions")


def test_cache_is_written_in_place_and_can_start_again():
    cache = nn.KVCache(2, 3, 5, 4)
    k, v = mg.randn(2, 3, 2, 4), mg.randn(2, 3, 2, 4)
    keys, values = cache.append(k, v)
    np.testing.assert_array_equal(values.numpy(), v.numpy())
    keys_later, _ = cache.append(k, v)
    assert keys_later.shape == (2, 3, 4, 4)
    assert np.shares_memory(keys.data, keys_later.data)
    cache.reset()
    assert cache.length == 0
    assert cache.append(v, k)[0].shape == (2, 3, 2, 4)


def test_cached_memory_is_projected_once():
    layer = attention()
    x, memory = random(2, 3, 8), random(2, 5, 8, seed=2)
    with mg.no_grad():
        cache = layer.new_cache(2, 5)
        first = layer(x, memory, memory, need_weights=False, cache=cache)[0]
        again = layer(x, None, None, need_weights=False, cache=cache)[0]
    close(first, layer(x, memory, memory)[0])
    close(again, first)
    assert cache.length == 5


def test_causal_without_a_mask_equals_the_mask():
    layer = attention()
    x = random(2, 5, 8)
    future = mg.tensor(~np.tril(np.ones((5, 5), bool)))
    close(itself(layer, x, is_causal=True), itself(layer, x, attn_mask=future))
    changed = x.numpy().copy()
    changed[:, 3:] += 1
    close(itself(layer, x, is_causal=True)[:, :3], itself(layer, mg.tensor(changed), is_causal=True)[:, :3])


def test_padding_never_reaches_the_output():
    layer = attention()
    x = random(2, 5, 8)
    pad = mg.tensor([[False] * 5, [False, False, False, True, True]])
    changed = x.numpy().copy()
    changed[1, 3:] = 1e6
    out = itself(layer, x, key_padding_mask=pad)
    close(out[0], itself(layer, x[:1])[0])
    close(out[1, :3], itself(layer, x[1:, :3])[0])
    close(out[1, :3], itself(layer, mg.tensor(changed), key_padding_mask=pad)[1, :3])


@pytest.mark.parametrize("need_weights", [True, False])
def test_a_query_with_nothing_to_see_gets_0_not_nan(need_weights):
    layer = attention()
    x = random(2, 3, 8).requires_grad_()
    pad = mg.tensor([[False, False, False], [True, True, True]])
    out, weights = layer(x, x, x, pad, need_weights=need_weights)
    np.testing.assert_allclose(out.detach().numpy()[1], np.broadcast_to(layer.out_proj.bias.detach().numpy(), (3, 8)))
    if need_weights:
        assert not weights.detach().numpy()[1].any()
        np.testing.assert_allclose(weights.detach().numpy()[0].sum(-1), 1)
    (out * out).sum().backward()
    assert np.isfinite(x.grad.numpy()).all()
    assert not x.grad.numpy()[1].any()
    floats = mg.tensor(np.where(pad.numpy(), -np.inf, 0))
    close(layer(x, x, x, floats, need_weights=need_weights)[0], out)


def test_grouped_heads_are_full_heads_with_repeated_weights():
    grouped, full = attention(num_kv_heads=2), attention()
    q, k, v = (w.numpy() for w in grouped.in_proj_weight.detach().split([8, 4, 4]))
    repeated = [np.repeat(w.reshape(2, 2, 8), 2, axis=0).reshape(8, 8) for w in (k, v)]
    state = grouped.state_dict()
    state["in_proj_weight"], state["in_proj_bias"] = mg.tensor(np.concatenate([q, *repeated])), mg.zeros(24)
    full.load_state_dict(state)
    x = random(2, 5, 8)
    close(itself(grouped, x, is_causal=True), itself(full, x, is_causal=True))


def test_a_mask_can_be_learned():
    layer, x = attention(), random(2, 3, 8)
    bias = mg.zeros(3, 3, dtype="float64", requires_grad=True)
    (itself(layer, x, attn_mask=bias) ** 2).sum().backward()
    fused = bias.grad.numpy().copy()
    bias.grad = None
    (layer(x, x, x, attn_mask=bias)[0] ** 2).sum().backward()
    assert fused.any()
    np.testing.assert_allclose(fused, bias.grad.numpy(), rtol=1e-9)


def test_dropout_acts_in_training_only():
    layer, x = attention(dropout=0.5), random(2, 5, 8)
    assert (itself(layer, x).detach().numpy() != itself(layer, x).detach().numpy()).any()
    layer.eval()
    close(itself(layer, x), itself(attention(), x))


def test_projections_are_views_and_their_gradient_is_one_write():
    """The products' memory is never copied on the way to the kernel, nor their gradients on the way back."""
    layer, x = attention(), random(2, 5, 8)
    q, k, v = layer._project(x, x, x)
    assert q.data.base is not None
    assert np.shares_memory(q.data, q.data.base)
    assert q.data.base is k.data.base is v.data.base
    like = mg.zeros(2, 5, 4, 2, dtype="float64").data.swapaxes(1, 2)  # how the kernel lays out dq, dk and dv
    joined = mg.cat([like, like, like], 1)
    assert joined.swapaxes(1, 2).flags.c_contiguous


@given(
    st.integers(0, 3), st.integers(0, 5), st.integers(1, 5), st.sampled_from([(4, 1), (4, 2), (6, 3), (5, 5)]),
    st.booleans(), st.booleans(),
)  # fmt: skip
def test_property_fused_equals_explicit(batch, queries, keys, sizes, batch_first, bias):
    embed_dim, heads = sizes
    layer = attention(embed_dim, heads, batch_first=batch_first, bias=bias)
    x, y = ((batch, queries, embed_dim), (batch, keys, embed_dim))
    x, y = (shape if batch_first else (shape[1], shape[0], shape[2]) for shape in (x, y))
    x, y = random(*x), random(*y, seed=2)
    hidden = mg.tensor(np.random.default_rng(3).random((queries, keys)) < 0.4)
    out, weights = layer(x, y, y, attn_mask=hidden)
    assert out.shape == x.shape
    assert weights.shape == (batch, queries, keys)
    assert not weights.detach().numpy()[:, hidden.numpy()].any()
    close(out, layer(x, y, y, attn_mask=hidden, need_weights=False)[0])


X = mg.zeros(2, 3, 8)


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda m: nn.MultiheadAttention(10, 4), ValueError, "embed_dim=10 is not divisible by num_heads=4"),
        (lambda m: nn.MultiheadAttention(8, 0), ValueError, "not divisible by num_heads=0"),
        (lambda m: nn.MultiheadAttention(-8, 4), ValueError, "embed_dim=-8"),
        (lambda m: nn.MultiheadAttention(8, 2.0), TypeError, "num_heads=2.0; expected an integer"),
        (lambda m: nn.MultiheadAttention(8, 4, num_kv_heads=3), ValueError, "num_kv_heads=3 does not divide"),
        (lambda m: nn.MultiheadAttention(8, 4, dropout=1.5), ValueError, "p=1.5"),
        (lambda m: nn.MultiheadAttention(8, 4, add_bias_kv=True), NotImplementedError, "leave both out"),
        (lambda m: m(X, X, X, mg.zeros(2, 4)), ValueError, r"key_padding_mask \(2, 4\); expected \(2, 3\)"),
        (lambda m: m(X, X, X, attn_mask=mg.zeros(3, 4)), ValueError, r"attn_mask .* expected \(3, 3\) or \(8, 3, 3\)"),
        (lambda m: m(X, X, X, attn_mask=mg.tensor([[1]] * 3).expand(3, 3)), TypeError, "int64; expected bool"),
        (lambda m: m(X, None, None), ValueError, "key=None needs a cache"),
        (lambda m: m(X, None, None, is_causal=True, cache=m.new_cache(2, 3)), ValueError, "neither is_causal"),
        (lambda m: m(mg.zeros(2, 3, 7), X, X), ValueError, "in_features = 8"),
        (lambda m: m(mg.zeros(2), X, X), ValueError, r"query, key, value \(2,\), .*expected \(batch, time, size\)"),
        (lambda m: m(X, mg.zeros(3, 3, 8), mg.zeros(3, 3, 8)), ValueError, "one batch size"),
        (lambda m: m(X, X, mg.zeros(2, 4, 8)), ValueError, "one time for key and value"),
        (lambda m: m(X.double(), X, X), TypeError, "float64"),
        (lambda m: itself(m, X, cache=m.new_cache(2, 5)), RuntimeError, "no_grad"),
        (lambda m: nn.KVCache(2, 4, -1, 2), ValueError, "max_length=-1"),
    ],
)
def test_bad_input(act, error, message):
    with pytest.raises(error, match=message):
        act(attention().float())


def test_a_full_or_unfitting_cache_says_so():
    layer = attention()
    with mg.no_grad():
        cache = layer.new_cache(2, 4)
        itself(layer, random(2, 3, 8), cache=cache)
        with pytest.raises(ValueError, match=r"3 positions and 2 more do not fit max_length=4.*reset"):
            itself(layer, random(2, 2, 8), cache=cache)
        assert cache.length == 3
        with pytest.raises(ValueError, match=r"expected both \(2, 4, 1, 2\)"):
            itself(layer, random(1, 1, 8), cache=cache)
