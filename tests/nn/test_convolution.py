"""Conv1d, pooling and encoder-decoder attention beyond the table: properties and bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
import nn
from nn import functional as F


def close(ours, theirs):
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-4, atol=1e-5)


@given(st.integers(1, 12), st.integers(1, 6), st.integers(1, 4))
def test_same_padding_keeps_the_time(time, width, dilation):
    layer = nn.Conv1d(2, 3, width, padding="same", dilation=dilation)
    assert layer(mg.randn(2, 2, time)).shape == (2, 3, time)


def test_a_convolution_of_width_1_is_a_linear_layer():
    layer = nn.Conv1d(3, 4, 1)
    x = mg.randn(2, 3, 5)
    expected = F.linear(x.transpose(1, 2), layer.weight[:, :, 0], layer.bias)
    close(layer(x).transpose(1, 2), expected)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4), st.integers(0, 3))
def test_pooling_over_time_does_not_see_the_padding(lengths, extra):
    time = max(lengths) + extra + 1
    rng = np.random.default_rng(0)
    x = rng.standard_normal((len(lengths), time, 3))
    mask = np.arange(time) >= np.array(lengths)[:, None]
    x[mask] = 1e9
    for layer, reduce in ((nn.MaxOverTime(), np.max), (nn.MeanOverTime(), np.mean)):
        found = layer(mg.tensor(x), mg.tensor(mask)).numpy()
        for row, text, length in zip(found, x, lengths, strict=True):
            np.testing.assert_allclose(row, reduce(text[:length], 0) if length else np.zeros(3), atol=1e-12)


ATTENTIONS = {
    "additive": lambda: nn.AdditiveAttention(4, 4, 5),
    "general": lambda: nn.GeneralAttention(4, 4),
    "dot-product": lambda: nn.DotProductAttention(),
}
every_attention = pytest.mark.parametrize("build", ATTENTIONS.values(), ids=ATTENTIONS)


@every_attention
def test_weights_are_a_distribution_over_the_keys_that_count(build):
    query, key = mg.randn(3, 2, 4), mg.randn(3, 5, 4)
    hidden = np.arange(5) >= np.array([5, 2, 0])[:, None]
    context, weights = build()(query, key, key_padding_mask=mg.tensor(hidden))
    assert context.shape == (3, 2, 4)
    assert weights.shape == (3, 2, 5)
    weights = weights.detach().numpy()
    assert (weights >= 0).all()
    assert not weights[np.repeat(hidden[:, None], 2, 1)].any()
    np.testing.assert_allclose(weights.sum(-1), [[1, 1], [1, 1], [0, 0]], rtol=1e-5)
    np.testing.assert_allclose(context[2].detach().numpy(), 0)


@every_attention
def test_one_query_is_one_row(build):
    layer, query, key, value = build(), mg.randn(3, 4), mg.randn(3, 5, 4), mg.randn(3, 5, 2)
    context, weights = layer(query, key, value)
    assert context.shape == (3, 2)
    assert weights.shape == (3, 5)
    close(context, layer(query.unsqueeze(1), key, value)[0][:, 0])


@every_attention
def test_order_of_the_keys_does_not_matter(build):
    layer, query, key = build(), mg.randn(2, 3, 4), mg.randn(2, 5, 4)
    order = [3, 1, 4, 0, 2]
    context, weights = layer(query, key)
    again, moved = layer(query, key[:, order])
    close(again, context)
    close(moved, weights[:, :, order])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: F.conv1d(x, mg.zeros(2, 4, 2)), ValueError, r"x \(2, 3, 6\).*x must have 4·1 channels"),
        (lambda x: F.conv1d(x, mg.zeros(4, 1, 2), groups=3), ValueError, "groups divide the 4 filters"),
        (lambda x: F.conv1d(x, mg.zeros(2, 3, 2), mg.zeros(3)), ValueError, r"bias \(3,\).*expected \(2,\)"),
        (lambda x: F.conv1d(x, mg.zeros(2, 3, 2, dtype="float64")), TypeError, "cast one"),
        (lambda x: F.conv1d(x, mg.zeros(2, 3, 7)), ValueError, "a window of 7 steps does not fit"),
        (lambda x: F.conv1d(x, mg.zeros(2, 3, 2), stride=0), ValueError, "stride=0; expected an integer of 1 or more"),
        (lambda x: F.conv1d(x, mg.zeros(2, 3, 2), stride=2, padding="same"), ValueError, "defined for stride 1 alone"),
        (lambda x: F.conv1d(x, mg.zeros(2, 3, 2), padding="full"), ValueError, "padding='full'"),
        (lambda x: F.conv1d(x[0, 0], mg.zeros(2, 3, 2)), ValueError, r"expected \(batch, channels, time\)"),
        (lambda x: nn.Conv1d(3, 4, 2, groups=2), ValueError, "groups=2 must divide in_channels=3"),
        (lambda x: F.max_pool1d(x, 7), ValueError, "a window of 7 steps does not fit"),
        (lambda x: F.avg_pool1d(x, 3, padding=2), ValueError, "padding=2 is more than half of kernel_size=3"),
        (lambda x: F.adaptive_max_pool1d(x, 0), ValueError, "output_size=0"),
        (lambda x: F.max_over_time(x[0]), ValueError, r"expected \(batch, time, channels\)"),
        (lambda x: F.mean_over_time(x, mg.zeros(2, 3)), ValueError, r"padding_mask float32 .*expected bool \(2, 3\)"),
        (lambda x: nn.DotProductAttention()(x, x[:1]), ValueError, "DotProductAttention: query"),
        (lambda x: nn.GeneralAttention(6, 6)(x, x, None, mg.zeros(2, 3)), ValueError, "expected bool"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(mg.zeros(2, 3, 6))
