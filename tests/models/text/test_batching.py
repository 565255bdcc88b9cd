"""Batching: windows are the text's own, evaluation misses nothing, a resumed sequence is the same."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import DataError
from models.text.batching import (
    IGNORED,
    StreamBatches,
    TokenBatches,
    bucket_batches,
    count_targets,
    evaluation_batches,
    pad_sequences,
    stream_evaluation_batches,
    train_val_split,
)


@given(st.integers(0, 300), st.floats(0.01, 0.99))
def test_split_keeps_order_and_everything(length, fraction):
    ids = np.arange(length)
    train, val = train_val_split(ids, fraction)
    np.testing.assert_array_equal(np.concatenate([train, val]), ids)
    assert len(train) == int(length * fraction)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_split_fraction(fraction):
    with pytest.raises(DataError, match="is not between 0 and 1"):
        train_val_split(np.arange(10), fraction)


@given(st.data())
def test_windows_are_pieces_of_the_text(data):
    context_length = data.draw(st.integers(1, 20))
    length = data.draw(st.integers(context_length + 1, 60))
    batch_size = data.draw(st.integers(1, 5))
    dtype = data.draw(st.sampled_from([np.int64, np.uint8, np.int32]))
    x, y = next(TokenBatches(np.arange(length, dtype=dtype), batch_size, context_length, seed=length))
    assert x.shape == y.shape == (batch_size, context_length)
    assert x.dtype == y.dtype == np.int64
    assert x.flags.c_contiguous
    assert y.flags.c_contiguous
    np.testing.assert_array_equal(x, x[:, :1] + np.arange(context_length))  # of a text that counts
    np.testing.assert_array_equal(y, x + 1)


def test_every_window_occurs_and_equally_often():
    batches = TokenBatches(np.arange(12), batch_size=1000, context_length=4, seed=3)
    starts = np.concatenate([x[:, 0] for x, _ in itertools.islice(batches, 8)])
    counts = np.bincount(starts, minlength=8)
    assert len(counts) == 8  # 12 - 4 windows: the last token is a target, too
    assert np.all(np.abs(counts - 1000) < 5 * np.sqrt(1000))


def test_the_seed_decides():
    ids = np.arange(10_000)
    first, same, other = (next(TokenBatches(ids, 8, 16, seed))[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("steps", [0, 1, 7])
def test_a_resumed_sequence_goes_on_where_it_stopped(steps):
    ids = np.arange(5000)
    unbroken = TokenBatches(ids, 3, 10, seed=5)
    for _ in range(steps):
        next(unbroken)
    state = json.loads(json.dumps(unbroken.state_dict()))
    expected = [next(unbroken) for _ in range(5)]
    resumed = TokenBatches(ids, 3, 10, seed=99)
    next(resumed)
    resumed.load_state_dict(state)
    for (x, y), (expected_x, expected_y) in zip(resumed, expected, strict=False):
        np.testing.assert_array_equal(x, expected_x)
        np.testing.assert_array_equal(y, expected_y)


def test_state_is_a_snapshot():
    batches = TokenBatches(np.arange(500), 3, 10, seed=5)
    state = batches.state_dict()
    expected = next(batches)
    batches.load_state_dict(state)
    np.testing.assert_array_equal(next(batches)[0], expected[0])


def test_the_state_of_another_text_is_refused():
    state = TokenBatches(np.arange(5000), 3, 10).state_dict()
    with pytest.raises(DataError, match=r"5000 tokens, and this one has 4000: resume with the data"):
        TokenBatches(np.arange(4000), 3, 10).load_state_dict(state)


@pytest.mark.parametrize("damage", ["tokens", "rng", "bit_generator", "state", "everything"])
def test_a_damaged_state_is_refused(damage):
    batches = TokenBatches(np.arange(5000), 3, 10)
    state = json.loads(json.dumps(batches.state_dict()))
    state["rng"].pop(damage, None)
    state.pop(damage, None)
    with pytest.raises(DataError, match="the saved position in the data is damaged"):
        batches.load_state_dict("text" if damage == "everything" else state)


@pytest.mark.parametrize("length", [0, 1, 64])
def test_text_shorter_than_a_window(length):
    with pytest.raises(DataError, match=f"too short: {length} tokens, and 65 are needed with context_length=64"):
        TokenBatches(np.arange(length), 4, 64)


def test_shortest_text_that_will_do():
    x, y = next(TokenBatches(np.arange(65), 4, 64))
    assert x[:, 0].tolist() == [0] * 4
    assert y[:, -1].tolist() == [64] * 4


@pytest.mark.parametrize(("batch_size", "context_length"), [(0, 4), (4, 0), (-1, 4)])
def test_sizes_must_be_positive(batch_size, context_length):
    with pytest.raises(ValueError, match="must be at least 1"):
        TokenBatches(np.arange(100), batch_size, context_length)
    with pytest.raises(ValueError, match="must be at least 1"):
        next(evaluation_batches(np.arange(100), batch_size, context_length))


@pytest.mark.parametrize("ids", [np.zeros((4, 4), int), np.zeros(30)])
def test_ids_must_be_one_row_of_integers(ids):
    with pytest.raises(ValueError, match="1-D array of integer ids"):
        TokenBatches(ids, 1, 2)


@given(st.integers(2, 200), st.integers(1, 6), st.integers(1, 30))
def test_evaluation_sees_every_target_once_and_in_order(length, batch_size, context_length):
    ids = np.arange(length)
    batches = list(evaluation_batches(ids, batch_size, context_length))
    for x, y in batches:
        assert x.dtype == y.dtype == np.int64
        assert x.shape == y.shape
        assert x.shape[0] <= batch_size
        assert x.shape[1] <= context_length
    np.testing.assert_array_equal(np.concatenate([x.ravel() for x, _ in batches]), ids[:-1])
    np.testing.assert_array_equal(np.concatenate([y.ravel() for _, y in batches]), ids[1:])


@pytest.mark.parametrize("length", [0, 1])
def test_evaluation_text_too_short(length):
    with pytest.raises(DataError, match=f"too short: {length} tokens, and 2 are needed"):
        next(evaluation_batches(np.arange(length), 4, 8))


PADDED = [
    ("right", None, [[1, 2, 3], [4, 0, 0], [0, 0, 0]]),
    ("left", None, [[1, 2, 3], [0, 0, 4], [0, 0, 0]]),
    ("right", 2, [[1, 2], [4, 0], [0, 0]]),
    ("left", 2, [[2, 3], [0, 4], [0, 0]]),
    ("right", 9, [[1, 2, 3], [4, 0, 0], [0, 0, 0]]),
]


@pytest.mark.parametrize(("side", "max_length", "expected"), PADDED)
def test_padding(side, max_length, expected):
    ids, mask = pad_sequences([[1, 2, 3], np.array([4]), []], 0, max_length, side)
    assert ids.dtype == np.int64
    assert ids.tolist() == expected
    assert mask.tolist() == [[id != 0 for id in row] for row in expected]


@given(st.lists(st.lists(st.integers(0, 9), max_size=8), max_size=6), st.sampled_from(["left", "right"]))
def test_padding_loses_nothing(sequences, side):
    ids, mask = pad_sequences(sequences, -1, side=side)
    assert [row[m].tolist() for row, m in zip(ids, mask, strict=True)] == sequences
    assert np.all(ids[~mask] == -1)


def test_padding_arguments():
    with pytest.raises(ValueError, match="side='middle'"):
        pad_sequences([[1]], 0, side="middle")
    with pytest.raises(ValueError, match="max_length=0 must be at least 1"):
        pad_sequences([[1]], 0, max_length=0)


@given(st.lists(st.integers(0, 50), max_size=80), st.integers(1, 7), st.integers(0, 3), st.integers(1, 4))
def test_buckets_hold_every_index_once(lengths, batch_size, seed, pool):
    batches = list(bucket_batches(lengths, batch_size, seed, pool))
    assert all(1 <= len(batch) <= batch_size for batch in batches)
    assert sorted(itertools.chain(*batches)) == list(range(len(lengths)))


def test_buckets_pad_little_and_are_shuffled():
    lengths = np.random.default_rng(0).integers(1, 200, size=3200)
    padding = {
        pool: sum(len(b) * lengths[b].max() for b in bucket_batches(lengths, 32, 0, pool)) / lengths.sum() - 1
        for pool in (1, 50)
    }
    assert padding[50] < 0.05 < 0.5 < padding[1]
    first, second = (np.concatenate(list(bucket_batches(lengths, 32, seed))) for seed in (0, 1))
    assert not np.array_equal(first, second)
    longest = [lengths[b].max() for b in bucket_batches(lengths, 32, 0)]
    assert longest != sorted(longest)
    with pytest.raises(ValueError, match="batch_size=0"):
        next(bucket_batches(lengths, 0, 0))


@given(st.integers(1, 5), st.integers(1, 7), st.integers(0, 60))
def test_streams_go_on_where_they_stopped(batch_size, context_length, extra):
    ids = np.arange(batch_size * context_length + 1 + extra)
    batches = StreamBatches(ids, batch_size, context_length)
    epoch = [next(batches) for _ in range(batches.windows)]
    assert [bool(starts) for _, starts, _ in epoch] == [True] + [False] * (batches.windows - 1)
    stream = np.concatenate([x for x, _, _ in epoch], axis=1)
    assert (np.diff(stream, axis=1) == 1).all()  # each row is one piece of the text, nothing twice
    assert len(np.unique(stream)) == stream.size > len(ids) - 1 - batch_size * context_length
    for x, _, y in epoch:
        np.testing.assert_array_equal(y, x + 1)
    x, starts, _ = next(batches)
    np.testing.assert_array_equal(x, epoch[0][0])
    assert starts


@given(st.integers(0, 20))
def test_resumed_streams_go_on_where_they_stopped(steps):
    batches = StreamBatches(np.arange(60), 3, 4)
    for _ in range(steps):
        next(batches)
    resumed = StreamBatches(np.arange(60), 3, 4)
    resumed.load_state_dict(json.loads(json.dumps(batches.state_dict())))
    for _ in range(6):
        for one, other in zip(next(batches), next(resumed), strict=True):
            np.testing.assert_array_equal(one, other)
    with pytest.raises(DataError, match="started on a text of 60 tokens, and this one has 61"):
        StreamBatches(np.arange(61), 3, 4).load_state_dict(batches.state_dict())
    with pytest.raises(DataError, match="the saved position in the data is damaged"):
        batches.load_state_dict({"tokens": 60, "window": None})


def test_a_text_too_short_for_its_streams():
    StreamBatches(np.arange(13), 3, 4)
    with pytest.raises(DataError, match=r"12 tokens, and 13 are needed with context_length=4 in each of 3 streams"):
        StreamBatches(np.arange(12), 3, 4)


@given(st.integers(2, 80), st.integers(1, 6), st.integers(1, 9))
def test_evaluation_streams_see_every_target_once(length, batch_size, context_length):
    batches = list(stream_evaluation_batches(np.arange(length), batch_size, context_length))
    assert [bool(starts) for _, starts, _ in batches] == [True] + [False] * (len(batches) - 1)
    x, y = (np.concatenate([batch[i] for batch in batches], axis=1) for i in (0, 2))
    counted = y != IGNORED
    np.testing.assert_array_equal(np.sort(y[counted]), np.arange(1, length))
    np.testing.assert_array_equal(y[counted], x[counted] + 1)
    assert sum(count_targets(batch[2]) for batch in batches) == length - 1
    assert all(count_targets(batch[2]) > 0 for batch in batches)
