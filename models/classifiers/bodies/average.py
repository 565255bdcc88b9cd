"""Averaged embeddings: a text is the mean of its words' vectors (fastText, Joulin et al. 2017, section 2)."""

import numpy as np

import nn
from minigrad.devices import array_module
from minigrad.tensor import Tensor
from minigrad.typing import Array
from models.classifiers.bodies.pooling import padding_mask
from models.classifiers.config import ClassifierConfig
from nn import functional as F

EMBEDDING_STD = 0.1
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio, odd (Knuth, volume 3, section 6.4)
ONE = np.uint64(1)
HIGH = np.uint64(32)  # the upper half of a product is the well-mixed one


def token_embedding(num_embeddings: int, config: ClassifierConfig) -> nn.Embedding:
    """Vectors to be learnt, all neural bodies' first layer."""
    embedding = nn.Embedding(num_embeddings, config.embedding_dim)
    nn.init.normal_(embedding.weight, std=EMBEDDING_STD)
    return embedding


class AveragedEmbeddings(nn.Module):
    """A linear classifier on the mean of the vectors of all tokens and n-grams.

    There are too many n-grams for a vector each, so they share `buckets` of them by a hash (section 2.2).
    """

    learning_rate = 5e-3

    def __init__(self, config: ClassifierConfig):
        super().__init__()
        self.config = config
        rows = config.vocab_size + (config.buckets if config.ngrams > 1 else 0)
        self.embedding = token_embedding(rows, config)
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(config.embedding_dim, len(config.labels))

    def forward(self, ids: Array, lengths: Array) -> Tensor:
        """Logits (batch, classes) for ids (batch, time), of which lengths (batch,) count."""
        features, counts = with_ngrams(ids, lengths, self.config)
        mean = F.mean_over_time(self.embedding(features), padding_mask(features.shape[1], counts))
        return self.output(self.dropout(mean))


def with_ngrams(ids: Array, lengths: Array, config: ClassifierConfig) -> tuple:
    """(features, counts): each text's tokens, then the rows of its n-grams, then padding; how many it has.

    A text of length L has L - n + 1 n-grams of n tokens, so features is at most ngrams·time wide.
    """
    xp = array_module(ids)
    time = ids.shape[1]
    columns, present = [ids], [xp.arange(time) < lengths[:, None]]
    hashed = tokens = ids.astype(np.uint64) + ONE  # from 1, so that the length of an n-gram counts, too
    for n in range(2, min(config.ngrams, time) + 1):
        hashed = hashed[:, :-1] * MULTIPLIER + tokens[:, n - 1 :]  # of the n tokens from here on
        bucket = (hashed * MULTIPLIER >> HIGH) % np.uint64(config.buckets)
        columns.append(bucket.astype(np.int64) + config.vocab_size)
        present.append(xp.arange(time - n + 1) < lengths[:, None] - (n - 1))
    features, present = xp.concatenate(columns, 1), xp.concatenate(present, 1)
    counts = present.sum(1)
    order = xp.argsort(~present, axis=1, kind="stable")[:, : int(counts.max())]  # what is there to the front
    features = xp.where(present, features, config.pad_id)
    return xp.take_along_axis(features, order, 1), counts
