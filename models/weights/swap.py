"""Replacing a directory as a whole, so that a crash at any moment leaves the old one or the new one.

The new directory DIR is written to a hidden sibling, .DIR.new. Then DIR becomes .DIR.old, and .DIR.new
becomes DIR: two renames. Wherever a process is killed, what is there tells how far it came:

    DIR           perhaps a half-written .DIR.new: the next write removes it
    .DIR.old and .DIR.new, no DIR   killed between the renames: the new one is complete, and becomes DIR
    DIR, .DIR.old                   killed while the old one was being removed
"""

import os
import shutil
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path


def replace_directory(directory: Path, files: Iterable[tuple[str, bytes]], owned: Collection[str]) -> None:
    """Make `directory` hold these files, pairs (name, content), in place of the owned ones that it has.

    owned  names that belong to the directory's format; what else is in it moves along

    Whatever is raised, OSError or what `files` raises, the directory is as it was.
    """
    new, old = _siblings(directory)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        _finish(directory, owned)
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        for name, data in files:
            _write(new / name, data)
        _sync(new)
        if directory.exists():
            os.rename(directory, old)
        os.rename(new, directory)
        _sync(directory.parent)
        _finish(directory, owned)
    except BaseException:
        with suppress(OSError):
            _finish(directory, owned)
            shutil.rmtree(new, ignore_errors=True)
        raise


def repair(directory: Path, owned: Collection[str]) -> None:
    """Finish a replacement that was killed on its way; call it before reading."""
    old = _siblings(directory)[1]
    if old.exists():
        time.sleep(0.1)  # if somebody is at it this very moment, it is over by then
        _finish(directory, owned)


def _siblings(directory: Path) -> tuple[Path, Path]:
    """Where the next one is written, and where the last one waits while the two change places."""
    return directory.with_name(f".{directory.name}.new"), directory.with_name(f".{directory.name}.old")


def _finish(directory: Path, owned: Collection[str]) -> None:
    """From wherever the renames stand to the end: one directory in its place, with what was not owned."""
    new, old = _siblings(directory)
    if not old.exists():
        return
    if not directory.exists():
        os.rename(new if new.exists() else old, directory)
    if old.exists():
        for entry in old.iterdir():
            if entry.name not in owned and not (directory / entry.name).exists():
                os.rename(entry, directory / entry.name)
        shutil.rmtree(old, ignore_errors=True)


def _write(path: Path, data: bytes) -> None:
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    """Make the names in a directory durable, where the system lets us."""
    with suppress(OSError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
