"""How good word vectors are: do they find words alike as people do, and do they answer analogies?"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from models.text.sources import datasets
from models.vectors.word_vectors import METHODS, WordVectors

SIMILARITIES = ("wordsim353", "simlex999")
ANALOGIES = "questions-words"
FREQUENT = 30_000  # analogies are answered among this many words, the most frequent, as the C program does


class Similarity(NamedTuple):
    """Spearman's correlation with people's judgements, over the pairs whose words are known."""

    name: str
    correlation: float
    pairs: int
    known: int


class Analogies(NamedTuple):
    """How many of a section's questions are answered right, over those whose words are known."""

    section: str
    correct: int
    known: int
    questions: int


def similarities(vectors: WordVectors, pairs: Sequence[tuple[str, str, float]], name: str = "") -> Similarity:
    """How well cosines order pairs [(word, word, score), ...] as the scores do; nan with less than two known."""
    known = [(a, b, score) for a, b, score in pairs if a in vectors and b in vectors]
    found = np.array([vectors.similarity(a, b) for a, b, _ in known])
    judged = np.array([score for *_, score in known])
    return Similarity(name, spearman(found, judged), len(pairs), len(known))


def analogies(
    vectors: WordVectors,
    sections: Sequence[tuple[str, Sequence[tuple[str, str, str, str]]]],
    method: str = "3cosadd",
    limit: int = FREQUENT,
) -> list[Analogies]:
    """Sections [(name, [(a, b, c, d), ...]), ...] of questions "a is to b as c is to d", d to be found."""
    rows, counts = [], []
    index = {word.lower(): i for i, word in reversed(list(enumerate(vectors.words[:limit])))}
    for _, questions in sections:
        ids = [[index.get(word.lower(), -1) for word in question] for question in questions]
        known = [row for row in ids if -1 not in row]
        rows += known
        counts.append(len(known))
    table = np.array(rows, np.int64).reshape(-1, 4)
    right = vectors.answers(table[:, :3], method, limit) == table[:, 3]
    parts = np.split(right, np.cumsum(counts)[:-1])
    return [
        Analogies(name, int(part.sum()), len(part), len(questions))
        for (name, questions), part in zip(sections, parts, strict=True)
    ]


def evaluate_vectors(vectors: WordVectors) -> dict[str, list]:
    """WordSim-353 and SimLex-999 (Finkelstein et al. 2002, Hill et al. 2015), and Mikolov's analogies by both methods.

    {"similarities": [Similarity, ...], "3cosadd": [Analogies, ...], "3cosmul": [Analogies, ...]}, the analogies
    with their total at the end; the data is fetched on first use.
    """
    found: dict[str, list] = {
        "similarities": [similarities(vectors, datasets.similarity(name), name) for name in SIMILARITIES]
    }
    sections = datasets.analogies(ANALOGIES)
    for method in METHODS:
        rows = analogies(vectors, sections, method)
        numbers = zip(*(row[1:] for row in rows), strict=True)
        found[method] = [*rows, Analogies("all", *map(sum, numbers))]
    return found


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """The correlation of the ranks of x and y, ties at their mean rank; nan where one of them does not vary."""
    a, b = _ranks(np.asarray(x, np.float64)), _ranks(np.asarray(y, np.float64))
    a, b = a - a.mean() if len(a) else a, b - b.mean() if len(b) else b
    spread = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / spread) if spread else float("nan")


def _ranks(values: np.ndarray) -> np.ndarray:
    """The rank of each value, from 1 for the smallest; equal values all get the mean of their ranks."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]
