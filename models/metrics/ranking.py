"""ROC-AUC: how often a right example is ranked above a wrong one."""

from typing import Any

import numpy as np

from models.errors import UserError


def roc_auc(targets: Any, scores: Any, average: str | None = "macro") -> float | np.ndarray:
    """The area under the ROC curve, from 0 to 1; 0.5 is chance.

    It is the probability that a positive example has a higher score than a negative one, ties counting half
    (Mann & Whitney 1947; Hanley & McNeil 1982), and so computed from the ranks of the scores.

    targets  zeros and ones (examples,) with scores (examples,): two classes; class numbers (examples,) with
             scores (examples, classes): each class against the rest; or zeros and ones (examples, labels) with
             scores (examples, labels)
    average  over classes or labels: "macro", "weighted" by the number of positive examples, "micro" (all
             pairs of example and class as one set), or None for one number each

    Raises UserError where a class has no positive or no negative examples, for which there is no area.
    """
    targets, scores = np.asarray(targets), np.asarray(scores, np.float64)
    if average not in ("macro", "weighted", "micro", None):
        raise UserError(f"roc_auc: average={average!r}; use macro, weighted, micro or None")
    if scores.ndim not in (1, 2) or len(targets) != len(scores) or targets.ndim not in (1, scores.ndim):
        raise UserError(f"roc_auc: targets {targets.shape}, scores {scores.shape}; expected as many of either")
    if np.isnan(scores).any():
        raise UserError("roc_auc: a score is NaN")
    if scores.ndim == 1:
        return _area(targets, scores, "")
    if targets.ndim == 1:
        if targets.size and not (targets.min() >= 0 and targets.max() < scores.shape[1]):
            raise UserError(
                f"roc_auc: targets {targets.min()} to {targets.max()} with scores of {scores.shape[1]} classes"
            )
        targets = targets[:, None] == np.arange(scores.shape[1])
    elif targets.shape != scores.shape:
        raise UserError(f"roc_auc: targets {targets.shape}, scores {scores.shape}; expected one shape")
    if average == "micro":
        return _area(targets.reshape(-1), scores.reshape(-1), "")
    areas = np.array([_area(targets[:, c], scores[:, c], f" of class {c}") for c in range(scores.shape[1])])
    if average is None:
        return areas
    return float(np.average(areas, weights=targets.sum(0) if average == "weighted" else None))


def _area(targets, scores, which: str) -> float:
    positive = targets.astype(bool)
    if not np.isin(targets, (0, 1)).all():
        raise UserError("roc_auc: targets of two classes, or of several labels, must be zeros and ones")
    n_positive, n_negative = np.count_nonzero(positive), np.count_nonzero(~positive)
    if not n_positive or not n_negative:
        raise UserError(
            f"roc_auc: {n_positive} positive and {n_negative} negative examples{which}; there must be some of both"
        )
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(count) - (count - 1) / 2  # from 1; those of equal scores share their mean
    u = ranks[place][positive].sum() - n_positive * (n_positive + 1) / 2  # pairs in the right order
    return float(u / (n_positive * n_negative))
