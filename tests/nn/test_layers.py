"""Linear, Embedding, normalisation, dropout, activations and initialisers beyond the table."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
import nn
from nn import functional as F
from nn import init
from tests.support.layers_table import CASES

lead = st.lists(st.integers(0, 4), max_size=3).map(tuple)
size = st.integers(1, 6)


@given(lead, size, size, st.booleans(), st.sampled_from([None, "relu", "gelu", "gelu_tanh", "silu"]))
def test_linear_property(shape, features_in, features_out, bias, activation):
    layer = nn.Linear(features_in, features_out, bias).double()
    rng = np.random.default_rng(0)
    x = mg.tensor(rng.standard_normal((*shape, features_in)), requires_grad=True)
    out = layer(x, activation)
    expected = np.einsum("...i,oi->...o", x.data, layer.weight.data) + (layer.bias.data if bias else 0)
    expected = mg.activate(mg.tensor(expected), activation).numpy()
    np.testing.assert_allclose(out.detach().numpy(), expected, rtol=1e-9, atol=1e-12)
    upstream = rng.standard_normal(out.shape)
    out.backward(mg.tensor(upstream))
    assert x.grad.shape == x.shape
    if activation is None:
        np.testing.assert_allclose(x.grad.numpy(), upstream @ layer.weight.data, rtol=1e-9, atol=1e-12)


@given(lead, size, st.integers(0, 5), st.sampled_from([None, 0, -1]))
def test_embedding_property(shape, rows, dim, padding_idx):
    layer = nn.Embedding(rows, dim, padding_idx)
    ids = np.random.default_rng(0).integers(0, rows, shape)
    out = layer(mg.tensor(ids))
    np.testing.assert_array_equal(out.detach().numpy(), layer.weight.data[ids])
    out.sum().backward()
    counts = np.bincount(ids.reshape(-1), minlength=rows)
    if padding_idx is not None:
        assert not layer.weight.data[padding_idx].any()
        counts[padding_idx] = 0
    np.testing.assert_array_equal(layer.weight.grad.numpy(), np.repeat(counts[:, None], dim, 1))


@given(lead, st.lists(size, min_size=1, max_size=3).map(tuple))
def test_normalisation_property(shape, trailing):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape + trailing)
    axes = tuple(range(len(shape), len(shape) + len(trailing)))
    weight, bias = rng.standard_normal(trailing), rng.standard_normal(trailing)
    with np.errstate(all="ignore"):
        centred = x - x.mean(axes, keepdims=True)
        layer_norm = centred / np.sqrt((centred**2).mean(axes, keepdims=True) + 1e-3) * weight + bias
        rms_norm = x / np.sqrt((x**2).mean(axes, keepdims=True) + 1e-3) * weight
    x, weight, bias = mg.tensor(x), mg.tensor(weight), mg.tensor(bias)
    close = {"rtol": 1e-8, "atol": 1e-10}
    np.testing.assert_allclose(F.layer_norm(x, trailing, weight, bias, 1e-3).numpy(), layer_norm, **close)
    np.testing.assert_allclose(F.rms_norm(x, trailing, weight, 1e-3).numpy(), rms_norm, **close)
    shifted = F.layer_norm(x, trailing, None, bias, 1e-3) - F.layer_norm(x, trailing, eps=1e-3)
    np.testing.assert_allclose(shifted.numpy(), np.broadcast_to(bias.numpy(), x.shape), **close)


def test_dropout_keeps_the_mean_and_repeats_with_the_seed():
    layer, x = nn.Dropout(0.25), mg.ones(200, 500)
    mg.manual_seed(5)
    first = layer(x).numpy()
    assert first.mean() == pytest.approx(1, abs=0.01)
    assert (first == 0).mean() == pytest.approx(0.25, abs=0.01)
    np.testing.assert_allclose(np.unique(first), [0, 4 / 3], rtol=1e-6)
    assert (layer(x).numpy() != first).any()
    mg.manual_seed(5)
    np.testing.assert_array_equal(layer(x).numpy(), first)
    assert layer.eval()(x) is x
    assert not nn.Dropout(1.0)(x).numpy().any()


def test_zero_sizes_work():
    assert nn.Linear(0, 3)(mg.zeros(2, 0)).shape == (2, 3)
    assert nn.Linear(3, 0)(mg.zeros(2, 3)).shape == (2, 0)
    assert nn.Embedding(4, 0)(mg.tensor([1])).shape == (1, 0)
    assert nn.Flatten()(mg.zeros(0, 3, 2)).shape == (0, 6)
    assert nn.Conv1d(3, 2, 2)(mg.zeros(0, 3, 5)).shape == (0, 2, 4)
    assert nn.Conv2d(3, 2, 2)(mg.zeros(0, 3, 5, 4)).shape == (0, 2, 4, 3)
    assert nn.PReLU()(mg.tensor(-1.0)).shape == ()


def test_half_precision_stays_where_the_parameters_are_float32():
    x = mg.randn(2, 4, 3).half()
    for layer in (nn.BatchNorm1d(4), nn.GroupNorm(2, 4), nn.InstanceNorm1d(4, affine=True)):
        assert layer(x).dtype == "float16"


def test_grouped_heads_may_be_said_to_be():
    q, k = mg.randn(1, 4, 3, 8), mg.randn(1, 2, 3, 8)
    plain = F.scaled_dot_product_attention(q, k, k)
    np.testing.assert_array_equal(F.scaled_dot_product_attention(q, k, k, enable_gqa=True).numpy(), plain.numpy())


def test_initialisers_write_in_place_even_on_parameters():
    weight = nn.Parameter(mg.zeros(4, 3))
    assert init.constant_(weight, 2.5) is weight
    assert (weight.data == 2.5).all()
    assert (init.ones_(weight).data == 1).all()
    assert not init.zeros_(weight).data.any()
    q = init.orthogonal_(weight).data
    np.testing.assert_allclose(q.T @ q, np.eye(3), atol=1e-6)
    wide = init.orthogonal_(mg.zeros(2, 2, 3)).data.reshape(2, 6)
    np.testing.assert_allclose(wide @ wide.T, np.eye(2), atol=1e-6)
    clipped = init.trunc_normal_(mg.zeros(1000), std=3, a=-1, b=2).data
    assert -1 <= clipped.min() < clipped.max() <= 2


def test_initial_values_follow_the_seed():
    mg.manual_seed(3)
    a = nn.TransformerEncoderLayer(8, 2, 16).state_dict()
    mg.manual_seed(3)
    b = nn.TransformerEncoderLayer(8, 2, 16).state_dict()
    assert all((a[name].data == b[name].data).all() for name in a)


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda: nn.Linear(-1, 2), ValueError, "Linear: in_features=-1; expected a size of 0 or more"),
        (lambda: nn.Linear(2, 3.5), TypeError, "Linear: out_features=3.5; expected an integer"),
        (lambda: nn.Linear(2, True), TypeError, "out_features=True"),
        (lambda: nn.Linear(3, 2)(mg.zeros(2, 4)), ValueError, r"x \(2, 4\) with weight \(2, 3\)"),
        (lambda: nn.Linear(3, 2)(mg.zeros(2, 3, dtype="float64")), TypeError, "x is float64, weight float32"),
        (lambda: nn.Linear(3, 2)(mg.tensor([[1, 2, 3]])), TypeError, "x is int64"),
        (lambda: nn.Linear(3, 2)(mg.zeros(3), "swish"), ValueError, "swish"),
        (lambda: nn.Embedding(-1, 2), ValueError, "num_embeddings=-1"),
        (lambda: nn.Embedding(3, 2, padding_idx=3), ValueError, "padding_idx=3 is not one of the 3 ids"),
        (lambda: nn.Embedding(3, 2)(mg.tensor([1, 3])), IndexError, "3"),
        (lambda: nn.Embedding(3, 2)(mg.tensor([-1])), IndexError, "-1"),
        (lambda: nn.Embedding(3, 2)(mg.tensor([0.5])), TypeError, "ids are float32; expected integers"),
        (lambda: nn.LayerNorm(()), ValueError, "name at least one dimension"),
        (lambda: nn.LayerNorm((2, -3)), ValueError, "normalized_shape=-3"),
        (lambda: nn.LayerNorm((2, 3))(mg.zeros(2, 2)), ValueError, r"input \(2, 2\) does not end in .*\(2, 3\)"),
        (lambda: nn.RMSNorm(4)(mg.zeros(2, 3)), ValueError, r"rms_norm: input \(2, 3\) does not end in"),
        (lambda: F.layer_norm(mg.zeros(2, 3), 3, mg.ones(2)), ValueError, r"weight \(2,\); expected"),
        (lambda: nn.Dropout(1.2), ValueError, "p=1.2; expected a probability between 0 and 1"),
        (lambda: nn.Dropout("0.5"), ValueError, "p='0.5'"),
        (lambda: F.dropout(mg.zeros(2), -1), ValueError, "p=-1"),
        (lambda: nn.GELU("fast"), ValueError, "approximate='fast'"),
        (lambda: F.softplus(mg.zeros(2), beta=0), ValueError, "beta=0"),
        (lambda: nn.Softmax(2)(mg.zeros(2, 3)), IndexError, "dim 2"),
        (lambda: init.xavier_uniform_(mg.zeros(3)), ValueError, r"shape \(3,\) has no fan"),
        (lambda: init.kaiming_normal_(mg.zeros(3, 3), mode="fan"), ValueError, "mode='fan'"),
        (lambda: init.calculate_gain("swish"), ValueError, "'swish'; choose one of linear"),
        (lambda: init.orthogonal_(mg.zeros(3)), ValueError, "two dimensions at least"),
        (lambda: init.normal_(mg.zeros(3), std=-1), ValueError, "std=-1"),
        (lambda: init.trunc_normal_(mg.zeros(3), a=1, b=1), ValueError, "a must be below b"),
        (lambda: init.trunc_normal_(mg.zeros(3), mean=50), ValueError, "outside"),
    ],
)
def test_bad_input(act, error, message):
    with pytest.raises(error, match=message):
        act()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_setting_hides_what_a_module_can_do(case):
    """PyTorch's PReLU has a number num_parameters; ours keeps the method that every Module has."""
    layer = case.build(nn)
    assert [name for name in vars(layer) if hasattr(nn.Module, name)] == []
    assert layer.num_parameters() == sum(parameter.numel() for parameter in layer.parameters())
