"""profile: where the time goes, operation by operation, and how near the machine's limits each one gets."""

import math
import os
import threading
import time
from collections.abc import Sequence
from os import PathLike
from typing import Any

from minigrad.function import PartialGradient, observers
from minigrad.io import write_atomically
from minigrad.views import looks_at

COLUMNS = (
    ("operation", "name", "{}"),
    ("calls", "calls", "{:,}"),
    ("forward ms", "forward_ms", "{:,.2f}"),
    ("backward ms", "backward_ms", "{:,.2f}"),
    ("share", "share", "{:.1%}"),
    ("MFLOP", "flops", "{:,.2f}"),
    ("MB", "bytes", "{:,.2f}"),
    ("GFLOP/s", "gflops_per_s", "{:,.1f}"),
    ("GB/s", "gb_per_s", "{:,.1f}"),
)
OUTSIDE = "(outside operations)"


class profile:
    """Measures every operation and every gradient rule inside.

        with minigrad.profile() as p:
            loss = model(x)
            loss.backward()
        print(p.table())
        p.rows()                  # the same as a list of dicts
        p.export("trace.json")    # for chrome://tracing or ui.perfetto.dev

    Run the work once before: the first call of a kernel compiles it. Times are wall-clock and
    an operation's own: what ran inside it (the second run of a checkpoint, say) is counted
    there. FLOPs are what Function.flops and backward_flops say (sorting, argmax and comparisons
    by ==, < are no Functions: they stand outside); bytes are those of the arrays read and written
    once, 0 for views. The row "(outside operations)" is everything else: Python, the engine,
    the optimiser.
    """

    def __init__(self):
        self.events = []
        self.wall_ns = 0
        self._local = threading.local()

    def __enter__(self):
        observers.append(self)
        self._entered = time.perf_counter_ns()
        return self

    def __exit__(self, *exception):
        self.wall_ns += time.perf_counter_ns() - self._entered
        observers.remove(self)

    def begin(self, node: Any, phase: str, inputs: Sequence[Any]) -> Any:
        """Start the clock of an operation, or of its rule; what end() is given as its token."""
        stack = self._local.__dict__.setdefault("inside", [])
        stack.append(0)  # nanoseconds spent in operations inside this one
        saved = node.saved if phase == "backward" else None  # for the rule may release it
        return len(stack), saved, time.perf_counter_ns()

    def end(self, node: Any, phase: str, inputs: Sequence[Any], result: Any, token: Any) -> None:
        """Stop the clock, and add the call to the rows of its operation."""
        stop = time.perf_counter_ns()
        depth, saved, start = token
        stack = self._local.inside
        inner = stack[depth - 1]
        del stack[depth - 1 :]
        if result is not None:
            self.events.append(self._measured(node, phase, inputs, result, saved, start, stop, inner))
        if stack:
            stack[-1] += time.perf_counter_ns() - start

    def _measured(self, node, phase, inputs, result, saved, start: int, stop: int, inner: int) -> dict:
        results = tuple(r.values if type(r) is PartialGradient else r for r in _several(result))
        flops = node.flops(inputs, results) if phase == "forward" else node.backward_flops(inputs, results)
        read = _bytes([*inputs, *(saved or ())])
        view = all(r is None or any(looks_at(r, x) for x in inputs) for r in results)
        return {
            "name": node.name,
            "phase": phase,
            "start_ns": start,
            "duration_ns": stop - start,
            "own_ns": stop - start - inner,
            "flops": int(flops),
            "bytes": 0 if view else read + _bytes(results),
            "shapes": [list(x.shape) for x in inputs if hasattr(x, "shape")],
            "thread": threading.get_native_id(),
        }

    def rows(self) -> list[dict]:
        """One dict an operation, the most expensive first: times in ms, FLOPs, bytes, and the rates they make."""
        rows: dict[str, dict] = {}
        for event in self.events:
            row = rows.setdefault(
                event["name"],
                {"name": event["name"], "calls": 0, "forward_ms": 0.0, "backward_ms": 0.0, "flops": 0, "bytes": 0},
            )
            row["calls"] += event["phase"] == "forward"
            row[f"{event['phase']}_ms"] += event["own_ns"] / 1e6
            row["flops"] += event["flops"]
            row["bytes"] += event["bytes"]
        ordered = sorted(rows.values(), key=_total_ms, reverse=True)
        rest = self.wall_ns / 1e6 - sum(_total_ms(row) for row in ordered)
        ordered.append({"name": OUTSIDE, "calls": 0, "forward_ms": 0.0, "backward_ms": 0.0, "flops": 0, "bytes": 0})
        for row in ordered:
            total = rest if row["name"] == OUTSIDE else _total_ms(row)
            row["total_ms"] = total
            row["share"] = total / (self.wall_ns / 1e6) if self.wall_ns else 0.0
            row["gflops_per_s"] = row["flops"] / total / 1e6 if total > 0 else 0.0
            row["gb_per_s"] = row["bytes"] / total / 1e6 if total > 0 else 0.0
        return ordered

    def table(self, limit: int | None = None) -> str:
        """The rows as text, columns aligned; with a limit, at most that many operations."""
        *rows, outside = self.rows()
        lines = [[title for title, _, _ in COLUMNS]]
        for row in rows[:limit]:
            shown = {**row, "flops": row["flops"] / 1e6, "bytes": row["bytes"] / 1e6}
            lines.append([form.format(shown[key]) for _, key, form in COLUMNS])
        total = {
            "name": "total",
            "calls": sum(row["calls"] for row in rows),
            "forward_ms": sum(row["forward_ms"] for row in rows),
            "backward_ms": sum(row["backward_ms"] for row in rows),
            "share": sum(row["share"] for row in rows),
            "flops": sum(row["flops"] for row in rows) / 1e6,
            "bytes": sum(row["bytes"] for row in rows) / 1e6,
        }
        seconds = sum(row["total_ms"] for row in rows) / 1e3 or math.inf
        total["gflops_per_s"] = total["flops"] / 1e3 / seconds
        total["gb_per_s"] = total["bytes"] / 1e3 / seconds
        lines.append([form.format(total[key]) for _, key, form in COLUMNS])
        widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
        text = []
        for line in lines:
            text.append(
                "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))])
            )
        rule = "-" * len(text[0])
        note = f"{self.wall_ns / 1e6:,.2f} ms in all, {outside['total_ms']:,.2f} ms ({outside['share']:.1%}) "
        note += OUTSIDE.strip("()")
        return "\n".join([text[0], rule, *text[1:-1], rule, text[-1], note])

    def __str__(self) -> str:
        return self.table()

    def export(self, path: str | PathLike[str]) -> None:
        """Write the events as a Chrome trace, one bar a call, with shapes, FLOPs and bytes."""
        import json

        zero = min((event["start_ns"] for event in self.events), default=0)
        events = [
            {
                "name": event["name"] if event["phase"] == "forward" else f"{event['name']} backward",
                "cat": event["phase"],
                "ph": "X",
                "ts": (event["start_ns"] - zero) / 1e3,  # microseconds
                "dur": event["duration_ns"] / 1e3,
                "pid": os.getpid(),
                "tid": event["thread"],
                "args": {"shapes": event["shapes"], "flops": event["flops"], "bytes": event["bytes"]},
            }
            for event in self.events
        ]
        write_atomically(path, json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}).encode())


def _total_ms(row: dict) -> float:
    return row["forward_ms"] + row["backward_ms"]


def _several(result) -> tuple:
    return result if type(result) is tuple else (result,)


def _bytes(arrays) -> int:
    return sum(array.nbytes for array in arrays if hasattr(array, "nbytes"))
