"""The kernels in numba, for float32 on the CPU. Their threads own the cores from the first import on."""

import numba

from minigrad import threads

if numba.config.DISABLE_JIT:
    raise ImportError("NUMBA_DISABLE_JIT is set, and their intrinsics are instructions, not Python")

threads.own_the_cores()
