"""Augmentation: small changes to a text that leave its label as it is (Wei & Zou 2019, "EDA", section 2).

A change is a function (ids, rng) -> ids on the tokens of one text, int64 (tokens,), which never returns an
empty text and leaves its argument alone.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from models.errors import UserError

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def drop_tokens(ids: np.ndarray, rng: np.random.Generator, probability: float) -> np.ndarray:
    """Each token is left out with this probability; one stays in any case."""
    kept = rng.random(len(ids)) >= probability
    if not kept.any():
        kept[rng.integers(len(ids))] = True
    return ids[kept]


def swap_tokens(ids: np.ndarray, rng: np.random.Generator, probability: float) -> np.ndarray:
    """As many pairs of tokens as make up this share of the text change places."""
    ids = ids.copy()
    for _ in range(rng.binomial(len(ids), probability / 2)):  # a swap moves two
        i, j = rng.integers(len(ids), size=2)
        ids[i], ids[j] = ids[j], ids[i]
    return ids


def replace_by_synonyms(
    ids: np.ndarray, rng: np.random.Generator, probability: float, synonyms: np.ndarray
) -> np.ndarray:
    """Each token gives way with this probability to one of its synonyms.

    synonyms  (vocab_size, choices): ids of words with a similar meaning, the token's own where there is none
    """
    chosen = synonyms[ids, rng.integers(synonyms.shape[1], size=len(ids))]
    return np.where(rng.random(len(ids)) < probability, chosen, ids)


def augmentation(
    token_dropout: float, token_swap: float, synonym_rate: float, synonyms: np.ndarray | None = None
) -> Change | None:
    """All changes that have a probability above 0, one after the other; None if none has.

    synonyms  (vocab_size, choices), as for replace_by_synonyms. Raises UserError for a synonym_rate without them.
    """
    changes: list[Change] = []
    if synonym_rate:
        if synonyms is None:
            raise UserError(f"synonym_rate {synonym_rate:g} without synonyms: give them, or a rate of 0")
        changes.append(partial(replace_by_synonyms, probability=synonym_rate, synonyms=synonyms))
    if token_swap:
        changes.append(partial(swap_tokens, probability=token_swap))
    if token_dropout:
        changes.append(partial(drop_tokens, probability=token_dropout))
    return partial(_in_turn, changes=changes) if changes else None


def _in_turn(ids: np.ndarray, rng: np.random.Generator, changes: Sequence[Change]) -> np.ndarray:
    for change in changes:
        ids = change(ids, rng)
    return ids
