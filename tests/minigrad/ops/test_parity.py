"""Every operation of the table against PyTorch in float64: values, gradients, second-order gradients."""

import importlib

import numpy as np
import pytest

import minigrad as mg
from minigrad.tensor import Tensor
from tests.support.ops_table import CASES

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore:Using padding=.same.")]


class Torch:
    """torch under the names and signatures of minigrad, so that the table's expressions run on both."""

    def __init__(self):
        self.torch = pytest.importorskip("torch")
        self.F = self.torch.nn.functional

    def __getattr__(self, name):
        if name in ("adaptive_max_pool1d", "adaptive_avg_pool1d", "embedding") or (
            hasattr(self.F, name) and not hasattr(self.torch, name)
        ):
            return getattr(self.F, name)
        return getattr(self.torch, name)

    def tensor(self, array, dtype=None):
        return self.torch.tensor(np.asarray(array), dtype=dtype)

    def layer_norm(self, x, weight=None, bias=None, eps=1e-5):
        return self.F.layer_norm(x, x.shape[-1:], weight, bias, eps)

    def rms_norm(self, x, weight=None, eps=1e-6):
        return self.F.rms_norm(x, x.shape[-1:], weight, eps)

    def linear(self, x, weight, bias=None, activation=None):
        y = self.F.linear(x, weight, bias)
        if activation == "gelu_tanh":
            return self.F.gelu(y, approximate="tanh")
        return y if activation is None else getattr(self.F, activation)(y)

    def log_softmax(self, x, dim):
        return self.torch.log_softmax(x, dim)

    def scatter_add(self, x, dim, index, src):
        return self.torch.scatter_add(x, dim, index, src)

    def scaled_dot_product_attention(self, *args, **keywords):
        attention = importlib.import_module("torch.nn.attention")
        with attention.sdpa_kernel(attention.SDPBackend.MATH):  # the one that has second derivatives
            return self.F.scaled_dot_product_attention(*args, **keywords)

    def norm(self, x, p=2, dim=None, keepdim=False):
        return self.torch.linalg.vector_norm(x, p, dim, keepdim)


@pytest.mark.parametrize("case", [c for c in CASES if c.torch], ids=lambda case: case.id)
def test_parity(case):
    m = Torch()
    ours = [Tensor(x, requires_grad=True) for x in case.inputs]
    theirs = [m.torch.tensor(x, requires_grad=True) for x in case.inputs]
    y, t = case.expression(mg, *ours), case.expression(m, *theirs)
    assert y.shape == tuple(t.shape)
    np.testing.assert_allclose(y.data, t.detach().numpy(), rtol=1e-9, atol=1e-11)

    upstream = np.random.default_rng(0).uniform(0.5, 1.5, y.shape)
    upstream_t = m.torch.tensor(upstream, requires_grad=True)
    first = mg.grad(y, ours, Tensor(upstream, requires_grad=True), create_graph=True)
    fast = mg.grad(case.expression(mg, *ours), ours, Tensor(upstream))
    first_t = m.torch.autograd.grad(t, theirs, upstream_t, create_graph=True)
    for a, b, c in zip(first, fast, first_t, strict=True):
        np.testing.assert_allclose(a.data, c.detach().numpy(), rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(b.data, c.detach().numpy(), rtol=1e-8, atol=1e-10)

    # Through a sine, so that every gradient has a gradient.
    second = mg.grad(sum((g * 1.7).sin().sum() for g in first), ours, allow_unused=True)
    second_t = m.torch.autograd.grad(
        sum((g * 1.7).sin().sum() for g in first_t), theirs, allow_unused=True, materialize_grads=True
    )
    for x, a, b in zip(ours, second, second_t, strict=True):
        found = np.zeros(x.shape) if a is None else a.data
        np.testing.assert_allclose(found, b.numpy(force=True), rtol=1e-7, atol=1e-9)


ROUNDINGS = ["floor", "ceil", "round", "sign", "isnan", "isinf", "isfinite", "logical_not"]


@pytest.mark.parametrize("name", [*ROUNDINGS, "argmax", "argmin", "nonzero"])
def test_parity_without_gradient(name):
    m = Torch()
    array = np.array([[-1.5, 0.0, np.inf], [2.5, 0.5, -np.inf]])
    found, expected = getattr(mg, name)(Tensor(array)), getattr(m.torch, name)(m.tensor(array))
    np.testing.assert_array_equal(found.data, expected.numpy())
    assert str(found.dtype) == str(expected.dtype).removeprefix("torch.")


@pytest.mark.parametrize("name", ["maximum", "minimum", "amax", "amin", "relu", "abs", "clamp", "norm", "max", "min"])
def test_ties_and_kinks_as_in_torch(name):
    """At a kink no gradient is right; ours is the same choice as PyTorch's."""
    m = Torch()
    array = np.array([[1.0, 1.0, 0.0], [0.0, -1.0, -1.0], [0.0, 0.0, 0.0]])

    def run(m, x):
        if name in ("maximum", "minimum"):
            return getattr(m, name)(x, x.flip((1,)) if m is mg else m.flip(x, (1,))).sum()
        if name == "clamp":
            return m.clamp(x, min=0.0, max=1.0).sum()
        if name in ("amax", "amin", "norm"):
            return getattr(m, name)(x, dim=1).sum()
        return getattr(m, name)(x).sum()

    x, t = Tensor(array, requires_grad=True), m.torch.tensor(array, requires_grad=True)
    run(mg, x).backward()
    run(m, t).backward()
    np.testing.assert_allclose(x.grad.data, t.grad.numpy())
