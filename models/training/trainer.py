"""Trainer: teaches a model by following the gradient of its loss on batches.

    config = TrainConfig(steps=2000)
    batches = TokenBatches(train_ids, config.batch_size, context_length, config.seed)
    trainer = Trainer(model, batches, config, validation=list_of_batches)
    result = trainer.run()

The loop is in loop.py; a step of it is `GradientSteps.advance` here. The optimiser and the schedule are AdamW and a
cosine with a warm-up, as the configuration says, or given:

    optimizer = Muon(model.parameters(), lr=0.02)
    Trainer(model, batches, config, optimizer=optimizer, schedule=StepLR(optimizer, 500))
"""

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, runtime_checkable

import numpy as np

import minigrad as mg
import nn
from minigrad.dtypes import HALVES
from models.errors import UserError
from models.text.batching import count_targets, tensors_for
from models.training.captured import CapturedStep
from models.training.loop import Loop
from models.training.stepper import NotFiniteError, Step, Stepper
from models.training.train_config import TrainConfig
from nn.optim import Optimizer
from nn.optim.lr_scheduler import LRScheduler
from nn.utils import clip_grad_norm_

Batch = tuple[np.ndarray, ...]  # the targets last
Loss = Callable[[Any, Sequence[mg.Tensor]], mg.Tensor]  # loss(model, batch), a scalar: the mean over the targets


class Batches(Protocol):
    """Endless batches that can be taken up where they stood: state_dict gives JSON values."""

    def __next__(self) -> Batch: ...
    def state_dict(self) -> dict:
        """Where they stand."""

    def load_state_dict(self, state: dict) -> None:
        """Go to where state_dict was taken."""


@runtime_checkable
class CarryingLoss(Protocol):
    """A loss that hands something from batch to batch: tensors by name."""

    def state_dict(self) -> dict[str, mg.Tensor]:
        """What it carries."""

    def load_state_dict(self, tensors: dict[str, mg.Tensor]) -> None:
        """Go on from what state_dict gave."""


def next_token_loss(model: Any, batch: Sequence[mg.Tensor]) -> mg.Tensor:
    """The loss of a language model: model(inputs, targets) gives logits and loss."""
    return model(*batch)[1]


class Trainer(Loop):
    """Trains a model on batches.

    model        an nn.Module
    batches      endless, see Batches
    config       settings; steps, learning rate, how often to evaluate and save …
    optimizer    what follows the gradient; config.optimizer(model) if not given
    schedule     the optimiser's learning rates; config.schedule(optimizer) if not given
    validation   batches to evaluate on, the same each time; none, no evaluation
    loss         loss(model, batch) -> scalar Tensor; a language model's by default. One that carries something
                 from batch to batch has state_dict and load_state_dict, tensors by name
    options      Loop's: tokenizer, directory, log, sample, extra, quiet
    """

    stepper: "GradientSteps"

    def __init__(
        self,
        model: nn.Module,
        batches: Batches,
        config: TrainConfig,
        *,
        optimizer: Optimizer | None = None,
        schedule: LRScheduler | None = None,
        validation: Iterable[Batch] = (),
        loss: Loss = next_token_loss,
        **options: Any,
    ):
        optimizer = optimizer or config.optimizer(model)
        schedule = schedule or config.schedule(optimizer)
        steps = GradientSteps(model, batches, config, optimizer, schedule, list(validation), loss)
        super().__init__(
            steps,
            config,
            steps=config.steps,
            save_every=config.save_every,
            eval_every=config.eval_every if steps.validation else 0,
            sample_every=config.sample_every,
            patience=config.patience,
            **options,
        )


