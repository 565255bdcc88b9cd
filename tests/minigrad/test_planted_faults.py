"""The check is checked: wrong gradient rules of every kind, and gradcheck must catch each one.

A family is a forward with its right rule, in plain numpy; a fault is another rule for it. Both
are written as (grad, *inputs) -> gradients.
"""

import numpy as np
import pytest

import minigrad as mg
from minigrad.function import Function
from minigrad.tensor import Tensor, unwrap

_random = np.random.default_rng(3)


def real(*shape):
    return _random.standard_normal(shape)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def softmax_rule(g, y):
    return y * (g - (g * y).sum(-1, keepdims=True))


def normalised(x, eps=1e-5):
    centred = x - x.mean(-1, keepdims=True)
    rstd = 1 / np.sqrt((centred**2).mean(-1, keepdims=True) + eps)
    return centred * rstd, rstd


def layer_norm_rule(grad, x, w, mean=True, slope=True):
    h, rstd = normalised(x)
    g = grad * w
    dx = g - mean * g.mean(-1, keepdims=True) - slope * h * (g * h).mean(-1, keepdims=True)
    return rstd * dx, (grad * h).sum(0)


def rms(x):
    return 1 / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)


CAUSAL = np.tri(3, dtype=bool)


def attention(q, k, v):
    return attention_weights(q, k) @ v


def attention_weights(q, k, causal=CAUSAL):
    return softmax(np.where(causal, q @ k.T / np.sqrt(q.shape[-1]), -1e9))


def attention_rule(g, q, k, v, rule=softmax_rule, scale=True, causal=CAUSAL):
    p = attention_weights(q, k, causal)
    ds = rule(g @ v.T, p) / (np.sqrt(q.shape[-1]) if scale else 1)
    return ds @ k, ds.T @ q, p.T @ g


CLASSES = np.array([1, 0, 2, 2])


def cross_entropy(x):
    return -np.log(softmax(x)[np.arange(4), CLASSES]).mean()


def cross_entropy_rule(g, x, hot=1.0, count=4):
    return g * (softmax(x) - hot * np.eye(3)[CLASSES]) / count


IDS = np.array([2, 0, 2, 1])


def embedding_rule(g, w, shift=0, add=True):
    dw = np.zeros_like(w)
    if add:
        np.add.at(dw, (IDS + shift) % len(w), g)
    else:
        dw[IDS] = g  # the last of several uses wins
    return dw


def convolution(x, w):
    """y_t = Σ_i w_i x_(t+i), no padding."""
    return np.lib.stride_tricks.sliding_window_view(x, len(w)) @ w


def convolution_rule(g, x, w, flip=True, shift=0):
    dx = np.convolve(g, w if flip else w[::-1])  # full: as long as x
    dw = np.array([(g * x[i : i + len(g)]).sum() for i in range(len(w))])
    return np.roll(dx, shift), dw


def one_element_wrong(gradient, by=1.001):
    gradient = gradient.copy()
    gradient.reshape(-1)[-1] *= by
    return gradient


class Stale:
    """A rule that reads what the first call ever saved."""

    x = None

    def __call__(self, g, x):
        Stale.x = x.copy() + 0.1 if Stale.x is None else Stale.x
        return g * np.cos(Stale.x)


