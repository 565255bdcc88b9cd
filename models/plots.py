"""The picture at the end of a training run: loss against step."""

import os
from pathlib import Path

import numpy as np

from models.log import read_log


def plot_losses(log: str | os.PathLike, path: str | os.PathLike, title: str = "") -> Path:
    """Draw the losses of a training log (see models.log) into an image file and return its path.

    The batches' loss is noisy, so it is drawn pale with its running mean on top; the validation loss has
    marks and another line style. The picture reads the same in print without colour.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    steps, losses, val_steps, val_losses = [], [], [], []
    for record in read_log(log):
        steps.append(record["step"])
        losses.append(record["loss"])
        if "val_loss" in record:
            val_steps.append(record["step"])
            val_losses.append(record["val_loss"])

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    FigureCanvasAgg(figure)  # draws without a display
    axes = figure.add_subplot()
    axes.plot(steps, losses, color="0.8", linewidth=0.8, label="training, each batch")
    axes.plot(steps, running_mean(losses), color="#1f5fa8", linewidth=1.8, label="training, running mean")
    if val_losses:
        label = f"validation (last {val_losses[-1]:.3f})"
        axes.plot(val_steps, val_losses, color="black", linestyle="--", marker="o", markersize=4, label=label)
    axes.set_xlabel("step")
    axes.set_ylabel("cross-entropy (nats per token)")
    axes.set_title(title)
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
    return Path(path)


def running_mean(values: list[float]) -> np.ndarray:
    """The mean around each value, over a window of a fiftieth of the run (fewer values at the ends)."""
    values = np.asarray(values, np.float64)
    radius = max(1, len(values) // 100)
    totals = np.concatenate([[0.0], np.cumsum(values)])
    low = np.maximum(np.arange(len(values)) - radius, 0)
    high = np.minimum(np.arange(len(values)) + radius + 1, len(values))
    return (totals[high] - totals[low]) / (high - low)
