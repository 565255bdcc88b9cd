"""What a tokenizer is: text to token ids and back, all at once or, for generation, id by id.

Ids count from 0: first the vocabulary, then the special tokens. Special tokens never come out
of a text: `<bos>` in one is five characters. Put their ids where the task wants them.
"""

import codecs
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import numpy as np

from models.errors import DataError
from models.text.files import write_atomically

UNK, BOS, EOS, PAD = SPECIAL_TOKENS = ("<unk>", "<bos>", "<eos>", "<pad>")
FORMAT_VERSION = 1


class Tokenizer(ABC):
    """What every tokenizer does.

    A subclass names its `type`, turns text into ids, says which bytes an ordinary id stands for, and
    lists the fields that rebuild it. `separator` stands between the pieces of decoded text.
    """

    type: str
    separator: bytes = b""

    def __init__(self, ordinary: int, special_tokens: Iterable[str] = ()):
        self.special_tokens = list(special_tokens)
        unknown = set(self.special_tokens) - set(SPECIAL_TOKENS)
        if unknown or len(set(self.special_tokens)) < len(self.special_tokens):
            raise DataError(f"special tokens {self.special_tokens}: expected some of {list(SPECIAL_TOKENS)}, each once")
        self.num_ordinary = ordinary
        ids = {token: ordinary + i for i, token in enumerate(self.special_tokens)}
        self.unk_id, self.bos_id, self.eos_id, self.pad_id = (ids.get(token) for token in SPECIAL_TOKENS)

    @property
    def vocab_size(self) -> int:
        """The number of ids, special tokens included: a model's number of logits."""
        return self.num_ordinary + len(self.special_tokens)

    def __len__(self) -> int:
        return self.vocab_size

    def __repr__(self) -> str:
        return f"{type(self).__name__}(vocab_size={self.vocab_size}, special_tokens={self.special_tokens})"

    @abstractmethod
    def encode(self, text: str, errors: str | None = None) -> np.ndarray:
        """The ids of a text, an int64 array (tokens,).

        What the vocabulary lacks becomes `<unk>` if there is such a token. Without one, or with
        errors="strict", it is a DataError that names it and its position; errors="unk" insists on the token.
        """

    @abstractmethod
    def _ordinary_bytes(self, id: int) -> bytes:
        """The UTF-8 bytes an id below `num_ordinary` stands for; they need not be whole characters."""

    @abstractmethod
    def _fields(self) -> dict:
        """The constructor's arguments but `special_tokens`, as JSON values."""

    def token_bytes(self, id: int) -> bytes:
        """The UTF-8 bytes of one token. `<unk>` is U+FFFD, other special tokens are silent."""
        if not 0 <= id < self.vocab_size:
            raise DataError(f"token id {id} is out of range: this tokenizer has ids 0 to {self.vocab_size - 1}")
        if id < self.num_ordinary:
            return self._ordinary_bytes(id)
        return "\ufffd".encode() if id == self.unk_id else b""

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """The text of ids. Bytes that are not UTF-8 become U+FFFD. Raises DataError for ids out of range."""
        pieces = map(self.token_bytes, self._checked(ids).tolist())
        return self.separator.join(filter(None, pieces)).decode("utf-8", "replace")

    def to_json(self) -> dict:
        """Everything about the tokenizer, as JSON values."""
        header = {"type": self.type, "version": FORMAT_VERSION}
        return header | self._fields() | {"special_tokens": self.special_tokens}

    @classmethod
    def from_json(cls, data: dict) -> "Tokenizer":
        """The tokenizer `to_json` described. Raises DataError for fields that are missing or wrong."""
        if data.get("type") != cls.type:
            raise DataError(f"type {data.get('type')!r} is not {cls.__name__}'s, which is {cls.type!r}")
        if data.get("version") != FORMAT_VERSION:
            raise DataError(f"format version {data.get('version')!r}: this minigrad reads version {FORMAT_VERSION}")
        try:
            return cls(**{name: value for name, value in data.items() if name not in ("type", "version")})
        except (TypeError, AttributeError) as error:  # missing, unexpected or of the wrong kind
            raise DataError(f"the fields {sorted(data)} do not make a {cls.__name__}: {error}") from None

    def save(self, path: str | os.PathLike) -> None:
        """Write a JSON file, whole or not at all."""
        write_atomically(path, json.dumps(self.to_json(), ensure_ascii=False, indent=1).encode("utf-8"))

    def _unk_for(self, errors: str | None) -> int | None:
        """The id for what the vocabulary lacks, None if that is an error."""
        if errors not in (None, "strict", "unk"):
            raise ValueError(f"errors={errors!r}: expected None, 'strict' or 'unk'")
        if errors == "unk" and self.unk_id is None:
            raise DataError(f"errors='unk' needs a tokenizer made with {UNK} among its special tokens")
        return None if errors == "strict" else self.unk_id

    def _checked(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        ids = np.asarray(ids)
        if ids.size == 0:
            return np.empty(0, np.int64)
        if ids.ndim != 1 or ids.dtype.kind not in "iu":
            raise DataError(f"decode takes a 1-D sequence of integer ids, not {ids.dtype} of shape {ids.shape}")
        wrong = (ids < 0) | (ids >= self.vocab_size)
        if wrong.any():
            at = int(wrong.argmax())
            raise DataError(
                f"token id {ids[at]} at position {at} is out of range: "
                f"this tokenizer has ids 0 to {self.vocab_size - 1}"
            )
        return ids


class StreamDecoder:
    """Decodes token by token, as a model generates them: a character is given out when its last byte is in.

    The pieces that feed() and finish() return join to tokenizer.decode(all ids).
    """

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._started = False

    def feed(self, id: int) -> str:
        """The text this token completes, "" while a character is unfinished."""
        piece = self.tokenizer.token_bytes(int(id))
        if piece and self._started:
            piece = self.tokenizer.separator + piece
        self._started = self._started or bool(piece)
        return self._decoder.decode(piece)

    def finish(self) -> str:
        """What is left: U+FFFD if the tokens stopped inside a character. Afterwards a new text may start."""
        rest = self._decoder.decode(b"", final=True)
        self._started = False
        return rest
