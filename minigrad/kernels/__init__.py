"""The hot loops, each under one name with one signature and several homes.

reference/  array code: the definition, and the version for every dtype and device
cpu/        numba: float32 on the CPU
blas/       the products by the vendor's library: BLAS on the CPU, cuBLAS on a GPU
cuda/       CUDA C: on the GPU, or on any laptop through the emulator

Kernels take and return plain arrays. Each is defined by the function of its name in reference/, whose signature and
docstring are its own. Below stand its other implementations, in the order in which they are tried, each with the
conditions under which it is: conditions.py has those that are shared, dispatch.py says how they are asked.
"""

from math import prod

from minigrad.dtypes import as_dtype, is_half
from minigrad.kernels import reference
from minigrad.kernels.conditions import (
    FLOAT32,
    float32,
    float32_on_cpu,
    float32_on_gpu,
    float32_or_half,
    is_cupy,
    no_limit,
    on_cpu,
    on_gpu,
    one_precision,
)
from minigrad.kernels.dispatch import BACKENDS, Implementation, Kernel, KernelFallback, strict, use

SMALL = 2048  # elements up to which starting numba's threads costs more than they save
LARGEST_HEAD = 128  # head_dim of attention in CUDA C


def _numba(file: str, worth, supports=float32) -> Implementation:
    return Implementation("numba", f"cpu.{file}", worth, supports)


def _cuda(file: str, on_gpu=float32_on_gpu, on_cpu=float32_on_cpu, limit=no_limit) -> tuple[Implementation, ...]:
    """A kernel in CUDA C: on the GPU, and the same function in the emulator."""
    return (
        Implementation("cuda", f"cuda.{file}", supports=on_gpu, limit=limit),
        Implementation("emulator", f"cuda.{file}", supports=on_cpu, limit=limit),
    )


def _blas(file: str) -> tuple[Implementation, ...]:
    """The vendor's products, for every dtype."""
    return Implementation("blas", f"blas.{file}"), Implementation("cublas", f"blas.{file}")


# ---- products ------------------------------------------------------------------------------

SMALLEST_PRODUCT, LARGEST_PRODUCT = 1 << 18, 1 << 32  # multiply-adds for which our matmul is chosen


def _ours_is_as_fast(a, b) -> bool:
    """From a few thousand multiply-adds a call up to products so large that waking BLAS's threads is nothing.

    Between our kernels, a product on their own threads saves handing the cores over to BLAS's and back:
    a training step of a small GPT takes a quarter less time.
    """
    *batch, m, k = a.shape
    return SMALLEST_PRODUCT <= prod(batch) * m * k * b.shape[-1] <= LARGEST_PRODUCT


def _one_precision_on_gpu(*args) -> bool:
    return on_gpu(*args) and one_precision(*args)


def _one_precision_on_cpu(*args) -> bool:
    return on_cpu(*args) and one_precision(*args)


_cuda_product = {"on_gpu": _one_precision_on_gpu, "on_cpu": _one_precision_on_cpu}

matmul = Kernel(
    reference.matmul.matmul,
    _numba("matmul", worth=_ours_is_as_fast, supports=lambda a, b: a.dtype == b.dtype == FLOAT32),
    *_blas("matmul"),
    *_cuda("matmul", **_cuda_product),
)
linear = Kernel(
    reference.linear.linear,
    _numba("linear", worth=lambda x: x.size >= SMALL),
    *_blas("linear"),
    *_cuda("linear", **_cuda_product),
)
linear_backward = Kernel(
    reference.linear.linear_backward,
    _numba(
        "linear",
        worth=lambda grad: grad.size >= SMALL,
        supports=lambda grad, x, weight, pre: float32(grad, x, weight, pre),
    ),
    *_blas("linear"),
    *_cuda("linear", **_cuda_product),
)

# ---- along the last axis -------------------------------------------------------------------

