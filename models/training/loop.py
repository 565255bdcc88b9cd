"""Loop: what every training shares, with nothing hidden: log, progress, evaluations, samples, checkpoints, signals.

Read `Loop.run`. What a step is, the stepper says (stepper.py). With a directory the loop saves checkpoints, from which
`resume` continues: a resumed run equals an unbroken one bit for bit. That holds because all that a step depends on is
saved: the weights, the optimiser's state, the step's number and what the stepper names.
"""

import dataclasses
import math
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import minigrad as mg
import nn
from models.errors import UserError
from models.text.tokenizers import Tokenizer
from models.training.early_stopping import EarlyStopping
from models.training.interrupt import StopOnSignal
from models.training.log import JsonLog
from models.training.progress import Progress, Silence, progress
from models.training.stepper import NotFiniteError, Step, Stepper
from models.weights.checkpoint import Checkpoint, save_checkpoint


@dataclass
class Result:
    """How a run ended: the last step's losses, and the signal that stopped it early, if one did."""

    step: int
    loss: float | None
    val_loss: float | None
    signal: int | None


class Teacher(Protocol):
    """What a command sets going: a Loop, or what fits a model in one go, without steps."""

    steps: int
    step: int

    def run(self) -> Result:
        """Teach to the end."""

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint."""


class Loop:
    """Makes the steps of a stepper.

    config                 a dataclass of settings, which the checkpoint records
    steps                  how many steps there are in all
    save_every             steps between checkpoints; one is written at the end in any case
    eval_every             steps between evaluations; 0: never
    sample_every, sample   steps between samples (0: none), and a function that returns a text to show; it does not
                           disturb the run's randomness
    patience               evaluations in a row without a lower loss that end the run; 0: never
    tokenizer, directory   saved together with the model, and where; no directory, no checkpoints
    log                    a JSON Lines file, see log.py
    extra                  more entries for the checkpoint's state, as JSON values
    quiet                  show no progress

    The checkpoint is the state after the latest saved step, from which a run continues exactly. With patience it also
    holds the weights that had the lowest validation loss: what it gives to those who do not go on training, and what
    run() leaves in the model.
    """

    def __init__(
        self,
        stepper: Stepper,
        config: Any,
        *,
        steps: int,
        save_every: int,
        eval_every: int = 0,
        sample_every: int = 0,
        patience: int = 0,
        tokenizer: Tokenizer | None = None,
        directory: str | os.PathLike | None = None,
        log: str | os.PathLike | None = None,
        sample: Callable[[], str] | None = None,
        extra: dict | None = None,
        quiet: bool = False,
    ):
        self.stepper, self.config, self.steps = stepper, config, steps
        self.save_every, self.eval_every, self.sample_every = save_every, eval_every, sample_every
        self.directory, self.log = directory, log
        self.tokenizer: Any = tokenizer
        self.sample, self.extra, self.quiet = sample, extra or {}, quiet
        self.step = 0  # steps made
        self.saved: int | None = None  # the step of the latest checkpoint
        self.early_stopping = EarlyStopping(patience) if patience and eval_every else None

    @property
    def model(self) -> nn.Module:
        """What is trained."""
        return self.stepper.model

    def run(self) -> Result:
        """Make the steps up to `steps`. Ctrl-C and SIGTERM finish the step, save, and return; a second one kills.

        Raises UserError if the loss or the gradient stops being a number; the last checkpoint stays.
        """
        loss = val_loss = None
        self.model.train()
        if self.directory and self.saved is None:
            self.save()  # whatever kills the run, there is something to resume; and a full disk shows at once
        with self._log() as log, self._progress() as show, StopOnSignal() as stop:
            while self.step < self.steps and not self._out_of_patience() and not stop.signal:
                started = time.perf_counter()
                loss, amount, numbers = self._advance()
                self.step += 1
                speed = amount / (time.perf_counter() - started)

                record = {"step": self.step, "loss": loss, **numbers, f"{self.stepper.unit}_per_second": round(speed)}
                if self._due(self.eval_every):
                    record["val_loss"] = val_loss = self.evaluate()
                    if self.early_stopping:
                        self.early_stopping.see(val_loss, self.model)
                    show.message(f"step {self.step}: loss {loss:.4f}, validation loss {val_loss:.4f}")
                if log:
                    log.write(record)
                if self.sample and self._due(self.sample_every) and self.step < self.steps:
                    show.message(f"step {self.step}, a sample:\n{self._undisturbed(self.sample)}\n")
                if self.directory and self._due(self.save_every):
                    self.save()
                show.update(self.step, loss, speed)
            if self.directory and self.saved != self.step:
                self.save()
        if self.early_stopping and self.early_stopping.weights and not stop.signal:
            self.model.load_state_dict(self.early_stopping.weights)
        return Result(self.step, loss, val_loss, stop.signal)

    def evaluate(self) -> float:
        """The stepper's loss on what it is not trained on; without dropout and gradients."""
        self.model.eval()
        with mg.no_grad():
            loss = self.stepper.evaluate()
        self.model.train()
        return loss

    def save(self) -> None:
        """Write a checkpoint of this moment into the directory, whole or not at all. UserError without a directory."""
        if self.directory is None:
            raise UserError("there is nowhere to save: give a directory")
        state = {"step": self.step, "training": dataclasses.asdict(self.config)}
        state |= self.stepper.state_dict() | self.extra
        best = None
        if self.early_stopping:
            state["early_stopping"] = self.early_stopping.state_dict()
            best = self.early_stopping.weights
        save_checkpoint(
            self.directory, self.model, self.tokenizer, self.stepper.optimizer, state, best, self.stepper.carried()
        )
        self.saved = self.step

    def resume(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint whose model is the stepper's.

        Raises DataError when the data are others, UserError when no loop saved it.
        """
        state = checkpoint.state
        if "step" not in state:
            raise UserError("the checkpoint cannot be resumed: its state.json has no step")
        self.stepper.load_state_dict(state, state["step"])
        self.step = self.saved = state["step"]
        optimizer = self.stepper.optimizer
        if optimizer is not None and not (self.step == 0 and not checkpoint.optimizer_settings):
            options = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
            checkpoint.restore_optimizer(optimizer)
            for group, ours in zip(optimizer.param_groups, options, strict=True):
                group.update(ours)  # the settings are this run's, the moments the checkpoint's
        if checkpoint.carried:
            device = next(self.model.parameters()).device
            self.stepper.load_carried({name: tensor.to(device) for name, tensor in checkpoint.carried.items()})
        if self.early_stopping and "early_stopping" in state:
            self.early_stopping.load_state_dict(state["early_stopping"], checkpoint.best_weights)

    def _advance(self) -> Step:
        """The next step. A loss that is NaN or infinite ends the run before a checkpoint can hold its effect."""
        try:
            made = self.stepper.advance(self.step)
            if not math.isfinite(made.loss):
                raise NotFiniteError(f"the loss became {made.loss}")
        except NotFiniteError as error:
            kept = f" The last checkpoint, in {self.directory}, is untouched." if self.directory else ""
            raise UserError(f"step {self.step + 1}: {error}. {self.stepper.advice}.{kept}") from None
        return made

    def _out_of_patience(self) -> bool:
        return self.early_stopping is not None and self.early_stopping.is_over

    def _due(self, every: int) -> bool:
        """Whether something done every `every` steps, and at the end, is due after this one."""
        return every > 0 and (self.step % every == 0 or self.step == self.steps)

    def _undisturbed(self, function: Callable[[], str]) -> str:
        """Call it in evaluation mode and put the random generator back, so that a sample changes nothing."""
        random = mg.get_rng_state()
        self.model.eval()
        with mg.no_grad():
            result = function()
        self.model.train()
        mg.set_rng_state(random)
        return result

    def _log(self) -> AbstractContextManager[JsonLog | None]:
        return JsonLog(self.log, after_step=self.step) if self.log else nullcontext()

    def _progress(self) -> Progress:
        return Silence() if self.quiet else progress(self.steps, self.step, self.stepper.unit)
