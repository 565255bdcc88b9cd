"""Closeness, membership, sorted positions and distinct values: against numpy, and what is refused in words."""

import numpy as np
import pytest

import minigrad as mg

nan, inf = np.nan, np.inf


def test_close_and_equal():
    x = mg.tensor([1.0, nan, inf, 0.0])
    np.testing.assert_array_equal(mg.isclose(x, x).data, [True, False, True, True])
    np.testing.assert_array_equal(mg.isclose(x, x, equal_nan=True).data, True)
    assert mg.allclose(mg.ones(2), mg.ones(2) + 1e-6)
    assert not mg.allclose(mg.ones(2), mg.ones(2) + 1e-3)
    assert mg.equal(mg.arange(3), mg.arange(3))
    assert not mg.equal(mg.arange(3), mg.arange(4))
    assert not mg.equal(x, x)
    assert mg.isclose(mg.tensor([250], dtype="uint8"), mg.tensor([3], dtype="uint8")).item() is False


@pytest.mark.parametrize("right", [False, True])
def test_positions_are_numpys(right):
    row, values = np.array([1.0, 2.0, 2.0, 5.0]), np.array([[0.0, 2.0], [5.0, 9.0]])
    side = "right" if right else "left"
    expected = np.searchsorted(row, values, side)
    np.testing.assert_array_equal(mg.searchsorted(mg.tensor(row), mg.tensor(values), right=right).data, expected)
    np.testing.assert_array_equal(mg.bucketize(mg.tensor(values), mg.tensor(row), right=right).data, expected)
    rows = np.stack([row, row + 1])
    by_row = mg.searchsorted(mg.tensor(rows), mg.tensor(values), side=side).data
    np.testing.assert_array_equal(by_row, [np.searchsorted(r, v, side) for r, v in zip(rows, values, strict=True)])


def test_distinct_values():
    x = np.array([[3, 1], [3, 2], [3, 1]])
    values, inverse, counts = mg.unique(mg.tensor(x), return_inverse=True, return_counts=True)
    np.testing.assert_array_equal(values.data[inverse.data], x)
    np.testing.assert_array_equal(counts.data, [2, 1, 3])
    np.testing.assert_array_equal(mg.unique(mg.tensor(x), dim=0).data, [[3, 1], [3, 2]])
    assert mg.unique(mg.tensor([nan, nan])).shape == (2,)
    values, counts = mg.unique_consecutive(mg.tensor([1, 1, 2, 1]), return_counts=True)
    np.testing.assert_array_equal(values.data, [1, 2, 1])
    np.testing.assert_array_equal(counts.data, [2, 1, 1])


def test_membership():
    x = mg.tensor([[1, 2], [3, 4]])
    np.testing.assert_array_equal(mg.isin(x, mg.tensor([2, 3, 9])).data, [[False, True], [True, False]])
    np.testing.assert_array_equal(mg.isin(x, mg.tensor([2]), invert=True).data, [[True, False], [True, True]])


REFUSED = {
    "dtypes": (lambda: mg.isclose(mg.ones(2), mg.arange(2)), TypeError, "float32 and int64: cast one"),
    "side": (lambda: mg.searchsorted(mg.arange(3), mg.arange(3), side="middle"), ValueError, "side='middle'"),
    "both": (lambda: mg.searchsorted(mg.arange(3), mg.arange(3), side="left", right=True), ValueError, "disagree"),
    "rows": (lambda: mg.searchsorted(mg.ones(2, 3), mg.ones(3, 3)), ValueError, "all but the last must be equal"),
    "boundaries": (lambda: mg.bucketize(mg.ones(2), mg.ones(2, 2)), ValueError, "expected one dimension"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    call, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        call()
