"""Finite differences that know how far they can be believed: steps, extrapolation, kinks.

A central difference D(h) = (f(x + h) - f(x - h)) / 2h is off by h²/6·f''' where the function curves, and by about
u·|f| / h where it rounds (u is 2⁻⁵³). One step cannot tell the two apart, several can: the first shrinks with h, the
second grows. Richardson's extrapolation (16·D(h) - D(4h)) / 15 cancels the h² between two steps.

L. F. Richardson, The approximate arithmetical solution by finite differences, 1911; C. J. F. Ridders, Accurate
computation of F'(x) and F'(x)F''(x), Advances in Engineering Software 4, 1982: the error read off neighbouring steps.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from minigrad.typing import Array

RATIO = 4  # of one step to the next
ULPS = 4  # rounding units that an output of an ordinary function may be off


class Estimate(NamedTuple):
    """A derivative, and how far it may be off: by rounding alone, or by all that is known of it."""

    value: float
    error: float


class Kink(NamedTuple):
    """A place without a derivative: the slope on one side and on the other, the smaller first."""

    low: float
    high: float


def rounding(weighted: Array, step: float) -> float:
    """What rounding does to a difference of Σ weighted, divided by 2·step: each number rounds on its own."""
    return float(ULPS * np.finfo(np.float64).eps * np.sqrt((weighted * weighted).sum()) / (2 * step))


def extrapolated(found: dict[float, Estimate]) -> Estimate:
    """The best derivative that central differences at several steps give, with the error that their spread shows.

    found  for each step its difference and the rounding error of that; steps are RATIO apart, NaN is left out
    """
    steps = sorted(step for step, each in found.items() if np.isfinite(each.value))
    if len(steps) < 2:
        return Estimate(found[steps[0]].value, np.inf) if steps else Estimate(np.nan, np.inf)
    values = [found[step].value for step in steps]
    spread = [abs(a - b) for a, b in pairwise(values)]
    # Rounding inside the function is seen by nothing but the spread at small steps, less what curvature explains.
    curved = [*spread[1:], 0.0]
    noise = max(max(0.0, s - c / 8) * h for s, c, h in list(zip(spread, curved, steps, strict=False))[:3])
    rounded = [found[step].error + noise / step for step in steps]
    richer = [a + (a - b) / (RATIO**2 - 1) for a, b in pairwise(values)]
    candidates = [Estimate(values[0], spread[0] + rounded[0])]
    for k in range(len(steps) - 1):
        near = [Estimate(values[k], spread[k] + rounded[k])]
        if k + 1 < len(richer):
            near.append(Estimate(richer[k], abs(richer[k] - richer[k + 1]) + 1.1 * rounded[k]))
        # Wide steps may agree with each other about something far from x; smaller ones, which rounding leaves, decide.
        candidates += [
            each for each in near if all(abs(each.value - values[j]) <= each.error + 10 * rounded[j] for j in range(k))
        ]
    return min(candidates, key=lambda each: each.error)


def kink(at: Callable[[float], Array], step: float) -> Kink | None:
    """The slopes on both sides of x where f has a kink or a jump there, None where it is smooth.

    at(t)  the outputs at x + t·d times their upstream gradients, one number for each output
    step   the smallest step; a kink is there at 4 and 16 times it as well, curvature is not

    Each side is seen from that side alone, by a parabola through three points without x itself, so a jump is none of
    the slope. For several outputs the ranges between their two slopes add up.
    """
    here = at(0.0)
    gaps, jumps, found = [], [], []
    for h in (step, RATIO * step, RATIO**2 * step):
        left, right = ([at(side * n * h) for n in (1, 2, 3)] for side in (-1, 1))
        below, above = (np.where(a == c, 0.0, -5 * a + 8 * b - 3 * c) / (2 * h) for a, b, c in (left, right))
        slopes = np.stack([-below, above])
        ends = [3 * a - 3 * b + c for a, b, c in (left, right)]
        found.append(Kink(float(slopes.min(0).sum()), float(slopes.max(0).sum())))
        gaps.append(found[-1].high - found[-1].low)
        jumps.append(float(np.abs(ends[1] - ends[0]).sum()))
    noise = 8 * rounding(here, step)
    bent = min(gaps) > max(max(gaps) / 2, 20 * noise)
    broken = min(jumps) > max(max(jumps) / 2, 20 * noise * step)
    return found[1] if bent or broken else None
