"""What repr() of a tensor shows."""

import numpy as np

from minigrad.tensor import DEFAULT_DTYPE, Tensor, to_numpy


def text_of(tensor: Tensor) -> str:
    """The values, shortened where there are many, and what they do not show: shape, dtype, device, history."""
    body = np.array2string(
        to_numpy(tensor.array), separator=", ", prefix="tensor(", precision=4, threshold=200, edgeitems=3
    )
    notes = []
    if tensor.array.size == 0 or tensor.array.size > 200:
        notes.append(f"shape={tensor.shape}")
    if tensor.array.dtype not in (DEFAULT_DTYPE, np.dtype(np.int64), np.dtype(bool)):
        notes.append(f"dtype={tensor.array.dtype}")
    if tensor.device != "cpu":
        notes.append(f"device={tensor.device!r}")
    if tensor.grad_fn is not None:
        notes.append(f"grad_fn=<{tensor.grad_fn.name}>")
    elif tensor.requires_grad:
        notes.append("requires_grad=True")
    return f"tensor({', '.join([body, *notes])})"
