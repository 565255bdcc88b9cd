"""Activations as Modules, for nn.Sequential. The functions are in functional.py."""

from nn import functional as F
from nn.module import Module


class ReLU(Module):
    """max(x, 0)"""

    def forward(self, input):
        return F.relu(input)


class GELU(Module):
    """x·Φ(x); approximate="tanh" is GPT-2's form  (Hendrycks & Gimpel 2016)."""

    def __init__(self, approximate: str = "none"):
        super().__init__()
        if approximate not in ("none", "tanh"):
            raise ValueError(f'GELU: approximate={approximate!r}; use "none" or "tanh"')
        self.approximate = approximate

    def forward(self, input):
        return F.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class SiLU(Module):
    """x·sigmoid(x)"""

    def forward(self, input):
        return F.silu(input)


class Tanh(Module):
    """tanh x"""

    def forward(self, input):
        return F.tanh(input)


class Sigmoid(Module):
    """1/(1 + e⁻ˣ)"""

    def forward(self, input):
        return F.sigmoid(input)


class LeakyReLU(Module):
    """x where positive, negative_slope·x elsewhere."""

    def __init__(self, negative_slope: float = 0.01):
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, input):
        return F.leaky_relu(input, self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class ELU(Module):
    """x where positive, alpha·(eˣ - 1) elsewhere  (Clevert et al. 2015)."""

    def __init__(self, alpha: float = 1.0):
        super().__init__()
        self.alpha = alpha

    def forward(self, input):
        return F.elu(input, self.alpha)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"


class Softplus(Module):
    """ln(1 + e^(beta·x))/beta; x itself where beta·x is above threshold."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0):
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, input):
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class Softmax(Module):
    """eˣ normalised to sum 1 along dim."""

    def __init__(self, dim: int = -1):
        super().__init__()
        self.dim = dim

    def forward(self, input):
        return F.softmax(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """ln softmax(x) along dim."""

    def __init__(self, dim: int = -1):
        super().__init__()
        self.dim = dim

    def forward(self, input):
        return F.log_softmax(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"
