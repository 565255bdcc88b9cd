"""CUDA C in a lesson: where its kernels can run, and how one that is written in a lesson becomes one to launch."""

import time

from minigrad import devices
from minigrad.cache import cache_directory
from minigrad.io import write_atomically
from minigrad.kernels.cuda import Module, emulator


def find_device() -> str | None:
    """Where kernels run: "cuda" on a GPU, else "emulator", else None. Says so, and what to install."""
    if devices.is_available():
        properties = devices.library("cuda").cuda.runtime.getDeviceProperties(0)
        print(f"Kernels run on this machine's {properties['name'].decode()}.")
        return "cuda"
    try:
        print(f"There is no GPU: kernels run in the emulator, built by {emulator.compiler()}.")
        return "emulator"
    except emulator.CompilerMissing as error:
        print(
            f"No kernel can run here, so you will see sources, counts and pictures only: {error}."
        )
        return None


def can_emulate() -> bool:
    """Whether the emulator can be built, which shows what a GPU hides."""
    try:
        return bool(emulator.compiler())
    except emulator.CompilerMissing:
        return False


def kernels(name: str, source: str) -> Module:
    """The kernels of a source in CUDA C; it is compiled when the first is launched, and errors call it name.cu."""
    path = cache_directory() / "lessons" / f"{name}.cu"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, source.encode())
    return Module(path, {})


def milliseconds(call, repeats: int = 10) -> float:
    """How long a call keeps the GPU busy, the mean of several after a first that compiles."""
    device = devices.library("cuda").cuda.Device()
    call()
    device.synchronize()
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    device.synchronize()
    return (time.perf_counter() - start) / repeats * 1000
