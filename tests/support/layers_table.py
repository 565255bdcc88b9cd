"""The table of layers and losses. A line here gets every check: gradients of first and second order, and
forward, gradients, ten training steps and the state_dict against PyTorch.

`build` is given a namespace, nn or torch.nn, and makes the same module from either.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

rng = np.random.default_rng(0)


@dataclass
class Case:
    """One module and how to call it.

    inputs     arrays; floating ones get gradients
    call       module, *inputs -> the output to check
    constants  positions of floating inputs that stay without gradients
    """

    name: str
    build: Callable
    inputs: list = field(default_factory=list)
    call: Callable = lambda module, *inputs: module(*inputs)
    constants: tuple[int, ...] = ()


def real(*shape):
    return rng.standard_normal(shape)


def ids(high, *shape):
    return rng.integers(0, high, shape)


def unit(*shape):
    """Probabilities away from 0 and 1."""
    return rng.uniform(0.1, 0.9, shape)


def simplex(*shape, dim=-1):
    """Probabilities that add up to 1 along dim."""
    x = rng.uniform(0.1, 1, shape)
    return x / x.sum(dim, keepdims=True)


def logarithms(*shape):
    return np.log(simplex(*shape))


def signs(*shape):
    return rng.choice([-1.0, 1.0], shape)


def distinct(*shape):
    """Numbers far enough apart that finite differences do not change which is the largest."""
    return rng.permutation(np.arange(np.prod(shape)) * 0.1 - 1).reshape(shape)


def causal(n, m=None):
    return ~np.tril(np.ones((n, m or n), bool))


def padding(*lengths):
    """True past each length."""
    return np.arange(max(lengths)) >= np.array(lengths)[:, None]


def ignoring(targets, *indices, value=-100):
    targets = targets.copy()
    for index in indices:
        targets[index] = value
    return targets


def self_attention(module, x, **options):
    return module(x, x, x, need_weights=False, **options)[0]


def with_weights(module, x, **options):
    out, weights = module(x, x, x, **options)
    return out.sum() + (weights * weights).sum()


def restated(nn):
    """nn, or, in place of torch.nn, what we have beyond it written in torch."""
    if nn.__name__ == "torch.nn":
        from tests.support import layers_restated as nn
    return nn


def tensors_like(weight):
    """A constant tensor in the namespace of a module: torch's or ours."""

    def make(nn, dtype="float64"):
        if nn.__name__ == "torch.nn":
            import torch

            return torch.tensor(weight, dtype=getattr(torch, dtype))
        import minigrad as mg

        return mg.tensor(weight.astype(dtype))

    return make


classes = tensors_like(np.array([0.5, 2.0, 1.0, 0.25]))
elements = tensors_like(unit(3, 4))

