"""Huffman's binary tree over the classes of a vocabulary: frequent words get short paths (Huffman 1952).

With V classes there are V - 1 inner nodes, the last of them the root. The tree is one array (2V - 2,): for
the V leaves and then all inner nodes but the root, 2·parent + side, the parent counted among the inner
nodes and the side 0 or 1. Its shape does not depend on the counts, so it fits a state_dict.
"""

from typing import Any

import numpy as np

from minigrad.devices import array_module
from minigrad.typing import Array


def huffman_tree(counts: Any) -> np.ndarray:
    """The tree for classes that occur this often, counts (V,); int64 (2V - 2,).

    The two lightest nodes get a new node above them that weighs as much as both, the first of them on side 0, until
    one is left. Of nodes that weigh the same, a leaf comes before an inner node, and a smaller number before a larger.

    ValueError for fewer than two classes and for counts below 0 or not finite.
    """
    counts = np.asarray(counts, np.float64)
    if counts.ndim != 1 or len(counts) < 2 or not (np.isfinite(counts).all() and (counts >= 0).all()):
        raise ValueError("huffman_tree: expected counts of two classes or more, none below 0 or infinite")
    classes = len(counts)
    weights = np.concatenate([counts, np.zeros(classes - 1)])
    tree = np.empty(2 * classes - 2, np.int64)
    # The leaves by weight, and the inner nodes, which come into being by weight: the lightest two nodes that
    # are still without a parent are always at the heads of these two queues.
    leaves = np.argsort(counts, kind="stable").tolist()
    leaf, inner = 0, classes
    for new in range(classes, 2 * classes - 1):
        for side in (0, 1):
            if leaf < classes and (inner >= new or weights[leaves[leaf]] <= weights[inner]):
                child, leaf = leaves[leaf], leaf + 1
            else:
                child, inner = inner, inner + 1
            weights[new] += weights[child]
            tree[child] = 2 * (new - classes) + side
    return tree


def huffman_paths(tree: Array, classes: Any) -> tuple:
    """The way from each class (n,) up to the root: (nodes, signs), both (n, longest), on the device of the tree.

    nodes  inner nodes, 0 where a path has ended;  signs  1 for side 0, -1 for side 1, 0 where it has ended
    """
    xp = array_module(tree)
    inner_nodes = len(tree) // 2
    node, open_ = classes, xp.ones(len(classes), dtype=bool)
    nodes, signs = [], []
    while open_.any():
        step = tree[xp.where(open_, node, 0)]
        parent = step >> 1
        nodes.append(xp.where(open_, parent, 0))
        signs.append(xp.where(open_, 1 - 2 * (step & 1), 0))
        node = parent + inner_nodes + 1
        open_ &= parent != inner_nodes - 1
    if not nodes:
        return xp.zeros((0, 0), dtype=np.int64), xp.zeros((0, 0), dtype=np.int64)
    return xp.stack(nodes, 1), xp.stack(signs, 1)
