"""Exercises of lesson 12: a generator's memory, and the cells of LSTM and GRU, forward and backward."""

import numpy as np

import minigrad as mg
from minigrad.kernels.reference import recurrent
from minigrad.ops import recurrent as operations
from models.rnn import Memory, RNNConfig, RNNGenerator
from tests.lessons.exercises.expect import close, gradients, holds


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def lstm_cell(gates, h, c, weight):
    """One step of one sequence, as the paper has it: h, c, and the gates one after the other."""
    i, f, g, o = np.split(gates + weight @ h, 4)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    c = f * c + i * g
    return o * np.tanh(c), c, np.concatenate([i, f, g, o])


def gru_cell(gates, h, weight, bias):
    """The same for a GRU: h, the gates r, z, n, and the recurrent part of n."""
    recurrent_part = weight @ h + (0 if bias is None else bias)
    (r_x, z_x, n_x), (r_h, z_h, n_h) = np.split(gates, 3), np.split(recurrent_part, 3)
    r, z = sigmoid(r_x + r_h), sigmoid(z_x + z_h)
    n = np.tanh(n_x + r * n_h)
    return (1 - z) * n + z * h, np.concatenate([r, z, n]), n_h


def rows_of_each(sizes, reverse):
    """For each sequence its rows, in the order in which they are read: row i of a step belongs to sequence i."""
    ends = np.cumsum(sizes)
    order = 1 if not reverse else -1
    return [[int(e - n + i) for n, e in zip(sizes, ends, strict=True) if i < n][::order] for i in range(sizes[0])]


def lstm_one_by_one(gates, h0, c0, weight, sizes, reverse=False):
    """The definition: each sequence by itself. (output, h, c, activated, cells) as the kernel gives them."""
    n = h0.shape[1]
    output, cells, activated = np.zeros((len(gates), n)), np.zeros((len(gates), n)), np.zeros((len(gates), 4 * n))
    h, c = h0.copy(), c0.copy()
    for i, rows in enumerate(rows_of_each(sizes, reverse)):
        for row in rows:
            h[i], c[i], activated[row] = lstm_cell(gates[row], h[i], c[i], weight)
            output[row], cells[row] = h[i], c[i]
    return output, h, c, activated, cells


def gru_one_by_one(gates, h0, weight, bias, sizes, reverse=False):
    """The same for a GRU: (output, h, activated, hidden)."""
    n = h0.shape[1]
    output, hidden, activated = np.zeros((len(gates), n)), np.zeros((len(gates), n)), np.zeros((len(gates), 3 * n))
    h = h0.copy()
    for i, rows in enumerate(rows_of_each(sizes, reverse)):
        for row in rows:
            h[i], activated[row], hidden[row] = gru_cell(gates[row], h[i], weight, bias)
            output[row] = h[i]
    return output, h, activated, hidden


def difference_quotients(function, array):
    """The derivative of a number with respect to each element of the array, which function reads."""
    result = np.zeros(array.shape)
    for index in np.ndindex(array.shape):
        before, values = array[index], []
        for array[index] in (before + 1e-6, before - 1e-6):
            values.append(function())
        array[index] = before
        result[index] = (values[0] - values[1]) / 2e-6
    return result


SIZES = np.array([3, 3, 2, 1])  # three sequences, of 4, 3 and 2 steps


def lstm_parts(seed=0):
    """gates, h0, c0 and weight of those sequences, two numbers a state."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in ((9, 8), (3, 2), (3, 2), (8, 2))]


def gru_parts(seed=0):
    """gates, h0, weight and bias."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in ((9, 6), (3, 2), (6, 2), (6,))]


class TestNextLogits:
    ids = np.random.default_rng(0).integers(0, 5, (2, 6))

    def model(self):
        """Two layers of lesson 11's cells: those of this lesson are the exercises that follow."""
        mg.manual_seed(0)
        return RNNGenerator(RNNConfig(vocab_size=5, num_layers=2, hidden_size=4, embedding_dim=3, cell="rnn"))

    def test_without_a_memory(self):
        """The logits of the one token that follows: those of the last position, (batch, vocabulary)."""
        model = self.model()
        with mg.no_grad():
            expected = model(mg.tensor(self.ids))[0].numpy()[:, -1]
            close(model.next_logits(mg.tensor(self.ids)), expected, "the logits behind six tokens")

    def test_with_a_memory_it_goes_on(self):
        """Six tokens, given as four and then two with a memory, have the same logits as six at once."""
        model, memory = self.model(), Memory()
        with mg.no_grad():
            expected = model(mg.tensor(self.ids))[0].numpy()[:, -1]
            model.next_logits(mg.tensor(self.ids[:, :4]), memory)
            got = model.next_logits(mg.tensor(self.ids[:, 4:]), memory)
        close(got, expected, "the logits behind four tokens and two more")

    def test_the_memory_holds_the_state(self):
        """After a call, memory.state is the state behind the last token; a tensor (layers, batch, hidden)."""
        model, memory = self.model(), Memory()
        with mg.no_grad():
            model.next_logits(mg.tensor(self.ids), memory)
            expected = model(mg.tensor(self.ids))[1].numpy()
        holds(memory.state is not None, "the memory has a state after the first call")
        close(memory.state, expected, "the state in the memory")


