"""Losses for a vocabulary too large for a softmax over all of it."""

from typing import Any

from minigrad import ops
from minigrad.devices import array_module, looks_at_values
from minigrad.tensor import Tensor, unwrap
from nn.functional.loss import reduced
from nn.huffman import huffman_paths


def negative_sampling_loss(
    hidden: Tensor, weight: Tensor, target: Tensor, negatives: Tensor, *, reduction: str = "mean"
) -> Tensor:
    """-ln σ(wₜ·h) - Σₖ ln σ(-wₖ·h): the target told from noise  (Mikolov et al. 2013b, eq. 4).

    hidden (n, dim), weight (classes, dim), target (n,), negatives (n, k); ops.softplus(-x) is -ln σ(x)
    """
    target, negatives = unwrap(target), unwrap(negatives)
    _check_hidden("negative_sampling_loss", hidden, weight, target)
    if negatives.ndim != 2 or len(negatives) != len(target):
        raise ValueError(
            f"negative_sampling_loss: target {target.shape}, negatives {negatives.shape}; expected (n,) and (n, k)"
        )
    xp = array_module(target)
    rows = ops.embedding(xp.concatenate([target[:, None], negatives], 1), weight)  # (n, 1 + k, dim)
    scores = ops.sum(rows * ops.reshape(hidden, len(target), 1, hidden.shape[1]), -1)
    signs = xp.ones(scores.shape, scores.dtype)
    signs[:, 0] = -1
    return reduced("negative_sampling_loss", ops.sum(ops.softplus(scores * signs), 1), reduction)


def hierarchical_softmax(
    hidden: Tensor, weight: Tensor, target: Any, tree: Tensor, *, reduction: str = "mean"
) -> Tensor:
    """-ln p(t|h) = -Σ ln σ(±vₙ·h) over the inner nodes n above t in a tree from nn.huffman  (Morin & Bengio 2005).

    hidden (n, dim), weight (classes - 1, dim), target (n,), tree (2·classes - 2,). huffman_paths gives the inner nodes
    above each target, and + or - as 1 or -1, 0 where a path has ended. ops.softplus(-x) is -ln σ(x).
    """
    target = unwrap(target)
    _check_hidden("hierarchical_softmax", hidden, weight, target)
    classes = weight.shape[0] + 1
    if target.size and looks_at_values(target) and not (target.min() >= 0 and target.max() < classes):
        wrong = target[(target < 0) | (target >= classes)][0]
        raise IndexError(f"hierarchical_softmax: target {int(wrong)} is not one of the {classes} classes")
    nodes, signs = huffman_paths(unwrap(tree), target)
    scores = ops.sum(ops.embedding(nodes, weight) * ops.reshape(hidden, len(target), 1, hidden.shape[1]), -1)
    signs = signs.astype(scores.dtype)
    losses = ops.sum(ops.softplus(scores * -signs) * abs(signs), 1)
    return reduced("hierarchical_softmax", losses, reduction)


def _check_hidden(op: str, hidden, weight, target) -> None:
    if hidden.ndim != 2 or hidden.shape[1:] != weight.shape[1:] or target.shape != hidden.shape[:1]:
        raise ValueError(
            f"{op}: hidden {hidden.shape}, weight {weight.shape}, target {target.shape}; "
            "expected (n, dim), (classes, dim) and (n,)"
        )
    if target.dtype.kind not in "iu":
        raise TypeError(f"{op}: targets are {target.dtype}; expected integer class numbers")
