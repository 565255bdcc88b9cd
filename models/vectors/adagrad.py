"""GloVe on all threads at once, without locks, each AdaGrad step on the rows of one cell.

As in hogwild.py, a run on several threads cannot be repeated bit for bit; on one it can, and equals the
engine's path in models/glove.py. With e = wᵢ·w̃ⱼ + bᵢ + b̃ⱼ - ln X_ij and g = f(X_ij) e, AdaGrad takes the
gradients g w̃ⱼ, g wᵢ, g and g, all of them from before the step:  s ← s + gradient²,  p ← p - η gradient/√s.
"""

import math

import numpy as np
from numba import prange

from minigrad.kernels.cpu import lanes, simd
from models.glove import PART, Cooccurrences, GloVe, GloVeTrainer, GloVeTraining


class HogwildTrainer(GloVeTrainer):
    """Fits a model as GloVeTrainer with a batch size of 1 does, on all threads.

    On one thread with the same result, but for rounding; on several, a run cannot be repeated bit for bit.
    The model's weights and the optimiser's sums become views of tables with padded rows.
    """

    def __init__(self, model: GloVe, cells: Cooccurrences, training: GloVeTraining):
        super().__init__(model, cells, training)
        self.tables: tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]] | None = None

    def learn(self, first: int, last: int) -> float:
        """Go through the cells from first to last on all threads; their summed loss."""
        if self.tables is None:  # only now, because the optimiser may have loaded its sums
            self.tables = self._tables()
        cells = tuple(array[first:last] for array in (self.rows, self.columns, self.logs, self.weights))
        return float(fit_cells(*self.tables, cells, np.float32(self.learning_rate)).sum())

    def _tables(self) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
        """Weights and biases of words and of neighbours, and AdaGrad's sums for them."""
        parameters = list(self.model.parameters())
        sums = self.optimizer.buffers("sum", parameters, self.optimizer.initial_accumulator_value)
        tables = [lanes.padded(parameter.data) for parameter in parameters]
        sum_tables = [lanes.padded(total) for total in sums]
        for parameter, table, total in zip(parameters, tables, sum_tables, strict=True):
            total[:, parameter.shape[1] :] = 1  # divides the padding's gradient, which is 0
            parameter.data = table[:, : parameter.shape[1]]
            self.optimizer.state[parameter]["sum"] = total[:, : parameter.shape[1]]
        return tuple(tables), tuple(sum_tables)


@simd.parallel
def fit_cells(parameters, squares, cells, learning_rate):
    """A step for each cell, PART cells per thread at a time; the summed loss of each part.

    parameters  w, w̃ (V, width) and b, b̃ (V, width), of which a bias is the first column, all lanes.padded; changed
    squares     AdaGrad's sums of squared gradients, each in the shape of its parameter; changed
    cells       row, column, ln X_ij and f(X_ij) of each cell
    """
    # In a parallel loop numba drops what is stored into a tuple's arrays, unless a function that is called stores it.
    weight, context_weight, bias, context_bias = parameters
    sums, context_sums, bias_sums, context_bias_sums = squares
    rows, columns, logs, weights = cells
    parts = (len(rows) + PART - 1) // PART
    losses = np.zeros(parts)
    for part in prange(parts):
        loss = 0.0
        for n in range(part * PART, min((part + 1) * PART, len(rows))):
            i, j = rows[n], columns[n]
            error = _dot(weight, i, context_weight, j) + bias[i, 0] + context_bias[j, 0] - logs[n]
            g = weights[n] * error
            loss += np.float64(g) * error / 2
            _update_vectors(weight, i, context_weight, j, sums, context_sums, g, learning_rate)
            _update_bias(bias, bias_sums, i, g, learning_rate)
            _update_bias(context_bias, context_bias_sums, j, g, learning_rate)
        losses[part] = loss
    return losses


@simd.inline
def _dot(a, i, b, j):
    total = lanes.zero()
    for column in range(0, a.shape[1], lanes.WIDTH):
        total = lanes.multiply_add(lanes.load(a, i, column), lanes.load(b, j, column), total)
    return lanes.sum(total)


@simd.inline
def _update_vectors(a, i, b, j, a_sums, b_sums, g, learning_rate):
    g, step, nothing = lanes.broadcast(g), lanes.broadcast(-learning_rate), lanes.zero()
    for column in range(0, a.shape[1], lanes.WIDTH):
        x, y = lanes.load(a, i, column), lanes.load(b, j, column)
        dx, dy = lanes.multiply_add(g, y, nothing), lanes.multiply_add(g, x, nothing)
        x_sum = lanes.multiply_add(dx, dx, lanes.load(a_sums, i, column))
        y_sum = lanes.multiply_add(dy, dy, lanes.load(b_sums, j, column))
        lanes.store(lanes.multiply_add(step, lanes.divided_by_root(dx, x_sum), x), a, i, column)
        lanes.store(lanes.multiply_add(step, lanes.divided_by_root(dy, y_sum), y), b, j, column)
        lanes.store(x_sum, a_sums, i, column)
        lanes.store(y_sum, b_sums, j, column)


@simd.inline
def _update_bias(bias, sums, i, g, learning_rate):
    sums[i, 0] += g * g
    bias[i, 0] -= learning_rate * g / math.sqrt(sums[i, 0])
