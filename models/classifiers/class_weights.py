"""What the classes weigh: rare ones can be made to count as much as frequent ones."""

import numpy as np

from models.errors import UserError

EXPECTED = "expected none, balanced, or weights such as spam=3,ham=1"


def class_weights(given: str, targets: np.ndarray, labels: tuple[str, ...]) -> np.ndarray | None:
    """A factor for the loss of each class, float32 (classes,), or None for none.

    given    "none"; "balanced", texts/(classes·texts of the class), as King & Zeng (2001); or "spam=3,ham=1",
             where a class that is not named has 1
    targets  class numbers (texts,); or zeros and ones (texts, classes), where the factor is for the texts that
             have the label, and "balanced" is the others' number over theirs

    Raises UserError for a label that does not exist and for a weight that is no positive number.
    """
    if given == "none":
        return None
    if given == "balanced":
        if targets.ndim == 2:
            having = targets.sum(0)
            return ((len(targets) - having) / np.maximum(having, 1)).astype(np.float32)
        counts = np.bincount(targets, minlength=len(labels))
        return (len(targets) / (len(labels) * np.maximum(counts, 1))).astype(np.float32)
    weights = np.ones(len(labels), np.float32)
    for part in given.split(","):
        label, equals, number = part.rpartition("=")
        if not equals:
            raise UserError(f"class_weight={given!r}: {EXPECTED}")
        if label.strip() not in labels:
            raise UserError(f"class_weight={given!r}: no label {label.strip()!r}; there are {', '.join(labels)}")
        weights[labels.index(label.strip())] = _positive(number, given)
    return weights


def _positive(number: str, given: str) -> float:
    try:
        weight = float(number)
    except ValueError:
        weight = 0.0
    if not 0 < weight < np.inf:
        raise UserError(f"class_weight={given!r}: {number!r} is not a number above 0; {EXPECTED}")
    return weight
