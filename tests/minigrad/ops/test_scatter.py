"""Placing and picking at the edges: 0-d, nothing, negative dims, one place named twice."""

import numpy as np
import pytest

import minigrad as mg

ROW = mg.tensor([1.0, 2.0, 3.0])


def at(*places):
    return mg.tensor(list(places), dtype="int64")


VALUES = {
    "scatter, the last stays": (lambda: mg.scatter(ROW, 0, at(1, 1), mg.tensor([8.0, 9.0])), [1.0, 9.0, 3.0]),
    "scatter a number": (lambda: mg.scatter(ROW, -1, at(0), value=5), [5.0, 2.0, 3.0]),
    "scatter into a number": (lambda: mg.scatter(mg.tensor(1.0), 0, mg.tensor(0), value=5), 5.0),
    "scatter nothing": (lambda: mg.scatter(ROW, 0, at(), mg.zeros(0)), [1.0, 2.0, 3.0]),
    "scatter the first of more": (lambda: mg.scatter(ROW, 0, at(2), mg.tensor([7.0, 8.0])), [1.0, 2.0, 7.0]),
    "index_add, named twice": (lambda: mg.index_add(ROW, 0, at(0, 0), mg.ones(2), alpha=2), [5.0, 2.0, 3.0]),
    "index_add to a number": (lambda: mg.index_add(mg.tensor(1.0), 0, at(0), mg.tensor([2.0])), 3.0),
    "index_add along -1": (lambda: mg.index_add(mg.zeros(1, 2), -1, at(1), mg.ones(1, 1)), [[0.0, 1.0]]),
    "index_copy, the last stays": (lambda: mg.index_copy(ROW, 0, at(2, 2), mg.tensor([7.0, 8.0])), [1.0, 2.0, 8.0]),
    "index_fill": (lambda: mg.index_fill(mg.tensor([1, 2]), 0, at(1), 9), [1, 9]),
    "masked_select, none": (lambda: mg.masked_select(ROW, ROW > 5), np.zeros(0)),
    "masked_select, broadcast": (lambda: mg.masked_select(mg.tensor(4.0), mg.tensor([True, False, True])), [4.0, 4.0]),
    "masked_scatter": (lambda: mg.masked_scatter(ROW, ROW > 1, mg.tensor([[7.0, 8.0, 9.0]])), [1.0, 7.0, 8.0]),
    "take, from the end": (lambda: mg.take(mg.tensor([[1, 2], [3, 4]]), mg.tensor([[-1, 0]])), [[4, 1]]),
    "take one": (lambda: mg.take(ROW, mg.tensor(2)), 3.0),
    "take_along_dim, broadcast": (
        lambda: mg.take_along_dim(mg.tensor([[1, 2], [3, 4]]), at(1).reshape(1, 1), -1),
        [[2], [4]],
    ),
    "argsort of a number": (lambda: mg.argsort(mg.tensor(3.0)), 0),
    "argsort, equals in order": (lambda: mg.argsort(mg.tensor([1, 1, 0]), descending=True), [0, 1, 2]),
}
REFUSED = {
    "scatter, both": (lambda: mg.scatter(ROW, 0, at(0), ROW, value=1), TypeError, "one of the two"),
    "scatter, outside": (lambda: mg.scatter(ROW, 0, at(3), value=1.0), IndexError, "3"),
    "scatter, dtype": (lambda: mg.scatter(ROW, 0, at(0), at(1)), TypeError, "x is float32, the source int64"),
    "scatter, shape": (
        lambda: mg.scatter(mg.ones(2, 2), 0, at(0), value=1.0),
        ValueError,
        "does not fit inside",
    ),
    "index_add, source": (lambda: mg.index_add(ROW, 0, at(0), mg.ones(2)), ValueError, r"expected \(1,\)"),
    "index_fill, value": (lambda: mg.index_fill(ROW, 0, at(0), mg.ones(1)), ValueError, "expected one number"),
    "masked_select": (lambda: mg.masked_select(ROW, at(0, 1, 1)), TypeError, "the mask is int64; use booleans"),
    "masked_scatter": (lambda: mg.masked_scatter(ROW, ROW > 0, mg.ones(2)), ValueError, "3 places but 2 elements"),
    "take": (lambda: mg.take(ROW, at(3)), IndexError, "do not fit 3 elements"),
    "take, fractions": (lambda: mg.take(ROW, mg.ones(1)), IndexError, "use integers"),
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


def test_a_value_that_was_overwritten_has_no_gradient():
    source = mg.tensor([8.0, 9.0], requires_grad=True)
    mg.scatter(ROW, 0, at(1, 1), source).sum().backward()
    np.testing.assert_array_equal(source.grad.data, [0.0, 1.0])
