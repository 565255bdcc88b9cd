"""Two thread pools in one process, and how to keep them from ruining each other.

Matrix products run on the threads of BLAS, our numba kernels on those of OpenMP (libgomp). After a
kernel, libgomp's threads spin for milliseconds in case more work comes, and OpenBLAS's do the
same. When the two take turns on the same cores, each waits for the other's spinning threads to be
descheduled: 1 ms of work takes 8 to 40. The cure is to let waiting threads sleep soon:

- before those libraries are loaded, through the environment variables that they read once;
- afterwards by crowding: libgomp spins only briefly when it manages more threads than there are
  cores, so we make it manage one more, which sleeps for ever.

`configure` runs when minigrad is imported and does what is still possible, so the order of
`import numpy`, `import numba`, `import torch` and `import minigrad` does not matter.
"""

import contextlib
import ctypes
import os
import sys
import threading
import time

SLEEP_SOON = {
    "OPENBLAS_THREAD_TIMEOUT": "4",  # spin for 2^4 clock ticks instead of 2^26
    "GOMP_SPINCOUNT": "1000",  # turns, about 20 µs; longer delays BLAS, shorter delays the next kernel
}
CHOSEN_BY_USER = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
LAYERS = "omp tbb workqueue"  # numba's thread pools, best first; the last is slow on small kernels

_pinned = contextlib.ExitStack()  # what a forked child pins, until it ends


def configure() -> None:
    """Stop idle threads from spinning. Settings made by the user are left alone.

    Must run before numpy is imported to reach OpenBLAS; reaches libgomp at any time.
    """
    chosen_by_user = any(name in os.environ for name in CHOSEN_BY_USER)
    for name, value in SLEEP_SOON.items():
        if not (name == "GOMP_SPINCOUNT" and chosen_by_user):
            os.environ.setdefault(name, value)
    os.environ.setdefault("NUMBA_THREADING_LAYER_PRIORITY", LAYERS)
    if "numba" in sys.modules:  # it has read its environment already
        sys.modules["numba"].config.THREADING_LAYER_PRIORITY = LAYERS.split()
    if not chosen_by_user:
        for path in _loaded_libgomps():
            _crowd(path)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_use_reference_kernels)


def _loaded_libgomps() -> list[str]:
    """The copies of libgomp in this process, by path (Linux): torch and scikit-learn bring their own."""
    try:
        with open("/proc/self/maps") as maps:
            return sorted({line.split(maxsplit=5)[-1].strip() for line in maps if "libgomp" in line})
    except OSError:
        return []


def _crowd(path: str) -> None:
    """Make this libgomp manage more threads than cores.

    Every thread that opens a parallel region gets a team of its own, kept for as long as it lives.
    So one thread opens a region of two that does nothing, and then sleeps as long as the process.
    """
    libgomp = ctypes.CDLL(path)
    opened = threading.Event()

    def open_region():
        libgomp.GOMP_parallel(libgomp.omp_get_num_threads, None, 2, 0)  # any function will do
        opened.set()
        threading.Event().wait()

    threading.Thread(target=open_region, name="minigrad-crowd", daemon=True).start()
    opened.wait()


def _use_reference_kernels() -> None:
    """After fork: libgomp does not survive it, and numba would end the child at its first kernel."""
    if "numba.np.ufunc.omppool" in sys.modules and "minigrad.kernels" in sys.modules:
        os.environ["MINIGRAD_KERNELS"] = "reference"  # for threads yet to start
        _pinned.enter_context(sys.modules["minigrad.kernels"].use("reference"))


def set_num_threads(n: int) -> None:
    """Use n threads for BLAS and for the kernels that the calling thread starts."""
    if n < 1:
        raise ValueError(f"set_num_threads: {n} threads; at least 1 is needed")
    import numba
    from threadpoolctl import threadpool_limits

    threadpool_limits(n, user_api="blas")
    numba.set_num_threads(min(n, numba.config.NUMBA_NUM_THREADS))


def get_num_threads() -> dict[str, int]:
    """The threads of both pools: {"blas": …, "numba": …}."""
    import numba
    from threadpoolctl import threadpool_info

    blas = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    return {"blas": max(blas, default=1), "numba": numba.get_num_threads()}


def measure_interference(rounds: int = 30) -> float:
    """Time of a BLAS product and a numba kernel in turn, over the sum of their times alone.

    About 1 when the pools leave each other in peace, 5 to 40 when they do not. The best of three
    tries, because anything else on the machine only adds to it. Takes a fraction of a second,
    and some seconds more where the kernel has yet to be compiled.
    """
    import numpy as np

    from minigrad.kernels.cpu.matmul import matmul

    a, b = np.ones((256, 512), np.float32), np.ones((512, 512), np.float32)
    small = np.ones((64, 64), np.float32)

    def blas():
        np.matmul(a, b)

    def ours():
        matmul(small, small)

    def in_turn():
        blas()
        ours()

    def seconds(work) -> float:
        work()
        time.sleep(0.05)  # until nothing spins
        start = time.perf_counter()
        for _ in range(rounds):
            work()
        return time.perf_counter() - start

    alone, together = [], []
    for _ in range(3):
        alone.append(seconds(blas) + seconds(ours))
        together.append(seconds(in_turn))
    return min(together) / min(alone)
