"""Bytes as tokens: the 256 of UTF-8."""

from collections.abc import Iterable, Mapping
from typing import Any, Unpack

import numpy as np

from models.errors import DataError
from models.text.tokenizers.base import UNK, Options, Tokenizer, check_text
from models.text.tokenizers.inputs import NO_OFFSETS, Tokens

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]  # their names in a vocabulary, as SentencePiece writes them


class ByteTokenizer(Tokenizer):
    """One token per UTF-8 byte: 256 ids say everything, nothing is unknown, no training."""

    type = "byte"
    unit = "byte"

    def __init__(self, special_tokens: Iterable[str] | Mapping[str, int] = (), **options: Unpack[Options]):
        super().__init__(BYTES, special_tokens, **options)
        if self.unk_id is not None:
            raise DataError(f"a byte tokenizer knows every text: {UNK} would never be used")

    @classmethod
    def from_text(cls, text: str, special_tokens: Iterable[str] = ()) -> "ByteTokenizer":
        """The same for every text."""
        check_text(text)
        return cls(special_tokens)

    def _pieces(self, text: str, with_offsets: bool) -> Tokens:
        data = np.frombuffer(text.encode(), np.uint8)
        # A byte is its whole character's; all bytes but 10xxxxxx begin one.
        offsets = (np.cumsum(data & 0xC0 != 0x80) - 1)[:, None] + [0, 1] if with_offsets else NO_OFFSETS
        return self.ordinary_ids[data], offsets

    def _ordinary_bytes(self, id: int, first: bool) -> bytes:
        return bytes([int(self._index[id])])

    def _join(self, ids: np.ndarray) -> str:
        return self._index[ids].astype(np.uint8).tobytes().decode("utf-8", "replace")

    def _fields(self) -> dict[str, Any]:
        return {}
