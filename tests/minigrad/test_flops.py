"""Function.flops and backward_flops, as the profiler shows them, against counts written down a second time.

Every case of the table of operations has its formula here, in the sizes of inputs and output. A fused operation
moreover counts what its composite, run in primitives, adds up to.
"""

import math
from collections import Counter

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad.function import Function
from minigrad.ops.activation import GELU, SiLU
from minigrad.ops.attention import Attention
from minigrad.ops.convolution import Conv1d
from minigrad.ops.convolution2d import Conv2d
from minigrad.ops.linalg import Linear
from minigrad.ops.normalization import LayerNorm, RMSNorm
from minigrad.ops.recurrent import GRU, LSTM, RNN
from tests.support.ops_table import CASES, text_lengths

# Operations that copy, choose, look at or sort elements, and compute no number.
MOVES = [
    "clone",
    "contiguous",
    "nan_to_num",
    "reshape",
    "flatten",
    "permute",
    "transpose",
    "swapaxes",
    "squeeze",
    "unsqueeze",
    "expand",
    "broadcast_to",
    "repeat",
    "flip",
    "cat",
    "stack",
    "split",
    "chunk",
    "unbind",
    "tril",
    "triu",
    "getitem",
    "setitem",
    "gather",
    "index_select",
    "masked_fill",
    "where",
    "sort",
    "topk",
    "t",
    "roll",
    "rot90",
    "fliplr",
    "flipud",
    "repeat_interleave",
    "tile",
    "movedim",
    "narrow",
    "select",
    "unflatten",
    "unfold",
    "diagonal",
    "diag_embed",
    "diag",
    "diagflat",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "hstack",
    "vstack",
    "dstack",
    "column_stack",
    "block_diag",
    "cartesian_prod",
    "view_as",
    "expand_as",
    "scatter",
    "index_copy",
    "index_fill",
    "masked_select",
    "masked_scatter",
    "take",
    "take_along_dim",
    "cummax",
    "cummin",
    "nanmedian",
    "mode",
    "pad",
    "max_pool1d",
    "embedding",
]


def product(y, a, *_):
    """A multiplication and an addition for each term of each element."""
    return 2 * y.size * a.shape[-1]


def convolution(y, x, w, b=None):
    return y.size * 2 * math.prod(w.shape[1:]) + (0 if b is None else y.size)


def reduced(y, x):
    return x.size


def variance(y, x):
    """The mean, then subtract, square and sum, then divide."""
    return 4 * x.size + 2 * y.size


def linear(each):
    return lambda y, x, w, b: product(y, x) + y.size + each * y.size


def causal(offset):
    """Scores of a head size, softmax and scale, values of a value size: pair by pair."""

    def count(y, q, k, v):
        pairs = sum(j <= i + offset for i in range(q.shape[-2]) for j in range(k.shape[-2]))
        return math.prod(q.shape[:-2]) * pairs * (2 * q.shape[-1] + 1 + 5 + 2 * v.shape[-1])

    return count


def attention(extra=0):
    return lambda y, q, k, v: (6 + extra + 2 * q.shape[-1] + 2 * v.shape[-1]) * math.prod(q.shape[:-1]) * k.shape[-2]


def layer_norm(y, x, *parameters):
    return (5 + len(parameters)) * x.size + 5 * math.prod(x.shape[:-1])


def rms_norm(y, x, *parameters):
    return (3 + len(parameters)) * x.size + 4 * math.prod(x.shape[:-1])


def conv1d_max(y, x, w, b):
    windows = sum(length + w.shape[2] - 1 for length in text_lengths)
    return windows * len(w) * (2 * w.shape[1] * w.shape[2] + 1) + y.size


def chain(*products):
    """einsum's products one by one, each by the sizes of its output and of what is summed."""
    return lambda *_: sum(2 * math.prod(sizes) for sizes in products)


