"""axis, keepdims and dtype: the same as dim, keepdim and a cast before, and never two of one meaning."""

import numpy as np
import pytest

import minigrad as mg

ROWS = mg.tensor([[1, 2], [3, 5]])

VALUES = {
    "axis": (lambda: mg.sum(ROWS, axis=-1), [3, 8]),
    "keepdims": (lambda: mg.sum(ROWS, axis=0, keepdims=True), [[4, 7]]),
    "a method": (lambda: ROWS.sum(axis=0), [4, 7]),
    "integers have a mean": (lambda: mg.mean(ROWS, dtype="float32"), 2.75),
    "x by its name": (lambda: mg.sum(x=ROWS, dtype="float64"), 11.0),
    "0-d": (lambda: mg.sum(mg.tensor(3), dtype="float32"), 3.0),
    "nothing": (lambda: mg.sum(mg.zeros(0), dtype="int64"), 0),
    "several axes": (lambda: mg.sum(mg.ones(2, 3, 4), axis=(0, -1)), np.full(3, 8.0)),
    "a narrow sum does not wrap": (lambda: mg.sum(mg.tensor([200, 100], dtype="uint8"), dtype="int32"), 300),
}
REFUSED = {
    "both": (lambda: mg.sum(ROWS, dim=0, axis=0), TypeError, "axis and dim are the same; give one of them"),
    "unknown": (lambda: mg.sum(ROWS, axes=0), TypeError, "axes"),
    "not this one": (lambda: mg.argmax(ROWS, dtype="int32"), TypeError, "dtype"),
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


@pytest.mark.parametrize("dtype", ["int32", "float32", "float64"])
def test_the_result_is_of_the_dtype(dtype):
    assert mg.sum(ROWS, dtype=dtype).dtype == dtype


def test_the_gradient_has_the_dtype_of_x():
    x = mg.ones(3, requires_grad=True)
    x.sum(dtype="float64").backward()
    assert x.grad.dtype == x.dtype
    np.testing.assert_array_equal(x.grad.data, 1.0)
