"""How a text classifier is taught and judged, on a labelled data set or a file with columns of texts and labels.

minigrad train classifier --data reuters-r8 --body textcnn --out runs/topics
minigrad train classifier --data reviews.csv --text-column review --label-column stars --body bilstm
minigrad train classifier --out runs/topics --resume
minigrad eval runs/topics
"""

import dataclasses
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from typing import ClassVar, Literal

from minigrad.kernels.ahead import compile_ahead
from models.classifiers.config import ClassifierConfig
from models.classifiers.text_classifier import TextClassifier
from models.classifiers.training import FitConfig
from models.errors import UserError
from models.metrics import draw_confusion_matrix
from models.tasks.run import RunOptions, exit_code, finish, read_settings, unchanged_digest, use_device
from models.text.sources import datasets
from models.text.sources.datasets import Dataset
from models.weights.checkpoint import load_checkpoint


@dataclass
class ClassifierRun(RunOptions):
    """Which texts and labels to learn from, and where to."""

    data: str = "reuters-r8"
    """A labelled data set of `minigrad data list`, or a .csv, .tsv or .jsonl file."""
    text_column: str = "text"
    """The file's column of texts."""
    label_column: str = "label"
    """The file's column of labels."""
    label_separator: str | None = None
    """What stands between the labels of one text, such as "|"; a text may then have several, or none."""
    split_seed: int = 0
    """Of the division into training, validation and test texts, where the data set has none of its own."""

    fixed: ClassVar[tuple[str, ...]] = ("text_column", "label_column", "label_separator", "split_seed")

    def load(self) -> Dataset:
        """The data. Raises DataError."""
        columns = (self.text_column, self.label_column, self.label_separator)
        return datasets.load(self.data, self.split_seed, *columns)


def train(name: str, flags: list[str]) -> int:
    """Run `minigrad train classifier ...`. Returns 0, or 128 + the signal's number if one ended it early."""
    defaults = {"run": ClassifierRun(), "model": ClassifierConfig(), "training": FitConfig()}
    hidden = ("vocab_size", "labels", "multi_label")
    sections, checkpoint = read_settings(name, flags, defaults, "Train a text classifier.", hidden)
    run, config, fit = sections["run"], sections["model"], sections["training"]
    device = use_device(run)
    data = run.load()
    parts = [data.train, data.validation, data.test]
    digest = unchanged_digest(run, dumps(parts, ensure_ascii=False), checkpoint)
    texts, labels = columns(data.train)

    if checkpoint:
        classifier = TextClassifier.of_checkpoint(checkpoint)
        if classifier.model.is_bag:
            raise UserError(f"{run.out} holds a {config.body}: it is fitted in one go, and there is nothing to resume")
    else:
        classifier = TextClassifier(config)
        classifier.build(texts, labels, fit.seed)
    model = classifier.model.to(device)
    print(
        f"{config.body} on {len(texts):,} texts of {run.data} with {len(data.labels)} labels, "
        f"{classifier.config.vocab_size:,} {type(classifier.tokenizer).type} tokens",
        flush=True,
    )
    if model.is_bag:
        classifier.fit_bag(texts, labels, fit)
        classifier.save(run.out, run.record(digest))
        print(f"{model.size:,} numbers learnt; checkpoint {run.out}")
        _print_validation(classifier, data, run)
        return 0

    if config.body == "transformer":
        compile_ahead()
    trainer = classifier.trainer(
        (texts, labels),
        columns(data.validation),
        fit,
        directory=run.out,
        log=run.log,
        extra=run.record(digest),
    )
    if checkpoint:
        trainer.resume(checkpoint)
    print(f"{model.size:,} parameters, up to {trainer.steps} steps in {fit.epochs} epochs", flush=True)
    result = trainer.run()
    finish(run, result, "cross-entropy (nats per text)")
    if not result.signal:
        _print_validation(classifier, data, run)
    return exit_code(result)


def evaluate(argv: list[str]) -> int:
    """Run `minigrad eval DIR ...` for a classifier."""
    import tyro

    tyro.cli(report, args=argv, prog="minigrad eval")
    return 0


def report(
    directory: Path,
    /,
    data: str | None = None,
    split: Literal["test", "validation", "train"] = "test",
    json: bool = False,
) -> None:
    """Accuracy, F1 and, as a picture in the checkpoint's directory, the confusions of a classifier.

    Args:
        directory: A checkpoint, as `minigrad train classifier` makes them.
        data: A labelled data set or file with the columns it was trained on; the one itself, if not given.
        split: The part of the data to classify.
        json: Print one JSON object.
    """
    checkpoint = load_checkpoint(directory, "classifier", with_optimizer=False)
    kept = {name: value for name, value in checkpoint.state.get("run", {}).items() if name != "sha256"}
    if data:
        kept["data"] = data
    if "data" not in kept:
        raise UserError(f"{directory} does not say what it was trained on: name a data set with --data")
    part = getattr(ClassifierRun(**kept).load(), split)
    result = TextClassifier.of_checkpoint(checkpoint).evaluate(*columns(part))
    picture = None
    if result.confusion is not None:
        title = f"{directory.name}: {result.texts:,} {split} texts of {kept['data']}"
        picture = draw_confusion_matrix(
            result.confusion, list(result.labels), directory / f"confusion-{split}.png", title
        )
    if json:
        found = dataclasses.asdict(result) | {"confusion": None if picture is None else result.confusion.tolist()}
        print(dumps({"data": kept["data"], "split": split} | found, ensure_ascii=False))
        return
    print(
        f"{result.texts:,} {split} texts of {kept['data']}: accuracy {result.accuracy:.4f}, "
        f"macro-F1 {result.macro_f1:.4f}, micro-F1 {result.micro_f1:.4f}\n"
    )
    width = max(map(len, result.labels))
    print(f"{'':{width}}  precision  recall     F1  texts")
    for label, row in result.labels.items():
        print(f"{label:{width}}  {row['precision']:9.3f}  {row['recall']:6.3f}  {row['f1']:5.3f}  {row['texts']:5,}")
    if picture:
        print(f"\nconfusion matrix {picture}")


def columns(examples: list) -> tuple[list, list]:
    """Pairs (text, label) as texts and labels."""
    texts, labels = zip(*examples, strict=True)
    return list(texts), list(labels)


def _print_validation(classifier: TextClassifier, data: Dataset, run: ClassifierRun) -> None:
    report = classifier.evaluate(*columns(data.validation))
    print(
        f"on {len(data.validation):,} validation texts: accuracy {report.accuracy:.3f}, macro-F1 {report.macro_f1:.3f}"
    )
    print(f'try: minigrad classify {run.out} "..."   minigrad eval {run.out}')
