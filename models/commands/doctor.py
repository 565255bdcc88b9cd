"""`minigrad doctor`: what this machine has for minigrad, what is missing, and what to do about it."""

import argparse
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import minigrad
from minigrad import devices
from minigrad.cache import cache_directory
from minigrad.kernels import compiled_cache

PACKAGES = ("numpy", "numba", "llvmlite", "safetensors", "matplotlib", "regex", "rich", "tyro")
FEATURES = ("sse4.2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vnni", "neon", "sve")
CALM = 2.0  # two thread pools in turn take at most this many times their time alone


def main(argv: list[str] | None = None) -> int:
    """Run `minigrad doctor [--json]`."""
    parser = argparse.ArgumentParser(prog="minigrad doctor", description=__doc__.partition("`: ")[2])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv)
    report = examine()
    if arguments.json:
        print(json.dumps(report, indent=2))
    else:
        _show(report)
    return 0


def examine() -> dict:
    """Everything the doctor looks at, in JSON's types, and under "advice" what to do."""
    report: dict[str, Any] = {
        "versions": versions(),
        "processor": processor(),
        "threads": threads(),
        "gpu": gpu(),
        "compilers": {name: _first_line(name, "--version") for name in ("g++", "nvcc")},
        "storage": storage(),
    }
    report["advice"] = advice(report)
    return report


def versions() -> dict:
    """Versions of Python and the packages minigrad uses; None for one that is not installed."""
    found = {"minigrad": _version("minigrad"), "python": platform.python_version(), "executable": sys.executable}
    found |= {name: _version(name) for name in PACKAGES}
    installed = [d.metadata["Name"] for d in metadata.distributions() if (d.name or "").startswith("cupy")]
    return found | {"cupy": _version(installed[0]) if installed else None, "ml_dtypes": _version("ml_dtypes")}


