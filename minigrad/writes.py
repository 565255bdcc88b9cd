"""When each piece of memory was last written to in place, so that no gradient is computed from values that changed.

One clock counts the writes. A recorded operation keeps what the clock said when it saved its arrays; if the clock has
moved on when its gradient rule is to run, the memory of those arrays is looked up here. Memory, not tensors: a write
through a view, through detach() or through another Tensor around the same array is a write all the same.
"""

import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from minigrad.devices import is_array
from minigrad.typing import Array

now = 0  # the clock
_lock = threading.Lock()
# By the id of the array that owns the memory: what the clock said at the last write, and whether the array still lives.
# An id that is used again does no harm: its entry is older than all that was recorded with the new array.
_written: dict[int, tuple[int, weakref.ref]] = {}
_limit = 1000  # entries, before those of arrays that are gone are dropped


def owner(array: Array) -> Array:
    """The array whose memory this one looks at: the end of the chain of .base, or itself."""
    base = array.base
    if base is None or (type(base) is np.ndarray and base.base is None):  # the usual cases, without asking is_array
        return array if base is None else base
    while base is not None and is_array(base):
        array, base = base, base.base
    return array


def note_write(*arrays: Array) -> None:
    """Remember that the memory of these arrays was written to just now."""
    global now, _limit
    with _lock:
        now += 1
        for array in arrays:
            memory = owner(array)
            _written[id(memory)] = now, weakref.ref(memory)
        if len(_written) > _limit:
            for key in [key for key, (_, reference) in _written.items() if reference() is None]:
                del _written[key]
            _limit = 1000 + 2 * len(_written)


def last_write(array: Array) -> int:
    """What the clock said when the array's memory was last written to; 0 for never."""
    entry = _written.get(id(owner(array)))
    return 0 if entry is None else entry[0]


def arrays_in(*values: Any) -> Iterator[Array]:
    """The arrays among the values, in tuples, lists and indices too."""
    for value in values:
        if is_array(value):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from arrays_in(*value)
        elif hasattr(value, "places"):  # an Index of ops/index.py
            yield from arrays_in(value.view, value.places)