LAYERS = [
    Case("linear", lambda nn: nn.Linear(5, 3), [real(4, 5)]),
    Case("linear-no-bias", lambda nn: nn.Linear(5, 3, bias=False), [real(2, 3, 5)]),
    Case("linear-1d", lambda nn: nn.Linear(5, 3), [real(5)]),
    Case("embedding", lambda nn: nn.Embedding(7, 3), [ids(7, 2, 5)]),
    Case("embedding-padding", lambda nn: nn.Embedding(7, 3, padding_idx=2), [np.array([[2, 0, 2], [6, 2, 0]])]),
    Case("layer-norm", lambda nn: nn.LayerNorm(6), [real(2, 3, 6)]),
    Case("layer-norm-two-dims", lambda nn: nn.LayerNorm((3, 4)), [real(2, 3, 4)]),
    Case("layer-norm-no-bias", lambda nn: nn.LayerNorm((3, 4), bias=False), [real(2, 3, 4)]),
    Case("layer-norm-plain", lambda nn: nn.LayerNorm((3, 4), 1e-3, elementwise_affine=False), [real(2, 3, 4)]),
    Case("rms-norm", lambda nn: nn.RMSNorm(6), [real(2, 3, 6)]),
    Case("rms-norm-two-dims", lambda nn: nn.RMSNorm((3, 4), eps=1e-3), [real(2, 3, 4)]),
    Case("rms-norm-plain", lambda nn: nn.RMSNorm(6, elementwise_affine=False), [real(2, 6)]),
    Case("identity", lambda nn: nn.Identity(54, unused=True), [real(2, 3)]),
    Case("flatten", lambda nn: nn.Flatten(), [real(2, 3, 4)]),
    Case("flatten-part", lambda nn: nn.Flatten(0, 1), [real(2, 3, 4)]),
    Case("relu", lambda nn: nn.ReLU(), [real(3, 4)]),
    Case("gelu", lambda nn: nn.GELU(), [real(3, 4)]),
    Case("gelu-tanh", lambda nn: nn.GELU(approximate="tanh"), [real(3, 4)]),
    Case("silu", lambda nn: nn.SiLU(), [real(3, 4)]),
    Case("tanh", lambda nn: nn.Tanh(), [real(3, 4)]),
    Case("sigmoid", lambda nn: nn.Sigmoid(), [real(3, 4)]),
    Case("leaky-relu", lambda nn: nn.LeakyReLU(0.2), [real(3, 4)]),
    Case("elu", lambda nn: nn.ELU(0.7), [real(3, 4)]),
    Case("softplus", lambda nn: nn.Softplus(), [np.array([-50.0, -1.0, 0.3, 19.0, 30.0])]),
    Case("softplus-beta", lambda nn: nn.Softplus(beta=2.0, threshold=3.0), [real(3, 4) * 2]),
    Case("softmax", lambda nn: nn.Softmax(dim=1), [real(2, 3, 4)]),
    Case("log-softmax", lambda nn: nn.LogSoftmax(dim=-1), [real(2, 3, 4)]),
    Case("celu", lambda nn: nn.CELU(0.7), [real(3, 4)]),
    Case("selu", lambda nn: nn.SELU(), [real(3, 4)]),
    Case("mish", lambda nn: nn.Mish(), [real(3, 4) * 9]),
    Case("glu", lambda nn: nn.GLU(), [real(3, 4)]),
    Case("glu-dim", lambda nn: nn.GLU(1), [real(2, 4, 3)]),
    Case("prelu", lambda nn: nn.PReLU(), [real(3, 4)]),
    Case("prelu-channels", lambda nn: nn.PReLU(3, 0.1), [real(2, 3, 4)]),
    Case("prelu-1d", lambda nn: nn.PReLU(), [real(4)]),
    Case("hardtanh", lambda nn: nn.Hardtanh(-0.5, 0.7), [real(3, 4)]),
    Case("relu6", lambda nn: nn.ReLU6(), [real(3, 4) * 5]),
    Case("hardsigmoid", lambda nn: nn.Hardsigmoid(), [real(3, 4) * 3]),
    Case("hardswish", lambda nn: nn.Hardswish(), [real(3, 4) * 3]),
    Case("log-sigmoid", lambda nn: nn.LogSigmoid(), [real(3, 4) * 9]),
    Case("softsign", lambda nn: nn.Softsign(), [real(3, 4)]),
    Case("tanhshrink", lambda nn: nn.Tanhshrink(), [real(3, 4)]),
    Case("softshrink", lambda nn: nn.Softshrink(0.4), [real(3, 4)]),
    Case("hardshrink", lambda nn: nn.Hardshrink(), [real(3, 4)]),
    Case("threshold", lambda nn: nn.Threshold(0.1, 20.0), [real(3, 4)]),
    Case("softmin", lambda nn: nn.Softmin(dim=1), [real(2, 3, 4)]),
    Case("unflatten", lambda nn: nn.Unflatten(1, (2, -1)), [real(2, 6, 3)]),
    Case("batch-norm", lambda nn: nn.BatchNorm1d(4), [real(5, 4)]),
    Case("batch-norm-time", lambda nn: nn.BatchNorm1d(3, momentum=None), [real(2, 3, 4)]),
    Case("batch-norm-eval", lambda nn: nn.BatchNorm1d(3, eps=1e-3).eval(), [real(2, 3, 4)]),
    Case("batch-norm-plain", lambda nn: nn.BatchNorm1d(3, affine=False), [real(2, 3, 4)]),
    Case("batch-norm-untracked", lambda nn: nn.BatchNorm1d(3, track_running_stats=False).eval(), [real(2, 3, 4)]),
    Case("batch-norm-2d", lambda nn: nn.BatchNorm2d(3), [real(2, 3, 2, 4)]),
    Case("group-norm", lambda nn: nn.GroupNorm(2, 4), [real(2, 4, 3)]),
    Case("group-norm-plain", lambda nn: nn.GroupNorm(3, 6, 1e-3, affine=False), [real(2, 6)]),
    Case("group-norm-one", lambda nn: nn.GroupNorm(1, 3), [real(1, 3, 2, 2)]),
    Case("instance-norm", lambda nn: nn.InstanceNorm1d(3, affine=True), [real(2, 3, 4)]),
    Case("instance-norm-unbatched", lambda nn: nn.InstanceNorm2d(3), [real(3, 4, 2)]),
    Case("sequential", lambda nn: nn.Sequential(nn.Linear(4, 5), nn.GELU(), nn.Linear(5, 2)), [real(3, 4)]),
]

