"""Every operation that is PyTorch's, on the inputs nobody names: 0-d, empty, integers, booleans, NaN, ties, views.

An expression is run with minigrad and with PyTorch on each input. Where PyTorch gives a value, ours has the same
values, shape and dtype; where PyTorch refuses, ours refuses. What differs on purpose is listed in DIFFERENT.
"""

import re
import warnings

import numpy as np
import pytest

import minigrad as mg

pytestmark = pytest.mark.parity

nan, inf = np.nan, np.inf

INPUTS = {
    "matrix": np.array([[3.5, -1.25, 2.0], [0.5, 7.0, -4.5]], np.float32),
    "ties": np.array([[1.0, 3.0, 3.0, 1.0], [2.0, 2.0, 2.0, 0.0], [0.0, -0.0, 5.0, 5.0]], np.float32),
    "not finite": np.array([[nan, 1.0, inf, -inf], [2.0, nan, 0.5, nan], [-inf, -2.0, 3.0, inf]], np.float32),
    "vector": np.array([0.25, -3.0, 0.5, 2.75], np.float64),
    "one": np.array([2.5], np.float32),
    "0-d": np.array(-1.5, np.float32),
    "empty": np.zeros((0,), np.float32),
    "no rows": np.zeros((0, 3), np.float32),
    "no columns": np.zeros((2, 0), np.float32),
    "integers": np.array([[3, -1, 2], [2, 2, 0]], np.int64),
    "bytes": np.array([200, 3, 3, 100], np.uint8),
    "int32": np.array([[5, 1], [4, 3]], np.int32),
    "0-d integer": np.array(3, np.int64),
    "booleans": np.array([[True, False, True], [True, True, False]]),
    "a view": np.arange(24, dtype=np.float32).reshape(4, 6)[::2, ::-2].copy(),
    "cube": np.arange(24, dtype=np.float32).reshape(2, 3, 4) % 7,
    "square": np.array([[2.0, -1.0], [0.5, 3.0]], np.float32),
}

