"""Tensor's operators and methods: the functions of ops/ under the names that they have on a tensor.

`x.softmax(-1)` is `ops.softmax(x, -1)`, docstring included: a name that stands in the class below is a method of
Tensor. The class exists so that an editor and a type checker see every method. Tensor itself cannot list them,
since the operations are written in terms of Tensor; at the end of this file they are hung on it.
"""

from typing import Any

import numpy as np

from minigrad import ops
from minigrad.devices import DEVICES, is_array
from minigrad.function import is_grad_enabled
from minigrad.ops.conversion import move
from minigrad.tensor import Tensor, unwrap


def _operand(value) -> bool:
    """What may stand beside a tensor in an expression; beside anything else the operators are NotImplemented."""
    return isinstance(value, (Tensor, int, float, np.generic)) or is_array(value)


class Methods:
    """What Tensor can compute, as a type checker sees it: the base of Tensor while types are checked, and only then."""

    __slots__ = ()

    # The operators.

    def __add__(self: Any, other: Any) -> Tensor:
        return ops.add(self, other) if _operand(other) else NotImplemented

    def __radd__(self: Any, other: Any) -> Tensor:
        return ops.add(other, self) if _operand(other) else NotImplemented

    def __sub__(self: Any, other: Any) -> Tensor:
        return ops.sub(self, other) if _operand(other) else NotImplemented

    def __rsub__(self: Any, other: Any) -> Tensor:
        return ops.sub(other, self) if _operand(other) else NotImplemented

    def __mul__(self: Any, other: Any) -> Tensor:
        return ops.mul(self, other) if _operand(other) else NotImplemented

    def __rmul__(self: Any, other: Any) -> Tensor:
        return ops.mul(other, self) if _operand(other) else NotImplemented

    def __truediv__(self: Any, other: Any) -> Tensor:
        return ops.div(self, other) if _operand(other) else NotImplemented

    def __rtruediv__(self: Any, other: Any) -> Tensor:
        return ops.div(other, self) if _operand(other) else NotImplemented

    def __pow__(self: Any, other: Any) -> Tensor:
        return ops.pow(self, other) if _operand(other) else NotImplemented

    def __rpow__(self: Any, other: Any) -> Tensor:
        return ops.pow(other, self) if _operand(other) else NotImplemented

    def __matmul__(self: Any, other: Any) -> Tensor:
        return ops.matmul(self, other) if _operand(other) else NotImplemented

    def __rmatmul__(self: Any, other: Any) -> Tensor:
        return ops.matmul(other, self) if _operand(other) else NotImplemented

    def __floordiv__(self: Any, other: Any) -> Tensor:
        return ops.floor_divide(self, other) if _operand(other) else NotImplemented

    def __rfloordiv__(self: Any, other: Any) -> Tensor:
        return ops.floor_divide(other, self) if _operand(other) else NotImplemented

    def __mod__(self: Any, other: Any) -> Tensor:
        return ops.remainder(self, other) if _operand(other) else NotImplemented

    def __rmod__(self: Any, other: Any) -> Tensor:
        return ops.remainder(other, self) if _operand(other) else NotImplemented

    def __and__(self: Any, other: Any) -> Tensor:
        return ops.bitwise_and(self, other) if _operand(other) else NotImplemented

    def __rand__(self: Any, other: Any) -> Tensor:
        return ops.bitwise_and(other, self) if _operand(other) else NotImplemented

    def __or__(self: Any, other: Any) -> Tensor:
        return ops.bitwise_or(self, other) if _operand(other) else NotImplemented

    def __ror__(self: Any, other: Any) -> Tensor:
        return ops.bitwise_or(other, self) if _operand(other) else NotImplemented

    def __xor__(self: Any, other: Any) -> Tensor:
        return ops.bitwise_xor(self, other) if _operand(other) else NotImplemented

    def __rxor__(self: Any, other: Any) -> Tensor:
        return ops.bitwise_xor(other, self) if _operand(other) else NotImplemented

    def __lshift__(self: Any, other: Any) -> Tensor:
        return ops.bitwise_left_shift(self, other) if _operand(other) else NotImplemented

    def __rlshift__(self: Any, other: Any) -> Tensor:
        return ops.bitwise_left_shift(other, self) if _operand(other) else NotImplemented

    def __rshift__(self: Any, other: Any) -> Tensor:
        return ops.bitwise_right_shift(self, other) if _operand(other) else NotImplemented

    def __rrshift__(self: Any, other: Any) -> Tensor:
        return ops.bitwise_right_shift(other, self) if _operand(other) else NotImplemented

    def __eq__(self: Any, other: Any) -> Tensor:  # type: ignore[override]
        return ops.eq(self, other) if _operand(other) else NotImplemented

    def __ne__(self: Any, other: Any) -> Tensor:  # type: ignore[override]
        return ops.ne(self, other) if _operand(other) else NotImplemented

    def __lt__(self: Any, other: Any) -> Tensor:
        return ops.lt(self, other) if _operand(other) else NotImplemented

    def __le__(self: Any, other: Any) -> Tensor:
        return ops.le(self, other) if _operand(other) else NotImplemented

    def __gt__(self: Any, other: Any) -> Tensor:
        return ops.gt(self, other) if _operand(other) else NotImplemented

    def __ge__(self: Any, other: Any) -> Tensor:
        return ops.ge(self, other) if _operand(other) else NotImplemented

    __neg__ = ops.neg
    __abs__ = ops.abs
    __invert__ = ops.bitwise_not
    __getitem__ = ops.getitem
    __setitem__ = ops.setitem

    # The operations.

    abs = ops.abs
    all = ops.all
    amax = ops.amax
    amin = ops.amin
    any = ops.any
    argmax = ops.argmax
    argmin = ops.argmin
    astype = ops.astype
    bitwise_and = ops.bitwise_and
    bitwise_left_shift = ops.bitwise_left_shift
    bitwise_not = ops.bitwise_not
    bitwise_or = ops.bitwise_or
    bitwise_right_shift = ops.bitwise_right_shift
    bitwise_xor = ops.bitwise_xor
    broadcast_to = ops.broadcast_to
    ceil = ops.ceil
    chunk = ops.chunk
    clamp = ops.clamp
    clone = ops.clone
    contiguous = ops.contiguous
    cos = ops.cos
    cumprod = ops.cumprod
    cumsum = ops.cumsum
    elu = ops.elu
    erf = ops.erf
    exp = ops.exp
    expand = ops.expand
    expm1 = ops.expm1
    flatten = ops.flatten
    flip = ops.flip
    floor = ops.floor
    floor_divide = ops.floor_divide
    fmod = ops.fmod
    gather = ops.gather
    gelu = ops.gelu
    index_select = ops.index_select
    isfinite = ops.isfinite
    isinf = ops.isinf
    isnan = ops.isnan
    leaky_relu = ops.leaky_relu
    log = ops.log
    log1p = ops.log1p
    log_softmax = ops.log_softmax
    logical_and = ops.logical_and
    logical_not = ops.logical_not
    logical_or = ops.logical_or
    logical_xor = ops.logical_xor
    logsumexp = ops.logsumexp
    masked_fill = ops.masked_fill
    matmul = ops.matmul
    max = ops.max
    maximum = ops.maximum
    mean = ops.mean
    min = ops.min
    minimum = ops.minimum
    nonzero = ops.nonzero
    norm = ops.norm
    permute = ops.permute
    pow = ops.pow
    prod = ops.prod
    reciprocal = ops.reciprocal
    relu = ops.relu
    remainder = ops.remainder
    repeat = ops.repeat
    reshape = ops.reshape
    round = ops.round
    rsqrt = ops.rsqrt
    scatter_add = ops.scatter_add
    sigmoid = ops.sigmoid
    sign = ops.sign
    silu = ops.silu
    sin = ops.sin
    softmax = ops.softmax
    softplus = ops.softplus
    sort = ops.sort
    split = ops.split
    sqrt = ops.sqrt
    square = ops.square
    squeeze = ops.squeeze
    std = ops.std
    sum = ops.sum
    swapaxes = ops.swapaxes
    tanh = ops.tanh
    topk = ops.topk
    transpose = ops.transpose
    tril = ops.tril
    triu = ops.triu
    unbind = ops.unbind
    unsqueeze = ops.unsqueeze
    var = ops.var
    view = ops.reshape

    def where(self: Any, condition: Any, other: Any) -> Tensor:
        """self where the condition holds, other elsewhere."""
        return ops.where(condition, self, other)

    @property
    def T(self: Any) -> Tensor:
        """All dimensions reversed."""
        return ops.permute(self, *reversed(range(self.ndim)))

    @property
    def mT(self: Any) -> Tensor:
        """The last two dimensions exchanged."""
        return ops.swapaxes(self, -1, -2)

    # To another dtype or device.

    def to(self: Any, target: Any) -> Tensor:
        """The tensor on another device ("cpu", "cuda") or in another dtype; itself when it is there already."""
        return move(self, target) if target in DEVICES else ops.astype(self, target)

    def cpu(self: Any) -> Tensor:
        """The tensor on the CPU."""
        return move(self, "cpu")

    def cuda(self: Any) -> Tensor:
        """The tensor on the GPU."""
        return move(self, "cuda")

    def float(self: Any) -> Tensor:
        """x as float32."""
        return ops.astype(self, "float32")

    def double(self: Any) -> Tensor:
        """x as float64."""
        return ops.astype(self, "float64")

    def half(self: Any) -> Tensor:
        """x as float16."""
        return ops.astype(self, "float16")

    def long(self: Any) -> Tensor:
        """x as int64."""
        return ops.astype(self, "int64")

    def bool(self: Any) -> Tensor:
        """x as bool: True where it is not 0."""
        return ops.astype(self, "bool")


