"""What a language model is to those who use one: generation, the task of teaching one, a server."""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

from minigrad.tensor import Tensor


class LanguageConfig(Protocol):
    """What is asked of a language model's configuration.

    vocab_size      number of different tokens
    context_length  tokens in a window that it is taught on
    """

    vocab_size: int
    context_length: int


@runtime_checkable
class LanguageModel(Protocol):
    """A module that gives the logits of the next token.

    context_limit  the most tokens it can look at. None: any number, because what it needs to know of them is in a
                   state; it is then taught on streams, in which each window goes on from the state that the last one
                   left, and model(ids, state) gives (logits, state). A model with a limit is taught on windows that
                   stand for themselves, and model(ids, targets) gives (logits, loss).
    """

    config: Any  # a LanguageConfig
    context_limit: int | None
    training: bool

    def train(self, mode: bool = True) -> Any:
        """nn.Module's."""

    def eval(self) -> Any:
        """nn.Module's."""

    def to(self, device: str) -> Any:
        """nn.Module's."""

    def parameters(self) -> Iterator[Any]:
        """nn.Module's."""

    def next_logits(self, ids: Tensor, caches: Any = None, /) -> Tensor:
        """The logits (batch, vocab_size) of the token after ids (batch, time), which follow what caches have seen."""

    def new_caches(self, batch_size: int) -> Any:
        """Empty caches, what next_logits keeps of the tokens: None, or one or a list of them with reorder(rows)."""
