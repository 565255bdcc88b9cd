"""Vectors inside numba functions, against numpy."""

import numpy as np
import pytest

from minigrad.kernels.cpu import lanes, simd


@simd.serial
def _dot(table, i, j):
    total = lanes.zero()
    for column in range(0, table.shape[1], lanes.WIDTH):
        total = lanes.multiply_add(lanes.load(table, i, column), lanes.load(table, j, column), total)
    return lanes.sum(total)


@simd.serial
def _axpy(a, table, i, j):
    for column in range(0, table.shape[1], lanes.WIDTH):
        y = lanes.multiply_add(lanes.broadcast(a), lanes.load(table, i, column), lanes.load(table, j, column))
        lanes.store(y, table, j, column)


@pytest.mark.parametrize("columns", [1, 15, 16, 17, 100, 300])
def test_dot_and_axpy(columns):
    array = np.random.default_rng(columns).standard_normal((5, columns)).astype(np.float32)
    table = lanes.padded(array)
    assert _dot(table, 4, 2) == pytest.approx(float(array[4] @ array[2]), rel=1e-5, abs=1e-5)
    _axpy(np.float32(0.5), table, 1, 3)
    array[3] += np.float32(0.5) * array[1]
    np.testing.assert_allclose(table[:, :columns], array, rtol=1e-6)
    assert not table[:, columns:].any()


@pytest.mark.parametrize("shape", [(1, 3), (1, 16), (7, 100)])
def test_padded_rows_start_on_cache_lines(shape):
    table = lanes.padded(np.ones(shape, np.float32))
    assert table.flags.c_contiguous
    assert table.shape[1] % lanes.WIDTH == 0
    assert table.ctypes.data % 64 == 0
    assert table.sum() == np.prod(shape)
