"""Exercises of lesson 11: carried states, parallel streams, clipping, and back-propagation through time."""

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad.kernels.reference import recurrent
from models.rnn import CarriedState
from models.text.batching import StreamBatches
from nn.utils import parameters as tools
from tests.lessons.exercises.expect import close, equal, holds


class Reader(nn.Module):
    """A network as small as can be, h = tanh(h/2 + a letter's row); its state is h, or as an LSTM's a pair."""

    def __init__(self, pair: bool = False):
        super().__init__()
        rng, self.pair = np.random.default_rng(1), pair
        self.letters = nn.Parameter(mg.tensor(rng.standard_normal((5, 4)), dtype="float32"))
        self.output = nn.Parameter(mg.tensor(rng.standard_normal((4, 5)), dtype="float32"))

    def forward(self, ids, state=None):
        h = mg.zeros(len(ids), 4) if state is None else state[0] * state[1] if self.pair else state
        steps = []
        for t in range(ids.shape[1]):
            h = mg.tanh(h * 0.5 + self.letters[ids[:, t]])
            steps.append(h)
        return mg.stack(steps, 1) @ self.output, (h * 2.0, mg.full((1,), 0.5)) if self.pair else h


class TestCarriedState:
    ids = np.random.default_rng(0).integers(0, 5, (2, 9))

    def model(self, pair=False):
        return Reader(pair)

    def window(self, first, last, starts):
        """A batch of StreamBatches: letters first to last - 1, and the ones that follow them."""
        return mg.tensor(self.ids[:, first:last]), np.array(starts), mg.tensor(self.ids[:, first + 1 : last + 1])

    def cross_entropy(self, model, first, last):
        """By hand, of those letters, when the network has read all from the beginning."""
        with mg.no_grad():
            logits = model(mg.tensor(self.ids[:, :last]))[0].numpy()[:, first:].astype(np.float64)
        log_p = logits - np.log(np.exp(logits).sum(2, keepdims=True))
        return -np.take_along_axis(log_p, self.ids[:, first + 1 : last + 1, None], 2).mean()

    def test_the_first_window(self):
        """A window with starts=True begins without a state; the loss is the mean cross-entropy of its targets."""
        model, loss = self.model(), CarriedState()
        close(loss(model, self.window(0, 4, True)), self.cross_entropy(model, 0, 4), "the loss of the first window")

    def test_the_second_goes_on_where_the_first_ended(self):
        """Two windows with the state carried over give what one long window gives, also if the state is a pair."""
        for pair in (False, True):
            model, loss = self.model(pair), CarriedState()
            loss(model, self.window(0, 4, True))
            got = loss(model, self.window(4, 8, False))
            close(
                got,
                self.cross_entropy(model, 4, 8),
                f"the loss of the second window, {'a pair' if pair else 'one tensor'} for a state",
            )

    def test_a_new_beginning_forgets(self):
        """starts=True again: the carried state is not used."""
        model, loss = self.model(), CarriedState()
        first = loss(model, self.window(0, 4, True)).item()
        close(loss(model, self.window(0, 4, True)), first, "the loss of the first window, read twice")

    def test_gradients_stop_at_the_border(self):
        """The carried state is detached: the windows before it get no gradient, and each can go backward by itself."""
        model, loss = self.model(pair=True), CarriedState()
        loss(model, self.window(0, 4, True)).backward()
        loss(model, self.window(4, 8, False)).backward()
        states = loss.state_dict()
        equal(sorted(states), ["c", "h"], "the names of the states that are kept")
        holds(not any(state.requires_grad for state in states.values()), "what is kept does not require a gradient")

    def test_evaluation_has_a_state_of_its_own(self):
        """An evaluation between two windows of training does not disturb what training carries."""
        model, loss = self.model(), CarriedState()
        loss(model, self.window(0, 4, True))
        model.eval()
        loss(model, self.window(1, 3, True))
        model.train()
        got = loss(model, self.window(4, 8, False))
        close(got, self.cross_entropy(model, 4, 8), "the loss of the second window, after an evaluation in between")


