"""Names that are other names, dtype names, devices, conversions, and new tensors like one."""

import builtins

import numpy as np
import pytest

import minigrad as mg
from minigrad import aliases, conversions, dtype_names, functional

NAMED = [name for name in dtype_names.__all__ if name != "dtype"]


@pytest.mark.parametrize("name", aliases.__all__)
def test_an_alias_is_the_function(name):
    function = getattr(mg, name)
    assert function is getattr(mg, function.__name__.rstrip("_"))
    assert name == "concat" or name in ("concatenate", "row_stack") or getattr(mg.Tensor, name) is function


@pytest.mark.parametrize("name", NAMED)
def test_dtype_names(name):
    assert isinstance(getattr(mg, name), np.dtype)
    assert mg.zeros(2, dtype=getattr(mg, name)).dtype == getattr(mg, name)


def test_no_module_of_ours_has_its_builtins_hidden():
    for name in ("float", "int", "bool"):
        assert getattr(mg, name) is not getattr(builtins, name)
        for module in (mg.sampling, mg.creation, mg.methods, functional, conversions):
            assert vars(module).get(name) is None


def test_devices():
    x = mg.zeros(1)
    assert x.device == mg.device("cpu") == "cpu" == mg.device("cpu", 0)
    assert mg.device("cuda", 0) == mg.device("cuda:0") == "cuda:0"
    assert (mg.device("cuda:0").type, mg.device("cuda:0").index) == ("cuda", 0)
    assert mg.device("cpu").index is None
    assert x.device != "cuda"
    assert {mg.device("cuda:0"): 1}["cuda"] == 1
    for wrong in ("gpu", "cuda:1", "cuda:x", "cpu:3"):
        with pytest.raises(ValueError, match="device"):
            mg.device(wrong)


def test_to():
    x = mg.ones(2)
    assert x.to("cpu") is x.to(mg.float32) is x.to(x) is x
    assert x.to(x, copy=True) is not x
    assert x.to("cpu", mg.int64).dtype == mg.int64
    assert x.to(dtype=mg.float64, device="cpu").dtype == mg.float64
    assert x.to(mg.zeros(1, dtype=mg.int8)).dtype == mg.int8
    y = mg.ones(2, requires_grad=True)
    y.to(mg.float64, copy=True).sum().backward()
    np.testing.assert_array_equal(y.grad.data, 1)


def test_new_tensors_like_one():
    x = mg.zeros(1, dtype=mg.float64)
    assert x.new_tensor([1, 2]).dtype == x.new_ones(2).dtype == x.new_zeros((2, 3)).dtype == mg.float64
    assert x.new_full((2,), 3, dtype=mg.int64).tolist() == [3, 3]
    assert x.new_empty(2, 3).shape == (2, 3)
    given = np.zeros(2)
    assert not np.shares_memory(x.new_tensor(given).data, given)


def test_as_tensor_and_from_numpy_share_memory():
    given = np.zeros(2)
    assert np.shares_memory(mg.as_tensor(given).data, given)
    assert np.shares_memory(mg.from_numpy(given).data, given)
    x = mg.ones(2)
    assert mg.as_tensor(x) is x
    with pytest.raises(TypeError, match="expected a numpy array"):
        mg.from_numpy([1, 2])


def test_limits():
    assert mg.finfo(mg.float32).eps == np.finfo(np.float32).eps
    assert mg.finfo().max == np.finfo(np.float32).max
    assert mg.iinfo(mg.int8).max == 127
    assert mg.is_tensor(mg.zeros(1))
    assert not mg.is_tensor(np.zeros(1))
    pytest.importorskip("ml_dtypes")
    assert float(mg.finfo(mg.bfloat16).eps) == 2.0**-7
