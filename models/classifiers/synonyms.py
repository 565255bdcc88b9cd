"""Synonyms of a vocabulary: for each word, those whose vectors point the same way."""

import numpy as np

from models.errors import UserError
from models.text.tokenizers import Tokenizer
from models.vectors.word_vectors import WordVectors

CHOICES = 5  # synonyms of a word, at most
LEAST_SIMILARITY = 0.6  # the cosine from which words count as alike
ROWS = 512  # words that are compared with all at a time


def synonym_table(vectors: WordVectors, tokenizer: Tokenizer) -> np.ndarray:
    """(vocab_size, CHOICES): ids of each word's synonyms within the vocabulary, its own id where there are fewer.

    Raises UserError where tokens are not words, and where the vectors know none of them.
    """
    words = getattr(tokenizer, "words", None)
    if words is None:
        raise UserError(f"synonyms need words, and the tokens of these texts are of type {type(tokenizer).type}")
    known = np.array([i for i, word in enumerate(words) if word in vectors], np.int64)
    if not len(known):
        raise UserError(f"the {len(vectors):,} words of the vectors have none of the texts' {len(words):,} words")
    units = vectors.units[[vectors.id(words[i]) for i in known]]
    table = np.repeat(np.arange(tokenizer.vocab_size)[:, None], CHOICES, 1)
    choices = min(CHOICES, len(known) - 1)
    for start in range(0, len(known), ROWS):
        rows = np.arange(start, min(start + ROWS, len(known)))
        similarity = units[rows] @ units.T
        similarity[rows - start, rows] = -1  # not itself
        nearest = np.argpartition(-similarity, choices, 1)[:, :choices]
        alike = np.take_along_axis(similarity, nearest, 1) >= LEAST_SIMILARITY
        table[known[rows], :choices] = np.where(alike, known[nearest], known[rows, None])
    return table
