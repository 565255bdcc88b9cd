"""Recurrent networks over whole sequences: LSTM, GRU and the plain RNN.

Each is fused: the kernels make every step without the engine. Beside each stands its composite, the same
network written step by step, as a reader would write it. The product with the inputs, x W_ihᵀ + bias for
all steps at once, is an ordinary `linear` before: its result is what the functions call gates.
"""

from typing import Any

import numpy as np

from minigrad import kernels
from minigrad.function import Function
from minigrad.kernels.reference.recurrent import GRUSaved, LSTMSaved, steps
from minigrad.ops.activation import relu, sigmoid, tanh
from minigrad.ops.linalg import matmul
from minigrad.ops.shape import cat, split, swapaxes
from minigrad.tensor import Tensor, unwrap


class LSTM(Function):
    """i, f, o = σ(·), g = tanh(·) of gates + h Wᵀ;  c = f·c + i·g,  h = o·tanh(c)  (Gers et al. 2000)."""

    fresh = True

    def __init__(self, sizes, reverse: bool):
        self.sizes, self.reverse = sizes, reverse

    def forward(self, gates, h0, c0, weight):
        output, h, c, activated, cells = kernels.lstm(gates, h0, c0, weight, self.sizes, self.reverse)
        self.save_for_backward(gates, h0, c0, weight, output, activated, cells)
        return output, h, c

    def backward(self, grad, grad_h, grad_c):
        return kernels.lstm_backward(grad, grad_h, grad_c, LSTMSaved(*self.saved[1:]), self.sizes, self.reverse)

    def flops(self, inputs, outputs):
        gates, weight = inputs[0], inputs[3]  # the product; adding it, 3 σ, 2 tanh, 3 for c, 1 for h
        return len(gates) * weight.shape[1] * (8 * weight.shape[1] + 13)

    def backward_flops(self, grads, results):
        output, weight = self.saved[4], self.saved[3]  # the products for dh and dW; dh and dc 8, the gates 16
        return output.size * (2 * 8 * weight.shape[1] + 24)

    def composite(self, gates, h0, c0, weight):
        """(output, h, c) as forward gives them: a cell (gates, h, c) -> (h, c) of primitives, taken through all steps.

        gates (rows, 4·hidden) of a step, h and c (rows, hidden), weight (4·hidden, hidden); i, f, g, o side by side.
        """

        def cell(gates, h, c):
            i, f, g, o = split(gates + matmul(h, swapaxes(weight, 0, 1)), weight.shape[1], 1)
            c = sigmoid(f) * c + sigmoid(i) * tanh(g)
            return sigmoid(o) * tanh(c), c

        return _walk(cell, gates, (h0, c0), self.sizes, self.reverse)


class GRU(Function):
    """r, z = σ(gates + h Wᵀ + b),  n = tanh(gates_n + r·(h W_nᵀ + b_n));  h = (1 - z)·n + z·h  (Cho et al. 2014)."""

    fresh = True

    def __init__(self, sizes, reverse: bool):
        self.sizes, self.reverse = sizes, reverse

    def forward(self, gates, h0, weight, bias):
        output, h, activated, hidden = kernels.gru(gates, h0, weight, bias, self.sizes, self.reverse)
        self.save_for_backward(gates, h0, weight, bias, output, activated, hidden)
        return output, h

    def backward(self, grad, grad_h):
        _, h0, weight, bias, output, activated, hidden = self.saved
        saved = GRUSaved(h0, weight, output, activated, hidden)
        *grads, dbias = kernels.gru_backward(grad, grad_h, saved, self.sizes, self.reverse)
        return (*grads, None if bias is None else dbias)

    def flops(self, inputs, outputs):
        gates, _, weight, bias = inputs  # the product and bias; 2 for each of r and z, 3 for n, 4 for h
        return len(gates) * weight.shape[1] * (6 * weight.shape[1] + 11 + 3 * (bias is not None))

    def backward_flops(self, grads, results):
        weight, bias, output = self.saved[2:5]  # the products for dh and dW; dh 3, n 5, r and z 9; dbias
        return output.size * (2 * 6 * weight.shape[1] + 17 + 3 * (bias is not None))

    def composite(self, gates, h0, weight, bias):
        def cell(gates, h):
            recurrent = matmul(h, swapaxes(weight, 0, 1))
            recurrent = recurrent if bias is None else recurrent + bias
            r, z, n = split(gates, weight.shape[1], 1)
            r_h, z_h, n_h = split(recurrent, weight.shape[1], 1)
            z = sigmoid(z + z_h)
            return ((1 - z) * tanh(n + sigmoid(r + r_h) * n_h) + z * h,)

        return _walk(cell, gates, (h0,), self.sizes, self.reverse)