class TestStreamBatches:
    def test_the_first_batch(self):
        """A text of 0 to 20 in two streams, 0 to 9 and 10 to 19; a window of 3; y is one token later."""
        x, _, y = next(StreamBatches(np.arange(21), batch_size=2, context_length=3))
        equal(x.tolist(), [[0, 1, 2], [10, 11, 12]], "x of the first batch")
        equal(y.tolist(), [[1, 2, 3], [11, 12, 13]], "y of the first batch")

    def test_each_goes_on_where_the_last_one_ended(self):
        """The third batch begins six tokens further on, in both streams."""
        batches = StreamBatches(np.arange(21), 2, 3)
        third = [next(batches) for _ in range(3)][2]
        equal(third[0].tolist(), [[6, 7, 8], [16, 17, 18]], "x of the third batch")

    def test_starts_marks_the_beginning(self):
        """starts is True for the first window, and again when all three windows of ten tokens have been read."""
        batches = StreamBatches(np.arange(21), 2, 3)
        got = [bool(next(batches)[1]) for _ in range(5)]
        equal(got, [True, False, False, True, False], "starts of five batches")

    def test_it_begins_again(self):
        """After the last whole window the streams begin at their beginning; what is left over is left out."""
        batches = StreamBatches(np.arange(21), 2, 3)
        first = next(batches)[0]
        again = [next(batches) for _ in range(3)][2][0]
        equal(again.tolist(), first.tolist(), "x of the fourth batch is that of the first")

    def test_dtypes(self):
        """x and y are int64, whatever the text is kept in, and starts is an array of no dimensions."""
        x, starts, y = next(StreamBatches(np.arange(21, dtype=np.uint16), 2, 3))
        equal([str(x.dtype), str(y.dtype)], ["int64", "int64"], "the dtypes of x and y")
        equal(np.asarray(starts).shape, (), "the shape of starts")


class TestClipGradNorm:
    def parameters(self, *gradients):
        made = [mg.zeros(*np.shape(g), requires_grad=True) for g in gradients]
        for parameter, gradient in zip(made, gradients, strict=True):
            parameter.grad = mg.tensor(np.asarray(gradient, np.float32))
        return made

    def test_all_gradients_are_scaled_together(self):
        """Gradients (3, 0) and (4) have the joint norm 5. With a limit of 1 each becomes a fifth."""
        a, b = self.parameters([3.0, 0.0], [4.0])
        tools.clip_grad_norm_([a, b], 1.0)
        close(a.grad, [0.6, 0], "the first gradient", rtol=1e-4)
        close(b.grad, [0.8], "the second gradient", rtol=1e-4)

    def test_it_returns_the_norm_before_clipping(self):
        """That is what one wants to see in a log."""
        close(tools.clip_grad_norm_(self.parameters([3.0, 0.0], [4.0]), 1.0), 5.0, "the norm of (3, 0) and (4)")

    def test_small_gradients_stay_as_they_are(self):
        """A norm below the limit: nothing is changed, and above all nothing is made larger."""
        (a,) = self.parameters([0.3, -0.4])
        norm = tools.clip_grad_norm_([a], 1.0)
        close(a.grad, [0.3, -0.4], "a gradient of norm 0.5, and the limit is 1")
        close(norm, 0.5, "its norm")

    def test_other_norms(self):
        """norm_type=inf is the largest absolute element; 1 the sum of the absolute values."""
        parameters = self.parameters([3.0, -8.0])
        close(tools.clip_grad_norm_(parameters, 4.0, norm_type=float("inf")), 8.0, "the largest element")
        close(parameters[0].grad, [1.5, -4.0], "the gradient with a limit of 4 for its largest element", rtol=1e-4)
        close(tools.clip_grad_norm_(self.parameters([3.0, -8.0]), 100.0, norm_type=1), 11.0, "the sum of the elements")

    def test_what_is_not_a_number(self):
        """error_if_nonfinite asks for a RuntimeError; parameters without a gradient are passed over."""
        without = mg.zeros(2, requires_grad=True)
        close(tools.clip_grad_norm_([without, *self.parameters([3.0, 4.0])], 9.0), 5.0, "the norm of the one gradient")
        with pytest.raises(RuntimeError):
            tools.clip_grad_norm_(self.parameters([np.nan, 1.0]), 1.0, error_if_nonfinite=True)


def sequences(sizes):
    """The rows of each sequence, in order of time: row i of each step belongs to sequence i."""
    ends = np.cumsum(sizes)
    return [[int(e - n + i) for n, e in zip(sizes, ends, strict=True) if i < n] for i in range(sizes[0])]


def one_by_one(gates, h0, weight, sizes, reverse=False, relu=False):
    """The definition: each sequence by itself, one step after the other."""
    output, last = np.zeros_like(gates), np.zeros_like(h0)
    for i, rows in enumerate(sequences(sizes)):
        h = h0[i]
        for row in reversed(rows) if reverse else rows:
            a = gates[row] + weight @ h
            h = output[row] = np.maximum(a, 0) if relu else np.tanh(a)
        last[i] = h
    return output, last


