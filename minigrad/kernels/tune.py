"""Measure which version of each kernel is the fastest on this GPU, and write fastest.json.

    python -m minigrad.kernels.tune                        all kernels
    python -m minigrad.kernels.tune matmul linear --dry    some, and write nothing

Every version's result is compared with the reference's before it is timed: a wrong one does not compete.
Times are medians by CUDA events, the versions in turn.
"""

import argparse
import datetime
import json
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad import kernels
from minigrad.devices import array_module, library
from minigrad.dtypes import as_dtype, epsilon
from minigrad.kernels import fastest
from minigrad.kernels.dispatch import ON_GPU, KernelFallback
from minigrad.kernels.reference.attention import AttentionSettings
from minigrad.typing import DTypeLike

ROUNDS, CALLS = 11, 5


def draws(xp: Any, dtype: DTypeLike, *shapes: Any) -> list:
    """Standard normal arrays on the device."""
    rng = np.random.default_rng(0)
    return [xp.asarray(rng.standard_normal(shape, np.float32)).astype(as_dtype(dtype)) for shape in shapes]


def products(xp: Any, dtype: DTypeLike) -> list[tuple]:
    """Square, a layer of GPT-2 (tokens by width), its attention heads, and one token's row."""
    shapes: list[tuple[tuple[int, ...], ...]] = [((n, n), (n, n)) for n in (256, 512, 1024, 2048, 4096)]
    shapes += [((4096, 768), (768, 3072)), ((4096, 3072), (3072, 768)), ((1, 768), (768, 768))]
    shapes += [((96, 512, 64), (96, 64, 512)), ((96, 512, 512), (96, 512, 64))]
    return [tuple(draws(xp, dtype, *pair)) for pair in shapes]


def linears(xp: Any, dtype: DTypeLike) -> list[tuple]:
    """The layers of GPT-2 and of a smaller GPT, with an activation and without."""
    sizes = [(4096, 768, 2304), (4096, 768, 3072), (4096, 3072, 768), (16384, 384, 1536), (64, 768, 768)]
    made = [draws(xp, dtype, (rows, fan_in), (out, fan_in), (out,)) for rows, fan_in, out in sizes]
    return [(x, weight, bias, activation) for x, weight, bias in made for activation in (None, "gelu_tanh")]


def rows(xp: Any, dtype: DTypeLike) -> list[tuple]:
    """From short rows to a vocabulary's."""
    return [(x,) for x in draws(xp, dtype, (1024, 64), (4096, 256), (16384, 1024), (4096, 50257))]


def attentions(xp: Any, dtype: DTypeLike) -> list[tuple]:
    """Heads of GPT-2, longer ones, wider ones, and those of a smaller GPT; all causal."""
    heads = [(8, 12, 256, 64), (8, 12, 1024, 64), (2, 16, 4096, 128), (64, 6, 256, 64)]
    return [(*draws(xp, dtype, s, s, s), None, AttentionSettings(0, s[-1] ** -0.5, 0.0, 0)) for s in heads]


# kernel -> its arguments at the shapes that are measured
CASES: dict[str, Callable] = {
    "matmul": products,
    "linear": linears,
    "softmax": rows,
    "log_softmax": rows,
    "attention": attentions,
}
DTYPES = ("float32", "bfloat16")


def measure(name: str, args: tuple) -> dict[str, float]:
    """Microseconds per call of each version that can serve these arguments and is right."""
    versions: dict[str, Any] = {}
    expected = _called(name, "reference", args)
    for backend in ON_GPU:
        if backend not in getattr(kernels, name).implementations:
            continue
        try:
            result = expected if backend == "reference" else _called(name, backend, args)
        except KernelFallback:
            continue
        if _close(result, expected):
            versions[backend] = []
    for _ in range(ROUNDS):
        for backend, times in versions.items():
            times.append(_microseconds(name, backend, args))
    return {backend: round(statistics.median(times), 2) for backend, times in versions.items()}


def _called(name: str, backend: str, args: tuple):
    with kernels.use(backend), kernels.strict():
        return getattr(kernels, name)(*args)


def _microseconds(name: str, backend: str, args: tuple) -> float:
    cuda = library("cuda").cuda
    start, end = cuda.Event(), cuda.Event()
    with kernels.use(backend):
        start.record()
        for _ in range(CALLS):
            getattr(kernels, name)(*args)
        end.record()
    end.synchronize()
    return cuda.get_elapsed_time(start, end) / CALLS * 1000


def _close(result, expected) -> bool:
    """Equal but for rounding: measured against the size of what is expected."""
    if isinstance(expected, tuple):
        return all(_close(*pair) for pair in zip(result, expected, strict=True))
    if expected is None:
        return True
    xp = array_module(expected)
    exact, ours = expected.astype(np.float64), result.astype(np.float64)
    size = max(float(xp.abs(xp.where(xp.isfinite(exact), exact, 0)).max()), 1e-30)
    difference = xp.where(xp.isfinite(exact) | xp.isfinite(ours), xp.abs(ours - exact), 0)
    return float(difference.max()) <= 64 * epsilon(result.dtype) * size


def main(argv: list[str] | None = None) -> int:
    """Run `python -m minigrad.kernels.tune`."""
    parser = argparse.ArgumentParser(prog="python -m minigrad.kernels.tune", description=__doc__.partition("\n")[0])
    parser.add_argument("kernels", nargs="*", help=f"of {', '.join(CASES)}; all by default")
    parser.add_argument("--dry", action="store_true", help="show the times, write nothing")
    arguments = parser.parse_args(argv)
    unknown = set(arguments.kernels) - set(CASES)
    if unknown:
        parser.error(f"no measured kernel {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    xp = library("cuda")
    found = {} if not arguments.kernels else dict(fastest.table())
    for name in arguments.kernels or CASES:
        found[name] = []
        for dtype in DTYPES:
            for args in CASES[name](xp, dtype):
                shapes = [list(x.shape) for x in args if hasattr(x, "shape")]
                times = measure(name, args)
                found[name].append({"dtype": dtype, "shapes": shapes, "microseconds": times})
                print(f"{name:12} {dtype:9} {shapes}  {times}", flush=True)
    if not arguments.dry:
        device = xp.cuda.runtime.getDeviceProperties(0)["name"].decode()
        header = {"device": device, "measured": str(datetime.date.today())}
        fastest.PATH.write_text(json.dumps(header | {"kernels": found}, indent=1) + "\n")
        fastest.forget()
        print(f"wrote {fastest.PATH}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
