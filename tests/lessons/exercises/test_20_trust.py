"""Exercises of lesson 20: parts of gradcheck and of detect_anomaly."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

import minigrad as mg
from minigrad import anomaly, ops
from minigrad.function import Function
from minigrad.gradcheck import _random, _upstream
from minigrad.tensor import Tensor
from tests.lessons.exercises.expect import close, equal, holds


class TestManyNumbersAtOnce:
    calls = 0

    @pytest.fixture(autouse=True)
    def _random_numbers(self, monkeypatch):
        """Those of gradcheck are exercise 20.2."""

        def random(generator, shape):
            return np.asarray(generator.uniform(0.5, 1.5, shape) * (1 - 2 * generator.integers(0, 2, shape)))

        module = sys.modules["minigrad.gradcheck"]  # minigrad.gradcheck is the function
        monkeypatch.setattr(module, "_random", random)
        monkeypatch.setattr(module, "_upstream", lambda x, seed: random(np.random.default_rng(seed), x.shape))

    def square(self, spoil):
        """x² for 600 numbers; spoil changes the rule's gradient, an array of the shape (20, 30)."""
        test = self

        class Square(Function):
            def forward(self, x):
                test.calls += 1
                self.save_for_backward(x)
                return x * x

            def backward(self, grad):
                gradient = 2 * grad * self.saved[0]
                spoil(gradient)
                return gradient

        return lambda x: Square()(x)

    def x(self):
        return mg.tensor(np.random.default_rng(0).uniform(1, 2, (20, 30)), requires_grad=True)

    def test_a_right_rule_passes(self):
        """600 numbers are checked with a few dozen evaluations, not with 1,200."""
        self.calls = 0
        equal(mg.gradcheck(self.square(lambda gradient: None), [self.x()]), True, "gradcheck of x² with 600 numbers")
        holds(self.calls < 60, f"x² was evaluated less than 60 times (it was {self.calls} times)")

    @pytest.mark.parametrize("factor", [1.01, 0.99])
    def test_it_finds_the_wrong_one(self, factor):
        """One number of 600 is wrong by a hundredth, upwards or downwards: the error names it."""
        self.calls = 0

        def spoil(gradient):
            gradient[13, 7] *= factor

        with pytest.raises(mg.GradcheckError) as error:
            mg.gradcheck(self.square(spoil), [self.x()])
        equal(error.value.index, (13, 7), "the index that the error names")
        holds(self.calls < 250, f"halving took less than 250 evaluations (it took {self.calls})")
        close(error.value.analytic / error.value.numerical, factor, "the rule's number over the quotient's", rtol=1e-4)

    def test_errors_that_cancel(self):
        """Two numbers are exchanged, so their sum is right and both are wrong."""

        def spoil(gradient):
            gradient[0, 0], gradient[19, 29] = gradient[19, 29], gradient[0, 0].copy()

        with pytest.raises(mg.GradcheckError) as error:
            mg.gradcheck(self.square(spoil), [self.x()])
        holds(error.value.index in ((0, 0), (19, 29)), "the error names one of the two exchanged numbers")


class TestUpstreamGradient:
    def test_none_is_small(self):
        """A number near 0 would hide what it multiplies: sizes are between 0.5 and 1.5."""
        sizes = np.abs(_random(np.random.default_rng(0), (50, 60)))
        holds(sizes.min() >= 0.5 and sizes.max() <= 1.5, "all sizes are between 0.5 and 1.5")
        holds(sizes.min() < 0.51 and sizes.max() > 1.49, "the sizes fill that range")

    def test_both_signs_and_no_two_alike(self):
        """About half are negative, and no number occurs twice."""
        numbers = _random(np.random.default_rng(1), (50, 60))
        close((numbers < 0).mean(), 0.5, "the share of negative numbers among 3,000", rtol=0.1)
        equal(len(np.unique(numbers)), 3000, "how many different numbers there are among 3,000")

    def test_a_single_number(self):
        """An output without dimensions gets an array without dimensions, not a float."""
        number = _random(np.random.default_rng(2), ())
        holds(isinstance(number, np.ndarray), "the result is an array")
        equal(number.shape, (), "its shape")

    def test_the_seed_decides(self):
        """The same seed gives the same numbers, another seed other ones, in the shape of the output."""
        output = mg.zeros(3, 4)
        equal(_upstream(output, 5), _upstream(output, 5), "the numbers of seed 5, twice")
        equal(_upstream(output, 5).shape, (3, 4), "the shape for an output (3, 4)")
        holds((_upstream(output, 5) != _upstream(output, 6)).any(), "seed 6 gives other numbers than seed 5")


