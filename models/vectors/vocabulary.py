"""The words of a text by frequency, and the text as sentences of their ids."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

import numpy as np
from numpy.typing import ArrayLike

from models.errors import DataError
from models.text.words import words

SENTENCE_END = re.compile(r"[.!?。！？।॥؟۔]+|\n\s*\n|(?<=[^\n]{200})\n")  # a line that long is a paragraph
LONGEST_SENTENCE = 1000  # what is longer is cut, as the C program does


def split_sentences(text: str) -> list[list[str]]:
    """A text as sentences of lower-case words as models/text/words.py has them, without punctuation."""
    sentences = (words(sentence) for sentence in SENTENCE_END.split(text.lower()))
    return [sentence for sentence in sentences if sentence]


@dataclass(frozen=True)
class EncodedText:
    """Sentences as ids: sentence s is ids[offsets[s] : offsets[s + 1]]. ids int32 (tokens,), offsets int64."""

    ids: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def sentences(self) -> list[np.ndarray]:
        """The ids of each sentence."""
        return np.split(self.ids, self.offsets[1:-1])


class Vocabulary:
    """Words, the most frequent first, and how often each occurs: words, counts int64 (V,), index {word: id}."""

    def __init__(self, words: Sequence[str], counts: ArrayLike):
        self.words, self.counts = list(words), np.asarray(counts, np.int64)
        self.index = {word: i for i, word in enumerate(self.words)}

    @classmethod
    def from_sentences(cls, sentences: Iterable[Sequence[str]], min_count: int = 5) -> "Vocabulary":
        """The words that occur min_count times or more. Raises DataError if that leaves less than two."""
        found = Counter(chain.from_iterable(sentences))
        words = sorted((word for word, count in found.items() if count >= min_count), key=lambda w: (-found[w], w))
        if len(words) < 2:
            raise DataError(
                f"of {found.total():,} words in the text, {len(words)} different ones occur {min_count} times or more: "
                "word vectors need two at least. Take a longer text or a smaller min_count"
            )
        return cls(words, [found[word] for word in words])

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, sentences: Sequence[Sequence[str]]) -> EncodedText:
        """The sentences as ids; words that are not in the vocabulary are left out, and then empty sentences."""
        found = np.fromiter(map(self.index.get, chain.from_iterable(sentences), repeat(-1)), np.int32)
        known = found >= 0
        before = np.concatenate([[0], np.cumsum(known)])  # known words before each word
        ends = np.cumsum(np.fromiter(map(len, sentences), np.int64, len(sentences)))
        return EncodedText(found[known], _cut(before[ends]))


def _cut(ends: np.ndarray) -> np.ndarray:
    """Offsets of sentences that end there, the long ones in pieces and the empty ones gone."""
    offsets = np.unique(np.concatenate([[0], ends]))
    long_ones = np.flatnonzero(np.diff(offsets) > LONGEST_SENTENCE)
    cuts = [np.arange(offsets[i], offsets[i + 1], LONGEST_SENTENCE) for i in long_ones]
    return np.unique(np.concatenate([offsets, *cuts])).astype(np.int64)
