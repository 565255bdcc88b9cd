"""Activations as Modules, for nn.Sequential. The functions: functional/activation.py, minigrad/ops/activation.py.

inplace is PyTorch's and has no effect: the result is a new tensor, and the input keeps its values. The dim of Softmax
is -1 if none is given; PyTorch's choice, which it has retired, depends on the number of dimensions.
"""

import minigrad as mg
from minigrad.tensor import Tensor
from minigrad.typing import DTypeLike
from nn import functional as F
from nn.checks import check_sizes
from nn.module import Module, Parameter


class ReLU(Module):
    """max(x, 0)"""

    def __init__(self, inplace: bool = False):
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """The formula above, element by element."""
        return F.relu(input)

    def extra_repr(self) -> str:
        """The settings."""
        return "inplace=True" if self.inplace else ""


class GELU(Module):
    """x·Φ(x); approximate="tanh" is GPT-2's form  (Hendrycks & Gimpel 2016)."""

    def __init__(self, approximate: str = "none"):
        super().__init__()
        if approximate not in ("none", "tanh"):
            raise ValueError(f'GELU: approximate={approximate!r}; use "none" or "tanh"')
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        """The formula above, element by element."""
        return F.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        """The settings."""
        return f"approximate={self.approximate!r}"


class SiLU(Module):
    """x·sigmoid(x)"""

    def __init__(self, inplace: bool = False):
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """The formula above, element by element."""
        return F.silu(input)

    def extra_repr(self) -> str:
        """The settings."""
        return "inplace=True" if self.inplace else ""


class Tanh(Module):
    """tanh x"""

    def forward(self, input: Tensor) -> Tensor:
        """The formula above, element by element."""
        return F.tanh(input)


class Sigmoid(Module):
    """1/(1 + e⁻ˣ)"""

    def forward(self, input: Tensor) -> Tensor:
        """The formula above, element by element."""
        return F.sigmoid(input)


class LeakyReLU(Module):
    """x where positive, negative_slope·x elsewhere."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False):
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """The formula above, element by element."""
        return F.leaky_relu(input, self.negative_slope)

    def extra_repr(self) -> str:
        """The settings."""
        return f"negative_slope={self.negative_slope}" + (", inplace=True" if self.inplace else "")


class ELU(Module):
    """x where positive, alpha·(eˣ - 1) elsewhere  (Clevert et al. 2015)."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """The formula above, element by element."""
        return F.elu(input, self.alpha)

    def extra_repr(self) -> str:
        """The settings."""
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class CELU(Module):
    """max(x, 0) + min(0, alpha·(e^(x/alpha) - 1))  (Barron 2017)."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """The formula above, element by element."""
        return F.celu(input, self.alpha)

    def extra_repr(self) -> str:
        """The settings."""
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class SELU(Module):
    """1.0507·x where positive, 1.0507·1.6733·(eˣ - 1) elsewhere  (Klambauer et al. 2017)."""

    def __init__(self, inplace: bool = False):
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """The formula above, element by element."""
        return F.selu(input)

    def extra_repr(self) -> str:
        """The settings."""
        return "inplace=True" if self.inplace else ""


class Softplus(Module):
    """ln(1 + e^(beta·x))/beta; x itself where beta·x is above threshold."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0):
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, input: Tensor) -> Tensor:
        """The formula above, element by element."""
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        """The settings."""
        return f"beta={self.beta}, threshold={self.threshold}"


class LogSigmoid(Module):
    """ln(1/(1 + e⁻ˣ))"""

    def forward(self, input: Tensor) -> Tensor:
        """The formula above, element by element."""
        return F.logsigmoid(input)


class Mish(Module):
    """x·tanh(ln(1 + eˣ))  (Misra 2019)."""

    def __init__(self, inplace: bool = False):
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """The formula above, element by element."""
        return F.mish(input)

    def extra_repr(self) -> str:
        """The settings."""
        return "inplace=True" if self.inplace else ""


