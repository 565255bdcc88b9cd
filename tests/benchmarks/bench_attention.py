"""Attention beside torch's scaled_dot_product_attention, float32, in turn in one process.

    python -m tests.benchmarks.bench_attention [--quick] [--one-thread]

q, k and v are views of one packed (batch, time, 3, heads, head_dim) array, as a model has them. A time
is the fastest of the turns, since other work on the machine can only add to it; each is taken after a
call of the same side, which wakes its threads. A ratio above 1 means that we are faster.

On two threads it is the clock's time. On one it is the processor's, which is the figure to trust on a
machine that others use: threads that wait for each other lose whole time slices there.
"""

import functools
import sys
import time

import minigrad  # noqa: F401  (first: it keeps the two thread pools from spinning)

import numpy as np  # isort: skip

from minigrad.kernels.cpu.attention import attention, attention_backward
from minigrad.memory import keep_freed_memory
from minigrad.threads import set_num_threads
from tests.benchmarks.turns import machine

# batch, heads, time, head_dim, causal; the last has a single query, as in decoding
WORK = [
    (12, 4, 64, 32, True),
    (8, 6, 256, 64, True),
    (4, 4, 128, 64, True),
    (2, 8, 1024, 64, True),
    (2, 8, 1024, 64, False),
]
DECODING = (4, 8, 1024, 64)


def run(quick: bool = False, threads: int = 2) -> list[dict]:
    """One dict a measurement: work, ours and torch (seconds), ratio, gflops (ours; of the scores seen)."""
    import torch

    torch.set_num_threads(threads)
    set_num_threads(threads)
    keep_freed_memory()
    clock = time.thread_time if threads == 1 else time.perf_counter
    measure = functools.partial(_in_turn, budget=0.3 if quick else 2.0, clock=clock)
    rows = []
    for case in WORK:
        rows += _forward_and_backward(torch, *case, measure)
    rows.append(_decoding(torch, *DECODING, measure))
    return rows


def _forward_and_backward(torch, batch, heads, length, head_dim, causal, measure) -> list[dict]:
    rng = np.random.default_rng(0)
    packed = rng.standard_normal((batch, length, 3, heads, head_dim), np.float32)
    q, k, v = (packed[:, :, n].swapaxes(1, 2) for n in range(3))
    grad = rng.standard_normal((batch, length, heads, head_dim), np.float32).swapaxes(1, 2)
    arguments = (None, 0 if causal else None, head_dim**-0.5, 0.0, 0)
    kept = attention(q, k, v, *arguments)

    their_packed, their_grad = torch.from_numpy(packed).requires_grad_(), torch.from_numpy(grad)
    their_views = [their_packed[:, :, n].transpose(1, 2) for n in range(3)]

    def their_forward():
        return torch.nn.functional.scaled_dot_product_attention(*their_views, is_causal=causal)

    def their_forward_only():
        with torch.no_grad():
            their_forward()

    their_out = their_forward()

    def their_backward():
        torch.autograd.grad(their_out, their_views, their_grad, retain_graph=True)

    name = f"({batch}, {heads}, {length}, {head_dim}) {'causal' if causal else 'full'}"
    seen = batch * heads * length * ((length + 1) / 2 if causal else length)
    pairs = [
        ("forward", lambda: attention(q, k, v, *arguments), their_forward_only, 4),
        ("backward", lambda: attention_backward(grad, q, k, v, *kept, *arguments), their_backward, 10),
    ]
    rows = []
    for direction, ours, theirs, flops in pairs:
        times = measure(ours, theirs)
        rows.append(_row(f"{name} {direction}", *times, seen * head_dim * flops))
    both = [sum(row[side] for row in rows) for side in ("ours", "torch")]
    return [*rows, _row(f"{name} both", *both, seen * head_dim * 14)]


def _decoding(torch, batch, heads, length, head_dim, measure) -> dict:
    rng = np.random.default_rng(0)
    q = rng.standard_normal((batch, heads, 1, head_dim), np.float32)
    k, v = rng.standard_normal((2, batch, heads, length, head_dim), np.float32)
    theirs = [torch.from_numpy(x) for x in (q, k, v)]
    times = measure(
        lambda: attention(q, k, v, None, length - 1, head_dim**-0.5, 0.0, 0),
        lambda: torch.nn.functional.scaled_dot_product_attention(*theirs),
    )
    return _row(f"({batch}, {heads}, 1 query, {length} keys, {head_dim})", *times, 4 * k.size)


def _in_turn(ours, theirs, budget: float, clock) -> list[float]:
    for function in (ours, theirs, ours, theirs):  # compile, touch the memory
        function()
    best = [float("inf"), float("inf")]
    until = time.perf_counter() + budget
    turns = 0
    while turns < 5 or time.perf_counter() < until:
        for side, function in enumerate((ours, theirs)):
            function()
            start = clock()
            function()
            best[side] = min(best[side], clock() - start)
        turns += 1
    return best


def _row(work, ours, theirs, flops) -> dict:
    return {"work": work, "ours": ours, "torch": theirs, "ratio": theirs / ours, "gflops": flops / ours / 1e9}


if __name__ == "__main__":
    threads = 1 if "--one-thread" in sys.argv[1:] else 2
    print(f"{machine()}; {threads} threads")
    print(f"{'float32':36}{'ours':>10}{'torch':>10}   µs{'ratio':>8}{'GFLOP/s':>10}")
    for row in run("--quick" in sys.argv[1:], threads):
        ours, theirs = row["ours"] * 1e6, row["torch"] * 1e6
        print(f"{row['work']:36}{ours:10.0f}{theirs:10.0f}     {row['ratio']:8.2f}{row['gflops']:10.0f}")
