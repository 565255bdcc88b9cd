"""Output layers for a vocabulary too large for a softmax over all of it: each is its own loss.

NegativeSamplingLoss tells the word that occurred from a few drawn at random; HierarchicalSoftmax makes
log₂ V decisions on the way to it, and its probabilities add up to 1.
"""

from typing import Any

import numpy as np

import minigrad as mg
from minigrad import Tensor, ops
from minigrad.devices import array_module
from minigrad.random import generator
from minigrad.tensor import to_numpy, unwrap
from minigrad.typing import Array
from nn import functional as F
from nn.alias import alias_table
from nn.checks import check_sizes
from nn.huffman import huffman_paths, huffman_tree
from nn.module import Module, Parameter


class NegativeSamplingLoss(Module):
    """-ln σ(wₜ·h) - Σₖ ln σ(-wₖ·h) for a target t and negatives k  (Mikolov et al. 2013b, eq. 4).

    num_classes, embedding_dim  of weight, which starts at 0
    counts         (num_classes,) how often each class occurs; all the same if not given
    num_negatives  how many draws `sample` makes for a target
    power          negatives are drawn from counts^power

    forward(hidden (n, embedding_dim), target (n,), negatives (n, k)) -> the mean loss.
    """

    def __init__(
        self,
        num_classes: int,
        embedding_dim: int,
        counts=None,
        *,
        num_negatives: int = 5,
        power: float = 0.75,
        reduction: str = "mean",
    ):
        super().__init__()
        check_sizes("NegativeSamplingLoss", embedding_dim=embedding_dim, num_negatives=num_negatives)
        counts = _checked_counts("NegativeSamplingLoss", num_classes, counts)
        self.num_classes, self.embedding_dim = num_classes, embedding_dim
        self.num_negatives, self.reduction = num_negatives, reduction
        thresholds, aliases = alias_table(counts**power)
        self.register_buffer("thresholds", mg.tensor(thresholds.astype(np.float32)))
        self.register_buffer("aliases", mg.tensor(aliases))
        self.weight = Parameter(mg.zeros(num_classes, embedding_dim))

    def sample(self, target: Tensor | Array) -> np.ndarray:
        """Negatives (n, num_negatives) for targets (n,), drawn from counts^power, none of them its row's target."""
        target = np.asarray(to_numpy(unwrap(target)))[:, None]
        thresholds, aliases = to_numpy(self.thresholds.data), to_numpy(self.aliases.data)
        negatives = np.repeat(target, self.num_negatives, 1)
        while (again := negatives == target).any():
            column = generator().integers(0, self.num_classes, again.sum())
            kept = generator().random(len(column)) < thresholds[column]
            negatives[again] = np.where(kept, column, aliases[column])
        return negatives

    def forward(self, hidden: Tensor, target: Any, negatives: Any) -> Tensor:
        return F.negative_sampling_loss(hidden, self.weight, target, negatives, reduction=self.reduction)

    def extra_repr(self) -> str:
        return f"{self.num_classes}, {self.embedding_dim}, num_negatives={self.num_negatives}"


class HierarchicalSoftmax(Module):
    """-ln p(t|h), where p is a product of decisions σ(±vₙ·h) on the path to t in a Huffman tree.

    Morin & Bengio 2005; the tree by frequency: Mikolov et al. 2013b, section 2.1.

    num_classes, embedding_dim  weight (num_classes - 1, embedding_dim) has a row for each inner node; starts at 0
    counts  (num_classes,) how often each class occurs; all the same if not given

    forward(hidden (n, embedding_dim), target (n,)) -> the mean loss.
    """

    def __init__(self, num_classes: int, embedding_dim: int, counts=None, *, reduction: str = "mean"):
        super().__init__()
        check_sizes("HierarchicalSoftmax", embedding_dim=embedding_dim)
        counts = _checked_counts("HierarchicalSoftmax", num_classes, counts)
        self.num_classes, self.embedding_dim, self.reduction = num_classes, embedding_dim, reduction
        self.register_buffer("tree", mg.tensor(huffman_tree(counts)))
        self.weight = Parameter(mg.zeros(num_classes - 1, embedding_dim))

    def forward(self, hidden: Tensor, target: Any) -> Tensor:
        return F.hierarchical_softmax(hidden, self.weight, target, self.tree, reduction=self.reduction)

    def log_prob(self, hidden: Tensor) -> Tensor:
        """ln p of every class, (n, num_classes), for hidden (n, embedding_dim): ln σ(±vₙ·h) summed along a path."""
        tree = self.tree.data
        nodes, signs = huffman_paths(tree, array_module(tree).arange(self.num_classes))
        scores = F.linear(hidden, self.weight)[:, nodes] * signs.astype(hidden.dtype)  # (n, classes, depth)
        return -ops.sum(ops.softplus(-scores) * (signs != 0).astype(hidden.dtype), -1)

    def extra_repr(self) -> str:
        return f"{self.num_classes}, {self.embedding_dim}"


def _checked_counts(layer: str, num_classes: int, counts) -> np.ndarray:
    check_sizes(layer, num_classes=num_classes)
    if num_classes < 2:
        raise ValueError(f"{layer}: num_classes={num_classes}; with fewer than two classes there is nothing to learn")
    counts = np.ones(num_classes) if counts is None else np.asarray(counts, np.float64)
    if counts.shape != (num_classes,):
        raise ValueError(f"{layer}: counts {counts.shape}; expected one for each of the {num_classes} classes")
    if not (np.isfinite(counts).all() and (counts >= 0).all()):
        raise ValueError(f"{layer}: counts from {counts.min()} to {counts.max()}; expected none below 0 or infinite")
    return counts
