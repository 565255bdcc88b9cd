"""Texts to a model's inputs: pairs, special tokens around them, truncation, padding.

The names, the rules and the results are those of transformers' fast tokenizers; where theirs would go on silently,
there is an error here: max_length without anything that uses it, a text that cannot be cut to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from models.errors import DataError
from models.text.tokenizers.special import Template

if TYPE_CHECKING:
    from models.text.tokenizers.base import Tokenizer

STRATEGIES = ("longest_first", "only_first", "only_second")
Tokens = tuple[np.ndarray, np.ndarray]  # of one text: ids (tokens,), offsets (tokens, 2)
NO_OFFSETS = np.empty((0, 2), np.int64)


class Encoding(dict[str, Any]):
    """A model's inputs by name, as items or as attributes: encoding["input_ids"] and encoding.input_ids."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"this encoding has no {name!r}, only {', '.join(self)}") from None


@dataclass(frozen=True)
class Settings:
    """How a tokenizer was called; Tokenizer.__call__ says what each means."""

    add_special_tokens: bool
    padding: bool | str
    truncation: bool | str
    max_length: int | None
    stride: int
    padding_side: str
    return_tensors: str | None
    return_offsets_mapping: bool
    return_special_tokens_mask: bool
    return_overflowing_tokens: bool

    def __post_init__(self) -> None:
        if self.padding not in (False, True, "longest", "max_length", "do_not_pad"):
            raise DataError(f"padding={self.padding!r}: expected False, True, 'longest' or 'max_length'")
        if self.truncation not in (False, True, *STRATEGIES, "do_not_truncate"):
            raise DataError(f"truncation={self.truncation!r}: expected False, True or one of {', '.join(STRATEGIES)}")
        if self.padding_side not in ("left", "right"):
            raise DataError(f"padding_side={self.padding_side!r}: expected 'left' or 'right'")
        if self.return_tensors not in (None, "np"):
            raise DataError(f"return_tensors={self.return_tensors!r}: expected 'np'; mg.tensor makes them Tensors")
        used = self.strategy or self.padding == "max_length"
        if self.max_length is None and used:
            raise DataError(f"truncation={self.truncation!r} and padding={self.padding!r} need a max_length")
        if self.max_length is not None and not used:
            raise DataError(f"max_length={self.max_length} does nothing without truncation or padding='max_length'")
        if self.max_length is not None and self.max_length < 1:
            raise DataError(f"max_length={self.max_length} must be at least 1")
        if self.stride < 0 or (self.stride and not self.return_overflowing_tokens):
            raise DataError(f"stride={self.stride}: expected 0 or more, with return_overflowing_tokens=True")
        if self.return_overflowing_tokens and not self.strategy:
            raise DataError("return_overflowing_tokens=True needs truncation: without it nothing is cut off")

    @property
    def pads(self) -> bool:
        """Whether shorter inputs are filled up."""
        return self.padding not in (False, "do_not_pad")

    @property
    def arrays(self) -> bool:
        """Whether the values are arrays and not lists."""
        return self.pads or self.return_tensors == "np"

    @property
    def strategy(self) -> str | None:
        """How longer inputs are cut, None if they are not."""
        if self.truncation in (False, "do_not_truncate"):
            return None
        return "longest_first" if self.truncation is True else str(self.truncation)


def encode_batch(
    tokenizer: Tokenizer,
    text: str | Iterable[str],
    text_pair: str | Iterable[str] | None,
    settings: Settings,
    errors: str | None,
    allowed_special: Iterable[str],
) -> Encoding:
    """What Tokenizer.__call__ returns."""
    if settings.pads and tokenizer.pad_id is None:
        raise DataError("padding needs a pad token: make the tokenizer with '<pad>' among its special tokens")
    if not isinstance(allowed_special, str):
        allowed_special = list(allowed_special)
    firsts, seconds = _texts(text, "text"), None if text_pair is None else _texts(text_pair, "text_pair")
    if seconds is not None and (isinstance(text, str) != isinstance(text_pair, str) or len(firsts) != len(seconds)):
        raise DataError(
            f"text and text_pair go together, one for one: {_number(text, firsts)} and {_number(text_pair, seconds)}"
        )
    rows: list[_Row] = []
    samples: list[int] = []
    for i, first in enumerate(firsts):
        segments = [tokenizer._encoded(first, errors, allowed_special, settings.return_offsets_mapping)]
        if seconds is not None:
            segments.append(tokenizer._encoded(seconds[i], errors, allowed_special, settings.return_offsets_mapping))
        template = tokenizer.template if seconds is None else tokenizer.pair_template
        inputs = _cut(segments, template, settings, tokenizer.truncation_side, i)
        rows += [_Row(template, each, settings.add_special_tokens) for each in inputs]
        samples += [i] * len(inputs)
    encoding = _columns(rows, settings, tokenizer.pad_id or 0)
    if settings.return_overflowing_tokens:
        encoding["overflow_to_sample_mapping"] = np.array(samples, np.int64) if settings.arrays else samples
    elif isinstance(text, str) and not settings.arrays:
        return Encoding({name: value[0] for name, value in encoding.items()})
    return encoding


def _texts(given: object, name: str) -> list[str]:
    if isinstance(given, str):
        return [given]
    if isinstance(given, (bytes, Mapping, set, frozenset)) or not isinstance(given, Iterable):
        raise DataError(f"{name}: expected a string or a list of strings, not {type(given).__name__}")
    texts = list(given)
    for i, each in enumerate(texts):
        if not isinstance(each, str):
            raise DataError(
                f"{name}[{i}]: expected a string, not {each!r:.60} of type {type(each).__name__}"
                + ("; the second texts of pairs go into text_pair" if isinstance(each, (tuple, list)) else "")
            )
    return texts


