"""A text as the bag of its words: how often each of them, and each n-gram, is in it."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from models.classifiers.bodies.sparse import SparseMatrix
from models.errors import UserError
from models.text.words import runs_of_letters


def words(text: str) -> list[str]:
    """Runs of two letters or digits and more, in lower case; marks belong to their letter (models/text/words.py)."""
    return [word for word in runs_of_letters(text.lower()) if len(word) > 1]


class BagOfWords:
    """Texts to the rows of a SparseMatrix, with a column for each term: a word or an n-gram of the texts of fit.

    ngrams         longest runs of tokens that are terms
    min_frequency  in how many texts a term must be to have a column: a number, or, as a float, a share of the texts
    max_frequency  in how many it may be: 1.0, all of them
    max_terms      the most frequent terms only, by all their occurrences
    tfidf          values are tf·idf, and rows have length 1 (Salton & Buckley 1988): tf is how often the term is in the
                   text, idf = ln((1 + texts)/(1 + texts with the term)) + 1. False: values are tf
    sublinear      1 + ln tf in place of tf
    tokenize       text -> tokens, by default words in lower case; None: texts are given as sequences of tokens

    A term is its tokens, as strings, with spaces between. self.terms has them in the order of the columns.
    """

    def __init__(
        self,
        ngrams: int = 1,
        min_frequency: int | float = 1,
        max_frequency: int | float = 1.0,
        max_terms: int | None = None,
        tfidf: bool = True,
        sublinear: bool = False,
        tokenize: Callable[[str], Sequence] | None = words,
    ):
        if ngrams < 1:
            raise UserError(f"BagOfWords: ngrams={ngrams}; expected 1 or more")
        self.ngrams, self.min_frequency, self.max_frequency = ngrams, min_frequency, max_frequency
        self.max_terms, self.tfidf, self.sublinear, self.tokenize = max_terms, tfidf, sublinear, tokenize
        self.terms: list[str] = []
        self.idf = np.zeros(0)
        self._columns: dict[str, int] = {}

    def fit(self, texts: Iterable) -> "BagOfWords":
        """Choose the terms. Raises UserError if none is left."""
        self.fit_transform(texts)
        return self

    def transform(self, texts: Iterable) -> SparseMatrix:
        """(texts, terms). What is no term does not count: a text without any is a row of zeros."""
        if not self.terms:
            raise UserError("BagOfWords: it has no terms yet: call fit with the training texts first")
        return self._matrix(self._counts(text) for text in texts)

    def fit_transform(self, texts: Iterable) -> SparseMatrix:
        """fit and transform of the same texts, in one pass."""
        counts = [self._counts(text) for text in texts]
        frequency = Counter(term for count in counts for term in count)
        lowest, highest = (
            limit * len(counts) if isinstance(limit, float) else limit
            for limit in (self.min_frequency, self.max_frequency)
        )
        terms = [term for term, texts_with in frequency.items() if lowest <= texts_with <= highest]
        if self.max_terms is not None and len(terms) > self.max_terms:
            total: Counter = Counter()
            for count in counts:
                total.update(count)
            terms = sorted(terms, key=lambda term: (-total[term], term))[: self.max_terms]
        if not terms:
            raise UserError(
                f"BagOfWords: of the {len(frequency)} terms in {len(counts)} texts none is in {lowest:g} to "
                f"{highest:g} of them: give more texts or other limits"
            )
        self._set_terms(sorted(terms))
        texts_with = np.array([frequency[term] for term in self.terms])
        self.idf = np.log((1 + len(counts)) / (1 + texts_with)) + 1
        return self._matrix(counts)

    def state_dict(self) -> dict[str, np.ndarray]:
        """The terms, as the bytes of their names with zeros between, and their idf."""
        return {"terms": np.frombuffer("\0".join(self.terms).encode(), np.uint8).copy(), "idf": self.idf}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Take over a state_dict; the settings are not part of it."""
        self._set_terms(state["terms"].tobytes().decode().split("\0"))
        self.idf = np.asarray(state["idf"], np.float64)

    def _set_terms(self, terms: list[str]) -> None:
        self.terms = terms
        self._columns = {term: column for column, term in enumerate(terms)}

    def _counts(self, text) -> Counter:
        tokens = [str(token) for token in text] if self.tokenize is None else self.tokenize(text)
        counts = Counter(tokens)
        for n in range(2, self.ngrams + 1):
            counts.update(map(" ".join, zip(*(tokens[start:] for start in range(n)), strict=False)))
        return counts

    def _matrix(self, counts: Iterable[Counter]) -> SparseMatrix:
        """(texts, terms) for how often each term is in each text, {term: tf}; terms without a column are left out.

        A value is tf, or 1 + ln tf if sublinear; if tfidf, times self.idf of its column, and then each row is divided
        by its length, the root of the sum of its squares. A row without terms stays empty.
        """
        column = self._columns
        rows = ({column[term]: n for term, n in count.items() if term in column} for count in counts)
        matrix = SparseMatrix.from_rows(rows, len(self.terms))
        values = matrix.values
        if self.sublinear:
            values[:] = 1 + np.log(values)
        if self.tfidf:
            values *= self.idf[matrix.columns]
            row = np.repeat(np.arange(len(matrix)), np.diff(matrix.starts))
            values /= np.sqrt(np.bincount(row, values**2, minlength=len(matrix)))[row]
        return matrix
