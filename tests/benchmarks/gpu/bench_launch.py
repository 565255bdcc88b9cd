"""What one operation on a tiny tensor costs the CPU: the launch, and the Python around it.

python -m tests.benchmarks.gpu.bench_launch [--dry]
"""

import sys
import time

from tests.benchmarks.gpu.timing import Options, Row, run

MOST = 8.0  # microseconds


def main(options: Options) -> list[Row]:
    import torch

    import minigrad as mg

    x = mg.ones(16, device="cuda", requires_grad=True)
    t = torch.ones(16, device=options.device, requires_grad=True)
    work = {"add": (lambda: x + x, lambda: t + t), "softmax": (lambda: mg.softmax(x), lambda: torch.softmax(t, -1))}
    rows = []
    for name, sides in work.items():
        ours, theirs = (microseconds(call, options.size(2000, 20)) for call in sides)
        rows.append(Row(f"launching {name}, 16 floats", 1 / ours, 1 / theirs, "ops/µs", "torch"))
        print(f"{name}: ours {ours:.2f} µs (aim {MOST:g}), torch {theirs:.2f} µs")
    return rows


def microseconds(call, calls: int) -> float:
    """Of the best of five rounds, during which nothing waits for the GPU."""
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(calls):
            call()
        best = min(best, time.perf_counter() - started)
    return best / calls * 1e6


if __name__ == "__main__":
    sys.exit(run(main, __doc__))
