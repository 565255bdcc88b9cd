"""Scaled dot-product attention without the (query time x key time) matrix.

Dao, "FlashAttention-2" (2023): a block of queries meets the keys tile by tile, and a tile of scores
lives only as long as the cache holds it. Forward is algorithm 1: the softmax is computed online
(Milakov & Gimelshein, 2018), a running maximum m, a running sum l and an output o that are
rescaled when the maximum grows:

    m' = max(m, max_j s_j)    l' = e^(m - m') l + sum_j e^(s_j - m')    o' = e^(m - m') o + sum_j e^(s_j - m') v_j

Backward is algorithm 2: it makes the tiles of probabilities again, e^(s - lse). One worker sums
all that belongs to one gradient, in a fixed order, so that there are no atomics and the
bits are the same every time.

The vectors run along the queries in forward (maximum and sum then need no horizontal operation,
and keys and values are used as they lie) and along the keys in backward (where P and dS are needed
both as they are and transposed, which outer_products does for free).
"""

import numba
import numpy as np
from numba import njit, prange, types

from minigrad.kernels.cpu import simd
from minigrad.kernels.cpu.tiles import COLUMNS, ROWS, address_of, call, outer_products, row, span
from minigrad.kernels.reference import dropout
from minigrad.kernels.reference.attention import check_shapes

# Queries and keys of a tile, the other way round in backward: the outer loop's are kept in the cache while
# the inner loop's stream by, all buffers together about half of a second-level cache of 512 KB.
OUTER, INNER = 128, 64
LINE = OUTER + COLUMNS  # from line to line: no power of two, which would put a column into a few sets of the cache
LANES = 32  # loops along a line of a tile do a multiple of this many elements, so that nothing is left over
FEW = 4  # up to this many queries (decoding with a cache of keys), rows are faster than tiles

NO_MASK, ALLOWED, BIAS = 0, 1, 2
_NO_ALLOWED, _NO_BIAS = (np.broadcast_to(t(0), (1, 1, 1, 1)) for t in (np.bool_, np.float32))  # strides 0

_ZERO, _ONE, _INF = np.float32(0), np.float32(1), np.float32(np.inf)
_MULTIPLY_1, _MULTIPLY_2 = np.uint32(dropout.MULTIPLY_1), np.uint32(dropout.MULTIPLY_2)
_HIGH_MULTIPLY = np.uint32(dropout.HIGH_MULTIPLY)


def attention(q, k, v, mask, causal_offset, scale, dropout_p, seed):
    batch, heads, query_time, _ = q.shape
    problem = _problem(q, k, v, mask, causal_offset, scale, dropout_p, seed)
    out = _heads_inside_time(batch, heads, query_time, v.shape[3])
    lse = np.empty((batch, heads, query_time), np.float32)
    _forward(_forward_address, numba.get_num_threads(), *problem, out, lse)
    return out, lse


def attention_backward(grad, q, k, v, out, lse, mask, causal_offset, scale, dropout_p, seed):
    batch, heads, query_time, head_dim = q.shape
    kv_heads, key_time, value_dim = v.shape[1:]
    problem = _problem(q, k, v, mask, causal_offset, scale, dropout_p, seed)
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
    _backward(_backward_address, workers, *problem, grad, out, lse, partial, dk, dv)
    if not direct:
        np.sum(partial[:, :, :, :query_time, :head_dim], axis=0, out=dq)
    return dq, dk, dv


def _heads_inside_time(batch, heads, time, dim):
    """An empty (batch, heads, time, dim) in memory laid out (batch, time, heads, dim)."""
    return np.empty((batch, time, heads, dim), np.float32).swapaxes(1, 2)


def _contiguous_rows(x):
    return x if x.strides[3] == x.itemsize else np.ascontiguousarray(x)


def _problem(q, k, v, mask, causal_offset, scale, dropout_p, seed):
    """What both kernels take first: every argument as the one type they are compiled for."""
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
_problem_types = (
    *(_strided, _strided, _strided),  # q, k, v
    types.Tuple((types.intp, types.Array(types.boolean, 4, "A", readonly=True), _strided)),  # mask: kind, allowed, bias
    *(types.intp, types.float32),  # causal offset, scale
    types.Tuple((types.int64, types.float32, types.int64, types.int64)),  # dropping: threshold, factor, two keys
)
_forward_types = (*_problem_types, _result, _per_query)  # out, lse
_backward_types = (
    *(*_problem_types, _strided, _strided, _per_query),  # grad, out, lse
    *(types.Array(types.float32, 5, "A"), _result, _result),  # shares of dq, dk, dv
)


