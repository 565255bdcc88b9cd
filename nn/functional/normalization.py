"""Normalisation as functions: over the last dimensions, over a batch, over groups of channels."""

import math
from collections.abc import Sequence

from minigrad import ops
from minigrad.amp import for_sums
from minigrad.dtypes import epsilon
from minigrad.ops.half import in_float32
from minigrad.tensor import Tensor, unwrap


def layer_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Mean 0 and variance 1 over the last dimensions, whose sizes are normalized_shape; then ·weight + bias."""
    shape = _trailing("layer_norm", input, normalized_shape, weight, bias)
    if len(shape) == 1 and (bias is None or weight is not None):
        return ops.layer_norm(input, weight, bias, eps)
    size = math.prod(shape)
    flat = ops.reshape(input, *input.shape[: input.ndim - len(shape)], size)
    if weight is None:
        y = ops.reshape(ops.layer_norm(flat, eps=eps), *input.shape)
        return y if bias is None else y + bias
    bias = None if bias is None else ops.reshape(bias, size)
    return ops.reshape(ops.layer_norm(flat, ops.reshape(weight, size), bias, eps), *input.shape)


def rms_norm(
    input: Tensor, normalized_shape: int | Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """Root mean square 1 over the last dimensions, whose sizes are normalized_shape; then ·weight."""
    input = for_sums(input)
    shape = _trailing("rms_norm", input, normalized_shape, weight)
    if eps is None:
        eps = epsilon(unwrap(input).dtype)
    if len(shape) == 1:
        return ops.rms_norm(input, weight, eps)
    size = math.prod(shape)
    flat = ops.reshape(input, *input.shape[: input.ndim - len(shape)], size)
    weight = None if weight is None else ops.reshape(weight, size)
    return ops.reshape(ops.rms_norm(flat, weight, eps), *input.shape)


@in_float32
def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean)/√(var + eps)·weight + bias for each channel of input (batch, channels, ...)  (Ioffe & Szegedy 2015).

    training  mean and var are those of the batch, over all dimensions but the channels, and the running ones,
              (channels,) or None, follow them in place: running ← (1 - momentum)·running + momentum·new, the variance
              with Bessel's correction. Otherwise they are the running ones.
    weight, bias  (channels,) or None

    Half precision is computed in float32. ValueError for a batch of one value per channel in training, and for
    parameters of other shapes.
    """
    if input.ndim < 2:
        raise ValueError(f"batch_norm: input {input.shape}; expected (batch, channels, ...)")
    channels = input.shape[1]
    for name, tensor in (
        ("running_mean", running_mean),
        ("running_var", running_var),
        ("weight", weight),
        ("bias", bias),
    ):
        if tensor is not None and tensor.shape != (channels,):
            raise ValueError(f"batch_norm: {name} {tensor.shape} for input {input.shape}; expected ({channels},)")
    x, dtype = input, unwrap(input).dtype
    over = (0, *range(2, input.ndim))
    each = (channels, *(1,) * (input.ndim - 2))
    if training:
        count = input.shape[0] * math.prod(input.shape[2:])
        if count <= 1:
            raise ValueError(
                f"batch_norm: input {input.shape} has {count} values for each channel, and a variance needs two; "
                "use a larger batch, or eval()"
            )
        mean = ops.mean(x, over, keepdim=True)
        x = x - mean
        var = ops.mean(x * x, over, keepdim=True)
        _follow(running_mean, mean, momentum, 1.0)
        _follow(running_var, var, momentum, count / (count - 1))
    else:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm: without training it needs running_mean and running_var")
        x = x - ops.astype(ops.reshape(running_mean, *each), dtype)
        var = ops.astype(ops.reshape(running_var, *each), dtype)
    y = x * ops.rsqrt(var + eps)
    if weight is not None:
        y = y * ops.astype(ops.reshape(weight, *each), dtype)
    if bias is not None:
        y = y + ops.astype(ops.reshape(bias, *each), dtype)
    return y


def _follow(running: Tensor | None, new: Tensor, momentum: float, correction: float) -> None:
    """running ← (1 - momentum)·running + momentum·correction·new, in place."""
    if running is not None:
        running.data *= 1 - momentum
        running.data += (momentum * correction * unwrap(new).reshape(-1)).astype(running.dtype)
        running.bump_version()


@in_float32
def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Mean 0 and variance 1 over each of num_groups groups of channels of each sample; then ·weight + bias.

    input (batch, channels, ...), weight and bias (channels,) or None. Wu & He 2018, eq. 1-3. ValueError if the groups
    do not divide the channels, and for one value per group in all.
    """
    if input.ndim < 2 or num_groups < 1 or input.shape[1] % num_groups:
        raise ValueError(
            f"group_norm: input {input.shape}, num_groups={num_groups}; expected (batch, channels, ...) with groups "
            "that divide the channels"
        )
    batch, channels = input.shape[:2]
    size = channels // num_groups * math.prod(input.shape[2:])
    if batch * size == 1:
        raise ValueError(f"group_norm: input {input.shape} has one value for each group, and a variance needs two")
    y = ops.reshape(ops.layer_norm(ops.reshape(input, batch, num_groups, size), eps=eps), *input.shape)
    return _by_channel("group_norm", y, weight, bias)


@in_float32
def instance_norm(input: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """Mean 0 and variance 1 over each channel of each sample of input (batch, channels, ...); then ·weight + bias.

    Ulyanov, Vedaldi & Lempitsky 2016. ValueError for one value per channel.
    """
    if input.ndim < 3 or math.prod(input.shape[2:]) == 1:
        raise ValueError(
            f"instance_norm: input {input.shape}; expected (batch, channels, ...) with two values per channel"
        )
    batch, channels = input.shape[:2]
    flat = ops.reshape(input, batch, channels, math.prod(input.shape[2:]))
    return _by_channel("instance_norm", ops.reshape(ops.layer_norm(flat, eps=eps), *input.shape), weight, bias)


def _by_channel(op: str, y: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """y·weight + bias, each channel of y (batch, channels, ...) with its own."""
    channels = y.shape[1]
    for name, parameter in (("weight", weight), ("bias", bias)):
        if parameter is not None and parameter.shape != (channels,):
            raise ValueError(f"{op}: {name} {parameter.shape} for input {y.shape}; expected ({channels},)")
    each = (channels, *(1,) * (y.ndim - 2))
    y = y if weight is None else y * ops.reshape(weight, *each)
    return y if bias is None else y + ops.reshape(bias, *each)


def _trailing(op: str, input, normalized_shape, weight, bias=None) -> tuple:
    shape = tuple(normalized_shape) if isinstance(normalized_shape, Sequence) else (normalized_shape,)
    if not shape or tuple(input.shape[-len(shape) :]) != shape:
        raise ValueError(f"{op}: input {input.shape} does not end in normalized_shape {shape}")
    for name, parameter in (("weight", weight), ("bias", bias)):
        if parameter is not None and parameter.shape != shape:
            raise ValueError(f"{op}: {name} {parameter.shape}; expected normalized_shape {shape}")
    return shape
