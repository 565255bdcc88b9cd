"""The exercises of lesson 2: gradient rules, each called by itself, and the difference that checks them."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.gradcheck import _Check
from minigrad.ops.arithmetic import Div
from minigrad.ops.linalg import MatMul
from minigrad.ops.scan import CumSum, Prod
from tests.lessons.exercises import expect

rng = np.random.default_rng(2)


def rule_of(operation, upstream, *inputs):
    """What the rule gives for this upstream gradient, after a forward on the inputs; arrays are constants."""
    operation(*inputs)
    return operation.backward(np.asarray(upstream))


def variable(x) -> mg.Tensor:
    return mg.tensor(x, dtype="float64", requires_grad=True)


class TestRunningSum:
    """Exercise 2.1."""

    def test_by_hand(self):
        """y = (x1, x1 + x2, x1 + x2 + x3): with g = (1, 10, 100) the gradient is (111, 110, 100)."""
        got = rule_of(CumSum(0), [1.0, 10.0, 100.0], variable([5, 6, 7]))
        expect.close(got, [111, 110, 100], "the gradient of the running sum of three numbers, g = [1, 10, 100]")

    def test_along_each_dimension(self):
        """In a table it runs along the dimension of the running sum, and along no other."""
        g = [[1.0, 10.0], [100.0, 1000.0]]
        got = rule_of(CumSum(0), g, variable(np.ones((2, 2))))
        expect.close(got, [[101, 1010], [100, 1000]], f"the gradient along dim 0, g = {g}")
        got = rule_of(CumSum(1), g, variable(np.ones((2, 2))))
        expect.close(got, [[11, 10], [1100, 1000]], f"the gradient along dim 1, g = {g}")

    def test_by_finite_differences(self):
        """The rule agrees with central differences, for three dimensions and each of them."""
        for dim in range(3):
            expect.rule(CumSum(dim), [rng.standard_normal((2, 3, 4))], f"the running sum along dim {dim}")


class TestQuotient:
    """Exercise 2.2."""

    def test_by_hand(self):
        """6 / 2 with g = 1: by x 1/2, by y -6/4."""
        dx, dy = rule_of(Div(), 1.0, variable(6), variable(2))
        expect.close(dx, 0.5, "the gradient of 6 / 2 with respect to 6")
        expect.close(dy, -1.5, "the gradient of 6 / 2 with respect to 2")

    def test_the_upstream_gradient_is_a_factor(self):
        """With g = (1, 10) the second element's gradients are ten times those of the first."""
        dx, dy = rule_of(Div(), [1.0, 10.0], variable([6, 6]), variable([2, 2]))
        expect.close(dx, [0.5, 5], "the gradient of [6, 6] / [2, 2] with respect to x, g = [1, 10]")
        expect.close(dy, [-1.5, -15], "the gradient of [6, 6] / [2, 2] with respect to y, g = [1, 10]")

    def test_by_finite_differences(self):
        """The rule agrees with central differences, also where numbers are negative."""
        x, y = rng.standard_normal((3, 4)), rng.uniform(0.5, 2, (3, 4)) * rng.choice([-1, 1], (3, 4))
        expect.rule(Div(), [x, y], "x / y")

    def test_a_constant_denominator(self):
        """Where y is a constant, its gradient is None: nobody wants it."""
        dx, dy = rule_of(Div(), [1.0, 1.0], variable([6, 8]), np.array([2.0, 4.0]))
        expect.close(dx, [0.5, 0.25], "the gradient of [6, 8] / [2, 4] with respect to x")
        expect.equal(dy, None, "the gradient with respect to a y that is a constant")


