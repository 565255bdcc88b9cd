"""To another dtype, to another device, or into other memory: the same numbers, joined to the graph."""

from minigrad import kernels
from minigrad.amp import for_sums
from minigrad.devices import device_of
from minigrad.devices import move as move_array
from minigrad.dtypes import FLOATING, as_dtype
from minigrad.function import Function, Identity
from minigrad.tensor import DEFAULT_DTYPE, Tensor, unwrap, wrap


class Cast(Function):
    """y = x in another floating dtype;  dx = g, cast back."""

    fresh = True

    def __init__(self, dtype):
        self.dtype_to = dtype

    def forward(self, x):
        self.dtype_from = x.dtype
        return kernels.cast(x, self.dtype_to)

    def backward(self, grad):
        return astype(grad, self.dtype_from)


class Move(Function):
    """y = x on another device;  dx = g, moved back."""

    def __init__(self, device: str):
        self.to_device = device

    def forward(self, x):
        self.from_device = device_of(x)
        return move_array(x, self.to_device)

    def backward(self, grad):
        return move(grad, self.from_device)


def astype(x, dtype):
    """x in another dtype; floating to floating carries gradients."""
    dtype = as_dtype(dtype)
    array = unwrap(x)
    if array.dtype == dtype:
        return x
    if dtype.kind in FLOATING and array.dtype.kind in FLOATING:
        return Cast(dtype)(x)
    return wrap(array.astype(dtype)) if isinstance(x, Tensor) else array.astype(dtype)


def move(x, device: str):
    """x on "cpu" or "cuda"; itself if it is there, else a copy that carries gradients back."""
    return x if device_of(unwrap(x)) == device else Move(device)(x)


def clone(x):
    """A copy of the data, joined to the graph."""
    copied = Identity()(x)
    if isinstance(copied, Tensor):
        copied.data = copied.data.copy()
        return copied
    return copied.copy()


def floating(x):
    """x if it is floating, else as float32; autocast wants float32 here."""
    return for_sums(x) if unwrap(x).dtype.kind in FLOATING else astype(x, DEFAULT_DTYPE)
