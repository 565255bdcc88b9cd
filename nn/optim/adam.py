"""Adam and AdamW."""

from minigrad import kernels
from nn.optim.optimizer import Optimizer


class Adam(Optimizer):
    """m ← β₁m + (1-β₁)g,  v ← β₂v + (1-β₂)g²,  p ← p - lr·m̂/(√v̂ + ε)  (Kingma & Ba 2014, algorithm 1).

    m̂ = m/(1-β₁ᵗ) and v̂ = v/(1-β₂ᵗ) undo the start at zero. weight_decay is an L2 term
    in g. As torch.optim.Adam; all parameters are updated in one pass.
    """

    decoupled = False
    # For a CUDA graph: the step and each group's learning rate in the GPU's memory, (lr, step) by the group's id.
    on_device: dict[int, tuple] | None = None

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, l1=0.0):
        super().__init__(params, {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay, "l1": l1})

    def update(self, group, params, grads):
        exp_avgs, exp_avg_sqs = self.buffers("exp_avg", params), self.buffers("exp_avg_sq", params)
        if self.on_device:
            lr, step = self.on_device[id(group)]
            step += 1
            self._apply(group, lr, step, [p.data for p in params], grads, exp_avgs, exp_avg_sqs)
            return
        by_step: dict[int, list[int]] = {}  # parameters that missed a gradient have taken fewer steps
        for i, p in enumerate(params):
            state = self.state[p]
            state["step"] = state.get("step", 0) + 1
            by_step.setdefault(state["step"], []).append(i)
        arrays = [p.data for p in params], grads, exp_avgs, exp_avg_sqs
        for step, chosen in by_step.items():
            self._apply(group, group["lr"], step, *([each[i] for i in chosen] for each in arrays))

    def _apply(self, group, lr, step, *arrays):
        """The update of parameters that have taken the same number of steps."""
        options = group["eps"], group["weight_decay"], self.decoupled
        kernels.adamw(*arrays, step, lr, *group["betas"], *options)


class AdamW(Adam):
    """Adam with weight decay apart from the gradient: p ← p - lr·weight_decay·p besides (Loshchilov & Hutter 2017)."""

    decoupled = True

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, l1=0.0):
        super().__init__(params, lr, betas, eps, weight_decay, l1)
