"""Every operation of minigrad.ops, one line a case. A new line here gets every check of tests/minigrad/ops/test_ops.py.

A case is one expression, written once for minigrad and PyTorch (`m` is one or the other),
the same function in numpy, and inputs in float64. The inputs stay away from kinks (0 for
relu, ties for max), where no difference quotient is right.
"""

import math
from dataclasses import dataclass, field

import numpy as np

_random = np.random.default_rng(20)


def real(*shape):
    return _random.standard_normal(shape)


def positive(*shape):
    return _random.uniform(0.4, 2.5, shape)


def nonzero(*shape):
    return _random.uniform(0.3, 2.0, shape) * _random.choice([-1.0, 1.0], shape)


def distinct(*shape):
    """A shuffled grid without 0: far from kinks and ties at every step of a difference quotient."""
    n = math.prod(shape)
    return (_random.permutation(n) - n / 2 + 0.37).reshape(shape) / max(n / 4, 1)


def around_1_7(*shape):
    """Divisors that leave no number of `distinct` at a multiple."""
    return np.linspace(1.68, 1.72, math.prod(shape)).reshape(shape)


@dataclass
class Op:
    """A case: expression(m, *inputs), numpy(*inputs), the inputs.

    torch   False where PyTorch has nothing of the kind
    """

    name: str
    expression: callable
    numpy: callable
    inputs: tuple
    torch: bool = True
    variant: str = ""

    @property
    def id(self) -> str:
        return f"{self.name}-{self.variant}" if self.variant else self.name


@dataclass
class Elementwise:
    """An operation by element: gets its shapes, strides and broadcasting from hypothesis as well."""

    name: str
    numpy: callable
    domains: tuple = field(default=(real,))
    expression: callable = None

    def __post_init__(self):
        if self.expression is None:
            self.expression = lambda m, *inputs: getattr(m, self.name)(*inputs)


erf = np.vectorize(math.erf, otypes=[np.float64])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gelu(x):
    return 0.5 * x * (1 + erf(x / math.sqrt(2)))


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def layer_norm(x, w=1.0, b=0.0, eps=1e-5):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps) * w + b


def rms_norm(x, w=1.0, eps=1e-6):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * w


