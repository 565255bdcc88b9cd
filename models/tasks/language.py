"""Language modelling: guess the next token of a text.

minigrad train gpt --data shakespeare --out runs/play --num-layers 6 --steps 5000
minigrad train gpt --out runs/play --resume
minigrad eval runs/play
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

import nn
from models.configuration import choose_device
from models.errors import UserError
from models.generation.generate import generate_text, start_id
from models.registry import Architecture
from models.tasks.base import Job, Task
from models.tasks.evaluation import evaluate
from models.tasks.reading import loss_function, training_batches, validation_batches
from models.tasks.settings import RunOptions, TextEvaluation, recorded
from models.text.batching import train_val_split
from models.text.sources import corpora
from models.text.tokenizers import TOKENIZERS, Tokenizer
from models.training.trainer import Batch, Batches, Loss
from models.weights.checkpoint import Checkpoint

SAMPLE_TOKENS = 200


@dataclass
class LanguageRun(RunOptions):
    """A run on a text that is cut into tokens."""

    tokenizer: Literal["char", "word", "byte"] = "char"
    """What a token is."""
    max_vocab: int = 0
    """The most tokens to tell apart: rarer characters or words become <unk>; 0: no limit."""

    fixed: ClassVar[tuple[str, ...]] = ("tokenizer", "max_vocab")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_vocab < 0 or self.max_vocab == 1:
            raise UserError(f"max_vocab={self.max_vocab}: expected 2 tokens or more, or 0 for no limit")
        if self.max_vocab and self.tokenizer == "byte":
            raise UserError("max_vocab has no meaning for bytes, of which there are 256: leave it out")


@dataclass
class LanguageEvaluation(TextEvaluation):
    """Loss, perplexity and bits per character, over every token of a text once."""

    split: Literal["val", "train", "all"] = "val"
    """The part to predict: the last tenth (val), which training leaves out, the rest (train), or all."""
    batch_size: int = 16
    """Windows that are predicted at once."""

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UserError(f"--batch-size {self.batch_size}: expected at least 1")


class LanguageModelling(Task):
    """The mean cross-entropy of each token of a text, given those before it. Models: see LanguageModel."""

    name = "language"
    options = LanguageRun
    evaluation = LanguageEvaluation
    description = "Train a {name} on a text."
    usage = 'minigrad generate {out} --prompt "..."   minigrad eval {out}'

    def read(self, run: LanguageRun) -> str:
        """The text."""
        return corpora.text(run.data)

    def build(
        self, architecture: Architecture, config: Any, run: LanguageRun, data: str
    ) -> tuple[nn.Module, Tokenizer]:
        """A tokenizer of the text, and a model of as many tokens."""
        limit = {"max_size": run.max_vocab} if run.max_vocab else {}
        tokenizer_type: Any = TOKENIZERS[run.tokenizer]
        tokenizer = tokenizer_type.from_text(data, **limit)
        return architecture.model(dataclasses.replace(config, vocab_size=tokenizer.vocab_size)), tokenizer

    def encode(self, data: str, model: Any, tokenizer: Tokenizer) -> tuple[np.ndarray, np.ndarray]:
        """The ids to train and to validate on."""
        return train_val_split(tokenizer.encode(data))

    def batches(self, job: Job) -> Batches:
        """Windows or streams of the first nine tenths of the text."""
        return training_batches(job.model, job.examples[0], job.training.batch_size, job.training.seed)

    def validation(self, job: Job) -> list[Batch]:
        """Of the last tenth."""
        return validation_batches(job.model, job.examples[1], job.training.batch_size, job.training.eval_batches)

    def loss(self, job: Job) -> Loss:
        """The next token's, with a state that is carried along where the model has one."""
        return loss_function(job.model)

    def sample(self, job: Job) -> Callable[[], str]:
        """What the model writes."""
        opening = _opening(job.tokenizer, job.data)
        options = {"max_tokens": SAMPLE_TOKENS, "temperature": 0.8, "seed": job.training.seed}
        return lambda: generate_text(job.model, job.tokenizer, opening, **options)

    def evaluate(self, checkpoint: Checkpoint, options: LanguageEvaluation) -> dict:
        """The fields of an Evaluation, with the data's name and the part of it."""
        if checkpoint.tokenizer is None:
            raise UserError("the checkpoint was saved without a tokenizer: it cannot read text")
        data = options.data or recorded(checkpoint).get("data")
        if data is None:
            raise UserError("the checkpoint does not say what it was trained on: name a text with --data")
        ids = checkpoint.tokenizer.encode(corpora.text(data))
        if options.split != "all":
            training, validation = train_val_split(ids)  # as in training
            ids = validation if options.split == "val" else training
        model = checkpoint.model.to(choose_device(options.device))
        found = evaluate(model, checkpoint.tokenizer, ids, options.batch_size)
        return {"data": data, "split": options.split} | dataclasses.asdict(found)

    def predict(self, checkpoint: Checkpoint, texts: Sequence[str]) -> list[str]:
        """How each text goes on, with the likeliest token each time."""
        return [generate_text(checkpoint.model, checkpoint.tokenizer, text, temperature=0.0) for text in texts]


def _opening(tokenizer: Tokenizer, text: str) -> str:
    """What a sample goes on from: nothing where that will do, the text's first character where lines never end."""
    try:
        start_id(tokenizer)
        return ""
    except UserError:
        return text[0]
