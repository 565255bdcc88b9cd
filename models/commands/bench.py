"""`minigrad bench`: every hand-written kernel beside its reference and the vendor's library, on this machine."""

import argparse
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from minigrad import kernels
from minigrad.kernels.reference.attention import AttentionSettings
from minigrad.kernels.reference.optimizer import AdamOptions, SGDOptions
from minigrad.kernels.reference.recurrent import GRUSaved, LSTMSaved
from models.errors import UserError

RUN_SECONDS = 0.004  # one measurement repeats a call for about this long
BACKENDS = ("reference", "blas", "numba")
ROUNDS = 7  # measurements of each implementation, in turn; the fastest counts


@dataclass(frozen=True)
class Case:
    """One kernel at one shape.

    arguments  makes the kernel's arguments
    flops      floating-point operations of one call; 0 where memory is the limit and GB/s is the measure
    moved      bytes of arrays read and written; counted from arguments and results if not given
    """

    kernel: str
    shape: str
    arguments: Callable[[np.random.Generator], tuple]
    flops: float = 0
    moved: int | None = None


@dataclass(frozen=True)
class Measurement:
    """Seconds of one call by backend, and the work in one call."""

    case: Case
    seconds: dict[str, float]
    moved: int

    def rate(self, backend: str) -> str:
        """GFLOP/s or GB/s."""
        work, unit = (self.case.flops, "GFLOP/s") if self.case.flops else (self.moved, "GB/s")
        return f"{work / self.seconds[backend] / 1e9:.1f} {unit}"

    def times_faster(self, backend: str, than: str) -> str:
        """How many times faster one backend is than another, "" if that one has no such kernel."""
        return f"{self.seconds[than] / self.seconds[backend]:.2f}×" if than in self.seconds else ""


def main(argv: list[str] | None = None) -> int:
    """Run `minigrad bench kernels [NAME ...]`."""
    parser = argparse.ArgumentParser(prog="minigrad bench", description=__doc__.partition("`: ")[2])
    benchmarks = parser.add_subparsers(dest="benchmark", required=True, metavar="kernels")
    on_kernels = benchmarks.add_parser("kernels", help="time each implementation of each kernel, in turn")
    on_kernels.add_argument("names", nargs="*", metavar="NAME", help="kernels to time (default: all)")
    arguments = parser.parse_args(argv)
    chosen = list(cases())
    known = list(dict.fromkeys(case.kernel for case in chosen))
    for name in arguments.names:
        if name not in known:
            raise UserError(f"no kernel {name!r}: there are {', '.join(known)}")
    _show(case for case in chosen if not arguments.names or case.kernel in arguments.names)
    return 0


def cases() -> Iterator[Case]:
    """Every kernel at shapes of a small GPT (128 wide) and of a medium one (768 wide)."""
    for n in (128, 512, 1024):
        yield Case("matmul", f"{n}×{n}×{n}", partial(_arrays, shapes=((n, n), (n, n))), 2 * n**3)
    yield Case("matmul", "48×64×32×64", partial(_arrays, shapes=((48, 64, 32), (48, 32, 64))), 2 * 48 * 64 * 32 * 64)
    for rows, inputs, outputs in ((768, 128, 512), (1024, 768, 3072)):
        shape, flops = f"{rows}×{inputs}→{outputs} gelu", 2 * rows * inputs * outputs
        sizes = {"rows": rows, "inputs": inputs, "outputs": outputs}
        yield Case("linear", shape, partial(_linear, **sizes), flops)
        yield Case("linear_backward", shape, partial(_linear_back, **sizes), 2 * flops)
    for matrix in ((1024, 256), (8192, 1024)):
        yield from _rowwise_cases(matrix)
    for rows, vocabulary in ((768, 80), (512, 50257)):
        yield from _cross_entropy_cases(rows, vocabulary)
    for vocabulary, width in ((80, 128), (50257, 768)):
        yield from _embedding_cases(vocabulary, width)
    for batch, heads, length, width in ((12, 4, 64, 32), (4, 12, 512, 64)):
        yield from _attention_cases(batch, heads, length, width)
    for batch, steps, hidden in ((50, 50, 128), (50, 50, 512)):
        yield from _recurrent_cases(batch, steps, hidden)
    for batch, channels, length, filters, width in ((32, 100, 60, 100, 3), (8, 384, 512, 384, 3)):
        yield from _convolution_cases(batch, channels, length, filters, width)
    for batch, channels, size, filters, width in ((64, 1, 28, 32, 3), (64, 16, 14, 32, 3)):
        yield from _image_cases(batch, channels, size, filters, width)
    for count, size in ((52, 16_384), (52, 262_144)):
        yield from _optimizer_cases(count, size)


