"""Right rules where differences go wrong: gradcheck must not blame the rule for rounding, curvature or a kink."""

import warnings

import numpy as np
import pytest

import minigrad as mg
from minigrad.tensor import Tensor

_random = np.random.default_rng(17)


def leaf(*numbers) -> Tensor:
    return Tensor(np.array(numbers, dtype=np.float64), requires_grad=True)


def leaves(array) -> Tensor:
    return Tensor(np.asarray(array, dtype=np.float64), requires_grad=True)


MASK = mg.tensor([True, False, False])
MANY = _random.standard_normal((40, 40))

# what: (function, inputs)
ROUNDING = {
    "x + 1e8": (lambda x: x + 1e8, leaf(0.3, 1.2)),
    "(x + 1e8) - 1e8": (lambda x: (x + 1e8) - 1e8, leaf(0.3, 1.2)),
    "x + 1e12 and x": (lambda x: (x + 1e10, x * 1.0), leaf(0.3, 1.2)),
    "1 + 1e-9 sin": (lambda x: 1 + 1e-9 * mg.sin(x), leaf(1.0, 2.0)),
    "1e-9 sin": (lambda x: 1e-9 * mg.sin(x), leaf(1.0, 2.0)),
    "1e-30 sin": (lambda x: 1e-30 * mg.sin(x), leaf(1.0, 2.0)),
    "1e30 sin": (lambda x: 1e30 * mg.sin(x), leaf(1.0, 2.0)),
    "x² at 1e8": (lambda x: x * x, leaf(1e8, 1.0)),
    "x² at 1e-9": (lambda x: x * x, leaf(1e-9, -1e-12)),
    "x³ at 0": (lambda x: x**3, leaf(0.0, 1.0)),
    "x² of 1,600 at 1e8": (lambda x: x * x, leaves(1e8 + MANY)),
    "sin at 1e6": (mg.sin, leaf(1e6, 1.0)),
    "exp at 20": (mg.exp, leaf(20.0, -20.0)),
    "exp at 300": (mg.exp, leaf(300.0, -300.0, 0.0)),
    "sinh at 15": (lambda x: mg.exp(x) - mg.exp(-x), leaf(15.0, 0.0)),
    "variance around 1e6": (lambda x: x.var(), leaf(1e6, 1e6 + 1, 1e6 + 2)),
    "logsumexp at 1000": (lambda x: mg.logsumexp(x, 0), leaf(1000.0, 999.0, -1000.0)),
    "sum of softmax": (lambda x: mg.softmax(x, 0).sum(), leaf(1.0, 2.0, 0.3)),
    "softmax of one": (lambda x: mg.softmax(x, 0), leaf(2.0)),
    "sigmoid at 40": (mg.sigmoid, leaf(40.0, -40.0, 0.0)),
    "tanh at 20": (mg.tanh, leaf(20.0, -10.0, 0.0)),
    "erf at 5": (mg.erf, leaf(0.0, 5.0)),
    "x·0": (lambda x: x * 0, leaf(1.0, 2.0)),
    "x - x": (lambda x: x - x, leaf(1.0, 2.0)),
    "minus infinity beside it": (lambda x: mg.where(MASK, x, -np.inf), leaf(1.0, 2.0, 3.0)),
    "softmax with a mask": (lambda x: mg.softmax(mg.where(MASK, x, -np.inf), 0), leaf(1.0, 2.0, 3.0)),
    "small beside large": (lambda x: x * np.array([1e6, 1e-6]), leaf(1.0, 2.0)),
    "mean of many": (lambda x: x.mean(), leaves(MANY)),
    "many large": (lambda x: (x + 1e6).sum(), leaves(MANY)),
}
CURVATURE = {
    "log at 1e-4": (mg.log, leaf(1e-4, 2e-4)),
    "log at 1e-9": (mg.log, leaf(1e-9, 2.0)),
    "log2 at 1e-5": (mg.log2, leaf(1e-5, 2.0)),
    "sqrt at 1e-4": (mg.sqrt, leaf(1e-4, 3.0)),
    "sqrt at 1e-10": (mg.sqrt, leaf(1e-10, 3.0)),
    "x^0.3 at 1e-4": (lambda x: x**0.3, leaf(1e-4, 3.0)),
    "1/x at 1e-3": (lambda x: 1 / x, leaf(1e-3, -1e-3)),
    "1/x at 1e-8": (lambda x: 1 / x, leaf(1e-8, 1.0)),
    "1/x² at 1e-3": (lambda x: 1 / (x * x), leaf(1e-3, -2e-3)),
    "1/√x at 1e-4": (lambda x: 1 / mg.sqrt(x), leaf(1e-4, 1.0)),
    "norm at 1e-5": (lambda x: mg.norm(x), leaf(1e-5, 1e-5)),
    "acos at 0.9999": (mg.acos, leaf(0.9999, -0.9999)),
    "asin at 0.9999": (mg.asin, leaf(0.9999, -0.9999)),
    "atanh at 0.9999": (mg.atanh, leaf(0.9999, -0.9999)),
    "tan at 1.57": (mg.tan, leaf(1.57, 0.0)),
    "sin 1000x": (lambda x: mg.sin(1000 * x), leaf(0.1, 0.2)),
    "sin 1e5x": (lambda x: mg.sin(1e5 * x), leaf(0.1, 0.2)),
    "a narrow bell": (lambda x: mg.exp(-1e8 * x * x), leaf(1e-5, 1e-4)),
    "exp 100x": (lambda x: mg.exp(100 * x), leaf(0.1, 1.0)),
    "tanh 1e4x": (lambda x: mg.tanh(1e4 * x), leaf(1e-5, 1e-4)),
    "x¹⁰⁰": (lambda x: x**100, leaf(0.5, 1.5)),
    "product with a zero": (lambda x: x.prod(), leaf(0.0, 2.0, 3.0)),
    "product with two zeros": (lambda x: x.prod(), leaf(0.0, 0.0, 3.0)),
    "softmax of distant numbers": (lambda x: mg.softmax(x * 50, 0), leaf(0.1, 0.2, 0.3)),
    "log of 1,600 at 1e-3": (mg.log, leaves(1e-3 + np.abs(MANY))),
    "square of 1,600": (lambda x: x * x, leaves(MANY)),
    "log softmax": (lambda x: mg.log_softmax(x, 0), leaf(30.0, 0.0, -3.0)),
    "x log x at 1e-6": (lambda x: x * mg.log(x), leaf(1e-6, 0.5)),
    "1 - cos at 1e-4": (lambda x: 1 - mg.cos(x), leaf(1e-4, 1.0)),
    "std of near numbers": (lambda x: x.std(), leaf(1.0, 1 + 1e-4, 1 - 1e-4)),
}
KINKS = {
    "relu at 0": (mg.relu, leaf(0.0, 1.0, -1.0)),
    "relu at 3e-7": (mg.relu, leaf(3e-7, -3e-7, 2e-8)),
    "leaky relu at 0": (lambda x: mg.leaky_relu(x, 0.1), leaf(0.0, 1.0)),
    "abs at 0": (mg.abs, leaf(0.0, 1.0, -1.0)),
    "abs and relu at 0": (lambda x: [mg.relu(x), mg.abs(x)], leaf(0.0, 1.0)),
    "max of ties": (lambda x: x.max(), leaf(1.0, 1.0, 0.0)),
    "max along a dimension": (lambda x: x.max(0)[0], leaf(1.0, 1.0, 0.0)),
    "min along a dimension": (lambda x: x.min(0)[0], leaf(1.0, 0.0, 0.0)),
    "amax of three": (lambda x: mg.amax(x, 0), leaf(1.0, 1.0, 1.0)),
    "amin of three": (lambda x: mg.amin(x, 0), leaf(1.0, 1.0, 1.0)),
    "maximum of ties": (mg.maximum, [leaf(1.0, 2.0), leaf(1.0, 1.0)]),
    "minimum of ties": (mg.minimum, [leaf(1.0, 2.0), leaf(1.0, 1.0)]),
    "sort of ties": (lambda x: x.sort()[0], leaf(1.0, 1.0, 0.0)),
    "topk of ties": (lambda x: mg.topk(x, 2)[0], leaf(1.0, 1.0, 0.0)),
    "cummax of ties": (lambda x: mg.cummax(x, 0)[0], leaf(1.0, 1.0, 3.0)),
    "median of ties": (lambda x: x.median(), leaf(1.0, 1.0, 0.0, 3.0, 4.0)),
    "clamp at its ends": (lambda x: x.clamp(0, 1), leaf(0.0, 1.0, 0.5)),
    "x - floor x": (lambda x: x - mg.floor(x), leaf(1.0, 2.0, 0.5)),
    "remainder at 0": (lambda x: x % 1.5, leaf(1.5, 0.2)),
    "where at its edge": (lambda x: mg.where(x > 1, x * x, x), leaf(1.0, 2.0)),
    "huber at its edge": (lambda x: mg.where(abs(x) < 1, 0.5 * x * x, abs(x) - 0.5), leaf(1.0, -1.0, 0.5)),
    "norm at 0": (lambda x: mg.norm(x), leaf(0.0, 0.0)),
    "elu at 0": (mg.elu, leaf(0.0, 1.0)),
    "relu at 800 zeros": (mg.relu, leaves(MANY * (MANY > 0))),
    "relu of an outer product": (
        lambda x, y: mg.relu(x * y),
        [leaf(0.0, 1.0).reshape(2, 1).detach().requires_grad_(), leaf(1.0, 0.0, -2.0)],
    ),
    "max pooling of ties": (lambda x: x.reshape(2, 2).max(1)[0], leaf(1.0, 1.0, 0.0, 0.0)),
}
LAYOUTS = {
    "transposed": (lambda x: x.exp(), leaves(_random.standard_normal((3, 4)).T)),
    "reversed": (lambda x: x.exp(), leaves(np.arange(6.0)[::-1])),
    "every other": (lambda x: x.cumsum(0), leaves(np.arange(6.0)[::2])),
    "expanded": (lambda x: x * x, Tensor(np.broadcast_to(np.arange(3.0), (2, 3)), requires_grad=True)),
    "a number": (lambda x: mg.sin(x), leaves(0.3)),
    "empty": (lambda x: mg.sin(x), leaves(np.zeros((0, 3)))),
    "one element": (lambda x: mg.sin(x), leaves([[0.3]])),
    "the same input twice": (lambda x, y: x * y, [leaf(0.3, 2.0)] * 2),
    "one that is not used": (lambda x, y: x * 2.0, [leaf(0.3), leaf(0.1)]),
    "views": (lambda x: (x[0], x.T, x.reshape(-1)), leaves(_random.standard_normal((2, 3)))),
    "dropout": (lambda x: mg.dropout(x, 0.5), leaves(_random.standard_normal((2, 3)))),
}
RIGHT = ROUNDING | CURVATURE | KINKS | LAYOUTS


@pytest.mark.parametrize("what", RIGHT)
def test_the_rule_is_not_blamed(what):
    fn, inputs = RIGHT[what]
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # "proves little" is not said either
        assert mg.gradcheck(fn, inputs)


def test_a_kink_that_no_side_explains_is_told():
    """Of three ties the second place may go to one that reaches it neither upwards nor downwards alone."""
    with pytest.raises(mg.GradcheckError, match="a kink or a jump at this input: the slopes of both sides") as error:
        mg.gradcheck(lambda x: mg.topk(x, 2)[0], leaf(1.0, 1.0, 1.0))
    assert error.value.kind == "kink"


def test_where_rounding_hides_the_derivative_a_warning_says_so():
    with pytest.warns(RuntimeWarning, match="rounding hides the derivative"):
        assert mg.gradcheck(lambda x: x + 1e14, leaf(0.3))


def test_a_layout_that_changes_the_function_is_told():
    """A reshape of a transposed array copies, so what is written in place is another array."""

    def fn(x):
        return x * float(x.data.flags.c_contiguous)

    with pytest.warns(RuntimeWarning, match="other outputs for strided copies"):
        assert mg.gradcheck(fn, leaves(_random.standard_normal((2, 3))))
