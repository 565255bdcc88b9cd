"""Activations where exponentials under- and overflow: values and gradients, against math and against PyTorch."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad.tensor import Tensor
from tests.support.extremes import ONE_OPERAND, differences, inf, nan

FINITE = [0.0, 1e-20, -1e-20, 0.5, -0.5, 3.0, -3.0, 20.0, -20.0, 100.0, -100.0, 700.0, -700.0, 1e4, -1e4]


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def density(x: float) -> float:
    return math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


# name -> (value, slope)
EXACT = {
    "tanh": (math.tanh, lambda x: 1 - math.tanh(x) ** 2),
    "sigmoid": (logistic, lambda x: logistic(x) * logistic(-x)),
    "softplus": (lambda x: max(x, 0) + math.log1p(math.exp(-abs(x))), logistic),
    "elu": (lambda x: x if x > 0 else math.expm1(x), lambda x: 1 if x > 0 else math.exp(x)),
    "silu": (lambda x: x * logistic(x), lambda x: logistic(x) * (1 + x * logistic(-x))),
    "gelu": (
        lambda x: x * math.erfc(-x / math.sqrt(2)) / 2,
        lambda x: math.erfc(-x / math.sqrt(2)) / 2 + x * density(x),
    ),
    "erf": (math.erf, lambda x: 2 / math.sqrt(math.pi) * math.exp(-x * x)),
    "relu": (lambda x: max(x, 0), lambda x: float(x > 0)),
    "leaky_relu": (lambda x: x if x > 0 else 0.01 * x, lambda x: 1 if x > 0 else 0.01),
}


def at(name: str, x: float, dtype) -> tuple[float, float]:
    leaf = Tensor(np.array([x], dtype), requires_grad=True)
    with np.errstate(all="ignore"):
        y = getattr(mg, name)(leaf)
        y.backward(Tensor(np.ones(1, dtype)))
    return y.item(), leaf.grad.item()


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_values_and_slopes_are_maths(name, dtype):
    rtol, atol = (1e-10, 1e-300) if dtype == "float64" else (3e-6, 1e-37)
    for x in FINITE:
        x = float(np.dtype(dtype).type(x))
        expected = [f(x) for f in EXACT[name]]
        near_1 = 2e-16 if dtype == "float64" else 1.2e-7  # 1 - y² and y(1 - y) lose what y is rounded by
        slack = near_1 if (name in ("tanh", "sigmoid") and x > 0) or name == "tanh" else atol
        np.testing.assert_allclose(at(name, x, dtype)[0], expected[0], rtol=rtol, atol=atol, err_msg=f"{name}({x})")
        np.testing.assert_allclose(at(name, x, dtype)[1], expected[1], rtol=rtol, atol=slack, err_msg=f"{name}'({x})")


# name, x, value, slope
EDGES = [
    ("sigmoid", inf, 1, 0), ("sigmoid", -inf, 0, 0), ("tanh", inf, 1, 0), ("tanh", -inf, -1, 0), ("erf", inf, 1, 0),
    ("softplus", inf, inf, 1), ("softplus", -inf, 0, 0), ("elu", inf, inf, 1), ("elu", -inf, -1, 0),
    ("elu", nan, nan, 1), ("relu", nan, nan, 1), ("relu", -inf, 0, 0), ("leaky_relu", -inf, -inf, 0.01),
    ("sigmoid", nan, nan, nan), ("softplus", nan, nan, nan),
]  # fmt: skip


@pytest.mark.parametrize(("name", "x", "value", "slope"), EDGES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_edges(name, x, value, slope, dtype):
    np.testing.assert_allclose(at(name, x, dtype), (value, slope), rtol=1e-6)


def test_the_lower_tails_are_not_0():
    """Once sigmoid was (1 + tanh)/2 and elu eˣ - 1, which lose them to rounding: log(sigmoid(-20)) was -inf."""
    x = mg.tensor([-20.0])
    np.testing.assert_allclose(mg.log(mg.sigmoid(x)).data, [-20], rtol=1e-6)
    np.testing.assert_allclose(mg.elu(mg.tensor([-1e-8])).data, [-1e-8], rtol=1e-6)
    half = mg.sigmoid(mg.tensor([-10.0]).half())
    np.testing.assert_allclose(half.data.astype(np.float64), [4.54e-5], rtol=2e-3)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "erf", "relu", "elu", "gelu", "silu", "softplus", "leaky_relu"])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 3)])
def test_shapes(name, shape):
    x = mg.full(shape, 0.5, requires_grad=True)
    y = getattr(mg, name)(x)
    assert y.shape == shape
    y.sum().backward()
    assert x.grad.shape == shape


# At ±inf torch's gelu and its slope are NaN, and beyond -10 gelu is 0 there, where ours keeps the tail.
IN_PYTORCH = ["tanh", "sigmoid", "erf", "relu", "leaky_relu", "elu", "softplus", "silu"]


@pytest.mark.parity
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", IN_PYTORCH)
def test_edges_are_pytorchs(name, dtype):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch, name, None) or getattr(torch.nn.functional, name)
    assert list(differences(torch, getattr(mg, name), theirs, [ONE_OPERAND], dtype)) == []


def test_relu_keeps_its_result_so_its_input_may_be_written_to():
    x = mg.tensor([-1.0, 2.0], requires_grad=True)
    h = x * 1.0
    y = mg.relu(h)
    h.mul_(-3)
    y.sum().backward()
    assert x.grad.tolist() == [0, 1]
