"""Accuracy, precision, recall and F1: of one label a text, or, as matrices of zeros and ones, of several.

With TP, FP and FN the numbers of examples that have a label and were given it, that were wrongly given it, and that
wrongly were not (van Rijsbergen 1979, chapter 7):

    precision = TP/(TP + FP)    recall = TP/(TP + FN)    F1 = 2TP/(2TP + FP + FN), their harmonic mean
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from models.errors import UserError

AVERAGES = (None, "micro", "macro", "weighted")


class Scores(NamedTuple):
    """Numbers, or one per label where no average was taken; support is the number of targets."""

    precision: float | np.ndarray
    recall: float | np.ndarray
    f1: float | np.ndarray
    support: int | np.ndarray


def accuracy(targets: ArrayLike, predictions: ArrayLike) -> float:
    """The share of examples that are right; of several labels, those where all of them are."""
    targets, predictions = checked("accuracy", targets, predictions)
    right = targets == predictions
    return float((right if right.ndim == 1 else right.all(1)).mean())


def precision_recall_f1(
    targets: ArrayLike,
    predictions: ArrayLike,
    average: str | None = "macro",
    labels: ArrayLike | None = None,
    zero_division: float = 0.0,
) -> Scores:
    """Precision, recall and F1, each averaged over the labels.

    targets, predictions  labels (examples,), strings or numbers; or zeros and ones (examples, labels)
    average               "macro": the mean over labels; "weighted": by the number of targets of each; "micro":
                          from TP, FP and FN summed over the labels; None: one number per label
    labels                which, and in which order; by default all that occur, sorted. For matrices columns
    zero_division         what 0/0 is, 0 by default: precision of a label that nothing was given, recall of one that
                          nothing has, F1 of one that is neither. NaN leaves such a label out of the average
    """
    targets, predictions = checked("precision_recall_f1", targets, predictions)
    if average not in AVERAGES:
        raise UserError(f"precision_recall_f1: average={average!r}; use micro, macro, weighted or None")
    hits, given, support = _counts(targets, predictions, labels)
    if average == "micro":
        hits, given, support = hits.sum(), given.sum(), support.sum()
    precision, recall, f1 = (
        _divide(numerator, denominator, zero_division)
        for numerator, denominator in ((hits, given), (hits, support), (2 * hits, given + support))
    )
    if average is None:
        return Scores(precision, recall, f1, support)
    weights = support if average == "weighted" else np.ones_like(support)
    means = [_average(values, weights) for values in (precision, recall, f1)]
    return Scores(means[0], means[1], means[2], int(support.sum()))


def precision(
    targets: ArrayLike,
    predictions: ArrayLike,
    average: str | None = "macro",
    labels: ArrayLike | None = None,
    zero_division: float = 0.0,
) -> float | np.ndarray:
    """Of what was given a label, the share that has it; see precision_recall_f1."""
    return precision_recall_f1(targets, predictions, average, labels, zero_division).precision


def recall(
    targets: ArrayLike,
    predictions: ArrayLike,
    average: str | None = "macro",
    labels: ArrayLike | None = None,
    zero_division: float = 0.0,
) -> float | np.ndarray:
    """Of what has a label, the share that was given it; see precision_recall_f1."""
    return precision_recall_f1(targets, predictions, average, labels, zero_division).recall


def f1(
    targets: ArrayLike,
    predictions: ArrayLike,
    average: str | None = "macro",
    labels: ArrayLike | None = None,
    zero_division: float = 0.0,
) -> float | np.ndarray:
    """The harmonic mean of precision and recall; see precision_recall_f1."""
    return precision_recall_f1(targets, predictions, average, labels, zero_division).f1


def checked(metric: str, targets: ArrayLike, predictions: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays of one shape. Raises UserError for no examples, or different numbers of them."""
    targets, predictions = np.asarray(targets), np.asarray(predictions)
    if targets.shape != predictions.shape or targets.ndim not in (1, 2):
        raise UserError(
            f"{metric}: targets {targets.shape}, predictions {predictions.shape}; expected one shape, (examples,), or "
            "(examples, labels) of zeros and ones"
        )
    if targets.size == 0:
        raise UserError(f"{metric}: there are no examples to measure on")
    if targets.ndim == 2:
        for name, matrix in (("targets", targets), ("predictions", predictions)):
            if not np.isin(matrix, (0, 1)).all():
                raise UserError(f"{metric}: {name} of several labels must be zeros and ones")
    return targets, predictions


def _counts(targets, predictions, labels):
    """(TP, TP + FP, TP + FN) of each label."""
    if targets.ndim == 2:
        columns = slice(None) if labels is None else np.asarray(labels)
        targets, predictions = targets[:, columns].astype(np.int64), predictions[:, columns].astype(np.int64)
        return (targets * predictions).sum(0), predictions.sum(0), targets.sum(0)
    labels = np.union1d(targets, predictions) if labels is None else np.asarray(labels)
    return tuple(
        np.array([np.count_nonzero(chosen == label) for label in labels])
        for chosen in (targets[targets == predictions], predictions, targets)
    )


def _divide(numerator, denominator, zero_division):
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator == 0, zero_division, numerator / denominator)


def _average(values, weights) -> float:
    defined = ~np.isnan(values)
    values, weights = np.atleast_1d(values)[np.atleast_1d(defined)], np.atleast_1d(weights)[np.atleast_1d(defined)]
    if values.size == 0:
        return float("nan")
    return float((values * weights).sum() / weights.sum()) if weights.sum() else float(values.mean())
