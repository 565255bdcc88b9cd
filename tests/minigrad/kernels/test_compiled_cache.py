"""Compiled kernels on disk: found again, named by all of their source, and no file there can end a run."""

import importlib.util
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad
from minigrad.kernels import compiled_cache

ROOT = Path(minigrad.__file__).parent.parent
SERIAL = """
from minigrad.kernels.compiled_cache import jit

@jit(error_model="numpy")
def total(x):
    s = 0.0
    for i in range(x.size):
        s += x[i]
    return s
"""
PARALLEL = """
from numba import prange
from minigrad.kernels.cpu import simd

@simd.parallel
def total(x):
    s = 0.0
    for i in prange(x.size):
        s += x[i]
    return s
"""


def forget() -> None:
    """What this process has read of sources."""
    for memory in (compiled_cache.digest_of, compiled_cache._read, compiled_cache._file_of):
        memory.cache_clear()


@pytest.fixture(autouse=True)
def _read_again():
    yield
    forget()


class Place:
    """A cache in a folder, and a kernel that each call of `run` defines from scratch."""

    def __init__(self, folder, capfd, text=SERIAL):
        self.source, self.capfd = folder / "small.py", capfd
        self.source.write_text(text)

    def run(self) -> tuple[bool, list[str]]:
        """Whether the kernel was found on disk, and what was said; its sum is right."""
        compiled_cache._said.clear()
        forget()
        spec = importlib.util.spec_from_file_location("small", self.source)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert module.total(np.arange(5.0)) == 10
        return bool(module.total.stats.cache_hits), self.capfd.readouterr().err.splitlines()

    def file(self) -> Path:
        (file,) = compiled_cache.folder().glob(f"small.total-*{compiled_cache.SUFFIX}")
        return file


