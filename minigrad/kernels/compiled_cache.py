"""The machine code of numba's kernels on disk, so that a kernel is compiled once on a machine and not in every run.

numba has a cache of its own, `njit(cache=True)`. It lies beside the sources, where pip leaves it behind; it does not
notice a change in another file from which a kernel takes an inline function; and it believes what it reads, so that
a file cut short by a loss of power ends the process. Here instead

    where     $NUMBA_CACHE_DIR/minigrad or else cache_directory()/compiled, in a folder for each combination of
              processor, Python and numba
    which     one file for each function and signature, named by a digest of its source and of all that it imports
    trust     a file begins with the SHA-256 of the rest: what is damaged is compiled again, with one line on stderr
    trouble   where nothing can be written or read, kernels are compiled in every run, and it is said once
    room      the newest VERSIONS files of a function and the newest FOLDERS folders are kept

`jit` is numba.njit with this cache. It uses parts of numba that are not public; if a future numba lacks one, it is
njit(cache=True).
"""

import contextlib
import hashlib
import os
import pickle
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from minigrad.cache import cache_directory

VERSIONS, FOLDERS = 16, 4
SUFFIX = ".machinecode"
DIGEST = hashlib.sha256().digest_size

_IMPORT = re.compile(r"^ *(?:from +([\w.]+) +import +(\([^)]*\)|.*)|import +([\w.]+))", re.MULTILINE)
_said: set[str] = set()


# ---- where ---------------------------------------------------------------------------------


def place() -> Path | None:
    """The folder of all that is kept; None where the user has no home and names no folder."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser() / "minigrad"
    try:
        return cache_directory() / "compiled"
    except RuntimeError:  # no home
        return None


def folder() -> Path | None:
    """The folder in it for this processor, Python and numba."""
    where = place()
    return None if where is None else where / _machine()


@cache
def _machine() -> str:
    """numba-0.68.1-cpython-311-znver3-1a2b3c4d5e6f7081, the last of the system and the processor's features."""
    import llvmlite.binding as llvm
    import numba

    features = llvm.get_host_cpu_features()
    described = [sys.platform, platform.machine(), *sorted(name for name, there in features.items() if there)]
    cpu = llvm.get_host_cpu_name() or "cpu"
    name = f"numba-{numba.__version__}-{sys.implementation.cache_tag}{getattr(sys, 'abiflags', '')}"
    return f"{name}-{cpu}-{_hex(' '.join(described).encode())}"


# ---- which ---------------------------------------------------------------------------------


@cache
def digest_of(source: Path) -> str:
    """Of a Python file and of the files of our packages that it imports, directly or not.

    A package's __init__.py counts only where a name in it was imported, and what it imports itself does not count.
    Files are read once in a process, when the first function of the source is defined, so that an edit during the run
    does not name old code by the new source.
    """
    found, ahead = {source}, [source]
    while ahead:
        file = ahead.pop()
        if file.name == "__init__.py":
            continue
        new = set(_imports(file)) - found
        found |= new
        ahead.extend(new)
    return _hex(*sorted(_read(file) for file in found))


def _imports(file: Path) -> Iterator[Path]:
    for module, names, plain in _IMPORT.findall(_read(file).decode(errors="replace")):
        for name in (plain, *(f"{module}.{each}" for each in re.findall(r"\w+", names))):
            if (path := _file_of(name) or _file_of(module)) is not None:
                yield path


@cache
def _file_of(module: str) -> Path | None:
    """The file of a kernel's module, or of one beside it; None if there is none, or it is of no interest."""
    top, *rest = module.split(".")
    package = getattr(sys.modules.get(top), "__path__", None)
    if not package or not (module.startswith("minigrad.kernels.") or top == "models"):
        return None
    path = Path(package[0], *rest)
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@cache
def _read(file: Path) -> bytes:
    return file.read_bytes()


def _hex(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:16]


def source_of(compiled: Path) -> str:
    """The digest of its source in the name of a file that is kept."""
    return compiled.name.split("-")[-2]


def is_writable() -> bool:
    """Whether compiled kernels can be kept; makes the folder."""
    where = folder()
    try:
        if where is not None:
            _make(where)
    except OSError:
        return False
    return where is not None and os.access(where, os.W_OK)


# ---- numba's part --------------------------------------------------------------------------


def jit(*signatures: Any, **options: Any) -> Callable[[Callable], Any]:
    """A decorator: numba.njit(**options) with this cache.

    With signatures, the function is compiled at once and takes these alone: other layouts are converted to them.
    """
    from numba import njit

    def decorate(function: Callable) -> Any:
        compiled = njit(**options)(function)
        if hasattr(compiled, "enable_caching"):  # NUMBA_DISABLE_JIT leaves a function of Python
            _keep(compiled, function)
        for signature in signatures:
            compiled.compile(signature)
        if signatures:
            compiled.disable_compile()
        return compiled

    return decorate


