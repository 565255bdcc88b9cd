"""Dropout: random zeros while training."""

from minigrad.tensor import Tensor
from nn import functional as F
from nn.checks import check_probability
from nn.module import Module


class Dropout(Module):
    """In training, each element 0 with probability p and divided by 1 - p otherwise; after eval(), x itself.

    (Srivastava et al. 2014, with the scaling in training rather than in evaluation.) inplace is PyTorch's and has no
    effect: the input keeps its values.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False):
        super().__init__()
        check_probability(type(self).__name__, p)
        self.p, self.inplace = p, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Input with random zeros, or in evaluation input itself."""
        return F.dropout(input, self.p, self.training)

    def extra_repr(self) -> str:
        """The settings."""
        return f"p={self.p}" + (", inplace=True" if self.inplace else "")


class Dropout1d(Dropout):
    """Dropout of whole channels of x (batch, channels, time): neighbouring steps would give away a lost one.

    Tompson et al. 2015.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Input with random channels 0, or in evaluation input itself."""
        return F.dropout1d(input, self.p, self.training)


class Dropout2d(Dropout):
    """Dropout of whole channels of x (batch, channels, height, width)  (Tompson et al. 2015)."""

    def forward(self, input: Tensor) -> Tensor:
        """Input with random channels 0, or in evaluation input itself."""
        return F.dropout2d(input, self.p, self.training)
