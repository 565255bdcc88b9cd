"""Runs CUDA C on the CPU, on any machine with a C++ compiler: to test kernels, and to learn to write them.

A .cu file is compiled with the system's C++ compiler; emulator.h gives it what CUDA C adds to C++, and
threads.cpp runs a block's threads as fibers, one block at a time. What is not modelled: races between blocks,
bank conflicts and speed, Hopper's wgmma and TMA.

A launch runs the threads in one of three orders, and every one must give the same result: `order("reverse")`
chooses, or MINIGRAD_EMULATOR_ORDER=reverse. Shared memory is NaN when a block starts. Every array is copied to a
place with guard zones around it, and what is written there is reported. `watched()` and check() look at every access.
"""

import ctypes
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigrad.kernels.cuda.emulator import checked
from minigrad.kernels.cuda.emulator.arena import GUARD, Arena
from minigrad.kernels.cuda.emulator.checked import Problem
from minigrad.kernels.cuda.emulator.library import CompileError, CompilerMissing, Library, build, compiler, kernel_names

__all__ = [
    "ORDERS",
    "CompileError",
    "CompilerMissing",
    "EmulatorError",
    "Library",
    "Problem",
    "build",
    "check",
    "compiler",
    "kernel_names",
    "launch",
    "order",
    "run",
    "watched",
]

ORDERS = ("forward", "reverse", "permuted")
MOST_THREADS, MOST_SHARED = 1024, 227 << 10  # of a block on a Hopper GPU


class EmulatorError(RuntimeError):
    """The kernel did what no kernel may: the message is the report."""


def _known(name: str) -> str:
    if name not in ORDERS:
        raise ValueError(f"emulator.order: {name!r}; choose one of {', '.join(ORDERS)}")
    return name


_order = _known(os.environ.get("MINIGRAD_EMULATOR_ORDER") or "forward")
_watched = False
_one_launch = threading.Lock()  # there is one set of stacks for the emulated threads


class _Shared:
    """What all libraries have in common: the stacks, and which of them ran last."""

    def __init__(self):
        self.stacks, self.last = ctypes.c_void_p(), None


_shared = _Shared()


@contextmanager
def order(name: str) -> Iterator[None]:
    """Run a block's threads, and a grid's blocks, "forward", "reverse" or "permuted" in the with block."""
    global _order
    before, _order = _order, _known(name)
    try:
        yield
    finally:
        _order = before


@contextmanager
def watched() -> Iterator[None]:
    """In the with block every launch of a .cu file's kernels is checked as by check(): slow, and a problem raises."""
    global _watched
    before, _watched = _watched, True
    try:
        yield
    finally:
        _watched = before


def run(
    library_of: Callable[[bool], Library],
    kernel: str,
    grid: Any,
    block: Any,
    arguments: Sequence[Any],
    shared_bytes: int,
) -> None:
    """launch(), or inside watched() check(); `library_of(checked)` builds the file."""
    library = library_of(_watched)
    if not _watched:
        launch(library, kernel, grid, block, arguments, shared_bytes)
    elif problems := check(library, kernel, grid, block, arguments, shared_bytes):
        raise EmulatorError("\n".join(map(str, problems)))


def launch(
    library: Library, kernel: str, grid: tuple, block: tuple, arguments: Sequence[Any], shared_bytes: int = 0
) -> None:
    """Run a kernel on numpy arrays; what it writes is in them afterwards. EmulatorError if it misbehaves."""
    call, arena = _prepare(library, kernel, grid, block, arguments, shared_bytes, GUARD)
    report = _run(library, call, grid, block, arguments, arena, shared_bytes)
    if report or (report := "; ".join(arena.damage())):
        raise EmulatorError(f"{kernel}, {_order} order: {report}")
    arena.copy_back()


def check(library: Library, kernel: str, grid: tuple, block: tuple, arguments, shared_bytes: int = 0) -> list[Problem]:
    """Run a kernel built with `checked`, watching every access; what is wrong with it, in the order it happened.

    EmulatorError for a barrier that part of a block does not reach, and a deadlock.
    """
    call, arena = _prepare(library, kernel, grid, block, arguments, shared_bytes, checked.GUARD)
    checked.watch(library, arena)
    report = _run(library, call, grid, block, arguments, arena, shared_bytes)
    found = checked.problems(library, arena)
    if report:
        found.append(Problem(kernel, report, 1))
    arena.copy_back()
    return found


