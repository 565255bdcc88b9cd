"""Embedding: rows of a table picked by ids, and the gradient that adds the picked rows back."""

import numpy as np

from minigrad.devices import array_module, looks_at_values
from minigrad.dtypes import add_at
from minigrad.typing import Array


def embedding(weight: Array, ids: Array) -> Array:
    """weight (num_embeddings, dim), ids any shape of integers -> (*ids.shape, dim).

    IndexError for an id outside 0 .. num_embeddings - 1; on a GPU its row is NaN.
    """
    check_ids(ids, len(weight))
    xp = array_module(weight)
    if xp is np:
        return weight[ids]
    known = (ids >= 0) & (ids < len(weight))
    rows = xp.where(known[..., None], weight[xp.where(known, ids, 0)], weight.dtype.type(np.nan))
    return rows.astype(weight.dtype, copy=False)  # cupy's are float32 for bfloat16


def embedding_backward(grad: Array, ids: Array, dweight: Array, padding_idx: int | None) -> Array:
    """Add grad (*ids.shape, dim) to the rows of dweight (num_embeddings, dim) that ids name, in place; returns it.

    An id may occur often; every occurrence adds. Nothing is added for padding_idx, if there is one. grad stays as it
    is. Adding to what is there costs the tokens, not the whole table: in a model whose output layer is the same
    table, dweight already holds that layer's gradient.
    IndexError for an id outside the table, see check_ids.
    """
    check_ids(ids, len(dweight))
    ids, grad = ids.reshape(-1), grad.reshape(ids.size, grad.shape[-1])
    if padding_idx is not None:
        real = array_module(grad).where((ids != padding_idx)[:, None], grad, 0)  # not times 0, which keeps NaN
        grad = real.astype(grad.dtype, copy=False)  # cupy's is float32 for bfloat16
    add_at(dweight, ids, grad)
    return dweight


def check_ids(ids: Array, num_embeddings: int) -> None:
    """Raise the IndexError for the first id that has no row; on a GPU only within detect_anomaly()."""
    if not looks_at_values(ids):
        return
    wrong = (ids < 0) | (ids >= num_embeddings)
    if wrong.any():
        place = tuple(int(i) for i in np.unravel_index(int(wrong.argmax()), ids.shape))
        raise IndexError(
            f"embedding: id {int(ids[place])} at {list(place)} has no row in a table of {num_embeddings} "
            f"(ids go from 0 to {num_embeddings - 1})"
        )
