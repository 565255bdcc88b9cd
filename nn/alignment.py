"""Attention with one score function and one head, as recurrent encoder-decoders use it.

Each takes queries (a decoder's states), keys (an encoder's states) and values, the keys by default, and returns
(context, weights):

    score_ij = how well query i fits key j        # the three classes differ in this alone
    weights_i = softmax over j of score_ij
    context_i = Σ_j weights_ij · value_j

query (batch, queries, query_dim) or, for a single one, (batch, query_dim); key (batch, keys, key_dim);
value (batch, keys, value_dim); key_padding_mask (batch, keys), True at keys to leave out. context
(batch, queries, value_dim) and weights (batch, queries, keys), without the queries for a single one. Where all
keys are left out, context and weights are 0.
"""

import math

from minigrad import Tensor, ops
from minigrad.tensor import unwrap
from minigrad.typing import Array
from nn import functional as F
from nn.linear import Linear
from nn.module import Module


class DotProductAttention(Module):
    """score = query · key  (Luong, Pham & Manning 2015, equation 8, "dot"); no parameters, and query_dim = key_dim.

    scaled  divide by √query_dim (Vaswani et al. 2017, equation 1)
    """

    def __init__(self, scaled: bool = False):
        super().__init__()
        self.scaled = scaled

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor | None = None, key_padding_mask: Tensor | Array | None = None
    ) -> tuple[Tensor, Tensor]:
        """(context, weights), as at the top of this file."""
        if self.scaled:
            query = query / math.sqrt(query.shape[-1])
        return _attend("DotProductAttention", _products, query, key, value, key_padding_mask)

    def extra_repr(self) -> str:
        return f"scaled={self.scaled}"


class GeneralAttention(Module):
    """score = queryᵀ W key  (Luong, Pham & Manning 2015, equation 8, "general"); W is key_proj, transposed."""

    def __init__(self, query_dim: int, key_dim: int, dtype="float32"):
        super().__init__()
        self.key_proj = Linear(key_dim, query_dim, bias=False, dtype=dtype)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor | None = None, key_padding_mask: Tensor | Array | None = None
    ) -> tuple[Tensor, Tensor]:
        """(context, weights), as at the top of this file."""

        def score(query, key):
            return _products(query, self.key_proj(key))

        return _attend("GeneralAttention", score, query, key, value, key_padding_mask)


class AdditiveAttention(Module):
    """score = vᵀ tanh(W query + U key)  (Bahdanau, Cho & Bengio 2015, appendix A.1.2).

    W, U and v are query_proj, key_proj and score_proj, with hidden_dim in between. Luong, Pham & Manning's
    "concat" is the same: their matrix times [query; key] is W query + U key.
    """

    def __init__(self, query_dim: int, key_dim: int, hidden_dim: int, dtype="float32"):
        super().__init__()
        self.query_proj = Linear(query_dim, hidden_dim, bias=False, dtype=dtype)
        self.key_proj = Linear(key_dim, hidden_dim, bias=False, dtype=dtype)
        self.score_proj = Linear(hidden_dim, 1, bias=False, dtype=dtype)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor | None = None, key_padding_mask: Tensor | Array | None = None
    ) -> tuple[Tensor, Tensor]:
        """(context, weights), as at the top of this file."""

        def score(query, key):
            hidden = ops.unsqueeze(self.query_proj(query), 2) + ops.unsqueeze(self.key_proj(key), 1)
            return ops.squeeze(self.score_proj(ops.tanh(hidden)), 3)  # (batch, queries, keys, hidden_dim) before

        return _attend("AdditiveAttention", score, query, key, value, key_padding_mask)


def _products(query, key):
    return ops.matmul(query, ops.swapaxes(key, 1, 2))


def _attend(layer: str, score, query, key, value, key_padding_mask):
    """(context, weights) from a function of queries and keys that gives scores (batch, queries, keys)."""
    if query.ndim == 2:
        context, weights = _attend(layer, score, ops.unsqueeze(query, 1), key, value, key_padding_mask)
        return ops.squeeze(context, 1), ops.squeeze(weights, 1)
    value = key if value is None else value
    if (
        not query.ndim == key.ndim == value.ndim == 3
        or query.shape[0] != key.shape[0]
        or key.shape[:2] != value.shape[:2]
    ):
        raise ValueError(
            f"{layer}: query {query.shape}, key {key.shape}, value {value.shape}; expected (batch, queries, query_dim) "
            "or (batch, query_dim), (batch, keys, key_dim) and (batch, keys, value_dim)"
        )
    scores = score(query, key)
    if key_padding_mask is None:
        weights = F.softmax(scores)
    else:
        hidden = unwrap(key_padding_mask)
        if hidden.shape != key.shape[:2] or hidden.dtype != bool:
            raise ValueError(f"{layer}: key_padding_mask {hidden.dtype} {hidden.shape}; expected bool {key.shape[:2]}")
        hidden = hidden[:, None]  # (batch, 1, keys)
        blind = hidden.all(-1, keepdims=True)
        zero, low = scores.dtype.type(0), scores.dtype.type(-math.inf)
        weights = F.softmax(ops.where(blind, zero, ops.where(hidden, low, scores)))
        weights = ops.where(blind, zero, weights)
    return ops.matmul(weights, value), weights