def attention(q, k, v, mask=None, causal=None):
    """The weights one query at a time."""
    k, v = (np.repeat(x, q.shape[-3] // x.shape[-3], axis=-3) for x in (k, v))
    scores = np.einsum("...qd,...kd->...qk", q, k) / math.sqrt(q.shape[-1])
    allowed = np.ones(scores.shape, dtype=bool)
    if causal is not None:
        allowed &= np.tri(*scores.shape[-2:], k=causal, dtype=bool)
    if mask is not None and mask.dtype == bool:
        allowed &= mask
    elif mask is not None:
        scores = scores + mask
    weights = np.exp(scores) * allowed
    weights = weights / np.maximum(weights.sum(-1, keepdims=True), 1e-300)
    return np.einsum("...qk,...kd->...qd", weights, v)


def conv1d_max(x, weight, bias, lengths):
    """The largest value of any window that touches the text, which has zeros around it."""
    width = weight.shape[2]
    best = []
    for row, length in zip(x, lengths, strict=True):
        text = np.pad(row[:length], ((width - 1, width - 1), (0, 0)))
        windows = [np.einsum("jc,fcj->f", text[t : t + width], weight) for t in range(length + width - 1)]
        best.append(np.max(windows, 0) + bias)
    return np.array(best)


def conv1d(x, weight, bias=0.0, stride=1, padding=(0, 0), dilation=1, groups=1):
    """Window by window and filter by filter."""
    x = np.pad(x, ((0, 0), (0, 0), padding))
    filters, channels, width = weight.shape
    reach = dilation * (width - 1) + 1
    y = np.zeros((len(x), filters, (x.shape[2] - reach) // stride + 1))
    for f in range(filters):
        first = f // (filters // groups) * channels
        for t in range(y.shape[2]):
            window = x[:, first : first + channels, t * stride : t * stride + reach : dilation]
            y[:, f, t] = (window * weight[f]).sum((1, 2))
    return y + np.reshape(bias, (-1, 1))


def pool(x, reduce, size, stride, padding=0, dilation=1, fill=-np.inf):
    """One window after the other."""
    x = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(padding, padding)], constant_values=fill)
    starts = range(0, x.shape[-1] - dilation * (size - 1), stride)
    return np.stack([reduce(x[..., t : t + dilation * (size - 1) + 1 : dilation], -1) for t in starts], -1)


def cross_entropy(x, targets, weight=None, ignore=-100, smoothing=0.0):
    """Row by row, as the definition reads: minus the target distribution times log-probabilities."""
    weight = np.ones(x.shape[1]) if weight is None else weight
    losses = np.zeros(len(x))
    for i, (row, t) in enumerate(zip(x, targets, strict=True)):
        if t != ignore:
            goal = np.full(len(row), smoothing / len(row))
            goal[t] += 1 - smoothing
            losses[i] = -(goal * weight * np.log(softmax(row))).sum()
    return losses, sum(weight[t] for t in targets if t != ignore)


def put(x, index, value):
    x = x.copy()
    x[index] = value
    return x


def assigned(x, index, value):
    """x.clone() with x[index] = value, for minigrad and PyTorch alike."""
    x = x.clone()
    x[index] = value
    return x


def scatter(x, axis, index, src):
    x = x.copy()
    for place in np.ndindex(index.shape):
        to = list(place)
        to[axis] = index[place]
        x[tuple(to)] += src[place]
    return x


def add_rows(weight, ids):
    return np.stack([weight[i] for i in ids.reshape(-1)]).reshape(*ids.shape, weight.shape[1])


def recurrent(cell, gates, weight, *states):
    """Output and last states of a network over two sequences, of two steps and one: cell(gates, product, *states)."""
    states, outputs = [s.copy() for s in states], []
    for rows, size in ((slice(0, 2), 2), (slice(2, 3), 1)):
        new = cell(gates[rows], states[0][:size] @ weight.T, *(s[:size] for s in states))
        for state, value in zip(states, new, strict=True):
            state[:size] = value
        outputs.append(new[0])
    return np.concatenate([*outputs, *states])


def lstm_cell(gates, product, h, c):
    i, f, g, o = np.split(gates + product, 4, 1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_cell(gates, product, h):
    (r, z, n), (r_h, z_h, n_h) = np.split(gates, 3, 1), np.split(product, 3, 1)
    z = sigmoid(z + z_h)
    return ((1 - z) * np.tanh(n + sigmoid(r + r_h) * n_h) + z * h,)


ids = np.array([[0, 3, 1], [3, 3, 2]])
mask = np.array([[True, False, True, False]])
targets = np.array([2, 0, -100, 1, 2])
classes = np.array([2, 0, 3, 1, 2])
text_lengths = np.array([5, 1, 3])
ended = np.arange(4) >= np.array([[4], [2], [0]])  # padding of three texts
blind = np.array([[True, False, True, True], [False, False, False, False], [True, True, True, False]])
additive = real(3, 4)

# fmt: off
ELEMENTWISE = [
    Elementwise("abs", np.abs, (nonzero,)),
    Elementwise("neg", np.negative, expression=lambda m, x: -x),
    Elementwise("exp", np.exp),
    Elementwise("expm1", np.expm1),
    Elementwise("log", np.log, (positive,)),
    Elementwise("log1p", np.log1p, (positive,)),
    Elementwise("sqrt", np.sqrt, (positive,)),
    Elementwise("rsqrt", lambda x: 1 / np.sqrt(x), (positive,)),
    Elementwise("square", np.square),
    Elementwise("reciprocal", lambda x: 1 / x, (nonzero,)),
    Elementwise("sin", np.sin),
    Elementwise("cos", np.cos),
    Elementwise("tanh", np.tanh),
    Elementwise("sigmoid", sigmoid),
    Elementwise("relu", lambda x: np.maximum(x, 0), (nonzero,)),
    Elementwise("leaky_relu", lambda x: np.where(x > 0, x, 0.01 * x), (nonzero,)),
    Elementwise("elu", lambda x: np.where(x > 0, x, np.expm1(x)), (nonzero,)),
    Elementwise("softplus", lambda x: np.log1p(np.exp(x))),
    Elementwise("erf", erf),
    Elementwise("gelu", gelu),
    Elementwise("gelu", gelu_tanh, expression=lambda m, x: m.gelu(x, approximate="tanh")),
    Elementwise("silu", lambda x: x * sigmoid(x)),
    Elementwise("clamp", lambda x: np.clip(x, -1.05, 1.1), (nonzero,), lambda m, x: m.clamp(x, min=-1.05, max=1.1)),
    Elementwise("clamp", lambda x: np.maximum(x, 0.1), (nonzero,), lambda m, x: m.clamp(x, min=0.1)),
    Elementwise("clone", lambda x: x),
    Elementwise("contiguous", lambda x: x, expression=lambda m, x: x.contiguous()),
    Elementwise("add", np.add, (real, real)),
    Elementwise("sub", np.subtract, (real, real)),
    Elementwise("mul", np.multiply, (real, real)),
    Elementwise("div", np.divide, (real, nonzero)),
    Elementwise("pow", np.power, (positive, real)),
    Elementwise("pow", lambda x: x**3, (real,), lambda m, x: m.pow(x, 3)),
    Elementwise("pow", lambda x: x**-1.5, (positive,), lambda m, x: m.pow(x, -1.5)),
    Elementwise("pow", lambda x: 2.0**x, (real,), lambda m, x: 2.0**x),
    Elementwise("remainder", np.remainder, (distinct, around_1_7)),
    Elementwise("fmod", np.fmod, (distinct, around_1_7)),
    Elementwise("maximum", np.maximum, (real, real)),
    Elementwise("minimum", np.minimum, (real, real)),
    Elementwise("sub", lambda x: 2 - x, (real,), lambda m, x: 2 - x),
    Elementwise("div", lambda x: 2 / x, (nonzero,), lambda m, x: 2 / x),
    Elementwise("mul", lambda x: x * 3, (real,), lambda m, x: x * 3),
]

OPS = [
    Op("clamp", lambda m, x, low, high: m.clamp(x, low, high), np.clip,
       (distinct(3, 4), real(4) / 9 - 0.5, real(3, 1) / 9 + 0.7), variant="tensors"),
    Op("clamp", lambda m, x, high: m.clamp(x, max=high), np.minimum, (distinct(3, 4), real(4) / 9), variant="max"),
    # Reductions.
    Op("sum", lambda m, x: m.sum(x), lambda x: x.sum(), (real(3, 4),)),
    Op("sum", lambda m, x: m.sum(x, 1, keepdim=True), lambda x: x.sum(1, keepdims=True), (real(3, 4),), variant="dim"),
    Op("sum", lambda m, x: m.sum(x, (0, -1)), lambda x: x.sum((0, 2)), (real(2, 3, 4),), variant="dims"),
    Op("mean", lambda m, x: m.mean(x, -1), lambda x: x.mean(-1), (real(3, 4),)),
    Op("var", lambda m, x: m.var(x, 1), lambda x: x.var(1, ddof=1), (real(3, 4),)),
    Op("var", lambda m, x: m.var(x, (0, 1), correction=0), lambda x: x.var(), (real(3, 4),), variant="population"),
    Op("std", lambda m, x: m.std(x, 0, keepdim=True), lambda x: x.std(0, ddof=1, keepdims=True), (real(3, 4),)),
    Op("prod", lambda m, x: m.prod(x, 1), lambda x: x.prod(1), (nonzero(3, 5),)),
    Op("prod", lambda m, x: m.prod(x), lambda x: x.prod(), (put(nonzero(2, 3), (1, 1), 0.0),), variant="a zero"),
    Op("prod", lambda m, x: m.prod(x, 0, keepdim=True), lambda x: x.prod(0, keepdims=True), (nonzero(1, 3),),
       variant="one"),
    Op("max", lambda m, x: m.max(x), lambda x: x.max(), (distinct(3, 4),)),
    Op("max", lambda m, x: m.max(x, 1)[0], lambda x: x.max(1), (distinct(3, 4),), variant="dim"),
    Op("min", lambda m, x: m.min(x), lambda x: x.min(), (distinct(3, 4),)),
    Op("min", lambda m, x: m.min(x, 0, keepdim=True)[0], lambda x: x.min(0, keepdims=True), (distinct(3, 4),),
       variant="dim"),
    Op("amax", lambda m, x: m.amax(x, (0, 2)), lambda x: x.max((0, 2)), (distinct(2, 3, 4),)),
    Op("amin", lambda m, x: m.amin(x, -1, keepdim=True), lambda x: x.min(-1, keepdims=True), (distinct(2, 3, 4),)),
    Op("cumsum", lambda m, x: m.cumsum(x, 1), lambda x: x.cumsum(1), (real(2, 4, 3),)),
    Op("cumprod", lambda m, x: m.cumprod(x, 1), lambda x: x.cumprod(1), (put(nonzero(2, 4, 3), (0, 1, 2), 0.0),)),
    Op("logsumexp", lambda m, x: m.logsumexp(x, 1), lambda x: np.log(np.exp(x).sum(1)), (real(3, 4),)),
    Op("logsumexp", lambda m, x: m.logsumexp(x, (0, 1), keepdim=True),
       lambda x: np.log(np.exp(x).sum(keepdims=True)), (real(3, 4),), variant="all"),
    Op("norm", lambda m, x: m.norm(x), lambda x: np.sqrt((x**2).sum()), (real(3, 4),)),
    Op("norm", lambda m, x: m.norm(x, 3, dim=1), lambda x: (np.abs(x) ** 3).sum(1) ** (1 / 3), (nonzero(3, 4),),
       variant="3"),
    Op("norm", lambda m, x: m.norm(x, 1, dim=0), lambda x: np.abs(x).sum(0), (nonzero(3, 4),), variant="1"),
    Op("norm", lambda m, x: m.norm(x, math.inf, dim=0, keepdim=True), lambda x: np.abs(x).max(0, keepdims=True),
       (distinct(3, 4),), variant="inf"),
    # Shapes.
    Op("reshape", lambda m, x: m.reshape(x, (2, -1)), lambda x: x.reshape(2, -1), (real(3, 4),)),
    Op("flatten", lambda m, x: m.flatten(x, 1), lambda x: x.reshape(2, 12), (real(2, 3, 4),)),
    Op("permute", lambda m, x: m.permute(x, (2, 0, 1)), lambda x: x.transpose(2, 0, 1), (real(2, 3, 4),)),
    Op("transpose", lambda m, x: m.transpose(x, 0, 1), lambda x: x.T, (real(3, 4),)),
    Op("swapaxes", lambda m, x: m.swapaxes(x, -1, 0), lambda x: x.swapaxes(-1, 0), (real(2, 3, 4),)),
    Op("squeeze", lambda m, x: m.squeeze(x, 1), lambda x: x[:, 0], (real(3, 1, 4),)),
    Op("unsqueeze", lambda m, x: m.unsqueeze(x, -2), lambda x: x[:, None], (real(3, 4),)),
    Op("expand", lambda m, x: x.expand(2, -1, 4), lambda x: np.broadcast_to(x, (2, 3, 4)), (real(3, 1),)),
    Op("broadcast_to", lambda m, x: m.broadcast_to(x, (2, 3, 4)), lambda x: np.broadcast_to(x, (2, 3, 4)), (real(4),)),
    Op("repeat", lambda m, x: x.repeat(2, 1, 3), lambda x: np.tile(x, (2, 1, 3)), (real(3, 2),)),
    Op("flip", lambda m, x: m.flip(x, (0, 2)), lambda x: x[::-1, :, ::-1], (real(2, 3, 4),)),
    Op("cat", lambda m, x, y: m.cat([x, y], 1), lambda x, y: np.concatenate([x, y], 1), (real(2, 3), real(2, 1))),
    Op("cat", lambda m, x: m.cat([x, x], -1), lambda x: np.concatenate([x, x], -1), (real(2, 3),), variant="twice"),
    Op("stack", lambda m, x, y: m.stack([x, y], -1), lambda x, y: np.stack([x, y], -1), (real(2, 3), real(2, 3))),
    Op("split", lambda m, x: m.split(x, [1, 3], 1)[1], lambda x: x[:, 1:], (real(2, 4),)),
    Op("split", lambda m, x: sum(p.sum() * (i + 1) for i, p in enumerate(m.split(x, 2, 0))),
       lambda x: x[:2].sum() + 2 * x[2:].sum(), (real(3, 2),), variant="uneven"),
    Op("chunk", lambda m, x: m.chunk(x, 3, 0)[2], lambda x: x[4:], (real(5, 2),)),
    Op("unbind", lambda m, x: m.unbind(x, 1)[2], lambda x: x[:, 2], (real(2, 4),)),
    Op("tril", lambda m, x: m.tril(x, -1), lambda x: np.tril(x, -1), (real(2, 4, 3),)),
    Op("triu", lambda m, x: m.triu(x, 1), lambda x: np.triu(x, 1), (real(4, 3),)),
    Op("astype", lambda m, x: m.astype(x, "float64") * 2, lambda x: x * 2, (real(3),), torch=False),
    # Choosing.
    Op("getitem", lambda m, x: x[1:, ::2], lambda x: x[1:, ::2], (real(3, 4),), variant="slices"),
    Op("getitem", lambda m, x: x[..., -1], lambda x: x[..., -1], (real(2, 3, 4),), variant="ellipsis"),
    Op("getitem", lambda m, x: x[ids], lambda x: x[ids], (real(4, 2),), variant="repeated rows"),
    Op("getitem", lambda m, x: x[:, ids], lambda x: x[:, ids], (real(2, 4),), variant="mixed"),
    Op("getitem", lambda m, x: x[x > 0], lambda x: x[x > 0], (nonzero(3, 4),), variant="boolean"),
    Op("setitem", lambda m, x, v: assigned(x, (slice(1, 3), 0), v), lambda x, v: put(x, (slice(1, 3), 0), v),
       (real(4, 2), real(2))),
    Op("setitem", lambda m, x, v: assigned(x, (0,), v), lambda x, v: put(x, 0, v), (real(4, 2), real()),
       variant="broadcast"),
    Op("gather", lambda m, x: m.gather(x, 1, index(m, ids)), lambda x: np.take_along_axis(x, ids, 1), (real(2, 4),)),
    Op("scatter_add", lambda m, x, s: m.scatter_add(x, 1, index(m, ids), s), lambda x, s: scatter(x, 1, ids, s),
       (real(2, 4), real(2, 3))),
    Op("scatter_add", lambda m, x, s: m.scatter_add(x, 0, index(m, ids[:, :2]), s),
       lambda x, s: scatter(x, 0, ids[:, :2], s), (real(4, 3), real(3, 3)), variant="larger", torch=False),
    Op("index_select", lambda m, x: m.index_select(x, 1, index(m, ids[1])), lambda x: x[:, ids[1]], (real(2, 4),)),
    Op("masked_fill", lambda m, x: m.masked_fill(x, index(m, mask), -3.0), lambda x: np.where(mask, -3.0, x),
       (real(3, 4),)),
    Op("where", lambda m, x, y: m.where(index(m, mask), x, y), lambda x, y: np.where(mask, x, y),
       (real(3, 1), real(4))),
    Op("sort", lambda m, x: m.sort(x, dim=1)[0], lambda x: np.sort(x, 1), (distinct(3, 4),)),
    Op("sort", lambda m, x: m.sort(x, dim=0, descending=True)[0], lambda x: -np.sort(-x, 0), (distinct(3, 4),),
       variant="descending"),
    Op("topk", lambda m, x: m.topk(x, 2, dim=0)[0], lambda x: -np.sort(-x, 0)[:2], (distinct(4, 3),)),
    Op("topk", lambda m, x: m.topk(x, 3, largest=False)[0], lambda x: np.sort(x, -1)[:, :3], (distinct(2, 5),),
       variant="smallest"),
    # Softmax and losses.
    Op("softmax", lambda m, x: m.softmax(x, -1), softmax, (real(3, 4),)),
    Op("softmax", lambda m, x: m.softmax(x, 1), lambda x: softmax(x, 1), (real(2, 4, 3),), variant="dim"),
    Op("log_softmax", lambda m, x: m.log_softmax(x, -1), lambda x: np.log(softmax(x)), (real(3, 4),)),
    Op("log_softmax", lambda m, x: m.log_softmax(x, 0), lambda x: np.log(softmax(x, 0)), (real(4, 3),), variant="dim"),
    Op("conv1d_max", lambda m, x, w, b: m.conv1d_max(x, w, b, index(m, text_lengths)),
       lambda x, w, b: conv1d_max(x, w, b, text_lengths), (real(3, 5, 2), real(4, 2, 3), real(4)), torch=False),
    *[
        Op("conv1d", lambda m, *inputs, options=options: m.conv1d(*inputs, **options),
           lambda *inputs, options=options, sides=sides: conv1d(*inputs, **{**options, "padding": sides}), inputs,
           variant=name)
        for name, options, sides, inputs in [
            ("", {}, (0, 0), (real(2, 3, 6), real(4, 3, 3), real(4))),
            ("no bias", {}, (0, 0), (real(2, 3, 5), real(2, 3, 2))),
            ("width 1", {"padding": 1}, (1, 1), (real(2, 3, 4), real(4, 3, 1), real(4))),
            ("same", {"padding": "same"}, (1, 2), (real(2, 2, 5), real(3, 2, 4), real(3))),
            ("wide", {"padding": 4}, (4, 4), (real(2, 2, 3), real(2, 2, 5), real(2))),
            ("everything", {"stride": 2, "padding": 3, "dilation": 2, "groups": 2}, (3, 3),
             (real(2, 4, 6), real(6, 2, 3), real(6))),
            ("depthwise", {"groups": 3, "padding": "valid"}, (0, 0), (real(1, 3, 5), real(3, 1, 2), real(3))),
        ]
    ],
    Op("conv1d", lambda m, x, w: m.conv1d(x, w), lambda x, w: conv1d(x[None], w)[0], (real(2, 5), real(3, 2, 2)),
       variant="unbatched"),
    Op("max_pool1d", lambda m, x: m.max_pool1d(x, 2), lambda x: pool(x, np.max, 2, 2), (distinct(2, 3, 7),)),
    Op("max_pool1d", lambda m, x: m.max_pool1d(x, 3, stride=2, padding=1, dilation=2),
       lambda x: pool(x, np.max, 3, 2, 1, 2), (distinct(2, 3, 9),), variant="everything"),
    Op("max_pool1d", lambda m, x: m.max_pool1d(x, 3, stride=2, ceil_mode=True),
       lambda x: np.stack([x[:, :3].max(1), x[:, 2:5].max(1), x[:, 4:].max(1)], 1), (distinct(3, 6),), variant="ceil"),
    Op("avg_pool1d", lambda m, x: m.avg_pool1d(x, 2), lambda x: pool(x, np.mean, 2, 2), (real(2, 3, 7),)),
    Op("avg_pool1d", lambda m, x: m.avg_pool1d(x, 3, stride=1, padding=1),
       lambda x: pool(x, np.mean, 3, 1, 1, fill=0.0), (real(2, 3, 5),), variant="padding"),
    Op("avg_pool1d", lambda m, x: m.avg_pool1d(x, 3, stride=2, padding=1, ceil_mode=True, count_include_pad=False),
       lambda x: pool(x, np.nanmean, 3, 2, 1, fill=np.nan), (real(2, 3, 5),), variant="not the padding"),
    Op("adaptive_max_pool1d", lambda m, x: m.adaptive_max_pool1d(x, 3),
       lambda x: np.stack([x[..., :3].max(-1), x[..., 2:5].max(-1), x[..., 4:].max(-1)], -1), (distinct(2, 3, 7),)),
    Op("max_over_time", lambda m, x: m.max_over_time(x), lambda x: x.max(1), (distinct(2, 4, 3),), torch=False),
    Op("max_over_time", lambda m, x: m.max_over_time(x, index(m, ended)),
       lambda x: np.stack([x[0].max(0), x[1, :2].max(0), 0 * x[2, 0]]), (distinct(3, 4, 2),), torch=False,
       variant="mask"),
    Op("mean_over_time", lambda m, x: m.mean_over_time(x), lambda x: x.mean(1), (real(2, 4, 3),), torch=False),
    Op("mean_over_time", lambda m, x: m.mean_over_time(x, index(m, ended)),
       lambda x: np.stack([x[0].mean(0), x[1, :2].mean(0), 0 * x[2, 0]]), (real(3, 4, 2),), torch=False,
       variant="mask"),
    Op("cross_entropy", lambda m, x: m.cross_entropy(x, index(m, classes)),
       lambda x: cross_entropy(x, classes)[0].mean(), (real(5, 4),)),
    Op("cross_entropy", lambda m, x: m.cross_entropy(x, index(m, targets), reduction="none", label_smoothing=0.1),
       lambda x: cross_entropy(x, targets, smoothing=0.1)[0], (real(5, 3),), variant="smoothed"),
    Op("cross_entropy", lambda m, x: m.cross_entropy(x, index(m, targets), weight=like(m, x, [0.5, 1.0, 2.0]),
       label_smoothing=0.2), lambda x: np.divide(*map(np.sum, cross_entropy(x, targets, np.array([0.5, 1.0, 2.0]),
       smoothing=0.2))), (real(5, 3),), variant="weighted"),
    Op("cross_entropy", lambda m, x: m.cross_entropy(x, index(m, classes), ignore_index=2, reduction="sum"),
       lambda x: cross_entropy(x, classes, ignore=2)[0].sum(), (real(5, 4),), variant="ignored"),
    # Normalisation.
    Op("layer_norm", lambda m, x, w, b: m.layer_norm(x, w, b), layer_norm, (real(3, 5), real(5), real(5))),
    Op("layer_norm", lambda m, x, w: m.layer_norm(x, w), layer_norm, (real(2, 3, 4), real(4)), variant="no bias"),
    Op("layer_norm", lambda m, x: m.layer_norm(x, eps=0.1), lambda x: layer_norm(x, eps=0.1), (real(3, 4),),
       variant="plain"),
    Op("rms_norm", lambda m, x, w: m.rms_norm(x, w), rms_norm, (real(2, 3, 4), real(4))),
    Op("rms_norm", lambda m, x: m.rms_norm(x, eps=0.1), lambda x: rms_norm(x, eps=0.1), (real(3, 4),), variant="plain"),
    # Products.
    Op("matmul", lambda m, a, b: m.matmul(a, b), np.matmul, (real(3, 4), real(4, 2))),
    Op("matmul", lambda m, a, b: m.matmul(a, b), np.matmul, (real(4), real(4)), variant="1-1"),
    Op("matmul", lambda m, a, b: m.matmul(a, b), np.matmul, (real(4), real(4, 3)), variant="1-2"),
    Op("matmul", lambda m, a, b: m.matmul(a, b), np.matmul, (real(2, 3, 4), real(4)), variant="3-1"),
    Op("matmul", lambda m, a, b: m.matmul(a, b), np.matmul, (real(4), real(2, 4, 3)), variant="1-3"),
    Op("matmul", lambda m, a, b: m.matmul(a, b), np.matmul, (real(2, 3, 4), real(4, 5)), variant="3-2"),
    Op("matmul", lambda m, a, b: m.matmul(a, b), np.matmul, (real(3, 4), real(2, 4, 5)), variant="2-3"),
    Op("matmul", lambda m, a, b: m.matmul(a, b), np.matmul, (real(2, 1, 3, 4), real(3, 4, 2)), variant="4-3"),
    Op("matmul", lambda m, a: m.matmul(a, a.swapaxes(0, 1)), lambda a: a @ a.T, (real(3, 4),), variant="own transpose"),
    Op("linear", lambda m, x, w, b: m.linear(x, w, b), lambda x, w, b: x @ w.T + b,
       (real(2, 3, 4), real(5, 4), real(5))),
    Op("linear", lambda m, x, w: m.linear(x, w), lambda x, w: x @ w.T, (real(4), real(3, 4)), variant="no bias"),
    *[
        Op("linear", lambda m, x, w, b, name=name: m.linear(x, w, b, activation=name),
           lambda x, w, b, act=act: act(x @ w.T + b), (real(3, 4), real(5, 4), real(5)), variant=name)
        for name, act in [("relu", lambda x: np.maximum(x, 0)), ("gelu", gelu), ("gelu_tanh", gelu_tanh),
                          ("silu", lambda x: x * sigmoid(x))]
    ],
    *[
        Op("activate", lambda m, x, name=name: m.activate(x, name), act, (nonzero(3, 4),), variant=str(name),
           torch=False)
        for name, act in [("relu", lambda x: np.maximum(x, 0)), ("gelu_tanh", gelu_tanh), (None, lambda x: x)]
    ],
    *[
        Op("einsum", lambda m, *x, eq=eq: m.einsum(eq, *x), lambda *x, eq=eq: np.einsum(eq, *x), shapes, variant=eq)
        for eq, shapes in [
            ("ij,jk->ik", (real(2, 3), real(3, 4))), ("bij,bjk", (real(2, 2, 3), real(2, 3, 2))),
            ("ii->i", (real(3, 3),)), ("ii", (real(3, 3),)), ("iij->j", (real(3, 3, 2),)),
            ("i,j->ij", (real(2), real(3))),
            ("...ij,...jk->...ik", (real(2, 1, 2, 3), real(3, 3, 2))), ("i...,i...->...", (real(3, 2), real(3, 2))),
            ("ij->ji", (real(2, 3),)), ("ab,bc,cd->ad", (real(2, 3), real(3, 2), real(2, 4))),
            ("bhqd,bhkd->bhqk", (real(1, 2, 3, 2), real(1, 2, 2, 2))), ("ij,ij->", (real(2, 3), real(2, 3))),
            ("ik,jk,lk->ijl", (real(2, 3), real(2, 3), real(2, 3))),
        ]
    ],
    # Attention, embedding, dropout.
    *[
        Op("scaled_dot_product_attention", lambda m, q, k, v: m.scaled_dot_product_attention(q, k, v),
           lambda q, k, v: attention(q, k, v), shapes, variant=name)
        for name, shapes in [("4-d", (real(1, 2, 2, 3), real(1, 2, 3, 3), real(1, 2, 3, 2))),
                             ("3-d", (real(2, 3, 2), real(2, 2, 2), real(2, 2, 2)))]
    ],
    Op("scaled_dot_product_attention", lambda m, q, k, v: m.scaled_dot_product_attention(q, k, v, is_causal=True),
       lambda q, k, v: attention(q, k, v, causal=0), (real(2, 1, 3, 2), real(2, 1, 3, 2), real(2, 1, 3, 2)),
       variant="causal"),
    Op("scaled_dot_product_attention", lambda m, q, k, v: m.scaled_dot_product_attention(q, k, v, causal_offset=2),
       lambda q, k, v: attention(q, k, v, causal=2), (real(1, 1, 2, 3), real(1, 1, 4, 3), real(1, 1, 4, 2)),
       variant="offset", torch=False),
    Op("scaled_dot_product_attention", lambda m, q, k, v: m.scaled_dot_product_attention(q, k, v, is_causal=True),
       lambda q, k, v: attention(q, k, v, causal=0), (real(1, 4, 2, 2), real(1, 2, 2, 2), real(1, 2, 2, 2)),
       variant="grouped", torch=False),
    Op("scaled_dot_product_attention", lambda m, q, k, v: m.scaled_dot_product_attention(q, k, v, index(m, blind)),
       lambda q, k, v: attention(q, k, v, blind), (real(1, 1, 3, 2), real(1, 1, 4, 2), real(1, 1, 4, 2)),
       variant="blind row", torch=False),
    Op("scaled_dot_product_attention", lambda m, q, k, v: m.scaled_dot_product_attention(q, k, v, like(m, q, additive)),
       lambda q, k, v: attention(q, k, v, additive), (real(1, 1, 3, 2), real(1, 1, 4, 2), real(1, 1, 4, 2)),
       variant="additive"),
    Op("scaled_dot_product_attention", lambda m, q, k, v, bias: m.scaled_dot_product_attention(q, k, v, bias),
       attention, (real(1, 2, 3, 2), real(1, 2, 4, 2), real(1, 2, 4, 2), real(2, 3, 4)), variant="learned bias"),
    Op("embedding", lambda m, w: m.embedding(index(m, ids), w), lambda w: add_rows(w, ids), (real(5, 3),)),
    Op("dropout", lambda m, x: seeded(m, m.dropout, x, 0.4), lambda x: x * dropped(x.shape, 0.4), (nonzero(4, 5),),
       torch=False),
    Op("lstm", lambda m, x, h, c, w: m.cat(m.lstm(x, h, c, w, [2, 1])),
       lambda x, h, c, w: recurrent(lstm_cell, x, w, h, c), (real(3, 8), real(2, 2), real(2, 2), real(8, 2)),
       torch=False),
    Op("gru", lambda m, x, h, w: m.cat(m.gru(x, h, w, None, [2, 1])),
       lambda x, h, w: recurrent(gru_cell, x, w, h), (real(3, 6), real(2, 2), real(6, 2)), torch=False),
    Op("rnn", lambda m, x, h, w: m.cat(m.rnn(x, h, w, [2, 1])),
       lambda x, h, w: recurrent(lambda x, p, h: (np.tanh(x + p),), x, w, h), (real(3, 2), real(2, 2), real(2, 2)),
       torch=False),
]
# fmt: on

# Results that are integers, booleans or constant by pieces: no gradient.
WITHOUT_GRADIENT = [
    "all",
    "any",
    "argmax",
    "argmin",
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "ceil",
    "eq",
    "floor",
    "floor_divide",
    "ge",
    "gt",
    "isfinite",
    "isinf",
    "isnan",
    "le",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "lt",
    "ne",
    "nonzero",
    "one_hot",
    "round",
    "sign",
]


def index(m, array):
    """An array of ids or a mask as the library's own tensor."""
    return m.tensor(array)


def like(m, x, numbers):
    """Numbers in the dtype of x."""
    return m.tensor(numbers, dtype=x.dtype)


def seeded(m, function, *args):
    """The call with the same random numbers every time."""
    m.manual_seed(5)
    return function(*args)


def dropped(shape, p):
    """The mask that seed 5 gives, as 0 and 1/(1 - p), read off a tensor of ones."""
    import minigrad as mg

    mg.manual_seed(5)
    return mg.dropout(mg.ones(*shape, dtype=np.float64), p).data


def elementwise_case(e: Elementwise) -> Op:
    """An elementwise operation at a fixed shape, broadcast if it takes two inputs."""
    shapes = [(3, 4), (4,)][: len(e.domains)]
    return Op(e.name, e.expression, e.numpy, tuple(d(*s) for d, s in zip(e.domains, shapes, strict=True)))


CASES = [elementwise_case(e) for e in ELEMENTWISE] + OPS