class TestLSTMComposite:
    def composite(self, sizes, reverse=False):
        return operations.LSTM(sizes, reverse).composite

    def test_one_step(self):
        """One sequence, one step: h = o·tanh(c), c = f·c' + i·g."""
        gates, h0, c0, weight = lstm_parts()
        output, h, c = self.composite(np.array([1]))(*map(mg.tensor, (gates[:1], h0[:1], c0[:1], weight)))
        expected_h, expected_c, _ = lstm_cell(gates[0], h0[0], c0[0], weight)
        close(c, expected_c[None], "c after one step")
        close(h, expected_h[None], "h after one step")
        close(output, expected_h[None], "output, which is h after every step")

    def test_sequences(self):
        """Three sequences of 4, 3 and 2 steps."""
        parts = lstm_parts()
        got = self.composite(SIZES)(*map(mg.tensor, parts))
        for name, a, b in zip(("output", "h", "c"), got, lstm_one_by_one(*parts, SIZES), strict=False):
            close(a, b, f"{name} of three sequences")

    def test_in_reverse(self):
        """From each sequence's last step to its first."""
        parts = lstm_parts()
        output, _, c = self.composite(SIZES, reverse=True)(*map(mg.tensor, parts))
        expected = lstm_one_by_one(*parts, SIZES, reverse=True)
        close(output, expected[0], "output in reverse")
        close(c, expected[2], "c in reverse")

    def test_its_gradient_comes_by_itself(self):
        """It is made of operations that know their gradients; so its own is right without a rule."""
        gradients(lambda *parts: self.composite(SIZES)(*parts)[0], lstm_parts(), "the composite's output")


class TestLSTMForward:
    def test_one_step(self):
        """One sequence and one step, with an initial state."""
        gates, h0, c0, weight = lstm_parts()
        output, h, c, _, _ = recurrent.lstm(gates[:1], h0[:1], c0[:1], weight, np.array([1]), False)
        expected_h, expected_c, _ = lstm_cell(gates[0], h0[0], c0[0], weight)
        close(c, expected_c[None], "c after one step")
        close(h, expected_h[None], "h after one step")
        close(output, expected_h[None], "output, which is h after every step")

    def compare(self, reverse):
        parts = lstm_parts()
        got = recurrent.lstm(*parts, SIZES, reverse)
        return zip(
            ("output", "h", "c", "activated", "cells"), got, lstm_one_by_one(*parts, SIZES, reverse), strict=True
        )

    def test_output_and_last_states(self):
        """Sequences of 4, 3 and 2 steps: a sequence that has ended keeps its last h and c."""
        for name, a, b in list(self.compare(False))[:3]:
            close(a, b, f"{name} of three sequences")

    def test_what_backward_needs(self):
        """activated has i, f, g, o of every step side by side, after σ and tanh; cells has c."""
        for name, a, b in list(self.compare(False))[3:]:
            close(a, b, f"{name} of three sequences")

    def test_in_reverse(self):
        """From each sequence's last step to its first."""
        for name, a, b in self.compare(True):
            close(a, b, f"{name} of three sequences, in reverse")

    def test_the_arguments_stay_as_they_are(self):
        """The initial states belong to the caller; large gates do not overflow."""
        gates, h0, c0, weight = lstm_parts()
        before = h0.copy(), c0.copy()
        with np.errstate(all="raise", under="ignore"):
            output = recurrent.lstm(1000 * gates, h0, c0, weight, SIZES, False)[0]
        holds(np.isfinite(output).all(), "the output for gates of some thousands is finite")
        close(h0, before[0], "h0 after the call")
        close(c0, before[1], "c0 after the call")


