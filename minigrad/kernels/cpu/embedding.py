"""Embedding on the CPU.

In the gradient two tokens may have the same id, so threads cannot share the tokens out among
themselves without locks, and locks would add in a different order each time. They share out the
columns instead: each walks all the ids, in order, for columns that no other thread touches.
"""

import numpy as np
from numba import prange

from minigrad.kernels.cpu import simd
from minigrad.kernels.reference import embedding as reference

COLUMNS = 64  # four cache lines of float32


def embedding(weight, ids):
    weight = np.ascontiguousarray(weight, np.float32)
    out = np.empty((*ids.shape, weight.shape[1]), np.float32)
    if _embedding(weight, _flat(ids), out.reshape(ids.size, weight.shape[1])):
        reference.check_ids(ids, len(weight))
    return out


def embedding_backward(grad, ids, dweight, padding_idx):
    rows = np.ascontiguousarray(grad, np.float32).reshape(ids.size, grad.shape[-1])
    if not dweight.flags.c_contiguous:
        return reference.embedding_backward(grad, ids, dweight, padding_idx)
    if _embedding_backward(rows, _flat(ids), -1 if padding_idx is None else padding_idx, dweight):
        reference.check_ids(ids, len(dweight))
    return dweight


def _flat(ids):
    return np.ascontiguousarray(ids, np.int64).reshape(-1)


@simd.parallel
def _embedding(weight, ids, out):
    """True, and nothing filled, if an id is out of range."""
    for token in range(ids.size):
        if not 0 <= ids[token] < weight.shape[0]:
            return True
    for token in prange(ids.size):
        row = ids[token]
        for j in range(weight.shape[1]):
            out[token, j] = weight[row, j]
    return False


@simd.parallel
def _embedding_backward(grad, ids, padding_idx, dweight):
    """True, and nothing added, if an id is out of range."""
    for token in range(ids.size):
        if not 0 <= ids[token] < dweight.shape[0]:
            return True
    dim = dweight.shape[1]
    for block in prange(-(-dim // COLUMNS)):
        start, stop = block * COLUMNS, min((block + 1) * COLUMNS, dim)
        for token in range(ids.size):
            if ids[token] != padding_idx:
                _add(dweight[ids[token], start:stop], grad[token, start:stop])
    return False


@simd.serial
def _add(total, term):
    for j in range(total.size):
        total[j] += term[j]