softmax = Kernel(
    reference.softmax.softmax,
    _numba("softmax", worth=lambda x: x.size >= SMALL),
    *_cuda("softmax"),
)
softmax_backward = Kernel(
    reference.softmax.softmax_backward,
    _numba("softmax", worth=lambda y: y.size >= SMALL),
    *_cuda("softmax"),
)
log_softmax = Kernel(
    reference.softmax.log_softmax,
    _numba("softmax", worth=lambda x: x.size >= SMALL),
    *_cuda("softmax"),
)
log_softmax_backward = Kernel(
    reference.softmax.log_softmax_backward,
    _numba("softmax", worth=lambda y: y.size >= SMALL),
    *_cuda("softmax"),
)
cross_entropy = Kernel(
    reference.cross_entropy.cross_entropy,
    _numba("cross_entropy", worth=lambda logits: logits.size >= SMALL),
    *_cuda("cross_entropy"),
)
cross_entropy_backward = Kernel(
    reference.cross_entropy.cross_entropy_backward,
    _numba("cross_entropy", worth=lambda logits: logits.size >= SMALL),
    *_cuda("cross_entropy"),
)
layer_norm = Kernel(
    reference.normalization.layer_norm,
    _numba("normalization", worth=lambda x: x.size >= SMALL),
    *_cuda("normalization"),
)
layer_norm_backward = Kernel(
    reference.normalization.layer_norm_backward,
    _numba("normalization", worth=lambda x: x.size >= SMALL),
    *_cuda("normalization"),
)
rms_norm = Kernel(
    reference.normalization.rms_norm,
    _numba("normalization", worth=lambda x: x.size >= SMALL),
    *_cuda("normalization"),
)
rms_norm_backward = Kernel(
    reference.normalization.rms_norm_backward,
    _numba("normalization", worth=lambda x: x.size >= SMALL),
    *_cuda("normalization"),
)

# ---- element by element --------------------------------------------------------------------

gelu = Kernel(
    reference.activation.gelu,
    _numba("activation", worth=lambda x: x.size >= SMALL),
    *_cuda("activation"),
)
gelu_backward = Kernel(
    reference.activation.gelu_backward,
    _numba("activation", worth=lambda x: x.size >= SMALL),
    *_cuda("activation"),
)
silu = Kernel(
    reference.activation.silu,
    _numba("activation", worth=lambda x: x.size >= SMALL),
    *_cuda("activation"),
)
silu_backward = Kernel(
    reference.activation.silu_backward,
    _numba("activation", worth=lambda x: x.size >= SMALL),
    *_cuda("activation"),
)
dropout = Kernel(
    reference.dropout.dropout,
    _numba("dropout", worth=lambda x: x.size >= SMALL),
    *_cuda("dropout"),
    anywhere=("seed",),
)
cast = Kernel(
    reference.cast.cast,
    *_cuda(
        "cast",
        on_gpu=lambda x, dtype: on_gpu(x) and float32_or_half(x.dtype, as_dtype(dtype)),
        on_cpu=lambda x, dtype: on_cpu(x) and float32_or_half(x.dtype, as_dtype(dtype)),
    ),
)

# ---- convolution and lookup ----------------------------------------------------------------


def _plain(stride, dilation, groups) -> bool:
    """Windows of neighbouring steps, one at every step, and one group."""
    return stride == dilation == groups == 1


conv1d = Kernel(
    reference.convolution.conv1d,
    _numba(
        "convolution",
        worth=lambda x: x.size >= SMALL,
        supports=lambda x, weight, bias, stride, dilation, groups: (
            _plain(stride, dilation, groups) and float32(x, weight, bias)
        ),
    ),
)
conv1d_backward = Kernel(
    reference.convolution.conv1d_backward,
    _numba(
        "convolution",
        worth=lambda x: x.size >= SMALL,
        supports=lambda grad, x, weight, stride, dilation, groups: (
            _plain(stride, dilation, groups) and float32(grad, x, weight)
        ),
    ),
)
conv2d = Kernel(
    reference.convolution2d.conv2d,
    _numba("convolution2d", worth=lambda x: x.size >= SMALL),
)
conv2d_backward = Kernel(
    reference.convolution2d.conv2d_backward,
    _numba("convolution2d", worth=lambda grad: grad.size >= SMALL),
)
conv1d_max = Kernel(
    reference.convolution_max.conv1d_max,
    _numba("convolution_max", worth=lambda x: x.size >= SMALL),
)
conv1d_max_backward = Kernel(
    reference.convolution_max.conv1d_max_backward,
    _numba("convolution_max", worth=lambda x: x.size >= SMALL),
)
max_pool2d = Kernel(
    reference.pooling2d.max_pool2d,
    _numba("pooling2d", worth=lambda x: x.size >= SMALL),
)
max_pool2d_backward = Kernel(
    reference.pooling2d.max_pool2d_backward,
    _numba("pooling2d", worth=lambda grad: grad.size >= SMALL),
)
embedding = Kernel(
    reference.embedding.embedding,
    _numba("embedding", worth=lambda weight, ids: ids.size * weight.shape[-1] >= SMALL),  # however large the table
    *_cuda("embedding"),
)
embedding_backward = Kernel(
    reference.embedding.embedding_backward,
    _numba("embedding", worth=lambda grad: grad.size >= SMALL),
    *_cuda("embedding"),
)

