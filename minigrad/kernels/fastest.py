"""Which version of a kernel is the fastest on a GPU, by shape: measured once, and stored beside the kernels.

fastest.json says on which GPU and when it was measured, and for each kernel and dtype what each version took
at some shapes. A call gets the winner at the measured shape nearest to its own. A kernel that is not in the
table runs the first version in the order of kernels/__init__.py: the vendor's for products, ours for the rest.

    python -m minigrad.kernels.tune        measures, and writes the file
"""

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

PATH = Path(__file__).parent / "fastest.json"

_chosen: dict[tuple, str | None] = {}  # (kernel, dtype, shapes) -> backend


def fastest(kernel: str, args: Sequence[Any]) -> str | None:
    """The backend that was the fastest at the nearest shape measured; None where nothing was measured."""
    if kernel not in table():
        return None
    shapes = tuple(x.shape for x in args if hasattr(x, "shape"))
    dtype = next((x.dtype.name for x in args if hasattr(x, "shape") and x.dtype.kind not in "biu"), "")
    key = kernel, dtype, shapes
    if key not in _chosen:
        _chosen[key] = _nearest(table()[kernel], dtype, shapes)
    return _chosen[key]


@cache
def table() -> dict[str, list[dict]]:
    """{kernel: [{"dtype": …, "shapes": […], "microseconds": {backend: …}}, …]}"""
    import json

    return json.loads(PATH.read_text())["kernels"]


def forget() -> None:
    """Read the file again at the next call."""
    table.cache_clear()
    _chosen.clear()


def _nearest(rows: list[dict], dtype: str, shapes: tuple) -> str | None:
    comparable = [row for row in rows if row["dtype"] == dtype and _same_form(row["shapes"], shapes)]
    if not comparable:
        return None
    row = min(comparable, key=lambda row: _distance(row["shapes"], shapes))
    return min(row["microseconds"], key=row["microseconds"].get)


def _same_form(measured, shapes) -> bool:
    return [len(shape) for shape in measured] == [len(shape) for shape in shapes]


def _distance(measured, shapes) -> float:
    """How many doublings lie between the two, squared and added up over all dimensions."""
    pairs = [(m, n) for one, other in zip(measured, shapes, strict=True) for m, n in zip(one, other, strict=True)]
    return sum(math.log2(max(m, 1) / max(n, 1)) ** 2 for m, n in pairs)