CONVOLUTION = [
    Case("conv1d", lambda nn: nn.Conv1d(3, 4, 3), [real(2, 3, 6)]),
    Case("conv1d-no-bias", lambda nn: nn.Conv1d(3, 4, 2, bias=False), [real(2, 3, 6)]),
    Case("conv1d-same", lambda nn: nn.Conv1d(3, 2, 4, padding="same"), [real(2, 3, 5)]),
    Case("conv1d-unbatched", lambda nn: nn.Conv1d(3, 2, 4, padding=2), [real(3, 5)]),
    Case("conv1d-everything", lambda nn: nn.Conv1d(4, 6, 3, 2, 3, 2, 2), [real(2, 4, 7)]),
    Case("conv2d", lambda nn: nn.Conv2d(3, 4, 3), [real(2, 3, 5, 4)]),
    Case("conv2d-no-bias", lambda nn: nn.Conv2d(2, 3, (2, 3), bias=False), [real(2, 2, 4, 5)]),
    Case("conv2d-same", lambda nn: nn.Conv2d(2, 2, (4, 3), padding="same"), [real(2, 2, 5, 4)]),
    Case("conv2d-unbatched", lambda nn: nn.Conv2d(2, 3, 3, padding=(2, 1)), [real(2, 4, 3)]),
    Case("conv2d-stride", lambda nn: nn.Conv2d(1, 2, 3, 2), [real(2, 1, 6, 7)]),
    Case("conv2d-everything", lambda nn: nn.Conv2d(4, 6, (2, 3), (2, 1), (3, 1), (1, 2), 2), [real(2, 4, 4, 5)]),
    Case("conv2d-depthwise", lambda nn: nn.Conv2d(3, 3, 2, groups=3), [real(2, 3, 3, 4)]),
    Case("max-pool-2d", lambda nn: nn.MaxPool2d(2), [distinct(2, 3, 5, 4)]),
    Case(
        "max-pool-2d-everything",
        lambda nn: nn.MaxPool2d((3, 2), (2, 1), 1, (1, 2), ceil_mode=True),
        [distinct(2, 2, 6, 5)],
    ),
    Case("max-pool-2d-unbatched", lambda nn: nn.MaxPool2d(3, 2, 1), [distinct(2, 6, 5)]),
    Case("avg-pool-2d", lambda nn: nn.AvgPool2d(2), [real(2, 3, 5, 4)]),
    Case("avg-pool-2d-everything", lambda nn: nn.AvgPool2d((3, 2), (2, 1), (1, 0), True, False), [real(2, 2, 6, 5)]),
    Case("avg-pool-2d-ceil", lambda nn: nn.AvgPool2d(3, 2, 1, True), [real(2, 2, 6, 5)]),
    Case("avg-pool-2d-divisor", lambda nn: nn.AvgPool2d(2, divisor_override=3), [real(2, 4, 5)]),
    Case("adaptive-avg-pool", lambda nn: nn.AdaptiveAvgPool1d(3), [real(2, 3, 7)]),
    Case("adaptive-avg-pool-2d", lambda nn: nn.AdaptiveAvgPool2d(1), [real(2, 3, 4, 5)]),
    Case("adaptive-avg-pool-2d-parts", lambda nn: nn.AdaptiveAvgPool2d((3, None)), [real(2, 3, 4, 5)]),
    Case("adaptive-avg-pool-2d-even", lambda nn: nn.AdaptiveAvgPool2d((2, 3)), [real(2, 4, 6)]),
    Case("adaptive-max-pool-2d", lambda nn: nn.AdaptiveMaxPool2d((3, 2)), [distinct(2, 3, 4, 5)]),
    Case("max-pool", lambda nn: nn.MaxPool1d(2), [real(2, 3, 7)]),
    Case("max-pool-everything", lambda nn: nn.MaxPool1d(3, 2, 1, 2, ceil_mode=True), [real(2, 3, 8)]),
    Case("avg-pool", lambda nn: nn.AvgPool1d(3, 2), [real(2, 3, 7)]),
    Case("avg-pool-everything", lambda nn: nn.AvgPool1d(3, 2, 1, True, False), [real(2, 3, 8)]),
    Case("adaptive-max-pool", lambda nn: nn.AdaptiveMaxPool1d(1), [real(2, 3, 7)]),
    Case("adaptive-max-pool-parts", lambda nn: nn.AdaptiveMaxPool1d(3), [real(2, 7)]),
    Case("max-over-time", lambda nn: restated(nn).MaxOverTime(), [real(2, 4, 3)]),
    Case("max-over-time-mask", lambda nn: restated(nn).MaxOverTime(), [real(3, 4, 3), padding(4, 1, 3)]),
    Case("mean-over-time", lambda nn: restated(nn).MeanOverTime(), [real(2, 4, 3)]),
    Case("mean-over-time-mask", lambda nn: restated(nn).MeanOverTime(), [real(3, 4, 3), padding(4, 1, 3)]),
]


