"""An architecture and a task of another package: one file. tests/models/test_one_file.py takes it through the commands.

The model is a table: the next character follows from the last one alone. The task teaches it pairs of characters, and
measures how often the likeliest is right.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

import minigrad as mg
import nn
from models import registry
from models.generation.generate import generate_text
from models.registry import Architecture
from models.tasks import table
from models.tasks.base import Task
from models.tasks.settings import TextEvaluation, recorded
from models.text.batching import TokenBatches
from models.text.sources import corpora
from models.text.tokenizers import CharTokenizer
from models.training.trainer import Trainer
from nn import functional as F
from nn.optim import SGD
from nn.optim.lr_scheduler import StepLR


@dataclass
class ToyConfig:
    vocab_size: int = 1
    scale: float = 0.01
    """Of the first logits."""


class Toy(nn.Module):
    """A table: the logits of the next character, a row for each character."""

    context_limit = 1

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.table = nn.Embedding(config.vocab_size, config.vocab_size)
        nn.init.normal_(self.table.weight, std=config.scale)

    def forward(self, ids):
        return self.table(ids)

    def next_logits(self, ids, caches=None):
        return self(ids)[:, -1]

    def new_caches(self, batch_size):
        return None


class ToyTask(Task):
    """The next character from the last one."""

    name = "pairs"
    evaluation = TextEvaluation
    usage = "minigrad generate {out}"

    def read(self, run):
        return corpora.text(run.data)

    def build(self, architecture, config, run, data):
        tokenizer = CharTokenizer.from_text(data)
        return architecture.model(dataclasses.replace(config, vocab_size=tokenizer.vocab_size)), tokenizer

    def encode(self, data, model, tokenizer):
        return tokenizer.encode(data)

    def batches(self, job):
        return TokenBatches(job.examples, job.training.batch_size, 4, job.training.seed)

    def loss(self, job):
        size = job.model.config.vocab_size
        return lambda model, batch: F.cross_entropy(model(batch[0]).reshape(-1, size), batch[1].flatten())

    def sample(self, job):
        return lambda: generate_text(job.model, job.tokenizer, "a", max_tokens=9, seed=0)

    def trainer(self, job, **options):
        optimizer = SGD(job.model.parameters(), lr=job.training.learning_rate, momentum=0.9)
        given = {"optimizer": optimizer, "schedule": StepLR(optimizer, 50), "loss": self.loss(job)}
        return Trainer(job.model, self.batches(job), job.training, sample=self.sample(job), **given, **options)

    def evaluate(self, checkpoint, options):
        ids = checkpoint.tokenizer.encode(corpora.text(options.data or recorded(checkpoint)["data"]))
        with mg.no_grad():
            guesses = checkpoint.model(mg.tensor(ids[None, :-1])).argmax(-1).numpy()[0]
        return {"accuracy": float(np.mean(guesses == ids[1:]))}


registry.register("toy", Architecture(ToyConfig, Toy, tasks=("pairs",)))
table.register(ToyTask())
