"""Looking up rows of a table by integer ids."""

from typing import Any

from minigrad import kernels
from minigrad.explain import same_device
from minigrad.function import Function, PartialGradient
from minigrad.ops.index import Index, Place
from minigrad.tensor import Tensor, unwrap


class Embedding(Function):
    """y = W[ids];  dW = g added up row by row at the ids (and 0 at padding_idx)."""

    moves = True

    def __init__(self, ids, padding_idx: int | None):
        self.ids, self.padding_idx = ids, padding_idx

    def forward(self, weight):
        self.from_shape = weight.shape
        return kernels.embedding(weight, self.ids)

    def backward(self, grad):
        if isinstance(grad, Tensor):
            if self.padding_idx is not None:
                grad = grad * (self.ids != self.padding_idx)[..., None].astype(grad.dtype)
            return Place(Index(None, self.ids, repeats=True), self.from_shape)(grad)
        return PartialGradient(
            grad, lambda buffer: kernels.embedding_backward(grad, self.ids, buffer, self.padding_idx)
        )

    def backward_flops(self, grads, results):
        return grads[0].size  # additions


def embedding(ids: Any, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """Rows of weight (num_embeddings, dim) at integer ids of any shape: (*ids.shape, dim).

    padding_idx gathers no gradient. IndexError names an id outside the table.
    """
    ids = unwrap(ids)
    same_device("embedding", ids=ids, weight=weight)
    if ids.dtype.kind not in "iu":
        raise TypeError(f"embedding: ids are {ids.dtype}; expected integers")
    if weight.ndim != 2:
        raise ValueError(f"embedding: weight {weight.shape}; expected (num_embeddings, dim)")
    if padding_idx is not None and padding_idx < 0:
        padding_idx += weight.shape[0]
    return Embedding(ids, padding_idx)(weight)
