"""Augmentation: what it may change, how much, and that a text survives it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.classifier.augmentation import augmentation, drop_tokens, replace_by_synonyms, swap_tokens

TEXTS = st.lists(st.integers(0, 9), min_size=1, max_size=30).map(np.array)
PROBABILITIES = st.floats(0, 0.99)


@given(ids=TEXTS, probability=PROBABILITIES, seed=st.integers(0, 99))
def test_what_each_change_keeps(ids, probability, seed):
    before, rng = ids.copy(), np.random.default_rng(seed)
    dropped = drop_tokens(ids, rng, probability)
    rest = iter(ids)
    assert 1 <= len(dropped) <= len(ids)
    assert all(any(token == other for other in rest) for token in dropped)  # a subsequence
    assert sorted(swap_tokens(ids, rng, probability)) == sorted(ids)
    synonyms = np.array([[(i + 1) % 10, (i + 2) % 10] for i in range(10)])
    replaced = replace_by_synonyms(ids, rng, probability, synonyms)
    assert all(new == old or new in synonyms[old] for new, old in zip(replaced, ids, strict=True))
    np.testing.assert_array_equal(ids, before)


def test_how_much_changes():
    ids, rng = np.arange(20_000), np.random.default_rng(0)
    assert abs(len(drop_tokens(ids, rng, 0.2)) / 20_000 - 0.8) < 0.01
    assert abs((swap_tokens(ids, rng, 0.2) != ids).mean() - 0.2) < 0.03  # some places are drawn twice
    synonyms = np.arange(1, 20_001)[:, None] % 20_000
    assert abs((replace_by_synonyms(ids, rng, 0.2, synonyms) != ids).mean() - 0.2) < 0.01


def test_all_in_turn():
    assert augmentation(0, 0, 0) is None
    change = augmentation(0.3, 0.3, 0.9, np.full((10, 1), 7))
    changed = change(np.arange(10), np.random.default_rng(0))
    assert len(changed) < 10
    assert (changed == 7).sum() > 3