# ---- attention -----------------------------------------------------------------------------


def _head_limit(q, v) -> str | None:
    """Why our attention in CUDA C cannot take these."""
    largest = max(q.shape[-1], v.shape[-1])
    if largest > LARGEST_HEAD:
        return f"head_dim {largest}: our kernels take up to {LARGEST_HEAD}"
    if is_half(q.dtype) and (q.shape[-1] % 8 or v.shape[-1] % 8 or not largest):
        return f"head_dim {q.shape[-1]} in {q.dtype}: our kernels take multiples of 8 in half precision"
    return None


attention = Kernel(
    reference.attention.attention,
    _numba("attention", worth=lambda k: k.size >= SMALL),
    *_cuda(
        "attention",
        on_gpu=lambda q, k, v, mask: on_gpu(q, k, v, mask) and one_precision(q, k, v),
        on_cpu=lambda q, k, v, mask: on_cpu(q, k, v, mask) and one_precision(q, k, v),
        limit=_head_limit,
    ),
    anywhere=("settings",),
)
attention_backward = Kernel(
    reference.attention.attention_backward,
    _numba("attention", worth=lambda k: k.size >= SMALL),
    *_cuda(
        "attention",
        on_gpu=lambda grad, q, k, v, out, lse, mask: (
            on_gpu(grad, q, k, v, out, lse, mask) and one_precision(grad, q, k, v, out)
        ),
        on_cpu=lambda grad, q, k, v, out, lse, mask: (
            on_cpu(grad, q, k, v, out, lse, mask) and one_precision(grad, q, k, v, out)
        ),
        limit=_head_limit,
    ),
    anywhere=("settings",),
)

# ---- recurrent cells -----------------------------------------------------------------------

# Worth it from three steps on, because the recurrent weight must be packed first; generation takes single steps.
# The sizes of the steps are always in numpy.

LARGE_WALK = 8192  # elements of the gates, or of the gradient

lstm = Kernel(
    reference.recurrent.lstm,
    _numba("recurrent", worth=lambda gates, sizes: len(sizes) > 2 and gates.size >= LARGE_WALK),
    *_cuda("recurrent"),
    anywhere=("sizes",),
)
lstm_backward = Kernel(
    reference.recurrent.lstm_backward,
    _numba("recurrent", worth=lambda grad, sizes: len(sizes) > 2 and grad.size >= LARGE_WALK),
    *_cuda("recurrent"),
    anywhere=("sizes",),
)
gru = Kernel(
    reference.recurrent.gru,
    _numba("recurrent", worth=lambda gates, sizes: len(sizes) > 2 and gates.size >= LARGE_WALK),
    anywhere=("sizes",),
)
gru_backward = Kernel(
    reference.recurrent.gru_backward,
    _numba("recurrent", worth=lambda grad, sizes: len(sizes) > 2 and grad.size >= LARGE_WALK),
    anywhere=("sizes",),
)
rnn = Kernel(
    reference.recurrent.rnn,
    _numba("recurrent", worth=lambda gates, sizes: len(sizes) > 2 and gates.size >= LARGE_WALK),
    anywhere=("sizes",),
)
rnn_backward = Kernel(
    reference.recurrent.rnn_backward,
    _numba("recurrent", worth=lambda grad, sizes: len(sizes) > 2 and grad.size >= LARGE_WALK),
    anywhere=("sizes",),
)

# ---- what an optimiser does to all parameters ----------------------------------------------


def _elements(arrays) -> int:
    return sum(array.size for array in arrays)


adamw = Kernel(
    reference.optimizer.adamw,
    _numba("optimizer", worth=lambda params: _elements(params) >= SMALL),
    *_cuda("optimizer"),
    anywhere=("lr", "step"),
)
sgd = Kernel(
    reference.optimizer.sgd,
    _numba("optimizer", worth=lambda params: _elements(params) >= SMALL),
    *_cuda("optimizer", on_gpu=lambda *args: float32_on_gpu(*args) and not any(map(is_cupy, args))),  # lr is a number
)
grad_norm = Kernel(
    reference.optimizer.grad_norm,
    _numba("optimizer", worth=lambda arrays: _elements(arrays) >= SMALL),
    *_cuda("optimizer"),
)
scale = Kernel(
    reference.optimizer.scale,
    _numba("optimizer", worth=lambda arrays: _elements(arrays) >= SMALL),
    *_cuda("optimizer"),
    anywhere=("factor",),
)
