"""The same elements in another shape or order: reshape, permute, expand, join and split."""

import math
from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

from minigrad.devices import array_module, looks_at_values
from minigrad.engine import unbroadcast
from minigrad.function import Function
from minigrad.ops.conversion import all_promoted
from minigrad.ops.dims import dims, one_dim
from minigrad.ops.dims import dims as dims_of
from minigrad.ops.keywords import also_takes
from minigrad.tensor import Tensor, unwrap, wrap


class Reshape(Function):
    """y = x with the same elements in another shape;  dx = g in the shape of x."""

    moves = True

    def __init__(self, shape: tuple):
        self.to_shape = shape

    def forward(self, x):
        self.from_shape = x.shape
        return x.reshape(self.to_shape)

    def backward(self, grad):
        return grad.reshape(self.from_shape)

    def put(self, base: Tensor, view: Tensor) -> Tensor:
        """The view in the shape of base."""
        return reshape(view, base.shape)


class Permute(Function):
    """y = x with its dimensions in another order;  dx = g in the inverse order."""

    moves = True

    def __init__(self, order: tuple):
        self.dim_order = order

    def forward(self, x):
        return x.transpose(self.dim_order)

    def backward(self, grad):
        inverse = [0] * len(self.dim_order)
        for to, source in enumerate(self.dim_order):
            inverse[source] = to
        return permute(grad, inverse)

    def put(self, base: Tensor, view: Tensor) -> Tensor:
        """The view with its dimensions in the order of base."""
        return self.backward(view)


class Expand(Function):
    """y = x repeated, without a copy, along dimensions of size 1;  dx = g summed over them."""

    moves = True

    def __init__(self, shape: tuple):
        self.to_shape = shape

    def forward(self, x):
        self.from_shape = x.shape
        return array_module(x).broadcast_to(x, self.to_shape)

    def backward(self, grad):
        return unbroadcast(grad, self.from_shape)

    def backward_flops(self, grads, results):
        return grads[0].size if grads[0].size != results[0].size else 0  # additions


class Repeat(Function):
    """y = x tiled `times` along each dimension;  dx = g summed over the copies."""

    moves = True

    def __init__(self, times: tuple):
        self.times = times

    def forward(self, x):
        self.from_shape = (1,) * (len(self.times) - x.ndim) + x.shape
        return array_module(x).tile(x, self.times)

    def backward(self, grad):
        split = [n for pair in zip(self.times, self.from_shape, strict=True) for n in pair]
        from minigrad.ops.reduce import sum

        return sum(grad.reshape(tuple(split)), tuple(range(0, len(split), 2)))

    def backward_flops(self, grads, results):
        return grads[0].size if grads[0].size != results[0].size else 0  # additions


class Flip(Function):
    """y = x backwards along dim;  dx = g backwards along dim."""

    moves = True

    def __init__(self, dim: tuple):
        self.dim = dim

    def forward(self, x):
        return array_module(x).flip(x, self.dim).copy()  # no view, as in PyTorch

    def backward(self, grad):
        return flip(grad, self.dim)


class Cat(Function):
    """y = the inputs joined along dim;  each dx is its piece of g."""

    moves = True

    def __init__(self, dim: int):
        self.dim = dim

    def forward(self, *inputs):
        self.lengths = [x.shape[self.dim] for x in inputs]
        return array_module(inputs[0]).concatenate(inputs, axis=self.dim)

    def backward(self, grad):
        before = (slice(None),) * self.dim
        pieces, start = [], 0
        for length in self.lengths:
            pieces.append(grad[(*before, slice(start, start + length))])
            start += length
        return tuple(pieces)


class Split(Function):
    """y_1, y_2, … = the pieces of x along dim, as views;  dx = the pieces' gradients joined."""

    moves = True

    def __init__(self, lengths: list, dim: int):
        self.lengths, self.dim = lengths, dim

    def forward(self, x):
        before = (slice(None),) * self.dim
        pieces, start = [], 0
        for length in self.lengths:
            pieces.append(x[(*before, slice(start, start + length))])
            start += length
        return tuple(pieces)

    def backward(self, *grads):
        joined = _side_by_side(grads, self.dim)
        return cat(grads, self.dim) if joined is None else joined


