"""How a kernel call finds its implementation.

A kernel is one name with one signature and several implementations. A call walks
them in order, fastest first, and runs the first that lives on the array's device,
is worth its start-up cost for these arguments and supports them. The reference
supports everything, so there is always an answer.

`use("numba")` pins a backend for a block (or MINIGRAD_KERNELS=numba for a process);
`strict()` (or MINIGRAD_STRICT=1) turns a pinned backend that cannot serve a call,
or an implementation that cannot be loaded, from a fallback into an error.
"""

import importlib
import inspect
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

import numpy as np

from minigrad.kernels.conditions import always, no_limit
from minigrad.kernels.fastest import fastest
from minigrad.threads import one_at_a_time

BACKENDS = ("reference", "numba", "blas", "cuda", "cublas", "emulator")
ON_GPU = ("cuda", "cublas", "reference")
ON_CPU = ("numba", "blas", "emulator", "reference")

P = ParamSpec("P")
R = TypeVar("R")


class KernelFallback(RuntimeError):
    """Strict mode: the implementation asked for cannot serve this call."""


@dataclass
class Implementation:
    """One way to run a kernel: the function of the kernel's name in a module.

    module    below minigrad.kernels, such as "cpu.softmax"; imported on the first call
    worth     whether it is expected to be the fastest for these arguments (ignored when pinned)
    supports  whether the function is correct for them
    limit     on a GPU: why it cannot take these, where a user would expect it to, such as a head size; None if it can.
              Then a slower version runs, and it is said once; in strict mode it is an error.

    The three are conditions, see conditions.py: their parameters have the names of the kernel's, and they get these
    arguments of a call.
    """

    backend: str
    module: str
    worth: Callable[..., bool] = always
    supports: Callable[..., bool] = always
    limit: Callable[..., str | None] = no_limit
    name: str = ""  # the kernel's
    function: Callable | None = None

    def load(self) -> Callable:
        """The function."""
        if self.function is None:
            function = getattr(importlib.import_module(f"minigrad.kernels.{self.module}"), self.name)
            self.function = one_at_a_time(function) if self.backend == "numba" else function
        return self.function


class _Choice(threading.local):
    def __init__(self):
        self.backend = _known(os.environ.get("MINIGRAD_KERNELS") or None, "MINIGRAD_KERNELS")
        self.strict = os.environ.get("MINIGRAD_STRICT", "0") not in ("", "0")


def _known(backend: str | None, asked: str) -> str | None:
    if backend is not None and backend not in BACKENDS:
        raise ValueError(f"{asked}: no backend {backend!r}; choose one of {', '.join(BACKENDS)}")
    return backend


_choice = _Choice()


@contextmanager
def use(backend: str | None) -> Iterator[None]:
    """Pin every kernel that has it to `backend` inside the block; None unpins."""
    before, _choice.backend = _choice.backend, _known(backend, "kernels.use")
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


@cache
def _passing_on(parameters: tuple[str, ...], names: tuple[str, ...]) -> Callable[[Callable], Callable]:
    """condition -> lambda a, b, c: condition(b), for those names among the parameters.

    Made from its source, as collections.namedtuple makes its methods: without *args a call takes half the time.
    """
    return eval(f"lambda condition: lambda {', '.join(parameters)}: condition({', '.join(names)})")


class Kernel(Generic[P, R]):
    """A named hot loop; calling it runs the best implementation for the arguments, which are given by position."""

    def __init__(self, reference: Callable[P, R], *implementations: Implementation, anywhere: tuple[str, ...] = ()):
        """The kernel that the function `reference` defines: its name, its parameters, and what it computes.

        implementations  the others, in the order in which they are tried
        anywhere         parameters whose arrays need not be where the others are, such as a seed in memory
        """
        self.name = reference.__name__
        self.__doc__ = reference.__doc__
        self.anywhere = anywhere
        self._reference = reference
        self._others = implementations
        self._said: set[str] = set()

    # Found at the first call, because there are many kernels and a program uses few.

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The parameters' names, without keyword-only ones."""
        parameters = inspect.signature(self._reference).parameters.values()
        return tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)

    @cached_property
    def implementations(self) -> dict[str, Implementation]:
        """{backend: implementation} in the order in which they are tried."""
        bound = [self._bound(each) for each in self._others]
        reference = Implementation("reference", self._reference.__module__, name=self.name, function=self._reference)
        return {each.backend: each for each in [*bound, reference]}

    @cached_property
    def _on_cpu(self) -> list[Implementation]:
        backends = [backend for backend in self.implementations if backend in ON_CPU and backend != "emulator"]
        return [self.implementations[backend] for backend in backends]

    @cached_property
    def _on_gpu(self) -> list[Implementation]:
        return [each for backend, each in self.implementations.items() if backend in ON_GPU]

    def _bound(self, implementation: Implementation) -> Implementation:
        """A copy of its own whose conditions take the arguments of a call."""
        return replace(
            implementation,
            name=self.name,
            worth=self._of_call(implementation.worth),
            supports=self._of_call(implementation.supports),
            limit=self._of_call(implementation.limit),
        )

    def _of_call(self, condition: Callable) -> Callable:
        """condition(some parameters) as a function of all arguments, made once and not at every call."""
        wanted = inspect.signature(condition).parameters
        every = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in wanted.values())
        if condition in (always, no_limit) or (every and not self.anywhere):
            return condition
        names = [name for name in self.parameters if name not in self.anywhere] if every else list(wanted)
        if unknown := set(names) - set(self.parameters):
            raise TypeError(
                f"kernel {self.name}: a condition asks for {', '.join(sorted(unknown))}; "
                f"the parameters are {', '.join(self.parameters)}"
            )
        return condition if names == list(self.parameters) else _passing_on(self.parameters, tuple(names))(condition)

    def __repr__(self) -> str:
        return f"<kernel {self.name}: {', '.join(self.implementations)}>"

    if TYPE_CHECKING:

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...

    else:

        def __call__(self, *args):
            return self.choose(*args)(*args)

    def choose(self, *args: Any) -> Callable:
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
            if implementation.worth(*args) and implementation.supports(*args):
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
        backend = fastest(self.name, args)
        return self._on_gpu if backend is None else [self.implementations[backend], *self._on_gpu]

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
