"""Several classifiers on the same texts: who is right how often, and at what cost."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from models.classifiers.config import ClassifierConfig
from models.classifiers.text_classifier import TextClassifier
from models.classifiers.training import FitConfig
from models.text.sources.datasets import Dataset


@dataclass(frozen=True)
class Score:
    """One classifier with one seed, on test texts: accuracy and macro-F1 from 0 to 1, seconds of learning."""

    body: str
    seed: int
    accuracy: float
    macro_f1: float
    seconds: float
    parameters: int


def compare(
    load: Callable[[int], Dataset],
    config: ClassifierConfig,
    fit: FitConfig,
    bodies: Sequence[str],
    seeds: Sequence[int],
) -> Iterator[Score]:
    """Teach every body with every seed, and score it as soon as that is done.

    load  the data set, divided by a seed: both what is learnt and what is tested differ from seed to seed
    """
    for seed in seeds:
        data = load(seed)
        (train, labels), validation, (test, truth) = (
            ([text for text, _ in part], [label for _, label in part])
            for part in (data.train, data.validation, data.test)
        )
        for body in bodies:
            classifier = TextClassifier(replace(config, body=body))  # type: ignore[arg-type]  # checked by it
            started = time.perf_counter()
            classifier.fit(train, labels, validation, replace(fit, seed=seed))
            seconds = time.perf_counter() - started
            report = classifier.evaluate(test, truth)
            yield Score(body, seed, report.accuracy, report.macro_f1, seconds, classifier.fitted.size)


def markdown(scores: Sequence[Score]) -> str:
    """A table with a row for each body, mean ± standard deviation over its seeds, the most accurate first."""
    lines = ["| body | seeds | accuracy % | macro-F1 % | seconds | parameters |", "|---|---|---|---|---|---|"]
    for body, own in by_accuracy(scores).items():
        accuracy, macro_f1 = (_spread([100 * getattr(s, field) for s in own]) for field in ("accuracy", "macro_f1"))
        seconds = statistics.mean(s.seconds for s in own)
        parameters = round(statistics.mean(s.parameters for s in own))
        lines.append(f"| {body} | {len(own)} | {accuracy} | {macro_f1} | {seconds:.1f} | {parameters:,} |")
    return "\n".join(lines)


def plot(comparisons: dict[str, Sequence[Score]], path: str | Path) -> Path:
    """Draw accuracy and macro-F1 of every body, a panel for each data set, and return the picture's path.

    The marks differ in shape and filling, so that the picture needs no colour; bars are standard deviations.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = max(len(by_accuracy(scores)) for scores in comparisons.values())
    figure = Figure(figsize=(4.4 * len(comparisons) + 1.2, 0.32 * rows + 1.3), layout="constrained")
    FigureCanvasAgg(figure)  # draws without a display
    panels = figure.subplots(1, len(comparisons), squeeze=False)[0]
    for axes, (title, scores) in zip(panels, comparisons.items(), strict=True):
        groups = by_accuracy(scores)
        places = range(len(groups), 0, -1)
        for field, label, above, style in (  # above or below a body's line, so that no mark hides the other
            ("accuracy", "accuracy", 0.12, {"fmt": "o", "color": "#1f5fa8"}),
            ("macro_f1", "macro-F1", -0.12, {"fmt": "s", "color": "black", "markerfacecolor": "white"}),
        ):
            values = [[100 * getattr(score, field) for score in own] for own in groups.values()]
            means, deviations = map(statistics.mean, values), map(_deviation, values)
            heights = [place + above for place in places]
            axes.errorbar(list(means), heights, xerr=list(deviations), label=label, capsize=2, markersize=5, **style)
        axes.set_yticks(list(places), groups)
        axes.set_title(title)
        axes.set_xlabel("% on the test texts")
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    figure.savefig(path, dpi=90)
    return Path(path)


def by_accuracy(scores: Sequence[Score]) -> dict[str, list[Score]]:
    """Each body's scores, the body of the highest mean accuracy first."""
    groups: dict[str, list[Score]] = {}
    for score in scores:
        groups.setdefault(score.body, []).append(score)
    return dict(sorted(groups.items(), key=lambda item: -statistics.mean(s.accuracy for s in item[1])))


def _spread(values: list[float]) -> str:
    return f"{statistics.mean(values):.1f}" + (f" ± {_deviation(values):.1f}" if len(values) > 1 else "")


def _deviation(values: list[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0
