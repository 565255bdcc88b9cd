"""Where arrays live: numpy on the CPU, cupy on a GPU. The array decides, nothing else.

On a GPU whatever reads a number back waits for it: `float(x.sum())` stops the program until all
that was asked of the GPU is done. So what merely checks values (is every id in the table?) asks
`looks_at_values` first, and on a GPU leaves the check out; there a bad id or class gives NaN, which the
loss shows, and `minigrad.detect_anomaly()` has the checks done all the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from minigrad.typing import Array

DEVICES = ("cpu", "cuda")


class Device(str):
    """Where a tensor is: Device("cpu"), Device("cuda"), Device("cuda:0") or Device("cuda", 0); equal to its name.

    `minigrad.device` to users. Only one GPU is used, so "cuda" and "cuda:0" are the same; ValueError for others.
    """

    __slots__ = ()

    def __new__(cls, type: str, index: int | None = None) -> "Device":
        name, _, number = str(type).partition(":")
        if name not in DEVICES or (number and (index is not None or not number.isdecimal())):
            raise ValueError(f'device {type!r}; choose "cpu" or "cuda"')
        if int(number or index or 0) != 0:
            raise ValueError(
                f'device "{name}:{number or index}": one GPU only is used, "cuda:0"; hide the others with '
                "CUDA_VISIBLE_DEVICES"
            )
        return super().__new__(cls, name)

    @property
    def type(self) -> str:
        """ "cpu" or "cuda"."""
        return str(self)

    @property
    def index(self) -> int | None:  # type: ignore[override]
        """0 for the GPU; None for the CPU."""
        return 0 if self == "cuda" else None

    def __eq__(self, other) -> bool:
        if str.__eq__(self, other) is True:
            return True
        return isinstance(other, str) and other.endswith(":0") and str.__eq__(self, other[:-2])

    def __ne__(self, other) -> bool:
        return not self == other

    __hash__ = str.__hash__


CPU, CUDA = Device("cpu"), Device("cuda")

check_values_on_gpu = False  # detect_anomaly sets it


def array_module(array: Any) -> Any:
    """The library an array belongs to: numpy or cupy."""
    if isinstance(array, (np.ndarray, np.generic)):
        return np
    return _cupy() if _is_cupy(array) else np


def is_array(value: Any) -> bool:
    """Whether it is an array of either library."""
    return isinstance(value, np.ndarray) or _is_cupy(value)


def device_of(array: Any) -> str:
    """ "cpu" or "cuda"."""
    return "cuda" if _is_cupy(array) else "cpu"


def library(device: str | None) -> Any:
    """numpy for "cpu" and None, cupy for "cuda". RuntimeError says why there is no "cuda"."""
    if device is None or device == "cpu" or Device(device) == "cpu":
        return np
    if problem():
        raise RuntimeError(f'device "cuda": {problem()}')
    return _cupy()


def move(array: "Array", device: str) -> "Array":
    """The array on a device: itself if it is there, else a copy. RuntimeError says why there is no "cuda"."""
    if device_of(array) == device:
        return array
    xp = library(device)
    return array.get() if xp is np else xp.asarray(array)  # type: ignore[attr-defined]


def looks_at_values(array: Any) -> bool:
    """Whether a check may read the array: always on the CPU, on a GPU only within detect_anomaly()."""
    return isinstance(array, np.ndarray) or check_values_on_gpu


def problem() -> str | None:
    """Why no GPU can be used here, and what to do; None if one can."""
    try:
        import cupy
    except ModuleNotFoundError:
        return "cupy is not installed: in your clone, pip install -e '.[cuda13]', or '.[cuda12]' for a CUDA 12 driver"
    except ImportError as error:
        return f"cupy is installed but cannot be loaded: {_one_line(error)}"
    runtime = cupy.cuda.runtime
    try:
        if runtime.getDeviceCount() > 0:
            return None
        return "the driver finds no GPU"
    except runtime.CUDARuntimeError as error:
        return _explained(error, runtime)


def is_available() -> bool:
    """Whether "cuda" can be used."""
    return problem() is None


def _explained(error, runtime) -> str:
    """A failed look at the devices in words: no driver, one that is too old, no device."""
    message = _one_line(error)
    driver, wanted = runtime.driverGetVersion(), runtime.runtimeGetVersion()
    if "InsufficientDriver" in message and driver == 0:
        return "there is no NVIDIA driver: install one, or use the CPU"
    if "InsufficientDriver" in message:
        have, need = _version(driver), _version(wanted)
        older = "; or, in your clone, pip install -e '.[cuda12]' in place of cuda13" if driver >= 12000 else ""
        return f"the NVIDIA driver is for CUDA {have}, this cupy needs {need}: install a newer driver{older}"
    if "NoDevice" in message:
        return "the driver finds no GPU"
    return f"the GPU cannot be used: {message}"


def _version(number: int) -> str:
    """12080 is 12.8."""
    return f"{number // 1000}.{number % 1000 // 10}"


@contextmanager
def float32_matmul_precision(precision: str) -> Iterator[None]:
    """How exactly a GPU multiplies float32 matrices inside the block: "highest", all of it, or "high", TF32.

    TF32 rounds the factors to 10 bits, which tensor cores multiply several times as fast, and adds in float32.
    Nothing changes on the CPU.
    """
    if precision not in ("highest", "high"):
        raise ValueError(f'float32_matmul_precision: {precision!r}; choose "highest" or "high"')
    if not is_available():
        yield
        return
    from cupy._core import get_compute_type, set_compute_type
    from cupy._core._routines_linalg import COMPUTE_TYPE_FP32, COMPUTE_TYPE_TF32

    before = get_compute_type(np.float32)
    set_compute_type(np.float32, COMPUTE_TYPE_TF32 if precision == "high" else COMPUTE_TYPE_FP32)
    try:
        yield
    finally:
        set_compute_type(np.float32, before)


def memory() -> dict[str, int]:
    """Bytes of the GPU's memory: held by arrays, kept for reuse by the pool, free, and all there is."""
    cupy = _cupy()
    pool = cupy.get_default_memory_pool()
    free, total = cupy.cuda.runtime.memGetInfo()
    return {"held": pool.used_bytes(), "kept": pool.free_bytes(), "free": free, "total": total}


def out_of_memory(error: MemoryError) -> str:
    """A failed allocation in words: how much was asked, what is held, what is free."""
    message = _one_line(error)
    asked = message.partition("allocating ")[2].partition(" bytes")[0].replace(",", "")
    if not asked.isdigit():
        return f"out of memory: {message}"
    m = {name: f"{size / 1e6:,.0f} MB" for name, size in (memory() | {"asked": int(asked)}).items()}
    return (
        f"out of GPU memory: {m['asked']} were asked for; arrays hold {m['held']}, {m['free']} of {m['total']} are "
        "free. Take a smaller batch or context, or recompute with minigrad.checkpoint"
    )


def _cupy():
    import cupy

    return cupy


def _is_cupy(value) -> bool:
    return type(value).__module__.partition(".")[0] == "cupy"


def _one_line(error) -> str:
    return " ".join(str(error).split())
