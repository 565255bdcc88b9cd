"""An array on the left of a tensor: `array * tensor` keeps the graph, `array -= tensor` writes into the array.

numpy asks the type of the right operand for __array_ufunc__ and calls it in place of its own operation. cupy
asks the tensor itself: None makes it leave `array * tensor` to Tensor.__rmul__, and for `array -= tensor` it takes
the memory that __cuda_array_interface__ names.
"""

from typing import Any

import numpy as np

from minigrad.devices import is_array
from minigrad.tensor import Tensor

# numpy's operations that are operators, by the operator on a tensor
OPERATORS: dict[np.ufunc, str] = {
    np.add: "add",
    np.subtract: "sub",
    np.multiply: "mul",
    np.true_divide: "truediv",
    np.floor_divide: "floordiv",
    np.remainder: "mod",
    np.power: "pow",
    np.matmul: "matmul",
    np.bitwise_and: "and",
    np.bitwise_or: "or",
    np.bitwise_xor: "xor",
}
COMPARISONS: dict[np.ufunc, str] = {  # and by that of the tensor beside the array
    np.equal: "eq",
    np.not_equal: "ne",
    np.less: "gt",
    np.less_equal: "ge",
    np.greater: "lt",
    np.greater_equal: "le",
}


def array_ufunc(self: Tensor, ufunc: np.ufunc, method: str, *inputs: Any, out: tuple = (), **keywords: Any) -> Any:
    """What numpy calls for an operation of its own that meets a tensor: that of the tensor, if it is an operator.

    TypeError for any other; RuntimeError where writing into an array would cut the graph silently.
    """
    name = OPERATORS.get(ufunc) or COMPARISONS.get(ufunc)
    if name is None or method != "__call__" or keywords or (not is_array(inputs[0]) and not np.isscalar(inputs[0])):
        raise TypeError(f"numpy.{ufunc.__name__} does not take tensors; use minigrad's function, or .detach().numpy()")
    tensor = inputs[1]
    result = getattr(tensor, f"__{'r' if ufunc in OPERATORS else ''}{name}__")(inputs[0])
    if not out:
        return result
    if result.requires_grad:
        raise RuntimeError(
            "array += tensor, where the tensor requires grad, would cut the graph silently; write .detach()"
        )
    np.copyto(out[0], result.numpy(), casting="same_kind")
    return out[0]


class _ForNumpyOnly:
    """__array_ufunc__ as an attribute of the type, None as one of a tensor."""

    def __get__(self, tensor, owner):
        return array_ufunc if tensor is None else None


def cuda_array_interface(self: Tensor) -> dict:
    """The memory of a tensor on the GPU, for cupy and others."""
    if self.device == "cpu":
        raise AttributeError("__cuda_array_interface__ of a tensor on the CPU")
    if self.requires_grad:
        raise RuntimeError("a tensor that requires grad cannot be exported; write .detach() first")
    return self.array.__cuda_array_interface__


Tensor.__array_ufunc__ = _ForNumpyOnly()
Tensor.__cuda_array_interface__ = property(cuda_array_interface)
