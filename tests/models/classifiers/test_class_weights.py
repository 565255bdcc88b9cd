"""Class weights: balanced as scikit-learn's, given by name, and refused with a reason."""

import numpy as np
import pytest

from models.classifiers.class_weights import class_weights
from models.errors import UserError

LABELS = ("ham", "spam")
TARGETS = np.array([0, 0, 0, 1])


def test_none_balanced_and_given():
    assert class_weights("none", TARGETS, LABELS) is None
    np.testing.assert_allclose(class_weights("balanced", TARGETS, LABELS), [2 / 3, 2])
    np.testing.assert_allclose(class_weights("spam=3", TARGETS, LABELS), [1, 3])
    np.testing.assert_allclose(class_weights("spam=3, ham=0.5", TARGETS, LABELS), [0.5, 3])
    several = np.array([[1, 0], [1, 0], [1, 1], [0, 0]])
    np.testing.assert_allclose(class_weights("balanced", several, LABELS), [1 / 3, 3])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("eggs=2", "no label 'eggs'; there are ham, spam"),
        ("spam=0", "'0' is not a number above 0"),
        ("spam=much", "'much' is not a number above 0"),
        ("even", "expected none, balanced, or weights such as"),
    ],
)
def test_what_it_cannot_take(given, message):
    with pytest.raises(UserError, match=message):
        class_weights(given, TARGETS, LABELS)


@pytest.mark.parity
def test_balanced_is_scikit_learns():
    sklearn = pytest.importorskip("sklearn.utils.class_weight")
    targets = np.random.default_rng(0).integers(0, 5, 200)
    theirs = sklearn.compute_class_weight("balanced", classes=np.arange(5), y=targets)
    np.testing.assert_allclose(class_weights("balanced", targets, tuple("abcde")), theirs, rtol=1e-6)
