"""Dropout: random zeros, drawn again at every call."""

from minigrad import kernels, random
from minigrad.dtypes import FLOATING
from minigrad.function import Function
from minigrad.tensor import Tensor, unwrap


class Dropout(Function):
    """y = x·m/(1 - p), m one with probability 1 - p and a function of (element, seed) alone;  dx = g·m/(1 - p)."""

    fresh = True

    def __init__(self, p: float, seed: int):
        self.p, self.seed = p, seed

    def forward(self, x):
        return kernels.dropout(x, self.p, self.seed)

    def backward(self, grad):
        return Dropout(self.p, self.seed)(grad)


def dropout(x: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """x with each element zeroed with probability p and the others scaled by 1/(1 - p); x itself when not training.

    A dropped element is 0 even if it was NaN or infinite. (Srivastava et al. 2014.)
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p={p}; expected a probability between 0 and 1")
    if not training or p == 0:
        return x
    if unwrap(x).dtype.kind not in FLOATING:
        raise TypeError(
            f"dropout: x is {unwrap(x).dtype}, which cannot be scaled by 1/(1 - p); cast it to a float first"
        )
    return Dropout(p, random.next_seed())(x)
