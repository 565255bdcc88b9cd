"""Every benchmark of this folder in one go, and the table of all of them as a Markdown file.

    python -m tests.benchmarks.gpu.all [--dry] [--out FILE.md]

Meant to take about eight minutes on an H100 (an estimate), most of them for torch.compile. A benchmark that
fails is reported in the file, and the others go on.
"""

import argparse
import datetime
import importlib
import sys
import time
import traceback
from pathlib import Path

from tests.benchmarks.gpu.timing import machine, options, table

BENCHMARKS = (
    "bench_launch",
    "bench_rowwise",
    "bench_elementwise",
    "bench_matmul",
    "bench_matmul_steps",
    "bench_attention",
    "bench_training",
)
RESULTS = Path(__file__).parents[1] / "results"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dry", action="store_true", help="small shapes and no GPU: to see that all of them run")
    parser.add_argument("--out", type=Path, help="the Markdown file; by default tests/benchmarks/results/DATE-gpu.md")
    arguments = parser.parse_args(argv)
    out = arguments.out or RESULTS / f"{datetime.date.today()}-gpu.md"
    with options(arguments.dry) as chosen:
        parts = [f"# GPU, {datetime.date.today()}", machine(chosen), "Medians by CUDA events, the sides in turn."]
        failed = 0
        for name in BENCHMARKS:
            started = time.perf_counter()
            try:
                rows = importlib.import_module(f"tests.benchmarks.gpu.{name}").main(chosen)
                parts.append(f"## {name}\n\n{table(rows)}")
            except Exception as error:  # the other tables are worth having
                traceback.print_exc()
                failed += 1
                parts.append(f"## {name}\n\nfailed: {type(error).__name__}: {error}")
            parts[-1] += f"\n\n{time.perf_counter() - started:.0f} s"
            print(parts[-1], flush=True)
            out.write_text("\n\n".join(parts) + "\n")
    print(f"wrote {out}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
