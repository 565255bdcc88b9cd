"""Perplexity of a language model, exact match of short answers."""

import math
import string

import numpy as np
import regex
from numpy.typing import ArrayLike

from models.errors import UserError
from models.metrics.references import paired
from models.text.words import nfc

ARTICLES = regex.compile(r"\b(a|an|the)\b")  # by regex, not re, to whose \b a vowel sign ends a word


def perplexity(losses: ArrayLike, counts: ArrayLike | None = None) -> float:
    """e^(mean loss of a token): as unsure as if the model chose among that many tokens.

    losses  cross-entropies in nats, of one token each, or means over counts tokens
    counts  how many tokens each loss stands for, 1 by default
    """
    losses = np.asarray(losses, np.float64).reshape(-1)
    weights = np.ones_like(losses) if counts is None else np.asarray(counts, np.float64).reshape(-1)
    if weights.shape != losses.shape or weights.sum() <= 0 or (weights < 0).any():
        raise UserError(f"perplexity: {losses.size} losses of {weights.sum():g} tokens; give one token at least")
    mean = float((losses * weights).sum() / weights.sum())
    return math.inf if mean > 700 else math.exp(mean)


def exact_match(hypotheses: list[str], references: list) -> float:
    """The share of answers that equal a reference once both are normalised (Rajpurkar et al. 2016, section 6.1).

    references: for each hypothesis a string, or a list of strings, any of which will do.
    """
    pairs = paired("exact_match", hypotheses, references)
    return sum(normalised(text) in map(normalised, given) for text, given in pairs) / len(pairs)


def normalised(answer: str) -> str:
    """An answer in NFC and small letters, without ASCII punctuation and articles, one space between words."""
    answer = nfc(answer).lower().translate(str.maketrans("", "", string.punctuation))
    return " ".join(ARTICLES.sub(" ", answer).split())
