"""Angles and hyperbolas, element by element. sin and cos are in elementwise.py, tanh is in activation.py."""

from minigrad.devices import array_module
from minigrad.function import Function
from minigrad.ops.conversion import floating, promoted
from minigrad.ops.elementwise import sqrt, square
from minigrad.tensor import Tensor


class Tan(Function):
    """y = tan x;  dx = g·(1 + y²)."""

    def forward(self, x):
        y = array_module(x).tan(x)
        self.save_for_backward(y)
        return y

    def backward(self, grad):
        (y,) = self.saved
        return grad * (1 + y * y)


class Asin(Function):
    """y = arcsin x;  dx = g/√(1 - x²)."""

    def forward(self, x):
        self.save_for_backward(x)
        return array_module(x).arcsin(x)

    def backward(self, grad):
        (x,) = self.saved
        return grad / sqrt(1 - square(x))


class Acos(Function):
    """y = arccos x;  dx = -g/√(1 - x²)."""

    def forward(self, x):
        self.save_for_backward(x)
        return array_module(x).arccos(x)

    def backward(self, grad):
        (x,) = self.saved
        return -grad / sqrt(1 - square(x))


class Atan(Function):
    """y = arctan x;  dx = g/(1 + x²)."""

    def forward(self, x):
        self.save_for_backward(x)
        return array_module(x).arctan(x)

    def backward(self, grad):
        (x,) = self.saved
        return grad / (1 + square(x))


class Atan2(Function):
    """z = the angle of the point (x, y);  dy = g·x/(x² + y²),  dx = -g·y/(x² + y²)  (0 at the origin)."""

    def forward(self, y, x):
        self.save_for_backward(y, x)
        return array_module(y if hasattr(y, "dtype") else x).arctan2(y, x)

    def backward(self, grad):
        y, x = self.saved
        squares = square(x) + square(y)
        grad = grad / (squares + (squares == 0))
        return grad * x, -grad * y


class Sinh(Function):
    """y = (eˣ - e⁻ˣ)/2;  dx = g·cosh x."""

    def forward(self, x):
        self.save_for_backward(x)
        return array_module(x).sinh(x)

    def backward(self, grad):
        (x,) = self.saved
        return grad * cosh(x)


class Cosh(Function):
    """y = (eˣ + e⁻ˣ)/2;  dx = g·sinh x."""

    def forward(self, x):
        self.save_for_backward(x)
        return array_module(x).cosh(x)

    def backward(self, grad):
        (x,) = self.saved
        return grad * sinh(x)


class Asinh(Function):
    """y = ln(x + √(x² + 1));  dx = g/√(x² + 1)."""

    def forward(self, x):
        self.save_for_backward(x)
        return array_module(x).arcsinh(x)

    def backward(self, grad):
        (x,) = self.saved
        return grad / sqrt(square(x) + 1)


class Acosh(Function):
    """y = ln(x + √(x² - 1)) for x ≥ 1;  dx = g/√(x² - 1)."""

    def forward(self, x):
        self.save_for_backward(x)
        return array_module(x).arccosh(x)

    def backward(self, grad):
        (x,) = self.saved
        return grad / sqrt(square(x) - 1)


class Atanh(Function):
    """y = ½ ln((1 + x)/(1 - x)) for |x| < 1;  dx = g/(1 - x²)."""

    def forward(self, x):
        self.save_for_backward(x)
        return array_module(x).arctanh(x)

    def backward(self, grad):
        (x,) = self.saved
        return grad / (1 - square(x))


def tan(x: Tensor) -> Tensor:
    """The tangent of x in radians."""
    return Tan()(floating(x))


def asin(x: Tensor) -> Tensor:
    """The angle in [-π/2, π/2] whose sine is x; NaN for |x| > 1."""
    return Asin()(floating(x))


def acos(x: Tensor) -> Tensor:
    """The angle in [0, π] whose cosine is x; NaN for |x| > 1."""
    return Acos()(floating(x))


def atan(x: Tensor) -> Tensor:
    """The angle in (-π/2, π/2) whose tangent is x."""
    return Atan()(floating(x))


def atan2(y: Tensor, x: Tensor) -> Tensor:
    """The angle in [-π, π] of the point (x, y), y first: atan(y/x) in the right quadrant."""
    return Atan2()(*promoted(floating(y), floating(x)))


def sinh(x: Tensor) -> Tensor:
    """The hyperbolic sine."""
    return Sinh()(floating(x))


def cosh(x: Tensor) -> Tensor:
    """The hyperbolic cosine."""
    return Cosh()(floating(x))


def asinh(x: Tensor) -> Tensor:
    """The number whose hyperbolic sine is x."""
    return Asinh()(floating(x))


def acosh(x: Tensor) -> Tensor:
    """The number ≥ 0 whose hyperbolic cosine is x; NaN for x < 1."""
    return Acosh()(floating(x))


def atanh(x: Tensor) -> Tensor:
    """The number whose hyperbolic tangent is x; NaN for |x| > 1."""
    return Atanh()(floating(x))
