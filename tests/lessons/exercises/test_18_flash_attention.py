"""Exercises of lesson 18: the join of the online softmax, and parts of FlashAttention in numba and in CUDA C."""

import numpy as np
import pytest

from minigrad import kernels
from minigrad.kernels.cpu import attention_backward, attention_forward
from minigrad.kernels.cpu.attention_parts import INNER, LANES, LINE, OUTER
from minigrad.kernels.cuda import Module, emulator, load
from minigrad.kernels.cuda import attention as cuda_attention
from minigrad.kernels.reference import dropout as reference_dropout
from minigrad.kernels.reference.attention import AttentionSettings
from tests.lessons.exercises.compiled import callable_from_python
from tests.lessons.exercises.expect import close, equal

JOIN = """
#include "online.cuh"

// Pairs (maximum, sum), one per thread.
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
    """Output and log-sum-exp in float64; `hidden` is True where a query may not look."""
    q, k, v = (x.astype(np.float64) for x in (q, k, v))
    scores = q @ k.swapaxes(2, 3) / np.sqrt(q.shape[3])
    if hidden is not None:
        scores = np.where(hidden, -np.inf, scores)
    p, lse = softmax(scores)
    return p @ v, lse


def above_the_diagonal(time: int):
    return np.triu(np.ones((time, time), bool), 1)


@pytest.fixture(scope="module")
def gradient():
    """(P, dS) from float32 copies of the scores p and of dP."""

    compiled = callable_from_python(attention_backward._dscores)

    def run(p, dp, lse, delta, scale=1.0, dropping=(0, 1.0, 0, 0), first=0):
        p, ds, number = p.astype(np.float32), dp.astype(np.float32), np.float32
        threshold, factor, *keys = dropping
        numbers = number(lse), number(delta), number(scale)
        compiled(p, ds, *numbers, (threshold, number(factor), *keys), first)
        return p, ds

    return run


class TestScoresGradient:
    def test_by_the_formulas(self, gradient):
        """P = e^(score - lse) and dS = P (dP - D) scale, for a row of 64 scores."""
        x, dp = 2 * normal(2, 64).astype(np.float64)
        lse, delta = np.log(np.exp(x).sum()), 0.7
        p, ds = gradient(x, dp, lse, delta, scale=0.25)
        close(p, np.exp(x - lse), "the probabilities of 64 scores", rtol=1e-4, atol=1e-6)
        close(ds, np.exp(x - lse) * (dp - 0.7) * 0.25, "dS with D = 0.7 and scale 1/4", rtol=1e-4, atol=1e-6)

    def test_by_finite_differences(self, gradient):
        """With D = sum of P dP, dS is the slope of the sum of dP softmax(x) in each of 32 scores x."""
        x, dp = normal(2, 32, seed=1).astype(np.float64)

        def loss(x):
            return (np.exp(x) / np.exp(x).sum()) @ dp

        steps = 1e-5 * np.eye(32)
        slopes = [(loss(x + step) - loss(x - step)) / 2e-5 for step in steps]
        _, ds = gradient(x, dp, np.log(np.exp(x).sum()), loss(x))
        close(ds, slopes, "the gradient of 32 scores, against difference quotients", rtol=1e-3, atol=1e-6)

    def test_a_query_that_saw_nothing(self, gradient):
        """All its scores are -inf, and so is lse: probabilities and gradient are 0, not NaN."""
        p, ds = gradient(np.full(32, -np.inf), normal(32), -np.inf, 0.0)
        close(p, np.zeros(32), "the probabilities of a query that sees no key")
        close(ds, np.zeros(32), "the gradient of its scores")

    def test_dropout(self, gradient):
        """With dropout of 0.3, numbers 100 to 163: P kept or 0 goes on, dP is dropped alike, and P is in front."""
        x, dp = normal(2, 64, seed=2).astype(np.float64)
        dropping = (*reference_dropout.threshold_and_factor(0.3), *map(int, reference_dropout.keys(7)))
        index = np.arange(100, 164, dtype=np.uint64)
        kept = reference_dropout.keep(index, dropping[0], *dropping[2:]) / 0.7
        probabilities = np.exp(x) / np.exp(x).sum()
        p, ds = gradient(x, dp, np.log(np.exp(x).sum()), 0.2, 0.5, dropping, first=100)
        close(p, probabilities * kept, "the probabilities after dropout", rtol=1e-4, atol=1e-6)
        expected = probabilities * (dp * kept - 0.2) * 0.5
        close(ds, expected, "the gradient of the scores under dropout", rtol=1e-4, atol=1e-6)


@pytest.mark.emulator
class TestDelta:
    def delta(self, grad, out, value_dim):
        batch, heads, time, _ = grad.shape
        q = k = np.zeros((batch, heads, time, 8), np.float32)
        arrays = {"q": q, "k": k, "v": out, "out": out, "grad": grad}
        problem, _ = cuda_attention._problem(arrays, None, AttentionSettings(None, 1.0, 0.0, 0))
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


@pytest.fixture(scope="module")
def passed():
    """Scores (queries, keys) in tiles of 40 keys, query i seeing keys j <= i + offset.

    Gives (m, l, the sum of e^(x - m), each tile's rescaled by the later ones' shrink), all (queries,).
    """

    compiled = callable_from_python(attention_forward._online_softmax)

    def run(x, offset):
        queries, keys = x.shape
        m, l = np.full(OUTER, -np.inf, np.float32), np.zeros(OUTER, np.float32)
        shift, shrink, sums = (np.zeros(OUTER, np.float32) for _ in range(3))
        for start in range(0, keys, 40):
            tile, diagonal = x[:, start : start + 40].T, offset - start
            scores = np.zeros((INNER, LINE), np.float32)
            scores[: len(tile), :queries] = tile
            compiled(scores, len(tile), queries, diagonal, m, l, shift, shrink)
            first = np.maximum(np.arange(len(tile)) - diagonal, 0) // LANES * LANES  # what is read of a line
            read = np.arange(queries) >= first[:, None]
            tile_sums = (scores[: len(tile), :queries] * read).sum(0)
            sums[:queries] = sums[:queries] * shrink[:queries] + tile_sums
        return m[:queries], l[:queries], sums[:queries]

    return run


class TestOnlineSoftmax:
    def check(self, passed, x, what, offset=1000, hidden=False):
        x = x.astype(np.float32)
        m, l, sums = passed(x, offset)
        seen = np.where(hidden, -np.inf, x.astype(np.float64))
        expected = seen.max(1)
        close(m, expected, f"the running maximum m {what}")
        with np.errstate(invalid="ignore"):
            total = np.nan_to_num(np.exp(seen - expected[:, None])).sum(1)
        close(l, total, f"the running sum l {what}", rtol=1e-4, atol=1e-6)
        close(sums, total, f"the exponentials, rescaled by shrink and added up, {what}", rtol=1e-4, atol=1e-6)

    def test_several_tiles(self, passed):
        """64 queries and 100 keys in three tiles: the sums of earlier tiles are brought along."""
        self.check(passed, 3 * normal(64, 100), "of 100 keys")

    def test_a_maximum_that_rises(self, passed):
        """Later keys have larger and larger scores, up to 500, so that every tile raises every query's maximum."""
        self.check(passed, normal(32, 120) + np.linspace(0, 500, 120), "of scores that rise")

    def test_a_causal_mask(self, passed):
        """Query i sees keys 0 to i, itself included and no later one: in tiles on the diagonal some are hidden."""
        self.check(passed, normal(96, 96, seed=3), "with a causal mask", 0, above_the_diagonal(96))

    def test_queries_that_have_seen_nothing_yet(self, passed):
        """The first tile is all -inf for query 5, and every tile for query 6: m -inf, l 0, and no NaN."""
        x = normal(32, 100, seed=4)
        x[5, :40] = x[6] = -np.inf
        self.check(passed, x, "with queries that see late or nothing")


@pytest.mark.emulator
class TestFlashAttention:
    def check(self, q, k, v, what, hidden=None, *, mask=None, causal=False):
        settings = AttentionSettings(0 if causal else None, 1 / np.sqrt(q.shape[3]), 0.0, 0)
        with kernels.use("emulator"):
            out, lse = kernels.attention(q, k, v, mask, settings)
        expected, expected_lse = expected_attention(q, k, v, hidden)
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