def context_and_weights(module, query, *rest):
    context, weights = module(query, *rest)
    return context.sum() + (weights * weights).sum()


def masked(module, query, key, mask):
    return module(query, key, None, mask)[0]


ALIGNMENT = [
    Case("additive", lambda nn: restated(nn).AdditiveAttention(3, 4, 5), [real(2, 2, 3), real(2, 3, 4)],
         context_and_weights),
    Case("additive-mask", lambda nn: restated(nn).AdditiveAttention(3, 4, 5),
         [real(2, 2, 3), real(2, 3, 4), padding(3, 1)], masked),
    Case("general", lambda nn: restated(nn).GeneralAttention(3, 4), [real(2, 2, 3), real(2, 3, 4), real(2, 3, 2)],
         context_and_weights),
    Case("general-mask", lambda nn: restated(nn).GeneralAttention(3, 4),
         [real(2, 2, 3), real(2, 3, 4), padding(3, 1)], masked),
    Case("dot-product", lambda nn: restated(nn).DotProductAttention(), [real(2, 2, 4), real(2, 3, 4), real(2, 3, 2)],
         context_and_weights),
    Case("dot-product-scaled-mask", lambda nn: restated(nn).DotProductAttention(scaled=True),
         [real(2, 2, 4), real(2, 3, 4), padding(3, 1)], masked),
]  # fmt: skip