class TestLSTMBackward:
    def check(self, which, what, sizes=SIZES, reverse=False):
        """The gradients with respect to gates, h0, c0 and weight (which: their numbers) against finite differences."""
        parts = [part[: sizes.sum()] if k == 0 else part for k, part in enumerate(lstm_parts(1))]
        rng = np.random.default_rng(2)
        grad = rng.uniform(0.5, 1.5, (sizes.sum(), 2))
        grad_h, grad_c = rng.uniform(0.5, 1.5, (2, 3, 2))
        output, _, _, activated, cells = lstm_one_by_one(*parts, sizes, reverse)
        saved = recurrent.LSTMSaved(*parts[1:], output, activated, cells)
        got = recurrent.lstm_backward(grad, grad_h, grad_c, saved, sizes, reverse)

        def loss():
            y, h, c, _, _ = lstm_one_by_one(*parts, sizes, reverse)
            return (y * grad).sum() + (h * grad_h).sum() + (c * grad_c).sum()

        for k in which:
            name = ("gates", "h0", "c0", "weight")[k]
            expected = difference_quotients(loss, parts[k])
            close(got[k], expected, f"the gradient with respect to {name}, {what}", rtol=1e-4, atol=1e-6)

    def test_one_step(self):
        """A single step: nothing comes from the future but grad_h and grad_c."""
        self.check((0, 1, 2), "one step", sizes=np.array([3]))

    def test_by_the_gates(self):
        """Sequences of 4, 3 and 2 steps: what one step says to the step before goes through h and through c."""
        self.check((0,), "sequences of 4, 3 and 2 steps")

    def test_by_the_initial_states(self):
        """What is left of dh and dc when the walk has arrived before the first step."""
        self.check((1, 2), "sequences of 4, 3 and 2 steps")

    def test_by_the_weight(self):
        """The sum over all steps, each with the h of the step before it."""
        self.check((3,), "sequences of 4, 3 and 2 steps")

    def test_in_reverse(self):
        """The sequences were read from their ends: the gradient walks from the first step to the last."""
        self.check((0, 2, 3), "in reverse", reverse=True)


class TestGRU:
    def test_forward(self):
        """Sequences of 4, 3 and 2 steps: output, the last states, the gates r, z, n, and the recurrent part of n."""
        parts = gru_parts()
        got = recurrent.gru(*parts, SIZES, False)
        expected = gru_one_by_one(*parts, SIZES)
        for name, a, b in zip(("output", "h", "activated", "hidden"), got, expected, strict=True):
            close(a, b, f"{name} of three sequences")

    def test_forward_in_reverse_without_a_bias(self):
        """bias may be None, and sequences may be read from their ends."""
        gates, h0, weight, _ = gru_parts()
        output, h, _, _ = recurrent.gru(gates, h0, weight, None, SIZES, True)
        expected = gru_one_by_one(gates, h0, weight, None, SIZES, True)
        close(output, expected[0], "output in reverse, without a bias")
        close(h, expected[1], "the last states in reverse, without a bias")

    def check(self, which, what, reverse=False):
        """The gradients with respect to gates, h0, weight and bias (which: their numbers) against differences."""
        parts = gru_parts(1)
        rng = np.random.default_rng(2)
        grad, grad_h = rng.uniform(0.5, 1.5, (9, 2)), rng.uniform(0.5, 1.5, (3, 2))
        output, _, activated, hidden = gru_one_by_one(*parts, SIZES, reverse)
        saved = recurrent.GRUSaved(parts[1], parts[2], output, activated, hidden)
        got = recurrent.gru_backward(grad, grad_h, saved, SIZES, reverse)

        def loss():
            y, h, _, _ = gru_one_by_one(*parts, SIZES, reverse)
            return (y * grad).sum() + (h * grad_h).sum()

        for k in which:
            name = ("gates", "h0", "weight", "bias")[k]
            expected = difference_quotients(loss, parts[k])
            close(got[k], expected, f"the gradient with respect to {name}, {what}", rtol=1e-4, atol=1e-6)

    def test_backward_by_the_gates_and_the_initial_state(self):
        """dh goes to the step before on two ways: through z alone, and through the recurrent product."""
        self.check((0, 1), "sequences of 4, 3 and 2 steps")

    def test_backward_by_weight_and_bias(self):
        """The recurrent product's own gradient has dn·r in the place of dn."""
        self.check((2, 3), "sequences of 4, 3 and 2 steps")

    def test_backward_in_reverse(self):
        """The sequences were read from their ends."""
        self.check((0, 2), "in reverse", reverse=True)
