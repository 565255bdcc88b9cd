"""cupy.cuda: the device, its memory pool, events and streams, as far as minigrad asks."""

import time
import types


class OutOfMemoryError(MemoryError):
    """cupy.cuda.memory.OutOfMemoryError."""

    __module__ = "cupy.cuda.memory"

    def __init__(self, size, total, limit=0):
        message = f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes"
        super().__init__(message + (f", limit set to: {limit:,} bytes)." if limit else ")."))


class CUDARuntimeError(RuntimeError):
    """cupy.cuda.runtime.CUDARuntimeError."""


class Pool:
    """The memory pool: an allocation above `limit` bytes fails."""

    limit: int | None = None
    allocated = 0

    def allocate(self, size: int) -> None:
        if self.limit is not None and size > self.limit:
            raise OutOfMemoryError(size, self.allocated)
        self.allocated += size

    def used_bytes(self) -> int:
        return self.allocated

    def total_bytes(self) -> int:
        return self.allocated

    def free_bytes(self) -> int:
        return 0

    def free_all_blocks(self, stream=None) -> None:
        pass


pool = Pool()


class Event:
    """cupy.cuda.Event, by the clock."""

    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self.at = None

    def record(self, stream=None):
        self.at = time.perf_counter()

    def synchronize(self):
        pass


class Stream:
    """cupy.cuda.Stream: everything has happened already. It cannot capture, as a CPU cannot."""

    def __init__(self, null=False, non_blocking=False, ptds=False, priority=None):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def synchronize(self):
        pass

    def begin_capture(self, mode=None):
        raise CUDARuntimeError("the stand-in for cupy records no graphs")


class Device:
    """cupy.cuda.Device."""

    def __init__(self, device=None):
        self.id = 0
        self.compute_capability = "90"

    def synchronize(self):
        pass


def module(
    device_count: int = 1, driver: int = 13000, runtime: int = 13000, error: str | None = None
) -> types.ModuleType:
    """cupy.cuda, with this many devices and these versions; `error` is what looking for devices raises."""

    def get_device_count():
        if error:
            raise CUDARuntimeError(error)
        return device_count

    cuda = types.ModuleType("cupy.cuda")
    cuda.Event, cuda.Stream, cuda.Device = Event, Stream, Device
    cuda.get_elapsed_time = lambda start, end: 1000 * (end.at - start.at)
    cuda.get_current_stream = Stream
    cuda.memory = types.ModuleType("cupy.cuda.memory")
    cuda.memory.OutOfMemoryError = OutOfMemoryError
    cuda.runtime = types.ModuleType("cupy.cuda.runtime")
    cuda.runtime.CUDARuntimeError = CUDARuntimeError
    cuda.runtime.getDeviceCount = get_device_count
    cuda.runtime.getDeviceProperties = lambda device: {"name": b"stand-in", "major": 9, "minor": 0}
    cuda.runtime.driverGetVersion = lambda: driver
    cuda.runtime.runtimeGetVersion = lambda: runtime
    cuda.runtime.memGetInfo = lambda: (pool.limit or 8 << 30, 8 << 30)
    return cuda
