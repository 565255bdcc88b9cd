"""The types of minigrad's signatures, under the names that they have in the text.

    from minigrad.typing import Array, Dim, DTypeLike, Number, Shape, TensorLike

An array is numpy's or cupy's. cupy need not be installed, and its arrays have numpy's methods, so to a type checker an
`Array` is numpy's. A function of `ops` takes a `TensorLike`: given a Tensor it returns a Tensor, given arrays only an
array.
"""

from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, Union

import numpy as np

if TYPE_CHECKING:
    from minigrad.function import Function, Output
    from minigrad.tensor import Tensor

Array: TypeAlias = np.ndarray  # or cupy.ndarray, see above
Number: TypeAlias = bool | int | float | np.generic
TensorLike: TypeAlias = Union["Tensor", np.ndarray, bool, int, float, np.generic]
Data: TypeAlias = Union["Tensor", np.ndarray, bool, int, float, np.generic, Sequence[Any]]  # what tensor() takes

Node: TypeAlias = Union["Tensor", "Function", "Output"]  # of the recorded graph; a Tensor is a leaf
Gradient: TypeAlias = Union["Tensor", np.ndarray]  # a Tensor where the gradient itself is recorded

Shape: TypeAlias = tuple[int, ...]
Pair: TypeAlias = tuple[int, int]  # for height and width
Sides: TypeAlias = tuple[Pair, Pair]  # ((top, bottom), (left, right))
Dim: TypeAlias = int | tuple[int, ...] | None  # one dimension, several, or all of them
Index: TypeAlias = Any  # whatever may stand between brackets: int, slice, None, ..., arrays, Tensors, a tuple of them

DType: TypeAlias = np.dtype
DTypeLike: TypeAlias = np.dtype | type | str  # np.float32, "float32", "bfloat16"
Device: TypeAlias = str  # "cpu" or "cuda"
ArrayModule: TypeAlias = ModuleType  # numpy or cupy


class Optimizer(Protocol):
    """What the engine knows of an optimiser; those of nn.optim are such."""

    param_groups: list[dict[str, Any]]

    def step(self) -> None:
        """Change the parameters by their gradients."""
