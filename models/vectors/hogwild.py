"""word2vec on all threads at once, without locks (Recht et al. 2011: "Hogwild!").

Threads take different parts of the text and write into the same two tables. Two of them rarely touch the
same row at the same moment, and when they do an update is lost, which stochastic gradient descent does not
mind. So a run on several threads cannot be repeated bit for bit; on one thread it can, and equals the
engine's path in models/word2vec.py.

An example is one step of gradient descent. With h the mean of the input vectors, and a sign s for each
output vector v: 1 where the decision is to be yes, -1 where no,

    loss = -Σ ln σ(s v·h),   v ← v + η s (1 - σ(s v·h)) h,   each input ← input + η/m Σ s (1 - σ(s v·h)) v

with all of the right-hand sides from before the step.
"""

import math

import numpy as np
from numba import prange

from minigrad.kernels.cpu import lanes, simd
from models.vectors import draws
from models.vectors.vocabulary import EncodedText, Vocabulary
from models.word2vec import Word2Vec, Word2VecTrainer, Word2VecTraining
from nn.huffman import huffman_paths

_ONE = np.float32(1)
_SMALLEST = np.float32(1e-30)  # what a probability counts as at least, in the loss
_DEEPEST = 64  # a longer path takes a text of more than 10^13 words


class HogwildTrainer(Word2VecTrainer):
    """Teaches a model as Word2VecTrainer with a batch size of 1 does, on all threads.

    On one thread with the same result, but for rounding; on several, a run cannot be repeated bit for bit.
    The model's weights become views of tables with padded rows.
    """

    def __init__(self, model: Word2Vec, vocabulary: Vocabulary, text: EncodedText, training: Word2VecTraining):
        super().__init__(model, vocabulary, text, training)
        weights = (model.embedding.weight, model.output.weight)
        self.tables = [lanes.padded(weight.data) for weight in weights]
        for weight, table in zip(weights, self.tables, strict=True):
            weight.data = table[:, : weight.shape[1]]
        self.paths = _paths(model.output.tree.data) if self.negatives == 0 else _NO_PATHS

    def learn(self, epoch: int, first: int, last: int) -> tuple[float, int]:
        """Go through the parts from first to last on all threads; (summed loss, number of examples)."""
        losses, counts = np.zeros(last - first), np.zeros(last - first, np.int64)
        train_parts(
            *self.tables, self.text.ids, self.text.offsets, self.longest, self.parts, first,
            self.learning_rates(epoch, first, last),
            self.training.seed, epoch, self.training.window, self.model.config.architecture == "cbow",
            self.keep, *self.noise, self.negatives, *self.paths, losses, counts,
        )  # fmt: skip
        return float(losses.sum()), int(counts.sum())