class TestMatrixProduct:
    """Exercise 2.3."""

    def test_by_hand(self):
        """A = [[1, 2], [3, 4]], B = [[5, 6], [7, 8]], and G has a single 1, in row 0 and column 1."""
        a, b = variable([[1, 2], [3, 4]]), variable([[5, 6], [7, 8]])
        da, db = rule_of(MatMul(), [[0.0, 1.0], [0.0, 0.0]], a, b)
        expect.close(da, [[6, 8], [0, 0]], "dA: C[0, 1] is row 0 of A times column 1 of B")
        expect.close(db, [[0, 1], [0, 2]], "dB: C[0, 1] is row 0 of A times column 1 of B")

    def test_by_finite_differences(self):
        """The rule agrees with central differences, for shapes (2, 3) and (3, 4)."""
        expect.rule(MatMul(), [rng.standard_normal((2, 3)), rng.standard_normal((3, 4))], "A B")

    def test_a_batch_of_matrices(self):
        """With two more dimensions in front, each matrix has the gradient of its own product."""
        a, b = rng.standard_normal((2, 3, 2, 3)), rng.standard_normal((2, 3, 3, 2))
        expect.rule(MatMul(), [a, b], "a batch of products")

    def test_constants_get_no_gradient(self):
        """Where A or B is a constant, its gradient is None: nobody wants it, so it must not be computed."""
        a, b, g = rng.standard_normal((2, 3)), rng.standard_normal((3, 4)), np.ones((2, 4))
        da, db = rule_of(MatMul(), g, variable(a), b)
        expect.close(da, np.tile(b.sum(1), (2, 1)), "dA for G of ones: the sums of B's rows")
        expect.equal(db, None, "dB, where B is a constant")
        da, db = rule_of(MatMul(), g, a, variable(b))
        expect.equal(da, None, "dA, where A is a constant")


class TestCentralDifference:
    """Exercise 2.4."""

    def check(self, f, inputs, upstream, eps=1e-3) -> _Check:
        check = _Check(f, inputs, eps, 1e-6, 1e-6)
        check.upstream = upstream
        return check

    def test_of_a_cube(self):
        """A central difference of x³ along d is 3x²d + ε²d³, to the last digits: ε is 0.001."""
        x, d, u = np.array([1.0, 2.0, -3.0]), np.array([1.0, 0.5, 2.0]), np.array([1.0, -2.0, 0.5])
        got = self.check(lambda x: x * x * x, [variable(x)], [u]).difference(0, d).value
        expect.close(got, (u * (3 * x**2 * d + 1e-6 * d**3)).sum(), "the difference of Σ u·x³", rtol=1e-9)

    def test_all_outputs_and_one_of_the_inputs(self):
        """Of f(x, y) = (x·y, x + y) along y alone: Σ u·x·d + Σ v·d."""
        x, y, d = np.array([2.0, 3.0]), np.array([5.0, 7.0]), np.array([1.0, 10.0])
        u, v = np.array([1.0, 2.0]), np.array([3.0, 4.0])
        check = self.check(lambda x, y: (x * y, x + y), [variable(x), variable(y)], [u, v])
        expect.close(check.difference(1, d).value, (u * x * d).sum() + (v * d).sum(), "the difference by y", rtol=1e-7)

    def test_outputs_that_are_views(self):
        """f(x) = x in another shape shares x's memory: its value at x + εd must be kept when x changes again."""
        check = self.check(lambda x: x.reshape(2, 2), [variable(np.ones(4))], [np.ones((2, 2))])
        expect.close(check.difference(0, np.ones(4)).value, 4, "the difference of Σ x for four numbers", rtol=1e-7)

    def test_outputs_that_do_not_change(self):
        """An output that is infinite on both sides, as a mask makes it, is no part of the difference."""
        mask = np.array([0.0, -np.inf])
        check = self.check(lambda x: x * 3 + variable(mask), [variable([1.0, 2.0])], [np.ones(2)])
        expect.close(check.difference(0, np.ones(2)).value, 3, "the difference of 3x₀ and of -inf", rtol=1e-7)

    def test_the_error_covers_rounding(self):
        """x + 10⁸ keeps eight digits of x: the slope is 1, give or take the error, which another ε makes smaller."""
        check = self.check(lambda x: x + 1e8, [variable([0.3])], [np.ones(1)])
        wide, narrow = (check.difference(0, np.ones(1), eps) for eps in (1e-2, 1e-7))
        expect.holds(
            abs(wide.value - 1) <= wide.error <= 1e-4, "at ε = 0.01 the error is small, and covers what is off"
        )
        expect.holds(abs(narrow.value - 1) <= narrow.error, "at ε = 10⁻⁷ the error covers what is off")

    def test_x_is_left_as_it_was(self):
        """Afterwards x.data is the same array with the same numbers, also when f raises an error."""
        x = variable([0.1, 0.2, 0.3])
        before, numbers = x.data, x.data.copy()
        self.check(lambda x: x * x, [x], [np.ones(3)]).difference(0, np.ones(3))
        expect.holds(x.data is before, "x.data is the same array after the difference")
        expect.equal(x.data, numbers, "the numbers of x after the difference")

        def raises(x):
            raise ValueError("f fails")

        with pytest.raises(ValueError, match="f fails"):
            self.check(raises, [x], [np.ones(3)]).difference(0, np.ones(3))
        expect.holds(x.data is before, "x.data is the same array after f has raised")
        expect.equal(x.data, numbers, "the numbers of x after f has raised")

    def test_strides_are_kept_where_they_can_be(self):
        """f sees the strides of a transposed x; an x that repeats one number by a stride of zero works as well."""
        seen = []

        def f(x):
            seen.append(x.data.strides)
            return x * x

        x = variable(np.arange(6.0).reshape(2, 3).T)
        x.data = np.arange(6.0).reshape(2, 3).T
        self.check(f, [x], [np.ones((3, 2))]).difference(0, np.ones((3, 2)))
        expect.equal(set(seen), {(8, 24)}, "the strides of x, in bytes, as f sees them")
        x.data = np.broadcast_to(np.array(2.0), (3,))
        got = self.check(f, [x], [np.ones(3)]).difference(0, np.array([1.0, 0.0, 0.0])).value
        expect.close(got, 4, "the difference of Σ x² by the first of three numbers 2", rtol=1e-7)


