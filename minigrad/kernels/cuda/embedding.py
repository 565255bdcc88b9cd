"""Embedding in CUDA C; its gradient is the same bits in every run.

On a GPU an id that has no row gives NaN and adds nothing, and is no IndexError: to look at the ids
first would mean to wait for the GPU.
"""

import numpy as np

from minigrad.devices import array_module
from minigrad.kernels.cuda.loader import empty, load, prepared
from minigrad.kernels.reference import embedding as reference

THREADS, WARPS, COLUMNS = 128, 4, 128  # a block's; the columns of a warp
NO_PADDING = -1


def embedding(weight, ids):
    vocabulary, dim = weight.shape
    reference.check_ids(ids, vocabulary)
    out = empty((*ids.shape, dim), like=weight)
    if out.size:
        arguments = (prepared(weight), prepared(ids, np.int64), out, *map(np.int32, (ids.size, vocabulary, dim)))
        load("embedding.cu").launch("embedding", -(-ids.size // WARPS), THREADS, arguments)
    return out


def embedding_backward(grad, ids, dweight, padding_idx):
    vocabulary, dim = dweight.shape
    reference.check_ids(ids, vocabulary)
    if not grad.size:
        return dweight
    target = prepared(dweight)
    grad, ids = prepared(grad), prepared(ids, np.int64)
    tokens = np.int32(ids.size)
    first = array_module(grad).full(vocabulary, tokens, np.int32)
    module = load("embedding.cu")
    module.launch("first_tokens", -(-ids.size // THREADS), THREADS, (ids, first, tokens, np.int32(vocabulary)))
    padding = np.int64(NO_PADDING if padding_idx is None else padding_idx)
    arguments = (grad, ids, first, target, tokens, np.int32(vocabulary), np.int32(dim), padding)
    module.launch("embedding_backward", (-(-ids.size // WARPS), -(-dim // COLUMNS)), THREADS, arguments)
    if target is not dweight:
        dweight[...] = target
    return dweight
