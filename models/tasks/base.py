"""Task: what a model is taught and judged by.

`minigrad train`, `eval`, `generate` and `classify` know tasks and protocols, never a model's class. A task says

    how examples become batches, and what the loss is     read, build, encode, batches, validation, loss
    what else happens while a model learns                sample, trainer
    how good it is                                        evaluate, table, pictures
    what it makes of an input                             predict
    what the commands ask                                 options, training, evaluation: dataclasses, a field a flag

A new task is a subclass in one file and one line in table.py; tests/models/test_one_file.py has a small one.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import minigrad as mg
import nn
from minigrad.kernels.ahead import compile_ahead
from models import registry
from models.configuration import Sections
from models.errors import UserError
from models.registry import Architecture
from models.tasks.settings import EvaluationOptions, RunOptions, unchanged_digest, use_device
from models.text.tokenizers import Tokenizer
from models.training.loop import Teacher
from models.training.plots import TOKEN_LOSS
from models.training.trainer import Batch, Batches, Loss, TrainConfig, Trainer, next_token_loss
from models.weights.checkpoint import Checkpoint


@dataclass
class Job:
    """A model about to be taught: what a task's methods work on.

    name             the architecture's
    run, training    the options and the training settings, of the task's classes
    data             what Task.read returned, and examples, what Task.encode made of it
    model, tokenizer what Task.build returned, or what was in the checkpoint; the model is on the device asked for
    """

    name: str
    run: Any
    training: Any
    data: Any
    examples: Any
    model: Any
    tokenizer: Any  # a Tokenizer, of the task's kind


class Task:
    """Base of the tasks: a subclass writes read, build, batches and evaluate, and of the rest what differs.

    name         by which an architecture, `--task` and a checkpoint call it
    options      what `minigrad train` asks beside the model's and the training's settings
    training     how to train: a dataclass of settings
    evaluation   what `minigrad eval` asks
    hidden       fields that are no flags, because they follow from the data
    loss_label   beside the axis of the loss plot
    description  of `minigrad train NAME --help`, with {name} for the architecture's
    usage        what to do with a trained model, with {out} for its directory
    """

    name: str
    options: type[RunOptions] = RunOptions
    training: type = TrainConfig
    evaluation: type[EvaluationOptions] = EvaluationOptions
    hidden: tuple[str, ...] = ("vocab_size",)
    loss_label: str = TOKEN_LOSS
    description: str = "Train a {name}."
    usage: str = "minigrad eval {out}"

    # Learning.

    def sections(self, architecture: Architecture) -> Sections:
        """What settings begin with, where neither a checkpoint, nor a file, nor a flag says otherwise."""
        return {
            "run": self.options(),
            "model": architecture.config(**architecture.start),
            "training": self.training(**architecture.training),
        }

    def read(self, run: Any) -> Any:
        """The examples of a run. Raises DataError."""
        raise NotImplementedError(f"{type(self).__name__} has no read")

    def fingerprint(self, data: Any) -> str:
        """A text that changes when the data do: a run cannot be resumed on other data."""
        return data

    def build(self, architecture: Architecture, config: Any, run: Any, data: Any) -> tuple[nn.Module, Tokenizer | None]:
        """A model to be taught on the data, and its tokenizer. Random numbers come from minigrad's generator."""
        raise NotImplementedError(f"{type(self).__name__} has no build")

    def encode(self, data: Any, model: Any, tokenizer: Any) -> Any:
        """The examples as batches are made of them, such as ids."""
        return data

    def batches(self, job: Job) -> Batches:
        """Endless batches to train on."""
        raise NotImplementedError(f"{type(self).__name__} has no batches")

    def validation(self, job: Job) -> Iterable[Batch]:
        """Batches to evaluate on, the same each time; by default there are none."""
        return ()

    def loss(self, job: Job) -> Loss:
        """loss(model, batch) -> a scalar Tensor, for these batches in their order."""
        return next_token_loss

    def sample(self, job: Job) -> Callable[[], str] | None:
        """What shows now and then how well the model does, if anything."""
        return None

    def trainer(self, job: Job, **options: Any) -> Teacher:
        """What teaches the model; options are a Loop's: tokenizer, directory, log, extra."""
        return Trainer(
            job.model,
            self.batches(job),
            job.training,
            validation=self.validation(job),
            loss=self.loss(job),
            sample=self.sample(job),
            **options,
        )

    def introduction(self, job: Job, loop: Teacher) -> str:
        """What is about to be taught, in a line."""
        start = f", from step {loop.step}" if loop.step else ""
        count = job.model.num_parameters()
        return f"{job.name} with {count:,} parameters, on {job.run.data}, {loop.steps} steps{start}"

    def conclusion(self, job: Job) -> str:
        """What to say of a finished run, in lines."""
        return f"try: {self.usage.format(out=job.run.out)}"

    # Judging and using.

    def evaluate(self, checkpoint: Checkpoint, options: Any) -> dict:
        """How good a model is: what was measured, by name, as JSON values. Raises UserError or DataError."""
        raise NotImplementedError(f"{type(self).__name__} has no evaluate")

    def table(self, found: dict) -> str:
        """The same for a reader."""

        def shown(value: Any) -> str:
            if isinstance(value, float):
                return f"{value:.4f}"
            return f"{value:,}" if isinstance(value, int) else str(value)

        width = max(map(len, found))
        return "\n".join(f"{name.replace('_', ' '):{width}}  {shown(value)}" for name, value in found.items())

    def pictures(self, found: dict, directory: Path) -> dict[str, Path]:
        """Draw what was measured into a model's directory; the pictures by what they show."""
        return {}

    def predict(self, checkpoint: Checkpoint, texts: Sequence[str]) -> list[Any]:
        """What a trained model makes of each text. Raises UserError for a task without such a thing."""
        raise UserError(f"a {registry.name_of(checkpoint.model)} makes nothing of a text by itself")


def prepare(task: Task, name: str, sections: Sections, checkpoint: Checkpoint | None = None) -> tuple[Job, Teacher]:
    """A model and what teaches it, from the start or from a checkpoint.

    name      the architecture's, as in models/registry.py
    sections  all settings, {"run", "model", "training"}; see settings.read_settings

    Raises UserError or DataError for data that are not available or have changed, and for a missing GPU.
    """
    run, training = sections["run"], sections["training"]
    device = use_device(run)
    if device == "cpu":
        compile_ahead(registry.architecture(name).kernels(sections["model"]))
    data = task.read(run)
    digest = unchanged_digest(run, task.fingerprint(data), checkpoint)
    mg.manual_seed(training.seed)
    if checkpoint:
        model, tokenizer = checkpoint.model, checkpoint.tokenizer
    else:
        model, tokenizer = task.build(registry.architecture(name), sections["model"], run, data)
    examples = task.encode(data, model, tokenizer)
    job = Job(name, run, training, data, examples, model.to(device), tokenizer)
    extra = run.record(task.name, digest)
    loop = task.trainer(job, tokenizer=tokenizer, directory=run.out, log=run.log, extra=extra)
    if checkpoint:
        loop.resume(checkpoint)
    return job, loop
