"""Learning-rate schedules: the rate as a function of the step.

    scheduler = LinearWarmupCosine(optimizer, warmup_steps=100, total_steps=2000)
    for batch in batches:
        ...
        optimizer.step()
        scheduler.step()

A schedule is a formula `lr_at(base_lr, step)` with step counted from 0; it holds no
state but the count, so a resumed run takes up exactly where it stopped.
"""

import math

from nn.optim.optimizer import Optimizer


class LRScheduler:
    """Base of the schedules; a subclass writes lr_at(base_lr, step)."""

    def __init__(self, optimizer: Optimizer):
        self.optimizer = optimizer
        self.base_lrs = [group["lr"] for group in optimizer.param_groups]
        self.last_epoch = 0
        self._apply()

    def lr_at(self, base_lr: float, step: int) -> float:
        """The rate of a group with this base rate for the update after `step` earlier ones."""
        raise NotImplementedError(f"{type(self).__name__} has no lr_at")

    def step(self) -> None:
        """Count one optimiser step and set the rate of the next."""
        self.last_epoch += 1
        self._apply()

    def get_last_lr(self) -> list[float]:
        """The rate of each group now."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict:
        """The count and the base rates."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state: dict) -> None:
        """Take up a schedule where state_dict left it."""
        if len(state["base_lrs"]) != len(self.base_lrs):
            raise ValueError(f"schedule of {len(state['base_lrs'])} groups for an optimiser with {len(self.base_lrs)}")
        self.last_epoch, self.base_lrs = state["last_epoch"], list(state["base_lrs"])
        self._apply()

    def _apply(self) -> None:
        for group, base_lr in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = self.lr_at(base_lr, self.last_epoch)


def _positive(schedule: str, **values) -> None:
    for name, value in values.items():
        if value <= 0:
            raise ValueError(f"{schedule}: {name}={value}; expected a number above 0")


class LambdaLR(LRScheduler):
    """base · f(step), for any function f."""

    def __init__(self, optimizer, lr_lambda):
        self.lr_lambda = lr_lambda
        super().__init__(optimizer)

    def lr_at(self, base_lr, step):
        return base_lr * self.lr_lambda(step)


class StepLR(LRScheduler):
    """base · gamma^⌊step/step_size⌋: a drop every step_size steps."""

    def __init__(self, optimizer, step_size: int, gamma=0.1):
        _positive("StepLR", step_size=step_size)
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def lr_at(self, base_lr, step):
        return base_lr * self.gamma ** (step // self.step_size)


class ExponentialLR(LRScheduler):
    """base · gamma^step."""

    def __init__(self, optimizer, gamma: float):
        self.gamma = gamma
        super().__init__(optimizer)

    def lr_at(self, base_lr, step):
        return base_lr * self.gamma**step


class CosineAnnealingLR(LRScheduler):
    """Half a cosine from base to eta_min over T_max steps (Loshchilov & Hutter 2016, eq. 5), and back up after."""

    def __init__(self, optimizer, T_max: int, eta_min=0.0):
        _positive("CosineAnnealingLR", T_max=T_max)
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def lr_at(self, base_lr, step):
        return self.eta_min + (base_lr - self.eta_min) * (1 + math.cos(math.pi * step / self.T_max)) / 2


class LinearLR(LRScheduler):
    """A straight line from base·start_factor to base·end_factor over total_iters steps: a warm-up."""

    def __init__(self, optimizer, start_factor=1 / 3, end_factor=1.0, total_iters=5):
        _positive("LinearLR", start_factor=start_factor, total_iters=total_iters)
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer)

    def lr_at(self, base_lr, step):
        part = min(step, self.total_iters) / self.total_iters
        return base_lr * (self.start_factor + (self.end_factor - self.start_factor) * part)


class LinearWarmupCosine(LRScheduler):
    """Up in a line over warmup_steps, then down half a cosine to min_lr at total_steps: the schedule of GPT training.

    (Brown et al. 2020, appendix B.) Step s of the warm-up has base·(s + 1)/(warmup_steps + 1): the first is above 0,
    and step warmup_steps has the base rate. After total_steps the rate stays at min_lr.
    """

    def __init__(self, optimizer, warmup_steps: int, total_steps: int, min_lr=0.0):
        _positive("LinearWarmupCosine", total_steps=total_steps)
        if not 0 <= warmup_steps <= total_steps:
            raise ValueError(
                f"LinearWarmupCosine: warmup_steps={warmup_steps}; expected 0 to total_steps={total_steps}"
            )
        self.warmup_steps, self.total_steps, self.min_lr = warmup_steps, total_steps, min_lr
        super().__init__(optimizer)

    def lr_at(self, base_lr, step):
        if step < self.warmup_steps:
            return base_lr * (step + 1) / (self.warmup_steps + 1)
        if step >= self.total_steps:
            return self.min_lr
        part = (step - self.warmup_steps) / (self.total_steps - self.warmup_steps)
        return self.min_lr + (base_lr - self.min_lr) * (1 + math.cos(math.pi * part)) / 2


class OneCycleLR(LRScheduler):
    """Up from max_lr/div_factor to max_lr over pct_start of the steps, then down to that/final_div_factor.

    Smith & Topin 2017. With cycle_momentum the momentum (or β₁) goes the other way,
    from max_momentum to base_momentum and back. As torch.optim.lr_scheduler.OneCycleLR.
    """

    def __init__(
        self, optimizer, max_lr, total_steps: int, pct_start=0.3, anneal_strategy="cos", cycle_momentum=True,
        base_momentum=0.85, max_momentum=0.95, div_factor=25.0, final_div_factor=1e4,
    ):  # fmt: skip
        _positive("OneCycleLR", total_steps=total_steps, div_factor=div_factor, final_div_factor=final_div_factor)
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f'OneCycleLR: anneal_strategy={anneal_strategy!r}; use "cos" or "linear"')
        if not 0 <= pct_start <= 1:
            raise ValueError(f"OneCycleLR: pct_start={pct_start}; expected 0 to 1")
        self.total_steps, self.anneal_strategy = total_steps, anneal_strategy
        self.peak = pct_start * total_steps - 1
        self.div_factor, self.final_div_factor = div_factor, final_div_factor
        self.momenta = (base_momentum, max_momentum) if cycle_momentum else None
        peaks = max_lr if isinstance(max_lr, (list, tuple)) else [max_lr] * len(optimizer.param_groups)
        for group, top in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = top
        super().__init__(optimizer)

    def lr_at(self, base_lr, step):
        low = base_lr / self.div_factor
        return self._cycle(step, low, base_lr, low / self.final_div_factor)

    def _cycle(self, step: int, start: float, top: float, end: float) -> float:
        if step > self.total_steps:
            raise ValueError(f"OneCycleLR: step {step} of a cycle of total_steps={self.total_steps}; make it longer")
        last = self.total_steps - 1
        if step <= self.peak:
            return self._between(start, top, step / self.peak)
        return self._between(top, end, (step - self.peak) / (last - self.peak))

    def _between(self, start: float, end: float, part: float) -> float:
        if self.anneal_strategy == "linear":
            return start + (end - start) * part
        return end + (start - end) * (1 + math.cos(math.pi * part)) / 2

    def _apply(self):
        super()._apply()
        if self.momenta is None:
            return
        low, high = self.momenta
        momentum = self._cycle(self.last_epoch, high, low, high)
        for group in self.optimizer.param_groups:
            if "betas" in group:
                group["betas"] = (momentum, *group["betas"][1:])
            elif "momentum" in group:
                group["momentum"] = momentum