class TestWhoseNaN:
    def test_what_is_wrong_with_an_array(self):
        """NaN is named before Inf; whole numbers are never wrong."""
        equal(anomaly._fault(np.array([1.0, np.inf, np.nan])), "NaN", "the fault of (1, inf, nan)")
        equal(anomaly._fault(np.array([1.0, -np.inf])), "Inf", "the fault of (1, -inf)")
        equal(anomaly._fault(np.array([1.0, 2.0])), None, "the fault of (1, 2)")
        equal(anomaly._fault(np.array([1, 2])), None, "the fault of whole numbers")

    def look(self, inputs, result):
        """Let detect_anomaly look at an operation that made `result` from `inputs`."""
        node = SimpleNamespace(name="Operation", made_at="line 7", saved=())
        inputs = [np.array(x) for x in inputs]
        mg.detect_anomaly().end(node, "forward", inputs, np.array(result), None)

    def test_made_here(self):
        """An Inf out of good numbers, as log 0 makes it, is an error that names the first bad element."""
        with pytest.raises(mg.AnomalyError) as error:
            self.look([[1.0, 0.0]], [0.0, -np.inf])
        holds("first Inf" in str(error.value), 'the message says "first Inf"')
        holds("first at [1]" in str(error.value), "the message says that it is at [1]")

    def test_passed_on(self):
        """A mask of -inf and a NaN that came in are not the fault of the operation that gets them."""
        self.look([[1.0, -np.inf], [1.0, 1.0]], [2.0, -np.inf])
        self.look([[1.0, np.nan]], [2.0, np.nan])
        got = anomaly._explained("Inf", [np.array([np.nan])])
        equal(bool(got), True, "whether a NaN that came in explains an Inf")

    def test_an_inf_explains_no_nan(self):
        """inf - inf: a NaN where only Inf came in was made here."""
        with pytest.raises(mg.AnomalyError) as error:
            self.look([[np.inf], [np.inf]], [np.nan])
        holds("first NaN" in str(error.value), 'the message says "first NaN"')
        got = anomaly._explained("Inf", [np.array([1.0]), np.array([2])])
        equal(bool(got), False, "whether good numbers explain an Inf")


class HiddenCube(Function):
    """x³ with a right rule that records nothing of itself."""

    def forward(self, x):
        self.save_for_backward(x)
        return x**3

    def backward(self, grad):
        x = self.saved[0]
        return grad * (3 * (x.data if isinstance(x, Tensor) else x) ** 2)


class TestGradientsOfGradients:
    def x(self, *shape):
        return mg.tensor(np.random.default_rng(0).uniform(0.5, 1.5, shape), requires_grad=True)

    def test_a_right_one_passes(self):
        """x³·y has second derivatives with respect to both inputs; all are right."""
        equal(mg.gradgradcheck(lambda x, y: x**3 * y, [self.x(3), self.x(3)]), True, "gradgradcheck of x³·y")

    def test_a_linear_one_passes(self):
        """The gradient of 3x depends on the upstream gradient alone: that is an input of the check too."""
        equal(mg.gradgradcheck(lambda x: 3 * x, [self.x(2, 2)]), True, "gradgradcheck of 3x")

    def test_a_hidden_rule_is_caught(self):
        """A rule that computes with plain arrays is right at first order, and has no second."""
        with pytest.raises(mg.GradcheckError):
            mg.gradgradcheck(lambda x: HiddenCube()(x), [self.x(3)])

    def test_other_inputs_are_passed_on(self):
        """Whole numbers and what needs no gradient go to the function as they are."""
        ids, table = mg.tensor([2, 0, 2]), self.x(3, 2)
        got = mg.gradgradcheck(lambda table, ids: ops.square(table)[ids], [table, ids])
        equal(got, True, "gradgradcheck of the squared rows of a table, chosen by whole numbers")

    def test_the_third_order(self):
        """order=3 checks gradients of gradients of gradients."""
        equal(mg.gradgradcheck(lambda x: x**4, [self.x(2)], order=3), True, "gradgradcheck of x⁴ with order=3")
