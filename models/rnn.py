"""RNNGenerator: a recurrent network that writes (Graves 2013; Karpathy 2015, char-rnn).

    model = RNNGenerator(RNNConfig(vocab_size=77, num_layers=2, hidden_size=512, cell="lstm"))
    logits, state = model(ids)              # ids (batch, time) -> (batch, time, vocab_size)
    logits, state = model(more, state)      # goes on where the first call ended

Each token becomes a vector, the recurrent layers fold it into a state that stands for all the text so
far, and the state says which token is likely next. A GPT looks back at the tokens themselves, at most
context_length of them; here only the state goes on, and it is the same size however long the text is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

import nn
from minigrad.tensor import Tensor, unwrap
from models.configuration import check_choice, check_probability, check_whole, of_preset
from nn import functional as F

State = Tensor | tuple[Tensor, Tensor]  # the recurrent layers': h, or (h, c) for "lstm"
CELLS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


@dataclass
class RNNConfig:
    """The size of an RNNGenerator. Raises UserError for values that make no sense."""

    vocab_size: int = 256
    """Number of different tokens."""
    context_length: int = 50
    """Tokens in a training window: how far gradients flow back. The state goes on beyond it."""
    num_layers: int = 2
    """Recurrent layers, one above the other."""
    hidden_size: int = 512
    """Width of the state of each layer."""
    embedding_dim: int = 512
    """Width: the size of the vector that stands for a token."""
    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    """What a layer is made of: long short-term memory, gated recurrent unit, or the plain tanh network."""
    dropout: float = 0.0
    """Probability of dropping a number between the layers while training."""

    def __post_init__(self) -> None:
        check_whole(self, "vocab_size", "context_length", "num_layers", "hidden_size", "embedding_dim")
        check_choice(self, cell=CELLS)
        check_probability(self, "dropout")

    @classmethod
    def preset(cls, name: str, **changes: Any) -> "RNNConfig":
        """A configuration of PRESETS, with changes to some fields: preset("nano", vocab_size=77)."""
        return of_preset(cls, PRESETS, name, changes)


PRESETS = {
    "nano": {"num_layers": 2, "hidden_size": 128, "embedding_dim": 128},  # minutes on a CPU
    "char-rnn": {"num_layers": 2, "hidden_size": 512, "embedding_dim": 512},  # Karpathy's larger one
}


class RNNGenerator(nn.Module):
    """A language model whose memory is a state: for every position, the logits of the token that follows it."""

    context_limit = None  # any number of tokens: what it needs to know of them is in its state

    def __init__(self, config: RNNConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_dim)
        self.dropout = nn.Dropout(config.dropout)
        layers = CELLS[config.cell]
        self.rnn = layers(config.embedding_dim, config.hidden_size, config.num_layers, dropout=config.dropout)
        self.head = nn.Linear(config.hidden_size, config.vocab_size)

    def forward(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """(logits, state): logits (batch, time, vocab_size) for ids (batch, time) and the state before them.

        The state is the recurrent layers': (h, c) for "lstm", otherwise h, each (num_layers, batch,
        hidden_size); None stands for the beginning of a text. IndexError names an id that is not in the
        vocabulary.
        """
        hidden, state = self.hidden(ids, state)
        return self.head(hidden).swapaxes(0, 1), state

    def hidden(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """The last layer's h after every token, (time, batch, hidden_size), and the state after the last one."""
        if ids.ndim != 2 or 0 in ids.shape:
            raise ValueError(f"RNNGenerator: ids {ids.shape}; expected (batch, time), with one token at least")
        if unwrap(ids).dtype.kind not in "iu":
            raise TypeError(f"RNNGenerator: ids are {unwrap(ids).dtype}; expected integers")
        # The layers look the tokens' vectors up themselves: the product with the first weight is then made
        # once for each token of the vocabulary, not once for each position of the batch.
        hidden, state = self.rnn(ids.swapaxes(0, 1), state, table=self.embedding.weight)
        return self.dropout(hidden), state

    def next_logits(self, ids: Tensor, memory: "Memory | None" = None) -> Tensor:
        """The logits of the one token that follows ids, (batch, vocab_size); with a memory, ids go on from it."""
        hidden, state = self.hidden(ids, memory.state if memory else None)
        if memory:
            memory.state = state
        return self.head(hidden[-1])

    def new_caches(self, batch_size: int) -> "Memory":
        """An empty memory: what a text so far has left in the state."""
        return Memory()


class Memory:
    """The state that generation carries from token to token; None before the first."""

    state: "State | None" = None

    def reorder(self, rows: np.ndarray) -> None:
        """Text i goes on from the state of text rows[i]."""
        if isinstance(self.state, tuple):
            self.state = (self.state[0][:, rows], self.state[1][:, rows])
        elif self.state is not None:
            self.state = self.state[:, rows]  # (layers, batch, hidden_size)


class CarriedState:
    """The loss of windows that follow each other: each begins in the state in which the one before ended.

    That is truncated back-propagation through time (Williams & Peng 1990): the state is carried over
    from window to window, gradients are not. loss(model, batch) for batches (ids, starts, targets) of
    models.text.batching.StreamBatches; training and evaluation carry states of their own.
    """

    def __init__(self) -> None:
        self._states: dict[bool, State] = {}

    def __call__(self, model: RNNGenerator, batch: Sequence[Tensor]) -> Tensor:
        """The mean cross-entropy of a batch's targets; the state after it is kept, detached, for the next batch.

        Where starts is true the batch begins without a state. self._states has one state for model.training, which
        is True or False.
        """
        ids, starts, targets = batch
        state = None if starts.item() else self._states[model.training]
        logits, state = model(ids, state)
        kept: State = (state[0].detach(), state[1].detach()) if isinstance(state, tuple) else state.detach()
        self._states[model.training] = kept
        return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1))

    def state_dict(self) -> dict[str, Tensor]:
        """The state that training has reached."""
        state = self._states.get(True, ())
        return dict(zip("hc", state if isinstance(state, tuple) else (state,), strict=False))

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Go on from what state_dict gave."""
        if tensors:
            self._states[True] = (tensors["h"], tensors["c"]) if "c" in tensors else tensors["h"]
