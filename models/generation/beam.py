"""Beam search: the likeliest text that can be found by going on with several at once.

    best, *others = beam_search(model, tokenizer, "ROMEO:", num_beams=4, max_tokens=40)
    print(best.text, best.log_probability)

Greedy choice takes the likeliest token each time, and may miss a text whose first token is less likely
and whose others are likelier. Beam search keeps the num_beams likeliest beginnings.
"""

from dataclasses import dataclass

import numpy as np

from models.errors import UserError
from models.generation.generate import next_logits, prompt_ids
from models.generation.language_model import LanguageModel
from models.text.tokenizers import Tokenizer


@dataclass(frozen=True)
class Hypothesis:
    """A text that beam search found, without the prompt.

    log_probability  the natural logarithm of the probability that the model gives it, the end token's included
    score            what hypotheses are ranked by: log_probability / (number of tokens)^length_penalty
    """

    text: str
    log_probability: float
    score: float


def beam_search(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompt: str = "",
    *,
    num_beams: int = 4,
    max_tokens: int = 50,
    length_penalty: float = 0.0,
) -> list[Hypothesis]:
    """The best num_beams ways found to go on after the prompt, best first (Sutskever et al. 2014, section 3.2).

    num_beams       how many beginnings are kept; 1 is greedy choice
    max_tokens      a text that has not ended at `<eos>` by then is cut
    length_penalty  0 ranks by probability, which favours short texts; 1 by the mean of a token (Wu et al. 2016, eq. 14,
                    in its simple form)

    The model and the errors are those of generate.py. Caches follow the beams when they change places; past the context
    the model sees the last tokens only, whose positions change with each token, and reads them again each time.
    """
    if num_beams < 1 or max_tokens < 1:
        raise UserError(f"num_beams {num_beams}, max_tokens {max_tokens}: expected at least 1 of each")
    if length_penalty < 0:
        raise UserError(f"length_penalty {length_penalty}: expected 0 (by probability) or above, such as 1")
    prompt_length = len(prompt_ids(model, tokenizer, prompt))
    ids, totals = prompt_ids(model, tokenizer, prompt)[None], np.zeros(1)  # (beams, time) and (beams,)
    reader = _Reader(model, tokenizer)
    ended = []
    for length in range(1, max_tokens + 1):
        ids, totals, ends = extend_beams(ids, totals, reader.log_probabilities(ids), num_beams, tokenizer.eos_id)
        ended += [(row[prompt_length:], total, total / length**length_penalty) for row, total in ends]
        ended = sorted(ended, key=lambda end: -end[2])[:num_beams]
        # A total can only fall, and the best it may be divided by is the greatest length.
        if not len(ids) or (len(ended) == num_beams and ended[-1][2] >= totals[0] / max_tokens**length_penalty):
            break
    else:
        going = zip(ids, totals, strict=True)
        ended += [(row[prompt_length:], total, total / max_tokens**length_penalty) for row, total in going]
    best = sorted(ended, key=lambda end: -end[2])[:num_beams]
    return [Hypothesis(tokenizer.decode(row), float(total), float(score)) for row, total, score in best]


def extend_beams(
    ids: np.ndarray, totals: np.ndarray, log_probabilities: np.ndarray, num_beams: int, eos_id: int | None = None
) -> tuple[np.ndarray, np.ndarray, list]:
    """One step: of all beams with all next tokens, those with the greatest sums of log-probabilities.

    ids                (beams, time)
    totals             (beams,), the log-probability of each
    log_probabilities  (beams, vocabulary), of the next token of each; -inf for one that may not come

    Returns ids (new beams, time + 1) and totals (new beams,), the likeliest first, at most num_beams of those that go
    on, and a list of (ids, total) of those that end with eos_id and are likelier than the last of the others.
    """
    vocabulary = log_probabilities.shape[1]
    sums = (totals[:, None] + log_probabilities).reshape(-1)
    going: list[tuple[np.ndarray, float]] = []
    ends: list[tuple[np.ndarray, float]] = []
    for place in np.argsort(-sums, kind="stable"):
        if len(going) == num_beams or sums[place] == -np.inf:
            break
        row = np.append(ids[place // vocabulary], place % vocabulary)
        if row[-1] == eos_id:
            ends.append((row, sums[place]))
        else:
            going.append((row, sums[place]))
    rows, kept = [row for row, _ in going], [total for _, total in going]
    return np.array(rows, ids.dtype).reshape(-1, ids.shape[1] + 1), np.array(kept), ends


class _Reader:
    """Reads beams, of which each call's are those of the call before with a token more, in another order."""

    def __init__(self, model: LanguageModel, tokenizer: Tokenizer):
        self.model, self.tokenizer = model, tokenizer
        self.caches = model.new_caches(1)
        self.read = np.zeros((1, 0), np.int64)  # (beams, time): what the caches hold

    def log_probabilities(self, ids: np.ndarray) -> np.ndarray:
        """Of the next token of each beam, float64 (beams, vocabulary), for ids (beams, time)."""
        limit = self.model.context_limit
        if limit and ids.shape[1] > limit:
            self.caches, new = None, ids[:, -limit:]
        elif self.caches is None:
            new = ids
        else:
            same = (ids[:, None, : self.read.shape[1]] == self.read[None]).all(-1)  # (beams, those of the last call)
            rows = same.argmax(1)
            for cache in self.caches if isinstance(self.caches, list) else [self.caches]:
                cache.reorder(rows)
            new, self.read = ids[:, self.read.shape[1] :], ids
        logits = next_logits(self.model, self.tokenizer, new, self.caches).astype(np.float64)
        shifted = logits - logits.max(axis=-1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
