"""Times on a GPU: CUDA events, our version and the others in turn in one process, the median of the rounds.

cupy and PyTorch both work on the default stream, so the same events time either. Between two rounds something
larger than the L2 cache is overwritten, so that nobody finds its input there.

    --dry   small shapes, PyTorch on the CPU and the tests' stand-in for cupy: to see that a benchmark runs
"""

import argparse
import contextlib
import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

L2_BYTES = 128 << 20  # more than any GPU's cache


@dataclass
class Row:
    """One line of the table: what each side reaches, in `unit` (higher is better), and what was to be reached.

    reached  the ratio, or the share of the bandwidth
    """

    work: str
    ours: float
    theirs: float
    unit: str
    opponent: str
    least: float | None = None
    aim: float | None = None

    @property
    def reached(self) -> float:
        return self.ours / self.theirs if self.theirs else math.nan


@dataclass
class Options:
    """Of every benchmark."""

    dry: bool
    device: str  # PyTorch's name for where its tensors are

    def size(self, full: int, dry: int) -> int:
        """A size for the real run, and one for the dry run."""
        return dry if self.dry else full


def run(main: Callable[[Options], list[Row]], doc: str, argv: list[str] | None = None) -> int:
    """Run a benchmark from the command line and print its table."""
    parser = argparse.ArgumentParser(description=doc.partition("\n")[0])
    parser.add_argument("--dry", action="store_true", help="small shapes and no GPU: to see that it runs")
    with options(parser.parse_args(argv).dry) as chosen:
        print(machine(chosen))
        print(table(main(chosen)))
    return 0


@contextlib.contextmanager
def options(dry: bool):
    """What the benchmarks run on: the GPU, or for a dry run its stand-in."""
    if not dry:
        yield Options(False, "cuda")
        return
    from minigrad import kernels
    from tests.support import fake_cupy

    with fake_cupy.installed(), kernels.strict(False):
        yield Options(True, "cpu")


def seconds(contenders: dict[str, Callable], rounds: int = 9, calls: int = 5) -> dict[str, float]:
    """The median time of a call of each, in turn."""
    import cupy

    flush = cupy.zeros(L2_BYTES // 4 if rounds > 2 else 1, "float32")  # a dry run has two rounds at most
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for call in contenders.values():
        for _ in range(3):
            call()
    for _ in range(rounds):
        for name, call in contenders.items():
            flush += 1
            start, end = cupy.cuda.Event(), cupy.cuda.Event()
            start.record()
            for _ in range(calls):
                call()
            end.record()
            end.synchronize()
            times[name].append(cupy.cuda.get_elapsed_time(start, end) / calls / 1000)
    return {name: statistics.median(t) for name, t in times.items()}


def normal(*shape, dtype="float32"):
    """Standard normal numbers on the GPU."""
    import cupy

    from minigrad.dtypes import as_dtype

    rng = np.random.default_rng(0)
    small = rng.standard_normal(min(math.prod(shape), 1 << 20), np.float32)  # repeated: drawing gigabytes takes minutes
    flat = np.resize(small, math.prod(shape)).reshape(shape)
    return cupy.asarray(flat).astype(as_dtype(dtype))


def as_torch(array, options: Options):
    """A PyTorch tensor of the same numbers and dtype."""
    import torch

    host = array.astype("float32").get() if array.dtype.name == "bfloat16" else array.get()
    return torch.from_numpy(host).to(options.device, getattr(torch, array.dtype.name))


def implementations(name: str, *args) -> dict[str, Callable]:
    """Calls of every version of a kernel that takes these arguments on the GPU, by backend."""
    from minigrad import kernels
    from minigrad.kernels.dispatch import ON_GPU, KernelFallback

    found = {}
    kernel = getattr(kernels, name)
    for backend in ON_GPU:
        if backend not in kernel.implementations or backend == "reference":
            continue

        def call(backend=backend):
            with kernels.use(backend):
                return kernel(*args)

        try:
            with kernels.use(backend), kernels.strict():
                kernel(*args)
        except KernelFallback:
            continue
        found[backend] = call
    return found


def table(rows: list[Row]) -> str:
    """Markdown."""
    lines = ["| work | ours | theirs | opponent | reached | at least | aim |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        goals = " | ".join("" if goal is None else f"{goal:g}" for goal in (row.least, row.aim))
        numbers = f"{row.ours:,.4g} {row.unit} | {row.theirs:,.4g} {row.unit}"
        lines.append(f"| {row.work} | {numbers} | {row.opponent} | {row.reached:.2f} | {goals} |")
    return "\n".join(lines)


def machine(options: Options) -> str:
    """The GPU and the versions."""
    import cupy
    import torch

    name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    driver = cupy.cuda.runtime.driverGetVersion()
    versions = (
        f"driver for CUDA {driver // 1000}.{driver % 1000 // 10}, cupy {cupy.__version__}, torch {torch.__version__}"
    )
    return f"{'DRY RUN, numbers mean nothing: ' * options.dry}{name}, {versions}"
