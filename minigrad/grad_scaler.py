"""GradScaler: keeps float16 gradients from vanishing, by scaling the loss up before backward and them down after.

A factor too large shows as an infinite gradient: that step is left out and the factor halved. After many
steps without one the factor is doubled, so that it stays as large as it can be (Micikevicius et al. 2018,
section 3.2).
"""

import math
from typing import TYPE_CHECKING, Any

from minigrad import kernels
from minigrad.tensor import Tensor

if TYPE_CHECKING:
    from minigrad.typing import Optimizer


class GradScaler:
    """As torch.amp.GradScaler.

        scaler = mg.GradScaler()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)      # only to look at the gradients, or clip them
        scaler.step(optimizer)          # nothing where a gradient is not finite
        scaler.update()

    init_scale      the first factor
    growth_factor   what it is multiplied by after growth_interval steps without an infinite gradient
    backoff_factor  and by after one with
    enabled         False: every method does what the plain call would do
    """

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ):
        if not (init_scale > 0 and growth_factor > 1 and 0 < backoff_factor < 1 and growth_interval >= 1):
            raise ValueError(
                f"GradScaler: init_scale={init_scale}, growth_factor={growth_factor}, backoff_factor={backoff_factor}, "
                f"growth_interval={growth_interval}; expected > 0, > 1, between 0 and 1, >= 1"
            )
        self._scale, self._growth_tracker = float(init_scale), 0
        self._growth_factor, self._backoff_factor = growth_factor, backoff_factor
        self._growth_interval, self._enabled = growth_interval, enabled
        self._unscaled: dict[Optimizer, Any] = {}  # the norm of each optimiser's gradients, in this step
        self._found_inf = False

    def is_enabled(self) -> bool:
        """Whether it scales at all."""
        return self._enabled

    def get_scale(self) -> float:
        """The factor now; 1 if not enabled."""
        return self._scale if self._enabled else 1.0

    def scale(self, loss: Tensor) -> Tensor:
        """The loss times the factor, which float16 may not hold: a float16 loss is scaled in float32."""
        if not self._enabled:
            return loss
        return (loss.float() if loss.dtype.itemsize == 2 else loss) * self._scale

    def unscale_(self, optimizer: "Optimizer") -> None:
        """Divide the gradients of an optimiser's parameters by the factor; step() does it otherwise."""
        if not self._enabled:
            return
        if optimizer in self._unscaled:
            raise RuntimeError("GradScaler.unscale_: called twice since the last update()")
        grads = [p.grad.data for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        kernels.scale(grads, 1 / self._scale)
        self._unscaled[optimizer] = kernels.grad_norm(grads)

    def step(self, optimizer: "Optimizer") -> None:
        """optimizer.step(), unless a gradient is infinite or NaN. On a GPU this waits for the gradients."""
        if not self._enabled:
            optimizer.step()
            return
        if optimizer not in self._unscaled:
            self.unscale_(optimizer)
        if math.isfinite(float(self._unscaled[optimizer])):
            optimizer.step()
        else:
            self._found_inf = True

    def update(self) -> None:
        """Choose the factor of the next step."""
        if not self._enabled:
            return
        if not self._unscaled:
            raise RuntimeError("GradScaler.update: no step() since the last update()")
        if self._found_inf:
            self._scale, self._growth_tracker = self._scale * self._backoff_factor, 0
        else:
            self._growth_tracker += 1
            if self._growth_tracker == self._growth_interval:
                self._scale, self._growth_tracker = self._scale * self._growth_factor, 0
        self._unscaled, self._found_inf = {}, False

    def state_dict(self) -> dict[str, Any]:
        """What load_state_dict continues from, in JSON's types; {} if not enabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale,
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what state_dict() gave. RuntimeError if that was with enabled=False."""
        if not self._enabled:
            return
        if not state:
            raise RuntimeError("GradScaler.load_state_dict: the state is empty: it was saved with enabled=False")
        self._scale, self._growth_tracker = state["scale"], state["_growth_tracker"]
        self._growth_factor, self._backoff_factor = state["growth_factor"], state["backoff_factor"]
        self._growth_interval = state["growth_interval"]
