"""Recurrent cells over whole sequences, the product with the inputs done before: what is left goes step by step.

Sequences lie packed, as in PyTorch's PackedSequence: all rows of step 0, then all of step 1, and so on,
N rows in all. sizes (steps,), an integer array in numpy, gives the number of rows of each step; it never grows, so
row i of every step belongs to sequence i of the batch, and the longest sequences come first.

`reverse` walks from each sequence's last step to its first. In either direction a sequence that has
not begun holds its initial state and one that has ended its last, so the state is one array
(batch, hidden) of which each step updates the first rows.

Backward walks the other way. It rebuilds nothing: the activated gates are kept from forward.
"""

from typing import NamedTuple

import numpy as np

from minigrad.devices import array_module
from minigrad.typing import Array


class LSTMSaved(NamedTuple):
    """What lstm_backward needs of the forward walk: arguments of lstm, and its results of every step."""

    h0: Array
    c0: Array
    weight: Array
    output: Array
    activated: Array
    cells: Array


class GRUSaved(NamedTuple):
    """What gru_backward needs of the forward walk: arguments of gru, and its results of every step."""

    h0: Array
    weight: Array
    output: Array
    activated: Array
    hidden: Array


def lstm(
    gates: Array, h0: Array, c0: Array, weight: Array, sizes: Array, reverse: bool
) -> tuple[Array, Array, Array, Array, Array]:
    """(output, h, c, activated, cells): a long short-term memory (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

        i, f, o = σ(...), g = tanh(...)  of gates + h' weightᵀ, in PyTorch's order i, f, g, o
        c = f·c' + i·g,  h = o·tanh(c)   where ' marks the step before

    gates (N, 4·hidden) are x W_ihᵀ + biases, weight (4·hidden, hidden), h0 and c0 (batch, hidden).
    output (N, hidden) is h after every step; h and c (batch, hidden) are the last ones. activated
    (N, 4·hidden) and cells (N, hidden), i, f, g, o and c of every step, are for lstm_backward.
    """
    xp, n = array_module(gates), h0.shape[1]
    h, c = h0.copy(), c0.copy()
    output, activated, cells = (xp.empty((len(gates), m), gates.dtype) for m in (n, 4 * n, n))
    for step in steps(sizes, reverse):
        rows = slice(step.stop - step.start)
        a = gates[step] + h[rows] @ weight.T
        i, f, g, o = (
            _sigmoid(a[:, :n]),
            _sigmoid(a[:, n : 2 * n]),
            xp.tanh(a[:, 2 * n : 3 * n]),
            _sigmoid(a[:, 3 * n :]),
        )
        c[rows] = f * c[rows] + i * g
        h[rows] = o * xp.tanh(c[rows])
        output[step], cells[step] = h[rows], c[rows]
        activated[step] = xp.concatenate([i, f, g, o], axis=1)
    return output, h, c, activated, cells


def lstm_backward(
    grad: Array, grad_h: Array, grad_c: Array, saved: LSTMSaved, sizes: Array, reverse: bool
) -> tuple[Array, Array, Array, Array]:
    """(dgates, dh0, dc0, dweight) for the gradients of output, h and c.

    With dh and dc gathered from later steps:  do = dh·tanh(c), dc += dh·o·(1 - tanh² c), di = dc·g,
    dg = dc·i, df = dc·c', each times the slope of its activation; then dh' = dgates weight, dc' = dc·f.
    """
    h0, c0, weight, output, activated, cells = saved
    xp, n = array_module(grad), h0.shape[1]
    dh, dc = grad_h.copy(), grad_c.copy()
    dgates = xp.empty_like(activated)
    earlier = previous(c0, cells, sizes, reverse)
    for step in steps(sizes, not reverse):
        rows = slice(step.stop - step.start)
        i, f, g, o = (activated[step, k * n : (k + 1) * n] for k in range(4))
        tanh_c = xp.tanh(cells[step])
        dh_t = dh[rows] + grad[step]
        dc_t = dc[rows] + dh_t * o * (1 - tanh_c * tanh_c)
        di, df, dg, do = dc_t * g, dc_t * earlier[step], dc_t * i, dh_t * tanh_c
        dgates[step] = xp.concatenate([di * i * (1 - i), df * f * (1 - f), dg * (1 - g * g), do * o * (1 - o)], axis=1)
        dh[rows] = dgates[step] @ weight
        dc[rows] = dc_t * f
    return dgates, dh, dc, dgates.T @ previous(h0, output, sizes, reverse)


