"""What a tokenizer is: text to token ids and back, the same for every kind of token.

A kind of tokenizer is a subclass that names its `type` and its `unit`, hands its ordinary tokens to __init__, and
defines

    _pieces(text, with_offsets)  the ids of a text, and where in it each token stands
    _fields()                    the constructor's arguments that rebuild it
    _ordinary_bytes(id, first)   the bytes that a token adds to a decoded text, unless they are the token itself
    _join(ids)                   decoding at once, where that is faster than token by token

Everything else is done once, for all kinds: ids by name (vocabulary.py), special tokens (special.py), pairs, padding
and truncation (inputs.py), files (here). Text never turns into a special token unless the caller allows it: `<bos>`
in a text is five characters.
"""

import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypedDict

import numpy as np

from models.errors import DataError
from models.text.files import write_atomically
from models.text.tokenizers.inputs import Encoding, Settings, Tokens, encode_batch
from models.text.tokenizers.special import Template
from models.text.tokenizers.vocabulary import Vocabulary

UNK, BOS, EOS, PAD = "<unk>", "<bos>", "<eos>", "<pad>"
FORMAT_VERSION = 2
SIDES = ("right", "left")


class Options(TypedDict, total=False):
    """What every tokenizer can be made with besides its vocabulary and its special tokens; see Tokenizer."""

    roles: Mapping[str, str] | None
    template: str | None
    pair_template: str | None
    padding_side: str
    truncation_side: str


