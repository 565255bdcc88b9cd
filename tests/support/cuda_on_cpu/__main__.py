"""Makes the environment: python -m tests.support.cuda_on_cpu DIR (see __init__.py)."""

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
CUPY = "14.2.0"
HEADERS = [
    "nvidia-cuda-runtime==13.*",
    "nvidia-cuda-crt==13.*",
    "nvidia-cuda-nvrtc==13.*",
    "nvidia-cuda-profiler-api==13.*",
    "nvidia-nvtx==13.*",
]
CYTHON = "cython>=3.2,<3.3"  # cupy's, so that its other modules know the one that is compiled again
# As cupy's own setup has them.
CONSTANTS = {
    "CUPY_USE_CUDA_PYTHON": False,
    "CUPY_CUFFT_STATIC": False,
    "CUPY_CUDA_VERSION": 13000,
    "CUPY_HIP_VERSION": 0,
}
DIRECTIVES = {
    "c_api_binop_methods": True,
    "binding": False,
    "freethreading_compatible": True,
    "embedsignature": True,
    "warn.deprecated.IF": False,
}
MODULE = "cupy_backends/cuda/api/runtime"
LINKED = {  # cupy's module -> (the library it is linked to, which file has its stand-in)
    "cupy_backends/cuda/libs/cublas": ("libcublas.so.13", "cublas.cpp"),
    "cupy_backends/cuda/libs/curand": ("libcurand.so.10", None),
}


def main(directory: Path) -> None:
    print(f"{directory}: a virtual environment with cupy {CUPY}", flush=True)
    run(sys.executable, "-m", "venv", directory)
    python = directory / "bin" / "python"
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    run(*pip, "install", "setuptools>=77", "wheel", CYTHON, f"cupy-cuda13x=={CUPY}", *HEADERS, "-e", f"{ROOT}[test]")
    packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    work = directory / "cuda_on_cpu"
    work.mkdir(exist_ok=True)

    print("the CUDA runtime's module of cupy, from its source", flush=True)
    sources = cupy_sources(pip, python, work)
    cpp = compile_cython(python, sources)
    nvidia = packages / "nvidia" / "cu13"
    include = [f"-I{nvidia / 'include'}", f"-I{sysconfig.get_path('include')}", f"-I{sources}"]
    module = shared(work / "runtime.so", cpp, *include, "-O1")

    print("stand-ins for NVIDIA's libraries", flush=True)
    not_there(work, undefined(module, "cuda"), HERE / "runtime.cpp")
    cuda = shared(work / "libcuda.so.1", HERE / "runtime.cpp", f"-I{work}", include[0], "-O1")
    shared(nvidia / "lib" / "libnvrtc.so.13", HERE / "nvrtc.cpp", "-O1")
    nothing = work / "nothing.cpp"
    nothing.write_text('extern "C" {\n#define NOT_THERE(name) int name() { return 1; }\n#include "not_there.h"\n}\n')
    for name, (library, source) in LINKED.items():
        wanted = undefined(extension(packages, name), library.removeprefix("lib").partition(".")[0])
        source = HERE / source if source else nothing
        not_there(work, wanted, source)
        (work / "versions.map").write_text(f"{library} {{ global: *; }};\n")
        script = f"-Wl,--version-script={work / 'versions.map'}"
        shared(nvidia / "lib" / library, source, f"-I{work}", "-O2", script, cuda)
    not_there(work, set(), nothing)
    shared(nvidia / "lib" / "libcublasLt.so.13", nothing, f"-I{work}")  # looked for, and not called
    shared(extension(packages, MODULE), cpp, *include, "-O1", cuda, f"-Wl,-rpath,{work}")
    start = "import tests.support.cuda_on_cpu.kernels"
    (packages / "cuda_on_cpu.pth").write_text(f"{ROOT}\n{start}\n")
    print(run(python, "-c", "import cupy; print('cupy says:', (cupy.arange(4) ** 2).sum(), 'is 14')"), end="")
    print(f"{python} -m pytest -m gpu -p tests.support.cuda_on_cpu.sorting")


def cupy_sources(pip: list, python: Path, work: Path) -> Path:
    """cupy's source distribution, unpacked. Asked for its metadata, as pip does, it is told that there is no CUDA."""
    found = work / f"cupy-{CUPY}"
    if not found.exists():
        stub = os.environ | {"CUPY_INSTALL_USE_STUB": "1", "PATH": f"{python.parent}:{os.environ['PATH']}"}
        options = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--dest", work]
        run(*pip, "download", *options, f"cupy=={CUPY}", env=stub)
        with tarfile.open(work / f"{found.name}.tar.gz") as archive:
            archive.extractall(work, filter="data")
    return found


def compile_cython(python: Path, sources: Path) -> Path:
    program = f"""
from Cython.Build import cythonize
import Cython
constants = {CONSTANTS} | {{"CUPY_CYTHON_VERSION": Cython.__version__}}
from setuptools import Extension
module = Extension("{MODULE.replace("/", ".")}", ["{MODULE}.pyx"], language="c++")
cythonize([module], language_level=3, compile_time_env=constants, compiler_directives={DIRECTIVES}, quiet=True)
"""
    run(python, "-c", program, cwd=sources)
    return sources / f"{MODULE}.cpp"


def extension(packages: Path, name: str) -> Path:
    """The file of a compiled module."""
    (found,) = packages.glob(f"{name}.*.so")
    return found


def undefined(library: Path, prefix: str) -> set[str]:
    """The functions with that prefix that a library expects of others."""
    return set(re.findall(rf" U ({prefix}\w+)", run("nm", "-D", library)))


def not_there(work: Path, wanted: set[str], source: Path) -> None:
    """The header that defines what a stand-in's source does not."""
    defined = set(re.findall(r"(\w+)\(", source.read_text()))
    (work / "not_there.h").write_text("".join(f"NOT_THERE({name})\n" for name in sorted(wanted - defined)))


def shared(target: Path, source: Path, *options) -> Path:
    """A shared library of one source file."""
    name = f"-Wl,-soname,{target.name}"
    run("g++", "-std=c++17", "-fPIC", "-shared", "-w", source, "-o", target, name, *options)
    return target


def run(*command, env=None, cwd=None) -> str:
    result = subprocess.run([str(part) for part in command], env=env, cwd=cwd, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(map(str, command))[:200]}\n{result.stderr[-4000:]}")
    return result.stdout


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.platform != "linux":
        sys.exit(__doc__)
    main(Path(sys.argv[1]).absolute())
