"""Labelled examples from a user's file, and their split into three parts."""

import csv
import io
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from models.errors import DataError
from models.text.files import read_text

Label = str | tuple[str, ...]  # a tuple, possibly empty, where one text may have several labels
Example = tuple[str, Label]


def read_examples(
    path: str | Path,
    text_column: str = "text",
    label_column: str = "label",
    label_separator: str | None = None,
) -> list[Example]:
    """The (text, label) pairs of a .csv, .tsv or .jsonl file in UTF-8.

    CSV and TSV have a header line; CSV follows RFC 4180, TSV has no quoting (a tab or line end cannot be part of a
    text). A JSONL file has one object per line. With a `label_separator`, such as "," or "|", each label is a tuple
    of the labels it separates, and an empty cell is a text with no label; so is a JSON list without one.

    Raises DataError for a file that cannot be read (see read_text), has no such column, has no examples, or in
    which a text or a label is missing; the message gives the line.
    """
    path = Path(path).expanduser()
    rows = {".csv": _csv_rows, ".tsv": _tsv_rows, ".jsonl": _json_rows}.get(path.suffix.lower())
    if rows is None:
        raise DataError(f"{path}: labelled data comes as .csv, .tsv or .jsonl, and this is none of them by its name")
    if label_separator == "":
        raise DataError("the label separator is empty: give the character that stands between labels, such as ,")
    examples = []
    for line, row in rows(path, read_text(path, minimum_characters=1)):
        for column in (text_column, label_column):
            if column not in row:
                raise DataError(f"{path}, line {line}: there is no column {column!r}, only {', '.join(map(repr, row))}")
        text = row[text_column]
        if not isinstance(text, str) or not text.strip():
            raise DataError(
                f"{path}, line {line}: the text (column {text_column!r}) is missing: fill it or drop the line"
            )
        examples.append((text, _label(row[label_column], label_separator, f"{path}, line {line}", label_column)))
    if not examples:
        raise DataError(f"{path} holds no examples, only a header line")
    if len({type(label) for _, label in examples}) > 1:
        raise DataError(f"{path}: some lines have one label and some a list of labels: make all of them lists")
    return examples


def _label(value: object, separator: str | None, where: str, column: str) -> Label:
    if isinstance(value, list):
        parts = value
    elif separator is not None and isinstance(value, str):
        parts = [part.strip() for part in value.split(separator)] if value.strip() else []
    else:
        parts = [value]
    if not all(isinstance(part, str | int) and str(part).strip() for part in parts):
        raise DataError(f"{where}: the label (column {column!r}) is missing: fill it or drop the line")
    labels = tuple(dict.fromkeys(str(part).strip() for part in parts))
    return labels if isinstance(value, list) or separator is not None else labels[0]


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, dict]]:
    before = csv.field_size_limit(sys.maxsize)  # a document may be long
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            row.pop(None, None)  # cells beyond the header's
            yield reader.line_num, row
    except csv.Error as error:
        raise DataError(f"{path}, after line {reader.line_num}: not CSV: {error}") from None
    finally:
        csv.field_size_limit(before)


def _tsv_rows(path: Path, text: str) -> Iterator[tuple[int, dict]]:
    header, *lines = text.split("\n")
    names = header.split("\t")
    for number, line in enumerate(lines, 2):
        if line.strip():
            cells = line.split("\t")
            yield number, dict(zip(names, cells + [None] * (len(names) - len(cells)), strict=False))


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, dict]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DataError(f"{path}, line {number}: not JSON: {error}") from None
            if not isinstance(row, dict):
                raise DataError(f'{path}, line {number}: expected an object such as {{"text": …, "label": …}}')
            yield number, row


def split(examples: list[Example], seed: int, parts: dict[str, int]) -> dict[str, list[Example]]:
    """Every example in one part: `parts` gives how many of each ten go where, {"train": 8, "test": 2}.

    Shuffled by Python's random.Random(seed), then dealt out label by label, the first part first, so that each part
    has its share of every label and no label is missing from the first. An example with several labels counts for
    its rarest.
    """
    counts = Counter(label for _, labels in examples for label in _as_tuple(labels))

    def rarest(example: Example) -> str:
        return min(_as_tuple(example[1]), key=lambda label: (counts[label], label), default="")

    shuffled = list(examples)
    random.Random(seed).shuffle(shuffled)
    deal = _deal(parts)
    seen: Counter[str] = Counter()
    result: dict[str, list[Example]] = {name: [] for name in parts}
    for example in shuffled:
        key = rarest(example)
        result[deal[seen[key] % len(deal)]].append(example)
        seen[key] += 1
    return result


def _deal(parts: dict[str, int]) -> list[str]:
    """In which order a part takes its turns: {"a": 3, "b": 1} is a, a, b, a: no part waits longer than it must."""
    names = list(parts)
    turns = [((turn + 0.5) / share, names.index(name), name) for name, share in parts.items() for turn in range(share)]
    return [name for *_, name in sorted(turns)]


def _as_tuple(label: Label) -> tuple[str, ...]:
    return label if isinstance(label, tuple) else (label,)
