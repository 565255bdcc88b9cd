"""scikit-learn's naive Bayes, logistic regression and linear SVM on the texts that `minigrad compare` is run on.

    python -m tests.benchmarks.quality_classifiers --data reuters-r8,movie-sentiment --seeds 3 [--ours DIR,DIR]

Their own vectorizers count the tokens, which are cut as ours are: words in lower case, or characters; and runs of
two. Divisions of the data are those of the same seeds. With --ours, directories of `minigrad compare` for the same
data sets in the same order, our numbers stand beside theirs.
"""

import argparse
import json
import statistics
from pathlib import Path

from models import ClassifierConfig
from models.classifiers.vocabulary import tokens_of
from models.metrics import accuracy, f1
from models.text.sources import datasets
from models.text.words import piece_pattern
from tests.benchmarks.turns import machine


def words(text: str) -> list[str]:
    """Words and signs of a text, as our tokenizer cuts it."""
    return piece_pattern(text).findall(text)


def theirs(data: datasets.Dataset) -> dict[str, tuple[float, float]]:
    """{body: (accuracy, macro-F1)} in percent, by scikit-learn."""
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import ComplementNB, MultinomialNB
    from sklearn.svm import LinearSVC

    (texts, labels), (test, truth) = (zip(*part, strict=True) for part in (data.train, data.test))
    split = words if tokens_of(texts) == "word" else list
    options = {
        "tokenizer": lambda text: [token for token in split(text) if not token.isspace()],
        "token_pattern": None,
        "ngram_range": (1, ClassifierConfig().ngrams),
    }
    found = {}
    for bag, bodies in (
        (CountVectorizer(**options), {"naive-bayes": MultinomialNB(), "complement-naive-bayes": ComplementNB()}),
        (TfidfVectorizer(**options), {"logistic": LogisticRegression(max_iter=500), "svm": LinearSVC()}),
    ):
        train_matrix, test_matrix = bag.fit_transform(texts), bag.transform(test)
        for body, model in bodies.items():
            predicted = model.fit(train_matrix, labels).predict(test_matrix)
            found[body] = (100 * accuracy(truth, predicted), 100 * f1(truth, predicted, labels=data.labels))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default="reuters-r8,movie-sentiment,chinese-sentiment")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ours", default="")
    arguments = parser.parse_args()
    names, ours = arguments.data.split(","), [name for name in arguments.ours.split(",") if name]
    print(machine())
    print(f"| data | body | accuracy % ours | scikit-learn's | macro-F1 % ours | scikit-learn's |\n{'|---' * 6}|")
    for i, name in enumerate(names):
        runs = [theirs(datasets.load(name, seed)) for seed in range(arguments.seeds)]
        scores = json.loads((Path(ours[i]) / "table.json").read_text())["scores"] if ours else []
        for body in runs[0]:
            own = [(100 * s["accuracy"], 100 * s["macro_f1"]) for s in scores if s["body"] == body]
            cells = (
                _spread(own, 0),
                _spread([r[body] for r in runs], 0),
                _spread(own, 1),
                _spread([r[body] for r in runs], 1),
            )
            print(f"| {name} | {body} | {' | '.join(cells)} |", flush=True)


def _spread(pairs: list[tuple[float, float]], which: int) -> str:
    values = [pair[which] for pair in pairs]
    if not values:
        return "-"
    return f"{statistics.mean(values):.2f}" + (f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
