"""KVCache: the keys and values of the positions that a decoder has already seen."""

from typing import Any

from minigrad.devices import library
from minigrad.modes import is_grad_enabled
from minigrad.tensor import Tensor, wrap
from nn.checks import check_sizes


class KVCache:
    """Room for max_length positions of keys and values, filled from the front.

        cache = nn.KVCache(batch, kv_heads, max_length, head_dim)
        with minigrad.no_grad():
            out, _ = attention(x, x, x, is_causal=True, need_weights=False, cache=cache)

    Each step computes the keys and values of the new positions alone and attends over
    all: one token costs O(length) instead of O(length²). Nothing is recorded for gradients.

    length  how many positions are filled
    """

    def __init__(self, batch: int, kv_heads: int, max_length: int, head_dim: int, dtype="float32", device="cpu"):
        check_sizes("KVCache", batch=batch, kv_heads=kv_heads, max_length=max_length, head_dim=head_dim)
        zeros = library(device).zeros
        self.keys = wrap(zeros((batch, kv_heads, max_length, head_dim), dtype))
        self.values = wrap(zeros((batch, kv_heads, max_length, head_dim), dtype))
        self.length = 0

    @property
    def max_length(self) -> int:
        """How many steps there is room for."""
        return self.keys.shape[2]

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Put keys and values (batch, kv_heads, time, head_dim) behind the others; views of all so far.

        ValueError if they do not fit the cache or it is full.
        """
        if is_grad_enabled() and (keys.requires_grad or values.requires_grad):
            raise RuntimeError("KVCache.append: a cache keeps no gradients; decode inside `with minigrad.no_grad():`")
        batch, kv_heads, max_length, head_dim = self.keys.shape
        expected = (batch, kv_heads, keys.shape[2] if keys.ndim == 4 else "time", head_dim)
        if keys.shape != expected or values.shape != expected:
            raise ValueError(f"KVCache.append: keys {keys.shape}, values {values.shape}; expected both {expected}")
        end = self.length + keys.shape[2]
        if end > max_length:
            raise ValueError(
                f"KVCache.append: {self.length} positions and {keys.shape[2]} more do not fit max_length={max_length}; "
                "make a longer cache, or reset() it and feed the last positions again"
            )
        self.keys.data[:, :, self.length : end] = keys.data
        self.values.data[:, :, self.length : end] = values.data
        self.length = end
        return self.view()

    def view(self) -> tuple[Tensor, Tensor]:
        """The keys and values so far, (batch, kv_heads, length, head_dim), without a copy."""
        return wrap(self.keys.data[:, :, : self.length]), wrap(self.values.data[:, :, : self.length])

    def reorder(self, rows: Any) -> None:
        """Row i goes on from where row rows[i] stood, as beam search needs it; as many rows as there are in `rows`."""
        self.keys, self.values = wrap(self.keys.data[rows]), wrap(self.values.data[rows])

    def reset(self) -> None:
        """Start again from nothing."""
        self.length = 0

    def __repr__(self):
        batch, kv_heads, max_length, head_dim = self.keys.shape
        filled = f"{self.length} of {max_length} positions"
        return f"KVCache({filled}, batch={batch}, kv_heads={kv_heads}, head_dim={head_dim})"
