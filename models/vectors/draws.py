"""What word2vec draws at random from a text, once for both of its paths: Mikolov et al. 2013b, sections 2.2 and 2.3.

From a sentence of ids come examples. Each has inputs, whose vectors' mean has to predict, and outputs: the
word to be predicted and, with negative sampling, words drawn to be told from it. Skip-gram predicts each
word of a window from the one in the middle, CBOW the one in the middle from all others.

The random numbers are SplitMix64's (Steele, Lea & Flood 2014): a state that counts, and a function that
scrambles it. Every part of the text starts from a state of its own, so the draws are the same whatever the
number of threads.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from minigrad.kernels.cpu import simd
from nn.alias import alias_table

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX1, _MIX2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_27, _30, _31, _32 = (np.uint64(n) for n in (27, 30, 31, 32))
_LOW = np.uint64(0xFFFFFFFF)


class Drawing(NamedTuple):
    """How examples are drawn from a sentence."""

    keep: np.ndarray  # keep_thresholds of the words
    thresholds: np.ndarray  # of noise_table, as are the aliases
    aliases: np.ndarray
    window: int
    cbow: bool


class Buffers(NamedTuple):
    """What draw_examples finds in one sentence; example e has inputs[starts[e] : starts[e + 1]] and outputs[e]."""

    kept: np.ndarray  # the words that stay
    inputs: np.ndarray
    starts: np.ndarray  # where the inputs of each example start, and where the last ones end
    outputs: np.ndarray  # the word to be predicted first


def keep_thresholds(counts: ArrayLike, subsample: float) -> np.ndarray:
    """How likely each word is to stay in the text, uint32 (V,), 2³² - 1 for certainty.

    (√(f/t) + 1)·t/f for a word whose share of the text is f, and t = subsample; 0 keeps every word. The
    formula is the C program's; the paper's eq. 5 is its limit for frequent words.
    """
    counts = np.asarray(counts, np.float64)
    if subsample == 0:
        return np.full(len(counts), 2**32 - 1, np.uint32)
    ratio = counts / (subsample * counts.sum())
    return _fixed_point((np.sqrt(ratio) + 1) / np.maximum(ratio, 1e-300))


def noise_table(counts: ArrayLike, power: float = 0.75) -> tuple[np.ndarray, np.ndarray]:
    """The alias table of counts^power as (thresholds uint32, aliases int32), both (V,)."""
    thresholds, aliases = alias_table(np.asarray(counts, np.float64) ** power)
    return _fixed_point(thresholds), aliases.astype(np.int32)


def _fixed_point(probabilities) -> np.ndarray:
    return np.minimum(np.asarray(probabilities) * 2.0**32, 2**32 - 1).astype(np.uint32)


@simd.inline
def scramble(state):
    """64 random bits from a state."""
    z = (state ^ (state >> _30)) * _MIX1
    z = (z ^ (z >> _27)) * _MIX2
    return z ^ (z >> _31)


@simd.serial
def first_state(seed, epoch, part):
    """The state with which a part of the text begins in an epoch."""
    return scramble(scramble(scramble(np.uint64(seed) + _GAMMA) + np.uint64(epoch)) + np.uint64(part))


@simd.inline
def _below(bits, n):
    """A number from 0 to n - 1 out of the upper half of the bits (Lemire 2019, without the rejection)."""
    return np.int64(((bits >> _32) * np.uint64(n)) >> _32)


@simd.serial
def buffers(window, negatives, longest):
    """Arrays for what draw_examples finds in one sentence of at most `longest` words."""
    most = longest * 2 * window
    return Buffers(
        np.empty(longest, np.int32),
        np.empty(most, np.int32),
        np.empty(most + 1, np.int64),
        np.empty((most, 1 + negatives), np.int32),
    )


@simd.serial
def draw_examples(sentence, drawing, state, buffers):
    """Fill the buffers from one sentence of ids; returns (number of examples, the state afterwards)."""
    keep, thresholds, aliases, window, cbow = drawing
    kept, inputs, starts, outputs = buffers
    words = 0
    for word in sentence:
        state += _GAMMA
        if np.uint32(scramble(state) >> _32) <= keep[word]:
            kept[words] = word
            words += 1
    examples, used = 0, 0
    for middle in range(words):
        state += _GAMMA
        reach = 1 + _below(scramble(state), window)  # nearer words are in more windows
        first, last = max(0, middle - reach), min(words, middle + reach + 1)
        if cbow:
            if last - first == 1:
                continue
            starts[examples] = used
            for at in range(first, last):
                if at != middle:
                    inputs[used] = kept[at]
                    used += 1
            state = _draw_outputs(kept[middle], thresholds, aliases, state, outputs, examples)
            examples += 1
        else:
            for at in range(first, last):
                if at != middle:
                    starts[examples], inputs[used] = used, kept[middle]
                    used += 1
                    state = _draw_outputs(kept[at], thresholds, aliases, state, outputs, examples)
                    examples += 1
    starts[examples] = used
    return examples, state


@simd.inline
def _draw_outputs(target, thresholds, aliases, state, outputs, example):
    """The target, and negatives that are not the target."""
    outputs[example, 0] = target
    for k in range(1, outputs.shape[1]):
        word = target
        while word == target:
            state += _GAMMA
            bits = scramble(state)
            column = _below(bits, thresholds.size)
            word = np.int32(column) if np.uint32(bits & _LOW) < thresholds[column] else aliases[column]
        outputs[example, k] = word
    return state
