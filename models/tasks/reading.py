"""How each kind of language model reads a text: its batches, and the loss of one.

A GPT reads windows that stand for themselves, an RNNGenerator streams in which each window goes on from
the state that the last one left.
"""

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np

from models.rnn import CarriedState, RNNGenerator
from models.text.batching import StreamBatches, TokenBatches, evaluation_batches, stream_evaluation_batches
from models.training.trainer import next_token_loss


def training_batches(model, ids: np.ndarray, batch_size: int, seed: int) -> Iterator:
    """Endless batches to train on. Raises DataError for a text that is too short."""
    if isinstance(model, RNNGenerator):
        return StreamBatches(ids, batch_size, model.config.context_length)
    return TokenBatches(ids, batch_size, model.config.context_length, seed)


def whole_text(model, ids: np.ndarray, batch_size: int) -> Iterator[tuple]:
    """Batches in which every token but the first is a target once. Raises DataError for less than two tokens."""
    batches = stream_evaluation_batches if isinstance(model, RNNGenerator) else evaluation_batches
    return batches(ids, batch_size, model.config.context_length)


def validation_batches(model, ids: np.ndarray, batch_size: int, count: int) -> list[tuple]:
    """`count` batches to evaluate on again and again, or the whole text if it is no longer, or count is 0."""
    if isinstance(model, RNNGenerator):  # the beginning of every stream
        return list(islice(whole_text(model, ids, batch_size), count or None))
    context_length = model.config.context_length
    if count == 0 or len(ids) <= count * batch_size * context_length:
        return list(whole_text(model, ids, batch_size))
    batches = TokenBatches(ids, batch_size, context_length, seed=0)
    return [next(batches) for _ in range(count)]


def loss_function(model) -> Callable:
    """loss(model, batch) for these batches, in their order."""
    return CarriedState() if isinstance(model, RNNGenerator) else next_token_loss
