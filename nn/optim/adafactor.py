"""Adafactor: Adam's second moments in the memory of a row and a column (Shazeer & Stern 2018)."""

from typing import Any, Unpack

from minigrad.devices import array_module
from minigrad.dtypes import epsilon
from minigrad.tensor import Tensor
from nn.optim.optimizer import Optimizer, Parameters, SharedOptions


class Adafactor(Optimizer):
    """p ← p - α·u/max(1, rms(u)/d),  u = g/√v̂,  α = max(eps₂, rms(p))·min(lr, 1/√t).

    v̂ is a running mean of g², weighted 1 - t^beta2_decay. Of a parameter with two dimensions or more only its means
    along the last and the last but one are kept, r and c, and v̂ = r·c/mean(r). Shazeer & Stern 2018, algorithms 4
    and 5; as torch.optim.Adafactor.

    eps  (eps₁, eps₂): the least √v̂, None for the dtype's machine epsilon, and the least scale of a parameter
    d    the largest root mean square of an update before it is scaled down
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        **shared: Unpack[SharedOptions],
    ):
        options = {"lr": lr, "beta2_decay": beta2_decay, "eps": tuple(eps), "d": d, "weight_decay": weight_decay}
        super().__init__(params, options, **shared)

    def check(self, group: dict[str, Any]) -> None:
        """Refuse options that make no sense; ValueError says which."""
        super().check({name: value for name, value in group.items() if name != "eps"})
        if not group["beta2_decay"] <= 0:
            raise ValueError(f"Adafactor: beta2_decay={group['beta2_decay']}; expected a number ≤ 0")
        if not group["d"] >= 1:
            raise ValueError(f"Adafactor: d={group['d']}; expected a number ≥ 1")
        if len(group["eps"]) != 2 or any(eps is not None and not eps >= 0 for eps in group["eps"]):
            raise ValueError(f"Adafactor: eps={group['eps']}; expected two numbers ≥ 0, the first may be None")

    def update(self, group: dict[str, Any], params: list[Tensor], grads: list) -> None:
        """The formula above."""
        for p, grad in zip(params, grads, strict=True):
            step = self.count_step(p)
            if not p.numel():
                continue
            eps = epsilon(p.dtype) if group["eps"][0] is None else group["eps"][0]
            alpha = max(group["eps"][1], _rms(p.data)) * min(group["lr"], step**-0.5)
            p.data *= 1 - group["lr"] * group["weight_decay"]
            mean_square = self._mean_square(p, grad, step ** group["beta2_decay"], eps)
            xp = array_module(grad)
            update = grad / xp.sqrt(xp.maximum(mean_square, eps * eps))
            p.data -= alpha / max(1.0, _rms(update) / group["d"]) * update

    def _mean_square(self, p: Tensor, grad: Any, weight: float, eps: float) -> Any:
        """v̂, with its running means updated."""
        if grad.ndim < 2:
            (mean,) = self.buffers("variance", [p])
            mean += weight * (grad * grad - mean)
            return mean
        state = self.state[p]
        for name, axis in (("row_var", -1), ("col_var", -2)):
            now = (grad * grad).mean(axis, keepdims=True)
            if name not in state:
                state[name] = array_module(grad).zeros_like(now)
            state[name] += weight * (now - state[name])
        row, column = state["row_var"], state["col_var"]
        return row * column / row.mean(-2, keepdims=True).clip(eps)

    def state_shape(self, name: str, p: Tensor) -> tuple[int, ...]:
        """p's shape; without its last dimension for row_var and without the last but one for col_var."""
        if name == "row_var":
            return (*p.shape[:-1], 1)
        if name == "col_var":
            return (*p.shape[:-2], 1, p.shape[-1])
        return p.shape


def _rms(x: Any) -> float:
    """The root mean square of an array's elements."""
    wide = x.astype("float32") if x.dtype.itemsize < 4 else x
    return float((wide * wide).mean()) ** 0.5