ATTENTION = [
    Case("self", lambda nn: nn.MultiheadAttention(6, 2, batch_first=True), [real(2, 4, 6)], self_attention),
    Case("time-first", lambda nn: nn.MultiheadAttention(6, 2), [real(4, 2, 6)], self_attention),
    Case("unbatched", lambda nn: nn.MultiheadAttention(6, 2), [real(4, 6)], self_attention),
    Case(
        "no-bias", lambda nn: nn.MultiheadAttention(6, 3, bias=False, batch_first=True), [real(2, 4, 6)], self_attention
    ),
    Case("weights", lambda nn: nn.MultiheadAttention(6, 2, batch_first=True), [real(2, 4, 6)], with_weights),
    Case(
        "weights-by-head",
        lambda nn: nn.MultiheadAttention(6, 2, batch_first=True),
        [real(2, 4, 6), causal(4)],
        lambda m, x, mask: with_weights(m, x, attn_mask=mask, average_attn_weights=False),
    ),
    Case(
        "cross",
        lambda nn: nn.MultiheadAttention(6, 2, batch_first=True),
        [real(2, 3, 6), real(2, 5, 6)],
        lambda m, x, y: m(x, y, y, need_weights=False)[0],
    ),
    Case(
        "three-inputs",
        lambda nn: nn.MultiheadAttention(6, 2, batch_first=True),
        [real(2, 3, 6), real(2, 5, 6), real(2, 5, 6)],
        lambda m, x, y, z: m(x, y, z, need_weights=False)[0],
    ),
    Case(
        "kdim-vdim",
        lambda nn: nn.MultiheadAttention(6, 2, kdim=5, vdim=3, batch_first=True),
        [real(2, 3, 6), real(2, 4, 5), real(2, 4, 3)],
        lambda m, x, y, z: m(x, y, z, need_weights=False)[0],
    ),
    Case(
        "causal",
        lambda nn: nn.MultiheadAttention(6, 2, batch_first=True),
        [real(2, 4, 6), causal(4)],
        lambda m, x, mask: self_attention(m, x, attn_mask=mask, is_causal=True),
    ),
    Case(
        "padding",
        lambda nn: nn.MultiheadAttention(6, 2, batch_first=True),
        [real(2, 4, 6), padding(4, 2)],
        lambda m, x, mask: self_attention(m, x, key_padding_mask=mask),
    ),
    Case(
        "causal-and-padding",
        lambda nn: nn.MultiheadAttention(6, 2),
        [real(4, 2, 6), causal(4), padding(4, 2)],
        lambda m, x, mask, pad: self_attention(m, x, key_padding_mask=pad, attn_mask=mask),
    ),
    Case(
        "float-mask",
        lambda nn: nn.MultiheadAttention(6, 2, batch_first=True),
        [real(2, 4, 6), real(4, 4)],
        lambda m, x, mask: self_attention(m, x, attn_mask=mask),
    ),
    Case(
        "mask-by-head-and-float-padding",
        lambda nn: nn.MultiheadAttention(6, 2, batch_first=True),
        [real(2, 4, 6), real(4, 4, 4), real(2, 4)],
        lambda m, x, mask, pad: self_attention(m, x, key_padding_mask=pad, attn_mask=mask),
    ),
]


def encoder_layer(nn, **options):
    return nn.TransformerEncoderLayer(4, 2, 5, dropout=0.0, **{"batch_first": True, **options})


def decoder_layer(nn, **options):
    return nn.TransformerDecoderLayer(4, 2, 5, dropout=0.0, **{"batch_first": True, **options})


