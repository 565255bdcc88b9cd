"""The linear support vector machine: the hyperplane between a class and the rest with the widest margin."""

import numpy as np
from numba import prange

from minigrad.kernels.cpu import simd
from models.classifiers.bodies.linear import LinearClassifier, check_labels, log_softmax, with_first_class
from models.classifiers.bodies.sparse import SparseMatrix
from models.errors import UserError

FOLDS = 3  # for the probabilities


class LinearSVM(LinearClassifier):
    """Each class against the rest (of two, the second against the first) has the w of

        min ½ wᵀw + C Σ_i max(0, 1 - y_i wᵀx_i)ᵖ,  y_i = 1 in the class and -1 outside,  p = 1 or 2

    (Cortes & Vapnik 1995; p = 2 if squared), the bias being the weight of one more term that every text has once.
    Solved in the dual, one text at a time, until no text would move by more than tolerance (Hsieh, Chang, Lin, Keerthi
    & Sundararajan 2008, algorithm 3), or after max_epochs.

    Margins are no probabilities. predict_proba takes the softmax of margins times `sharpness`, the one number that
    makes the labels likeliest when each third of the texts gets the margins of an SVM fitted to the others. (Platt
    1999, without his offset, so that the likeliest class is the one with the largest margin; for several classes
    Guo, Pleiss, Sun & Weinberger 2017, section 4.2.)
    """

    def __init__(
        self,
        inverse_regularization: float = 1.0,
        squared: bool = True,
        tolerance: float = 1e-3,
        max_epochs: int = 1000,
    ):
        super().__init__()
        if not inverse_regularization > 0:
            raise UserError(f"inverse_regularization={inverse_regularization!r}; expected a number above 0")
        self.inverse_regularization, self.squared = inverse_regularization, squared
        self.tolerance, self.max_epochs = tolerance, max_epochs
        self.sharpness = 1.0

    def fit(
        self,
        matrix: SparseMatrix,
        labels: np.ndarray,
        class_weight: np.ndarray | None = None,
        rng: np.random.Generator | None = None,
    ) -> "LinearSVM":
        """labels: class numbers (texts,). class_weight (classes,) multiplies C of a class's texts, where they are told
        from the rest. rng, a numpy Generator, draws the order of the texts and the thirds; one seeded with 0 by
        default."""
        rng = np.random.default_rng(0) if rng is None else rng
        labels, weights = check_labels(self, matrix, labels, class_weight)
        self.weight, self.bias = self._solve(matrix, labels, weights, rng)
        self.sharpness = self._sharpness(matrix, labels, weights, rng)
        return self

    def predict_proba(self, matrix: SparseMatrix) -> np.ndarray:
        """Probabilities (texts, classes), see above."""
        return np.exp(log_softmax(self.sharpness * self.decision_function(matrix)))

    def state_dict(self) -> dict[str, np.ndarray]:
        """What was learnt, as arrays."""
        return super().state_dict() | {"sharpness": np.array(self.sharpness)}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Take over a state_dict."""
        super().load_state_dict(state)
        self.sharpness = float(state["sharpness"])

    def _solve(self, matrix: SparseMatrix, labels, weights, rng) -> tuple[np.ndarray, np.ndarray]:
        """Weight (terms, classes) and bias (classes,)."""
        classes = np.arange(len(weights))[len(weights) == 2 :]
        signs = np.where(labels == classes[:, None], 1.0, -1.0)  # (classes, texts)
        positive = weights[classes][:, None]
        negative = weights[0] if len(weights) == 2 else 1.0
        costs = self.inverse_regularization * np.where(signs > 0, positive, negative)
        parameters = np.zeros((len(classes), matrix.shape[1] + 1))  # the last column is the bias
        seeds = rng.integers(1, 2**62, len(classes))
        settings = self.squared, self.tolerance, self.max_epochs
        texts = matrix.values, matrix.columns, matrix.starts
        _dual_coordinate_descent(texts, signs, costs, seeds, settings, parameters)
        return np.ascontiguousarray(parameters[:, :-1].T), parameters[:, -1].copy()

    def _sharpness(self, matrix: SparseMatrix, labels, weights, rng) -> float:
        """Maximum likelihood on margins of texts that were not learnt from; by bisection, as it has one maximum."""
        fold = np.empty(len(labels), np.int64)
        order = rng.permutation(len(labels))
        fold[order[np.argsort(labels[order], kind="stable")]] = np.arange(len(labels)) % FOLDS  # of each class a third
        margins = np.empty((len(labels), len(weights)))
        for held_out in range(FOLDS):
            inside = fold != held_out
            weight, bias = self._solve(matrix.take(inside), labels[inside], weights, rng)
            margins[~inside] = with_first_class(matrix.take(~inside) @ weight + bias)
        each = weights[labels]
        right = margins[np.arange(len(labels)), labels]
        low, high = np.log(1e-3), np.log(1e3)
        for _ in range(40):
            middle = (low + high) / 2
            expected = (np.exp(log_softmax(np.exp(middle) * margins)) * margins).sum(1)
            if (each * (expected - right)).sum() > 0:  # the derivative of the loss
                high = middle
            else:
                low = middle
        return float(np.exp((low + high) / 2))


@simd.parallel
def _dual_coordinate_descent(matrix, signs, costs, seeds, settings, parameters):
    """Fill parameters (classes, terms + 1).

    matrix        values, columns and starts of the texts' SparseMatrix
    signs, costs  (classes, texts)
    settings      squared, tolerance and max_epochs of the LinearSVM
    """
    for c in prange(len(parameters)):
        _one_class(matrix, signs[c], costs[c], seeds[c], settings, parameters[c])


@simd.serial
def _one_class(matrix, signs, costs, seed, settings, w):
    """w = Σ_i α_i y_i x_i, where α minimises ½ αᵀQ̄α - Σ α, 0 ≤ α_i ≤ U_i:  Q̄_ij = y_i y_j x_iᵀx_j + [i = j]·D_i;
    U_i = C_i and D_i = 0, or, squared, U_i = ∞ and D_i = 1/(2C_i)."""
    values, columns, starts = matrix
    squared, tolerance, max_epochs = settings
    texts = len(signs)
    alpha, order, curvature = np.zeros(texts), np.arange(texts), np.zeros(texts)
    for i in range(texts):
        curvature[i] = 1.0 + (0.5 / costs[i] if squared else 0.0)  # 1 is the bias's term
        for place in range(starts[i], starts[i + 1]):
            curvature[i] += values[place] * values[place]
    state = np.uint64(seed)
    active = texts  # order[active:] are at a bound and, by the last epoch's gradients, will stay there: left out
    highest, lowest = np.inf, -np.inf  # projected gradients of the last epoch
    for _ in range(max_epochs):
        largest, smallest = -np.inf, np.inf
        turn = 0
        while turn < active:
            state ^= state << np.uint64(13)  # xorshift (Marsaglia 2003), for the order of this epoch
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            other = turn + np.int64(state % np.uint64(active - turn))
            order[turn], order[other] = order[other], order[turn]
            i = order[turn]
            upper = np.inf if squared else costs[i]
            score = w[-1]
            for place in range(starts[i], starts[i + 1]):
                score += w[columns[place]] * values[place]
            gradient = signs[i] * score - 1.0 + (0.5 / costs[i] * alpha[i] if squared else 0.0)
            projected = gradient
            if alpha[i] == 0.0:
                projected = min(gradient, 0.0)
            elif alpha[i] == upper:
                projected = max(gradient, 0.0)
            if (alpha[i] == 0.0 and gradient > highest) or (alpha[i] == upper and gradient < lowest):
                active -= 1
                order[turn], order[active] = order[active], i
                continue
            largest, smallest = max(largest, projected), min(smallest, projected)
            if projected != 0.0:
                before = alpha[i]
                alpha[i] = min(max(before - gradient / curvature[i], 0.0), upper)
                change = (alpha[i] - before) * signs[i]
                w[-1] += change
                for place in range(starts[i], starts[i + 1]):
                    w[columns[place]] += change * values[place]
            turn += 1
        if largest - smallest > tolerance:
            highest = largest if largest > 0.0 else np.inf
            lowest = smallest if smallest < 0.0 else -np.inf
        elif active == texts:
            break
        else:  # done with these: look at all once more
            active, highest, lowest = texts, np.inf, -np.inf