# Forward, by the case or by the operation; what is in neither dictionary nor MOVES counts 1 per output element.
FORWARD = {
    **dict.fromkeys(("rsqrt", "silu", "xlogy", "norm-1"), lambda y, x, *_: 2 * x.size),
    "gelu": lambda y, x: 5 * y.size,  # x·√½, erf, 1 +, ½·x, the product
    **dict.fromkeys(("gelu 2", "activate-gelu_tanh"), lambda y, x: 9 * y.size),
    "activate-None": lambda y, x: 0,
    **dict.fromkeys(("clamp", "clamp-tensors"), lambda y, *_: 2 * y.size),
    **dict.fromkeys(("clamp 2", "clamp-max"), lambda y, *_: y.size),
    "acosh": lambda y, x: 2 * y.size,  # of x + 1
    "logit": lambda y, x: 4 * y.size,
    "logit 2": lambda y, x: 6 * y.size,
    **dict.fromkeys(("sum", "nansum", "prod", "cumsum", "cumprod", "max", "min", "amax", "amin"), reduced),
    **dict.fromkeys(("max_over_time",), reduced),
    "mean": lambda y, x: x.size + y.size,
    **dict.fromkeys(("nanmean", "mean_over_time"), lambda y, x: x.size + y.size),
    "median": lambda y, x: 2,  # the mean of one element
    "median-dim": lambda y, x: 0,
    "var": variance,
    "std": lambda y, x: variance(y, x) + y.size,
    "var_mean": lambda y, x: 5 * x.size + 3 * y.size // 2,
    "std_mean": lambda y, x: 5 * x.size + 4 * y.size // 2,
    "aminmax": lambda y, x: 2 * x.size,
    "logsumexp": lambda y, x: 4 * x.size + 2 * y.size,
    "norm": lambda y, x: 2 * x.size + y.size,
    "norm-3": lambda y, x: 3 * x.size + y.size,
    "norm-inf": lambda y, x: 2 * x.size,
    "split-uneven": lambda y, x: x.size + 4,
    "trace": lambda y, x: 3,
    "scatter_add": lambda y, x, s: 6,
    "scatter_add-larger": lambda y, x, s: 4,
    "index_add": lambda y, x, s: s.size + 2 * y.size,
    "lerp": lambda y, *_: 3 * y.size,
    **dict.fromkeys(("addcmul", "addcdiv"), lambda y, x, a, b: 2 * a.size + y.size),
    "broadcast_tensors": lambda y, *_: 4 * y.size,  # sum() and enumerate: two products, two sums
    "meshgrid": lambda y, *_: 3 * y.size,
    "meshgrid-xy": lambda y, *_: 0,
    "diff-second": lambda y, x, p: (2 * len(x) + len(p) - 1 + len(y)) * 2,
    "quantile": lambda y, x: 3 * y.size,
    **dict.fromkeys(("mm", "bmm", "mv", "dot", "inner", "matmul"), product),
    "outer": lambda y, *_: y.size,
    "kron": lambda y, *_: y.size,
    "addmm": lambda y, x, a, b: product(y, a) + 2 * y.size + x.size,
    "addmv": lambda y, x, a, b: product(y, a) + y.size,
    "baddbmm": lambda y, x, a, b: product(y, a) + 2 * y.size,
    **dict.fromkeys(
        ("tensordot", "tensordot-lists"), lambda y, a, b: 2 * y.size * (6 if a.shape[1:] == b.shape[:2] else 4)
    ),
    "cross": lambda y, *_: 3 * y.size,
    **{f"matrix_power-{n}": lambda y, x, times=times: times * product(y, x) for n, times in ((1, 0), (2, 1), (5, 3))},
    "cdist": lambda y, a, b: 3 * y.size * a.shape[-1] + y.size,
    "cdist-1": lambda y, a, b: 3 * y.size * a.shape[-1],
    "pairwise_distance": lambda y, a, b: 4 * a.size + y.size,
    "normalize": lambda y, x: 3 * x.size + 2 * len(x),
    "normalize-eps": lambda y, x: 3 * x.size + x.shape[1],
    "cosine_similarity": lambda y, a, b: 8 * a.size + 4 * y.size,
    **dict.fromkeys(("softmax", "log_softmax"), lambda y, x: 5 * y.size),
    "cross_entropy": lambda y, x: 4 * x.size + 3 * len(x) + len(x) + 1,
    "cross_entropy-ignored": lambda y, x: 4 * x.size + 3 * len(x) + len(x),
    "cross_entropy-smoothed": lambda y, x: 6 * x.size + 6 * len(x),
    "cross_entropy-weighted": lambda y, x: 7 * x.size + 7 * len(x) + len(x) + 1,
    "conv1d_max": conv1d_max,
    **dict.fromkeys(("conv1d", "conv2d"), convolution),
    "avg_pool1d": lambda y, x: 2 * y.size,
    **dict.fromkeys(("avg_pool1d-padding", "avg_pool1d-not the padding"), lambda y, x: 3 * y.size),
    "adaptive_max_pool1d": lambda y, x: 3 * y.size,
    "max_pool2d": lambda y, x: 4 * y.size,
    "max_pool2d-everything": lambda y, x: 6 * y.size,
    "avg_pool2d": lambda y, x: 4 * y.size,
    "avg_pool2d-not the padding": lambda y, x: 9 * y.size,
    "adaptive_avg_pool1d": lambda y, x: 4 * y.size,
    "adaptive_avg_pool2d": lambda y, x: x.size + 8 + 8 + y.size,  # rows to one, then columns to two
    "adaptive_max_pool2d": lambda y, x: x.size + 8,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "linear": linear(0),
    "linear-no bias": product,
    "linear-relu": linear(1),
    "linear-gelu": linear(5),
    "linear-gelu_tanh": linear(9),
    "linear-silu": linear(2),
    "einsum-ij,jk->ik": product,
    "einsum-bij,bjk": chain((2, 2, 3, 2)),  # not summed over b before the product
    **dict.fromkeys(("einsum-ii->i", "einsum-ij->ji"), lambda *_: 0),
    **dict.fromkeys(("einsum-ii",), lambda *_: 3),
    "einsum-iij->j": lambda *_: 6,
    "einsum-i,j->ij": chain((2, 3)),
    "einsum-...ij,...jk->...ik": chain((2, 3, 2, 3, 2)),
    "einsum-i...,i...->...": chain((2, 3)),
    "einsum-ab,bc,cd->ad": chain((2, 3, 2), (2, 2, 4)),
    "einsum-bhqd,bhkd->bhqk": chain((1, 2, 3, 2, 2)),
    "einsum-ij,ij->": chain((2, 3)),
    "einsum-ik,jk,lk->ijl": chain((2, 2, 3), (2, 2, 3, 2)),
    "scaled_dot_product_attention": attention(),
    "scaled_dot_product_attention-causal": causal(0),
    "scaled_dot_product_attention-grouped": causal(0),
    "scaled_dot_product_attention-offset": causal(2),
    "scaled_dot_product_attention-additive": attention(1),
    "scaled_dot_product_attention-learned bias": lambda y, q, k, v, bias: attention(1)(y, q, k, v),
    "lstm": lambda y, x, h, c, w: 2 * len(x) * w.size + len(x) * 2 * (4 + 9),
    "gru": lambda y, x, h, w: 2 * len(x) * w.size + len(x) * 2 * 11,
    "rnn": lambda y, x, h, w: 2 * len(x) * w.size + len(x) * 2 * 2,
}


