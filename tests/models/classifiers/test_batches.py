"""Batches of texts: everything once an epoch, like lengths together, and the same again after a resume."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.classifiers.batches import TextBatches, batches_by_length
from models.errors import DataError
from models.text.augmentation import augmentation


def texts(n, seed=0):
    rng = np.random.default_rng(seed)
    return [np.full(rng.integers(1, 40), i) for i in range(n)], np.arange(n) * 10


@given(n=st.integers(1, 40), batch_size=st.integers(1, 9), seed=st.integers(0, 5))
def test_an_epoch_has_every_text_once(n, batch_size, seed):
    sequences, targets = texts(n)
    batches = TextBatches(sequences, targets, batch_size, pad_id=n, seed=seed)
    for _ in range(2):
        drawn = [next(batches) for _ in range(len(batches))]
        for ids, target in drawn:
            assert ids.shape[0] == len(target) <= batch_size
            for row, t in zip(ids, target, strict=True):
                np.testing.assert_array_equal(row[row != n], sequences[t // 10])
        assert sorted(t for _, target in drawn for t in target) == targets.tolist()


def test_each_epoch_and_each_seed_has_an_order_of_its_own():
    orders = set()
    for seed in range(3):
        batches = TextBatches(*texts(40), batch_size=4, pad_id=40, seed=seed)
        for _ in range(3):
            orders.add(tuple(t for _ in range(len(batches)) for t in next(batches)[1]))
    assert len(orders) == 9


@given(done=st.integers(0, 25), seed=st.integers(0, 5))
def test_goes_on_where_it_stood(done, seed):
    def fresh():
        change = augmentation(0.3, 0.3, 0)
        return TextBatches(*texts(30), batch_size=4, pad_id=30, seed=seed, augment=change)

    one, other = fresh(), fresh()
    for _ in range(done):
        next(one)
    other.load_state_dict(one.state_dict())
    for _ in range(10):
        for a, b in zip(next(one), next(other), strict=True):
            np.testing.assert_array_equal(a, b)


def test_refuses_the_state_of_other_texts():
    state = TextBatches(*texts(30), batch_size=4, pad_id=30, seed=0).state_dict()
    with pytest.raises(DataError, match="started on 30 texts, and these are 29"):
        TextBatches(*texts(29), batch_size=4, pad_id=30, seed=0).load_state_dict(state)


@given(n=st.integers(1, 40), batch_size=st.integers(1, 9))
def test_by_length(n, batch_size):
    sequences, _ = texts(n)
    seen, widths = [], []
    for rows, ids in batches_by_length(sequences, batch_size, pad_id=n):
        seen += rows.tolist()
        widths.append(ids.shape[1])
        for row, text in zip(rows, ids, strict=True):
            np.testing.assert_array_equal(text[text != n], sequences[row])
    assert sorted(seen) == list(range(n))
    assert widths == sorted(widths)


def test_little_is_padding():
    rng = np.random.default_rng(0)
    sequences = [np.zeros(n, int) for n in rng.integers(1, 200, 3000)]
    batches = TextBatches(sequences, np.zeros(3000, int), 32, pad_id=1, seed=0)
    padded = [next(batches)[0] for _ in range(len(batches))]
    assert sum(ids.size for ids in padded) < 1.05 * sum(map(len, sequences))
