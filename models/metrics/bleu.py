"""BLEU: how many n-grams of a translation are in the reference translations  (Papineni et al. 2002).

    BLEU = BP · exp((1/4) Σ_n ln p_n) · 100,  n = 1, 2, 3, 4

p_n is the share of the hypotheses' n-grams that are in their references, each counted at most as often as in that
reference where it is most frequent; BP = exp(1 - r/c) is for hypotheses that are shorter, c tokens, than their
references, r. Numbers are comparable between papers if tokenization and smoothing are the same (Post 2018); with
the defaults these here are SacreBLEU's.
"""

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from models.errors import UserError
from models.metrics.references import paired

ORDER = 4
SMOOTHING = {"none": None, "floor": 0.1, "add-k": 1.0, "exp": None}  # and the default values


@dataclass(frozen=True)
class BLEU:
    """The score, 0 to 100, and what it is made of."""

    score: float
    precisions: list[float]  # p_1 … p_4 in per cent, smoothed
    brevity_penalty: float
    hypothesis_length: int  # c
    reference_length: int  # r


def bleu(
    hypotheses: list[str],
    references: list,
    smoothing: str = "exp",
    smoothing_value: float | None = None,
    tokenize: str | Callable[[str], list[str]] = "13a",
    lowercase: bool = False,
) -> BLEU:
    """BLEU of a corpus: n-grams are counted over all of it before anything is divided.

    references  for each hypothesis a string, or a list of strings
    smoothing   of an order n without a match (Chen & Cherry 2014): "exp", the k-th such order has 1/2^k matches;
                "floor", smoothing_value (0.1) matches; "add-k", smoothing_value (1) is added to numerator and
                denominator of all orders above 1; "none"
    tokenize    "13a", as the evaluations of WMT do; "char"; "none", at white space; or a function

    Without any match the score is 0, whatever the smoothing. Raises UserError for no hypotheses.
    """
    return _bleu(hypotheses, references, smoothing, smoothing_value, tokenize, lowercase, effective_order=False)


def sentence_bleu(
    hypothesis: str,
    references: str | list[str],
    smoothing: str = "exp",
    smoothing_value: float | None = None,
    tokenize: str | Callable[[str], list[str]] = "13a",
    lowercase: bool = False,
) -> BLEU:
    """BLEU of one sentence; if it has no n-grams of the higher orders, the mean is over the lower ones."""
    return _bleu([hypothesis], [references], smoothing, smoothing_value, tokenize, lowercase, effective_order=True)


def _bleu(hypotheses, references, smoothing, smoothing_value, tokenize, lowercase, effective_order) -> BLEU:
    if smoothing not in SMOOTHING:
        raise UserError(f"bleu: smoothing={smoothing!r}; use {', '.join(SMOOTHING)}")
    value = SMOOTHING[smoothing] if smoothing_value is None else smoothing_value
    split = _tokenizer(tokenize)
    matches, totals = [0] * ORDER, [0] * ORDER
    hypothesis_length = reference_length = 0
    for hypothesis, given in paired("bleu", hypotheses, references):
        tokens, *others = (split((text.lower() if lowercase else text).rstrip()) for text in (hypothesis, *given))
        hypothesis_length += len(tokens)
        reference_length += min((abs(len(other) - len(tokens)), len(other)) for other in others)[1]
        for n in range(1, ORDER + 1):
            found = ngrams(tokens, n)
            most: Counter = Counter()
            for other in others:
                most |= ngrams(other, n)
            matches[n - 1] += (found & most).total()
            totals[n - 1] += found.total()

    penalty = 1.0
    if hypothesis_length < reference_length:
        penalty = math.exp(1 - reference_length / hypothesis_length) if hypothesis_length else 0.0
    if not any(matches):
        return BLEU(0.0, [0.0] * ORDER, penalty, hypothesis_length, reference_length)
    precisions = _precisions(matches, totals, smoothing, value)
    orders, added = ORDER, (value or 0.0) if smoothing == "add-k" else 0.0
    if effective_order:
        orders = next((n for n in range(ORDER) if totals[n] + (added if n else 0) == 0), ORDER)
    logarithms = [math.log(p) if p else -math.inf for p in precisions[:orders]]
    score = penalty * math.exp(sum(logarithms) / orders)
    return BLEU(score, precisions, penalty, hypothesis_length, reference_length)


def _precisions(matches, totals, smoothing: str, value) -> list[float]:
    """p_1 … p_4 in per cent; 0 from the first order on that no hypothesis is long enough for."""
    precisions = [0.0] * ORDER
    halvings = 0
    for n, (match, total) in enumerate(zip(matches, totals, strict=True)):
        if smoothing == "add-k" and n > 0:
            match, total = match + value, total + value
        if total == 0:
            break
        if match == 0 and smoothing == "exp":
            halvings += 1
            match = 0.5**halvings
        elif match == 0 and smoothing == "floor":
            match = value
        precisions[n] = 100.0 * match / total
    return precisions


def ngrams(tokens: list[str], n: int) -> Counter:
    """How often each n tokens in a row occur."""
    return Counter(zip(*(tokens[start:] for start in range(n)), strict=False))


def _tokenizer(tokenize) -> Callable[[str], list[str]]:
    if callable(tokenize):
        return tokenize
    known = {"13a": tokenize_13a, "char": lambda text: list("".join(text.split())), "none": str.split}
    if tokenize not in known:
        raise UserError(f"bleu: tokenize={tokenize!r}; use {', '.join(known)} or a function")
    return known[tokenize]


RULES_13A = [
    (re.compile(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])"), r" \1 "),  # ASCII punctuation but . , - '
    (re.compile(r"([^0-9])([\.,])"), r"\1 \2 "),  # . and , unless a digit is before
    (re.compile(r"([\.,])([^0-9])"), r" \1 \2"),  # or after
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),  # - after a digit
]


def tokenize_13a(text: str) -> list[str]:
    """Words and punctuation as NIST's mteval-v13a.pl splits them."""
    text = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, character in (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")):
        text = text.replace(entity, character)
    text = f" {text} "
    for pattern, replacement in RULES_13A:
        text = pattern.sub(replacement, text)
    return text.split()
