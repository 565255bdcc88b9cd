"""The confusion matrix: which labels are taken for which, as numbers and as a picture."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from models.errors import UserError
from models.metrics.classification import checked


def confusion_matrix(targets: ArrayLike, predictions: ArrayLike, labels: ArrayLike | None = None) -> np.ndarray:
    """counts[i, j], how many examples have label i and were given label j: int64 (labels, labels).

    targets and predictions (examples,), strings or numbers. labels: which, and in which order, by default all
    that occur, sorted; examples with others are left out.
    """
    targets, predictions = checked("confusion_matrix", targets, predictions)
    if targets.ndim == 2:
        raise UserError("confusion_matrix: one label an example, please; of several labels there is no one matrix")
    labels = np.union1d(targets, predictions) if labels is None else np.asarray(labels)
    if len(np.unique(labels)) != len(labels):
        raise UserError("confusion_matrix: a label is listed twice")
    places = {label: place for place, label in enumerate(labels.tolist())}
    counts = np.zeros((len(labels), len(labels)), np.int64)
    for target, prediction in zip(targets.tolist(), predictions.tolist(), strict=True):
        if target in places and prediction in places:
            counts[places[target], places[prediction]] += 1
    return counts


def draw_confusion_matrix(counts: np.ndarray, labels: list, path: str | os.PathLike, title: str = "") -> Path:
    """Draw counts (labels, labels) into an image file and return its path.

    A row is a target; its shades are shares of the row, so that rare labels can be read as well as frequent ones.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    counts = np.asarray(counts)
    if counts.ndim != 2 or counts.shape != (len(labels), len(labels)):
        raise UserError(f"draw_confusion_matrix: counts {counts.shape} for {len(labels)} labels")
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = 2 + 0.45 * len(labels)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    FigureCanvasAgg(figure)  # draws without a display
    axes = figure.add_subplot()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.argwhere(counts):
        axes.text(
            j, i, counts[i, j], ha="center", va="center", size=8, color="white" if shares[i, j] > 0.6 else "black"
        )
    axes.set_xticks(range(len(labels)), labels, rotation=90 if len(labels) > 2 else 0)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("predicted")
    axes.set_ylabel("target")
    axes.set_title(title)
    figure.colorbar(picture, ax=axes, shrink=0.6, label="share of the row")
    figure.savefig(path, dpi=120)
    return Path(path)
