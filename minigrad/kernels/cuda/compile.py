"""Compiles .cu files for a GPU, which needs no GPU: with nvcc, or with NVRTC through cupy.

    python -m minigrad.kernels.cuda.compile [FILE.cu ...]

compiles every version of every kernel for every architecture and prints the registers, the shared memory and the
spills of each. A .cu file says in comments what there is to compile:

    // compile: HEAD_DIM=64 TILE=32     one line a version, the constants it is compiled with
    // needs: sm_80                     the oldest architecture it runs on
    // needs: sm_90a                    or the only one, for instructions that no other has
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from minigrad.cache import cache_directory

HERE = Path(__file__).parent
ARCHITECTURES = ("sm_75", "sm_80", "sm_90")  # Turing, Ampere, Hopper
OPTIONS = ("-std=c++17", f"-I{HERE}")


class CompileError(RuntimeError):
    """The compiler does not accept the file; the message is the compiler's."""


@dataclass
class Usage:
    """What one kernel of a compiled file needs of a GPU; sizes in bytes."""

    kernel: str
    registers: int
    shared: int
    spills: int


def compiler() -> str | None:
    """ "nvcc", "nvrtc" or, if this machine has neither, None."""
    if shutil.which("nvcc"):
        return "nvcc"
    return "nvrtc" if importlib.util.find_spec("cupy") else None


def versions(path: Path) -> list[tuple[str, dict]]:
    """(architecture, constants) of everything there is to compile in a file."""
    text = path.read_text()
    lines = re.findall(r"^// compile:(.*)$", text, re.MULTILINE) or [""]
    oldest = re.search(r"^// needs: (sm_\d+a?)$", text, re.MULTILINE)
    if oldest and oldest[1].endswith("a"):
        architectures = [oldest[1]]
    else:
        architectures = [a for a in ARCHITECTURES if not oldest or int(a[3:]) >= int(oldest[1][3:])]
    return [(a, dict(pair.split("=") for pair in line.split())) for a in architectures for line in lines]


def cubin(path: Path, defines: dict, architecture: str) -> tuple[Path, list[Usage]]:
    """The machine code of a .cu file, a file of the cache, and what its kernels use. CompileError if it is wrong."""
    tool = compiler()
    if tool is None:
        raise CompileError(
            "there is neither nvcc nor cupy: in your clone, pip install -e '.[cuda12]' brings a compiler"
        )
    options = [*OPTIONS, *(f"-D{name}={value}" for name, value in sorted(defines.items()))]
    sources = [path.read_text(), *(file.read_text() for file in sorted(HERE.glob("*.cuh")))]
    digest = hashlib.sha256("\0".join([tool, architecture, *options, *sources]).encode()).hexdigest()[:24]
    file = cache_directory() / "cuda" / f"{path.stem}-{architecture}-{digest}.cubin"
    log = file.with_suffix(".log")
    if not (file.exists() and log.exists()):
        from minigrad.io import write_atomically

        binary, report = {"nvcc": _nvcc, "nvrtc": _nvrtc}[tool](path, options, architecture)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(log, report.encode())
        write_atomically(file, binary)
    return file, _usage(log.read_text())


def architecture_for(path: Path, compute_capability: str) -> str:
    """What to compile a file for, to run on a device of that compute capability ("90")."""
    architecture = f"sm_{compute_capability}"
    return f"{architecture}a" if f"// needs: {architecture}a" in path.read_text() else architecture


def _nvcc(path: Path, options: list[str], architecture: str) -> tuple[bytes, str]:
    code = f"arch={architecture.replace('sm', 'compute')},code={architecture}"
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "kernels.cubin"
        command = ["nvcc", "-cubin", "-gencode", code, "-Xptxas", "-v", *options, str(path), "-o", str(output)]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            raise CompileError(result.stderr.strip())
        return output.read_bytes(), result.stderr


def _nvrtc(path: Path, options: list[str], architecture: str) -> tuple[bytes, str]:
    from cupy.cuda import nvrtc

    program = nvrtc.createProgram(path.read_text(), path.name, (), ())
    try:
        nvrtc.compileProgram(program, [*options, f"-arch={architecture}", "--ptxas-options=-v"])
        return nvrtc.getCUBIN(program), nvrtc.getProgramLog(program)
    except nvrtc.NVRTCError:
        raise CompileError(nvrtc.getProgramLog(program).strip()) from None
    finally:
        nvrtc.destroyProgram(program)


def _usage(log: str) -> list[Usage]:
    """ptxas's report: for each kernel a line with its name, one with its spills and one with what it uses."""
    found = []
    for part in re.split(r"Compiling entry function '", log)[1:]:
        shared = re.search(r"(\d+) bytes smem", part)
        spills = re.search(r"(\d+) bytes spill stores", part)
        registers = re.search(r"Used (\d+) registers", part)
        if registers and spills:
            used = int(registers[1]), int(shared[1]) if shared else 0, int(spills[1])
            found.append(Usage(part.split("'")[0], *used))
    return sorted(found, key=lambda usage: usage.kernel)


def jobs(paths: list[Path]) -> list[tuple[Path, dict, str]]:
    """Everything there is to compile in these files, as cubin's arguments."""
    return [(path, defines, architecture) for path in paths for architecture, defines in versions(path)]


def table(jobs: list[tuple[Path, dict, str]]) -> tuple[str, int]:
    """A line for each kernel of each job; and how many kernels spill registers."""
    lines = [f"{'file':22} {'kernel':34} {'constants':28} {'arch':7} {'registers':>9} {'shared':>7} {'spills':>6}"]
    spilling = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        compiled = list(pool.map(lambda job: cubin(*job)[1], jobs))
    for (path, defines, architecture), usages in zip(jobs, compiled, strict=True):
        constants = " ".join(f"{name}={value}" for name, value in defines.items())
        for u in usages:
            numbers = f"{u.registers:9} {u.shared:7} {u.spills:6}"
            lines.append(f"{path.name:22} {u.kernel:34} {constants:28} {architecture:7} {numbers}")
            spilling += u.spills > 0
    return "\n".join(lines), spilling


if __name__ == "__main__":
    text, spilling = table(jobs([Path(p) for p in sys.argv[1:]] or sorted(HERE.glob("*.cu"))))
    print(text)
    sys.exit(f"{spilling} kernels spill registers" if spilling else 0)
