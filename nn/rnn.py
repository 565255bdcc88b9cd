"""Recurrent layers and their cells: RNN (Elman 1990), LSTM (Hochreiter & Schmidhuber 1997), GRU (Cho et al. 2014).

Each step has a product with the input and one with the last state. The first does not depend on
the state, so it is made for all steps at once, as one large product; ops/recurrent.py does the rest.
"""

import math
from typing import Any

import numpy as np

import minigrad as mg
from minigrad import ops
from minigrad.devices import array_module
from minigrad.tensor import Tensor, unwrap
from nn import functional as F
from nn import init
from nn.checks import check_probability, check_sizes
from nn.module import Module, Parameter
from nn.utils.rnn import PackedSequence


class _Recurrent(Module):
    """What RNN, LSTM and GRU share; a subclass says how many gates a cell has and runs one direction of a layer."""

    gates: int
    states: int = 1  # tensors that go from step to step

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        dtype="float32",
    ):
        super().__init__()
        name = type(self).__name__
        check_sizes(name, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        check_probability(name, dropout)
        if min(input_size, hidden_size, num_layers) < 1:
            raise ValueError(f"{name}: sizes {input_size}, {hidden_size} and {num_layers} layers; expected 1 or more")
        if proj_size:
            raise ValueError(f"{name}: proj_size={proj_size} is not supported; put an nn.Linear behind the layer")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout, self.bidirectional = bias, batch_first, float(dropout), bidirectional
        for layer in range(num_layers):
            width = hidden_size * self._directions if layer else input_size
            for suffix in self._suffixes(layer):
                _add_parameters(self, self.gates * hidden_size, width, hidden_size, bias, suffix, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values, uniform on ±1/√hidden_size."""
        _reset(self)

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _suffixes(self, layer: int) -> list[str]:
        """What the parameter names of a layer end in, for each direction."""
        return [f"_l{layer}", f"_l{layer}_reverse"][: self._directions]

    def forward(self, input: Any, hx: Any = None, table: Tensor | None = None) -> tuple[Any, Any]:
        """(output, state) for input (time, batch, input_size); (batch, time, input_size) with batch_first.

        input   without a batch: (time, input_size); sequences of different lengths: a PackedSequence
        hx      the initial state (num_layers · directions, batch, hidden_size), 0 if not given; without a
                batch the middle dimension is missing. An LSTM takes and gives a pair (h, c).
        table   (vocabulary, input_size): input are then integer ids, one dimension less, and stand for its
                rows, as in an embedding. The product with the first layer's weight is made once a row of
                the table instead of once a step, where that is less work.

        output (time, batch, directions · hidden_size) is the last layer's h after every step, the two
        directions side by side; a PackedSequence for one. state is the one after each sequence's last step.
        """
        name = type(self).__name__
        if isinstance(input, PackedSequence):
            order, back = input.sorted_indices, input.unsorted_indices
            state = self._initial(hx, unwrap(input.batch_sizes)[0], input.data if table is None else table, order)
            rows, state = self._run(input.data, unwrap(input.batch_sizes), state, table)
            if back is not None:
                state = [s[:, unwrap(back)] for s in state]
            return input._replace(data=rows), self._packaged(state)
        dims = input.ndim + (table is not None)
        if dims not in (2, 3) or 0 in input.shape:
            expected = "(batch, time, input_size)" if self.batch_first else "(time, batch, input_size)"
            raise ValueError(f"{name}: input {input.shape}; expected {expected}, with one step at least")
        if dims == 2:  # one sequence
            input = ops.unsqueeze(input, 1)
            hx = hx if hx is None else self._packaged([ops.unsqueeze(s, 1) for s in self._pair(hx)])
        elif self.batch_first:
            input = ops.swapaxes(input, 0, 1)
        time, batch = input.shape[:2]
        rows = ops.reshape(input, time * batch, *input.shape[2:])
        state = self._initial(hx, batch, input if table is None else table)
        rows, state = self._run(rows, np.full(time, batch), state, table)
        output = ops.reshape(rows, time, batch, -1)
        if dims == 2:
            return output[:, 0], self._packaged([s[:, 0] for s in state])
        return ops.swapaxes(output, 0, 1) if self.batch_first else output, self._packaged(state)

    def _run(self, rows, sizes, state, table):
        """All layers: packed rows in, packed rows and the list of last states out."""
        width = (rows if table is None else table).shape[-1]
        if width != self.input_size:
            raise ValueError(f"{type(self).__name__}: an input {width} wide; expected input_size={self.input_size}")
        last = []
        for layer in range(self.num_layers):
            outputs = []
            for direction, suffix in enumerate(self._suffixes(layer)):
                gates = self._input_gates(rows, suffix, None if layer else table)
                initial = [s[layer * self._directions + direction] for s in state]
                output, *ended = self._direction(gates, initial, sizes, suffix, reverse=direction == 1)
                outputs.append(output)
                last.append(ended)
            rows = outputs[0] if len(outputs) == 1 else ops.cat(outputs, 1)
            if layer < self.num_layers - 1:
                rows = F.dropout(rows, self.dropout, self.training)
        return rows, [ops.stack(s) for s in zip(*last, strict=True)]

    def _input_gates(self, rows, suffix: str, table):
        """The product with the inputs of every step, (N, gates · hidden_size), and what biases belong to it."""
        weight, bias = getattr(self, f"weight_ih{suffix}"), self._input_bias(suffix)
        if table is None:
            return F.linear(rows, weight, bias)
        if table.shape[0] < rows.shape[0]:
            return F.embedding(rows, F.linear(table, weight, bias))
        return F.linear(F.embedding(rows, table), weight, bias)

    def _input_bias(self, suffix: str):
        if not self.bias:
            return None
        return getattr(self, f"bias_ih{suffix}") + getattr(self, f"bias_hh{suffix}")

    def _direction(self, gates, state, sizes, suffix: str, reverse: bool):
        """One direction of one layer: (output, *last state)."""
        raise NotImplementedError

    def _initial(self, hx, batch: int, like, order=None):
        """The initial states, checked, with the batch sorted as the sequences are."""
        shape = (self.num_layers * self._directions, int(batch), self.hidden_size)
        if hx is None:
            array = unwrap(like)
            return [mg.Tensor(array_module(array).zeros(shape, array.dtype))] * self.states
        state = self._pair(hx)
        for s in state:
            if tuple(s.shape) != shape:
                raise ValueError(f"{type(self).__name__}: initial state {tuple(s.shape)}; expected {shape}")
        return state if order is None else [s[:, unwrap(order)] for s in state]

    def _pair(self, hx) -> list:
        """The state as a list of tensors."""
        if self.states == 1:
            return [hx]
        if not isinstance(hx, (tuple, list)) or len(hx) != self.states:
            raise TypeError(f"{type(self).__name__}: an initial state {type(hx).__name__}; expected a pair (h, c)")
        return list(hx)

    def _packaged(self, state: list):
        """The state as the caller sees it."""
        return state[0] if self.states == 1 else tuple(state)

    def extra_repr(self) -> str:
        options = f", num_layers={self.num_layers}" if self.num_layers > 1 else ""
        options += ", bias=False" if not self.bias else ""
        options += ", batch_first=True" if self.batch_first else ""
        options += f", dropout={self.dropout}" if self.dropout else ""
        options += ", bidirectional=True" if self.bidirectional else ""
        return f"{self.input_size}, {self.hidden_size}{options}"


class LSTM(_Recurrent):
    """Long short-term memory, as torch.nn.LSTM: layers, directions, and dropout between the layers.

        i, f, o = σ(x W_ihᵀ + b_ih + h W_hhᵀ + b_hh),  g = tanh(likewise)
        c = f·c + i·g,  h = o·tanh(c)

    weight_ih_l0 (4·hidden_size, input_size), weight_hh_l0 (4·hidden_size, hidden_size), bias_ih_l0 and
    bias_hh_l0 (4·hidden_size,) hold i, f, g, o one below the other; later layers read the h of the one
    before. Gers, Schmidhuber & Cummins 2000, "Learning to Forget", section 3.
    """

    gates, states = 4, 2

    def _direction(self, gates, state, sizes, suffix, reverse):
        return ops.lstm(gates, *state, getattr(self, f"weight_hh{suffix}"), sizes, reverse)


class GRU(_Recurrent):
    """Gated recurrent unit, as torch.nn.GRU: layers, directions, and dropout between the layers.

        r, z = σ(x W_ihᵀ + b_ih + h W_hhᵀ + b_hh)
        n = tanh(x W_inᵀ + b_in + r·(h W_hnᵀ + b_hn)),  h = (1 - z)·n + z·h

    Parameters as for LSTM, with r, z, n one below the other: (3·hidden_size, ...).
    Cho et al. 2014, "Learning Phrase Representations using RNN Encoder-Decoder", section 2.3, with r
    behind the product as in cuDNN and PyTorch.
    """

    gates = 3

    def _input_bias(self, suffix):
        return getattr(self, f"bias_ih{suffix}") if self.bias else None

    def _direction(self, gates, state, sizes, suffix, reverse):
        bias = getattr(self, f"bias_hh{suffix}") if self.bias else None
        return ops.gru(gates, *state, getattr(self, f"weight_hh{suffix}"), bias, sizes, reverse)


class RNN(_Recurrent):
    """The plain recurrent network h = tanh(x W_ihᵀ + b_ih + h W_hhᵀ + b_hh), or relu, as torch.nn.RNN.

    Parameters as for LSTM: (hidden_size, ...). Elman 1990, "Finding Structure in Time".
    """

    gates = 1

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh", **options):
        _check_nonlinearity("RNN", nonlinearity)
        self.nonlinearity = nonlinearity
        super().__init__(input_size, hidden_size, num_layers, **options)

    def _direction(self, gates, state, sizes, suffix, reverse):
        return ops.rnn(gates, *state, getattr(self, f"weight_hh{suffix}"), sizes, reverse, self.nonlinearity)

    def extra_repr(self) -> str:
        relu = ", nonlinearity='relu'" if self.nonlinearity == "relu" else ""
        return super().extra_repr() + relu


class _Cell(Module):
    """What RNNCell, LSTMCell and GRUCell share."""

    gates: int

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, dtype="float32"):
        super().__init__()
        check_sizes(type(self).__name__, input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        _add_parameters(self, self.gates * hidden_size, input_size, hidden_size, bias, "", dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values, uniform on ±1/√hidden_size."""
        _reset(self)

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """The next state (batch, hidden_size) for input (batch, input_size) and the last state, 0 if not given.

        Without a batch: (hidden_size,) for (input_size,). An LSTMCell takes and gives a pair (h, c).
        """
        name = type(self).__name__
        if input.ndim not in (1, 2) or input.shape[-1] != self.input_size:
            raise ValueError(f"{name}: input {input.shape}; expected (batch, input_size) or (input_size,)")
        shape = (*input.shape[:-1], self.hidden_size)
        if hx is None:
            array = unwrap(input)
            state = [mg.Tensor(array_module(array).zeros(shape, array.dtype))] * 2
        else:
            state = list(hx) if isinstance(hx, (tuple, list)) else [hx]
        for s in state:
            if tuple(s.shape) != shape:
                raise ValueError(f"{name}: state {tuple(s.shape)} for input {input.shape}; expected {shape}")
        if input.ndim == 1:
            return self._unbatched(self._step(input[None], [s[None] for s in state]))
        return self._step(input, state)

    def _step(self, input, state):
        raise NotImplementedError

    def _unbatched(self, state):
        return tuple(s[0] for s in state) if isinstance(state, tuple) else state[0]

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class LSTMCell(_Cell):
    """One step of an LSTM, as torch.nn.LSTMCell: (h, c) for input and (h, c)."""

    gates = 4

    def _step(self, input, state):
        gates = F.linear(input, self.weight_ih, self.bias_ih + self.bias_hh if self.bias else None)
        return ops.lstm(gates, *state, self.weight_hh, [len(input)])[1:]


class GRUCell(_Cell):
    """One step of a GRU, as torch.nn.GRUCell: h for input and h."""

    gates = 3

    def _step(self, input, state):
        gates = F.linear(input, self.weight_ih, self.bias_ih if self.bias else None)
        return ops.gru(gates, state[0], self.weight_hh, self.bias_hh if self.bias else None, [len(input)])[1]


class RNNCell(_Cell):
    """One step of a plain recurrent network, as torch.nn.RNNCell: h for input and h."""

    gates = 1

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", **options):
        _check_nonlinearity("RNNCell", nonlinearity)
        self.nonlinearity = nonlinearity
        super().__init__(input_size, hidden_size, bias, **options)

    def _step(self, input, state):
        gates = F.linear(input, self.weight_ih, self.bias_ih + self.bias_hh if self.bias else None)
        return ops.rnn(gates, state[0], self.weight_hh, [len(input)], nonlinearity=self.nonlinearity)[1]


def _add_parameters(module: Module, rows: int, width: int, hidden_size: int, bias: bool, suffix: str, dtype) -> None:
    """weight_ih, weight_hh, bias_ih and bias_hh with a suffix, yet without values."""
    setattr(module, f"weight_ih{suffix}", Parameter(mg.empty(rows, width, dtype=dtype)))
    setattr(module, f"weight_hh{suffix}", Parameter(mg.empty(rows, hidden_size, dtype=dtype)))
    if bias:
        setattr(module, f"bias_ih{suffix}", Parameter(mg.empty(rows, dtype=dtype)))
        setattr(module, f"bias_hh{suffix}", Parameter(mg.empty(rows, dtype=dtype)))


def _reset(module) -> None:
    bound = 1 / math.sqrt(module.hidden_size)
    for parameter in module.parameters():
        init.uniform_(parameter, -bound, bound)


def _check_nonlinearity(layer: str, nonlinearity: str) -> None:
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"{layer}: nonlinearity={nonlinearity!r}; use 'tanh' or 'relu'")
