"""Normalisation: over the last dimensions, over a batch, over groups of channels."""

from collections.abc import Sequence
from typing import Any

import minigrad as mg
from minigrad import ops
from minigrad.tensor import Tensor
from minigrad.typing import DTypeLike
from nn import functional as F
from nn import init
from nn.checks import check_sizes
from nn.module import Module, Parameter


class LayerNorm(Module):
    """y = (x - mean)/√(var + eps)·weight + bias over the last dimensions  (Ba, Kiros & Hinton 2016, eq. 3-4).

    normalized_shape  the sizes of those dimensions, an int for the last one alone
    weight, bias      of that shape, starting at 1 and 0; neither without elementwise_affine
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        dtype: DTypeLike = "float32",
    ):
        super().__init__()
        self.normalized_shape, self.eps = _shape("LayerNorm", normalized_shape), eps
        self.elementwise_affine = elementwise_affine
        self.weight = Parameter(mg.ones(self.normalized_shape, dtype=dtype)) if elementwise_affine else None
        self.bias = Parameter(mg.zeros(self.normalized_shape, dtype=dtype)) if elementwise_affine and bias else None

    def forward(self, input: Tensor) -> Tensor:
        """The formula above."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The settings."""
        settings = f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        return f"{settings}, bias={self.bias is not None}"


class RMSNorm(Module):
    """y = x/√(mean x² + eps)·weight over the last dimensions  (Zhang & Sennrich 2019, eq. 4).

    eps  None stands for the machine epsilon of the input's dtype
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        dtype: DTypeLike = "float32",
    ):
        super().__init__()
        self.normalized_shape, self.eps = _shape("RMSNorm", normalized_shape), eps
        self.elementwise_affine = elementwise_affine
        self.weight = Parameter(mg.ones(self.normalized_shape, dtype=dtype)) if elementwise_affine else None

    def forward(self, input: Tensor) -> Tensor:
        """The formula above."""
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """The settings."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class _BatchNorm(Module):
    """(x - mean)/√(var + eps)·weight + bias for each channel, mean and var those of the batch  (Ioffe & Szegedy 2015).

    num_features         channels, C
    momentum             weight of a batch in the running mean and variance; None: all batches so far weigh the same
    affine, bias         whether there is a weight (C,), starting at 1, and with it a bias (C,), starting at 0
    track_running_stats  keep buffers running_mean (C,), running_var (C,), num_batches_tracked (), and use the first two
                         after eval(); without them evaluation, too, takes the batch's own

    ValueError in training for a batch with one value per channel.
    """

    dims: tuple[int, ...]  # that an input may have

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        bias: bool = True,
        dtype: DTypeLike = "float32",
    ):
        super().__init__()
        check_sizes(type(self).__name__, num_features=num_features)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight = Parameter(mg.ones(num_features, dtype=dtype)) if affine else None
        self.bias = Parameter(mg.zeros(num_features, dtype=dtype)) if affine and bias else None
        tracked = track_running_stats
        self.register_buffer("running_mean", mg.zeros(num_features, dtype=dtype) if tracked else None)
        self.register_buffer("running_var", mg.ones(num_features, dtype=dtype) if tracked else None)
        self.register_buffer("num_batches_tracked", mg.tensor(0) if tracked else None)

    def reset_running_stats(self) -> None:
        """Forget the batches seen so far."""
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def forward(self, input: Tensor) -> Tensor:
        """Input with each channel normalised; in training the running mean and variance follow."""
        if input.ndim not in self.dims or input.shape[1] != self.num_features:
            expected = " or ".join(f"{n} dimensions" for n in self.dims)
            raise ValueError(
                f"{type(self).__name__}: input {input.shape}; expected {expected}, the second "
                f"of size {self.num_features}"
            )
        momentum = 0.0 if self.momentum is None else self.momentum
        if self.training and self.track_running_stats:
            self.num_batches_tracked.data += 1
            self.num_batches_tracked.bump_version()
            if self.momentum is None:
                momentum = 1 / self.num_batches_tracked.item()
        return F.batch_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            momentum,
            self.eps,
        )

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    __doc__ = f"{_BatchNorm.__doc__}\n    x is (batch, channels) or (batch, channels, time)."
    dims = (2, 3)


class BatchNorm2d(_BatchNorm):
    __doc__ = f"{_BatchNorm.__doc__}\n    x is (batch, channels, height, width)."
    dims = (4,)


class GroupNorm(Module):
    """Mean 0 and variance 1 over each of num_groups groups of channels of each sample; then ·weight + bias.

    x (batch, num_channels, ...); weight and bias (num_channels,), starting at 1 and 0. Wu & He 2018. With one group
    layer normalisation over channels and field, with as many as channels instance normalisation.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        bias: bool = True,
        dtype: DTypeLike = "float32",
    ):
        super().__init__()
        check_sizes("GroupNorm", num_groups=num_groups, num_channels=num_channels)
        if num_groups == 0 or num_channels % num_groups:
            raise ValueError(f"GroupNorm: num_groups={num_groups} does not divide num_channels={num_channels}")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self.weight = Parameter(mg.ones(num_channels, dtype=dtype)) if affine else None
        self.bias = Parameter(mg.zeros(num_channels, dtype=dtype)) if affine and bias else None

    def forward(self, input: Tensor) -> Tensor:
        """Input with each group normalised."""
        if input.ndim < 2 or input.shape[1] != self.num_channels:
            raise ValueError(f"GroupNorm: input {input.shape}; expected (batch, {self.num_channels}, ...)")
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The settings."""
        bias = self.bias is not None
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={bias}"


class _InstanceNorm(Module):
    """Mean 0 and variance 1 over each channel of each sample; with affine ·weight + bias, (num_features,) each.

    Ulyanov, Vedaldi & Lempitsky 2016. PyTorch's running statistics are not offered, so momentum has no effect.
    """

    field: int  # how many dimensions come after the channels

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        dtype: DTypeLike = "float32",
    ):
        super().__init__()
        if track_running_stats:
            raise ValueError(f"{type(self).__name__}: track_running_stats=True is not offered; leave it out")
        check_sizes(type(self).__name__, num_features=num_features)
        self.num_features, self.eps, self.affine = num_features, eps, affine
        self.weight = Parameter(mg.ones(num_features, dtype=dtype)) if affine else None
        self.bias = Parameter(mg.zeros(num_features, dtype=dtype)) if affine else None

    def forward(self, input: Tensor) -> Tensor:
        """Input, with or without the batch, with each channel normalised."""
        if input.ndim == self.field + 1:
            return self.forward(ops.unsqueeze(input, 0))[0]
        if input.ndim != self.field + 2 or input.shape[1] != self.num_features:
            raise ValueError(
                f"{type(self).__name__}: input {input.shape}; expected {self.field + 2} dimensions, or one fewer "
                f"without the batch, and {self.num_features} channels"
            )
        return F.instance_norm(input, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The settings."""
        return f"{self.num_features}, eps={self.eps}, affine={self.affine}"


class InstanceNorm1d(_InstanceNorm):
    __doc__ = f"{_InstanceNorm.__doc__}\n    x is (batch, channels, time)."
    field = 1


class InstanceNorm2d(_InstanceNorm):
    __doc__ = f"{_InstanceNorm.__doc__}\n    x is (batch, channels, height, width)."
    field = 2


def _shape(layer: str, normalized_shape: Any) -> tuple[int, ...]:
    shape = tuple(normalized_shape) if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
    if not shape:
        raise ValueError(f"{layer}: normalized_shape=(); name at least one dimension")
    for size in shape:
        check_sizes(layer, normalized_shape=size)
    return shape
