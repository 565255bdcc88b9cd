"""Data sets: the table, loading and splitting, and (marked network) the real ones."""

import json
from collections import Counter

import numpy as np
import pytest

from models.errors import DataError
from models.text.files import sha256
from models.text.sources import datasets
from models.text.sources.datasets import Dataset, LabelledData, WordAnalogies, WordPairs, encode_labels
from models.text.sources.fetching import Url


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "cache"))


def resource(kind, name: str, text: str, folder, **facts):
    source = folder / f"{name}.source"
    source.write_text(text, encoding="utf-8")
    digest = sha256(text.encode())
    url = Url(source.as_uri(), source.name, digest)
    return kind(name, "a test", "public domain", url, convert=bytes.decode, sha256=digest, **facts)


def json_lines(examples, split=None):
    rows = ({"text": text, "label": label} | ({"split": split} if split else {}) for text, label in examples)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def some(label: str, count: int):
    return [(f"{label} {number}", label) for number in range(count)]


def test_the_table():
    for data in [*datasets.DATASETS, *datasets.WORD_SETS]:
        assert data.description
        assert data.licence
        assert len(data.sha256) == len(data.source.sha256) == 64
        assert data.size[0].isdigit()


def test_official_split_is_kept(tmp_path, monkeypatch):
    train, test = some("a", 50) + some("b", 30), some("a", 5) + some("b", 1)
    table = [resource(LabelledData, "letters", json_lines(train, "train") + json_lines(test, "test"), tmp_path)]
    monkeypatch.setattr(datasets, "DATASETS", table)
    data = datasets.load("letters", seed=1)
    assert data.test == test
    assert sorted(data.train + data.validation) == sorted(train)
    assert Counter(label for _, label in data.validation) == {"a": 5, "b": 3}
    assert data.labels == ["a", "b"]
    assert not data.multi_label
    assert datasets.load("letters", seed=1) == data
    assert datasets.load("letters", seed=2).train != data.train


def test_without_one_it_is_split_by_the_seed(tmp_path, monkeypatch):
    examples = [*some("a", 50), *some("b", 30)]
    monkeypatch.setattr(datasets, "DATASETS", [resource(LabelledData, "letters", json_lines(examples), tmp_path)])
    data = datasets.load("letters")
    assert [len(part) for part in (data.train, data.validation, data.test)] == [64, 8, 8]
    assert sorted(data.train + data.validation + data.test) == sorted(examples)


def test_a_file_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    examples = [*some("a", 20), *some("b", 20)]
    text = "body,topic\n" + "".join(f"{text},{label}\n" for text, label in examples)
    for name in ("mine.csv", "reuters-r8.csv"):
        (tmp_path / name).write_text(text)
        data = datasets.load(name, text_column="body", label_column="topic")
        assert sorted(data.train + data.validation + data.test) == sorted(examples)
    (tmp_path / "mine.jsonl").write_text(json_lines([(text, ["x", label]) for text, label in examples]))
    data = datasets.load(tmp_path / "mine.jsonl")
    assert data.multi_label
    assert data.labels == ["a", "b", "x"]
    assert data.train[0][1][0] == "x"


def test_errors(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="'reuters-8' is neither a data set nor a file: did you mean reuters-r8"):
        datasets.load("reuters-8")
    with pytest.raises(DataError, match=r"none\.csv: no such file"):
        datasets.load("none.csv")
    with pytest.raises(DataError, match="did you mean wordsim353"):
        datasets.similarity("wordsim")
    with pytest.raises(DataError, match="'simlex999' is no set of analogies"):
        datasets.analogies("simlex999")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "few.csv").write_text("text,label\nx,a\ny,b\n")
    with pytest.raises(DataError, match="no example is left for the validation part: at least ten of one label"):
        datasets.load("few.csv")
    (tmp_path / "same.csv").write_text("text,label\n" + "x,a\n" * 20)
    with pytest.raises(DataError, match=r"same\.csv: every example has the same label \['a'\]"):
        datasets.load("same.csv")


def test_labels_as_numbers():
    assert encode_labels(["b", "a", "b"], ["a", "b"]).tolist() == [1, 0, 1]
    assert encode_labels([("b", "a"), ()], ["a", "b", "c"]).tolist() == [[1, 1, 0], [0, 0, 0]]
    assert encode_labels(["a"], ["a"]).dtype == encode_labels([("a",)], ["a"]).dtype == np.int64
    with pytest.raises(DataError, match="unseen label 'c': the training data has 'a', 'b'"):
        encode_labels(["a", "c"], ["a", "b"])
    with pytest.raises(DataError, match="unseen labels 'c', 'd'"):
        encode_labels([("a",), ("d", "c")], ["a", "b"])


def test_word_sets(tmp_path, monkeypatch):
    pairs = resource(WordPairs, "pairs", "# a comment\nlove\tsex\t6.77\ntiger\ttiger\t10.00\n", tmp_path)
    questions = resource(WordAnalogies, "questions", ": one\nA B C D\n\n: two more\na b c d\ne f g h\n", tmp_path)
    monkeypatch.setattr(datasets, "WORD_SETS", [pairs, questions])
    assert datasets.similarity("pairs") == [("love", "sex", 6.77), ("tiger", "tiger", 10.0)]
    assert datasets.analogies("questions") == [
        ("one", [("A", "B", "C", "D")]),
        ("two more", [("a", "b", "c", "d"), ("e", "f", "g", "h")]),
    ]


SIZES = {
    "reuters-r8": (5_485, 2_189),
    "reuters-r52": (6_532, 2_568),
    "20newsgroups": (11_293, 7_528),
}


@pytest.mark.network
@pytest.mark.parametrize("entry", datasets.DATASETS, ids=lambda entry: entry.name)
def test_the_real_ones(entry, monkeypatch):
    monkeypatch.delenv("MINIGRAD_CACHE")  # four archives serve them all
    data: Dataset = datasets.load(entry.name)
    parts = data.train, data.validation, data.test
    assert sum(map(len, parts)) == entry.examples
    assert len(data.labels) == entry.classes
    for part in parts:
        assert {label for _, label in part} <= set(data.labels)
        assert all(text.strip() for text, _ in part)
    if entry.name in SIZES:
        assert (len(data.train) + len(data.validation), len(data.test)) == SIZES[entry.name]
    else:
        texts = [text for part in parts for text, _ in part]
        assert len(set(texts)) == len(texts)  # none leaks from one part to another


@pytest.mark.network
def test_the_real_word_sets(monkeypatch):
    monkeypatch.delenv("MINIGRAD_CACHE")
    assert len(datasets.similarity("wordsim353")) == 353
    assert datasets.similarity("simlex999")[0] == ("old", "new", 1.58)
    assert len(datasets.similarity("simlex999")) == 999
    sections = datasets.analogies()
    assert len(sections) == 14
    assert sections[0][1][0] == ("Athens", "Greece", "Baghdad", "Iraq")
    assert sum(len(questions) for _, questions in sections) == 19_544