def _side_by_side(pieces, dim: int):
    """The pieces joined along dim without a copy, if they are views of one numpy array and lie so in it; or None.

    The attention kernel writes the gradients of query, key and value in this way.
    """
    first = pieces[0]
    base = first.base if isinstance(first, np.ndarray) else None
    if base is None:
        return None
    address = first.ctypes.data
    for piece in pieces:
        if getattr(piece, "base", None) is not base or piece.strides != first.strides or piece.ctypes.data != address:
            return None
        address += piece.shape[dim] * piece.strides[dim]
    shape = (*first.shape[:dim], sum(piece.shape[dim] for piece in pieces), *first.shape[dim + 1 :])
    return np.lib.stride_tricks.as_strided(first, shape)


class Unbind(Function):
    """y_i = x[i] along dim, as views;  dx = the y's gradients stacked along dim."""

    moves = True

    def __init__(self, dim: int):
        self.dim = dim

    def forward(self, x):
        return tuple(array_module(x).moveaxis(x, self.dim, 0))

    def backward(self, *grads):
        return stack(grads, self.dim)


class Triangle(Function):
    """y = x on and below (lower) or above (upper) diagonal k of the last two dimensions, 0 elsewhere."""

    fresh = True
    moves = True

    def __init__(self, diagonal: int, lower: bool):
        self.diagonal, self.lower = diagonal, lower

    def forward(self, x):
        xp = array_module(x)
        y = xp.tril(x, self.diagonal) if self.lower else xp.triu(x, self.diagonal)
        return y.astype(x.dtype, copy=False)  # cupy's is float32 for bfloat16

    def backward(self, grad):
        return Triangle(self.diagonal, self.lower)(grad)


def sizes(shape: Any) -> tuple:
    """x.reshape(2, 3) and x.reshape((2, 3)) alike."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = shape[0]
    return tuple(map(index, shape))


def reshape(x: Tensor, *shape: Any) -> Tensor:
    """x in another shape with as many elements; one -1 is worked out. A view where strides allow."""
    shape = sizes(shape)
    known = math.prod(n for n in shape if n != -1)
    size = unwrap(x).size
    if any(n < -1 for n in shape) or shape.count(-1) > 1:
        raise ValueError(f"reshape: {x.shape} to {shape}: sizes must be positive, with at most one -1")
    if (-1 in shape and (known == 0 or size % known)) or (-1 not in shape and known != size):
        if -1 in shape and known == 0 and size == 0:
            raise ValueError(f"reshape: {x.shape} to {shape}: with no elements -1 can be any size; write it out")
        raise ValueError(
            f"reshape: {x.shape} has {size} elements, {shape} asks for {known}{' times n' * (-1 in shape)}"
        )
    return Reshape(shape)(x)


def flatten(x: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions start_dim to end_dim joined into one."""
    if x.ndim == 0:
        return reshape(x, 1)
    (start,), (end,) = dims(start_dim, x.ndim, "flatten"), dims(end_dim, x.ndim, "flatten")
    if start > end:
        raise ValueError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim} in shape {x.shape}")
    return reshape(x, *x.shape[:start], math.prod(x.shape[start : end + 1]), *x.shape[end + 1 :])


def permute(x: Tensor, *order: Any) -> Tensor:
    """x with its dimensions in the given order; a view."""
    order = sizes(order)
    if len(order) != x.ndim or dims(order, x.ndim, "permute") != tuple(range(x.ndim)):
        raise ValueError(f"permute: {order} is not an order of the {x.ndim} dimensions of shape {x.shape}")
    return Permute(tuple(d % x.ndim for d in order))(x)


