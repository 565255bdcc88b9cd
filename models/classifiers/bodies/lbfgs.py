"""L-BFGS: the minimum of a smooth function of many variables, from values and gradients."""

from collections import deque
from collections.abc import Callable

import numpy as np

MEMORY = 10  # steps from which the curvature is estimated
DECREASE, CURVATURE = 1e-4, 0.9  # what a step must achieve: the Wolfe conditions


def minimize(
    function: Callable[[np.ndarray], tuple[float, np.ndarray]],
    start: np.ndarray,
    tolerance: float,
    max_iterations: int,
) -> np.ndarray:
    """A point where no element of the gradient is larger than tolerance, or the last one of max_iterations.

    function gives (value, gradient) at a point (n,). The direction is the gradient times an estimate of the inverse
    Hessian, made of the last MEMORY steps and how the gradient changed over them (Nocedal & Wright 2006, algorithms
    7.4 and 7.5).
    """
    x = start
    value, gradient = function(x)
    steps: deque = deque(maxlen=MEMORY)  # (how x changed, how the gradient changed, 1/their product)
    for _ in range(max_iterations):
        if np.abs(gradient).max() <= tolerance:
            break
        direction = -_inverse_hessian_times(gradient, steps)
        found = _line_search(function, x, value, gradient, direction, first=not steps)
        if found is None:  # rounding hides any further progress
            break
        new_x, value, new_gradient = found
        dx, dg = new_x - x, new_gradient - gradient
        if dx @ dg > 0:
            steps.append((dx, dg, 1 / (dx @ dg)))
        x, gradient = new_x, new_gradient
    return x


def _inverse_hessian_times(gradient, steps):
    """The two loops of algorithm 7.4: from the latest step back, then forward again."""
    q, factors = gradient.copy(), []
    for dx, dg, rho in reversed(steps):
        factors.append(rho * (dx @ q))
        q -= factors[-1] * dg
    if steps:
        dx, dg, _ = steps[-1]
        q *= (dx @ dg) / (dg @ dg)
    for dx, dg, rho in steps:
        q += dx * (factors.pop() - rho * (dg @ q))
    return q


def _line_search(function, x, value, gradient, direction, first: bool):
    """(x, value, gradient) of a step that meets the Wolfe conditions, found by doubling and halving its length
    (Lewis & Overton 2013, algorithm 4.6); None if there is none."""
    slope = gradient @ direction
    length, low, high = (1 / max(float(np.linalg.norm(gradient)), 1) if first else 1.0), 0.0, np.inf
    for _ in range(40):
        there = x + length * direction
        new_value, new_gradient = function(there)
        if not new_value <= value + DECREASE * length * slope:  # NaN is no decrease
            high = length
        elif new_gradient @ direction < CURVATURE * slope:
            low = length
        else:
            return there, new_value, new_gradient
        length = 2 * low if high == np.inf else (low + high) / 2
    return None
