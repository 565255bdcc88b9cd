"""A named thing to fetch: its description and licence, where it comes from, and its converted text in the cache.

corpora.py and datasets.py are tables of these.
"""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

from models.errors import DataError
from models.text.files import sha256, write_atomically
from models.text.sources.fetching import Source, fetch


@dataclass(frozen=True)
class Resource:
    """`sha256` is of the converted text, so a damaged or outdated copy in the cache is noticed.

    A resource without a source (pydoc) is made on the spot; it has no hash because it differs between Pythons.
    """

    name: str
    description: str
    licence: str
    source: Source | None
    convert: Callable[..., str]  # from the source's bytes, if it has a source
    sha256: str | None = None

    folder: ClassVar[str]  # within the cache
    suffix: ClassVar[str] = ".txt"

    @property
    def path(self) -> Path:
        """Where the converted text is kept once fetched."""
        from minigrad.cache import cache_directory  # here, because a table of texts needs no numpy

        return cache_directory() / self.folder / f"{self.name}{self.suffix}"

    @property
    def size(self) -> str:
        """How much of what it holds, for a reader."""
        raise NotImplementedError

    @property
    def fetched(self) -> bool:
        """Whether it is available without a network."""
        return self.source is None or self.path.is_file()

    def text(self) -> str:
        """The whole text, fetched and converted unless the cache holds it. Raises DataError."""
        if self.source is None:
            return self.convert()
        if self.path.is_file():
            data = self.path.read_bytes()
            if sha256(data) == self.sha256:
                return data.decode("utf-8")
        text = self.convert(fetch(self.source))
        data = text.encode("utf-8")
        if sha256(data) != self.sha256:
            raise AssertionError(f"{self.name}: its converter and its sha256 in the table disagree")
        write_atomically(self.path, data)
        return text

    def fetch(self) -> Path:
        """Make sure the converted text is in the cache; returns its path. Raises DataError."""
        text = self.text()
        if self.source is None:
            write_atomically(self.path, text.encode("utf-8"))
        return self.path


R = TypeVar("R", bound=Resource)


def find(table: Sequence[R], name: str, otherwise: str) -> R:
    """The resource of that name. If it is not in the table, a DataError says what the name `otherwise` is
    ("neither a corpus nor a file") and gives the closest names."""
    for resource in table:
        if resource.name == name:
            return resource
    names = [resource.name for resource in table]
    close = difflib.get_close_matches(name, names, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(names)}"
    raise DataError(f"{name!r} is {otherwise}: {hint}")