def _number(given: object, texts: list[str]) -> str:
    return "one string" if isinstance(given, str) else f"a list of {len(texts)}"


class _Row:
    """One input: ids, offsets, token types and where special tokens are, int64 (length,) or (length, 2)."""

    def __init__(self, template: Template, segments: list[Tokens], add_special_tokens: bool):
        nowhere = np.zeros((1, 2), np.int64)
        parts = []
        for name, special, token_type in template.parts:
            if name:
                parts.append((*segments[["$A", "$B"].index(name)], token_type, 0))
            elif add_special_tokens:
                parts.append((np.array([special]), nowhere, token_type, 1))
        self.ids = np.concatenate([ids for ids, _, _, _ in parts]).astype(np.int64)
        self.offsets = np.concatenate([offsets for _, offsets, _, _ in parts])
        lengths = [len(ids) for ids, _, _, _ in parts]
        self.types = np.repeat(np.array([token_type for _, _, token_type, _ in parts]), lengths)
        self.special = np.repeat(np.array([special for _, _, _, special in parts]), lengths)


def _cut(segments: list[Tokens], template: Template, settings: Settings, side: str, sample: int) -> list[list[Tokens]]:
    """The segments cut to max_length; with return_overflowing_tokens, all windows of what is cut."""
    lengths = [len(ids) for ids, _ in segments]
    added = template.added if settings.add_special_tokens else 0
    total, limit = sum(lengths) + added, settings.max_length
    if settings.strategy == "only_second" and len(segments) < 2:
        raise DataError("truncation='only_second' needs a text_pair")
    if limit is None or (total <= limit and limit >= added):
        return [segments]
    what = f"input {sample} has {total} tokens ({added} of them special), and max_length={limit}"
    if settings.strategy is None:
        raise DataError(f"{what}: give a larger max_length, or truncation=True")
    if limit < added:
        raise DataError(f"{what} leaves no room for text: give at least {added + 1}")
    if settings.strategy == "longest_first":
        if settings.return_overflowing_tokens and len(segments) > 1:
            raise DataError("return_overflowing_tokens with a text_pair needs truncation 'only_first' or 'only_second'")
        kept = _longest_first(lengths, limit - added)
    else:
        which = STRATEGIES.index(settings.strategy) - 1
        kept = list(lengths)
        kept[which] = limit - added - (sum(lengths) - lengths[which])
        if kept[which] < 0 or (kept[which] == 0 and len(segments) > 1):
            raise DataError(
                f"{what}: truncation={settings.strategy!r} would leave nothing of a text of {lengths[which]} tokens. "
                "Give a larger max_length, or truncation='longest_first'"
            )
    if not settings.return_overflowing_tokens:
        return [[_window(each, 0, n, side) for each, n in zip(segments, kept, strict=True)]]
    which = next(i for i, (n, all_of_it) in enumerate(zip(kept, lengths, strict=True)) if n < all_of_it)
    step = kept[which] - settings.stride
    if step < 1:
        raise DataError(f"stride={settings.stride} must be smaller than the {kept[which]} tokens of a window")
    windows = []
    for start in range(0, lengths[which] - kept[which] + step, step):
        cut = list(segments)
        cut[which] = _window(segments[which], start, kept[which], side)
        windows.append(cut)
    return windows


def _longest_first(lengths: list[int], limit: int) -> list[int]:
    """How much is kept of each text. Of two, the longer is cut down to the shorter and then both alike."""
    if len(lengths) == 1:
        return [limit]
    shorter, longer = min(lengths), max(lengths)
    longer = shorter if shorter > limit else max(shorter, limit - shorter)
    if shorter + longer > limit:
        shorter = limit // 2
        longer = shorter + limit % 2
    return [longer, shorter] if lengths[0] > lengths[1] else [shorter, longer]


def _window(tokens: Tokens, start: int, length: int, side: str) -> Tokens:
    """So many tokens from `start` on, counted from the end if the left side is cut."""
    ids, offsets = tokens
    place = slice(start, start + length)
    if side == "left":
        place = slice(max(0, len(ids) - start - length), len(ids) - start)
    return ids[place], offsets[place]


def _columns(rows: list[_Row], settings: Settings, pad_id: int) -> Encoding:
    """The values by name: arrays, padded, or lists."""
    columns: dict[str, tuple[list[np.ndarray], int]] = {  # what each row has, and what padding has
        "input_ids": ([row.ids for row in rows], pad_id),
        "token_type_ids": ([row.types for row in rows], 0),
        "attention_mask": ([np.ones_like(row.ids) for row in rows], 0),
    }
    if settings.return_special_tokens_mask:
        columns["special_tokens_mask"] = ([row.special for row in rows], 1)
    if settings.return_offsets_mapping:
        columns["offset_mapping"] = ([row.offsets for row in rows], 0)
    lengths = [len(row.ids) for row in rows]
    if not settings.arrays:
        encoding = Encoding({name: [value.tolist() for value in values] for name, (values, _) in columns.items()})
        if "offset_mapping" in encoding:
            encoding["offset_mapping"] = [[tuple(pair) for pair in row] for row in encoding["offset_mapping"]]
        return encoding
    if not settings.pads and len(set(lengths)) > 1:
        raise DataError(f"inputs of lengths {sorted(set(lengths))} make no array: give padding=True")
    width = max(lengths, default=0)
    if settings.padding == "max_length" and settings.max_length is not None:
        width = settings.max_length
    made = Encoding()
    for name, (values, filler) in columns.items():
        array = np.full((len(rows), width, *([2] if name == "offset_mapping" else [])), filler, np.int64)
        for row, value in zip(array, values, strict=True):
            row[width - len(value) if settings.padding_side == "left" else 0 :][: len(value)] = value
        made[name] = array
    return made
