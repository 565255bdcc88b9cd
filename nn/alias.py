"""Drawing from a fixed discrete distribution in constant time: the alias method (Walker 1977, Vose 1991)."""

from typing import Any

import numpy as np


def alias_table(weights: Any) -> tuple[np.ndarray, np.ndarray]:
    """(thresholds (n,), aliases (n,)) for a distribution proportional to weights (n,).

    To draw: take i uniformly from 0 to n - 1 and u from [0, 1); the result is i if u < thresholds[i],
    else aliases[i]. ValueError for weights that are no distribution.
    """
    weights = np.asarray(weights, np.float64)
    if weights.ndim != 1 or not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
        raise ValueError("alias_table: expected weights of 0 or more, not all of them 0")
    # Every column of the table has the same area. What a light weight leaves of its column is filled
    # with a part of a heavy one.
    thresholds, aliases = weights * (len(weights) / weights.sum()), np.arange(len(weights))
    light = np.flatnonzero(thresholds < 1).tolist()
    heavy = np.flatnonzero(thresholds >= 1).tolist()
    while light and heavy:
        i, j = light.pop(), heavy[-1]
        aliases[i] = j
        thresholds[j] -= 1 - thresholds[i]
        if thresholds[j] < 1:
            light.append(heavy.pop())
    thresholds[light + heavy] = 1  # 1 but for rounding
    return thresholds, aliases
