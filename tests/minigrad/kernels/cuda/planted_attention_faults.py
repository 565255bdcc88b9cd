"""Faults for test_planted_faults.py: attention in float32, in half precision, and with split keys."""

import numpy as np

from minigrad.kernels.reference import attention as reference
from minigrad.kernels.reference.attention import AttentionSettings
from tests.minigrad.kernels.test_attention import inputs

# Two tiles of queries and three of keys, two heads to a key head, and a mask that hides a whole row.
Q, K, V, GRAD = inputs(1, 2, 1, 70, 80, 16, 16)
MASK = np.random.default_rng(0).random((70, 80)) < 0.8
MASK[5] = False
UNMASKED = AttentionSettings(None, 0.3, 0.0, 0)
PLAIN = ("attention", Q, K, V, None, UNMASKED)
CAUSAL = ("attention", Q, K, V, None, AttentionSettings(10, 0.3, 0.0, 0))
MASKED = ("attention", Q, K, V, MASK, AttentionSettings(None, 0.3, 0.1, 7))
BACKWARD, MASKED_BACKWARD = (
    ("attention_backward", GRAD, *case[1:4], *reference.attention(*case[1:]), *case[4:]) for case in (CAUSAL, MASKED)
)


def halved(case):
    return tuple(x.astype(np.float16) if isinstance(x, np.ndarray) and x.ndim == 4 else x for x in case)


HALF, HALF_MASKED, HALF_BACKWARD = halved(CAUSAL), halved(MASKED), halved(BACKWARD)
DECODING = ("attention", *inputs(1, 2, 1, 1, 300, 32, 32)[:3], None, UNMASKED)

# what is wrong, file, the text, what is planted instead, a call that must notice
FAULTS = [
    ("an unscaled score", "attention.cuh", "product * p.scale", "product", PLAIN),
    ("a missing causal mask", "attention.cuh", " || j > i + p.causal_offset", "", CAUSAL),
    ("a causal mask one too wide", "attention.cuh", "j > i + p.causal_offset", "j > i + p.causal_offset + 1", CAUSAL),
    ("a missing mask", "attention.cuh", "allowed && !allowed[here] ? -INFINITY : s", "s", MASKED),
    ("keys past the end", "attention.cuh", "j >= p.key_time || ", "", ("attention", Q, K[:, :, :70], V[:, :, :70],
     None, UNMASKED)),
    ("a wrong stride of the mask", "attention.cuh", "i * p.mask[2] + j * p.mask[3]", "i * p.mask[3] + j", MASKED),
    ("dropout by a row's own index", "attention.cuh", "(rows + i) * static", "i * static", MASKED),
    ("a row that sees nothing sees all", "attention.cuh", "return lse == -INFINITY ? INFINITY : lse", "return lse",
     MASKED_BACKWARD),
    ("one key head for all", "attention.cuh", "kv_head(head / p.group)", "kv_head(head)", PLAIN),
    ("values take the keys' place too early", "attention.cu",
     "        __syncthreads();  // before the values take the keys' place\n", "", PLAIN),
    ("the next keys come too early", "attention.cu", "        __syncthreads();  // before the next keys come\n",
     "", PLAIN),
    ("half of a row's maximum", "attention.cu", "warp_reduce<Max, 8>", "warp_reduce<Max, 4>", PLAIN),
    ("half of a row's sum", "attention.cu", "warp_reduce<Sum, 8>", "warp_reduce<Sum, 4>", PLAIN),
    ("old sums not rescaled", "attention.cu", "sum[r] = sum[r] * factor +", "sum[r] = sum[r] +", PLAIN),
    ("old results not rescaled", "attention.cu", "result[r][m].x * factor", "result[r][m].x", PLAIN),
    ("a tile of keys too few", "attention.cu", "start < end; start += KEYS) {\n        int rest",
     "start < end - KEYS; start += KEYS) {\n        int rest", PLAIN),
    ("dP without delta", "attention.cu", " - row_delta) * p.scale", ") * p.scale", BACKWARD),
    ("an unscaled gradient", "attention.cu", " - row_delta) * p.scale", " - row_delta)", BACKWARD),
    ("one query head of the group", "attention.cu", "g < p.group", "g < 1", BACKWARD),
    ("causal queries left out", "attention.cu", "max(0, start - p.causal_offset)", "max(0, start + KEYS - "
     "p.causal_offset)", BACKWARD),
    ("the next queries come too early", "attention.cu", "            __syncthreads();  // before the next queries\n",
     "", BACKWARD),
    ("keys not waited for", "attention_half.cu", "cp_async_wait<1>();\n        __syncthreads();  // the keys are here",
     "cp_async_wait<2>();\n        __syncthreads();", HALF),
    ("values not waited for", "attention_half.cu",
     "cp_async_wait<1>();\n        __syncthreads();  // the values are here",
     "cp_async_wait<2>();\n        __syncthreads();", HALF),
    ("a missing barrier after the wait", "attention_half.cu", "        __syncthreads();  // the keys are here\n", "",
     HALF),
    ("half of the lanes of a row", "attention_half.cu", "warp_reduce<Sum, 4>", "warp_reduce<Sum, 2>", HALF),
    ("values not transposed", "attention_half.cu", "ldmatrix_x4_trans(", "ldmatrix_x4(", HALF),
    ("a logarithm to the base 2", "attention_half.cu", "* LN2", "", HALF),
    ("masked tiles taken for plain", "attention_half.cu", "!mask.allowed && ", "", HALF_MASKED),
    ("the boundary taken for plain", "attention_half.cu", "start + keys - 1 <= first + mask.p.causal_offset", "true",
     HALF),
    ("rows of the other half", "attention_half.cu", "row_lse[e / 2]", "row_lse[e % 2]", HALF_BACKWARD),
    ("the next tile comes too early", "attention_half.cu",
     "        __syncthreads();  // before the next tile takes its place\n", "", HALF_BACKWARD),
    ("the same stage twice", "attention_half.cu", "NUMBER *stage = stages + n % 2 * 2",
     "NUMBER *stage = stages + 0 * 2", HALF_BACKWARD),
    ("one part of the keys too few", "attention_decode.cu", "c < count; c++, parts", "c < count - 1; c++, parts",
     DECODING),
    ("a key too many in each part", "attention_decode.cu", "end = min(start + each, p.key_time)",
     "end = min(start + each + 1, p.key_time)", DECODING),
    ("parts not brought to one maximum", "attention_decode.cu", "expf(parts[HEAD_DIM] - offset)", "1", DECODING),
]  # fmt: skip
