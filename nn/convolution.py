"""Conv1d: the same filters at every step of a sequence."""

import math
from typing import Any

import minigrad as mg
from minigrad import Tensor
from nn import functional as F
from nn import init
from nn.checks import check_sizes
from nn.module import Module, Parameter


class Conv1d(Module):
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
        dtype="float32",
    ):
        super().__init__()
        check_sizes(
            "Conv1d", in_channels=in_channels, out_channels=out_channels, kernel_size=kernel_size, groups=groups
        )
        if groups == 0 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"Conv1d: groups={groups} must divide in_channels={in_channels} and out_channels={out_channels}"
            )
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        self.weight = Parameter(mg.empty(out_channels, in_channels // groups, kernel_size, dtype=dtype))
        self.bias = Parameter(mg.empty(out_channels, dtype=dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # a = √5 makes the bound 1/√fan_in
        if self.bias is not None:
            bound = 1 / math.sqrt(max(self.weight[0].numel(), 1))
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        return F.conv1d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        settings: dict[str, Any] = {"kernel_size": self.kernel_size, "stride": self.stride}
        usually = {"padding": 0, "dilation": 1, "groups": 1}
        settings |= {name: getattr(self, name) for name, usual in usually.items() if getattr(self, name) != usual}
        settings |= {} if self.bias is not None else {"bias": False}
        return f"{self.in_channels}, {self.out_channels}, " + ", ".join(f"{k}={v!r}" for k, v in settings.items())
