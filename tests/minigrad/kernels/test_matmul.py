"""matmul: every implementation against a float64 einsum, over shapes, batches, strides and extremes."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.kernels.blas.matmul import matmul as blas_matmul
from minigrad.kernels.reference import matmul as reference
from tests.minigrad.kernels import implementations

BACKENDS = [*implementations.others("matmul"), "reference"]


def run(backend, a, b):
    return implementations.run(backend, "matmul", a, b)


def normal(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def check(backend, a, b):
    expected = np.einsum("...ik,...kj->...ij", a.astype(np.float64), b.astype(np.float64))
    actual = run(backend, a, b)
    assert actual.dtype == np.float32
    assert actual.shape == expected.shape
    # the sum of k products, each rounded: at most k ulps of the sum of their sizes
    size = np.einsum("...ik,...kj->...ij", abs(a).astype(np.float64), abs(b).astype(np.float64))
    assert (abs(actual - expected) <= 6e-8 * (a.shape[-1] + 8) * size + 1e-30).all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "shapes",
    [
        ((1, 1), (1, 1)), ((6, 4), (4, 16)), ((5, 3), (3, 15)), ((7, 5), (5, 17)), ((1, 300), (300, 1)),
        ((1, 65), (65, 700)), ((700, 9), (9, 1)), ((13, 769), (769, 31)), ((150, 40), (40, 33)), ((3, 2), (2, 4200)),
        ((0, 3), (3, 4)), ((3, 0), (0, 4)), ((3, 4), (4, 0)), ((2, 0, 3), (3, 4)), ((2, 3, 0), (0, 4)),
        ((0, 3, 4), (0, 4, 5)), ((5, 6, 7), (7, 8)), ((6, 7), (5, 7, 8)), ((4, 1, 6, 7), (3, 7, 8)),
        ((2, 3, 64, 32), (2, 3, 32, 64)), ((2, 1, 3, 5, 6), (4, 1, 6, 7)), ((7, 200, 20), (7, 20, 50)),
    ],
    ids=str,
)  # fmt: skip
def test_shapes(backend, shapes):
    check(backend, normal(shapes[0]), normal(shapes[1], 1))


VIEWS = {
    "transposed": lambda x: np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2),
    "every other row": lambda x: np.repeat(x, 2, axis=-2)[..., ::2, :],
    "every other column": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "reversed": lambda x: x[..., ::-1, ::-1].copy()[..., ::-1, ::-1],
    "one row repeated": lambda x: np.broadcast_to(x[..., :1, :], x.shape),
    "one column repeated": lambda x: np.broadcast_to(x[..., :1], x.shape),
    "heads cut out of a width": lambda x: np.ascontiguousarray(x.swapaxes(-3, -2)).swapaxes(-3, -2),
    "unaligned": lambda x: np.frombuffer(b"\0" + x.tobytes(), np.float32, offset=1).reshape(x.shape),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name_a", VIEWS)
@pytest.mark.parametrize("name_b", VIEWS)
def test_any_strides(backend, name_a, name_b):
    check(backend, VIEWS[name_a](normal((2, 3, 21, 10))), VIEWS[name_b](normal((2, 3, 10, 37), 1)))


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=30, deadline=None)
@given(
    m=st.integers(0, 70), k=st.integers(0, 70), n=st.integers(0, 70), batch=st.sampled_from(((), (1,), (3,), (2, 3))),
    view_a=st.sampled_from([name for name in VIEWS if "heads" not in name]), b_is_matrix=st.booleans(),
    seed=st.integers(0, 9),
)  # fmt: skip
def test_any_shape(backend, m, k, n, batch, view_a, b_is_matrix, seed):
    a, b = normal((*batch, m, k), seed), normal((k, n) if b_is_matrix else (*batch, k, n), seed + 1)
    check(backend, VIEWS[view_a](a) if a.size else a, b)


@pytest.mark.parametrize("backend", BACKENDS)
def test_inf_and_nan_stay_in_their_rows_and_columns(backend):
    a, b = normal((20, 40)), normal((40, 50), 1)
    a[3, 7], b[9, 49], a[19, 0] = np.inf, np.nan, -np.inf
    with np.errstate(invalid="ignore"):
        expected = np.einsum("ik,kj->ij", a, b)
        actual = run(backend, a, b)
    np.testing.assert_array_equal(np.isfinite(actual), np.isfinite(expected))
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))
    np.testing.assert_allclose(actual[np.isfinite(actual)], expected[np.isfinite(actual)], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_inner_dimensions_differ(backend):
    with pytest.raises(ValueError, match=r"matmul: \(3, 4\) @ \(5, 6\): inner dimensions 4 and 5 differ"):
        run(backend, normal((3, 4)), normal((5, 6)))


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64])
def test_reference_and_blas_take_any_dtype(dtype):
    a, b = np.arange(12).reshape(3, 4).astype(dtype), np.arange(20).reshape(4, 5).astype(dtype)
    for function in (reference.matmul, blas_matmul):
        assert function(a, b).dtype == dtype
        sums = [[sum(x * y for x, y in zip(row, column, strict=True)) for column in b.T] for row in a]
        np.testing.assert_array_equal(function(a, b), sums)


def test_threads_do_not_share_buffers():
    from concurrent.futures import ThreadPoolExecutor

    from minigrad.kernels.cpu.matmul import matmul

    a, b = normal((8, 90, 80)), normal((8, 80, 70), 1)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda i: matmul(a[i % 8], b[i % 8]), range(64)))
    for i, result in enumerate(results):
        np.testing.assert_array_equal(result, matmul(a[i % 8], b[i % 8]))


@pytest.mark.slow
@pytest.mark.parametrize("features", [{"avx512f": True}, {"neon": True}, {}], ids=str)
def test_tile_of_another_cpu(features, tmp_path):
    """The tile of every kind of CPU is correct, though not fast, on this one."""
    program = f"""
import llvmlite.binding as llvm
from minigrad.kernels.cpu import simd  # numba asks for the true features first
true, llvm.get_host_cpu_features = llvm.get_host_cpu_features, lambda: {features!r}
from minigrad.kernels.cpu.micro_kernel import ROWS, COLUMNS, WIDTH
llvm.get_host_cpu_features = true
assert WIDTH == {16 if "avx512f" in features else 4}
import numpy as np
from minigrad.kernels.cpu.matmul import matmul
a = np.random.default_rng(0).standard_normal((2 * ROWS + 1, 50)).astype("f")
b = np.random.default_rng(1).standard_normal((50, 2 * COLUMNS + 1)).astype("f")
for x in (a, a.T.copy().T):
    for y in (b, b.T.copy().T):
        assert abs(matmul(x, y) - a @ b).max() < 1e-4
"""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}  # nothing compiled for the true tile
    subprocess.run([sys.executable, "-c", program], check=True, timeout=250, env=environment)
