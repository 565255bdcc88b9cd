"""Positions: the formulas, offsets, the relative property of rotary embeddings, and their limits."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
import nn


def test_sinusoids_are_the_papers():
    encoding = nn.SinusoidalPositionalEncoding(6, max_length=20)
    out = encoding(mg.zeros(2, 4, 6), offset=10).numpy()
    for t in range(4):
        for i in range(3):
            angle = (t + 10) / 10000 ** (2 * i / 6)
            assert out[1, t, 2 * i] == pytest.approx(math.sin(angle), abs=1e-6)
            assert out[1, t, 2 * i + 1] == pytest.approx(math.cos(angle), abs=1e-6)
    assert list(encoding.state_dict()) == []
    odd = nn.SinusoidalPositionalEncoding(5, max_length=20)(mg.zeros(1, 4, 5)).numpy()
    assert odd[0, 3, 4] == pytest.approx(math.sin(3 / 10000 ** (4 / 6)), abs=1e-6)


@pytest.mark.parametrize(
    "make", [nn.SinusoidalPositionalEncoding, lambda d, n, **o: nn.LearnedPositionalEmbedding(n, d, **o)]
)
def test_time_first_and_unbatched_add_the_same(make):
    x = mg.randn(2, 3, 4)
    batched, timed = make(4, 9), make(4, 9, batch_first=False)
    timed.load_state_dict(batched.state_dict())
    expected = batched(x, offset=2).detach().numpy()
    np.testing.assert_array_equal(timed(x.swapaxes(0, 1), offset=2).detach().numpy().swapaxes(0, 1), expected)
    np.testing.assert_array_equal(batched(x[0], offset=2).detach().numpy(), expected[0])


def test_learned_positions_gather_gradients_where_they_were_used():
    learned = nn.LearnedPositionalEmbedding(6, 2)
    learned(mg.zeros(3, 2, 2), offset=1).sum().backward()
    np.testing.assert_array_equal(learned.weight.grad.numpy()[:, 0], [0, 3, 3, 0, 0, 0])


def test_dropout_of_the_sum_in_training_only():
    encoding = nn.SinusoidalPositionalEncoding(8, 30, dropout=0.5)
    x = mg.ones(1, 30, 8)
    assert (encoding(x).numpy() == 0).mean() > 0.3
    assert (encoding.eval()(x).numpy() == 0).mean() < 0.1


def rotary_by_hand(x, base, offset, interleaved):
    """The rotations written as complex numbers (Su et al. 2021, eq. 13)."""
    time, dim = x.shape[-2:]
    angles = (np.arange(time) + offset)[:, None] * base ** (-2 * np.arange(dim // 2) / dim)
    first, second = (x[..., ::2], x[..., 1::2]) if interleaved else (x[..., : dim // 2], x[..., dim // 2 :])
    turned = (first + 1j * second) * np.exp(1j * angles)
    if interleaved:
        return np.stack([turned.real, turned.imag], -1).reshape(x.shape)
    return np.concatenate([turned.real, turned.imag], -1)


@given(st.integers(0, 6), st.integers(1, 4), st.integers(0, 40), st.booleans(), st.sampled_from([10.0, 10000.0]))
def test_rotary_turns_pairs(time, half, offset, interleaved, base):
    x = np.random.default_rng(0).standard_normal((2, 3, time, 2 * half))
    rotary = nn.RotaryEmbedding(2 * half, base, interleaved)
    out = rotary(mg.tensor(x), offset).numpy()
    np.testing.assert_allclose(out, rotary_by_hand(x, base, offset, interleaved), rtol=1e-9, atol=1e-12)
    strided = mg.tensor(np.ascontiguousarray(x.swapaxes(1, 2))).swapaxes(1, 2)
    np.testing.assert_array_equal(rotary(strided, offset).numpy(), out)


@pytest.mark.parametrize("interleaved", [True, False])
def test_products_of_rotated_vectors_depend_on_distance_alone(interleaved):
    rotary = nn.RotaryEmbedding(8, interleaved=interleaved)
    rng = np.random.default_rng(0)
    query, key = mg.tensor(rng.standard_normal((1, 8))), mg.tensor(rng.standard_normal((1, 8)))
    products = [(rotary(query, 5 + t) * rotary(key, t)).sum().item() for t in (0, 3, 400)]
    np.testing.assert_allclose(products, products[0], rtol=1e-9)
    assert (rotary(query, 6) * rotary(key, 0)).sum().item() != pytest.approx(products[0])
    assert list(rotary.state_dict()) == []


@pytest.mark.parity
@pytest.mark.slow
def test_halves_are_llamas():
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

    config = transformers.LlamaConfig(hidden_size=32, num_attention_heads=4, max_position_embeddings=64)
    x = np.random.default_rng(0).standard_normal((2, 4, 9, 8), dtype=np.float32)
    cos, sin = LlamaRotaryEmbedding(config)(torch.tensor(x), torch.arange(3, 12)[None])
    theirs, _ = apply_rotary_pos_emb(torch.tensor(x), torch.tensor(x), cos, sin)
    ours = nn.RotaryEmbedding(8, interleaved=False)(mg.tensor(x), offset=3)
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda: nn.RotaryEmbedding(5), ValueError, "dim=5 is odd"),
        (lambda: nn.RotaryEmbedding(4, base=0), ValueError, "base=0"),
        (lambda: nn.RotaryEmbedding(4)(mg.zeros(2, 6)), ValueError, r"input \(2, 6\); expected \(..., time, 4\)"),
        (lambda: nn.RotaryEmbedding(4)(mg.zeros(2, 4), -1), ValueError, "offset=-1"),
        (
            lambda: nn.LearnedPositionalEmbedding(4, 2)(mg.zeros(1, 3, 2), 2),
            ValueError,
            "2 to 4 do not fit max_length=4",
        ),
        (lambda: nn.LearnedPositionalEmbedding(4, 2)(mg.zeros(1, 5, 2)), ValueError, "0 to 4 do not fit max_length=4"),
        (lambda: nn.LearnedPositionalEmbedding(4, 2)(mg.zeros(1, 3, 3)), ValueError, "the last of size 2"),
        (lambda: nn.LearnedPositionalEmbedding(-4, 2), ValueError, "max_length=-4"),
        (lambda: nn.SinusoidalPositionalEncoding(4, 9, dropout=2), ValueError, "p=2"),
    ],
)
def test_bad_input(act, error, message):
    with pytest.raises(error, match=message):
        act()
