"""Tensor: an array, its gradient, and the operation that made it.

This file is the data structure. What a tensor can compute is written in ops/, each
family in a file, and attached to the class in methods.py; how gradients flow is in
engine.py.
"""

import weakref
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from minigrad.devices import CPU, CUDA, Device, array_module, device_of, is_array
from minigrad.dtypes import DEFAULT, FLOATING, as_dtype
from minigrad.typing import Array, DType, Node, Shape
from minigrad.writes import note_write

if TYPE_CHECKING:
    from minigrad.methods import Methods
else:
    Methods = object  # methods.py hangs its methods on Tensor, once there are operations

DEFAULT_DTYPE = DEFAULT


class Tensor(Methods):
    """An n-dimensional array that remembers how it was computed.

    data           the numpy or cupy array; it decides where work happens. May be set, see _set_data
    requires_grad  whether gradients are wanted for it, or for something it came from
    grad           after backward(): d(root)/d(self), a Tensor of the same shape; None before
    grad_fn        the Function that made it; None for a leaf

    Python floats become float32, integers int64; arrays keep their dtype and are
    wrapped without a copy (`minigrad.tensor` copies).
    """

    # array is .data for the engine's own use; view_of and views are those of views.py.
    __slots__ = ("__weakref__", "array", "grad", "grad_fn", "hooks", "requires_grad", "view_of", "views")

    # A leaf is the end of the graph: as a node it has no parents and comes before every operation.
    parents = ()
    order = -1

    __array_ufunc__: ClassVar[Any]  # array_operators.py sets both
    __cuda_array_interface__: ClassVar[Any]

    def __init__(self, data, dtype=None, requires_grad=False):
        data = unwrap(data)
        dtype = None if dtype is None else as_dtype(dtype)
        if not is_array(data):
            from minigrad.from_python import array_from_python

            data = array_from_python(data, dtype)
        elif dtype is not None:
            data = data.astype(dtype, copy=False)
        self.array = data
        self.grad = None
        self.grad_fn = None
        self.hooks = None
        self.view_of = self.views = None
        self.requires_grad = False
        if requires_grad:
            self.requires_grad_()

    def _set_data(self, data) -> None:
        """Put another array, or that of a Tensor, in place of the data, outside the graph: w.data -= lr * w.grad.

        TypeError for what is no array, or has a dtype that cannot carry the gradients wanted; ValueError where the
        graph or .grad knows the tensor by another shape or dtype.
        """
        array = unwrap(data)
        if not is_array(array):
            raise TypeError(f".data = {type(data).__name__}: expected an array or a Tensor; to fill it, use .fill_()")
        if self.requires_grad and array.dtype.kind not in FLOATING:
            raise TypeError(f".data = an {array.dtype} array: this tensor requires grad, so it must be floating")
        if array is not self.array:  # in place, as by .data -= array, it is the same
            if self.grad_fn is not None and (array.shape != self.shape or array.dtype != self.dtype):
                raise ValueError(
                    f".data = {array.dtype} {array.shape}: this is the result of {self.grad_fn.name}, whose gradient "
                    f"is {self.dtype} {self.shape}; use .detach() for a tensor of another shape or dtype"
                )
            if self.grad is not None and array.shape != self.grad.shape:
                raise ValueError(
                    f".data of shape {array.shape} beside a .grad of shape {self.grad.shape}; set .grad to None first"
                )
            self.array = array
            self.view_of = self.views = None
        note_write(array)

    data = property(attrgetter("array"), _set_data)

    # What it is.

    @property
    def shape(self) -> Shape:
        """The sizes of the dimensions; () for one number."""
        return self.array.shape

    @property
    def dtype(self) -> DType:
        """The type of the elements, numpy's."""
        return self.array.dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.array.ndim

    @property
    def device(self) -> Device:
        """ "cpu" or "cuda"."""
        return CUDA if device_of(self.array) == "cuda" else CPU

    @property
    def is_leaf(self) -> bool:
        """True when no recorded operation made it: gradients stop, and are kept, here."""
        return self.grad_fn is None

    @property
    def nbytes(self) -> int:
        """The memory of the elements, in bytes."""
        return self.array.nbytes

    def dim(self) -> int:
        """The number of dimensions."""
        return self.array.ndim

    def numel(self) -> int:
        """The number of elements."""
        return self.array.size

    def size(self, dim: int | None = None) -> Any:
        """The shape, or one entry of it."""
        return self.array.shape if dim is None else self.array.shape[dim]

    def is_floating_point(self) -> bool:
        """Whether the dtype is a floating one, half precision included."""
        return self.array.dtype.kind in FLOATING

    def __len__(self):
        if self.array.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self.array.shape[0]

    def __iter__(self):
        for i in range(len(self)):
            yield self[i]

    def __bool__(self):
        if self.array.size != 1:
            raise ValueError(
                f"the truth of a tensor of shape {self.shape} is ambiguous; use .any(), .all() or compare one element"
            )
        return bool(self.array)

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __index__(self):
        if self.array.dtype.kind not in "iu":
            raise TypeError(f"a {self.dtype} tensor cannot be an index; use integers")
        return int(self.item())

    __hash__ = object.__hash__  # by identity, although == compares elements

    def __repr__(self):
        from minigrad.printing import text_of

        return text_of(self)

    def __format__(self, spec):
        if self.array.size == 1 and spec:
            return format(self.item(), spec)
        return format(repr(self), spec)

    # Out of the graph.

    def item(self) -> Any:
        """The one element as a Python number."""
        if self.array.size != 1:
            raise ValueError(f"item(): a tensor of shape {self.shape} has {self.array.size} elements, not one")
        return self.array.item()

    def tolist(self) -> Any:
        """The elements as Python numbers in nested lists; a 0-d tensor gives the number."""
        return self.array.tolist()

    def detach(self) -> "Tensor":
        """The same data outside the graph. The two share memory."""
        return wrap(self.array)

    def numpy(self) -> np.ndarray:
        """The data as a numpy array (shared memory on the CPU); refuses where a gradient would be lost."""
        if self.requires_grad:
            raise RuntimeError(
                "numpy() on a tensor that requires grad would cut the graph silently; write .detach().numpy()"
            )
        return to_numpy(self.array)

    def __array__(self, dtype=None, copy=None):
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    def __dlpack__(self, **kwargs):
        if self.requires_grad:
            raise RuntimeError("a tensor that requires grad cannot be exported; write .detach() first")
        return self.array.__dlpack__(**kwargs)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __copy__(self):
        """Another leaf around the same data."""
        if self.grad_fn is not None:
            raise RuntimeError("only leaf tensors can be copied; write .detach() or .clone()")
        return wrap(self.array, self.requires_grad, cls=type(self))

    def __deepcopy__(self, memo):
        if self.grad_fn is not None:
            raise RuntimeError("only leaf tensors can be deep-copied; write .detach() first")
        copy = wrap(self.array.copy(), self.requires_grad, cls=type(self))
        copy.grad = None if self.grad is None else wrap(self.grad.data.copy())
        memo[id(self)] = copy
        return copy

    def __reduce__(self):
        raise TypeError("tensors are not pickled; use minigrad.save and minigrad.load (safetensors)")

    # Gradients.

    def requires_grad_(self, requires_grad: bool = True) -> "Tensor":
        """Ask for (or decline) gradients at this leaf; returns self."""
        if requires_grad and self.array.dtype.kind not in FLOATING:
            raise TypeError(f"only floating tensors can require grad; this one is {self.dtype}; use .astype('float32')")
        if self.grad_fn is not None and not requires_grad:
            raise RuntimeError("requires_grad_(False) on the result of an operation; use .detach() to cut the graph")
        self.requires_grad = requires_grad
        return self

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None) -> None:
        """Add d(self)/d(leaf) to the .grad of every leaf that requires grad.

        gradient      upstream gradient of self's shape; may be left out when self has one element
        retain_graph  keep what the rules saved, so that backward can run again (default: create_graph)
        create_graph  record the gradient computation itself, for gradients of gradients
        inputs        a Tensor or several: the only ones, leaves or not, whose .grad is added to
        """
        from minigrad.engine import backward

        backward(self, gradient, retain_graph, create_graph, inputs)

    def register_hook(self, hook: Callable[["Tensor"], "Tensor | None"]) -> "HookHandle":
        """Call hook(grad) when this tensor's gradient is complete; what it returns, if not None, replaces it.

        Returns a handle whose remove() takes the hook off again.
        """
        if not self.requires_grad:
            raise RuntimeError("register_hook: this tensor does not require grad, so no gradient will arrive")
        node = self.grad_fn or self
        if node.hooks is None:
            node.hooks = {}
        handle = HookHandle(node)
        node.hooks[handle] = hook
        return handle

    def retain_grad(self) -> None:
        """Keep .grad of this non-leaf tensor too."""
        if self.grad_fn is not None:
            self.register_hook(_Keep(self))

    def bump_version(self) -> None:
        """Say that the data was written in place, so that a graph which saved it refuses to run backward."""
        note_write(self.array)


