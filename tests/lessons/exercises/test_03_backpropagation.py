"""The exercises of lesson 3: gradient rules, and how gradients flow."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import engine, ops
from minigrad.ops.arithmetic import Mul
from tests.lessons.exercises import expect


def leaf(values):
    return mg.tensor(values, dtype="float64", requires_grad=True)


def gradient(result, *leaves):
    """d(sum of the result)/d(leaf) for each leaf, through the engine."""
    return mg.grad(result.sum(), leaves)


class TestProductRule:
    """Exercise 3.1."""

    def rule(self, x, y, upstream):
        """What the rule gives, called by itself: the engine is exercise 3.4."""
        product = Mul()
        product(x, y)
        return product.backward(np.asarray(upstream))

    def test_by_hand(self):
        """z = x·y at x = 3, y = -2 with the upstream gradient 5: dx = 5·(-2) and dy = 5·3."""
        dx, dy = self.rule(leaf(3.0), leaf(-2.0), 5.0)
        expect.close(dx, -10, "the gradient of x·y with respect to x")
        expect.close(dy, 15, "the gradient of x·y with respect to y")

    def test_finite_differences(self):
        """The rule agrees with finite differences for two matrices."""
        rng = np.random.default_rng(0)
        expect.rule(Mul(), [rng.standard_normal((3, 4)), rng.standard_normal((3, 4))], "x·y, shapes (3, 4)")

    def test_a_factor_that_is_used_twice(self):
        """In x·x both factors are x, and each has its own share, g·x; the engine adds them up to 2x."""
        x = leaf([1.0, 2.0, 3.0])
        for share in self.rule(x, x, [1.0, 1.0, 10.0]):
            expect.close(share, [1, 2, 30], "the gradient of x·x with respect to one of its factors, g = [1, 1, 10]")

    def test_a_constant_factor(self):
        """Where a factor is a constant, its gradient is None: nobody wants it."""
        dx, dy = self.rule(leaf([1.0, 2.0]), np.array([3.0, 4.0]), [1.0, 1.0])
        expect.close(dx, [3, 4], "the gradient of x·y with respect to x")
        expect.equal(dy, None, "the gradient with respect to a y that is a constant")
        dx, dy = self.rule(np.array([1.0, 2.0]), leaf([3.0, 4.0]), [1.0, 1.0])
        expect.equal(dx, None, "the gradient with respect to an x that is a constant")
        expect.close(dy, [1, 2], "the gradient of x·y with respect to y")

    def test_it_records_itself(self):
        """Given Tensors, as for gradients of gradients, the rule gives Tensors that were recorded."""
        x, y, product = leaf(2.0), leaf(3.0), Mul()
        product(x, y)
        product.saved = product._saved_as_tensors()  # as the engine does under create_graph
        given = product.backward(mg.tensor(5.0, dtype="float64"))
        for name, gradient, expected in zip("xy", given, (15, 10), strict=True):
            expect.close(gradient, expected, f"the gradient of x·y with respect to {name}, g = 5")
            expect.holds(gradient.grad_fn is not None, f"the gradient with respect to {name} is recorded")


class TestAccumulate:
    """Exercise 3.2."""

    def test_the_first_gradient(self):
        """A leaf without a gradient gets the one that arrives, with its numbers and its dtype."""
        x = leaf([1.0, 2.0])
        engine._accumulate(x, np.array([3.0, 4.0]))
        expect.close(x.grad, [3, 4], "x.grad after the first gradient")
        expect.equal(str(x.grad.dtype), "float64", "its dtype")

    def test_later_ones_are_added(self):
        """A second and a third gradient are added to .grad; that is why training calls zero_grad."""
        x = leaf([1.0, 2.0])
        for i in range(1, 4):
            engine._accumulate(x, np.array([1.0, 10.0 * i]))
        expect.close(x.grad, [3, 60], "x.grad after [1, 10], [1, 20] and [1, 30]")

    def test_whoever_holds_grad_sees_the_sum(self):
        """x.grad stays the same Tensor: a second gradient is added to it in place."""
        x = leaf([1.0, 2.0])
        engine._accumulate(x, np.array([1.0, 1.0]))
        held = x.grad
        engine._accumulate(x, np.array([2.0, 3.0]))
        expect.close(held, [3, 4], "the Tensor that x.grad was, after a second gradient")
        expect.holds(x.grad is held, "x.grad is that Tensor still")

    def test_a_recorded_gradient_is_left_alone(self):
        """A .grad that was recorded is part of a graph: a later array is added to a copy of it."""
        x, a = leaf(2.0), leaf(5.0)
        engine._accumulate(x, a * 3.0)
        recorded = x.grad
        engine._accumulate(x, np.array(1.0))
        expect.close(x.grad, 16, "x.grad after 15, recorded, and 1")
        expect.close(recorded, 15, "the recorded gradient afterwards")

    def test_a_view_is_not_kept(self):
        """A gradient that is a view of a larger array is copied: else the large one would live as long as .grad."""
        large = np.arange(12.0).reshape(3, 4)
        x = leaf([0.0] * 4)
        engine._accumulate(x, large[1])
        large[1] = -1
        expect.close(x.grad, [4, 5, 6, 7], "x.grad after the array was changed that it came from")

    def test_under_create_graph_it_stays_in_the_graph(self):
        """With create_graph the gradients are Tensors that were recorded, and so is their sum in .grad."""
        x, a = leaf(2.0), leaf(5.0)
        for sum_so_far in (15, 30):
            engine._accumulate(x, a * 3.0)
            expect.close(x.grad, sum_so_far, "x.grad")
            expect.holds(x.grad.grad_fn is not None, "x.grad is recorded, so that it can be differentiated")


class TestLeadingToTargets:
    """Exercise 3.3."""

    def graph(self):
        """y = exp(a·b) + tanh(c·b), and its nodes by name."""
        a, b, c = leaf(1.0), leaf(2.0), leaf(3.0)
        left, right = a * b, c * b
        exp, tanh = mg.exp(left), mg.tanh(right)
        y = exp + tanh
        nodes = {"y": y, "exp": exp, "a·b": left, "tanh": tanh, "c·b": right}
        nodes = {name: tensor.grad_fn for name, tensor in nodes.items()} | {"a": a, "b": b, "c": c}
        return nodes, sorted(nodes.values(), key=lambda node: node.order, reverse=True)

    def leading(self, *targets):
        nodes, ordered = self.graph()
        found = engine._leading_to({nodes[name] for name in targets}, ordered)
        names = {id(node): name for name, node in nodes.items()}
        return [names[id(node)] for node in found]

    def test_to_one_leaf(self):
        """To c leads the right half alone: y, tanh and the product with c."""
        expect.equal(sorted(self.leading("c")), ["c", "c·b", "tanh", "y"], "what leads to c")
        expect.equal(sorted(self.leading("a")), ["a", "a·b", "exp", "y"], "what leads to a")

    def test_to_a_shared_leaf(self):
        """b is used on both sides, so every operation leads to it; the other leaves do not."""
        expect.equal(sorted(self.leading("b")), ["a·b", "b", "c·b", "exp", "tanh", "y"], "what leads to b")

    def test_to_a_node_inside(self):
        """A target may be an operation: what it was made from is not needed."""
        expect.equal(sorted(self.leading("tanh")), ["tanh", "y"], "what leads to tanh")
        expect.equal(sorted(self.leading("exp", "c")), ["c", "c·b", "exp", "tanh", "y"], "what leads to exp or c")

    def test_the_order_is_kept(self):
        """The result has the order of the list that was given: y first, the leaf last."""
        expect.equal(self.leading("c"), ["y", "tanh", "c·b", "c"], "what leads to c, in order")


class TestFlow:
    """Exercise 3.4."""

    def test_the_picture_of_the_lesson(self):
        """c = a·b, d = c + a, L = c·d with a = 2, b = 3: the slopes are 48, 28, 14 and 6."""
        a, b = leaf(2.0), leaf(3.0)
        c = a * b
        d = c + a
        got = mg.grad(c * d, [a, b, c, d])
        expect.equal([float(each) for each in got], [48.0, 28.0, 14.0, 6.0], "the slopes of a, b, c and d")
        (a * b * (a * b + a)).backward()
        expect.equal([float(a.grad), float(b.grad)], [48.0, 28.0], "a.grad and b.grad after backward()")

    def test_paths_of_unequal_length(self):
        """h = x; five times h = h + sin(h): a node speaks only when all that used it have spoken."""

        def residual(x):
            for _ in range(5):
                x = x + mg.sin(x)
            return x

        expect.gradients(residual, [np.linspace(-1, 1, 4)], "five residual steps")

    def test_a_long_chain(self):
        """Twenty thousand operations in a row: no recursion."""
        x = leaf(1.0)
        y = x
        for _ in range(20_000):
            y = y + x
        y.backward()
        expect.close(x.grad, 20_001, "the gradient of a sum of 20,001 x")

    def test_nobodys_array_is_changed(self):
        """x + y hands one array to both inputs; adding to it in place for x would spoil y, and the caller's own."""
        x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
        upstream = mg.tensor([1.0, 10.0], dtype="float64")
        ((x + y) + x).backward(upstream)
        expect.close(x.grad, [2, 20], "x.grad for (x + y) + x")
        expect.close(y.grad, [1, 10], "y.grad for (x + y) + x")
        expect.close(upstream, [1, 10], "the upstream gradient afterwards")

    def test_several_outputs_and_hooks(self):
        """The two halves of a split meet in one rule, one may be unused; a hook on a tensor doubles its gradient."""
        x = leaf([1.0, 2.0, 3.0, 4.0])
        middle = x * 1.0
        middle.register_hook(lambda gradient: gradient * 2)
        first, second = ops.split(middle, 2)
        (dx,) = gradient(first * first * second, x)
        expect.close(dx, [12, 32, 2, 8], "the gradient of first²·second, doubled by the hook")
        x = leaf([1.0, 2.0, 3.0, 4.0])
        _, second = ops.split(x, 2)
        (dx,) = gradient(second * second, x)
        expect.close(dx, [0, 0, 6, 8], "the gradient of the second half's squares")

    def test_what_was_saved_is_let_go(self):
        """A second backward through the same graph is a RuntimeError, unless retain_graph was given."""
        x = leaf(3.0)
        y = x * x
        y.backward(retain_graph=True)
        y.backward()
        expect.close(x.grad, 12, "x.grad after two passes through x·x")
        with pytest.raises(RuntimeError):
            y.backward()
