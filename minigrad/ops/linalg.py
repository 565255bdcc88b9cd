"""Products: matmul, linear (with bias and activation fused), einsum."""

import math
import string

from minigrad import kernels
from minigrad.amp import autocast_dtype, for_products
from minigrad.devices import array_module
from minigrad.function import Function
from minigrad.ops.activation import ACTIVATION_FLOPS, activate
from minigrad.ops.shape import expand, permute, reshape, swapaxes
from minigrad.tensor import Tensor, unwrap


class MatMul(Function):
    """C = A B over the last two dimensions;  dA = G Bᵀ,  dB = Aᵀ G."""

    fresh = True

    def forward(self, a, b):
        da, db = self.parents  # what is not wanted keeps nothing, as in Mul
        self.save_for_backward(a if db is not None else None, b if da is not None else None)
        return kernels.matmul(a, b)

    def backward(self, grad):
        a, b = self.saved
        da = matmul(grad, swapaxes(b, -1, -2)) if self.parents[0] is not None else None
        db = matmul(swapaxes(a, -1, -2), grad) if self.parents[1] is not None else None
        return da, db

    def flops(self, inputs, outputs):
        return 2 * outputs[0].size * inputs[0].shape[-1]

    def backward_flops(self, grads, results):
        (g,), (da, db) = grads, results
        of_a = 0 if da is None else 2 * da.size * g.shape[-1]
        of_b = 0 if db is None else 2 * db.size * g.shape[-2]
        return of_a + of_b


class Linear(Function):
    """y = act(x Wᵀ + b), one pass after the product;  with h = g·act'(x Wᵀ + b):  dx = h W,  dW = hᵀ x,  db = Σ h."""

    fresh = True

    def __init__(self, activation: str | None):
        self.activation = activation

    def forward(self, x, weight, bias):
        y, pre = kernels.linear(_rows(x), weight, bias, self.activation)
        self.save_for_backward(x, weight, bias, pre)
        return y.reshape((*x.shape[:-1], weight.shape[0]))

    def backward(self, grad):
        x, weight, _, pre = self.saved
        dx, dweight, dbias = kernels.linear_backward(
            _rows(grad), _rows(x), weight, pre, self.activation, self.needs_input_grad
        )
        return None if dx is None else dx.reshape(x.shape), dweight, dbias

    def flops(self, inputs, outputs):
        _, weight, bias = inputs
        each = (bias is not None) + ACTIVATION_FLOPS[self.activation][0]
        return outputs[0].size * (2 * weight.shape[1] + each)

    def backward_flops(self, grads, results):
        dx, dweight, dbias = results
        products = (dx is not None) + (dweight is not None)
        each = (dbias is not None) + ACTIVATION_FLOPS[self.activation][1]
        return grads[0].size * (2 * self.saved[1].shape[1] * products + each)

    def composite(self, x, weight, bias):
        y = matmul(x, swapaxes(weight, 0, 1))
        return activate(y if bias is None else y + bias, self.activation)


def _rows(x):
    return x.reshape((math.prod(x.shape[:-1]), x.shape[-1]))


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """The matrix product over the last two dimensions, broadcast over the others; 1-D operands as in numpy."""
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(f"matmul: {a.shape} @ {b.shape}: a 0-d operand; multiply with * instead")
    inner_a, inner_b = a.shape[-1], b.shape[-2 if b.ndim > 1 else 0]
    if inner_a != inner_b:
        raise ValueError(f"matmul: {a.shape} @ {b.shape}: inner dimensions {inner_a} and {inner_b} differ")
    if autocast_dtype() is not None:
        a, b = for_products(a, b)
    dtype_a, dtype_b = unwrap(a).dtype, unwrap(b).dtype
    if dtype_a != dtype_b or dtype_a.kind == "b":
        raise TypeError(f"matmul: {dtype_a} @ {dtype_b}: expected one dtype of numbers; cast with .astype()")
    if a.ndim == 1 or b.ndim == 1:
        rows = reshape(a, 1, inner_a) if a.ndim == 1 else a
        columns = reshape(b, inner_b, 1) if b.ndim == 1 else b
        shape = (a.shape[:-1] if a.ndim > 1 else ()) + (b.shape[-1:] if b.ndim > 1 else ())
        if b.ndim > 2:
            shape = (*b.shape[:-2], b.shape[-1])
        return reshape(matmul(rows, columns), shape)
    if a.ndim > 2 and b.ndim == 2:  # one large product, and one large gradient for b
        product = MatMul()(reshape(a, math.prod(a.shape[:-1]), inner_a), b)
        return reshape(product, *a.shape[:-1], b.shape[-1])
    return MatMul()(a, b)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, activation: str | None = None) -> Tensor:
    """act(x Wᵀ + b) with x (..., in), weight (out, in), bias (out,) or None.

    activation: None, "relu", "gelu", "gelu_tanh" or "silu", applied in the same pass.
    """
    if x.ndim == 0 or weight.ndim != 2 or x.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"linear: x {x.shape} with weight {weight.shape}: the last dimension of x must be in_features = "
            f"{weight.shape[-1] if weight.ndim else '?'}"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"linear: bias {bias.shape} with weight {weight.shape}: expected ({weight.shape[0]},)")
    if autocast_dtype() is not None:
        x, weight, bias = for_products(x, weight, bias)
    if x.dtype != weight.dtype or (bias is not None and bias.dtype != x.dtype):
        dtypes = f"x is {x.dtype}, weight {weight.dtype}" + ("" if bias is None else f", bias {bias.dtype}")
        raise TypeError(f"linear: {dtypes}: expected one dtype; cast with .astype()")
    return Linear(activation)(x, weight, bias)


