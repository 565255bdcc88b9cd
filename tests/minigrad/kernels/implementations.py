"""Every implementation of a kernel as the parameter of one test suite."""

import numpy as np
import pytest

from minigrad import kernels
from minigrad.kernels.cuda import emulator

MARKS = {"emulator": pytest.mark.emulator, "cuda": pytest.mark.gpu, "cublas": pytest.mark.gpu}


def others(name: str) -> list:
    """Parameters for all implementations but the reference; the emulator's in each order of threads."""
    found = []
    for backend in getattr(kernels, name).implementations:
        orders = [f"emulator {order}" for order in emulator.ORDERS] if backend == "emulator" else [backend]
        if backend != "reference":
            found += [pytest.param(each, marks=MARKS.get(backend, ())) for each in orders]
    return found


def run(backend: str, name: str, *args):
    """The kernel by that implementation, on numpy arrays and with numpy's results; a fallback fails."""
    backend, _, order = backend.partition(" ")
    with kernels.use(backend), kernels.strict(), emulator.order(order or "forward"):
        if backend not in ("cuda", "cublas"):
            return getattr(kernels, name)(*args)
        import cupy

        on_gpu = {}
        parameters = getattr(kernels, name).parameters
        sizes = [arg for parameter, arg in zip(parameters, args, strict=True) if parameter == "sizes"]  # of the steps

        def moved(array):
            if any(array is size for size in sizes):
                return array
            on_gpu[id(array)] = array, cupy.array(array)
            return on_gpu[id(array)][1]

        result = _each(getattr(kernels, name)(*_each(args, np.ndarray, moved)), cupy.ndarray, _to_numpy)
        for array, copy in on_gpu.values():
            if array.flags.writeable:  # what a kernel changes in place
                array[...] = copy.get()
        return result


def _to_numpy(array):
    """A copy that lies in memory as the array does; a single number as a number."""
    if not array.ndim:
        return array.get()[()]
    axes = np.argsort([-stride for stride in array.strides], kind="stable")
    return array.transpose(axes).get().transpose(np.argsort(axes))


def _each(value, kind, convert):
    """`value` with every array of that kind in it, also inside lists and tuples, converted."""
    if isinstance(value, kind):
        return convert(value)
    if isinstance(value, (list, tuple)):
        each = (_each(v, kind, convert) for v in value)
        return value._make(each) if hasattr(value, "_make") else type(value)(each)  # a NamedTuple, or not
    return value
