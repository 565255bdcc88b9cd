"""`minigrad train`: teach a model on a text.

    minigrad train gpt --data shakespeare --out runs/play --num-layers 6 --steps 5000
    minigrad train gpt --out runs/play --resume

Defaults come first, then (with --resume) what the run was started with, then --config FILE.toml, then
the flags.
"""

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import minigrad as mg
from minigrad.kernels.ahead import compile_ahead
from models import registry
from models.checkpoint import Checkpoint, load_checkpoint
from models.configuration import Sections, parse_flags, read_toml, replace_fields
from models.errors import UserError
from models.generate import generate_text
from models.plots import plot_losses
from models.text import corpora
from models.text.batching import TokenBatches, evaluation_batches, train_val_split
from models.text.tokenizers import TOKENIZERS
from models.trainer import Result, TrainConfig, Trainer

USAGE = "usage: minigrad train MODEL [options]\n       minigrad train MODEL --help"
SAMPLE_TOKENS = 200


@dataclass
class RunOptions:
    """What to train on and where to."""

    data: str = corpora.DEFAULT
    """A text of `minigrad data list`, or a UTF-8 text file."""
    out: Path | None = None
    """Directory for the checkpoint, the log and the loss plot; runs/MODEL if not given."""
    resume: bool = False
    """Continue the run in --out exactly where its last checkpoint was made."""
    config: Path | None = None
    """A TOML file of settings, named like the flags with _ for -."""
    log: Path | None = None
    """JSON Lines file with one object a step; OUT/log.jsonl if not given."""
    tokenizer: Literal["char", "word", "byte"] = "char"
    """What a token is."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto: the GPU if there is one."""
    threads: int = 0
    """CPU threads; 0: one for each core."""

    def __post_init__(self):
        if self.threads < 0:
            raise UserError(f"threads={self.threads}: expected a whole number, 0 or above")


def main(argv: list[str]) -> int:
    """Run `minigrad train MODEL ...`. Returns 0, or 128 + the signal's number if one ended it early."""
    if not argv or argv[0] in ("-h", "--help"):
        print(f"{USAGE}\n\nmodels: {', '.join(registry.MODELS)}")
        return 0 if argv else 2
    name, *flags = argv
    sections, checkpoint = _settings(name, flags)
    run, training = sections["run"], sections["training"]
    trainer = prepare(name, run, sections["model"], training, checkpoint)
    started_at = f", from step {trainer.step}" if checkpoint else ""
    print(
        f"{name} with {trainer.model.num_parameters():,} parameters, on {run.data}, {training.steps} steps{started_at}",
        flush=True,
    )
    result = trainer.run()
    finish(run, result)
    if result.signal:
        print("continue with the same command and --resume")
        return 128 + result.signal
    print(f'try: minigrad generate {run.out} --prompt "..."   minigrad eval {run.out}')
    return 0


def prepare(name: str, run: RunOptions, config, training: TrainConfig, checkpoint: Checkpoint | None = None) -> Trainer:
    """A Trainer for a language model on a text, from the start or from a checkpoint.

    Raises UserError or DataError for a text that cannot be had or has changed, and for a missing GPU.
    """
    device = _device(run.device)
    if run.threads:
        mg.threads.set_num_threads(run.threads)
    compile_ahead()
    text = corpora.text(run.data)
    digest = hashlib.sha256(text.encode()).hexdigest()
    mg.manual_seed(training.seed)
    if checkpoint:
        model, tokenizer, config = checkpoint.model, checkpoint.tokenizer, checkpoint.config
        if digest != checkpoint.state["run"]["sha256"]:
            raise UserError(
                f"the text of {run.data} has changed since the run in {run.out} began: resume with the text it was "
                "started with, or start a new run with another --out"
            )
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
        extra={"run": {"data": run.data, "tokenizer": run.tokenizer, "sha256": digest}},
    )
    if checkpoint:
        trainer.resume(checkpoint)
    return trainer


