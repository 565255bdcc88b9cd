"""Pictures of the digits 0 to 9, drawn on the spot in the typefaces that matplotlib brings: data without a download."""

from functools import cache

import numpy as np

SIZE = 16  # pixels a side
FACES = [
    {"family": family, "weight": weight, "style": style}
    for family in ("DejaVu Sans", "DejaVu Serif", "DejaVu Sans Mono")
    for weight in ("normal", "bold")
    for style in ("normal", "oblique")
]


def digits(n: int, seed: int, noise: float = 0.15) -> tuple[np.ndarray, np.ndarray]:
    """n digits at random, each turned, stretched, moved and speckled a little.

    Returns images (n, 16, 16) of float32, 0 for paper and 1 for ink, plus the noise, and labels (n,) of int64.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n)
    images = np.stack([_draw(int(label), rng) for label in labels])
    images += noise * rng.standard_normal(images.shape)
    return images.astype(np.float32), labels


def _draw(digit: int, rng) -> np.ndarray:
    """One digit (16, 16): the share of each pixel that its outline covers, from 2 by 2 points a pixel."""
    from matplotlib.path import Path
    from matplotlib.transforms import Affine2D

    outlines = _outlines(digit, int(rng.integers(len(FACES))))
    corners = np.concatenate(outlines)
    low, high = corners.min(0), corners.max(0)
    placed = (
        Affine2D()
        .translate(*(-(low + high) / 2))
        .scale(0.65 * SIZE / (high - low)[1])
        .scale(*rng.uniform(0.85, 1.15, 2))
        .rotate(rng.uniform(-0.2, 0.2))
        .skew(rng.uniform(-0.2, 0.2), 0)
        .translate(*(SIZE / 2 + rng.uniform(-1, 1, 2)))
    )
    steps = (np.arange(2 * SIZE) + 0.5) / 2
    x, y = np.meshgrid(steps, steps[::-1])  # the first row of an image is the top
    points = np.column_stack([x.ravel(), y.ravel()])
    within = [Path(placed.transform(outline)).contains_points(points) for outline in outlines]
    inside = np.logical_xor.reduce(
        within
    )  # within the outline of the hole of a 0 as well is outside
    return inside.reshape(SIZE, 2, SIZE, 2).mean((1, 3))


@cache
def _outlines(digit: int, face: int) -> list[np.ndarray]:
    """The closed outlines of a digit, each as corners (n, 2)."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    return TextPath((0, 0), str(digit), size=100, prop=FontProperties(**FACES[face])).to_polygons()
