"""Attention over every number of leading dimensions, mask and dtype; against its definition, and against PyTorch."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.tensor import Tensor
from tests.support.ops_table import attention

MASKS = ["none", "bool", "additive", "hiding"]


def drawn_case(rng):
    """q, k, v, mask and is_causal: up to five dimensions, a mask that broadcasts, rows that see nothing among it."""
    lead = tuple(int(n) for n in rng.integers(1, 4, rng.integers(0, 4)))
    queries, keys, size, value_size = (int(n) for n in rng.integers(1, 7, 4))
    q, k, v = (rng.standard_normal(s) for s in ((*lead, queries, size), (*lead, keys, size), (*lead, keys, value_size)))
    kind = rng.choice(MASKS)
    if kind == "none":
        return q, k, v, None, bool(rng.random() < 0.5)
    full = (*lead, queries, keys)
    shape = tuple(1 if rng.random() < 0.4 else n for n in full)[rng.integers(0, len(full) - 1) :]
    if kind == "bool":
        return q, k, v, rng.random(shape) < 0.6, False
    mask = rng.standard_normal(shape)
    return q, k, v, np.where(rng.random(shape) < 0.4, -np.inf, mask) if kind == "hiding" else mask, False


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_every_rank_and_mask(seed):
    q, k, v, mask, causal = drawn_case(np.random.default_rng(seed))
    inputs = [Tensor(x, requires_grad=True) for x in (q, k, v)]
    wide = [x if x.ndim > 2 else x[None] for x in (q, k, v)]
    expected = attention(*wide, mask, 0 if causal else None).reshape(*q.shape[:-1], v.shape[-1])
    y = mg.scaled_dot_product_attention(*inputs, mask, is_causal=causal)
    np.testing.assert_allclose(y.data, expected, rtol=1e-9, atol=1e-12)
    mg.gradcheck(lambda q, k, v: mg.scaled_dot_product_attention(q, k, v, mask, is_causal=causal), inputs)


@pytest.mark.parametrize("shape", [(2, 1, 3, 5, 4), (1, 3, 5, 4), (2, 3, 1, 1), (4,), (1, 1, 1, 1, 1)])
def test_a_learned_mask_of_five_dimensions(shape):
    rng = np.random.default_rng(0)
    q, k, v = (Tensor(rng.standard_normal((2, 2, 3, n, 2)), requires_grad=True) for n in (5, 4, 4))
    bias = Tensor(rng.standard_normal(shape), requires_grad=True)
    y = mg.scaled_dot_product_attention(q, k, v, bias)
    np.testing.assert_allclose(y.data, attention(q.data, k.data, v.data, bias.data), rtol=1e-10)
    mg.gradcheck(lambda *inputs: mg.scaled_dot_product_attention(*inputs), [q, k, v, bias])


def test_dropping_every_weight_gives_0():
    q, k, v = (mg.randn(1, 2, 3, 4, requires_grad=True) for _ in range(3))
    y = mg.scaled_dot_product_attention(q, k, v, dropout_p=1.0)
    y.sum().backward()
    for zeros in (y, q.grad, k.grad, v.grad):
        np.testing.assert_array_equal(zeros.data, 0)
    kept = mg.scaled_dot_product_attention(q, k, v, dropout_p=0.0)
    np.testing.assert_array_equal(kept.data, mg.scaled_dot_product_attention(q, k, v).data)


def ones(*shape, dtype="float32"):
    return mg.ones(*shape, dtype=dtype)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((ones(2, 3), ones(2, 3), ones(2, 3), mg.ones(2, 2, dtype="int64")), TypeError, "mask is int64; expected bool"),
        ((ones(2, 3), ones(2, 3, dtype="float64"), ones(2, 3)), TypeError, "are float32, float64, float32"),
        ((ones(2, 3, dtype="int64"),) * 3, TypeError, "expected one floating dtype"),
        ((ones(2, 3), ones(2, 3), ones(2, 3), ones(3, 1)), ValueError, r"mask \(3, 1\) does not broadcast to \(2, 2\)"),
        ((ones(2, 3), ones(2, 3), ones(2, 3), ones(1, 2, 2)), ValueError, "more dimensions than the scores"),
        ((ones(6, 1, 2, 3), ones(2, 3, 1, 2, 3), ones(2, 3, 1, 2, 3)), ValueError, "batches must agree"),
        ((ones(1, 3, 2, 3), ones(1, 2, 2, 3), ones(1, 2, 2, 3)), ValueError, "key heads divide"),
        ((ones(2, 3), ones(2, 4), ones(2, 3)), ValueError, "must agree in the last dimension"),
    ],
)
def test_mistakes(arguments, error, message):
    with pytest.raises(error, match=message):
        mg.scaled_dot_product_attention(*arguments)


@pytest.mark.parity
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_parity(dtype):
    torch = pytest.importorskip("torch")
    sdpa = torch.nn.attention
    tolerance = {"float64": 1e-9, "float32": 3e-5, "float16": 4e-3, "bfloat16": 3e-2}[dtype]
    rng = np.random.default_rng(3)
    for _ in range(150):
        *arrays, mask, causal = drawn_case(rng)
        theirs = [torch.tensor(x).to(getattr(torch, dtype)).requires_grad_() for x in arrays]
        ours = [Tensor(t.detach().double().numpy()).astype(dtype).requires_grad_() for t in theirs]
        masks = (None, None)
        if mask is not None:
            masks = (Tensor(mask), torch.tensor(mask))
            if mask.dtype != bool:
                masks = (masks[0].astype(dtype), masks[1].to(getattr(torch, dtype)))
        y = mg.scaled_dot_product_attention(*ours, masks[0], is_causal=causal)
        with sdpa.sdpa_kernel(sdpa.SDPBackend.MATH):
            t = torch.nn.functional.scaled_dot_product_attention(*theirs, masks[1], is_causal=causal)
        assert str(y.dtype) == dtype
        upstream = rng.standard_normal(y.shape)
        y.backward(Tensor(upstream).astype(dtype))
        t.backward(torch.tensor(upstream).to(t.dtype))
        for a, b in [(y, t), *((x.grad, z.grad) for x, z in zip(ours, theirs, strict=True))]:
            difference = abs(a.data.astype(float) - b.detach().double().numpy())
            assert difference.max(initial=0) <= tolerance * 8 * max(1, math.sqrt(a.shape[-1]))
