"""Schedules that go up and down: warm-up and cosine, one cycle, warm restarts."""

import math
from collections.abc import Sequence

from nn.optim.lr_scheduler.base import LRScheduler, check_positive, one_each
from nn.optim.optimizer import Optimizer


class LinearWarmupCosine(LRScheduler):
    """Up in a line over warmup_steps, then down half a cosine to min_lr at total_steps: the schedule of GPT training.

    (Brown et al. 2020, appendix B.) Step s of the warm-up has base·(s + 1)/(warmup_steps + 1): the first is above 0,
    and step warmup_steps has the base rate. After total_steps the rate stays at min_lr.
    """

    def __init__(
        self, optimizer: Optimizer, warmup_steps: int, total_steps: int, min_lr: float = 0.0, last_epoch: int = -1
    ):
        check_positive("LinearWarmupCosine", total_steps=total_steps)
        if not 0 <= warmup_steps <= total_steps:
            raise ValueError(
                f"LinearWarmupCosine: warmup_steps={warmup_steps}; expected 0 to total_steps={total_steps}"
            )
        self.warmup_steps, self.total_steps, self.min_lr = warmup_steps, total_steps, min_lr
        super().__init__(optimizer, last_epoch)

    def lr_at(self, base_lr: float, step: int) -> float:
        """The formula above."""
        if step < self.warmup_steps:
            return base_lr * (step + 1) / (self.warmup_steps + 1)
        if step >= self.total_steps:
            return self.min_lr
        part = (step - self.warmup_steps) / (self.total_steps - self.warmup_steps)
        return self.min_lr + (base_lr - self.min_lr) * (1 + math.cos(math.pi * part)) / 2


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine from base to eta_min over T_0 steps, then over T_0·T_mult, T_0·T_mult², …, each from base again.

    Loshchilov & Hutter 2016, eq. 5.
    """

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1):
        check_positive("CosineAnnealingWarmRestarts", T_0=T_0)
        if not isinstance(T_mult, int) or T_mult < 1:
            raise ValueError(f"CosineAnnealingWarmRestarts: T_mult={T_mult!r}; expected an integer of 1 or more")
        self.T_0, self.T_mult, self.eta_min = T_0, T_mult, eta_min
        super().__init__(optimizer, last_epoch)

    def lr_at(self, base_lr: float, step: int) -> float:
        """The formula above."""
        length = self.T_0
        if self.T_mult == 1:
            step = step % length
        while step >= length:
            step, length = step - length, length * self.T_mult
        return self.eta_min + (base_lr - self.eta_min) * (1 + math.cos(math.pi * step / length)) / 2


class OneCycleLR(LRScheduler):
    """Up from max_lr/div_factor to max_lr over pct_start of the steps, then down to that/final_div_factor.

    Smith & Topin 2017. With cycle_momentum the momentum (or β₁) goes the other way,
    from max_momentum to base_momentum and back. As torch.optim.lr_scheduler.OneCycleLR.

    max_lr       the highest rate, or a list with one for each group; the optimiser's own rates do not count
    total_steps  how many there are; epochs·steps_per_epoch if not given
    three_phase  as long down to the first rate as up, and only then down to the last
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ):
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR: give total_steps, or epochs and steps_per_epoch")
            check_positive("OneCycleLR", epochs=epochs, steps_per_epoch=steps_per_epoch)
            total_steps = epochs * steps_per_epoch
        check_positive("OneCycleLR", total_steps=total_steps, div_factor=div_factor, final_div_factor=final_div_factor)
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f'OneCycleLR: anneal_strategy={anneal_strategy!r}; use "cos" or "linear"')
        if not 0 <= pct_start <= 1:
            raise ValueError(f"OneCycleLR: pct_start={pct_start}; expected 0 to 1")
        if cycle_momentum and not all("betas" in g or "momentum" in g for g in optimizer.param_groups):
            raise ValueError(
                f"OneCycleLR: {type(optimizer).__name__} has neither momentum nor betas; pass cycle_momentum=False"
            )
        self.total_steps, self.anneal_strategy, self.three_phase = total_steps, anneal_strategy, three_phase
        self.peak = pct_start * total_steps - 1  # the step with the highest rate
        self.div_factor, self.final_div_factor = div_factor, final_div_factor
        self.momenta = (base_momentum, max_momentum) if cycle_momentum else None
        self.max_lrs = one_each("OneCycleLR", "max_lr", max_lr, optimizer)
        super().__init__(optimizer, last_epoch)

    def rates(self, step: int) -> list[float]:
        """The rate of each group for the update after `step` earlier ones; ValueError after the end of the cycle."""
        if step > self.total_steps:
            raise ValueError(f"OneCycleLR: step {step} of a cycle of total_steps={self.total_steps}; make it longer")
        rates = []
        for top in self.max_lrs:
            low = top / self.div_factor
            rates.append(self._cycle(step, low, top, low / self.final_div_factor))
        return rates

    def _cycle(self, step: int, start: float, top: float, end: float) -> float:
        last = self.total_steps - 1
        if step <= self.peak:
            return self._between(start, top, 0, self.peak, step)
        if not self.three_phase:
            return self._between(top, end, self.peak, last, step)
        if step <= 2 * self.peak:
            return self._between(top, start, self.peak, 2 * self.peak, step)
        return self._between(start, end, 2 * self.peak, last, step)

    def _between(self, start: float, end: float, first: float, last: float, step: int) -> float:
        part = (step - first) / (last - first) if last != first else 1.0
        if self.anneal_strategy == "linear":
            return start + (end - start) * part
        return end + (start - end) * (1 + math.cos(math.pi * part)) / 2

    def apply(self) -> None:
        """Write the rates and the momenta of now into the optimiser."""
        super().apply()
        if self.momenta is None:
            return
        low, high = self.momenta
        momentum = self._cycle(self.last_epoch, high, low, high)
        for group in self.optimizer.param_groups:
            if "betas" in group:
                group["betas"] = (momentum, *group["betas"][1:])
            else:
                group["momentum"] = momentum