def finish(run: RunOptions, result: Result) -> None:
    """Draw the loss plot and say what there is now."""
    plot = plot_losses(run.log, run.out / "loss.png", title=f"{run.out.name}: {run.data}")
    validation = f", validation loss {result.val_loss:.4f}" if result.val_loss is not None else ""
    state = "stopped" if result.signal else "done"
    print(f"{state} at step {result.step}{validation}")
    print(f"checkpoint {run.out}, log {run.log}, loss plot {plot}")


def started_with(name: str, checkpoint: Checkpoint, sections: Sections) -> Sections:
    """The sections as they were when the run of a checkpoint was started."""
    if registry.name_of(checkpoint.model) != name:
        raise UserError(f"the checkpoint holds a {registry.name_of(checkpoint.model)}, not a {name}")
    if not checkpoint.state or "run" not in checkpoint.state:
        raise UserError("the checkpoint cannot be resumed: it has no state of a training run")
    started = {key: checkpoint.state["run"][key] for key in ("data", "tokenizer")} | checkpoint.state["training"]
    return replace_fields(sections | {"model": checkpoint.config}, started, source="the checkpoint's state.json")


def _settings(name: str, flags: list[str]) -> tuple[Sections, Checkpoint | None]:
    """All settings, and the checkpoint to resume from, if any."""
    defaults = {
        "run": RunOptions(),
        "model": registry.architecture(name).config.preset("nano"),
        "training": TrainConfig(),
    }

    def parse(sections: Sections) -> Sections:
        description = f"Train a {name} on a text."
        return parse_flags(sections, flags, f"minigrad train {name}", description, hidden=("vocab_size",))

    given = parse(defaults)["run"]  # a first look, for what decides where the defaults come from
    from_file = read_toml(defaults, given.config)["run"] if given.config else given
    out = given.out or from_file.out or Path("runs") / name
    checkpoint = None
    sections = defaults
    if given.resume or from_file.resume:
        checkpoint = load_checkpoint(out)
        sections = started_with(name, checkpoint, defaults)
    elif out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise UserError(f"{out} exists: continue that run with --resume, or choose another --out")
    if given.config:
        sections = read_toml(sections, given.config)
    sections = parse(sections)
    if checkpoint:
        _same_model(sections, checkpoint)
    run = sections["run"]
    log = run.log or out / "log.jsonl"
    return sections | {"run": dataclasses.replace(run, out=out, log=log)}, checkpoint


def _same_model(sections: Sections, checkpoint: Checkpoint) -> None:
    """Refuse to resume with other settings of the model than it was made with."""
    then = dataclasses.asdict(checkpoint.config) | {"tokenizer": checkpoint.state["run"]["tokenizer"]}
    now = dataclasses.asdict(sections["model"]) | {"tokenizer": sections["run"].tokenizer}
    for field, value in then.items():
        if now[field] != value:
            raise UserError(
                f"{field}={now[field]}, but the model to resume was made with {field}={value}: leave that "
                "setting away, or start a new run with another --out"
            )


def _validation_batches(ids, training: TrainConfig, context_length: int) -> list:
    """The same random windows at every evaluation, or the whole text where it is not longer than they are."""
    windows = training.eval_batches * training.batch_size * context_length
    if training.eval_batches == 0 or len(ids) <= windows:
        return list(evaluation_batches(ids, training.batch_size, context_length))
    batches = TokenBatches(ids, training.batch_size, context_length, seed=0)
    return [next(batches) for _ in range(training.eval_batches)]


def _device(wanted: str) -> str:
    """ "cpu" or "cuda"; raises UserError where the GPU that is asked for cannot be used."""
    if wanted == "cpu":
        return wanted
    problem = None
    try:
        import cupy

        if cupy.cuda.runtime.getDeviceCount() == 0:
            problem = "no GPU was found"
    except ImportError:
        problem = "cupy is not installed: pip install 'minigrad[cuda12]' or 'minigrad[cuda13]'"
    except Exception as error:  # cupy's own kinds, for a driver that is missing or too old
        problem = " ".join(str(error).split())
    if problem is None:
        return "cuda"
    if wanted == "auto":
        return "cpu"
    raise UserError(f"--device cuda: {problem}. `minigrad doctor` says more; --device cpu needs no GPU")
