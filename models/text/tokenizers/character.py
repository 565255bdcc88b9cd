"""Characters as tokens: Unicode code points, each with the id of its place in the vocabulary."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Unpack

import numpy as np

from models.errors import DataError
from models.text.tokenizers.base import UNK, Options, Tokenizer, check_text
from models.text.tokenizers.inputs import NO_OFFSETS, Tokens

SHOWN = 200  # characters of the vocabulary that an error message lists


class CharTokenizer(Tokenizer):
    """One token per character (Unicode code point), ids in the order given, by from_text that of the code points.

    Text is taken as it is: é written as one code point and as two are different, because a model that writes must be
    able to write both, and decode(encode(text)) == text.
    """

    type = "char"
    unit = "character"

    def __init__(
        self, characters: str, special_tokens: Iterable[str] | Mapping[str, int] = (), **options: Unpack[Options]
    ):
        if not characters or len(set(characters)) < len(characters):
            raise DataError("a character vocabulary needs at least one character, each once")
        check_text(characters)
        self.characters = characters
        super().__init__(characters, special_tokens, **options)
        codepoints = _codepoints(characters)
        # Two tables. Code point -> id: the last entry (-1) serves all code points beyond it.
        self._id_of = np.full(int(codepoints.max()) + 2, -1, np.int64)
        self._id_of[codepoints] = self.ordinary_ids
        # Id -> code point: U+FFFD for those that are no character's.
        self._codepoints = np.full(self.vocab_size, 0xFFFD, codepoints.dtype)
        self._codepoints[self.ordinary_ids] = codepoints

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
            characters = set(ranked[: max_size - len(special_tokens)])
        return cls("".join(sorted(characters)), special_tokens)

    def _pieces(self, text: str, with_offsets: bool) -> Tokens:
        ids = self._id_of.take(_codepoints(text), mode="clip")
        return ids, np.arange(len(ids))[:, None] + [0, 1] if with_offsets else NO_OFFSETS

    def _join(self, ids: np.ndarray) -> str:
        return self._codepoints[ids].tobytes().decode("utf-32-le")

    def _known(self) -> str:
        more = "..." if len(self.characters) > SHOWN else ""
        return f": {self.characters[:SHOWN] + more!r}"

    def _fields(self) -> dict[str, Any]:
        return {"characters": self.characters}


def _codepoints(text: str) -> np.ndarray:
    """uint32 (characters,)"""
    return np.frombuffer(text.encode("utf-32-le"), np.dtype("<u4"))