def swapaxes(x: Tensor, dim0: int, dim1: int) -> Tensor:
    """x with two dimensions exchanged; a view."""
    several = dims(dim0, x.ndim, "transpose"), dims(dim1, x.ndim, "transpose")
    if x.ndim == 0:
        return x
    (a,), (b,) = several
    order = list(range(x.ndim))
    order[a], order[b] = b, a
    return Permute(tuple(order))(x)


def transpose(x: Tensor, dim0: int, dim1: int) -> Tensor:
    """x with two dimensions exchanged; a view."""
    return swapaxes(x, dim0, dim1)


@also_takes("axis")
def squeeze(x: Tensor, dim: Any = None) -> Tensor:
    """x without its dimensions of size 1, or without `dim` if that is of size 1."""
    gone = dims(dim, x.ndim, "squeeze")
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if not (n == 1 and i in gone)))


@also_takes("axis")
def unsqueeze(x: Tensor, dim: int) -> Tensor:
    """x with a dimension of size 1 put in, which is number dim of the result: 0 first, -1 last; a view.

    IndexError unless -x.ndim - 1 <= dim <= x.ndim.
    """
    if not -x.ndim - 1 <= dim <= x.ndim:
        raise IndexError(f"unsqueeze: dim {dim} of a tensor with {x.ndim} dimensions; use {-x.ndim - 1} to {x.ndim}")
    dim %= x.ndim + 1
    return reshape(x, (*x.shape[:dim], 1, *x.shape[dim:]))


def expand(x: Tensor, *shape: Any) -> Tensor:
    """x repeated along its dimensions of size 1 (or new leading ones) to `shape`, without a copy; -1 keeps a size."""
    shape = sizes(shape)
    lead = len(shape) - x.ndim
    if lead < 0:
        raise ValueError(f"expand: {x.shape} to {shape}: the target has fewer dimensions")
    shape = tuple(x.shape[i - lead] if n == -1 and i >= lead else n for i, n in enumerate(shape))
    _check_broadcast("expand", x.shape, shape)
    return Expand(shape)(x)


def broadcast_to(x: Tensor, shape: Any) -> Tensor:
    """x broadcast to shape, without a copy."""
    shape = sizes((shape,))
    _check_broadcast("broadcast_to", x.shape, shape)
    return Expand(shape)(x)


def _check_broadcast(op: str, given: tuple, wanted: tuple) -> None:
    """ValueError unless an array of shape `given` can be repeated to `wanted`."""
    fits = len(given) <= len(wanted) and all(n >= 0 for n in wanted)
    if not fits or any(n not in (1, m) for n, m in zip(given[::-1], wanted[::-1], strict=False)):
        raise ValueError(
            f"{op}: {given} to {wanted}: only dimensions of size 1, and new ones in front, can be repeated; "
            "-1 keeps a size that is there"
        )


def repeat(x: Tensor, *times: Any) -> Tensor:
    """x tiled: times[i] copies along dimension i; more times than dimensions add leading ones."""
    times = sizes(times)
    if len(times) < x.ndim or any(n < 0 for n in times):
        raise ValueError(f"repeat: {times} for shape {x.shape}; give one non-negative count a dimension at least")
    return Repeat(times)(x)


def flip(x: Tensor, *dim: Any, dims: Any = None) -> Tensor:
    """x backwards along one or several dims: flip(x, 0, 1), flip(x, (0, 1)) or flip(x, dims=(0, 1))."""
    given = dims if dims is not None else dim[0] if len(dim) == 1 else dim
    return Flip(dims_of(given, x.ndim, "flip"))(x)


