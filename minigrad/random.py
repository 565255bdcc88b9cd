"""One seeded generator behind everything random: manual_seed(0) repeats a run bit for bit."""

import numpy as np

_generator = np.random.Generator(np.random.Philox(0))


def manual_seed(seed: int) -> None:
    """Start the generator again from `seed`, a non-negative integer."""
    if seed < 0:
        raise ValueError(f"manual_seed: {seed}; expected a non-negative integer")
    _generator.bit_generator.state = np.random.Philox(seed).state


def generator() -> np.random.Generator:
    """The generator itself, for initialisers and samplers."""
    return _generator


def next_seed() -> int:
    """64 fresh bits, for counter-based kernels such as dropout."""
    return int(_generator.integers(0, 2**63))


def get_rng_state() -> dict:
    """The generator's state in JSON's types; set_rng_state puts it back."""
    state = _generator.bit_generator.state
    return {
        "counter": [int(n) for n in state["state"]["counter"]],
        "key": [int(n) for n in state["state"]["key"]],
        "buffer": [int(n) for n in state["buffer"]],
        "buffer_pos": int(state["buffer_pos"]),
        "has_uint32": int(state["has_uint32"]),
        "uinteger": int(state["uinteger"]),
    }


def set_rng_state(state: dict) -> None:
    """Continue from a state that get_rng_state gave."""
    _generator.bit_generator.state = {
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
