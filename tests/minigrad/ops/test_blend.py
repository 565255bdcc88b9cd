"""Blends at their edges: 0-d, empty, infinite, NaN and narrow types."""

import numpy as np
import pytest

import minigrad as mg

nan, inf = np.nan, np.inf
LARGEST = np.finfo(np.float32).max

VALUES = {
    "hypot 0-d": (lambda: mg.hypot(mg.tensor(3.0), mg.tensor(4.0)), 5.0),
    "hypot does not overflow": (
        lambda: mg.hypot(mg.tensor([3e38], dtype="float32"), mg.tensor([0.0])),
        [np.float32(3e38)],
    ),
    "hypot of integers": (lambda: mg.hypot(mg.tensor([3]), mg.tensor([4])), [5.0]),
    "hypot, inf beats NaN": (lambda: mg.hypot(mg.tensor([inf]), mg.tensor([nan])), [inf]),
    "frac keeps the sign": (lambda: mg.frac(mg.tensor([-1.25, 1.25, -0.0])), [-0.25, 0.25, 0.0]),
    "trunc of integers": (lambda: mg.trunc(mg.tensor([-3, 3])), [-3, 3]),
    "trunc 0-d": (lambda: mg.trunc(mg.tensor(-1.7)), -1.0),
    "heaviside": (lambda: mg.heaviside(mg.tensor([-1.0, 0.0, 2.0, nan]), mg.tensor(0.5)), [0.0, 0.5, 1.0, 0.0]),
    "heaviside of nothing": (lambda: mg.heaviside(mg.zeros(0), mg.tensor(0.5)), np.zeros(0)),
    "nan_to_num": (lambda: mg.nan_to_num(mg.tensor([nan, inf, -inf, 1.0])), [0.0, LARGEST, -LARGEST, 1.0]),
    "nan_to_num, given": (lambda: mg.nan_to_num(mg.tensor([nan, inf, -inf]), 1.0, 2.0, 3.0), [1.0, 2.0, 3.0]),
    "nan_to_num of integers": (lambda: mg.nan_to_num(mg.arange(3)), [0, 1, 2]),
    "lerp outside its ends": (lambda: mg.lerp(mg.tensor([0.0]), mg.tensor([2.0]), 1.5), [3.0]),
    "lerp, a weight for each": (lambda: mg.lerp(mg.zeros(2), mg.ones(2), mg.tensor([0.0, 0.25])), [0.0, 0.25]),
    "addcmul broadcasts": (
        lambda: mg.addcmul(mg.tensor(1.0), mg.ones(2, 1), mg.ones(3), value=2),
        np.full((2, 3), 3.0),
    ),
    "addcdiv of a number": (lambda: mg.addcdiv(mg.tensor(1.0), mg.ones(1), mg.tensor(4.0), value=2), [1.5]),
}
REFUSED = {
    "hypot": (lambda: mg.hypot(mg.ones(2), mg.ones(3)), ValueError, r"\(2,\).*\(3,\)"),
    "lerp": (lambda: mg.lerp(mg.ones(2), mg.ones(3), 0.5), ValueError, r"\(3,\).*\(2,\)|\(2,\).*\(3,\)"),
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


def test_no_gradient_flows_where_a_number_was_put():
    x = mg.tensor([nan, inf, 1.0], requires_grad=True)
    mg.nan_to_num(x).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [0.0, 0.0, 1.0])
