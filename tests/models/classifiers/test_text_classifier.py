"""TextClassifier: what it makes of texts, keeps in a checkpoint, does when resumed, and refuses."""

import os
import signal

import numpy as np
import pytest

import minigrad as mg
from models import ClassifierConfig, FitConfig, TextClassifier
from models.classifiers.config import BODIES
from models.classifiers.vocabulary import tokens_of
from models.errors import DataError, UserError
from models.training.log import read_log
from models.weights.checkpoint import load_checkpoint
from tests.models.classifiers.problems import reviews, topics

TINY = {"min_count": 1, "embedding_dim": 8, "hidden_size": 8, "num_heads": 2, "filters": 4, "buckets": 32}
TEXTS, LABELS = topics(60)
FIT = FitConfig(epochs=3, token_dropout=0.2, token_swap=0.2, learning_rate=0.01, patience=2, seed=3)


def classifier(body="textcnn", **changes):
    return TextClassifier(ClassifierConfig(body=body, **TINY | changes))


@pytest.mark.parametrize("several", [False, True], ids=["one label", "several"])
@pytest.mark.parametrize("body", BODIES)
def test_a_saved_one_predicts_the_same(body, several, tmp_path):
    if body == "forest":
        pytest.importorskip("sklearn")
    one = classifier(body)
    one.fit(*topics(60, multi_label=several), fit=FIT)
    one.save(tmp_path / "saved")
    other = TextClassifier.load(tmp_path / "saved")
    assert other.config == one.config
    assert other.labels == ("crude", "grain", "money")
    np.testing.assert_array_equal(other.predict_proba(TEXTS), one.predict_proba(TEXTS))
    assert other.predict(TEXTS) == one.predict(TEXTS)
    assert other.model.size == one.model.size > 0


def losses(directory):
    """The log without what depends on the clock."""
    return [
        {k: v for k, v in record.items() if k != "tokens_per_second"} for record in read_log(directory / "log.jsonl")
    ]