TRANSFORMERS = [
    Case("encoder-layer", lambda nn: encoder_layer(nn), [real(2, 3, 4)]),
    Case("encoder-layer-time-first", lambda nn: encoder_layer(nn, batch_first=False), [real(3, 2, 4)]),
    Case("encoder-layer-pre-norm", lambda nn: encoder_layer(nn, norm_first=True, activation="gelu"), [real(2, 3, 4)]),
    Case("encoder-layer-no-bias", lambda nn: encoder_layer(nn, bias=False, layer_norm_eps=1e-3), [real(2, 3, 4)]),
    Case("encoder-layer-silu", lambda nn: encoder_layer(nn, activation=nn.functional.silu), [real(2, 3, 4)]),
    Case("encoder-layer-callable", lambda nn: encoder_layer(nn, activation=nn.functional.tanh), [real(2, 3, 4)]),
    Case(
        "encoder-layer-masks",
        lambda nn: encoder_layer(nn),
        [real(2, 3, 4), causal(3), padding(3, 2)],
        lambda m, x, mask, pad: m(x, src_mask=mask, src_key_padding_mask=pad),
    ),
    Case(
        "encoder",
        lambda nn: nn.TransformerEncoder(encoder_layer(nn, norm_first=True), 2, nn.LayerNorm(4)),
        [real(2, 3, 4), causal(3)],
        lambda m, x, mask: m(x, mask),
    ),
    Case(
        "transformer",
        lambda nn: nn.Transformer(4, 2, 1, 2, 5, dropout=0.0),
        [real(3, 2, 4), real(2, 2, 4)],
    ),
    Case(
        "transformer-masks",
        lambda nn: nn.Transformer(
            4, 2, 1, 1, 5, 0.0, nn.functional.gelu, batch_first=True, norm_first=True, bias=False
        ),
        [real(2, 3, 4), real(2, 4, 4), padding(3, 2)],
        lambda m, x, y, pad: m(
            x,
            y,
            src_key_padding_mask=pad,
            tgt_mask=m.generate_square_subsequent_mask(4, device=y.device, dtype=y.dtype),
            memory_key_padding_mask=pad,
        ),
    ),
    Case("decoder-layer", lambda nn: decoder_layer(nn), [real(2, 3, 4), real(2, 5, 4)]),
    Case(
        "decoder-layer-pre-norm",
        lambda nn: decoder_layer(nn, norm_first=True, batch_first=False, activation=nn.functional.gelu),
        [real(3, 2, 4), real(5, 2, 4)],
    ),
    Case(
        "decoder-masks",
        lambda nn: nn.TransformerDecoder(decoder_layer(nn), 2, nn.LayerNorm(4)),
        [real(2, 3, 4), real(2, 5, 4), causal(3), causal(3, 5), padding(3, 2), padding(5, 3)],
        lambda m, x, y, t, s, tp, sp: m(x, y, t, s, tp, sp),
    ),
]

