"""Attention in CUDA C: which kernel serves which problem, and the struct Problem that describes it to all of them.

float32 of any head_dim up to 128 goes to attention.cu; float16 and bfloat16, whose head_dim is a multiple of 8, to
attention_half.cu's tensor cores; a few queries with many keys to attention_decode.cu.
"""

import numpy as np

from minigrad.devices import array_module
from minigrad.kernels.cuda.dropout import DROPOUT, dropout_argument
from minigrad.kernels.cuda.loader import empty, load
from minigrad.kernels.reference import attention as reference

THREADS, QUERIES, KEYS = 128, 64, 32  # of a block in attention.cu
SCORES = KEYS + 4  # numbers of a row of scores in shared memory
DECODING = 4, 256  # at most so many queries, at least so many keys
WARPS, SPLITS, KEYS_A_SPLIT = 4, 2048, 32  # a block's warps; a device's; the fewest keys of one

_STRIDES = [("batch", "i8"), ("head", "i8"), ("time", "i8")]
PROBLEM = np.dtype(
    [
        *((name, "i4") for name in ("heads", "group", "query_time", "key_time", "head_dim", "value_dim")),
        ("causal_offset", "i4"),
        ("scale", "f4"),
        *((name, _STRIDES) for name in ("q", "k", "v", "out", "grad", "dq", "dk", "dv")),
        ("mask", "i8", 4),
        ("dropout", DROPOUT),
    ],
    align=True,
)  # in attention.cuh


def attention(q, k, v, mask, causal_offset, scale, dropout_p, seed):
    reference.check_shapes(q, k, v)
    batch, heads, query_time, _ = q.shape
    key_time, value_dim = v.shape[2:]
    q, k, v = _rows_together(q), _rows_together(k), _rows_together(v)
    out = _heads_inside_time(batch, heads, query_time, value_dim, like=q)
    lse = empty((batch, heads, query_time), like=q)
    arrays = {"q": q, "k": k, "v": v, "out": out}
    problem, masks = _problem(arrays, mask, causal_offset, scale, dropout_p, seed)
    few, many = DECODING
    if lse.size and query_time <= few and key_time >= many:
        _decode(problem, q, k, v, masks, out, lse)
    elif lse.size:
        width = _width(q, v)
        shared = 4 * ((QUERIES + KEYS) * (width + 4) + QUERIES * SCORES)
        grid = batch * heads, -(-query_time // QUERIES)
        arguments = (problem, q, k, v, *masks, out, lse)
        load("attention.cu", {"HEAD_DIM": width}).launch("attention_tiled", grid, THREADS, arguments, shared)
    return out, lse


def attention_backward(grad, q, k, v, out, lse, mask, causal_offset, scale, dropout_p, seed):
    reference.check_shapes(q, k, v)
    batch, heads, query_time, head_dim = q.shape
    kv_heads, key_time, value_dim = v.shape[1:]
    grad, q, k, v, out = map(_rows_together, (grad, q, k, v, out))
    lse = array_module(lse).ascontiguousarray(lse)
    dq = _heads_inside_time(batch, heads, query_time, head_dim, like=q)
    dk = _heads_inside_time(batch, kv_heads, key_time, head_dim, like=q)
    dv = _heads_inside_time(batch, kv_heads, key_time, value_dim, like=q)
    arrays = {"q": q, "k": k, "v": v, "out": out, "grad": grad, "dq": dq, "dk": dk, "dv": dv}
    problem, masks = _problem(arrays, mask, causal_offset, scale, dropout_p, seed)

    width = _width(q, v)
    module, delta = load("attention.cu", {"HEAD_DIM": width}), empty(lse.shape, like=lse)
    if lse.size:
        arguments = (problem, grad, out, delta, np.int32(lse.size))
        module.launch("attention_delta", -(-lse.size // WARPS), THREADS, arguments)
    queries = 16 if width > 96 else 32
    shared = 4 * (2 * (queries + KEYS) * (width + 4) + 2 * queries * SCORES)
    inputs = (problem, grad, q, k, v, lse, delta, *masks)
    if batch * kv_heads * key_time:
        grid = batch * kv_heads, -(-key_time // KEYS)
        module.launch("attention_dkdv", grid, THREADS, (*inputs, dk, dv), shared)
    if lse.size:
        grid = batch * heads, -(-query_time // queries)
        module.launch("attention_dq", grid, THREADS, (*inputs, dq), shared)
    return dq, dk, dv


def _decode(problem, q, k, v, masks, out, lse):
    """Every query's keys are split among as many warps as fill a GPU, the same number in every run."""
    key_time, width = k.shape[2], _width(q, v)
    count = max(1, min(-(-key_time // KEYS_A_SPLIT), SPLITS // lse.size))
    parts = empty((lse.size, count, width + 2), like=lse)
    module = load("attention_decode.cu", {"HEAD_DIM": width, "NUMBER": "float"})
    grid = lse.size, -(-count // WARPS)
    module.launch("attention_parts", grid, 32 * WARPS, (problem, q, k, v, *masks, parts, np.int32(count)))
    arguments = (problem, parts, out, lse, np.int32(lse.size), np.int32(count))
    module.launch("attention_join", -(-lse.size // WARPS), 32 * WARPS, arguments)


def _problem(arrays: dict, mask, causal_offset, scale, dropout_p, seed):
    """(the struct Problem, (the bool mask as bytes or None, the float mask or None))."""
    q, k, v = arrays["q"], arrays["k"], arrays["v"]
    heads, query_time, key_time = q.shape[1], q.shape[2], k.shape[2]
    problem = np.zeros((), PROBLEM)
    sizes = (heads, heads // max(k.shape[1], 1), query_time, key_time, q.shape[3], v.shape[3])
    for name, size in zip(PROBLEM.names, sizes, strict=False):
        problem[name] = size
    # Beyond these every offset means the same: all keys, or none.
    problem["causal_offset"] = key_time if causal_offset is None else max(-query_time, min(causal_offset, key_time))
    problem["scale"] = scale
    for name, array in arrays.items():
        problem[name] = tuple(stride // array.itemsize for stride in array.strides[:3])
    problem["dropout"] = dropout_argument(dropout_p, seed)
    if mask is None:
        return problem[()], (None, None)
    is_bool = mask.dtype == bool
    mask = mask.view(np.uint8) if is_bool else mask.astype(np.float32, copy=False)
    mask = array_module(mask).broadcast_to(mask, (*q.shape[:3], key_time))
    problem["mask"] = [stride // mask.itemsize for stride in mask.strides]
    return problem[()], ((mask, None) if is_bool else (None, mask))


def _rows_together(x):
    """x, copied if the numbers of a row do not lie side by side."""
    return x if x.strides[3] == x.itemsize else array_module(x).ascontiguousarray(x)


def _heads_inside_time(batch: int, heads: int, time: int, dim: int, like):
    """A new array (batch, heads, time, dim) that lies in memory as (batch, time, heads, dim)."""
    return empty((batch, time, heads, dim), like=like, dtype=like.dtype).swapaxes(1, 2)


def _width(q, v) -> int:
    """The row length that kernels are compiled for: the next multiple of 32."""
    return -(-max(q.shape[3], v.shape[3], 1) // 32) * 32
