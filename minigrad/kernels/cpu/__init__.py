"""The kernels in numba, for float32 on the CPU. Their threads own the cores from the first import on."""

from typing import Any

import numba

from minigrad import threads

settings: Any = numba.config  # its names are made when it is loaded
if settings.DISABLE_JIT:
    raise ImportError("NUMBA_DISABLE_JIT is set, and their intrinsics are instructions, not Python")

threads.own_the_cores()
