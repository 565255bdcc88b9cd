"""Counts and what leaves NaN out, against numpy; and what the rarer operations refuse, in words."""

import numpy as np
import pytest

import minigrad as mg

nan = np.nan


def test_counts():
    x = mg.tensor([[3, 0, 1], [1, 1, 0]])
    assert mg.count_nonzero(x).item() == 4
    np.testing.assert_array_equal(mg.count_nonzero(x, 0).data, [2, 1, 1])
    np.testing.assert_array_equal(mg.bincount(x.reshape(-1), minlength=6).data, [2, 3, 0, 1, 0, 0])
    weighted = mg.bincount(mg.tensor([0, 2, 2]), weights=mg.tensor([0.5, 1.0, 2.0]))
    np.testing.assert_array_equal(weighted.data, [0.5, 0, 3])
    np.testing.assert_array_equal(mg.histc(mg.tensor([0.0, 0.9, 1.0, 2.0, 5.0]), 2, 0, 2).data, [2, 2])


def test_nan_is_left_out():
    x = mg.tensor([[1.0, nan], [3.0, nan]], requires_grad=True)
    assert mg.nanmean(x).item() == 2
    np.testing.assert_array_equal(mg.nansum(x, 0).data, [4, 0])
    assert np.isnan(mg.nanmean(x, 0).data[1])
    assert mg.nanmedian(x).item() == 1
    assert np.isnan(mg.median(x).item())
    (g,) = mg.grad(mg.nansum(x), x)
    np.testing.assert_array_equal(g.data, [[1, 0], [1, 0]])


def test_equal_elements_share_the_gradient_of_the_median():
    x = mg.tensor([1.0, 2.0, 2.0, 3.0], requires_grad=True)
    x.median().backward()
    np.testing.assert_array_equal(x.grad.data, [0, 0.5, 0.5, 0])


def test_most_frequent():
    values, indices = mg.mode(mg.tensor([[2, 1, 2, 1, 3], [5, 4, 4, 5, 4]]))
    assert values.tolist() == [1, 4]
    assert indices.tolist() == [3, 4]


@pytest.mark.parametrize("name", ["atan2", "logaddexp", "hypot"])
def test_two_dtypes_have_second_derivatives(name):
    """The cast of one operand is part of the graph."""
    x, y = mg.ones(2, requires_grad=True), mg.full((2,), 2.0, dtype="float64", requires_grad=True)
    found = mg.grad(mg.grad(getattr(mg, name)(x, y).sum(), x, create_graph=True)[0].sum(), [x, y])
    x, y = x.detach().double().requires_grad_(), y.detach().requires_grad_()
    expected = mg.grad(mg.grad(getattr(mg, name)(x, y).sum(), x, create_graph=True)[0].sum(), [x, y])
    assert [g.dtype for g in found] == ["float32", "float64"]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-5)


ones = mg.ones
REFUSED = {
    "quantile q": (lambda: mg.quantile(ones(2), 1.5), ValueError, r"expected a number in \[0, 1\]"),
    "quantile how": (lambda: mg.quantile(ones(2), 0.5, interpolation="most"), ValueError, "'most'; use"),
    "bincount": (lambda: mg.bincount(ones(2)), ValueError, "float32 of shape .* one dimension of integers"),
    "bincount negative": (lambda: mg.bincount(mg.tensor([-1])), ValueError, "must not be negative"),
    "histc": (lambda: mg.histc(mg.tensor([nan])), ValueError, "not finite; give min and max"),
    "roll": (lambda: mg.roll(ones(2, 2), (1, 1), 0), ValueError, "2 shifts for 1 dims"),
    "narrow": (lambda: mg.narrow(ones(3), 0, 2, 2), IndexError, "start 2 and length 2 do not fit dim 0 of size 3"),
    "unflatten": (lambda: mg.unflatten(ones(6), 0, (4, -1)), ValueError, "do not multiply to dim 0"),
    "unfold": (lambda: ones(3).unfold(0, 4, 1), ValueError, "size 4, step 1 in dim 0"),
    "diag": (lambda: mg.diag(ones(1, 1, 1)), ValueError, "one or two dimensions"),
    "t": (lambda: ones(1, 1, 1).t(), ValueError, "two dimensions at most"),
    "meshgrid": (lambda: mg.meshgrid(ones(2), indexing="yx"), ValueError, "'yx'; use"),
    "repeat_interleave": (lambda: mg.repeat_interleave(ones(2), mg.arange(3)), ValueError, r"expected \(2,\)"),
    "scatter": (lambda: mg.scatter(ones(2), 0, mg.tensor([2]), 1.0), IndexError, "indices 2 to 2"),
    "scatter nothing": (lambda: mg.scatter(ones(2), 0, mg.tensor([1])), TypeError, "give src, a tensor, or value"),
    "index_add": (lambda: mg.index_add(ones(3, 2), 0, mg.tensor([0]), ones(2, 2)), ValueError, r"expected \(1, 2\)"),
    "index_copy": (lambda: mg.index_copy(ones(3), 0, mg.tensor([0]), mg.arange(1)), TypeError, "cast one"),
    "masked_select": (lambda: mg.masked_select(ones(2), ones(2)), TypeError, "use booleans"),
    "masked_scatter": (lambda: ones(3).masked_scatter(ones(3) > 0, ones(2)), ValueError, "3 places but 2 elements"),
    "take": (lambda: mg.take(ones(2), mg.tensor([5])), IndexError, "do not fit 2 elements"),
    "mm": (lambda: mg.mm(ones(2), ones(2)), ValueError, "expected 2 and 2 dimensions"),
    "bmm": (lambda: mg.bmm(ones(2, 1, 1), ones(3, 1, 1)), ValueError, "2 and 3 matrices"),
    "tensordot": (lambda: mg.tensordot(ones(2, 3), ones(2, 3), dims=1), ValueError, "different sizes"),
    "cross": (lambda: mg.cross(ones(2), ones(2)), ValueError, "no dimension of size 3"),
    "matrix_power": (lambda: mg.matrix_power(ones(2, 2), -1), ValueError, "there is no inverse"),
    "pad": (lambda: mg.pad(ones(2), (1, 1, 1)), ValueError, "two numbers for each"),
    "pad reflect": (lambda: mg.pad(ones(2), (2, 0), "reflect"), ValueError, "in a dimension of size 2"),
    "pad mode": (lambda: mg.pad(ones(2), (1, 0), "mirror"), ValueError, "'mirror'; use"),
    "axis twice": (lambda: ones(2, 2).sum(dim=0, axis=1), TypeError, "axis and dim are the same"),
    "unbiased twice": (lambda: ones(3).var(unbiased=True, correction=1), TypeError, "say the same"),
    "rounding_mode": (lambda: mg.div(ones(2), 2, rounding_mode="up"), ValueError, "'up'; use None"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    call, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        call()
