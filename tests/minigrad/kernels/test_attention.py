"""Attention: every implementation against reference; reference by a formula, finite differences and torch."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import kernels
from minigrad.kernels.cuda import attention as cuda_attention
from minigrad.kernels.cuda import emulator, load
from minigrad.kernels.reference import attention as reference
from minigrad.kernels.reference.attention import AttentionSettings
from minigrad.kernels.reference.dropout import dropout
from tests.minigrad.kernels.implementations import others, run

INF = np.inf
EVERY = pytest.mark.parametrize("backend", others("attention"))


def inputs(batch, heads, kv_heads, query_time, key_time, head_dim, value_dim, seed=0, dtype=np.float32):
    """q, k, v and an upstream gradient."""
    rng = np.random.default_rng(seed)
    shapes = [
        (batch, heads, query_time, head_dim),
        (batch, kv_heads, key_time, head_dim),
        (batch, kv_heads, key_time, value_dim),
        (batch, heads, query_time, value_dim),
    ]
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def check(backend, q, k, v, grad, mask=None, offset=None, scale=0.3, p=0.0, seed=5, atol=1e-5):
    """Both kernels against the reference in float64; the arguments stay as they were."""
    settings = AttentionSettings(offset, scale, p, seed)
    arguments = (mask, settings)
    before = [x.copy() for x in (q, k, v, grad)]
    wide, exact = [x.astype(np.float64) for x in (q, k, v)], (mask, settings._replace(seed=int(seed)))
    expected_out, expected_lse = reference.attention(*wide, *exact)
    expected = reference.attention_backward(grad.astype(np.float64), *wide, expected_out, expected_lse, *exact)
    out, lse = run(backend, "attention", q, k, v, *arguments)
    gradients = run(backend, "attention_backward", grad, q, k, v, out, lse, *arguments)
    close(out, expected_out, atol)
    close(lse, expected_lse, atol)
    for actual, wanted in zip(gradients, expected, strict=True):
        close(actual, wanted, 5 * atol)
    for array in (out, *gradients):
        assert array[:1, :, :1].flags.c_contiguous  # heads inside time
    for x, old in zip((q, k, v, grad), before, strict=True):
        np.testing.assert_array_equal(x, old)


def close(actual, expected, atol):
    assert actual.dtype == np.float32
    assert actual.shape == expected.shape
    # Long sums of float32 lose digits in proportion to the largest term, not to their own value.
    finite = expected[np.isfinite(expected)]
    atol *= max(1.0, np.abs(finite).max(initial=0))
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=atol)


SHAPES = [  # batch, heads, kv heads, query time, key time, head_dim, value_dim
    (2, 3, 3, 64, 64, 32, 32),
    (1, 2, 2, 128, 128, 64, 64),
    (1, 1, 1, 130, 257, 16, 48),
    (2, 4, 2, 70, 133, 17, 9),
    (1, 6, 1, 33, 65, 1, 1),
    (1, 1, 1, 200, 5, 256, 100),
    (3, 1, 1, 5, 300, 80, 80),
    (1, 5, 5, 129, 129, 24, 24),
    (2, 4, 2, 1, 513, 64, 64),  # decoding
    (1, 3, 3, 4, 7, 5, 3),
]
ZERO_SIZE = [
    (0, 2, 2, 3, 4, 8, 8),
    (2, 0, 0, 3, 4, 8, 8),
    (1, 2, 1, 0, 4, 8, 8),
    (1, 2, 1, 9, 0, 8, 8),
    (1, 2, 1, 2, 0, 8, 8),
    (1, 2, 1, 9, 4, 0, 8),
    (1, 2, 1, 9, 4, 8, 0),
]


@EVERY
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", SHAPES + ZERO_SIZE, ids=str)
def test_matches_reference(backend, shape, causal):
    query_time, key_time = shape[3:5]
    if shape[5] > 128 and backend != "numba":
        with pytest.raises(kernels.KernelFallback, match="head_dim 256: our kernels take up to 128"):
            check(backend, *inputs(*shape))
        return
    check(backend, *inputs(*shape), offset=key_time - query_time if causal else None)


@pytest.mark.emulator
@pytest.mark.parametrize("order", emulator.ORDERS)
@pytest.mark.parametrize("offset", [None, -2, 5])
def test_the_first_step_of_the_ladder(order, offset):
    """attention_naive, which no function uses: the lesson starts with it."""
    q, k, v, _ = inputs(2, 2, 1, 9, 140, 20, 12)
    mask = np.random.default_rng(1).random((9, 140)) < 0.7
    settings = AttentionSettings(offset, 0.3, 0.2, 7)
    expected_out, expected_lse = reference.attention(q, k, v, mask, settings)
    out, lse = np.full_like(expected_out, np.nan), np.full_like(expected_lse, np.nan)
    problem, extras = cuda_attention._problem({"q": q, "k": k, "v": v, "out": out}, mask, settings)
    with emulator.order(order):
        module = load("attention.cu", {"HEAD_DIM": 32})
        module.launch("attention_naive", lse.size, 128, (problem, q, k, v, *extras, out, lse), 4 * k.shape[2])
    close(out, expected_out, 1e-5)
    close(lse, expected_lse, 1e-5)


@EVERY
@pytest.mark.parametrize("offset", [-1000, -64, -3, 0, 1, 63, 64, 1000])
@pytest.mark.parametrize("query_time", [3, 150])
def test_every_causal_offset(backend, query_time, offset):
    check(backend, *inputs(1, 2, 2, query_time, 140, 20, 20), offset=offset)


MASK_SHAPES = [
    (2, 4, 70, 90),
    (2, 1, 1, 90),
    (1, 4, 70, 1),
    (70, 90),
    (90,),
    (1, 1, 70, 90),
    (1, 1, 1, 1),
]


@EVERY
@pytest.mark.parametrize("offset", [None, 5])
@pytest.mark.parametrize("shape", MASK_SHAPES, ids=str)
def test_masks_broadcast(backend, shape, offset):
    arrays = inputs(2, 4, 2, 70, 90, 24, 24)
    rng = np.random.default_rng(1)
    check(backend, *arrays, mask=rng.random(shape) < 0.7, offset=offset)
    check(backend, *arrays, mask=rng.standard_normal(shape).astype(np.float32), offset=offset)
    decoding = [x[:, :, -2:] if x.shape[2] == 70 else x for x in arrays]
    if shape[-2:] != (70, 90) and shape[-2:] != (70, 1):
        check(backend, *decoding, mask=rng.random(shape) < 0.7, offset=offset)


@st.composite
def problems(draw):
    kv_heads, group = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    batch = draw(st.integers(1, 2))
    query_time, key_time = draw(st.integers(1, 150)), draw(st.integers(1, 150))
    head_dim, value_dim = draw(st.integers(1, 70)), draw(st.integers(1, 40))
    seed = draw(st.integers(0, 2**63))
    rng = np.random.default_rng(seed)

    def array(heads, time, dim):
        layout = draw(st.sampled_from(["heads first", "time first", "packed", "every second", "reversed", "columns"]))
        if layout == "heads first":
            return rng.standard_normal((batch, heads, time, dim), np.float32)
        if layout == "time first":
            return rng.standard_normal((batch, time, heads, dim), np.float32).swapaxes(1, 2)
        if layout == "packed":
            return rng.standard_normal((batch, time, 3, heads, dim), np.float32)[:, :, 1].swapaxes(1, 2)
        if layout == "every second":
            return rng.standard_normal((batch, heads, 2 * time, 2 * dim), np.float32)[:, :, ::2, ::2]
        if layout == "reversed":
            return rng.standard_normal((batch, heads, time, dim), np.float32)[:, ::-1, ::-1]
        return rng.standard_normal((batch, heads, dim, time), np.float32).swapaxes(2, 3)

    heads = kv_heads * group
    q, k = array(heads, query_time, head_dim), array(kv_heads, key_time, head_dim)
    v, grad = array(kv_heads, key_time, value_dim), array(heads, query_time, value_dim)
    mask = None
    kind = draw(st.sampled_from(["none", "bool", "float"]))
    if kind != "none":
        full = (batch, heads, query_time, key_time)
        shape = [n if draw(st.booleans()) else 1 for n in full]
        mask = rng.random(shape) < 0.8 if kind == "bool" else rng.standard_normal(shape).astype(np.float32)
    offset = draw(st.none() | st.integers(-key_time, key_time))
    p = draw(st.sampled_from([0.0, 0.0, 0.1, 0.5, 1.0]))
    return q, k, v, grad, mask, offset, 1 / np.sqrt(head_dim), p, seed


@EVERY
@given(problems())
def test_matches_reference_for_any_problem(backend, problem):
    check(backend, *problem)


@EVERY
def test_one_key_value_head_split_between_workers(backend):
    """Fewer heads than threads, so that dq comes from shares of the keys."""
    check(backend, *inputs(1, 3, 1, 140, 600, 20, 32), offset=400)
    check(backend, *inputs(3, 1, 1, 64, 300, 32, 32), offset=None)


@pytest.mark.parametrize("backend", [p for p in others("attention") if "numba" not in p.values])
@pytest.mark.parametrize("shape", [(1, 2, 1, 40, 50, 16, 16), (1, 2, 1, 1, 300, 16, 16)], ids=str)
def test_a_seed_in_memory(backend, shape):
    check(backend, *inputs(*shape), p=0.3, seed=np.array(2**63 + 5, np.uint64))


# ---- extreme values ------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("query_time", [2, 80])
def test_large_scores(backend, query_time):
    q, k, v, grad = inputs(1, 2, 2, query_time, 100, 16, 16)
    q, k = np.round(2 * q), np.round(2 * k)  # integers, so that scores near 1e4 are exact in float32
    check(backend, q, k, v, grad, scale=64.0, atol=1e-4)
    out, lse = run(backend, "attention", 1e15 * q, 1e15 * k, v, None, AttentionSettings(None, 1.0, 0.0, 0))
    assert np.isfinite(out).all()
    assert np.isfinite(lse).all()


@EVERY
@pytest.mark.parametrize("query_time", [2, 70])
def test_rows_that_see_nothing_are_zero(backend, query_time):
    q, k, v, grad = inputs(2, 2, 2, query_time, 90, 16, 16)
    allowed = np.random.default_rng(2).random((2, 1, query_time, 90)) < 0.5
    allowed[1, :, 1] = False
    bias = np.where(allowed, np.float32(0.5), np.float32(-INF))
    for mask in (allowed, bias):
        check(backend, q, k, v, grad, mask=mask)
        arguments = (mask, AttentionSettings(None, 0.3, 0.0, 0))
        out, lse = run(backend, "attention", q, k, v, *arguments)
        assert not out[1, :, 1].any()
        assert (lse[1, :, 1] == -INF).all()
        dq, _, _ = run(backend, "attention_backward", grad, q, k, v, out, lse, *arguments)
        assert not dq[1, :, 1].any()
    everything = np.zeros((1, 1, 1, 1), bool)
    check(backend, q, k, v, grad, mask=everything)


@EVERY
def test_finite_but_huge_masks(backend):
    q, k, v, grad = inputs(1, 2, 2, 70, 90, 16, 16)
    mask = np.where(np.random.default_rng(3).random((70, 90)) < 0.5, np.float32(0), np.float32(-1e30))
    check(backend, q, k, v, grad, mask=mask)


@EVERY
@pytest.mark.parametrize("query_time", [2, 70])
def test_nan_reaches_exactly_its_row(backend, query_time):
    q, k, v, _ = inputs(1, 1, 1, query_time, 90, 16, 16)
    q[0, 0, 1, 3] = np.nan
    out, lse = run(backend, "attention", q, k, v, None, AttentionSettings(None, 0.3, 0.0, 0))
    rows = np.isnan(out[0, 0]).all(axis=-1)
    assert rows[1]
    assert rows.sum() == np.isnan(lse).sum() == 1


# ---- memory and repeatability --------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("query_time", [2, 70])
@pytest.mark.parametrize("value", [np.nan, INF, -INF], ids=str)
@pytest.mark.parametrize("columns_only", [False, True])
def test_a_hidden_key_may_hold_anything(backend, query_time, value, columns_only):
    """A boolean mask hides the score, whatever it is: NaN - inf would be NaN. The values must be numbers."""
    q, k, v, grad = inputs(1, 2, 2, query_time, 80, 16, 16)
    k[:, :, 33] = value
    mask = np.ones((1, 1, 1 if columns_only else query_time, 80), bool)
    mask[..., 33] = False
    settings = AttentionSettings(None, 0.3, 0.0, 5)
    out, lse = run(backend, "attention", q, k, v, mask, settings)
    shown = np.arange(80) != 33
    expected, expected_lse = reference.attention(q, k[:, :, shown], v[:, :, shown], None, settings)
    close(out, expected, 1e-5)
    close(lse, expected_lse, 1e-5)
    _, dk, dv = run(backend, "attention_backward", grad, q, k, v, out, lse, mask, settings)
    assert np.isfinite(dk).all()
    assert (dk[:, :, 33] == 0).all()
    assert (dv[:, :, 33] == 0).all()


@pytest.mark.parametrize("query_time", [2, 10])
def test_scores_do_not_overflow_before_they_are_scaled(query_time):
    """q·k is 3.6e39, times the scale 3.6e3. (In CUDA C the product is scaled, and overflows.)"""
    q, k, v, _ = inputs(1, 1, 1, query_time, 5, 4, 3)
    q[...], k[...] = 3e19, 3e19
    out, _ = run("numba", "attention", q, k, v, None, AttentionSettings(None, 1e-36, 0.0, 5))
    assert np.isfinite(out).all()


def test_memory_does_not_grow_with_the_square_of_the_length():
    arguments = (None, AttentionSettings(0, 0.25, 0.0, 0))

    def peak(time):
        q, k, v, grad = inputs(1, 2, 2, time, time, 16, 16)
        out, lse = run("numba", "attention", q, k, v, *arguments)
        run("numba", "attention_backward", grad, q, k, v, out, lse, *arguments)  # compiled, warm
        tracemalloc.start()
        try:
            out, lse = run("numba", "attention", q, k, v, *arguments)
            run("numba", "attention_backward", grad, q, k, v, out, lse, *arguments)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    small, large = peak(1024), peak(4096)
    assert large < 6 * small
    assert large < 4096 * 4096  # a quarter of one head's matrix


def test_workers_tiles_do_not_depend_on_the_length(monkeypatch):
    """numba allocates its tiles where tracemalloc does not look: count what the process maps instead."""
    resource = pytest.importorskip("resource")
    time = 8192
    q, k, v, _ = inputs(1, 1, 1, time, time, 8, 8)
    run("numba", "attention", q[:, :, :64], k[:, :, :64], v[:, :, :64], None, AttentionSettings(None, 0.3, 0.0, 0))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run("numba", "attention", q, k, v, None, AttentionSettings(0, 0.3, 0.0, 0))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < time * time * 4 / 8  # the matrix would take 256 MiB


@EVERY
@pytest.mark.parametrize("shape", [(2, 4, 2, 200, 200, 32, 32), (1, 1, 1, 300, 500, 24, 16), (2, 4, 2, 2, 300, 32, 32)])
def test_same_bits_every_time(backend, shape):
    q, k, v, grad = inputs(*shape)
    arguments = (None, AttentionSettings(10, 0.2, 0.2, 11))

    def once():
        out, lse = run(backend, "attention", q, k, v, *arguments)
        return out, lse, *run(backend, "attention_backward", grad, q, k, v, out, lse, *arguments)

    first = once()
    for _ in range(5):
        for a, b in zip(first, once(), strict=True):
            np.testing.assert_array_equal(a, b)


# ---- the reference itself ------------------------------------------------------------------


def plain(q, k, v, mask, offset, scale, p, seed):
    """Attention by loops over rows, from the textbook."""
    batch, heads, query_time, _ = q.shape
    group, key_time = heads // k.shape[1], k.shape[2]
    out, lse = np.zeros((*q.shape[:3], v.shape[3])), np.full(q.shape[:3], -INF)
    kept = dropout(np.ones((batch, heads, query_time, key_time)), p, seed)
    mask = np.broadcast_to(True if mask is None else mask, kept.shape)
    for b, h, i in np.ndindex(q.shape[:3]):
        scores = np.array([q[b, h, i] @ k[b, h // group, j] * scale for j in range(key_time)])
        scores = np.where(mask[b, h, i], scores, -INF) if mask.dtype == bool else scores + mask[b, h, i]
        if offset is not None:
            scores[max(0, i + offset + 1) :] = -INF
        if (scores > -INF).any():
            weights = np.exp(scores - scores.max())
            lse[b, h, i] = np.log(np.exp(scores).sum())
            out[b, h, i] = (weights / weights.sum() * kept[b, h, i]) @ v[b, h // group]
    return out, lse


CASES = {
    "plain": (None, None, 0.0),
    "causal": (None, 1, 0.0),
    "hidden rows": (None, -2, 0.0),
    "bool": (np.random.default_rng(0).random((2, 1, 5, 7)) < 0.6, None, 0.0),
    "additive": (np.random.default_rng(0).standard_normal((4, 1, 7)), 3, 0.0),
    "dropout": (None, 2, 0.4),
}


@pytest.mark.parametrize("case", CASES)
def test_reference_matches_plain_formula(case):
    mask, offset, p = CASES[case]
    q, k, v, _ = inputs(2, 4, 2, 5, 7, 3, 6, dtype=np.float64)
    out, lse = reference.attention(q, k, v, mask, AttentionSettings(offset, 0.7, p, 9))
    expected_out, expected_lse = plain(q, k, v, mask, offset, 0.7, p, 9)
    np.testing.assert_allclose(out, expected_out, atol=1e-12)
    np.testing.assert_allclose(lse, expected_lse, atol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_reference_gradients_match_finite_differences(case):
    mask, offset, p = CASES[case]
    *arrays, grad = inputs(2, 4, 2, 5, 7, 3, 6, dtype=np.float64)
    arguments = (mask, AttentionSettings(offset, 0.7, p, 9))
    out, lse = reference.attention(*arrays, *arguments)
    gradients = reference.attention_backward(grad, *arrays, out, lse, *arguments)
    for array, gradient in zip(arrays, gradients, strict=True):
        for index in np.ndindex(array.shape):
            value = array[index]
            sides = []
            for step in (1e-6, -1e-6):
                array[index] = value + step
                sides.append((reference.attention(*arrays, *arguments)[0] * grad).sum())
            array[index] = value
            np.testing.assert_allclose(gradient[index], (sides[0] - sides[1]) / 2e-6, atol=1e-7, rtol=1e-5)


def test_shapes_that_do_not_fit_are_refused():
    q, k, v, _ = inputs(2, 4, 2, 5, 7, 8, 8)
    for bad in ((q[..., :3], k, v), (q, k, v[:, :, :3]), (q[:, :3], k, v), (q[:1], k, v)):
        for attend in (reference.attention, lambda *args: run("numba", "attention", *args)):
            with pytest.raises(ValueError, match="kv heads dividing heads"):
                attend(*bad, None, AttentionSettings(None, 1.0, 0.0, 0))


@pytest.mark.parity
@EVERY
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", [(2, 4, 64, 32), (1, 2, 200, 64), (2, 2, 7, 5)], ids=str)
def test_like_torch(backend, shape, causal):
    torch = pytest.importorskip("torch")
    batch, heads, time, dim = shape
    *arrays, grad = inputs(batch, heads, heads, time, time, dim, dim)
    theirs = [torch.from_numpy(x).requires_grad_() for x in arrays]
    expected = torch.nn.functional.scaled_dot_product_attention(*theirs, is_causal=causal)
    expected.backward(torch.from_numpy(grad))
    arguments = (None, AttentionSettings(0 if causal else None, dim**-0.5, 0.0, 0))
    out, lse = run(backend, "attention", *arrays, *arguments)
    np.testing.assert_allclose(out, expected.detach().numpy(), atol=2e-6, rtol=1e-5)
    gradients = run(backend, "attention_backward", grad, *arrays, out, lse, *arguments)
    for ours, tensor in zip(gradients, theirs, strict=True):
        np.testing.assert_allclose(ours, tensor.grad.numpy(), atol=1e-5, rtol=1e-4)
