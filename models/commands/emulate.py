"""`minigrad emulate`: run a CUDA C kernel without a GPU, and say in which line it does what no kernel may.

    minigrad emulate softmax.cu --grid 4 --block 64 --arg "x=randn(4, 100)" --arg "y=zeros(4, 100)" --arg n=100

Instead of on the command line the options may be in the file, in comments:

    // emulate: --grid 4 --block 64 --arg "x=randn(4, 100)" --arg "y=zeros(4, 100)" --arg n=100

It reports reads and writes outside the arrays, races within a block, shared memory that is read before it is
written, misaligned vectors, barriers that part of a block does not reach, and a result that depends on the order in
which the threads run.
"""

import argparse
import ast
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.kernels.cuda import emulator
from models.errors import UserError

MAKERS: dict[str, Any] = {
    "zeros": lambda rng, *shape: np.zeros(shape),
    "ones": lambda rng, *shape: np.ones(shape),
    "full": lambda rng, value, *shape: np.full(shape, value),
    "arange": lambda rng, n: np.arange(n),
    "randn": lambda rng, *shape: rng.standard_normal(shape),
    "rand": lambda rng, *shape: rng.random(shape),
    "randint": lambda rng, high, *shape: rng.integers(0, high, shape),
}
NOTATION = (
    "a number, null, or an array: zeros(4, 256), ones(4, 256), full(7, 4, 256), arange(256), randn(4, 256), "
    "rand(4, 256), randint(10, 4, 256), which is below 10. Its dtype is the parameter's"
)


def main(argv: list[str] | None = None) -> int:
    """Run `minigrad emulate FILE.cu ...`; 0, or 1 if something is wrong with the kernel. Raises UserError."""
    parser = _parser()
    argv = sys.argv[1:] if argv is None else argv
    text = _read(parser.parse_args(argv).file)
    header = [line.partition("emulate:")[2] for line in text.splitlines() if line.startswith("// emulate:")]
    options = parser.parse_args([*shlex.split(" ".join(header)), *argv])

    library = _build(text, options)
    kernel = options.kernel or library.kernels[0]
    arguments = _arguments(library, kernel, options)
    problems, outputs = _run(library, kernel, arguments, "forward", options)
    print(f"{kernel} <<<{_shape(options.grid)}, {_shape(options.block)}>>>")
    for name, array in outputs.items():
        print(f"  {name:12} {_summary(array)}")
    for problem in problems:
        print(problem)
    if not problems:
        problems = _compare_orders(library, kernel, arguments, outputs, options)
    if not problems:
        print("no problem found")
    return 1 if problems else 0


def _parser() -> argparse.ArgumentParser:
    description, epilog = __doc__.partition("`: ")[2].split("\n\n", 1)
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("minigrad emulate", None, description, epilog, formatter_class=plain)
    parser.add_argument("file", type=Path, help="a CUDA C file")
    parser.add_argument("--kernel", help="the kernel, by default the file's first; a template as in 'softmax<64>'")
    parser.add_argument("--grid", type=_sizes, default=(1, 1, 1), metavar="X[,Y[,Z]]", help="blocks, by default 1")
    parser.add_argument("--block", type=_sizes, default=(32, 1, 1), metavar="X[,Y[,Z]]", help="threads, by default 32")
    parser.add_argument("--shared", type=int, default=0, metavar="BYTES", help="dynamic shared memory")
    parser.add_argument("--arg", action="append", default=[], metavar="NAME=VALUE", help=NOTATION)
    parser.add_argument("--define", action="append", default=[], metavar="NAME=VALUE", help="a preprocessor constant")
    parser.add_argument("--seed", type=int, default=0, help="of the random arrays")
    return parser


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None


def _build(text: str, options) -> emulator.Library:
    if "<<<" in text:
        raise UserError(
            f"{options.file} starts kernels itself (<<<...>>>): leave only kernels in it, --grid starts them"
        )
    kernels = [options.kernel] if options.kernel else emulator.kernel_names(text)
    if not kernels:
        raise UserError(f"{options.file} has no kernel that is no template: choose one, as in --kernel 'softmax<64>'")
    defines = dict(_pair(each, "--define") for each in options.define)
    try:
        return emulator.build(text, options.file.resolve(), defines, kernels, checked=True)
    except emulator.CompilerMissing as error:
        raise UserError(str(error)) from None
    except emulator.CompileError as error:
        print(error, file=sys.stderr)
        raise UserError(f"{options.file} does not compile: the compiler's messages are above") from None


