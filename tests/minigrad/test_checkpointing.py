"""checkpoint: the same gradients bit for bit, for less memory."""

import tracemalloc

import numpy as np
import pytest

import minigrad as mg
from minigrad.tensor import Tensor


def weights(count=3, size=6):
    return [mg.randn(size, size, dtype=np.float64, requires_grad=True) for _ in range(count)]


def layer(x, w):
    return mg.dropout(mg.tanh(x @ w), 0.3)


def gradients(run, ws):
    mg.manual_seed(11)
    x = Tensor(np.random.default_rng(0).standard_normal((4, 6)), requires_grad=True)
    y = run(x)
    following = mg.rand(1).item()
    y.sum().backward()
    found = [x.grad.data, *(w.grad.data for w in ws)]
    for w in ws:
        w.grad = None
    return y.data, found, following, mg.rand(1).item()


def plain(ws):
    def run(x):
        for w in ws:
            x = layer(x, w)
        return x

    return run


def closing_over(ws):
    def run(x):
        for w in ws:
            x = mg.checkpoint(lambda x, w=w: layer(x, w), x)
        return x

    return run


def given(ws):
    def run(x):
        for w in ws:
            x = mg.checkpoint(layer, x, w=w)
        return x

    return run


def whole(ws):
    return lambda x: mg.checkpoint(plain(ws), x)


def nested(ws):
    return lambda x: mg.checkpoint(closing_over(ws), x)


@pytest.mark.parametrize("way", [closing_over, given, whole, nested])
def test_same_results_bit_for_bit(way):
    """Values, gradients of inputs and weights, and the random numbers drawn afterwards."""
    ws = weights()
    expected, found = gradients(plain(ws), ws), gradients(way(ws), ws)
    np.testing.assert_array_equal(found[0], expected[0])
    for a, b in zip(found[1], expected[1], strict=True):
        np.testing.assert_array_equal(a, b)
    assert found[2:] == expected[2:]


@pytest.mark.parametrize("way", [closing_over, given, whole, nested])
def test_gradcheck_to_second_order(way):
    ws = weights(2, 3)
    x = mg.randn(2, 3, dtype=np.float64, requires_grad=True)
    mg.gradcheck(lambda x, *ws: way(ws)(x), [x, *ws], order=2)


def test_memory():
    """16 layers of 4 saved arrays each: plain keeps them all, checkpointed the inputs and one layer's."""

    def block(x):
        for _ in range(4):
            x = mg.sin(x)
        return x

    def peak(run):
        x = mg.randn(100_000, requires_grad=True)
        tracemalloc.start()
        y = x
        for _ in range(16):
            y = run(y)
        y.sum().backward()
        _, high = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return high / x.nbytes

    ordinary, checkpointed = peak(block), peak(lambda x: mg.checkpoint(block, x))
    assert ordinary > 60
    assert checkpointed < 30


def test_grad_function_and_unused_inputs():
    x, w, unused = (mg.randn(3, dtype=np.float64, requires_grad=True) for _ in range(3))
    y = mg.checkpoint(lambda x, unused: x * w, x, unused)
    dx, dw, none = mg.grad(y.sum(), [x, w, unused], allow_unused=True)
    np.testing.assert_array_equal(dx.data, w.data)
    np.testing.assert_array_equal(dw.data, x.data)
    assert none is None


def test_several_outputs():
    x = mg.randn(4, dtype=np.float64, requires_grad=True)

    def fn(x):
        return mg.sin(x), x.argmax(), x.detach() * 2.0, x * x

    outputs = mg.checkpoint(fn, x)
    assert [y.requires_grad for y in outputs] == [True, False, False, True]
    outputs[3].sum().backward()
    np.testing.assert_array_equal(x.grad.data, 2 * x.data)
    mg.gradcheck(lambda x: mg.checkpoint(fn, x), x, order=2)


def test_without_gradients_it_is_a_plain_call():
    x = mg.randn(3)
    y = mg.checkpoint(mg.sin, x)
    assert y.grad_fn is None
    with mg.no_grad():
        assert mg.checkpoint(mg.sin, mg.randn(3, requires_grad=True)).grad_fn is None


def test_other_arguments_and_keywords():
    x = mg.randn(3, dtype=np.float64, requires_grad=True)
    mg.gradcheck(lambda x: mg.checkpoint(lambda x, n, *, scale: x**n * scale, x, 3, scale=2.0), x)


def test_backward_twice():
    x = mg.randn(3, requires_grad=True)
    y = mg.checkpoint(lambda x: mg.sin(x) * x, x).sum()
    y.backward(retain_graph=True)
    first = x.grad.data.copy()
    y.backward()
    np.testing.assert_allclose(x.grad.data, 2 * first)
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def test_input_or_weight_written_to_in_between():
    for target in (0, 1):
        tensors = [mg.randn(3, requires_grad=True) for _ in range(2)]
        y = mg.checkpoint(lambda x, w=tensors[1]: x * w, tensors[0]).sum()
        with mg.no_grad():
            tensors[target].add_(1.0)
        with pytest.raises(RuntimeError, match="modified in place"):
            y.backward()


def test_refusals():
    x = mg.randn(3, requires_grad=True)
    with pytest.raises(TypeError, match="fn returned a list; expected a Tensor or a tuple"):
        mg.checkpoint(lambda x: [x], x)
    hidden = x * 2.0
    with pytest.raises(ValueError, match=r"uses the result of Mul, of shape \(3,\), without being given it"):
        mg.checkpoint(lambda x: x + hidden, x)
