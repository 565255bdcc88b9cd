"""Tensor's operators and methods: a table that hangs the functions of ops/ on the class.

Every operation whose first argument is a tensor is a method of the same name, so
`x.softmax(-1)` is `ops.softmax(x, -1)`, docstring included.
"""

import numpy as np

from minigrad import ops
from minigrad.devices import DEVICES, is_array
from minigrad.function import is_grad_enabled
from minigrad.ops.conversion import move
from minigrad.tensor import Tensor, unwrap

METHODS = [
    "abs",
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "astype",
    "broadcast_to",
    "ceil",
    "chunk",
    "clamp",
    "clone",
    "contiguous",
    "cos",
    "cumsum",
    "elu",
    "erf",
    "exp",
    "expand",
    "expm1",
    "flatten",
    "flip",
    "floor",
    "gather",
    "gelu",
    "index_select",
    "isfinite",
    "isinf",
    "isnan",
    "leaky_relu",
    "log",
    "log1p",
    "log_softmax",
    "logical_and",
    "logical_not",
    "logical_or",
    "logsumexp",
    "masked_fill",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "nonzero",
    "norm",
    "permute",
    "pow",
    "prod",
    "reciprocal",
    "relu",
    "repeat",
    "reshape",
    "round",
    "rsqrt",
    "scatter_add",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "sort",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "std",
    "sum",
    "swapaxes",
    "tanh",
    "topk",
    "transpose",
    "tril",
    "triu",
    "unbind",
    "unsqueeze",
    "var",
]

for _name in METHODS:
    setattr(Tensor, _name, getattr(ops, _name))

# operator -> (function, whether the reflected form exists)
OPERATORS = {
    "add": (ops.add, True),
    "sub": (ops.sub, True),
    "mul": (ops.mul, True),
    "truediv": (ops.div, True),
    "pow": (ops.pow, True),
    "matmul": (ops.matmul, True),
    "floordiv": (ops.floor_divide, True),
    "mod": (ops.remainder, True),
    "and": (ops.logical_and, True),
    "or": (ops.logical_or, True),
    "eq": (ops.eq, False),
    "ne": (ops.ne, False),
    "lt": (ops.lt, False),
    "le": (ops.le, False),
    "gt": (ops.gt, False),
    "ge": (ops.ge, False),
}


def _operand(value):
    """What may stand beside a tensor in an expression; anything else is NotImplemented."""
    return isinstance(value, (Tensor, int, float, np.generic)) or is_array(value)


def _binary(function):
    def operator(self, other):
        return function(self, other) if _operand(other) else NotImplemented

    def reflected(self, other):
        return function(other, self) if _operand(other) else NotImplemented

    return operator, reflected


for _name, (_function, _reflects) in OPERATORS.items():
    _operator, _reflected = _binary(_function)
    setattr(Tensor, f"__{_name}__", _operator)
    if _reflects:
        setattr(Tensor, f"__r{_name}__", _reflected)

Tensor.__neg__ = ops.neg
Tensor.__abs__ = ops.abs
Tensor.__invert__ = ops.logical_not
Tensor.__getitem__ = ops.getitem
Tensor.__setitem__ = ops.setitem
Tensor.view = ops.reshape
Tensor.where = lambda self, condition, other: ops.where(condition, self, other)
Tensor.T = property(lambda self: ops.permute(self, *reversed(range(self.ndim))), doc="All dimensions reversed.")
Tensor.mT = property(lambda self: ops.swapaxes(self, -1, -2), doc="The last two dimensions exchanged.")

for _name, _dtype in {
    "float": "float32",
    "double": "float64",
    "half": "float16",
    "long": "int64",
    "bool": "bool",
}.items():
    setattr(Tensor, _name, lambda self, dtype=_dtype: ops.astype(self, dtype))


def _to(self: Tensor, target) -> Tensor:
    """The tensor on another device ("cpu", "cuda") or in another dtype; itself when it is there already."""
    return move(self, target) if target in DEVICES else ops.astype(self, target)


Tensor.to = _to
Tensor.cpu = lambda self: move(self, "cpu")
Tensor.cuda = lambda self: move(self, "cuda")


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

__all__ = ["METHODS", "OPERATORS"]
