"""Bodies that count words: naive Bayes, logistic regression, a linear SVM and a random forest on bags of tokens.

The order of the tokens counts within n-grams only. All of them are fitted at once, without batches or steps.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from models.classifiers.bodies.bag_of_words import BagOfWords
from models.classifiers.bodies.forest import RandomForest
from models.classifiers.bodies.linear_svm import LinearSVM
from models.classifiers.bodies.logistic_regression import LogisticRegression
from models.classifiers.bodies.naive_bayes import ComplementNaiveBayes, MultinomialNaiveBayes
from models.classifiers.bodies.one_vs_rest import OneVsRest
from models.classifiers.config import ClassifierConfig

COUNTS = ("naive-bayes", "complement-naive-bayes")  # made for numbers of words; the others get tf-idf


class Bag:
    """A bag of words and n-grams, and a classifier (or a random forest) on it."""

    def __init__(self, config: ClassifierConfig):
        self.bag = BagOfWords(config.ngrams, tfidf=config.body not in COUNTS, tokenize=None)
        makers: dict[str, Callable[[], Any]] = {
            "naive-bayes": partial(MultinomialNaiveBayes, config.smoothing),
            "complement-naive-bayes": partial(ComplementNaiveBayes, config.smoothing),
            "logistic": partial(LogisticRegression, config.inverse_regularization),
            "svm": partial(LinearSVM, config.inverse_regularization),
            "forest": partial(RandomForest, config.trees),
        }
        make = makers[config.body]
        self.classifier = OneVsRest(make) if config.multi_label else make()

    def fit(
        self, sequences: Sequence[np.ndarray], targets: np.ndarray, class_weight: np.ndarray | None, seed: int
    ) -> None:
        """Learn from the token ids of texts and their class numbers, or zeros and ones (texts, classes)."""
        matrix = self.bag.fit_transform(sequences)
        self.classifier.fit(matrix, targets, class_weight, np.random.default_rng(seed))

    def predict_proba(self, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """Probabilities (texts, classes) for the token ids of texts."""
        return self.classifier.predict_proba(self.bag.transform(sequences))

    def state_dict(self) -> dict[str, np.ndarray]:
        """Everything learnt, as arrays."""
        parts = {"bag": self.bag, "classifier": self.classifier}
        return {f"{part}.{name}": array for part, own in parts.items() for name, array in own.state_dict().items()}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Take over a state_dict."""
        for part, own in (("bag.", self.bag), ("classifier.", self.classifier)):
            own.load_state_dict({key.removeprefix(part): array for key, array in state.items() if key.startswith(part)})
