"""Stochastic gradient descent, with momentum and Nesterov's look-ahead."""

from minigrad import kernels
from nn.optim.optimizer import Optimizer


class SGD(Optimizer):
    """p ← p - lr·d  with  d = g,  or with momentum μ  v ← μ·v + (1 - dampening)·g,  d = v  (or g + μ·v, Nesterov).

    weight_decay adds weight_decay·p (L2) to g, l1 adds l1·sign(p). As torch.optim.SGD;
    Sutskever et al. 2013 for momentum and Nesterov.
    """

    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, l1=0.0):
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("SGD: nesterov=True needs momentum > 0 and dampening = 0")
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "l1": l1,
            },
        )

    def update(self, group, params, grads):
        options = [group[k] for k in ("lr", "momentum", "dampening", "nesterov", "weight_decay")]
        if not group["momentum"]:
            kernels.sgd([p.data for p in params], grads, [], *options, False)
            return
        started = ["momentum_buffer" in self.state[p] for p in params]
        buffers = self.buffers("momentum_buffer", params)
        for first in (True, False):  # a parameter's first gradient becomes its buffer
            chosen = [i for i, s in enumerate(started) if s != first]
            if chosen:
                kernels.sgd(
                    [params[i].data for i in chosen],
                    [grads[i] for i in chosen],
                    [buffers[i] for i in chosen],
                    *options,
                    first,
                )
