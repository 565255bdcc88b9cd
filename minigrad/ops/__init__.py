"""The differentiable operations, one family a file.

Every function takes arrays or Tensors: on Tensors it records itself for gradients,
on plain arrays it just computes.
"""

from minigrad.ops.activation import (
    activate, elu, erf, gelu, leaky_relu, log_softmax, relu, sigmoid, silu, softmax, softplus, tanh,
)
from minigrad.ops.attention import dropout, scaled_dot_product_attention
from minigrad.ops.elementwise import (
    abs_ as abs, add, astype, ceil, clamp, clone, cos, div, eq, exp, expm1, floor, floor_divide, ge, gt, isfinite, isinf,
    isnan, le, log, log1p, logical_and, logical_not, logical_or, lt, masked_fill, maximum, minimum, mul, ne, neg, pow,
    reciprocal, remainder, round, rsqrt, sign, sin, sqrt, square, sub, where,
)
from minigrad.ops.embedding import embedding
from minigrad.ops.index import gather, getitem, index_select, nonzero, scatter_add, setitem, sort, topk
from minigrad.ops.linalg import einsum, linear, matmul
from minigrad.ops.loss import cross_entropy
from minigrad.ops.normalization import layer_norm, rms_norm
from minigrad.ops.reduce import (
    all_ as all, amax, amin, any_ as any, argmax, argmin, cumsum, logsumexp, max, mean, min, norm, prod, std, sum, var,
)
from minigrad.ops.shape import (
    broadcast_to, cat, chunk, contiguous, expand, flatten, flip, one_hot, permute, repeat, reshape, split, squeeze,
    stack, swapaxes, transpose, tril, triu, unbind, unsqueeze,
)

__all__ = [
    "abs", "activate", "add", "all", "amax", "amin", "any", "argmax", "argmin", "astype", "broadcast_to", "cat", "ceil",
    "chunk", "clamp", "clone", "contiguous", "cos", "cross_entropy", "cumsum", "div", "dropout", "einsum", "elu",
    "embedding", "eq", "erf", "exp", "expand", "expm1", "flatten", "flip", "floor", "floor_divide", "gather", "ge",
    "gelu", "getitem", "gt", "index_select", "isfinite", "isinf", "isnan", "layer_norm", "le", "leaky_relu", "linear",
    "log", "log1p", "log_softmax", "logical_and", "logical_not", "logical_or", "logsumexp", "lt", "masked_fill",
    "matmul", "max", "maximum", "mean", "min", "minimum", "mul", "ne", "neg", "nonzero", "norm", "one_hot", "permute",
    "pow", "prod", "reciprocal", "relu", "remainder", "repeat", "reshape", "rms_norm", "round", "rsqrt",
    "scaled_dot_product_attention", "scatter_add", "setitem", "sigmoid", "sign", "silu", "sin", "softmax", "softplus",
    "sort", "split", "sqrt", "square", "squeeze", "stack", "std", "sub", "sum", "swapaxes", "tanh", "topk", "transpose",
    "tril", "triu", "unbind", "unsqueeze", "var", "where",
]
