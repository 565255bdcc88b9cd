"""Where a token stands: sinusoidal, learned and rotary positions.

offset is the position of the first time step: the length of the cache when decoding.
"""

from typing import Any

import numpy as np

import minigrad as mg
from minigrad.devices import array_module
from minigrad.function import Function
from minigrad.tensor import Tensor
from nn import functional as F
from nn import init
from nn.checks import check_probability, check_sizes
from nn.module import Module, Parameter


class SinusoidalPositionalEncoding(Module):
    """x + PE with PE(t, 2i) = sin(t/10000^(2i/embed_dim)), PE(t, 2i+1) = cos of it; then dropout.

    (Vaswani et al. 2017, section 3.5.) x (batch, time, embed_dim), or time first.
    """

    def __init__(self, embed_dim: int, max_length: int = 5000, dropout: float = 0.0, batch_first: bool = True):
        super().__init__()
        check_sizes("SinusoidalPositionalEncoding", embed_dim=embed_dim, max_length=max_length)
        check_probability("SinusoidalPositionalEncoding", dropout)
        self.dropout, self.batch_first = dropout, batch_first
        angles = _angles(np.arange(max_length), embed_dim + embed_dim % 2, 10000.0)
        encoding = np.stack([np.sin(angles), np.cos(angles)], -1).reshape(max_length, -1)[:, :embed_dim]
        self.register_buffer("encoding", Tensor(encoding.astype(np.float32)), persistent=False)

    def forward(self, input: Tensor, offset: int = 0) -> Tensor:
        positions = _positions("SinusoidalPositionalEncoding", self.encoding, input, offset, self.batch_first)
        return F.dropout(input + positions, self.dropout, self.training)

    def extra_repr(self) -> str:
        return f"{self.encoding.shape[1]}, max_length={self.encoding.shape[0]}, dropout={self.dropout}"


class LearnedPositionalEmbedding(Module):
    """x + weight[t]: a trained vector for each position (GPT-2's). x (batch, time, embed_dim), or time first."""

    def __init__(self, max_length: int, embed_dim: int, batch_first: bool = True, dtype="float32"):
        super().__init__()
        check_sizes("LearnedPositionalEmbedding", max_length=max_length, embed_dim=embed_dim)
        self.batch_first = batch_first
        self.weight = Parameter(mg.empty(max_length, embed_dim, dtype=dtype))
        init.normal_(self.weight, std=0.02)

    def forward(self, input: Tensor, offset: int = 0) -> Tensor:
        return input + _positions("LearnedPositionalEmbedding", self.weight, input, offset, self.batch_first)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[1]}, max_length={self.weight.shape[0]}"


class RotaryEmbedding(Module):
    """Turns pairs of features of queries and keys by an angle that grows with the position.

    The pair i at position t by t·base^(-2i/dim), so that a query's product with a key
    depends on their distance alone (Su et al. 2021, section 3.2). It has no parameters.

    interleaved  True: the pairs are neighbours (0, 1), (2, 3), … as in the paper;
                 False: halves (0, dim/2), (1, dim/2 + 1), … as in GPT-NeoX and Llama.
                 The two are permutations of each other, but weights trained with one need that one.
    """

    def __init__(self, dim: int, base: float = 10000.0, interleaved: bool = True):
        super().__init__()
        check_sizes("RotaryEmbedding", dim=dim)
        if dim % 2:
            raise ValueError(f"RotaryEmbedding: dim={dim} is odd; features are turned in pairs")
        if base <= 0:
            raise ValueError(f"RotaryEmbedding: base={base}; expected more than 0")
        self.dim, self.base, self.interleaved = dim, base, interleaved
        self._tables: dict[Any, Any] = {}

    def forward(self, input: Tensor, offset: int = 0) -> Tensor:
        """input (..., time, dim), its first step at position `offset`: turned, of the same shape."""
        if input.ndim < 2 or input.shape[-1] != self.dim:
            raise ValueError(f"RotaryEmbedding: input {input.shape}; expected (..., time, {self.dim})")
        if offset < 0:
            raise ValueError(f"RotaryEmbedding: offset={offset}; expected a position of 0 or more")
        end = offset + input.shape[-2]
        cos, sin = self._cos_sin(end, input.data)
        return Rotate(cos[offset:end], sin[offset:end], self.interleaved)(input)

    def _cos_sin(self, length: int, like):
        """Tables (at least length, dim/2) in the dtype and on the device of an array, kept between calls."""
        key = (like.dtype, type(like))
        if key not in self._tables or len(self._tables[key][0]) < length:
            room = 1 << max(length - 1, 0).bit_length()  # doubling: decoding asks for one more at a time
            angles = _angles(np.arange(room), self.dim, self.base)
            xp = array_module(like)
            self._tables[key] = tuple(xp.asarray(f(angles).astype(like.dtype)) for f in (np.cos, np.sin))
        return self._tables[key]

    def extra_repr(self) -> str:
        return f"{self.dim}, base={self.base}, interleaved={self.interleaved}"


class Rotate(Function):
    """Each pair (a, b) becomes (a cos - b sin, a sin + b cos);  dx = g turned back."""

    def __init__(self, cos, sin, interleaved: bool):
        self.cos, self.sin, self.interleaved = cos, sin, interleaved

    def forward(self, x: Any) -> Any:
        y = array_module(x).empty_like(x)  # in the memory order of x
        (a, b), (turned_a, turned_b) = self._pairs(x), self._pairs(y)
        turned_a[...] = a * self.cos - b * self.sin
        turned_b[...] = a * self.sin + b * self.cos
        return y

    def backward(self, grad: Any) -> Any:
        return Rotate(self.cos, -self.sin, self.interleaved)(grad)

    def _pairs(self, x):
        """The first and the second partner of every pair, views (..., time, dim/2) of x."""
        if self.interleaved:
            return x[..., 0::2], x[..., 1::2]
        half = x.shape[-1] // 2
        return x[..., :half], x[..., half:]

    def flops(self, inputs: Any, outputs: Any) -> int:
        return 3 * outputs[0].size  # four products and two sums for each pair

    def backward_flops(self, grads: Any, results: Any) -> int:
        return 3 * results[0].size


def _angles(positions, dim: int, base: float) -> np.ndarray:
    """t·base^(-2i/dim), shape (positions, dim/2), in float64."""
    return positions[:, None] * base ** (-np.arange(0, dim, 2) / max(dim, 1))


def _positions(layer: str, table, input, offset: int, batch_first: bool):
    """The table's rows for the time steps of input, shaped to be added to it."""
    if input.ndim not in (2, 3) or input.shape[-1] != table.shape[1]:
        raise ValueError(f"{layer}: input {input.shape}; expected three dimensions, the last of size {table.shape[1]}")
    time = input.shape[-2] if batch_first or input.ndim == 2 else input.shape[0]
    if offset < 0 or offset + time > table.shape[0]:
        raise ValueError(
            f"{layer}: positions {offset} to {offset + time - 1} do not fit max_length={table.shape[0]}; "
            "shorten the input or make a longer table"
        )
    rows = table[offset : offset + time]
    return rows if batch_first or input.ndim == 2 else rows.unsqueeze(1)
