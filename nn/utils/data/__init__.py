"""Data sets and batches of them, under the names of torch.utils.data.

train, test = random_split(TensorDataset(images, labels), [0.9, 0.1])
for x, y in DataLoader(train, batch_size=64, shuffle=True):
    ...
"""

from nn.utils.data.collate import default_collate
from nn.utils.data.dataset import ConcatDataset, Dataset, Subset, TensorDataset, random_split
from nn.utils.data.loader import DataLoader
from nn.utils.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

__all__ = [
    "BatchSampler",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "default_collate",
    "random_split",
]
