"""How a neural body is taught: epochs over the texts until the validation loss no longer falls."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.tensor import Tensor
from models.classifiers.batches import TextBatches, batches_by_length
from models.classifiers.class_weights import class_weights
from models.classifiers.model import AT_ONCE, BagClassifier, ClassifierModel
from models.configuration import check_number, check_probability, check_whole
from models.errors import UserError
from models.text.augmentation import Change, augmentation
from models.text.batching import tensors_for
from models.text.tokenizers import Tokenizer
from models.training.loop import Result
from models.training.trainer import TrainConfig, Trainer
from models.weights.checkpoint import Checkpoint, save_checkpoint
from nn import functional as F

MIN_LEARNING_RATE = 0.1  # of the learning rate, where the cosine ends
WARMUP = 0.05  # of all steps


@dataclass
class FitConfig:
    """How to teach a classifier. Raises UserError for values without sense.

    Bags of words are fitted in one go, and use class_weight and seed alone.
    """

    epochs: int = 20
    """Times that all texts are gone through, at most."""
    patience: int = 3
    """Epochs in a row without a lower validation loss that end the training; 0: go through all."""
    batch_size: int = 32
    """Texts in a batch."""
    learning_rate: float | None = None
    """The highest, after a warm-up and before the cosine; the body's own if not given."""
    weight_decay: float = 0.01
    """AdamW's, for matrices."""
    class_weight: str = "none"
    """What a class's texts count: none (one each), balanced (rare classes more), or such as spam=3,ham=1."""
    token_dropout: float = 0.0
    """Augmentation: the probability of leaving out a token."""
    token_swap: float = 0.0
    """Augmentation: the share of tokens that change places."""
    synonym_rate: float = 0.0
    """Augmentation: the probability of replacing a word by one with a like vector, of --vectors."""
    vectors: str = ""
    """Word vectors for synonyms: a run of `minigrad train word2vec` or glove, or a file of vectors."""
    seed: int = 0
    """Of everything random: weights, order, dropout, augmentation."""

    def __post_init__(self) -> None:
        check_whole(self, "epochs", "batch_size")
        check_whole(self, "patience", "seed", least=0)
        if self.learning_rate is not None:
            check_number(self, "learning_rate", zero=False)
        check_number(self, "weight_decay")
        check_probability(self, "token_dropout", "token_swap", "synonym_rate")
        if self.synonym_rate and not self.vectors:
            raise UserError(f"synonym_rate={self.synonym_rate}: name the word vectors to find synonyms by in vectors")


def make_trainer(
    model: ClassifierModel,
    train: tuple[Sequence[np.ndarray], np.ndarray],
    validation: tuple[Sequence[np.ndarray], np.ndarray],
    fit: FitConfig,
    synonyms: np.ndarray | None = None,
    extra: dict | None = None,
    **options: Any,
) -> Trainer:
    """A Trainer that evaluates and saves once an epoch.

    train, validation  the token ids of the texts, and their targets
    synonyms           (vocab_size, choices) for replace_by_synonyms
    extra, options     Trainer's: tokenizer, directory, log, quiet
    """
    config = model.config
    augment: Change | None = augmentation(fit.token_dropout, fit.token_swap, fit.synonym_rate, synonyms)
    batches = TextBatches(*train, fit.batch_size, config.pad_id, fit.seed, augment)
    rate = fit.learning_rate or model.body.learning_rate
    steps = fit.epochs * len(batches)
    training = TrainConfig(
        steps=steps,
        batch_size=fit.batch_size,
        learning_rate=rate,
        min_learning_rate=MIN_LEARNING_RATE * rate,
        warmup_steps=round(WARMUP * steps),
        weight_decay=fit.weight_decay,
        betas=(0.9, 0.999),
        eval_every=len(batches),
        patience=fit.patience,
        save_every=len(batches),
        sample_every=0,
        seed=fit.seed,
    )
    sequences, targets = validation
    by_length = batches_by_length(sequences, AT_ONCE, config.pad_id)
    return Trainer(
        model,
        batches,
        training,
        validation=[(ids, targets[rows]) for rows, ids in by_length],
        loss=Loss(class_weights(fit.class_weight, train[1], config.labels), config.multi_label),
        extra={"training": asdict(fit)} | (extra or {}),
        **options,
    )


class FitAtOnce:
    """In a Trainer's place for a body that counts words: it is fitted to all texts at once, without steps.

    examples               the token ids of the texts, and their targets
    tokenizer, directory   saved together with the model, and where; no directory, no checkpoint
    extra                  the checkpoint's state
    """

    steps = step = 0

    def __init__(
        self,
        model: BagClassifier,
        examples: tuple[Sequence[np.ndarray], np.ndarray],
        fit: FitConfig,
        *,
        tokenizer: Tokenizer | None = None,
        directory: str | os.PathLike | None = None,
        extra: dict | None = None,
        log: str | os.PathLike | None = None,
        quiet: bool = True,
    ):
        self.model, self.examples, self.fit = model, examples, fit
        self.tokenizer, self.directory, self.extra = tokenizer, directory, extra

    def run(self) -> Result:
        """Fit the body, and save it if there is a directory."""
        sequences, targets = self.examples
        weights = class_weights(self.fit.class_weight, targets, self.model.config.labels)
        self.model.body.fit(sequences, targets, weights, self.fit.seed)
        if self.directory:
            save_checkpoint(self.directory, self.model, self.tokenizer, state=self.extra)
        return Result(step=0, loss=None, val_loss=None, signal=None)

    def resume(self, checkpoint: Checkpoint) -> None:
        """Raises UserError: there is nothing between the beginning and the end."""
        raise UserError(
            f"{self.directory} holds a {self.model.config.body}: it is fitted in one go, and there is nothing to resume"
        )


class Loss:
    """Cross-entropy of one label among several, or of each label on its own (Nam et al. 2014, section 3.2)."""

    def __init__(self, weights: np.ndarray | None, multi_label: bool):
        self.weights, self.multi_label = weights, multi_label

    def __call__(self, model: ClassifierModel, batch: Sequence[Tensor]) -> mg.Tensor:
        ids, targets = batch
        logits = model(ids)
        weights = None if self.weights is None else tensors_for(model, [self.weights])[0]
        if self.multi_label:
            targets = targets.astype(logits.dtype)
            return F.binary_cross_entropy_with_logits(logits, targets, pos_weight=weights)
        return F.cross_entropy(logits, targets, weights)
