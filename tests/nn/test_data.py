"""Data sets and DataLoader: order, seeds, resuming within an epoch, collating."""

from collections import namedtuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from nn.utils import data


class Squares(data.Dataset):
    def __getitem__(self, index):
        return {"x": index * index, "name": f"n{index}"}

    def __len__(self):
        return 11


def rows(n=10):
    return data.TensorDataset(mg.arange(n), mg.arange(2 * n).reshape(n, 2))


def firsts(loader):
    return [batch[0].tolist() for batch in loader]


@given(st.integers(0, 20), st.integers(1, 7), st.booleans(), st.booleans(), st.booleans())
def test_an_epoch_has_every_sample_once_in_batches(n, batch_size, shuffle, drop_last, as_list):
    dataset = list(range(n)) if as_list else data.TensorDataset(mg.arange(n))
    loader = data.DataLoader(dataset, batch_size, shuffle, drop_last=drop_last)
    batches = [(batch if as_list else batch[0]).tolist() for batch in loader]
    assert len(batches) == len(loader)
    assert all(len(batch) == batch_size for batch in batches[:-1])
    flat = [i for batch in batches for i in batch]
    assert len(set(flat)) == len(flat) == (n - n % batch_size if drop_last else n)
    if not shuffle:
        assert flat == list(range(len(flat)))


def test_the_order_follows_the_seed_and_changes_from_epoch_to_epoch():
    loader = data.DataLoader(rows(100), 10, shuffle=True)
    mg.manual_seed(3)
    first, second = firsts(loader), firsts(loader)
    assert first != second
    mg.manual_seed(3)
    assert [firsts(loader), firsts(loader)] == [first, second]
    with_own = [firsts(data.DataLoader(rows(100), 10, True, generator=np.random.default_rng(5))) for _ in range(2)]
    assert with_own[0] == with_own[1] != first
    state = mg.get_rng_state()
    firsts(data.DataLoader(rows(), 3))
    assert mg.get_rng_state() == state  # what is not shuffled draws nothing


SAMPLERS = {
    "in order": lambda d: {},
    "shuffled": lambda d: {"shuffle": True},
    "dropping": lambda d: {"shuffle": True, "drop_last": True},
    "replacement": lambda d: {"sampler": data.RandomSampler(d, replacement=True, num_samples=30)},
    "rounds": lambda d: {"sampler": data.RandomSampler(d, num_samples=50)},
    "weighted": lambda d: {"sampler": data.WeightedRandomSampler(np.arange(23) % 4, 40)},
    "subset": lambda d: {"sampler": data.SubsetRandomSampler([5, 3, 1, 20, 21, 22])},
    "own sampler": lambda d: {"sampler": [5, 3, 1, 20, 21, 22]},
    "batches": lambda d: {"batch_sampler": data.BatchSampler(data.RandomSampler(d), 4), "batch_size": 1},
    "own batches": lambda d: {"batch_sampler": [[1, 2], [5], [7, 8, 9]], "batch_size": 1},
}


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("stop", [0, 1, 2, 3, 99])
def test_a_resumed_loader_gives_what_was_still_to_come(name, stop):
    dataset = rows(23)

    def loader():
        return data.DataLoader(dataset, **{"batch_size": 4, **SAMPLERS[name](dataset)})

    def run(loader, epochs):
        return [firsts(loader) for _ in range(epochs)]

    mg.manual_seed(1)
    straight = run(loader(), 3)
    mg.manual_seed(1)
    stopped, given, ended = loader(), [], False
    for batch in stopped:
        if len(given) == stop:
            break
        given.append(batch[0].tolist())
        state, random = stopped.state_dict(), mg.get_rng_state()
    else:
        state, random, ended = stopped.state_dict(), mg.get_rng_state(), True
    if stop == 0:
        return  # nothing was handed out and nothing saved
    mg.manual_seed(99)
    resumed = loader()
    resumed.load_state_dict(state)
    mg.set_rng_state(random)
    if ended:  # saved after an epoch
        assert run(resumed, 2) == straight[1:]
    else:
        assert [given + firsts(resumed), *run(resumed, 2)] == straight


def test_saving_before_the_first_batch_and_in_the_last_one():
    mg.manual_seed(1)
    loader = data.DataLoader(rows(), 4, shuffle=True)
    epoch = iter(loader)
    state = loader.state_dict()
    straight = [batch[0].tolist() for batch in epoch]
    resumed = data.DataLoader(rows(), 4, shuffle=True)
    resumed.load_state_dict(state)
    assert firsts(resumed) == straight
    for _ in loader:
        state = loader.state_dict()
    resumed.load_state_dict(state)
    assert firsts(resumed) == []  # the epoch had been handed out
    assert len(firsts(resumed)) == 3
    with pytest.raises(ValueError, match="saved epoch has 3 batches, this loader's 5"):
        data.DataLoader(rows(), 2).load_state_dict(state)


def test_parts_of_tensors_are_cut_in_one_step_as_sample_by_sample():
    dataset = data.Subset(data.Subset(rows(20), range(0, 20, 2)), [9, 0, 4])
    fast = next(iter(data.DataLoader(dataset, 3)))
    slow = data.default_collate([dataset[i] for i in range(3)])
    assert [x.tolist() for x in fast] == [x.tolist() for x in slow] == [[18, 0, 8], [[36, 37], [0, 1], [16, 17]]]
    assert [x.dtype for x in fast] == [x.dtype for x in slow]


