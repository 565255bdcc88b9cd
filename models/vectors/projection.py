"""High-dimensional points as a picture: PCA, which keeps distances, and t-SNE, which keeps neighbours."""

import numpy as np
from numpy.typing import ArrayLike

from models.errors import UserError

EXAGGERATION, EXAGGERATED = 12.0, 250  # attraction is this much stronger at first, for this many steps
MOMENTUM, LATER_MOMENTUM = 0.5, 0.8


def pca(points: ArrayLike, dimensions: int = 2) -> np.ndarray:
    """Points (n, dim) in the plane (n, dimensions) in which they vary most: their principal components.

    Each axis points to where its largest coefficient is positive, so that a picture is the same every time.
    """
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or len(points) < 2:
        raise UserError(f"a projection of points {points.shape}: expected (n, dim), two points at least")
    centred = points - points.mean(0)
    _, axes = np.linalg.eigh(centred.T @ centred)  # by growing eigenvalue
    axes = axes[:, ::-1][:, :dimensions]
    signs = np.sign(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])])
    found = centred @ (axes * signs)
    return np.pad(found, ((0, 0), (0, dimensions - found.shape[1])))


def tsne(points: ArrayLike, perplexity: float = 30.0, steps: int = 750, seed: int = 0) -> np.ndarray:
    """Points (n, dim) in a plane (n, 2), neighbours beside neighbours (van der Maaten & Hinton 2008).

    perplexity  about how many neighbours each point has; less where there are few points

    Exact, so it takes n² memory and time per step. The learning rate is n/48, at least 50 (after Belkina et al. 2019).
    """
    points = np.asarray(points, np.float64)
    n = len(points)
    start = pca(points)
    if n < 4:
        return start
    p = _joint_probabilities(points, min(perplexity, (n - 1) / 3))
    y = start / (start[:, 0].std() or 1) * 1e-4
    y += 1e-6 * np.random.default_rng(seed).standard_normal(y.shape)  # so that equal points can part
    velocity, gains = np.zeros_like(y), np.ones_like(y)
    learning_rate = max(n / (4 * EXAGGERATION), 50.0)
    for step in range(steps):
        early = step < EXAGGERATED
        gradient = _gradient(p * EXAGGERATION if early else p, y)
        same_way = np.sign(gradient) == np.sign(velocity)  # Jacobs 1988: slower where it turns back
        gains = np.maximum(np.where(same_way, gains * 0.8, gains + 0.2), 0.01)
        velocity = (MOMENTUM if early else LATER_MOMENTUM) * velocity - learning_rate * gains * gradient
        y = y + velocity
        y -= y.mean(0)
    return y


def _gradient(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """dC/dy_i = 4 Σ_j (p_ij - q_ij)(y_i - y_j)/(1 + |y_i - y_j|²)  (eq. 5), for C = KL(P‖Q)."""
    kernel = 1 / (1 + _squared_distances(y))
    np.fill_diagonal(kernel, 0)
    q = kernel / kernel.sum()
    pull = (p - q) * kernel
    return 4 * (pull.sum(1, keepdims=True) * y - pull @ y)


def _joint_probabilities(points: np.ndarray, perplexity: float) -> np.ndarray:
    """p_ij = (p_j|i + p_i|j)/2n, p_j|i a Gaussian around i as wide as gives each i this perplexity (section 2)."""
    distances = _squared_distances(points)
    n = len(points)
    conditional = np.zeros((n, n))
    for i in range(n):
        others = np.delete(distances[i], i)
        others -= others.min()  # the nearest has e^0; nothing else changes
        low, high, beta = 0.0, np.inf, 1.0 / max(others.mean(), 1e-12)
        for _ in range(64):  # bisection on the precision β = 1/2σ²
            weights = np.exp(-beta * others)
            total = weights.sum()
            entropy = np.log(total) + beta * (others * weights).sum() / total
            if abs(entropy - np.log(perplexity)) < 1e-5:
                break
            if entropy > np.log(perplexity):
                low, beta = beta, beta * 2 if high == np.inf else (beta + high) / 2
            else:
                high, beta = beta, (beta + low) / 2
        conditional[i, np.arange(n) != i] = weights / total
    return (conditional + conditional.T) / (2 * n)


def _squared_distances(points: np.ndarray) -> np.ndarray:
    squares = (points * points).sum(1)
    return np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0)
