"""The stand-in for cupy against cupy itself, where it is installed (it need not have a GPU), and its own rules."""

import inspect

import numpy as np
import pytest

from tests.support import fake_cupy
from tests.support.fake_cupy import namespace


@pytest.fixture(scope="module")
def real():
    return pytest.importorskip("cupy", exc_type=ImportError)


@pytest.mark.parametrize("name", namespace.FUNCTIONS)
def test_cupy_has_every_function(name, real):
    assert callable(getattr(real, name))


@pytest.mark.parametrize("name", namespace.SHARED)
def test_the_arguments_are_cupys(name, real):
    ours = inspect.signature(namespace.FUNCTIONS[name]).parameters
    theirs = inspect.signature(getattr(real, name)).parameters
    assert list(ours) == [p for p in theirs if p in ours]


def test_cupy_has_every_method(real):
    with fake_cupy.installed() as cupy:
        ours = {name for name in dir(cupy.ndarray) if not name.startswith("_")}
    assert ours <= set(dir(real.ndarray))


def test_special_functions(real):
    from cupyx.scipy import special

    assert {"erf", "erfc"} <= set(dir(special))


def test_an_array_is_not_numpys():
    with fake_cupy.installed() as cupy:
        x = cupy.asarray(np.arange(6.0).reshape(2, 3))
        assert not isinstance(x, np.ndarray)
        for spoil in (np.asarray, lambda x: x + np.ones(3), lambda x: np.ones(3) + x, lambda x: x[np.array([0])]):
            with pytest.raises(TypeError):
                spoil(x)
        with pytest.raises(TypeError):
            x.max(initial=0)
        with pytest.raises(TypeError):
            cupy.indices((2, 3), sparse=True)
        assert isinstance(x.sum(), cupy.ndarray)
        assert x.sum().shape == ()
        assert isinstance(np.exp(x), cupy.ndarray)
        assert not hasattr(cupy, "errstate")


def test_copies_are_counted():
    with fake_cupy.installed() as cupy:
        x = cupy.asarray(np.arange(6.0))
        y = (x * 2 + np.float32(1)).sum()
        assert cupy.copies == {"to device": 1}
        float(y), bool(y > 0), y.item(), x.get(), x[x > 2], cupy.asnumpy(x)
        assert cupy.copies == {"to device": 1, "to host": 6}


def test_views_write_through():
    with fake_cupy.installed() as cupy:
        x = cupy.zeros((2, 3))
        x[0, 1:] = 5
        x.T[2] += 1
        x.reshape(-1)[0] = 7
        np.testing.assert_array_equal(x.get(), [[7, 5, 6], [0, 0, 1]])
        assert x.base is None
        assert x[0].base is x


def test_compute_types(real):
    from cupy import _core
    from cupy._core import _routines_linalg

    assert {"get_compute_type", "set_compute_type"} <= set(dir(_core))
    assert {"COMPUTE_TYPE_FP32", "COMPUTE_TYPE_TF32"} <= set(dir(_routines_linalg))