class Tokenizer(Vocabulary, ABC):
    """The base of all tokenizers.

    tokens           the ordinary tokens, each once, in the order of their ids
    special_tokens   names, with ids after the ordinary ones; or {name: id}, and the ordinary ones take the free ids
    roles            {"pad": "<|end|>", …} for unk, bos, eos, pad, cls, sep, mask, where the names do not say it:
                     `<pad>` and `[PAD]` are understood
    template         where special tokens go in a model's input: "[CLS] $A [SEP]"; None: nowhere
    pair_template    the same for two texts: "[CLS] $A [SEP] $B:1 [SEP]:1"; None: one after the other
    padding_side     "right" or "left", where shorter texts are filled up
    truncation_side  "right" or "left", where longer texts are cut

    unk_id, bos_id, eos_id, pad_id, cls_id, sep_id and mask_id are None where there is no such token.
    Raises DataError for what does not fit together.
    """

    type: ClassVar[str]
    unit: ClassVar[str]  # what one token is called: "character"
    version_1: ClassVar[dict[str, Any]] = {}  # fields that files of version 1 do not have, and their values there

    def __init__(
        self,
        tokens: Sequence[str],
        special_tokens: Iterable[str] | Mapping[str, int] = (),
        *,
        roles: Mapping[str, str] | None = None,
        template: str | None = None,
        pair_template: str | None = None,
        padding_side: str = "right",
        truncation_side: str = "right",
    ):
        super().__init__(tokens, special_tokens, roles)
        id_of = self.special.role_ids.get
        self.unk_id, self.bos_id, self.eos_id, self.pad_id = id_of("unk"), id_of("bos"), id_of("eos"), id_of("pad")
        self.cls_id, self.sep_id, self.mask_id = id_of("cls"), id_of("sep"), id_of("mask")
        for side in (padding_side, truncation_side):
            if side not in SIDES:
                raise DataError(f"side {side!r}: expected 'right' or 'left'")
        self.padding_side, self.truncation_side = padding_side, truncation_side
        self._written = (template, pair_template)
        self.template = Template(template or "$A", self.special.ids, pair=False)
        self.pair_template = Template(pair_template or "$A $B:1", self.special.ids, pair=True)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(vocab_size={self.vocab_size}, special_tokens={self.special_tokens})"

    # What a subclass defines

    @abstractmethod
    def _pieces(self, text: str, with_offsets: bool) -> Tokens:
        """The ids of a text, int64 (tokens,), -1 for what the vocabulary lacks, and offsets, int64 (tokens, 2).

        Token i is text[offsets[i, 0] : offsets[i, 1]]. Where offsets are not asked for they may be NO_OFFSETS.
        """

    @abstractmethod
    def _fields(self) -> dict[str, Any]:
        """The constructor's arguments that this kind of tokenizer has of its own, as JSON values."""

    def _join(self, ids: np.ndarray) -> str:
        """The text of ordinary ids and the unknown token's, int64 (tokens,)."""
        pieces = [self.token_bytes(id, i == 0) for i, id in enumerate(ids.tolist())]
        return b"".join(pieces).decode("utf-8", "replace")

    # Text to ids

    def encode(
        self,
        text: str,
        errors: str | None = None,
        *,
        add_special_tokens: bool = False,
        allowed_special: Iterable[str] = (),
    ) -> np.ndarray:
        """The ids of a text, an int64 array (tokens,).

        errors              what the vocabulary lacks becomes the unknown token, if there is one. Without one, or with
                            errors="strict", it is a DataError that names it and its position; errors="unk" insists
                            on the token
        add_special_tokens  those of the template. They are not put in unless asked for, other than in the call
        allowed_special     special tokens that are read as such where the text has their names; "all" of them

        Raises DataError for what is not a text, or one with half of a surrogate pair.
        """
        ids, _ = self._encoded(text, errors, allowed_special, with_offsets=False)
        if not add_special_tokens:
            return ids
        return np.concatenate([ids if name else [special] for name, special, _ in self.template.parts]).astype(np.int64)

    def __call__(
        self,
        text: str | Iterable[str],
        text_pair: str | Iterable[str] | None = None,
        *,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str = False,
        max_length: int | None = None,
        stride: int = 0,
        padding_side: str | None = None,
        return_tensors: str | None = None,
        return_offsets_mapping: bool = False,
        return_special_tokens_mask: bool = False,
        return_overflowing_tokens: bool = False,
        errors: str | None = None,
        allowed_special: Iterable[str] = (),
    ) -> Encoding:
        """A model's inputs for a text or many: input_ids, attention_mask and token_type_ids, as transformers has them.

        text, text_pair             a string each, or an iterable of strings each: then every value has one more axis
        add_special_tokens          the template's
        padding                     True or "longest": to the longest of the batch; "max_length": to max_length
        truncation                  True or "longest_first": token by token from the longer of the pair;
                                    "only_first", "only_second": from that one
        max_length                  of an input, special tokens included
        stride                      tokens that two windows share, with return_overflowing_tokens
        padding_side                "left" or "right", self.padding_side unless given
        return_tensors              "np" for arrays
        return_offsets_mapping      offset_mapping: (begin, end) of each token in its text, in characters; (0, 0) for
                                    special tokens and padding
        return_special_tokens_mask  special_tokens_mask: 1 at the template's tokens and at padding
        return_overflowing_tokens   what is cut off makes further inputs; overflow_to_sample_mapping says whose
        errors, allowed_special     as for encode

        The values are lists; with padding, or return_tensors="np", they are int64 arrays (inputs, length), and one
        text is a batch of one. Raises DataError for texts that are none, for what cannot be padded without a pad
        token, or cannot be cut to max_length, and for settings that do not go together.
        """
        settings = Settings(
            add_special_tokens, padding, truncation, max_length, stride, padding_side or self.padding_side,
            return_tensors, return_offsets_mapping, return_special_tokens_mask, return_overflowing_tokens,
        )  # fmt: skip
        return encode_batch(self, text, text_pair, settings, errors, allowed_special)

    def _encoded(self, text: str, errors: str | None, allowed_special: Iterable[str], with_offsets: bool) -> Tokens:
        """Ids and offsets of a text without its template's tokens: those of its stretches between allowed tokens."""
        check_text(text)
        unk_id = self._unk_for(errors)
        parts: list[Tokens] = []
        start = 0
        for match in self._allowed(allowed_special).finditer(text) if allowed_special else ():
            parts.append(self._stretch(text, start, match.start(), unk_id, with_offsets))
            parts.append((np.array([self.special.ids[match[0]]]), np.array([match.span()])))
            start = match.end()
        rest = self._stretch(text, start, len(text), unk_id, with_offsets)
        if not parts:
            return rest
        ids, offsets = zip(*parts, rest, strict=True)
        return np.concatenate(ids), np.concatenate(offsets)

    def _stretch(self, text: str, start: int, end: int, unk_id: int | None, with_offsets: bool) -> Tokens:
        """Ids and offsets of text[start:end], without looking for special tokens."""
        stretch = text[start:end]
        ids, offsets = self._pieces(stretch, with_offsets)
        if ids.size and ids.min() < 0:
            unknown = ids < 0
            if unk_id is None:
                _, offsets = self._pieces(stretch, with_offsets=True)
                first, last = (start + offsets[int(unknown.argmax())]).tolist()
                raise self._unknown(text[first:last], first)
            ids = np.where(unknown, unk_id, ids)
        return ids, offsets + start

    def _allowed(self, allowed_special: Iterable[str]) -> re.Pattern[str]:
        """What finds the special tokens that a caller allows, of two that begin alike the longer."""
        if isinstance(allowed_special, str) and allowed_special != "all":
            raise DataError(f"allowed_special={allowed_special!r}: expected 'all' or a list of special tokens")
        names = self.special_tokens if allowed_special == "all" else list(allowed_special)
        if unknown := set(names) - set(self.special_tokens):
            raise DataError(f"allowed_special: {min(unknown)!r} is not among the special tokens {self.special_tokens}")
        return re.compile("|".join(map(re.escape, sorted(names, key=len, reverse=True))) or r"(?!)")

    def _unk_for(self, errors: str | None) -> int | None:
        """The id for what the vocabulary lacks, None if that is an error."""
        if errors not in (None, "strict", "unk"):
            raise DataError(f"errors={errors!r}: expected None, 'strict' or 'unk'")
        if errors == "unk" and self.unk_id is None:
            raise DataError(f"errors='unk' needs a tokenizer made with {UNK} among its special tokens")
        return None if errors == "strict" else self.unk_id

    def _unknown(self, piece: str, position: int) -> DataError:
        remedy = f"make the tokenizer with special_tokens=[{UNK!r}]"
        if self.unk_id is not None:
            remedy = "encode without errors='strict'"
        code = f" (U+{ord(piece):04X})" if len(piece) == 1 else ""
        return DataError(
            f"{self.unit} {piece!r}{code} at position {position} is not among the {self.num_ordinary} this tokenizer "
            f"knows{self._known()}. Leave it out, or {remedy}"
        )

    def _known(self) -> str:
        """The tokens it knows, for an error message, if they can be shown."""
        return ""

    # Ids to text

    def decode(self, ids: Sequence[int] | np.ndarray, skip_special_tokens: bool = True) -> str:
        """The text of ids (tokens,). Bytes that are not UTF-8 become U+FFFD, and so does the unknown token.

        Other special tokens are left out, or written by name with skip_special_tokens=False.
        Raises DataError for ids out of range.
        """
        ids = self._checked(ids)
        if not self.special_tokens:
            return self._join(ids)
        if skip_special_tokens or (self._index[ids] >= 0).all():
            return self._join(ids[self._shown[ids]])
        pieces, first = [], True
        for id in ids.tolist():
            pieces.append(self.token_bytes(id, first, skip_special_tokens))
            first = first and not self.is_shown(id, skip_special_tokens)
        return b"".join(pieces).decode("utf-8", "replace")

    def batch_decode(
        self, sequences: Iterable[Sequence[int] | np.ndarray], skip_special_tokens: bool = True
    ) -> list[str]:
        """The text of each sequence of ids, as decode gives it."""
        return [self.decode(ids, skip_special_tokens) for ids in sequences]

    # Files

    def to_json(self) -> dict[str, Any]:
        """Everything about the tokenizer, as JSON values."""
        header: dict[str, Any] = {"type": self.type, "version": FORMAT_VERSION}
        template, pair_template = self._written
        return header | self._fields() | {
            "special_tokens": dict(self.special.ids),
            "roles": dict(self.special.roles),
            "template": template,
            "pair_template": pair_template,
            "padding_side": self.padding_side,
            "truncation_side": self.truncation_side,
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Tokenizer":
        """The tokenizer that `to_json` described, in this version of the format or an earlier one.

        Raises DataError for fields that are missing or wrong.
        """
        if data.get("type") != cls.type:
            raise DataError(f"type {data.get('type')!r} is not {cls.__name__}'s, which is {cls.type!r}")
        version = data.get("version")
        if version not in range(1, FORMAT_VERSION + 1):
            raise DataError(f"format version {version!r}: this minigrad reads versions 1 to {FORMAT_VERSION}")
        fields = (cls.version_1 if version == 1 else {}) | data
        try:
            return cls(**{name: value for name, value in fields.items() if name not in ("type", "version")})
        except (TypeError, AttributeError) as error:  # missing, unexpected or of the wrong kind
            raise DataError(f"the fields {sorted(data)} do not make a {cls.__name__}: {error}") from None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a JSON file, whole or not at all. Raises DataError if that fails."""
        write_atomically(path, json.dumps(self.to_json(), ensure_ascii=False, indent=1).encode("utf-8"))


def check_text(text: object) -> None:
    """Raises DataError for what is not a string of Unicode characters."""
    if not isinstance(text, str):
        raise DataError(f"a text is a string, not {text!r:.60} of type {type(text).__name__}")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise DataError(
                f"character U+{ord(text[error.start]):04X} at position {error.start} is half of a surrogate "
                "pair: the text was read with the wrong encoding"
            ) from None
