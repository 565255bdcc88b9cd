"""Adagrad and RMSprop: a step size for each element, from the squares of its past gradients."""

from minigrad.devices import array_module
from nn.optim.optimizer import Optimizer


class Adagrad(Optimizer):
    """s ← s + g²,  p ← p - lr·g/(√s + ε)  (Duchi, Hazan & Singer 2011). As torch.optim.Adagrad."""

    def __init__(
        self, params, lr=1e-2, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10, l1=0.0
    ):
        self.initial_accumulator_value = initial_accumulator_value
        super().__init__(params, {"lr": lr, "lr_decay": lr_decay, "weight_decay": weight_decay, "eps": eps, "l1": l1})

    def update(self, group, params, grads):
        sums = self.buffers("sum", params, self.initial_accumulator_value)
        for p, grad, total in zip(params, grads, sums, strict=True):
            state = self.state[p]
            state["step"] = state.get("step", 0) + 1
            if group["weight_decay"]:
                grad = grad + group["weight_decay"] * p.data
            total += grad * grad
            lr = group["lr"] / (1 + (state["step"] - 1) * group["lr_decay"])
            p.data -= lr * grad / (array_module(total).sqrt(total) + group["eps"])


class RMSprop(Optimizer):
    """s ← α·s + (1-α)·g²,  p ← p - lr·g/(√s + ε)  (Hinton's lecture 6e, 2012), with optional momentum.

    centered divides by the deviation instead: √(s - m²), where m ← α·m + (1-α)·g (Graves 2013). With momentum μ,
    b ← μ·b + g/(√s + ε) and p ← p - lr·b. The state of each parameter: square_avg, grad_avg, momentum_buffer.
    As torch.optim.RMSprop.
    """

    def __init__(self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False, l1=0.0):
        super().__init__(
            params,
            {
                "lr": lr,
                "alpha": alpha,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "centered": centered,
                "l1": l1,
            },
        )

    def check(self, group):
        super().check(group)
        if not 0 <= group["alpha"] < 1:
            raise ValueError(f"RMSprop: alpha={group['alpha']}; expected a number from 0 to below 1")

    def update(self, group, params, grads):
        alpha = group["alpha"]
        squares = self.buffers("square_avg", params)
        means = self.buffers("grad_avg", params) if group["centered"] else [None] * len(params)
        momenta = self.buffers("momentum_buffer", params) if group["momentum"] else [None] * len(params)
        for p, grad, square, mean, momentum in zip(params, grads, squares, means, momenta, strict=True):
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
