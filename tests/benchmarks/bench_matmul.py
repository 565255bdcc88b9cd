"""Our numba matrix product beside OpenBLAS, float32, two threads each, in turn.

python -m tests.benchmarks.bench_matmul
"""

import numpy as np

from tests.benchmarks.turns import compare_all, machine, table

THREADS = 2

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


def _operands():
    rng = np.random.default_rng(0)
    for name, shape_a, shape_b, transposed in WORK:
        a, b = (
            np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2) if letter in transposed else x
            for letter, x in zip("ab", (rng.standard_normal(s, np.float32) for s in (shape_a, shape_b)), strict=True)
        )
        yield name, a, b


def ours() -> dict:
    """Our kernel on every product."""
    import minigrad
    from minigrad.kernels.cpu.matmul import matmul

    minigrad.threads.set_num_threads(THREADS)
    return {name: lambda a=a, b=b: matmul(a, b) for name, a, b in _operands()}


def openblas() -> dict:
    """numpy's, in a process that knows nothing of ours."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(THREADS, user_api="blas")
    return {name: lambda a=a, b=b: a @ b for name, a, b in _operands()}


if __name__ == "__main__":
    print(f"{machine()}; {THREADS} threads\n")
    here = "tests.benchmarks.bench_matmul"
    print(table(compare_all("OpenBLAS", f"{here}:ours", f"{here}:openblas", {})))
