"""Trainer: the loop that teaches a model, with nothing hidden. Read `Trainer.run`.

    config = TrainConfig(steps=2000)
    batches = TokenBatches(train_ids, config.batch_size, context_length, config.seed)
    trainer = Trainer(model, batches, config, validation=list_of_batches)
    result = trainer.run()

With a directory it saves checkpoints, from which `resume` continues: a resumed run equals an unbroken
one bit for bit. That holds because all a step depends on is saved: weights, optimiser moments, the
step (which gives the learning rate), the random generator (which gives dropout its seeds), the
position in the data and, for a recurrent network, the state that it carries along.
"""

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass

import minigrad as mg
from minigrad.dtypes import HALVES
from models.errors import UserError
from models.placement import tensors_for
from models.text.batching import count_targets
from models.training.captured import CapturedStep
from models.training.early_stopping import EarlyStopping
from models.training.interrupt import StopOnSignal
from models.training.log import JsonLog
from models.training.progress import Silence, progress
from models.training.train_config import TrainConfig
from models.weights.checkpoint import Checkpoint, save_checkpoint
from nn.optim import AdamW
from nn.optim.lr_scheduler import LinearWarmupCosine
from nn.utils import clip_grad_norm_, decay_groups


@dataclass
class Result:
    """How a run ended: the last step's losses, and the signal that stopped it early, if one did."""

    step: int
    loss: float | None
    val_loss: float | None
    signal: int | None


def next_token_loss(model, batch) -> mg.Tensor:
    """The loss of a language model: model(inputs, targets) gives logits and loss."""
    return model(*batch)[1]