class TestProduct:
    """Exercise 2.5."""

    def test_by_hand(self):
        """The product 2·3·4 with g = 10: by each factor, ten times the product of the other two."""
        expect.close(rule_of(Prod(0), 10.0, variable([2, 3, 4])), [120, 80, 60], "the gradient of 2·3·4, g = 10")

    def test_zeros(self):
        """One zero: its own gradient is the product of the rest. Two zeros: every gradient is 0. Nothing is NaN."""
        got = rule_of(Prod(0), 1.0, variable([2, 0, 4]))
        expect.close(got, [0, 8, 0], "the gradient of 2·0·4")
        expect.close(rule_of(Prod(0), 1.0, variable([2, 0, 0])), [0, 0, 0], "the gradient of 2·0·0")

    def test_along_each_dimension(self):
        """In a table each row, or each column, is a product of its own with its own g."""
        x, g = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), np.array([1.0, 10.0])
        expect.close(rule_of(Prod(1), g, variable(x)), [[6, 3, 2], [300, 240, 200]], "along dim 1, g = [1, 10]")
        g = np.array([1.0, 10.0, 100.0])
        expect.close(rule_of(Prod(0), g, variable(x)), [[4, 50, 600], [1, 20, 300]], "along dim 0, g = [1, 10, 100]")

    def test_by_finite_differences(self):
        """The rule agrees with central differences; also for a single factor."""
        for shape, dim in [((2, 3, 4), 1), ((2, 3, 4), 0), ((5,), 0), ((3, 1), 1)]:
            expect.rule(Prod(dim), [rng.standard_normal(shape)], f"the product along dim {dim} of shape {shape}")
