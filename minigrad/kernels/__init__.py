"""The hot loops, each under one name with one signature and several homes.

reference/  array code: the definition, and the version for every dtype and device
cpu/        numba: float32 on the CPU
cuda/       CUDA C: on the GPU, or on any laptop through the emulator

Kernels take and return plain arrays. Every implementation of a kernel has the
signature of the function of the same name in reference/, whose docstring is its
specification. The tables below give the order in which they are tried.
"""

from math import prod

import numpy as np

from minigrad.dtypes import FLOATING, as_dtype, is_half
from minigrad.kernels.dispatch import BACKENDS, Implementation, Kernel, KernelFallback, no_limit, strict, use

SMALLEST_PRODUCT, LARGEST_PRODUCT = 1 << 18, 1 << 32  # multiply-adds for which our matmul is chosen
LARGEST_HEAD = 128  # head_dim of attention in CUDA C

FLOAT32 = np.dtype(np.float32)

__all__ = ["BACKENDS", "Implementation", "Kernel", "KernelFallback", "strict", "use"]


def _float32(*args) -> bool:
    """Every floating array among the arguments (and in lists among them) is float32 in numpy."""
    for arg in args:
        if type(arg) is list:
            if not _float32(*arg):
                return False
        elif isinstance(arg, np.ndarray):
            dtype = arg.dtype
            if dtype is not FLOAT32 and dtype.kind in FLOATING and dtype != FLOAT32:
                return False
    return True


def _on_gpu(*args) -> bool:
    """All arrays are cupy's."""
    everything = [each for arg in args for each in (arg if type(arg) is list else (arg,))]
    return any(map(_is_cupy, everything)) and not any(isinstance(each, np.ndarray) for each in everything)


def _float32_on_gpu(*args) -> bool:
    arrays = [each for arg in args for each in (arg if type(arg) is list else (arg,)) if _is_cupy(each)]
    return _on_gpu(*args) and all(each.dtype.kind not in FLOATING or each.dtype == np.float32 for each in arrays)


def _float32_in_emulator(*args) -> bool:
    return _float32(*args) and not any(_is_cupy(arg) for arg in args)


def _is_cupy(arg) -> bool:
    return hasattr(arg, "__cuda_array_interface__")


def _at_least(elements: int, argument: int = 0):
    """Worth it from this many elements in one argument, an array or a list of arrays."""

    def worth(*args) -> bool:
        array = args[argument]
        if type(array) is list:
            return sum(each.size for each in array) >= elements
        return array.size >= elements

    return worth


def _rows_at_least(elements: int):
    """Worth it from this many elements in the rows that are looked up, however large the table."""
    return lambda weight, ids: ids.size * weight.shape[-1] >= elements


def _cuda(name: str, file: str, on_gpu=_float32_on_gpu, in_emulator=_float32_in_emulator, limit=no_limit):
    """A kernel in CUDA C: on the GPU, and the same function in the emulator."""
    target = f"cuda.{file}:{name}"
    return (
        Implementation("cuda", target, supports=on_gpu, limit=limit),
        Implementation("emulator", target, supports=in_emulator, limit=limit),
    )


def _several_steps(sizes: int):
    """Worth it from three steps on, because the recurrent weight must be packed first; argument `sizes` has a
    number for each step. Generation takes single steps."""
    return lambda *args: len(args[sizes]) > 2 and args[0].size >= 8192


_WITH_SIZES = {"on_gpu": lambda *args: _float32_on_gpu(*args[:-2])}  # a step's sizes are never there


def _kernel(name: str, file: str, minimum: int = 2048, worth=None, supports=_float32, cuda=False, cublas=False):
    """The usual case: numba from `minimum` elements on, below it and for float64 the reference.

    cuda adds CUDA C, as a dict with what it takes other than float32; cublas the reference's array code once more,
    under the name of what makes its products on a GPU.
    """
    kernel = Kernel(
        name,
        Implementation("numba", f"cpu.{file}:{name}", supports=supports, worth=worth or _at_least(minimum)),
        *((Implementation("cublas", f"reference.{file}:{name}"),) if cublas else ()),
        *(() if cuda is False else _cuda(name, file, **({} if cuda is True else cuda))),
        Implementation("reference", f"reference.{file}:{name}"),
    )
    globals()[name] = kernel
    __all__.append(name)
    return kernel


def _plain_convolution(*args) -> bool:
    """float32, windows of neighbouring steps, one at every step, and one group."""
    stride, _, dilation, groups = args[3:7]
    return stride == dilation == groups == 1 and _float32(*args)


def _one_precision(*args) -> bool:
    """q, k and v, and in attention_backward their fellows, are all float32, or all of one half precision."""
    arrays = args[:3] if len(args) == 8 else args[:5]
    return _float32_or_half(arrays[0].dtype) and all(array.dtype == arrays[0].dtype for array in arrays)


def _float32_or_half(*dtypes) -> bool:
    return all(dtype == np.float32 or is_half(dtype) for dtype in dtypes)


def _head_limit(*args) -> str | None:
    """Why our attention cannot take these arguments, attention's or attention_backward's."""
    q, _, v = args[:3] if len(args) == 8 else args[1:4]
    largest = max(q.shape[-1], v.shape[-1])
    if largest > LARGEST_HEAD:
        return f"head_dim {largest}: our kernels take up to {LARGEST_HEAD}"
    if is_half(q.dtype) and (q.shape[-1] % 8 or v.shape[-1] % 8 or not largest):
        return f"head_dim {q.shape[-1]} in {q.dtype}: our kernels take multiples of 8 in half precision"
    return None


