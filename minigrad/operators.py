"""Tensor's operators: `x + y` is ops.add(x, y), with an array or a number on either side."""

from typing import Any

import numpy as np

from minigrad import ops
from minigrad.devices import is_array
from minigrad.tensor import Tensor


def is_operand(value: object) -> bool:
    """What may stand beside a tensor in an expression; beside anything else the operators are NotImplemented."""
    return isinstance(value, (Tensor, int, float, np.generic)) or is_array(value)


class Operators:
    """The operators of Tensor; see methods.py for how they get there."""

    __slots__ = ()

    def __add__(self: Any, other: Any) -> Tensor:
        return ops.add(self, other) if is_operand(other) else NotImplemented

    def __radd__(self: Any, other: Any) -> Tensor:
        return ops.add(other, self) if is_operand(other) else NotImplemented

    def __sub__(self: Any, other: Any) -> Tensor:
        return ops.sub(self, other) if is_operand(other) else NotImplemented

    def __rsub__(self: Any, other: Any) -> Tensor:
        return ops.sub(other, self) if is_operand(other) else NotImplemented

    def __mul__(self: Any, other: Any) -> Tensor:
        return ops.mul(self, other) if is_operand(other) else NotImplemented

    def __rmul__(self: Any, other: Any) -> Tensor:
        return ops.mul(other, self) if is_operand(other) else NotImplemented

    def __truediv__(self: Any, other: Any) -> Tensor:
        return ops.div(self, other) if is_operand(other) else NotImplemented

    def __rtruediv__(self: Any, other: Any) -> Tensor:
        return ops.div(other, self) if is_operand(other) else NotImplemented

    def __pow__(self: Any, other: Any) -> Tensor:
        return ops.pow(self, other) if is_operand(other) else NotImplemented

    def __rpow__(self: Any, other: Any) -> Tensor:
        return ops.pow(other, self) if is_operand(other) else NotImplemented

    def __matmul__(self: Any, other: Any) -> Tensor:
        return ops.matmul(self, other) if is_operand(other) else NotImplemented

    def __rmatmul__(self: Any, other: Any) -> Tensor:
        return ops.matmul(other, self) if is_operand(other) else NotImplemented

    def __floordiv__(self: Any, other: Any) -> Tensor:
        return ops.floor_divide(self, other) if is_operand(other) else NotImplemented

    def __rfloordiv__(self: Any, other: Any) -> Tensor:
        return ops.floor_divide(other, self) if is_operand(other) else NotImplemented

    def __mod__(self: Any, other: Any) -> Tensor:
        return ops.remainder(self, other) if is_operand(other) else NotImplemented

    def __rmod__(self: Any, other: Any) -> Tensor:
        return ops.remainder(other, self) if is_operand(other) else NotImplemented

    def __and__(self: Any, other: Any) -> Tensor:
        return ops.bitwise_and(self, other) if is_operand(other) else NotImplemented

    def __rand__(self: Any, other: Any) -> Tensor:
        return ops.bitwise_and(other, self) if is_operand(other) else NotImplemented

    def __or__(self: Any, other: Any) -> Tensor:
        return ops.bitwise_or(self, other) if is_operand(other) else NotImplemented

    def __ror__(self: Any, other: Any) -> Tensor:
        return ops.bitwise_or(other, self) if is_operand(other) else NotImplemented

    def __xor__(self: Any, other: Any) -> Tensor:
        return ops.bitwise_xor(self, other) if is_operand(other) else NotImplemented

    def __rxor__(self: Any, other: Any) -> Tensor:
        return ops.bitwise_xor(other, self) if is_operand(other) else NotImplemented

    def __lshift__(self: Any, other: Any) -> Tensor:
        return ops.bitwise_left_shift(self, other) if is_operand(other) else NotImplemented

    def __rlshift__(self: Any, other: Any) -> Tensor:
        return ops.bitwise_left_shift(other, self) if is_operand(other) else NotImplemented

    def __rshift__(self: Any, other: Any) -> Tensor:
        return ops.bitwise_right_shift(self, other) if is_operand(other) else NotImplemented

    def __rrshift__(self: Any, other: Any) -> Tensor:
        return ops.bitwise_right_shift(other, self) if is_operand(other) else NotImplemented

    def __eq__(self: Any, other: Any) -> Tensor:  # type: ignore[override]
        return ops.eq(self, other) if is_operand(other) else NotImplemented

    def __ne__(self: Any, other: Any) -> Tensor:  # type: ignore[override]
        return ops.ne(self, other) if is_operand(other) else NotImplemented

    def __lt__(self: Any, other: Any) -> Tensor:
        return ops.lt(self, other) if is_operand(other) else NotImplemented

    def __le__(self: Any, other: Any) -> Tensor:
        return ops.le(self, other) if is_operand(other) else NotImplemented

    def __gt__(self: Any, other: Any) -> Tensor:
        return ops.gt(self, other) if is_operand(other) else NotImplemented

    def __ge__(self: Any, other: Any) -> Tensor:
        return ops.ge(self, other) if is_operand(other) else NotImplemented

    __neg__ = ops.neg
    __abs__ = ops.abs
    __invert__ = ops.bitwise_not
    __getitem__ = ops.getitem
    __setitem__ = ops.setitem