def _keep(compiled: Any, function: Callable) -> None:
    try:
        from numba.core.compiler import CompileResult
        from numba.core.serialize import dumps  # noqa: F401

        supported = hasattr(CompileResult, "_reduce") and hasattr(CompileResult, "_rebuild")
    except ImportError:
        supported = False
    if supported and hasattr(compiled, "_cache"):
        with contextlib.suppress(OSError):  # of a function whose source is no file nothing is kept
            compiled._cache = FunctionOnDisk(function)
        return
    with contextlib.suppress(RuntimeError):  # "no locator available": there is no place that can be written to
        compiled.enable_caching()


class FunctionOnDisk:
    """The machine code of one function, a file for each signature: what numba calls the cache of a dispatcher."""

    def __init__(self, function: Callable):
        """Raises OSError if the source cannot be read."""
        self.enabled = function.__closure__ is None  # what it closes over is no part of the name
        self.name = re.sub(r"[^\w.]", "", f"{function.__module__}.{function.__qualname__}")
        self.source = digest_of(Path(function.__code__.co_filename))

    @property
    def cache_path(self) -> str | None:
        """The folder, for numba's statistics."""
        where = folder()
        return None if where is None else str(where)

    def enable(self) -> None:
        """Read and write from now on."""
        self.enabled = True

    def disable(self) -> None:
        """Neither read nor write from now on."""
        self.enabled = False

    def flush(self) -> None:
        """Forget all versions of the function."""
        for file in self._versions():
            with contextlib.suppress(OSError):
                file.unlink()

    def load_overload(self, signature: Any, target: Any) -> Any:
        """The compiled function of that signature, None if it is not there or damaged."""
        from numba.core.compiler import CompileResult

        target.refresh()
        file = self._file(signature, target.codegen())
        if file is None:
            return None
        try:
            content = file.read_bytes()
            digest, content = content[:DIGEST], content[DIGEST:]
            if hashlib.sha256(content).digest() != digest:
                raise ValueError("its digest differs")
            loaded = CompileResult._rebuild(target, *pickle.loads(content))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except Exception as error:  # numba's own of another build, too
            _say("damaged", f"a compiled kernel cannot be used ({error}) and is compiled again: {file}")
            return None
        with contextlib.suppress(OSError):
            os.utime(file)  # the oldest are deleted
        return loaded

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep a compiled function; where that fails, it is said once."""
        from numba.core.serialize import dumps

        file = self._file(signature, compiled.codegen)
        if file is None or compiled.library.has_dynamic_globals or not all(x.can_cache for x in compiled.lifted):
            return
        try:
            content = dumps(compiled._reduce())
            _make(file.parent)
            _write(file, hashlib.sha256(content).digest() + content)
            self._delete_old_versions()
        except Exception as error:  # what cannot be kept is compiled in the next run
            _say(
                "not kept",
                f"compiled kernels cannot be kept in {file.parent} ({error}), so that each run compiles them; "
                "MINIGRAD_CACHE may name a folder that can be written to",
            )

    def _file(self, signature: Any, codegen: Any) -> Path | None:
        where = folder()
        if where is None or not self.enabled:
            return None
        key = _hex(repr((signature, codegen.magic_tuple())).encode())
        return where / f"{self.name}-{self.source}-{key}{SUFFIX}"

    def _versions(self) -> list[Path]:
        where = folder()
        return [] if where is None else list(where.glob(f"{self.name}-*{SUFFIX}"))

    def _delete_old_versions(self) -> None:
        for file in _newest_first(self._versions())[VERSIONS:]:
            with contextlib.suppress(OSError):
                file.unlink()


def _make(new: Path) -> None:
    """The folder, if it is not there; then the oldest of other processors and versions go."""
    if new.is_dir():
        return
    new.mkdir(parents=True, exist_ok=True)
    others = [each for each in new.parent.glob("numba-*") if each != new]
    for old in _newest_first(others)[FOLDERS - 1 :]:
        shutil.rmtree(old, ignore_errors=True)


def _newest_first(files: list[Path]) -> list[Path]:
    def age(file: Path) -> float:
        with contextlib.suppress(OSError):  # another process may have deleted it
            return -file.stat().st_mtime
        return 0.0

    return sorted(files, key=age)


def _write(file: Path, content: bytes) -> None:
    """Whole or not at all, whatever other processes write there."""
    handle, beside = tempfile.mkstemp(prefix=".new-", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as target:
            target.write(content)
        if file.is_dir() and not file.is_symlink():
            file.rmdir()
        os.replace(beside, file)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise


def _say(kind: str, message: str) -> None:
    """One line on stderr, once for each kind of trouble in a process."""
    if kind not in _said and sys.stderr is not None:
        _said.add(kind)
        with contextlib.suppress(OSError, ValueError):  # it may be closed
            print(f"minigrad: {message}", file=sys.stderr)
