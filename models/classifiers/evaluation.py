"""How often a classifier is right, on texts whose labels are known."""

from dataclasses import dataclass

import numpy as np

from models.metrics import accuracy, confusion_matrix, precision_recall_f1


@dataclass(frozen=True)
class ClassifierEvaluation:
    """A classifier's predictions beside the truth.

    accuracy       share of texts whose label is right; of several labels, all of them
    macro_f1       mean of the labels' F1: each label counts alike, however rare
    micro_f1       F1 of all decisions together; of one label a text the same as accuracy
    texts          how many
    labels         {label: {"precision", "recall", "f1", "texts"}}
    confusion      counts (labels, labels), a row a true label; None where texts have several
    """

    accuracy: float
    macro_f1: float
    micro_f1: float
    texts: int
    labels: dict[str, dict]
    confusion: np.ndarray | None


def evaluation(labels: tuple[str, ...], targets: np.ndarray, predictions: np.ndarray) -> ClassifierEvaluation:
    """Of class numbers (texts,), or zeros and ones (texts, classes)."""
    columns = np.arange(len(labels))
    each = [np.asarray(x) for x in precision_recall_f1(targets, predictions, average=None, labels=columns)]
    rows = zip(labels, *each, strict=True)
    return ClassifierEvaluation(
        accuracy=accuracy(targets, predictions),
        macro_f1=float(each[2].mean()),
        micro_f1=float(precision_recall_f1(targets, predictions, average="micro", labels=columns).f1),
        texts=len(targets),
        labels={
            label: {"precision": float(p), "recall": float(r), "f1": float(f1), "texts": int(n)}
            for label, p, r, f1, n in rows
        },
        confusion=confusion_matrix(targets, predictions, columns) if targets.ndim == 1 else None,
    )
