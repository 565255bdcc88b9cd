"""Naive Bayes: the class that makes a text's words likeliest, as if each were drawn by itself."""

import numpy as np

from models.classifiers.bodies.linear import LinearClassifier, check_labels
from models.classifiers.bodies.sparse import SparseMatrix
from models.errors import UserError


class MultinomialNaiveBayes(LinearClassifier):
    """score_c = ln P(c) + Σ_w n_w ln P(w | c),  P(w | c) = (N_cw + α)/(Σ_w' N_cw' + α·terms).

    N_cw is how often (or, for tf-idf, with what weight) the term is in texts of the class  (McCallum & Nigam 1998,
    equations 4 to 6). smoothing is α, Laplace's 1 by default.
    """

    def __init__(self, smoothing: float = 1.0):
        super().__init__()
        self.smoothing = _positive(smoothing)

    def fit(
        self,
        matrix: SparseMatrix,
        labels: np.ndarray,
        class_weight: np.ndarray | None = None,
        rng: np.random.Generator | None = None,
    ) -> "MultinomialNaiveBayes":
        """Count: weight (terms, classes) becomes ln P(w | c) and bias (classes,) ln P(c). Returns the classifier.

        labels: class numbers (texts,); class_weight (classes,): how many times a text counts.
        """
        counts, texts = _counts(self, matrix, labels, class_weight)
        smoothed = counts + self.smoothing
        self.weight = np.log(smoothed) - np.log(smoothed.sum(0))
        self.bias = np.log(texts) - np.log(texts.sum())
        return self


class ComplementNaiveBayes(LinearClassifier):
    """score_c = -Σ_w n_w ln P(w | not c): how unlikely the text's words are in the texts of all other classes.

    Their counts are larger and more alike than those of the class alone, which helps where some classes are much
    rarer than others (Rennie, Shih, Teevan & Karger 2003, section 3.1).
    """

    def __init__(self, smoothing: float = 1.0):
        super().__init__()
        self.smoothing = _positive(smoothing)

    def fit(
        self,
        matrix: SparseMatrix,
        labels: np.ndarray,
        class_weight: np.ndarray | None = None,
        rng: np.random.Generator | None = None,
    ) -> "ComplementNaiveBayes":
        """Count, as MultinomialNaiveBayes does."""
        counts, texts = _counts(self, matrix, labels, class_weight)
        smoothed = counts.sum(1, keepdims=True) - counts + self.smoothing
        self.weight = np.log(smoothed.sum(0)) - np.log(smoothed)
        self.bias = np.zeros(len(texts))
        return self


def _counts(classifier, matrix: SparseMatrix, labels, class_weight) -> tuple[np.ndarray, np.ndarray]:
    """(terms, classes) and (classes,): what the terms, and the texts, of each class count."""
    labels, weights = check_labels(classifier, matrix, labels, class_weight)
    if (matrix.values < 0).any():
        raise UserError(f"{type(classifier).__name__}: a value of the matrix is negative; it takes counts or tf-idf")
    membership = weights * (labels[:, None] == np.arange(len(weights)))
    return matrix.T @ membership, membership.sum(0)


def _positive(smoothing: float) -> float:
    if not smoothing > 0:
        raise UserError(f"smoothing={smoothing!r}; expected a number above 0, for terms that a class does not have")
    return smoothing
