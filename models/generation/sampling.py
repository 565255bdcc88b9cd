"""From next-token logits to the next token: what each sampling option does, as a function of its own.

Every function takes logits (samples, vocabulary), float64, and returns new ones; a token that may
not be chosen has -inf. `Sampling.choose` applies them in the order of this file and draws.
"""

import math
from dataclasses import dataclass

import numpy as np

from models.errors import UserError


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn. The defaults draw from the model's own distribution.

    temperature         divides the logits: below 1 safer, above 1 wilder, 0 always the likeliest (greedy)
    top_k               draw among the k likeliest tokens only
    top_p               draw among the fewest tokens that hold this much probability only (nucleus)
    repetition_penalty  above 1 makes tokens that occurred before less likely

    Raises UserError for values that make no sense.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise UserError(f"temperature {self.temperature}: expected 0 (greedy) or a positive number, such as 0.8")
        if self.top_k is not None and self.top_k < 1:
            raise UserError(f"top_k {self.top_k}: expected at least 1 token to choose from, such as 40")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise UserError(f"top_p {self.top_p}: expected a probability above 0 and at most 1, such as 0.9")
        if not 0 < self.repetition_penalty < math.inf:
            raise UserError(
                f"repetition_penalty {self.repetition_penalty}: expected a positive number; 1 is none, 1.2 is usual"
            )

    def choose(self, logits: np.ndarray, seen: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """The next token of each sample, (samples,).

        logits   (samples, vocabulary), of any floating dtype
        seen     (samples, vocabulary), True where a token has occurred in the sample
        uniform  (samples,), random numbers from [0, 1): all the randomness there is

        Tokens with a logit of +inf are equally likely and leave nothing to the others. Raises UserError for a sample
        that has NaN among its logits, or nothing but -inf.
        """
        logits = logits.astype(np.float64)
        if self.repetition_penalty != 1:
            logits = penalize_repetition(logits, seen, self.repetition_penalty)
        _check(logits)
        if self.temperature == 0:
            return logits.argmax(axis=-1)
        logits = divide_by_temperature(logits, self.temperature)
        if self.top_k is not None:
            logits = keep_top_k(logits, self.top_k)
        if self.top_p is not None:
            logits = keep_top_p(logits, self.top_p)
        return draw(probabilities(logits), uniform)


def _check(logits: np.ndarray) -> None:
    likeliest = logits.max(axis=-1)
    if np.isnan(likeliest).any():
        raise UserError("the model's logits hold NaN, so no token is the likeliest: are its weights damaged?")
    if (likeliest == -math.inf).any():
        raise UserError("every token has a logit of -inf: none may be chosen; allow one at least")


def divide_by_temperature(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Logits over a temperature above 0, with the likeliest at 0: near 0 only those that tie with it are left."""
    with np.errstate(over="ignore"):  # a quotient beyond the largest number is -inf
        return _below_likeliest(logits) / temperature


def penalize_repetition(logits: np.ndarray, seen: np.ndarray, penalty: float) -> np.ndarray:
    """Logits of tokens seen before divided by `penalty` if positive, times it if negative.

    Keskar et al. 2019, CTRL, section 4.1, in the usual form that lowers negative logits too.
    """
    with np.errstate(over="ignore"):  # ±inf, and still the largest or the smallest
        return np.where(seen, np.where(logits > 0, logits / penalty, logits * penalty), logits)


def keep_top_k(logits: np.ndarray, k: int) -> np.ndarray:
    """Only the k largest logits of each row, and what ties with the last of them (Fan et al. 2018, section 5.2)."""
    if k >= logits.shape[-1]:
        return logits
    kth = np.partition(logits, -k, axis=-1)[..., -k, None]  # (samples, 1)
    return np.where(logits >= kth, logits, -np.inf)


def keep_top_p(logits: np.ndarray, p: float) -> np.ndarray:
    """Only the smallest set of likeliest tokens whose probabilities reach p (Holtzman et al. 2019, section 3.1).

    The likeliest token always stays. Of equally likely ones the lower id comes first.
    """
    if p == 1:
        return logits
    order = np.argsort(-logits, axis=-1, kind="stable")
    ranked = np.take_along_axis(probabilities(logits), order, axis=-1)
    before = np.cumsum(ranked, axis=-1) - ranked  # the probability of all likelier tokens
    kept = np.empty(logits.shape, bool)
    np.put_along_axis(kept, order, before < p, axis=-1)
    return np.where(kept, logits, -np.inf)


def probabilities(logits: np.ndarray) -> np.ndarray:
    """softmax over the last axis; -inf gives 0, and several +inf equal shares."""
    weights = np.exp(_below_likeliest(logits))
    return weights / weights.sum(axis=-1, keepdims=True)


def _below_likeliest(logits: np.ndarray) -> np.ndarray:
    """logits - their maximum, without inf - inf: beside +inf, every finite logit is infinitely far below."""
    likeliest = logits.max(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.where(logits == likeliest, 0.0, logits - likeliest)


def draw(probabilities: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """The token at which the cumulative probability of each row first exceeds its uniform random number."""
    cumulative = np.cumsum(probabilities, axis=-1)
    return (cumulative > (uniform * cumulative[..., -1])[..., None]).argmax(axis=-1)
