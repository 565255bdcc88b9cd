"""A multi-layer perceptron on the mean of a text's word vectors: the deep averaging network (Iyyer et al. 2015)."""

import nn
from minigrad.tensor import Tensor
from minigrad.typing import Array
from models.classifiers.bodies.average import token_embedding
from models.classifiers.bodies.pooling import padding_mask
from models.classifiers.config import ClassifierConfig
from nn import functional as F


class MLP(nn.Module):
    """Mean of the embeddings, num_layers hidden layers with ReLU, and a linear layer (section 3, equation 4)."""

    learning_rate = 2e-3

    def __init__(self, config: ClassifierConfig):
        super().__init__()
        self.embedding = token_embedding(config.vocab_size, config)
        sizes = [config.embedding_dim] + [config.hidden_size] * config.num_layers
        self.hidden = nn.ModuleList(map(nn.Linear, sizes, sizes[1:]))
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(config.hidden_size, len(config.labels))

    def forward(self, ids: Array, lengths: Array) -> Tensor:
        """Logits (batch, classes) for ids (batch, time), of which lengths (batch,) count."""
        x = self.dropout(F.mean_over_time(self.embedding(ids), padding_mask(ids.shape[1], lengths)))
        for layer in self.hidden:
            x = self.dropout(layer(x, activation="relu"))
        return self.output(x)
