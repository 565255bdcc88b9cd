"""The numbers at which functions go wrong, and the comparison with PyTorch there: values and gradients."""

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from minigrad.tensor import Tensor

inf, nan = float("inf"), float("nan")

# Zeros, ones, small and large ones, where exponentials under- and overflow, and what is not finite.
ONE_OPERAND = [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, 3.0, -3.0, 1e4, -1e4, 1e-20, -1e-20, 1e-8, -1e-8, 20.0, -20.0]
ONE_OPERAND += [100.0, -100.0, -30.0, 88.5, -88.5, inf, -inf, nan]
NUMBERS = [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, -3.0, 7.0, 1e4, -1e4, inf, -inf, nan]
TWO_OPERANDS = list(map(list, zip(*itertools.product(NUMBERS, NUMBERS), strict=True)))
FEW = [*NUMBERS[:8], inf, -inf, nan]
THREE_OPERANDS = list(map(list, zip(*itertools.product(FEW, FEW, FEW), strict=True)))

PRECISION = {"float64": (1e-11, 1e-300), "float32": (2e-5, 1e-38), "float16": (4e-3, 1e-7)}  # relative, absolute


def differences(torch, ours: Callable, theirs: Callable, columns: Sequence[list], dtype: str) -> Iterator[str]:
    """Where ours(*columns), or a gradient of it, is not what torch's theirs(*columns) is; a line for each."""
    leaves = [Tensor(np.array(column, dtype), requires_grad=True) for column in columns]
    others = [torch.tensor(np.array(column, dtype), requires_grad=True) for column in columns]
    with np.errstate(all="ignore"):
        y, z = ours(*leaves), theirs(*others)
        pairs = {"value": (y.data, z.detach().numpy())}
        if z.requires_grad and y.requires_grad:
            y.backward(Tensor(np.ones_like(y.data)))
            z.backward(torch.ones_like(z))
            for i, (leaf, other) in enumerate(zip(leaves, others, strict=True)):
                if other.grad is not None:
                    pairs[f"gradient {i}"] = (leaf.grad.data, other.grad.numpy())
    rtol, atol = PRECISION[dtype]
    for what, (mine, right) in pairs.items():
        if mine.dtype != right.dtype:
            yield f"{what}: {mine.dtype}, not {right.dtype}"
        mine, right = mine.astype(np.float64), right.astype(np.float64)
        for i in np.flatnonzero(~np.isclose(mine, right, rtol=rtol, atol=atol, equal_nan=True)):
            yield f"{what} at {[column[i] for column in columns]}: {mine[i]}, not {right[i]}"
