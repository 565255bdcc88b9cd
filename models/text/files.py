"""Text files in, files out: read with errors a user can act on, write so that a crash loses nothing."""

import hashlib
import os
from pathlib import Path

from models.errors import DataError

MINIMUM_CHARACTERS = 100


def read_text(path: str | os.PathLike, minimum_characters: int = MINIMUM_CHARACTERS) -> str:
    """A local UTF-8 text file as a string, line ends as "\\n" and without a byte-order mark.

    Raises DataError for a file that is missing, a directory, unreadable, empty, shorter than
    `minimum_characters`, or not UTF-8 (the message gives the offset of the first bad byte).
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(f"{path} is a directory: give one text file")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    if not data:
        raise DataError(f"{path} is empty: give a file with some text in it")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text: byte 0x{data[error.start]:02x} at offset {error.start} "
            f"({error.reason}); convert it first, for example with iconv -f latin1 -t utf-8"
        ) from None
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if len(text) < minimum_characters:
        raise DataError(f"{path} is too short: {len(text)} characters, and at least {minimum_characters} are needed")
    return text


def write_atomically(path: str | os.PathLike, data: bytes) -> None:
    """Write a file whole or not at all, making its folder; DataError if that fails."""
    from minigrad import io  # here, because reading a text needs no numpy

    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        io.write_atomically(path, data)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from error


def sha256(data: bytes) -> str:
    """The SHA-256 digest in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
