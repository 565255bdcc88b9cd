"""The random forest: its walk down the trees is scikit-learn's, and grown trees need no scikit-learn."""

import sys

import numpy as np
import pytest

from models.classifiers.bodies.forest import RandomForest
from models.classifiers.bodies.sparse import SparseMatrix
from models.errors import UserError


def problem(n=300, terms=40):
    rng = np.random.default_rng(0)
    rows = [{int(c): float(rng.integers(1, 4)) for c in rng.choice(terms, 8, replace=False)} for _ in range(n)]
    matrix = SparseMatrix.from_rows(rows, terms)
    return matrix, (matrix.toarray()[:, :3].argmax(1)).astype(np.int64)


@pytest.mark.parity
@pytest.mark.parametrize("class_weight", [None, np.array([1.0, 5.0, 0.5])])
def test_predicts_what_scikit_learn_does(class_weight):
    ensemble = pytest.importorskip("sklearn.ensemble")
    matrix, labels = problem()
    ours = RandomForest(25).fit(matrix, labels, class_weight, np.random.default_rng(7))
    theirs = ensemble.RandomForestClassifier(
        25,
        random_state=int(np.random.default_rng(7).integers(2**31)),
        class_weight=None if class_weight is None else dict(enumerate(class_weight)),
    ).fit(matrix.toarray(), labels)
    np.testing.assert_allclose(ours.predict_proba(matrix), theirs.predict_proba(matrix.toarray()), rtol=1e-6, atol=1e-9)


def test_a_grown_forest_needs_no_scikit_learn(monkeypatch):
    pytest.importorskip("sklearn")
    matrix, labels = problem()
    grown = RandomForest(5).fit(matrix, labels)
    expected = grown.predict_proba(matrix)
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    loaded = RandomForest(5)
    with pytest.raises(UserError, match="has learnt nothing yet"):
        loaded.predict_proba(matrix)
    loaded.load_state_dict(grown.state_dict())
    np.testing.assert_array_equal(loaded.predict_proba(matrix), expected)
    with pytest.raises(UserError, match=r"grown by scikit-learn, .*in your clone, pip install -e '\.\[forest\]'"):
        RandomForest(5).fit(matrix, labels)