# family: (forward, right rule, inputs)
FAMILIES = {
    "square": (lambda x: x * x, lambda g, x: 2 * g * x, (real(3, 4),)),
    "sin": (np.sin, lambda g, x: g * np.cos(x), (real(3, 4),)),
    "exp": (np.exp, lambda g, x: g * np.exp(x), (real(3, 4),)),
    "mul": (lambda x, y: x * y, lambda g, x, y: (g * y, g * x), (real(3, 4), real(3, 4))),
    "add bias": (lambda x, b: x + b, lambda g, x, b: (g, g.sum(0)), (real(3, 4), real(4))),
    "relu": (lambda x: np.maximum(x, 0), lambda g, x: g * (x > 0), (real(3, 4),)),
    "gelu": (
        lambda x: x / (1 + np.exp(-1.702 * x)),
        lambda g, x: g * (1 + np.exp(-1.702 * x) * (1 + 1.702 * x)) / (1 + np.exp(-1.702 * x)) ** 2,
        (real(3, 4),),
    ),
    "sum over rows": (lambda x: x.sum(0), lambda g, x: np.broadcast_to(g, x.shape), (real(3, 3),)),
    "mean": (lambda x: x.mean(1), lambda g, x: np.repeat(g[:, None] / 4, 4, 1), (real(3, 4),)),
    "var": (
        lambda x: x.var(1, ddof=1),
        lambda g, x: g[:, None] * 2 / 3 * (x - x.mean(1, keepdims=True)),
        (real(3, 4),),
    ),
    "cumsum": (lambda x: x.cumsum(1), lambda g, x: g[:, ::-1].cumsum(1)[:, ::-1], (real(3, 4),)),
    "transpose": (lambda x: x.T, lambda g, x: g.T, (real(3, 4),)),
    "flip": (lambda x: x[:, ::-1], lambda g, x: g[:, ::-1], (real(3, 4),)),
    "slice": (lambda x: x[1:4], lambda g, x: np.concatenate([[0], g, [0, 0]]), (real(6),)),
    "softmax": (softmax, lambda g, x: softmax_rule(g, softmax(x)), (real(3, 4),)),
    "log_softmax": (
        lambda x: np.log(softmax(x)),
        lambda g, x: g - softmax(x) * g.sum(-1, keepdims=True),
        (real(3, 4),),
    ),
    "layer_norm": (lambda x, w: normalised(x)[0] * w, layer_norm_rule, (real(3, 5), 0.5 + _random.random(5))),
    "rms_norm": (
        lambda x: x * rms(x),
        lambda g, x: rms(x) * (g - x * rms(x) * (g * x * rms(x)).mean(-1, keepdims=True)),
        (real(3, 5),),
    ),
    "matmul": (lambda a, b: a @ b, lambda g, a, b: (g @ b.T, a.T @ g), (real(3, 3), real(3, 3))),
    "batched matmul": (
        lambda a, b: a @ b,
        lambda g, a, b: (g @ b.T, (a.swapaxes(1, 2) @ g).sum(0)),
        (real(2, 3, 4), real(4, 2)),
    ),
    "attention": (attention, attention_rule, (real(3, 4), real(3, 4), real(3, 2))),
    "cross_entropy": (cross_entropy, cross_entropy_rule, (real(4, 3),)),
    "embedding": (lambda w: w[IDS], embedding_rule, (real(3, 2),)),
    "convolution": (convolution, convolution_rule, (real(7), real(3))),
    "large square": (lambda x: x * x, lambda g, x: 2 * g * x, (1 + _random.random((30, 40)),)),
    "large product": (lambda a, b: a @ b, lambda g, a, b: (g @ b.T, a.T @ g), (real(30, 30), real(30, 30))),
}

