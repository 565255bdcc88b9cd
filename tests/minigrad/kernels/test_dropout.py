"""Dropout: the same bits everywhere, and bits that behave like fair coins."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.kernels.reference import dropout as reference
from tests.minigrad.kernels.implementations import others, run

BACKENDS = others("dropout")


def mask(size, p, seed):
    return reference.dropout(np.ones(size, np.float32), p, seed) != 0


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("p", [0.0, 1e-6, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("shape", [(), (1,), (0,), (5, 33), (3, 4096), (4097,), (9, 1000)], ids=str)
def test_identical_bits(backend, shape, p):
    x = np.asarray(np.random.default_rng(0).standard_normal(shape).astype(np.float32))
    for seed in (0, 1, 2**63 + 12345, 2**64 - 1):
        np.testing.assert_array_equal(run(backend, "dropout", x, p, seed), reference.dropout(x, p, seed))


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=30, deadline=None)
@given(size=st.integers(0, 9000), p=st.floats(0, 1), seed=st.integers(0, 2**64 - 1))
def test_identical_bits_for_any_seed(backend, size, p, seed):
    x = np.ones(size, np.float32)
    np.testing.assert_array_equal(run(backend, "dropout", x, p, seed), reference.dropout(x, p, seed))


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_mask_follows_the_index_not_the_memory(backend):
    x = np.random.default_rng(0).standard_normal((60, 70)).astype(np.float32)
    expected = reference.dropout(x, 0.3, 7)
    np.testing.assert_array_equal(run(backend, "dropout", np.asfortranarray(x), 0.3, 7), expected)
    np.testing.assert_array_equal(run(backend, "dropout", x.reshape(-1), 0.3, 7), expected.reshape(-1))


@pytest.mark.parametrize("backend", [p for p in BACKENDS if "numba" not in p.values])
@pytest.mark.parametrize("seed", [0, 2**63 + 12345, 2**64 - 1])
def test_a_seed_in_memory(backend, seed):
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    actual = run(backend, "dropout", x, 0.3, np.array(seed, np.uint64))
    np.testing.assert_array_equal(actual, reference.dropout(x, 0.3, seed))


def test_indices_beyond_32_bits_get_fresh_bits():
    low = np.arange(4096, dtype=np.uint64)
    key_1, key_2 = reference.keys(3)
    masks = [reference.keep(low + np.uint64(high << 32), 2**31, key_1, key_2) for high in (0, 1, 2)]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert abs((masks[a] == masks[b]).mean() - 0.5) < 0.04


@pytest.mark.parametrize("backend", BACKENDS)
def test_values_are_scaled_or_exactly_zero(backend):
    x = np.random.default_rng(0).uniform(1, 2, 10_000).astype(np.float32)
    y = run(backend, "dropout", x, 0.25, 5)
    kept = y != 0
    np.testing.assert_allclose(y[kept], x[kept] / 0.75, rtol=1e-6)
    x[:] = np.nan
    np.testing.assert_array_equal(np.isnan(run(backend, "dropout", x, 0.25, 5)), kept)  # a dropped NaN is 0


N = 1 << 18
SIGMAS = 5  # a fair generator fails one of the tests below about once in a million runs; seeds are fixed


@pytest.mark.parametrize("p", [0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("seed", range(5))
def test_the_share_dropped_is_p(seed, p):
    tolerance = SIGMAS * np.sqrt(p * (1 - p) / N)
    assert abs(1 - mask(N, p, seed).mean() - p) < tolerance


@pytest.mark.parametrize("lag", [1, 2, 3, 64, 128, 768, 1024, 4096])
def test_neighbours_are_independent(lag):
    m = mask(N, 0.5, 11)
    agreement = (m[lag:] == m[:-lag]).mean()
    assert abs(agreement - 0.5) < SIGMAS * 0.5 / np.sqrt(N - lag)


@pytest.mark.parametrize("difference", [1, 2, 3, 64, 2**32, 2**63])
def test_seeds_are_independent_even_up_to_a_permutation(difference):
    a, b = mask(N, 0.5, 100), mask(N, 0.5, 100 + difference)
    bound = SIGMAS * 0.5 / np.sqrt(N)
    assert abs((a == b).mean() - 0.5) < bound
    # An index that is only xor-ed with a key would give the same mask in another order.
    index = np.arange(N)
    relabel = reference.keys(100)[0] ^ reference.keys(100 + difference)[0]
    inside = (index ^ relabel) < N
    order = np.where(inside, index ^ relabel, index ^ (relabel % N))
    assert abs((a == b[order]).mean() - 0.5) < bound


def test_rows_and_columns_get_fair_shares():
    m = mask(512 * 512, 0.2, 9).reshape(512, 512)
    tolerance = 6 * np.sqrt(0.2 * 0.8 / 512)
    assert abs(m.mean(axis=0) - 0.8).max() < tolerance
    assert abs(m.mean(axis=1) - 0.8).max() < tolerance


@pytest.mark.parametrize("backend", [*BACKENDS, "reference"])
@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan")])
def test_p_must_be_a_probability(backend, p):
    with pytest.raises(ValueError, match="expected a probability between 0 and 1"):
        run(backend, "dropout", np.ones(5000, np.float32), p, 0)
