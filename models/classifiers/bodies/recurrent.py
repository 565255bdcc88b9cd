"""Recurrent classifiers: the text is read token by token, and the state that has read it all decides.

A bidirectional LSTM reads it from both ends, and attention chooses among the states at all tokens
(Yang et al. 2016, section 2.2; Lin et al. 2017).
"""

import minigrad as mg
import nn
from minigrad.tensor import Tensor, to_numpy
from minigrad.typing import Array
from models.classifiers.bodies.average import token_embedding
from models.classifiers.bodies.pooling import AttentionPooling, padding_mask
from models.classifiers.config import ClassifierConfig
from nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

LAYERS = {"lstm": nn.LSTM, "gru": nn.GRU, "bilstm": nn.LSTM}


class Recurrent(nn.Module):
    """Embeddings, num_layers recurrent layers, and a linear layer on the last state or on the attended ones."""

    learning_rate = 2e-3

    def __init__(self, config: ClassifierConfig):
        super().__init__()
        both_ways = config.body == "bilstm"
        self.embedding = token_embedding(config.vocab_size, config)
        self.dropout = nn.Dropout(config.dropout)
        self.recurrent = LAYERS[config.body](
            config.embedding_dim,
            config.hidden_size,
            config.num_layers,
            batch_first=True,
            dropout=config.dropout,
            bidirectional=both_ways,
        )
        width = 2 * config.hidden_size if both_ways else config.hidden_size
        self.pooling = AttentionPooling(width) if both_ways else None
        self.output = nn.Linear(width, len(config.labels))

    def forward(self, ids: Array, lengths: Array) -> Tensor:
        """Logits (batch, classes) for ids (batch, time), of which lengths (batch,) count."""
        packed = pack_padded_sequence(mg.Tensor(ids), to_numpy(lengths), batch_first=True, enforce_sorted=False)
        packed = packed._replace(data=self.dropout(self.embedding(packed.data)))  # padding is never looked up
        outputs, state = self.recurrent(packed)
        if self.pooling:
            states, _ = pad_packed_sequence(outputs, batch_first=True)
            text = self.pooling(states, padding_mask(states.shape[1], lengths))
        else:
            hidden = state[0] if isinstance(state, tuple) else state  # an LSTM's is (h, c)
            text = hidden[-1]  # of the last layer, after each text's last token
        return self.output(self.dropout(text))