# fmt: off
# (family, what is wrong, the wrong rule, what the hint must say or "" where it can only be general)
FAULTS = [
    ("square", "factor 2 missing", lambda g, x: g * x, "factor: the ratio is 0.5"),
    ("square", "factor 2 too many", lambda g, x: 4 * g * x, "factor: "),
    ("square", "upstream gradient ignored", lambda g, x: 2 * x, "upstream: "),
    ("square", "one element wrong", lambda g, x: one_element_wrong(2 * g * x), "element: only 1 of 12 elements"),
    ("square", "one element NaN", lambda g, x: one_element_wrong(2 * g * x, np.nan), "not finite: "),
    ("sin", "sign", lambda g, x: -g * np.cos(x), "sign: "),
    ("sin", "stale value", Stale(), "stale: "),
    ("exp", "zero", lambda g, x: 0 * g, "zero: "),
    ("exp", "None", lambda g, x: None, "zero: "),
    ("mul", "inputs exchanged", lambda g, x, y: (g * x, g * y), ""),
    ("add bias", "not summed over rows", lambda g, x, b: (g, g[0]), "broadcast: "),
    ("add bias", "mean over rows", lambda g, x, b: (g, g.mean(0)), "factor: the ratio is 0.3333"),
    ("relu", "kink at the wrong side", lambda g, x: g * (x < 0), ""),
    ("gelu", "second term missing", lambda g, x: g / (1 + np.exp(-1.702 * x)), ""),
    ("sum over rows", "wrong axis", lambda g, x: np.repeat(g[:, None], 3, 1), "transposed: "),
    ("mean", "not divided by n", lambda g, x: np.repeat(g[:, None], 4, 1), "factor: "),
    ("var", "divided by n", lambda g, x: g[:, None] / 2 * (x - x.mean(1, keepdims=True)), "factor: the ratio is 0.75"),
    ("var", "mean not subtracted", lambda g, x: g[:, None] * 2 / 3 * x, "sum: "),
    ("cumsum", "not reversed", lambda g, x: g.cumsum(1), ""),
    ("transpose", "reshape for transpose", lambda g, x: g.reshape(x.shape), "wrong order"),
    ("flip", "not flipped back", lambda g, x: g, "order: the right numbers, backwards"),
    ("slice", "off by one", lambda g, x: np.concatenate([[0, 0], g, [0]]), "order: "),
    ("softmax", "sum term missing", lambda g, x: g * softmax(x), ""),
    ("softmax", "sum over the wrong axis", lambda g, x: softmax(x) * (g - (g * softmax(x)).sum(0)), ""),
    ("log_softmax", "sum term missing", lambda g, x: g, ""),
    ("log_softmax", "softmax missing", lambda g, x: g - g.sum(-1, keepdims=True), ""),
    ("layer_norm", "mean term missing", lambda g, x, w: layer_norm_rule(g, x, w, mean=False), "sum: "),
    ("layer_norm", "slope term missing", lambda g, x, w: layer_norm_rule(g, x, w, slope=False), ""),
    ("layer_norm", "weight forgotten in dx", lambda g, x, w: layer_norm_rule(g, x, 1.0), ""),
    ("layer_norm", "dw from x, not from the normalised x",
     lambda g, x, w: (layer_norm_rule(g, x, w)[0], (g * x).sum(0)), ""),
    ("rms_norm", "slope term missing", lambda g, x: rms(x) * g, ""),
    ("matmul", "b not transposed", lambda g, a, b: (g @ b, a.T @ g), ""),
    ("matmul", "db transposed", lambda g, a, b: (g @ b.T, g.T @ a), "transposed: "),
    ("batched matmul", "db of the first batch only", lambda g, a, b: (g @ b.T, a[0].T @ g[0]), ""),
    ("attention", "softmax sum term missing",
     lambda g, q, k, v: attention_rule(g, q, k, v, rule=lambda g, y: g * y), ""),
    ("attention", "scale missing", lambda g, q, k, v: attention_rule(g, q, k, v, scale=False), "factor: "),
    ("attention", "mask forgotten in backward", lambda g, q, k, v: attention_rule(g, q, k, v, causal=True), ""),
    ("attention", "dk from k", lambda g, q, k, v: (attention_rule(g, q, k, v)[0], *attention_rule(g, k, k, v)[1:]), ""),
    ("cross_entropy", "target not subtracted", lambda g, x: cross_entropy_rule(g, x, hot=0.0), ""),
    ("cross_entropy", "not divided by the rows", lambda g, x: cross_entropy_rule(g, x, count=1), "factor: "),
    ("cross_entropy", "upstream gradient ignored", lambda g, x: cross_entropy_rule(1.0, x), "upstream: "),
    ("embedding", "repeated ids overwritten", lambda g, w: embedding_rule(g, w, add=False), "repeated"),
    ("embedding", "ids off by one", lambda g, w: embedding_rule(g, w, shift=1), ""),
    ("convolution", "kernel not flipped", lambda g, x, w: convolution_rule(g, x, w, flip=False), ""),
    ("convolution", "off by one", lambda g, x, w: convolution_rule(g, x, w, shift=1), "order: "),
    ("convolution", "last weight forgotten",
     lambda g, x, w: (convolution_rule(g, x, w)[0], convolution_rule(g, x, w)[1] * [1, 1, 0]), "element: only 1 of 3"),
    ("large square", "one element in 1,200 wrong", lambda g, x: one_element_wrong(2 * g * x, 1.01),
     "element: only this element"),
    ("large square", "zero", lambda g, x: 0 * g, "zero: "),
    ("large product", "b not transposed", lambda g, a, b: (g @ b, a.T @ g), "several"),
]
# fmt: on


