"""From each dtype to each: values, gradients, what is copied."""

import itertools

import numpy as np
import pytest

import minigrad as mg
from minigrad.dtypes import FLOATING, as_dtype
from minigrad.tensor import Tensor

DTYPES = ["bool", "uint8", "int8", "int64", "float16", "bfloat16", "float32", "float64"]


@pytest.mark.parametrize(("source", "target"), itertools.product(DTYPES, DTYPES))
@pytest.mark.parametrize("shape", [(), (0,), (2, 2)])
def test_every_cast(source, target, shape):
    x = Tensor(np.full(shape, 3).astype(as_dtype(source)))
    floating = [as_dtype(name).kind in FLOATING for name in (source, target)]
    x = x.requires_grad_(floating[0])
    y = x.astype(target)
    assert (y.dtype, y.shape) == (as_dtype(target), shape)
    assert (y is x) == (source == target)
    assert (y.data.astype(np.float64) == (1 if "bool" in (source, target) else 3)).all()
    assert y.requires_grad == all(floating)
    if y.requires_grad:
        y.sum().backward()
        assert (x.grad.dtype, x.grad.shape) == (x.dtype, shape)


def test_a_clone_is_joined_to_the_graph_and_shares_nothing():
    x = mg.ones(2, requires_grad=True)
    y = x.clone()
    assert not np.shares_memory(x.data, y.data)
    (y * 3).sum().backward()
    assert x.grad.tolist() == [3, 3]
    n = mg.tensor([1, 2])
    assert not np.shares_memory(n.data, n.clone().data)


@pytest.mark.parametrize("dtype", ["complex64", "O", "U4", "datetime64[s]"])
def test_what_no_tensor_holds(dtype):
    with pytest.raises(TypeError, match="tensors hold booleans, integers and floating numbers"):
        mg.ones(2).astype(dtype)