@pytest.mark.parametrize(
    ("body", "stop"), [("average", 2), ("textcnn", 6), ("bilstm", 2), ("gru", 6), ("transformer", 6)]
)
def test_resumed_equals_unbroken(body, stop, tmp_path):
    def start(directory):
        made = classifier(body, dropout=0.3)
        mg.manual_seed(FIT.seed)
        made.build(TEXTS, LABELS)
        return trainer(made, directory)

    def trainer(made, directory):
        log = directory / "log.jsonl"
        return made.trainer(topics(60), topics(20, seed=1), FIT, directory=directory, log=log, quiet=True)

    whole = start(tmp_path / "whole")
    whole.run()
    first = start(tmp_path / "broken")
    loss = first.stepper.loss

    def interrupted(model, batch):
        if first.step == stop - 1 and model.training:
            os.kill(os.getpid(), signal.SIGINT)
        return loss(model, batch)

    first.stepper.loss = interrupted
    assert first.run().signal == signal.SIGINT
    checkpoint = load_checkpoint(tmp_path / "broken")
    assert checkpoint.state["step"] == stop
    second = trainer(TextClassifier.of_checkpoint(checkpoint), tmp_path / "broken")
    second.resume(checkpoint)
    assert second.run().step == whole.step
    for name in ("model.safetensors", "best.safetensors", "optimizer.safetensors", "state.json", "tokenizer.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes(), name
    assert losses(tmp_path / "whole") == losses(tmp_path / "broken")


def test_early_stopping_gives_the_best():
    """With labels by chance nothing can be learnt, and the validation loss soon rises."""
    labels = list(np.random.default_rng(0).choice(["a", "b"], len(TEXTS)))
    one = classifier()
    result = one.fit(TEXTS, labels, fit=FitConfig(epochs=60, learning_rate=0.05, patience=2, batch_size=16))
    assert result.step < 60 * 4
    kept = one.trainer((TEXTS, labels), (TEXTS[9::10], labels[9::10]), FitConfig(), quiet=True)
    assert kept.evaluate() < result.val_loss


def test_class_weights_move_the_decision():
    """Where texts say nothing of their labels, the rarer one is predicted once its errors cost more."""
    texts, labels = ["the same words here"] * 100, ["rare"] * 20 + ["frequent"] * 80
    rng = np.random.default_rng(0)
    labels = [labels[i] for i in rng.permutation(100)]
    for weight, expected in (("none", "frequent"), ("rare=20", "rare")):
        one = classifier("average")
        one.fit(texts, labels, fit=FitConfig(epochs=15, class_weight=weight, learning_rate=0.02, patience=0))
        assert one.predict(texts[:1]) == [expected]
    one = classifier("average")
    one.fit(texts, labels, fit=FitConfig(epochs=30, class_weight="balanced", learning_rate=0.02, patience=0))
    assert one.predict_proba(texts[:1])[0, 1] == pytest.approx(0.5, abs=0.15)


def test_several_labels_as_tuples_lists_or_sets():
    texts, labels = topics(40, multi_label=True)
    found = []
    for kind in (tuple, list, set):
        one = classifier("naive-bayes")
        one.fit(texts, list(map(kind, labels)))
        found.append(one.predict_proba(texts))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_long_texts_are_cut():
    one = classifier(max_length=5)
    one.fit(TEXTS, LABELS, fit=FitConfig(epochs=1))
    assert {len(ids) for ids in one.encode(TEXTS)} == {4, 5}
    text = "wheat corn barley oil dollar"
    np.testing.assert_array_equal(one.predict_proba([text]), one.predict_proba([text + " oil" * 2000]))


def test_the_language_decides_the_tokens():
    assert tokens_of(TEXTS) == "word"
    assert tokens_of(reviews(20)[0]) == "char"
    assert tokens_of(["iPhone 14 Pro Max 256GB 很好用的手机", "非常满意，会再来"]) == "word"
    assert tokens_of(["这个 app 很好用的", "非常满意，会再来"]) == "char"


BAD = {
    "no texts": ([], [], "there are no texts"),
    "one string": ("text", "label", "sequences of strings"),
    "too few labels": (TEXTS, LABELS[1:], "60 texts and 59 labels"),
    "an empty text": ([*TEXTS, "  "], [*LABELS, "crude"], "text 61 is empty"),
    "no string": ([*TEXTS, None], [*LABELS, "crude"], "text 61 is a NoneType, not a string"),
    "an enormous text": (["x" * 10_000_001, *TEXTS], ["crude", *LABELS], "text 1 has 10,000,001 characters"),
    "no label": (TEXTS, [*LABELS[:-1], ""], "text 60 has no label: '' is none"),
    "label None": (TEXTS, [*LABELS[:-1], None], "text 60 has no label: None"),
    "label NaN": (TEXTS, [*LABELS[:-1], float("nan")], "text 60 has no label: nan"),
    "mixed labels": (TEXTS, [*LABELS[:-1], ("crude",)], r"text 60 has .*some have one label and some a tuple"),
    "one label": (TEXTS, ["same"] * 60, r"every text has the same label, \['same'\]"),
    "a vocabulary of one": (["word " * i for i in range(1, 61)], LABELS, "have 1 different tokens"),
    "nothing frequent": (["one two", "three four"], ["a", "b"], "have 0 different tokens .*min_count=9"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_nothing_can_be_learnt_from(case):
    texts, labels, message = BAD[case]
    one = classifier(min_count=9) if case == "nothing frequent" else classifier()
    with pytest.raises(UserError, match=message):
        one.fit(texts, labels, fit=FitConfig(epochs=1))
    assert one.model is None


def test_what_cannot_be_classified():
    one = classifier()
    with pytest.raises(UserError, match="has learnt nothing yet"):
        one.predict(["text"])
    with pytest.raises(DataError, match="unseen label 'sports': the training data has 'crude', 'grain', 'money'"):
        one.fit(TEXTS, LABELS, validation=(["a game"], ["sports"]), fit=FitConfig(epochs=1))
    with pytest.raises(UserError, match="text 2 is empty"):
        one.predict(["oil", " \n"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ClassifierConfig(body="textccn"), "body='textccn': expected one of naive-bayes"),
        (lambda: ClassifierConfig(body="transformer", embedding_dim=10, num_heads=4), "10 is not divisible by"),
        (lambda: ClassifierConfig(dropout=1.0), "dropout=1.0: expected a probability"),
        (lambda: ClassifierConfig(filters=0), "filters=0: expected a whole number above 0"),
        (lambda: ClassifierConfig(smoothing=0), "smoothing=0: expected a number above 0"),
        (lambda: FitConfig(epochs=0), "epochs=0"),
        (lambda: FitConfig(learning_rate=-1), "learning_rate=-1"),
        (lambda: FitConfig(token_dropout=1), "token_dropout=1: expected a probability"),
    ],
)
def test_settings_without_sense(make, message):
    with pytest.raises(UserError, match=message):
        make()
