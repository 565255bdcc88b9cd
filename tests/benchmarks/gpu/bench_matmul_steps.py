"""The ladder of matrix products, a row for each step, against cuBLAS: what every idea is worth.

python -m tests.benchmarks.gpu.bench_matmul_steps [--dry]
"""

import contextlib
import sys

from minigrad.kernels.cuda.matmul import STEPS, matmul
from tests.benchmarks.gpu.timing import Options, Row, normal, run, seconds
from tests.support import fake_cupy

SIDE = 4096
GOALS = {"warp_tile": (0.80, 0.95), "tensor_cores": (0.5, 0.65), "hopper": (0.75, 1.0)}


def main(options: Options) -> list[Row]:
    with fake_cupy.emulated() if options.dry else contextlib.nullcontext():
        return ladder(options)


def ladder(options: Options) -> list[Row]:
    rows = []
    side = options.size(SIDE, 24)
    for dtype in ("float32", "bfloat16"):
        a, b = (normal(side, side, dtype=dtype) for _ in range(2))
        names = [step for step in STEPS[dtype] if step != "hopper" or (not options.dry and is_hopper())]
        steps = {step: lambda step=step, a=a, b=b: matmul(a, b, step) for step in names}
        times = seconds({"cublas": lambda a=a, b=b: a @ b, **steps}, rounds=options.size(9, 2), calls=2)
        operations = 2e-12 * side**3
        for step in steps:
            work = f"{dtype} {side} square: {step}"
            reached = operations / times[step], operations / times["cublas"]
            rows.append(Row(work, *reached, "TFLOP/s", "cuBLAS", *GOALS.get(step, ())))
    return rows


def is_hopper() -> bool:
    import cupy

    return cupy.cuda.Device().compute_capability == "90"


if __name__ == "__main__":
    sys.exit(run(main, __doc__))