def with_repeats(y, *_):
    """The elements read more than once are added up: as many additions as were read."""
    return y.size


# The rule, with every gradient wanted. Rules of operations that are put together of others are left to those.
BACKWARD = {
    **dict.fromkeys(
        ("add", "sum", "frac", "reshape", "permute", "flip", "cat", "tril", "where", "clone"), lambda *_: 0
    ),
    **dict.fromkeys(("roll", "diagonal", "unbind", "stack", "setitem", "masked_fill", "sort"), lambda *_: 0),
    **dict.fromkeys(("scatter_add", "diag_embed", "movedim", "max-dim", "trace"), lambda *_: 0),
    **dict.fromkeys(("exp", "tanh", "sigmoid", "relu", "neg", "sin", "dropout", "cumsum"), lambda y, x: y.size),
    "sub": lambda y, *_: y.size,
    **dict.fromkeys(("mul", "div", "pow", "maximum", "hypot", "atan2"), lambda y, *_: 2 * y.size),
    **dict.fromkeys(("mul 2", "sub 2", "pow 2", "pow 3", "pow 4"), lambda y, *_: y.size),
    "clamp-tensors": lambda y, *_: 3 * y.size,
    "mean": lambda y, x: y.size,
    **dict.fromkeys(("max", "amax"), reduced),
    **dict.fromkeys(("prod", "cumprod"), lambda y, x: 4 * x.size),
    "logsumexp": lambda y, x: 3 * x.size,
    "norm": lambda y, x: 2 * x.size,
    "norm-3": lambda y, x: 5 * x.size,
    "norm-1": reduced,
    "norm-inf": lambda y, x: 2 * x.size,
    **dict.fromkeys(("expand", "broadcast_to", "expand_as", "repeat", "tile"), with_repeats),
    **dict.fromkeys(("gather", "take_along_dim", "index_select", "embedding", "unfold", "take"), with_repeats),
    **dict.fromkeys(("getitem-repeated rows", "getitem-mixed", "max_pool2d"), with_repeats),
    **dict.fromkeys(("getitem-slices", "getitem-boolean", "getitem-ellipsis"), lambda *_: 0),
    **dict.fromkeys(("mm", "bmm", "mv", "dot", "matmul", "inner"), lambda *each: 2 * product(*each)),
    "linear": lambda y, x, w, b: 2 * product(y, x) + y.size,
    "linear-relu": lambda y, x, w, b: 2 * product(y, x) + 2 * y.size,
    "linear-gelu": lambda y, x, w, b: 2 * product(y, x) + 12 * y.size,
    "linear-gelu_tanh": lambda y, x, w, b: 2 * product(y, x) + 19 * y.size,
    "linear-silu": lambda y, x, w, b: 2 * product(y, x) + 7 * y.size,
    "linear-no bias": lambda y, x, w: 2 * product(y, x),
    **dict.fromkeys(
        ("conv1d", "conv2d"), lambda *each: 2 * convolution(*each[:3]) + (0 if each[3:] == () else each[0].size)
    ),
    "conv1d_max": lambda y, x, w, b: y.size * (2 * 2 * w.shape[1] * w.shape[2] + 1),  # of one window each
    "gelu": lambda y, x: 11 * y.size,
    "gelu 2": lambda y, x: 18 * y.size,
    "silu": lambda y, x: 6 * y.size,
    **dict.fromkeys(("softmax", "log_softmax"), lambda y, x: 4 * y.size),
    "cross_entropy-smoothed": lambda y, x: 4 * x.size + len(x),
    "layer_norm": lambda y, x, *p: (9 + (3, 4)[len(p) - 1] if p else 9) * x.size,
    "rms_norm": lambda y, x, *p: (6 + 3 * len(p)) * x.size,
    "scaled_dot_product_attention-4-d": lambda y, q, k, v: 12 * (6 * q.shape[-1] + 4 * v.shape[-1] + 6) + 2 * y.size,
    "lstm": lambda y, x, h, c, w: 2 * 2 * len(x) * w.size + 24 * len(x) * 2,
    "gru": lambda y, x, h, w: 2 * 2 * len(x) * w.size + 17 * len(x) * 2,
    "rnn": lambda y, x, h, w: 2 * 2 * len(x) * w.size + 4 * len(x) * 2,
}


