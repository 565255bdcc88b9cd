"""From a vector for each token to one for the text; padding after its end does not count."""

import math

import nn
from minigrad import ops
from minigrad.devices import array_module
from minigrad.tensor import Tensor
from minigrad.typing import Array
from nn import functional as F


def padding_mask(time: int, lengths: Array) -> Array:
    """Boolean (batch, time), True at the steps after each text's end; lengths (batch,) are those of the texts."""
    return array_module(lengths).arange(time) >= lengths[:, None]


class AttentionPooling(nn.Module):
    """y = Σ_t α_t h_t with α = softmax_t(u · tanh(W h_t + b))  (Yang et al. 2016, equations 5 to 7).

    The model learns which tokens to look at: u is what it looks for.
    """

    def __init__(self, size: int):
        super().__init__()
        self.project = nn.Linear(size, size)
        self.query = nn.Linear(size, 1, bias=False)

    def forward(self, x: Tensor, padding: Array) -> Tensor:
        """(batch, time, size) to (batch, size); padding (batch, time) is True at steps to leave out."""
        return ops.matmul(self.weights(x, padding).unsqueeze(1), x)[:, 0]

    def weights(self, x: Tensor, padding: Array) -> Tensor:
        """α, (batch, time): they sum to 1 over the text and are 0 after it."""
        scores = self.query(self.project(x).tanh()).squeeze(2)
        return F.softmax(scores.masked_fill(padding, -math.inf))