class GradientSteps(Stepper):
    """Steps down the gradient: forward and backward passes, clipping, the optimiser's update, the schedule's rate.

    Its state is what Trainer's resumed runs need: the random generator (which gives dropout its seeds), the position in
    the data, the schedule, the scale of float16's loss and, for a recurrent network, the state that it carries along.
    """

    unit = "tokens"

    def __init__(
        self,
        model: nn.Module,
        batches: Batches,
        config: TrainConfig,
        optimizer: Optimizer,
        schedule: LRScheduler,
        validation: Sequence[Batch] = (),
        loss: Loss = next_token_loss,
    ):
        self.model, self.batches, self.config, self.validation, self.loss = model, batches, config, validation, loss
        self.optimizer: Optimizer = optimizer
        self.schedule = schedule
        self.scaler = mg.GradScaler(enabled=config.precision == "float16")
        taught = {id(p) for group in optimizer.param_groups for p in group["params"]}
        self.parameters = [p for p in model.parameters() if id(p) in taught]  # whose gradients are clipped together
        self.left_alone = [p for p in model.parameters() if id(p) not in taught]
        self.captured: CapturedStep | None = None  # the step as a CUDA graph, if it is one
        self.steps_made = 0
        self.advice = (
            f"Try a learning rate below {config.learning_rate:g} or a longer warm-up; minigrad.detect_anomaly() names "
            "the operation it began in"
        )

    def advance(self, step: int) -> Step:
        """One update. Raises NotFiniteError before an infinity or NaN reaches the weights."""
        batches = [next(self.batches) for _ in range(self.config.gradient_accumulation)]
        learning_rate = self.schedule.get_last_lr()[0]
        with self._tf32():
            loss, norm = self._replay(batches) if self.config.cuda_graph else self._update(batches)
        self.schedule.step()
        self.steps_made = step + 1
        numbers: dict[str, float | None] = {"learning_rate": learning_rate}
        numbers["grad_norm"] = norm if math.isfinite(norm) else None  # None: a step that float16 left out
        return Step(loss, sum(batch[0].size for batch in batches), numbers)

    def evaluate(self) -> float:
        """The mean loss over the validation batches, each weighted by its number of targets."""
        total = count = 0.0
        with self._tf32():
            for batch in self.validation:
                targets = count_targets(batch[-1])
                total += self._loss(tensors_for(self.model, batch)).item() * targets
                count += targets
        return total / count

    def state_dict(self) -> dict:
        """The random generator, the position in the data, the schedule's and the scaler's state."""
        if self.captured:
            self.captured.write_back(self.steps_made)
        parts: dict[str, Any] = {"batches": self.batches, "schedule": self.schedule, "scaler": self.scaler}
        return {"random": mg.get_rng_state()} | {name: part.state_dict() for name, part in parts.items()}

    def load_state_dict(self, state: dict, step: int) -> None:
        """Take up a state. The schedule's base rates stay this run's."""
        missing = [name for name in ("batches", "random") if name not in state]
        if missing:
            raise UserError(f"the checkpoint cannot be resumed: its state.json has no {', '.join(missing)}")
        self.steps_made = step
        self.batches.load_state_dict(state["batches"])
        mg.set_rng_state(state["random"])
        if state.get("scaler"):
            self.scaler.load_state_dict(state["scaler"])
        ours = self.schedule.state_dict()
        theirs = {name: value for name, value in state.get("schedule", {}).items() if name != "base_lrs"}
        self.schedule.load_state_dict(ours | {"last_epoch": step} | theirs)

    def carried(self) -> dict[str, mg.Tensor]:
        """What the loss hands from batch to batch."""
        return self.loss.state_dict() if isinstance(self.loss, CarryingLoss) else {}

    def load_carried(self, tensors: dict[str, mg.Tensor]) -> None:
        """Give it back to the loss."""
        if isinstance(self.loss, CarryingLoss):
            self.loss.load_state_dict(tensors)

    def _update(self, batches: list[Batch]) -> tuple[float, float]:
        """One step: the loss, the mean of its batches', and the gradient's norm before clipping."""
        loss = self._accumulate_gradients([tensors_for(self.model, batch) for batch in batches])
        self.scaler.unscale_(self.optimizer)
        norm = clip_grad_norm_(self.parameters, self.config.grad_clip or math.inf)
        loss, norm = mg.stack([loss, norm]).tolist()  # the one place where a step waits for the GPU
        self._check_finite(loss, norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self._clear_gradients()
        return loss, norm

    def _replay(self, batches: list[Batch]) -> tuple[float, float]:
        """The same as a CUDA graph."""
        if self.captured is None:
            if self.parameters[0].device != "cuda":
                raise UserError("cuda_graph: the model is on the CPU; use --device cuda, or leave out cuda_graph")
            self.captured = CapturedStep(self._whole_step, self.optimizer, self.steps_made)
        loss, norm = self.captured.run(batches, self.schedule.get_last_lr())
        self._check_finite(loss, norm)
        return loss, norm

    def _whole_step(self, batches: list[list[mg.Tensor]]) -> tuple[mg.Tensor, mg.Tensor]:
        """What _update does, for a CUDA graph: nothing is read back."""
        loss = self._accumulate_gradients(batches)
        norm = clip_grad_norm_(self.parameters, self.config.grad_clip or math.inf)
        self.optimizer.step()
        self._clear_gradients()
        return loss, norm

    def _accumulate_gradients(self, batches: list[list[mg.Tensor]]) -> mg.Tensor:
        """The forward and backward passes of some batches: their mean loss."""
        total: Any = 0.0
        for batch in batches:
            loss = self._loss(batch)
            if len(batches) > 1:
                loss = loss / len(batches)
            self.scaler.scale(loss).backward()
            total = total + loss.detach()
        return total

    def _loss(self, batch: Sequence[mg.Tensor]) -> mg.Tensor:
        """The loss of a batch of Tensors, its products in the precision asked for."""
        with mg.autocast(self.config.precision, enabled=self.config.precision in HALVES):
            return self.loss(self.model, batch)

    def _clear_gradients(self) -> None:
        """Of the whole model: gradients of what the optimiser leaves alone must not add up either."""
        self.optimizer.zero_grad()
        for parameter in self.left_alone:
            parameter.grad = None

    def _check_finite(self, loss: float, norm: float) -> None:
        if not math.isfinite(loss):
            raise NotFiniteError(f"the loss became {loss}")
        if not math.isfinite(norm) and self.scaler.get_scale() <= 1:
            raise NotFiniteError(f"the gradient's norm became {norm}")

    def _tf32(self) -> AbstractContextManager:
        return mg.float32_matmul_precision("high") if self.config.precision == "tf32" else nullcontext()
