"""Every layer and loss of the table against finite differences, inputs and parameters, first and second order."""

import sys

import numpy as np
import pytest

import minigrad as mg
import nn
from tests.support.layers_table import ATTENTION, CASES, Case, encoder_layer, ids, padding, real, self_attention

OURS = [
    Case("grouped-heads", lambda nn: nn.MultiheadAttention(8, 4, num_kv_heads=2, batch_first=True), [real(2, 3, 8)],
         self_attention),
    Case("grouped-heads-weights", lambda nn: nn.MultiheadAttention(8, 4, num_kv_heads=2, batch_first=True),
         [real(2, 3, 8)], lambda m, x: m(x, x, x, is_causal=True)),
    Case("rotary-attention", lambda nn: nn.MultiheadAttention(8, 2, batch_first=True, rotary=nn.RotaryEmbedding(4)),
         [real(2, 3, 8)], lambda m, x: self_attention(m, x, is_causal=True)),
    Case("dropped-attention", lambda nn: nn.MultiheadAttention(4, 2, 0.4, batch_first=True), [real(2, 5, 4)],
         self_attention),
    Case("dropped-attention-weights", lambda nn: nn.MultiheadAttention(4, 2, 0.4, batch_first=True), [real(2, 5, 4)],
         lambda m, x: m(x, x, x)),
    Case("blind-row", lambda nn: nn.MultiheadAttention(4, 2, batch_first=True), [real(2, 3, 4), padding(3, 0)],
         lambda m, x, pad: m(x, x, x, pad)),
    Case("blind-row-fused", lambda nn: nn.MultiheadAttention(4, 2, batch_first=True), [real(2, 3, 4), padding(3, 0)],
         lambda m, x, pad: self_attention(m, x, key_padding_mask=pad)),
    Case("additive-one-query-blind", lambda nn: nn.AdditiveAttention(3, 4, 5),
         [real(2, 3), real(2, 3, 4), padding(3, 0)], lambda m, q, k, pad: m(q, k, None, pad)[0]),
    Case("dropout", lambda nn: nn.Dropout(0.4), [real(4, 5)]),
    Case("encoder-layer-gelu-tanh", lambda nn: encoder_layer(nn, activation="gelu_tanh"), [real(1, 3, 4)]),
    Case("encoder-layer-dropout", lambda nn: nn.TransformerEncoderLayer(4, 2, 3, 0.3, batch_first=True),
         [real(2, 3, 4)]),
    Case("sinusoidal", lambda nn: nn.SinusoidalPositionalEncoding(5, 9), [real(2, 3, 5)]),
    Case("learned", lambda nn: nn.LearnedPositionalEmbedding(9, 4), [real(2, 3, 4)], lambda m, x: m(x, 5)),
    Case("rotary", lambda nn: nn.RotaryEmbedding(4), [real(2, 3, 4)], lambda m, x: m(x, 7)),
    Case("rotary-halves", lambda nn: nn.RotaryEmbedding(6, interleaved=False), [real(3, 6)]),
    Case("negative-sampling", lambda nn: nn.NegativeSamplingLoss(5, 3), [real(4, 3), ids(5, 4), ids(5, 4, 3)]),
    Case("negative-sampling-none", lambda nn: nn.NegativeSamplingLoss(5, 3, reduction="none"),
         [real(2, 3), ids(5, 2), ids(5, 2, 0)]),
    Case("hierarchical-softmax", lambda nn: nn.HierarchicalSoftmax(5, 3, [9, 1, 4, 2, 30]), [real(6, 3), ids(5, 6)]),
    Case("hierarchical-softmax-all", lambda nn: nn.HierarchicalSoftmax(4, 3, [9, 1, 4, 2]), [real(2, 3)],
         lambda m, x: m.log_prob(x)),
]  # fmt: skip


def prepared(case):
    """The module in float64 with parameters that are not all 0 or 1, and its inputs as Tensors."""
    mg.manual_seed(1)
    module = case.build(nn).double()
    for parameter in module.parameters():
        parameter.data += 0.3 * np.random.default_rng(2).standard_normal(parameter.shape)
    inputs = [
        mg.tensor(x, requires_grad=x.dtype.kind == "f" and i not in case.constants) for i, x in enumerate(case.inputs)
    ]
    return module, inputs


def as_one_vector(module):
    """The parameters as one leaf, and how to put its slices in their places: one input for gradcheck, not forty."""
    modules = dict(module.named_modules())
    places, values = [], [np.zeros(0)]
    for name, parameter in module.named_parameters():
        owner, _, attribute = name.rpartition(".")
        places.append((vars(modules[owner]), attribute, parameter.shape))
        values.append(parameter.data.reshape(-1))

    def put(flat):
        pieces = flat.split([value.size for value in values[1:]]) if places else ()
        for (attributes, name, shape), piece in zip(places, pieces, strict=True):
            attributes[name] = piece.reshape(shape)

    return mg.tensor(np.concatenate(values), requires_grad=True), put


@pytest.mark.parametrize("case", CASES + OURS, ids=lambda case: case.name)
@pytest.mark.parametrize("order", [1, 2])
def test_gradients(case, order, monkeypatch):
    # What is larger is checked along random directions, which touch every element: the table is long.
    monkeypatch.setattr(sys.modules["minigrad.gradcheck"], "EXHAUSTIVE", 60 if order == 1 else 12)
    monkeypatch.setattr(sys.modules["minigrad.gradcheck"], "DIRECTIONS", 3)
    module, inputs = prepared(case)
    if case.name == "embedding-padding":
        return check_embedding_with_padding(module, case.inputs[0], order)
    parameters, put = as_one_vector(module)

    def layer(*values):
        put(values[-1])
        return case.call(module, *values[:-1])

    check = mg.gradcheck if order == 1 else mg.gradgradcheck
    assert check(layer, [*inputs, parameters], atol=2e-5 if order == 2 else 1e-6, rtol=1e-4 if order == 2 else 1e-5)


def check_embedding_with_padding(module, ids, order):
    """The padding row's gradient is 0 by definition, not by calculus."""
    out = module(mg.tensor(ids))
    upstream = mg.tensor(np.random.default_rng(3).standard_normal(out.shape))
    (gradient,) = mg.grad(out, [module.weight], upstream, create_graph=order == 2)
    expected = np.zeros(module.weight.shape)
    np.add.at(expected, ids[ids != 2], upstream.numpy()[ids != 2])
    np.testing.assert_allclose(gradient.detach().numpy(), expected)


@pytest.mark.parametrize("case", ATTENTION, ids=lambda case: case.name)
def test_fused_attention_equals_the_one_with_weights(case, monkeypatch):
    forward = nn.MultiheadAttention.forward
    results = []
    for weights_wanted in (False, True):
        seen = []

        def either(*args, weights_wanted=weights_wanted, seen=seen, **options):
            out, weights = forward(*args, **{**options, "need_weights": weights_wanted})
            seen.append(out)
            return out, out if weights is None else weights

        monkeypatch.setattr(nn.MultiheadAttention, "forward", either)
        module, inputs = prepared(case)
        case.call(module, *inputs)
        gradients = mg.grad((seen[0] * seen[0]).sum(), list(module.parameters()))
        results.append([seen[0].detach().numpy(), *(g.numpy() for g in gradients)])
    for fused, explicit in zip(*results, strict=True):
        np.testing.assert_allclose(fused, explicit, rtol=1e-9, atol=1e-12)
