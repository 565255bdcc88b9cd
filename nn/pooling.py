"""Pooling over time, or over height and width, as layers; F has the functions and what their arguments mean."""

from typing import Any

from minigrad.tensor import Tensor
from minigrad.typing import Array
from nn import functional as F
from nn.module import Module


class MaxPool1d(Module):
    """The largest of each window of kernel_size steps of x (..., time)."""

    def __init__(
        self,
        kernel_size: int,
        stride: int | None = None,
        padding: int = 0,
        dilation: int = 1,
        *,
        ceil_mode: bool = False,
    ):
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation, self.ceil_mode = padding, dilation, ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        """input, pooled."""
        return F.max_pool1d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class AvgPool1d(Module):
    """The mean of each window of kernel_size steps of x (..., time)."""

    def __init__(
        self,
        kernel_size: int,
        stride: int | None = None,
        padding: int = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ):
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode, self.count_include_pad = padding, ceil_mode, count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        """input, pooled."""
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        """The settings."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AdaptiveMaxPool1d(Module):
    """The largest of each of output_size parts of x (..., time); with 1 the largest of all."""

    def __init__(self, output_size: int):
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """input, pooled."""
        return F.adaptive_max_pool1d(input, self.output_size)

    def extra_repr(self) -> str:
        """The settings."""
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(Module):
    """The mean of each of output_size parts of x (..., time); with 1 the mean of all."""

    def __init__(self, output_size: int):
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """input, pooled."""
        return F.adaptive_avg_pool1d(input, self.output_size)

    def extra_repr(self) -> str:
        """The settings."""
        return f"output_size={self.output_size}"


class MaxPool2d(Module):
    """The largest of each window of kernel_size, a number or a pair, of x (batch, channels, height, width)."""

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, *, ceil_mode: bool = False
    ):
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation, self.ceil_mode = padding, dilation, ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        """input, pooled."""
        return F.max_pool2d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class AvgPool2d(Module):
    """The mean of each window of kernel_size, a number or a pair, of x (batch, channels, height, width)."""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ):
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, input: Tensor) -> Tensor:
        """input, pooled."""
        counting = self.ceil_mode, self.count_include_pad, self.divisor_override
        return F.avg_pool2d(input, self.kernel_size, self.stride, self.padding, *counting)

    def extra_repr(self) -> str:
        """The settings."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AdaptiveAvgPool2d(Module):
    """The mean of each of (rows, columns) parts of x (batch, channels, height, width); with 1 the mean of all."""

    def __init__(self, output_size: Any):
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """input, pooled."""
        return F.adaptive_avg_pool2d(input, self.output_size)

    def extra_repr(self) -> str:
        """The settings."""
        return f"output_size={self.output_size}"


class AdaptiveMaxPool2d(AdaptiveAvgPool2d):
    """The largest of each of (rows, columns) parts of x (batch, channels, height, width)."""

    def forward(self, input: Tensor) -> Tensor:
        """input, pooled."""
        return F.adaptive_max_pool2d(input, self.output_size)


class MaxOverTime(Module):
    """The largest over time of each channel of x (batch, time, channels); steps where padding_mask is True do not
    count (Collobert et al. 2011, section 3.2.2.2)."""

    def forward(self, input: Tensor, padding_mask: Tensor | Array | None = None) -> Tensor:
        """input, pooled: (batch, channels)."""
        return F.max_over_time(input, padding_mask)


class MeanOverTime(Module):
    """The mean over time of each channel of x (batch, time, channels) over the steps where padding_mask is False."""

    def forward(self, input: Tensor, padding_mask: Tensor | Array | None = None) -> Tensor:
        """input, pooled: (batch, channels)."""
        return F.mean_over_time(input, padding_mask)
