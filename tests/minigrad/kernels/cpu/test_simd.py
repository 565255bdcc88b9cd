"""simd's elementary functions against the C library in float64, and that they really vectorise."""

import math
import platform
import re

import numpy as np
import pytest

pytest.importorskip("numba")

from numba import njit, prange

from minigrad.kernels.cpu import simd

PACKED = re.compile(r"v?(mul|div|fn?m(add|sub)\d+)ps")  # packed single; a scalar loop has only ...ss

FUNCTIONS = {
    # name: (oracle, lowest, highest, largest relative error, largest absolute error)
    "exp": (math.exp, -87.3, 88.3, 1.5e-7, 0.0),
    "sigmoid": (lambda x: 1 / (1 + math.exp(-x)), -87.0, 87.0, 3e-7, 0.0),
    "normal_cdf": (lambda x: 0.5 * math.erfc(-x / math.sqrt(2)), -30.0, 30.0, 0.0, 1.5e-7),
}


def apply(name, x):
    return vectorised(name)(np.asarray(x, np.float32))


def vectorised(name, compiled={}):  # noqa: B006 (the default is the cache)
    if name not in compiled:
        function = getattr(simd, name)

        @njit(error_model="numpy")
        def loop(x):
            y = np.empty_like(x)
            for i in range(x.size):
                y[i] = function(x[i])
            return y

        compiled[name] = loop
    return compiled[name]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_accuracy(name):
    oracle, low, high, relative, absolute = FUNCTIONS[name]
    small = np.geomspace(1e-30, 1, 2000)
    x = np.concatenate([np.linspace(low, high, 50_001), small, -small]).astype(np.float32)
    expected = np.array([oracle(float(v)) for v in x])
    np.testing.assert_allclose(apply(name, x), expected, rtol=relative, atol=absolute)


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("exp", [-np.inf, -1e30, -88, 0, 88.8, 1e30, np.inf], [0, 0, 0, 1, np.inf, np.inf, np.inf]),
        ("sigmoid", [-np.inf, -1e30, 0, 1e30, np.inf], [0, 0, 0.5, 1, 1]),
        ("normal_cdf", [-np.inf, -1e30, -20, 20, 1e30, np.inf], [0, 0, 0, 1, 1, 1]),
    ],
)
def test_extremes(name, x, expected):
    np.testing.assert_array_equal(apply(name, x * 5), np.array(expected * 5, np.float32))  # 5: vector and tail
    assert np.isnan(apply(name, [np.nan] * 35)).all()


def test_maximum_of_a_row_propagates_nan():
    @njit(fastmath=simd.REORDER)
    def row_maximum(x):
        largest = np.float32(-np.inf)
        for i in range(x.size):
            largest = simd.maximum(largest, x[i])
        return largest

    x = np.random.default_rng(0).standard_normal(101).astype(np.float32)
    assert row_maximum(x) == x.max()
    assert row_maximum(np.full(3, -np.inf, np.float32)) == -np.inf
    for place in (0, 50, 100):
        with_nan = x.copy()
        with_nan[place] = np.nan
        assert np.isnan(row_maximum(with_nan))


def test_clamp():
    @njit
    def one(x, limit):
        return simd.clamp(x, limit)

    limit = np.float32(3)
    assert [one(np.float32(x), limit) for x in (-np.inf, -3.5, -1, 2, 4, np.inf)] == [-3, -3, -1, 2, 3, 3]
    assert np.isnan(one(np.float32(np.nan), limit))


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="looks for x86 registers")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_loops_use_vector_registers(name):
    apply(name, [0.0])
    (assembly,) = vectorised(name).inspect_asm().values()
    assert PACKED.search(assembly)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="looks for x86 registers")
def test_prange_bodies_use_vector_registers():
    @njit(parallel=True, fastmath=simd.REORDER, error_model="numpy")
    def rows_of_exp(x):
        y = np.empty_like(x)
        for i in prange(x.shape[0]):
            for j in range(x.shape[1]):
                y[i, j] = simd.exp(x[i, j])
        return y

    rows_of_exp(np.zeros((2, 3), np.float32))
    (assembly,) = rows_of_exp.inspect_asm().values()
    assert PACKED.search(assembly)