def _both_float32(a, b) -> bool:
    return a.dtype == b.dtype == np.float32


def _one_type(*args) -> bool:
    """All arrays are float32, or all are of one half precision."""
    dtypes = {arg.dtype for arg in args if hasattr(arg, "dtype")}
    return len(dtypes) == 1 and all(dtype == np.float32 or is_half(dtype) for dtype in dtypes)


_products = {
    "on_gpu": lambda *args: _on_gpu(*args) and _one_type(*args),
    "in_emulator": lambda *args: not any(map(_is_cupy, args)) and _one_type(*args),
}


def _ours_is_as_fast(a, b) -> bool:
    """From a few thousand multiply-adds a call up to products so large that waking BLAS's threads is nothing.

    Between our kernels, a product on their own threads saves handing the cores over to BLAS's and back:
    a training step of a small GPT takes a quarter less time.
    """
    *batch, m, k = a.shape
    return SMALLEST_PRODUCT <= prod(batch) * m * k * b.shape[-1] <= LARGEST_PRODUCT


matmul = Kernel(
    "matmul",
    Implementation("numba", "cpu.matmul:matmul", supports=_both_float32, worth=_ours_is_as_fast),
    Implementation("blas", "reference.matmul:blas_matmul"),
    Implementation("cublas", "reference.matmul:blas_matmul"),
    *_cuda("matmul", "matmul", **_products),
    Implementation("reference", "reference.matmul:matmul"),
)
__all__.append("matmul")

for _name in ("linear", "linear_backward"):
    _kernel(_name, "linear", cublas=True, cuda=_products)  # the reference's products are the array library's
for _name in ("softmax", "softmax_backward", "log_softmax", "log_softmax_backward"):
    _kernel(_name, "softmax", cuda=True)
_kernel("cross_entropy", "cross_entropy", cuda=True)
_kernel("cross_entropy_backward", "cross_entropy", worth=_at_least(2048, argument=1), cuda=True)  # of logits
for _name in ("layer_norm", "layer_norm_backward", "rms_norm", "rms_norm_backward"):
    _kernel(_name, "normalization", cuda=True)
for _name in ("gelu", "gelu_backward", "silu", "silu_backward"):
    _kernel(_name, "activation", cuda=True)
_kernel("dropout", "dropout", cuda={"on_gpu": lambda x, p, seed: _float32_on_gpu(x)})
_kernel("conv1d", "conv1d", supports=_plain_convolution)
_kernel("conv1d_backward", "conv1d", worth=_at_least(2048, argument=1), supports=_plain_convolution)  # of x
_kernel("conv1d_max", "conv1d_max")
_kernel("conv1d_max_backward", "conv1d_max", worth=_at_least(2048, argument=1))  # of x
_kernel("embedding", "embedding", worth=_rows_at_least(2048), cuda=True)
_kernel("embedding_backward", "embedding", cuda=True)
cast = Kernel(
    "cast",
    *_cuda(
        "cast",
        "cast",
        on_gpu=lambda x, dtype: _on_gpu(x) and _float32_or_half(x.dtype, as_dtype(dtype)),
        in_emulator=lambda x, dtype: not _is_cupy(x) and _float32_or_half(x.dtype, as_dtype(dtype)),
    ),
    Implementation("reference", "reference.cast:cast"),
)
__all__.append("cast")
_on_tensor_cores = {
    "on_gpu": lambda *args: _on_gpu(*args[:-1]) and _one_precision(*args),  # the seed may be in memory
    "in_emulator": lambda *args: not any(map(_is_cupy, args)) and _one_precision(*args),
    "limit": _head_limit,
}
_kernel("attention", "attention", worth=_at_least(2048, argument=1), cuda=_on_tensor_cores)  # of keys
_kernel("attention_backward", "attention", worth=_at_least(2048, argument=2), cuda=_on_tensor_cores)
_kernel("lstm", "recurrent", worth=_several_steps(sizes=4), cuda=_WITH_SIZES)
_kernel("lstm_backward", "recurrent", worth=_several_steps(sizes=9), cuda=_WITH_SIZES)
_kernel("gru", "recurrent", worth=_several_steps(sizes=4))
_kernel("gru_backward", "recurrent", worth=_several_steps(sizes=7))
_kernel("rnn", "recurrent", worth=_several_steps(sizes=3))
_kernel("rnn_backward", "recurrent", worth=_several_steps(sizes=5))
_rate_in_memory = {  # lr and step may be arrays
    "on_gpu": lambda *args: _float32_on_gpu(*args[:4]),
    "in_emulator": lambda *args: _float32_in_emulator(*args[:4]),
}
_kernel("adamw", "optimizer", cuda=_rate_in_memory)
_numbers_from_the_program = {"on_gpu": lambda *args: _float32_on_gpu(*args) and not any(map(_is_cupy, args))}
_kernel("sgd", "optimizer", cuda=_numbers_from_the_program)
_kernel("grad_norm", "optimizer", cuda=True)
_kernel("scale", "optimizer", cuda={"on_gpu": lambda arrays, factor: _float32_on_gpu(arrays)})  # and the factor