LOSSES = [
    Case("cross-entropy", lambda nn: nn.CrossEntropyLoss(), [real(5, 4), ids(4, 5)]),
    Case("cross-entropy-1d", lambda nn: nn.CrossEntropyLoss(), [real(4), ids(4)]),
    Case("cross-entropy-images", lambda nn: nn.CrossEntropyLoss(reduction="none"), [real(2, 4, 3, 2), ids(4, 2, 3, 2)]),
    Case(
        "cross-entropy-everything",
        lambda nn: nn.CrossEntropyLoss(classes(nn), ignore_index=1, label_smoothing=0.2),
        [real(6, 4), ignoring(ids(4, 6), 0, 3, value=1)],
    ),
    Case(
        "cross-entropy-sum",
        lambda nn: nn.CrossEntropyLoss(reduction="sum", label_smoothing=0.1),
        [real(2, 4, 3), ignoring(ids(4, 2, 3), (0, 1))],
    ),
    Case("cross-entropy-soft", lambda nn: nn.CrossEntropyLoss(), [real(5, 4), simplex(5, 4)], constants=(1,)),
    Case(
        "cross-entropy-soft-everything",
        lambda nn: nn.CrossEntropyLoss(classes(nn), label_smoothing=0.2),
        [real(2, 4, 3), simplex(2, 4, 3, dim=1)],
    ),
    Case("cross-entropy-soft-none", lambda nn: nn.CrossEntropyLoss(reduction="none"), [real(2, 4, 3), unit(2, 4, 3)]),
    Case("nll", lambda nn: nn.NLLLoss(), [logarithms(5, 4), ids(4, 5)]),
    Case(
        "nll-everything",
        lambda nn: nn.NLLLoss(classes(nn), ignore_index=1),
        [logarithms(6, 4), ignoring(ids(4, 6), 0, 3, value=1)],
    ),
    Case("nll-images", lambda nn: nn.NLLLoss(reduction="none"), [real(2, 4, 3), ignoring(ids(4, 2, 3), (1, 2))]),
    Case("nll-1d-sum", lambda nn: nn.NLLLoss(reduction="sum"), [real(4), ids(4)]),
    Case("bce-logits", lambda nn: nn.BCEWithLogitsLoss(), [real(3, 4), unit(3, 4)]),
    Case(
        "bce-logits-everything",
        lambda nn: nn.BCEWithLogitsLoss(elements(nn), reduction="sum", pos_weight=classes(nn)),
        [real(3, 4) * 3, unit(3, 4)],
    ),
    Case("bce", lambda nn: nn.BCELoss(), [unit(3, 4), unit(3, 4)]),
    Case("bce-weight", lambda nn: nn.BCELoss(elements(nn), reduction="none"), [unit(3, 4), unit(3, 4)]),
    Case("mse", lambda nn: nn.MSELoss(), [real(3, 4), real(3, 4)]),
    Case("mse-sum", lambda nn: nn.MSELoss(reduction="sum"), [real(3, 4), real(3, 4)]),
    Case("l1", lambda nn: nn.L1Loss(), [real(3, 4), real(3, 4)]),
    Case("smooth-l1", lambda nn: nn.SmoothL1Loss(), [real(3, 4) * 2, real(3, 4)]),
    Case("smooth-l1-beta", lambda nn: nn.SmoothL1Loss(reduction="none", beta=0.3), [real(3, 4), real(3, 4)]),
    Case("smooth-l1-0", lambda nn: nn.SmoothL1Loss(beta=0.0), [real(3, 4), real(3, 4)]),
    Case("huber", lambda nn: nn.HuberLoss(delta=0.5), [real(3, 4), real(3, 4)]),
    Case("kl-div", lambda nn: nn.KLDivLoss(reduction="batchmean"), [logarithms(3, 4), simplex(3, 4)]),
    Case("gaussian-nll", lambda nn: nn.GaussianNLLLoss(), [real(3, 4), real(3, 4), unit(3, 4)]),
    Case(
        "gaussian-nll-full",
        lambda nn: nn.GaussianNLLLoss(full=True, eps=0.5, reduction="none"),
        [real(3, 4), real(3, 4), np.array([[0.9], [0.7], [2.0]])],
    ),
    Case("poisson-nll", lambda nn: nn.PoissonNLLLoss(), [real(3, 4), real(3, 4) ** 2 * 3], constants=(1,)),
    Case(
        "poisson-nll-rates",
        lambda nn: nn.PoissonNLLLoss(log_input=False, full=True, reduction="sum"),
        [unit(3, 4), real(3, 4) ** 2 * 3],
        constants=(1,),
    ),
    Case("margin-ranking", lambda nn: nn.MarginRankingLoss(0.3), [real(5), real(5), signs(5)], constants=(2,)),
    Case(
        "hinge-embedding",
        lambda nn: nn.HingeEmbeddingLoss(0.8, reduction="sum"),
        [real(3, 4), signs(3, 4)],
        constants=(1,),
    ),
    Case(
        "cosine-embedding",
        lambda nn: nn.CosineEmbeddingLoss(-0.1),
        [real(6, 4), real(6, 4), signs(6)],
        constants=(2,),
    ),
    Case("triplet", lambda nn: nn.TripletMarginLoss(), [real(3, 4), real(3, 4), real(3, 4)]),
    Case(
        "triplet-swap",
        lambda nn: nn.TripletMarginLoss(2.0, p=3.0, swap=True, reduction="none"),
        [real(3, 4), real(3, 4), real(3, 4)],
    ),
    Case(
        "kl-div-mean", lambda nn: nn.KLDivLoss(reduction="none", log_target=True), [logarithms(3, 4), logarithms(3, 4)]
    ),
]


def everything(module, result):
    """Output and last states in one vector, in either namespace."""
    output, state = result
    tensors = [getattr(output, "data", output) if isinstance(output, tuple) else output]
    tensors += state if isinstance(state, tuple) else [state]
    if type(module).__module__.startswith("torch"):
        from torch import cat
    else:
        from minigrad import cat
    return cat([x.reshape(-1) for x in tensors])


def sequence(module, x, *state):
    hx = state if len(state) == 2 else state[0] if state else None
    return everything(module, module(x, hx))


