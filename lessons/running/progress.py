"""Which lessons a reader has run to the end, for the list of them: a file in minigrad's cache."""

import json
from pathlib import Path

from minigrad.cache import cache_directory


def done() -> set[int]:
    """The numbers of the lessons that ran to their end; a file that cannot be read counts as none."""
    try:
        return set(json.loads(_file().read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return set()


def add(number: int) -> None:
    """Remember a lesson; where the cache cannot be written, it is forgotten."""
    from minigrad.io import write_atomically

    try:
        _file().parent.mkdir(parents=True, exist_ok=True)
        write_atomically(_file(), json.dumps(sorted(done() | {number})).encode())
    except OSError:
        pass


def _file() -> Path:
    return cache_directory() / "lessons.json"
