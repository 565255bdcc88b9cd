"""Ids and the tokens they stand for: by number, by name, and as the bytes that they add to a text."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import ClassVar, overload

import numpy as np

from models.errors import DataError
from models.text.tokenizers.special import SpecialTokens


class Vocabulary:
    """The ordinary tokens, each once, in the order of their ids, and the special ones. Tokenizer documents both.

    special_tokens  the names of the special tokens, as they were given
    special         their ids and roles
    num_ordinary    how many tokens there are besides
    ordinary_ids    the ids of those, int64 (num_ordinary,)
    """

    separator: ClassVar[bytes] = b""  # stands between two decoded tokens

    def __init__(
        self,
        tokens: Sequence[str],
        special_tokens: Iterable[str] | Mapping[str, int] = (),
        roles: Mapping[str, str] | None = None,
    ):
        self.special = special = SpecialTokens(special_tokens, len(tokens), roles)
        self.special_tokens = list(special.ids)
        if twice := special.ids.keys() & set(tokens):
            raise DataError(f"{min(twice)!r} is a special token and an ordinary one: rename one of them")
        self.num_ordinary = len(tokens)
        self.ordinary_ids = special.ordinary_ids(len(tokens))
        self._size = max(len(tokens), 1 + max(special.names, default=-1), 1 + int(self.ordinary_ids.max(initial=-1)))
        self._tokens = tokens
        self._index = np.full(self._size, -1, np.int64)  # of an id's token in `tokens`; -1 for the others
        self._index[self.ordinary_ids] = np.arange(len(tokens))
        self._shown = self._index >= 0
        if (unk_id := special.role_ids.get("unk")) is not None:
            self._shown[unk_id] = True

    @property
    def vocab_size(self) -> int:
        """The number of ids, special tokens included: a model's number of logits, and one more than the highest id."""
        return self._size

    def __len__(self) -> int:
        return self.vocab_size

    def _ordinary_bytes(self, id: int, first: bool) -> bytes:
        """The UTF-8 bytes that an ordinary token adds to a text, of which it is the first token or not.

        They need not be whole characters.
        """
        return (b"" if first else self.separator) + self._tokens[self._index[id]].encode()

    def token_bytes(self, id: int, first: bool = True, skip_special_tokens: bool = True) -> bytes:
        """The UTF-8 bytes that one token adds to a text, of which it is the first token or not.

        The unknown token is U+FFFD; other special tokens are silent, unless skip_special_tokens is False.
        """
        if not 0 <= id < self.vocab_size:
            raise DataError(f"token id {id} is out of range: this tokenizer has ids 0 to {self.vocab_size - 1}")
        if self._index[id] >= 0:
            return self._ordinary_bytes(id, first)
        if not self.is_shown(id, skip_special_tokens):
            return b""
        written = "\ufffd" if skip_special_tokens else self.special.names[id]
        return (b"" if first else self.separator) + written.encode()

    def is_shown(self, id: int, skip_special_tokens: bool = True) -> bool:
        """Whether a token is part of the decoded text: other special tokens than the unknown one are not."""
        return bool(self._shown[id]) or (not skip_special_tokens and id in self.special.names)

    @overload
    def convert_ids_to_tokens(self, ids: int) -> str: ...
    @overload
    def convert_ids_to_tokens(self, ids: Iterable[int]) -> list[str]: ...
    def convert_ids_to_tokens(self, ids: int | Iterable[int]) -> str | list[str]:
        """The token of an id, or of each, as the vocabulary has it. Raises DataError for ids out of range."""
        if isinstance(ids, (int, np.integer)):
            return self._token(int(self._checked([ids])[0]))
        return [self._token(id) for id in self._checked(ids if isinstance(ids, np.ndarray) else list(ids)).tolist()]

    @overload
    def convert_tokens_to_ids(self, tokens: str) -> int: ...  # type: ignore[overload-overlap]
    @overload
    def convert_tokens_to_ids(self, tokens: Iterable[str]) -> list[int]: ...
    def convert_tokens_to_ids(self, tokens: str | Iterable[str]) -> int | list[int]:
        """The id of a token, or of each, special ones included; of what the vocabulary lacks the unknown token's.

        Raises DataError where there is no such token.
        """
        if not isinstance(tokens, str):
            return [self.convert_tokens_to_ids(token) for token in tokens]
        id = self._ids.get(tokens, self.special.role_ids.get("unk"))
        if id is None:
            raise DataError(f"the token {tokens!r} is not among the {self.vocab_size} of this tokenizer")
        return id

    def get_vocab(self) -> dict[str, int]:
        """Every token and its id, special ones included."""
        return dict(self._ids)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return dict(zip(self._tokens, self.ordinary_ids.tolist(), strict=True)) | self.special.ids

    def _token(self, id: int) -> str:
        """The token of an id in range; an id that no token has, between special ones given far apart, is <no token>."""
        index = int(self._index[id])
        return self._tokens[index] if index >= 0 else self.special.names.get(id, "<no token>")

    def _checked(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        array = np.asarray(ids)
        if array.size == 0 and array.ndim == 1:
            return np.empty(0, np.int64)
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise DataError(f"token ids are a 1-D sequence of integers, not {array.dtype} of shape {array.shape}")
        wrong = (array < 0) | (array >= self.vocab_size)
        if wrong.any():
            at = int(wrong.argmax())
            raise DataError(
                f"token id {array[at]} at position {at} is out of range: "
                f"this tokenizer has ids 0 to {self.vocab_size - 1}"
            )
        return array.astype(np.int64, copy=False)
