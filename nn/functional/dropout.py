"""Dropout of single elements (minigrad's own) and of whole channels."""

from minigrad import ops
from minigrad.devices import array_module
from minigrad.ops import dropout
from minigrad.tensor import Tensor, unwrap

__all__ = ["dropout", "dropout1d", "dropout2d"]


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """In training, whole channels of input (batch, channels, time) or (channels, time) 0 with probability p.

    The others are divided by 1 - p  (Tompson et al. 2015). ValueError for another number of dimensions.
    """
    return _channels("dropout1d", input, p, training, 1)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """In training, whole channels of input (batch, channels, height, width) 0 with probability p.

    The others are divided by 1 - p  (Tompson et al. 2015). The batch may be missing; ValueError for another number of
    dimensions.
    """
    return _channels("dropout2d", input, p, training, 2)


def _channels(op: str, input: Tensor, p: float, training: bool, field: int) -> Tensor:
    if input.ndim not in (field + 1, field + 2):
        raise ValueError(
            f"{op}: input {input.shape}; expected {field + 2} dimensions, or {field + 1} without the batch"
        )
    array = unwrap(input)
    channels = array_module(array).ones((*input.shape[:-field], *(1,) * field), array.dtype)
    if not training or p == 0:
        return ops.dropout(input, p, training)
    return input * ops.dropout(channels, p, training)
