"""Sequences of different lengths for the recurrent layers, under PyTorch's names.

    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    output, state = lstm(packed)
    output, lengths = pad_packed_sequence(output, batch_first=True)

Packed, the rows of all sequences at step 0 come first, then those at step 1, and so on, the longest
sequence first: every step is a block, and padding costs nothing.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from minigrad import Tensor, ops
from minigrad.devices import array_module
from minigrad.dtypes import FLOATING
from minigrad.tensor import unwrap


class PackedSequence(NamedTuple):
    """Sequences of different lengths, step by step.

    data              (N, ...), all rows of all sequences
    batch_sizes       (steps,), how many sequences have a row at each step; integers, on the CPU
    sorted_indices    (batch,), the original place of each sequence, longest first; None if they were sorted
    unsorted_indices  (batch,), the inverse
    """

    data: mg.Tensor
    batch_sizes: mg.Tensor
    sorted_indices: mg.Tensor | None = None
    unsorted_indices: mg.Tensor | None = None


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack the first lengths[i] rows of each sequence of input (time, batch, ...), or (batch, time, ...).

    enforce_sorted  the sequences come longest first; False sorts them, and everything that comes out of a
                    recurrent layer or of pad_packed_sequence is in the original order again
    """
    lengths = _lengths("pack_padded_sequence", lengths)
    time_axis, batch_axis = (1, 0) if batch_first else (0, 1)
    if input.ndim < 2 or len(lengths) != input.shape[batch_axis]:
        raise ValueError(f"pack_padded_sequence: {len(lengths)} lengths for input {input.shape}; expected one each")
    if lengths.max() > input.shape[time_axis]:
        raise ValueError(
            f"pack_padded_sequence: a length of {lengths.max()}, and input {input.shape} has {input.shape[time_axis]} "
            "steps"
        )
    order = None
    if not enforce_sorted:
        order = np.argsort(-lengths, kind="stable")
        lengths = lengths[order]
    elif (np.diff(lengths) > 0).any():
        raise ValueError(
            "pack_padded_sequence: the lengths must not grow: sort the sequences, longest first, or pass "
            "enforce_sorted=False"
        )
    steps, sequences = _places(lengths)
    sequences = sequences if order is None else order[sequences]
    rows = steps * input.shape[1] + sequences if not batch_first else sequences * input.shape[1] + steps
    data = _rows(ops.reshape(input, input.shape[0] * input.shape[1], *input.shape[2:]), rows)
    batch_sizes = mg.Tensor(_batch_sizes(lengths))
    if order is None:
        return PackedSequence(data, batch_sizes)
    return PackedSequence(data, batch_sizes, mg.Tensor(order), mg.Tensor(np.argsort(order)))


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """(padded, lengths): the inverse, (time, batch, ...) or (batch, time, ...) with padding_value behind each sequence.

    total_length  pad to this many steps, no fewer than the longest has
    """
    sizes = unwrap(sequence.batch_sizes)
    time, batch, count = len(sizes), int(sizes[0]), sequence.data.shape[0]
    if total_length is not None and total_length < time:
        raise ValueError(f"pad_packed_sequence: total_length={total_length}, and the longest sequence has {time} steps")
    lengths = (sizes[:, None] > np.arange(batch)).sum(0)
    steps, sequences = _places(lengths)
    rows = np.full((total_length or time, batch), count)  # the row behind the last is padding
    rows[steps, sequences] = np.arange(count)
    if sequence.unsorted_indices is not None:
        original = mg.tensor(sequence.unsorted_indices).numpy()
        rows, lengths = rows[:, original], lengths[original]
    rows = rows.T if batch_first else rows
    data = sequence.data
    padding = mg.full_like(data[:1].detach(), padding_value)
    padded = _rows(ops.cat([data, padding]), rows.reshape(-1))
    return ops.reshape(padded, *rows.shape, *data.shape[1:]), mg.Tensor(lengths)


def pad_sequence(
    sequences: Sequence, batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Sequences (length_i, ...) as one tensor (longest, batch, ...), or (batch, longest, ...)."""
    if padding_side not in ("left", "right"):
        raise ValueError(f"pad_sequence: padding_side={padding_side!r}; use 'left' or 'right'")
    lengths = np.array([len(sequence) for sequence in _some("pad_sequence", sequences)])
    count, batch = lengths.sum(), len(lengths)
    rows = np.full((batch, lengths.max()), count)
    first = np.concatenate([[0], np.cumsum(lengths)])
    for i, length in enumerate(lengths):
        place = slice(0, length) if padding_side == "right" else slice(rows.shape[1] - length, None)
        rows[i, place] = np.arange(first[i], first[i + 1])
    rows = rows if batch_first else rows.T
    padding = mg.full_like(mg.zeros_like(sequences[0][:1].detach()), padding_value)
    padded = _rows(ops.cat([*sequences, padding]), rows.reshape(-1))
    return ops.reshape(padded, *rows.shape, *sequences[0].shape[1:])


def pack_sequence(sequences: Sequence, enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences (length_i, ...); enforce_sorted as for pack_padded_sequence."""
    lengths = [len(sequence) for sequence in _some("pack_sequence", sequences)]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpad_sequence(padded_sequences: Tensor, lengths: Any, batch_first: bool = False) -> list:
    """The inverse of pad_sequence: a list of sequences (length_i, ...)."""
    lengths = _lengths("unpad_sequence", lengths)
    rows = padded_sequences if batch_first else ops.swapaxes(padded_sequences, 0, 1)
    return [rows[i, :length] for i, length in enumerate(lengths.tolist())]


def _places(lengths):
    """The step and the sequence of every packed row, for lengths that do not grow."""
    return np.nonzero(np.arange(lengths[0])[:, None] < lengths)


def _batch_sizes(lengths):
    return (np.arange(lengths[0])[:, None] < lengths).sum(1)


def _rows(x, rows):
    """x[rows], as an embedding looks them up: its gradient is the fast one."""
    rows = array_module(unwrap(x)).asarray(rows)
    if x.ndim == 2 and unwrap(x).dtype.kind in FLOATING:
        return ops.embedding(rows, x)
    return x[rows]


def _lengths(function: str, lengths):
    lengths = mg.tensor(lengths).numpy()
    if lengths.ndim != 1 or not lengths.size or lengths.dtype.kind not in "iu" or lengths.min() < 1:
        raise ValueError(f"{function}: lengths {lengths.tolist()}; expected a whole number above 0 for each sequence")
    return lengths.astype(np.int64)


def _some(function: str, sequences: Sequence) -> Sequence:
    if not len(sequences):
        raise ValueError(f"{function}: no sequences; expected one at least")
    return sequences
