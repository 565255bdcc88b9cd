"""Attention backward: the tiles of probabilities are made again, e^(s - lse), and give all three gradients.

Dao, "FlashAttention-2" (2023), algorithm 2. One worker sums all that belongs to one gradient, in a fixed order,
so that there are no atomics and the bits are the same every time.

The vectors run along the keys: P and dS are needed both as they are and transposed, which outer_products does
for free.
"""

import numpy as np

from minigrad.kernels.cpu import simd
from minigrad.kernels.cpu.attention_parts import (
    INF,
    INNER,
    LANES,
    LINE,
    NO_MASK,
    ONE,
    OUTER,
    block_of,
    clear,
    dot,
    drop,
    inline,
    load,
    load_transposed,
    masked,
    round_up,
    worker_function,
)
from minigrad.kernels.cpu.tiles import COLUMNS, ROWS, outer_products, row, span


@worker_function
def backward(worker, workers, problem, result, gradients):
    """Every workers-th share of a key/value head: dk and dv of its keys, and what they add to dq.

    The problem is attention.py's, result is (grad, out, lse), gradients are (shares of dq, dk, dv).
    """
    q, k, v, mask, offset, scale, dropping = problem
    grad, out, lse = result
    partial, dk, dv = gradients
    batch, heads, query_time, head_dim = q.shape
    kv_heads, key_time, value_dim = v.shape[1:]
    group = heads // max(kv_heads, 1)
    shares = partial.shape[0]
    dq_stride = partial.strides[3] // 4
    q_padded, v_padded = round_up(head_dim, COLUMNS), round_up(value_dim, COLUMNS)
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
                clear(row(partial, (share, b, h, i)))
            for i in range(query_time):
                delta[h % group, i] = dot(row(grad, (b, h, i)), row(out, (b, h, i)))
        for key in range(share * OUTER, key_time, shares * OUTER):
            columns = min(OUTER, key_time - key)
            lanes = round_up(columns, COLUMNS)
            load(k, b, kv_head, key, columns, k_tile)
            load_transposed(k, b, kv_head, key, columns, scale, kt)
            load_transposed(v, b, kv_head, key, columns, ONE, vt)
            clear(span(dk_tile, 0, dk_tile.size))
            clear(span(dv_tile, 0, dv_tile.size))
            for h in range(kv_head * group, (kv_head + 1) * group):
                for start in range(block_of(key - offset, INNER), query_time, INNER):
                    rows = min(INNER, query_time - start)
                    diagonal = start + offset - key  # query start + i sees the tile's keys j <= i + diagonal
                    load(q, b, h, start, rows, q_tile)
                    load(grad, b, h, start, rows, g_tile)
                    for i in range(0, rows, ROWS):
                        for j in range(0, min(lanes, i + ROWS + diagonal), COLUMNS):
                            at, qs, gs = (i * LINE + j, LINE), (i * q_padded, q_padded, 1), (i * v_padded, v_padded, 1)
                            outer_products(head_dim, q_tile, qs, kt, (j, LINE), p, at, False)
                            outer_products(value_dim, g_tile, gs, vt, (j, LINE), ds, at, False)
                    if mask[0] != NO_MASK:
                        _mask_queries(mask, b, h, start, rows, key, columns, p)
                    for i in range(rows):
                        n = min(round_up(columns, LANES), round_up(max(0, i + ROWS + diagonal), LANES))
                        line, dline = span(p, i * LINE, n), span(ds, i * LINE, n)
                        for j in range(max(0, i + diagonal + 1), n):  # the keys that this query does not see
                            line[j] = -INF
                        first = ((b * heads + h) * query_time + start + i) * key_time + key
                        row_sum = delta[h % group, start + i]
                        _dscores(line, dline, lse[b, h, start + i], row_sum, scale, dropping, first)
                    for j in range(0, columns, ROWS):
                        i = max(0, j - diagonal)  # the first query that sees key j
                        transposed = (i * LINE + j, 1, LINE)
                        for d in range(0, v_padded, COLUMNS):
                            g_at, dv_at = (i * v_padded + d, v_padded), (j * v_padded + d, v_padded)
                            outer_products(rows - i, p, transposed, g_tile, g_at, dv_tile, dv_at, True)
                        for d in range(0, q_padded, COLUMNS):
                            q_at, dk_at = (i * q_padded + d, q_padded), (j * q_padded + d, q_padded)
                            outer_products(rows - i, ds, transposed, q_tile, q_at, dk_tile, dk_at, True)
                    dq = row(partial, (share, b, h, start))
                    for i in range(0, rows, ROWS):
                        depth = min(columns, i + ROWS + diagonal)
                        if depth > 0:
                            for d in range(0, q_padded, COLUMNS):
                                k_at, dq_at = (d, q_padded), (i * dq_stride + d, dq_stride)
                                outer_products(depth, ds, (i * LINE, LINE, 1), k_tile, k_at, dq, dq_at, True)
            for j in range(columns):
                _copy(span(dk_tile, j * q_padded, head_dim), row(dk, (b, kv_head, key + j)))
                _copy(span(dv_tile, j * v_padded, value_dim), row(dv, (b, kv_head, key + j)))


@inline
def _copy(source, target):
    for i in range(target.size):
        target[i] = source[i]


@inline
def _mask_queries(mask, b, h, start, rows, key, columns, scores):
    """Apply the mask to scores (queries, keys)."""
    for i in range(rows):
        for j in range(columns):
            scores[i, j] = masked(scores[i, j], mask, b, h, start + i, key + j)


@inline
def _dscores(p, ds, lse, delta, scale, dropping, first):
    """One query's scores and dP become, in place, its (dropped) probabilities and the gradient of its scores.

    P = e^(p - lse) and dS = P (dP - delta) scale, for the p.size & -LANES elements of p, the scores, and of ds, which
    holds dP. lse is -inf for a query that saw nothing; its P is 0. If dropping[0] is not 0 there is dropout: it
    multiplies probability number j and its dP by drop(first + j, dropping), and p gets P times that.
    """
    if lse == -INF:
        lse = INF  # it saw nothing: e^(s - inf) = 0
    if dropping[0]:
        for j in range(p.size & -LANES):
            probability = simd.exp(p[j] - lse)
            kept = drop(first + j, dropping)
            p[j] = probability * kept
            ds[j] = probability * (ds[j] * kept - delta) * scale
    else:
        for j in range(p.size & -LANES):
            p[j] = simd.exp(p[j] - lse)
            ds[j] = p[j] * (ds[j] - delta) * scale
