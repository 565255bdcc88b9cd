"""Recurrent layers and packed sequences beyond the table of cases: shapes, errors, round trips, dropout, kernels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
import nn
from minigrad import kernels
from nn.utils.rnn import (
    PackedSequence,
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    pad_sequence,
    unpad_sequence,
)

lengths = st.lists(st.integers(1, 6), min_size=1, max_size=5)
LAYERS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


def of_lengths(sizes, *trailing):
    random = np.random.default_rng(0)
    return [mg.tensor(random.standard_normal((n, *trailing)), requires_grad=True) for n in sizes]


# Packing.


@given(lengths, st.booleans(), st.sampled_from([(), (2,), (2, 3)]), st.integers(0, 3))
def test_packing_and_padding_are_inverse(sizes, batch_first, trailing, extra):
    sequences = of_lengths(sizes, *trailing)
    padded = pad_sequence(sequences, batch_first, padding_value=7.0)
    packed = pack_padded_sequence(padded, sizes, batch_first, enforce_sorted=False)
    assert packed.data.shape == (sum(sizes), *trailing)
    assert packed.batch_sizes.tolist() == [sum(n > t for n in sizes) for t in range(max(sizes))]
    back, found = pad_packed_sequence(packed, batch_first, padding_value=7.0, total_length=max(sizes) + extra)
    assert found.tolist() == sizes
    time = 1 if batch_first else 0
    assert back.shape[time] == max(sizes) + extra
    kept = back[:, : max(sizes)] if batch_first else back[: max(sizes)]
    np.testing.assert_array_equal(kept.detach().numpy(), padded.detach().numpy())
    for ours, original in zip(unpad_sequence(back, sizes, batch_first), sequences, strict=True):
        np.testing.assert_array_equal(ours.detach().numpy(), original.detach().numpy())
    upstream = np.random.default_rng(1).standard_normal(back.shape)
    back.backward(mg.tensor(upstream))
    for i, (sequence, n) in enumerate(zip(sequences, sizes, strict=True)):  # padding takes no gradient
        expected = upstream[i, :n] if batch_first else upstream[:n, i]
        np.testing.assert_allclose(sequence.grad.numpy(), expected)


@given(lengths)
def test_left_padding(sizes):
    padded = pad_sequence(of_lengths(sizes), batch_first=True, padding_value=9.0, padding_side="left").detach().numpy()
    for row, sequence in zip(padded, of_lengths(sizes), strict=True):
        np.testing.assert_array_equal(row[len(row) - len(sequence) :], sequence.detach().numpy())
        assert (row[: len(row) - len(sequence)] == 9).all()


def test_what_packing_refuses():
    x = mg.zeros(3, 2, 4)
    for sizes, message in [
        ([1, 2], "the lengths must not grow: sort the sequences, longest first, or pass enforce_sorted=False"),
        ([3, 0], r"lengths \[3, 0\]; expected a whole number above 0 for each"),
        ([4, 1], r"a length of 4, and input \(3, 2, 4\) has 3 steps"),
        ([3], r"1 lengths for input \(3, 2, 4\); expected one each"),
        ([1.5, 1.0], "expected a whole number"),
    ]:
        with pytest.raises(ValueError, match=message):
            pack_padded_sequence(x, sizes)
    with pytest.raises(ValueError, match="total_length=2, and the longest sequence has 3 steps"):
        pad_packed_sequence(pack_padded_sequence(x, [3, 2]), total_length=2)
    with pytest.raises(ValueError, match="no sequences; expected one at least"):
        pack_sequence([])
    with pytest.raises(ValueError, match="padding_side='top'"):
        pad_sequence([mg.zeros(2)], padding_side="top")


@given(lengths, st.sampled_from(list(LAYERS)), st.booleans())
def test_packed_sequences_do_not_touch_each_other(sizes, kind, bidirectional):
    """Each sequence alone gives what it gives in the batch, both ways and through two layers."""
    layer = LAYERS[kind](3, 4, 2, bidirectional=bidirectional).double()
    sequences = of_lengths(sizes, 3)
    packed, state = layer(pack_sequence(sequences, enforce_sorted=False))
    together, _ = pad_packed_sequence(packed)
    state = state if isinstance(state, tuple) else (state,)
    for i, sequence in enumerate(sequences):
        alone, end = layer(sequence)
        np.testing.assert_allclose(together[: sizes[i], i].detach().numpy(), alone.detach().numpy(), atol=1e-12)
        for one, all_of_them in zip(end if isinstance(end, tuple) else (end,), state, strict=True):
            np.testing.assert_allclose(all_of_them[:, i].detach().numpy(), one.detach().numpy(), atol=1e-12)


# The layers.


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.LSTM(3, 4)(mg.zeros(2, 2, 5)), "LSTM: an input 5 wide; expected input_size=3"),
        (lambda: nn.GRU(3, 4)(mg.zeros(3)), r"GRU: input \(3,\); expected \(time, batch, input_size\)"),
        (lambda: nn.GRU(3, 4, batch_first=True)(mg.zeros(2, 0, 3)), r"expected \(batch, time, input_size\), with one"),
        (lambda: nn.RNN(3, 4)(mg.zeros(2, 2, 3), mg.zeros(1, 3, 4)), r"state \(1, 3, 4\); expected \(1, 2, 4\)"),
        (lambda: nn.LSTM(3, 4, proj_size=2), "proj_size=2 is not supported; put an nn.Linear behind the layer"),
        (lambda: nn.LSTM(3, 0), "expected 1 or more"),
        (lambda: nn.LSTM(3, 4, dropout=1.5), "p=1.5"),
        (lambda: nn.RNN(3, 4, nonlinearity="sin"), "nonlinearity='sin'; use 'tanh' or 'relu'"),
        (lambda: nn.GRUCell(3, 4)(mg.zeros(2, 5)), r"input \(2, 5\); expected \(batch, input_size\)"),
        (lambda: nn.RNNCell(3, 4)(mg.zeros(2, 3), mg.zeros(2, 5)), r"state \(2, 5\) for input \(2, 3\); expected"),
        (lambda: mg.lstm(mg.zeros(3, 8), *[mg.zeros(2, 2)] * 2, mg.zeros(8, 2), [1, 2]), "that never grow"),
        (lambda: mg.gru(mg.zeros(3, 6), mg.zeros(2, 2), mg.zeros(6, 2), None, [2, 2]), "3 rows of gates for .* 4 rows"),
        (lambda: mg.rnn(mg.zeros(3, 2), mg.zeros(2, 2), mg.zeros(2, 3), [2, 1]), r"weight \(2, 3\); expected"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_lstm_wants_a_pair():
    with pytest.raises(TypeError, match=r"an initial state Tensor; expected a pair \(h, c\)"):
        nn.LSTM(3, 4)(mg.zeros(2, 2, 3), mg.zeros(1, 2, 4))


@pytest.mark.parametrize("kind", LAYERS)
def test_dropout_lies_between_the_layers_only(kind):
    x = mg.randn(5, 2, 3)
    one, two = LAYERS[kind](3, 4, 1, dropout=0.9), LAYERS[kind](3, 4, 2, dropout=0.9)
    assert (one(x)[0] == one(x)[0]).all()
    assert (two(x)[0] != two(x)[0]).any()
    two.eval()
    assert (two(x)[0] == two(x)[0]).all()


def test_repr_says_what_it_is():
    assert repr(nn.LSTM(3, 4)) == "LSTM(3, 4)"
    assert repr(nn.GRU(3, 4, 2, bias=False, batch_first=True, dropout=0.1, bidirectional=True)) == (
        "GRU(3, 4, num_layers=2, bias=False, batch_first=True, dropout=0.1, bidirectional=True)"
    )
    assert repr(nn.LSTMCell(3, 4, bias=False)) == "LSTMCell(3, 4, bias=False)"


@pytest.mark.parity
@pytest.mark.parametrize("kind", LAYERS)
def test_a_size_that_the_fast_kernels_take(kind):
    """Bidirectional, packed, two layers, in float32 through numba, against PyTorch: all outputs, all gradients."""
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn, kind.upper())(20, 40, 2, bidirectional=True)
    ours = LAYERS[kind](20, 40, 2, bidirectional=True)
    ours.load_state_dict(theirs.state_dict())
    x, sizes = np.random.default_rng(0).standard_normal((9, 30, 20)).astype("float32"), [9] * 20 + list(range(1, 11))
    sizes = [min(n, 9) for n in sizes]
    results = []
    for module, tensor, tools in ((ours, mg.tensor, nn.utils.rnn), (theirs, torch.tensor, torch.nn.utils.rnn)):
        leaf = tensor(x, requires_grad=True)
        with kernels.use("numba"), kernels.strict():
            packed, state = module(tools.pack_padded_sequence(leaf, sizes, enforce_sorted=False))
            output = tools.pad_packed_sequence(packed)[0]
            states = state if isinstance(state, tuple) else (state,)
            loss = (output * output).sum() + sum((s * s * s).sum() for s in states)
            loss.backward()
        results.append([output, *states, leaf.grad, *(p.grad for p in module.parameters())])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-3, atol=2e-4)


@pytest.mark.parity
def test_packed_sequences_hold_what_pytorchs_hold():
    torch = pytest.importorskip("torch")
    x, sizes = np.random.default_rng(0).standard_normal((4, 3, 2)), [2, 4, 1]
    ours = pack_padded_sequence(mg.tensor(x), sizes, enforce_sorted=False)
    theirs = torch.nn.utils.rnn.pack_padded_sequence(torch.tensor(x), sizes, enforce_sorted=False)
    assert isinstance(ours, PackedSequence)
    assert ours._fields == theirs._fields
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
