"""Attention in half precision on tensor cores, against the reference in float64 on the same numbers."""

import numpy as np
import pytest

from minigrad import kernels
from minigrad.dtypes import as_dtype, epsilon
from minigrad.kernels.reference import attention as reference
from minigrad.kernels.reference.attention import AttentionSettings
from tests.minigrad.kernels.implementations import others, run
from tests.minigrad.kernels.test_attention import inputs

BACKENDS = [p for p in others("attention") if "numba" not in p.values[0]]
EVERY = pytest.mark.parametrize("backend", BACKENDS)
DTYPES = pytest.mark.parametrize("name", ["float16", "bfloat16"])


def half(name, *shape):
    """q, k, v and an upstream gradient."""
    if name == "bfloat16":
        pytest.importorskip("ml_dtypes")
    return [x.astype(as_dtype(name)) for x in inputs(*shape)]


def check(backend, q, k, v, grad, mask=None, offset=None, p=0.0):
    arguments = (mask, AttentionSettings(offset, 0.25, p, 3))
    wide = [x.astype(np.float64) for x in (q, k, v)]
    expected_out, expected_lse = reference.attention(*wide, *arguments)
    expected = reference.attention_backward(grad.astype(np.float64), *wide, expected_out, expected_lse, *arguments)
    out, lse = run(backend, "attention", q, k, v, *arguments)
    gradients = run(backend, "attention_backward", grad, q, k, v, out, lse, *arguments)
    np.testing.assert_allclose(lse, expected_lse, rtol=1e-5, atol=1e-5)
    for actual, wanted in zip((out, *gradients), (expected_out, *expected), strict=True):
        assert actual.dtype == q.dtype
        assert actual.shape == wanted.shape
        largest = np.abs(wanted).max(initial=1e-3)  # rounding of P and of the result
        np.testing.assert_allclose(actual.astype(np.float64), wanted, atol=3 * epsilon(q.dtype) * largest)


SHAPES = [  # batch, heads, kv heads, query time, key time, head_dim, value_dim
    (2, 2, 2, 64, 64, 32, 32),
    (1, 2, 1, 70, 130, 64, 64),
    (1, 1, 1, 65, 33, 80, 80),
    (1, 1, 1, 33, 70, 96, 96),
    (1, 2, 1, 40, 100, 128, 128),
    (1, 1, 1, 20, 150, 8, 56),
    (1, 4, 2, 1, 300, 64, 64),  # decoding
    (1, 1, 1, 3, 5, 16, 16),
]


@EVERY
@DTYPES
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_matches_reference(backend, name, shape, causal):
    check(backend, *half(name, *shape), offset=shape[4] - shape[3] if causal else None)


@EVERY
@DTYPES
@pytest.mark.parametrize("offset", [-100, -30, 0, 17, 64])
def test_causal_offsets(backend, name, offset):
    check(backend, *half(name, 1, 2, 1, 70, 100, 64, 64), offset=offset)


@EVERY
@DTYPES
@pytest.mark.parametrize("head_dim", [32, 96])
def test_masks_and_dropout(backend, name, head_dim):
    arrays = half(name, 2, 2, 1, 50, 70, head_dim, head_dim)
    rng = np.random.default_rng(1)
    allowed = rng.random((2, 1, 50, 70)) < 0.6
    allowed[1, :, 7] = False
    check(backend, *arrays, mask=allowed, p=0.2)
    check(backend, *arrays, mask=np.where(allowed, rng.standard_normal(allowed.shape), -np.inf).astype(np.float32))
    out, lse = run(backend, "attention", *arrays[:3], allowed, AttentionSettings(3, 0.25, 0.0, 0))
    assert not out[1, :, 7].any()
    assert (lse[1, :, 7] == -np.inf).all()


@EVERY
@DTYPES
def test_layouts_that_must_be_copied_and_those_that_need_not(backend, name):
    q, k, v, grad = half(name, 1, 2, 2, 40, 50, 32, 32)
    packed = np.stack([x[:, :, :40].swapaxes(1, 2) for x in (q, k, v)], axis=2)  # (batch, time, 3, heads, head_dim)
    check(backend, *(packed[:, :, i].swapaxes(1, 2) for i in range(3)), grad)
    odd = [np.concatenate([x[..., :3], x], axis=-1)[..., 3:] for x in (q, k, v)]  # rows start at odd addresses
    check(backend, *odd, grad[..., ::-1])


@EVERY
def test_other_head_sizes_are_named(backend):
    q, k, v, _ = half("float16", 1, 1, 1, 8, 8, 20, 20)
    with pytest.raises(kernels.KernelFallback, match="head_dim 20 in float16: our kernels take multiples of 8"):
        run(backend, "attention", q, k, v, None, AttentionSettings(None, 1.0, 0.0, 0))
