"""Faults for test_planted_faults.py: rows, elements, tables and optimisers."""

import numpy as np

from minigrad.kernels.reference.optimizer import AdamOptions


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


X, WEIGHT, BIAS = 3 + normal(37, 72), normal(72, seed=1), normal(72, seed=2)
MEAN, RSTD = X.mean(1), 1 / X.std(1)
NORM = ("layer_norm", X, WEIGHT, BIAS, 1e-5)
NORM_BACKWARD = ("layer_norm_backward", normal(37, 72, seed=3), X, WEIGHT, MEAN, RSTD)
ODD_BACKWARD = ("layer_norm_backward", normal(37, 33, seed=3), normal(37, 33), normal(33), MEAN, RSTD)
LONG = ("layer_norm", 3 + normal(2, 1025), None, None, 1e-5)
IDS = np.array([3, 1, 3, 3, 0, 3, 2, 3, 3, 1, 4, 3])
EMBEDDING = ("embedding", normal(5, 7), IDS)
EMBEDDING_BACKWARD = ("embedding_backward", normal(12, 7), IDS, np.zeros((5, 7), np.float32), 2)
LISTS = [[normal(3, seed=s), normal(9000, seed=s), normal(4, 5, seed=s)] for s in range(3)]
ADAMW = ("adamw", *LISTS, [abs(x) for x in LISTS[0]], 3, 0.1, AdamOptions(0.9, 0.99, 1e-8, 0.1, True))

# what is wrong, file, the text, what is planted instead, a call that must notice
FAULTS = [
    ("the mean not taken off", "normalization.cu", "v[k] = v[k] - mu;", "", NORM),
    ("half of a row's squares", "normalization.cu", "warp_reduce<Sum>(squares)", "warp_reduce<Sum, 16>(squares)",
     NORM),
    ("no bias", "normalization.cu", "if (bias) h = h + load4(bias + j);", "", NORM),
    ("a tail one too long in a long row", "normalization.cu", "j < n; j += blockDim.x) y[j]",
     "j <= n; j += blockDim.x) y[j]", LONG),
    ("the variance of the next row's start", "normalization.cu", "j < n; j += blockDim.x) squares",
     "j <= n; j += blockDim.x) squares", LONG),
    ("a term of dx missing", "normalization.cu", "g[k] - mean_g + h[k] * -mean_gh", "g[k] - mean_g", NORM_BACKWARD),
    ("one warp's column sums", "normalization.cu", "w ? load4(sums + j) + dweight[k] : dweight[k]", "dweight[k]",
     NORM_BACKWARD),
    ("warps that add up at once", "normalization.cu", "        __syncthreads();\n    }\n    parts +=",
     "    }\n    __syncthreads();\n    parts +=", NORM_BACKWARD),
    ("one block's column sums", "normalization.cu", "i < count; i += 8", "i < 1; i += 8", NORM_BACKWARD),
    ("rows past the end", "normalization.cu", "last = min(rows, first + each)", "last = first + each", ODD_BACKWARD),
    ("a missing barrier between columns", "normalization.cu",
     "biases[threadIdx.y][threadIdx.x] = dbias;\n    __syncthreads();",
     "biases[threadIdx.y][threadIdx.x] = dbias;", ODD_BACKWARD),
    ("a tail left out", "activation.cu", "for (; i < n; i++) y[i]", "for (; i < n - 1; i++) y[i]",
     ("silu", normal(1027))),
    ("a slope missing", "activation.cuh", "grad * (p + x * slope)", "grad * p",
     ("gelu_backward", normal(50), normal(50, seed=1), "tanh")),
    ("a tail one too long", "dropout.cu", "for (; i < n; i++)", "for (; i <= n; i++)",
     ("dropout", normal(1027), 0.9, 5)),
    ("neighbours dropped together", "dropout.cu", "dropout.apply(v.y, i + 1)", "dropout.apply(v.y, i)",
     ("dropout", normal(1000), 0.3, 5)),
    ("what is kept not enlarged", "dropout.cuh", "x * factor : 0", "x : 0", ("dropout", normal(1000), 0.3, 5)),
    ("a column too many", "embedding.cu", "if (column + 3 < dim) row[column + 3]",
     "if (column < dim) row[column + 3]",
     EMBEDDING),
    ("a wrong row", "embedding.cu", "weight += (known ? id : 0) * dim", "weight += token * dim", EMBEDDING),
    ("four of many tokens", "embedding.cu", "while (same)", "if (same)", EMBEDDING_BACKWARD),
    ("the padding's gradient", "embedding.cu", "id == padding_idx || ", "", EMBEDDING_BACKWARD),
    ("every token adds up", "embedding.cu", " || first[id] != token", "", EMBEDDING_BACKWARD),
    ("a chunk one too long", "optimizer.cu", "rest < CHUNK ? rest : CHUNK", "rest < CHUNK ? rest + 1 : CHUNK",
     ("grad_norm", LISTS[0])),
    ("the first chunk again", "optimizer.cu", ") * CHUNK, rest =", ") * 0, rest =", ADAMW),
    ("the array before", "optimizer.cu", "if (table.first[middle] <=", "if (table.first[middle] <", ADAMW),
    ("no bias correction", "optimizer.cu", "sqrtf(v) * correction", "sqrtf(v)", ADAMW),
    ("one warp's squares", "optimizer.cu", "i < warps; i++) x += shared[i]", "i < 1; i++) x += shared[i]",
     ("grad_norm", LISTS[0])),
]  # fmt: skip
