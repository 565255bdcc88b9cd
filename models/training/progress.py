"""What training shows while it runs: a live bar in a terminal, plain lines anywhere else."""

import sys
import time
from typing import Any, Protocol, Self

REFRESH = 0.2  # seconds between updates of the bar
PLAIN_EVERY = 10.0  # seconds between plain lines


class Progress(Protocol):
    """What a loop reports: each step, and a message now and then. A context manager."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exception: Any) -> None: ...
    def update(self, step: int, loss: float, speed: float) -> None:
        """After each step."""

    def message(self, text: str) -> None:
        """Something to read."""


def progress(total: int, done: int = 0, unit: str = "tokens") -> Progress:
    """A TerminalProgress if standard output is a terminal, else PlainProgress, at `done` of `total` steps.

    unit  what the speed counts, per second
    """
    return (TerminalProgress if sys.stdout.isatty() else PlainProgress)(total, done, unit)


class TerminalProgress:
    """A bar with loss, speed and time left; messages scroll above it."""

    def __init__(self, total: int, done: int = 0, unit: str = "tokens"):
        from rich.progress import BarColumn, Progress, TextColumn

        columns = [
            TextColumn("step {task.completed}/{task.total}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[status]}"),
        ]
        # No thread of its own: update() refreshes, between two steps, so that it disturbs no kernel.
        self._bar = Progress(*columns, auto_refresh=False, expand=True)
        self._task = self._bar.add_task("", total=total, completed=done, status="")
        self._clock, self._unit = _Clock(total, done), unit
        self._next = 0.0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.refresh()
        self._bar.stop()

    def update(self, step: int, loss: float, speed: float) -> None:
        """Called every step; draws a few times a second."""
        now = time.monotonic()
        if now >= self._next or step == self._clock.total:
            self._next = now + REFRESH
            status = f"loss {loss:.3f}  {speed:,.0f} {self._unit}/s  {self._clock.left(step)}"
            self._bar.update(self._task, completed=step, status=status)
            self._bar.refresh()

    def message(self, text: str) -> None:
        """Print above the bar."""
        self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)


class PlainProgress:
    """A line now and then, for logs, pipes and notebooks."""

    def __init__(self, total: int, done: int = 0, unit: str = "tokens"):
        self._clock, self._unit = _Clock(total, done), unit
        self._next = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def update(self, step: int, loss: float, speed: float) -> None:
        """Called every step; prints the first, the last, and one every ten seconds."""
        now = time.monotonic()
        if now >= self._next or step == self._clock.total:
            self._next = now + PLAIN_EVERY
            total, left = self._clock.total, self._clock.left(step)
            self.message(f"step {step}/{total}  loss {loss:.4f}  {speed:,.0f} {self._unit}/s  {left}")

    def message(self, text: str) -> None:
        """Print a line."""
        print(text, flush=True)


class Silence:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def update(self, step: int, loss: float, speed: float) -> None:
        """Nothing."""

    def message(self, text: str) -> None:
        """Nothing."""


class _Clock:
    """Time left, from the time the steps of this session took with all that is between them."""

    def __init__(self, total: int, done: int):
        self.total, self._first = total, done
        self._start: float | None = None

    def left(self, step: int) -> str:
        now = time.monotonic()
        if self._start is None:  # the first step compiles kernels and says nothing about the rest
            self._first, self._start = step, now
        if step == self._first:
            return "" if step == self.total else "time left unknown"
        seconds = (now - self._start) / (step - self._first) * (self.total - step)
        return f"{duration(seconds)} left"


def duration(seconds: float) -> str:
    """1:05 or 2:03:04, as a stopwatch shows it."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
