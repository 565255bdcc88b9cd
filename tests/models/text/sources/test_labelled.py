"""Labelled files: what is read, one clear error for what cannot be, and the split."""

import csv
import json
from collections import Counter
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import DataError
from models.text.sources.labelled import read_examples, split


@pytest.fixture
def write(tmp_path):
    def write(name: str, content: str | bytes):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_csv(write):
    path = write("a.CSV", '\ufefflabel,id,text\r\ngood,1,"so, ""fine""\nindeed"\r\nbad,2,poor\r\n\r\n')
    assert read_examples(path) == [('so, "fine"\nindeed', "good"), ("poor", "bad")]


def test_tsv_has_no_quoting(write):
    path = write("a.tsv", 'topic\tbody\textra\nsport\t"Goal, he said\nnews\tno\tmore\tcells\n')
    assert read_examples(path, "body", "topic") == [('"Goal, he said', "sport"), ("no", "news")]


def test_jsonl(write):
    path = write("a.jsonl", '{"text": "a\u2028b", "label": 3}\n\n{"label": "x ", "text": "c"}')
    assert read_examples(path) == [("a\u2028b", "3"), ("c", "x")]


def test_several_labels(write):
    path = write("a.csv", "text,label\none,a| b|a\nnone,\ntwo,b\n")
    assert read_examples(path, label_separator="|") == [("one", ("a", "b")), ("none", ()), ("two", ("b",))]
    path = write("a.jsonl", '{"text": "one", "label": ["b", "a"]}\n{"text": "none", "label": []}')
    assert read_examples(path) == [("one", ("b", "a")), ("none", ())]
    path = write("b.jsonl", '{"text": "one", "label": "b;a"}\n{"text": "two", "label": ["a"]}')
    assert read_examples(path, label_separator=";") == [("one", ("b", "a")), ("two", ("a",))]


def test_a_document_may_be_enormous(write):
    limit = csv.field_size_limit()
    assert read_examples(write("a.csv", f"text,label\n{'word ' * 100_000},a\n"))[0][1] == "a"
    assert csv.field_size_limit() == limit


FAULTY = [
    ("a.txt", "text,label\n", r"\.csv, \.tsv or \.jsonl, and this is none of them"),
    ("a.csv", "", r"a\.csv is empty"),
    ("a.csv", "text,label\n", "holds no examples, only a header line"),
    ("a.csv", b"text,label\ncaf\xe9,a\n", r"not UTF-8 text: byte 0xe9 at offset 14"),
    ("a.csv", "body,label\nx,a\n", r"line 2: there is no column 'text', only 'body', 'label'"),
    ("a.tsv", "text\ttopic\nx\ta\n", r"line 2: there is no column 'label', only 'text', 'topic'"),
    ("a.jsonl", '{"text": "x"}\n', r"line 1: there is no column 'label', only 'text'"),
    ("a.csv", "text,label\nx,a\ny\n", r"line 3: the label \(column 'label'\) is missing"),
    ("a.csv", "text,label\nx,a\ny, \n", r"line 3: the label \(column 'label'\) is missing"),
    ("a.csv", "text,label\n ,a\n", r"line 2: the text \(column 'text'\) is missing"),
    ("a.tsv", "label\ttext\na\n", r"line 2: the text \(column 'text'\) is missing"),
    ("a.jsonl", '{"text": "x", "label": null}\n', r"line 1: the label .* is missing"),
    ("a.jsonl", '{"text": 5, "label": "a"}\n', r"line 1: the text .* is missing"),
    ("a.jsonl", '{"text": "x", "label": ["a", ""]}\n', r"line 1: the label .* is missing"),
    (
        "a.jsonl",
        '{"text": "x", "label": ["a"]}\n{"text": "x", "label": "a"}\n',
        "some lines have one label and some a list",
    ),
    ("a.jsonl", '{"text": "x", "label": "a"}\n{"text": \n', "line 2: not JSON"),
    ("a.jsonl", "[1]\n", r"line 1: expected an object such as \{"),
    ("a.csv", 'text,label\n"x,a\n', "after line 1: not CSV: unexpected end of data"),
]


@pytest.mark.parametrize(("name", "content", "message"), FAULTY)
def test_faulty_files_give_one_clear_line(write, name, content, message):
    with pytest.raises(DataError, match=message) as error:
        read_examples(write(name, content))
    assert "\n" not in str(error.value)


def test_other_errors(write, tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_examples(tmp_path / "none.csv")
    with pytest.raises(DataError, match="label separator is empty"):
        read_examples(write("a.csv", "text,label\nx,a\n"), label_separator="")
    with pytest.raises(DataError, match=r"line 2: the label .* is missing"):
        read_examples(write("a.csv", "text,label\nx,a||b\n"), label_separator="|")


cells = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1).filter(str.strip)
rows = st.lists(st.tuples(cells, cells.map(str.strip)), min_size=1)


@given(rows)
def test_what_python_writes_is_read_back(tmp_path_factory, examples):
    folder = tmp_path_factory.mktemp("labelled")
    with open(folder / "a.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *examples])
    (folder / "a.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in [("text", "label"), *examples]), encoding="utf-8")
    (folder / "a.jsonl").write_text(
        "".join(json.dumps({"text": a, "label": b}) + "\n" for a, b in examples), encoding="utf-8"
    )
    for suffix in ("csv", "tsv", "jsonl"):
        assert read_examples(folder / f"a.{suffix}") == examples


PARTS = [{"train": 8, "validation": 1, "test": 1}, {"train": 9, "validation": 1}, {"train": 1, "test": 1}]


@given(st.lists(st.sampled_from("aaaaabbc")), st.sampled_from(PARTS), st.integers(0, 5))
def test_split_gives_each_part_its_share_of_every_label(labels, parts, seed):
    examples = [(str(number), label) for number, label in enumerate(labels)]
    result = split(examples, seed, parts)
    assert list(result) == list(parts)
    assert sorted(chain(*result.values())) == sorted(examples)
    for label, count in Counter(labels).items():
        for name, share in parts.items():
            assert abs(sum(given == label for _, given in result[name]) - count * share / sum(parts.values())) < 1
        assert any(given == label for _, given in result["train"])
    assert split(examples, seed, parts) == result


@given(st.lists(st.lists(st.sampled_from("abcd"), unique=True).map(tuple), min_size=1), st.integers(0, 5))
def test_split_of_several_labels_is_a_partition(labels, seed):
    examples = [(str(number), label) for number, label in enumerate(labels)]
    result = split(examples, seed, PARTS[0])
    assert sorted(chain(*result.values())) == sorted(examples)
    assert len(result["train"]) >= 0.8 * len(examples) - 4


def test_split_depends_on_the_seed_and_shuffles():
    examples = [(str(number), "a") for number in range(100)]
    first, second = (split(examples, seed, PARTS[0])["train"] for seed in (0, 1))
    assert first != second
    assert first != sorted(first, key=lambda example: int(example[0]))
    assert first[:3] == split(examples, 0, PARTS[0])["train"][:3] == [("23", "a"), ("8", "a"), ("11", "a")]
