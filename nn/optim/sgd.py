"""Stochastic gradient descent, with momentum and Nesterov's look-ahead."""

from typing import Any, Unpack

from minigrad import kernels
from minigrad.kernels.reference.optimizer import SGDOptions
from minigrad.tensor import Tensor
from nn.optim.optimizer import Optimizer, Parameters, SharedOptions


class SGD(Optimizer):
    """p ← p - lr·d  with  d = g,  or with momentum μ  v ← μ·v + (1 - dampening)·g,  d = v  (or g + μ·v, Nesterov).

    weight_decay adds weight_decay·p (L2) to g, l1 adds l1·sign(p). As torch.optim.SGD;
    Sutskever et al. 2013 for momentum and Nesterov.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        **shared: Unpack[SharedOptions],
    ):
        options = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
        }
        super().__init__(params, options, **shared)

    def check(self, group: dict[str, Any]) -> None:
        """Refuse options that make no sense; ValueError says which."""
        super().check(group)
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("SGD: nesterov=True needs momentum > 0 and dampening = 0")

    def update(self, group: dict[str, Any], params: list[Tensor], grads: list) -> None:
        """The formula above, in one kernel call for parameters with a buffer and one for those without."""
        options = SGDOptions(*(group[name] for name in SGDOptions._fields))
        if not group["momentum"]:
            kernels.sgd([p.array for p in params], grads, [], group["lr"], options, False)
            return
        started = ["momentum_buffer" in self.state[p] for p in params]
        buffers = self.buffers("momentum_buffer", params)
        for first in (True, False):  # a parameter's first gradient becomes its buffer
            chosen = [i for i, s in enumerate(started) if s != first]
            if chosen:
                kernels.sgd(
                    [params[i].array for i in chosen],
                    [grads[i] for i in chosen],
                    [buffers[i] for i in chosen],
                    group["lr"],
                    options,
                    first,
                )