class HookHandle:
    """Takes a hook off again: handle.remove()."""

    __slots__ = ("_node",)

    def __init__(self, node: Any):
        self._node = node

    def remove(self) -> None:
        """Take the hook off; nothing happens when it is off already."""
        if self._node.hooks:
            self._node.hooks.pop(self, None)

    def move_to(self, node: Node) -> None:
        """Hang the hook on another node."""
        hook = self._node.hooks.pop(self)
        self._node, node.hooks = node, {**(node.hooks or {}), self: hook}


class _Keep:
    """The hook of retain_grad: adds the gradient to the .grad of a tensor, as long as there is one."""

    def __init__(self, tensor: Tensor):
        self.follows = weakref.ref(tensor)

    def __call__(self, grad: Tensor) -> None:
        tensor = self.follows()
        if tensor is not None:
            tensor.grad = grad.clone() if tensor.grad is None else tensor.grad + grad


_new = object.__new__


def wrap(data: Array, requires_grad: bool = False, grad_fn: Any = None, cls: type[Tensor] = Tensor) -> Tensor:
    """A Tensor around an array that is known to be one: the constructor without its checks."""
    tensor = _new(cls)
    tensor.array = data
    tensor.requires_grad = requires_grad
    tensor.grad_fn = grad_fn
    tensor.grad = None
    tensor.hooks = None
    tensor.view_of = tensor.views = None
    return tensor


def unwrap(value: Any) -> Any:
    """The array of a Tensor; anything else unchanged."""
    return value.array if isinstance(value, Tensor) else value


def to_numpy(array: Any) -> np.ndarray:
    """A numpy array of the same values; copies from the GPU when it must."""
    return array if array_module(array) is np else array.get()
