"""A stand-in for cupy on machines without a GPU: cupy's rules on numpy's arithmetic.

    with fake_cupy.installed() as cupy:
        x = cupy.asarray(numpy_array)
        print(cupy.copies)           # what crossed between "host" and "device" since copies.clear()

What goes wrong on a real GPU goes wrong here: an array is no numpy.ndarray and never silently
becomes one, arrays of the two libraries do not mix, reductions give 0-d arrays and not numbers, and what
cupy lacks is missing (test_fake_cupy.py compares names and arguments with cupy itself where it is
installed). Every copy between host and device is counted, whoever asks for it.
"""

import copy
import sys
import types
from contextlib import contextmanager
from unittest import mock

from tests.support.fake_cupy import array, cuda, namespace
from tests.support.fake_cupy.array import copies

__all__ = ["copies", "emulated", "installed"]


@contextmanager
def installed(memory: int | None = None, **cuda_options):
    """Put the stand-in where `import cupy` finds it; with `memory` bytes, if given, and cuda.module's options."""
    modules = {
        "cupy._core": namespace.core(),
        "cupy._core._routines_linalg": namespace.core(),
        "cupy": namespace.module(**cuda_options),
        "cupyx": types.ModuleType("cupyx"),
        "cupyx.scipy": types.ModuleType("cupyx.scipy"),
        "cupyx.scipy.special": namespace.special(),
    }
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    cuda.pool.limit = memory
    copies.clear()
    try:
        yield modules["cupy"]
    finally:
        for name, module in before.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module
        cuda.pool.limit = None


def _on_host(argument):
    """An argument of a launch with numpy's arrays; also in the structs that hold addresses of some."""
    if isinstance(argument, array.ndarray):
        return argument._host
    if not hasattr(argument, "arrays"):
        return argument
    struct = copy.copy(argument)
    struct.arrays = list(map(_on_host, argument.arrays))
    struct.lists = [list(map(_on_host, arrays)) for arrays in argument.lists]
    return struct


@contextmanager
def emulated():
    """Within installed(): kernels in CUDA C take the stand-in's arrays too, and run in the emulator."""
    from minigrad.kernels.cuda import loader

    def on_gpu(module, kernel, shared_bytes):
        def launch(grid, block, arguments, shared_mem):
            module.launch(kernel, grid, block, list(map(_on_host, arguments)), shared_mem)  # numpy's: in the emulator

        return launch

    with (
        mock.patch.object(loader.Module, "_on_gpu", on_gpu),
        mock.patch.object(loader, "_for_cupy", lambda argument: argument),
        mock.patch.object(array.ndarray, "__cuda_array_interface__", {}, create=True),
        mock.patch.object(array.ndarray, "data", property(lambda x: mock.Mock(ptr=x._host.ctypes.data)), create=True),
    ):
        yield
