"""How well a language model predicts a text: loss, perplexity, bits per character."""

import math
import time
from dataclasses import dataclass

import numpy as np

import minigrad as mg
from models.generation.language_model import LanguageModel
from models.metrics import perplexity
from models.tasks.reading import loss_function, whole_text
from models.text.batching import count_targets, tensors_for
from models.text.tokenizers import Tokenizer


@dataclass(frozen=True)
class Evaluation:
    """A model's prediction of a text, every token but the first exactly once.

    loss                mean cross-entropy of a token, in nats
    perplexity          e^loss: as unsure as if it chose among that many tokens
    bits_per_character  the text compressed by the model; to be compared between tokenizers, unlike the others
    bits_per_byte       the same for a byte of UTF-8
    tokens              how many were predicted
    seconds             how long that took
    """

    loss: float
    perplexity: float
    bits_per_character: float
    bits_per_byte: float
    tokens: int
    seconds: float


def evaluate(model: LanguageModel, tokenizer: Tokenizer, ids: np.ndarray, batch_size: int = 16) -> Evaluation:
    """Predict a text, ids (tokens,), in windows of the model's context length, batch_size at once.

    A GPT begins each window afresh; the first tokens of it have little to go by, so a longer context length
    gives a lower loss. A recurrent model reads batch_size streams and carries its state from window to window.
    Raises DataError for a text of less than two tokens.
    """
    started = time.perf_counter()
    loss = mean_loss(model, ids, batch_size)
    seconds = time.perf_counter() - started
    text = tokenizer.decode(ids[1:])  # `<unk>` counts as one character
    bits = loss * (len(ids) - 1) / math.log(2)
    return Evaluation(
        loss=loss,
        perplexity=perplexity(loss),
        bits_per_character=bits / len(text),
        bits_per_byte=bits / len(text.encode()),
        tokens=len(ids) - 1,
        seconds=seconds,
    )


@mg.no_grad()
def mean_loss(model: LanguageModel, ids: np.ndarray, batch_size: int = 16) -> float:
    """The mean cross-entropy over all tokens of ids but the first; without dropout, the mode stays as it was.

    whole_text gives the batches (the last one smaller), loss_function the mean loss of one; it counts as often
    as the batch has targets.
    """
    training = model.training
    model.eval()
    try:
        total, loss = 0.0, loss_function(model)
        for batch in whole_text(model, ids, batch_size):
            mean = loss(model, tensors_for(model, batch)).item()
            total += mean * count_targets(batch[-1])  # the last batch may be smaller
        return total / (len(ids) - 1)
    finally:
        model.train(training)
