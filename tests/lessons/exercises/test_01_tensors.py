"""The exercises of lesson 1: shapes, reductions, broadcasting, einsum."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import ops
from minigrad.engine import unbroadcast
from tests.lessons.exercises import expect


class TestUnsqueeze:
    """Exercise 1.1."""

    def test_in_front_between_and_behind(self):
        """A dimension of size 1 is put in at places 0, 1, 2 and 3 of a tensor of shape (2, 3, 4)."""
        x = mg.arange(24).reshape(2, 3, 4)
        for dim, shape in enumerate([(1, 2, 3, 4), (2, 1, 3, 4), (2, 3, 1, 4), (2, 3, 4, 1)]):
            expect.equal(ops.unsqueeze(x, dim).shape, shape, f"the shape of unsqueeze(x, {dim}), x of shape (2, 3, 4)")

    def test_negative_places_count_from_the_end(self):
        """-1 is the last place of the result, -2 the one before it; a 0-d tensor takes -1 as well."""
        x = mg.zeros(2, 3)
        for dim, shape in [(-1, (2, 3, 1)), (-2, (2, 1, 3)), (-3, (1, 2, 3))]:
            expect.equal(ops.unsqueeze(x, dim).shape, shape, f"the shape of unsqueeze(x, {dim}), x of shape (2, 3)")
        expect.equal(ops.unsqueeze(mg.tensor(1.0), -1).shape, (1,), "the shape of unsqueeze(x, -1), x of shape ()")

    def test_the_numbers_stay_where_they_are(self):
        """The result is a view: the same numbers in the same order, in the same memory."""
        x = mg.arange(6).reshape(2, 3)
        y = ops.unsqueeze(x, 1)
        expect.equal(y, [[[0, 1, 2]], [[3, 4, 5]]], "unsqueeze([[0, 1, 2], [3, 4, 5]], 1)")
        expect.holds(np.shares_memory(x.data, y.data), "unsqueeze copies nothing")

    def test_places_that_do_not_exist(self):
        """A dim outside of -3 to 2 is an IndexError for a tensor of two dimensions, and 2 is none."""
        x = mg.zeros(2, 3)
        expect.equal(ops.unsqueeze(x, 2).shape, (2, 3, 1), "the shape of unsqueeze(x, 2), x of shape (2, 3)")
        for dim in (3, -4):
            with pytest.raises(IndexError):
                ops.unsqueeze(x, dim)


class TestVariance:
    """Exercise 1.2."""

    x = mg.tensor([[1.0, 2.0, 6.0], [4.0, 4.0, 4.0]])

    def test_over_all_elements(self):
        """The variance of 1, 2, 6, 4, 4, 4 is 15.5 / 5: squared distances from 3.5, divided by n - 1."""
        expect.close(ops.var(self.x), 15.5 / 5, "var of 1, 2, 6, 4, 4, 4")

    def test_over_a_dimension(self):
        """Over dim 1 each row has its own mean and its own n; keepdim leaves a 1 where the dimension was."""
        expect.close(ops.var(self.x, 1), [7, 0], "var of [1, 2, 6] and of [4, 4, 4]")
        expect.close(ops.var(self.x, 1, keepdim=True), [[7], [0]], "the same with keepdim=True")
        expect.close(ops.var(self.x, (0, 1)), 15.5 / 5, "var over dims (0, 1)")

    def test_the_correction(self):
        """Divided by n - correction; too few elements for that are a ValueError."""
        expect.close(ops.var(self.x, 1, correction=0), [14 / 3, 0], "var of the rows with correction=0")
        expect.close(ops.var(self.x, 0, correction=0), [2.25, 1, 1], "var of the columns with correction=0")
        with pytest.raises(ValueError):
            ops.var(self.x, 0, correction=2)

    def test_small_deviations_from_a_large_mean(self):
        """In float32, numbers around 4000 that differ by hundredths still have the right variance."""
        x = 4000 + np.linspace(-0.05, 0.05, 11, dtype=np.float32)
        exact = np.var(x.astype(np.float64), ddof=1)
        expect.close(ops.var(mg.tensor(x)), exact, "var of eleven numbers around 4000", rtol=1e-2)


class TestUnbroadcast:
    """Exercise 1.3."""

    gradient = np.arange(24.0).reshape(2, 3, 4)

    def test_new_dimensions_in_front(self):
        """A vector (4,) that was added to (2, 3, 4) gets the sum over the first two dimensions."""
        expect.close(unbroadcast(self.gradient, (4,)), [60, 66, 72, 78], "unbroadcast of 0 to 23 in (2, 3, 4) to (4,)")

    def test_dimensions_of_size_one(self):
        """A column (3, 1) gets a (3, 1): the sum over what was repeated, and the 1 is kept."""
        expected = self.gradient.sum((0, 2)).reshape(3, 1)
        expect.close(unbroadcast(self.gradient, (3, 1)), expected, "unbroadcast from (2, 3, 4) to (3, 1)")
        expected = self.gradient.sum(1, keepdims=True)
        expect.close(unbroadcast(self.gradient, (2, 1, 4)), expected, "unbroadcast from (2, 3, 4) to (2, 1, 4)")
        expect.close(unbroadcast(np.ones((2, 2)), (2, 1)), [[2], [2]], "unbroadcast of ones from (2, 2) to (2, 1)")

    def test_what_was_not_repeated(self):
        """Equal shapes: the gradient as it is. A single number: the sum of all. Ones that met ones stay."""
        expect.close(unbroadcast(self.gradient, (2, 3, 4)), self.gradient, "unbroadcast to the same shape")
        expect.close(unbroadcast(self.gradient, ()), 276, "unbroadcast of 0 to 23 to a single number")
        expect.close(unbroadcast(np.ones((1, 3)), (1, 1)), [[3]], "unbroadcast of ones from (1, 3) to (1, 1)")

    def test_shapes_that_do_not_fit(self):
        """(2, 3, 4) is no broadcast of (3,), of (2, 1) or of (1, 2, 3, 4): a ValueError."""
        expect.close(unbroadcast(self.gradient, (1, 3, 4)), self.gradient.sum(0, keepdims=True), "to (1, 3, 4)")
        for shape in [(3,), (2, 1), (1, 2, 3, 4)]:
            with pytest.raises(ValueError):
                unbroadcast(self.gradient, shape)

    def test_tensors(self):
        """A gradient may be a Tensor as well as an array; then so is the result."""
        got = unbroadcast(mg.tensor(self.gradient), (3, 1))
        expect.close(got, self.gradient.sum((0, 2)).reshape(3, 1), "unbroadcast of a Tensor from (2, 3, 4) to (3, 1)")
        expect.holds(isinstance(got, mg.Tensor), "unbroadcast of a Tensor is a Tensor")


class TestEinsum:
    """Exercise 1.4."""

    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 4, 5))
    m, v = rng.standard_normal((3, 4)), rng.standard_normal(4)

    def agrees(self, equation, *arrays):
        shapes = " and ".join(str(x.shape) for x in arrays)
        got = mg.einsum(equation, *map(mg.tensor, arrays))
        expect.close(got, np.einsum(equation, *arrays), f'einsum("{equation}") of shapes {shapes}')

    def test_matrices_and_vectors(self):
        """Matrix by matrix, matrix by vector, inner and outer products agree with numpy."""
        for equation, *arrays in [
            ("ij,jk->ik", self.m, self.b[0]),
            ("ij,j->i", self.m, self.v),
            ("j,j->", self.v, self.v),
            ("i,j->ij", self.v, self.m[:, 0]),
        ]:
            self.agrees(equation, *arrays)

    def test_batches(self):
        """Letters of both operands that the output has, too, are a batch: one product for each of their values."""
        for equation, *arrays in [
            ("bij,bjk->bik", self.a, self.b),
            ("bqd,bkd->bqk", self.a, self.a),
            ("bij,bij->bij", self.a, self.a),
            ("bij,bij->b", self.a, self.a),
        ]:
            self.agrees(equation, *arrays)

    def test_letters_in_any_order(self):
        """The letters may stand in any order in the operands and in the output."""
        for equation, *arrays in [
            ("bij,bjk->kbi", self.a, self.b),
            ("bij,kjb->ikb", self.a, np.swapaxes(self.b, 0, 2)),
            ("ji,kj->ik", self.m.T.copy(), self.b[0].T.copy()),
        ]:
            self.agrees(equation, *arrays)

    def test_letters_of_one_operand_alone(self):
        """A letter that only one operand has and the output lacks is summed over."""
        for equation, *arrays in [("bij,jk->ik", self.a, self.b[0]), ("ij,k->i", self.m, self.v)]:
            self.agrees(equation, *arrays)

    def test_three_operands(self):
        """With a third operand to come, its letters must not be summed over before their time."""
        for equation in ["ij,j,ij->i", "ij,j,ij->j", "ij,j,ij->"]:
            self.agrees(equation, self.m, self.v, self.m)
        self.agrees("bij,bjk,bik->b", self.a, self.b, self.a @ self.b)
