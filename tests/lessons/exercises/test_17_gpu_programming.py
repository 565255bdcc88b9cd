"""Exercises of lesson 17, judged in the emulator: a reduction, three steps of the matrix product, a softmax."""

import numpy as np
import pytest

from minigrad.kernels.cuda import Module, emulator, load
from minigrad.kernels.cuda import matmul as ladder
from minigrad.kernels.cuda import softmax as rows
from tests.lessons.exercises.expect import close, equal, holds

pytestmark = pytest.mark.emulator

REDUCE = """
#include "common.cuh"

extern "C" __global__ void sum_of_warps(const float *x, float *y) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    y[i] = warp_reduce<Sum>(x[i]);
}

extern "C" __global__ void largest_of_eight(const float *x, float *y) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    y[i] = warp_reduce<Max, 8>(x[i]);
}
"""


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


class TestWarpReduce:
    @pytest.fixture
    def reduced(self, tmp_path):
        (tmp_path / "reduce.cu").write_text(REDUCE)

        def run(kernel, x):
            y = np.zeros_like(x)
            Module(tmp_path / "reduce.cu", {}).launch(kernel, len(x) // 64, 64, (x, y))
            return y

        return run

    def test_every_lane_gets_the_sum(self, reduced):
        """Lanes 0 to 31 hold 0 to 31: every one of them gets 496, not the first alone."""
        got = reduced("sum_of_warps", np.tile(np.arange(32, dtype=np.float32), 2))
        close(got, np.full(64, 496.0), "what each of 64 threads gets for the sum of its warp")

    def test_warps_do_not_mix(self, reduced):
        """Four warps with different numbers get four different sums."""
        x = normal(128)
        expected = np.repeat(x.astype(np.float64).reshape(4, 32).sum(1), 32)
        close(reduced("sum_of_warps", x), expected, "the sums of four warps of random numbers", rtol=1e-4, atol=1e-5)

    def test_groups_of_eight_and_another_operation(self, reduced):
        """warp_reduce<Max, 8>: every eight neighbours get the largest of their own numbers."""
        x = normal(64, seed=1)
        expected = np.repeat(x.reshape(8, 8).max(1), 8)
        close(reduced("largest_of_eight", x), expected, "the largest of every eight neighbouring lanes")


def transposed(x):
    """The same array, in memory column after column."""
    return np.ascontiguousarray(x.T).T


def check_product(step: str, m: int, k: int, n: int, what: str, layout=lambda x: x):
    a, b = layout(normal(m, k)), layout(normal(k, n, seed=1))
    got = ladder.matmul(a, b, step)
    expected = a.astype(np.float64) @ b.astype(np.float64)
    close(got, expected, f"({m} × {k}) times ({k} × {n}){what}", rtol=1e-4, atol=1e-4)


def first_row_of_threads(step: str):
    """c of (32 × 32) times (32 × 32), which is NaN before, from a block of 32 × 1 threads instead of 32 × 32."""
    a, b, c = normal(1, 1, 32, 32), normal(1, 1, 32, 32, seed=1), np.full((32, 32), np.nan, np.float32)
    load("matmul.cu").launch(f"matmul_{step}", 1, (32, 1), (a, b, c, ladder.product(a, b)))
    return c, a[0, 0] @ b[0, 0]


def report_on(step: str, a, b) -> str:
    """What the emulator says when it watches every access of a product, which must be right as well."""
    try:
        with emulator.watched():
            c = ladder.matmul(a, b, step)
    except emulator.EmulatorError as error:
        return str(error)
    close(c, a @ b, "a product with several tiles along k", rtol=1e-4, atol=1e-4)
    return "no problem found"


class TestCoalesced:
    def test_whole_tiles(self):
        """Sizes that are multiples of 32: every thread has an element."""
        check_product("coalesced", 64, 32, 32, "")

    def test_the_edge(self):
        """Sizes that are no multiples of 32: threads outside c write nothing."""
        check_product("coalesced", 33, 17, 65, ", whose last tiles stick out")

    def test_any_strides(self):
        """Operands that lie in memory column after column, and a batch of products: p.a and p.b say where."""
        check_product("coalesced", 20, 9, 40, " of transposed operands", transposed)
        a, b = normal(3, 5, 7), normal(3, 7, 6, seed=1)
        close(ladder.matmul(a, b, "coalesced"), a @ b, "a batch of three products", rtol=1e-4, atol=1e-5)

    def test_lanes_are_neighbouring_columns(self):
        """32 threads with y = 0 and x = 0 to 31 compute the first row of c: a warp's loads of b are one line."""
        c, expected = first_row_of_threads("coalesced")
        close(c[0], expected[0], "row 0 of c, from the threads with threadIdx.y = 0", rtol=1e-4, atol=1e-4)
        equal(int(np.isnan(c[1:]).sum()), 31 * 32, "how many elements of the other rows those threads left alone")


class TestShared:
    def test_whole_tiles(self):
        """Three tiles along k, two down and two across, in each of the three orders of the threads."""
        for order in emulator.ORDERS:
            with emulator.order(order):
                check_product("shared", 64, 96, 64, f", threads in {order} order")

    def test_the_edge(self):
        """No size is a multiple of 32: what a tile has outside a and b counts as zero."""
        check_product("shared", 33, 47, 65, ", whose last tiles stick out")
        check_product("shared", 5, 70, 3, " of transposed operands", transposed)

    def test_threads_load_for_each_other(self):
        """With one row of threads instead of 32 most of the tiles is never loaded, so the sums cannot be right."""
        c, _ = first_row_of_threads("shared")
        what = "the sums of a lonely row of threads are NaN, because the rest of b's tile was never loaded"
        holds(np.isnan(c[0]).all(), what)

    def test_no_race(self):
        """Every access is watched: a barrier stands between a number's writing and its reading, and back."""
        a, b = normal(32, 64), normal(64, 32, seed=1)
        equal(report_on("shared", a, b), "no problem found", "the emulator's report on the kernel")


class TestEightByEight:
    def test_whole_tiles(self):
        """One block of 128 × 128, sixteen steps along k, in each of the three orders of the threads."""
        for order in emulator.ORDERS:
            with emulator.order(order):
                check_product("tile_2d", 128, 16, 128, f", threads in {order} order")

    def test_the_edge(self):
        """Sizes that are no multiples of 8 or 128, and more than one block."""
        check_product("tile_2d", 131, 19, 140, ", whose last tiles stick out")

    def test_any_strides(self):
        """Operands that lie in memory column after column."""
        check_product("tile_2d", 30, 21, 130, " of transposed operands", transposed)

    def test_no_race(self):
        """Every access is watched: barriers stand between the writing and the reading of a tile."""
        a, b = normal(128, 24), normal(24, 128, seed=1)
        equal(report_on("tile_2d", a, b), "no problem found", "the emulator's report on the kernel")


def softmax(x):
    e = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


class TestWarpSoftmax:
    def check(self, g, y, what):
        """dx = y (g - Σ g·y), row by row."""
        exact = y * (g - (g.astype(np.float64) * y).sum(1, keepdims=True))
        close(rows.softmax_backward(g, y), exact, f"the gradient of softmax {what}", rtol=1e-4, atol=1e-6)

    def test_by_hand(self):
        """y = (3/4, 1/4) with g = (1, 0): the sum of g·y is 3/4, so dx = (3/16, -3/16)."""
        g, y = np.array([[1, 0]], np.float32), np.array([[0.75, 0.25]], np.float32)
        close(
            rows.softmax_backward(g, y), [[3 / 16, -3 / 16]], "the gradient of softmax for y = (3/4, 1/4), g = (1, 0)"
        )

    def test_rows(self):
        """Five rows of 37 numbers, each with a sum of its own; the last block has three warps too many."""
        self.check(normal(5, 37), softmax(normal(5, 37, seed=1)).astype(np.float32), "of five rows of 37")

    def test_short_rows(self):
        """Rows shorter than a warp: the lanes without a number count for nothing."""
        self.check(normal(3, 5), softmax(normal(3, 5, seed=1)).astype(np.float32), "of three rows of 5")

    def test_the_logarithm(self):
        """The same kernel, compiled with LOG = 1, is the way back of log_softmax: dx = g - e^y Σ g."""
        g, p = normal(6, 101), softmax(normal(6, 101, seed=2))
        expected = g - p * g.astype(np.float64).sum(1, keepdims=True)
        got = rows.log_softmax_backward(g, np.log(p).astype(np.float32))
        close(got, expected, "the gradient of log_softmax of six rows of 101", rtol=1e-4, atol=1e-5)
