"""Variants of Adam: NAdam looks ahead, RAdam warms up by itself, Adamax takes a maximum for a mean of squares."""

from typing import Any, Unpack

from minigrad.devices import array_module
from minigrad.tensor import Tensor
from nn.optim.optimizer import Optimizer, Parameters, SharedOptions


class NAdam(Optimizer):
    """Adam with Nesterov's look-ahead  (Dozat 2016). As torch.optim.NAdam.

        μₜ = β₁(1 - 0.96^(t·momentum_decay)/2),  Mₜ = μ₁·…·μₜ
        p ← p - lr·[(1 - μₜ)/(1 - Mₜ)·g + μₜ₊₁/(1 - Mₜ·μₜ₊₁)·m]/(√v̂ + ε)

    m, v and v̂ are Adam's. decoupled_weight_decay: as in AdamW.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        **shared: Unpack[SharedOptions],
    ):
        options = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, options, **shared)

    def update(self, group: dict[str, Any], params: list[Tensor], grads: list) -> None:
        """The formula above."""
        lr, (beta1, beta2), decay = group["lr"], group["betas"], group["momentum_decay"]
        means, squares = self.buffers("exp_avg", params), self.buffers("exp_avg_sq", params)
        for p, grad, m, v in zip(params, grads, means, squares, strict=True):
            step, state = self.count_step(p), self.state[p]
            grad = _decayed(group, p, grad)
            mu, next_mu = (beta1 * (1 - 0.96 ** (t * decay) / 2) for t in (step, step + 1))
            state["mu_product"] = product = state.get("mu_product", 1.0) * mu
            _average(m, v, grad, beta1, beta2)
            deviation = array_module(v).sqrt(v / (1 - beta2**step)) + group["eps"]
            p.data -= lr * (1 - mu) / (1 - product) * grad / deviation
            p.data -= lr * next_mu / (1 - product * next_mu) * m / deviation


class RAdam(Optimizer):
    """Adam whose step grows as the variance of v becomes known  (Liu et al. 2020, algorithm 2). As torch.optim.RAdam.

        ρ∞ = 2/(1 - β₂) - 1,  ρₜ = ρ∞ - 2t·β₂ᵗ/(1 - β₂ᵗ)
        p ← p - lr·r·m̂/(√v̂ + ε),  r = √[(ρₜ - 4)(ρₜ - 2)ρ∞/((ρ∞ - 4)(ρ∞ - 2)ρₜ)]   where ρₜ > 5
        p ← p - lr·m̂                                                              elsewhere

    ε is added to √v before the correction of v. decoupled_weight_decay: as in AdamW.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        **shared: Unpack[SharedOptions],
    ):
        options = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, options, **shared)

    def update(self, group: dict[str, Any], params: list[Tensor], grads: list) -> None:
        """The formula above."""
        lr, (beta1, beta2) = group["lr"], group["betas"]
        means, squares = self.buffers("exp_avg", params), self.buffers("exp_avg_sq", params)
        for p, grad, m, v in zip(params, grads, means, squares, strict=True):
            step = self.count_step(p)
            grad = _decayed(group, p, grad)
            _average(m, v, grad, beta1, beta2)
            correction = 1 - beta2**step
            longest = 2 / (1 - beta2) - 1
            length = longest - 2 * step * beta2**step / correction
            scale: Any = lr / (1 - beta1**step)
            if length > 5:
                rectified = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
                scale = scale * (rectified * correction) ** 0.5 / (array_module(v).sqrt(v) + group["eps"])
            p.data -= scale * m


class Adamax(Optimizer):
    """u ← max(β₂u, |g| + ε),  p ← p - lr/(1 - β₁ᵗ)·m/u, m as in Adam  (Kingma & Ba 2014, algorithm 2).

    As torch.optim.Adamax.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        **shared: Unpack[SharedOptions],
    ):
        options = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, options, **shared)

    def update(self, group: dict[str, Any], params: list[Tensor], grads: list) -> None:
        """The formula above."""
        beta1, beta2 = group["betas"]
        means, largest = self.buffers("exp_avg", params), self.buffers("exp_inf", params)
        for p, grad, m, u in zip(params, grads, means, largest, strict=True):
            step = self.count_step(p)
            grad = grad + group["weight_decay"] * p.data if group["weight_decay"] else grad
            m += (1 - beta1) * (grad - m)
            u *= beta2
            array_module(u).maximum(u, abs(grad) + group["eps"], out=u)
            p.data -= group["lr"] / (1 - beta1**step) * m / u


def _average(m: Any, v: Any, grad: Any, beta1: float, beta2: float) -> None:
    """Adam's running means of the gradient and of its square, in place."""
    m += (1 - beta1) * (grad - m)
    v *= beta2
    v += (1 - beta2) * grad * grad


def _decayed(group: dict[str, Any], p: Tensor, grad: Any) -> Any:
    """The gradient with its L2 term; or, decoupled, the same gradient, and p is shrunk in place."""
    if not group["weight_decay"]:
        return grad
    if not group["decoupled_weight_decay"]:
        return grad + group["weight_decay"] * p.data
    p.data *= 1 - group["lr"] * group["weight_decay"]
    return grad