def numbered(cases) -> dict:
    """The cases by id; those with one that came before get a number."""
    seen, named = Counter(), {}
    for case in cases:
        seen[case.id] += 1
        named[case.id if seen[case.id] == 1 else f"{case.id} {seen[case.id]}"] = case
    return named


NAMED = numbered(CASES)


def counted(expression, *inputs, grad=None) -> tuple[int, int]:
    """FLOPs forward and backward of an expression in tensors, and of nothing else."""
    with mg.profile() as p:
        y = expression(*inputs)
        if y.requires_grad:
            y.backward(np.ones(y.shape, y.dtype) if grad is None else grad)
    return tuple(sum(e["flops"] for e in p.events if e["phase"] == phase) for phase in ("forward", "backward"))


@pytest.mark.parametrize("name", NAMED)
def test_every_operation_of_the_table(name):
    case = NAMED[name]
    inputs = [mg.tensor(x, requires_grad=True) for x in case.inputs]
    y = case.expression(mg, *inputs).detach().numpy()
    forward, backward = counted(lambda *x: case.expression(mg, *x), *inputs)

    def one_each(y, *inputs):
        return 0 if case.name in MOVES else y.size

    rule = FORWARD.get(name) or FORWARD.get(case.name) or one_each
    assert forward == rule(y, *case.inputs)
    rule = BACKWARD.get(name) or (BACKWARD.get(case.name) if name == case.id else None)
    if rule is not None:
        assert backward == rule(y, *case.inputs)


