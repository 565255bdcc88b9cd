"""Augmentation: what it may change, how much, and that a text survives it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import ClassifierConfig, FitConfig, TextClassifier, UserError
from models.classifiers.synonyms import synonym_table
from models.text.augmentation import augmentation, drop_tokens, replace_by_synonyms, swap_tokens
from models.text.tokenizers import CharTokenizer, WordTokenizer
from models.vectors.word_vectors import WordVectors

TEXTS = st.lists(st.integers(0, 9), min_size=1, max_size=30).map(np.array)
PROBABILITIES = st.floats(0, 0.99)


@given(ids=TEXTS, probability=PROBABILITIES, seed=st.integers(0, 99))
def test_what_each_change_keeps(ids, probability, seed):
    before, rng = ids.copy(), np.random.default_rng(seed)
    dropped = drop_tokens(ids, rng, probability)
    rest = iter(ids)
    assert 1 <= len(dropped) <= len(ids)
    assert all(any(token == other for other in rest) for token in dropped)  # a subsequence
    assert sorted(swap_tokens(ids, rng, probability)) == sorted(ids)
    synonyms = np.array([[(i + 1) % 10, (i + 2) % 10] for i in range(10)])
    replaced = replace_by_synonyms(ids, rng, probability, synonyms)
    assert all(new == old or new in synonyms[old] for new, old in zip(replaced, ids, strict=True))
    np.testing.assert_array_equal(ids, before)


def test_how_much_changes():
    ids, rng = np.arange(20_000), np.random.default_rng(0)
    assert abs(len(drop_tokens(ids, rng, 0.2)) / 20_000 - 0.8) < 0.01
    assert abs((swap_tokens(ids, rng, 0.2) != ids).mean() - 0.2) < 0.03  # some places are drawn twice
    synonyms = np.arange(1, 20_001)[:, None] % 20_000
    assert abs((replace_by_synonyms(ids, rng, 0.2, synonyms) != ids).mean() - 0.2) < 0.01


VECTORS = WordVectors(
    ["Oil", "petroleum", "crude", "wheat", "corn", "unused"],
    np.array([[1, 0], [0.9, 0.1], [0.8, 0.2], [0, 1], [0.1, 0.9], [1, 0]]),
)


def test_synonyms_are_words_of_the_vocabulary_that_point_the_same_way():
    tokenizer = WordTokenizer(["petroleum", "wheat", "crude", "the", "corn"], special_tokens=["<unk>", "<pad>"])
    table = synonym_table(VECTORS, tokenizer)
    of = {word: {tokenizer.words[i] for i in row} for word, row in zip(tokenizer.words, table, strict=False)}
    assert of["petroleum"] == {"petroleum", "crude"}  # and not "Oil", which the texts do not have
    assert of["wheat"] == {"wheat", "corn"}
    assert of["the"] == {"the"}
    assert (table[5:] == [[5], [6]]).all()


def test_synonyms_in_training(tmp_path):
    VECTORS.save(tmp_path / "vectors.txt")
    texts, labels = ["oil petroleum crude"] * 12 + ["wheat corn"] * 12, ["a"] * 12 + ["b"] * 12
    classifier = TextClassifier(ClassifierConfig(body="average", min_count=1, embedding_dim=4, buckets=8))
    classifier.fit(texts, labels, fit=FitConfig(epochs=2, synonym_rate=0.5, vectors=str(tmp_path / "vectors.txt")))
    classifier.build(texts, labels)
    drawn = classifier.trainer(
        (texts, labels), (texts, labels), FitConfig(synonym_rate=0.9, vectors=str(tmp_path / "vectors.txt"))
    ).stepper.batches
    changed = {tuple(row[row != classifier.config.pad_id]) for row in next(drawn)[0]}
    assert len(changed) > 5


def test_synonyms_that_cannot_be_had():
    with pytest.raises(UserError, match=r"synonym_rate=0\.1: name the word vectors"):
        FitConfig(synonym_rate=0.1)
    with pytest.raises(UserError, match="tokens of these texts are of type char"):
        synonym_table(VECTORS, CharTokenizer("ab"))
    with pytest.raises(UserError, match="have none of the texts' 1 words"):
        synonym_table(VECTORS, WordTokenizer(["zebra"]))


def test_all_in_turn():
    assert augmentation(0, 0, 0) is None
    change = augmentation(0.3, 0.3, 0.9, np.full((10, 1), 7))
    changed = change(np.arange(10), np.random.default_rng(0))
    assert len(changed) < 10
    assert (changed == 7).sum() > 3


def test_a_synonym_rate_needs_synonyms():
    with pytest.raises(UserError, match=r"synonym_rate 0\.5 without synonyms"):
        augmentation(0.0, 0.0, 0.5)
