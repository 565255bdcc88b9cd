"""Adam and AdamW."""

from typing import Any, Unpack

from minigrad import kernels
from minigrad.devices import array_module
from minigrad.kernels.reference.optimizer import AdamOptions
from minigrad.tensor import Tensor
from nn.optim.optimizer import Optimizer, Parameters, SharedOptions


class Adam(Optimizer):
    """m ← β₁m + (1-β₁)g,  v ← β₂v + (1-β₂)g²,  p ← p - lr·m̂/(√v̂ + ε)  (Kingma & Ba 2014, algorithm 1).

    m̂ = m/(1-β₁ᵗ) and v̂ = v/(1-β₂ᵗ) undo the start at zero. weight_decay is an L2 term
    in g. amsgrad divides by the largest v so far instead (Reddi, Kale & Kumar 2018, algorithm 2).
    As torch.optim.Adam; all parameters are updated in one pass.
    """

    decoupled = False
    # For a CUDA graph: the step and each group's learning rate in the GPU's memory, (lr, step) by the group's id.
    on_device: dict[int, tuple] | None = None

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        **shared: Unpack[SharedOptions],
    ):
        options = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad}
        super().__init__(params, options, **shared)

    def update(self, group: dict[str, Any], params: list[Tensor], grads: list) -> None:
        """The formula above, for all parameters that have taken the same number of steps in one kernel call."""
        exp_avgs, exp_avg_sqs = self.buffers("exp_avg", params), self.buffers("exp_avg_sq", params)
        if self.on_device:
            if group["amsgrad"]:
                raise NotImplementedError("Adam: amsgrad cannot be recorded in a CUDA graph; leave one of them out")
            lr, step = self.on_device[id(group)]
            step += 1
            self._apply(group, lr, step, [p.array for p in params], grads, exp_avgs, exp_avg_sqs)
            return
        by_step: dict[int, list[int]] = {}  # parameters that missed a gradient have taken fewer steps
        for i, p in enumerate(params):
            by_step.setdefault(self.count_step(p), []).append(i)
        arrays = [[p.array for p in params], grads, exp_avgs, exp_avg_sqs]
        if group["amsgrad"]:
            arrays.append(self.buffers("max_exp_avg_sq", params))
        for step, chosen in by_step.items():
            apply = self._apply_amsgrad if group["amsgrad"] else self._apply
            apply(group, group["lr"], step, *([each[i] for i in chosen] for each in arrays))

    def _apply(self, group, lr, step, *arrays):
        """The update of parameters that have taken the same number of steps."""
        options = AdamOptions(*group["betas"], group["eps"], group["weight_decay"], self.decoupled)
        kernels.adamw(*arrays, step, lr, options)

    def _apply_amsgrad(self, group, lr, step, params, grads, exp_avgs, exp_avg_sqs, largest):
        """The same with the largest v so far, in array code."""
        beta1, beta2 = group["betas"]
        for p, grad, m, v, top in zip(params, grads, exp_avgs, exp_avg_sqs, largest, strict=True):
            xp = array_module(p)
            if self.decoupled:
                p *= 1 - lr * group["weight_decay"]
            elif group["weight_decay"]:
                grad = grad + group["weight_decay"] * p
            m += (1 - beta1) * (grad - m)
            v *= beta2
            v += (1 - beta2) * grad * grad
            xp.maximum(top, v, out=top)
            deviation = xp.sqrt(top) / (1 - beta2**step) ** 0.5
            p -= lr / (1 - beta1**step) * m / (deviation + group["eps"])


class AdamW(Adam):
    """Adam with weight decay apart from the gradient: p ← p - lr·weight_decay·p as well (Loshchilov & Hutter 2017)."""

    decoupled = True

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        amsgrad: bool = False,
        **shared: Unpack[SharedOptions],
    ):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, **shared)
