"""Exercises of lesson 18: the join of the online softmax, and parts of FlashAttention in numba and in CUDA C."""

import numpy as np
import pytest

from minigrad import kernels
from minigrad.kernels.cuda import Module, emulator, load
from minigrad.kernels.cuda import attention as cuda_attention
from tests.course.expect import close, equal

JOIN = """
#include "online.cuh"

// Pairs (maximum, sum), one a thread.
extern "C" __global__ void join(const float *a, const float *b, float *joined) {
    int i = threadIdx.x;
    Online both = {a[2 * i], a[2 * i + 1]};
    both.join({b[2 * i], b[2 * i + 1]});
    joined[2 * i] = both.maximum, joined[2 * i + 1] = both.sum;
}
"""


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.emulator
class TestJoin:
    @pytest.fixture
    def joined(self, tmp_path):
        (tmp_path / "join.cu").write_text(JOIN)

        def run(a, b):
            a, b = np.array(a, np.float32), np.array(b, np.float32)
            result = np.zeros_like(a)
            Module(tmp_path / "join.cu", {}).launch("join", 1, len(a), (a, b, result))
            return result

        return run

    def test_by_hand(self, joined):
        """(0, 1) and (ln 2, 3): measured against ln 2 the first sum is 1/2. The order does not matter."""
        a, b = [[0, 1], [np.log(2), 3]], [[np.log(2), 3], [0, 1]]
        close(
            joined(a, b), [[np.log(2), 3.5], [np.log(2), 3.5]], "(0, 1) and (ln 2, 3) joined, and the other way round"
        )

    def test_any_two_parts_of_a_row(self, joined):
        """A row of 20 cut after 1, 2 … 19 numbers: the two parts' pairs always join to that of the whole row."""
        row = 3 * normal(20).astype(np.float64)

        def pair(x):
            return [x.max(), np.exp(x - x.max()).sum()]

        got = joined([pair(row[:i]) for i in range(1, 20)], [pair(row[i:]) for i in range(1, 20)])
        close(got, [pair(row)] * 19, "the pairs of 19 ways to cut a row in two, joined", rtol=1e-5)

    def test_maxima_far_apart(self, joined):
        """The part with the smaller maximum vanishes beside the other; e^2000 must not be computed."""
        got = joined([[1000, 2], [-1000, 5]], [[-1000, 5], [1000, 2]])
        close(got, [[1000, 2], [1000, 2]], "pairs with maxima of 1000 and -1000 joined")

    def test_parts_without_numbers(self, joined):
        """(-inf, 0) changes nothing, and two of them stay (-inf, 0): -inf - -inf would be NaN."""
        nothing, some = [-np.inf, 0], [2, 1.5]
        got = joined([nothing, some, nothing], [some, nothing, nothing])
        close(got, [some, some, nothing], "joins in which one or both parts have no numbers")


def softmax(scores):
    """Over the last axis, 0 for a row of -inf; and the log-sum-exp."""
    with np.errstate(divide="ignore"):
        maximum = scores.max(-1, keepdims=True)
        e = np.exp(scores - np.where(np.isinf(maximum), 0, maximum))
        total = e.sum(-1, keepdims=True)
        return e / np.where(total == 0, 1, total), (np.where(total == 0, 0, maximum) + np.log(total))[..., 0]


def expected_attention(q, k, v, hidden=None):
    """Output, probabilities and log-sum-exp in float64; `hidden` is True where a query may not look."""
    q, k, v = (x.astype(np.float64) for x in (q, k, v))
    scores = q @ k.swapaxes(2, 3) / np.sqrt(q.shape[3])
    if hidden is not None:
        scores = np.where(hidden, -np.inf, scores)
    p, lse = softmax(scores)
    return p @ v, p, lse


def expected_gradients(grad, q, k, v, hidden=None):
    """By the whole matrix, in float64: dS = P (dP - rowsum(P dP))."""
    _, p, _ = expected_attention(q, k, v, hidden)
    grad, scale = grad.astype(np.float64), 1 / np.sqrt(q.shape[3])
    dp = grad @ v.astype(np.float64).swapaxes(2, 3)
    ds = p * (dp - (p * dp).sum(-1, keepdims=True)) * scale
    return ds @ k, ds.swapaxes(2, 3) @ q, p.swapaxes(2, 3) @ grad