def measure(case: Case) -> Measurement:
    """Time every implementation that takes the case's arguments, in turn."""
    arguments = case.arguments(np.random.default_rng(0))
    functions = {
        backend: implementation.load()
        for backend, implementation in getattr(kernels, case.kernel).implementations.items()
        if backend in BACKENDS and implementation.supports(*arguments)
    }
    repeats, moved = {}, 0
    for backend, function in functions.items():
        result = function(*arguments)  # compiles
        moved = case.moved or _bytes(arguments) + _bytes(result)
        repeats[backend] = max(1, math.ceil(RUN_SECONDS / _seconds(function, arguments, 1)))
    best = dict.fromkeys(functions, math.inf)
    for _ in range(ROUNDS):
        for backend, function in functions.items():
            best[backend] = min(best[backend], _seconds(function, arguments, repeats[backend]))
    return Measurement(case, best, moved)


def _seconds(function: Callable, arguments: tuple, repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        function(*arguments)
    return (time.perf_counter() - start) / repeats


def _bytes(value) -> int:
    if isinstance(value, np.ndarray):
        return value.nbytes
    return sum(map(_bytes, value)) if isinstance(value, list | tuple) else 0


def _show(chosen: Iterator[Case]) -> None:
    from rich.console import Console
    from rich.table import Table

    from models.commands.doctor import cpu_name, usable_cores

    console = Console()
    if not console.is_terminal:
        console = Console(width=160)  # a file or a pipe has no width of its own
    title = f"{cpu_name()}, {usable_cores()} cores, float32, microseconds a call (best of {ROUNDS} runs in turn)"
    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for heading in ("kernel", "shape"):
        table.add_column(heading, no_wrap=True)
    for heading in ("reference", "BLAS", "numba", "numba's rate", "vs reference", "vs BLAS"):
        table.add_column(heading, justify="right", no_wrap=True)
    with console.status("") as status:
        for case in chosen:
            status.update(f"{case.kernel} {case.shape}")
            timed = measure(case)
            microseconds = [f"{timed.seconds[b] * 1e6:,.0f}" if b in timed.seconds else "" for b in BACKENDS]
            ours = [timed.rate("numba"), timed.times_faster("numba", "reference"), timed.times_faster("numba", "blas")]
            table.add_row(case.kernel, case.shape, *microseconds, *ours)
    console.print(table)


def _array(r: np.random.Generator, *shape: int) -> np.ndarray:
    return r.standard_normal(shape, np.float32)


def _arrays(r: np.random.Generator, shapes: tuple[tuple[int, ...], ...]) -> tuple[np.ndarray, ...]:
    return tuple(_array(r, *shape) for shape in shapes)


def _linear(r, rows: int, inputs: int, outputs: int) -> tuple:
    return _array(r, rows, inputs), _array(r, outputs, inputs), _array(r, outputs), "gelu_tanh"


def _linear_back(r, rows: int, inputs: int, outputs: int) -> tuple:
    x, weight, _, activation = _linear(r, rows, inputs, outputs)
    return _array(r, rows, outputs), x, weight, _array(r, rows, outputs), activation, (True, True, True)


def _rowwise_cases(shape: tuple[int, int]) -> Iterator[Case]:
    label, width = f"{shape[0]}×{shape[1]}", shape[1]
    for name in ("softmax", "log_softmax", "silu"):
        yield Case(name, label, lambda r: (_array(r, *shape),))
    yield Case("softmax_backward", label, lambda r: (_array(r, *shape), kernels.softmax(_array(r, *shape))))
    yield Case("log_softmax_backward", label, lambda r: (_array(r, *shape), kernels.log_softmax(_array(r, *shape))))
    yield Case("silu_backward", label, lambda r: (_array(r, *shape), _array(r, *shape)))
    yield Case("gelu", label, lambda r: (_array(r, *shape), "tanh"))
    yield Case("gelu_backward", label, lambda r: (_array(r, *shape), _array(r, *shape), "tanh"))
    yield Case("dropout", label, lambda r: (_array(r, *shape), 0.1, 1))
    yield Case("layer_norm", label, lambda r: (_array(r, *shape), _array(r, width), _array(r, width), 1e-5))
    yield Case("rms_norm", label, lambda r: (_array(r, *shape), _array(r, width), 1e-6))

    def layer_norm_backward(r):
        x, weight = _array(r, *shape), _array(r, width)
        _, mean, rstd = kernels.layer_norm(x, weight, None, 1e-5)
        return _array(r, *shape), x, weight, mean, rstd

    def rms_norm_backward(r):
        x, weight = _array(r, *shape), _array(r, width)
        return _array(r, *shape), x, weight, kernels.rms_norm(x, weight, 1e-6)[1]

    yield Case("layer_norm_backward", label, layer_norm_backward)
    yield Case("rms_norm_backward", label, rms_norm_backward)


def _cross_entropy_cases(rows: int, vocabulary: int) -> Iterator[Case]:
    def forward(r):
        return _array(r, rows, vocabulary), r.integers(0, vocabulary, rows), -100, 0.0, None

    def backward(r):
        logits, targets, *options = forward(r)
        _, lse = kernels.cross_entropy(logits, targets, *options)
        return np.full(rows, 1 / rows, np.float32), logits, targets, lse, *options

    yield Case("cross_entropy", f"{rows}×{vocabulary}", forward)
    yield Case("cross_entropy_backward", f"{rows}×{vocabulary}", backward)


def _embedding_cases(vocabulary: int, width: int, tokens: int = 768) -> Iterator[Case]:
    def forward(r):
        return _array(r, vocabulary, width), r.integers(0, vocabulary, tokens)

    def backward(r):
        return _array(r, tokens, width), r.integers(0, vocabulary, tokens), _array(r, vocabulary, width), None

    label, rows = f"{tokens} of {vocabulary}×{width}", 4 * tokens * width  # bytes
    yield Case("embedding", label, forward, moved=2 * rows)
    yield Case("embedding_backward", label, backward, moved=3 * rows)


def _attention_cases(batch: int, heads: int, length: int, width: int) -> Iterator[Case]:
    options = (None, AttentionSettings(0, 1 / math.sqrt(width), 0.0, 0))  # no mask, causal, no dropout

    def forward(r):
        return *(_array(r, batch, heads, length, width) for _ in range(3)), *options

    def backward(r):
        q, k, v, *_ = forward(r)
        out, lse = kernels.attention(q, k, v, *options)
        return _array(r, batch, heads, length, width), q, k, v, out, lse, *options

    seen = batch * heads * length * (length + 1) / 2  # pairs of query and key
    label = f"{batch}×{heads}×{length}×{width} causal"
    yield Case("attention", label, forward, 4 * seen * width)  # QK and PV
    yield Case("attention_backward", label, backward, 10 * seen * width)  # QK again, dV, dP, dQ, dK


def _recurrent_cases(batch: int, steps: int, hidden: int) -> Iterator[Case]:
    sizes, label = np.full(steps, batch), f"{batch}×{steps}×{hidden}"
    states = {"lstm": 2, "gru": 1, "rnn": 1}

    def forward(r, cell: str, gates: int) -> tuple:
        initial = [_array(r, batch, hidden) for _ in range(states[cell])]
        bias = [_array(r, gates * hidden)] if cell == "gru" else []
        options = (False, False) if cell == "rnn" else (False,)  # not reversed; tanh
        weight = _array(r, gates * hidden, hidden) / np.float32(math.sqrt(hidden))
        return _array(r, batch * steps, gates * hidden), *initial, weight, *bias, sizes, *options

    def backward(r, cell: str, gates: int) -> tuple:
        arguments = forward(r, cell, gates)
        output, *results = getattr(kernels, cell)(*arguments)
        last, saved = results[: states[cell]], results[states[cell] :]
        initial, weight = arguments[1 : 1 + states[cell]], arguments[1 + states[cell]]
        grads = [_array(r, *x.shape) for x in (output, *last)]
        state = *initial, weight, output, *saved
        if cell == "rnn":
            return *grads, *state, sizes, False, False  # not reversed; tanh
        return *grads, LSTMSaved(*state) if cell == "lstm" else GRUSaved(*state), sizes, False

    for cell, gates in (("lstm", 4), ("gru", 3), ("rnn", 1)):
        flops = 2 * batch * steps * gates * hidden**2  # of the product with the state
        yield Case(cell, label, partial(forward, cell=cell, gates=gates), flops)
        yield Case(f"{cell}_backward", label, partial(backward, cell=cell, gates=gates), 2 * flops)


def _convolution_cases(batch: int, channels: int, length: int, filters: int, width: int) -> Iterator[Case]:
    settings = (1, (0, 0), 1, 1)  # stride, padding, dilation, groups
    label, needs = f"{batch}×{length}×{channels}→{filters}, width {width}", (True, True, True)
    flops = 2 * batch * (length - width + 1) * channels * filters * width

    def weights(r):
        return _array(r, filters, channels, width), _array(r, filters)

    def text(r):  # of conv1d_max, channels last
        return _array(r, batch, length, channels), *weights(r), np.full(batch, length)

    def back(r):
        weight, _ = weights(r)
        grad = _array(r, batch, filters, length - width + 1)
        return grad, _array(r, batch, channels, length), weight, *settings, needs

    def text_back(r):
        x, weight, bias, lengths = text(r)
        _, start = kernels.conv1d_max(x, weight, bias, lengths)
        return _array(r, batch, filters), x, weight, start, lengths, needs

    yield Case("conv1d", label, lambda r: (_array(r, batch, channels, length), *weights(r), *settings), flops)
    yield Case("conv1d_backward", label, back, 2 * flops)
    yield Case("conv1d_max", label, text, flops)
    yield Case("conv1d_max_backward", label, text_back)


def _image_cases(batch: int, channels: int, size: int, filters: int, width: int) -> Iterator[Case]:
    """A convolution of images that keeps their size, and the pooling by twos that halves it."""
    edge = (width // 2, width // 2)
    settings = (1, 1), (edge, edge), (1, 1), 1  # stride, padding, dilation, groups
    windows = (2, 2), (2, 2), (0, 0), (1, 1), (size // 2, size // 2)  # field, stride, padding, dilation, out
    label = f"{batch}×{channels}×{size}×{size}→{filters}, {width}×{width}"
    flops = 2 * batch * size**2 * channels * filters * width**2

    def images(r):
        return _array(r, batch, channels, size, size)

    def back(r):
        grad = _array(r, batch, filters, size, size)
        return grad, images(r), _array(r, filters, channels, width, width), *settings, (True, True, True)

    def pool_back(r):
        y, position = kernels.max_pool2d(_array(r, batch * filters, size, size), *windows)
        return _array(r, *y.shape), position, (batch * filters, size, size)

    yield Case(
        "conv2d",
        label,
        lambda r: (images(r), _array(r, filters, channels, width, width), _array(r, filters), *settings),
        flops,
    )
    yield Case("conv2d_backward", label, back, 2 * flops)
    label = f"{batch * filters}×{size}×{size}, 2×2"
    yield Case("max_pool2d", label, lambda r: (_array(r, batch * filters, size, size), *windows))
    yield Case("max_pool2d_backward", label, pool_back)


def _optimizer_cases(count: int, size: int) -> Iterator[Case]:
    def arrays(r, copies: int) -> list[list[np.ndarray]]:
        return [[np.abs(_array(r, size)) for _ in range(count)] for _ in range(copies)]

    adam, sgd = AdamOptions(0.9, 0.99, 1e-8, 0.1, True), SGDOptions(0.9, 0.0, False, 0.0)
    label, each = f"{count} arrays of {size:,}", 4 * count * size
    # Parameters and moments are read and written, the gradient is only read.
    yield Case("adamw", label, lambda r: (*arrays(r, 4), 10, 1e-3, adam), moved=7 * each)
    yield Case("sgd", label, lambda r: (*arrays(r, 3), 1e-3, sgd, False), moved=5 * each)
    yield Case("grad_norm", label, lambda r: (arrays(r, 1)[0],))
    yield Case("scale", label, lambda r: (arrays(r, 1)[0], 1.0), moved=2 * each)
