"""Products under the names that say what is multiplied: bmm, mv, outer, kron, cross. matmul is in linalg.py."""

import math
from typing import Any

from minigrad.devices import array_module
from minigrad.ops.conversion import clone
from minigrad.ops.dims import dims as dims_of
from minigrad.ops.dims import one_dim
from minigrad.ops.linalg import matmul
from minigrad.ops.rearrange import broadcast_shapes, roll
from minigrad.ops.shape import broadcast_to, permute, reshape
from minigrad.tensor import Tensor, unwrap, wrap


def mm(a: Tensor, b: Tensor) -> Tensor:
    """The product of two matrices."""
    return _product("mm", a, b, 2, 2)


def bmm(a: Tensor, b: Tensor) -> Tensor:
    """The products of two batches of matrices: (n, i, j) and (n, j, k) give (n, i, k)."""
    if a.ndim == b.ndim == 3 and a.shape[0] != b.shape[0]:
        raise ValueError(f"bmm: {a.shape} @ {b.shape}: {a.shape[0]} and {b.shape[0]} matrices; matmul broadcasts")
    return _product("bmm", a, b, 3, 3)


def mv(a: Tensor, b: Tensor) -> Tensor:
    """The product of a matrix and a vector."""
    return _product("mv", a, b, 2, 1)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """The product Σ a·b of two vectors of one length."""
    return _product("dot", a, b, 1, 1)


def _product(op: str, a, b, a_dims: int, b_dims: int):
    if a.ndim != a_dims or b.ndim != b_dims:
        raise ValueError(f"{op}: {a.shape} and {b.shape}; expected {a_dims} and {b_dims} dimensions; matmul takes any")
    return matmul(a, b)


def addmm(x: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta·x + alpha·(a @ b) for matrices a and b; x is broadcast. With beta 0, x counts nothing, NaN or not."""
    return _added(x, mm(a, b), beta, alpha)


def addmv(x: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta·x + alpha·(a @ b) for a matrix a and a vector b."""
    return _added(x, mv(a, b), beta, alpha)


def baddbmm(x: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta·x + alpha·(a @ b) for batches of matrices a and b."""
    return _added(x, bmm(a, b), beta, alpha)


def _added(x, product, beta, alpha):
    product = product if alpha == 1 else product * alpha
    if beta == 0:
        return product
    return (x if beta == 1 else x * beta) + product


def outer(a: Tensor, b: Tensor) -> Tensor:
    """Every element of vector a times every element of vector b: (n,) and (m,) give (n, m)."""
    if a.ndim != 1 or b.ndim != 1:
        raise ValueError(f"outer: {a.shape} and {b.shape}; expected two vectors")
    return reshape(a, -1, 1) * b


def inner(a: Tensor, b: Tensor) -> Tensor:
    """Σ a·b over the last dimension of each: (…, n) and (---, n) give (…, ---). A 0-d tensor multiplies the other."""
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return tensordot(a, b, ((-1,), (-1,)))


def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """Σ a·b over pairs of dimensions.

    dims  an int n: the last n dimensions of a with the first n of b; or two lists, of a's dims and of b's
    """
    if isinstance(dims, int):
        if not 0 <= dims <= min(a.ndim, b.ndim):
            raise ValueError(f"tensordot: dims={dims} for {a.shape} and {b.shape}; use 0 to {min(a.ndim, b.ndim)}")
        of_a, of_b = list(range(a.ndim - dims, a.ndim)), list(range(dims))
    else:
        of_a, of_b = ([int(d) for d in (each if isinstance(each, (list, tuple)) else [each])] for each in dims)
    dims_of(tuple(of_a), a.ndim, "tensordot"), dims_of(tuple(of_b), b.ndim, "tensordot")  # none twice
    of_a, of_b = [one_dim(d, a.ndim, "tensordot") for d in of_a], [one_dim(d, b.ndim, "tensordot") for d in of_b]
    if [a.shape[d] for d in of_a] != [b.shape[d] for d in of_b]:
        raise ValueError(
            f"tensordot: dims {of_a} of {a.shape} and {of_b} of {b.shape} have different sizes; pair equal ones"
        )
    free_a, free_b = ([d for d in range(x.ndim) if d not in of] for x, of in ((a, of_a), (b, of_b)))
    n = math.prod(a.shape[d] for d in of_a)
    rows = reshape(permute(a, free_a + of_a), (math.prod(a.shape[d] for d in free_a), n))
    columns = reshape(permute(b, of_b + free_b), (n, math.prod(b.shape[d] for d in free_b)))
    return reshape(matmul(rows, columns), [a.shape[d] for d in free_a] + [b.shape[d] for d in free_b])


def kron(a: Tensor, b: Tensor) -> Tensor:
    """Kronecker's product: a block a[i, j]·b for each element of a; the one with fewer dimensions gets leading ones."""
    ndim = max(a.ndim, b.ndim)
    shape_a, shape_b = ((1,) * (ndim - x.ndim) + x.shape for x in (a, b))
    spread = reshape(a, [n for size in shape_a for n in (size, 1)]) * reshape(
        b, [n for size in shape_b for n in (1, size)]
    )
    return reshape(spread, [n * m for n, m in zip(shape_a, shape_b, strict=True)])


def cross(a: Tensor, b: Tensor, dim: int | None = None) -> Tensor:
    """The cross product of vectors in space, which lie along dim: by default the first dimension of size 3."""
    shape = broadcast_shapes(a.shape, b.shape)
    if dim is None and 3 not in shape:
        raise ValueError(f"cross: {a.shape} and {b.shape} have no dimension of size 3")
    d = one_dim(shape.index(3) if dim is None else dim, len(shape), "cross")
    if shape[d] != 3:
        raise ValueError(f"cross: dim {d} of {shape} has size {shape[d]}; expected 3")
    a, b = broadcast_to(a, shape), broadcast_to(b, shape)
    return roll(a, -1, d) * roll(b, -2, d) - roll(a, -2, d) * roll(b, -1, d)


def matrix_power(x: Tensor, n: int) -> Tensor:
    """x @ x @ … @ x, n times, for square matrices; the identity for n = 0. By squaring: about log₂ n products."""
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ValueError(f"matrix_power: {x.shape}; expected square matrices")
    if n < 0:
        raise ValueError(f"matrix_power: n={n}; expected 0 or more (there is no inverse here)")
    if n == 0:
        array = unwrap(x)
        xp = array_module(array)
        identity = xp.broadcast_to(xp.eye(x.shape[-1], dtype=array.dtype), x.shape).copy()
        return wrap(identity) if isinstance(x, Tensor) else identity
    if n == 1:
        return clone(x)
    half = matrix_power(x, n // 2)
    return matmul(matmul(half, half), x) if n % 2 else matmul(half, half)