def function_with(forward, rule):
    """The operation as users would write it."""

    class Planted(Function):
        def forward(self, *inputs):
            self.save_for_backward(*inputs)
            return forward(*inputs)

        def backward(self, grad):
            return rule(grad, *self.saved)

    return lambda *inputs: Planted()(*inputs)


def checked(family: str, rule) -> bool:
    forward, _, arrays = FAMILIES[family]
    return mg.gradcheck(function_with(forward, rule), [Tensor(x.copy(), requires_grad=True) for x in arrays])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_right_rule_passes(family):
    assert checked(family, FAMILIES[family][1])


@pytest.mark.parametrize(("family", "fault", "rule", "hint"), FAULTS, ids=[f"{f[0]}: {f[1]}" for f in FAULTS])
def test_the_wrong_rule_is_caught(family, fault, rule, hint):
    Stale.x = None
    with pytest.raises(mg.GradcheckError) as error:
        checked(family, rule)
    message = str(error.value)
    assert hint in message.partition("Hint: ")[2], message
    assert f"input {error.value.input}" in message
    assert f"index {list(error.value.index)}" in message
    assert f"{error.value.numerical:.8g}" in message
    assert "Planted" in message


def test_the_reported_element_is_the_wrong_one():
    with pytest.raises(mg.GradcheckError) as error:
        checked("large square", lambda g, x: one_element_wrong(2 * g * x, 1.01))
    assert error.value.index == (29, 39)
    assert error.value.analytic == pytest.approx(1.01 * error.value.numerical, rel=1e-5)


class HalfRecorded(Function):
    """x³ with a rule that is right, and blind to create_graph: it computes with an array."""

    def forward(self, x):
        self.save_for_backward(x)
        return x**3

    def backward(self, grad):
        return grad * (3 * unwrap(self.saved[0]) ** 2)


def test_a_second_order_fault_is_caught():
    x = Tensor(real(3), requires_grad=True)
    mg.gradcheck(lambda x: HalfRecorded()(x), x)
    with pytest.raises(mg.GradcheckError, match="gradient of"):
        mg.gradgradcheck(lambda x: HalfRecorded()(x), x)
    with pytest.raises(mg.GradcheckError, match="gradient of"):
        mg.gradcheck(lambda x: HalfRecorded()(x), x, order=2)


def test_a_wrong_composite_is_caught():
    """A fused operation whose composite is another function: first order is right, second is not."""

    class Fused(Function):
        def forward(self, x):
            self.save_for_backward(x)
            return np.sin(x)

        def backward(self, grad):
            return grad * np.cos(self.saved[0])

        def composite(self, x):
            return x - x * x * x / 6

    x = Tensor(real(3), requires_grad=True)
    mg.gradcheck(lambda x: Fused()(x), x)
    y = Fused()(x)
    (fast,) = mg.grad(y.sum(), x, retain_graph=True)
    (recorded,) = mg.grad(y.sum(), x, create_graph=True)
    assert not np.allclose(fast.data, recorded.data)