def test_no_row_here_is_of_an_operation_that_is_gone():
    known = {*NAMED, *(case.name for case in CASES)}
    assert {*FORWARD, *BACKWARD, *MOVES} <= known


def real(*shape):
    return mg.randn(*shape, dtype=np.float64)


# Fused operations: the call, and its inputs. Packed steps, directions, strides, and what may be None.
FUSED = {
    "gelu": (GELU("none"), real(3, 4)),
    "gelu_tanh": (GELU("tanh"), real(3, 4)),
    "silu": (SiLU(), real(3, 4)),
    **{
        f"linear {activation} {bias is not None}": (Linear(activation), real(2, 3, 4), real(5, 4), bias)
        for activation in (None, "relu", "gelu", "gelu_tanh", "silu")
        for bias in (None, real(5))
    },
    "layer_norm": (LayerNorm(1e-5), real(3, 5), real(5), real(5)),
    "layer_norm, no bias": (LayerNorm(1e-5), real(2, 3, 5), real(5), None),
    "layer_norm, plain": (LayerNorm(1e-5), real(4), None, None),
    "rms_norm": (RMSNorm(1e-5), real(3, 5), real(5)),
    "rms_norm, plain": (RMSNorm(1e-5), real(3, 5), None),
    "attention": (Attention(None, 0.5, 0.0, 0), real(2, 3, 4, 5), real(2, 3, 6, 5), real(2, 3, 6, 7), None),
    "attention, dropout": (Attention(None, 0.5, 0.3, 1), real(2, 2, 4, 5), real(2, 2, 6, 5), real(2, 2, 6, 7), None),
    "attention, added": (
        Attention(None, 0.5, 0.0, 0),
        real(1, 2, 4, 5),
        real(1, 1, 6, 5),
        real(1, 1, 6, 7),
        real(4, 6),
    ),
    "conv1d": (Conv1d(2, (1, 2), 2, 3), real(2, 6, 11), real(9, 2, 3), real(9)),
    "conv1d, no bias": (Conv1d(1, (0, 0), 1, 1), real(2, 6, 11), real(9, 6, 3), None),
    "conv2d": (Conv2d((2, 1), ((1, 2), (0, 3)), (1, 2), 3), real(2, 6, 8, 9), real(9, 2, 3, 2), real(9)),
    **{
        f"{cell} {sizes} {reverse} {hidden}": (
            function(np.array(sizes), reverse),
            *inputs(sum(sizes), sizes[0], hidden),
        )
        for sizes in ([1], [3, 3, 2, 1], [2, 2])
        for reverse in (False, True)
        for hidden in (1, 4)
        for cell, function, inputs in (
            ("lstm", LSTM, lambda n, b, h: (real(n, 4 * h), real(b, h), real(b, h), real(4 * h, h))),
            ("gru", GRU, lambda n, b, h: (real(n, 3 * h), real(b, h), real(3 * h, h), real(3 * h))),
            ("gru, no bias", GRU, lambda n, b, h: (real(n, 3 * h), real(b, h), real(3 * h, h), None)),
            ("rnn", lambda *a: RNN(*a, "tanh"), lambda n, b, h: (real(n, h), real(b, h), real(h, h))),
            ("relu", lambda *a: RNN(*a, "relu"), lambda n, b, h: (real(n, h), real(b, h), real(h, h))),
        )
    },
}


@pytest.mark.parametrize("name", FUSED)
def test_a_fused_operation_counts_what_its_composite_adds_up_to(name):
    function, *inputs = FUSED[name]
    with mg.profile() as fused:
        function(*inputs)
    with mg.profile() as primitive:
        function.composite(*inputs)
    assert [e["flops"] for e in fused.events] == [sum(e["flops"] for e in primitive.events)]


def test_causal_attention_counts_the_pairs_that_meet():
    for offset, queries, keys, pairs in ((0, 4, 4, 10), (2, 2, 4, 7), (-2, 3, 3, 1), (-5, 3, 3, 0), (9, 3, 2, 6)):
        q, k, v = real(2, 3, queries, 5), real(2, 3, keys, 5), real(2, 3, keys, 7)
        forward, _ = counted(lambda q, k, v, o=offset: Attention(o, 1.0, 0.0, 0)(q, k, v, None), q, k, v)
        assert forward == 6 * pairs * (10 + 14 + 6)