def packed(*lengths):
    """A call with sequences of these lengths."""

    def call(module, x, *state):
        if type(module).__module__.startswith("torch"):
            from torch.nn.utils.rnn import pack_padded_sequence
        else:
            from nn.utils.rnn import pack_padded_sequence
        x = pack_padded_sequence(x, lengths, enforce_sorted=False, batch_first=module.batch_first)
        return sequence(module, x, *state)

    return call


def cell(module, x, *state):
    hx = state if len(state) == 2 else state[0] if state else None
    out = module(x, hx)
    return out[0] * out[0] + out[1] if isinstance(out, tuple) else out


RECURRENT = [
    Case("lstm", lambda nn: nn.LSTM(3, 4), [real(4, 2, 3)], sequence),
    Case("lstm-state", lambda nn: nn.LSTM(3, 4), [real(3, 2, 3), real(1, 2, 4), real(1, 2, 4)], sequence),
    Case("lstm-no-bias", lambda nn: nn.LSTM(3, 2, bias=False, batch_first=True), [real(2, 3, 3)], sequence),
    Case("lstm-unbatched", lambda nn: nn.LSTM(3, 2), [real(3, 3), real(1, 2), real(1, 2)], sequence),
    Case("lstm-two-layers-both-ways", lambda nn: nn.LSTM(3, 2, 2, bidirectional=True), [real(3, 2, 3)], sequence),
    Case("lstm-packed", lambda nn: nn.LSTM(2, 3), [real(4, 3, 2)], packed(2, 4, 1)),
    Case(
        "lstm-packed-both-ways",
        lambda nn: nn.LSTM(2, 2, 2, bidirectional=True, batch_first=True),
        [real(3, 3, 2), real(4, 3, 2), real(4, 3, 2)],
        packed(2, 1, 3),
    ),
    Case("gru", lambda nn: nn.GRU(3, 4), [real(4, 2, 3)], sequence),
    Case("gru-state", lambda nn: nn.GRU(3, 4, 2), [real(3, 2, 3), real(2, 2, 4)], sequence),
    Case("gru-no-bias-both-ways", lambda nn: nn.GRU(3, 2, bias=False, bidirectional=True), [real(3, 2, 3)], sequence),
    Case("gru-unbatched", lambda nn: nn.GRU(3, 2, batch_first=True), [real(3, 3), real(1, 2)], sequence),
    Case(
        "gru-packed-both-ways",
        lambda nn: nn.GRU(2, 3, 2, bidirectional=True),
        [real(4, 3, 2), real(4, 3, 3)],
        packed(2, 4, 1),
    ),
    Case("rnn", lambda nn: nn.RNN(3, 4, 2), [real(4, 2, 3), real(2, 2, 4)], sequence),
    Case("rnn-relu", lambda nn: nn.RNN(3, 4, nonlinearity="relu", bias=False), [real(4, 2, 3)], sequence),
    Case("rnn-unbatched", lambda nn: nn.RNN(3, 2, bidirectional=True), [real(3, 3), real(2, 2)], sequence),
    Case("rnn-packed", lambda nn: nn.RNN(2, 3, batch_first=True), [real(4, 4, 2)], packed(2, 4, 1, 4)),
    Case("lstm-cell", lambda nn: nn.LSTMCell(3, 4), [real(2, 3), real(2, 4), real(2, 4)], cell),
    Case("lstm-cell-no-bias", lambda nn: nn.LSTMCell(3, 4, bias=False), [real(3)], cell),
    Case("gru-cell", lambda nn: nn.GRUCell(3, 4), [real(2, 3), real(2, 4)], cell),
    Case("gru-cell-no-bias", lambda nn: nn.GRUCell(3, 4, bias=False), [real(3), real(4)], cell),
    Case("rnn-cell", lambda nn: nn.RNNCell(3, 4), [real(2, 3)], cell),
    Case("rnn-cell-relu", lambda nn: nn.RNNCell(3, 4, bias=False, nonlinearity="relu"), [real(2, 3), real(2, 4)], cell),
]

CASES = [*LAYERS, *CONVOLUTION, *ALIGNMENT, *ATTENTION, *TRANSFORMERS, *LOSSES, *RECURRENT]
