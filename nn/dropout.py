"""Dropout: random zeros while training."""

from nn import functional as F
from nn.checks import check_probability
from nn.module import Module


class Dropout(Module):
    """In training, each element 0 with probability p and divided by 1 - p otherwise; after eval(), x itself.

    (Srivastava et al. 2014, with the scaling in training rather than in evaluation.)
    """

    def __init__(self, p: float = 0.5):
        super().__init__()
        check_probability("Dropout", p)
        self.p = p

    def forward(self, input):
        return F.dropout(input, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"