EXPRESSIONS = """
m.tan(x) | m.asin(x) | m.acos(x) | m.atan(x) | m.sinh(x) | m.cosh(x) | m.asinh(x) | m.acosh(x) | m.atanh(x)
m.atan2(x, x) | m.exp2(x) | m.log2(x) | m.log10(x) | m.logaddexp(x, x) | m.logit(x) | m.logit(x, eps=0.1)
m.xlogy(x, x) | m.hypot(x, x) | m.frac(x) | m.trunc(x) | m.heaviside(x, x) | m.nan_to_num(x)
m.nan_to_num(x, nan=1.0, posinf=2.0, neginf=-3.0) | m.lerp(x, x + 1, 0.25) | m.addcmul(x, x, x, value=2)
m.addcdiv(x, x, x) | m.roll(x, 1) | m.roll(x, -2, 0) | m.roll(x, (1, 1), (0, -1)) | m.rot90(x) | m.rot90(x, 2)
m.rot90(x, -1, (1, 0)) | m.fliplr(x) | m.flipud(x) | m.repeat_interleave(x, 2) | m.repeat_interleave(x, 0)
m.repeat_interleave(x, 2, dim=-1) | m.repeat_interleave(x, -1) | m.tile(x, (2,)) | m.tile(x, (2, 1, 2)) | x.tile(2, 2)
m.movedim(x, 0, -1) | m.movedim(x, (0, 1), (1, 0)) | m.moveaxis(x, -1, 0) | m.narrow(x, 0, 0, 1)
m.narrow(x, -1, -1, 1) | m.narrow(x, 0, 1, 5) | m.select(x, 0, 0) | m.select(x, -1, -1) | m.select(x, 0, 9)
m.unflatten(x, -1, (1, -1)) | m.unflatten(x, 0, (2, -1)) | x.unfold(0, 1, 1) | x.unfold(-1, 2, 2) | x.unfold(0, 0, 1)
m.diagonal(x) | m.diagonal(x, 1) | m.diagonal(x, -1) | m.diagonal(x, 7) | m.diagonal(x, 0, -1, -2) | m.diag_embed(x)
m.diag_embed(x, 1) | m.diag_embed(x, -1, 0, 1) | m.diag(x) | m.diag(x, 1) | m.diag(x, -5) | m.diagflat(x)
m.diagflat(x, -1) | m.trace(x) | m.atleast_1d(x) | m.atleast_2d(x) | m.atleast_3d(x) | m.hstack((x, x))
m.vstack((x, x)) | m.dstack((x, x)) | m.column_stack((x, x)) | m.block_diag(x, x) | m.concat([x, x])
m.broadcast_tensors(x, x[:1])[1] | m.meshgrid(x, x, indexing="ij")[1] | m.meshgrid(x, x, indexing="xy")[0]
m.cartesian_prod(x, x) | x.view_as(x) | x.expand_as(x) | x.reshape_as(x)
m.scatter(x, 0, m.zeros_like(x, dtype=m.int64), x) | m.scatter(x, -1, m.zeros_like(x, dtype=m.int64), 1)
m.index_add(x, 0, m.tensor([0, 0]), x[:2]) | m.index_add(x, -1, m.tensor([0]), x[..., :1], alpha=2)
m.index_copy(x, 0, m.tensor([0]), x[:1] * 2) | m.index_fill(x, 0, m.tensor([0]), 2)
m.index_fill(x, -1, m.tensor([5]), 2) | m.masked_select(x, x > 0) | m.masked_select(x, x) | x.masked_scatter(x > 0, x)
m.take(x, m.tensor([0, -1])) | m.take(x, m.tensor(0)) | m.take(x, m.tensor([99]))
m.take_along_dim(x, m.argsort(x, dim=0, stable=True), 0) | m.take_along_dim(x, m.tensor([0]))
m.argsort(x, stable=True) | m.argsort(x, dim=0, descending=True, stable=True) | m.cummax(x, 0) | m.cummax(x, -1)
m.cummin(x, 0) | m.cummin(x, -1) | m.diff(x) | m.diff(x, n=2, dim=0) | m.diff(x, prepend=x, append=x) | m.diff(x, n=0)
m.median(x) | m.median(x, 0) | m.median(x, -1, keepdim=True)[0] | m.nanmedian(x) | m.nanmedian(x, -1)[0]
m.mode(x)[0] | m.mode(x, 0, keepdim=True)[0] | m.quantile(x, 0.3) | m.quantile(x, 0.5, dim=-1)
m.quantile(x, 0.75, dim=0, keepdim=True) | m.quantile(x, 0.5, keepdim=True) | m.quantile(x, 1.5)
m.quantile(x, m.tensor([0.1, 0.9], dtype=x.dtype), dim=0) | m.quantile(x, 0.4, interpolation="nearest") | m.nansum(x)
m.nansum(x, 0) | m.nanmean(x) | m.nanmean(x, -1, keepdim=True) | m.aminmax(x) | m.aminmax(x, dim=0) | m.std_mean(x)
m.std_mean(x, 0, correction=0) | m.var_mean(x, -1, keepdim=True) | m.count_nonzero(x) | m.count_nonzero(x, 0)
m.count_nonzero(x, (0, -1)) | m.bincount(x) | m.bincount(x, minlength=300) | m.bincount(x, weights=x) | m.histc(x, 4)
m.histc(x, bins=3, min=-1, max=2) | m.histc(x, bins=3, min=2, max=-1) | m.isclose(x, x) | m.isclose(x, x + 1e-6)
m.isclose(x, x, equal_nan=True) | m.allclose(x, x) | m.equal(x, x) | m.equal(x, x + 1) | m.isin(x, m.tensor([2, 3]))
m.isin(x, x) | m.isin(x, m.tensor([2.0]), invert=True) | m.bucketize(x, m.tensor([0.0, 1.0, 3.0]))
m.bucketize(x, m.tensor([0.0, 1.0, 3.0]), right=True) | m.searchsorted(m.tensor([0.0, 1.0, 3.0], dtype=x.dtype), x)
m.searchsorted(m.sort(x)[0], x, side="right") | m.unique(x) | m.unique(x, return_inverse=True, return_counts=True)
m.unique(x, dim=0) | m.unique_consecutive(x) | m.unique_consecutive(x, return_inverse=True, return_counts=True)
m.unique(x, return_counts=True, dim=-1) | m.mm(x, x.T) | m.bmm(x, x.mT) | m.mv(x, x[0]) | m.dot(x, x) | m.outer(x, x)
m.ger(x, x) | m.inner(x, x) | m.tensordot(x, x, dims=0) | m.tensordot(x, x.mT, dims=1)
m.tensordot(x, x, dims=([0], [0])) | m.kron(x, x) | m.cross(x, x + 1, dim=-1) | m.matrix_power(x, 0)
m.matrix_power(x, 1) | m.matrix_power(x, 3) | m.addmm(x[0], x, x.T) | m.addmv(x[:, 0], x, x[0])
m.baddbmm(x[:, :1, :1], x, x.mT) | m.cdist(x, x) | m.cdist(x, x + 1, p=1.0) | m.cdist(x, x, p=float("inf"))
F.normalize(x, dim=-1) | F.normalize(x, p=1.0, dim=0) | F.cosine_similarity(x, x + 1, dim=-1)
F.pairwise_distance(x, x + 1) | F.pad(x, (1, 1)) | F.pad(x, (1, -1, 0, 2), value=3)
F.pad(x, (1, 0), mode="circular") | F.pad(x, (2, 1), mode="reflect") | F.pad(x, (1, 2), mode="replicate")
F.pad(x, (1, 2, 3)) | m.sum(x, axis=0) | x.sum(axis=-1, keepdims=True) | m.sum(x, dtype=m.float64) | x.mean(axis=0)
x.mean(dtype=m.float32) | m.sum(x, dim=0, dtype=m.int32) | m.prod(x, dtype=m.float32) | m.cumsum(x, axis=0)
m.cumsum(x, 0, dtype=m.float64) | m.cumprod(x, axis=-1) | m.amax(x, axis=0, keepdims=True) | m.argmax(x, axis=0)
m.argmin(x, axis=-1, keepdims=True) | m.any(x, axis=0) | m.all(x, axis=-1, keepdims=True) | m.logsumexp(x, axis=0)
m.max(x, axis=0)[0] | m.max(x, x * 2) | m.min(x, x * 2) | m.sort(x, stable=True)
m.sort(x, axis=0, descending=True, stable=True) | x.sort(stable=True) | m.topk(x, 1, sorted=True)[0]
m.softmax(x, axis=0) | m.softmax(x, 0, dtype=m.float64) | m.log_softmax(x, 0, dtype=m.float64)
m.concatenate([x, x], axis=0) | m.stack([x, x], axis=0) | m.unsqueeze(x, axis=0) | m.squeeze(x, axis=0) | x.flip(0, 1)
x.flip(0) | m.flip(x, dims=[0]) | m.nonzero(x, as_tuple=True) | x.nonzero(as_tuple=True) | m.add(x, x, alpha=2)
m.sub(x, x, alpha=3) | x.add(x, alpha=2) | m.div(x, x + 3, rounding_mode="floor") | x.div(2, rounding_mode="trunc")
m.div(x, -2, rounding_mode="trunc") | m.div(x, 2, rounding_mode="nothing") | m.var(x, 0, False)
m.var(x, unbiased=False) | m.std(x, False) | m.std(x, 0, unbiased=False, keepdim=True)
m.var(x, dim=-1, correction=0, keepdim=True) | x.var(0, unbiased=False) | F.one_hot(x) | x.to(m.float64)
x.to(dtype=m.int32) | x.type(m.int64) | x.to("cpu", m.float16) | x.long() | x.int() | x.short() | x.bool() | x.half()
x.double() | x.type_as(m.zeros(1, dtype=m.int8)) | x.to(x) | x.new_zeros(2, 3) | x.new_ones((2,))
x.new_full((2,), 1) | x.new_tensor([1, 0]) | m.zeros_like(x, dtype=m.int64) | m.full((2,), 3) | m.full((2,), 3.0)
m.full((2,), True) | m.arange(5) | m.arange(1, 2, 0.25) | m.linspace(0, 1, 5) | m.linspace(0, 1, steps=0)
m.logspace(0, 2, 3) | m.eye(2, 3) | m.as_tensor([1, 2]) | m.as_tensor(2.0) | x.stride() | x.element_size()
x.nelement() | m.numel(x) | m.clip(x, 0, 1) | m.subtract(x, 1) | m.multiply(x, 2) | m.divide(x, 2)
m.true_divide(x, 2) | m.negative(x) | m.greater(x, 1) | m.less_equal(x, 1) | m.not_equal(x, 1) | m.arccos(x)
m.arctan2(x, x) | m.absolute(x) | m.fix(x) | m.sgn(x) | m.ravel(x) | m.argwhere(x) | m.row_stack([x, x])
m.swapdims(x, 0, 1) | m.vdot(x, x) | x.t() | x.mm(x.t()) | x.eq(x) | x.ne(1) | x.lt(1) | x.le(1) | x.gt(1) | x.ge(1)
x.neg() | x.mul(2) | x.sub(1) | x.clip(0, 2) | m.broadcast_shapes((3, 1), (1, 4)) | m.tril_indices(3, 4)
m.triu_indices(3, 4, 1) | m.tril_indices(0, 2)
"""
EXPRESSIONS = [each.strip() for line in EXPRESSIONS.strip().splitlines() for each in line.split(" | ")]

