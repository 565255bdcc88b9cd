"""Batches of texts of like length, epoch after epoch."""

from collections.abc import Iterator, Sequence

import numpy as np

from models.errors import DataError
from models.text.augmentation import Change
from models.text.batching import bucket_batches, pad_sequences


class TextBatches:
    """Endless batches (ids, targets): ids int64 (batch, time), padded at the end; targets (batch,) or (batch, classes).

    Each epoch has every text once, in an order of its own. All that is random follows from the seed, the epoch
    and the batch's number in it, so that `state_dict`, which holds these two, is all a resumed run needs.

    sequences  the token ids of each text
    augment    changes a text each time it is drawn, see augmentation.py
    """

    def __init__(
        self,
        sequences: Sequence[np.ndarray],
        targets: np.ndarray,
        batch_size: int,
        pad_id: int,
        seed: int,
        augment: Change | None = None,
    ):
        self.sequences, self.targets = sequences, targets
        self.batch_size, self.pad_id, self.seed, self.augment = batch_size, pad_id, seed, augment
        self._lengths = [len(ids) for ids in sequences]
        self._go_to(0, 0)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.sequences) // self.batch_size)

    def __iter__(self) -> "TextBatches":
        return self

    def __next__(self) -> tuple[np.ndarray, np.ndarray]:
        if self._batch == len(self._order):
            self._go_to(self._epoch + 1, 0)
        rows = self._order[self._batch]
        chosen = [self.sequences[row] for row in rows]
        if self.augment:
            rng = np.random.default_rng([self.seed, self._epoch, self._batch])
            chosen = [self.augment(ids, rng) for ids in chosen]
        self._batch += 1
        return pad_sequences(chosen, self.pad_id)[0], self.targets[rows]

    def state_dict(self) -> dict:
        """Where the sequence of batches stands, as JSON values."""
        return {"texts": len(self.sequences), "epoch": self._epoch, "batch": self._batch}

    def load_state_dict(self, state: dict) -> None:
        """Go to where `state_dict` was taken. Raises DataError for the state of other texts."""
        if state.get("texts") != len(self.sequences):
            raise DataError(
                f"this run was started on {state.get('texts')} texts, and these are {len(self.sequences)}: "
                "resume with the data it was started with"
            )
        self._go_to(state["epoch"], state["batch"])

    def _go_to(self, epoch: int, batch: int) -> None:
        self._epoch, self._batch = epoch, batch
        self._order = list(bucket_batches(self._lengths, self.batch_size, self.seed + (epoch << 32)))


def batches_by_length(
    sequences: Sequence[np.ndarray], batch_size: int, pad_id: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(rows, ids) over all texts once, the shortest first: ids int64 (batch, time) of the texts of these rows."""
    order = np.argsort([len(ids) for ids in sequences], kind="stable")
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        yield rows, pad_sequences([sequences[row] for row in rows], pad_id)[0]
