"""Casts between float32 and half precision: the same bits as numpy's."""

from itertools import permutations

import numpy as np
import pytest

from minigrad.dtypes import as_dtype
from tests.minigrad.kernels.implementations import others, run

NAMES = ("float32", "float16", "bfloat16")
ODD = [
    np.inf,
    -np.inf,
    0.0,
    -0.0,
    1e-40,
    6e-8,
    65504.0,
    65519.9,
    65520.0,
    1e30,
    -1e30,
    3.4e38,
    1 + 2**-9,
    1 + 3 * 2**-9,
]


@pytest.mark.parametrize("backend", others("cast"))
@pytest.mark.parametrize(("source", "target"), [*permutations(NAMES, 2)])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (33, 31), (1024,)], ids=str)
def test_same_bits_as_numpy(backend, source, target, shape):
    pytest.importorskip("ml_dtypes")
    numbers = np.random.default_rng(0).standard_normal(int(np.prod(shape))) * 1e3
    numbers[: len(ODD)] = ODD[: numbers.size]
    with np.errstate(over="ignore"):
        x = numbers.astype(as_dtype(source)).reshape(shape)
        expected = x.astype(as_dtype(target))
    actual = run(backend, "cast", x, target)
    assert actual.dtype == expected.dtype
    assert actual.tobytes() == expected.tobytes()


@pytest.mark.parametrize("backend", others("cast"))
def test_nan_stays_nan_and_strides_do_not_matter(backend):
    x = np.random.default_rng(0).standard_normal((20, 30), np.float32)
    x[3, 4] = np.nan
    view = x.T[::2, ::-3]
    np.testing.assert_array_equal(run(backend, "cast", view, "float16"), view.astype(np.float16))
