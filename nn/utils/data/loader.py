"""DataLoader: the batches of a data set, epoch after epoch, in an order that a resumed run continues."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from nn.utils.data.collate import default_collate
from nn.utils.data.dataset import rows_of
from nn.utils.data.sampler import BatchSampler, RandomSampler, SeededSampler, SequentialSampler


class DataLoader:
    """Batches of a data set: each `for` over it is an epoch.

    dataset        anything with len() and samples by number: a Dataset, a list
    batch_size     samples in a batch; drop_last leaves out a shorter last one
    shuffle        a new random order each epoch
    sampler        the order, an iterable of indices, instead of shuffle
    batch_sampler  an iterable of lists of indices, instead of batch_size, shuffle, sampler and drop_last
    collate_fn     makes a batch of a list of samples
    generator      where the seed of each epoch comes from, minigrad's own by default
    num_workers    0: batches are made in this process, when they are asked for
    pin_memory     PyTorch's; without effect

    state_dict() says, within an epoch too, where the loader is; after load_state_dict() the next `for` gives the
    batches that were still to come, in the same order. The orders of later epochs follow from the generator, whose
    state mg.get_rng_state() keeps. A sampler or batch_sampler of one's own must give the same indices again.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool | None = None,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[list[int]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        *,
        generator: np.random.Generator | None = None,
    ):
        if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
            raise TypeError(
                f"DataLoader: a {type(dataset).__name__} has no samples by number; make a list of it, or write a "
                "Dataset with __getitem__ and __len__"
            )
        if num_workers:
            raise ValueError(f"DataLoader: num_workers={num_workers}; batches are made in this process, leave it at 0")
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: sampler and shuffle=True both say the order; leave one out")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError("DataLoader: batch_sampler replaces batch_size, shuffle, sampler and drop_last")
        else:
            if sampler is None:
                sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
            try:
                batch_sampler = BatchSampler(sampler, batch_size, drop_last)
            except ValueError as error:
                raise ValueError(f"DataLoader: {error}") from None
        self.dataset, self.batch_sampler = dataset, batch_sampler
        self.collate_fn = default_collate if collate_fn is None else collate_fn
        self._seed: int | None = None  # of the epoch under way
        self._given = 0  # batches of it that have been handed out
        self._resumed = False

    def __len__(self) -> int:
        """How many batches an epoch has."""
        return len(self.batch_sampler)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        if not self._resumed:
            self._seed, self._given = self._fresh_seed(), 0
        self._resumed = False
        return self._epoch(islice(self._indices(), self._given, None))

    def _epoch(self, batches: Iterator[list[int]]) -> Iterator[Any]:
        for indices in batches:
            self._given += 1
            yield self._batch(indices)
        self._seed, self._given = None, 0

    def _batch(self, indices: list[int]) -> Any:
        if self.collate_fn is default_collate:
            rows = rows_of(self.dataset, indices)
            if rows is not None:
                return rows
        return self.collate_fn([self.dataset[i] for i in indices])

    def _seeded(self) -> SeededSampler | None:
        """The sampler, if a seed decides its order."""
        sampler = getattr(self.batch_sampler, "sampler", None)
        return sampler if isinstance(self.batch_sampler, BatchSampler) and isinstance(sampler, SeededSampler) else None

    def _fresh_seed(self) -> int | None:
        sampler = self._seeded()
        return None if sampler is None else sampler.seed()

    def _indices(self) -> Iterator[list[int]]:
        sampler = self._seeded()
        if sampler is None or self._seed is None:
            return iter(self.batch_sampler)
        return self.batch_sampler.batches(sampler.seeded(self._seed))  # type: ignore[attr-defined]

    def _length(self) -> int | None:
        """The batches of an epoch, or None where a batch_sampler does not say."""
        return len(self) if hasattr(self.batch_sampler, "__len__") else None

    def state_dict(self) -> dict[str, int | None]:
        """Where the loader is, in JSON's types: the seed of the epoch under way, its batches handed out, its length."""
        return {"seed": self._seed, "batches": self._given, "length": self._length()}

    def load_state_dict(self, state_dict: dict[str, int | None]) -> None:
        """Let the next epoch be the rest of the one that was under way; ValueError if epochs had another length."""
        if state_dict["length"] != self._length():
            raise ValueError(
                f"DataLoader: the saved epoch has {state_dict['length']} batches, this loader's {self._length()}; "
                "resume with the same data and batch_size"
            )
        self._seed, self._given = state_dict["seed"], int(state_dict["batches"] or 0)
        self._resumed = self._seed is not None or self._given > 0
