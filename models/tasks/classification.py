"""Classification: one or several labels for a text, on a data set or a file with columns of texts and labels.

minigrad train classifier --data reuters-r8 --body textcnn --out runs/topics
minigrad train classifier --data reviews.csv --text-column review --label-column stars --body bilstm
minigrad train classifier --out runs/topics --resume
minigrad eval runs/topics
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

import nn
from models.classifiers.config import ClassifierConfig
from models.classifiers.text_classifier import TextClassifier
from models.classifiers.training import FitConfig
from models.errors import UserError
from models.metrics import draw_confusion_matrix
from models.registry import Architecture
from models.tasks.base import Job, Task
from models.tasks.settings import EvaluationOptions, RunOptions, recorded
from models.text.sources import datasets
from models.text.sources.datasets import Dataset
from models.text.sources.labelled import Example, Label
from models.text.tokenizers import Tokenizer
from models.training.loop import Teacher
from models.weights.checkpoint import Checkpoint


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
    """The text between the labels of one example, such as "|"; a text may then have several, or none."""
    split_seed: int = 0
    """Of the division into training, validation and test texts, where the data set has none of its own."""

    fixed: ClassVar[tuple[str, ...]] = ("text_column", "label_column", "label_separator", "split_seed")

    def load(self) -> Dataset:
        """The data. Raises DataError."""
        columns = (self.text_column, self.label_column, self.label_separator)
        return datasets.load(self.data, self.split_seed, *columns)


@dataclass
class ClassifierEvaluationOptions(EvaluationOptions):
    """Accuracy, F1 and confusions."""

    data: str | None = None
    """A labelled data set or file with the columns it was trained on; the one itself, if not given."""
    split: Literal["test", "validation", "train"] = "test"
    """The part of the data to classify."""


class Prediction(NamedTuple):
    """What a classifier makes of a text: its label (or labels), and the probability of each that there is."""

    label: Label
    probabilities: dict[str, float]


class Classification(Task):
    """Cross-entropy of the labels; bodies that count words are fitted to all texts at once."""

    name = "classification"
    options = ClassifierRun
    training = FitConfig
    evaluation = ClassifierEvaluationOptions
    hidden = ("vocab_size", "labels", "multi_label")
    loss_label = "cross-entropy (nats per text)"
    description = "Train a text {name}."
    usage = 'minigrad classify {out} "..."   minigrad eval {out}'

    def read(self, run: ClassifierRun) -> Dataset:
        """Texts and labels in three parts."""
        return run.load()

    def fingerprint(self, data: Dataset) -> str:
        """All texts and labels."""
        return dumps([data.train, data.validation, data.test], ensure_ascii=False)

    def build(
        self, architecture: Architecture, config: ClassifierConfig, run: ClassifierRun, data: Dataset
    ) -> tuple[nn.Module, Tokenizer]:
        """A tokenizer of the training texts, and a model of their labels."""
        classifier = TextClassifier(config)
        classifier.build(*columns(data.train))
        return classifier.fitted, classifier.tokenizer

    def trainer(self, job: Job, **options: Any) -> Teacher:
        """One that evaluates and saves once an epoch; or what fits a body in one go."""
        classifier = TextClassifier.of_parts(job.model, options.pop("tokenizer"))
        return classifier.trainer(columns(job.data.train), columns(job.data.validation), job.training, **options)

    def introduction(self, job: Job, loop: Teacher) -> str:
        """How many texts and labels there are, and what is to learn them."""
        config = job.model.config
        effort = f"\n{job.model.size:,} parameters, up to {loop.steps} steps in {job.training.epochs} epochs"
        return (
            f"{config.body} on {len(job.data.train):,} texts of {job.run.data} with {len(job.data.labels)} labels, "
            f"{config.vocab_size:,} {job.tokenizer.type} tokens{effort if loop.steps else ''}"
        )

    def conclusion(self, job: Job) -> str:
        """How good it is on the validation texts."""
        classifier = TextClassifier.of_parts(job.model, job.tokenizer)
        report = classifier.evaluate(*columns(job.data.validation))
        return (
            f"{job.model.size:,} numbers learnt; on {len(job.data.validation):,} validation texts: accuracy "
            f"{report.accuracy:.3f}, macro-F1 {report.macro_f1:.3f}\n{super().conclusion(job)}"
        )

    def evaluate(self, checkpoint: Checkpoint, options: ClassifierEvaluationOptions) -> dict:
        """The fields of a ClassifierEvaluation, with the data's name and the part of it."""
        kept = recorded(checkpoint)
        if options.data:
            kept["data"] = options.data
        if "data" not in kept:
            raise UserError("the checkpoint does not say what it was trained on: name a data set with --data")
        part = getattr(ClassifierRun(**kept).load(), options.split)
        found = dataclasses.asdict(TextClassifier.of_checkpoint(checkpoint).evaluate(*columns(part)))
        if found["confusion"] is not None:
            found["confusion"] = found["confusion"].tolist()
        return {"data": kept["data"], "split": options.split} | found

    def table(self, found: dict) -> str:
        """The scores of all texts, then those of each label."""
        lines = [
            f"{found['texts']:,} {found['split']} texts of {found['data']}: accuracy {found['accuracy']:.4f}, "
            f"macro-F1 {found['macro_f1']:.4f}, micro-F1 {found['micro_f1']:.4f}\n"
        ]
        width = max(map(len, found["labels"]))
        lines.append(f"{'':{width}}  precision  recall     F1  texts")
        for label, row in found["labels"].items():
            scores = f"{row['precision']:9.3f}  {row['recall']:6.3f}  {row['f1']:5.3f}  {row['texts']:5,}"
            lines.append(f"{label:{width}}  {scores}")
        return "\n".join(lines)

    def pictures(self, found: dict, directory: Path) -> dict[str, Path]:
        """The confusions, where a text has one label."""
        if found["confusion"] is None:
            return {}
        title = f"{directory.name}: {found['texts']:,} {found['split']} texts of {found['data']}"
        path = directory / f"confusion-{found['split']}.png"
        return {
            "confusion matrix": draw_confusion_matrix(np.array(found["confusion"]), list(found["labels"]), path, title)
        }

    def predict(self, checkpoint: Checkpoint, texts: Sequence[str]) -> list[Prediction]:
        """The label of each text and all probabilities."""
        classifier = TextClassifier.of_checkpoint(checkpoint)
        probabilities = classifier.predict_proba(texts)
        return [
            Prediction(label, dict(zip(classifier.labels, row.tolist(), strict=True)))
            for label, row in zip(classifier.decide(probabilities), probabilities, strict=True)
        ]


def columns(examples: list[Example]) -> tuple[list[str], list[Label]]:
    """Pairs (text, label) as texts and labels."""
    texts, labels = zip(*examples, strict=True)
    return list(texts), list(labels)
