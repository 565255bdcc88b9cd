"""Conv1d and Conv2d: the same filters at every step of a sequence, at every place of an image."""

import math

import minigrad as mg
from minigrad.tensor import Tensor
from minigrad.typing import DTypeLike
from nn import functional as F
from nn import init
from nn.checks import check_sizes
from nn.module import Module, Parameter


class _Convolution(Module):
    """What the convolutions share: their parameters, and how these start."""

    def __init__(
        self, in_channels: int, out_channels: int, field: tuple[int, ...], groups: int, bias: bool, dtype: DTypeLike
    ):
        super().__init__()
        name = type(self).__name__
        check_sizes(name, in_channels=in_channels, out_channels=out_channels, groups=groups)
        for size in field:
            check_sizes(name, kernel_size=size)
        if groups == 0 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{name}: groups={groups} must divide in_channels={in_channels} and out_channels={out_channels}"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.weight = Parameter(mg.empty(out_channels, in_channels // groups, *field, dtype=dtype))
        self.bias = Parameter(mg.empty(out_channels, dtype=dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # a = √5 makes the bound 1/√fan_in
        if self.bias is not None:
            bound = 1 / math.sqrt(max(self.weight[0].numel(), 1))
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        """The settings."""
        settings = {"kernel_size": self.kernel_size, "stride": self.stride}
        unusual = {
            "padding": (self.padding, (0, (0, 0))),
            "dilation": (self.dilation, (1, (1, 1))),
            "groups": (self.groups, (1,)),
        }
        settings |= {name: value for name, (value, usual) in unusual.items() if value not in usual}
        settings |= {} if self.bias is not None else {"bias": False}
        return f"{self.in_channels}, {self.out_channels}, " + ", ".join(f"{k}={v!r}" for k, v in settings.items())


class Conv1d(_Convolution):
    """y[b, f, t] = bias[f] + Σ_c,j weight[f, c, j] · x[b, c, t·stride + j·dilation], x (batch, in_channels, time).

    weight (out_channels, in_channels/groups, kernel_size), bias (out_channels,); both start uniform on
    ±1/√fan_in. For padding ("same", "valid" or zeros on both sides), groups and the number of steps of the
    output see F.conv1d. x may come without the batch.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int | str = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        dtype: DTypeLike = "float32",
    ):
        super().__init__(in_channels, out_channels, (kernel_size,), groups, bias, dtype)
        self.kernel_size, self.stride, self.padding, self.dilation = kernel_size, stride, padding, dilation

    def forward(self, input: Tensor) -> Tensor:
        """The formula above."""
        return F.conv1d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class Conv2d(_Convolution):
    """y[b, f, u, v] = bias[f] + Σ_c,i,j weight[f, c, i, j] · x[b, c, u·sᵤ + i·dᵤ, v·sᵥ + j·dᵥ], s stride, d dilation.

    x (batch, in_channels, height, width), or without the batch; weight (out_channels, in_channels/groups, rows,
    columns), bias (out_channels,); both start uniform on ±1/√fan_in. kernel_size, stride, padding, dilation: numbers or
    pairs, of height and of width; for padding, groups and the size of the output see F.conv2d.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        dtype: DTypeLike = "float32",
    ):
        self.kernel_size, self.stride, self.dilation = _pair(kernel_size), _pair(stride), _pair(dilation)
        self.padding = padding if isinstance(padding, str) else _pair(padding)
        super().__init__(in_channels, out_channels, self.kernel_size, groups, bias, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """The formula above."""
        return F.conv2d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)  # type: ignore[return-value]
