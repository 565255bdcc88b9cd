"""Padding at its edges: nothing to add, taking away, 0-d, empty, a mirror that is too short."""

import numpy as np
import pytest

import minigrad as mg

ROW = mg.tensor([1.0, 2.0, 3.0])

VALUES = {
    "nothing": (lambda: mg.pad(ROW, ()), [1, 2, 3]),
    "0-d": (lambda: mg.pad(mg.tensor(7.0), ()), 7.0),
    "an empty tensor": (lambda: mg.pad(mg.zeros(0), (1, 2), value=5.0), [5, 5, 5]),
    "taken away": (lambda: mg.pad(ROW, (-1, -1)), [2]),
    "all taken away": (lambda: mg.pad(ROW, (-2, -1)), np.zeros(0)),
    "added and taken away": (lambda: mg.pad(ROW, (2, -2)), [0, 0, 1]),
    "the next to last dim": (lambda: mg.pad(mg.ones(1, 2), (0, 0, 1, 0)), [[0, 0], [1, 1]]),
    "reflect": (lambda: mg.pad(ROW, (2, 1), "reflect"), [3, 2, 1, 2, 3, 2]),
    "reflect, taking away": (lambda: mg.pad(ROW, (-1, 1), "reflect"), [2, 3, 2]),
    "replicate": (lambda: mg.pad(ROW, (2, 1), "replicate"), [1, 1, 1, 2, 3, 3]),
    "circular": (lambda: mg.pad(ROW, (2, 1), "circular"), [2, 3, 1, 2, 3, 1]),
    "integers": (lambda: mg.pad(mg.tensor([1, 2]), (1, 0), value=9), [9, 1, 2]),
    "booleans": (lambda: mg.pad(mg.tensor([False]), (1, 0), value=True), [True, False]),
}
REFUSED = {
    "odd": (lambda: mg.pad(ROW, (1,)), ValueError, "expected two numbers for each of the last dimensions"),
    "too many": (lambda: mg.pad(ROW, (1, 1, 1, 1)), ValueError, r"for shape \(3,\)"),
    "too much": (lambda: mg.pad(ROW, (-2, -2)), ValueError, "takes more away"),
    "a value": (lambda: mg.pad(ROW, (1, 1), "reflect", 1.0), ValueError, "a value is for mode='constant'"),
    "a mode": (lambda: mg.pad(ROW, (1, 1), "mirror"), ValueError, 'use "constant", "reflect", "replicate"'),
    "a short mirror": (
        lambda: mg.pad(ROW, (3, 0), "reflect"),
        ValueError,
        "3 elements by mode='reflect' in a dimension of size 3",
    ),
    "more than around": (lambda: mg.pad(ROW, (4, 0), "circular"), ValueError, "4 elements by mode='circular'"),
    "the edge of nothing": (lambda: mg.pad(mg.zeros(0), (1, 0), "replicate"), ValueError, "dimension of size 0"),
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


def test_gradients_meet_where_an_element_was_read_twice():
    x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    mg.pad(x, (1, 2), "replicate").sum().backward()
    np.testing.assert_array_equal(x.grad.data, [2.0, 1.0, 3.0])
