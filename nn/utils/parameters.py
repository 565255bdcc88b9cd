"""Small tools around gradients and parameters."""

import functools
import math

import numpy as np

from minigrad import kernels, ops
from minigrad.devices import array_module, is_array
from minigrad.tensor import Tensor


def clip_grad_norm_(parameters, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False) -> Tensor:
    """Scale all gradients together so that their joint norm is at most max_norm (Pascanu et al. 2013, algorithm 1).

    Returns the norm before clipping. As torch.nn.utils.clip_grad_norm_.
    """
    if max_norm < 0:
        raise ValueError(f"clip_grad_norm_: max_norm={max_norm}; expected a number ≥ 0")
    grads = _gradients(parameters)
    norm = _norm(grads, norm_type)
    if error_if_nonfinite and not math.isfinite(float(norm)):
        raise RuntimeError(f"clip_grad_norm_: the gradient norm is {norm}; detect_anomaly() finds where it began")
    scale = max_norm / (norm + 1e-6)
    if is_array(norm):  # on a GPU: no look at the number, which would wait for it
        kernels.scale(grads, array_module(norm).minimum(scale, 1.0).astype(np.float32))
        return Tensor(norm.astype(np.float32))
    if scale < 1 or not math.isfinite(norm):
        kernels.scale(grads, scale)
    return Tensor(norm)


def _norm(grads: list, norm_type: float):
    """The joint norm: a Python float for gradients on the CPU, a 0-d array on a GPU."""
    if norm_type == 2:
        return kernels.grad_norm(grads)
    if norm_type == math.inf:
        norm = functools.reduce(ops.maximum, [abs(g).max() for g in grads if g.size], 0.0)
    else:
        norm = sum((abs(g).astype(np.float64) ** norm_type).sum() for g in grads) ** (1 / norm_type)
    return norm if is_array(norm) and array_module(norm) is not np else float(norm)


def clip_grad_value_(parameters, clip_value: float) -> None:
    """Limit each element of each gradient to [-clip_value, clip_value]."""
    if clip_value < 0:
        raise ValueError(f"clip_grad_value_: clip_value={clip_value}; expected a number ≥ 0")
    for grad in _gradients(parameters):
        grad.clip(-clip_value, clip_value, out=grad)


def _gradients(parameters) -> list:
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    return [p.grad.data for p in parameters if p.grad is not None]


def decay_groups(parameters, weight_decay: float) -> list[dict]:
    """Parameter groups for an optimiser: decay pulls on matrices, not on biases and gains."""
    parameters = list(parameters)
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def parameters_to_vector(parameters) -> Tensor:
    """All parameters as one long vector."""
    return ops.cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vector: Tensor, parameters) -> None:
    """Write a long vector back into the parameters, in place."""
    parameters = list(parameters)
    wanted = sum(p.numel() for p in parameters)
    if vector.shape != (wanted,):
        raise ValueError(f"vector_to_parameters: a vector of shape {vector.shape} for {wanted} elements")
    start = 0
    for p in parameters:
        p.data[...] = vector.data[start : start + p.numel()].reshape(p.shape)
        p.bump_version()
        start += p.numel()
