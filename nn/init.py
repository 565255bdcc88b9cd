"""Initial values: each function overwrites a tensor in place and returns it.

The variance-keeping schemes (Xavier, Kaiming) look at the fans of a weight laid out
(out, in, ...): fan_in = in · receptive field, fan_out = out · receptive field.
"""

import math

import numpy as np

from minigrad.devices import is_array, move
from minigrad.random import generator
from minigrad.tensor import Tensor


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Uniform on [a, b)."""
    return _write(tensor, _draw(generator().random, tensor) * (b - a) + a)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Normal with the given mean and standard deviation."""
    if std < 0:
        raise ValueError(f"normal_: std={std}; expected 0 or more")
    return _write(tensor, _draw(generator().standard_normal, tensor) * std + mean)


def trunc_normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0) -> Tensor:
    """Normal, drawn again wherever it falls outside [a, b]."""
    if not a < b:
        raise ValueError(f"trunc_normal_: bounds {a} to {b}; a must be below b")
    if std <= 0:
        raise ValueError(f"trunc_normal_: std={std}; expected more than 0")
    if mean < a - 2 * std or mean > b + 2 * std:
        raise ValueError(f"trunc_normal_: mean={mean} is more than two std outside {a} to {b}: draws would be rare")
    values = _draw(generator().standard_normal, tensor) * std + mean
    outside = (values < a) | (values > b)
    while outside.any():
        values[outside] = generator().standard_normal(int(outside.sum())) * std + mean
        outside = (values < a) | (values > b)
    return _write(tensor, values)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """One value everywhere."""
    return _write(tensor, val)


def zeros_(tensor: Tensor) -> Tensor:
    """0 everywhere."""
    return _write(tensor, 0)


def ones_(tensor: Tensor) -> Tensor:
    """1 everywhere."""
    return _write(tensor, 1)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Uniform on ±gain·√(6/(fan_in + fan_out))  (Glorot & Bengio 2010, eq. 16)."""
    fan_in, fan_out = _fans(tensor, "xavier_uniform_")
    bound = gain * math.sqrt(6 / max(fan_in + fan_out, 1))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Normal with std gain·√(2/(fan_in + fan_out))  (Glorot & Bengio 2010)."""
    fan_in, fan_out = _fans(tensor, "xavier_normal_")
    return normal_(tensor, 0, gain * math.sqrt(2 / max(fan_in + fan_out, 1)))


def kaiming_uniform_(tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Tensor:
    """Uniform on ±gain·√(3/fan)  (He et al. 2015, eq. 14); a is the slope of leaky_relu."""
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity, "kaiming_uniform_")
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Tensor:
    """Normal with std gain/√fan  (He et al. 2015, eq. 14); a is the slope of leaky_relu."""
    return normal_(tensor, 0, _kaiming_std(tensor, a, mode, nonlinearity, "kaiming_normal_"))


def orthogonal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """gain times a random matrix with orthonormal rows or columns, whichever are fewer (Saxe et al. 2013)."""
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_: a tensor of shape {tensor.shape}; expected two dimensions at least")
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    if rows * columns == 0:
        return tensor
    q, r = np.linalg.qr(generator().standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.where(np.diag(r) < 0, -1, 1)  # without the signs of r, q would not be uniformly distributed
    return _write(tensor, gain * (q if rows >= columns else q.T).reshape(tensor.shape))


GAINS = {
    "linear": 1.0,
    "conv1d": 1.0,
    "conv2d": 1.0,
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "selu": 3 / 4,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance through a nonlinearity; param is the slope of leaky_relu (0.01)."""
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return math.sqrt(2 / (1 + slope**2))
    if nonlinearity not in GAINS:
        raise ValueError(f"calculate_gain: {nonlinearity!r}; choose one of {', '.join(GAINS)}, leaky_relu")
    return GAINS[nonlinearity]


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str, caller: str) -> float:
    """gain/√fan, the deviation of the weights that keeps the variance (He et al. 2015, eq. 10 and 14).

    mode is "fan_in" (of the signal on its way forward) or "fan_out" (of the gradient on its way back), else
    ValueError; a fan of 0 counts as 1. The gain is calculate_gain's, with a as the slope of leaky_relu.
    """
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f'{caller}: mode={mode!r}; use "fan_in" or "fan_out"')
    fan_in, fan_out = _fans(tensor, caller)
    fan = fan_in if mode == "fan_in" else fan_out
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fan, 1))


def _fans(tensor: Tensor, caller: str) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight (out, in, *field); ValueError below two dimensions.

    fan_in is how many numbers are added up for one output, in · field; fan_out how many outputs one input goes to.
    """
    if tensor.ndim < 2:
        raise ValueError(f"{caller}: a tensor of shape {tensor.shape} has no fan; expected two dimensions at least")
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def _draw(distribution, tensor: Tensor) -> np.ndarray:
    """Draws in the tensor's shape, at float32 unless it is finer."""
    return np.asarray(distribution(tensor.shape, dtype=tensor.dtype if tensor.dtype.itemsize >= 4 else np.float32))


def _write(tensor: Tensor, values) -> Tensor:
    tensor.data[...] = move(values, tensor.device) if is_array(values) else values
    tensor.bump_version()
    return tensor
