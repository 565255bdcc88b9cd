"""Small tools around gradients and parameters."""

import functools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from minigrad import kernels, ops
from minigrad.devices import array_module, is_array
from minigrad.tensor import Tensor, wrap


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients together so that their joint norm is at most max_norm (Pascanu et al. 2013, algorithm 1).

    norm_type           p of the p-norm; math.inf for the largest absolute value
    error_if_nonfinite  RuntimeError where the norm is infinite or NaN; otherwise the gradients become NaN or 0
    foreach             PyTorch's choice between implementations; without effect

    Returns the norm before clipping, a 0-d Tensor. As torch.nn.utils.clip_grad_norm_.
    """
    if not max_norm >= 0:
        raise ValueError(f"clip_grad_norm_: max_norm={max_norm}; expected a number ≥ 0")
    grads = _gradients(parameters)
    norm = _norm(grads, float(norm_type))
    if error_if_nonfinite and not math.isfinite(float(norm)):
        raise RuntimeError(f"clip_grad_norm_: the gradient norm is {norm}; detect_anomaly() finds where it began")
    scale = max_norm / (norm + 1e-6)
    if is_array(norm):  # on a GPU: no look at the number, which would wait for it
        kernels.scale(grads, array_module(norm).minimum(scale, 1.0).astype(np.float32))
        return Tensor(norm.astype(np.float32))
    if scale < 1 or not math.isfinite(norm):
        with np.errstate(invalid="ignore"):  # inf·0 is NaN, as it should be
            kernels.scale(grads, scale)
    return _as_tensor(norm, grads)


def get_total_norm(
    tensors: Tensor | Iterable[Tensor], norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """The joint norm of tensors, as if they were one vector: a 0-d Tensor. As torch.nn.utils.get_total_norm."""
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    norm = _norm([tensor.data for tensor in tensors], float(norm_type))
    if error_if_nonfinite and not math.isfinite(float(norm)):
        raise RuntimeError(f"get_total_norm: the norm is {norm}")
    return _as_tensor(norm, [tensor.data for tensor in tensors])


def _as_tensor(norm: Any, arrays: list) -> Tensor:
    """The norm in float32, or in float64 where one of the arrays is."""
    return Tensor(norm, dtype="float64" if any(array.dtype == np.float64 for array in arrays) else "float32")


def _norm(grads: list, norm_type: float) -> Any:
    """The joint norm: a Python float for gradients on the CPU, a 0-d array on a GPU."""
    if norm_type == 2:
        return kernels.grad_norm(grads)
    if math.isinf(norm_type):
        larger = ops.maximum if norm_type > 0 else ops.minimum
        extreme = "max" if norm_type > 0 else "min"
        parts = [getattr(abs(g), extreme)() for g in grads if g.size]
        norm = functools.reduce(larger, parts) if parts else 0.0
    elif norm_type == 0:  # PyTorch's: how many of the tensors are not 0 throughout
        norm = sum((g != 0).any() for g in grads) if grads else 0.0
    else:
        with np.errstate(divide="ignore"):
            norm = (
                sum((abs(g).astype(np.float64) ** norm_type).sum() for g in grads) ** (1 / norm_type) if grads else 0.0
            )
    return norm if is_array(norm) and array_module(norm) is not np else float(norm)


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Limit each element of each gradient to [-clip_value, clip_value]; foreach has no effect."""
    if not clip_value >= 0:
        raise ValueError(f"clip_grad_value_: clip_value={clip_value}; expected a number ≥ 0")
    for grad in _gradients(parameters):
        grad.clip(-clip_value, clip_value, out=grad)


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list:
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    return [p.grad.array for p in parameters if p.grad is not None]


def clear_gradients(parameters: Iterable[Tensor], set_to_none: bool = True) -> None:
    """Forget the gradients, or with set_to_none=False fill them with 0 and cut them from their graph."""
    for p in parameters:
        if set_to_none or p.grad is None:
            p.grad = None
        elif p.grad.grad_fn is not None:
            p.grad = wrap(array_module(p.grad.data).zeros_like(p.grad.data))
        else:
            p.grad.data.fill(0)
            p.grad.bump_version()


def decay_groups(parameters: Iterable[Tensor], weight_decay: float) -> list[dict]:
    """Parameter groups for an optimiser: decay pulls on matrices, not on biases and gains."""
    parameters = list(parameters)
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters as one long vector, joined to their graph. ValueError for none."""
    parameters = list(parameters)
    if not parameters:
        raise ValueError("parameters_to_vector: no parameters")
    return ops.cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vector: Tensor, parameters: Iterable[Tensor]) -> None:
    """Write a long vector back into the parameters, in place. ValueError for a vector of another length."""
    parameters = list(parameters)
    wanted = sum(p.numel() for p in parameters)
    if vector.shape != (wanted,):
        raise ValueError(f"vector_to_parameters: a vector of shape {vector.shape} for {wanted} elements")
    start = 0
    for p in parameters:
        p.data[...] = vector.data[start : start + p.numel()].reshape(p.shape)
        p.bump_version()
        start += p.numel()
