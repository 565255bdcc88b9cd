"""Builds a .cu file for the CPU: with the system's C++ compiler, into a library that is kept in the cache."""

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from minigrad.cache import cache_directory

HERE = Path(__file__).parent
FLAGS = ["-std=c++17", "-fPIC", "-fno-strict-aliasing", "-fno-math-errno", "-Wno-unknown-pragmas", "-I", str(HERE)]
FLAGS += ["-I", str(HERE.parent)]  # so that any kernel may include common.cuh
FLAGS += ["-U_FORTIFY_SOURCE"]  # which takes a jump from one stack to another for an attack
FAST = ["-O2"]
# The compiler calls a function of checks.cpp before every access to memory and for every index out of bounds.
CHECKED = ["-O1", "-g", "-DEMULATOR_CHECKED", "-fsanitize=thread,bounds,alignment"]
BOUNDS = r"(?:__launch_bounds__\s*\((?:[^()]|\([^()]*\))*\)\s*)?"
KERNEL = re.compile(rf"__global__\s+{BOUNDS}void\s+{BOUNDS}(\w+)")
CUDA_HEADER = re.compile(
    r"#\s*include\s*<(?:cuda|cuda_runtime|device_launch_parameters)\.h>"
)  # emulator.h replaces them
SHARED_ALIGNED = re.compile(r"__shared__\s+(alignas\s*\([^)]*\))")  # C++ wants these the other way round
ALIGN = r"(?:(?:__align__|alignas)\s*\(\d+\)\s*)?"
DYNAMIC = re.compile(rf"{ALIGN}extern\s+{ALIGN}__shared__\s+{ALIGN}([\w:\s]+?)\s*(\w+)\s*\[\s*\]\s*;")


class CompilerMissing(RuntimeError):
    """There is no C++ compiler on this machine."""


class CompileError(RuntimeError):
    """The compiler does not accept the file; the message is the compiler's."""


class Library:
    """A .cu file's kernels as functions of this process."""

    def __init__(self, path: Path, kernels: list[str], text: str):
        self.path = path
        self.kernels = kernels
        self.text = text  # of the .cu file
        self.functions = ctypes.CDLL(str(path))
        self.functions.emulator_report.restype = ctypes.c_char_p
        pointer, number = ctypes.c_void_p, ctypes.c_int
        self.functions.emulator_launch.argtypes = [*[pointer] * 4, ctypes.c_size_t, number, pointer, number]

    def parameters(self, kernel: str) -> list[str]:
        """The names of a kernel's parameters; "argument 0" and so on if they cannot be read from the text."""
        name, count = kernel.partition("<")[0], len(self.kernel(kernel)[1])
        listed = re.search(rf"__global__[^;{{}}]*?\b{name}\s*\(([^)]*)\)", _without_comments(self.text))
        names = re.findall(r"(\w+)\s*(?:,|$)", listed[1]) if listed else []
        return names if len(names) == count else [f"argument {i}" for i in range(count)]

    @cache  # noqa: B019  libraries live as long as the process
    def kernel(self, name: str) -> tuple[Any, list[str]]:
        """(what emulator_launch calls, the types of the parameters)."""
        if name not in self.kernels:
            raise ValueError(f"there is no kernel {name!r}; the file has {', '.join(self.kernels) or 'none'}")
        number = self.kernels.index(name)
        signature = self.functions[f"emulator_signature_{number}"]
        signature.restype = ctypes.c_char_p
        call = ctypes.cast(self.functions[f"emulator_call_{number}"], ctypes.c_void_p)
        return call, signature().decode().split()


def build(text: str, path: Path, defines: dict, kernels: list[str] | None = None, checked: bool = False) -> Library:
    """Compile a .cu file's text, which includes others relative to `path`, unless an earlier run has done so.

    `kernels` are the kernels to make callable, by default all that are no templates; an instance of a
    template is written as in C++: "softmax<256>".
    """
    if kernels is None:
        kernels = kernel_names(text)
    source = as_cpp(text, path.name, kernels)
    flags = FLAGS + (CHECKED if checked else FAST) + [f"-D{name}={value}" for name, value in sorted(defines.items())]
    key = [compiler(), *flags, _everything_included(source, path.parent), *(f.read_text() for f in _own_files())]
    digest = hashlib.sha256("\0".join(key).encode()).hexdigest()[:24]
    library = cache_directory() / "emulator" / f"{path.stem}-{digest}.so"
    if not library.exists():
        _compile(source, path, flags, _runtime(checked), library)
    return Library(library, kernels, text)