@also_takes("axis")
def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors joined along an existing dim, in the dtype where they meet; all other sizes must agree."""
    tensors = tuple(tensors)
    if not tensors:
        raise ValueError("cat: nothing to join; give at least one tensor")
    if any(x.ndim == 0 for x in tensors):
        raise ValueError("cat: 0-d tensors cannot be joined; use stack")
    if any(x.dtype != tensors[0].dtype for x in tensors):
        tensors = all_promoted(*tensors)
    if any(x.ndim > 1 for x in tensors):  # as in PyTorch, a 1-d tensor without elements joins anything
        tensors = tuple(x for x in tensors if x.shape != (0,))
    (d,) = dims(dim, tensors[0].ndim, "cat")
    for i, x in enumerate(tensors):
        rest = [n for j, n in enumerate(x.shape) if j != d]
        if x.ndim != tensors[0].ndim or rest != [n for j, n in enumerate(tensors[0].shape) if j != d]:
            raise ValueError(
                f"cat: tensor {i} has shape {x.shape}, tensor 0 {tensors[0].shape}; they may differ in dim {d} only"
            )
    return Cat(d)(*tensors)


@also_takes("axis")
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dim, in the dtype where they meet."""
    tensors = tuple(tensors)
    if not tensors:
        raise ValueError("stack: nothing to join; give at least one tensor")
    for i, x in enumerate(tensors):
        if x.shape != tensors[0].shape:
            raise ValueError(f"stack: tensor {i} has shape {x.shape}, tensor 0 {tensors[0].shape}; they must be equal")
    return cat([unsqueeze(x, dim) for x in tensors], dim)


def split(x: Tensor, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of x along dim: pieces of split_size (the last may be shorter), or of the sizes in a list."""
    d = one_dim(dim, x.ndim, "split")
    n = x.shape[d]
    if isinstance(split_size, Sequence):
        lengths = [index(s) for s in split_size]
        if math.fsum(lengths) != n or any(s < 0 for s in lengths):
            raise ValueError(f"split: sizes {lengths} must add up to dim {d} of shape {x.shape}, which is {n}")
    else:
        size = index(split_size)
        if size < 0 or (size == 0 and n):
            raise ValueError(f"split: split_size {size} for a dimension of size {n} must be positive")
        lengths = [min(size, n - start) for start in range(0, n, size or 1)] or [0]
    return Split(lengths, d)(x)


def chunk(x: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """x in at most `chunks` views along dim, of equal length but for the last."""
    if chunks <= 0:
        raise ValueError(f"chunk: {chunks} chunks; ask for at least one")
    d = one_dim(dim, x.ndim, "chunk")
    n = x.shape[d]
    return split(x, -(-n // chunks) if n else [0] * chunks, d)


def unbind(x: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """x[0], x[1], … along dim, as views."""
    return Unbind(one_dim(dim, x.ndim, "unbind"))(x)


def tril(x: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of the last two dimensions; the rest 0."""
    return _triangle("tril", x, diagonal, True)


def triu(x: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of the last two dimensions; the rest 0."""
    return _triangle("triu", x, diagonal, False)


def _triangle(op: str, x, diagonal: int, lower: bool):
    if x.ndim < 2:
        raise ValueError(f"{op}: a tensor of shape {x.shape} is no matrix; two dimensions at least")
    return Triangle(diagonal, lower)(x)


def contiguous(x: Tensor) -> Tensor:
    """x with its elements in C order in memory, copied only if they are not."""
    array = unwrap(x)
    if array.flags.c_contiguous:
        return x
    from minigrad.ops.conversion import clone

    return clone(x)


def one_hot(ids: Any, num_classes: int = -1) -> Tensor:
    """int64 vectors with a 1 at each id and 0 elsewhere, (*ids.shape, num_classes); -1: as many as there must be."""
    array = unwrap(ids)
    if num_classes == -1:
        if array.size == 0:
            raise ValueError("one_hot: no ids to tell the number of classes from; give num_classes")
        num_classes = int(array.max()) + 1 if array.dtype.kind in "iu" else 0
    if array.dtype.kind not in "iu":
        raise TypeError(f"one_hot: ids are {array.dtype}; expected integers")
    if array.size and looks_at_values(array) and (array.min() < 0 or array.max() >= num_classes):
        raise IndexError(f"one_hot: ids {array.min()} to {array.max()} do not fit {num_classes} classes")
    encoded = (array[..., None] == array_module(array).arange(num_classes)).astype(np.int64)
    return wrap(encoded) if isinstance(ids, Tensor) else encoded