for _name, _member in vars(Methods).items():
    if callable(_member) or isinstance(
        _member, property
    ):  # not __module__, and not the __hash__ that __eq__ sets to None
        setattr(Tensor, _name, _member)


# In place: for optimisers, initialisers and other code outside the graph.


def _in_place(name: str, write):
    """A method x.name_(...) that overwrites x's data; refused where a recorded graph would be wrong."""

    def method(self: Tensor, *args) -> Tensor:
        if self.requires_grad and is_grad_enabled():
            raise RuntimeError(
                f"{name} on a tensor that requires grad; write inside `with minigrad.no_grad():`, or use the form "
                "that returns a new tensor"
            )
        write(self.data, *(unwrap(arg) for arg in args))
        self.bump_version()
        return self

    method.__name__ = name
    method.__doc__ = f"{name.rstrip('_')} written into this tensor's own data; needs no_grad if it requires grad."
    return method


def _ufunc_into(ufunc):
    return lambda data, other: ufunc(data, other, out=data, casting="same_kind")


def _copy_into(data, source) -> None:
    if np.shape(source) != data.shape:
        np.broadcast_shapes(np.shape(source), data.shape)
    data[...] = source


for _name, _write in {
    "add_": _ufunc_into(np.add),
    "sub_": _ufunc_into(np.subtract),
    "mul_": _ufunc_into(np.multiply),
    "div_": _ufunc_into(np.divide),
    "zero_": lambda data: data.fill(0),
    "fill_": lambda data, value: data.fill(value),
    "copy_": _copy_into,
    "clamp_": lambda data, low, high: data.clip(low, high, out=data),
}.items():
    setattr(Tensor, _name, _in_place(_name, _write))


def _augmented(in_place: str, function):
    """x += y: in place where nothing is recorded; a new tensor under the old name where it is."""

    def operator(self: Tensor, other):
        if not _operand(other):
            return NotImplemented
        other_needs_grad = isinstance(other, Tensor) and other.requires_grad
        if is_grad_enabled() and (other_needs_grad or (self.requires_grad and not self.is_leaf)):
            return function(self, other)
        return getattr(self, in_place)(other)

    return operator


Tensor.__iadd__ = _augmented("add_", ops.add)
Tensor.__isub__ = _augmented("sub_", ops.sub)
Tensor.__imul__ = _augmented("mul_", ops.mul)
Tensor.__itruediv__ = _augmented("div_", ops.div)