def as_cpp(text: str, name: str, kernels: list[str]) -> str:
    """A .cu file's text as C++, with what makes its kernels callable."""
    calls = "\n".join(f"EMULATOR_KERNEL({number}, {kernel})" for number, kernel in enumerate(kernels))
    # Dynamic shared memory has one place for all its names; #line keeps the file's own numbering.
    body = SHARED_ALIGNED.sub(r"\1 __shared__", CUDA_HEADER.sub("", text))
    body = DYNAMIC.sub(r"\1 *const \2 = reinterpret_cast<\1 *>(emulator::dynamic_shared());", body)
    return f'#line 1 "{name}"\n{body}\n#include "entry.h"\n{calls}\n'


def kernel_names(text: str) -> list[str]:
    """The kernels defined in a .cu file that are no templates."""
    return [m[1] for m in KERNEL.finditer(_without_comments(text)) if not _is_template(_without_comments(text), m)]


@cache
def compiler() -> str:
    """The C++ compiler's command: $CXX, g++, c++ or clang++. CompilerMissing if there is none, or no Linux."""
    if sys.platform != "linux":
        raise CompilerMissing(
            f"the emulator runs on Linux and this is {sys.platform}: use a container, or WSL on Windows"
        )
    for name in (os.environ.get("CXX"), "g++", "c++", "clang++"):
        if name and shutil.which(name):
            return name
    raise CompilerMissing(
        "the emulator needs a C++ compiler and there is none: install one (Debian and Ubuntu: apt install g++, "
        "Fedora: dnf install gcc-c++, conda: conda install gxx), or name yours in the environment variable CXX"
    )


def _compile(source: str, path: Path, flags: list[str], runtime: list[Path], library: Path) -> None:
    # In two steps: were the sanitizers named to the linker, it would take their own runtimes.
    with tempfile.TemporaryDirectory() as folder:
        prepared, compiled = Path(folder) / path.name, Path(folder) / "kernels.o"
        prepared.write_text(source)
        includes = ["-I", str(path.parent), "-include", str(HERE / "emulator.h")]
        _run([*includes, *flags, "-c", "-x", "c++", str(prepared)], compiled)  # the file's own folder goes first
        _run(["-shared", str(compiled), *map(str, runtime)], library)


def _runtime(checked: bool) -> list[Path]:
    """The runtime's object files, compiled once for all kernels."""
    made = []
    # launch.cpp is last, because its guard zone has to lie behind the kernels' shared memory.
    for file in [*(["checks.cpp"] if checked else []), "threads.cpp", "launch.cpp"]:
        flags = [*FLAGS, "-O2", *(["-DEMULATOR_CHECKED"] if checked else [])]
        key = "\0".join([compiler(), *flags, *(f.read_text() for f in _own_files())])
        digest = hashlib.sha256(key.encode()).hexdigest()[:24]
        target = cache_directory() / "emulator" / f"{Path(file).stem}-{digest}.o"
        if not target.exists():
            _run([*flags, "-c", str(HERE / file)], target)
        made.append(target)
    return made


def _run(arguments: list[str], target: Path) -> None:
    """Run the compiler; its output appears under its name only when it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, suffix=target.suffix, delete=False) as file:
        unfinished = Path(file.name)
    try:
        result = subprocess.run([compiler(), *arguments, "-o", unfinished], capture_output=True, text=True)
        if result.returncode:
            raise CompileError(result.stderr.strip())
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


@cache
def _own_files() -> tuple[Path, ...]:
    return (*sorted([*HERE.glob("*.h"), *HERE.glob("*.cpp")]), Path(__file__))  # and how they are put together


def _everything_included(text: str, directory: Path) -> str:
    """The text, followed by that of the files it includes from its own directory or from ours."""
    found = [text]
    for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', text, re.MULTILINE):
        file = next((f for f in (directory / name, HERE.parent / name) if f.is_file()), None)
        if file:
            found.append(_everything_included(file.read_text(), file.parent))
    return "\n".join(found)


def _without_comments(text: str) -> str:
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)


def _is_template(text: str, match: re.Match) -> bool:
    """Whether `template <...>` stands just before a kernel."""
    return re.search(r"template\s*<[^;{}]*>\s*$", text[: match.start()]) is not None
