"""Checks of constructor arguments that many layers share."""

import numpy as np


def check_sizes(layer: str, **sizes) -> None:
    """Every size is a non-negative integer."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)):
            raise TypeError(f"{layer}: {name}={size!r}; expected an integer")
        if size < 0:
            raise ValueError(f"{layer}: {name}={size}; expected a size of 0 or more")


def check_probability(layer: str, p: float) -> None:
    """p is a probability."""
    if not isinstance(p, (int, float)) or not 0 <= p <= 1:
        raise ValueError(f"{layer}: p={p!r}; expected a probability between 0 and 1")
