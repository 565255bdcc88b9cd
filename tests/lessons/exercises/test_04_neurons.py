"""The exercises of lesson 4: activations, softmax, cross-entropy, the fully connected layer."""

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad import kernels
from minigrad.kernels.reference import cross_entropy as loss
from minigrad.kernels.reference import linear as layer
from minigrad.kernels.reference import softmax as kernel
from tests.lessons.exercises import expect


class TestBends:
    """Exercise 4.1."""

    x = np.array([-2.0, -0.5, 0.5, 3.0])

    def slopes(self, function):
        """The gradient of the sum of function(x), each with an upstream gradient of its own."""
        x = mg.tensor(self.x, requires_grad=True)
        function(x).backward(mg.tensor([1.0, 2.0, 3.0, 4.0], dtype="float64"))
        return x.grad

    def test_tanh(self):
        """The slope of tanh is 1 - tanh²."""
        expect.close(self.slopes(mg.tanh), [1, 2, 3, 4] * (1 - np.tanh(self.x) ** 2), "tanh's slopes")

    def test_sigmoid(self):
        """The slope of the sigmoid is y·(1 - y): 1/4 in the middle."""
        y = 1 / (1 + np.exp(-self.x))
        expect.close(self.slopes(mg.sigmoid), [1, 2, 3, 4] * y * (1 - y), "the sigmoid's slopes")

    def test_relu(self):
        """relu passes the gradient on where its input was above 0, and nothing elsewhere, 0 itself included."""
        expect.close(self.slopes(mg.relu), [0, 0, 3, 4], "relu's slopes")
        x = mg.tensor([0.0], requires_grad=True)
        mg.relu(x).sum().backward()
        expect.close(x.grad, [0], "relu's slope at 0")

    def test_gradients_of_gradients(self):
        """The rules record themselves: tanh'' = -2·tanh·(1 - tanh²), and for y the sigmoid y'' = y(1 - y)(1 - 2y)."""
        t, y = np.tanh(0.7), 1 / (1 + np.exp(-0.7))
        for function, expected in ((mg.tanh, -2 * t * (1 - t * t)), (mg.sigmoid, y * (1 - y) * (1 - 2 * y))):
            x = mg.tensor(0.7, dtype="float64", requires_grad=True)
            (first,) = mg.grad(function(x), x, create_graph=True)
            (second,) = mg.grad(first, x)
            expect.close(second, expected, f"the second derivative of {function.__name__} at 0.7")


class TestSoftmax:
    """Exercise 4.2."""

    def test_by_hand(self):
        """The logits ln 1, ln 2 and ln 5 have the probabilities 1/8, 2/8 and 5/8."""
        expect.close(kernel.softmax(np.log([1.0, 2.0, 5.0])), [0.125, 0.25, 0.625], "softmax of ln [1, 2, 5]")

    def test_over_the_last_axis(self):
        """Every row of every batch adds up to 1 by itself."""
        x = np.random.default_rng(0).standard_normal((2, 3, 4))
        expected = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
        expect.close(kernel.softmax(x), expected, "softmax of an array of shape (2, 3, 4)")

    def test_large_and_minus_infinite_logits(self):
        """e^1000 is infinite, yet [1000, 1000 - ln 3] has 3/4 and 1/4; a logit of -inf has the probability 0."""
        x = np.array([[1000.0, 1000.0 - np.log(3)], [-1000.0, -np.inf]])
        expect.close(kernel.softmax(x), [[0.75, 0.25], [1, 0]], "softmax of large logits")

    def test_the_gradient(self):
        """Against finite differences, along every row, with a different upstream gradient everywhere."""
        x = np.random.default_rng(1).standard_normal((2, 5))
        with kernels.use("reference"):
            expect.gradients(lambda x: x.softmax(-1), [x], "softmax of shape (2, 5)")

    def test_the_gradient_by_hand(self):
        """For p = [1/2, 1/2] the gradient [1, 0] of the probabilities becomes [1/4, -1/4]: a row adds up to zero."""
        half = np.array([0.5, 0.5])
        expect.close(kernel.softmax_backward(np.array([1.0, 0.0]), half), [0.25, -0.25], "softmax_backward")


