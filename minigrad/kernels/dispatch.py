"""How a kernel call finds its implementation.

A kernel is one name with one signature and several implementations. A call walks
them in order, fastest first, and runs the first that lives on the array's device,
supports the arguments and is worth its start-up cost at that size. The reference
supports everything, so there is always an answer.

`use("numba")` pins a backend for a block (or MINIGRAD_KERNELS=numba for a process);
`strict()` (or MINIGRAD_STRICT=1) turns a pinned backend that cannot serve a call,
or an implementation that cannot be loaded, from a fallback into an error.
"""

import importlib
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from minigrad.kernels.fastest import fastest

BACKENDS = ("reference", "numba", "blas", "cuda", "cublas", "emulator")
ON_GPU = ("cuda", "cublas", "reference")
ON_CPU = ("numba", "blas", "emulator", "reference")


class KernelFallback(RuntimeError):
    """Strict mode: the implementation asked for cannot serve this call."""


def _always(*args) -> bool:
    return True


def no_limit(*args) -> None:
    return None


@dataclass
class Implementation:
    """One way to run a kernel.

    target    "module:function" below minigrad.kernels, imported on the first call
    supports  whether the function is correct for these arguments
    limit     on a GPU: why it cannot take these, where a user would expect it to, such as a head size; None if it can.
              Then a slower version runs, and it is said once; in strict mode it is an error.
    worth     whether it is expected to be the fastest for them (ignored when pinned)
    """

    backend: str
    target: str
    supports: Callable[..., bool] = _always
    worth: Callable[..., bool] = _always
    limit: Callable[..., str | None] = no_limit
    function: Callable | None = None

    def load(self) -> Callable:
        if self.function is None:
            module, name = self.target.split(":")
            self.function = getattr(importlib.import_module(f"minigrad.kernels.{module}"), name)
        return self.function


class _Choice(threading.local):
    def __init__(self):
        self.backend = _known(os.environ.get("MINIGRAD_KERNELS") or None)
        self.strict = os.environ.get("MINIGRAD_STRICT", "0") not in ("", "0")


def _known(backend: str | None) -> str | None:
    if backend is not None and backend not in BACKENDS:
        raise ValueError(f"kernels.use: no backend {backend!r}; choose one of {', '.join(BACKENDS)}")
    return backend


_choice = _Choice()


@contextmanager
def use(backend: str | None) -> Iterator[None]:
    """Pin every kernel that has it to `backend` inside the block; None unpins."""
    before, _choice.backend = _choice.backend, _known(backend)
    try:
        yield
    finally:
        _choice.backend = before


@contextmanager
def strict(enabled: bool = True) -> Iterator[None]:
    """Make a fallback from the pinned backend an error inside the block."""
    before, _choice.strict = _choice.strict, enabled
    try:
        yield
    finally:
        _choice.strict = before


class Kernel:
    """A named hot loop; calling it runs the best implementation for the arguments."""

    def __init__(self, name: str, *implementations: Implementation):
        self.name = name
        self.implementations = {i.backend: i for i in implementations}
        self._on_cpu = [i for i in implementations if i.backend in ON_CPU and i.backend != "emulator"]
        self._on_gpu = [i for i in implementations if i.backend in ON_GPU]
        self._said: set[str] = set()

    def __repr__(self) -> str:
        return f"<kernel {self.name}: {', '.join(self.implementations)}>"

    def __call__(self, *args):
        return self.choose(*args)(*args)

    def choose(self, *args) -> Callable:
        """The function that a call with these arguments runs."""
        first = args[0]
        if type(first) is list:
            first = first[0] if first else None
        on_cpu = first is None or isinstance(first, np.ndarray)
        if _choice.backend is not None and first is not None:  # of no arrays at all, nothing was promised
            pinned = self._pinned(_choice.backend, args, on_cpu)
            if pinned is not None:
                return pinned
        for implementation in self._on_cpu if on_cpu else self._fastest_on_gpu(args):
            if implementation.supports(*args) and implementation.worth(*args):
                if not on_cpu and (reason := implementation.limit(*args)):
                    self._say_once(f"{self.name}: {reason}; a slower version is used")
                    continue
                if implementation.function is not None:
                    return implementation.function
                function = self._load(implementation)
                if function is not None:
                    return function
        raise KernelFallback(f"{self.name}: no implementation takes {_describe(args)}")

    def _fastest_on_gpu(self, args) -> list[Implementation]:
        """The versions for a GPU, the one that was measured to be the fastest at this shape first."""
        winner = self.implementations.get(fastest(self.name, args))
        return self._on_gpu if winner is None else [winner, *self._on_gpu]

    def _say_once(self, message: str) -> None:
        """A warning the first time; in strict mode an error every time."""
        if _choice.strict:
            raise KernelFallback(message)
        if message not in self._said:
            self._said.add(message)
            warnings.warn(message, RuntimeWarning, stacklevel=4)

    def _pinned(self, backend: str, args, on_cpu: bool) -> Callable | None:
        implementation = self.implementations.get(backend)
        if implementation is None:
            return None  # this kernel has no such version: nothing was promised
        if backend not in (ON_CPU if on_cpu else ON_GPU):
            problem = f"{backend} does not compute on {'the CPU' if on_cpu else 'a GPU'}, where the arrays are"
        elif implementation.supports(*args) and implementation.limit(*args) is None:
            return self._load(implementation)
        else:
            problem = implementation.limit(*args) or f"the {backend} version does not take {_describe(args)}"
        if _choice.strict:
            raise KernelFallback(f"{self.name}: {problem}; change the arguments, or leave strict mode to fall back")
        return None

    def _load(self, implementation: Implementation) -> Callable | None:
        try:
            return implementation.load()
        except Exception as error:
            if _choice.strict:
                raise KernelFallback(
                    f"{self.name}: the {implementation.backend} version cannot be loaded: {error}"
                ) from error
            implementation.supports = lambda *args: False  # do not try again on every call
            warnings.warn(
                f"{self.name}: the {implementation.backend} version cannot be loaded ({error}); using a slower one",
                RuntimeWarning,
                stacklevel=4,
            )
            return None


def _describe(args) -> str:
    def one(arg) -> str:
        if hasattr(arg, "dtype") and hasattr(arg, "shape"):
            return f"{arg.dtype}{list(arg.shape)}"
        if isinstance(arg, (list, tuple)):
            return f"{len(arg)} arrays" if arg and hasattr(arg[0], "dtype") else repr(arg)
        return repr(arg)

    return "(" + ", ".join(one(arg) for arg in args) + ")"
