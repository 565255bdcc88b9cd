"""Ids to batches: random windows or contiguous streams, every token once for evaluation, padding and bucketing."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

import minigrad as mg
from models.errors import DataError

IGNORED = -100  # a target that no loss counts: the default ignore_index of cross_entropy


class HasParameters(Protocol):
    """A model, as far as it matters here."""

    def parameters(self) -> Iterator[Any]:
        """Its Tensors."""


def tensors_for(model: HasParameters, arrays: Iterable[np.ndarray]) -> list[mg.Tensor]:
    """Arrays, such as a batch's, as Tensors where the model's parameters are."""
    device = next(model.parameters()).device
    return [mg.Tensor(array).to(device) for array in arrays]


def train_val_split(ids: np.ndarray, fraction: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
    """The first `fraction` of a text for training, the rest for validation. Views, nothing is copied."""
    if not 0 < fraction < 1:
        raise DataError(f"train_val_split: fraction={fraction} is not between 0 and 1")
    cut = int(len(ids) * fraction)
    return ids[:cut], ids[cut:]


class TokenBatches:
    """Endless random windows of a text: next() gives x and y, both int64 (batch_size, context_length).

    y is x one token later. The windows depend on the seed alone, and `state_dict` holds the
    position in that sequence as JSON values: a resumed run sees the batches it would have seen.

    Raises DataError for a text shorter than one window.
    """

    def __init__(self, ids: np.ndarray, batch_size: int, context_length: int, seed: int = 0):
        self.ids = _checked(ids, batch_size, context_length)
        self.batch_size, self.context_length = batch_size, context_length
        self._rng = np.random.Generator(np.random.PCG64(seed))

    def __iter__(self) -> "TokenBatches":
        return self

    def __next__(self) -> tuple[np.ndarray, np.ndarray]:
        starts = self._rng.integers(0, len(self.ids) - self.context_length, size=(self.batch_size, 1))
        windows = self.ids[starts + np.arange(self.context_length + 1)]  # (batch_size, context_length + 1)
        return _inputs_and_targets(windows)

    def state_dict(self) -> dict:
        """Where the sequence of batches stands, as JSON values."""
        return {"tokens": len(self.ids), "rng": self._rng.bit_generator.state}

    def load_state_dict(self, state: dict) -> None:
        """Go to where `state_dict` was taken. Raises DataError for a damaged state or another text's."""
        _restore(state, len(self.ids), self._put)

    def _put(self, state: dict) -> None:
        self._rng.bit_generator.state = state["rng"]


