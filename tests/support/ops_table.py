"""Every operation of minigrad.ops, one line a case. A new line here gets every check of tests/minigrad/ops/test_ops.py.

A case is one expression, written once for minigrad and PyTorch (`m` is one or the other),
the same function in numpy, and inputs in float64. The inputs stay away from kinks (0 for
relu, ties for max), where no difference quotient is right.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from tests.support import windows

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


def inside(*shape):
    return _random.uniform(-0.8, 0.8, shape)


def share(*shape):
    """Between 0 and 1, away from both and from the limits 0.3 and 0.7."""
    return np.asarray(_random.choice([0.1, 0.2, 0.4, 0.6, 0.9], shape)) + _random.uniform(0, 0.05, shape)


def fraction(*shape):
    """Away from whole numbers."""
    return _random.integers(-3, 3, shape) + _random.uniform(0.2, 0.8, shape)


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


def put_along(x, index, value, axis):
    """x with value[i, j, …] at index[i, j, …] in place of the position along the axis; index may be smaller than x."""
    x, value = x.copy(), np.broadcast_to(value, index.shape)
    for place in np.ndindex(index.shape):
        x[(*place[:axis], index[place], *place[axis + 1 :])] = value[place]
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
places = np.array([[0, 3, 1], [2, 0, 3]])  # none twice in a row
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
    Elementwise("tan", np.tan, (inside,)),
    Elementwise("asin", np.arcsin, (inside,)),
    Elementwise("acos", np.arccos, (inside,)),
    Elementwise("atan", np.arctan),
    Elementwise("atan2", np.arctan2, (nonzero, nonzero)),
    Elementwise("sinh", np.sinh),
    Elementwise("cosh", np.cosh),
    Elementwise("asinh", np.arcsinh),
    Elementwise("acosh", lambda x: np.arccosh(x + 1), (positive,), lambda m, x: m.acosh(x + 1)),
    Elementwise("atanh", np.arctanh, (inside,)),
    Elementwise("exp2", np.exp2),
    Elementwise("log2", np.log2, (positive,)),
    Elementwise("log10", np.log10, (positive,)),
    Elementwise("logaddexp", np.logaddexp, (real, real)),
    Elementwise("logit", lambda x: np.log(x / (1 - x)), (share,)),
    Elementwise("logit", lambda x: np.log(np.clip(x, 0.3, 0.7) / (1 - np.clip(x, 0.3, 0.7))), (share,),
                lambda m, x: m.logit(x, eps=0.3)),
    Elementwise("xlogy", lambda x, y: x * np.log(y), (nonzero, positive)),
    Elementwise("hypot", np.hypot, (nonzero, nonzero)),
    Elementwise("frac", lambda x: x - np.trunc(x), (fraction,)),
    Elementwise("nan_to_num", np.nan_to_num),
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
    # Blended.
    Op("lerp", lambda m, x, y: m.lerp(x, y, 0.3), lambda x, y: x + 0.3 * (y - x), (real(3, 1), real(4))),
    Op("lerp", lambda m, x, y, w: m.lerp(x, y, w), lambda x, y, w: x + w * (y - x), (real(3, 4), real(4), real(3, 1)),
       variant="tensor"),
    Op("addcmul", lambda m, x, y, z: m.addcmul(x, y, z, value=0.5), lambda x, y, z: x + 0.5 * y * z,
       (real(3, 1), real(4), real(4))),
    Op("addcdiv", lambda m, x, y, z: m.addcdiv(x, y, z, value=2), lambda x, y, z: x + 2 * y / z,
       (real(3, 1), real(4), nonzero(4))),
    # Rearranged.
    Op("t", lambda m, x: m.t(x), np.transpose, (real(2, 3),)),
    Op("roll", lambda m, x: m.roll(x, (1, -5), (0, -1)), lambda x: np.roll(x, (1, -5), (0, -1)), (real(3, 4),)),
    Op("roll", lambda m, x: m.roll(x, 5), lambda x: np.roll(x, 5), (real(3, 4),), variant="flat"),
    *[
        Op("rot90", lambda m, x, k=k: m.rot90(x, k, (0, 2)), lambda x, k=k: np.rot90(x, k, (0, 2)), (real(2, 3, 4),),
           variant=str(k))
        for k in (0, 1, 2, 3, -1)
    ],
    Op("fliplr", lambda m, x: m.fliplr(x), np.fliplr, (real(2, 3),)),
    Op("flipud", lambda m, x: m.flipud(x), np.flipud, (real(2, 3),)),
    Op("repeat_interleave", lambda m, x: m.repeat_interleave(x, 3, 1), lambda x: np.repeat(x, 3, 1), (real(2, 4),)),
    Op("repeat_interleave", lambda m, x: m.repeat_interleave(x, 2), lambda x: np.repeat(x, 2), (real(2, 3),),
       variant="flat"),
    Op("repeat_interleave", lambda m, x: m.repeat_interleave(x, index(m, np.array([2, 0, 1])), dim=-1),
       lambda x: np.repeat(x, [2, 0, 1], -1), (real(2, 3),), variant="counts"),
    Op("tile", lambda m, x: m.tile(x, (2, 1, 3)), lambda x: np.tile(x, (2, 1, 3)), (real(3, 2),)),
    Op("tile", lambda m, x: m.tile(x, (2,)), lambda x: np.tile(x, (2,)), (real(3, 2),), variant="fewer"),
    Op("movedim", lambda m, x: m.movedim(x, 0, -1), lambda x: np.moveaxis(x, 0, -1), (real(2, 3, 4),)),
    Op("movedim", lambda m, x: m.movedim(x, (0, 1), (-1, 0)), lambda x: np.moveaxis(x, (0, 1), (-1, 0)),
       (real(2, 3, 4),), variant="two"),
    Op("narrow", lambda m, x: m.narrow(x, -1, 1, 2), lambda x: x[:, 1:3], (real(2, 4),)),
    Op("select", lambda m, x: m.select(x, 1, -2), lambda x: x[:, -2], (real(2, 4, 2),)),
    Op("unflatten", lambda m, x: m.unflatten(x, 1, (2, -1)), lambda x: x.reshape(2, 2, 3, 2), (real(2, 6, 2),)),
    Op("unfold", lambda m, x: x.unfold(1, 3, 2), lambda x: np.stack([x[:, t : t + 3] for t in (0, 2, 4)], 1),
       (real(2, 8),)),
    Op("unfold", lambda m, x: x.unfold(-2, 2, 1), lambda x: np.stack([x[t : t + 2].T for t in range(3)]),
       (real(4, 3),), variant="overlapping"),
    Op("diagonal", lambda m, x: m.diagonal(x), lambda x: x.diagonal(), (real(3, 4),)),
    Op("diagonal", lambda m, x: m.diagonal(x, -1, 2, 0), lambda x: x.diagonal(-1, 2, 0), (real(3, 2, 4),),
       variant="dims"),
    Op("diag_embed", lambda m, x: m.diag_embed(x), lambda x: x[..., None] * np.eye(3), (real(2, 3),)),
    Op("diag_embed", lambda m, x: m.diag_embed(x, -2, 0, -1),
       lambda x: np.stack([np.diag(row, -2) for row in x], 1), (real(2, 3),), variant="dims"),
    Op("diag", lambda m, x: m.diag(x, 1), lambda x: np.diag(x, 1), (real(3),), variant="to a matrix"),
    Op("diag", lambda m, x: m.diag(x, -1), lambda x: np.diag(x, -1), (real(3, 4),)),
    Op("diagflat", lambda m, x: m.diagflat(x, 1), lambda x: np.diagflat(x, 1), (real(2, 2),)),
    Op("trace", lambda m, x: m.trace(x), np.trace, (real(3, 4),)),
    Op("atleast_1d", lambda m, x: m.atleast_1d(x), np.atleast_1d, (real(),)),
    Op("atleast_2d", lambda m, x: m.atleast_2d(x), np.atleast_2d, (real(3),)),
    Op("atleast_3d", lambda m, x: m.atleast_3d(x), np.atleast_3d, (real(3),)),
    Op("hstack", lambda m, x, y: m.hstack((x, y)), lambda x, y: np.hstack((x, y)), (real(2), real(3))),
    Op("hstack", lambda m, x, y: m.hstack((x, y)), lambda x, y: np.hstack((x, y)), (real(2, 2), real(2, 1)),
       variant="matrices"),
    Op("vstack", lambda m, x, y: m.vstack((x, y)), lambda x, y: np.vstack((x, y)), (real(2, 2), real(2))),
    Op("dstack", lambda m, x, y: m.dstack((x, y)), lambda x, y: np.dstack((x, y)), (real(3), real(3))),
    Op("column_stack", lambda m, x, y: m.column_stack((x, y)), lambda x, y: np.column_stack((x, y)),
       (real(3), real(3, 2))),
    Op("block_diag", lambda m, x, y, z: m.block_diag(x, y, z),
       lambda x, y, z: np.block([[x, np.zeros((2, 4))], [np.zeros((1, 1)), y, np.zeros((1, 1))],
                                 [np.zeros((2, 4)), z]]),
       (real(2, 1), real(3), real(2, 1))),
    Op("broadcast_tensors", lambda m, x, y: sum(i * z for i, z in enumerate(m.broadcast_tensors(x, y), 1)),
       lambda x, y: x + 2 * y, (real(3, 1), real(2))),
    Op("meshgrid", lambda m, x, y, z: math.prod(m.meshgrid(x, y, z, indexing="ij")),
       lambda x, y, z: math.prod(np.meshgrid(x, y, z, indexing="ij")), (real(2), real(3), real())),
    Op("meshgrid", lambda m, x, y: m.stack(m.meshgrid(x, y, indexing="xy")),
       lambda x, y: np.stack(np.meshgrid(x, y, indexing="xy")), (real(2), real(3)), variant="xy"),
    Op("cartesian_prod", lambda m, x, y: m.cartesian_prod(x, y), lambda x, y: np.array([[a, b] for a in x for b in y]),
       (real(2), real(3))),
    Op("view_as", lambda m, x: x.view_as(like(m, x, real(3, 2))), lambda x: x.reshape(3, 2), (real(2, 3),)),
    Op("expand_as", lambda m, x: x.expand_as(like(m, x, real(3, 2))), lambda x: np.broadcast_to(x, (3, 2)),
       (real(3, 1),)),
    # Placed and picked.
    Op("scatter", lambda m, x, s: m.scatter(x, 1, index(m, places), s), lambda x, s: put_along(x, places, s, 1),
       (real(2, 4), real(2, 3))),
    Op("scatter", lambda m, x: m.scatter(x, -1, index(m, places), -2.0), lambda x: put_along(x, places, -2.0, 1),
       (real(2, 4),), variant="number"),
    Op("scatter", lambda m, x, s: m.scatter(x, 0, index(m, places[:1, :2]), s),
       lambda x, s: put_along(x, places[:1, :2], s[:1, :2], 0), (real(4, 3), real(2, 3)), variant="larger",
       torch=False),
    Op("index_add", lambda m, x, s: m.index_add(x, 1, index(m, ids[1]), s, alpha=2),
       lambda x, s: x + 2 * np.stack([s[:, 2] * 0, s[:, 2] * 0, s[:, 2], s[:, 0] + s[:, 1]], 1),
       (real(2, 4), real(2, 3))),
    Op("index_copy", lambda m, x, s: m.index_copy(x, 0, index(m, ids[0]), s), lambda x, s: put(x, ids[0], s),
       (real(4, 2), real(3, 2))),
    Op("index_fill", lambda m, x: m.index_fill(x, 1, index(m, ids[0]), 3.0),
       lambda x: put(x, (slice(None), ids[0]), 3.0), (real(2, 4),)),
    Op("masked_select", lambda m, x: m.masked_select(x, index(m, mask)), lambda x: x[:, mask[0]].reshape(-1),
       (real(3, 4),)),
    Op("masked_scatter", lambda m, x, s: m.masked_scatter(x, index(m, blind), s),
       lambda x, s: put(x, blind, s.reshape(-1)[: blind.sum()]), (real(3, 4), real(2, 4))),
    Op("take", lambda m, x: m.take(x, index(m, ids)), lambda x: x.reshape(-1)[ids], (real(2, 3),)),
    Op("take_along_dim", lambda m, x: m.take_along_dim(x, index(m, ids[:1]), dim=1),
       lambda x: x[:, ids[0]], (real(2, 4),)),
    Op("take_along_dim", lambda m, x: m.take_along_dim(x, index(m, ids)), lambda x: x.reshape(-1)[ids.reshape(-1)],
       (real(2, 4),), variant="flat"),
    Op("cummax", lambda m, x: m.cummax(x, 1)[0], lambda x: np.maximum.accumulate(x, 1), (distinct(3, 5),)),
    Op("cummin", lambda m, x: m.cummin(x, dim=0)[0], lambda x: np.minimum.accumulate(x, 0), (distinct(5, 3),)),
    Op("diff", lambda m, x: m.diff(x), np.diff, (real(3, 4),)),
    Op("diff", lambda m, x, y: m.diff(x, n=2, dim=0, prepend=y, append=x), lambda x, y: np.diff(
       np.concatenate([y, x, x]), 2, 0), (real(3, 2), real(1, 2)), variant="second"),
    # Statistics.
    Op("median", lambda m, x: m.median(x), lambda x: np.sort(x.reshape(-1))[5], (distinct(3, 4),)),
    Op("median", lambda m, x: m.median(x, 1, keepdim=True)[0], lambda x: np.sort(x)[:, 1:2], (distinct(3, 4),),
       variant="dim"),
    Op("nanmedian", lambda m, x: m.nanmedian(x, 0)[0], lambda x: np.median(x, 0), (distinct(3, 4),)),
    Op("mode", lambda m, x: m.mode(x, 0)[0], lambda x: x.min(0), (distinct(3, 4),)),
    Op("quantile", lambda m, x: m.quantile(x, 0.4), lambda x: np.quantile(x, 0.4), (distinct(3, 4),)),
    Op("quantile", lambda m, x: m.quantile(x, like(m, x, [0.0, 0.3, 1.0]), dim=1, keepdim=True),
       lambda x: np.quantile(x, [0.0, 0.3, 1.0], 1, keepdims=True), (distinct(3, 4),), variant="several"),
    *[
        Op("quantile", lambda m, x, how=how: m.quantile(x, 0.4, dim=0, interpolation=how),
           lambda x, how=how: np.quantile(x, 0.4, 0, method=how), (distinct(4, 3),), variant=how)
        for how in ("lower", "higher", "nearest", "midpoint")
    ],
    Op("nansum", lambda m, x: m.nansum(x, 1), lambda x: x.sum(1), (real(3, 4),)),
    Op("nanmean", lambda m, x: m.nanmean(x, dim=0, keepdim=True), lambda x: x.mean(0, keepdims=True), (real(3, 4),)),
    Op("aminmax", lambda m, x: m.stack(tuple(m.aminmax(x, dim=1))), lambda x: np.stack([x.min(1), x.max(1)]),
       (distinct(3, 4),)),
    Op("std_mean", lambda m, x: m.stack(m.std_mean(x, 1)), lambda x: np.stack([x.std(1, ddof=1), x.mean(1)]),
       (real(3, 4),)),
    Op("var_mean", lambda m, x: m.stack(m.var_mean(x, 0, correction=0)), lambda x: np.stack([x.var(0), x.mean(0)]),
       (real(3, 4),)),
    # Products by name, distances, padding.
    Op("mm", lambda m, a, b: m.mm(a, b), np.matmul, (real(2, 3), real(3, 4))),
    Op("bmm", lambda m, a, b: m.bmm(a, b), np.matmul, (real(2, 2, 3), real(2, 3, 4))),
    Op("mv", lambda m, a, b: m.mv(a, b), np.matmul, (real(2, 3), real(3))),
    Op("dot", lambda m, a, b: m.dot(a, b), np.matmul, (real(3), real(3))),
    Op("outer", lambda m, a, b: m.outer(a, b), np.outer, (real(2), real(3))),
    Op("inner", lambda m, a, b: m.inner(a, b), np.inner, (real(2, 2, 3), real(4, 3))),
    Op("addmm", lambda m, x, a, b: m.addmm(x, a, b, beta=0.5, alpha=2), lambda x, a, b: 0.5 * x + 2 * (a @ b),
       (real(4), real(2, 3), real(3, 4))),
    Op("addmv", lambda m, x, a, b: m.addmv(x, a, b), lambda x, a, b: x + a @ b, (real(2), real(2, 3), real(3))),
    Op("baddbmm", lambda m, x, a, b: m.baddbmm(x, a, b, alpha=0.5), lambda x, a, b: x + 0.5 * (a @ b),
       (real(2, 1, 4), real(2, 2, 3), real(2, 3, 4))),
    Op("tensordot", lambda m, a, b: m.tensordot(a, b), np.tensordot, (real(2, 3, 2), real(3, 2, 4))),
    Op("tensordot", lambda m, a, b: m.tensordot(a, b, dims=([0, -1], [1, 0])),
       lambda a, b: np.tensordot(a, b, ([0, -1], [1, 0])), (real(2, 3, 2), real(2, 2, 4)), variant="lists"),
    Op("kron", lambda m, a, b: m.kron(a, b), np.kron, (real(2, 3), real(2))),
    Op("cross", lambda m, a, b: m.cross(a, b, dim=-1), np.cross, (real(2, 3), real(1, 3))),
    Op("cross", lambda m, a, b: m.cross(a, b, dim=0), lambda a, b: np.cross(a, b, axis=0), (real(3, 2), real(3, 2)),
       variant="columns"),
    *[
        Op("matrix_power", lambda m, a, n=n: m.matrix_power(a, n), lambda a, n=n: np.linalg.matrix_power(a, n),
           (real(2, 2, 2),), variant=str(n))
        for n in (1, 2, 5)
    ],
    Op("cdist", lambda m, a, b: m.cdist(a, b), lambda a, b: np.sqrt(((a[:, None] - b) ** 2).sum(-1)),
       (real(3, 2), real(4, 2)), torch=False),  # torch's has no second derivative
    Op("cdist", lambda m, a, b: m.cdist(a, b, p=1.0), lambda a, b: np.abs(a[:, :, None] - b[:, None]).sum(-1),
       (real(2, 3, 2), real(2, 2, 2)), variant="1",
       torch=False),
    Op("pairwise_distance", lambda m, a, b: m.pairwise_distance(a, b),
       lambda a, b: np.sqrt(((a - b + 1e-6) ** 2).sum(-1)), (real(3, 2), real(3, 2))),
    Op("normalize", lambda m, x: m.normalize(x), lambda x: x / np.sqrt((x**2).sum(1, keepdims=True)), (real(3, 4),)),
    Op("normalize", lambda m, x: m.normalize(x, p=1.0, dim=0, eps=2.0),
       lambda x: x / np.maximum(np.abs(x).sum(0), 2.0), (nonzero(2, 3),), variant="eps"),
    Op("cosine_similarity", lambda m, a, b: m.cosine_similarity(a, b),
       lambda a, b: (a * b).sum(1) / np.sqrt((a**2).sum(1) * (b**2).sum(1)), (real(2, 3), real(1, 3))),
    *[
        Op("pad", lambda m, x, pad=pad, mode=mode: m.pad(x, pad, mode), how, (real(2, 3, 4),),
           variant=f"{mode} {pad}")
        for pad, mode, how in [
            ((1, 2), "constant", lambda x: np.pad(x, ((0, 0), (0, 0), (1, 2)))),
            ((1, -2, 0, 1), "constant", lambda x: np.pad(x[..., :2], ((0, 0), (0, 1), (1, 0)))),
            ((2, 1), "reflect", lambda x: np.pad(x, ((0, 0), (0, 0), (2, 1)), "reflect")),
            ((3, 0), "replicate", lambda x: np.pad(x, ((0, 0), (0, 0), (3, 0)), "edge")),
            ((1, 4), "circular", lambda x: np.pad(x, ((0, 0), (0, 0), (1, 4)), "wrap")),
        ]
    ],
    Op("pad", lambda m, x: m.pad(x, (1, 0, 2, 2), value=-1.5),
       lambda x: np.pad(x, ((2, 2), (1, 0)), constant_values=-1.5), (real(2, 3),), variant="value"),
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
    *[
        Op("conv2d", lambda m, *inputs, options=options: m.conv2d(*inputs, **options),
           lambda *inputs, told=told: windows.conv2d(*inputs, **told), inputs, variant=name)
        for name, options, told, inputs in [
            ("", {}, {}, (real(2, 3, 4, 5), real(4, 3, 3, 2), real(4))),
            ("no bias", {}, {}, (real(2, 2, 3, 4), real(2, 2, 2, 2))),
            ("same", {"padding": "same"}, {"padding": ((0, 1), (1, 2))},
             (real(2, 2, 3, 5), real(3, 2, 2, 4), real(3))),
            ("everything", {"stride": (2, 1), "padding": (3, 1), "dilation": (2, 1), "groups": 2},
             {"stride": (2, 1), "padding": ((3, 3), (1, 1)), "dilation": (2, 1), "groups": 2},
             (real(2, 4, 4, 3), real(4, 2, 3, 2), real(4))),
        ]
    ],
    Op("conv2d", lambda m, x, w: m.conv2d(x, w), lambda x, w: windows.conv2d(x[None], w)[0],
       (real(2, 4, 3), real(3, 2, 2, 2)), variant="unbatched"),
    Op("max_pool2d", lambda m, x: m.max_pool2d(x, 2), lambda x: windows.pool2d(x, np.max, (2, 2), (2, 2)),
       (distinct(2, 3, 4, 5),)),
    Op("max_pool2d", lambda m, x: m.max_pool2d(x, (3, 2), stride=(2, 1), padding=1, dilation=(1, 2)),
       lambda x: windows.pool2d(x, np.max, (3, 2), (2, 1), (1, 1), (1, 2)), (distinct(2, 5, 6),), variant="everything"),
    Op("avg_pool2d", lambda m, x: m.avg_pool2d(x, 2), lambda x: windows.pool2d(x, np.mean, (2, 2), (2, 2)),
       (real(2, 3, 4, 5),)),
    Op("avg_pool2d", lambda m, x: m.avg_pool2d(x, 3, stride=(1, 2), padding=1, count_include_pad=False),
       lambda x: windows.pool2d(x, np.nanmean, (3, 3), (1, 2), (1, 1), fill=np.nan), (real(2, 3, 4),),
       variant="not the padding"),
    Op("adaptive_avg_pool1d", lambda m, x: m.adaptive_avg_pool1d(x, 3),
       lambda x: np.stack([x[..., :3].mean(-1), x[..., 2:5].mean(-1), x[..., 4:].mean(-1)], -1), (real(2, 3, 7),)),
    Op("adaptive_avg_pool2d", lambda m, x: m.adaptive_avg_pool2d(x, (1, 2)),
       lambda x: np.stack([x[..., :2].mean((-2, -1)), x[..., 2:].mean((-2, -1))], -1)[..., None, :],
       (real(2, 3, 4),)),
    Op("adaptive_max_pool2d", lambda m, x: m.adaptive_max_pool2d(x, (1, 2)),
       lambda x: np.stack([x[..., :2].max((-2, -1)), x[..., 2:].max((-2, -1))], -1)[..., None, :],
       (distinct(2, 3, 4),)),
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
    "allclose",
    "any",
    "argmax",
    "argmin",
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "argsort",
    "bincount",
    "broadcast_shapes",
    "bucketize",
    "ceil",
    "count_nonzero",
    "eq",
    "equal",
    "floor",
    "floor_divide",
    "ge",
    "gt",
    "heaviside",
    "histc",
    "isclose",
    "isfinite",
    "isin",
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
    "searchsorted",
    "sign",
    "trunc",
    "unique",
    "unique_consecutive",
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