def einsum(equation: str, *operands: Tensor) -> Tensor:
    """Sum of products in Einstein's notation, as numpy.einsum: einsum("bij,bjk->bik", x, y).

    Repeated letters in one operand take its diagonal, `...` stands for broadcast
    dimensions, and without "->" the letters that occur once are the output, sorted.
    Worked out from left to right as permutations and batched matrix products, so its
    gradient needs no rule of its own.
    """
    inputs, output, operands = _parse(equation, operands)
    letters, value = inputs[0], operands[0]
    letters, value = _diagonal(letters, value)
    for i in range(1, len(operands)):
        right, other = _diagonal(inputs[i], operands[i])
        later = set(output).union(*inputs[i + 1 :])
        letters, value = _contract(letters, value, right, other, later)
    value = _sum_away(letters, value, set(output))
    letters = [c for c in letters if c in output]
    return permute(value, [letters.index(c) for c in output]) if letters else value


def _parse(equation: str, operands):
    """Operand letters and output letters, with `...` written out as capital letters of its own."""
    equation = equation.replace(" ", "")
    left, arrow, output = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise ValueError(f"einsum: {equation!r} names {len(terms)} operands, {len(operands)} were given")
    spare = [c for c in string.ascii_uppercase + string.ascii_lowercase if c not in equation]
    widest = 0
    for term, x in zip(terms, operands, strict=True):
        named = len(term.replace("...", ""))
        if named > x.ndim or (named < x.ndim and "..." not in term):
            raise ValueError(f"einsum: {term!r} names {named} dimensions of an operand of shape {x.shape}")
        widest = widest if "..." not in term else max(widest, x.ndim - named)
    extra = "".join(spare[:widest])
    inputs = []
    for term, x in zip(terms, operands, strict=True):
        named = len(term.replace("...", ""))
        inputs.append(term.replace("...", extra[widest - (x.ndim - named) :] if x.ndim > named else ""))
    if not arrow:
        seen = left.replace(",", "").replace("...", "")
        output = extra + "".join(sorted(c for c in set(seen) if seen.count(c) == 1))
    else:
        output = output.replace("...", extra)
    missing = [c for c in output if not any(c in term for term in inputs)]
    if missing or len(set(output)) != len(output):
        raise ValueError(f"einsum: {equation!r}: the output names {missing or 'a letter twice'}")
    sizes: dict[str, int] = {}
    for term, x in zip(inputs, operands, strict=True):
        own: dict[str, int] = {}
        for c, n in zip(term, x.shape, strict=True):
            known = sizes.setdefault(c, n)
            if own.setdefault(c, n) != n or (known != n and 1 not in (known, n)):
                raise ValueError(
                    f"einsum: {equation!r}: letter {c!r} has size {own[c] if own[c] != n else known} and {n}"
                )
            sizes[c] = n if known == 1 else known
    stretched = [expand(x, [sizes[c] for c in t]) if x.ndim else x for t, x in zip(inputs, operands, strict=True)]
    return inputs, output, stretched


def _diagonal(letters: str, x):
    """An operand with each letter once: repeated ones become their diagonal."""
    unique = list(dict.fromkeys(letters))
    if len(unique) == len(letters):
        return unique, x
    from minigrad.ops.index import getitem, open_grid

    sizes = tuple(x.shape[letters.index(c)] for c in unique)
    grids = dict(zip(unique, open_grid(sizes, array_module(unwrap(x))), strict=True))

    return unique, getitem(x, tuple(grids[c] for c in letters))


def _sum_away(letters, x, keep):
    from minigrad.ops.reduce import sum

    gone = tuple(i for i, c in enumerate(letters) if c not in keep)
    return sum(x, gone) if gone else x


def _contract(left, x, right, y, later):
    """Two operands into one by a batched matrix product over their common letters that nothing needs later.

    left, right  lists of letters, one per dimension of x and of y
    later        the set of letters that the output or an operand still to come has

    Returns the result's letters and the result. A letter that only one operand has and nothing needs later is
    summed over first. The rest are of four kinds: `batch` in both and needed later, `inner` in both and not, `rows` in
    x only, `columns` in y only. The product is of x as (batch, rows, inner) and y as (batch, inner, columns).
    """
    x = _sum_away(left, x, later.union(right))
    left = [c for c in left if c in later or c in right]
    y = _sum_away(right, y, later.union(left))
    right = [c for c in right if c in later or c in left]
    batch = [c for c in left if c in right and c in later]
    inner = [c for c in left if c in right and c not in later]
    rows = [c for c in left if c not in right]
    columns = [c for c in right if c not in left]
    size = {**dict(zip(left, x.shape, strict=True)), **dict(zip(right, y.shape, strict=True))}

    def count(group):
        return math.prod(size[c] for c in group)

    x = permute(x, [left.index(c) for c in batch + rows + inner]) if left else x
    y = permute(y, [right.index(c) for c in batch + inner + columns]) if right else y
    x = reshape(x, count(batch), count(rows), count(inner))
    y = reshape(y, count(batch), count(inner), count(columns))
    letters = batch + rows + columns
    return letters, reshape(matmul(x, y), [size[c] for c in letters])
