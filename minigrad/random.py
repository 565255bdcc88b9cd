"""One seeded generator behind everything random: manual_seed(0) repeats a run bit for bit.

The generator lives on the CPU, whatever the device. Random numbers on a GPU are computed there, each
from its position and a seed that the generator hands out (as dropout's are, see
kernels/reference/dropout.py), so its state is all that a checkpoint needs, on either device.
"""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigrad.devices import library
from minigrad.typing import Array, DTypeLike, Shape

_shared: "list[np.random.Generator]" = []  # the one of the first line, once it is used: numpy.random loads slowly
_making = threading.Lock()


def _started(seed: int) -> "np.random.Generator":
    return np.random.Generator(np.random.Philox(seed))


def manual_seed(seed: int) -> None:
    """Start the generator again from `seed`, a non-negative integer."""
    if seed < 0:
        raise ValueError(f"manual_seed: {seed}; expected a non-negative integer")
    generator().bit_generator.state = np.random.Philox(seed).state


class Generator:
    """A stream of random numbers of its own, for the argument `generator` of what draws: not touched by manual_seed.

    numbers  the numpy generator behind it
    """

    def __init__(self, device: str = "cpu"):
        if device != "cpu":
            raise ValueError(f"Generator: device={device!r}; generators live on the CPU and draw for either device")
        self._seed = 0
        self.numbers = _started(0)

    def manual_seed(self, seed: int) -> "Generator":
        """Start again from a non-negative integer; returns self."""
        if seed < 0:
            raise ValueError(f"manual_seed: {seed}; expected a non-negative integer")
        self._seed = seed
        self.numbers.bit_generator.state = np.random.Philox(seed).state
        return self

    def initial_seed(self) -> int:
        """The seed it started from."""
        return self._seed

    def get_state(self) -> dict[str, Any]:
        """The state in JSON's types; set_state puts it back."""
        return _state_of(self.numbers)

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from a state that get_state gave."""
        self.numbers.bit_generator.state = _philox_state(state)


def generator(own: Generator | None = None) -> "np.random.Generator":
    """numpy's generator behind everything random, for initialisers and samplers; or the one of a Generator."""
    if own is not None:
        return own.numbers
    if not _shared:
        with _making:
            if not _shared:
                _shared.append(_started(0))
    return _shared[0]


def next_seed(own: Generator | None = None) -> Any:
    """64 fresh bits, for counter-based kernels such as dropout: an int, or a 0-d array within seeds_from()."""
    if _recorded is not None and own is None:
        return next(_recorded)
    return int(generator(own).integers(0, 2**63))


@contextmanager
def seeds_from(buffer: Array) -> "Iterator[_Seeds]":
    """Within, seeds are read from an array on the GPU, one after the other, and not passed as numbers: a CUDA graph
    repeats the numbers it was recorded with, but reads what its arrays hold.

    buffer  (n,) uint64. RuntimeError if more than n seeds are asked for.
    """
    global _recorded
    before, _recorded = _recorded, _Seeds(buffer)
    try:
        yield _recorded
    finally:
        _recorded = before


class _Seeds:
    """The elements of a buffer in turn, and how many were taken."""

    def __init__(self, buffer: Array):
        self.buffer, self.taken = buffer, 0

    def __next__(self) -> Array:
        if self.taken == len(self.buffer):
            raise RuntimeError(f"seeds_from: more than {len(self.buffer)} seeds were asked for; make the buffer longer")
        self.taken += 1
        return self.buffer[self.taken - 1 : self.taken].reshape(())


_recorded: _Seeds | None = None


def uniform(shape: Shape, dtype: DTypeLike, device: str = "cpu", own: Generator | None = None) -> Array:
    """An array of draws from the uniform distribution on [0, 1), from a generator of its own if one is given."""
    if device == "cpu":
        return _at_least_single(generator(own).random, shape, np.dtype(dtype))
    return _uniform_by_position(shape, next_seed(own), library(device)).astype(dtype)


def standard_normal(shape: Shape, dtype: DTypeLike, device: str = "cpu", own: Generator | None = None) -> Array:
    """An array of draws from the normal distribution with mean 0 and variance 1."""
    if device == "cpu":
        return _at_least_single(generator(own).standard_normal, shape, np.dtype(dtype))
    xp = library(device)
    radius, angle = (_uniform_by_position(shape, next_seed(own), xp) for _ in range(2))
    # Box and Muller, A note on the generation of random normal deviates, 1958
    return (xp.sqrt(-2 * xp.log(1 - radius)) * xp.cos(2 * math.pi * angle)).astype(dtype)


def _at_least_single(draw: Callable[..., Any], shape: Shape, dtype: np.dtype) -> np.ndarray:
    drawn = draw(shape, dtype=dtype if dtype in (np.float32, np.float64) else np.float32)
    return np.asarray(drawn).astype(dtype, copy=False)


def _uniform_by_position(shape: Shape, seed: int | Array, xp: Any) -> Array:
    """float64 multiples of 2⁻³² on [0, 1), the i-th a function of i and the seed."""
    from minigrad.kernels.reference.dropout import keys, random_bits

    index = xp.arange(math.prod(shape), dtype=np.uint64)
    return random_bits(index, *keys(seed)).astype(np.float64).reshape(shape) * 2.0**-32


def get_rng_state() -> dict[str, Any]:
    """The generator's state in JSON's types; set_rng_state puts it back."""
    return _state_of(generator())


def set_rng_state(state: dict[str, Any]) -> None:
    """Continue from a state that get_rng_state gave."""
    generator().bit_generator.state = _philox_state(state)


def _state_of(numbers: "np.random.Generator") -> dict[str, Any]:
    state = numbers.bit_generator.state
    return {
        "counter": [int(n) for n in state["state"]["counter"]],
        "key": [int(n) for n in state["state"]["key"]],
        "buffer": [int(n) for n in state["buffer"]],
        "buffer_pos": int(state["buffer_pos"]),
        "has_uint32": int(state["has_uint32"]),
        "uinteger": int(state["uinteger"]),
    }


def _philox_state(state: dict[str, Any]) -> dict[str, Any]:
    return {
        "bit_generator": "Philox",
        "state": {
            "counter": np.array(state["counter"], dtype=np.uint64),
            "key": np.array(state["key"], dtype=np.uint64),
        },
        "buffer": np.array(state["buffer"], dtype=np.uint64),
        "buffer_pos": state["buffer_pos"],
        "has_uint32": state["has_uint32"],
        "uinteger": state["uinteger"],
    }
