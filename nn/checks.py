"""Checks of constructor arguments that many layers share."""

from typing import Any

import numpy as np


def check_sizes(layer: str, **sizes: Any) -> None:
    """TypeError unless every size is an integer, ValueError for one below 0; both name it."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)):
            raise TypeError(f"{layer}: {name}={size!r}; expected an integer")
        if size < 0:
            raise ValueError(f"{layer}: {name}={size}; expected a size of 0 or more")


def check_probability(layer: str, p: float) -> None:
    """ValueError unless p is a probability."""
    if not isinstance(p, (int, float, np.floating)) or not 0 <= p <= 1:
        raise ValueError(f"{layer}: p={p!r}; expected a probability between 0 and 1")
