"""Tensor: an array, its gradient, and the operation that made it.

This file is the data structure. What a tensor can compute is written in ops/, one
family a file, and attached to the class in methods.py; how gradients flow is in
engine.py.
"""

from typing import TYPE_CHECKING

import numpy as np

from minigrad.devices import CPU, CUDA, Device, array_module, device_of, is_array
from minigrad.dtypes import DEFAULT, FLOATING, as_dtype

if TYPE_CHECKING:
    from minigrad.methods import Methods
else:
    Methods = object  # methods.py hangs its methods on Tensor, once there are operations

DEFAULT_DTYPE = DEFAULT


class Tensor(Methods):
    """An n-dimensional array that remembers how it was computed.

    data           the numpy or cupy array; it decides where work happens
    requires_grad  whether gradients are wanted for it, or for something it came from
    grad           after backward(): d(root)/d(self), a Tensor of the same shape; None before
    grad_fn        the Function that made it; None for a leaf

    Python floats become float32, integers int64; arrays keep their dtype and are
    wrapped without a copy (`minigrad.tensor` copies).
    """

    __slots__ = ("__weakref__", "data", "grad", "grad_fn", "hooks", "requires_grad", "version")

    # A leaf is the end of the graph: as a node it has no parents and comes before every operation.
    parents = ()
    order = -1

    # numpy must not swallow a Tensor on its right: `array * tensor` is Tensor.__rmul__.
    __array_ufunc__ = None

    def __init__(self, data, dtype=None, requires_grad=False):
        if isinstance(data, Tensor):
            data = data.data
        dtype = None if dtype is None else as_dtype(dtype)
        if not is_array(data):
            data = _array_from_python(data, dtype)
        elif dtype is not None:
            data = data.astype(dtype, copy=False)
        self.data = data
        self.grad = None
        self.grad_fn = None
        self.hooks = None
        self.version = 0
        self.requires_grad = False
        if requires_grad:
            self.requires_grad_()

    # What it is.

    @property
    def shape(self):
        return self.data.shape

    @property
    def dtype(self):
        return self.data.dtype

    @property
    def ndim(self):
        return self.data.ndim

    @property
    def device(self) -> Device:
        """ "cpu" or "cuda"."""
        return CUDA if device_of(self.data) == "cuda" else CPU

    @property
    def is_leaf(self) -> bool:
        """True when no recorded operation made it: gradients stop, and are kept, here."""
        return self.grad_fn is None

    @property
    def nbytes(self) -> int:
        return self.data.nbytes

    def dim(self) -> int:
        return self.data.ndim

    def numel(self) -> int:
        return self.data.size

    def size(self, dim=None):
        """The shape, or one entry of it."""
        return self.data.shape if dim is None else self.data.shape[dim]

    def is_floating_point(self) -> bool:
        return self.data.dtype.kind in FLOATING

    def __len__(self):
        if self.data.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self.data.shape[0]

    def __iter__(self):
        for i in range(len(self)):
            yield self[i]

    def __bool__(self):
        if self.data.size != 1:
            raise ValueError(
                f"the truth of a tensor of shape {self.shape} is ambiguous; use .any(), .all() or compare one element"
            )
        return bool(self.data)

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __index__(self):
        if self.data.dtype.kind not in "iu":
            raise TypeError(f"a {self.dtype} tensor cannot be an index; use integers")
        return int(self.item())

    def __hash__(self):
        return id(self)

    def __repr__(self):
        body = np.array2string(
            to_numpy(self.data), separator=", ", prefix="tensor(", precision=4, threshold=200, edgeitems=3
        )
        notes = []
        if self.data.size == 0 or self.data.size > 200:
            notes.append(f"shape={self.shape}")
        if self.data.dtype not in (DEFAULT_DTYPE, np.dtype(np.int64), np.dtype(bool)):
            notes.append(f"dtype={self.data.dtype}")
        if self.device != "cpu":
            notes.append(f"device={self.device!r}")
        if self.grad_fn is not None:
            notes.append(f"grad_fn=<{self.grad_fn.name}>")
        elif self.requires_grad:
            notes.append("requires_grad=True")
        return f"tensor({', '.join([body, *notes])})"

    def __format__(self, spec):
        if self.data.size == 1 and spec:
            return format(self.item(), spec)
        return format(repr(self), spec)

    # Out of the graph.

    def item(self):
        """The one element as a Python number."""
        if self.data.size != 1:
            raise ValueError(f"item(): a tensor of shape {self.shape} has {self.data.size} elements, not one")
        return self.data.item()

    def tolist(self):
        return self.data.tolist()

    def detach(self) -> "Tensor":
        """The same data outside the graph. The two share memory."""
        return wrap(self.data)

    def numpy(self) -> np.ndarray:
        """The data as a numpy array (shared memory on the CPU); refuses where a gradient would be lost."""
        if self.requires_grad:
            raise RuntimeError(
                "numpy() on a tensor that requires grad would cut the graph in silence; write .detach().numpy()"
            )
        return to_numpy(self.data)

    def __array__(self, dtype=None, copy=None):
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    def __dlpack__(self, **kwargs):
        if self.requires_grad:
            raise RuntimeError("a tensor that requires grad cannot be exported; write .detach() first")
        return self.data.__dlpack__(**kwargs)

    def __dlpack_device__(self):
        return self.data.__dlpack_device__()

    def __deepcopy__(self, memo):
        if self.grad_fn is not None:
            raise RuntimeError("only leaf tensors can be deep-copied; write .detach() first")
        copy = wrap(self.data.copy(), self.requires_grad, cls=type(self))
        copy.grad = None if self.grad is None else wrap(self.grad.data.copy())
        memo[id(self)] = copy
        return copy

    def __reduce__(self):
        raise TypeError("tensors are not pickled; use minigrad.save and minigrad.load (safetensors)")

    # Gradients.

    def requires_grad_(self, requires_grad: bool = True) -> "Tensor":
        """Ask for (or decline) gradients at this leaf; returns self."""
        if requires_grad and self.data.dtype.kind not in FLOATING:
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

    def register_hook(self, hook):
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
            import weakref

            reference = weakref.ref(self)

            def keep(grad):
                tensor = reference()
                if tensor is not None:
                    tensor.grad = grad.clone() if tensor.grad is None else tensor.grad + grad

            self.register_hook(keep)

    def bump_version(self) -> None:
        """Say that the data was written in place, so that a graph which saved it refuses to run backward."""
        node = self.grad_fn or self
        node.version += 1