# ---- small things --------------------------------------------------------------------------

# Without the wrappers for calls from Python and C, each of which would contain the code once more.
_OPTIONS = {"fastmath": simd.REORDER, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_inline = njit(**_OPTIONS)
_worker = njit(**_OPTIONS, cache=True)


@_inline
def _round_up(n, multiple):
    return (n + multiple - 1) // multiple * multiple


@_inline
def _block_of(lane, size):
    """Where the block of `size` lanes (a power of two) begins that has this lane; 0 for a negative one."""
    return max(lane, 0) & -size


@_inline
def _clear(x):
    for i in range(x.size):
        x[i] = _ZERO


@_inline
def _load(x, b, h, start, rows, tile):
    """tile[i] = x[b, h, start + i]; beyond the rows and columns of x the tile keeps what it had."""
    for i in range(rows):
        source, target = row(x, (b, h, start + i)), span(tile, i * tile.shape[1], tile.shape[1])
        for d in range(source.size):
            target[d] = source[d]


@_inline
def _load_transposed(x, b, h, start, rows, scale, tile):
    """tile[:, i] = x[b, h, start + i] * scale."""
    for i in range(rows):
        source = row(x, (b, h, start + i))
        for d in range(source.size):
            tile[d, i] = source[d] * scale


@_inline
def _bias(mask, b, h, i, j):
    """What the mask adds to a score."""
    kind, allowed, bias = mask
    if kind == BIAS:
        return bias[b, h, i, j]
    return _ZERO if allowed[b, h, i, j] else -_INF


@_inline
def _drop(index, dropping):
    """What dropout multiplies element number `index` by: reference.dropout.keep, one at a time."""
    threshold, factor, key_1, key_2 = dropping
    high = np.uint32(np.uint32(index >> 32) * _HIGH_MULTIPLY)
    x = np.uint32(np.uint32(index & 0xFFFFFFFF) ^ np.uint32(key_1) ^ high)
    x = np.uint32((x ^ (x >> np.uint32(16))) * _MULTIPLY_1)
    x = np.uint32(np.uint32(x ^ (x >> np.uint32(15))) + np.uint32(key_2))
    x = np.uint32(x * _MULTIPLY_2)
    x = np.uint32(x ^ (x >> np.uint32(16)))
    # A threshold of 2^32 drops everything and does not fit in 32 bits; the factor is 0 then.
    return simd.select(x >= np.uint32(min(threshold, 0xFFFFFFFF)), factor, _ZERO)


# ---- forward -------------------------------------------------------------------------------


@_worker
def _forward_worker(worker, workers, q, k, v, mask, offset, scale, dropping, out, lse):
    """Every workers-th block of queries. Tasks go through all heads before the next block, which deals
    out the short and the long blocks of a causal mask evenly."""
    batch, heads, query_time, head_dim = q.shape
    key_time, value_dim = v.shape[2:]
    if query_time <= FEW:
        _few_queries(worker, workers, q, k, v, mask, offset, scale, dropping, out, lse)
        return
    group = heads // max(k.shape[1], 1)
    padded = _round_up(value_dim, COLUMNS)
    qt = np.empty((head_dim, LINE), np.float32)  # transposed and scaled
    kt = np.empty((INNER, head_dim), np.float32)
    vt = np.empty((INNER, padded), np.float32)
    scores = np.empty((INNER, LINE), np.float32)
    o = np.empty((OUTER, padded), np.float32)
    m, l = np.empty(OUTER, np.float32), np.empty(OUTER, np.float32)
    shift, shrink = np.empty(OUTER, np.float32), np.empty(OUTER, np.float32)

    tasks = batch * heads * (_round_up(query_time, OUTER) // OUTER)
    run = max(1, batch * heads // workers)
    for turn in range(_round_up(tasks, run * workers) // workers):
        task = (turn // run * workers + worker) * run + turn % run
        if task >= tasks:
            break
        b, h = task // heads % batch, task % heads
        start = task // (batch * heads) * OUTER
        rows = min(OUTER, query_time - start)
        lanes = _round_up(rows, COLUMNS)
        _load_transposed(q, b, h, start, rows, scale, qt)
        for i in range(OUTER):
            m[i], l[i] = -_INF, _ZERO
        visible = min(key_time, start + rows + offset)  # the last query sees the most
        for key in range(0, visible, INNER):
            columns = min(INNER, visible - key)
            diagonal = start + offset - key  # query start + i sees the tile's keys j <= i + diagonal
            _load(k, b, h // group, key, columns, kt)
            _load(v, b, h // group, key, columns, vt)
            for i in range(0, lanes, COLUMNS):
                for j in range(0, min(columns, i + COLUMNS + diagonal), ROWS):
                    outer_products(
                        head_dim, kt, j * head_dim, head_dim, 1, qt, i, LINE,
                        scores, j * LINE + i, LINE, False,
                    )  # fmt: skip
            if mask[0] != NO_MASK:
                _mask_keys(mask, b, h, start, rows, key, columns, scores)
            _online_softmax(scores, columns, _round_up(rows, LANES), diagonal, m, l, shift, shrink)
            if dropping[0]:
                first = ((b * heads + h) * query_time + start) * key_time + key
                _drop_keys(scores, columns, rows, first, key_time, dropping)
            if key > 0:
                for i in range(rows):
                    line = span(o, i * padded, padded)
                    for d in range(line.size):
                        line[d] *= shrink[i]
            for i in range(0, rows, ROWS):
                depth = max(0, min(columns, i + ROWS + diagonal))
                for d in range(0, padded, COLUMNS):
                    outer_products(depth, scores, i, 1, LINE, vt, d, padded, o, i * padded + d, padded, key > 0)
        for i in range(rows):
            _finish(span(o, i * padded, value_dim), l[i], row(out, (b, h, start + i)))
            lse[b, h, start + i] = m[i] + np.log(l[i]) if l[i] != 0 else -_INF


@_inline
def _online_softmax(scores, columns, lanes, diagonal, m, l, shift, shrink):
    """Turn scores (keys, queries) into e^(s - m') and bring m and l up to date; shrink is e^(m - m')."""
    for i in range(lanes):
        shrink[i] = m[i]
    for j in range(columns):
        first = _block_of(j - diagonal, LANES)
        line = span(scores, j * LINE + first, lanes - first)
        for i in range(min(j - diagonal - first, line.size)):  # the queries that do not see this key
            line[i] = -_INF
        _raise_maximum(line, span(m, first, line.size))
    for i in range(lanes):
        # While a query has seen nothing its maximum is -inf, and -inf - -inf would be NaN.
        shift[i] = simd.select(m[i] == -_INF, _ZERO, m[i])
        shrink[i] = simd.exp(shrink[i] - shift[i])
        l[i] *= shrink[i]
    for j in range(columns):
        first = _block_of(j - diagonal, LANES)
        line = span(scores, j * LINE + first, lanes - first)
        _exponentiate(line, span(shift, first, line.size))
        _add(line, span(l, first, line.size))


# One array changed, one read, a number of elements that is a multiple of LANES: the shape of loop
# that LLVM turns into vectors without a scalar remainder.


@_inline
def _raise_maximum(s, m):
    for i in range(s.size & -LANES):
        m[i] = simd.maximum(m[i], s[i])


@_inline
def _exponentiate(s, shift):
    for i in range(s.size & -LANES):
        s[i] = simd.exp(s[i] - shift[i])


@_inline
def _add(s, l):
    for i in range(s.size & -LANES):
        l[i] += s[i]


@_inline
def _mask_keys(mask, b, h, start, rows, key, columns, scores):
    """Add the mask to scores (keys, queries)."""
    if mask[1].strides[2] == 0 and mask[2].strides[2] == 0:  # the same for all queries: padding
        for j in range(columns):
            bias = _bias(mask, b, h, start, key + j)
            line = span(scores, j * LINE, rows)
            for i in range(rows):
                line[i] += bias
        return
    for i in range(rows):
        for j in range(columns):
            scores[j, i] += _bias(mask, b, h, start + i, key + j)


@_inline
def _drop_keys(scores, columns, rows, first, stride, dropping):
    """Dropout of probabilities (keys, queries); number first + i * stride + j is at [j, i]."""
    for j in range(columns):
        line = span(scores, j * LINE, rows)
        for i in range(rows):
            line[i] *= _drop(first + i * stride + j, dropping)


@_inline
def _finish(o, l, out):
    """out = o / l, and 0 for a query that saw nothing (whose o may never have been written)."""
    if l == 0:
        _clear(out)
    else:
        inverse = _ONE / l
        for d in range(o.size):
            out[d] = o[d] * inverse


@_inline
def _few_queries(worker, workers, q, k, v, mask, offset, scale, dropping, out, lse):
    """The same for every workers-th single query, in two passes over the keys as they lie in memory."""
    batch, heads, query_time, _ = q.shape
    key_time = k.shape[2]
    group = heads // max(k.shape[1], 1)
    line = np.empty(key_time, np.float32)
    for task in range(worker, batch * heads * query_time, workers):
        b, h, i = task // query_time // heads, task // query_time % heads, task % query_time
        visible = max(0, min(key_time, i + 1 + offset))
        query = row(q, (b, h, i))
        m, l = -_INF, _ZERO
        for j in range(visible):
            line[j] = _dot(query, row(k, (b, h // group, j))) * scale
            if mask[0] != NO_MASK:
                line[j] += _bias(mask, b, h, i, j)
        for j in range(visible):
            m = simd.maximum(m, line[j])
        shift = _ZERO if m == -_INF else m
        for j in range(visible):
            line[j] = simd.exp(line[j] - shift)
            l += line[j]
        if dropping[0]:
            first = ((b * heads + h) * query_time + i) * key_time
            for j in range(visible):
                line[j] *= _drop(first + j, dropping)
        result = row(out, (b, h, i))
        _clear(result)
        for j in range(visible):
            _add_scaled(row(v, (b, h // group, j)), line[j], result)
        _finish(result, l, result)
        lse[b, h, i] = m + np.log(l) if l != 0 else -_INF


@_inline
def _dot(x, y):
    total = _ZERO
    for i in range(x.size):
        total += x[i] * y[i]
    return total


@_inline
def _add_scaled(x, factor, y):
    for i in range(x.size):
        y[i] += x[i] * factor


# ---- backward ------------------------------------------------------------------------------


@_worker
def _backward_worker(worker, workers, q, k, v, mask, offset, scale, dropping, grad, out, lse, partial, dk, dv):
    """Every workers-th share of a key/value head: dk and dv of its keys, and what they add to dq."""
    batch, heads, query_time, head_dim = q.shape
    kv_heads, key_time, value_dim = v.shape[1:]
    group = heads // max(kv_heads, 1)
    shares = partial.shape[0]
    dq_stride = partial.strides[3] // 4
    q_padded, v_padded = _round_up(head_dim, COLUMNS), _round_up(value_dim, COLUMNS)
    kt = np.empty((head_dim, LINE), np.float32)  # transposed and scaled
    vt = np.empty((value_dim, LINE), np.float32)  # transposed
    k_tile, q_tile = np.zeros((OUTER, q_padded), np.float32), np.zeros((INNER, q_padded), np.float32)
    g_tile = np.zeros((INNER, v_padded), np.float32)
    p, ds = np.empty((INNER, LINE), np.float32), np.empty((INNER, LINE), np.float32)
    dk_tile, dv_tile = np.empty((OUTER, q_padded), np.float32), np.empty((OUTER, v_padded), np.float32)
    delta = np.empty((group, query_time), np.float32)  # rowsum(grad * out)

    tasks = batch * kv_heads * shares
    for task in range(worker * tasks // workers, (worker + 1) * tasks // workers):
        share = task % shares
        b, kv_head = task // shares // kv_heads, task // shares % kv_heads
        for h in range(kv_head * group, (kv_head + 1) * group):
            for i in range(partial.shape[3]):
                _clear(row(partial, (share, b, h, i)))
            for i in range(query_time):
                delta[h % group, i] = _dot(row(grad, (b, h, i)), row(out, (b, h, i)))
        for key in range(share * OUTER, key_time, shares * OUTER):
            columns = min(OUTER, key_time - key)
            lanes = _round_up(columns, COLUMNS)
            _load(k, b, kv_head, key, columns, k_tile)
            _load_transposed(k, b, kv_head, key, columns, scale, kt)
            _load_transposed(v, b, kv_head, key, columns, _ONE, vt)
            _clear(span(dk_tile, 0, dk_tile.size))
            _clear(span(dv_tile, 0, dv_tile.size))
            for h in range(kv_head * group, (kv_head + 1) * group):
                for start in range(_block_of(key - offset, INNER), query_time, INNER):
                    rows = min(INNER, query_time - start)
                    diagonal = start + offset - key  # query start + i sees the tile's keys j <= i + diagonal
                    _load(q, b, h, start, rows, q_tile)
                    _load(grad, b, h, start, rows, g_tile)
                    for i in range(0, rows, ROWS):
                        for j in range(0, min(lanes, i + ROWS + diagonal), COLUMNS):
                            at = i * LINE + j
                            outer_products(head_dim, q_tile, i * q_padded, q_padded, 1, kt, j, LINE, p, at, LINE, False)
                            outer_products(
                                value_dim, g_tile, i * v_padded, v_padded, 1, vt, j, LINE, ds, at, LINE, False
                            )
                    if mask[0] != NO_MASK:
                        _mask_queries(mask, b, h, start, rows, key, columns, p)
                    for i in range(rows):
                        n = min(_round_up(columns, LANES), _round_up(max(0, i + ROWS + diagonal), LANES))
                        line, dline = span(p, i * LINE, n), span(ds, i * LINE, n)
                        for j in range(max(0, i + diagonal + 1), n):  # the keys that this query does not see
                            line[j] = -_INF
                        first = ((b * heads + h) * query_time + start + i) * key_time + key
                        row_sum = delta[h % group, start + i]
                        _dscores(line, dline, lse[b, h, start + i], row_sum, scale, dropping, first)
                    for j in range(0, columns, ROWS):
                        i = max(0, j - diagonal)  # the first query that sees key j
                        for d in range(0, v_padded, COLUMNS):
                            outer_products(
                                rows - i, p, i * LINE + j, 1, LINE, g_tile, i * v_padded + d, v_padded,
                                dv_tile, j * v_padded + d, v_padded, True,
                            )  # fmt: skip
                        for d in range(0, q_padded, COLUMNS):
                            outer_products(
                                rows - i, ds, i * LINE + j, 1, LINE, q_tile, i * q_padded + d, q_padded,
                                dk_tile, j * q_padded + d, q_padded, True,
                            )  # fmt: skip
                    dq = row(partial, (share, b, h, start))
                    for i in range(0, rows, ROWS):
                        depth = min(columns, i + ROWS + diagonal)
                        if depth > 0:
                            for d in range(0, q_padded, COLUMNS):
                                outer_products(
                                    depth, ds, i * LINE, LINE, 1, k_tile, d, q_padded,
                                    dq, i * dq_stride + d, dq_stride, True,
                                )  # fmt: skip
            for j in range(columns):
                _copy(span(dk_tile, j * q_padded, head_dim), row(dk, (b, kv_head, key + j)))
                _copy(span(dv_tile, j * v_padded, value_dim), row(dv, (b, kv_head, key + j)))


@_inline
def _copy(source, target):
    for i in range(target.size):
        target[i] = source[i]


@_inline
def _mask_queries(mask, b, h, start, rows, key, columns, scores):
    """Add the mask to scores (queries, keys)."""
    for i in range(rows):
        for j in range(columns):
            scores[i, j] += _bias(mask, b, h, start + i, key + j)


@_inline
def _dscores(p, ds, lse, delta, scale, dropping, first):
    """One query's scores and dP become its (dropped) probabilities and the gradient of its scores."""
    if lse == -_INF:
        lse = _INF  # it saw nothing: e^(s - inf) = 0
    if dropping[0]:
        for j in range(p.size & -LANES):
            probability = simd.exp(p[j] - lse)
            kept = _drop(first + j, dropping)
            p[j] = probability * kept
            ds[j] = probability * (ds[j] * kept - delta) * scale
    else:
        for j in range(p.size & -LANES):
            p[j] = simd.exp(p[j] - lse)
            ds[j] = p[j] * (ds[j] - delta) * scale


# ---- all workers at once -------------------------------------------------------------------
#
# numba optimises a function again in every function around it, and a parallel loop is three of
# them. Calling the workers by their address keeps them out of that: a third of the time to compile.


@njit(types.void(types.intp, types.intp, *_forward_types), parallel=True, cache=True)
def _forward(address, workers, q, k, v, mask, offset, scale, dropping, out, lse):
    for worker in prange(workers):
        call(address, (np.intp(worker), workers, q, k, v, mask, offset, scale, dropping, out, lse))


@njit(types.void(types.intp, types.intp, *_backward_types), parallel=True, cache=True)
def _backward(address, workers, q, k, v, mask, offset, scale, dropping, grad, out, lse, partial, dk, dv):
    for worker in prange(workers):
        problem = (q, k, v, mask, offset, scale, dropping)
        call(address, (np.intp(worker), workers, *problem, grad, out, lse, partial, dk, dv))


_share = (types.intp, types.intp)  # which worker, of how many
_forward_address = address_of(_forward_worker, (*_share, *_forward_types))
_backward_address = address_of(_backward_worker, (*_share, *_backward_types))
