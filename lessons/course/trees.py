"""Trees to judge in: the library, with the files of one student or one wrong answer in their places.

A tree is made of links to one copy of the library, which a judged process may not write to (judge/limits.py); what
replaces a linked file replaces the link. So every trial has a tree of its own in a hundredth of a second, and
nothing that is written there reaches another. numba keeps what it compiled beside the source, by the file's time and
size or by its text, not by its path: links to that as well, and a trial compiles only what is new in it. After a
trial of the library itself, what numba compiled is kept for the trials to come.
"""

import ast
import os
import shutil
import threading
from pathlib import Path

PACKAGES = ("minigrad", "nn", "models", "lessons")
TESTS = "tests/lessons/exercises"
CACHE = "cache"  # of compiled CUDA C
LEFT_OUT = {"lessons/course", "lessons/commands"}  # the course kit judges, it is not judged
KEPT = (".py", ".cu", ".cuh", ".h", ".cpp", ".json", ".mplstyle", ".pyc", ".nbi", ".nbc")


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
        self._importers = _importers(self.path)
        self._lock = threading.Lock()  # of all below
        self._kept, self._kept_at = 0, {}  # how many files were kept so far, and when each was
        self._list()

    def tree(self, path: Path, changes: dict[str, str]) -> int:
        """Make a tree at `path`, the library with these files changed. What is returned is for keep()."""
        stale = {
            _module(file)
            for changed in changes
            for file in (changed, *self._importers.get(changed, ()))
        }
        with self._lock:
            folders, files, made = self._folders, self._files, self._kept
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
        return made

    def keep(self, tree: Path, made: int) -> None:
        """Keep what was compiled in a tree, of the files that are the library's own. Only for trees we trust.

        made  what tree() returned
        """
        kinds = (".nbi", ".pyc", ".so")
        new = [f for f in tree.rglob("*") if f.suffix in kinds and not f.is_symlink()]
        with self._lock:
            for found in new:
                relative = found.relative_to(tree)
                compiled_here = found.suffix == ".so" or _same(
                    tree / _source(relative), self.path / _source(relative)
                )
                # numba numbers its data files: two trials that compiled versions of one function cannot both be kept.
                if compiled_here and self._kept_at.get(relative, 0) <= made:
                    self._kept += 1
                    self._kept_at[relative] = self._kept
                    if (
                        found.suffix == ".nbi"
                    ):  # its data first, so that the index never names what is not there
                        for data in found.parent.glob(f"{found.stem}.*.nbc"):
                            if not data.is_symlink():
                                _replace(data, self.path / data.relative_to(tree))
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


def _importers(root: Path) -> dict[str, set[str]]:
    """For each numba file, those that use it, directly or not: numba does not see that what they compiled is old."""
    folder = "minigrad/kernels/cpu"
    direct: dict[str, set[str]] = {}
    for file in (root / folder).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                "minigrad.kernels.cpu"
            ):
                named = node.module.removeprefix("minigrad.kernels.cpu").lstrip(".")
                for name in [named] if named else [alias.name for alias in node.names]:
                    direct.setdefault(f"{folder}/{name}.py", set()).add(f"{folder}/{file.name}")
    found = {}
    for file in direct:
        reached, waiting = set(), [file]
        while waiting:
            for importer in direct.get(waiting.pop(), ()):
                if importer not in reached:
                    reached.add(importer)
                    waiting.append(importer)
        found[file] = reached
    return found
