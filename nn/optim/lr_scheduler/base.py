"""LRScheduler: a learning rate as a function of the step."""

from typing import Any

from nn.optim.optimizer import Optimizer


class LRScheduler:
    """Base of the schedules; a subclass writes lr_at(base_lr, step).

    optimizer   whose groups get the rates. The base rate of a group is the one it had when its first schedule was
                made; it is kept in the group, as "initial_lr"
    last_epoch  start as if this many steps, and one more, had been counted; -1 for the beginning

    Its only state is the count, so a resumed run continues exactly where it stopped.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1):
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(self).__name__}: {type(optimizer).__name__} is not an Optimizer")
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"{type(self).__name__}: last_epoch={last_epoch}, and group {i} has no initial_lr; "
                    "load the optimiser's state_dict first, or use the schedule's"
                )
        self.optimizer = optimizer
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch + 1
        self.apply()

    def lr_at(self, base_lr: float, step: int) -> float:
        """The rate of a group with this base rate for the update after `step` earlier ones."""
        raise NotImplementedError(f"{type(self).__name__} has no lr_at")

    def rates(self, step: int) -> list[float]:
        """The rate of each group for the update after `step` earlier ones."""
        return [self.lr_at(base_lr, step) for base_lr in self.base_lrs]

    def step(self) -> None:
        """Count one optimiser step and set the rate of the next."""
        self.last_epoch += 1
        self.apply()

    def get_last_lr(self) -> list[float]:
        """The rate of each group now."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """The count and the base rates."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue a schedule where state_dict left it; ValueError for another number of groups."""
        if len(state_dict["base_lrs"]) != len(self.base_lrs):
            raise ValueError(
                f"{type(self).__name__}: the saved schedule is of {len(state_dict['base_lrs'])} groups, this one of "
                f"{len(self.base_lrs)}"
            )
        self.last_epoch, self.base_lrs = state_dict["last_epoch"], list(state_dict["base_lrs"])
        self.apply()

    def apply(self) -> None:
        """Write the rates of now into the optimiser."""
        groups, rates = self.optimizer.param_groups, self.rates(self.last_epoch)
        if len(groups) != len(rates):
            raise ValueError(
                f"{type(self).__name__}: {len(groups)} groups in the optimiser and {len(rates)} in the schedule; "
                "make the schedule after the last add_param_group()"
            )
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = float(rate)


def check_positive(schedule: str, **values: float) -> None:
    """ValueError names the first value that is not above 0."""
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{schedule}: {name}={value}; expected a number above 0")


def one_each(schedule: str, name: str, value: Any, optimizer: Optimizer) -> list:
    """One value for each group, from a single one or a list of them."""
    groups = len(optimizer.param_groups)
    values = list(value) if isinstance(value, (list, tuple)) else [value] * groups
    if len(values) != groups:
        raise ValueError(f"{schedule}: {len(values)} values of {name} for {groups} groups; expected one for each")
    return values
