"""TextClassifier: texts and labels in, predictions out, whatever the body.

classifier = TextClassifier(ClassifierConfig(body="textcnn"))
classifier.fit(texts, labels)                   # labels: a string each, or a tuple of strings (multi-label)
classifier.predict(["crude oil prices fell"])   # ["crude"]
classifier.predict_proba(["crude oil fell"])    # (texts, classes), the classes as in classifier.labels
classifier.save("runs/topics")
classifier = TextClassifier.load("runs/topics")
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import minigrad as mg
from models.classifiers.config import ClassifierConfig
from models.classifiers.evaluation import ClassifierEvaluation, evaluation
from models.classifiers.model import BagClassifier, ClassifierModel
from models.classifiers.synonyms import synonym_table
from models.classifiers.training import FitAtOnce, FitConfig, make_trainer
from models.classifiers.vocabulary import make_tokenizer
from models.errors import UserError
from models.text.sources.datasets import encode_labels, names_in
from models.text.sources.labelled import Label
from models.text.tokenizers import Tokenizer
from models.training.loop import Result, Teacher
from models.vectors.word_vectors import WordVectors
from models.weights.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

MAX_CHARACTERS = 10_000_000  # of one text; a longer one is a file of texts read as one
VALIDATION = 10  # every tenth text, where no validation texts are given
THRESHOLD = 0.5  # of several labels, those at least so probable are predicted


class TextClassifier:
    """A text classifier. Its tokenizer, labels and model are made from the texts that fit is given."""

    def __init__(self, config: ClassifierConfig | None = None):
        self.config = config or ClassifierConfig()
        self.tokenizer: Any = None  # a Tokenizer, once there are texts
        self.model: ClassifierModel | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of predict_proba's columns."""
        return self.config.labels

    # Learning.

    def fit(
        self,
        texts: Sequence[str],
        labels: Sequence[Label],
        validation: tuple[Sequence[str], Sequence[Label]] | None = None,
        fit: FitConfig | None = None,
        directory: str | Path | None = None,
        quiet: bool = True,
    ) -> Result:
        """Learn from texts and their labels, from the beginning; what an earlier fit learnt is forgotten.

        validation  texts and labels that tell when to stop (neural bodies only); every tenth text, if not given
        directory   where to save checkpoints, with a log beside them
        quiet       show no progress

        Returns how the training ended. Raises UserError or DataError
        for texts and labels that nothing can be learnt from.
        """
        fit = fit or FitConfig()
        mg.manual_seed(fit.seed)
        self.build(texts, labels)
        if validation is None and self.fitted.needs_validation:
            chosen = np.arange(len(texts)) % VALIDATION == VALIDATION - 1
            if not chosen.any():
                raise UserError(f"{len(texts)} texts: give validation texts, or {VALIDATION} texts at least")
            (texts, labels), validation = _split(texts, labels, ~chosen), _split(texts, labels, chosen)
        log = Path(directory) / "log.jsonl" if directory else None
        return self.trainer((texts, labels), validation, fit, directory=directory, log=log, quiet=quiet).run()

    def build(self, texts: Sequence[str], labels: Sequence[Label]) -> None:
        """Make the tokenizer, the labels and an untrained model, random by minigrad's generator, for training texts."""
        _check_examples(texts, labels)
        self.tokenizer = make_tokenizer(texts, self.config)
        multi_label = not isinstance(labels[0], str)
        names = names_in(labels)
        if len(names) < 2 and not (multi_label and names):
            raise UserError(f"every text has the same label, {names}: there is nothing to tell apart")
        self.config = dataclasses.replace(
            self.config, vocab_size=self.tokenizer.vocab_size, labels=tuple(names), multi_label=multi_label
        )
        self.model = ClassifierModel(self.config)

    def trainer(
        self,
        train: tuple[Sequence[str], Sequence[Label]],
        validation: tuple[Sequence[str], Sequence[Label]] | None,
        fit: FitConfig,
        **options: Any,
    ) -> Teacher:
        """What teaches the model, after build: steps down a gradient, or for a body that counts words a fit in one go.

        validation  only a neural body needs it
        options     a Loop's: directory, log, extra, quiet
        """
        examples = self.encode(train[0]), self.encode_labels(train[1])
        options["tokenizer"] = self.tokenizer
        if isinstance(self.fitted, BagClassifier):
            return FitAtOnce(self.fitted, examples, fit, **options)
        synonyms = None
        if fit.synonym_rate:
            synonyms = synonym_table(WordVectors.load(fit.vectors), self.tokenizer)
        if validation is None:
            raise UserError(f"a {self.config.body} is taught with validation texts: give some")
        others = self.encode(validation[0]), self.encode_labels(validation[1])
        return make_trainer(self.fitted, examples, others, fit, synonyms, **options)

    # Using.

    def predict(self, texts: Sequence[str]) -> list[Label]:
        """The likeliest label of each text; or a tuple of all labels of probability 0.5 and more (multi-label)."""
        return self.decide(self.predict_proba(texts))

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """Probabilities, float32 (texts, classes): they sum to 1, or are each label's own (multi-label)."""
        return self.fitted.predict_proba(self.encode(texts))

    def evaluate(self, texts: Sequence[str], labels: Sequence[Label]) -> ClassifierEvaluation:
        """Accuracy, F1 and confusions on texts whose labels are known. Raises DataError for labels never seen."""
        targets = self.encode_labels(labels)
        probabilities = self.predict_proba(texts)
        chosen = (probabilities >= THRESHOLD).astype(np.int64) if self.config.multi_label else probabilities.argmax(1)
        return evaluation(self.labels, targets, chosen)

    def decide(self, probabilities: np.ndarray) -> list[Label]:
        """The labels that predict makes of probabilities."""
        if self.config.multi_label:
            return [tuple(self.labels[i] for i in np.flatnonzero(row >= THRESHOLD)) for row in probabilities]
        return [self.labels[i] for i in probabilities.argmax(1)]

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The token ids of each text, cut to as many as the model reads. Raises UserError for an empty text."""
        limit = self.fitted.max_tokens
        return [self._encode(text, number)[:limit] for number, text in enumerate(texts, 1)]

    def encode_labels(self, labels: Sequence[Label]) -> np.ndarray:
        """Class numbers (texts,), or zeros and ones (texts, classes). Raises DataError for labels never seen."""
        return encode_labels([x if isinstance(x, str) else tuple(x) for x in labels], list(self.labels))

    def _encode(self, text: str, number: int) -> np.ndarray:
        _check_text(text, number)
        ids = self.tokenizer.encode(text)
        if not len(ids):
            raise UserError(f"text {number} is empty: {text[:40]!r} has nothing to classify")
        return ids

    @property
    def fitted(self) -> ClassifierModel:
        """The model. Raises UserError before there is one."""
        if self.model is None:
            raise UserError("this classifier has learnt nothing yet: call fit, or load a saved one")
        return self.model

    # Keeping.

    def save(self, directory: str | Path, state: dict | None = None) -> None:
        """Write a checkpoint (see models/weights/checkpoint.py), with JSON values for its state."""
        save_checkpoint(directory, self.fitted, self.tokenizer, state=state)

    @classmethod
    def load(cls, directory: str | Path) -> "TextClassifier":
        """The classifier in a checkpoint, the best one where early stopping kept it. Raises UserError."""
        return cls.of_checkpoint(load_checkpoint(directory, "classifier", with_optimizer=False))

    @classmethod
    def of_checkpoint(cls, checkpoint: Checkpoint) -> "TextClassifier":
        """The classifier in a checkpoint that has been read."""
        return cls.of_parts(checkpoint.model, checkpoint.tokenizer)

    @classmethod
    def of_parts(cls, model: ClassifierModel, tokenizer: Tokenizer) -> "TextClassifier":
        """The classifier of a model and its tokenizer."""
        classifier = cls(model.config)
        classifier.tokenizer, classifier.model = tokenizer, model
        return classifier


def _split(texts, labels, chosen: np.ndarray) -> tuple[list, list]:
    rows = np.flatnonzero(chosen)
    return [texts[row] for row in rows], [labels[row] for row in rows]


def _check_examples(texts: Sequence[str], labels: Sequence[Label]) -> None:
    """Refuse what cannot be texts with their labels, naming the first."""
    if isinstance(texts, str) or isinstance(labels, str):
        raise UserError("texts and labels are sequences of strings, one for each text, not one string")
    if len(texts) != len(labels):
        raise UserError(f"{len(texts)} texts and {len(labels)} labels: each text needs its label")
    if not len(texts):
        raise UserError("there are no texts to learn from")
    multi_label = isinstance(labels[0], tuple | list | set)
    for number, (text, label) in enumerate(zip(texts, labels, strict=True), 1):
        _check_text(text, number)
        several = isinstance(label, tuple | list | set)
        if several != multi_label:
            raise UserError(f"text {number} has the label {label!r}: some have one label and some a tuple of them")
        if not all(isinstance(name, str) and name.strip() for name in (label if several else (label,))):
            raise UserError(f"text {number} has no label: {label!r} is none; fill it or drop the text")


def _check_text(text: str, number: int) -> None:
    if not isinstance(text, str):
        raise UserError(f"text {number} is a {type(text).__name__}, not a string")
    if not text.strip():
        raise UserError(f"text {number} is empty: fill it or drop it")
    if len(text) > MAX_CHARACTERS:
        raise UserError(
            f"text {number} has {len(text):,} characters, more than {MAX_CHARACTERS:,}: is it a file of texts? "
            "Give each text on its own"
        )
