"""Exercises of lesson 6: softmax and layer norm in loops that numba compiles, and the rules behind them."""

import numba
import numpy as np

from minigrad import ops
from minigrad.kernels.cpu import normalization, softmax
from minigrad.kernels.reference import normalization as reference
from tests.lessons.exercises.expect import close, equal, gradients, holds


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


class TestFusedSoftmax:
    def softmax(self, *rows):
        return softmax.softmax(np.array(rows, np.float32))

    def test_by_hand(self):
        """e to the power of ln 1, ln 2, ln 3 is 1, 2, 3; divided by their sum, 6."""
        got = self.softmax(np.log([1, 2, 3]), np.log([3, 2, 1]))
        close(got, [[1 / 6, 2 / 6, 3 / 6], [3 / 6, 2 / 6, 1 / 6]], "softmax of ln (1, 2, 3) and ln (3, 2, 1)")

    def test_many_rows(self):
        """301 numbers in each of 37 rows, so that no vector and no thread comes out even."""
        x = random(37, 301)
        e = np.exp(x)
        got = softmax.softmax(x.astype(np.float32))
        close(got, e / e.sum(1, keepdims=True), "softmax of 37 random rows of 301", rtol=2e-5)

    def test_large_numbers(self):
        """e to the power of 1000 is infinite and of -1000 is zero: the row's largest must be taken off first."""
        got = self.softmax([1000, 1000, -1000], [-1000, -1000, -2000])
        close(got, [[0.5, 0.5, 0], [0.5, 0.5, 0]], "softmax of (1000, 1000, -1000) and (-1000, -1000, -2000)")

    def test_masked(self):
        """A number that is -inf has the probability 0, and the others share the rest."""
        got = self.softmax([0, -np.inf, 0], [-np.inf, 5, -np.inf])
        close(got, [[0.5, 0, 0.5], [0, 1, 0]], "softmax of (0, -inf, 0) and (-inf, 5, -inf)")


class TestRMSNorm:
    def test_by_hand(self):
        """The mean square of (3, 4) is 12.5; with eps 0.5 both are divided by √13."""
        y, rstd = reference.rms_norm(np.array([[3.0, 4.0], [0.0, 0.0]]), None, 0.5)
        close(y, [[3 / 13**0.5, 4 / 13**0.5], [0, 0]], "RMSNorm of (3, 4) and (0, 0) with eps 0.5")
        close(rstd, [1 / 13**0.5, 2**0.5], "1 / √(mean square + eps), one per row")

    def test_weight(self):
        """After normalising, each column has a factor of its own."""
        y, _ = reference.rms_norm(np.array([[3.0, -3.0]]), np.array([2.0, 5.0]), 0.0)
        close(y, [[2.0, -5.0]], "(1, -1) times (2, 5)")

    def test_the_way_back(self):
        """The gradients with respect to x and weight against finite differences."""
        gradients(lambda x, w: ops.rms_norm(x, w), [random(2, 3, 5), random(5, seed=1)], "rms_norm")

    def test_without_a_weight(self):
        """Without a weight there is no gradient of it; dx is rstd·(g - h·mean(g·h)) with g = grad."""
        x, grad = random(4, 6), random(4, 6, seed=1)
        rstd = 1 / np.sqrt((x * x).mean(1))
        h = x * rstd[:, None]
        dx, dweight = reference.rms_norm_backward(grad, x, None, rstd)
        expected = grad - h * (grad * h).mean(1, keepdims=True)
        close(dx, expected * rstd[:, None], "dx without a weight")
        holds(dweight is None, "the gradient of the weight is None")


class TestFusedSoftmaxBackward:
    def backward(self, grad, y):
        return softmax.softmax_backward(np.array(grad, np.float32), np.array(y, np.float32))

    def test_by_hand(self):
        """y = (¼, ¾) and gradient (1, 0): the sum is ¼, so ¼·¾ and -¾·¼."""
        got = self.backward([[1, 0], [0, 2]], [[0.25, 0.75], [0.5, 0.5]])
        close(got, [[0.1875, -0.1875], [-0.5, 0.5]], "dx for y = (¼, ¾) and (½, ½)")

    def test_a_constant_gradient(self):
        """The probabilities of a row add up to 1 whatever x is, so a gradient that is equal for all gives 0."""
        y = np.exp(random(3, 40))
        got = self.backward(np.full((3, 40), 7.0), y / y.sum(1, keepdims=True))
        close(got, np.zeros((3, 40)), "dx for a gradient of 7 everywhere", atol=1e-5)

    def test_many_rows(self):
        """37 rows of 301 against the formula in float64."""
        y, grad = np.exp(random(37, 301)), random(37, 301, seed=1)
        y /= y.sum(1, keepdims=True)
        expected = y * (grad - (grad * y).sum(1, keepdims=True))
        close(self.backward(grad, y), expected, "dx of 37 random rows of 301", rtol=1e-3, atol=1e-7)


class TestSumsOverThreads:
    def backward(self, rows, n, weighted=True):
        """What the kernel gives, and what the formulas give in float64."""
        grad, x, weight = random(rows, n), random(rows, n, seed=1), random(n, seed=2) if weighted else np.ones(n)
        mean, rstd = x.mean(1), 1 / x.std(1)
        h, g = (x - mean[:, None]) * rstd[:, None], grad * weight
        dx = rstd[:, None] * (g - g.mean(1, keepdims=True) - h * (g * h).mean(1, keepdims=True))
        single = [np.asarray(value, np.float32) for value in (grad, x, weight, mean, rstd)]
        return normalization.layer_norm_backward(*single), (dx, (grad * h).sum(0), grad.sum(0))

    def test_the_gradient_of_x(self):
        """dx for 5 rows, each by its own statistics."""
        got, expected = self.backward(5, 33)
        close(got[0], expected[0], "dx of 5 rows of 33", rtol=1e-4, atol=1e-5)

    def test_no_row_is_lost(self):
        """100 rows do not divide evenly into 32 chunks; dweight and dbias are sums over all of them."""
        got, expected = self.backward(100, 17)
        close(got[1], expected[1], "dweight, summed over 100 rows", rtol=1e-4, atol=1e-4)
        close(got[2], expected[2], "dbias, summed over 100 rows", rtol=1e-4, atol=1e-4)

    def test_fewer_rows_than_chunks(self):
        """With 3 rows there are 3 chunks of one row."""
        got, expected = self.backward(3, 8)
        close(got[1], expected[1], "dweight, summed over 3 rows", rtol=1e-4, atol=1e-5)
        close(got[2], expected[2], "dbias, summed over 3 rows", rtol=1e-4, atol=1e-5)

    def test_the_same_in_every_run(self):
        """With one thread and with all of them, the sums are the same bit for bit, and they are right."""
        threads = numba.get_num_threads()
        several, expected = self.backward(1000, 24)
        numba.set_num_threads(1)
        try:
            alone, _ = self.backward(1000, 24)
        finally:
            numba.set_num_threads(threads)
        close(alone[1], expected[1], "dweight, summed over 1000 rows by one thread", rtol=1e-3, atol=1e-3)
        equal(several[1], alone[1], f"dweight with {threads} threads, compared with one thread")
        equal(several[2], alone[2], f"dbias with {threads} threads, compared with one thread")
