"""Trees to judge in: the library, with the files of one student or one wrong answer in their places.

A tree is made of links to one copy of the library, which a judged process may not write to (judge/limits.py); what
replaces a linked file replaces the link. So every trial has a tree of its own in a hundredth of a second, and
nothing that is written there reaches another. What numba compiled is named by the text of its sources, see
minigrad/kernels/compiled_cache.py: links to that as well, and a trial compiles only what is new in it. After a trial
that we trust, what was compiled of the library's own sources is kept for the trials to come.
"""

import os
import shutil
import threading
from pathlib import Path

from minigrad.kernels import compiled_cache

PACKAGES = ("minigrad", "nn", "models", "lessons")
TESTS = "tests/lessons/exercises"
CACHE = "cache"  # of compiled CUDA C and numba
LEFT_OUT = {"lessons/course", "lessons/commands"}  # the course kit judges, it is not judged
KEPT = (".py", ".cu", ".cuh", ".h", ".cpp", ".json", ".mplstyle", ".pyc")


class Reference:
    """A copy of the library and of the exercises' tests, from which trees are made."""

    def __init__(self, root: Path, home: Path):
        """Copy the repository at `root` to a new directory below `home`."""
        self.root, self.path = root, home / "reference"
        for name in (*PACKAGES, TESTS):
            for source in (root / name).rglob("*"):
                relative = source.relative_to(root)
                if source.suffix in KEPT and not any(
                    relative.is_relative_to(out) for out in LEFT_OUT
                ):
                    _copy(source, self.path / relative)
        for folder in ("tests", "tests/lessons"):
            (self.path / folder / "__init__.py").touch()
        (self.path / CACHE).mkdir()
        self._sources = {
            compiled_cache.digest_of(source)
            for name in ("minigrad/kernels", "models")
            for source in (root / name).rglob("*.py")
        }
        compiled = compiled_cache.folder()
        for file in compiled.glob(f"*{compiled_cache.SUFFIX}") if compiled else ():
            if self._is_ours(file):
                _copy(file, self.path / CACHE / "compiled" / compiled.name / file.name)
        self._lock = threading.Lock()  # of what is below
        self._list()

    def _is_ours(self, compiled: Path) -> bool:
        return compiled_cache.source_of(compiled) in self._sources

    def tree(self, path: Path, changes: dict[str, str]) -> None:
        """Make a tree at `path`, the library with these files changed."""
        stale = {_module(changed) for changed in changes}
        with self._lock:
            folders, files = self._folders, self._files
        for folder in folders:
            os.makedirs(path / folder)
        for file, module in files:
            if file in changes or module in stale:
                continue
            if file.startswith("tests/"):
                shutil.copyfile(self.path / file, path / file)
            else:
                os.symlink(f"{self.path}/{file}", f"{path}/{file}")
        for name, text in changes.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(text.encode())

    def keep(self, tree: Path) -> None:
        """Keep what was compiled in a tree, of the files that are the library's own. Only for trees we trust."""
        kinds = (compiled_cache.SUFFIX, ".pyc", ".so")
        new = [f for f in tree.rglob("*") if f.suffix in kinds and not f.is_symlink()]
        with self._lock:
            for found in new:
                relative = found.relative_to(tree)
                if found.suffix == ".pyc":
                    ours = _same(tree / _source(relative), self.path / _source(relative))
                else:
                    ours = found.suffix == ".so" or self._is_ours(found)
                if ours:
                    _replace(found, self.path / relative)
            if new:
                self._list()

    def _list(self) -> None:
        everything = [(path, path.relative_to(self.path)) for path in sorted(self.path.rglob("*"))]
        self._folders = [relative.as_posix() for path, relative in everything if path.is_dir()]
        self._files = [
            (r.as_posix(), _module(_source(r)) if r.parent.name == "__pycache__" else None)
            for path, r in everything
            if not path.is_dir()
        ]


def _source(cached: Path) -> Path:
    """The source file of a file in __pycache__."""
    return Path(*cached.parts[:-2], f"{cached.name.partition('.')[0]}.py")


def _module(file: str | Path) -> str:
    return str(file).removesuffix(".py")


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copy2(source, target)
    except FileNotFoundError:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def _replace(source: Path, target: Path) -> None:
    """Copy at once: whoever reads the target sees the old file or the new one."""
    beside = target.with_name(f"{target.name}.new")
    _copy(source, beside)
    os.replace(beside, target)


def _same(a: Path, b: Path) -> bool:
    return a.is_file() and b.is_file() and a.read_bytes() == b.read_bytes()