def above_the_diagonal(time: int):
    return np.triu(np.ones((time, time), bool), 1)


def call(backend: str, q, k, v, *, mask=None, causal=False, dropout_p=0.0, grad=None):
    """Output and log-sum-exp by that backend's kernel; with `grad`, the three gradients."""
    settings = mask, 0 if causal else None, 1 / np.sqrt(q.shape[3]), dropout_p, 7
    with kernels.use("reference" if grad is not None else backend):
        out, lse = kernels.attention(q, k, v, *settings)
    if grad is None:
        return out, lse
    with kernels.use(backend):
        return kernels.attention_backward(grad, q, k, v, out, lse, *settings)


def check_gradients(got, expected, what: str):
    for name, a, b in zip(("q", "k", "v"), got, expected, strict=True):
        close(a, b, f"the gradient of {name} {what}", rtol=1e-3, atol=1e-4)


class TestScoresGradient:
    def test_every_query_sees_every_key(self):
        """Gradients of q, k and v for 2 heads, 70 queries and 150 keys, against the formulas with the whole matrix."""
        q, grad = normal(2, 1, 2, 70, 16)
        k, v = normal(2, 1, 2, 150, 16, seed=1)
        check_gradients(call("numba", q, k, v, grad=grad), expected_gradients(grad, q, k, v), "without a mask")

    def test_a_causal_mask(self):
        """130 tokens, each sees itself and those before it."""
        q, k, v, grad = normal(4, 1, 1, 130, 8)
        expected = expected_gradients(grad, q, k, v, above_the_diagonal(130))
        check_gradients(call("numba", q, k, v, causal=True, grad=grad), expected, "with a causal mask")

    def test_a_query_that_sees_nothing(self):
        """A mask hides all keys from query 3, whose lse is -inf: its gradient is 0, and it adds nothing to others."""
        q, k, v, grad = normal(4, 1, 1, 40, 8, seed=4)
        allowed = np.ones((1, 1, 40, 40), bool)
        allowed[:, :, 3] = False
        got = call("numba", q, k, v, mask=allowed, grad=grad)
        check_gradients(got, expected_gradients(grad, q, k, v, ~allowed), "where query 3 sees nothing")

    def test_dropout(self):
        """With dropout of 0.3 and the same seed the gradients are those of the definition in kernels/reference."""
        q, k, v, grad = normal(4, 1, 2, 50, 8, seed=5)
        expected = call("reference", q, k, v, dropout_p=0.3, grad=grad)
        check_gradients(call("numba", q, k, v, dropout_p=0.3, grad=grad), expected, "with dropout")


