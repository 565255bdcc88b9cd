"""The pictures: loss against step at the end of a run, words on a plane, and what a recurrent network remembers."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

import minigrad as mg
from models.text.tokenizers import Tokenizer
from models.training.log import read_log

TOKEN_LOSS = "cross-entropy (nats per token)"


def plot_losses(log: str | os.PathLike, path: str | os.PathLike, title: str = "", loss: str = TOKEN_LOSS) -> Path:
    """Draw the losses of a training log (see models.training.log) into an image file and return its path.

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
    axes.set_ylabel(loss)
    axes.set_title(title)
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
    return Path(path)


def plot_words(groups: dict[str, list[str]], points: np.ndarray, path: str | os.PathLike, title: str = "") -> Path:
    """Draw words as labelled points into an image file and return its path.

    groups  {a group's name: its words}, each group in a colour and with a mark of its own; a word that is its
            group's name is bold
    points  (words, 2), in the order of the groups
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    colours = ("#1f5fa8", "#b5432a", "#3d7a33", "#7a4a9e", "#8a6d1b", "#2a8a8a", "#a83c72", "#555555")
    figure = Figure(figsize=(8, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    at = 0
    for number, (name, words) in enumerate(groups.items()):
        colour, mark = colours[number % len(colours)], "os^Dvp*X"[number % 8]
        x, y = points[at : at + len(words)].T
        axes.scatter(x, y, s=14, color=colour, marker=mark)
        for word, left, top in zip(words, x, y, strict=True):
            axes.annotate(
                word, (left, top), (3, 2), textcoords="offset points", color=colour, fontsize=9,
                fontweight="bold" if word == name else "normal",
            )  # fmt: skip
        at += len(words)
    axes.set(xticks=[], yticks=[], title=title)
    axes.margins(0.08)
    axes.spines[:].set_color("0.8")
    figure.savefig(path, dpi=110)
    return Path(path)


def running_mean(values: ArrayLike) -> np.ndarray:
    """The mean around each value, over a window of a fiftieth of the run (fewer values at the ends)."""
    values = np.asarray(values, np.float64)
    radius = max(1, len(values) // 100)
    totals = np.concatenate([[0.0], np.cumsum(values)])
    low = np.maximum(np.arange(len(values)) - radius, 0)
    high = np.minimum(np.arange(len(values)) + radius + 1, len(values))
    return (totals[high] - totals[low]) / (high - low)


def plot_hidden_units(model: Any, tokenizer: Tokenizer, text: str, path: str | os.PathLike, units: int = 24) -> Path:
    """Draw what a recurrent model's last layer remembers while it reads: a column for each token, a row for each unit.

    Of all units those are shown that hold a value longest (whose neighbours in time are most alike), the
    slowest at the top; h goes from -1 to 1.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    ids = tokenizer.encode(text)
    with mg.no_grad():
        hidden = model.hidden(ids[None])[0][:, 0].to("cpu").numpy()  # (time, hidden_size)
    change = (np.diff(hidden, axis=0) ** 2).sum(0) / (((hidden - hidden.mean(0)) ** 2).sum(0) + 1e-6)
    shown = hidden[:, np.argsort(change)[:units]].T  # (units, time)

    figure = Figure(figsize=(max(6, 0.145 * len(ids)), 0.5 + 0.145 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    image = axes.imshow(shown, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
    labels = [tokenizer.decode([id]).replace("\n", "↵").replace(" ", "·") for id in ids]
    axes.set_xticks(range(len(ids)), labels, fontsize=8, family="monospace")
    axes.set_yticks([])
    axes.set_ylabel("hidden units, the slowest at the top")
    axes.tick_params(length=0)
    figure.colorbar(image, ax=axes, fraction=0.02, pad=0.01, label="h")
    figure.savefig(path, dpi=110)
    return Path(path)
