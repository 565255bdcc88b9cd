"""What an operation's error should have said: which operation, which shapes, which devices, how much memory."""

from collections.abc import Iterable
from typing import Any

from minigrad import devices
from minigrad.tensor import unwrap
from minigrad.typing import Array


class DeviceError(RuntimeError):
    """The tensors of one operation are on two devices."""


class OutOfMemoryError(MemoryError):
    """There is no room for an array, on the GPU or on the CPU."""


def explained(error: Exception, name: str, operands: Iterable[Any]) -> Exception:
    """The error that an operation called `name` is to raise, given what its forward or its rule raised."""
    arrays = [x for x in map(unwrap, operands) if devices.is_array(x)]
    of_values = isinstance(error, (ValueError, IndexError, MemoryError))  # which a mixture of devices never causes
    if not of_values and len({devices.device_of(x) for x in arrays}) > 1:
        return DeviceError(_two_devices(name, arrays))
    if isinstance(error, MemoryError) and not isinstance(error, OutOfMemoryError):
        return OutOfMemoryError(f"{name}: {devices.out_of_memory(error)}")
    if isinstance(error, ValueError) and not isinstance(error, UnicodeError) and not str(error).startswith(name):
        return ValueError(f"{name}: {', '.join(str(x.shape) for x in arrays)}: {error}")
    return error


def same_device(name: str, **arrays: Any) -> None:
    """DeviceError unless these arrays are together, where an array library would move one without a word."""
    given = [x for x in map(unwrap, arrays.values()) if devices.is_array(x)]
    if len({devices.device_of(x) for x in given}) > 1:
        raise DeviceError(_two_devices(name, given))


def _two_devices(name: str, arrays: list[Array]) -> str:
    each = ", ".join(f"{x.dtype}{list(x.shape)} on {devices.device_of(x)}" for x in arrays)
    return f'{name}: the tensors are on two devices: {each}; move one with .to("cuda") or .to("cpu")'
