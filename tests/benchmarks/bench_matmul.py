"""Our numba matrix product beside OpenBLAS, in turn in one process.

python -m tests.benchmarks.bench_matmul [--quick]
"""

import platform
import sys
import time
from pathlib import Path

import minigrad  # noqa: F401  (first: it keeps the two thread pools from spinning)

import numpy as np  # isort: skip

from minigrad.kernels.cpu.matmul import matmul
from minigrad.kernels.reference.matmul import blas_matmul
from minigrad.memory import keep_freed_memory
from minigrad.threads import get_num_threads

# name, shape of a, shape of b, which of them are transposed views
WORK = [
    *((f"{n} square", (n, n), (n, n), "") for n in (384, 512, 768, 1024, 1536, 2048)),
    ("768 square, a transposed", (768, 768), (768, 768), "a"),
    ("768 square, b transposed", (768, 768), (768, 768), "b"),
    ("768 square, both transposed", (768, 768), (768, 768), "ab"),
    ("GPT 128 wide: x Wᵀ", (768, 128), (128, 384), "b"),
    ("GPT 384 wide: x Wᵀ", (2048, 384), (384, 1536), "b"),
    ("GPT 384 wide: gᵀ x", (1536, 2048), (2048, 384), "a"),
    ("GPT 256 wide: logits", (512, 256), (256, 50257), "b"),
    ("heads 12·4 of 64: Q Kᵀ", (48, 64, 32), (48, 32, 64), "b"),
    ("heads 12·4 of 64: P V", (48, 64, 64), (48, 64, 32), ""),
    ("heads 8·6 of 256: Q Kᵀ", (48, 256, 64), (48, 64, 256), "b"),
    ("heads 8·6 of 256: P V", (48, 256, 256), (48, 256, 64), ""),
]


def run(quick: bool = False) -> list[dict]:
    """One row a product: work, ours and theirs in seconds, GFLOP/s of both, ratio theirs / ours."""
    keep_freed_memory()
    rng = np.random.default_rng(0)
    rows = []
    for name, shape_a, shape_b, transposed in WORK:
        a, b = (
            np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2) if letter in transposed else x
            for letter, x in zip("ab", (rng.standard_normal(s, np.float32) for s in (shape_a, shape_b)), strict=True)
        )
        operations = 2 * int(np.prod(shape_a)) * shape_b[-1]
        turns = max(3, min(200, int((2e9 if quick else 2e10) / operations)))
        ours, theirs = [], []
        for _ in range(turns):
            theirs.append(_seconds(blas_matmul, a, b))
            ours.append(_seconds(matmul, a, b))
        best_ours, best_theirs = min(ours), min(theirs)
        rows.append({
            "work": name, "ours": best_ours, "theirs": best_theirs, "ratio": best_theirs / best_ours,
            "ours_gflops": operations / best_ours / 1e9, "theirs_gflops": operations / best_theirs / 1e9,
        })  # fmt: skip
    return rows


def _seconds(function, a, b) -> float:
    function(a, b)  # the first after the other's turn wakes the threads
    start = time.perf_counter()
    function(a, b)
    return time.perf_counter() - start


def machine() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    models = [line for line in cpuinfo.read_text().splitlines() if "model name" in line] if cpuinfo.exists() else []
    cpu = models[0].partition(":")[2].strip() if models else platform.processor()
    return f"{cpu}, threads {get_num_threads()}, numpy {np.__version__}, Python {platform.python_version()}"


if __name__ == "__main__":
    print(machine())
    print(f"{'float32':30}{'ours':>10}{'OpenBLAS':>10}  GFLOP/s{'ratio':>8}")
    for row in run(quick="--quick" in sys.argv[1:]):
        print(f"{row['work']:30}{row['ours_gflops']:10.1f}{row['theirs_gflops']:10.1f}         {row['ratio']:8.2f}")
