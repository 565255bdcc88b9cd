"""Scaled dot-product attention without the (query time x key time) matrix.

Dao, "FlashAttention-2" (2023): a tile of scores lives only as long as the cache holds it. Here are the calls
from Python and how the work is dealt out to the threads; attention_forward.py and attention_backward.py are
what each of them does.
"""

import numba
import numpy as np
from numba import prange, types

from minigrad.kernels.compiled_cache import jit
from minigrad.kernels.cpu.attention_backward import backward
from minigrad.kernels.cpu.attention_forward import forward
from minigrad.kernels.cpu.attention_parts import ALLOWED, BIAS, NO_MASK, OUTER
from minigrad.kernels.cpu.tiles import COLUMNS, ROWS, address_of, call
from minigrad.kernels.reference import dropout
from minigrad.kernels.reference.attention import check_shapes

_NO_ALLOWED, _NO_BIAS = (np.broadcast_to(t(0), (1, 1, 1, 1)) for t in (np.bool_, np.float32))  # strides 0


def attention(q, k, v, mask, settings):
    batch, heads, query_time, _ = q.shape
    problem = _problem(q, k, v, mask, settings)
    out = _heads_inside_time(batch, heads, query_time, v.shape[3])
    lse = np.empty((batch, heads, query_time), np.float32)
    _forward(_forward_address, numba.get_num_threads(), problem, out, lse)
    return out, lse


def attention_backward(grad, q, k, v, out, lse, mask, settings):
    batch, heads, query_time, head_dim = q.shape
    kv_heads, key_time, value_dim = v.shape[1:]
    problem = _problem(q, k, v, mask, settings)
    if (query_time, head_dim) == (key_time, value_dim):
        # One array for all three: the gradient of the product that made q, k and v together is then there already.
        together = _heads_inside_time(batch, heads + 2 * kv_heads, key_time, head_dim)
        dq, dk, dv = np.split(together, (heads, heads + kv_heads), axis=1)
    else:
        dq = _heads_inside_time(batch, heads, query_time, head_dim)
        dk = _heads_inside_time(batch, kv_heads, key_time, head_dim)
        dv = _heads_inside_time(batch, kv_heads, key_time, value_dim)
    # A worker has all keys of a key/value head or, when there are too few heads for the workers, a
    # share of them; the shares' sums of dq are added up in order afterwards.
    workers = numba.get_num_threads()
    tasks = batch * kv_heads
    shares = 1 if tasks >= 4 * workers or tasks % workers == 0 else min(workers, -(-key_time // OUTER))
    if shares <= 1 and query_time % ROWS == 0 and head_dim % COLUMNS == 0:
        direct, partial = True, dq[None]
    else:  # room for whole blocks of outer products
        rows, columns = -(-query_time // ROWS) * ROWS, -(-head_dim // COLUMNS) * COLUMNS
        direct, partial = False, np.empty((max(shares, 1), batch, heads, rows, columns), np.float32)
    grad, out = _contiguous_rows(grad), _contiguous_rows(out)
    lse = np.ascontiguousarray(lse)
    _backward(_backward_address, workers, problem, (grad, out, lse), (partial, dk, dv))
    if not direct:
        np.sum(partial[:, :, :, :query_time, :head_dim], axis=0, out=dq)
    return dq, dk, dv


def _heads_inside_time(batch, heads, time, dim):
    """An empty (batch, heads, time, dim) in memory laid out (batch, time, heads, dim)."""
    return np.empty((batch, time, heads, dim), np.float32).swapaxes(1, 2)


def _contiguous_rows(x):
    return x if x.strides[3] == x.itemsize else np.ascontiguousarray(x)


def _problem(q, k, v, mask, settings):
    """What both kernels take first: every argument as the one type they are compiled for."""
    causal_offset, scale, dropout_p, seed = settings
    check_shapes(q, k, v)
    kind, allowed, bias = NO_MASK, _NO_ALLOWED, _NO_BIAS
    if mask is not None:
        shape = (*q.shape[:3], k.shape[2])
        if mask.dtype == bool:
            kind, allowed = ALLOWED, np.broadcast_to(mask, shape)
        else:
            kind, bias = BIAS, np.broadcast_to(mask.astype(np.float32, copy=False), shape)
    if causal_offset is None:
        causal_offset = k.shape[2]  # even query 0 sees every key
    threshold, factor = dropout.threshold_and_factor(dropout_p)
    key_1, key_2 = dropout.keys(seed) if threshold else (0, 0)
    return (
        _contiguous_rows(q), _contiguous_rows(k), _contiguous_rows(v),
        (kind, allowed, bias), causal_offset, scale, (threshold, factor, key_1, key_2),
    )  # fmt: skip


# ---- the types that the kernels are compiled for, once -------------------------------------

_strided = types.Array(types.float32, 4, "A", readonly=True)
_result = types.Array(types.float32, 4, "A")
_per_query = types.Array(types.float32, 3, "C")
_problem_types = types.Tuple((
    *(_strided, _strided, _strided),  # q, k, v
    types.Tuple((types.intp, types.Array(types.boolean, 4, "A", readonly=True), _strided)),  # mask: kind, allowed, bias
    *(types.intp, types.float32),  # causal offset, scale
    types.Tuple((types.int64, types.float32, types.int64, types.int64)),  # dropping: threshold, factor, two keys
))  # fmt: skip
_forward_types = (_problem_types, _result, _per_query)  # out, lse
_backward_types = (
    _problem_types,
    types.Tuple((_strided, _strided, _per_query)),  # grad, out, lse
    types.Tuple((types.Array(types.float32, 5, "A"), _result, _result)),  # shares of dq, dk, dv
)


# ---- all workers at once -------------------------------------------------------------------
#
# numba optimises a function again in every function around it, and a parallel loop is three of
# them. Calling the workers by their address keeps them out of that: a third of the time to compile.


@jit(types.void(types.intp, types.intp, *_forward_types), parallel=True)
def _forward(address, workers, problem, out, lse):
    q, k, v, mask, offset, scale, dropping = problem  # numba takes no tuples within tuples into a parallel loop
    for worker in prange(workers):
        call(address, (np.intp(worker), workers, (q, k, v, mask, offset, scale, dropping), out, lse))


@jit(types.void(types.intp, types.intp, *_backward_types), parallel=True)
def _backward(address, workers, problem, result, gradients):
    q, k, v, mask, offset, scale, dropping = problem
    for worker in prange(workers):
        call(address, (np.intp(worker), workers, (q, k, v, mask, offset, scale, dropping), result, gradients))


_share = (types.intp, types.intp)  # which worker, of how many
_forward_address = address_of(forward, (*_share, *_forward_types))
_backward_address = address_of(backward, (*_share, *_backward_types))
