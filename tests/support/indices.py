"""Random index expressions of every kind, and what they mean: the integers first, then the rest as in numpy."""

import numpy as np


def random_case(rng) -> tuple[tuple, tuple]:
    """A shape and an index into it: integers, slices, None, ..., masks of any rank, integer arrays that broadcast."""
    shape = tuple(int(n) for n in rng.integers(1, 5, rng.integers(1, 5)))
    if rng.random() < 0.05:
        shape = (*shape[:-1], 0)
    common = tuple(int(n) for n in rng.integers(1, 4, rng.integers(0, 3)))  # what the integer arrays broadcast to
    parts, d, dots = [], 0, False
    while d < len(shape) and rng.random() < 0.9:
        n, kind = shape[d], rng.choice(KINDS, p=WEIGHTS)
        if kind == "mask":
            rank = int(rng.integers(1, len(shape) - d + 1))
            if any(isinstance(part, (np.ndarray, list)) for part in parts):
                continue  # how many it picks must broadcast against the others
            parts.append(rng.random(shape[d : d + rank]) < 0.5)
            d, common = d + rank, (int(parts[-1].sum()),)
        elif kind == "dots" and not dots:
            skipped = int(rng.integers(0, len(shape) - d + 1))
            parts.append(Ellipsis)
            dots, d, rest = True, d + skipped, len(shape) - d - skipped
            if not rest:
                break
        elif kind == "none":
            parts.append(None)
        elif kind == "bool":
            parts.append(bool(rng.random() < 0.8) if not any(isinstance(p, np.ndarray) for p in parts) else True)
        elif kind == "slice" or (n == 0 and kind != "dots"):
            parts.append(
                slice(
                    *(None if rng.random() < 0.3 else int(v) for v in rng.integers(-n - 1, n + 2, 2)),
                    rng.choice([None, 1, 2, 3]),
                )
            )
            d += 1
        elif kind == "int":
            i = int(rng.integers(-n, n))
            parts.append(rng.choice([0, 1, 2]) and np.int64(i) if rng.random() < 0.3 else i)
            d += 1
        elif kind == "array":
            lead = rng.integers(0, len(common) + 1)
            own = tuple(1 if rng.random() < 0.3 else m for m in common[lead:])
            ids = rng.integers(-n, n, own)
            parts.append(ids.tolist() if rng.random() < 0.2 and ids.ndim == 1 and ids.size else ids)
            d += 1
    try:  # parts after ... belong to the last dimensions, which may be smaller than those they were drawn for
        picked(shape, tuple(parts))
    except IndexError:
        return random_case(rng)
    if len(parts) == 1 and rng.random() < 0.5:
        return shape, parts[0]
    return shape, tuple(parts)


KINDS = ["int", "slice", "array", "mask", "none", "dots", "bool"]
WEIGHTS = [0.22, 0.25, 0.25, 0.08, 0.08, 0.08, 0.04]


def _consumed(part) -> int:
    if part is None or part is Ellipsis or isinstance(part, bool):
        return 0
    return part.ndim if isinstance(part, np.ndarray) and part.dtype == bool else 1


def picked(shape, index) -> np.ndarray:
    """The flat position of every element that x[index] reads, by taking the integers one after the other first."""
    positions = np.arange(int(np.prod(shape))).reshape(shape)
    parts = list(index) if isinstance(index, tuple) else [index]
    dots = [i for i, part in enumerate(parts) if part is Ellipsis]
    if dots:
        fill = len(shape) - sum(_consumed(part) for part in parts)
        parts[dots[0] : dots[0] + 1] = [slice(None)] * fill
    axis, rest = 0, []
    for part in parts:
        number = isinstance(part, (int, np.integer)) and not isinstance(part, bool)
        number = number or (isinstance(part, np.ndarray) and part.ndim == 0 and part.dtype != bool)
        if number:
            positions = positions.take(int(part), axis)
        else:
            rest.append(part)
            axis += _consumed(part)
    return positions[tuple(rest)]
