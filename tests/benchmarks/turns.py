"""Two programs timed in turn: ours and the opponent's, each in a process of its own.

Each side is a function that prepares its work and returns a step to be timed. Both
live in worker processes, so that neither's thread pool spins while the other runs;
the parent asks them for a few steps by turns, A B A B, so that a machine that drifts
drifts for both. A result is the median over rounds of time per step.
"""

import importlib
import multiprocessing
import os
import platform
import resource
import statistics
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
    a, b = _Worker(ours, options), _Worker(theirs, options)
    try:
        for worker in (a, b):
            worker.run(warmup)
        times: tuple[list, list] = ([], [])
        for _ in range(rounds):
            for worker, column in ((a, times[0]), (b, times[1])):
                column.append(worker.run(steps) / steps)
        return Result(work, statistics.median(times[0]), statistics.median(times[1]), opponent, a.memory(), b.memory())
    finally:
        a.close()
        b.close()


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
        self._answer()

    def run(self, steps: int) -> float:
        """Seconds for this many steps."""
        self.pipe.send(steps)
        return self._answer()

    def memory(self) -> int:
        """Peak memory of the steps: the process's peak less what it held once its libraries were loaded."""
        self.pipe.send("memory")
        return self._answer()

    def close(self) -> None:
        self.pipe.send(None)
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()

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
    base = _resident()
    step = make(**options)
    pipe.send("ready")
    while (message := pipe.recv()) is not None:
        if message == "memory":
            pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - base)
            continue
        start = time.perf_counter()
        for _ in range(message):
            step()
        seconds = time.perf_counter() - start
        time.sleep(0.05)  # this side's waiting threads must be asleep before the other's turn
        pipe.send(seconds)


def _resident() -> int:
    try:
        with open("/proc/self/statm", encoding="utf-8") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