class HookHandle:
    """Takes a hook off again: handle.remove()."""

    __slots__ = ("_node",)

    def __init__(self, node):
        self._node = node

    def remove(self) -> None:
        if self._node.hooks:
            self._node.hooks.pop(self, None)


def wrap(data, requires_grad: bool = False, grad_fn=None, cls: type = Tensor) -> Tensor:
    """A Tensor around an array that is known to be one: the constructor without its checks."""
    tensor = cls.__new__(cls)
    tensor.data = data
    tensor.requires_grad = requires_grad
    tensor.grad_fn = grad_fn
    tensor.grad = None
    tensor.hooks = None
    tensor.version = 0
    return tensor


def unwrap(value):
    """The array of a Tensor; anything else unchanged."""
    return value.data if isinstance(value, Tensor) else value


def to_numpy(array) -> np.ndarray:
    """A numpy array of the same values; copies from the GPU when it must."""
    return array if array_module(array) is np else array.get()


def _array_from_python(data, dtype) -> np.ndarray:
    if isinstance(data, np.generic):
        return np.asarray(data, dtype=dtype)
    if isinstance(data, (list, tuple)):
        data = _without_tensors(data)
    try:
        array = np.array(data, dtype=dtype)
    except ValueError as error:
        raise ValueError(f"tensor: the nested lists are ragged, every row needs the same length ({error})") from None
    if array.dtype.kind not in "fiubV":
        raise TypeError(f"tensor: {type(data).__name__} gives dtype {array.dtype}; use numbers or booleans")
    if dtype is None and array.dtype == np.float64 and not _holds_arrays(data):
        array = array.astype(DEFAULT_DTYPE)
    return array


def _without_tensors(data):
    return [_without_tensors(x) if isinstance(x, (list, tuple)) else unwrap(x) for x in data]


def _holds_arrays(data) -> bool:
    """Whether some element was float64 on purpose: an array or numpy scalar rather than a Python float."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (np.ndarray, np.generic))