class TestRecurrentForward:
    sizes = np.array([3, 3, 2, 1])  # three sequences, of 4, 3 and 2 steps

    def parts(self):
        rng = np.random.default_rng(0)
        return rng.standard_normal((9, 4)), rng.standard_normal((3, 4)), rng.standard_normal((4, 4)) / 2

    def compare(self, what, sizes, **options):
        gates, h0, weight = self.parts()
        gates = gates[: sizes.sum()]
        flags = {"reverse": False, "relu": False} | options
        output, h = recurrent.rnn(gates, h0, weight, sizes, **flags)
        expected, last = one_by_one(gates, h0, weight, sizes, **flags)
        close(output, expected, f"{what}: h after every step")
        close(h, last, f"{what}: the last state of each sequence")

    def test_by_hand(self):
        """One number, two steps: h1 = tanh(0.5), h2 = tanh(-1 + 2·h1)."""
        output, h = recurrent.rnn(
            np.array([[0.5], [-1.0]]), np.zeros((1, 1)), np.array([[2.0]]), np.array([1, 1]), False, False
        )
        h1 = np.tanh(0.5)
        close(output, [[h1], [np.tanh(-1 + 2 * h1)]], "two steps of one number")
        close(h, [[np.tanh(-1 + 2 * h1)]], "the last state")

    def test_a_batch(self):
        """Three sequences of three steps, with initial states and a weight that is not symmetric."""
        self.compare("three equally long sequences", np.array([3, 3, 3]))

    def test_different_lengths(self):
        """Packed: a step has only the rows of sequences that are still running; the others keep their last state."""
        self.compare("sequences of 4, 3 and 2 steps", self.sizes)

    def test_in_reverse(self):
        """From each sequence's last step to its first; a short one begins later, with its initial state."""
        self.compare("sequences of 4, 3 and 2 steps, in reverse", self.sizes, reverse=True)

    def test_relu(self):
        """relu in the place of tanh; and the initial state that was passed in is still what it was."""
        self.compare("relu", self.sizes, relu=True)
        gates, h0, weight = self.parts()
        before = h0.copy()
        recurrent.rnn(gates, h0, weight, self.sizes, False, False)
        equal(h0.tolist(), before.tolist(), "the initial state after the call")


class TestBackpropagationThroughTime:
    sizes = np.array([3, 3, 2, 1])

    def check(self, what, which, reverse=False, relu=False):
        """The gradient with respect to gates, h0 or weight (which: 0, 1, 2) against differences of the definition."""
        rng = np.random.default_rng(2)
        parts = [rng.standard_normal((9, 4)), rng.standard_normal((3, 4)), rng.standard_normal((4, 4)) / 2]
        grad, grad_h = rng.uniform(0.5, 1.5, (9, 4)), rng.uniform(0.5, 1.5, (3, 4))
        output, _ = one_by_one(*parts, self.sizes, reverse, relu)
        got = recurrent.rnn_backward(grad, grad_h, parts[1], parts[2], output, self.sizes, reverse, relu)[which]
        expected = np.zeros(parts[which].shape)
        for index in np.ndindex(expected.shape):
            before, values = parts[which][index], []
            for parts[which][index] in (before + 1e-6, before - 1e-6):
                y, h = one_by_one(*parts, self.sizes, reverse, relu)
                values.append((y * grad).sum() + (h * grad_h).sum())
            parts[which][index] = before
            expected[index] = (values[0] - values[1]) / 2e-6
        close(got, expected, f"{what}, against finite differences", rtol=1e-4, atol=1e-6)

    def test_by_hand(self):
        """One number, two steps, and a loss that is h2 alone: da2 = 1 - h2², da1 = da2·w·(1 - h1²)."""
        h1, h2, w = 0.4, -0.3, 2.0
        output, grad = np.array([[h1], [h2]]), np.array([[0.0], [1.0]])
        dgates, dh0, dweight = recurrent.rnn_backward(
            grad, np.zeros((1, 1)), np.zeros((1, 1)), np.array([[w]]), output, np.array([1, 1]), False, False
        )
        da2 = 1 - h2**2
        da1 = da2 * w * (1 - h1**2)
        close(dgates, [[da1], [da2]], "the gradients with respect to what is inside the tanh")
        close(dh0, [[da1 * w]], "the gradient with respect to the initial state")
        close(dweight, [[da2 * h1]], "the gradient with respect to the weight: step 1 began in the state 0")

    def test_by_the_gates(self):
        """The gradient with respect to the gates of every step, for sequences of 4, 3 and 2 steps."""
        self.check("the gradient with respect to gates", 0)

    def test_by_the_initial_state(self):
        """What is left when the walk has arrived before the first step."""
        self.check("the gradient with respect to h0", 1)

    def test_by_the_weight(self):
        """The sum over all steps; the state before a sequence's first step is its initial one."""
        self.check("the gradient with respect to weight", 2)

    def test_in_reverse_and_with_relu(self):
        """The sequences were read from their ends: the gradient walks from the first step to the last."""
        self.check("the gradient with respect to gates, in reverse", 0, reverse=True)
        self.check("the gradient with respect to weight, in reverse", 2, reverse=True)
        self.check("the gradient with respect to gates with relu", 0, relu=True)
