"""The checks of the exercises are checked: they pass what is right, and say in words what is wrong."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg
from minigrad import ops
from tests.lessons.exercises import expect

arrays = hnp.arrays(np.float64, hnp.array_shapes(max_dims=3, max_side=4), elements=st.floats(-1e6, 1e6))


def failure(check, *arguments, **options) -> str:
    with pytest.raises(expect.Unexpected) as caught:
        check(*arguments, **options)
    return str(caught.value)


@given(arrays, st.data())
def test_one_wrong_number_is_found_where_it_is(array, data):
    expect.close(array, array.copy(), "the same")
    index = data.draw(st.tuples(*(st.integers(0, n - 1) for n in array.shape)))
    wrong = array.copy()
    wrong[index] += 1 + abs(wrong[index])
    message = failure(expect.close, wrong, array, "numbers")
    assert f"1 of {array.size} numbers is wrong" in message
    assert f"at [{', '.join(map(str, index))}]" in message
    assert failure(expect.equal, wrong, array, "numbers").startswith("numbers\nexpected: ")


def test_shapes_dtypes_and_nan_are_said():
    assert "expected: shape (2,)" in failure(expect.close, [[1.0, 2.0]], [1.0, 2.0], "a row")
    assert "got: shape (1, 2)" in failure(expect.close, [[1.0, 2.0]], [1.0, 2.0], "a row")
    assert "1 of 2 numbers is NaN (not a number), the first at [1], where 2 is right" in failure(
        expect.close, [1.0, np.nan], [1.0, 2.0], "a row"
    )
    expect.close([1.0, np.nan], [1.0, np.nan], "NaN where it belongs")
    assert "got: dtype float64" in failure(expect.equal, np.ones(2), np.ones(2, np.float32), "ones")
    expect.equal(mg.tensor([1, 2]), [1, 2], "a list has no dtype")
    assert "not numbers" in failure(expect.close, None, 1.0, "what the function returned")
    assert "inf" in failure(expect.close, [np.inf], [1.0], "a number")


def test_tensors_numbers_and_python_values():
    expect.close(mg.tensor([1.0, 2.0], requires_grad=True), [1, 2 + 1e-9], "a tensor")
    expect.close(2.0, 2, "a number")
    expect.equal(["a", "b"], ["a", "b"], "words")
    expect.equal(3, np.int64(3), "a count")
    assert failure(expect.equal, ["a"], ["b"], "words") == "words\nexpected: ['b']\ngot: ['a']"
    assert "got: None (NoneType)" in failure(expect.equal, None, 3, "a count")
    assert "got: True (bool)" in failure(expect.equal, True, 1, "a count")
    expect.holds(1 < 2, "1 is less than 2")
    assert failure(expect.holds, 2 < 1, "2 is less than 1").startswith("2 is less than 1\nexpected: this holds")


class Halved(mg.Function):
    """y = x²; a rule without the factor 2."""

    def forward(self, x):
        self.save_for_backward(x)
        return x * x

    def backward(self, grad):
        (x,) = self.saved
        return x * grad


def test_gradients_pass_right_rules_and_find_wrong_ones():
    x, w = np.arange(1.0, 4.0), np.ones((2, 3))
    expect.gradients(lambda x, w: (mg.exp(-x) * w).sum(1), [x, w], "weighted exponentials")
    message = failure(expect.gradients, Halved.apply, [x], "the square")
    assert message.startswith(
        "the square: its gradient with respect to input 0, of shape (3,), against finite differences"
    )
    assert "3 of 3 numbers are wrong" in message
    none = failure(expect.gradients, lambda x, w: w * w, [x, w], "the second's square")
    assert "no gradient at all" in none


def test_a_rule_is_checked_without_the_engine():
    x = np.arange(1.0, 4.0)
    expect.rule(ops.arithmetic.Div(), [x, x + 1], "a quotient")
    message = failure(expect.rule, Halved(), [x], "the square")
    assert "its gradient with respect to input 0" in message
    assert "3 of 3 numbers are wrong" in message
    one_only = type("OneOnly", (ops.arithmetic.Mul,), {"backward": lambda self, grad: grad * self.saved[1]})
    assert "expected: 2\ngot: 1" in failure(expect.rule, one_only(), [x, x], "a product")
