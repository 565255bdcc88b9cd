"""Runs a kernel with every access to memory watched, and says what is wrong in which line.

checks.cpp looks for accesses outside the arrays, shared memory that is read before it is written, races between a
block's threads, and misaligned vectors. A race is found in whatever order the threads run, because what counts is
whether a barrier lies between two accesses, not which came first.
"""

import ctypes
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minigrad.kernels.cuda.emulator.arena import Arena
from minigrad.kernels.cuda.emulator.library import HERE, Library

GUARD = 1 << 20  # bytes between arrays: an index that is not too wild lands there, and the run goes on
OUT_OF_BOUNDS, UNINITIALISED, RACE, INDEX, MISALIGNED = range(5)


class _Uint3(ctypes.Structure):
    _fields_ = [("x", ctypes.c_uint), ("y", ctypes.c_uint), ("z", ctypes.c_uint)]

    def __str__(self):
        return f"({self.x}, {self.y}, {self.z})"


class _Finding(ctypes.Structure):
    """checks.cpp's Finding."""

    _fields_ = [
        ("kind", ctypes.c_int), ("count", ctypes.c_int), ("place", ctypes.c_size_t), ("other_place", ctypes.c_size_t),
        ("file", ctypes.c_char_p), ("line", ctypes.c_int), ("bytes", ctypes.c_int), ("index", ctypes.c_int64),
        ("address", ctypes.c_size_t), ("writes", ctypes.c_int), ("other_writes", ctypes.c_int),
        ("block", _Uint3), ("thread", _Uint3), ("other_thread", _Uint3),
    ]  # fmt: skip


@dataclass
class Problem:
    """One thing a kernel does wrong: the line as file:line, what happens there, and how often."""

    where: str
    what: str
    count: int

    def __str__(self):
        times = f" ({self.count} times)" if self.count > 1 else ""
        return f"{self.where}: {self.what}{times}"


@dataclass
class _Span:
    """An array in memory, to find what an address belongs to."""

    name: str
    begin: int
    end: int
    itemsize: int | None  # of shared memory unknown: then an access's

    def describe(self, address: int, bytes_accessed: int) -> str:
        size = self.itemsize or bytes_accessed or 1
        inside = self.begin <= address < self.end
        has = "" if inside else f", which has {(self.end - self.begin) // size}"
        return f"element {(address - self.begin) // size} of {self.name}{has}"

    def distance(self, address: int) -> int:
        return max(self.begin - address, address - self.end + 1, 0)


def problems(library: Library, arena: Arena) -> list[Problem]:
    """What the last launch of a kernel built with `checked` did wrong, in the order it happened."""
    first = ctypes.POINTER(_Finding)()
    count = library.functions.emulator_findings(ctypes.byref(first))
    findings = [first[i] for i in range(count)]
    lines = _source_lines(library.path, sorted({p for f in findings for p in (f.place, f.other_place) if p}))
    spans = _arrays(arena) + _shared_arrays(library)
    return [_problem(f, lines, spans) for f in findings]


def watch(library: Library, arena: Arena) -> None:
    """Tell checks.cpp where the arrays of the launch that follows are."""
    begin = arena.memory.ctypes.data
    ends = [end for region in arena.regions for end in arena.span(region)]
    library.functions.emulator_watch(
        ctypes.c_void_p(begin),
        ctypes.c_void_p(begin + arena.memory.size),
        len(arena.regions),
        (ctypes.c_void_p * max(1, len(ends)))(*ends),
    )


def _problem(f: _Finding, lines: dict[int, str], spans: list[_Span]) -> Problem:
    who, place = f"block {f.block}, thread {f.thread}", _owner(f, spans)
    does = "writes" if f.writes else "reads"
    if f.kind == INDEX:
        what = f"out of bounds: {who} uses the index {f.index}, which its array does not have"
    elif f.kind == MISALIGNED:
        what = f"misaligned: {who} accesses {place}, whose address is no multiple of the type's size; a GPU stops here"
    elif f.kind == OUT_OF_BOUNDS:
        what = f"out of bounds: {who} {does} {place}"
    elif f.kind == UNINITIALISED:
        what = f"uninitialised: {who} reads {place} in shared memory, which nobody has written"
    else:
        did = "writes" if f.other_writes else "reads"
        other = f"thread {f.other_thread} {did} it in {lines[f.other_place]}"
        what = f"race: {who} {does} {place}, {other}, and no barrier lies between"
    where = f"{Path(f.file.decode()).name}:{f.line}" if f.file else lines[f.place]
    return Problem(where, what, f.count)


def _owner(f: _Finding, spans: list[_Span]) -> str:
    """The array an address is in or nearest to."""
    nearest = min(spans, key=lambda span: span.distance(f.address), default=None)
    if nearest is None or nearest.distance(f.address) > GUARD:
        return f"address {f.address:#x}, far from every array"
    return nearest.describe(f.address, f.bytes)


def _arrays(arena: Arena) -> list[_Span]:
    found = []
    for name, array in arena.arrays:
        if array.size:
            low, high = np.lib.array_utils.byte_bounds(array)
            begin = arena.address(array) + low - array.ctypes.data
            found.append(_Span(name, begin, begin + high - low, array.itemsize))
    return found


def _shared_arrays(library: Library) -> list[_Span]:
    """The __shared__ arrays, from the library's table of symbols, and the dynamic shared memory."""
    place = library.functions.emulator_shared
    place.restype = ctypes.c_size_t
    bytes_ = ctypes.c_size_t()
    begin = place(1, ctypes.byref(bytes_))
    found = [_Span("the dynamic shared memory", begin, begin + bytes_.value, None)] if bytes_.value else []
    begin = place(0, ctypes.byref(bytes_))
    symbols = _output("readelf", "-sWC", library.path)
    # "18: 0000000000000100  4096 TLS  LOCAL  DEFAULT  18 kernel(float*)::tile"
    for offset, size, name in re.findall(r":\s+([0-9a-f]+)\s+(\d+) TLS (?:\s*\S+){3} (.*)", symbols):
        if "fixed_guard" not in name:
            start = begin + int(offset, 16)
            found.append(_Span(name.rpartition("::")[2], start, start + int(size), None))
    return found


def _source_lines(library: Path, places: list[int]) -> dict[int, str]:
    """For each place in the machine code the line of the source it comes from, as file:line.

    Code from a header names the header's line and the line of the .cu file that it was called from.
    """
    if not places:
        return {}
    if shutil.which("addr2line") is None:
        return {place: f"(install binutils to see the line) {place:#x}" for place in places}
    # A call's return address belongs to what follows it: one byte before is the call.
    addresses = [f"{place - 1:#x}" for place in places]
    result = _output("addr2line", "-e", library, "-i", "-a", *addresses)
    found = {}
    for place, part in zip(places, result.split("0x")[1:], strict=True):
        frames = [line.split(" (")[0] for line in part.splitlines()[1:]]
        frames = [f for f in frames if not f.startswith(str(HERE))] or frames
        innermost, outermost = (Path(frames[0]).name, Path(frames[-1]).name)
        found[place] = innermost if innermost == outermost else f"{innermost}, from {outermost}"
    return found


def _output(*command) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
