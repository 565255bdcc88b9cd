"""The dates that the lessons translate."""

import re

import numpy as np

from lessons.material.dates import ALPHABET, FORMS, VOCABULARY, _written, dates, decoded, encoded
from lessons.material.dates import FIRST as A_MONDAY


def test_a_day_in_every_form():
    assert [_written(A_MONDAY, form) for form in FORMS] == [
        "1 January 1900",
        "1.1.1900",
        "1/1/1900",
        "Jan 1, 1900",
        "January 1st, 1900",
        "Monday, 1st of January 1900",
        "Mon 1 Jan 1900",
        "the 1st of January, 1900",
    ]


def test_pairs_and_seeds():
    pairs = dates(400, seed=1)
    assert pairs == dates(400, seed=1) != dates(400, seed=2)
    for text, iso in pairs:
        year, _, day = re.fullmatch(r"(19\d\d|20\d\d)-(\d\d)-(\d\d)", iso).groups()
        assert year in text
        assert str(int(day)) in text
    assert any(re.search(rf"{n}{th}", text) for text, _ in pairs for n, th in ((2, "nd"), (23, "rd")))


def test_encoding_and_back():
    texts = [text for text, _ in dates(300, seed=3)]
    ids = encoded(texts)
    assert ids.shape == (300, max(map(len, texts)))
    assert ids.max() < VOCABULARY
    assert decoded(ids) == texts
    assert sorted(ALPHABET) == list(ALPHABET)
    assert np.all((ids == 0).sum(1) + [len(text) for text in texts] == ids.shape[1])
