"""What `minigrad train` and `eval` ask: options, settings from three places, what a resumed run may change.

Defaults come first, then (with --resume) what the run was started with, then --config FILE.toml, then
the flags.
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import minigrad as mg
from models import registry
from models.configuration import Sections, check_whole, choose_device, parse_flags, read_toml, replace_fields
from models.errors import UserError
from models.text.sources import corpora
from models.training.loop import Result
from models.training.plots import TOKEN_LOSS, plot_losses
from models.weights.checkpoint import Checkpoint, load_checkpoint


@dataclass
class RunOptions:
    """What to train on and where to. A task that asks more adds fields in a subclass."""

    data: str = corpora.DEFAULT
    """A text of `minigrad data list`, or a UTF-8 text file."""
    out: Path | None = None
    """Directory for the checkpoint, the log and the loss plot; runs/MODEL if not given."""
    resume: bool = False
    """Continue the run in --out exactly where its last checkpoint was made."""
    config: Path | None = None
    """A TOML file of settings, named like the flags with _ for -."""
    log: Path | None = None
    """JSON Lines file with one object per step; OUT/log.jsonl if not given."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto: the GPU if there is one."""
    threads: int = 0
    """CPU threads; 0: one for each core."""

    fixed: ClassVar[tuple[str, ...]] = ()
    """Fields that the model was made with, which a resumed run cannot change."""

    def __post_init__(self) -> None:
        check_whole(self, "threads", least=0)

    def record(self, task: str, digest: str) -> dict:
        """What the checkpoint's state keeps of the run, as a Loop's `extra`: how it was started, on which data."""
        kept = {field: getattr(self, field) for field in ("data", *self.fixed)}
        return {"run": kept | {"task": task, "sha256": digest}}


@dataclass
class EvaluationOptions:
    """How `minigrad eval` measures. A task that asks more adds fields in a subclass."""

    json: bool = False
    """Print one JSON object."""


@dataclass
class TextEvaluation(EvaluationOptions):
    """An evaluation on data with parts."""

    data: str | None = None
    """Data of `minigrad data list`, or a file; what the model was trained on, if not given."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto: on the GPU if there is one."""


def recorded(checkpoint: Checkpoint) -> dict:
    """The options that a checkpoint's run was started with; empty for a model that no command trained."""
    kept = (checkpoint.state or {}).get("run", {})
    return {name: value for name, value in kept.items() if name not in ("sha256", "task")}


def read_settings(
    name: str, flags: Sequence[str], defaults: Sections, description: str, hidden: Sequence[str] = ()
) -> tuple[Sections, Checkpoint | None]:
    """All settings of a run, with `out` and `log` filled in, and the checkpoint to resume from, if any.

    defaults  {"run": RunOptions(), "model": a configuration, ...}, whose fields are the flags
    hidden    fields that are no flags, because they follow from the data

    Raises UserError for values that make no sense, an `out` that is taken, a checkpoint that cannot be
    resumed, and settings that would make another model than the one in it.
    """

    def parse(sections: Sections) -> Sections:
        return parse_flags(sections, flags, f"minigrad train {name}", description, hidden)

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


def started_with(name: str, checkpoint: Checkpoint, sections: Sections) -> Sections:
    """The sections as they were when the run of a checkpoint was started."""
    if registry.name_of(checkpoint.model) != name:
        raise UserError(f"the checkpoint holds a {registry.name_of(checkpoint.model)}, not a {name}")
    if not checkpoint.state or "run" not in checkpoint.state:
        raise UserError("the checkpoint cannot be resumed: it has no state of a training run")
    started = recorded(checkpoint) | checkpoint.state.get("training", {})
    return replace_fields(sections | {"model": checkpoint.config}, started, source="the checkpoint's state.json")


def unchanged_digest(run: RunOptions, text: str, checkpoint: Checkpoint | None = None) -> str:
    """The sha256 of a run's text. Raises UserError if the run to resume was started on another text."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    if checkpoint and digest != checkpoint.state["run"]["sha256"]:
        raise UserError(
            f"the text of {run.data} has changed since the run in {run.out} began: resume with the text it was "
            "started with, or start a new run with another --out"
        )
    return digest


def use_device(run: RunOptions) -> str:
    """ "cpu" or "cuda", as the run asks, with its threads set. Raises UserError for a GPU that cannot be used."""
    if run.threads:
        mg.threads.set_num_threads(run.threads)
    return choose_device(run.device)


def finish(run: RunOptions, result: Result, loss: str = TOKEN_LOSS) -> None:
    """Draw the loss plot, `loss` beside its axis, and say what there is now."""
    assert run.out is not None  # read_settings fills both in
    assert run.log is not None
    if not result.step:
        print(f"checkpoint {run.out}")
        return
    plot = plot_losses(run.log, run.out / "loss.png", f"{run.out.name}: {run.data}", loss)
    validation = f", validation loss {result.val_loss:.4f}" if result.val_loss is not None else ""
    state = "stopped" if result.signal else "done"
    print(f"{state} at step {result.step}{validation}")
    print(f"checkpoint {run.out}, log {run.log}, loss plot {plot}")


def exit_code(result: Result) -> int:
    """0, or 128 + the signal's number if one ended the run early; then it also says how to go on."""
    if not result.signal:
        return 0
    print("continue with the same command and --resume")
    return 128 + result.signal


def _same_model(sections: Sections, checkpoint: Checkpoint) -> None:
    """Refuse to resume with other settings of the model than it was made with."""
    run = sections["run"]
    started = recorded(checkpoint)
    then = dataclasses.asdict(checkpoint.config) | {field: started[field] for field in run.fixed if field in started}
    now = dataclasses.asdict(sections["model"]) | {field: getattr(run, field) for field in run.fixed}
    for field, value in then.items():
        if now[field] != value:
            raise UserError(
                f"{field}={now[field]}, but the model to resume was made with {field}={value}: leave out "
                "that setting, or start a new run with another --out"
            )
