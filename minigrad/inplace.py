"""The methods that write into a tensor's own memory: x.add_(y), x += y, x.zero_().

They mean the same whether gradients are recorded or not: x keeps its memory, whatever looks at it sees the new
values, and x is the result of the operation from then on. What an operation saved before is still there for its rule
or, if it was overwritten, the rule refuses to run (writes.py). A leaf that requires grad is written to under no_grad.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad import ops
from minigrad.devices import array_module, is_array
from minigrad.modes import is_grad_enabled, no_grad
from minigrad.operators import is_operand
from minigrad.ops.conversion import astype, clone
from minigrad.tensor import Tensor, unwrap
from minigrad.typing import Number, TensorLike
from minigrad.views import record_write, refuse_recorded_write, refuse_unwritable
from minigrad.writes import note_write, owner

_CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2, "V": 2}  # by the kind of dtype; a result is written into no smaller one
_UFUNCS = {ops.add: "add", ops.sub: "subtract", ops.mul: "multiply", ops.div: "divide"}


def in_place(name: str, function: Callable[..., Tensor], x: Tensor, *operands: Any, **keywords: Any) -> Tensor:
    """x = function(x, *operands, **keywords), written into the memory of x. `name` is for messages.

    RuntimeError for a leaf that requires grad, or a view of one, while recording; ValueError where the result has not
    the shape of x, TypeError where its dtype is of a larger category (floating into integers).
    """
    recorded = is_grad_enabled() and any(isinstance(t, Tensor) and t.requires_grad for t in (x, *operands))
    if recorded:
        refuse_recorded_write(x, name)
    refuse_unwritable(x.array, name)
    if not recorded and _by_ufunc(function, x.array, operands, keywords):
        note_write(x.array)
        return x
    if recorded:  # a rule may save its operands: it gets copies of what will be overwritten
        memory = owner(x.array)
        operands = tuple(clone(t) if isinstance(t, Tensor) and owner(t.array) is memory else t for t in operands)
        result = function(clone(x), *operands, **keywords)
    else:
        with no_grad():
            result = function(x, *operands, **keywords)
    if result.shape != x.shape:
        raise ValueError(f"{name}: the result has shape {result.shape}, which does not fit into {x.shape}")
    if _CATEGORY[result.dtype.kind] > _CATEGORY[x.dtype.kind]:
        raise TypeError(f"{name}: the result is {result.dtype}, which does not fit into {x.dtype}; cast one of them")
    if recorded and not result.requires_grad:  # rounded, say: nothing flows back to what x was
        return fill(name, x, result)
    result = astype(result, x.dtype)
    x.array[...] = result.array
    note_write(x.array)
    if recorded:
        record_write(x, result)
    return x


def _by_ufunc(function, array, operands: tuple, keywords: dict) -> bool:
    """Whether the arithmetic was done at once, without a result beside x: floating, and neither grows nor is cast."""
    name = _UFUNCS.get(function)
    if name is None or keywords or array.dtype.kind != "f":
        return False
    other = unwrap(operands[0])
    if type(other) not in (int, float) and not (is_array(other) and other.dtype == array.dtype):
        return False
    if getattr(other, "shape", ()) not in ((), array.shape):
        return False
    getattr(array_module(array), name)(array, other, out=array)
    return True


def fill(name: str, x: Tensor, value: TensorLike) -> Tensor:
    """x[...] = value for a value that broadcasts to x. `name` is for messages."""
    shape = getattr(value, "shape", None)
    shape = np.shape(value) if shape is None else shape
    if len(shape) > x.ndim or any(n not in (1, m) for n, m in zip(shape[::-1], x.shape[::-1], strict=False)):
        raise ValueError(f"{name}: a value of shape {shape} does not broadcast to {x.shape}")
    ops.setitem(x, ..., value)
    return x


class InPlace:
    """The methods; methods.py hangs them on Tensor."""

    __slots__ = ()

    def add_(self: Any, other: TensorLike, alpha: Number = 1) -> Tensor:
        """x + alpha·other, written into x."""
        return in_place("add_", ops.add, self, other if alpha == 1 else ops.mul(other, alpha))

    def sub_(self: Any, other: TensorLike, alpha: Number = 1) -> Tensor:
        """x - alpha·other, written into x."""
        return in_place("sub_", ops.sub, self, other if alpha == 1 else ops.mul(other, alpha))

    def mul_(self: Any, other: TensorLike) -> Tensor:
        """x · other, written into x."""
        return in_place("mul_", ops.mul, self, other)

    def div_(self: Any, other: TensorLike) -> Tensor:
        """x / other, written into x, which must be floating."""
        return in_place("div_", ops.div, self, other)

    def pow_(self: Any, exponent: TensorLike) -> Tensor:
        """x to the power of exponent, written into x."""
        return in_place("pow_", ops.pow, self, exponent)

    def clamp_(self: Any, min: TensorLike | None = None, max: TensorLike | None = None) -> Tensor:
        """x limited to [min, max], written into x; None leaves that side open."""
        return in_place("clamp_", ops.clamp, self, min, max)

    def masked_fill_(self: Any, mask: TensorLike, value: TensorLike) -> Tensor:
        """value written into x where the mask, which broadcasts to x, is True."""
        return in_place("masked_fill_", ops.masked_fill, self, mask, value)

    def zero_(self: Any) -> Tensor:
        """0 written into each element."""
        return fill("zero_", self, 0)

    def fill_(self: Any, value: TensorLike) -> Tensor:
        """A number, or a 0-d tensor, written into each element."""
        shape = getattr(value, "shape", ())
        if shape:
            raise ValueError(f"fill_: a value of shape {shape}; expected a number, or use copy_")
        return fill("fill_", self, value)

    def copy_(self: Any, source: TensorLike) -> Tensor:
        """The values of source, which broadcasts to x and may be of another dtype or device, written into x."""
        if isinstance(source, Tensor):
            source = source.to(self.device)
        return fill("copy_", self, source)

    def __iadd__(self: Any, other: Any) -> Tensor:
        return in_place("+=", ops.add, self, other) if is_operand(other) else NotImplemented

    def __isub__(self: Any, other: Any) -> Tensor:
        return in_place("-=", ops.sub, self, other) if is_operand(other) else NotImplemented

    def __imul__(self: Any, other: Any) -> Tensor:
        return in_place("*=", ops.mul, self, other) if is_operand(other) else NotImplemented

    def __itruediv__(self: Any, other: Any) -> Tensor:
        return in_place("/=", ops.div, self, other) if is_operand(other) else NotImplemented

    def __ipow__(self: Any, other: Any) -> Tensor:
        return in_place("**=", ops.pow, self, other) if is_operand(other) else NotImplemented

    def __ifloordiv__(self: Any, other: Any) -> Tensor:
        return in_place("//=", ops.floor_divide, self, other) if is_operand(other) else NotImplemented

    def __imod__(self: Any, other: Any) -> Tensor:
        return in_place("%=", ops.remainder, self, other) if is_operand(other) else NotImplemented

    def __iand__(self: Any, other: Any) -> Tensor:
        return in_place("&=", Tensor.__and__, self, other) if is_operand(other) else NotImplemented

    def __ior__(self: Any, other: Any) -> Tensor:
        return in_place("|=", Tensor.__or__, self, other) if is_operand(other) else NotImplemented