def _prepare(library: Library, kernel: str, grid, block, arguments, shared_bytes: int, guard: int):
    """The kernel's address, and its arrays in an arena; errors for a launch that cannot be."""
    call, types = library.kernel(kernel)
    names = library.parameters(kernel)
    check_arguments(kernel, types, names, arguments)
    check_sizes(library, kernel, grid, block, shared_bytes)
    arrays = [
        (name, a, not t.startswith("*c"))
        for name, t, a in zip(names, types, arguments, strict=True)
        if isinstance(a, np.ndarray)
    ]
    arrays += [
        (f"array {i} of {name}", array, True)
        for name, a in zip(names, arguments, strict=True)
        for i, array in enumerate(getattr(a, "arrays", ()))
    ]
    return call, Arena(arrays, guard)


def _run(library: Library, call, grid, block, arguments, arena: Arena, shared_bytes: int) -> str:
    """What stopped the launch, or nothing."""
    values = [_value(a, arena) for a in arguments]
    pointers = (ctypes.c_void_p * len(values))(*(v.ctypes.data for v in values))
    return run_at(library, call, pointers, grid, block, shared_bytes)


def run_at(library: Library, call: Any, pointers: Any, grid: Any, block: Any, shared_bytes: int) -> str:
    """Run a kernel whose arguments lie at these addresses, unguarded; what stopped it, or nothing."""
    three = ctypes.c_uint * 3
    with _one_launch:
        others_ran, _shared.last = _shared.last is not library, library
        failed = library.functions.emulator_launch(
            call,
            pointers,
            three(*grid),
            three(*block),
            shared_bytes,
            ORDERS.index(_order),
            ctypes.byref(_shared.stacks),
            others_ran,
        )
        return library.functions.emulator_report().decode() if failed else ""


def _value(argument, arena: Arena) -> np.ndarray:
    """The memory that holds an argument: a number, a struct, or the address of an array's copy."""
    if hasattr(argument, "by_value"):
        return np.array(argument.by_value(arena.address))
    if argument is None:
        return np.zeros((), np.uintp)
    if isinstance(argument, np.ndarray):
        return np.array(arena.address(argument), np.uintp)
    return np.array(argument)


def check_arguments(kernel: str, types: list[str], names: list[str], arguments: Sequence[Any]) -> None:
    """TypeError unless the arguments are what the kernel's parameters ask for."""
    if len(types) != len(arguments):
        raise TypeError(f"{kernel}: {len(arguments)} arguments were given and it has {len(types)} parameters")
    for expected, name, argument in zip(types, names, arguments, strict=True):
        if (argument is None and expected.startswith("*")) or hasattr(argument, "by_value"):
            continue
        is_array = isinstance(argument, np.ndarray)
        given = getattr(argument, "dtype", None)
        if is_array != expected.startswith("*") or given is None or not _fits(given, expected):
            raise TypeError(
                f"{kernel}: {name} is {_in_words(expected)} and was given {_describe(argument)}; "
                "give numbers as numpy scalars of the parameter's type, such as np.int32(n)"
            )
        if is_array and not expected.startswith("*c") and not argument.flags.writeable:
            raise TypeError(f"{kernel}: {name} is not const and was given a read-only array")


def check_sizes(library: Library, kernel: str, grid: tuple, block: tuple, shared_bytes: int) -> None:
    """ValueError for what no GPU would start."""
    threads = int(np.prod(block))
    if not 1 <= threads <= MOST_THREADS:
        raise ValueError(f"{kernel}: a block {block} has {threads} threads; a GPU takes 1 to {MOST_THREADS}")
    if min(grid) < 1:
        raise ValueError(f"{kernel}: a grid {grid} has no blocks")
    shared = shared_bytes + library.functions.emulator_static_shared()
    if shared > MOST_SHARED:
        raise ValueError(f"{kernel}: {shared} bytes of shared memory; a block has at most {MOST_SHARED}")


def _fits(dtype: np.dtype, expected: str) -> bool:
    """A struct of a kernel's own (bf16, float4) may lie in memory of any type; one given by value has its size."""
    scalar = expected.lstrip("*c")
    given = f"{dtype.kind}{dtype.itemsize}"
    return given == scalar or (scalar.startswith("V") and expected.startswith("*"))


def _describe(argument) -> str:
    if isinstance(argument, np.ndarray):
        return f"{argument.dtype}{list(argument.shape)}"
    return f"{type(argument).__name__} {argument!r}"


def _in_words(expected: str) -> str:
    scalar = expected.lstrip("*c")
    name = f"a struct of {scalar[1:]} bytes" if scalar.startswith("V") else np.dtype(scalar).name
    return f"a pointer to {name}" if expected.startswith("*") else name
