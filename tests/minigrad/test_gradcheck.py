"""gradcheck as a tool: what it accepts, what it refuses, and how it says so."""

import re

import numpy as np
import pytest

import minigrad as mg
from minigrad.function import Function
from minigrad.tensor import Tensor


def randn(*shape):
    return mg.randn(*shape, dtype=np.float64, requires_grad=True)


def test_passes_a_right_function():
    assert mg.gradcheck(lambda x, y: (x * y).tanh(), [randn(3, 1), randn(4)], order=2) is True
    assert mg.gradcheck(mg.exp, randn(3)) is True
    assert mg.gradgradcheck(mg.sin, randn(3)) is True


def test_third_order():
    assert mg.gradcheck(lambda x: mg.exp(x) * mg.sin(x), randn(2), order=3, atol=1e-5)


def test_several_outputs_and_indices():
    assert mg.gradcheck(lambda x: mg.split(x, 2, 1), randn(2, 5), order=2)
    assert mg.gradcheck(lambda x: mg.topk(x, 2), randn(3, 5))
    assert mg.gradcheck(lambda x, y: [x.sum(), y * 2.0, x @ y], [randn(3), randn(3)])


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1, 1)])
def test_zero_dimensions_and_zero_size(shape):
    assert mg.gradcheck(lambda x: mg.exp(x) * 2.0, randn(*shape), order=2)


def test_strides_are_kept():
    seen = []

    def fn(x):
        seen.append(x.data.strides)
        return x * x

    x = Tensor(np.arange(24.0).reshape(4, 6)[::2, ::-2], requires_grad=True)
    assert mg.gradcheck(fn, x)
    assert seen.count((96, -16)) > len(seen) - 4  # the others: a strided copy, and other inputs
    np.testing.assert_array_equal(x.data, [[5, 3, 1], [17, 15, 13]])


def test_expanded_and_read_only_inputs():
    assert mg.gradcheck(lambda x: x * x, Tensor(np.broadcast_to(np.arange(3.0), (2, 3)), requires_grad=True))


def test_large_inputs_take_few_calls():
    calls = []

    def fn(x):
        calls.append(1)
        return x.tanh()

    assert mg.gradcheck(fn, randn(100, 100))
    assert len(calls) < 40


def test_dropout_is_checked_with_the_same_mask():
    assert mg.gradcheck(lambda x: mg.dropout(x, 0.5), randn(5, 4), order=2)


def test_other_arguments_are_passed_on():
    assert mg.gradcheck(lambda x, n, flag, y: x * n if flag else x, [randn(3), 2.0, True, mg.randn(3)])


def test_the_gradient_mode_does_not_matter():
    x = randn(3)
    with mg.no_grad():
        assert mg.gradcheck(mg.tanh, x, order=2)


def test_an_input_the_output_does_not_use():
    assert mg.gradcheck(lambda x, y: x * 2.0, [randn(3), randn(2)], order=2)


def test_leaves_no_gradient_behind():
    x = randn(3)
    mg.gradcheck(mg.exp, x)
    assert x.grad is None


REFUSALS = {
    "float32": (lambda: mg.gradcheck(mg.exp, mg.randn(3, requires_grad=True)), TypeError, "input 0 is float32.*double"),
    "no grad": (lambda: mg.gradcheck(mg.exp, mg.randn(3, dtype=np.float64)), ValueError, "no input requires grad"),
    "detached": (lambda: mg.gradcheck(lambda x: x.detach() * 2.0, randn(3)), ValueError, "no output .* depends"),
    "integers": (lambda: mg.gradcheck(lambda x: x.argmax(), randn(3)), ValueError, "no output .* made of integers"),
    "an array": (lambda: mg.gradcheck(lambda x: x.detach().numpy(), randn(3)), TypeError, "returned a ndarray"),
    "narrowed": (lambda: mg.gradcheck(lambda x: x.float(), randn(3)), TypeError, "turned float64 into float32"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refuses(case):
    call, error, message = REFUSALS[case]
    with pytest.raises(error, match=message):
        call()


def test_refuses_inputs_that_share_memory():
    x = randn(4)
    y = Tensor(x.data[1:], requires_grad=True)
    with pytest.raises(ValueError, match="inputs 0 and 1 share memory"):
        mg.gradcheck(lambda x, y: x.sum() + y.sum(), [x, y])
    assert mg.gradcheck(lambda x, y: x * y, [x, x])


def test_names_the_argument():
    class Wrong(Function):
        def forward(self, x):
            return x * 2

        def backward(self, grad):
            return grad * 3

    def layer(hidden, weight):
        return hidden + Wrong()(weight)

    message = "gradcheck of layer (output made by Add): input 1 (weight) of shape (3,), index ["
    with pytest.raises(mg.GradcheckError, match=re.escape(message)):
        mg.gradcheck(layer, [randn(3), randn(3)])


class Random(Function):
    def forward(self, x):
        return x * 2

    def backward(self, grad):
        return grad * 2 + np.random.default_rng().random(grad.shape) * 1e-12


class Overwrites(Function):
    def forward(self, x):
        y = x * 2
        x += 1
        return y

    def backward(self, grad):
        return grad * 2


def test_a_random_rule():
    with pytest.raises(mg.GradcheckError, match=r"two backward passes .* different"):
        mg.gradcheck(lambda x: Random()(x), randn(3))


def test_an_input_written_to():
    with pytest.raises(mg.GradcheckError, match="changes input 0"):
        mg.gradcheck(lambda x: Overwrites()(x), randn(3))
