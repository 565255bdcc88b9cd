"""What naive Bayes, logistic regression and the linear SVM have in common: a weight for each term and class."""

import numpy as np

from models.classifiers.bodies.sparse import SparseMatrix
from models.errors import UserError


class LinearClassifier:
    """scores = matrix @ weight + bias, and the class with the highest score is predicted.

    weight (terms, classes), bias (classes,), float64. Of two classes there may be one column, the score of the
    second; the first has 0.
    """

    def __init__(self) -> None:
        self.weight = np.zeros((0, 0))
        self.bias = np.zeros(0)

    def decision_function(self, matrix: SparseMatrix) -> np.ndarray:
        """The scores (texts, classes), or (texts, 1)."""
        if not self.weight.size:
            raise UserError(f"{type(self).__name__} has learnt nothing yet: call fit, or load_state_dict")
        if matrix.shape[1] != len(self.weight):
            raise UserError(
                f"{type(self).__name__}: a matrix of {matrix.shape[1]} terms, and it was fitted to {len(self.weight)}"
            )
        return matrix @ self.weight + self.bias

    def predict_proba(self, matrix: SparseMatrix) -> np.ndarray:
        """Probabilities (texts, classes): the softmax of the scores."""
        return np.exp(log_softmax(self.decision_function(matrix)))

    def predict(self, matrix: SparseMatrix) -> np.ndarray:
        """Class numbers (texts,)."""
        return with_first_class(self.decision_function(matrix)).argmax(1)

    def state_dict(self) -> dict[str, np.ndarray]:
        """What was learnt, as arrays."""
        return {"weight": self.weight, "bias": self.bias}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Take over a state_dict."""
        self.weight, self.bias = (np.asarray(state[name], np.float64) for name in ("weight", "bias"))


def with_first_class(scores: np.ndarray) -> np.ndarray:
    """(texts, classes) from (texts, classes), or from the scores of the second of two."""
    return np.concatenate([np.zeros_like(scores), scores], 1) if scores.shape[1] == 1 else scores


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """ln(e^s_c / Σ_j e^s_j) of each row."""
    scores = with_first_class(scores)
    scores = scores - scores.max(1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(1, keepdims=True))


def check_labels(
    classifier: object, matrix: SparseMatrix, labels: np.ndarray, class_weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Class numbers (texts,), and the weight of each class; raises UserError for what cannot be learnt from."""
    name, labels = type(classifier).__name__, np.asarray(labels)
    if labels.ndim == 2:
        raise UserError(f"{name}: labels {labels.shape}: for several labels a text, use OneVsRest")
    if labels.shape != (len(matrix),) or labels.dtype.kind not in "iu":
        raise UserError(
            f"{name}: labels {labels.dtype} {labels.shape} for {len(matrix)} texts: expected a class number each"
        )
    present = np.unique(labels)
    if len(present) < 2 or present[0] != 0 or present[-1] != len(present) - 1:
        raise UserError(
            f"{name}: class numbers {present[:10].tolist()}; expected 0, 1, …, all of them, and two at least"
        )
    weights = np.ones(len(present)) if class_weight is None else np.asarray(class_weight, np.float64)
    if weights.shape != present.shape or not (weights > 0).all():
        raise UserError(
            f"{name}: class_weight {weights.tolist()}; expected {len(present)} numbers above 0, one per class"
        )
    return labels, weights
