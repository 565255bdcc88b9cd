"""How a language model is taught to guess the next token of a text.

minigrad train gpt --data shakespeare --out runs/play --num-layers 6 --steps 5000
minigrad train gpt --out runs/play --resume
"""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar, Literal

import minigrad as mg
from minigrad.kernels.ahead import compile_ahead
from models import registry
from models.checkpoint import Checkpoint
from models.generate import generate_text
from models.recipes.run import RunOptions, exit_code, finish, read_settings, unchanged_digest, use_device
from models.text import corpora
from models.text.batching import TokenBatches, evaluation_batches, train_val_split
from models.text.tokenizers import TOKENIZERS
from models.trainer import TrainConfig, Trainer

SAMPLE_TOKENS = 200


@dataclass
class LanguageRun(RunOptions):
    """A run on a text that is cut into tokens."""

    tokenizer: Literal["char", "word", "byte"] = "char"
    """What a token is."""

    fixed: ClassVar[tuple[str, ...]] = ("tokenizer",)


def train(name: str, flags: list[str]) -> int:
    """Run `minigrad train NAME ...`. Returns 0, or 128 + the signal's number if one ended it early."""
    defaults = {
        "run": LanguageRun(),
        "model": registry.architecture(name).config.preset("nano"),
        "training": TrainConfig(),
    }
    sections, checkpoint = read_settings(name, flags, defaults, f"Train a {name} on a text.", hidden=("vocab_size",))
    run, training = sections["run"], sections["training"]
    trainer = prepare(name, run, sections["model"], training, checkpoint)
    started_at = f", from step {trainer.step}" if checkpoint else ""
    print(
        f"{name} with {trainer.model.num_parameters():,} parameters, on {run.data}, {training.steps} steps{started_at}",
        flush=True,
    )
    result = trainer.run()
    finish(run, result)
    if not result.signal:
        print(f'try: minigrad generate {run.out} --prompt "..."   minigrad eval {run.out}')
    return exit_code(result)


def prepare(
    name: str, run: LanguageRun, config, training: TrainConfig, checkpoint: Checkpoint | None = None
) -> Trainer:
    """A Trainer for a language model on a text, from the start or from a checkpoint.

    Raises UserError or DataError for a text that cannot be had or has changed, and for a missing GPU.
    """
    device = use_device(run)
    if device == "cpu":
        compile_ahead()
    text = corpora.text(run.data)
    digest = unchanged_digest(run, text, checkpoint)
    mg.manual_seed(training.seed)
    if checkpoint:
        model, tokenizer, config = checkpoint.model, checkpoint.tokenizer, checkpoint.config
    else:
        tokenizer = TOKENIZERS[run.tokenizer].from_text(text)
        config = dataclasses.replace(config, vocab_size=tokenizer.vocab_size)
        model = registry.architecture(name).model(config)
    model.to(device)
    train_ids, val_ids = train_val_split(tokenizer.encode(text))
    batches = TokenBatches(train_ids, training.batch_size, config.context_length, training.seed)
    trainer = Trainer(
        model,
        batches,
        training,
        validation=_validation_batches(val_ids, training, config.context_length),
        tokenizer=tokenizer,
        directory=run.out,
        log=run.log,
        sample=lambda: generate_text(model, tokenizer, max_tokens=SAMPLE_TOKENS, temperature=0.8, seed=training.seed),
        extra=run.record(digest),
    )
    if checkpoint:
        trainer.resume(checkpoint)
    return trainer


def _validation_batches(ids, training: TrainConfig, context_length: int) -> list:
    """The same random windows at every evaluation, or the whole text where it is not longer than they are."""
    windows = training.eval_batches * training.batch_size * context_length
    if training.eval_batches == 0 or len(ids) <= windows:
        return list(evaluation_batches(ids, training.batch_size, context_length))
    batches = TokenBatches(ids, training.batch_size, context_length, seed=0)
    return [next(batches) for _ in range(training.eval_batches)]
