"""The functions: numpy's arithmetic with cupy's arguments and nothing that cupy lacks."""

import importlib.machinery
import inspect
import math
import types

import numpy as np

from tests.support.fake_cupy import cuda
from tests.support.fake_cupy.array import copies, host, ndarray, operand, view_of

UFUNCS = (
    "add subtract multiply divide true_divide floor_divide power remainder maximum minimum negative absolute sign "
    "exp expm1 log log1p log2 sqrt square sin cos tanh logaddexp floor ceil rint isnan isinf isfinite "
    "equal not_equal less less_equal greater greater_equal logical_and logical_or logical_not "
    "bitwise_and bitwise_or bitwise_xor invert left_shift right_shift logical_xor fmod trunc "
    "tan arcsin arccos arctan arctan2 sinh cosh arcsinh arccosh arctanh exp2 log10 hypot"
)


class Ufunc:
    """An elementwise function: arrays of the device, numbers, and `out`, `dtype`, `casting`, as in cupy."""

    def __init__(self, name: str):
        self.name, self.numpy = name, getattr(np, name)

    def __call__(self, *args, out=None, dtype=None, casting=None):
        options = {key: value for key, value in (("dtype", dtype), ("casting", casting)) if value is not None}
        if not any(isinstance(arg, ndarray) for arg in args):
            raise TypeError(f"cupy.{self.name}: no array among the arguments {args!r}")
        with np.errstate(all="ignore"):  # a GPU raises no floating-point flags
            if out is not None:
                self.numpy(*map(operand, args), out=operand(out), **options)
                return out
            return ndarray(np.asarray(self.numpy(*map(operand, args), **options)))

    def at(self, array, indices, values=None):
        if self.name != "add":
            raise NotImplementedError(f"`{self.name}.at` is not supported")
        if array.dtype.name not in ("float16", "float32", "float64", "int32", "uint32", "uint64"):
            raise TypeError(f"scatter_add does not support {array.dtype}")
        indices = tuple(map(_place, indices)) if isinstance(indices, tuple) else _place(indices)
        np.add.at(array._host, indices, operand(values))


def _place(index):
    if isinstance(index, np.ndarray):
        raise TypeError("a hidden copy to the device: the index is on the host")
    return operand(index)


def _shared(name: str, parameters: str):
    """numpy's function of that name with these parameters alone; its first ones are arrays, its results too."""
    wanted = [parameter.partition("=") for parameter in parameters.split()]
    signature = inspect.Signature(
        [
            inspect.Parameter(
                key, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=inspect.Parameter.empty if not equals else None
            )
            for key, equals, _ in wanted
        ]
    )

    def call(*args, **options):
        signature.bind(*args, **options)  # TypeError for what cupy does not take
        arrays = [_unwrapped(arg) for arg in args]
        options = {key: _unwrapped(value) for key, value in options.items()}
        with np.errstate(all="ignore"):
            result = getattr(np, name)(*arrays, **options)
        return view_of(args[0], result) if name in VIEWS else _wrapped(result)

    call.__name__, call.__signature__ = name, signature
    return call


def _unwrapped(value):
    if isinstance(value, (list, tuple)):
        return type(value)(map(_unwrapped, value))
    return host(value)


def _wrapped(result):
    if isinstance(result, (list, tuple)):
        return type(result)(map(_wrapped, result))
    return ndarray(np.asarray(result))


VIEWS = ("broadcast_to", "expand_dims", "flip", "moveaxis", "swapaxes")
SHARED = {
    "arange": "start stop= step= dtype=",
    "argsort": "a axis= kind=",
    "argmax": "a axis= dtype= out= keepdims=",
    "argmin": "a axis= dtype= out= keepdims=",
    "ascontiguousarray": "a dtype=",
    "bincount": "x weights= minlength=",
    "broadcast_to": "array shape",
    "clip": "a a_min a_max out=",
    "concatenate": "tup axis= out= dtype= casting=",
    "cumprod": "a axis= dtype= out=",
    "cumsum": "a axis= dtype= out=",
    "diag": "v k=",
    "empty": "shape dtype= order=",
    "empty_like": "prototype dtype= order= subok= shape=",
    "expand_dims": "a axis",
    "eye": "N M= k= dtype= order=",
    "flip": "a axis=",
    "full": "shape fill_value dtype= order=",
    "full_like": "a fill_value dtype= order= subok= shape=",
    "indices": "dimensions dtype=",
    "isclose": "a b rtol= atol= equal_nan=",
    "isin": "element test_elements assume_unique= invert=",
    "isneginf": "x out=",
    "linspace": "start stop num= endpoint= retstep= dtype= axis=",
    "moveaxis": "a source destination",
    "ones": "shape dtype= order=",
    "ones_like": "a dtype= order= subok= shape=",
    "repeat": "a repeats axis=",
    "roll": "a shift axis=",
    "round": "a decimals= out=",
    "searchsorted": "a v side= sorter=",
    "sort": "a axis=",
    "stack": "tup axis= out= dtype= casting=",
    "swapaxes": "a axis1 axis2",
    "take_along_axis": "a indices axis",
    "tile": "A reps",
    "tril": "m k=",
    "triu": "m k=",
    "unique": "ar return_index= return_inverse= return_counts= axis= equal_nan=",
    "where": "condition x= y=",
    "zeros": "shape dtype= order=",
    "zeros_like": "a dtype= order= subok= shape=",
}


