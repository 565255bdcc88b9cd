"""default_collate: samples joined into a batch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minigrad import ops
from minigrad.devices import is_array
from minigrad.tensor import Tensor


def default_collate(batch: Sequence[Any]) -> Any:
    """A list of samples of one structure as one sample with a dimension more in front, as torch's default_collate.

    Tensors and arrays are stacked; numbers become a Tensor (n,): bools, ints int64, floats float64, numpy's scalars of
    their dtype; strings and bytes stay a list. Mappings are joined key by key, named tuples field by field, tuples
    and lists element by element, into a list. TypeError for anything else.
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return _stacked(batch)
    if is_array(first):
        if first.dtype.kind not in "fiubV":
            raise TypeError(f"default_collate: arrays of dtype {first.dtype}; expected numbers or booleans")
        return _stacked([Tensor(array) for array in batch])
    if isinstance(first, (bool, int, float, np.generic)) and not isinstance(first, (str, bytes)):
        return _numbers(batch)
    if isinstance(first, (str, bytes)):
        return list(batch)
    if isinstance(first, Mapping):
        if any(set(sample) != set(first) for sample in batch):
            raise ValueError(f"default_collate: samples with different keys; the first has {list(first)}")
        return {key: default_collate([sample[key] for sample in batch]) for key in first}
    if isinstance(first, (tuple, list)):
        lengths = {len(sample) for sample in batch}
        if len(lengths) > 1:
            raise ValueError(
                f"default_collate: samples of {sorted(lengths)} elements; expected the same number in each, or write a "
                "collate_fn that pads them"
            )
        joined = [default_collate(parts) for parts in zip(*batch, strict=True)]
        return type(first)(*joined) if hasattr(first, "_fields") else joined
    raise TypeError(
        f"default_collate: a sample with a {type(first).__name__}; expected Tensors, arrays, numbers, strings, or "
        "mappings, tuples or lists of them; write a collate_fn for others"
    )


def _stacked(tensors: Sequence[Tensor]) -> Tensor:
    shapes = sorted({tensor.shape for tensor in tensors})
    if len(shapes) > 1:
        raise ValueError(
            f"default_collate: shapes {shapes[0]} and {shapes[1]} in one batch; write a collate_fn, for example with "
            "nn.utils.rnn.pad_sequence"
        )
    return ops.stack(list(tensors))


def _numbers(batch: Sequence[Any]) -> Tensor:
    """Numbers as a Tensor: Python's in their full precision."""
    array = np.array(batch)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"default_collate: {batch[0]!r} gives dtype {array.dtype}; expected numbers or booleans")
    return Tensor(array)