class StreamBatches:
    """A text as parallel streams, endless: each batch goes on where the last one ended.

    The text is cut into batch_size pieces of one length, read side by side in windows of context_length
    tokens: next() gives x, starts and y. x and y are int64 (batch_size, context_length), y one token
    later; starts is True (a 0-d array) when the streams begin at their beginning, as they do again once
    all windows have been read. So a recurrent model can carry its state from batch to batch. Tokens
    beyond the last whole window are left out.

    Raises DataError for a text that is too short for one window in every stream.
    """

    def __init__(self, ids: np.ndarray, batch_size: int, context_length: int):
        self.ids = _checked(ids, batch_size, context_length, minimum=batch_size * context_length + 1, streams=True)
        self.batch_size, self.context_length = batch_size, context_length
        self.length = (len(self.ids) - 1) // batch_size  # of a stream
        self.windows = self.length // context_length
        self._window = 0

    def __iter__(self) -> "StreamBatches":
        return self

    def __next__(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(x, starts, y) of window number self._window, which is then the next one's; after the last comes 0."""
        window, self._window = self._window, (self._window + 1) % self.windows
        first = np.arange(self.batch_size)[:, None] * self.length + window * self.context_length
        x, y = _inputs_and_targets(self.ids[first + np.arange(self.context_length + 1)])
        return x, np.array(window == 0), y

    def state_dict(self) -> dict:
        """Where the streams stand, as JSON values."""
        return {"tokens": len(self.ids), "window": self._window}

    def load_state_dict(self, state: dict) -> None:
        """Go to where `state_dict` was taken. Raises DataError for a damaged state or another text's."""
        _restore(state, len(self.ids), self._put)

    def _put(self, state: dict) -> None:
        self._window = int(state["window"]) % self.windows


def evaluation_batches(
    ids: np.ndarray, batch_size: int, context_length: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The whole text in order, (x, y) like TokenBatches': every token but the first is a target once.

    The last batch of whole windows may have fewer rows, and a last window of one row may be shorter, so
    weigh each batch's mean loss with y.size. Raises DataError for a text of less than two tokens.
    """
    ids = _checked(ids, batch_size, context_length, minimum=2)
    targets = len(ids) - 1
    rows = targets // context_length
    starts = np.arange(rows)[:, None] * context_length
    for row in range(0, rows, batch_size):
        yield _inputs_and_targets(ids[starts[row : row + batch_size] + np.arange(context_length + 1)])
    if targets % context_length:
        yield _inputs_and_targets(ids[None, rows * context_length :])


def stream_evaluation_batches(
    ids: np.ndarray, batch_size: int, context_length: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The whole text once as parallel streams, (x, starts, y) like StreamBatches'.

    Every token but the first is a target once. A short text makes fewer streams than batch_size, and the
    last window may be shorter; where a stream is shorter than the others its targets are IGNORED, so weigh
    each batch's mean loss with count_targets(y). Raises DataError for a text of less than two tokens.
    """
    ids = _checked(ids, batch_size, context_length, minimum=2)
    targets = len(ids) - 1
    rows = min(batch_size, -(-targets // context_length))
    length = -(-targets // rows)
    x, y = np.zeros((2, rows * length), np.int64)
    x[:targets], y[:targets], y[targets:] = ids[:-1], ids[1:], IGNORED
    x, y = x.reshape(rows, length), y.reshape(rows, length)
    for start in range(0, length, context_length):
        window = slice(start, start + context_length)
        yield np.ascontiguousarray(x[:, window]), np.array(start == 0), np.ascontiguousarray(y[:, window])


def count_targets(targets: np.ndarray) -> int:
    """How many of the targets count: those that are not IGNORED."""
    return int((targets != IGNORED).sum())


def pad_sequences(
    sequences: Sequence[Sequence[int]], pad_id: int, max_length: int | None = None, side: str = "right"
) -> tuple[np.ndarray, np.ndarray]:
    """Sequences of different lengths as one array: (ids, mask), int64 and bool, both (sequences, longest).

    mask is True at tokens, False at padding. Padding goes on `side`; what exceeds `max_length` is cut from
    the same side (left for prompts, whose end matters; right for documents, whose beginning does).
    """
    if side not in ("left", "right"):
        raise DataError(f"pad_sequences: side={side!r}, expected 'left' or 'right'")
    if max_length is not None and max_length < 1:
        raise DataError(f"pad_sequences: max_length={max_length} must be at least 1")
    longest = max(map(len, sequences), default=0)
    width = longest if max_length is None else min(longest, max_length)
    ids = np.full((len(sequences), width), pad_id, np.int64)
    mask = np.zeros((len(sequences), width), bool)
    for row, sequence in enumerate(sequences):
        length = min(len(sequence), width)
        kept, place = (slice(0, length),) * 2
        if side == "left":
            kept, place = slice(len(sequence) - length, None), slice(width - length, None)
        ids[row, place] = sequence[kept]
        mask[row, place] = True
    return ids, mask


def bucket_batches(lengths: Sequence[int], batch_size: int, seed: int, pool: int = 50) -> Iterator[np.ndarray]:
    """Batches of indices into variable-length texts, texts of like length together so that little is padding.

    One epoch: every index once, in random order. The shuffled texts are taken `pool` batches at a time,
    sorted by length and cut into batches, and the batches shuffled: a larger pool pads
    less, a smaller one mixes more.
    """
    if batch_size < 1 or pool < 1:
        raise DataError(f"bucket_batches: batch_size={batch_size} and pool={pool} must be at least 1")
    sizes = np.asarray(lengths)
    rng = np.random.Generator(np.random.PCG64(seed))
    shuffled = rng.permutation(len(sizes))
    batches = []
    for start in range(0, len(shuffled), pool * batch_size):
        pooled = shuffled[start : start + pool * batch_size]
        pooled = pooled[np.argsort(sizes[pooled], kind="stable")]
        batches += [pooled[i : i + batch_size] for i in range(0, len(pooled), batch_size)]
    for i in rng.permutation(len(batches)):
        yield batches[i]


def _inputs_and_targets(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Windows (rows, length + 1) as inputs and targets one token later, both int64 (rows, length), contiguous."""
    windows = windows.astype(np.int64, copy=False)
    return np.ascontiguousarray(windows[:, :-1]), np.ascontiguousarray(windows[:, 1:])


def _restore(state: dict, tokens: int, put: Callable[[dict], None]) -> None:
    """Put a saved position back, if it is one in a text of that many tokens."""
    try:
        if state["tokens"] == tokens:
            put(state)
            return
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"the saved position in the data is damaged: {error!r}") from None
    raise DataError(
        f"this run was started on a text of {state['tokens']} tokens, and this one has {tokens}: "
        "resume with the data it was started with"
    )


def _checked(
    ids: np.ndarray, batch_size: int, context_length: int, minimum: int | None = None, streams: bool = False
) -> np.ndarray:
    """The ids, if a window fits in them; `minimum` is the shortest text that will do, a window by default."""
    if batch_size < 1 or context_length < 1:
        raise DataError(f"batch_size={batch_size} and context_length={context_length} must be at least 1")
    ids = np.asarray(ids)
    if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
        raise DataError(f"a text is a 1-D array of integer ids, not {ids.dtype} of shape {ids.shape}")
    needed = context_length + 1 if minimum is None else minimum
    if len(ids) < needed:
        setting, remedy = f"context_length={context_length}", "a smaller context length"
        if streams:
            setting, remedy = f"{setting} in each of {batch_size} streams", f"{remedy} or batch size"
        raise DataError(
            f"the text is too short: {len(ids)} tokens, and {needed} are needed with {setting}. "
            f"Take a longer text or {remedy}"
        )
    return ids
