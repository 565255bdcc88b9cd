"""Samplers: the order in which the samples of a data set are taken."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from minigrad.random import next_seed


class Sampler:
    """The indices of an epoch, in order: a subclass writes __iter__ and __len__."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} has no __iter__")

    def __len__(self) -> int:
        raise TypeError(f"{type(self).__name__} has no __len__")


class SequentialSampler(Sampler):
    """0, 1, 2, …"""

    def __init__(self, data_source: Any):
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class SeededSampler(Sampler):
    """A random order that one number decides: a subclass writes order(rng), so that DataLoader can repeat an epoch.

    generator  where the numbers come from, minigrad's own by default
    """

    def __init__(self, generator: np.random.Generator | None = None):
        self.generator = generator

    def order(self, rng: np.random.Generator) -> np.ndarray:
        """The indices of an epoch."""
        raise NotImplementedError(f"{type(self).__name__} has no order")

    def seed(self) -> int:
        """A fresh number for an epoch."""
        return next_seed() if self.generator is None else int(self.generator.integers(0, 2**63))

    def seeded(self, seed: int) -> Iterator[int]:
        """The epoch that this number decides."""
        return iter(self.order(np.random.Generator(np.random.Philox(seed))).tolist())

    def __iter__(self) -> Iterator[int]:
        return self.seeded(self.seed())


class RandomSampler(SeededSampler):
    """All indices in random order; with replacement, or num_samples of them (in several rounds if there are fewer)."""

    def __init__(
        self,
        data_source: Any,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: np.random.Generator | None = None,
    ):
        super().__init__(generator)
        if num_samples is not None and num_samples < 1:
            raise ValueError(f"RandomSampler: num_samples={num_samples}; expected 1 or more")
        self.data_source, self.replacement, self.num_samples = data_source, replacement, num_samples

    def order(self, rng: np.random.Generator) -> np.ndarray:
        """The indices of an epoch."""
        available, wanted = len(self.data_source), len(self)
        if self.replacement:
            return rng.integers(0, available, wanted)
        rounds = [rng.permutation(available) for _ in range(-(-wanted // max(available, 1)))]
        return np.concatenate([np.empty(0, np.int64), *rounds])[:wanted]

    def __len__(self) -> int:
        return len(self.data_source) if self.num_samples is None else self.num_samples


class SubsetRandomSampler(SeededSampler):
    """Some indices in random order."""

    def __init__(self, indices: Sequence[int], generator: np.random.Generator | None = None):
        super().__init__(generator)
        self.indices = indices

    def order(self, rng: np.random.Generator) -> np.ndarray:
        """The indices of an epoch."""
        return np.asarray(self.indices, np.int64)[rng.permutation(len(self.indices))]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(SeededSampler):
    """num_samples indices, drawn with probabilities proportional to weights (n,), for classes of unequal size.

    ValueError for negative weights, for all of them 0, and without replacement for more samples than positive weights.
    """

    def __init__(
        self,
        weights: Any,
        num_samples: int,
        replacement: bool = True,
        generator: np.random.Generator | None = None,
    ):
        super().__init__(generator)
        self.weights = np.asarray(weights, np.float64)
        if self.weights.ndim != 1 or not (np.isfinite(self.weights).all() and (self.weights >= 0).all()):
            raise ValueError("WeightedRandomSampler: expected a vector of weights of 0 or more")
        positive = int((self.weights > 0).sum())
        if positive == 0 or (not replacement and num_samples > positive):
            raise ValueError(f"WeightedRandomSampler: {num_samples} samples of {positive} with weights above 0")
        self.num_samples, self.replacement = num_samples, replacement

    def order(self, rng: np.random.Generator) -> np.ndarray:
        """The indices of an epoch."""
        probabilities = self.weights / self.weights.sum()
        return rng.choice(len(self.weights), self.num_samples, self.replacement, probabilities)

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler):
    """Lists of batch_size indices of a sampler; drop_last leaves out a shorter last one."""

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool = False):
        if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
            raise ValueError(f"batch_size={batch_size!r}; expected an integer of 1 or more")
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def batches(self, indices: Iterable[int]) -> Iterator[list[int]]:
        """These indices in lists of batch_size."""
        batch = []
        for index in indices:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __iter__(self) -> Iterator[list[int]]:
        return self.batches(self.sampler)

    def __len__(self) -> int:
        whole, rest = divmod(len(self.sampler), self.batch_size)  # type: ignore[arg-type]
        return whole + (rest > 0 and not self.drop_last)
