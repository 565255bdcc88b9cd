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
from models.errors import UserError
from models.generation.generate import generate_text, start_id
from models.tasks.reading import loss_function, training_batches, validation_batches
from models.tasks.run import RunOptions, exit_code, finish, read_settings, unchanged_digest, use_device
from models.text.batching import train_val_split
from models.text.sources import corpora
from models.text.tokenizers import TOKENIZERS
from models.training.trainer import TrainConfig, Trainer
from models.weights.checkpoint import Checkpoint

SAMPLE_TOKENS = 200
TRAINING = {
    "gpt": TrainConfig(),
    "rnn": TrainConfig(batch_size=50, learning_rate=2e-3),
}


@dataclass
class LanguageRun(RunOptions):
    """A run on a text that is cut into tokens."""

    tokenizer: Literal["char", "word", "byte"] = "char"
    """What a token is."""
    max_vocab: int = 0
    """The most tokens to tell apart: rarer characters or words become <unk>; 0: no limit."""

    fixed: ClassVar[tuple[str, ...]] = ("tokenizer", "max_vocab")

    def __post_init__(self):
        super().__post_init__()
        if self.max_vocab < 0 or self.max_vocab == 1:
            raise UserError(f"max_vocab={self.max_vocab}: expected 2 tokens or more, or 0 for no limit")
        if self.max_vocab and self.tokenizer == "byte":
            raise UserError("max_vocab has no meaning for bytes, of which there are 256: leave it away")


def train(name: str, flags: list[str]) -> int:
    """Run `minigrad train NAME ...`. Returns 0, or 128 + the signal's number if one ended it early."""
    defaults = {
        "run": LanguageRun(),
        "model": registry.architecture(name).config.preset("nano"),
        "training": TRAINING[name],
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
        limit = {"max_size": run.max_vocab} if run.max_vocab else {}
        tokenizer = TOKENIZERS[run.tokenizer].from_text(text, **limit)
        config = dataclasses.replace(config, vocab_size=tokenizer.vocab_size)
        model = registry.architecture(name).model(config)
    model.to(device)
    train_ids, val_ids = train_val_split(tokenizer.encode(text))
    trainer = Trainer(
        model,
        training_batches(model, train_ids, training.batch_size, training.seed),
        training,
        validation=validation_batches(model, val_ids, training.batch_size, training.eval_batches),
        loss=loss_function(model),
        tokenizer=tokenizer,
        directory=run.out,
        log=run.log,
        sample=lambda: generate_text(
            model, tokenizer, _opening(tokenizer, text), max_tokens=SAMPLE_TOKENS, temperature=0.8, seed=training.seed
        ),
        extra=run.record(digest),
    )
    if checkpoint:
        trainer.resume(checkpoint)
    return trainer


def _opening(tokenizer, text: str) -> str:
    """What a sample goes on from: nothing where that will do, the text's first character where lines never end."""
    try:
        start_id(tokenizer)
        return ""
    except UserError:
        return text[0]
