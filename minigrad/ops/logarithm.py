"""Powers and logarithms to other bases, and what is computed in logarithms. exp and log are in elementwise.py."""

import math

from minigrad.devices import array_module
from minigrad.function import Function
from minigrad.ops.activation import sigmoid
from minigrad.ops.conversion import floating, promoted
from minigrad.ops.elementwise import clamp, log, log1p
from minigrad.tensor import Tensor, unwrap


class Exp2(Function):
    """y = 2ˣ;  dx = g·y·ln 2."""

    def forward(self, x):
        y = array_module(x).exp2(x)
        self.save_for_backward(y)
        return y

    def backward(self, grad):
        (y,) = self.saved
        return grad * y * math.log(2)


class Log2(Function):
    """y = log₂ x;  dx = g/(x·ln 2)."""

    def forward(self, x):
        self.save_for_backward(x)
        return array_module(x).log2(x)

    def backward(self, grad):
        (x,) = self.saved
        return grad / (x * math.log(2))


class Log10(Function):
    """y = log₁₀ x;  dx = g/(x·ln 10)."""

    def forward(self, x):
        self.save_for_backward(x)
        return array_module(x).log10(x)

    def backward(self, grad):
        (x,) = self.saved
        return grad / (x * math.log(10))


class LogAddExp(Function):
    """z = ln(eˣ + eʸ);  dx = g·sigmoid(x - y),  dy = g·sigmoid(y - x)."""

    def forward(self, x, y):
        self.save_for_backward(x, y)
        return array_module(x).logaddexp(x, y)

    def backward(self, grad):
        x, y = self.saved
        return grad * sigmoid(x - y), grad * sigmoid(y - x)


def exp2(x: Tensor) -> Tensor:
    """2ˣ."""
    return Exp2()(floating(x))


def log2(x: Tensor) -> Tensor:
    """The logarithm to base 2."""
    return Log2()(floating(x))


def log10(x: Tensor) -> Tensor:
    """The logarithm to base 10."""
    return Log10()(floating(x))


def logaddexp(x: Tensor, y: Tensor) -> Tensor:
    """ln(eˣ + eʸ), without overflow."""
    return LogAddExp()(*promoted(floating(x), floating(y)))


def logit(x: Tensor, eps: float | None = None) -> Tensor:
    """ln(x/(1 - x)), the inverse of sigmoid; NaN outside [0, 1] unless eps limits x to [eps, 1 - eps] first."""
    x = floating(x)
    if eps is not None:
        x = clamp(x, eps, 1 - eps)
    return log(x) - log1p(-x)


def xlogy(x: Tensor, y: Tensor) -> Tensor:
    """x·ln y, and 0 where x is 0, whatever y (NaN apart): the terms of an entropy."""
    from minigrad.ops.elementwise import where

    y = floating(y)
    unused = (unwrap(x) == 0) & ~array_module(unwrap(y)).isnan(unwrap(y))
    return where(unused, 0.0, x * log(where(unused, 1.0, y)))
