"""TextCNN: filters that look for phrases, wherever in the text they are (Kim 2014)."""

import math

import minigrad as mg
import nn
from minigrad import ops
from minigrad.tensor import Tensor
from minigrad.typing import Array
from models.classifiers.bodies.average import token_embedding
from models.classifiers.config import ClassifierConfig
from nn import functional as F

WIDTHS = (3, 4, 5)  # tokens a filter sees at once


class MaxOverTimeConv1d(nn.Module):
    """max over time of a convolution (section 2, equations 2 to 4), (batch, time, channels) to (batch, filters).

    Parameters as in nn.Conv1d(channels, filters, width), which it equals with padding=width - 1 and the maximum
    taken over the windows that touch the text.
    """

    def __init__(self, channels: int, filters: int, width: int):
        super().__init__()
        self.weight = nn.Parameter(mg.empty(filters, channels, width))
        self.bias = nn.Parameter(mg.empty(filters))
        bound = 1 / math.sqrt(channels * width)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor, lengths: Array) -> Tensor:
        """x (batch, time, channels), of which lengths (batch,) count, to (batch, filters)."""
        return F.conv1d_max(x, self.weight, self.bias, lengths)


class TextCNN(nn.Module):
    """Embeddings, filters of three widths, each filter's strongest response, and a linear layer on those."""

    learning_rate = 1e-3

    def __init__(self, config: ClassifierConfig):
        super().__init__()
        self.embedding = token_embedding(config.vocab_size, config)
        self.convolutions = nn.ModuleList(
            MaxOverTimeConv1d(config.embedding_dim, config.filters, width) for width in WIDTHS
        )
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(len(WIDTHS) * config.filters, len(config.labels))

    def forward(self, ids: Array, lengths: Array) -> Tensor:
        """Logits (batch, classes) for ids (batch, time), of which lengths (batch,) count."""
        x = self.embedding(ids)
        found = [convolution(x, lengths).relu() for convolution in self.convolutions]  # relu(max) is max(relu)
        return self.output(self.dropout(ops.cat(found, 1)))
