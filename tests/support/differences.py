"""What differs from PyTorch on purpose, each with a check that is run: the list that the README prints."""

import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

import minigrad as mg
from nn import functional as F


@dataclass
class Difference:
    """One difference: what is so here, why, and a function that fails if it is not so."""

    what: str
    why: str
    check: Callable[[], None]


def refused(error: type, message: str, call: Callable) -> None:
    with pytest.raises(error, match=message):
        call()


def dtypes():
    assert mg.float32 == np.dtype("float32") == mg.zeros(1).dtype
    assert mg.long == np.dtype("int64")
    assert str(mg.zeros(1).dtype) == "float32"


def default_dtype():
    assert not hasattr(mg, "set_default_dtype")
    assert mg.tensor([1.5]).dtype == mg.get_default_dtype() == mg.float32
    assert mg.tensor(np.array([1.5])).dtype == mg.float64


def shapes():
    assert mg.zeros(2, 3).shape == mg.zeros(2, 3).size() == (2, 3)
    assert type(mg.zeros(2, 3).shape) is tuple


def devices():
    assert mg.device("cuda:0") == mg.device("cuda") == "cuda"
    refused(ValueError, "one GPU only", lambda: mg.device("cuda:1"))


def no_out():
    refused(TypeError, "out", lambda: mg.exp(mg.ones(2), out=mg.zeros(2)))


def steps():
    x = mg.tensor([1.5], requires_grad=True)
    assert not any(step(x).requires_grad for step in (mg.floor, mg.ceil, mg.round, mg.trunc, mg.sign))


def stable():
    order = mg.argsort(mg.tensor([1.0, 0.0] * 20))
    np.testing.assert_array_equal(order.data, [*range(1, 40, 2), *range(0, 40, 2)])


def too_few():
    refused(ValueError, "1 elements with correction=1", lambda: mg.ones(1).var())


def losses():
    refused(ValueError, "mse_loss", lambda: F.mse_loss(mg.zeros(3, 1), mg.zeros(3)))


def pickling():
    refused(TypeError, "minigrad.save", lambda: pickle.dumps(mg.zeros(1)))


def softmax_dim():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(F.softmax(mg.zeros(2, 4)).data, 0.25)


def seeds():
    mg.manual_seed(0)
    assert abs(mg.randn(1).item() - 1.5409961) > 1e-3  # which is PyTorch's first


def infinities():
    x = mg.tensor([0.5, 3.0, np.inf])
    assert mg.quantile(x, 0.75).item() == np.inf


def second_derivatives():
    x, y = (mg.randn(3, 2, dtype=mg.float64, requires_grad=True) for _ in range(2))
    assert mg.gradgradcheck(mg.cdist, [x, y])


DIFFERENCES = [
    Difference("dtypes are numpy's", "`mg.float32` is `numpy.dtype('float32')`; there are no complex numbers", dtypes),
    Difference(
        "the default dtype is always float32", "a setting for the whole process changes code far away", default_dtype
    ),
    Difference("`shape` and `size()` are tuples", "Python has the type", shapes),
    Difference("`cuda:0` is the only GPU", "its name is `cuda`, and both are equal", devices),
    Difference("no function takes `out=`", "a graph and a written buffer do not go together; use `copy_`", no_out),
    Difference(
        "`floor ceil round trunc sign` record no gradient", "it is 0 everywhere; PyTorch carries the zeros", steps
    ),
    Difference("`sort`, `argsort` are always stable", "the same input gives the same order everywhere", stable),
    Difference(
        "`var` and `std` of too few elements raise",
        "a batch of one is a mistake to hear of; PyTorch gives NaN",
        too_few,
    ),
    Difference("losses refuse shapes that would be broadcast", "it is nearly always a mistake; PyTorch warns", losses),
    Difference(
        "tensors are not pickled", "a pickle runs code when it is opened; `mg.save` writes safetensors", pickling
    ),
    Difference(
        "`softmax` and `log_softmax` take the last dimension by default", "PyTorch guesses and warns", softmax_dim
    ),
    Difference("a seed gives other random numbers", "one counter-based stream serves CPU and GPU", seeds),
    Difference("`quantile` between a number and inf is inf", "PyTorch's inf - inf gives NaN", infinities),
    Difference(
        "`cdist` has second derivatives", "every rule is written so that it can be differentiated", second_derivatives
    ),
]