class Hardtanh(Module):
    """x limited to [min_val, max_val]."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False):
        super().__init__()
        self.min_val, self.max_val = min_val, max_val
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """The formula above, element by element."""
        return F.hardtanh(input, self.min_val, self.max_val)

    def extra_repr(self) -> str:
        """The settings."""
        return f"min_val={self.min_val}, max_val={self.max_val}" + (", inplace=True" if self.inplace else "")


class ReLU6(Hardtanh):
    """min(max(x, 0), 6)  (Howard et al. 2017)."""

    def __init__(self, inplace: bool = False):
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self) -> str:
        """The settings."""
        return "inplace=True" if self.inplace else ""


class Hardsigmoid(Module):
    """min(max(x + 3, 0), 6)/6"""

    def __init__(self, inplace: bool = False):
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """The formula above, element by element."""
        return F.hardsigmoid(input)

    def extra_repr(self) -> str:
        """The settings."""
        return "inplace=True" if self.inplace else ""


class Hardswish(Module):
    """x·min(max(x + 3, 0), 6)/6  (Howard et al. 2019)."""

    def __init__(self, inplace: bool = False):
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """The formula above, element by element."""
        return F.hardswish(input)

    def extra_repr(self) -> str:
        """The settings."""
        return "inplace=True" if self.inplace else ""


class Softsign(Module):
    """x/(1 + |x|)"""

    def forward(self, input: Tensor) -> Tensor:
        """The formula above, element by element."""
        return F.softsign(input)


class Tanhshrink(Module):
    """x - tanh x"""

    def forward(self, input: Tensor) -> Tensor:
        """The formula above, element by element."""
        return F.tanhshrink(input)


class Softshrink(Module):
    """x moved by lambd towards 0, and 0 where it is less than that away."""

    def __init__(self, lambd: float = 0.5):
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        """The formula above, element by element."""
        return F.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        """The settings."""
        return f"{self.lambd}"


class Hardshrink(Module):
    """x, and 0 where |x| is lambd or less."""

    def __init__(self, lambd: float = 0.5):
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        """The formula above, element by element."""
        return F.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        """The settings."""
        return f"{self.lambd}"


class Threshold(Module):
    """x where it is above threshold, value elsewhere."""

    def __init__(self, threshold: float, value: float, inplace: bool = False):
        super().__init__()
        self.threshold, self.value, self.inplace = threshold, value, inplace

    def forward(self, input: Tensor) -> Tensor:
        """The formula above, element by element."""
        return F.threshold(input, self.threshold, self.value)

    def extra_repr(self) -> str:
        """The settings."""
        return f"threshold={self.threshold}, value={self.value}" + (", inplace=True" if self.inplace else "")


class PReLU(Module):
    """x where positive, weight·x elsewhere, weight learned  (He et al. 2015).

    num_parameters  1, or one slope for each channel of input (batch, channels, ...)
    init            what they start at

    The argument is PyTorch's; as an attribute num_parameters is, as of every Module, the method that counts.
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, dtype: DTypeLike = "float32"):
        super().__init__()
        check_sizes("PReLU", num_parameters=num_parameters)
        self.weight = Parameter(mg.full((num_parameters,), init, dtype=dtype))

    def forward(self, input: Tensor) -> Tensor:
        """The formula above, element by element."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        """The settings."""
        return f"num_parameters={len(self.weight)}"


class GLU(Module):
    """a·σ(b), a and b the two halves of the input along dim  (Dauphin et al. 2017)."""

    def __init__(self, dim: int = -1):
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """The formula above: half as large along dim."""
        return F.glu(input, self.dim)

    def extra_repr(self) -> str:
        """The settings."""
        return f"dim={self.dim}"


class Softmax(Module):
    """eˣ normalised to sum 1 along dim."""

    def __init__(self, dim: int = -1):
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """The formula above."""
        return F.softmax(input, self.dim)

    def extra_repr(self) -> str:
        """The settings."""
        return f"dim={self.dim}"


class Softmin(Module):
    """e⁻ˣ normalised to sum 1 along dim."""

    def __init__(self, dim: int = -1):
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """The formula above."""
        return F.softmin(input, self.dim)

    def extra_repr(self) -> str:
        """The settings."""
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """ln softmax(x) along dim."""

    def __init__(self, dim: int = -1):
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """The formula above."""
        return F.log_softmax(input, self.dim)

    def extra_repr(self) -> str:
        """The settings."""
        return f"dim={self.dim}"
