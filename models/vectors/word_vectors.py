"""WordVectors: words with their vectors, and what can be asked of them: neighbours and analogies.

vectors = WordVectors.load("runs/word2vec")           # a run, or a file in one of three formats
vectors.most_similar("king")                          # [("queen", 0.81), ...]
vectors.analogy("man", "king", "woman")               # man is to king as woman is to ...
vectors.save("vectors.bin")
"""

import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from models.errors import UserError
from models.text.tokenizers import WordTokenizer
from models.weights.checkpoint import Checkpoint, load_checkpoint

METHODS = ("3cosadd", "3cosmul")
SUGGESTED = 50_000  # of the first words, the most frequent ones, an unknown word may be a misspelling
_EPSILON = 0.001  # Levy & Goldberg's, against division by 0


@runtime_checkable
class WordVectorModel(Protocol):
    """A module that has learnt a vector for each word."""

    def vectors(self) -> np.ndarray:
        """float32 (vocab_size, embedding_dim)."""


class WordVectors:
    """words, a list; vectors, float32 (V, dim); index {word: row}; units, the vectors at length 1.

    Where a word is unknown, its lower-case form is looked up; where that is too, UserError suggests the
    nearest spelling.
    """

    def __init__(self, words: Sequence[str], vectors: ArrayLike):
        self.words, self.vectors = list(words), np.ascontiguousarray(vectors, np.float32)
        self.index = {word: i for i, word in enumerate(self.words)}
        if self.vectors.ndim != 2 or len(self.words) != len(self.vectors) or not self.words:
            raise UserError(f"{len(self.words)} words with vectors {self.vectors.shape}: expected (words, dimensions)")
        if len(self.index) < len(self.words):
            raise UserError(f"{len(self.words)} words, but only {len(self.index)} different ones")
        lengths = np.linalg.norm(self.vectors, axis=1, keepdims=True)
        self.units = self.vectors / np.where(lengths > 0, lengths, 1)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "WordVectors":
        """The vectors of a run's directory, or of a file in the word2vec (text, binary) or GloVe format."""
        if Path(path).is_dir():
            checkpoint = load_checkpoint(path, with_optimizer=False)
            try:
                return cls.of_checkpoint(checkpoint)
            except UserError as error:
                raise UserError(f"{path}: {error}") from None
        from models.vectors.formats import read_vectors  # which makes WordVectors

        return read_vectors(path)

    @classmethod
    def of_checkpoint(cls, checkpoint: Checkpoint) -> "WordVectors":
        """The vectors of a model that was taught some. Raises UserError for another one."""
        if not isinstance(checkpoint.model, WordVectorModel):
            raise UserError(f"the checkpoint holds a {type(checkpoint.model).__name__}, which has no word vectors")
        if not isinstance(checkpoint.tokenizer, WordTokenizer):
            raise UserError("the checkpoint was saved without its words")
        return cls(checkpoint.tokenizer.words, checkpoint.model.vectors())

    def save(self, path: str | os.PathLike, format: str = "word2vec") -> None:
        """Write a file; format "word2vec" (binary if the name ends in .bin, else text) or "glove"."""
        from models.vectors.formats import write_vectors  # as above

        write_vectors(self, path, format)

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self.index or word.lower() in self.index

    def __getitem__(self, word: str) -> np.ndarray:
        return self.vectors[self.id(word)]

    def id(self, word: str) -> int:
        """The row of a word. Raises UserError for one that is unknown."""
        for form in (word, word.lower()):
            if form in self.index:
                return self.index[form]
        close = difflib.get_close_matches(word.lower(), self.words[:SUGGESTED], n=3)
        hint = f"did you mean {' or '.join(map(repr, close))}?" if close else "and none is spelt like it"
        raise UserError(f"{word!r} is not among the {len(self):,} words: {hint}")

    def similarity(self, a: str, b: str) -> float:
        """The cosine of the angle between two words' vectors."""
        return float(self.units[self.id(a)] @ self.units[self.id(b)])

    def most_similar(
        self, positive: str | Sequence[str], negative: Sequence[str] = (), count: int = 10, method: str = "3cosadd"
    ) -> list[tuple[str, float]]:
        """The words nearest to some words and far from others, none of them among these: [(word, score), ...].

        3cosadd  the cosine with the sum of the words' unit vectors, the negative ones subtracted
                 (Mikolov et al. 2013c)
        3cosmul  the product of the similarities to the positive words by that to the negative ones, similarities
                 (1 + cos)/2 (Levy & Goldberg 2014, eq. 4)
        """
        plus = [self.id(word) for word in ([positive] if isinstance(positive, str) else positive)]
        minus = [self.id(word) for word in negative]
        if not plus + minus:
            raise UserError("most_similar: no words are given; expected one at least")
        scores = self._scores(np.array([plus], np.int64), np.array([minus], np.int64), method)[0]
        count = min(count, len(self) - len({*plus, *minus}))
        best = np.argpartition(-scores, min(count, len(scores) - 1))[:count] if count else np.array([], int)
        best = best[np.argsort(-scores[best], kind="stable")]
        return [(self.words[i], float(scores[i])) for i in best]

    def analogy(self, a: str, b: str, c: str, count: int = 10, method: str = "3cosadd") -> list[tuple[str, float]]:
        """What is to c as b is to a: the words most similar to b and c and not to a."""
        return self.most_similar([b, c], [a], count, method)

    def answers(self, questions: np.ndarray, method: str = "3cosadd", limit: int | None = None) -> np.ndarray:
        """The best answer to many analogies at once, rows (a, b, c) of ids (n, 3); among the first `limit` words."""
        found = [
            self._scores(rows[:, 1:], rows[:, :1], method, limit).argmax(1)
            for rows in np.array_split(questions, max(1, len(questions) // 256))
        ]
        return np.concatenate(found) if len(questions) else np.empty(0, np.int64)

    def _scores(self, plus: np.ndarray, minus: np.ndarray, method: str, limit: int | None = None) -> np.ndarray:
        """How well each word answers each query, (queries, V): -inf for the words of the query itself.

        plus, minus  ids of each query's positive and negative words, (queries, p) and (queries, m)
        method       see most_similar
        limit        only the first `limit` words are answers; words of a query may lie beyond
        """
        if method not in METHODS:
            raise UserError(f"method={method!r}: expected one of {', '.join(METHODS)}")
        units = self.units[:limit]
        if method == "3cosadd":
            sums = self.units[plus].sum(1) - self.units[minus].sum(1)
            lengths = np.linalg.norm(sums, axis=1, keepdims=True)
            scores = (sums / np.where(lengths > 0, lengths, 1)) @ units.T
        else:
            alike = [(1 + self.units[ids] @ units.T) / 2 for ids in (plus, minus)]  # (queries, words, V)
            scores = alike[0].prod(1) / (alike[1] + _EPSILON).prod(1)
        asked = np.concatenate([plus, minus], 1)
        rows, columns = np.nonzero(asked < scores.shape[1])
        scores[rows, asked[rows, columns]] = -np.inf
        return scores
