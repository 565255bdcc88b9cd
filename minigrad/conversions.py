"""Tensor's methods that lead to another dtype or device, and to new tensors like one."""

from typing import Any

from minigrad import creation, ops
from minigrad.devices import DEVICES, Device
from minigrad.ops.conversion import move
from minigrad.tensor import Tensor


class Conversions:
    """What a tensor turns into; see methods.py for how it gets these methods."""

    __slots__ = ()

    # New tensors of the same dtype on the same device.

    def new_tensor(self: Any, data: Any, dtype: Any = None, requires_grad: Any = False, device: Any = None) -> Tensor:
        """A copy of data."""
        made = Tensor(data, dtype=dtype or self.dtype)
        return Tensor(move(made.data.copy(), device or self.device), requires_grad=requires_grad)

    def new_full(
        self: Any, size: Any, fill_value: Any, dtype: Any = None, requires_grad: Any = False, device: Any = None
    ) -> Tensor:
        """A tensor of one value."""
        return creation.full(size, fill_value, dtype or self.dtype, requires_grad, device or self.device)

    def new_zeros(self: Any, *size: Any, **options: Any) -> Tensor:
        """A tensor of 0; options are new_full's."""
        return self.new_full(creation.sizes_of(size), 0, **options)

    def new_ones(self: Any, *size: Any, **options: Any) -> Tensor:
        """A tensor of 1; options are new_full's."""
        return self.new_full(creation.sizes_of(size), 1, **options)

    new_empty = new_zeros

    # To another dtype or device. The names of Python's types come last, so that they hide nothing above.

    def to(
        self: Any, *target: Any, dtype: Any = None, device: Any = None, copy: Any = False, non_blocking: Any = False
    ) -> Tensor:
        """The tensor in another dtype, on another device, or both; itself if it is so already, but a copy if asked for.

        x.to("cuda"), x.to(mg.float64), x.to("cuda", mg.float16), x.to(like_this_tensor), x.to(dtype=…, device=…).
        non_blocking is accepted and changes nothing.
        """
        for each in target:
            if isinstance(each, Tensor):
                dtype, device = each.dtype, each.device
            elif isinstance(each, str) and each.partition(":")[0] in DEVICES:
                device = each
            elif each is not None and each is not True and each is not False:  # those: non_blocking, copy
                dtype = each
        moved = self if device is None else move(self, Device(device))
        moved = moved if dtype is None else ops.astype(moved, dtype)
        return ops.clone(moved) if copy and moved is self else moved

    def type_as(self: Any, other: Tensor) -> Tensor:
        """self in the dtype of other."""
        return ops.astype(self, other.dtype)

    def cpu(self: Any) -> Tensor:
        """The tensor on the CPU."""
        return move(self, "cpu")

    def cuda(self: Any, device: Any = None) -> Tensor:
        """The tensor on the GPU."""
        return move(self, Device("cuda" if device is None else device if isinstance(device, str) else f"cuda:{device}"))

    def double(self: Any) -> Tensor:
        """self as float64."""
        return ops.astype(self, "float64")

    def half(self: Any) -> Tensor:
        """self as float16."""
        return ops.astype(self, "float16")

    def bfloat16(self: Any) -> Tensor:
        """self as bfloat16, which needs the package ml_dtypes."""
        return ops.astype(self, "bfloat16")

    def long(self: Any) -> Tensor:
        """self as int64, towards 0."""
        return ops.astype(self, "int64")

    def short(self: Any) -> Tensor:
        """self as int16."""
        return ops.astype(self, "int16")

    def byte(self: Any) -> Tensor:
        """self as uint8."""
        return ops.astype(self, "uint8")

    def char(self: Any) -> Tensor:
        """self as int8."""
        return ops.astype(self, "int8")

    def type(self: Any, dtype: Any) -> Tensor:
        """self in another dtype."""
        return ops.astype(self, dtype)

    def int(self: Any) -> Tensor:
        """self as int32, towards 0."""
        return ops.astype(self, "int32")

    def float(self: Any) -> Tensor:
        """self as float32."""
        return ops.astype(self, "float32")

    def bool(self: Any) -> Tensor:
        """self as bool: True where it is not 0."""
        return ops.astype(self, "bool")
