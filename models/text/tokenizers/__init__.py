"""Text to token ids and back: characters, words and bytes, behind the one interface of base.py.

    tokenizer = CharTokenizer.from_text("to be or not to be", ["<pad>"])
    ids = tokenizer.encode("to be")                              # int64 array (5,)
    tokenizer.decode(ids)                                        # "to be"
    tokenizer(["to be", "or"], padding=True).input_ids           # int64 array (2, 5)
    tokenizer.save("tokenizer.json")
    tokenizer = load("tokenizer.json")

base.py       what every tokenizer does, and what a new kind of tokenizer defines
vocabulary.py ids and the tokens they stand for
special.py    special tokens: names, ids, roles, and the template that puts them around a text
inputs.py     texts to a model's inputs: pairs, truncation, padding
stream.py     decoding token by token
character.py, word.py, byte.py   the kinds of tokenizers

A file names its class, so `load` serves all of them.
"""

import json
import os
from pathlib import Path
from typing import Any

from models.errors import DataError
from models.text.tokenizers.base import BOS, EOS, PAD, UNK, Tokenizer
from models.text.tokenizers.byte import ByteTokenizer
from models.text.tokenizers.character import CharTokenizer
from models.text.tokenizers.inputs import Encoding
from models.text.tokenizers.stream import StreamDecoder
from models.text.tokenizers.word import WordTokenizer

__all__ = [
    "BOS",
    "EOS",
    "PAD",
    "UNK",
    "ByteTokenizer",
    "CharTokenizer",
    "Encoding",
    "StreamDecoder",
    "Tokenizer",
    "WordTokenizer",
    "from_json",
    "load",
]

TOKENIZERS: dict[str, type[Tokenizer]] = {cls.type: cls for cls in (CharTokenizer, WordTokenizer, ByteTokenizer)}


def from_json(data: dict[str, Any]) -> Tokenizer:
    """The tokenizer that `to_json` described, of whichever class. Raises DataError."""
    kind = data.get("type") if isinstance(data, dict) else None
    if kind not in list(TOKENIZERS):
        raise DataError(f"not a tokenizer: type {kind!r}, expected one of {', '.join(TOKENIZERS)}")
    return TOKENIZERS[kind].from_json(data)


def load(path: str | os.PathLike[str]) -> Tokenizer:
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
