"""Activations at their kinks, at infinity and NaN, against PyTorch: values and gradients; and dropout of channels."""

import numpy as np
import pytest

import minigrad as mg
import nn
from nn import functional as F

EDGES = np.array([-np.inf, -1e30, -6, -3, -1, -0.5, -0.0, 0, 0.5, 1, 3, 6, 20, 1e30, np.inf, np.nan])
NAMES = [
    *("relu", "relu6", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "logsigmoid", "hardtanh", "sigmoid"),
    *("hardsigmoid", "hardswish", "softsign", "tanhshrink", "softshrink", "hardshrink", "leaky_relu", "tanh"),
]


@pytest.mark.parity
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_edges_equal_torch(name, dtype):
    torch = pytest.importorskip("torch")
    edges = EDGES[np.abs(EDGES) < 1e20] if name in ("gelu", "silu", "mish") else EDGES  # theirs are NaN there, in part
    x, y = mg.tensor(edges.astype(dtype), requires_grad=True), torch.tensor(edges.astype(dtype), requires_grad=True)
    with np.errstate(all="ignore"):
        ours, theirs = getattr(F, name)(x), getattr(torch.nn.functional, name)(y)
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=2e-6, atol=1e-6)
        ours.backward(mg.ones_like(ours.detach()))
    theirs.backward(torch.ones_like(theirs))
    finite = np.isfinite(edges)
    np.testing.assert_allclose(x.grad.numpy()[finite], y.grad.numpy()[finite], rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 0, 3)])
def test_shapes_and_dtypes_stay(name, shape):
    for dtype in ("float16", "float32", "float64"):
        out = getattr(F, name)(mg.ones(*shape, dtype=dtype))
        assert out.shape == shape
        assert out.dtype == dtype


def test_dropout_of_channels_takes_them_whole():
    mg.manual_seed(0)
    for layer, shape in (
        (nn.Dropout1d(0.4), (50, 8, 6)),
        (nn.Dropout2d(0.4), (50, 8, 2, 3)),
        (nn.Dropout2d(0.4), (400, 2, 3)),
    ):
        x = mg.ones(*shape, requires_grad=True)
        out = layer(x)
        flat = out.detach().numpy().reshape(400, 6)
        assert (flat == flat[:, :1]).all()
        np.testing.assert_allclose(np.unique(flat), [0, 1 / 0.6], rtol=1e-6)
        assert (flat[:, 0] == 0).mean() == pytest.approx(0.4, abs=0.1)
        out.sum().backward()
        np.testing.assert_array_equal(x.grad.numpy(), out.detach().numpy())
        assert layer.eval()(x) is x
    assert not nn.Dropout2d(1.0)(mg.ones(2, 3, 4, 4)).numpy().any()


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: F.glu(mg.zeros(2, 3)), "expected an even size"),
        (lambda: F.glu(mg.tensor(1.0)), "expected an even size"),
        (lambda: F.hardtanh(mg.zeros(2), 1, -1), "min_val=1 above max_val=-1"),
        (lambda: F.celu(mg.zeros(2), 0), "alpha=0"),
        (lambda: F.softshrink(mg.zeros(2), -1), "lambd=-1"),
        (lambda: F.prelu(mg.zeros(2, 3), mg.zeros(2)), r"expected \(1,\) or \(3,\)"),
        (lambda: F.dropout2d(mg.zeros(2, 3)), "expected 4 dimensions"),
        (lambda: nn.Dropout1d(-1), "p=-1"),
        (lambda: nn.Unflatten(1, (2, 2))(mg.zeros(2, 6)), "is not"),
        (lambda: nn.Unflatten(1, (-1, -1))(mg.zeros(2, 6)), "is not"),
        (lambda: nn.Embedding.from_pretrained(mg.zeros(3)), "two dimensions"),
        (lambda: nn.Embedding.from_pretrained(mg.zeros(3, 2), padding_idx=3), "padding_idx=3"),
    ],
)
def test_bad_input(act, message):
    with pytest.raises(ValueError, match=message):
        act()


def test_embedding_from_vectors():
    vectors = mg.tensor([[1.0, 2], [3, 4], [5, 6]])
    layer = nn.Embedding.from_pretrained(vectors, padding_idx=-1)
    assert layer(mg.tensor([1, 0])).tolist() == [[3, 4], [1, 2]]
    assert not layer.weight.requires_grad
    assert layer.padding_idx == 2
    assert repr(layer) == "Embedding(3, 2, padding_idx=2)"
    assert nn.Embedding.from_pretrained(vectors, freeze=False).weight.requires_grad