def wanted(function, inputs, which) -> int:
    """The FLOPs of the rule when the gradients of some inputs are wanted."""
    inputs = [x if x is None else mg.tensor(x.numpy(), requires_grad=w) for x, w in zip(inputs, which, strict=True)]
    return counted(function, *inputs)[1]


@pytest.mark.parametrize(
    ("function", "inputs", "each"),
    [
        (mg.matmul, [real(2, 3, 4), real(2, 4, 5)], (240, 240)),
        (mg.matmul, [real(3, 4), real(2, 4, 5)], (240, 240)),
        (mg.linear, [real(6, 4), real(5, 4), real(5)], (240, 240, 30)),
        (mg.conv1d, [real(2, 3, 7), real(4, 3, 2), real(4)], (576, 576, 48)),
        (mg.conv2d, [real(2, 3, 4, 3), real(4, 3, 2, 2), real(4)], (1152, 1152, 48)),
        (
            lambda x, w, b: mg.conv1d_max(x, w, b, np.array([5, 2])),
            [real(2, 5, 3), real(4, 3, 2), real(4)],
            (96, 96, 8),
        ),
        (mg.mul, [real(3, 4), real(3, 4)], (12, 12)),
        (mg.add, [real(3, 4), real(3, 4)], (0, 0)),
        (mg.sub, [real(3, 4), real(3, 4)], (0, 12)),
    ],
)
def test_only_gradients_that_are_wanted_count(function, inputs, each):
    for which in np.ndindex(*(2,) * len(each)):
        expected = sum(n for n, is_wanted in zip(each, which, strict=True) if is_wanted)
        assert wanted(function, inputs, [bool(w) for w in which]) == expected


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(("layer", "gates", "own"), [(nn.LSTM, 4, 13), (nn.GRU, 3, 14), (nn.RNN, 1, 2)])
def test_recurrent_layers_count_each_step_layer_and_direction(layer, gates, own, layers, bidirectional):
    features, hidden, lengths = 3, 5, [4, 2, 1]
    network = layer(features, hidden, num_layers=layers, bidirectional=bidirectional)
    packed = nn.utils.rnn.pack_padded_sequence(mg.randn(4, 3, features), np.array(lengths))
    with mg.profile() as p:
        network(packed)
    rows, directions, expected = sum(lengths), 1 + bidirectional, 0
    for i in range(layers):
        seen = hidden * directions if i else features
        product = 2 * rows * gates * hidden * (seen + hidden)
        expected += directions * (product + rows * gates * hidden + own * rows * hidden)
    cells = ("LSTM", "GRU", "RNN", "Linear", "MatMul")
    assert sum(e["flops"] for e in p.events if e["name"] in cells) == expected


class Square(Function):
    def forward(self, x):
        self.save_for_backward(x)
        return x * x

    def backward(self, grad):
        return 2 * self.saved[0] * grad


class Counted(Square):
    """The same with counts of its own."""

    def flops(self, inputs, outputs):
        return 100

    def backward_flops(self, grads, results):
        return 1000 * len(grads) + len(results)


class Both(Function):
    def forward(self, x, y):
        return x + y, x - y

    def backward(self, plus, minus):
        return plus + minus, None


class Static(Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        return grad * 2


def test_functions_of_users():
    x, y = (mg.randn(3, 4, requires_grad=True) for _ in range(2))
    assert counted(Square(), x) == (12, 12)
    assert counted(Counted(), x) == (100, 1001)
    assert counted(Static(), x) == (24, 0)  # two products of tensors, which count themselves
    assert counted(lambda x, y: Both()(x, y)[0], x, y.detach()) == (24, 12)
    assert counted(Square(), mg.tensor(2.0, requires_grad=True)) == (1, 1)
    assert counted(Square(), mg.zeros(0, 3, requires_grad=True)) == (0, 0)


def test_a_checkpoint_counts_its_stretch_twice():
    x = mg.randn(3, 4, requires_grad=True)
    forward, backward = counted(lambda x: mg.checkpoint(lambda x: mg.tanh(x) * x, x), x)
    assert forward == 2 * 24  # the second run, too
    assert backward == 12 + 24


def test_rotary_positions():
    rotary = nn.RotaryEmbedding(6)
    assert counted(rotary, mg.randn(2, 3, 5, 6, requires_grad=True)) == (3 * 180, 3 * 180)
