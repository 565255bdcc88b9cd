"""Products at their edges: 0-d, empty sums, negative dims, shapes that do not fit."""

import numpy as np
import pytest

import minigrad as mg

VALUES = {
    "mm over nothing": (lambda: mg.mm(mg.ones(2, 0), mg.ones(0, 3)), np.zeros((2, 3))),
    "bmm of no matrices": (lambda: mg.bmm(mg.ones(0, 2, 3), mg.ones(0, 3, 4)), np.zeros((0, 2, 4))),
    "dot of nothing": (lambda: mg.dot(mg.zeros(0), mg.zeros(0)), 0.0),
    "dot of integers": (lambda: mg.dot(mg.tensor([2, 3]), mg.tensor([4, 5])), 23),
    "addmm, beta 0 forgets NaN": (
        lambda: mg.addmm(mg.full((1, 1), np.nan), mg.ones(1, 2), mg.ones(2, 1), beta=0),
        [[2.0]],
    ),
    "addmm broadcasts": (
        lambda: mg.addmm(mg.tensor([1.0, 2.0]), mg.ones(2, 1), mg.ones(1, 2), alpha=3),
        [[4.0, 5.0], [4.0, 5.0]],
    ),
    "outer with nothing": (lambda: mg.outer(mg.ones(2), mg.zeros(0)), np.zeros((2, 0))),
    "inner of a number": (lambda: mg.inner(mg.tensor(2.0), mg.tensor([1.0, 3.0])), [2.0, 6.0]),
    "inner of matrices": (
        lambda: mg.inner(mg.tensor([[1.0, 2.0]]), mg.tensor([[3.0, 4.0], [5.0, 6.0]])),
        [[11.0, 17.0]],
    ),
    "tensordot of 0 dims": (lambda: mg.tensordot(mg.ones(2), mg.ones(3), 0), np.ones((2, 3))),
    "tensordot by negative dims": (
        lambda: mg.tensordot(mg.ones(2, 3), mg.ones(3, 4), ([-1], [-2])),
        np.full((2, 4), 3.0),
    ),
    "tensordot of everything": (lambda: mg.tensordot(mg.ones(2, 3), mg.ones(2, 3), 2), 6.0),
    "kron of other ranks": (
        lambda: mg.kron(mg.tensor([1.0, 2.0]), mg.tensor([[1.0], [3.0]])),
        [[1.0, 2.0], [3.0, 6.0]],
    ),
    "kron of numbers": (lambda: mg.kron(mg.tensor(2.0), mg.tensor(3.0)), 6.0),
    "cross along -2": (
        lambda: mg.cross(mg.tensor([[1.0], [0.0], [0.0]]), mg.tensor([[0.0], [1.0], [0.0]]), -2),
        [[0.0], [0.0], [1.0]],
    ),
    "cross of no vectors": (lambda: mg.cross(mg.zeros(0, 3), mg.zeros(0, 3)), np.zeros((0, 3))),
    "power 0": (lambda: mg.matrix_power(mg.full((2, 2), np.nan), 0), np.eye(2)),
    "power 5": (lambda: mg.matrix_power(mg.tensor([[1, 1], [1, 0]]), 5), [[8, 5], [5, 3]]),
}
REFUSED = {
    "mm": (lambda: mg.mm(mg.ones(2), mg.ones(2)), ValueError, "mm: .* expected 2 and 2 dimensions; matmul takes any"),
    "bmm": (lambda: mg.bmm(mg.ones(2, 3, 4), mg.ones(3, 4, 5)), ValueError, "2 and 3 matrices; matmul broadcasts"),
    "dot": (lambda: mg.dot(mg.ones(2), mg.ones(3)), ValueError, "inner dimensions 2 and 3 differ"),
    "outer": (lambda: mg.outer(mg.ones(2, 2), mg.ones(3)), ValueError, "expected two vectors"),
    "tensordot, sizes": (lambda: mg.tensordot(mg.ones(2, 3), mg.ones(4, 5), 1), ValueError, "have different sizes"),
    "tensordot, many": (lambda: mg.tensordot(mg.ones(2), mg.ones(2), 2), ValueError, "use 0 to 1"),
    "tensordot, twice": (
        lambda: mg.tensordot(mg.ones(2, 2), mg.ones(2, 2), ([0, 0], [0, 1])),
        ValueError,
        "names a dimension twice",
    ),
    "cross": (lambda: mg.cross(mg.ones(2), mg.ones(2)), ValueError, "no dimension of size 3"),
    "power, not square": (lambda: mg.matrix_power(mg.ones(2, 3), 2), ValueError, "expected square matrices"),
    "power, negative": (lambda: mg.matrix_power(mg.ones(2, 2), -1), ValueError, "there is no inverse here"),
}


@pytest.mark.parametrize(("call", "expected"), VALUES.values(), ids=VALUES)
def test_values(call, expected):
    result = call()
    np.testing.assert_array_equal(result.data, expected)
    assert result.shape == np.shape(expected)


@pytest.mark.parametrize(("call", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_in_words(call, error, message):
    with pytest.raises(error, match=message):
        call()
