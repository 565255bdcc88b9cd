"""Two thread pools in one process, and how to keep them from ruining each other.

Our numba kernels run on the threads of OpenMP (libgomp), numpy's matrix products on those of BLAS.
Both libraries let their threads spin for a while after the work, in case more comes. When the two
take turns on the same cores, the threads that are woken wait for those that spin, until the
scheduler takes the core away from them: 1 ms of work takes 8 to 40. So, in the process that uses
our kernels, one pool owns the cores:

- once a numba kernel is loaded, BLAS computes on the calling thread alone. Large float32 products
  are made by our own kernel, on numba's threads; where BLAS is better, in products so large that
  waking its threads is nothing, `all_threads_for_blas` gives it the cores for that one product.
- libgomp's threads spin for 0.5 ms at most: long enough to be there for the next kernel of a
  training step, short enough for whatever else needs the core. libgomp reads that from the
  environment when it is loaded. If it is already there (`import torch` or a numba kernel came
  first), we crowd it: it spins only briefly when it manages more threads than there are cores,
  so we make it manage one more, which sleeps forever.

`configure` runs when minigrad is imported, `own_the_cores` when the first numba kernel is; the order
of `import numpy`, `import numba`, `import torch` and `import minigrad` does not matter.
"""

import contextlib
import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

SLEEP_SOON = {
    "OPENBLAS_THREAD_TIMEOUT": "4",  # spin for 2^4 clock ticks instead of 2^26
    "GOMP_SPINCOUNT": "25000",  # turns, about 0.5 ms
}
CHOSEN_BY_USER = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
LAYERS = "omp tbb workqueue"  # numba's thread pools, best first; the last is slow on small kernels

_pinned = contextlib.ExitStack()  # what a forked child pins, until it ends
_limited: list[tuple[Any, int]] = []  # the BLAS libraries held at one thread, with the number they had before


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


def own_the_cores() -> None:
    """Let BLAS compute on the calling thread alone, because the other cores are our kernels'."""
    from threadpoolctl import ThreadpoolController

    if not _limited:
        for library in ThreadpoolController().select(user_api="blas").lib_controllers:
            _limited.append((library, library.num_threads))
            library.set_num_threads(1)


@contextlib.contextmanager
def all_threads_for_blas() -> Iterator[None]:
    """Give BLAS its threads back inside the block: for one product of tens of milliseconds."""
    for library, threads in _limited:
        library.set_num_threads(threads)
    try:
        yield
    finally:
        for library, _ in _limited:
            library.set_num_threads(1)


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


_pool = threading.RLock()  # of the layer that serves one thread at a time


def one_at_a_time(kernel: Callable) -> Callable:
    """A function that runs numba's threads, made safe to call from several threads at once.

    The layers omp and tbb are. workqueue ends the process when a second thread comes, so there they wait for each
    other. Starts numba's threads.
    """
    import numba

    numba.get_num_threads()
    if numba.threading_layer() != "workqueue":
        return kernel

    def alone(*args: Any) -> Any:
        with _pool:
            return kernel(*args)

    return alone


def _use_reference_kernels() -> None:
    """After fork: libgomp does not survive it, and numba would end the child at its first kernel."""
    if "numba.np.ufunc.omppool" in sys.modules and "minigrad.kernels" in sys.modules:
        os.environ["MINIGRAD_KERNELS"] = "reference"  # for threads yet to start
        _pinned.enter_context(sys.modules["minigrad.kernels"].use("reference"))


def set_num_threads(n: int) -> None:
    """Use n threads for the kernels that the calling thread starts, and in the largest BLAS products."""
    if n < 1:
        raise ValueError(f"set_num_threads: {n} threads; at least 1 is needed")
    import numba

    import minigrad.kernels.cpu  # noqa: F401  owns the cores from here on

    _limited[:] = [(library, n) for library, _ in _limited]
    numba.set_num_threads(min(n, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]


def get_num_threads() -> int:
    """How many threads the kernels use that the calling thread starts."""
    import numba

    return numba.get_num_threads()


def measure_interference(rounds: int = 30) -> float:
    """Time of a numpy product and a numba kernel in turn, over the sum of their times alone.

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
