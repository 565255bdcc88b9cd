"""Two programs timed in turn: ours and the opponent's, each in a process of its own.

Each side is a function that prepares its work and returns a step to be timed. Both
live in worker processes, so that neither's thread pool spins while the other runs;
the parent asks them for a few steps by turns, A B A B, so that a machine that drifts
drifts for both. A result is the time per step of the fastest round: whatever else happens on the
machine can only add to it.
"""

import contextlib
import importlib
import multiprocessing
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Result:
    """One row of a table: seconds a step and peak memory (bytes) of each side."""

    work: str
    ours: float
    theirs: float
    opponent: str
    ours_memory: int = 0
    theirs_memory: int = 0

    @property
    def ratio(self) -> float:
        """How many times faster ours is."""
        return self.theirs / self.ours


def compare(work: str, opponent: str, ours: str, theirs: str, options: dict, rounds=7, steps=5, warmup=3) -> Result:
    """Time `ours` against `theirs`, both "module:function" that take **options and return a step."""
    with _Worker(ours, options) as a, _Worker(theirs, options) as b:
        for worker in (a, b):
            worker.run(work, warmup)
        times = _in_turn(a, b, work, rounds, steps)
        return Result(work, *times, opponent, a.memory(), b.memory())


def compare_all(opponent: str, ours: str, theirs: str, options: dict, rounds=7, turn=0.02) -> list[Result]:
    """The same for functions that return several steps by name; a turn takes about `turn` seconds."""
    results = []
    with _Worker(ours, options) as a, _Worker(theirs, options) as b:
        for work in a.names:
            for worker in (a, b):
                worker.run(work, 2)
            slower = max(a.run(work, 1), b.run(work, 1))
            steps = max(1, min(500, round(turn / slower)))
            results.append(Result(work, *_in_turn(a, b, work, rounds, steps), opponent))
    return results


def _in_turn(a: "_Worker", b: "_Worker", work: str, rounds: int, steps: int) -> list[float]:
    """Seconds a step of either, in the fastest of the rounds."""
    times: tuple[list, list] = ([], [])
    for _ in range(rounds):
        for worker, column in ((a, times[0]), (b, times[1])):
            column.append(worker.run(work, steps) / steps)
    return [min(column) for column in times]


def table(results: list[Result]) -> str:
    """The rows as a Markdown table: ours / theirs / ratio, and the memory if it was measured."""
    memory = any(r.ours_memory for r in results)
    lines = ["| work | ours | theirs | opponent | ratio |" + (" peak memory ours / theirs |" if memory else "")]
    lines.append("|---|---|---|---|---|" + ("---|" if memory else ""))
    for r in results:
        line = f"| {r.work} | {_time(r.ours)} | {_time(r.theirs)} | {r.opponent} | {r.ratio:.2f} |"
        if memory:
            share = r.ours_memory / max(r.theirs_memory, 1)
            line += f" {r.ours_memory / 2**20:.0f} / {r.theirs_memory / 2**20:.0f} MiB = {share:.2f} |"
        lines.append(line)
    return "\n".join(lines)


def machine() -> str:
    """What it was measured on, in one line."""
    name = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            name = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), name)
    return f"{name}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def _time(seconds: float) -> str:
    for unit, factor in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


class _Worker:
    def __init__(self, target: str, options: dict):
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other, target, options), daemon=True)
        self.process.start()
        other.close()
        self.names = self._answer()

    def __enter__(self):
        return self

    def __exit__(self, *exception) -> None:
        self.pipe.send(None)
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()

    def run(self, work: str, steps: int) -> float:
        """Seconds for this many steps of a work."""
        self.pipe.send((work, steps))
        return self._answer()

    def memory(self) -> int:
        """Peak memory of the steps: the process's peak less what it held once its libraries were loaded."""
        self.pipe.send("memory")
        return self._answer()

    def _answer(self):
        try:
            return self.pipe.recv()
        except EOFError:
            raise RuntimeError(f"a benchmark worker died with exit code {self.process.exitcode}") from None


def _serve(pipe, target: str, options: dict) -> None:
    module, name = target.split(":")
    make: Callable = getattr(importlib.import_module(module), name)
    loaded = getattr(make, "load", None)
    if loaded:
        loaded()
    base = _kilobytes("VmRSS") * 1024
    _forget_peak()  # loading the libraries took more than they hold now
    made = make(**options)
    pipe.send(list(made) if isinstance(made, dict) else None)
    while (message := pipe.recv()) is not None:
        if message == "memory":
            pipe.send(_kilobytes("VmHWM") * 1024 - base)
            continue
        work, steps = message
        step = made[work] if isinstance(made, dict) else made
        start = time.perf_counter()
        for _ in range(steps):
            step()
        seconds = time.perf_counter() - start
        time.sleep(0.12)  # OpenBLAS's waiting threads spin for so long; they must sleep before the other's turn
        pipe.send(seconds)


def _kilobytes(field: str) -> int:
    """A memory figure of this process, as Linux keeps it; 0 elsewhere."""
    try:
        with open("/proc/self/status", encoding="utf-8") as file:
            return next(int(line.split()[1]) for line in file if line.startswith(field))
    except OSError:
        return 0


def _forget_peak() -> None:
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w", encoding="utf-8") as file:
        file.write("5")
