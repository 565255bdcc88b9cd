"""A Transformer encoder reads the whole text at once (Vaswani et al. 2017); the mean of its output decides."""

import math

import nn
from minigrad.tensor import Tensor
from minigrad.typing import Array
from models.classifiers.bodies.average import token_embedding
from models.classifiers.bodies.pooling import padding_mask
from models.classifiers.config import ClassifierConfig
from nn import functional as F


class Transformer(nn.Module):
    """Embeddings and positions, num_layers encoder layers (pre-norm), the mean over the text, a linear layer."""

    learning_rate = 1e-3

    def __init__(self, config: ClassifierConfig):
        super().__init__()
        width = config.embedding_dim
        self.embedding = token_embedding(config.vocab_size, config)
        self.positions = nn.SinusoidalPositionalEncoding(width, config.max_length, config.dropout)
        layer = nn.TransformerEncoderLayer(
            width, config.num_heads, config.hidden_size, config.dropout, "gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, config.num_layers, nn.LayerNorm(width))
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(width, len(config.labels))
        self.scale = math.sqrt(width)  # section 3.4: so that the positions do not drown the tokens

    def forward(self, ids: Array, lengths: Array) -> Tensor:
        """Logits (batch, classes) for ids (batch, time), of which lengths (batch,) count."""
        mask = padding_mask(ids.shape[1], lengths)
        padding = mask if mask.any() else None  # attention is faster without a mask
        x = self.encoder(self.positions(self.embedding(ids) * self.scale), src_key_padding_mask=padding)
        return self.output(self.dropout(F.mean_over_time(x, padding)))
