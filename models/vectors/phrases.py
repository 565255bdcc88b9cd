"""Word pairs that are one thing, such as new_york, found by how much more often they meet than chance would have it.

Mikolov et al. 2013b, section 4. Going over a text twice or more makes phrases of three words and more.
"""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from models.errors import UserError

SCORINGS = ("word2phrase", "npmi")


def phrase_scores(
    sentences: Sequence[Sequence[str]], min_count: int = 5, scoring: str = "word2phrase"
) -> dict[tuple[str, str], float]:
    """How much two neighbouring words are a phrase, for each pair that occurs more than min_count times.

    word2phrase  (n_ab - min_count)/(n_a n_b) times the number of words in the text (eq. 6, as in the C program)
    npmi         ln(p_ab/(p_a p_b))/-ln p_ab, from -1 to 1 (Bouma 2009)
    """
    if scoring not in SCORINGS:
        raise UserError(f"scoring={scoring!r}: expected one of {', '.join(SCORINGS)}")
    words = Counter(word for sentence in sentences for word in sentence)
    pairs = Counter(pair for sentence in sentences for pair in pairwise(sentence))
    total = words.total()

    def score(a: str, b: str, together: int) -> float:
        if scoring == "word2phrase":
            return (together - min_count) / (words[a] * words[b]) * total
        if together == total:
            return 1.0
        return math.log(together * total / (words[a] * words[b])) / -math.log(together / total)

    return {(a, b): score(a, b, n) for (a, b), n in pairs.items() if n > min_count}


def join_phrases(
    sentences: Sequence[Sequence[str]], threshold: float, min_count: int = 5, scoring: str = "word2phrase"
) -> list[list[str]]:
    """The sentences with an underscore between words whose score is above the threshold, from left to right."""
    phrases = {pair for pair, score in phrase_scores(sentences, min_count, scoring).items() if score > threshold}
    joined = []
    for sentence in sentences:
        out: list[str] = []
        at = 0
        while at < len(sentence):
            if tuple(sentence[at : at + 2]) in phrases:
                out.append("_".join(sentence[at : at + 2]))
                at += 2
            else:
                out.append(sentence[at])
                at += 1
        joined.append(out)
    return joined
