"""Conversion between float32, float16 and bfloat16 in CUDA C."""

import numpy as np

from minigrad.dtypes import as_dtype
from minigrad.kernels.cuda.activation import THREADS, elementwise_blocks
from minigrad.kernels.cuda.loader import empty, load, prepared

NUMBERS = {"float32": "float", "float16": "fp16", "bfloat16": "bf16"}  # numpy's names and the kernels'


def cast(x, dtype):
    dtype = as_dtype(dtype)
    y = empty(x.shape, like=x, dtype=dtype)
    if y.size:
        defines = {"FROM": NUMBERS[x.dtype.name], "TO": NUMBERS[dtype.name]}
        arguments = (prepared(x, x.dtype), y, np.int64(y.size))
        load("cast.cu", defines).launch("cast", elementwise_blocks(y.size), THREADS, arguments)
    return y