@pytest.fixture
def place(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    return Place(tmp_path, capfd)


def test_compiled_once(place):
    assert place.run() == (False, [])
    assert place.run() == (True, [])
    assert place.file().is_relative_to(os.environ["MINIGRAD_CACHE"])
    assert not list(place.source.parent.rglob("*.nb[ci]"))


def test_the_folder_that_numba_s_variable_names(place, tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    assert [place.run(), place.run()] == [(False, []), (True, [])]
    assert place.file().is_relative_to(tmp_path / "numba" / "minigrad")


# ---- damage --------------------------------------------------------------------------------


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :]


def no_file(file: Path) -> None:
    file.unlink()
    file.mkdir()


def true_digest_of_nonsense(file: Path) -> None:
    file.write_bytes(compiled_cache.hashlib.sha256(b"nonsense").digest() + b"nonsense")


DAMAGES = {
    "empty": lambda file: file.write_bytes(b""),
    "one byte": lambda file: file.write_bytes(b"\0"),
    "only the digest": lambda file: file.write_bytes(file.read_bytes()[: compiled_cache.DIGEST]),
    "cut short": lambda file: file.write_bytes(file.read_bytes()[:-1]),
    "longer": lambda file: file.write_bytes(file.read_bytes() + b"\0"),
    "a bit of the digest": lambda file: file.write_bytes(flipped(file.read_bytes(), 3)),
    "a bit of the code": lambda file: file.write_bytes(flipped(file.read_bytes(), file.stat().st_size // 2)),
    "zeros": lambda file: file.write_bytes(bytes(file.stat().st_size)),
    "text": lambda file: file.write_text("<<<<<<< HEAD\n"),
    "a directory": no_file,
    "of another numba": true_digest_of_nonsense,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_compiled_again(place, damage):
    place.run()
    DAMAGES[damage](place.file())
    found, said = place.run()
    assert not found
    assert len(said) == 1
    assert "is compiled again" in said[0]
    assert str(place.file()) in said[0]
    assert place.run() == (True, [])


def test_a_directory_with_something_in_it_stays(place):
    place.run()
    no_file(place.file())
    (place.file() / "mine").touch()
    for _ in range(2):
        found, said = place.run()
        assert not found
        assert ["is compiled again" in line or "cannot be kept" in line for line in said] == [True, True]
    assert (place.file() / "mine").exists()


def test_a_file_that_may_not_be_read(place, monkeypatch):
    place.run()

    def refuse(self, read=Path.read_bytes):
        if self.suffix == compiled_cache.SUFFIX:
            raise PermissionError(13, "Permission denied", str(self))
        return read(self)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    found, said = place.run()
    assert not found
    assert len(said) == 1
    assert "Permission denied" in said[0]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_hundred_damaged_files(place):
    """Cut, flipped, filled with anything at any place: no damage is believed, and each is mended."""
    place.source.write_text(PARALLEL)
    place.run()
    rng, whole = random.Random(0), place.file().read_bytes()
    damages = [
        lambda: whole[: rng.randrange(len(whole))],
        lambda: flipped(whole, rng.randrange(len(whole))),
        lambda: whole[: rng.randrange(len(whole))] + rng.randbytes(rng.randrange(1, 4096)),
        lambda: bytes(rng.randrange(len(whole))),
        lambda: whole[: (cut := rng.randrange(len(whole)))] + bytes(len(whole) - cut),
    ]
    for k in range(200):
        place.file().write_bytes(damages[k % len(damages)]())
        found, said = place.run()
        assert (found, len(said)) == (False, 1)
        assert place.file().stat().st_size > compiled_cache.DIGEST
        assert place.run() == (True, [])


# ---- nowhere to keep them ------------------------------------------------------------------


def test_nowhere_to_write_is_said_once(place, monkeypatch):
    monkeypatch.setenv("MINIGRAD_CACHE", os.devnull + "/nowhere")
    found, said = place.run()
    assert not found
    assert len(said) == 1
    assert "cannot be kept in" in said[0]
    assert "MINIGRAD_CACHE" in said[0]
    assert not compiled_cache.is_writable()


def test_no_home(place, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("MINIGRAD_CACHE")
    monkeypatch.setattr(Path, "home", no_home)
    assert compiled_cache.folder() is None
    assert place.run() == (False, [])
    assert not compiled_cache.is_writable()


def test_a_full_disk(place, monkeypatch):
    def full(file, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(compiled_cache, "_write", full)
    found, said = place.run()
    assert not found
    assert len(said) == 1
    assert "No space left" in said[0]


def test_without_numba_s_internals_its_own_cache(place, monkeypatch):
    from numba.core import compiler

    monkeypatch.delattr(compiler.CompileResult, "_rebuild")
    spec = importlib.util.spec_from_file_location("small", place.source)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert type(module.total._cache).__module__ == "numba.core.caching"
    assert module.total(np.arange(5.0)) == 10
    assert list(place.source.parent.rglob("*.nbi"))


# ---- names ---------------------------------------------------------------------------------

FILES = {
    "minigrad/kernels/cpu/__init__.py": "import minigrad.kernels.cpu.unused",
    "minigrad/kernels/cpu/inner.py": "ONE = 1",
    "minigrad/kernels/cpu/outer.py": "from minigrad.kernels.cpu.inner import ONE",
    "minigrad/kernels/cpu/unused.py": "",
    "minigrad/engine.py": "from minigrad.kernels.cpu import unused",
    "models/vectors/shared.py": "",
}
IMPORTS = {
    "import minigrad.kernels.cpu.inner": "inner",
    "from minigrad.kernels.cpu import inner": "inner",
    "from minigrad.kernels.cpu import outer as other, inner": "inner",
    "from minigrad.kernels.cpu import (\n    outer,\n)": "inner",
    "from minigrad.kernels.cpu.inner import ONE": "inner",
    "from minigrad.kernels.cpu.outer import (\n    ONE,\n)": "inner",
    "def late():\n    from minigrad.kernels.cpu.inner import ONE": "inner",
    "from models.vectors import shared": "shared",
}


@pytest.mark.parametrize("statement", IMPORTS)
def test_a_name_follows_what_is_imported(tmp_path, monkeypatch, statement):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for package in ("minigrad", "models"):
        monkeypatch.setattr(importlib.import_module(package), "__path__", [str(tmp_path / package)])
    source = tmp_path / "kernel.py"
    source.write_text(statement + "\nfrom minigrad import engine\n")

    def digest() -> str:
        forget()
        return compiled_cache.digest_of(source)

    before = digest()
    for name in FILES:
        (tmp_path / name).write_text(FILES[name] + "\nx = 1")
        counts = Path(name).stem == IMPORTS[statement]
        if Path(name).stem in ("inner", "shared", "unused", "engine"):
            assert (digest() != before) is counts, name
        (tmp_path / name).write_text(FILES[name])
        assert digest() == before


@pytest.mark.parametrize(
    ("file", "uses"),
    {
        "attention_forward": {"attention_parts", "dropout", "simd", "tiles", "micro_kernel"},
        "matmul": {"simd", "micro_kernel"},
        "recurrent_cells": {"recurrent_walk", "matmul", "micro_kernel", "simd", "tiles"},
    }.items(),
)
def test_our_kernels_and_what_they_are_made_of(file, uses):
    found, ahead = set(), [ROOT / f"minigrad/kernels/cpu/{file}.py"]
    while ahead:
        new = set(compiled_cache._imports(ahead.pop())) - found
        found |= new
        ahead.extend(path for path in new if path.name != "__init__.py")
    assert uses <= {path.stem for path in found if path.parent.name == "cpu"}


def test_no_kernel_is_kept_beside_its_source():
    for package in ("minigrad", "nn", "models", "lessons"):
        for path in (ROOT / package).rglob("*.py"):
            code = re.sub(r'""".*?"""', "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
            assert not re.search(r"njit\([^\n]*cache=True", code), path


# ---- room ----------------------------------------------------------------------------------


def test_the_newest_versions_are_kept(place, monkeypatch):
    monkeypatch.setattr(compiled_cache, "VERSIONS", 3)
    for k in range(5):
        place.source.write_text(f"{SERIAL}\n# {k}")
        assert place.run() == (False, [])
        for file in compiled_cache.folder().iterdir():  # a minute each, on a clock of seconds
            os.utime(file, (file.stat().st_atime, file.stat().st_mtime - 60))
    assert len(list(compiled_cache.folder().iterdir())) == 3
    assert place.run() == (True, [])


def test_the_newest_folders_are_kept(place):
    for k in range(6):
        old = compiled_cache.place() / f"numba-0.{k}"
        old.mkdir(parents=True)
        os.utime(old, (1000 + k, 1000 + k))
    place.run()
    kept = {f"numba-0.{k}" for k in range(7 - compiled_cache.FOLDERS, 6)} | {compiled_cache.folder().name}
    assert {each.name for each in compiled_cache.place().iterdir()} == kept


# ---- several at once -----------------------------------------------------------------------


def started(code: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_compile_the_same(place):
    code = f"import sys, numpy as np; sys.path.insert(0, {str(place.source.parent)!r}); import small\n"
    code += "print(small.total(np.arange(5.0)))"
    for process in [started(code) for _ in range(2)]:
        assert process.communicate() == ("10.0\n", "")
    assert len(list(compiled_cache.folder().iterdir())) == 1


def test_without_compilation(place):
    code = f"import sys, numpy as np; sys.path.insert(0, {str(place.source.parent)!r}); import small\n"
    code += "print(small.total(np.arange(5.0)), type(small.total).__name__)"
    assert started(code, NUMBA_DISABLE_JIT="1").communicate() == ("10.0 function\n", "")


def test_two_threads_on_the_layer_that_serves_one():
    code = """
import threading, numpy as np
from minigrad import kernels
x = np.ones((64, 64), np.float32)
def work():
    for _ in range(300):
        kernels.softmax(x)
        kernels.gelu(x, False)
with kernels.use("numba"):
    kernels.softmax(x)
threads = [threading.Thread(target=work) for _ in range(4)]
[t.start() for t in threads], [t.join() for t in threads]
import numba
print(numba.threading_layer(), kernels.softmax.implementations["numba"].function.__name__)
"""
    process = started(code, NUMBA_THREADING_LAYER="workqueue", NUMBA_NUM_THREADS="2")
    out, errors = process.communicate()
    assert (process.returncode, out) == (0, "workqueue alone\n"), errors
