"""Learning-rate schedules: the rate as a function of the step.

    scheduler = LinearWarmupCosine(optimizer, warmup_steps=100, total_steps=2000)
    for batch in batches:
        ...
        optimizer.step()
        scheduler.step()

A schedule is a formula `lr_at(base_lr, step)` with step counted from 0; it holds no
state but the count. ReduceLROnPlateau alone has no formula: it reacts to a metric.
"""

from nn.optim.lr_scheduler.base import LRScheduler
from nn.optim.lr_scheduler.combined import ChainedScheduler, SequentialLR
from nn.optim.lr_scheduler.cycles import CosineAnnealingWarmRestarts, LinearWarmupCosine, OneCycleLR
from nn.optim.lr_scheduler.decay import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from nn.optim.lr_scheduler.plateau import ReduceLROnPlateau

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "LinearWarmupCosine",
    "MultiStepLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