def gru(
    gates: Array, h0: Array, weight: Array, bias: Array | None, sizes: Array, reverse: bool
) -> tuple[Array, Array, Array, Array]:
    """(output, h, activated, hidden): a gated recurrent unit, as PyTorch's (Cho et al. 2014).

        r, z = σ(...) of gates + h' weightᵀ + bias,  n = tanh(gates_n + r·hidden),  hidden = h' weight_nᵀ + bias_n
        h = (1 - z)·n + z·h'             in the order r, z, n

    gates (N, 3·hidden) are x W_ihᵀ + its bias, weight (3·hidden, hidden), bias (3·hidden,) or None.
    activated (N, 3·hidden) and hidden (N, hidden), r, z, n and the recurrent part of n, are for gru_backward.
    """
    xp, n = array_module(gates), h0.shape[1]
    h = h0.copy()
    output, activated, hidden = (xp.empty((len(gates), m), gates.dtype) for m in (n, 3 * n, n))
    for step in steps(sizes, reverse):
        rows = slice(step.stop - step.start)
        x, a = gates[step], h[rows] @ weight.T
        if bias is not None:
            a = a + bias
        r, z = _sigmoid(x[:, :n] + a[:, :n]), _sigmoid(x[:, n : 2 * n] + a[:, n : 2 * n])
        new = xp.tanh(x[:, 2 * n :] + r * a[:, 2 * n :])
        h[rows] = new + z * (h[rows] - new)
        output[step], hidden[step] = h[rows], a[:, 2 * n :]
        activated[step] = xp.concatenate([r, z, new], axis=1)
    return output, h, activated, hidden


def gru_backward(
    grad: Array, grad_h: Array, saved: GRUSaved, sizes: Array, reverse: bool
) -> tuple[Array, Array, Array, Array]:
    """(dgates, dh0, dweight, dbias) for the gradients of output and h.

    dn = dh·(1 - z)·(1 - n²), dz = dh·(h' - n)·z(1 - z), dr = dn·hidden·r(1 - r); the recurrent product sees
    dn·r in the place of dn, and dh' = dh·z + (that) weight.
    """
    h0, weight, output, activated, hidden = saved
    xp, n = array_module(grad), h0.shape[1]
    dh = grad_h.copy()
    dgates, drecurrent = xp.empty_like(activated), xp.empty_like(activated)
    earlier = previous(h0, output, sizes, reverse)
    for step in steps(sizes, not reverse):
        rows = slice(step.stop - step.start)
        r, z, new = (activated[step, k * n : (k + 1) * n] for k in range(3))
        dh_t = dh[rows] + grad[step]
        dn = dh_t * (1 - z) * (1 - new * new)
        dz = dh_t * (earlier[step] - new) * z * (1 - z)
        dr = dn * hidden[step] * r * (1 - r)
        dgates[step] = xp.concatenate([dr, dz, dn], axis=1)
        drecurrent[step] = xp.concatenate([dr, dz, dn * r], axis=1)
        dh[rows] = dh_t * z + drecurrent[step] @ weight
    return dgates, dh, drecurrent.T @ earlier, drecurrent.sum(0)


def rnn(gates: Array, h0: Array, weight: Array, sizes: Array, reverse: bool, relu: bool) -> tuple[Array, Array]:
    """(output, h): the plain recurrent network of Elman (1990), h = tanh(gates + h' weightᵀ), or relu(...).

    gates (N, hidden) are x W_ihᵀ + biases, weight (hidden, hidden), h0 (batch, hidden), which stays as it is.
    output (N, hidden) is h after every step; h (batch, hidden) is the last one of each sequence.
    """
    xp = array_module(gates)
    h = h0.copy()
    output = xp.empty_like(gates)
    for step in steps(sizes, reverse):
        rows = slice(step.stop - step.start)
        a = gates[step] + h[rows] @ weight.T
        h[rows] = output[step] = xp.maximum(a, 0) if relu else xp.tanh(a)
    return output, h


def rnn_backward(
    grad: Array, grad_h: Array, h0: Array, weight: Array, output: Array, sizes: Array, reverse: bool, relu: bool
) -> tuple[Array, Array, Array]:
    """(dgates, dh0, dweight) for the gradients of output and h: dgates = dh·(1 - h²), dh' = dgates weight.

    dh is gathered from the step's own grad and from the later steps, after the last of which it is grad_h. dweight is
    the sum over all rows of dgates times the state before; for relu the slope is 1 where h > 0, else 0.
    """
    xp = array_module(grad)
    dh = grad_h.copy()
    dgates = xp.empty_like(output)
    for step in steps(sizes, not reverse):
        rows = slice(step.stop - step.start)
        h = output[step]
        dgates[step] = (dh[rows] + grad[step]) * ((h > 0) if relu else (1 - h * h))
        dh[rows] = dgates[step] @ weight
    return dgates, dh, dgates.T @ previous(h0, output, sizes, reverse)


def steps(sizes: Array, reverse: bool) -> list[slice]:
    """The rows of each step as a slice, from the first step to the last, or back."""
    ends = np.cumsum(sizes).tolist()
    slices = [slice(end - size, end) for end, size in zip(ends, sizes.tolist(), strict=True)]
    return slices[::-1] if reverse else slices


def previous(initial: Array, states: Array, sizes: Array, reverse: bool) -> Array:
    """For every row of states (N, hidden), the state of the step before it, or its sequence's initial one."""
    result, now = array_module(states).empty(states.shape, states.dtype), initial.copy()
    for step in steps(sizes, reverse):
        rows = slice(step.stop - step.start)
        result[step] = now[rows]
        now[rows] = states[step]
    return result


def _sigmoid(x):
    """1 / (1 + e^-x), by way of tanh, which never overflows."""
    return 0.5 * (array_module(x).tanh(0.5 * x) + 1)