# (expression, input or "*") -> why ours is another.
DIFFERENT = {
    ("m.mode(x)[0]", "not finite"): "ours is the smallest number; PyTorch's depends on where its sort leaves the NaN",
    ("m.mode(x, 0, keepdim=True)[0]", "not finite"): "as above",
    ("m.quantile(x, 0.75, dim=0, keepdim=True)", "not finite"): "between 3 and inf is inf; PyTorch's inf - inf is NaN",
    ("m.quantile(x, m.tensor([0.1, 0.9], dtype=x.dtype), dim=0)", "not finite"): "as above",
    ("m.unique(x, return_inverse=True, return_counts=True)", "not finite"): "PyTorch sends all NaN to the last place",
    ("m.unique(x, dim=0)", "no columns"): "rows without elements are equal",
    ("m.unique(x, return_counts=True, dim=-1)", "no rows"): "columns without elements are equal",
    ("m.unique(x, return_counts=True, dim=-1)", "not finite"): "another order where NaN are compared",
    ('m.cdist(x, x, p=float("inf"))', "not finite"): "NaN is infinitely far away to PyTorch",
    ('m.searchsorted(m.sort(x)[0], x, side="right")', "not finite"): "where a row holds NaN, they are the largest",
    ("F.pairwise_distance(x, x + 1)", "bytes"): "PyTorch's difference of bytes wraps around",
    ("m.std_mean(x, 0, correction=0)", "not finite"): "the mean of numbers and inf is inf; here, PyTorch's is NaN",
    ("m.sum(x, dim=0, dtype=m.int32)", "not finite"): "NaN and inf are no integers; any number is right",
    ("x.type(m.int64)", "not finite"): "as above",
    ("m.any(x, axis=0)", "bytes"): "booleans, as for all other dtypes; PyTorch gives bytes for bytes",
    ("m.all(x, axis=-1, keepdims=True)", "bytes"): "as above",
    ('m.div(x, -2, rounding_mode="trunc")', "bytes"): "-2 is no byte; PyTorch takes 254 for it",
    ("m.index_fill(x, -1, m.tensor([5]), 2)", "no rows"): "an index out of range is one, even with nothing to fill",
}
# Where PyTorch says so, it lacks the dtype (or the number of dimensions) on the CPU; ours may have it.
REFUSED = r"^var: \d+ elements"  # too few for a variance, where PyTorch warns and gives NaN
LACKING = (
    "not implemented for|does not support|only applicable|not supported|loating|Unsupported|expected dtype|"
    "no longer supported|Expected 2D or 3D"
)


