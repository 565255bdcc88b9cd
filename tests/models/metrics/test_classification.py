"""Accuracy, precision, recall, F1, confusion matrix, ROC-AUC: by hand, against scikit-learn, bad input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models import metrics
from models.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:sklearn", "ignore::RuntimeWarning:sklearn")
TARGETS = ["cat", "cat", "dog", "dog", "dog", "eel"]
GUESSES = ["cat", "dog", "dog", "dog", "cat", "cat"]
AVERAGES = ["micro", "macro", "weighted", None]


def test_by_hand():
    assert metrics.accuracy(TARGETS, GUESSES) == 0.5
    scores = metrics.precision_recall_f1(TARGETS, GUESSES, average=None)
    np.testing.assert_allclose(scores.precision, [1 / 3, 2 / 3, 0])
    np.testing.assert_allclose(scores.recall, [1 / 2, 2 / 3, 0])
    np.testing.assert_allclose(scores.f1, [2 / 5, 2 / 3, 0])
    np.testing.assert_array_equal(scores.support, [2, 3, 1])
    assert metrics.f1(TARGETS, GUESSES) == pytest.approx((2 / 5 + 2 / 3) / 3)
    assert metrics.precision(TARGETS, GUESSES, average="micro") == 0.5
    assert metrics.recall(TARGETS, GUESSES, average="weighted") == pytest.approx((1 + 2 + 0) / 6)
    assert metrics.precision(TARGETS, GUESSES, labels=["dog"]) == pytest.approx(2 / 3)


def test_confusion_by_hand():
    np.testing.assert_array_equal(metrics.confusion_matrix(TARGETS, GUESSES), [[1, 1, 0], [1, 2, 0], [1, 0, 0]])
    np.testing.assert_array_equal(metrics.confusion_matrix(TARGETS, GUESSES, ["dog", "cat"]), [[2, 1], [1, 1]])


def test_area_by_hand():
    assert metrics.roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]) == 0.75
    assert metrics.roc_auc([0, 1, 1], [0.5, 0.5, 0.5]) == 0.5
    assert metrics.roc_auc([False, True], [-1, 5]) == 1.0


labels = st.integers(1, 30).flatmap(
    lambda n: st.tuples(*[st.lists(st.sampled_from("abcd"), min_size=n, max_size=n)] * 2)
)
matrices = st.tuples(st.integers(1, 9), st.integers(1, 4)).flatmap(
    lambda shape: st.tuples(*[hnp.arrays(np.int64, shape, elements=st.integers(0, 1))] * 2)
)


@pytest.mark.parity
@given(
    labels | matrices, st.sampled_from(AVERAGES), st.sampled_from([0.0, 1.0, math.nan]), st.sampled_from([None, "cab"])
)
def test_equals_scikit_learn(pair, average, zero_division, chosen):
    theirs = pytest.importorskip("sklearn.metrics")
    targets, guesses = pair
    several = isinstance(targets, np.ndarray)
    chosen = None if several or chosen is None else list(chosen)
    expected = theirs.precision_recall_fscore_support(
        targets, guesses, labels=chosen, average=average, zero_division=zero_division
    )
    if several and targets.shape[1] == 1:  # for scikit-learn these are labels 0 and 1
        return
    found = metrics.precision_recall_f1(targets, guesses, average, chosen, zero_division)
    for ours, his in zip(found[: 3 if average else 4], expected, strict=False):
        np.testing.assert_allclose(ours, his, atol=1e-12)
    assert metrics.accuracy(targets, guesses) == pytest.approx(theirs.accuracy_score(targets, guesses))
    if not several and (chosen is None or set(chosen) & set(targets)):
        expected = theirs.confusion_matrix(targets, guesses, labels=chosen)
        np.testing.assert_array_equal(metrics.confusion_matrix(targets, guesses, chosen), expected)


@pytest.mark.parity
@given(hnp.arrays(np.int64, st.integers(2, 30), elements=st.integers(0, 1)), st.data())
def test_area_equals_scikit_learn(targets, data):
    theirs = pytest.importorskip("sklearn.metrics")
    targets[:2] = 0, 1
    scores = data.draw(hnp.arrays(np.float64, targets.shape, elements=st.sampled_from([-1.0, 0.0, 0.25, 0.5, 3.0])))
    assert metrics.roc_auc(targets, scores) == pytest.approx(theirs.roc_auc_score(targets, scores), abs=1e-12)


@pytest.mark.parity
@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("seed", range(5))
def test_areas_of_several_classes_equal_scikit_learn(average, seed):
    theirs = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    classes = np.append(rng.integers(0, 4, 50), range(4))
    scores = rng.dirichlet(np.ones(4), 54).round(1) + 1e-3
    scores /= scores.sum(1, keepdims=True)
    expected = theirs.roc_auc_score(classes, scores, multi_class="ovr", average=average)
    np.testing.assert_allclose(metrics.roc_auc(classes, scores, average), expected, atol=1e-12)
    several = rng.integers(0, 2, scores.shape)
    expected = theirs.roc_auc_score(several, scores, average=average)
    np.testing.assert_allclose(metrics.roc_auc(several, scores, average), expected, atol=1e-12)


@given(st.lists(st.booleans(), min_size=2, max_size=20), st.integers(0, 99))
def test_area_is_the_share_of_pairs_in_order(targets, seed):
    targets[:2] = False, True
    scores = np.random.default_rng(seed).integers(0, 5, len(targets))
    pairs = [(scores[i] > scores[j]) + (scores[i] == scores[j]) / 2
             for i in range(len(targets)) if targets[i] for j in range(len(targets)) if not targets[j]]  # fmt: skip
    assert metrics.roc_auc(targets, scores) == pytest.approx(np.mean(pairs))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.accuracy([], []), "accuracy: there are no examples"),
        (lambda: metrics.f1(["a"], ["a", "b"]), r"targets \(1,\), predictions \(2,\)"),
        (lambda: metrics.f1(["a"], ["a"], average="binary"), "average='binary'"),
        (lambda: metrics.f1([[2, 0]], [[1, 0]]), "targets of several labels must be zeros and ones"),
        (lambda: metrics.confusion_matrix([[1, 0]], [[1, 0]]), "one label an example"),
        (lambda: metrics.confusion_matrix(["a"], ["a"], ["a", "a"]), "listed twice"),
        (lambda: metrics.roc_auc([1, 1], [0.1, 0.2]), "2 positive and 0 negative examples; there must be some of both"),
        (lambda: metrics.roc_auc([0, 1], [[1, 0, 0], [0, 1, 0]]), "0 positive and 2 negative examples of class 2"),
        (lambda: metrics.roc_auc([0, 2], [[1, 0], [0, 1]]), "targets 0 to 2 with scores of 2 classes"),
        (lambda: metrics.roc_auc([0, 2], [0.1, 0.2]), "must be zeros and ones"),
        (lambda: metrics.roc_auc([0, 1], [0.1, math.nan]), "a score is NaN"),
        (lambda: metrics.roc_auc([0, 1, 1], [0.1, 0.3]), r"targets \(3,\), scores \(2,\)"),
        (lambda: metrics.roc_auc([0, 1], [0.1, 0.3], average="binary"), "average='binary'"),
        (lambda: metrics.draw_confusion_matrix(np.eye(2), ["a"], "x.png"), r"counts \(2, 2\) for 1 labels"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(UserError, match=message):
        call()


def test_picture_shows_every_count(tmp_path):
    counts = metrics.confusion_matrix(TARGETS, GUESSES)
    path = metrics.draw_confusion_matrix(counts, ["cat", "dog", "eel"], tmp_path / "confusion.svg", "animals")
    assert path.stat().st_size > 5_000
    path = metrics.draw_confusion_matrix(counts, ["cat", "dog", "eel"], tmp_path / "confusion.png")
    assert path.read_bytes().startswith(b"\x89PNG")
