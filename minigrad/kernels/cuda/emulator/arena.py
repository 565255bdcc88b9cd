"""Copies of a launch's arrays with guard zones around them, so that an access outside is noticed."""

from functools import cache

import numpy as np

GUARD = 16 << 10  # bytes on either side of an array
ALIGNMENT = 256  # what a GPU's allocator gives


class Region:
    """The memory of one array, or of several that overlap."""

    def __init__(self, low: int, high: int, names: list[str]):
        self.low, self.high, self.names = low, high, names
        self.written = False
        self.place = 0  # in the arena


class Arena:
    """The arrays of one launch, in one block of memory."""

    def __init__(self, arrays: list[tuple[str, np.ndarray, bool]], guard: int = GUARD):
        """`arrays` are (name, array, whether the kernel may write to it)."""
        self.arrays = [(name, array) for name, array, _ in arrays]
        self.regions = _regions(arrays)
        self.guard = guard
        size = guard
        for region in self.regions:
            region.place = _up(size, ALIGNMENT) + region.low % 16  # a misaligned array stays so
            size = region.place + region.high - region.low + guard
        self.memory = _poison(size + 2 * ALIGNMENT).copy()
        self.base = _up(self.memory.ctypes.data, ALIGNMENT) - self.memory.ctypes.data
        for region in self.regions:
            self._inside(region)[:] = _memory(region.low, region.high)

    def address(self, array: np.ndarray) -> int:
        """Where the copy of the array's first element is."""
        if not array.size:
            return self.memory.ctypes.data + self.base
        here = array.ctypes.data
        region = next(r for r in self.regions if r.low <= here < r.high)
        return self.memory.ctypes.data + self.base + region.place + here - region.low

    def copy_back(self) -> None:
        """What the kernel wrote becomes the arrays' contents."""
        for region in self.regions:
            if region.written:
                _memory(region.low, region.high)[:] = self._inside(region)

    def damage(self) -> list[str]:
        """A line for each array before or behind which the kernel wrote."""
        found = []
        for region in self.regions:
            start, end = self._places(region)
            before, behind = self._changed(start - self.guard, start), self._changed(end, end + self.guard)
            name = " and ".join(region.names)
            if before.size:
                found.append(f"writes before the start of {name}, {self.guard - before[0]} bytes before it")
            if behind.size:
                found.append(f"writes past the end of {name}, {behind[0]} bytes behind it")
        return found

    def _changed(self, start: int, end: int) -> np.ndarray:
        """Where from start to end, counted from there, no longer the guard's own bytes are."""
        return np.flatnonzero(self.memory[start:end] != _poison(end)[start:])

    def span(self, region: Region) -> tuple[int, int]:
        """The addresses of a region's first byte and of the one after its last."""
        first, last = self._places(region)
        return self.memory.ctypes.data + first, self.memory.ctypes.data + last

    def _places(self, region: Region) -> tuple[int, int]:
        start = self.base + region.place
        return start, start + region.high - region.low

    def _inside(self, region: Region) -> np.ndarray:
        return self.memory[slice(*self._places(region))]


def _poison(size: int) -> np.ndarray:
    """What a guard zone holds: NaN as float32, bfloat16 and float16, and no two words near each other alike.

    Were they alike, a kernel that reads beyond one array and writes beyond another would leave no trace.
    """
    return _pattern(max(size - 1, 1).bit_length())[:size]


@cache
def _pattern(bits: int) -> np.ndarray:
    words = np.arange(1 << bits >> 2, dtype=np.uint32)
    return (0xFFC0FFC0 | (words * np.uint32(2654435761) >> 6 & 0x003F003F)).astype(np.uint32).view(np.uint8)


def _regions(arrays) -> list[Region]:
    """The arrays' spans of memory in ascending order, those that overlap made one."""
    regions: list[Region] = []
    spans = [
        (*np.lib.array_utils.byte_bounds(a), describe(name, a), writable) for name, a, writable in arrays if a.size
    ]
    for low, high, name, writable in sorted(spans):
        if not regions or low >= regions[-1].high:
            regions.append(Region(low, high, []))
        region = regions[-1]
        region.high = max(region.high, high)
        region.names.append(name)
        region.written |= writable
    return regions


def describe(name: str, array: np.ndarray) -> str:
    """The array as reports name it: x (float32[4, 256])."""
    return f"{name} ({array.dtype}{list(array.shape)})"


def _memory(low: int, high: int) -> np.ndarray:
    """The bytes of this process from low to high."""
    import ctypes

    return np.frombuffer(memoryview((ctypes.c_uint8 * (high - low)).from_address(low)), np.uint8)


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