def _arguments(library: emulator.Library, kernel: str, options) -> dict:
    """The kernel's arguments by name, each of the type that the parameter has."""
    given = dict(_pair(each, "--arg") for each in options.arg)
    names, types = library.parameters(kernel), library.kernel(kernel)[1]
    if unknown := sorted(given.keys() - set(names)):
        raise UserError(f"{kernel} has no parameter {unknown[0]!r}; it has {', '.join(names)}")
    if missing := [name for name in names if name not in given]:
        raise UserError(f"{kernel}: give {', '.join(f'--arg {name}=...' for name in missing)}; VALUE is {NOTATION}")
    rng = np.random.default_rng(options.seed)
    return {name: _value(name, given[name], type_, rng) for name, type_ in zip(names, types, strict=True)}


def _value(name: str, text: str, type_: str, rng):
    """What `text` says, for a parameter of that type in emulator.h's letters: *cf4 is const float *."""
    scalar = type_.lstrip("*c")
    try:
        tree = ast.parse(text, mode="eval").body
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and not tree.keywords:
            value = MAKERS[tree.func.id](rng, *(ast.literal_eval(each) for each in tree.args))
        elif isinstance(tree, ast.Name) and tree.id == "null":
            return None
        else:
            value = ast.literal_eval(tree)
            value = float(value) if scalar[0] == "f" else int(value)
    except (SyntaxError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"--arg {name}={text}: expected {NOTATION} ({type(error).__name__})") from None
    if isinstance(value, np.ndarray) != type_.startswith("*"):
        raise UserError(f"--arg {name}={text}: the parameter is {'an array' if type_.startswith('*') else 'a number'}")
    if scalar == "V2":
        return _to_bf16(value)
    dtype = np.dtype(np.float32 if scalar.startswith("V") else scalar)
    return np.ascontiguousarray(value, dtype) if isinstance(value, np.ndarray) else dtype.type(value)


def _to_bf16(x: np.ndarray) -> np.ndarray:
    """The bits of bfloat16, cut off: these are made-up numbers."""
    return (x.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def _run(library: emulator.Library, kernel: str, arguments: dict, order: str, options) -> tuple[list, dict]:
    """(problems, what the kernel wrote) of a run on copies of the arguments."""
    copies = {name: a.copy() if isinstance(a, np.ndarray) else a for name, a in arguments.items()}
    try:
        with emulator.order(order):
            problems = emulator.check(
                library, kernel, options.grid, options.block, list(copies.values()), options.shared
            )
    except ValueError as error:  # a block too large, too much shared memory
        raise UserError(str(error)) from None
    types = library.kernel(kernel)[1]
    written = [n for n, t in zip(copies, types, strict=True) if t.startswith("*") and not t.startswith("*c")]
    return problems, {name: copies[name] for name in written if copies[name] is not None}


def _compare_orders(library: emulator.Library, kernel: str, arguments: dict, outputs: dict, options) -> list[str]:
    """What differs when threads and blocks run in another order; printed and returned."""
    found = []
    for order in ("reverse", "permuted"):
        _, others = _run(library, kernel, arguments, order, options)
        for name, array in outputs.items():
            if not np.allclose(array, others[name], rtol=1e-3, atol=1e-5, equal_nan=True):
                found.append(f"{name} is another if threads and blocks run in {order} order: {_summary(others[name])}")
                print(found[-1])
    return found


def _summary(array: np.ndarray) -> str:
    text = f"{array.dtype}{list(array.shape)}"
    if not array.size:
        return text
    numbers = array.astype(np.float64).reshape(-1)
    finite = numbers[np.isfinite(numbers)]
    if finite.size:
        text += f"  min {finite.min():.6g}  max {finite.max():.6g}  mean {finite.mean():.6g}"
    if finite.size < numbers.size:
        text += f"  NaN or infinite: {numbers.size - finite.size}"
    return f"{text}  first {' '.join(f'{each:.6g}' for each in numbers[:6])}"


def _sizes(text: str) -> tuple[int, int, int]:
    sizes = [int(each) for each in text.split(",")]
    if not 1 <= len(sizes) <= 3 or min(sizes) < 1:
        raise ValueError(text)
    x, y, z = (*sizes, 1, 1)[:3]
    return x, y, z


def _shape(sizes: tuple) -> str:
    return f"({', '.join(map(str, sizes))})"


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"{option} {text}: expected NAME=VALUE")
    return name.strip(), value.strip()