@pytest.mark.emulator
class TestDelta:
    def delta(self, grad, out, value_dim):
        batch, heads, time, _ = grad.shape
        q = k = np.zeros((batch, heads, time, 8), np.float32)
        arrays = {"q": q, "k": k, "v": out, "out": out, "grad": grad}
        problem, _ = cuda_attention._problem(arrays, None, None, 1.0, 0.0, 0)
        rows = batch * heads * time
        result = np.full((batch, heads, time), np.nan, np.float32)
        arguments = (problem, grad, out, result, np.int32(rows))
        load("attention.cu", {"HEAD_DIM": 64}).launch("attention_delta", -(-rows // 4), 128, arguments)
        expected = (grad.astype(np.float64) * out).sum(-1)
        close(result, expected, f"rowsum(grad · out), rows of {value_dim}", rtol=1e-4, atol=1e-5)

    def test_rows_of_any_length(self):
        """Rows shorter than a warp, as long, and longer: every number counts once."""
        for value_dim in (5, 32, 50):
            self.delta(normal(1, 2, 6, value_dim), normal(1, 2, 6, value_dim, seed=1), value_dim)

    def test_the_last_block(self):
        """Five rows and four warps a block: the warps without a row write nothing."""
        self.delta(normal(1, 1, 5, 16), normal(1, 1, 5, 16, seed=1), 16)

    def test_each_array_has_its_own_strides(self):
        """grad lies in memory as (batch, time, heads, dim), out as (batch, heads, time, dim)."""
        grad = normal(2, 7, 3, 16).swapaxes(1, 2)
        self.delta(grad, normal(2, 3, 7, 16, seed=1), 16)


class TestOnlineSoftmax:
    def check(self, q, k, v, what, hidden=None, **options):
        out, lse = call("numba", q, k, v, **options)
        expected, _, expected_lse = expected_attention(q, k, v, hidden)
        close(lse, expected_lse, f"the log-sum-exp {what}", rtol=1e-4, atol=1e-4)
        close(out, expected, f"the output {what}", rtol=1e-3, atol=1e-4)

    def test_several_tiles(self):
        """150 queries and 200 keys: the sums of earlier tiles are brought along."""
        k, v = normal(2, 1, 1, 200, 16, seed=1)
        self.check(normal(1, 1, 150, 16), k, v, "of 200 keys")

    def test_a_maximum_that_rises(self):
        """Later keys have larger and larger scores, so that every tile raises every query's maximum."""
        q, k, v = normal(3, 1, 1, 200, 8)
        q, k = abs(q), abs(k) * np.linspace(0, 8, 200, dtype=np.float32)[:, None]
        self.check(q, k, v, "of scores that rise")

    def test_a_causal_mask(self):
        """Query i sees keys 0 to i, itself included and no later one: in tiles on the diagonal some are hidden."""
        q, k, v = normal(3, 1, 2, 140, 8, seed=3)
        self.check(q, k, v, "with a causal mask", above_the_diagonal(140), causal=True)

    def test_a_query_that_has_seen_nothing_yet(self):
        """A mask hides the first 70 keys from query 5, a whole tile, and all keys from query 6: no NaN."""
        q, k, v = normal(3, 1, 1, 150, 8, seed=4)
        allowed = np.ones((1, 1, 150, 150), bool)
        allowed[:, :, 5, :70] = allowed[:, :, 6] = False
        self.check(q, k, v, "with queries that see late or nothing", ~allowed, mask=allowed)


@pytest.mark.emulator
class TestFlashAttention:
    def check(self, q, k, v, what, hidden=None, **options):
        out, lse = call("emulator", q, k, v, **options)
        expected, _, expected_lse = expected_attention(q, k, v, hidden)
        close(out, expected, f"the output {what}", rtol=1e-3, atol=1e-4)
        close(lse, expected_lse, f"the log-sum-exp {what}", rtol=1e-4, atol=1e-4)

    def test_several_blocks_and_tiles(self):
        """2 heads, 70 queries, 100 keys, head_dim 24, in each of the three orders of the threads."""
        q, k, v = normal(1, 2, 70, 24), normal(1, 2, 100, 24, seed=1), normal(1, 2, 100, 24, seed=2)
        for order in emulator.ORDERS:
            with emulator.order(order):
                self.check(q, k, v, f"of 100 keys, threads in {order} order")

    def test_a_maximum_that_rises(self):
        """Later keys have larger and larger scores: sums and results are rescaled at every tile."""
        q, k, v = normal(3, 1, 1, 100, 16)
        q, k = abs(q), abs(k) * np.linspace(0, 8, 100, dtype=np.float32)[:, None]
        self.check(q, k, v, "of scores that rise")

    def test_masks(self):
        """A causal mask; and a mask that hides every key from query 6, whose output is 0 and whose lse is -inf."""
        q, k, v = normal(3, 1, 1, 80, 32, seed=3)
        self.check(q, k, v, "with a causal mask", above_the_diagonal(80), causal=True)
        allowed = np.ones((1, 1, 80, 80), bool)
        allowed[:, :, 6] = False
        self.check(q, k, v, "where query 6 sees nothing", ~allowed, mask=allowed)

    def test_no_race(self):
        """Every access to memory is watched: keys and values take turns in one place, and barriers keep them apart."""
        q, k, v = normal(3, 1, 1, 70, 32, seed=5)
        try:
            with emulator.watched():
                self.check(q, k, v, "with every access watched")
            report = "no problem found"
        except emulator.EmulatorError as error:
            report = str(error)
        equal(report, "no problem found", "the emulator's report on the kernel")
