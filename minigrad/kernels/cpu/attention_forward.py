"""Attention forward: a block of queries meets the keys tile by tile, the softmax computed online.

Dao, "FlashAttention-2" (2023), algorithm 1: a running maximum m, a running sum l and an output o that are
rescaled when the maximum grows (Milakov & Gimelshein, 2018):

    m' = max(m, max_j s_j)    l' = e^(m - m') l + sum_j e^(s_j - m')    o' = e^(m - m') o + sum_j e^(s_j - m') v_j

The vectors run along the queries: maximum and sum then need no horizontal operation, and keys and values are
used as they lie.
"""

import numpy as np

from minigrad.kernels.cpu import simd
from minigrad.kernels.cpu.attention_parts import (
    ALLOWED,
    BIAS,
    INF,
    INNER,
    LANES,
    LINE,
    NO_MASK,
    ONE,
    OUTER,
    ZERO,
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

FEW = 4  # up to this many queries (decoding with a cache of keys), rows are faster than tiles


@worker_function
def forward(worker, workers, problem, out, lse):
    """Every workers-th block of queries. Tasks go through all heads before the next block, which deals
    out the short and the long blocks of a causal mask evenly. The problem is attention.py's."""
    q, k, v, mask, offset, scale, dropping = problem
    batch, heads, query_time, head_dim = q.shape
    key_time, value_dim = v.shape[2:]
    if query_time <= FEW:
        _few_queries(worker, workers, problem, out, lse)
        return
    group = heads // max(k.shape[1], 1)
    padded = round_up(value_dim, COLUMNS)
    qt = np.empty((head_dim, LINE), np.float32)  # transposed and scaled
    kt = np.empty((INNER, head_dim), np.float32)
    vt = np.empty((INNER, padded), np.float32)
    scores = np.empty((INNER, LINE), np.float32)
    o = np.empty((OUTER, padded), np.float32)
    m, l = np.empty(OUTER, np.float32), np.empty(OUTER, np.float32)
    shift, shrink = np.empty(OUTER, np.float32), np.empty(OUTER, np.float32)

    tasks = batch * heads * (round_up(query_time, OUTER) // OUTER)
    run = max(1, batch * heads // workers)
    for turn in range(round_up(tasks, run * workers) // workers):
        task = (turn // run * workers + worker) * run + turn % run
        if task >= tasks:
            break
        b, h = task // heads % batch, task % heads
        start = task // (batch * heads) * OUTER
        rows = min(OUTER, query_time - start)
        lanes = round_up(rows, COLUMNS)
        load_transposed(q, b, h, start, rows, scale, qt)
        for i in range(OUTER):
            m[i], l[i] = -INF, ZERO
        visible = min(key_time, start + rows + offset)  # the last query sees the most
        for key in range(0, visible, INNER):
            columns = min(INNER, visible - key)
            diagonal = start + offset - key  # query start + i sees the tile's keys j <= i + diagonal
            load(k, b, h // group, key, columns, kt)
            load(v, b, h // group, key, columns, vt)
            for i in range(0, lanes, COLUMNS):
                for j in range(0, min(columns, i + COLUMNS + diagonal), ROWS):
                    keys, block = (j * head_dim, head_dim, 1), (j * LINE + i, LINE)
                    outer_products(head_dim, kt, keys, qt, (i, LINE), scores, block, False)
            if mask[0] != NO_MASK:
                _mask_keys(mask, b, h, start, rows, key, columns, scores)
            _online_softmax(scores, columns, round_up(rows, LANES), diagonal, m, l, shift, shrink)
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
                    outer_products(depth, scores, (i, 1, LINE), vt, (d, padded), o, (i * padded + d, padded), key > 0)
        for i in range(rows):
            _finish(span(o, i * padded, value_dim), l[i], row(out, (b, h, start + i)))
            lse[b, h, start + i] = m[i] + np.log(l[i]) if l[i] != 0 else -INF


@inline
def _online_softmax(scores, columns, lanes, diagonal, m, l, shift, shrink):
    """Turn scores (keys, queries) into e^(s - m') and bring m and l up to date; shrink is e^(m - m').

    scores    key j's scores are the line from element j * LINE on; in place
    columns   how many keys there are; lanes, how many queries, a multiple of LANES
    diagonal  query i sees the keys j <= i + diagonal. The others count as -inf, and are written only in the block
              of LANES queries that key j's first query, j - diagonal, is in: nobody reads the blocks before it
    m, l      each query's maximum and sum so far, -inf and 0 if it has seen nothing
    shift     what was taken off the scores: m', and 0 while that is -inf
    """
    for i in range(lanes):
        shrink[i] = m[i]
    for j in range(columns):
        first = block_of(j - diagonal, LANES)
        line = span(scores, j * LINE + first, lanes - first)
        for i in range(min(j - diagonal - first, line.size)):  # the queries that do not see this key
            line[i] = -INF
        _raise_maximum(line, span(m, first, line.size))
    for i in range(lanes):
        # While a query has seen nothing its maximum is -inf, and -inf - -inf would be NaN.
        shift[i] = simd.select(m[i] == -INF, ZERO, m[i])
        shrink[i] = simd.exp(shrink[i] - shift[i])
        l[i] *= shrink[i]
    for j in range(columns):
        first = block_of(j - diagonal, LANES)
        line = span(scores, j * LINE + first, lanes - first)
        _exponentiate(line, span(shift, first, line.size))
        _add(line, span(l, first, line.size))


# One array changed, one read, a number of elements that is a multiple of LANES: the shape of loop
# that LLVM turns into vectors without a scalar remainder.


@inline
def _raise_maximum(s, m):
    for i in range(s.size & -LANES):
        m[i] = simd.maximum(m[i], s[i])


@inline
def _exponentiate(s, shift):
    for i in range(s.size & -LANES):
        s[i] = simd.exp(s[i] - shift[i])


@inline
def _add(s, l):
    for i in range(s.size & -LANES):
        l[i] += s[i]


@inline
def _mask_keys(mask, b, h, start, rows, key, columns, scores):
    """Apply the mask to scores (keys, queries)."""
    if mask[1].strides[2] == 0 and mask[2].strides[2] == 0:  # the same for all queries: padding
        for j in range(columns):
            line = span(scores, j * LINE, rows)
            if mask[0] == ALLOWED and not mask[1][b, h, start, key + j]:
                _fill(line, -INF)
            elif mask[0] == BIAS:
                _add_to_all(line, mask[2][b, h, start, key + j])
        return
    for i in range(rows):
        for j in range(columns):
            scores[j, i] = masked(scores[j, i], mask, b, h, start + i, key + j)


@inline
def _fill(x, value):
    for i in range(x.size):
        x[i] = value


@inline
def _add_to_all(x, value):
    for i in range(x.size):
        x[i] += value


@inline
def _drop_keys(scores, columns, rows, first, stride, dropping):
    """Dropout of probabilities (keys, queries); number first + i * stride + j is at [j, i]."""
    for j in range(columns):
        line = span(scores, j * LINE, rows)
        for i in range(rows):
            line[i] *= drop(first + i * stride + j, dropping)


@inline
def _finish(o, l, out):
    """out = o / l, and 0 for a query that saw nothing (whose o may never have been written)."""
    if l == 0:
        clear(out)
    else:
        inverse = ONE / l
        for d in range(o.size):
            out[d] = o[d] * inverse


@inline
def _few_queries(worker, workers, problem, out, lse):
    """The same for every workers-th single query, in two passes over the keys as they lie in memory."""
    q, k, v, mask, offset, scale, dropping = problem
    batch, heads, query_time, _ = q.shape
    key_time = k.shape[2]
    group = heads // max(k.shape[1], 1)
    line, query = np.empty(key_time, np.float32), np.empty(q.shape[3], np.float32)
    for task in range(worker, batch * heads * query_time, workers):
        b, h, i = task // query_time // heads, task // query_time % heads, task % query_time
        visible = max(0, min(key_time, i + 1 + offset))
        clear(query)
        _add_scaled(row(q, (b, h, i)), scale, query)
        m, l = -INF, ZERO
        for j in range(visible):
            line[j] = dot(query, row(k, (b, h // group, j)))
            if mask[0] != NO_MASK:
                line[j] = masked(line[j], mask, b, h, i, j)
        for j in range(visible):
            m = simd.maximum(m, line[j])
        shift = ZERO if m == -INF else m
        for j in range(visible):
            line[j] = simd.exp(line[j] - shift)
            l += line[j]
        if dropping[0]:
            first = ((b * heads + h) * query_time + i) * key_time
            for j in range(visible):
                line[j] *= drop(first + j, dropping)
        result = row(out, (b, h, i))
        clear(result)
        for j in range(visible):
            _add_scaled(row(v, (b, h // group, j)), line[j], result)
        _finish(result, l, result)
        lse[b, h, i] = m + np.log(l) if l != 0 else -INF


@inline
def _add_scaled(x, factor, y):
    for i in range(x.size):
        y[i] += x[i] * factor
