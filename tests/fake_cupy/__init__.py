"""A stand-in for cupy on machines without a GPU: cupy's rules on numpy's arithmetic.

    with fake_cupy.installed() as cupy:
        x = cupy.asarray(numpy_array)
        print(cupy.copies)           # what crossed between "host" and "device" since copies.clear()

What goes wrong on a real GPU goes wrong here: an array is no numpy.ndarray and never becomes one in
silence, arrays of the two libraries do not mix, reductions give 0-d arrays and not numbers, and what
cupy lacks is missing (test_fake_cupy.py compares names and arguments with cupy itself where it is
installed). Every copy between host and device is counted, whoever asks for it.
"""

import sys
import types
from contextlib import contextmanager

from tests.fake_cupy import cuda, namespace
from tests.fake_cupy.array import copies

__all__ = ["copies", "installed"]


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
