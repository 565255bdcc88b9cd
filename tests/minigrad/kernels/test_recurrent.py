"""lstm, gru and rnn: numba against reference on packed sequences of all kinds, and in both directions."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import kernels, threads
from minigrad.kernels.reference import recurrent as reference
from tests.minigrad.kernels.implementations import others, run

BACKENDS = [b for b in kernels.lstm.implementations if b == "numba"]
SIZES = [[1], [1, 1, 1], [3, 3, 2], [2, 1, 1, 1, 1], [26, 26, 9, 1], [31] * 3]
HIDDEN = [1, 5, 32, 33, 70]


def calls(hidden, sizes, reverse, seed=0):
    """(name, arguments) of every kernel, backward with what the reference's forward gave."""
    random, sizes = np.random.default_rng(seed), np.array(sizes)
    rows, batch = sizes.sum(), sizes[0]

    def normal(*shape):
        return random.standard_normal(shape, np.float32)

    def weight(gates):
        return normal(gates * hidden, hidden) / np.float32(np.sqrt(hidden))

    h0, c0, grad, grad_h, grad_c = (normal(n, hidden) for n in (batch, batch, rows, batch, batch))
    lstm = normal(rows, 4 * hidden), h0, c0, weight(4), sizes, reverse
    yield "lstm", lstm
    output, _, _, activated, cells = reference.lstm(*lstm)
    saved = reference.LSTMSaved(h0, c0, lstm[3], output, activated, cells)
    yield "lstm_backward", (grad, grad_h, grad_c, saved, sizes, reverse)
    for bias in (None, normal(3 * hidden)):
        gru = normal(rows, 3 * hidden), h0, weight(3), bias, sizes, reverse
        yield "gru", gru
        output, _, activated, recurrent = reference.gru(*gru)
    saved = reference.GRUSaved(h0, gru[2], output, activated, recurrent)
    yield "gru_backward", (grad, grad_h, saved, sizes, reverse)
    for relu in (False, True):
        rnn = normal(rows, hidden), h0, weight(1), sizes, reverse, relu
        yield "rnn", rnn
        yield "rnn_backward", (grad, grad_h, h0, rnn[2], reference.rnn(*rnn)[0], sizes, reverse, relu)


def flat(arguments):
    """With the arrays of a NamedTuple in its place."""
    return [each for x in arguments for each in (x if isinstance(x, tuple) else (x,))]


def compare(backend, name, arguments):
    before = copy.deepcopy(arguments)
    actual, expected = run(backend, name, *arguments), getattr(reference, name)(*arguments)
    for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
        assert a.dtype == e.dtype == np.float32
        assert a.shape == e.shape
        np.testing.assert_allclose(a, e, rtol=2e-4, atol=5e-5, err_msg=f"{name}, result {i}")
    for x, y in zip(flat(arguments), flat(before), strict=True):
        if isinstance(x, np.ndarray):
            np.testing.assert_array_equal(x, y, err_msg=f"{name} writes into its arguments")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_matches_reference(backend, hidden, sizes, reverse):
    for name, arguments in calls(hidden, sizes, reverse):
        compare(backend, name, arguments)


@pytest.mark.parametrize("backend", [p for p in others("lstm") if "numba" not in p.values])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sizes", SIZES[1:5], ids=str)
def test_cuda_matches_reference(backend, sizes, reverse):
    for name, arguments in calls(21, sizes, reverse):
        if "cuda" in getattr(kernels, name).implementations:
            compare(backend, name, arguments)


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=6).map(lambda sizes: sorted(sizes, reverse=True)),
    st.integers(1, 75),
    st.booleans(),
    st.integers(0, 1000),
)
def test_matches_reference_property(sizes, hidden, reverse, seed):
    for backend in BACKENDS:
        for name, arguments in calls(hidden, sizes, reverse, seed):
            compare(backend, name, arguments)


@pytest.mark.parametrize("backend", BACKENDS)
def test_any_strides(backend):
    def strided(x):
        if isinstance(x, tuple):
            return x._make(map(strided, x))
        if not isinstance(x, np.ndarray) or x.dtype != np.float32:
            return x
        return np.repeat(x, 2, axis=-1)[..., ::2] if x.ndim == 1 else np.asfortranarray(x)

    for name, arguments in calls(20, [5, 3, 1], False):
        compare(backend, name, tuple(map(strided, arguments)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_saturated_gates_and_what_is_no_number(backend):
    for name, arguments in calls(6, [3, 3], False):
        if "backward" in name:
            continue
        gates, *rest = arguments
        compare(backend, name, (np.where(gates > 0, np.float32(200), np.float32(-200)), *rest))
        gates = gates.copy()
        gates[0] = np.nan
        output = run(backend, name, gates, *rest)[0]
        assert np.isnan(output[[0, 3]]).all()  # the sequence it is in, from there on
        assert np.isfinite(output[[1, 2, 4, 5]]).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_number_of_threads_changes_nothing(backend):
    before = threads.get_num_threads()
    try:
        for name, arguments in calls(33, [27, 26, 4], True):
            results = []
            for count in (1, 2):
                threads.set_num_threads(count)
                results.append(run(backend, name, *arguments))
            for one, two in zip(*results, strict=True):
                np.testing.assert_array_equal(one, two, err_msg=name)
    finally:
        threads.set_num_threads(before)


def test_single_steps_are_not_worth_packing_a_weight():
    """Generation: one step at a time, with a weight that would take longer to pack than to read."""
    gates, state, weight = (np.zeros(shape, np.float32) for shape in ((50, 2048), (50, 512), (2048, 512)))
    single, many = np.full(1, 50), np.full(10, 5)
    assert kernels.lstm.choose(gates, state, state, weight, single, False) is reference.lstm
    assert kernels.lstm.choose(gates, state[:5], state[:5], weight, many, False) is not reference.lstm


@pytest.mark.parametrize("name", ["lstm_backward", "gru_backward"])
def test_what_forward_saved_counts_among_the_arguments(name):
    """A single float64 array in it: numba's version, which is for float32, must not take the call."""
    (arguments,) = (given for called, given in calls(33, [31] * 9, False) if called == name)
    kernel = getattr(kernels, name)
    if BACKENDS:
        assert kernel.choose(*arguments) is not getattr(reference, name)
    *grads, saved, sizes, reverse = arguments
    for field in saved._fields:
        wide = saved._replace(**{field: getattr(saved, field).astype(np.float64)})
        assert kernel.choose(*grads, wide, sizes, reverse) is getattr(reference, name)
