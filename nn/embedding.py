"""Embedding: a vector for each integer id."""

import minigrad as mg
from minigrad.tensor import Tensor
from minigrad.typing import DTypeLike
from nn import functional as F
from nn import init
from nn.checks import check_sizes
from nn.module import Module, Parameter


class Embedding(Module):
    """Rows of weight (num_embeddings, embedding_dim) at ids of any shape: (*ids.shape, embedding_dim).

    padding_idx  an id whose row starts at 0 and gathers no gradient

    The rows start as normal draws. IndexError names an id that has no row.
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, dtype: DTypeLike = "float32"
    ):
        super().__init__()
        check_sizes("Embedding", num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        _check_padding(padding_idx, num_embeddings)
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = padding_idx if padding_idx is None else padding_idx % num_embeddings
        self.weight = Parameter(mg.empty(num_embeddings, embedding_dim, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight.data[self.padding_idx] = 0

    @classmethod
    def from_pretrained(cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None) -> "Embedding":
        """An Embedding whose weight is embeddings (num_embeddings, embedding_dim), in the same memory.

        freeze  whether it stays as it is in training. ValueError for another number of dimensions.
        """
        if embeddings.ndim != 2:
            raise ValueError(f"Embedding.from_pretrained: embeddings {embeddings.shape}; expected two dimensions")
        layer = cls(0, 0)
        layer.num_embeddings, layer.embedding_dim = embeddings.shape
        _check_padding(padding_idx, layer.num_embeddings)
        layer.padding_idx = padding_idx if padding_idx is None else padding_idx % layer.num_embeddings
        layer.weight = Parameter(embeddings.detach(), requires_grad=not freeze)
        return layer

    def forward(self, input: Tensor) -> Tensor:
        """The rows of ids input."""
        return F.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        """The settings."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


def _check_padding(padding_idx: int | None, num_embeddings: int) -> None:
    if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
        raise ValueError(f"Embedding: padding_idx={padding_idx} is not one of the {num_embeddings} ids")
