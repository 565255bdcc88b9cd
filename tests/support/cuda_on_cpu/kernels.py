"""The part of the make-believe driver that is Python: a kernel's source becomes a library of the emulator's.

The environment's start-up file imports this module, so it loads minigrad and numpy only when a kernel is asked for.
"""

import ctypes
import functools
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

HERE = Path(__file__).parent
LIBRARIES = Path(sys.prefix) / "cuda_on_cpu"  # where __main__.py puts them
MARK = "cuda_on_cpu\n"  # nvrtc.cpp's
FAILED, NOT_FOUND = 999, 500  # CUresult

os.environ["CUPY_ACCELERATORS"] = ""  # CUB's reductions come compiled for a GPU
# nvcc would go before NVRTC, and what it makes is for a GPU, too.
os.environ["PATH"] = ":".join(place for place in os.get_exec_path() if not Path(place, "nvcc").exists())

_pointer = ctypes.c_void_p
_numbers = ctypes.POINTER(ctypes.c_uint)
_Load = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(_pointer))
_Find = ctypes.CFUNCTYPE(
    ctypes.c_int, _pointer, ctypes.c_char_p, ctypes.POINTER(_pointer), ctypes.POINTER(ctypes.c_int),
    ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_char),
)  # fmt: skip
_Launch = ctypes.CFUNCTYPE(ctypes.c_int, _pointer, _numbers, _numbers, ctypes.c_uint, ctypes.POINTER(_pointer))

_modules: dict[int, object] = {}  # number -> the emulator's library
_functions: dict[int, tuple] = {}  # number -> (library, name, what the emulator calls)


class _Callbacks(ctypes.Structure):
    _fields_ = [("load_file", _Load), ("load", _Load), ("find", _Find), ("launch", _Launch)]


def _answers(function):
    """As a C function: 0, what it returns, or an error where it raises."""

    @functools.wraps(function)
    def call(*args) -> int:
        try:
            return function(*args) or 0
        except BaseException:
            traceback.print_exc()
            return FAILED

    return call


@_answers
def _load_file(path, module):
    _add(Path(path.decode()).read_bytes().rstrip(b"\0").decode(), module)


@_answers
def _load(image, module):
    _add(image.decode(), module)


def _add(image: str, module) -> None:
    number = len(_modules) + 1
    _modules[number] = _build(image)
    module[0] = number


@_answers
def _find(module, name, function, count, sizes, is_pointer):
    library, name = _modules[module], name.decode()
    if name not in library.kernels:
        return NOT_FOUND
    call, types = library.kernel(name)
    number = len(_functions) + 1
    _functions[number] = library, name, call
    function[0], count[0] = number, len(types)
    for i, kind in enumerate(types):
        is_pointer[i] = bytes([kind.startswith("*")])
        sizes[i] = 8 if kind.startswith("*") else int(kind[1:])


@_answers
def _launch(function, grid, block, shared, arguments):
    from minigrad.kernels.cuda import emulator

    library, name, call = _functions[function]
    report = emulator.run_at(library, call, arguments, grid[:3], block[:3], shared)
    if report:
        print(f"[cuda_on_cpu] {name}: {report}", file=sys.stderr)
        return FAILED


def _build(image: str):
    """The library of a module that nvrtc.cpp has "compiled"; built once, and kept beside the driver."""
    from minigrad.kernels.cuda.emulator import library

    if not image.startswith(MARK):
        raise ValueError("a module that this make-believe NVRTC has not compiled")
    options, source = image.removeprefix(MARK).split("\n\n", 1)
    flags = [option for option in options.split("\n") if option.startswith(("-D", "-I")) and "/nvidia/" not in option]
    kernels = re.findall(r"^// instance: (.*)$", source, re.MULTILINE) or library.kernel_names(source)
    text = library.as_cpp(source, "kernel.cu", kernels)
    runtime = [library.HERE / name for name in ("threads.cpp", "launch.cpp")]  # in this order
    flags = [
        *library.FLAGS,
        "-O1",
        "-w",
        "-fpermissive",
        "-DEMULATOR_ENDED_PASS_BARRIERS",
        f"-I{HERE / 'include'}",
        *flags,
    ]
    included = [HERE.glob("include/*"), library.HERE.glob("*.*"), library.HERE.parent.glob("*.cuh")]
    parts = [*flags, text, *(file.read_text() for files in included for file in sorted(files))]
    target = LIBRARIES / "kernels" / f"{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:24]}.so"
    if not target.exists():
        target.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            file, result = Path(folder) / "kernel.cpp", Path(folder) / "kernel.so"
            file.write_text(text)
            before = [
                argument
                for name in (library.HERE / "emulator.h", HERE / "include" / "prelude.h")
                for argument in ("-include", name)
            ]
            command = [library.compiler(), *flags, *before, "-shared", file, *runtime, "-o", result]
            made = subprocess.run(command, capture_output=True, text=True)
            if made.returncode:
                raise library.CompileError(made.stderr[:4000])
            result.replace(target)
    return library.Library(target, kernels, source)


_callbacks = _Callbacks(_Load(_load_file), _Load(_load), _Find(_find), _Launch(_launch))
# cupy then asks for the driver by its name, and finds that it is loaded.
ctypes.CDLL(str(LIBRARIES / "libcuda.so.1"), mode=ctypes.RTLD_GLOBAL).set_callbacks(ctypes.byref(_callbacks))
