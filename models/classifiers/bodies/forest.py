"""A random forest (Breiman 2001), for comparison: scikit-learn grows the trees, the rest is here.

Grown trees are plain arrays, so that a saved forest is read and asked without scikit-learn.
"""

import numpy as np

from models.classifiers.bodies.sparse import SparseMatrix
from models.errors import UserError

ROWS = 256  # texts that are dense arrays at a time


class RandomForest:
    """trees decision trees, each grown on texts drawn with replacement and on random terms; their mean decides.

    The nodes of all trees are numbered through: at node i go left where the text's value of the term feature[i] is
    at most threshold[i], until a leaf, which is its own left child; value[i] are the shares of its classes.
    """

    def __init__(self, trees: int = 100):
        self.trees = trees
        self._set({name: np.zeros(0) for name in ("feature", "threshold", "left", "right", "value", "root")})

    def fit(
        self,
        matrix: SparseMatrix,
        labels: np.ndarray,
        class_weight: np.ndarray | None = None,
        rng: np.random.Generator | None = None,
    ) -> "RandomForest":
        """labels: class numbers (texts,); class_weight (classes,). Raises UserError where scikit-learn is missing."""
        try:
            from scipy.sparse import csr_matrix
            from sklearn.ensemble import RandomForestClassifier
        except ImportError:
            raise UserError(
                "the body forest is grown by scikit-learn, which is missing: in your clone, pip install -e '.[forest]'"
            ) from None
        rng = rng or np.random.default_rng(0)
        forest = RandomForestClassifier(
            self.trees,
            class_weight=None if class_weight is None else dict(enumerate(map(float, class_weight))),
            random_state=int(rng.integers(2**31)),
            n_jobs=-1,
        )
        forest.fit(csr_matrix((matrix.values, matrix.columns, matrix.starts), matrix.shape), labels)
        trees = [estimator.tree_ for estimator in forest.estimators_]
        root = np.cumsum([0] + [tree.node_count for tree in trees])[:-1]
        own = [np.arange(tree.node_count) for tree in trees]

        def children(side: str) -> np.ndarray:
            of_trees = (getattr(tree, f"children_{side}") for tree in trees)
            return np.concatenate(
                [
                    np.where(child < 0, nodes, child) + start
                    for child, nodes, start in zip(of_trees, own, root, strict=True)
                ]
            )

        value = np.concatenate([tree.value[:, 0] for tree in trees])
        self._set(
            {
                "feature": np.concatenate([np.maximum(tree.feature, 0) for tree in trees]),
                "threshold": np.concatenate([tree.threshold for tree in trees]),
                "left": children("left"),
                "right": children("right"),
                "value": value / value.sum(1, keepdims=True),
                "root": root,
            }
        )
        return self

    def predict_proba(self, matrix: SparseMatrix) -> np.ndarray:
        """The mean over the trees of the shares in the leaf that a text comes to: (texts, classes)."""
        if not len(self.root):
            raise UserError("RandomForest has learnt nothing yet: call fit, or load_state_dict")
        parts = [np.arange(start, min(start + ROWS, len(matrix))) for start in range(0, len(matrix), ROWS)]
        return np.concatenate([self._predict(matrix.take(rows).toarray().astype(np.float32)) for rows in parts])

    def _predict(self, x: np.ndarray) -> np.ndarray:
        rows = np.arange(len(x))[:, None]
        node = np.repeat(self.root[None], len(x), 0)  # (texts, trees): all trees are walked down together
        while True:
            goes_left = x[rows, self.feature[node]] <= self.threshold[node]
            below = np.where(goes_left, self.left[node], self.right[node])
            if (below == node).all():
                return self.value[node].mean(1)
            node = below

    def state_dict(self) -> dict[str, np.ndarray]:
        """What was learnt, as arrays."""
        return {name: getattr(self, name) for name in ("feature", "threshold", "left", "right", "value", "root")}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Take over a state_dict."""
        self._set(state)

    def _set(self, state: dict[str, np.ndarray]) -> None:
        integers = {name: np.asarray(state[name], np.int64) for name in ("feature", "left", "right", "root")}
        self.feature, self.left, self.right, self.root = integers.values()
        self.threshold, self.value = np.asarray(state["threshold"]), np.asarray(state["value"])
