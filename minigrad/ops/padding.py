"""Padding: more elements around a tensor, of one value or taken from inside."""

from minigrad.devices import array_module
from minigrad.function import Function
from minigrad.ops.index import getitem, index_select
from minigrad.tensor import Tensor, unwrap
from minigrad.typing import Shape


class Pad(Function):
    """y = x with one value around it;  dx = g without its border."""

    moves = True

    def __init__(self, widths: tuple, value: float):
        self.widths, self.value = widths, value

    def forward(self, x):
        xp = array_module(x)
        shape = tuple(before + n + after for n, (before, after) in zip(x.shape, self.widths, strict=True))
        y = xp.full(shape, self.value, dtype=x.dtype)
        y[tuple(slice(before, before + n) for n, (before, _) in zip(x.shape, self.widths, strict=True))] = x
        return y

    def backward(self, grad):
        return grad[tuple(slice(before, n - after) for n, (before, after) in zip(grad.shape, self.widths, strict=True))]


def pad(x: Tensor, pad: Shape, mode: str = "constant", value: float | None = None) -> Tensor:
    """x with elements added before and after, or taken away where a number is negative.

    pad    (before, after) of the last dimension, then of the one before it, and so on: (1, 1, 2, 0) is one element at
           both sides of the last dimension and two before the next to last
    mode   "constant": `value`, 0 unless given; "reflect": mirrored, without the edge; "replicate": the edge; or
           "circular": from the other end
    """
    pad = tuple(int(n) for n in pad)
    if len(pad) % 2 or len(pad) // 2 > x.ndim:
        raise ValueError(f"pad: {pad} for shape {x.shape}; expected two numbers for each of the last dimensions")
    widths = ((0, 0),) * (x.ndim - len(pad) // 2) + tuple(zip(pad[-2::-2], pad[::-2], strict=True))
    for n, (before, after) in zip(x.shape, widths, strict=True):
        if n + min(before, 0) + min(after, 0) < 0:
            raise ValueError(f"pad: {pad} takes more away than shape {x.shape} has")
    if mode != "constant":
        if value is not None:
            raise ValueError(f"pad: value={value} with mode={mode!r}; a value is for mode='constant'")
        return _from_inside(x, widths, mode)
    x = getitem(x, tuple(slice(max(-b, 0), n - max(-a, 0)) for n, (b, a) in zip(x.shape, widths, strict=True)))
    widths = tuple((max(before, 0), max(after, 0)) for before, after in widths)
    return Pad(widths, 0.0 if value is None else value)(x)


def _from_inside(x, widths: tuple, mode: str):
    """The slices of x along each dimension, in the order in which the padded one has them."""
    if mode not in ("reflect", "replicate", "circular"):
        raise ValueError(f'pad: mode={mode!r}; use "constant", "reflect", "replicate" or "circular"')
    xp = array_module(unwrap(x))
    for d, (before, after) in enumerate(widths):
        n = x.shape[d]
        limit = {"reflect": n - 1, "replicate": before + after if n else 0, "circular": n}[mode]
        if max(before, after) > max(limit, 0):
            raise ValueError(f"pad: {max(before, after)} elements by mode={mode!r} in a dimension of size {n}")
        if before == after == 0:
            continue
        place = xp.arange(-before, n + after)
        if mode == "reflect":
            place = xp.abs(place)
            place = xp.minimum(place, 2 * (n - 1) - place)
        elif mode == "replicate":
            place = place.clip(0, n - 1)
        else:
            place = place % n
        x = index_select(x, d, place)
    return x