class Functions:
    """F for minigrad: nn.functional exports them from here."""

    def __getattr__(self, name):
        return getattr(mg.ops, name)


def outcome(expression: str, m, F, x):
    """What an expression gives, as numpy arrays; or the exception."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = eval(expression, {"m": m, "F": F, "x": x})
    except (ValueError, TypeError, IndexError, RuntimeError, NotImplementedError) as error:
        return error
    found = found if isinstance(found, tuple) else (found,)
    return [np.asarray(each.detach().numpy()) if hasattr(each, "detach") else np.asarray(each) for each in found]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_like_torch(expression):
    torch = pytest.importorskip("torch")
    wrong = []
    for name, array in INPUTS.items():
        if (expression, name) in DIFFERENT or (expression, "*") in DIFFERENT:
            continue
        theirs = outcome(expression, torch, torch.nn.functional, torch.tensor(array))
        ours = outcome(expression, mg, Functions(), mg.tensor(array))
        if isinstance(theirs, Exception):
            if not isinstance(ours, Exception) and not re.search(LACKING, str(theirs)):
                wrong.append(f"{name}: {ours[0].tolist()}, PyTorch: {type(theirs).__name__}: {str(theirs)[:100]}")
            continue
        if isinstance(ours, Exception):
            if re.search(REFUSED, str(ours)):
                continue
            wrong.append(f"{name}: {type(ours).__name__}: {ours}; PyTorch: {theirs[0].tolist()}")
            continue
        for a, b in zip(ours, theirs, strict=True):
            if a.shape != b.shape or a.dtype != b.dtype or not np.allclose(a, b, 2e-5, 1e-6, equal_nan=True):
                wrong.append(
                    f"{name}: {a.dtype}{list(a.shape)} {a.tolist()}; PyTorch: {b.dtype}{list(b.shape)} {b.tolist()}"
                )
    assert not wrong, "\n".join(wrong)
