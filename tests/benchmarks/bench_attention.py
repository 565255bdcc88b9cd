"""Attention beside torch's scaled_dot_product_attention, float32, 2 threads, in turn in one process.

    python -m tests.benchmarks.bench_attention [--quick]

q, k and v are views of one packed (batch, time, 3, heads, head_dim) array, as a model has them. A time
is the fastest of the turns, since other work on the machine can only add to it; each is taken after a
call of the same side, which wakes its threads. A ratio above 1 means that we are faster.
"""

import os
import sys
import time

THREADS = 2
os.environ.setdefault("NUMBA_NUM_THREADS", str(THREADS))

import minigrad  # noqa: E402, F401  (first: it keeps the two thread pools from spinning)

import numpy as np  # noqa: E402  # isort: skip

from minigrad.kernels.cpu.attention import attention, attention_backward  # noqa: E402
from minigrad.memory import keep_freed_memory  # noqa: E402
from tests.benchmarks.turns import machine  # noqa: E402

# batch, heads, time, head_dim, causal; the last has a single query, as in decoding
WORK = [
    (12, 4, 64, 32, True),
    (8, 6, 256, 64, True),
    (4, 4, 128, 64, True),
    (2, 8, 1024, 64, True),
    (2, 8, 1024, 64, False),
]
DECODING = (4, 8, 1024, 64)


def run(quick: bool = False) -> list[dict]:
    """One dict a measurement: work, ours and torch (seconds), ratio, gflops (ours; of the scores seen)."""
    import torch

    torch.set_num_threads(THREADS)
    keep_freed_memory()
    budget = 0.3 if quick else 2.0
    rows = []
    for case in WORK:
        rows += _forward_and_backward(torch, *case, budget)
    rows.append(_decoding(torch, *DECODING, budget))
    return rows


def _forward_and_backward(torch, batch, heads, length, head_dim, causal, budget) -> list[dict]:
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
        times = _in_turn(ours, theirs, budget)
        rows.append(_row(f"{name} {direction}", *times, seen * head_dim * flops))
    both = [sum(row[side] for row in rows) for side in ("ours", "torch")]
    return [*rows, _row(f"{name} both", *both, seen * head_dim * 14)]


def _decoding(torch, batch, heads, length, head_dim, budget) -> dict:
    rng = np.random.default_rng(0)
    q = rng.standard_normal((batch, heads, 1, head_dim), np.float32)
    k, v = rng.standard_normal((2, batch, heads, length, head_dim), np.float32)
    theirs = [torch.from_numpy(x) for x in (q, k, v)]
    times = _in_turn(
        lambda: attention(q, k, v, None, length - 1, head_dim**-0.5, 0.0, 0),
        lambda: torch.nn.functional.scaled_dot_product_attention(*theirs),
        budget,
    )
    return _row(f"({batch}, {heads}, 1 query, {length} keys, {head_dim})", *times, 4 * k.size)


def _in_turn(ours, theirs, budget: float) -> list[float]:
    for function in (ours, theirs, ours, theirs):  # compile, touch the memory
        function()
    best = [float("inf"), float("inf")]
    until = time.perf_counter() + budget
    turns = 0
    while turns < 5 or time.perf_counter() < until:
        for side, function in enumerate((ours, theirs)):
            function()
            start = time.perf_counter()
            function()
            best[side] = min(best[side], time.perf_counter() - start)
        turns += 1
    return best


def _row(work, ours, theirs, flops) -> dict:
    return {"work": work, "ours": ours, "torch": theirs, "ratio": theirs / ours, "gflops": flops / ours / 1e9}


if __name__ == "__main__":
    print(f"{machine()}; {THREADS} threads")
    print(f"{'float32':36}{'ours':>10}{'torch':>10}   µs{'ratio':>8}{'GFLOP/s':>10}")
    for row in run(quick="--quick" in sys.argv[1:]):
        ours, theirs = row["ours"] * 1e6, row["torch"] * 1e6
        print(f"{row['work']:36}{ours:10.0f}{theirs:10.0f}     {row['ratio']:8.2f}{row['gflops']:10.0f}")