def test_concatenation():
    both = Squares() + rows(3)
    assert len(both) == 14
    assert both[3]["x"] == 9
    assert both[11][0].item() == 0
    assert both[-1][0].item() == 2
    assert len(data.ConcatDataset([[], [1], [], [2, 3]])) == 3
    assert list(data.ConcatDataset([[], [1], [], [2, 3]])) == [1, 2, 3]
    with pytest.raises(IndexError, match="index 14 of 14"):
        both[14]
    with pytest.raises(IndexError, match="index -15"):
        both[-15]


@given(st.integers(0, 50), st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_random_split_by_shares_leaves_nothing_out(n, weights):
    shares = [w / sum(weights) for w in weights]
    parts = data.random_split(range(n), shares)
    assert sorted(i for part in parts for i in part) == list(range(n))
    assert all(abs(len(part) - n * share) <= 1 for part, share in zip(parts, shares, strict=True))


@pytest.mark.parity
@pytest.mark.parametrize(
    ("n", "lengths"), [(10, [3, 7]), (10, [0.5, 0.5]), (11, [0.3, 0.3, 0.4]), (1, [1]), (7, [0, 7]), (5, [1.0])]
)
def test_random_split_has_torchs_lengths(n, lengths):
    torch = pytest.importorskip("torch")
    ours, theirs = data.random_split(range(n), lengths), torch.utils.data.random_split(range(n), lengths)
    assert list(map(len, ours)) == list(map(len, theirs))


Point = namedtuple("Point", "x y")

BATCHES = [
    [1, 2, 3],
    [1.5, 2.0],
    [True, False],
    [np.float32(1), np.float32(2)],
    [np.int16(1), np.int16(2)],
    ["a", "b"],
    [b"a"],
    [np.arange(3.0), np.ones(3)],
    [np.array(1.0), np.array(2.0)],
    [(1, "a", np.zeros(2)), (2, "b", np.ones(2))],
    [[1, 2], [3, 4], [5, 6]],
    [{"a": 1, "b": [1.0, 2]}, {"b": [3.0, 4], "a": 2}],
    [Point(1, "a"), Point(2, "b")],
    [Point((1, 2), {"z": 1.0})],
]


def plain(value):
    """A collated batch with its tensors as (dtype, values), in either namespace."""
    if hasattr(value, "tolist"):
        return str(value.dtype).removeprefix("torch."), value.tolist()
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        parts = [plain(part) for part in value]
        return ("list" if type(value) is tuple else type(value).__name__, parts)
    return value


@pytest.mark.parity
@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_collating_equals_torch(batch):
    torch = pytest.importorskip("torch")
    assert plain(data.default_collate(batch)) == plain(torch.utils.data.default_collate(batch))


def test_tensors_are_stacked_and_keep_their_graph():
    x = mg.ones(2, requires_grad=True)
    batch = data.default_collate([x * 2, x * 3])
    assert batch.shape == (2, 2)
    batch.sum().backward()
    assert x.grad.tolist() == [5, 5]
    assert next(iter(data.DataLoader([1, 2, 3], 3, collate_fn=sum))) == 6


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda: data.default_collate([mg.zeros(2), mg.zeros(3)]), ValueError, "pad_sequence"),
        (lambda: data.default_collate([[1, 2], [1]]), ValueError, r"samples of \[1, 2\] elements"),
        (lambda: data.default_collate([{"a": 1}, {"b": 1}]), ValueError, "different keys"),
        (lambda: data.default_collate([None]), TypeError, "a NoneType"),
        (lambda: data.default_collate([np.array(["a"])]), TypeError, "arrays of dtype <U1"),
        (lambda: data.TensorDataset(), ValueError, "no tensors"),
        (lambda: data.TensorDataset(mg.zeros(2), mg.zeros(3)), ValueError, r"shapes \(2,\), \(3,\)"),
        (lambda: data.TensorDataset(mg.tensor(1)), ValueError, r"shapes \(\)"),
        (lambda: data.ConcatDataset([]), ValueError, "no data sets"),
        (lambda: data.random_split(range(5), [2, 2]), ValueError, "add up to 5"),
        (lambda: data.random_split(range(5), [0.5, 0.4]), ValueError, "shares that add up to 1"),
        (lambda: data.random_split(range(5), [6, -1]), ValueError, "none below 0"),
        (lambda: data.DataLoader(iter([1])), TypeError, "no samples by number"),
        (lambda: data.DataLoader([1], 0), ValueError, "DataLoader: batch_size=0"),
        (lambda: data.DataLoader([1], None), ValueError, "batch_size=None"),
        (lambda: data.DataLoader([1], num_workers=2), ValueError, "num_workers=2"),
        (lambda: data.DataLoader([1], shuffle=True, sampler=[0]), ValueError, "both say the order"),
        (lambda: data.DataLoader([1], 2, batch_sampler=[[0]]), ValueError, "batch_sampler replaces"),
        (lambda: data.RandomSampler([1], num_samples=0), ValueError, "num_samples=0"),
        (lambda: data.WeightedRandomSampler([1, -1], 2), ValueError, "weights of 0 or more"),
        (lambda: data.WeightedRandomSampler([1, 0], 2, replacement=False), ValueError, "2 samples of 1"),
        (lambda: data.Dataset()[0], NotImplementedError, "__getitem__"),
        (lambda: len(data.Dataset()), TypeError, "__len__"),
    ],
)
def test_bad_input(act, error, message):
    with pytest.raises(error, match=message):
        act()
