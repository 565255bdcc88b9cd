"""Data sets: samples by their number, whole, in part and joined."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Generic, TypeVar

import numpy as np

from minigrad.random import generator as the_generator
from minigrad.tensor import Tensor, unwrap

Sample = TypeVar("Sample", covariant=True)


class Dataset(Generic[Sample]):
    """Samples 0 to len - 1: a subclass writes __getitem__(index) and __len__().

    __getitem__ raises IndexError after the last, if a `for` over the data set shall end.
    """

    def __getitem__(self, index: int) -> Sample:
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__; define what sample `index` is")

    def __len__(self) -> int:
        raise TypeError(f"{type(self).__name__} has no __len__; define how many samples there are")

    def __add__(self, other: "Dataset") -> "ConcatDataset":
        return ConcatDataset([self, other])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Sample i is a tuple of row i of each of several Tensors or arrays of the same length."""

    def __init__(self, *tensors: Tensor):
        if not tensors:
            raise ValueError("TensorDataset: no tensors")
        self.tensors = tuple(tensor if isinstance(tensor, Tensor) else Tensor(tensor) for tensor in tensors)
        shapes = [tensor.shape for tensor in self.tensors]
        if any(not shape or shape[0] != shapes[0][0] for shape in shapes):
            raise ValueError(f"TensorDataset: shapes {', '.join(map(str, shapes))}; expected one length for all")

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return self.tensors[0].shape[0]


class Subset(Dataset):
    """The samples of a data set at some indices, in their order."""

    def __init__(self, dataset: Any, indices: Sequence[int]):
        self.dataset, self.indices = dataset, indices

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(Dataset):
    """Several data sets, one after another; also written a + b."""

    def __init__(self, datasets: Sequence[Any]):
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: no data sets")
        self.cumulative_sizes = list(accumulate(len(dataset) for dataset in self.datasets))

    def __getitem__(self, index: int) -> Any:
        length = len(self)
        if not -length <= index < length:
            raise IndexError(f"ConcatDataset: index {index} of {length} samples")
        index = index % length
        which = bisect_right(self.cumulative_sizes, index)
        return self.datasets[which][index - (self.cumulative_sizes[which - 1] if which else 0)]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


def random_split(dataset: Any, lengths: Sequence[float], generator: np.random.Generator | None = None) -> list[Subset]:
    """Disjoint random parts of a data set: of these lengths, or of these shares if they add up to 1.

    Each share is rounded down, and what is left over goes to the first parts, one sample each. generator is minigrad's
    own by default. ValueError if the lengths are not the data set's.
    """
    total = len(dataset)
    sizes = [int(length) for length in lengths]
    if any(length < 0 for length in lengths):
        raise ValueError(f"random_split: lengths {list(lengths)}; expected none below 0")
    if math.isclose(sum(lengths), 1) and (total != 1 or any(length != int(length) for length in lengths)):
        sizes = [math.floor(total * share) for share in lengths]
        for i in range(total - sum(sizes)):
            sizes[i % len(sizes)] += 1
    if (sizes != list(lengths) and not math.isclose(sum(lengths), 1)) or sum(sizes) != total:
        raise ValueError(
            f"random_split: lengths {list(lengths)} of {total} samples; expected whole numbers that add up to {total}, "
            "or shares that add up to 1"
        )
    order = (the_generator() if generator is None else generator).permutation(total).tolist()
    ends = list(accumulate(sizes))
    return [Subset(dataset, order[end - size : end]) for size, end in zip(sizes, ends, strict=True)]


def rows_of(dataset: Any, indices: Sequence[int]) -> list[Tensor] | None:
    """What default_collate makes of these samples, in one step; None but for a TensorDataset or parts of one."""
    while type(dataset) is Subset:
        held = dataset.indices
        indices = [held[i] for i in indices]
        dataset = dataset.dataset
    if type(dataset) is not TensorDataset:
        return None
    rows = np.asarray(unwrap(indices), np.int64)
    return [tensor[rows] for tensor in dataset.tensors]
