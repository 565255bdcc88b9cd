"""Adagrad, RMSprop and Adadelta: a step size for each element, from the squares of its past gradients."""

from typing import Any, Unpack

from minigrad.devices import array_module
from minigrad.tensor import Tensor
from nn.optim.optimizer import Optimizer, Parameters, SharedOptions


class Adagrad(Optimizer):
    """s ← s + g²,  p ← p - lr·g/(√s + ε)  (Duchi, Hazan & Singer 2011). As torch.optim.Adagrad."""

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        **shared: Unpack[SharedOptions],
    ):
        if not initial_accumulator_value >= 0:
            raise ValueError(f"Adagrad: initial_accumulator_value={initial_accumulator_value}; expected a number ≥ 0")
        self.initial_accumulator_value = initial_accumulator_value
        options = {"lr": lr, "lr_decay": lr_decay, "weight_decay": weight_decay, "eps": eps}
        super().__init__(params, options, **shared)

    def update(self, group: dict[str, Any], params: list[Tensor], grads: list) -> None:
        """The formula above."""
        sums = self.buffers("sum", params, self.initial_accumulator_value)
        for p, grad, total in zip(params, grads, sums, strict=True):
            step = self.count_step(p)
            if group["weight_decay"]:
                grad = grad + group["weight_decay"] * p.data
            total += grad * grad
            lr = group["lr"] / (1 + (step - 1) * group["lr_decay"])
            p.data -= lr * grad / (array_module(total).sqrt(total) + group["eps"])


class RMSprop(Optimizer):
    """s ← α·s + (1-α)·g²,  p ← p - lr·g/(√s + ε)  (Hinton's lecture 6e, 2012), with optional momentum.

    centered divides by the deviation instead: √(s - m²), where m ← α·m + (1-α)·g (Graves 2013). With momentum μ,
    b ← μ·b + g/(√s + ε) and p ← p - lr·b. The state of each parameter: square_avg, grad_avg, momentum_buffer.
    As torch.optim.RMSprop.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        **shared: Unpack[SharedOptions],
    ):
        options = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
        }
        super().__init__(params, options, **shared)

    def check(self, group: dict[str, Any]) -> None:
        """Refuse options that make no sense; ValueError says which."""
        super().check(group)
        if not 0 <= group["alpha"] < 1:
            raise ValueError(f"RMSprop: alpha={group['alpha']}; expected a number from 0 to below 1")

    def update(self, group: dict[str, Any], params: list[Tensor], grads: list) -> None:
        """The formula above."""
        alpha = group["alpha"]
        squares = self.buffers("square_avg", params)
        means = self.buffers("grad_avg", params) if group["centered"] else [None] * len(params)
        momenta = self.buffers("momentum_buffer", params) if group["momentum"] else [None] * len(params)
        for p, grad, square, mean, momentum in zip(params, grads, squares, means, momenta, strict=True):
            self.count_step(p)
            if group["weight_decay"]:
                grad = grad + group["weight_decay"] * p.data
            square *= alpha
            square += (1 - alpha) * grad * grad
            spread = square
            if mean is not None:
                mean *= alpha
                mean += (1 - alpha) * grad
                spread = square - mean * mean
            step = grad / (array_module(spread).sqrt(spread) + group["eps"])
            if momentum is not None:
                momentum *= group["momentum"]
                momentum += step
                step = momentum
            p.data -= group["lr"] * step


class Adadelta(Optimizer):
    """s ← ρ·s + (1-ρ)·g²,  d = √(a + ε)/√(s + ε)·g,  a ← ρ·a + (1-ρ)·d²,  p ← p - lr·d  (Zeiler 2012, algorithm 1).

    The state of each parameter: square_avg (s) and acc_delta (a). As torch.optim.Adadelta.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        **shared: Unpack[SharedOptions],
    ):
        super().__init__(params, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay}, **shared)

    def check(self, group: dict[str, Any]) -> None:
        """Refuse options that make no sense; ValueError says which."""
        super().check(group)
        if not 0 <= group["rho"] <= 1:
            raise ValueError(f"Adadelta: rho={group['rho']}; expected a number from 0 to 1")

    def update(self, group: dict[str, Any], params: list[Tensor], grads: list) -> None:
        """The formula above."""
        rho, eps = group["rho"], group["eps"]
        squares, deltas = self.buffers("square_avg", params), self.buffers("acc_delta", params)
        for p, grad, square, moved in zip(params, grads, squares, deltas, strict=True):
            self.count_step(p)
            sqrt = array_module(square).sqrt
            if group["weight_decay"]:
                grad = grad + group["weight_decay"] * p.data
            square *= rho
            square += (1 - rho) * grad * grad
            delta = sqrt(moved + eps) / sqrt(square + eps) * grad
            moved *= rho
            moved += (1 - rho) * delta * delta
            p.data -= group["lr"] * delta
