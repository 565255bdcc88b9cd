"""The text that lessons 8 and 9 make up, and the texts that lessons take where there is no network."""

import numpy as np
import pytest

from lessons.material import kit
from lessons.material.small_text import KINDS, PEOPLE, small_text
from models.errors import DataError


def test_every_word_of_a_kind_occurs_and_none_is_of_two():
    words = small_text(3000, np.random.default_rng(0)).split()
    listed = " ".join([words for words, _ in KINDS.values()] + list(PEOPLE.values())).split()
    assert len(set(listed)) == len(listed)
    assert set(listed) <= set(words)


def test_he_and_she_do_the_same_but_for_beard_and_dress():
    lines = small_text(3000, np.random.default_rng(0)).split(".\n")
    for act, couple in PEOPLE.items():
        he, she = couple.split()
        assert f"the {he} {act} he says" in lines
        assert f"the {she} {act} she says" in lines
    assert not [line for line in lines if "beard" in line and not line.endswith(" he says")]
    assert not [line for line in lines if "dress" in line and not line.endswith("she says")]


def test_a_seed_makes_one_text():
    assert small_text(20, np.random.default_rng(1)) == small_text(20, np.random.default_rng(1))


def test_without_a_network_a_lesson_goes_on_with_another_text(monkeypatch, capsys):
    def unreachable(name):
        raise DataError(f"cannot fetch {name}")

    monkeypatch.delenv(kit.FAST, raising=False)
    monkeypatch.setattr(kit.corpora, "text", unreachable)
    assert kit.corpus("lee", instead="ours") == "ours"
    assert "cannot fetch lee" in capsys.readouterr().out
    assert len(kit.corpus("lee")) > 100_000  # Python's own reference


@pytest.mark.parametrize("instead", ["", "ours"])
def test_at_reduced_size_nothing_is_fetched(monkeypatch, instead):
    monkeypatch.setenv(kit.FAST, "1")
    monkeypatch.setattr(kit.corpora, "text", None)  # calling it would fail
    assert kit.corpus("lee", instead) == instead
