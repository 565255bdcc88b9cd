"""When each piece of memory was last written to in place, so that no gradient is computed from values that changed.

One clock counts the writes. A recorded operation keeps what the clock said when it saved its arrays; if the clock has
moved on when its gradient rule is to run, the memory of those arrays is looked up here. Memory, not tensors: a write
through a view, through detach() or through another Tensor around the same array is a write all the same.
"""

import threading
import weakref
from collections.abc import Iterator

import numpy as np

from minigrad.devices import is_array
from minigrad.typing import Array

now = 0  # the clock
_lock = threading.Lock()
_written: dict[int, "_Memory"] = {}  # by the id of the array that owns the memory


class _Memory(weakref.ref):
    """The array that owns a piece of memory, while it lives, and what the clock said at the last write to it."""

    __slots__ = ("key", "time")


def owner(array: Array) -> Array:
    """The array whose memory this one looks at: the end of the chain of .base, or itself."""
    base = array.base
    if base is None or (type(base) is np.ndarray and base.base is None):  # the usual cases, without asking is_array
        return array if base is None else base
    while base is not None and is_array(base):
        array, base = base, base.base
    return array


def note_write(array: Array) -> None:
    """Remember that the array's memory was written to just now."""
    global now
    memory = owner(array)
    entry = _Memory(memory, _forget)
    entry.key = id(memory)
    with _lock:
        now += 1
        entry.time = now
        _written[entry.key] = entry


def last_write(array: Array) -> int:
    """What the clock said when the array's memory was last written to; 0 for never."""
    entry = _written.get(id(owner(array)))
    return 0 if entry is None else entry.time


def arrays_in(*values) -> Iterator[Array]:
    """The arrays among the values, in tuples, lists and indices too."""
    for value in values:
        if is_array(value):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from arrays_in(*value)
        elif hasattr(value, "places"):  # an Index of ops/index.py
            yield from arrays_in(value.view, value.places)


def _forget(entry: _Memory) -> None:
    # Called while memory is being freed, perhaps inside note_write: it takes no lock.
    if _written.get(entry.key) is entry:
        _written.pop(entry.key, None)