def processor() -> dict:
    """The CPU's name, cores and those vector instructions that kernels are written for."""
    import llvmlite.binding

    features = llvmlite.binding.get_host_cpu_features()
    return {
        "name": cpu_name(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "cores this process may use": usable_cores(),
        "vector instructions": [name for name in FEATURES if features.get(name)],
    }


def threads() -> dict:
    """Both thread pools, and how much slower they are in turn than each alone."""
    import numba
    import threadpoolctl

    interference = minigrad.threads.measure_interference()  # also starts both pools
    blas = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    return {
        "numba threads": numba.get_num_threads(),
        "numba threading layer": numba.threading_layer(),
        "BLAS": [f"{pool['internal_api']} {pool['version']}" for pool in blas],
        "BLAS threads": [pool["num_threads"] for pool in blas],
        "interference": round(interference, 2),
    }


def gpu() -> dict:
    """The CUDA device, as the driver and cupy see it, and whether kernels can be compiled for it."""
    found = {
        "driver": _first_line("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"),
        "driver's CUDA": _cuda_of_driver(),
        "cupy": importlib.util.find_spec("cupy") is not None,
        "device": None,
        "memory": None,
        "problem": devices.problem(),
        "compiler problem": None,
    }
    if found["problem"] is None:
        import cupy

        properties = cupy.cuda.runtime.getDeviceProperties(0)
        found["device"] = (
            f"{properties['name'].decode()}, compute capability {properties['major']}.{properties['minor']}"
        )
        memory = devices.memory()
        found["memory"] = f"{_readable(memory['total'])}, {_readable(memory['free'])} free"
        found["compiler problem"] = _compiler_problem(cupy)
    return found


def _cuda_of_driver() -> str | None:
    """The newest CUDA that the driver runs, as nvidia-smi says in its heading: "13.0"."""
    if shutil.which("nvidia-smi") is None:
        return None
    heading = subprocess.run(["nvidia-smi"], capture_output=True, text=True, timeout=20).stdout
    version = re.search(r"CUDA Version: ([\d.]+)", heading)
    return version[1] if version else None


def _compiler_problem(cupy) -> str | None:
    """Why a kernel cannot be compiled here, such as headers that are missing; None if one can."""
    from minigrad.kernels.cuda import softmax

    try:
        x = cupy.zeros((4, 32), "float32") + 1  # cupy's own kernels need CUDA's headers
        softmax.softmax(x)  # and ours the compiler
    except Exception as error:  # each compiler has errors of its own
        lines = [line for line in str(error).splitlines() if line.strip()]
        return lines[0].strip() if lines else type(error).__name__
    return None


def storage() -> dict:
    """The caches and the room on the disks they and the working directory are on, in bytes."""
    cache = cache_directory()
    compiled = compiled_cache.place()
    kernels = set(compiled.rglob(f"*{compiled_cache.SUFFIX}")) if compiled else set()
    return {
        "data cache": str(cache),
        "data cache size": _size(set(cache.rglob("*")) - kernels) if cache.is_dir() else 0,
        "compiled kernels": str(compiled) if compiled else None,
        "compiled kernels size": _size(kernels),
        "free for the data cache": _free(cache),
        "free here": _free(Path.cwd()),
    }


def advice(report: dict) -> list[str]:
    """What is missing or wrong in a report, each with what to do."""
    found = []
    missing = [name for name in PACKAGES if report["versions"][name] is None]
    if missing:
        found.append(f"not installed: {', '.join(missing)}; run {sys.executable} -m pip install {' '.join(missing)}")
    if report["threads"]["interference"] > CALM:
        found.append(
            f"BLAS and numba slow each other down {report['threads']['interference']} times: import minigrad "
            "before numpy, or set OPENBLAS_THREAD_TIMEOUT=4 in the environment"
        )
    found += gpu_advice(report["gpu"], report["versions"])
    if report["compilers"]["g++"] is None:
        found.append("no g++: the CUDA kernels cannot run in the emulator; install a C++ compiler to try them")
    if report["gpu"]["device"] and report["compilers"]["nvcc"] is None:
        found.append("no nvcc: not needed, cupy brings its own compiler")
    for place in ("free here", "free for the data cache"):
        if report["storage"][place] < 1e9:
            found.append(f"the disk is nearly full: {place} {_readable(report['storage'][place])}")
    return found


def gpu_advice(gpu: dict, versions: dict) -> list[str]:
    """What keeps this machine from computing on its GPU, and what to do."""
    extra = "cuda12" if (gpu["driver's CUDA"] or "13").startswith("12") else "cuda13"
    install = f"in your clone, {sys.executable} -m pip install -e '.[{extra}]'"
    if gpu["driver"] is None and gpu["device"] is None:
        return ["no NVIDIA GPU, or no driver for it: everything runs on the CPU"]
    if not gpu["cupy"]:
        return [f"there is a GPU but no cupy: {install}"]
    if gpu["problem"]:
        return [f"cupy cannot use the GPU: {gpu['problem']}"]
    found = []
    if gpu["compiler problem"]:
        problem = gpu["compiler problem"].rstrip(".")
        found.append(
            f"kernels cannot be compiled for the GPU: {problem}. {install} brings the compiler (NVRTC) and "
            "CUDA's headers"
        )
    if versions.get("ml_dtypes") is None:
        found.append(f"no ml_dtypes, which bfloat16 needs: {install}")
    return found


def cpu_name() -> str:
    """The processor's name, as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def usable_cores() -> int:
    """Cores this process may use, which a container or taskset may limit."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _show(report: dict) -> None:
    for section, entries in report.items():
        if section == "advice":
            continue
        print(section)
        for name, value in entries.items():
            if section == "storage" and isinstance(value, int):
                value = _readable(value)
            if isinstance(value, list):
                value = ", ".join(map(str, value))
            print(f"  {name:27} {'none' if value in (None, '') else value}")
    print("advice")
    for line in report["advice"] or ["nothing is missing"]:
        print(f"  {line}")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _first_line(program: str, *arguments: str) -> str | None:
    """What a program says first, None if there is no such program or it fails."""
    if shutil.which(program) is None:
        return None
    try:
        result = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = [line for line in result.stdout.splitlines() if line.strip()]
    # nvcc's first line is its name, its last the release.
    return (lines[-1] if program == "nvcc" else lines[0]) if result.returncode == 0 and lines else None


def _size(paths) -> int:
    return sum(path.stat().st_size for path in paths if path.is_file())


def _free(path: Path) -> int:
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def _readable(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.4g} {unit}"
        size /= 1000
    return f"{size:.4g} TB"
