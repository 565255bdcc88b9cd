"""Logistic regression: the weights that make the labels of the training texts likeliest, and are not large."""

import numpy as np

from models.classifiers.bodies.lbfgs import minimize
from models.classifiers.bodies.linear import LinearClassifier, check_labels, log_softmax
from models.classifiers.bodies.sparse import SparseMatrix
from models.errors import UserError


class LogisticRegression(LinearClassifier):
    """P(c | text) = softmax(matrix @ weight + bias)_c, for two classes σ of one score.

    Minimises C·Σ_i -ln P(y_i | text_i) + ½ Σ weight²  (Hastie, Tibshirani & Friedman 2009, section 4.4) by L-BFGS,
    from 0; the bias is not held down.

    inverse_regularization  C: the larger, the closer the training texts are followed
    tolerance               of the gradient of the objective over C·texts, where it ends; or after max_iterations
    """

    def __init__(self, inverse_regularization: float = 1.0, tolerance: float = 1e-5, max_iterations: int = 500):
        super().__init__()
        if not inverse_regularization > 0:
            raise UserError(f"inverse_regularization={inverse_regularization!r}; expected a number above 0")
        self.inverse_regularization = inverse_regularization
        self.tolerance, self.max_iterations = tolerance, max_iterations

    def fit(
        self,
        matrix: SparseMatrix,
        labels: np.ndarray,
        class_weight: np.ndarray | None = None,
        rng: np.random.Generator | None = None,
    ) -> "LogisticRegression":
        """labels: class numbers (texts,); class_weight (classes,): how many times a text counts."""
        labels, weights = check_labels(self, matrix, labels, class_weight)
        columns = len(weights) if len(weights) > 2 else 1
        shape = (matrix.shape[1] + 1, columns)  # the last row is the bias
        goal = (labels[:, None] == np.arange(len(weights)))[:, -columns:]
        each = weights[labels][:, None] / len(matrix)
        transposed = matrix.T
        decay = 1 / (self.inverse_regularization * len(matrix))

        def objective(flat):
            parameters = flat.reshape(shape)
            weight, bias = parameters[:-1], parameters[-1]
            log_p = log_softmax(matrix @ weight + bias)
            loss = -(each * log_p[np.arange(len(labels)), labels, None]).sum() + decay / 2 * (weight**2).sum()
            dscores = each * (np.exp(log_p[:, -columns:]) - goal)
            dweight = transposed @ dscores + decay * weight
            return loss, np.concatenate([dweight, dscores.sum(0)[None]]).reshape(-1)

        found = minimize(objective, np.zeros(shape[0] * columns), self.tolerance, self.max_iterations).reshape(shape)
        self.weight, self.bias = found[:-1], found[-1]
        return self
