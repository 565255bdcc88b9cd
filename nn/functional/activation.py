"""Activations beyond those of minigrad.ops, as formulas. Where they have a kink, the gradient is PyTorch's."""

from minigrad import ops
from minigrad.tensor import Tensor, unwrap

# Klambauer et al. 2017, "Self-Normalizing Neural Networks", equation 14
SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """ln(1 + e^(beta·input))/beta; input itself where beta·input is above threshold."""
    if beta <= 0:
        raise ValueError(f"softplus: beta={beta}; expected more than 0")
    return ops.where(unwrap(input) * beta > threshold, input, ops.softplus(input * beta) / beta)


def logsigmoid(input: Tensor) -> Tensor:
    """ln σ(x) = -ln(1 + e⁻ˣ)"""
    return -ops.softplus(-input)


def mish(input: Tensor) -> Tensor:
    """x·tanh(ln(1 + eˣ))  (Misra 2019)"""
    return input * ops.tanh(ops.softplus(input))


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a·σ(b), a and b the two halves of input along dim  (Dauphin et al. 2017, eq. 1). ValueError for an odd size."""
    if input.ndim == 0 or input.shape[dim] % 2:
        raise ValueError(f"glu: input {input.shape}, dim={dim}; expected an even size to halve")
    half = input.shape[dim] // 2
    a, b = ops.split(input, [half, half], dim)
    return a * ops.sigmoid(b)


def celu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """max(x, 0) + min(0, alpha·(e^(x/alpha) - 1))  (Barron 2017). ValueError for alpha=0."""
    if alpha == 0:
        raise ValueError("celu: alpha=0; expected another number")
    positive = unwrap(input) > 0
    below = ops.masked_fill(input, positive, 0)
    return ops.where(positive, input, ops.expm1(below / alpha) * alpha)


def selu(input: Tensor) -> Tensor:
    """1.0507·x where positive, 1.0507·1.6733·(eˣ - 1) elsewhere  (Klambauer et al. 2017, eq. 2)"""
    positive = unwrap(input) > 0
    below = ops.masked_fill(input, positive, 0)
    return ops.where(positive, input, ops.expm1(below) * SELU_ALPHA) * SELU_SCALE


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """x limited to [min_val, max_val]; gradient 0 at the limits. ValueError if min_val is above max_val."""
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val={min_val} above max_val={max_val}")
    x = unwrap(input)
    return ops.masked_fill(ops.masked_fill(input, x <= min_val, min_val), x >= max_val, max_val)


def relu6(input: Tensor) -> Tensor:
    """min(max(x, 0), 6)  (Howard et al. 2017)"""
    return hardtanh(input, 0.0, 6.0)


def hardsigmoid(input: Tensor) -> Tensor:
    """min(max(x + 3, 0), 6)/6: a sigmoid of straight lines"""
    return relu6(input + 3) / 6


def hardswish(input: Tensor) -> Tensor:
    """x·min(max(x + 3, 0), 6)/6  (Howard et al. 2019, eq. 1)"""
    x = unwrap(input)
    middle = ops.masked_fill(input, (x <= -3) | (x >= 3), 0)
    return ops.where(x >= 3, input, ops.where(x <= -3, input * 0, middle * (middle + 3) / 6))


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where positive, weight·x elsewhere: weight (1,), or (channels,) for input (batch, channels, ...).

    He et al. 2015, eq. 1. ValueError for a weight of another size.
    """
    if weight.numel() == 1:
        slope = ops.reshape(weight)
    else:
        channels = input.shape[1] if input.ndim > 1 else 1
        if weight.shape != (channels,):
            raise ValueError(f"prelu: weight {weight.shape} for input {input.shape}; expected (1,) or ({channels},)")
        slope = ops.reshape(weight, channels, *(1,) * (input.ndim - 2))
    positive = unwrap(input) > 0
    return ops.where(positive, input, ops.masked_fill(input, positive, 0) * slope)


def softsign(input: Tensor) -> Tensor:
    """x/(1 + |x|)"""
    return input / (1 + ops.abs(input))


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh x"""
    return input - ops.tanh(input)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x moved by lambd towards 0, and 0 where it is less than that away. ValueError for lambd below 0."""
    if lambd < 0:
        raise ValueError(f"softshrink: lambd={lambd}; expected 0 or more")
    x = unwrap(input)
    moved = ops.where(x > 0, input - lambd, input + lambd)
    return ops.masked_fill(moved, abs(x) <= lambd, 0)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x, and 0 where |x| is lambd or less."""
    return ops.masked_fill(input, abs(unwrap(input)) <= lambd, 0)


def threshold(input: Tensor, threshold: float, value: float) -> Tensor:
    """x where it is above threshold, value elsewhere."""
    return ops.masked_fill(input, unwrap(input) <= threshold, value)


def softmin(input: Tensor, dim: int = -1) -> Tensor:
    """softmax(-x)"""
    return ops.softmax(-input, dim)