def rows(seed=0):
    """Logits (5, 4), targets of which row 3 is to be ignored, a weight for each class."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((5, 4)), np.array([0, 3, 1, -100, 3]), rng.uniform(0.5, 2, 4)


def log_probabilities(x):
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


class TestCrossEntropy:
    """Exercise 4.3."""

    def test_by_hand(self):
        """For ln [1, 2, 5] class 2 has 5/8 and class 0 has 1/8; the losses are their logarithms, and lse is ln 8."""
        x = np.log([[1.0, 2.0, 5.0], [1.0, 2.0, 5.0]])
        losses, lse = loss.cross_entropy(x, np.array([2, 0]), -100, 0.0, None)
        expect.close(losses, [-np.log(0.625), np.log(8)], "the losses of classes 2 and 0")
        expect.close(lse, np.log([8, 8]), "the log-sum-exp of each row")

    def test_large_logits(self):
        """Neither overflow nor a logarithm of 0: the loss of [800, 0] is 800 for class 1 and 0 for class 0."""
        x = np.array([[800.0, 0.0], [800.0, 0.0]])
        losses, lse = loss.cross_entropy(x, np.array([1, 0]), -100, 0.0, None)
        expect.close(losses, [800, 0], "the losses of [800, 0]")
        expect.close(lse, [800, 800], "the log-sum-exp of [800, 0]")

    def test_ignored_rows_and_weights(self):
        """A row whose target is ignore_index has the loss 0; the others are multiplied by the weight of their class."""
        x, targets, weight = rows()
        surprise = -log_probabilities(x)
        expected = [weight[t] * surprise[i, t] if t >= 0 else 0 for i, t in enumerate(targets)]
        expect.close(loss.cross_entropy(x, targets, -100, 0.0, weight)[0], expected, "losses with weights")
        expected = [surprise[i, t] if t >= 0 else 0 for i, t in enumerate(targets)]
        expect.close(loss.cross_entropy(x, targets, -100, 0.0, None)[0], expected, "losses without weights")

    def test_label_smoothing(self):
        """With s = 0.2, 0.8 of the loss is the target's and 0.2 is the mean over all classes, each with its weight."""
        x, targets, weight = rows()
        surprise = -log_probabilities(x)
        for w in (None, weight):
            each = surprise * (1 if w is None else w)
            expected = [0.8 * each[i, t] + 0.2 * each[i].mean() if t >= 0 else 0 for i, t in enumerate(targets)]
            got = loss.cross_entropy(x, targets, -100, 0.2, w)[0]
            expect.close(got, expected, f"losses with label smoothing {'and weights' if w is not None else ''}")

    def test_a_target_that_is_no_class(self):
        """An IndexError for a target of 4 where there are the classes 0 to 3; right ones still have losses."""
        x, targets, _ = rows()
        expect.equal(loss.cross_entropy(x, targets, -100, 0.0, None)[0].shape, (5,), "the shape of the losses")
        with pytest.raises(IndexError):
            loss.cross_entropy(x, targets + 1, -100, 0.0, None)


class TestCrossEntropyGradient:
    """Exercise 4.4."""

    def got(self, grad, x, targets, smoothing=0.0, weight=None):
        lse = np.log(np.exp(x).sum(-1))
        return loss.cross_entropy_backward(np.asarray(grad), x, targets, lse, -100, smoothing, weight)

    def test_what_you_said_minus_what_is_true(self):
        """p - 1 for the target, p for the others: for ln [1, 2, 5] and class 1, [1/8, -6/8, 5/8]."""
        got = self.got([1.0], np.log([[1.0, 2.0, 5.0]]), np.array([1]))
        expect.close(got, [[0.125, -0.75, 0.625]], "dlogits of ln [1, 2, 5] for class 1")

    def test_the_upstream_gradient(self):
        """Each row is multiplied by its own upstream gradient; nothing is divided by the number of rows."""
        x, targets, _ = rows()
        one = np.exp(log_probabilities(x)) - (targets[:, None] == np.arange(4))
        one[3] = 0
        grad = np.array([1.0, 2.0, -1.0, 5.0, 0.5])
        expect.close(self.got(grad, x, targets), one * grad[:, None], "dlogits, row 3 ignored")

    def test_finite_differences(self):
        """With weights, an ignored row and label smoothing, each alone and all together."""
        x, targets, weight = rows()
        with kernels.use("reference"):
            for smoothing, w in ((0.0, None), (0.0, weight), (0.2, None), (0.2, weight)):
                what = f"cross-entropy, label smoothing {smoothing}, {'no ' if w is None else ''}weights"
                expect.gradients(
                    lambda x, s=smoothing, w=w: nn.functional.cross_entropy(
                        x,
                        mg.tensor(targets),
                        weight=None if w is None else mg.tensor(w),
                        label_smoothing=s,
                        reduction="none",
                    ),
                    [x],
                    what,
                )

    def test_a_confident_network_gets_no_push(self):
        """Where the target has all of the probability, the gradient is 0; where another has it, it is -1 and 1."""
        x = np.array([[600.0, 0.0], [600.0, 0.0]])
        got = loss.cross_entropy_backward(np.ones(2), x, np.array([0, 1]), np.array([600.0, 600.0]), -100, 0.0, None)
        expect.close(got, [[0, 0], [1, -1]], "dlogits of [600, 0] for classes 0 and 1")


