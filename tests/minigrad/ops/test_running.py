"""Running extremes and differences at their edges: ties, NaN, 0-d, empty, booleans."""

import numpy as np
import pytest

import minigrad as mg

nan = np.nan

VALUES = {
    "cummax, the last of equals": (lambda: mg.cummax(mg.tensor([1, 3, 3, 2]), 0).indices, [0, 1, 2, 2]),
    "cummin, the last of equals": (lambda: mg.cummin(mg.tensor([2, 1, 1, 3]), -1).indices, [0, 1, 2, 2]),
    "a NaN stays": (lambda: mg.cummax(mg.tensor([1.0, nan, 9.0]), 0).values, [1.0, nan, nan]),
    "cummax 0-d": (lambda: mg.cummax(mg.tensor(4.0), 0).values, 4.0),
    "cummax 0-d, where": (lambda: mg.cummax(mg.tensor(4.0), -1).indices, 0),
    "cummin of nothing": (lambda: mg.cummin(mg.zeros(2, 0), 1).values, np.zeros((2, 0))),
    "cummin along dim 0": (lambda: mg.cummin(mg.tensor([[2, 1], [1, 2]]), -2).values, [[2, 1], [1, 1]]),
    "diff 0 times": (lambda: mg.diff(mg.tensor([1, 4]), 0), [1, 4]),
    "diff more often than there are elements": (lambda: mg.diff(mg.tensor([1, 4]), 5), np.zeros(0)),
    "diff of nothing": (lambda: mg.diff(mg.zeros(0)), np.zeros(0)),
    "diff of booleans": (lambda: mg.diff(mg.tensor([True, True, False])), [False, True]),
    "diff of uint8 wraps": (lambda: mg.diff(mg.tensor([1, 0], dtype="uint8")), [255]),
    "diff with ends": (lambda: mg.diff(mg.tensor([1, 4]), prepend=mg.tensor([0]), append=mg.tensor([4])), [1, 3, 0]),
}
REFUSED = {
    "cummax": (lambda: mg.cummax(mg.ones(2), 1), IndexError, "dim 1 of a tensor with 1 dimensions; use -1 to 0"),
    "diff 0-d": (lambda: mg.diff(mg.tensor(1.0)), ValueError, "a 0-d tensor has no dimensions"),
    "diff": (lambda: mg.diff(mg.ones(3), -1), ValueError, "n=-1; expected 0 or more"),
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


def test_the_gradient_goes_to_the_element_that_was_taken():
    x = mg.tensor([1.0, 3.0, 3.0, 2.0], requires_grad=True)
    mg.cummax(x, 0).values.sum().backward()
    np.testing.assert_array_equal(x.grad.data, [1.0, 1.0, 2.0, 0.0])
