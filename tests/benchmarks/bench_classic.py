"""The classic classifiers beside scikit-learn's on the same texts and settings: accuracy and macro-F1 on the test part.

python -m tests.benchmarks.bench_classic reuters-r8 movie-sentiment chinese-sentiment

Learnt from the training and validation parts (seed 0). Terms: words, or Chinese characters, and pairs of them in
two texts at least; counts for naive Bayes, tf-idf for the others.
"""

import sys

import numpy as np

from models.classifiers.bodies import (
    BagOfWords,
    ComplementNaiveBayes,
    LinearSVM,
    LogisticRegression,
    MultinomialNaiveBayes,
)
from models.metrics import accuracy, f1
from models.text.sources import datasets
from models.text.sources.datasets import encode_labels


def _pairs():
    """(name, tf-idf, ours, scikit-learn's)"""
    from sklearn.linear_model import LogisticRegression as TheirLogisticRegression
    from sklearn.naive_bayes import ComplementNB, MultinomialNB
    from sklearn.svm import LinearSVC

    yield "naive Bayes", False, MultinomialNaiveBayes(), MultinomialNB()
    yield "complement naive Bayes", False, ComplementNaiveBayes(), ComplementNB()
    yield "logistic regression", True, LogisticRegression(), TheirLogisticRegression(max_iter=1000)
    yield "linear SVM, squared hinge", True, LinearSVM(), LinearSVC()
    yield "linear SVM, hinge", True, LinearSVM(squared=False), LinearSVC(loss="hinge", max_iter=10_000)


def rows(name: str):
    """A line of the table for each classifier."""
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

    data = datasets.load(name)
    train, test = data.train + data.validation, data.test
    texts, targets = [text for text, _ in train], encode_labels([label for _, label in train], data.labels)
    unseen, expected = [text for text, _ in test], encode_labels([label for _, label in test], data.labels)
    characters = name.startswith("chinese")
    features = {}
    for tfidf in (False, True):
        bag = BagOfWords(ngrams=2, min_frequency=2, tfidf=tfidf, **({"tokenize": list} if characters else {}))
        options = {"tokenizer": list, "token_pattern": None, "lowercase": False} if characters else {}
        theirs = (TfidfVectorizer if tfidf else CountVectorizer)(ngram_range=(1, 2), min_df=2, **options)
        features[tfidf] = (bag.fit_transform(texts), bag.transform(unseen)), (
            theirs.fit_transform(texts), theirs.transform(unseen)
        )  # fmt: skip
    for classifier, tfidf, *both in _pairs():
        predictions = [one.fit(x, targets).predict(y) for one, (x, y) in zip(both, features[tfidf], strict=True)]
        numbers = [(100 * accuracy(expected, p), 100 * f1(expected, p)) for p in predictions]
        agree = 100 * np.mean(predictions[0] == predictions[1])
        cells = " | ".join(f"{a:.2f} / {b:.2f}" for a, b in numbers)
        yield f"| {name} | {classifier} | {cells} | {agree:.2f} |"


if __name__ == "__main__":
    print("| data | classifier | ours, accuracy / macro-F1 | scikit-learn's | same prediction |\n|---|---|---|---|---|")
    for data_set in sys.argv[1:] or ["reuters-r8"]:
        for row in rows(data_set):
            print(row, flush=True)
