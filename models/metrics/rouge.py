"""ROUGE: how much of a reference summary is in a summary, and the other way round  (Lin 2004)."""

import re
from collections.abc import Callable
from typing import NamedTuple

from models.metrics.bleu import ngrams
from models.metrics.references import paired


class Rouge(NamedTuple):
    """Precision: the share of the hypothesis that is in the reference; recall: of the reference in the hypothesis."""

    precision: float
    recall: float
    f1: float


def words(text: str) -> list[str]:
    """Lin's tokens: runs of the letters a to z, small, and digits. Other scripts need a function of their own."""
    return re.findall(r"[a-z0-9]+", text.lower())


def rouge(
    hypothesis: str, references: str | list[str], tokenize: Callable[[str], list[str]] = words
) -> dict[str, Rouge]:
    """{"rouge1": …, "rouge2": …, "rougeL": …}: shared words, shared pairs of words, longest common subsequence.

    Of several references the one with the best F1 counts, for each measure. Without a word on either side all
    is 0.
    """
    ((_, given),) = paired("rouge", [hypothesis], [references])
    tokens = tokenize(hypothesis)
    scores = [_scores(tokens, tokenize(reference)) for reference in given]
    return {name: max((score[name] for score in scores), key=lambda score: score.f1) for name in scores[0]}


def rouge_of_corpus(
    hypotheses: list[str], references: list, tokenize: Callable[[str], list[str]] = words
) -> dict[str, Rouge]:
    """The means over a corpus; references: for each hypothesis a string, or a list of strings."""
    scores = [rouge(hypothesis, given, tokenize) for hypothesis, given in paired("rouge", hypotheses, references)]
    return {
        name: Rouge(*(sum(column) / len(scores) for column in zip(*(score[name] for score in scores), strict=True)))
        for name in scores[0]
    }


def _scores(hypothesis: list[str], reference: list[str]) -> dict[str, Rouge]:
    scores = {}
    for n in (1, 2):
        ours, theirs = ngrams(hypothesis, n), ngrams(reference, n)
        scores[f"rouge{n}"] = _from_counts((ours & theirs).total(), ours.total(), theirs.total())
    common = longest_common_subsequence(hypothesis, reference)
    return scores | {"rougeL": _from_counts(common, len(hypothesis), len(reference))}


def _from_counts(shared: int, of_hypothesis: int, of_reference: int) -> Rouge:
    if shared == 0:
        return Rouge(0.0, 0.0, 0.0)
    precision, recall = shared / of_hypothesis, shared / of_reference
    return Rouge(precision, recall, 2 * precision * recall / (precision + recall))


def longest_common_subsequence(a: list, b: list) -> int:
    """How many elements the longest list has that can be made of either by leaving elements out.

    A row of the usual table, whose neighbours differ by 0 or 1, as the bits of one integer, so that a whole row
    is a few operations (Hyyrö 2004, "Bit-parallel LCS-length computation revisited").
    """
    places: dict = {}
    for i, element in enumerate(a):
        places[element] = places.get(element, 0) | 1 << i
    everywhere = (1 << len(a)) - 1
    row = everywhere  # bit i is 0 where the common subsequence grows with a[i]
    for element in b:
        matched = row & places.get(element, 0)
        row = ((row + matched) | (row - matched)) & everywhere
    return len(a) - row.bit_count()
