"""Attention in CUDA C: which kernel serves which problem, and the struct Problem that describes it to all of them.

float32 of any head_dim up to 128 goes to attention.cu; float16 and bfloat16, whose head_dim is a multiple of 8, to
attention_half.cu's tensor cores; a few queries with many keys to attention_decode.cu.
"""

from dataclasses import dataclass

import numpy as np

from minigrad.devices import array_module
from minigrad.kernels.cuda.cast import NUMBERS
from minigrad.kernels.cuda.dropout import DROPOUT, dropout_arguments
from minigrad.kernels.cuda.loader import Module, address, empty, load
from minigrad.kernels.reference import attention as reference

THREADS, WARPS = 128, 4
DECODING = 4, 256  # at most this many queries, at least this many keys
SPLITS, KEYS_A_SPLIT = 2048, 32  # the warps that fill a GPU; the fewest keys of one
HALF_WIDTHS = (32, 64, 80, 96, 128)

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


def attention(q, k, v, mask, settings):
    reference.check_shapes(q, k, v)
    batch, heads, query_time, _ = q.shape
    q, k, v = map(_laid_out, (q, k, v))
    out = _heads_inside_time(batch, heads, query_time, v.shape[3], like=q)
    lse = empty((batch, heads, query_time), like=q)
    arrays = {"q": q, "k": k, "v": v, "out": out}
    problem, masks = _problem(arrays, mask, settings)
    few, many = DECODING
    if not lse.size:
        return out, lse
    if query_time <= few and k.shape[2] >= many:
        _decode(problem, q, k, v, masks, out, lse)
        return out, lse
    tiles = _tiles(q, v)
    grid = batch * heads, -(-query_time // tiles.queries)
    arguments = (problem, q, k, v, *masks, out, lse)
    tiles.module.launch(tiles.forward, grid, THREADS, arguments, tiles.forward_bytes)
    return out, lse


def attention_backward(grad, q, k, v, out, lse, mask, settings):
    reference.check_shapes(q, k, v)
    batch, heads, query_time, head_dim = q.shape
    kv_heads, key_time, value_dim = v.shape[1:]
    grad, q, k, v, out = map(_laid_out, (grad, q, k, v, out))
    lse = array_module(lse).ascontiguousarray(lse)
    dq = _heads_inside_time(batch, heads, query_time, head_dim, like=q)
    dk = _heads_inside_time(batch, kv_heads, key_time, head_dim, like=q)
    dv = _heads_inside_time(batch, kv_heads, key_time, value_dim, like=q)
    arrays = {"q": q, "k": k, "v": v, "out": out, "grad": grad, "dq": dq, "dk": dk, "dv": dv}
    problem, masks = _problem(arrays, mask, settings)

    tiles, delta = _tiles(q, v), empty(lse.shape, like=lse)
    inputs = (problem, grad, q, k, v, lse, delta, *masks)
    if lse.size:
        arguments = (problem, grad, out, delta, np.int32(lse.size))
        tiles.module.launch("attention_delta", -(-lse.size // WARPS), THREADS, arguments)
        grid = batch * heads, -(-query_time // tiles.backward_queries)
        tiles.module.launch("attention_dq", grid, THREADS, (*inputs, dq), tiles.backward_bytes)
    if batch * kv_heads * key_time:
        grid = batch * kv_heads, -(-key_time // tiles.backward_keys)
        tiles.module.launch("attention_dkdv", grid, THREADS, (*inputs, dk, dv), tiles.backward_bytes)
    return dq, dk, dv


@dataclass
class Tiles:
    """A file's kernels for one head size, the rows that a block of each owns, and its dynamic shared memory."""

    module: Module
    forward: str
    queries: int
    forward_bytes: int
    backward_queries: int
    backward_keys: int
    backward_bytes: int


def _tiles(q, v) -> Tiles:
    largest = max(q.shape[3], v.shape[3])
    number = NUMBERS[q.dtype.name]
    if number == "float":
        width, scores = _multiple_of_32(largest), 36  # numbers in a row of scores
        queries, keys = 16 if width > 96 else 32, 32
        module = load("attention.cu", {"HEAD_DIM": width})
        forward = 4 * ((64 + keys) * (width + 4) + 64 * scores)
        backward = 4 * (2 * (queries + keys) * (width + 4) + 2 * queries * scores)
        return Tiles(module, "attention_tiled", 64, forward, queries, keys, backward)
    width = min(w for w in HALF_WIDTHS if w >= largest)
    passing = 32 if width > 64 else 64
    module = load("attention_half.cu", {"HEAD_DIM": width, "NUMBER": number})
    forward = 2 * 3 * 64 * (width + 8)
    backward = 2 * (2 * 64 + 4 * passing) * (width + 8) + 4 * 4 * passing
    return Tiles(module, "attention_mma", 64, forward, 64, 64, backward)


def _decode(problem, q, k, v, masks, out, lse):
    """Every query's keys are split among as many warps as fill a GPU, the same number in every run."""
    key_time, width = k.shape[2], _multiple_of_32(max(q.shape[3], v.shape[3]))
    count = max(1, min(-(-key_time // KEYS_A_SPLIT), SPLITS // lse.size))
    parts = empty((lse.size, count, width + 2), like=lse)
    module = load("attention_decode.cu", {"HEAD_DIM": width, "NUMBER": NUMBERS[q.dtype.name]})
    grid = lse.size, -(-count // WARPS)
    module.launch("attention_parts", grid, 32 * WARPS, (problem, q, k, v, *masks, parts, np.int32(count)))
    arguments = (problem, parts, out, lse, np.int32(lse.size), np.int32(count))
    module.launch("attention_join", -(-lse.size // WARPS), 32 * WARPS, arguments)


def _problem(arrays: dict, mask, settings):
    """(the struct Problem, (the bool mask as bytes, the float mask, the seed in memory), each of them or None)."""
    causal_offset, scale, dropout_p, seed = settings
    q, k, v = arrays["q"], arrays["k"], arrays["v"]
    heads, query_time, key_time = q.shape[1], q.shape[2], k.shape[2]
    problem = np.zeros((), PROBLEM)
    sizes = (heads, heads // max(k.shape[1], 1), query_time, key_time, q.shape[3], v.shape[3])
    for name, size in zip(PROBLEM.names or (), sizes, strict=False):
        problem[name] = size
    # Beyond these every offset means the same: all keys, or none.
    problem["causal_offset"] = key_time if causal_offset is None else max(-query_time, min(causal_offset, key_time))
    problem["scale"] = scale
    for name, array in arrays.items():
        problem[name] = tuple(stride // array.itemsize for stride in array.strides[:3])
    problem["dropout"], seed = dropout_arguments(dropout_p, seed)
    if mask is None:
        return problem[()], (None, None, seed)
    is_bool = mask.dtype == bool
    mask = mask.view(np.uint8) if is_bool else mask.astype(np.float32, copy=False)
    mask = array_module(mask).broadcast_to(mask, (*q.shape[:3], key_time))
    problem["mask"] = [stride // mask.itemsize for stride in mask.strides]
    return problem[()], ((mask, None, seed) if is_bool else (None, mask, seed))


def _laid_out(x):
    """x, copied unless the numbers of a row lie side by side and half precision can be read 16 bytes at a time."""
    fits = x.strides[3] == x.itemsize
    if x.itemsize == 2:
        fits = fits and address(x) % 16 == 0 and all(stride % 16 == 0 for stride in x.strides[:3])
    return x if fits else array_module(x).ascontiguousarray(x)


def _heads_inside_time(batch: int, heads: int, time: int, dim: int, like):
    """A new array (batch, heads, time, dim) that lies in memory as (batch, time, heads, dim)."""
    return empty((batch, time, heads, dim), like=like, dtype=like.dtype).swapaxes(1, 2)


def _multiple_of_32(size: int) -> int:
    return max(1, -(-size // 32)) * 32
