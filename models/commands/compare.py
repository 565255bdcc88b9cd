"""`minigrad compare`: several classifiers on one data set, as a table and a picture.

minigrad compare --data reuters-r8 --bodies naive-bayes,svm,textcnn --seeds 3 --out runs/comparison
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from models.classifiers.comparison import Score, compare, markdown, plot
from models.classifiers.config import BODIES, ClassifierConfig
from models.classifiers.training import FitConfig
from models.configuration import check_whole, parse_flags, read_toml
from models.errors import UserError
from models.tasks.classification import ClassifierRun
from models.tasks.settings import use_device


@dataclass
class Comparison(ClassifierRun):
    """What to compare, on which texts. Every other setting is the same for all."""

    bodies: str = "naive-bayes,logistic,svm,average,textcnn"
    """The classifiers, with commas between; `all` for every one there is."""
    out: Path = Path("runs/comparison")  # type: ignore[assignment]  # always given
    """Directory for the table, the numbers with all settings, and the picture."""
    seeds: int = 3
    """How often each is taught, on another division of the data and from another start."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(self, "seeds")
        unknown = [body for body in self.names if body not in BODIES]
        if unknown or not self.names:
            raise UserError(f"bodies={self.bodies!r}: no body {', '.join(unknown)!r}; there are {', '.join(BODIES)}")

    @property
    def names(self) -> list[str]:
        """The bodies, each once."""
        given = BODIES if self.bodies == "all" else (name.strip() for name in self.bodies.split(","))
        return list(dict.fromkeys(name for name in given if name))


def main(argv: list[str]) -> int:
    """Run `minigrad compare ...`. Raises UserError or DataError for what a user can put right."""
    sections = {"run": Comparison(), "model": ClassifierConfig(), "training": FitConfig()}

    def parse(sections):
        hidden = ("body", "vocab_size", "labels", "multi_label", "seed", "split_seed", "resume", "log")
        return parse_flags(sections, argv, "minigrad compare", "Compare classifiers on one data set.", hidden)

    config = parse(sections)["run"].config
    sections = parse(read_toml(sections, config) if config else sections)
    run = sections["run"]
    use_device(run)
    scores: list[Score] = []

    def load(seed):
        return dataclasses.replace(run, split_seed=seed).load()

    for score in compare(load, sections["model"], sections["training"], run.names, range(run.seeds)):
        scores.append(score)
        print(
            f"{score.body}, seed {score.seed}: accuracy {score.accuracy:.3f}, macro-F1 {score.macro_f1:.3f}, "
            f"{score.seconds:.1f} s",
            flush=True,
        )
        _write(run, sections, scores)
    print(f"\n{markdown(scores)}\n\nin {run.out}: table.md, table.json with the settings, plot.png")
    return 0


def _write(run: Comparison, sections: dict, scores: list[Score]) -> None:
    """The table, the numbers with all settings, and the picture, of what there is so far."""
    settings = {name: value for section in sections.values() for name, value in dataclasses.asdict(section).items()}
    numbers = {"settings": settings, "scores": [dataclasses.asdict(score) for score in scores]}
    try:
        run.out.mkdir(parents=True, exist_ok=True)
        (run.out / "table.md").write_text(markdown(scores) + "\n", encoding="utf-8")
        (run.out / "table.json").write_text(json.dumps(numbers, indent=1, default=str), encoding="utf-8")
        plot({run.data: scores}, run.out / "plot.png")
    except OSError as error:
        raise UserError(f"{run.out}: cannot be written: {error.strerror}") from None