class TestLinear:
    """Exercise 4.5."""

    x = np.array([[1.0, 2.0, 3.0], [0.0, -1.0, 1.0]])
    weight = np.array([[1.0, 0.0, -1.0], [2.0, 1.0, 0.0]])
    bias = np.array([10.0, -5.0])

    def test_forward_by_hand(self):
        """y = x Wᵀ + b, with W stored as (out, in): row 0 of x gives 1 - 3 + 10 = 8 and 2 + 2 - 5 = -1."""
        y, pre = layer.linear(self.x, self.weight, self.bias, None)
        expect.close(y, [[8, -1], [9, -6]], "x Wᵀ + b")
        expect.holds(pre is None, "pre is None where there is no activation")

    def test_without_a_bias(self):
        """bias may be None; the inputs are not changed."""
        x, weight = self.x.copy(), self.weight.copy()
        y, _ = layer.linear(x, weight, None, None)
        expect.close(y, [[-2, 4], [-1, -1]], "x Wᵀ")
        expect.equal(x, self.x, "x afterwards")

    def test_with_an_activation(self):
        """y = relu(pre), and pre is returned beside it for the way back."""
        y, pre = layer.linear(self.x, self.weight, self.bias, "relu")
        expect.close(y, [[8, 0], [9, 0]], "relu(x Wᵀ + b)")
        expect.close(pre, [[8, -1], [9, -6]], "pre")

    def test_backward_by_hand(self):
        """dx = G W, dW = Gᵀ x, db = the sum of G over the rows; None for what is not needed."""
        grad = np.array([[1.0, 0.0], [0.0, 2.0]])
        dx, dweight, dbias = layer.linear_backward(grad, self.x, self.weight, None, None, (True, True, True))
        expect.close(dx, [[1, 0, -1], [4, 2, 0]], "dx")
        expect.close(dweight, [[1, 2, 3], [0, -2, 2]], "dW")
        expect.close(dbias, [1, 2], "db")
        only = layer.linear_backward(grad, self.x, self.weight, None, None, (False, True, False))
        expect.holds(only[0] is None and only[2] is None, "what is not needed is None")

    def test_through_an_activation(self):
        """The gradient goes through the activation first: finite differences of a layer with gelu, bias and all."""
        rng = np.random.default_rng(0)
        inputs = [rng.standard_normal(shape) for shape in ((3, 4), (2, 4), (2,))]
        with kernels.use("reference"):
            expect.gradients(
                lambda x, w, b: nn.functional.linear(x, w, b, activation="gelu"), inputs, "gelu(x Wᵀ + b), by x, W, b"
            )


class TestInitialValues:
    """Exercise 4.6."""

    def test_the_bound(self):
        """Weight and bias lie within ±1/√in_features and nearly reach it on both sides."""
        for inputs in (16, 100):
            layer = nn.Linear(inputs, 400)
            for name, values in (("weight", layer.weight), ("bias", layer.bias)):
                values = values.detach().numpy() * inputs**0.5
                expect.holds(np.abs(values).max() <= 1 + 1e-6, f"{name} of Linear({inputs}, 400) within ±1/√{inputs}")
                expect.holds(values.min() < -0.97 and values.max() > 0.97, f"{name} of Linear({inputs}, 400) up to it")

    def test_uniform(self):
        """Every tenth of the range gets about a tenth of 100,000 weights."""
        values = nn.Linear(100, 1000).weight.detach().numpy() * 10
        counts = np.histogram(values, 10, (-1, 1))[0] / values.size
        expect.close(counts, np.full(10, 0.1), "the share of the weights in each tenth of the range", rtol=0.05)

    def test_the_output_keeps_a_third_of_the_variance(self):
        """For inputs of variance 1 the outputs have 1/3 (and 1/(3·in_features) from the bias), at every width."""
        x = mg.tensor(np.random.default_rng(0).standard_normal((500, 64)), dtype="float32")
        variance = float(nn.Linear(64, 300)(x).detach().numpy().var())
        expect.close(variance, 1 / 3 + 1 / 192, "the variance of the outputs of Linear(64, 300)", rtol=0.05)

    def test_again_and_without_a_bias(self):
        """reset_parameters draws new values in the same arrays' places; a layer without a bias has none to draw."""
        layer = nn.Linear(8, 4, bias=False)
        before = layer.weight.detach().numpy().copy()
        layer.reset_parameters()
        expect.holds(not np.array_equal(before, layer.weight.detach().numpy()), "new values are drawn")
        expect.holds(layer.bias is None, "there is still no bias")
        expect.holds(layer.weight.requires_grad, "the weight is still a parameter")
