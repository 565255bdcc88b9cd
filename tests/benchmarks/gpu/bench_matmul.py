"""Matrix products on a GPU: float32 and bfloat16, every hand-written version against cuBLAS.

python -m tests.benchmarks.gpu.bench_matmul [--dry]
"""

import sys

from tests.benchmarks.gpu.timing import Options, Row, implementations, normal, run, seconds

SQUARES = {"float32": (1024, 2048, 4096, 8192), "bfloat16": (4096, 8192)}
GOALS = {"float32": (0.80, 0.95), "bfloat16": (0.75, 1.0)}
# A layer of GPT-2 for 16,384 tokens, rows that are no multiple of anything, and attention's heads.
OTHERS = (((16384, 768), (768, 3072)), ((1001, 517), (517, 2053)), ((192, 1024, 64), (192, 64, 1024)))


def main(options: Options) -> list[Row]:
    rows = []
    for dtype, sizes in SQUARES.items():
        squares = [((n, n), (n, n)) for n in ((64,) if options.dry else sizes)]
        others = [((9, 8), (8, 7))] if options.dry else OTHERS
        for shapes in (*squares, *others):
            a, b = (normal(*shape, dtype=dtype) for shape in shapes)
            times = seconds(implementations("matmul", a, b), rounds=options.size(9, 2))
            operations = 2e-12 * a.size * b.shape[-1]
            ours = {name: t for name, t in times.items() if name != "cublas"} or {"cublas": times["cublas"]}
            best = min(ours, key=ours.get)
            work = f"matmul {dtype} {'×'.join(map(str, shapes[0]))} @ {'×'.join(map(str, shapes[1]))} ({best})"
            goals = GOALS[dtype] if shapes in squares else ()
            rows.append(Row(work, operations / ours[best], operations / times["cublas"], "TFLOP/s", "cuBLAS", *goals))
    return rows


if __name__ == "__main__":
    sys.exit(run(main, __doc__))
