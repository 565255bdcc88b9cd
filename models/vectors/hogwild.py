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
from typing import NamedTuple

import numpy as np
from numba import prange

from minigrad.kernels.cpu import lanes, simd
from models.vectors import draws
from models.vectors.vocabulary import EncodedText, Vocabulary
from models.word2vec import Word2Vec, Word2VecTrainer, Word2VecTraining
from nn.huffman import huffman_paths


class Text(NamedTuple):
    """The words of a text: part p is the sentences parts[p] to parts[p + 1]."""

    ids: np.ndarray  # with the offsets, as in EncodedText
    offsets: np.ndarray
    longest: int  # words of a sentence
    parts: np.ndarray


class Paths(NamedTuple):
    """The inner nodes above word t are nodes[starts[t] : starts[t + 1]], with a sign for each; starts is (V + 1,)."""

    starts: np.ndarray
    nodes: np.ndarray
    signs: np.ndarray


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
        text = Text(self.text.ids, self.text.offsets, self.longest, self.parts)
        cbow = self.model.config.architecture == "cbow"
        drawing = draws.Drawing(self.keep, *self.noise, self.training.window, cbow)
        beginning = self.training.seed, epoch, first
        rates = self.learning_rates(epoch, first, last)
        losses, counts = train_parts(*self.tables, text, beginning, rates, drawing, self.negatives, self.paths)
        return float(losses.sum()), int(counts.sum())


def _paths(tree) -> Paths:
    """The paths of all words in a Huffman tree."""
    nodes, signs = huffman_paths(tree, np.arange(len(tree) // 2 + 1))
    there = signs != 0
    starts = np.concatenate([[0], np.cumsum(there.sum(1))])
    return Paths(starts, nodes[there].astype(np.int32), signs[there].astype(np.float32))


_NO_PATHS = Paths(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))


@simd.parallel
def train_parts(embedding, output, text, beginning, learning_rates, drawing, negatives, paths):
    """Learn from the parts of a text, one for each of learning_rates; each part's summed loss and number of examples.

    embedding, output  lanes.padded tables (V, width), which are changed
    text               a Text
    beginning          seed and epoch, from which the random numbers of each part follow, and the first part
    drawing            a draws.Drawing
    negatives          how many are drawn; 0: the outputs are the inner nodes on the target's path
    paths              the Paths to all words
    """
    seed, epoch, first_part = beginning
    losses, counts = np.zeros(len(learning_rates)), np.zeros(len(learning_rates), np.int64)
    ids, offsets, longest, parts = text
    for p in prange(len(learning_rates)):
        part = first_part + p
        buffers = draws.buffers(drawing.window, negatives, longest)
        _, inputs, starts, outputs = buffers
        state = draws.first_state(seed, epoch, part)
        loss, count = 0.0, 0
        for sentence in range(parts[part], parts[part + 1]):
            words = ids[offsets[sentence] : offsets[sentence + 1]]
            examples, state = draws.draw_examples(words, drawing, state, buffers)
            if negatives:
                loss += learn_negative_sampling(embedding, output, inputs, starts, outputs, examples, learning_rates[p])
            else:
                rate = learning_rates[p]
                loss += learn_hierarchical(embedding, output, inputs, starts, outputs, examples, rate, paths)
            count += examples
        losses[p], counts[p] = loss, count
    return losses, counts


@simd.serial
def learn_negative_sampling(embedding, output, inputs, starts, outputs, examples, learning_rate):
    """A step for each example: outputs[e, 0] is right, the others wrong. Returns the summed loss."""
    size = outputs.shape[1]
    scratch = _row(embedding), _row(embedding), np.empty(size, np.float32)
    signs = np.full(size, -_ONE)
    signs[0] = _ONE
    likelihood, loss = 1.0, 0.0
    for e in range(examples):
        bag = inputs[starts[e] : starts[e + 1]]
        likelihood *= _step(embedding, output, bag, outputs[e], signs, learning_rate, scratch)
        if likelihood < 1e-200:  # one logarithm for dozens of examples
            loss -= math.log(likelihood)
            likelihood = 1.0
    return loss - math.log(likelihood)


@simd.serial
def learn_hierarchical(embedding, output, inputs, starts, outputs, examples, learning_rate, paths):
    """A step for each example: the decisions on the path to outputs[e, 0]. Returns the summed loss."""
    scratch = _row(embedding), _row(embedding), np.empty(_DEEPEST, np.float32)
    likelihood, loss = 1.0, 0.0
    for e in range(examples):
        target = outputs[e, 0]
        first, last = paths.starts[target], paths.starts[target + 1]
        bag = inputs[starts[e] : starts[e + 1]]
        nodes, signs = paths.nodes[first:last], paths.signs[first:last]
        likelihood *= _step(embedding, output, bag, nodes, signs, learning_rate, scratch)
        if likelihood < 1e-200:
            loss -= math.log(likelihood)
            likelihood = 1.0
    return loss - math.log(likelihood)


@simd.inline
def _step(embedding, output, inputs, rows, signs, learning_rate, scratch):
    """One example: the inputs' mean h decides on the rows v of output, each of its sign s. Returns Π σ(s v·h).

    scratch  room for h, for its gradient, and for a coefficient of each row
    """
    hidden, gradient, coefficients = scratch
    width = embedding.shape[1]
    share = _ONE / np.float32(len(inputs))
    for column in range(0, width, lanes.WIDTH):
        total = lanes.zero()
        for i in range(len(inputs)):
            total = lanes.multiply_add(lanes.broadcast(share), lanes.load(embedding, inputs[i], column), total)
        lanes.store(total, hidden, 0, column)

    decisions = len(rows)
    for k in range(decisions):
        total = lanes.zero()
        for column in range(0, width, lanes.WIDTH):
            total = lanes.multiply_add(lanes.load(hidden, 0, column), lanes.load(output, rows[k], column), total)
        coefficients[k] = lanes.sum(total)
    likelihood = 1.0
    for k in range(decisions):
        sign = signs[k]
        right = simd.sigmoid(sign * coefficients[k])
        likelihood *= max(right, _SMALLEST)
        coefficients[k] = learning_rate * sign * (_ONE - right)

    for column in range(0, width, lanes.WIDTH):
        h, total = lanes.load(hidden, 0, column), lanes.zero()
        for k in range(decisions):  # before any of the rows changes: one may be there twice
            row = lanes.load(output, rows[k], column)
            total = lanes.multiply_add(lanes.broadcast(coefficients[k]), row, total)
        for k in range(decisions):
            row = lanes.load(output, rows[k], column)
            changed = lanes.multiply_add(lanes.broadcast(coefficients[k]), h, row)
            lanes.store(changed, output, rows[k], column)
        lanes.store(total, gradient, 0, column)
    for i in range(len(inputs)):
        for column in range(0, width, lanes.WIDTH):
            row = lanes.load(embedding, inputs[i], column)
            changed = lanes.multiply_add(lanes.broadcast(share), lanes.load(gradient, 0, column), row)
            lanes.store(changed, embedding, inputs[i], column)
    return likelihood


@simd.inline
def _row(table):
    """A row as wide as a table's."""
    return np.empty((1, table.shape[1]), np.float32)
