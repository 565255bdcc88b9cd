"""Loads .cu files and launches their kernels: with cupy on a GPU, on numpy arrays in the emulator."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.devices import array_module
from minigrad.typing import Array, DTypeLike

HERE = Path(__file__).parent


def load(file: str, defines: dict | None = None) -> "Module":
    """The kernels of a .cu file of this folder; `defines` are preprocessor constants, such as {"HEAD_DIM": 64}."""
    return _load(file, tuple(sorted((defines or {}).items())))


@cache
def _load(file: str, defines: tuple) -> "Module":
    return Module(HERE / file, dict(defines))


class Module:
    """A .cu file with its constants, compiled for a device when a kernel of it is first launched there."""

    def __init__(self, path: Path, defines: dict):
        self.path = path
        self.defines = defines
        self._libraries: dict[bool, Any] = {}  # whether its accesses are watched -> the emulator's library
        self._functions: dict[tuple[int, str], Any] = {}  # (device, kernel) -> cupy's kernel

    def __repr__(self) -> str:
        return f"Module({self.path.name!r}, {self.defines})"

    def launch(self, kernel: str, grid: Any, block: Any, arguments: Sequence[Any], shared_bytes: int = 0) -> None:
        """Run a kernel on a grid of blocks (numbers, or tuples of up to three).

        `arguments` are arrays, all numpy's or all cupy's, None for a null pointer, and numbers and structs as
        numpy scalars of the parameter's type: np.int32(n), np.float32(scale). A struct that holds addresses is
        an object with `arrays`, those it points to, and `by_value(address_of)`, the struct (optimizer.Table).
        `shared_bytes` is the size of the dynamic shared memory. On a GPU the kernel may still be running
        afterwards.
        """
        grid, block = _three(grid), _three(block)
        arrays = [array for a in arguments for array in getattr(a, "arrays", (a,))]
        if any(type(a).__module__.partition(".")[0] == "cupy" for a in arrays):
            self._on_gpu(kernel, shared_bytes)(grid, block, tuple(map(_for_cupy, arguments)), shared_mem=shared_bytes)
        else:
            from minigrad.kernels.cuda import emulator

            emulator.run(self._for_cpu, kernel, grid, block, arguments, shared_bytes)

    def _for_cpu(self, checked: bool):
        from minigrad.kernels.cuda import emulator

        if checked not in self._libraries:
            text = self.path.read_text()
            self._libraries[checked] = emulator.build(text, self.path, self.defines, checked=checked)
        return self._libraries[checked]

    def _on_gpu(self, kernel: str, shared_bytes: int):
        import cupy

        device = cupy.cuda.Device()
        function = self._functions.get((device.id, kernel))
        if function is None:
            from minigrad.kernels.cuda.compile import architecture_for, cubin

            binary, _ = cubin(self.path, self.defines, architecture_for(self.path, device.compute_capability))
            function = cupy.RawModule(path=str(binary)).get_function(kernel)
            self._functions[device.id, kernel] = function
        if shared_bytes > function.max_dynamic_shared_size_bytes:  # 48 KB unless asked for
            function.max_dynamic_shared_size_bytes = shared_bytes
        return function


def prepared(x: Array, dtype: DTypeLike = np.float32) -> Array:
    """x as a kernel reads it: C-contiguous, of this dtype, at an address that 16-byte accesses may use."""
    x = array_module(x).ascontiguousarray(x, dtype)
    return x if address(x) % 16 == 0 else x.copy()


def empty(shape: Any, like: Array, dtype: DTypeLike = np.float32) -> Array:
    """A new array on like's device; in the emulator full of NaN, so that what a kernel leaves out is seen."""
    if array_module(like) is not np:
        return array_module(like).empty(shape, dtype)
    new = np.empty(shape, dtype)
    new.reshape(-1).view(np.uint8)[:] = 0xFF
    return new


def address(x: Array) -> int:
    """Where the first number of an array is in memory."""
    return x.ctypes.data if isinstance(x, np.ndarray) else x.data.ptr


def _three(sizes) -> tuple[int, int, int]:
    sizes = (sizes,) if isinstance(sizes, int) else tuple(sizes)
    return sizes + (1,) * (3 - len(sizes))


def _for_cupy(argument):
    if hasattr(argument, "by_value"):
        argument = argument.by_value(address)
    if isinstance(argument, np.void):
        return np.array(argument)  # an array of one struct is passed by value
    return np.uintp(0) if argument is None else argument
