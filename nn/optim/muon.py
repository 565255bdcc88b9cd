"""Muon: momentum whose steps are orthogonal matrices (Jordan et al. 2024)."""

import math
from typing import Any, Unpack

from minigrad.devices import array_module
from minigrad.dtypes import is_half
from minigrad.tensor import Tensor
from nn.optim.optimizer import Optimizer, Parameters, SharedOptions

ADJUSTMENTS = (None, "original", "match_rms_adamw")


class Muon(Optimizer):
    """b ← μ·b + (1 - μ)·g,  p ← (1 - lr·weight_decay)·p - lr·scale·orthogonalized(b), for matrices alone.

    With nesterov, (1 - μ)·g + μ·b takes the place of b. Jordan et al. 2024, "Muon: An optimizer for hidden layers in
    neural networks"; as torch.optim.Muon. Biases, gains, embeddings and the output layer belong to another
    optimiser, such as AdamW.

    ns_coefficients, ns_steps  the polynomial of `orthogonalized` and how often it is applied
    eps                        least norm that a matrix is divided by
    adjust_lr_fn               scale for a matrix (rows, columns): √max(1, rows/columns) for None or "original";
                               0.2·√max(rows, columns) for "match_rms_adamw" (Liu et al. 2025), which makes AdamW's
                               learning rates fit
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
        **shared: Unpack[SharedOptions],
    ):
        options = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": tuple(ns_coefficients),
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, options, **shared)

    def check(self, group: dict[str, Any]) -> None:
        """Refuse options that make no sense, and parameters that are not matrices; ValueError says which."""
        super().check(group)
        for p in group["params"]:
            if p.ndim != 2:
                raise ValueError(f"Muon: a parameter of shape {p.shape}; expected matrices, give others to AdamW")
        if len(group["ns_coefficients"]) != 3:
            raise ValueError(f"Muon: ns_coefficients={group['ns_coefficients']}; expected three numbers")
        if group["adjust_lr_fn"] not in ADJUSTMENTS:
            raise ValueError(f"Muon: adjust_lr_fn={group['adjust_lr_fn']!r}; use 'original' or 'match_rms_adamw'")

    def update(self, group: dict[str, Any], params: list[Tensor], grads: list) -> None:
        """The formula above."""
        momentum = group["momentum"]
        for p, grad, buffer in zip(params, grads, self.buffers("momentum_buffer", params), strict=True):
            buffer += (1 - momentum) * (grad - buffer)
            if not p.numel():
                continue
            step = grad + momentum * (buffer - grad) if group["nesterov"] else buffer
            step = orthogonalized(step, group["ns_coefficients"], group["ns_steps"], group["eps"])
            rows, columns = p.shape
            matched = group["adjust_lr_fn"] == "match_rms_adamw"
            scale = 0.2 * math.sqrt(max(rows, columns)) if matched else math.sqrt(max(1, rows / columns))
            p.data *= 1 - group["lr"] * group["weight_decay"]
            p.data -= group["lr"] * scale * step


def orthogonalized(matrix: Any, coefficients: tuple[float, float, float], steps: int, eps: float) -> Any:
    """U·S'·Vᵀ for a matrix U·S·Vᵀ, S' close to 1: x ← a·x + (b·xxᵀ + c·(xxᵀ)²)·x, `steps` times, from norm 1 on.

    A Newton-Schulz iteration. Its coefficients make small singular values grow fast rather than let any converge,
    so S' lies between about 0.7 and 1.2. Computed in the matrix's precision, halves in float32 (PyTorch: all
    in bfloat16).
    """
    a, b, c = coefficients
    x = matrix.astype("float32") if is_half(matrix.dtype) else matrix
    wide = x.shape[0] <= x.shape[1]
    x = x if wide else x.T
    x = x / max(float(array_module(x).sqrt((x * x).sum())), eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return (x if wide else x.T).astype(matrix.dtype, copy=False)
