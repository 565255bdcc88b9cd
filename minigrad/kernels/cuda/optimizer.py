"""What an optimiser does to all its parameters in CUDA C, one launch for up to ARRAYS[-1] arrays.

Arrays that the kernels cannot take, because they are not C-contiguous or not float32, go to the reference.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.devices import array_module, is_array
from minigrad.kernels.cuda.loader import address, empty, load
from minigrad.kernels.reference import optimizer as reference
from minigrad.typing import Array

LISTS, CHUNK, THREADS = 4, 8192, 256  # as in optimizer.cu; numbers per block, threads per block
ARRAYS = (80, 512)  # a launch: the first if they are enough


def adamw(params, grads, exp_avgs, exp_avg_sqs, step, lr, options):
    beta1, beta2, eps, weight_decay, decoupled = options
    lists, rest = _ours(params, grads, exp_avgs, exp_avg_sqs)
    if rest:
        reference.adamw(*rest, step, lr, options)
    decay, l2 = (weight_decay, 0.0) if decoupled else (0.0, weight_decay)
    if is_array(step):
        numbers = _numbers_in_memory(lr, step, beta1, beta2, decay)
    else:
        numbers = *map(np.float32, (lr / (1 - beta1**step), 1 / math.sqrt(1 - beta2**step), 1 - lr * decay)), None
    _launch("adamw", lists, *numbers, *map(np.float32, (1 - beta1, beta2, 1 - beta2, eps, l2)))


def _numbers_in_memory(lr, step, beta1, beta2, decay):
    """The numbers of adamw that depend on lr and step, 0-d arrays, as its arguments."""
    numbers = empty(3, like=step)
    arguments = (lr.reshape(1), step.reshape(1), *map(np.float64, (beta1, beta2, decay)), numbers)
    load("optimizer.cu", {"ARRAYS": ARRAYS[0]}).launch("adamw_numbers", 1, 1, arguments)
    return np.float32(0), np.float32(0), np.float32(0), numbers


def sgd(params, grads, buffers, lr, options, first):
    momentum, dampening, nesterov, weight_decay = options
    lists, rest = _ours(params, grads, *([buffers] if momentum else []))
    if rest:
        reference.sgd(*rest, *([] if momentum else [[]]), lr, options, first)
    lr, momentum, damped, weight_decay = map(np.float32, (lr, momentum, 1 - dampening, weight_decay))
    if momentum:
        _launch("sgd_momentum", lists, lr, momentum, damped, np.bool_(nesterov), weight_decay, np.bool_(first))
    else:
        _launch("sgd", lists, lr, weight_decay)


def scale(arrays, factor):
    lists, rest = _ours(arrays)
    if rest:
        reference.scale(*rest, factor)
    if getattr(factor, "ndim", None) == 0 and not isinstance(factor, np.generic):
        _launch("scale", lists, np.float32(1), factor.astype(np.float32).reshape(1))
    else:
        _launch("scale", lists, np.float32(factor), None)


def grad_norm(arrays):
    lists, rest = _ours(arrays)
    others = reference.grad_norm(*rest) if rest else 0.0
    tables = _tables(lists)
    if not tables:
        return others
    parts = empty(sum(table.blocks for table in tables), like=arrays[0], dtype=np.float64)
    start = 0
    for table in tables:
        table.module.launch("sum_of_squares", table.blocks, THREADS, (table, parts[start : start + table.blocks]))
        start += table.blocks
    norm = empty((), like=parts, dtype=np.float64)
    tables[0].module.launch("root_of_sum", 1, THREADS, (parts, norm, np.int32(parts.size)))
    if rest:
        norm = array_module(norm).hypot(norm, others)
    return float(norm) if isinstance(parts, np.ndarray) else norm


class Table:
    """The argument of the struct Table: the addresses of lists of arrays, passed with the launch itself."""

    def __init__(self, lists: list[list], capacity: int):
        self.arrays = [array for arrays in lists for array in arrays]
        self.lists = lists
        self.capacity = capacity
        chunks = [-(-array.size // CHUNK) for array in lists[0]]
        self.blocks = sum(chunks)
        self.first = np.cumsum([0, *chunks[:-1]])
        self.module = load("optimizer.cu", {"ARRAYS": capacity})

    def by_value(self, address_of: Callable[[Array], int]) -> Any:
        """The struct; address_of(array) is where an array's first number is."""
        dtype = [
            ("arrays", "u8", (LISTS, self.capacity)),
            ("sizes", "i8", self.capacity),
            ("first", "i4", self.capacity),
            ("count", "i4"),
        ]
        struct, count = np.zeros((), np.dtype(dtype, align=True)), len(self.lists[0])
        for i, arrays in enumerate(self.lists):
            struct["arrays"][i, :count] = [address_of(array) for array in arrays]
        struct["sizes"][:count] = [array.size for array in self.lists[0]]
        struct["first"][:count] = self.first
        struct["count"] = count
        return struct[()]


def _launch(kernel: str, lists: list[list], *hyper) -> None:
    for table in _tables(lists):
        table.module.launch(kernel, table.blocks, THREADS, (table, *hyper))


def _tables(lists: list[list]) -> list[Table]:
    """As few tables as hold all arrays, in order."""
    count = len(lists[0])
    capacity = ARRAYS[0] if count <= ARRAYS[0] else ARRAYS[1]
    return [Table([arrays[i : i + capacity] for arrays in lists], capacity) for i in range(0, count, capacity)]


def _ours(*lists):
    """(the lists without empty arrays and those that are not plain, the rest or None)."""
    if len({len(arrays) for arrays in lists}) > 1:
        raise ValueError(f"optimizer: lists of {[len(arrays) for arrays in lists]} arrays; expected equal lengths")
    ours, rest = [], []
    for together in zip(*lists, strict=True):
        plain = all(map(_plain, together)) and len({array.size for array in together}) == 1
        if not plain:
            rest.append(together)
        elif together[0].size:
            ours.append(together)
    transposed = [list(arrays) for arrays in zip(*ours, strict=True)] or [[] for _ in lists]
    return transposed, [list(arrays) for arrays in zip(*rest, strict=True)] or None


def _plain(array) -> bool:
    """float32, C-contiguous and, in numpy, writeable and on a boundary of a float."""
    return (
        array.dtype == np.float32
        and array.flags.c_contiguous
        and getattr(array.flags, "writeable", True)
        and address(array) % 4 == 0
    )
