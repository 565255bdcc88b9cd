"""Characters, words and bytes as tokens, behind the one interface of tokenizer.py.

    tokenizer = CharTokenizer.from_text("to be or not to be")
    ids = tokenizer.encode("to be")          # int64 array (5,)
    tokenizer.decode(ids)                    # "to be"
    tokenizer.save("tokenizer.json")
    tokenizer = load("tokenizer.json")

A file names its class, so `load` serves all of them.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from models.errors import DataError
from models.text.tokenizer import UNK, StreamDecoder, Tokenizer

__all__ = [
    "ByteTokenizer",
    "CharTokenizer",
    "StreamDecoder",
    "Tokenizer",
    "WordTokenizer",
    "from_json",
    "load",
]


class CharTokenizer(Tokenizer):
    """One token a character (Unicode code point), ids in the order of the code points."""

    type = "char"

    def __init__(self, characters: str, special_tokens: Iterable[str] = ()):
        self.characters = characters
        if not characters or len(set(characters)) < len(characters):
            raise DataError("a character vocabulary needs at least one character, each once")
        super().__init__(len(characters), special_tokens)
        codepoints = _codepoints(characters)
        # Two tables. Code point -> id: the last entry (-1) serves all code points beyond it.
        self._ids = np.full(int(codepoints.max()) + 2, -1, np.int64)
        self._ids[codepoints] = np.arange(len(characters))
        # Id -> code point: the last entry (U+FFFD) serves <unk>.
        self._codepoints = np.append(codepoints, np.array(0xFFFD, codepoints.dtype))

    @classmethod
    def from_text(cls, text: str, special_tokens: Iterable[str] = (), max_size: int | None = None) -> "CharTokenizer":
        """The characters that occur in `text`, in the order of their code points.

        If with the special tokens they are more than max_size, only the most frequent that fit, of equally frequent
        ones the first by code point; `<unk>` then joins the special tokens. DataError if that leaves no room for one.
        """
        special_tokens, characters = list(special_tokens), set(text)
        if max_size is not None and len(characters) + len(special_tokens) > max_size:
            special_tokens += [UNK] if UNK not in special_tokens else []
            if max_size <= len(special_tokens):
                raise DataError(f"max_size={max_size} leaves no room for characters beside {special_tokens}")
            counts = Counter(text)
            ranked = sorted(counts, key=lambda character: (-counts[character], character))
            characters = ranked[: max_size - len(special_tokens)]
        return cls("".join(sorted(characters)), special_tokens)

    def encode(self, text: str, errors: str | None = None) -> np.ndarray:
        unk_id = self._unk_for(errors)
        ids = self._ids.take(_codepoints(text), mode="clip")
        if ids.size and ids.min() < 0:
            unknown = ids < 0
            if unk_id is None:
                raise self._unknown_character(text, int(unknown.argmax()))
            ids[unknown] = unk_id
        return ids

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        ids = self._checked(ids)
        if self.special_tokens:  # of these only <unk> shows
            ids = ids[(ids < self.num_ordinary) | (ids == (self.unk_id or -1))]
        return self._codepoints.take(ids, mode="clip").tobytes().decode("utf-32-le")

    def _unknown_character(self, text: str, position: int) -> DataError:
        shown = self.characters if len(self.characters) <= 200 else self.characters[:200] + "..."
        return DataError(
            f"character {text[position]!r} (U+{ord(text[position]):04X}) at position {position} is not among "
            f"the {len(self.characters)} this tokenizer knows: {shown!r}. Leave it out, or make the "
            f"tokenizer with special_tokens=[{UNK!r}]"
        )

    def _ordinary_bytes(self, id: int) -> bytes:
        return self.characters[id].encode()

    def _fields(self) -> dict:
        return {"characters": self.characters}


class WordTokenizer(Tokenizer):
    """One token a word, a punctuation mark or a white-space character, the most frequent first.

    For languages that put spaces between words. Words keep inner apostrophes and hyphens: o'er, to-night.
    decode(encode(text)) == text when all its words are known and `lowercase` is off; with whitespace=False
    spaces are dropped and decoding puts one between any two tokens.
    """

    type = "word"
    pattern = re.compile(r"\w+(?:['’-]\w+)*|\s|[^\w\s]")  # every character falls in one of the three

    def __init__(
        self,
        words: list[str],
        lowercase: bool = False,
        whitespace: bool = True,
        special_tokens: Iterable[str] = (UNK,),
    ):
        self.words = list(words)
        self.lowercase, self.whitespace = lowercase, whitespace
        self.separator = b"" if whitespace else b" "
        self._ids = {word: i for i, word in enumerate(self.words)}
        if len(self._ids) < len(self.words) or not all(isinstance(word, str) for word in self.words):
            raise DataError("a word vocabulary is a list of words, each once")
        super().__init__(len(self.words), special_tokens)

    @classmethod
    def from_text(
        cls,
        text: str,
        min_count: int = 1,
        max_size: int | None = None,
        lowercase: bool = False,
        whitespace: bool = True,
        special_tokens: Iterable[str] = (UNK,),
    ) -> "WordTokenizer":
        """The words that occur at least `min_count` times, the most frequent first and equals in order of the alphabet.

        At most `max_size` ids with the special tokens; DataError if that leaves no room for a word. What a word is
        says `_split`.
        """
        special_tokens = list(special_tokens)
        counts = Counter(cls._split(text, lowercase, whitespace))
        words = sorted((word for word, count in counts.items() if count >= min_count), key=lambda w: (-counts[w], w))
        if max_size is not None:
            if max_size <= len(special_tokens):
                raise DataError(f"max_size={max_size} leaves no room for words beside {special_tokens}")
            words = words[: max_size - len(special_tokens)]
        return cls(words, lowercase, whitespace, special_tokens)

    def encode(self, text: str, errors: str | None = None) -> np.ndarray:
        unk_id = self._unk_for(errors)
        missing = -1 if unk_id is None else unk_id
        words = self._split(text, self.lowercase, self.whitespace)
        ids = np.fromiter((self._ids.get(word, missing) for word in words), np.int64, len(words))
        if ids.size and ids.min() < 0:
            raise self._unknown_word(text, words, int((ids < 0).argmax()))
        return ids

    @classmethod
    def _split(cls, text: str, lowercase: bool, whitespace: bool) -> list[str]:
        words = cls.pattern.findall(text)
        if not whitespace:
            words = [word for word in words if not word.isspace()]
        return list(map(str.lower, words)) if lowercase else words

    def _unknown_word(self, text: str, words: list[str], index: int) -> DataError:
        matches = (m for m in self.pattern.finditer(text) if self.whitespace or not m[0].isspace())
        position = next(match.start() for i, match in enumerate(matches) if i == index)
        return DataError(
            f"word {words[index]!r} at position {position} is not among the {len(self.words)} this tokenizer "
            f"knows. Leave it out, or make the tokenizer with special_tokens=[{UNK!r}] and encode without "
            "errors='strict'"
        )

    def _ordinary_bytes(self, id: int) -> bytes:
        return self.words[id].encode()

    def _fields(self) -> dict:
        return {"words": self.words, "lowercase": self.lowercase, "whitespace": self.whitespace}


class ByteTokenizer(Tokenizer):
    """One token a UTF-8 byte: 256 ids say everything, nothing is unknown, no training."""

    type = "byte"

    def __init__(self, special_tokens: Iterable[str] = ()):
        super().__init__(256, special_tokens)
        if self.unk_id is not None:
            raise DataError(f"a byte tokenizer knows every text: {UNK} would never be used")

    @classmethod
    def from_text(cls, text: str, special_tokens: Iterable[str] = ()) -> "ByteTokenizer":
        """The same for every text."""
        return cls(special_tokens)

    def encode(self, text: str, errors: str | None = None) -> np.ndarray:
        self._unk_for(errors)
        return np.frombuffer(_encoded(text, "utf-8"), np.uint8).astype(np.int64)

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        ids = self._checked(ids)
        return ids[ids < 256].astype(np.uint8).tobytes().decode("utf-8", "replace")

    def _ordinary_bytes(self, id: int) -> bytes:
        return bytes([id])

    def _fields(self) -> dict:
        return {}


TOKENIZERS: dict[str, type[Tokenizer]] = {cls.type: cls for cls in (CharTokenizer, WordTokenizer, ByteTokenizer)}


def from_json(data: dict) -> Tokenizer:
    """The tokenizer that `to_json` described, of whichever class. Raises DataError."""
    kind = data.get("type") if isinstance(data, dict) else None
    if kind not in list(TOKENIZERS):
        raise DataError(f"not a tokenizer: type {kind!r}, expected one of {', '.join(TOKENIZERS)}")
    return TOKENIZERS[kind].from_json(data)


def load(path: str | os.PathLike) -> Tokenizer:
    """The tokenizer that `save` wrote. Raises DataError for a file that is missing or damaged."""
    try:
        return from_json(json.loads(Path(path).read_bytes()))
    except FileNotFoundError:
        raise DataError(f"{path}: no such tokenizer file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except ValueError as error:  # not JSON, or not UTF-8
        raise DataError(f"{path}: damaged, not JSON: {error}") from None


def _encoded(text: str, encoding: str) -> bytes:
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        raise DataError(
            f"character U+{ord(text[error.start]):04X} at position {error.start} is half of a surrogate "
            "pair: the text was read with the wrong encoding"
        ) from None


def _codepoints(text: str) -> np.ndarray:
    return np.frombuffer(_encoded(text, "utf-32-le"), np.dtype("<u4"))
