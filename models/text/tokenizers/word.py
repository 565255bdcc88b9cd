"""Words as tokens, as models/text/words.py cuts a text into them."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Unpack

import numpy as np

from models.errors import DataError
from models.text.tokenizers.base import UNK, Options, Tokenizer, check_text
from models.text.tokenizers.inputs import NO_OFFSETS, Tokens
from models.text.words import nfc, piece_pattern

WITHOUT_MARKS = re.compile(r"\w+(?:['’-]\w+)*|\s|[^\w\s]")  # how files of version 1 cut a text


class WordTokenizer(Tokenizer):
    """One token per word, white-space character or other sign (punctuation, an emoji), the most frequent first.

    words       the vocabulary
    lowercase   words are looked up in lower case
    whitespace  whether white space is tokens; without it decoding puts a space between any two tokens
    marks       whether words keep their combining marks and are looked up in the normal form NFC; False for
                vocabularies that were made without, as all were in files of version 1

    For languages that put spaces between words. If all words of a text are known, and with `whitespace` on and
    `lowercase` off, decode(encode(text)) is the text in NFC.
    """

    type = "word"
    unit = "word"
    version_1: ClassVar[dict[str, Any]] = {"marks": False}

    def __init__(
        self,
        words: list[str],
        lowercase: bool = False,
        whitespace: bool = True,
        special_tokens: Iterable[str] | Mapping[str, int] = (UNK,),
        marks: bool = True,
        **options: Unpack[Options],
    ):
        self.words = list(words)
        if not all(isinstance(word, str) for word in self.words) or len(set(self.words)) < len(self.words):
            raise DataError("a word vocabulary is a list of words, each once")
        self.lowercase, self.whitespace, self.marks = lowercase, whitespace, marks
        super().__init__(self.words, special_tokens, **options)
        self._id_of = dict(zip(self.words, self.ordinary_ids.tolist(), strict=True))

    @property
    def separator(self) -> bytes:  # type: ignore[override]
        """What stands between two decoded tokens: a space, unless spaces are tokens."""
        return b"" if self.whitespace else b" "

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
        """The words that occur at least `min_count` times, the most frequent first and equals in alphabetical order.

        At most `max_size` ids with the special tokens; DataError if that leaves no room for a word. `_split` says
        what a word is.
        """
        special_tokens = list(special_tokens)
        counts = Counter(cls._split(text, lowercase, whitespace))
        words = sorted((word for word, count in counts.items() if count >= min_count), key=lambda w: (-counts[w], w))
        if max_size is not None:
            if max_size <= len(special_tokens):
                raise DataError(f"max_size={max_size} leaves no room for words beside {special_tokens}")
            words = words[: max_size - len(special_tokens)]
        return cls(words, lowercase, whitespace, special_tokens)

    @classmethod
    def _split(cls, text: str, lowercase: bool, whitespace: bool, marks: bool = True) -> list[str]:
        """The keys of a text's pieces, in order."""
        check_text(text)
        pieces = (piece_pattern(text) if marks else WITHOUT_MARKS).findall(text)
        if not whitespace:
            pieces = [piece for piece in pieces if not piece.isspace()]
        if lowercase:
            pieces = list(map(str.lower, pieces))
        return list(map(nfc, pieces)) if marks and not text.isascii() else pieces

    def _pieces(self, text: str, with_offsets: bool) -> Tokens:
        words = self._split(text, self.lowercase, self.whitespace, self.marks)
        ids = np.fromiter((self._id_of.get(word, -1) for word in words), np.int64, len(words))
        if not with_offsets:
            return ids, NO_OFFSETS
        matches = (piece_pattern(text) if self.marks else WITHOUT_MARKS).finditer(text)
        spans = [match.span() for match in matches if self.whitespace or not match[0].isspace()]
        return ids, np.array(spans, np.int64).reshape(-1, 2)

    def _join(self, ids: np.ndarray) -> str:
        words = ["\ufffd" if i < 0 else self.words[i] for i in self._index[ids].tolist()]
        return self.separator.decode().join(words)

    def _fields(self) -> dict[str, Any]:
        own = ("words", "lowercase", "whitespace", "marks")
        return {name: getattr(self, name) for name in own}