def asarray(a, dtype=None, order=None, *, copy=None, blocking=False):
    if isinstance(a, ndarray):
        return a if dtype is None else a.astype(dtype, copy=False)
    copies["to device"] += 1
    return ndarray(np.array(a, dtype=dtype, order=order or "K"))


def array(obj, dtype=None, copy=True, order="K", subok=False, ndmin=0, *, blocking=False):
    if isinstance(obj, ndarray):
        return obj.astype(dtype or obj.dtype, copy=copy, order=order)
    copies["to device"] += 1
    return ndarray(np.array(obj, dtype=dtype, order=order, ndmin=ndmin))


def asnumpy(a, stream=None, order="C", out=None, *, blocking=True):
    return a.get() if isinstance(a, ndarray) else np.asarray(a)


def argwhere(a):
    copies["to host"] += 1
    return ndarray(np.argwhere(a._host))


def argpartition(a, kth, axis=-1):
    return a.argpartition(kth, axis)


def matmul(*args, out=None):
    return _wrapped(np.matmul(*map(operand, args)))


def pad(array, pad_width, mode="constant", **kwargs):
    return _wrapped(np.pad(operand(array), pad_width, mode, **kwargs))


def einsum(*operands, **options):
    return _wrapped(np.einsum(*map(_unwrapped, operands), **options))


def as_strided(x, shape=None, strides=None):
    return view_of(x, np.lib.stride_tricks.as_strided(x._host, shape, strides))


FUNCTIONS = {name: Ufunc(name) for name in UFUNCS.split()}
FUNCTIONS |= {name: _shared(name, parameters) for name, parameters in SHARED.items()}
FUNCTIONS |= {f.__name__: f for f in (asarray, array, asnumpy, argwhere, argpartition, matmul, pad, einsum)}
FUNCTIONS["abs"] = FUNCTIONS["absolute"]


def module(**cuda_options) -> types.ModuleType:
    """The module that stands in for cupy."""
    cupy = types.ModuleType("cupy")
    vars(cupy).update(FUNCTIONS)
    cupy.ndarray, cupy.copies, cupy.__version__ = ndarray, copies, "14.0.0"
    for name in ("inf", "nan", "newaxis", "pi", "dtype", "bool_", "float16", "float32", "float64", "int32", "int64",
                 "uint8", "uint16", "uint32", "uint64"):  # fmt: skip
        setattr(cupy, name, getattr(np, name))
    cupy.lib = types.SimpleNamespace(stride_tricks=types.SimpleNamespace(as_strided=as_strided))
    cupy.cuda = cuda.module(**cuda_options)
    cupy.__spec__ = importlib.machinery.ModuleSpec("cupy", None)
    cupy.get_default_memory_pool = lambda: cuda.pool
    return cupy


def special() -> types.ModuleType:
    """cupyx.scipy.special: erf and erfc."""
    scipy_special = types.ModuleType("cupyx.scipy.special")
    for name in ("erf", "erfc"):
        by_one = np.vectorize(getattr(math, name), otypes=[np.float64])
        setattr(scipy_special, name, lambda x, f=by_one: ndarray(np.asarray(f(x._host), x.dtype)))
    return scipy_special


compute_types = {np.float32: 0}


def core() -> types.ModuleType:
    """cupy._core: what products of float32 are computed in."""
    module = types.ModuleType("cupy._core")
    module.COMPUTE_TYPE_FP32, module.COMPUTE_TYPE_TF32 = 3, 5
    module.get_compute_type = compute_types.__getitem__
    module.set_compute_type = compute_types.__setitem__
    return module