def _paths(tree) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(starts, nodes, signs): the path of word t is nodes[starts[t] : starts[t + 1]], with a sign for each."""
    nodes, signs = huffman_paths(tree, np.arange(len(tree) // 2 + 1))
    there = signs != 0
    starts = np.concatenate([[0], np.cumsum(there.sum(1))])
    return starts, nodes[there].astype(np.int32), signs[there].astype(np.float32)


_NO_PATHS = (np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))


@simd.parallel
def train_parts(
    embedding, output, ids, offsets, longest, parts, first_part, learning_rates, seed, epoch, window, cbow,
    keep, thresholds, aliases, negatives, path_starts, path_nodes, path_signs, losses, counts,
):  # fmt: skip
    """Learn from the parts of a text from first_part on, one for each of learning_rates.

    embedding, output  lanes.padded tables (V, width), which are changed
    ids, offsets       the text, see EncodedText, with sentences of at most `longest` words
    parts              part p is the sentences parts[p] to parts[p + 1]
    negatives          0: the outputs are the inner nodes on the target's path,
                       path_nodes[path_starts[t] : path_starts[t + 1]] with path_signs
    losses, counts     (parts,) take each part's summed loss and number of examples
    """
    for p in prange(len(learning_rates)):
        part = first_part + p
        kept, inputs, starts, outputs = draws.buffers(window, negatives, longest)
        state = draws.first_state(seed, epoch, part)
        loss, count = 0.0, 0
        for sentence in range(parts[part], parts[part + 1]):
            words = ids[offsets[sentence] : offsets[sentence + 1]]
            examples, state = draws.draw_examples(
                words, keep, thresholds, aliases, window, cbow, state, kept, inputs, starts, outputs
            )
            if negatives:
                loss += learn_negative_sampling(embedding, output, inputs, starts, outputs, examples, learning_rates[p])
            else:
                loss += learn_hierarchical(
                    embedding, output, inputs, starts, outputs, examples, learning_rates[p],
                    path_starts, path_nodes, path_signs,
                )  # fmt: skip
            count += examples
        losses[p], counts[p] = loss, count


@simd.serial
def learn_negative_sampling(embedding, output, inputs, starts, outputs, examples, learning_rate):
    """A step for each example: outputs[e, 0] is right, the others wrong. Returns the summed loss."""
    hidden, gradient = _scratch(embedding), _scratch(embedding)
    size = outputs.shape[1]
    coefficients, signs = np.empty(size, np.float32), np.full(size, -_ONE)
    signs[0] = _ONE
    likelihood, loss = 1.0, 0.0
    for e in range(examples):
        likelihood *= _step(
            embedding, output, inputs, starts[e], starts[e + 1], outputs[e], signs, 0, size, learning_rate,
            hidden, gradient, coefficients,
        )  # fmt: skip
        if likelihood < 1e-200:  # one logarithm for dozens of examples
            loss -= math.log(likelihood)
            likelihood = 1.0
    return loss - math.log(likelihood)


@simd.serial
def learn_hierarchical(
    embedding, output, inputs, starts, outputs, examples, learning_rate, path_starts, path_nodes, path_signs
):
    """A step for each example: the decisions on the path to outputs[e, 0]. Returns the summed loss."""
    hidden, gradient = _scratch(embedding), _scratch(embedding)
    coefficients = np.empty(_DEEPEST, np.float32)
    likelihood, loss = 1.0, 0.0
    for e in range(examples):
        target = outputs[e, 0]
        first, last = path_starts[target], path_starts[target + 1]
        likelihood *= _step(
            embedding, output, inputs, starts[e], starts[e + 1], path_nodes, path_signs, first, last, learning_rate,
            hidden, gradient, coefficients,
        )  # fmt: skip
        if likelihood < 1e-200:
            loss -= math.log(likelihood)
            likelihood = 1.0
    return loss - math.log(likelihood)


@simd.inline
def _step(
    embedding, output, inputs, first, last, rows, signs, first_row, last_row, learning_rate,
    hidden, gradient, coefficients,
):  # fmt: skip
    """One example: inputs[first:last] decide on rows[first_row:last_row]. Returns Π σ(s v·h)."""
    width = embedding.shape[1]
    share = _ONE / np.float32(last - first)
    for column in range(0, width, lanes.WIDTH):
        total = lanes.zero()
        for i in range(first, last):
            total = lanes.multiply_add(lanes.broadcast(share), lanes.load(embedding, inputs[i], column), total)
        lanes.store(total, hidden, 0, column)

    decisions = last_row - first_row
    for k in range(decisions):
        total = lanes.zero()
        for column in range(0, width, lanes.WIDTH):
            total = lanes.multiply_add(
                lanes.load(hidden, 0, column), lanes.load(output, rows[first_row + k], column), total
            )
        coefficients[k] = lanes.sum(total)
    likelihood = 1.0
    for k in range(decisions):
        sign = signs[first_row + k]
        right = simd.sigmoid(sign * coefficients[k])
        likelihood *= max(right, _SMALLEST)
        coefficients[k] = learning_rate * sign * (_ONE - right)

    for column in range(0, width, lanes.WIDTH):
        h, total = lanes.load(hidden, 0, column), lanes.zero()
        for k in range(decisions):  # before any of the rows changes: one may be there twice
            row = lanes.load(output, rows[first_row + k], column)
            total = lanes.multiply_add(lanes.broadcast(coefficients[k]), row, total)
        for k in range(decisions):
            row = lanes.load(output, rows[first_row + k], column)
            changed = lanes.multiply_add(lanes.broadcast(coefficients[k]), h, row)
            lanes.store(changed, output, rows[first_row + k], column)
        lanes.store(total, gradient, 0, column)
    for i in range(first, last):
        for column in range(0, width, lanes.WIDTH):
            row = lanes.load(embedding, inputs[i], column)
            changed = lanes.multiply_add(lanes.broadcast(share), lanes.load(gradient, 0, column), row)
            lanes.store(changed, embedding, inputs[i], column)
    return likelihood


@simd.inline
def _scratch(table):
    """A row as wide as a table's."""
    return np.empty((1, table.shape[1]), np.float32)