class RNN(Function):
    """h = tanh(gates + h Wᵀ), or relu(...)  (Elman 1990)."""

    fresh = True

    def __init__(self, sizes, reverse: bool, nonlinearity: str):
        self.sizes, self.reverse, self.relu = sizes, reverse, nonlinearity == "relu"

    def forward(self, gates, h0, weight):
        output, h = kernels.rnn(gates, h0, weight, self.sizes, self.reverse, self.relu)
        self.save_for_backward(gates, h0, weight, output)
        return output, h

    def backward(self, grad, grad_h):
        _, h0, weight, output = self.saved
        return kernels.rnn_backward(grad, grad_h, h0, weight, output, self.sizes, self.reverse, self.relu)

    def flops(self, inputs, outputs):
        gates, _, weight = inputs
        return gates.size * (2 * weight.shape[1] + 2)  # the product; adding it, the activation

    def backward_flops(self, grads, results):
        weight, output = self.saved[2:]  # the products for dh and dW; adding to dh, the activation's rule
        return output.size * (2 * 2 * weight.shape[1] + (2 if self.relu else 4))

    def composite(self, gates, h0, weight):
        activation = relu if self.relu else tanh

        def cell(gates, h):
            return (activation(gates + matmul(h, swapaxes(weight, 0, 1))),)

        return _walk(cell, gates, (h0,), self.sizes, self.reverse)


def _walk(cell, gates, state, sizes, reverse: bool):
    """(output, *last state): the cell at every step, on the sequences that have one there."""
    slices = steps(sizes, reverse)
    outputs = []
    for step in slices:
        rows = step.stop - step.start
        new = cell(gates[step], *(s[:rows] for s in state))
        outputs.append(new[0])
        state = tuple(n if rows == len(s) else cat([n, s[rows:]]) for n, s in zip(new, state, strict=True))
    return cat(outputs[::-1] if reverse else outputs), *state


def lstm(
    gates: Tensor, h0: Tensor, c0: Tensor, weight: Tensor, sizes: Any, reverse: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """(output, h, c) of an LSTM over packed sequences, in PyTorch's order of gates i, f, g, o.

    gates   x W_ihᵀ + biases (N, 4·hidden): the rows of all sequences at step 0, then at step 1, ...
    h0, c0  initial states (batch, hidden), the longest sequence first
    weight  W_hh (4·hidden, hidden)
    sizes   rows at each step, never growing; [batch] * steps when all sequences are equally long
    reverse from each sequence's last step to its first

    output (N, hidden) is h after every step, in the order of gates; h and c are the last states.
    """
    return LSTM(_checked("lstm", 4, gates, (h0, c0), weight, sizes), reverse)(gates, h0, c0, weight)


def gru(
    gates: Tensor, h0: Tensor, weight: Tensor, bias: Tensor, sizes: Any, reverse: bool = False
) -> tuple[Tensor, Tensor]:
    """(output, h) of a GRU over packed sequences, in PyTorch's order of gates r, z, n; arguments as for lstm.

    gates (N, 3·hidden) are x W_ihᵀ + b_ih; bias is b_hh (3·hidden,) or None, which belongs to the
    recurrent product because r scales it.
    """
    return GRU(_checked("gru", 3, gates, (h0,), weight, sizes), reverse)(gates, h0, weight, bias)


def rnn(
    gates: Tensor, h0: Tensor, weight: Tensor, sizes: Any, reverse: bool = False, nonlinearity: str = "tanh"
) -> tuple[Tensor, Tensor]:
    """(output, h) of a plain recurrent network over packed sequences; arguments as for lstm, gates (N, hidden)."""
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f'rnn: nonlinearity={nonlinearity!r}; use "tanh" or "relu"')
    return RNN(_checked("rnn", 1, gates, (h0,), weight, sizes), reverse, nonlinearity)(gates, h0, weight)


def _checked(op: str, parts: int, gates, states, weight, sizes) -> np.ndarray:
    """sizes as an array, once everything fits together."""
    sizes = np.asarray(unwrap(sizes), np.int64)
    n = weight.shape[-1]
    if weight.shape != (parts * n, n) or gates.ndim != 2 or gates.shape[1] != parts * n:
        raise ValueError(
            f"{op}: gates {gates.shape}, weight {weight.shape}; expected (rows, {parts}·hidden) and "
            f"({parts}·hidden, hidden)"
        )
    if sizes.ndim != 1 or not len(sizes) or sizes[-1] < 1 or (np.diff(sizes) > 0).any():
        raise ValueError(f"{op}: sizes {sizes.tolist()}; expected numbers of rows, 1 at least, that never grow")
    if sizes.sum() != gates.shape[0]:
        raise ValueError(f"{op}: {gates.shape[0]} rows of gates for steps of {sizes.sum()} rows in all")
    for state in states:
        if state.shape != (sizes[0], n):
            raise ValueError(f"{op}: initial state {state.shape}; expected (batch, hidden) = {(int(sizes[0]), n)}")
    return sizes
