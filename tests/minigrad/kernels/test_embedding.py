"""Embedding: every implementation against reference, the gradient against a product with one-hot rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.kernels.reference import embedding as reference
from tests.minigrad.kernels.implementations import others, run

BACKENDS = others("embedding")
EVERY = [*BACKENDS, "reference"]


def problem(vocabulary, dim, shape, seed=0):
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((vocabulary, dim), np.float32)
    grad = rng.standard_normal((*shape, dim), np.float32)
    return weight, rng.integers(0, max(vocabulary, 1), shape), grad


@pytest.mark.parametrize("backend", EVERY)
@pytest.mark.parametrize("shape", [(), (1,), (0,), (12, 64), (2, 3, 5), (4, 0)], ids=str)
@pytest.mark.parametrize(("vocabulary", "dim"), [(1, 1), (65, 128), (7, 200), (1000, 3), (5, 0)])
def test_picks_rows_and_adds_them_back(backend, vocabulary, dim, shape):
    weight, ids, grad = problem(vocabulary, dim, shape)
    out = run(backend, "embedding", weight, ids)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, weight[ids])
    one_hot = ids.reshape(-1, 1) == np.arange(vocabulary)
    for padding_idx in (None, 0, vocabulary - 1):
        expected = one_hot.T.astype(np.float64) @ grad.reshape(ids.size, dim)
        if padding_idx is not None:
            expected[padding_idx] = 0
        before = np.full((vocabulary, dim), 0.5, np.float32)
        actual = run(backend, "embedding_backward", grad, ids, before.copy(), padding_idx) - before
        assert actual.dtype == np.float32
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=30, deadline=None)
@given(vocabulary=st.integers(1, 20), dim=st.integers(1, 130), tokens=st.integers(0, 50), seed=st.integers(0, 99))
def test_gradient_is_bit_for_bit_the_sum_in_order(backend, vocabulary, dim, tokens, seed):
    _, ids, grad = problem(vocabulary, dim, (tokens,), seed)
    expected = np.zeros((vocabulary, dim), np.float32)
    for token in range(tokens):
        expected[ids[token]] += grad[token]
    zeros = np.zeros_like(expected)
    np.testing.assert_array_equal(run(backend, "embedding_backward", grad, ids, zeros, None), expected)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("integers", [np.int8, np.uint8, np.int32, np.uint64])
def test_strides_and_integer_types(backend, integers):
    weight, ids, grad = problem(100, 60, (30, 40))
    weight, ids, grad = weight.T, ids.astype(integers)[::2, ::-1] % 60, grad[::2, :, ::3]
    np.testing.assert_array_equal(run(backend, "embedding", weight, ids), weight[ids])
    np.testing.assert_allclose(
        run(backend, "embedding_backward", grad, ids, np.zeros((60, 20), np.float32), None),
        reference.embedding_backward(grad, ids, np.zeros((60, 20), np.float32), None),
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.parametrize("backend", EVERY)
@pytest.mark.parametrize("value", [np.nan, np.inf], ids=str)
def test_padding_gets_nothing_from_any_gradient(backend, value):
    grad = np.full((3, 4), value, np.float32)
    dweight = run(backend, "embedding_backward", grad, np.array([1, 0, 1]), np.zeros((3, 4), np.float32), 1)
    np.testing.assert_array_equal(dweight, [[value] * 4, [0] * 4, [0] * 4])


@pytest.mark.parametrize("backend", EVERY)
@pytest.mark.parametrize("bad", [65, -1, 10**12])
def test_an_id_out_of_range_is_named(backend, bad):
    weight, ids, grad = problem(65, 128, (4, 8))
    ids[2, 3] = bad
    if backend == "cuda":  # which does not wait for the GPU to have looked
        assert np.isnan(run(backend, "embedding", weight, ids)[2, 3]).all()
        return
    message = rf"id {bad} at \[2, 3\] has no row in a table of 65 \(ids go from 0 to 64\)"
    with pytest.raises(IndexError, match=message):
        run(backend, "embedding", weight, ids)
    with pytest.raises(IndexError, match=message):
        run(backend, "embedding_backward", grad, ids, np.zeros((65, 128), np.float32), None)


@pytest.mark.parity
@pytest.mark.parametrize("backend", EVERY)
def test_torch_parity(backend):
    torch = pytest.importorskip("torch")
    weight, ids, grad = problem(50, 48, (6, 20))
    table = torch.tensor(weight, requires_grad=True)
    torch.nn.functional.embedding(torch.tensor(ids), table, padding_idx=3).backward(torch.tensor(grad))
    ours = run(backend, "embedding_backward", grad, ids, np.zeros((50, 48), np.float32), 3)
    np.testing.assert_allclose(ours, table.grad.numpy(), rtol=1e-5, atol=1e-5)
