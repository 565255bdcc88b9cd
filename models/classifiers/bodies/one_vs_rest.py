"""Several labels per text: for each label a classifier of its own that says yes or no."""

from collections.abc import Callable
from typing import Protocol, Self

import numpy as np

from models.classifiers.bodies.sparse import SparseMatrix
from models.errors import UserError


class Classifier(Protocol):
    """What a member has to offer; LinearClassifiers and RandomForest do."""

    def fit(
        self,
        matrix: SparseMatrix,
        labels: np.ndarray,
        class_weight: np.ndarray | None = None,
        rng: np.random.Generator | None = None,
    ) -> Self:
        """labels: class numbers (texts,); class_weight (classes,): how many times a text counts."""

    def predict_proba(self, matrix: SparseMatrix) -> np.ndarray:
        """Probabilities (texts, classes)."""

    def state_dict(self) -> dict[str, np.ndarray]:
        """What was learnt, as arrays."""

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Take over a state_dict."""


class OneVsRest:
    """OneVsRest(LogisticRegression), or any function without arguments that makes a classifier."""

    def __init__(self, make: Callable[[], Classifier]):
        self.make = make
        self.members: list[Classifier] = []

    def fit(
        self,
        matrix: SparseMatrix,
        labels: np.ndarray,
        class_weight: np.ndarray | None = None,
        rng: np.random.Generator | None = None,
    ) -> "OneVsRest":
        """labels: zeros and ones (texts, labels); class_weight (labels,): what a text with the label counts in its
        classifier, where one without counts 1."""
        labels = np.asarray(labels)
        if labels.ndim != 2 or len(labels) != len(matrix) or not np.isin(labels, (0, 1)).all():
            raise UserError(
                f"OneVsRest: labels {labels.shape} for {len(matrix)} texts; expected zeros and ones, a row each"
            )
        for label, having in enumerate(labels.sum(0)):
            if not 0 < having < len(labels):
                raise UserError(
                    f"OneVsRest: label {label} is on {having:g} of {len(labels)} texts; drop it, it tells nothing"
                )
        weights = np.ones(labels.shape[1]) if class_weight is None else class_weight
        self.members = [
            self.make().fit(matrix, column.astype(np.int64), np.array([1.0, weight]), rng)
            for column, weight in zip(labels.T, weights, strict=True)
        ]
        return self

    def predict_proba(self, matrix: SparseMatrix) -> np.ndarray:
        """Each label's own probability: (texts, labels)."""
        if not self.members:
            raise UserError("OneVsRest has learnt nothing yet: call fit, or load_state_dict")
        return np.stack([member.predict_proba(matrix)[:, 1] for member in self.members], 1)

    def predict(self, matrix: SparseMatrix) -> np.ndarray:
        """Zeros and ones (texts, labels): 1 from probability 0.5 on."""
        return (self.predict_proba(matrix) >= 0.5).astype(np.int64)

    def state_dict(self) -> dict[str, np.ndarray]:
        """The members' states, under their numbers."""
        states = enumerate(member.state_dict() for member in self.members)
        return {f"{number}.{name}": array for number, state in states for name, array in state.items()}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Take over a state_dict."""
        states: dict[int, dict] = {}
        for key, array in state.items():
            number, _, name = key.partition(".")
            states.setdefault(int(number), {})[name] = array
        self.members = [self.make() for _ in states]
        for label, member in enumerate(self.members):
            member.load_state_dict(states[label])
