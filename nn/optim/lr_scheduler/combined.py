"""Schedules made of schedules: one after another, or all at the same time."""

import math
from bisect import bisect_right
from collections.abc import Sequence

from nn.optim.lr_scheduler.base import LRScheduler
from nn.optim.optimizer import Optimizer


class SequentialLR(LRScheduler):
    """Several schedules in turn: schedulers[i + 1] takes over at step milestones[i], from its own step 0."""

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ):
        _check("SequentialLR", optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"SequentialLR: {len(schedulers)} schedulers and {len(milestones)} milestones; expected one milestone "
                "between each two schedulers"
            )
        if list(milestones) != sorted(set(milestones)) or (milestones and milestones[0] < 1):
            raise ValueError(f"SequentialLR: milestones={list(milestones)}; expected growing numbers from 1 on")
        self.schedulers, self.milestones = list(schedulers), list(milestones)
        super().__init__(optimizer, last_epoch)

    def apply(self) -> None:
        """Write what the schedule of now sets into the optimiser."""
        i = bisect_right(self.milestones, self.last_epoch)
        scheduler = self.schedulers[i]
        scheduler.last_epoch = self.last_epoch - (self.milestones[i - 1] if i else 0)
        scheduler.base_lrs = self.base_lrs
        scheduler.apply()


class ChainedScheduler(LRScheduler):
    """base · the product of the factors by which several schedules change the base rate.

    As torch.optim.lr_scheduler.ChainedScheduler for schedules that multiply; those that set the rate without regard
    to the others, in PyTorch LambdaLR and CosineAnnealingLR with eta_min, multiply here, too. OneCycleLR is refused.
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None):
        if not schedulers:
            raise ValueError("ChainedScheduler: no schedulers")
        optimizer = schedulers[0].optimizer if optimizer is None else optimizer
        _check("ChainedScheduler", optimizer, schedulers)
        if any(hasattr(scheduler, "momenta") for scheduler in schedulers):
            raise ValueError("ChainedScheduler: OneCycleLR sets the rate and cannot be chained; use SequentialLR")
        self.schedulers = list(schedulers)
        super().__init__(optimizer)

    def rates(self, step: int) -> list[float]:
        """The rate of each group for the update after `step` earlier ones."""
        for scheduler in self.schedulers:
            scheduler.base_lrs = self.base_lrs
        each = zip(*(scheduler.rates(step) for scheduler in self.schedulers), strict=True)
        return [
            base_lr * math.prod(rate / base_lr for rate in rates) if base_lr else 0.0
            for base_lr, rates in zip(self.base_lrs, each, strict=True)
        ]


def _check(name: str, optimizer: Optimizer, schedulers: Sequence[LRScheduler]) -> None:
    if not schedulers:
        raise ValueError(f"{name}: no schedulers")
    for i, scheduler in enumerate(schedulers):
        if not isinstance(scheduler, LRScheduler):
            raise TypeError(f"{name}: scheduler {i} is a {type(scheduler).__name__}, which is no function of the step")
        if scheduler.optimizer is not optimizer:
            raise ValueError(f"{name}: scheduler {i} belongs to another optimiser")
