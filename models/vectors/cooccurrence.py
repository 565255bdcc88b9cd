"""How often words occur near each other, GloVe's data: Pennington et al. 2014, section 4.2.

Two words d words apart in a sentence, d at most the window, count 1/d. The counts are gathered in a hash
table of bounded size; when it is full it is sorted and put aside in a temporary file, and at the end the
files are merged a range of keys at a time. So beside the result itself, 12 bytes a cell, counting takes no
more memory than allowed.
"""

import tempfile
from pathlib import Path

import numpy as np

from minigrad.kernels.cpu import simd
from models.errors import UserError
from models.glove import Cooccurrences
from models.vectors.vocabulary import EncodedText

SLOT = 16  # bytes of a key and a count
_EMPTY = -1
_GOLDEN, _32 = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)


def count_cooccurrences(text: EncodedText, vocab_size: int, window: int = 15, memory: float = 2e9) -> Cooccurrences:
    """Count a text, both ways: X is symmetric. Cells in the order of rows, then columns.

    memory  bytes that counting may take

    Raises UserError for a window that makes no sense and for too little memory.
    """
    if window < 1 or len(text.ids) <= window:
        raise UserError(
            f"window={window}, and the text has {len(text.ids)} words of the vocabulary: expected at least 1, and a "
            "longer text than that"
        )
    pairs = int(np.diff(text.offsets).max()) * window  # in a sentence, at most
    slots = 1 << int(np.log2(max(memory / (3 * SLOT), 1)))  # sorting takes two copies
    slots = min(slots, _power_of_two(4 * len(text.ids) * window))  # a short text needs no large table
    if slots < _power_of_two(4 * pairs):
        raise UserError(
            f"memory={memory:.3g} bytes: this text takes {_power_of_two(4 * pairs) * 3 * SLOT:.3g} at least"
        )
    keys, sums = np.full(slots, _EMPTY, np.int64), np.zeros(slots)
    with tempfile.TemporaryDirectory(prefix="minigrad-") as directory:
        runs: list[tuple[np.ndarray, np.ndarray]] = []
        sentence = 0
        while sentence < len(text):
            sentence = _count(text.ids, text.offsets, sentence, window, vocab_size, keys, sums, pairs)
            run = _sorted_run(keys, sums)
            if sentence < len(text) or runs:
                run = _put_aside(run, Path(directory), len(runs))
            runs.append(run)
            if sentence < len(text):
                keys.fill(_EMPTY)
                sums.fill(0)
        del keys, sums
        keys, sums = runs[0] if len(runs) == 1 else _merge(runs, slots // 2)
        return _both_ways(keys, sums, vocab_size)


def _power_of_two(n: int) -> int:
    """The smallest that is not below n."""
    return 1 << (n - 1).bit_length()


@simd.serial
def _count(ids, offsets, first, window, vocab_size, keys, sums, spare):
    """Add sentences from `first` on, until half of the table has less than `spare` slots left; the next sentence."""
    mask, used, limit = np.int64(len(keys) - 1), 0, len(keys) // 2 - spare
    for sentence in range(first, len(offsets) - 1):
        if used > limit:
            return sentence
        start = offsets[sentence]
        for at in range(start, offsets[sentence + 1]):
            for before in range(max(start, at - window), at):
                a, b = np.int64(ids[before]), np.int64(ids[at])
                key = min(a, b) * vocab_size + max(a, b)
                slot = np.int64((np.uint64(key) * _GOLDEN) >> _32) & mask
                while keys[slot] != key:
                    if keys[slot] == _EMPTY:
                        keys[slot] = key
                        used += 1
                        break
                    slot = (slot + 1) & mask
                sums[slot] += 1.0 / (at - before)
    return len(offsets) - 1


def _sorted_run(keys, sums) -> tuple[np.ndarray, np.ndarray]:
    taken = np.flatnonzero(keys != _EMPTY)
    order = taken[np.argsort(keys[taken])]
    return keys[order], sums[order]


def _put_aside(run, directory: Path, number: int) -> tuple[np.ndarray, np.ndarray]:
    """The same run, in files instead of memory."""
    mapped = []
    for name, array in zip(("keys", "sums"), run, strict=True):
        np.save(directory / f"{name}{number}.npy", array)
        mapped.append(np.load(directory / f"{name}{number}.npy", mmap_mode="r"))
    return mapped[0], mapped[1]


def _merge(runs, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Runs added up: the keys are cut into ranges so that all runs together have about `most` cells in one."""
    cells = sum(len(keys) for keys, _ in runs)
    sample = np.sort(np.concatenate([keys[:: max(1, len(keys) // 1000)] for keys, _ in runs]))
    pieces = -(-cells // most)
    cuts = [sample[len(sample) * i // pieces] for i in range(1, pieces)]
    places = [np.concatenate([[0], np.searchsorted(keys, cuts), [len(keys)]]).astype(int) for keys, _ in runs]
    merged = []
    for piece in range(pieces):
        parts = [
            (keys[place[piece] : place[piece + 1]], sums[place[piece] : place[piece + 1]])
            for (keys, sums), place in zip(runs, places, strict=True)
        ]
        keys, cell = np.unique(np.concatenate([k for k, _ in parts]), return_inverse=True)
        merged.append((keys, np.bincount(cell, np.concatenate([s for _, s in parts]), len(keys))))
    return np.concatenate([keys for keys, _ in merged]), np.concatenate([sums for _, sums in merged])


def _both_ways(keys, sums, vocab_size: int) -> Cooccurrences:
    """Cells above the diagonal, and the same below it; a word beside itself is counted from either side."""
    rows, columns = np.divmod(keys, vocab_size)
    apart = rows != columns
    counts = np.where(apart, sums, 2 * sums)
    all_rows = np.concatenate([rows, columns[apart]]).astype(np.int32)
    all_columns = np.concatenate([columns, rows[apart]]).astype(np.int32)
    order = np.lexsort((all_columns, all_rows))
    counts = np.concatenate([counts, counts[apart]])[order].astype(np.float32)
    return Cooccurrences(all_rows[order], all_columns[order], counts)
