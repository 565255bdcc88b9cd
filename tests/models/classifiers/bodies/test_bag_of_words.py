"""Sparse matrices and bags of words: by hand, against dense arrays, against scikit-learn, bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.classifiers.bodies import BagOfWords, SparseMatrix
from models.errors import UserError

dense_matrices = hnp.arrays(
    np.float64, st.tuples(st.integers(0, 6), st.integers(1, 5)), elements=st.sampled_from([0.0, 0.0, 1.0, -2.5])
)


def sparse(dense) -> SparseMatrix:
    return SparseMatrix.from_rows(
        ({int(c): row[c] for c in np.flatnonzero(row)[::-1]} for row in dense), dense.shape[1]
    )


@given(dense_matrices, st.integers(0, 3), st.data())
def test_sparse_equals_dense(dense, width, data):
    matrix = sparse(dense)
    np.testing.assert_array_equal(matrix.toarray(), dense)
    right, left = np.arange(dense.shape[1] * width).reshape(dense.shape[1], width), np.ones((len(dense), width))
    np.testing.assert_allclose(matrix @ right, dense @ right)
    np.testing.assert_allclose(matrix.T @ left, dense.T @ left)
    np.testing.assert_array_equal(matrix.T.toarray(), dense.T)
    rows = data.draw(st.lists(st.integers(0, len(dense) - 1), max_size=5)) if len(dense) else []
    np.testing.assert_array_equal(matrix.take(rows).toarray(), dense[np.array(rows, int)])
    mask = np.arange(len(dense)) % 2 == 0
    np.testing.assert_array_equal(matrix.take(mask).toarray(), dense[mask])


def test_sparse_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"sparse \(2, 3\) @ \(2, 1\): expected \(3, n\)"):
        sparse(np.ones((2, 3))) @ np.ones((2, 1))


TEXTS = ["The cat sat.", "the dog saw the CAT", "a cat, a cat!"]


def test_counts_by_hand():
    bag = BagOfWords(ngrams=2, tfidf=False)
    matrix = bag.fit_transform(TEXTS)
    assert bag.terms == [
        "cat",
        "cat cat",
        "cat sat",
        "dog",
        "dog saw",
        "sat",
        "saw",
        "saw the",
        "the",
        "the cat",
        "the dog",
    ]
    assert matrix.toarray()[1].tolist() == [1, 0, 0, 1, 1, 0, 1, 1, 2, 1, 1]
    assert bag.transform(["no cat, cat"]).toarray()[0].tolist() == [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]


def test_tfidf_by_hand():
    bag = BagOfWords(min_frequency=2)
    assert bag.fit(TEXTS).terms == ["cat", "the"]
    the = np.log(4 / 3) + 1
    np.testing.assert_allclose(bag.transform(TEXTS).toarray()[0], np.array([1, the]) / np.hypot(1, the))
    assert not bag.transform(["nothing known"]).toarray().any()


def test_texts_as_tokens():
    bag = BagOfWords(ngrams=2, tfidf=False, tokenize=None)
    bag.fit([[7, 1, 7], np.array([1])])
    assert bag.terms == ["1", "1 7", "7", "7 1"]
    assert bag.transform([[7, 7]]).toarray().tolist() == [[0, 0, 2, 0]]


def test_state():
    bag = BagOfWords(ngrams=2).fit(TEXTS)
    other = BagOfWords(ngrams=2)
    other.load_state_dict(bag.state_dict())
    assert other.terms == bag.terms
    np.testing.assert_array_equal(other.transform(TEXTS).toarray(), bag.transform(TEXTS).toarray())


texts = st.lists(st.lists(st.sampled_from(["Ab", "bc", "CD", "de", "x", "für"]), max_size=8).map(" ".join), min_size=1)


@pytest.mark.parity
@given(
    texts,
    st.integers(1, 3),
    st.sampled_from([1, 2, 0.3]),
    st.sampled_from([1.0, 0.8, 3]),
    st.booleans(),
    st.booleans(),
)
def test_equals_scikit_learn(texts, ngrams, lowest, highest, tfidf, sublinear):
    sklearn = pytest.importorskip("sklearn.feature_extraction.text")
    options = {"ngram_range": (1, ngrams), "min_df": lowest, "max_df": highest}
    if tfidf or sublinear:
        theirs = sklearn.TfidfVectorizer(**options, sublinear_tf=sublinear, use_idf=tfidf, norm="l2" if tfidf else None)
    else:
        theirs = sklearn.CountVectorizer(**options)
    bag = BagOfWords(ngrams, lowest, highest, tfidf=tfidf, sublinear=sublinear)
    try:
        expected = theirs.fit_transform(texts)
    except ValueError:  # no terms left, or limits that exclude one another
        with pytest.raises(UserError, match="none is in"):
            bag.fit(texts)
        return
    found = bag.fit_transform(texts)
    assert bag.terms == theirs.get_feature_names_out().tolist()
    np.testing.assert_allclose(found.toarray(), expected.toarray(), atol=1e-12)
    others = ["bc cd unknown ab bc", ""]
    np.testing.assert_allclose(bag.transform(others).toarray(), theirs.transform(others).toarray(), atol=1e-12)


def test_most_frequent_terms():
    bag = BagOfWords(max_terms=2).fit(["aa bb", "aa cc cc cc", "bb dd", "aa"])
    assert bag.terms == ["aa", "cc"]


def test_errors():
    with pytest.raises(UserError, match="of the 1 terms in 2 texts none is in 2 to 2 of them"):
        BagOfWords(min_frequency=2).fit(["word", "?"])
    with pytest.raises(UserError, match="of the 0 terms in 0 texts"):
        BagOfWords().fit([])
    with pytest.raises(UserError, match="call fit"):
        BagOfWords().transform(["word"])
    with pytest.raises(UserError, match="ngrams=0"):
        BagOfWords(ngrams=0)