class Trainer:
    """Trains a model on batches.

    model       an nn.Module
    batches     an endless iterator of tuples of arrays, the targets last, with state_dict and load_state_dict
    validation  batches to evaluate on, the same each time; none, no evaluation
    loss        loss(model, batch) -> scalar Tensor; a language model's by default. One that carries something
                from batch to batch has state_dict and load_state_dict, tensors by name
    tokenizer, directory   saved together with the model, and where; no directory, no checkpoints
    log         a JSON Lines file, see models.training.log
    sample      a function that returns a text to show now and then; it does not disturb the run's randomness
    extra       more entries for the checkpoint's state, in JSON's types
    quiet       show no progress

    The checkpoint is the state after the latest saved step, from which a run continues exactly. With
    config.patience it also holds the weights that had the lowest validation loss, and they are what it
    gives to those who do not go on training; run() leaves them in the model.
    """

    def __init__(
        self,
        model,
        batches: Iterator,
        config: TrainConfig,
        *,
        validation: Sequence = (),
        loss: Callable = next_token_loss,
        tokenizer=None,
        directory: str | os.PathLike | None = None,
        log: str | os.PathLike | None = None,
        sample: Callable[[], str] | None = None,
        extra: dict | None = None,
        quiet: bool = False,
    ):
        self.model, self.batches, self.config, self.validation = model, batches, config, validation
        self.loss, self.tokenizer, self.directory, self.log = loss, tokenizer, directory, log
        self.sample, self.extra, self.quiet = sample, extra or {}, quiet
        self.step = 0  # updates made
        self.saved = None  # the step of the latest checkpoint
        self.captured = None  # the step as a CUDA graph, if it is one
        self.early_stopping = EarlyStopping(config.patience) if config.patience and validation else None
        self.parameters = list(model.parameters())
        self.optimizer = AdamW(
            decay_groups(self.parameters, config.weight_decay), lr=config.learning_rate, betas=config.betas
        )
        self.scaler = mg.GradScaler(enabled=config.precision == "float16")
        self.schedule = LinearWarmupCosine(
            self.optimizer,
            warmup_steps=min(config.warmup_steps, config.steps // 2),
            total_steps=config.steps,
            min_lr=config.min_learning_rate,
        )

    def run(self) -> Result:
        """Train up to config.steps. Ctrl-C and SIGTERM finish the step, save, and return; a second one kills.

        Raises UserError if the loss or the gradient stops being a number; the last checkpoint stays.
        """
        config = self.config
        loss = val_loss = None
        self.model.train()
        if self.directory and self.saved is None:
            self.save()  # whatever kills the run, there is something to resume; and a full disk shows at once
        with self._log() as log, self._progress() as show, StopOnSignal() as stop, self._tf32():
            while self.step < config.steps and not self._out_of_patience() and not stop.signal:
                started = time.perf_counter()
                batches = [next(self.batches) for _ in range(config.gradient_accumulation)]
                tokens = sum(batch[0].size for batch in batches)
                learning_rate = self.schedule.get_last_lr()[0]
                loss, norm = self._replay(batches) if config.cuda_graph else self._update(batches)
                self.schedule.step()
                self.step += 1
                speed = tokens / (time.perf_counter() - started)

                record = {"step": self.step, "loss": loss, "learning_rate": learning_rate}
                record["grad_norm"] = norm if math.isfinite(norm) else None  # None: a step that float16 left out
                record["tokens_per_second"] = round(speed)
                if self.validation and self._due(config.eval_every):
                    record["val_loss"] = val_loss = self.evaluate()
                    if self.early_stopping:
                        self.early_stopping.see(val_loss, self.model)
                    show.message(f"step {self.step}: loss {loss:.4f}, validation loss {val_loss:.4f}")
                if log:
                    log.write(record)
                if self.sample and self._due(config.sample_every) and self.step < config.steps:
                    show.message(f"step {self.step}, a sample:\n{self._undisturbed(self.sample)}\n")
                if self.directory and self._due(config.save_every):
                    self.save()
                show.update(self.step, loss, speed)
            if self.directory and self.saved < self.step:
                self.save()
        if self.early_stopping and self.early_stopping.weights and not stop.signal:
            self.model.load_state_dict(self.early_stopping.weights)
        return Result(self.step, loss, val_loss, stop.signal)

    def evaluate(self) -> float:
        """The mean loss over the validation batches, each weighted by its number of targets; no dropout."""
        total = count = 0.0
        self.model.eval()
        with mg.no_grad():
            for batch in self.validation:
                targets = count_targets(batch[-1])
                total += self._loss(tensors_for(self.model, batch)).item() * targets
                count += targets
        self.model.train()
        return total / count

    def save(self) -> None:
        """Write a checkpoint of this moment into the directory, whole or not at all."""
        if self.captured:
            self.captured.write_back(self.step)
        state = {"step": self.step, "training": asdict(self.config), "random": mg.get_rng_state()}
        state |= {"batches": self.batches.state_dict(), "scaler": self.scaler.state_dict()} | self.extra
        best = None
        if self.early_stopping:
            state["early_stopping"] = self.early_stopping.state_dict()
            best = self.early_stopping.weights
        carried = self.loss.state_dict() if hasattr(self.loss, "state_dict") else None
        save_checkpoint(self.directory, self.model, self.tokenizer, self.optimizer, state, best, carried)
        self.saved = self.step

    def resume(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint whose model is the trainer's.

        Raises DataError when the batches are of another text, UserError when no trainer saved it.
        """
        state = checkpoint.state
        missing = [name for name in ("step", "batches", "random") if name not in state]
        if missing:
            raise UserError(f"the checkpoint cannot be resumed: its state.json has no {', '.join(missing)}")
        self.step = self.saved = state["step"]
        self.batches.load_state_dict(state["batches"])
        mg.set_rng_state(state["random"])
        if state.get("scaler"):
            self.scaler.load_state_dict(state["scaler"])
        if checkpoint.carried:
            device = self.parameters[0].device
            self.loss.load_state_dict({name: tensor.to(device) for name, tensor in checkpoint.carried.items()})
        options = [{k: v for k, v in group.items() if k != "params"} for group in self.optimizer.param_groups]
        checkpoint.restore_optimizer(self.optimizer)
        for group, ours in zip(self.optimizer.param_groups, options, strict=True):
            group.update(ours)  # the settings are this run's, the moments the checkpoint's
        self.schedule.load_state_dict(self.schedule.state_dict() | {"last_epoch": self.step})
        if self.early_stopping and "early_stopping" in state:
            self.early_stopping.load_state_dict(state["early_stopping"], checkpoint.best_weights)

    def _update(self, batches: list) -> tuple[float, float]:
        """One step: the loss, the mean of its batches', and the gradient's norm before clipping."""
        loss = self._accumulate_gradients([tensors_for(self.model, batch) for batch in batches])
        self.scaler.unscale_(self.optimizer)
        norm = clip_grad_norm_(self.parameters, self.config.grad_clip or math.inf)
        loss, norm = mg.stack([loss, norm]).tolist()  # the one place where a step waits for the GPU
        self._check_finite(loss, norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        return loss, norm

    def _replay(self, batches: list) -> tuple[float, float]:
        """The same as a CUDA graph."""
        if self.captured is None:
            if self.parameters[0].device != "cuda":
                raise UserError("cuda_graph: the model is on the CPU; use --device cuda, or leave cuda_graph away")
            self.captured = CapturedStep(self._whole_step, self.optimizer, self.step)
        loss, norm = self.captured.run(batches, self.schedule.get_last_lr())
        self._check_finite(loss, norm)
        return loss, norm

    def _whole_step(self, batches: list) -> tuple[mg.Tensor, mg.Tensor]:
        """What _update does, for a CUDA graph: nothing is read back."""
        loss = self._accumulate_gradients(batches)
        norm = clip_grad_norm_(self.parameters, self.config.grad_clip or math.inf)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss, norm

    def _accumulate_gradients(self, batches: list) -> mg.Tensor:
        """The forward and backward passes of some batches: their mean loss."""
        total = 0.0
        for batch in batches:
            loss = self._loss(batch)
            if len(batches) > 1:
                loss = loss / len(batches)
            self.scaler.scale(loss).backward()
            total = total + loss.detach()
        return total

    def _loss(self, batch) -> mg.Tensor:
        """The loss of a batch of Tensors, its products in the precision asked for."""
        with mg.autocast(self.config.precision, enabled=self.config.precision in HALVES):
            return self.loss(self.model, batch)

    def _out_of_patience(self) -> bool:
        return self.early_stopping is not None and self.early_stopping.is_over

    def _due(self, every: int) -> bool:
        """Whether something done every so many steps, and at the end, is to be done after this one."""
        return every > 0 and (self.step % every == 0 or self.step == self.config.steps)

    def _check_finite(self, loss: float, norm: float) -> None:
        """Before a checkpoint can hold what is not a number."""
        if math.isfinite(loss) and (math.isfinite(norm) or self.scaler.get_scale() > 1):
            return
        what = f"the loss became {loss}" if not math.isfinite(loss) else f"the gradient's norm became {norm}"
        kept = f" The last checkpoint, in {self.directory}, is untouched." if self.directory else ""
        raise UserError(
            f"step {self.step + 1}: {what}. Try a learning rate below {self.config.learning_rate:g} or a longer "
            f"warm-up; minigrad.detect_anomaly() names the operation it began in.{kept}"
        )

    def _undisturbed(self, function: Callable[[], str]) -> str:
        """Call it in evaluation mode and put the random generator back, so that a sample changes nothing."""
        random = mg.get_rng_state()
        self.model.eval()
        with mg.no_grad():
            result = function()
        self.model.train()
        mg.set_rng_state(random)
        return result

    def _tf32(self):
        return mg.float32_matmul_precision("high") if self.config.precision == "tf32" else nullcontext()

    def _log(self):
        return JsonLog(self.log, after_step=self.step) if self.log else nullcontext()

    def _progress(self):
        return Silence() if self.quiet else progress(self.config.steps, self.step)
