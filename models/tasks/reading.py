"""How a language model reads a text: its batches, and the loss of one.

A model with a context limit reads windows that stand for themselves, one that carries a state reads streams in which
each window goes on from the state that the last one left (see generation/language_model.py).
"""

from collections.abc import Iterator
from itertools import islice

import numpy as np

from models.generation.language_model import LanguageModel
from models.rnn import CarriedState
from models.text.batching import StreamBatches, TokenBatches, evaluation_batches, stream_evaluation_batches
from models.training.trainer import Batch, Batches, Loss, next_token_loss


def training_batches(model: LanguageModel, ids: np.ndarray, batch_size: int, seed: int) -> Batches:
    """Endless batches of ids (tokens,) to train on. Raises DataError for a text that is too short."""
    if _carries_state(model):
        return StreamBatches(ids, batch_size, model.config.context_length)
    return TokenBatches(ids, batch_size, model.config.context_length, seed)


def whole_text(model: LanguageModel, ids: np.ndarray, batch_size: int) -> Iterator[Batch]:
    """Batches in which every token but the first is a target once. Raises DataError for less than two tokens."""
    batches = stream_evaluation_batches if _carries_state(model) else evaluation_batches
    return batches(ids, batch_size, model.config.context_length)


def validation_batches(model: LanguageModel, ids: np.ndarray, batch_size: int, count: int) -> list[Batch]:
    """`count` batches to evaluate on again and again, or the whole text if it is no longer, or count is 0."""
    if _carries_state(model):  # the beginning of every stream
        return list(islice(whole_text(model, ids, batch_size), count or None))
    context_length = model.config.context_length
    if count == 0 or len(ids) <= count * batch_size * context_length:
        return list(whole_text(model, ids, batch_size))
    batches = TokenBatches(ids, batch_size, context_length, seed=0)
    return [next(batches) for _ in range(count)]


def loss_function(model: LanguageModel) -> Loss:
    """loss(model, batch) for these batches, in their order."""
    return CarriedState() if _carries_state(model) else next_token_loss


def _carries_state(model: LanguageModel) -> bool:
    return model.context_limit is None
