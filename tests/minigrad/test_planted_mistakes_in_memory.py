"""Planted mistakes that one gradient does not show: memory, layouts, one input alone, small numbers, kinks.

Each has the kind of mistake that gradcheck must name.
"""

import numpy as np
import pytest

import minigrad as mg
from minigrad.function import Function
from minigrad.gradcheck_hints import KINDS
from minigrad.tensor import Tensor, unwrap

_random = np.random.default_rng(11)


def leaf(*numbers) -> Tensor:
    return Tensor(np.array(numbers, dtype=np.float64), requires_grad=True)


def real(*shape) -> Tensor:
    return Tensor(_random.standard_normal(shape), requires_grad=True)


def function(forward, rule):
    """The operation with this rule: rule(grad, *inputs)."""

    class Planted(Function):
        def forward(self, *inputs):
            self.save_for_backward(*inputs)
            return forward(*inputs)

        def backward(self, grad):
            return rule(grad, *self.saved)

    return lambda *inputs: Planted()(*inputs)


def at(index, factor):
    """Multiplies one element of a gradient."""

    def spoil(gradient):
        gradient = np.array(gradient)
        gradient[index] *= factor
        return gradient

    return spoil


def saves_in_a_buffer():
    buffer = np.zeros((2, 3))

    class Square(Function):
        def forward(self, x):
            buffer[...] = x
            self.save_for_backward(buffer)
            return x * x

        def backward(self, grad):
            return 2 * grad * self.saved[0]

    return lambda x: Square()(x)


def keeps_on_the_class():
    class Exp(Function):
        def forward(self, x):
            Exp.kept = np.exp(x)
            return Exp.kept.copy()

        def backward(self, grad):
            return grad * Exp.kept

    return lambda x: Exp()(x)


def gradient_in_a_buffer():
    buffer = np.zeros((2, 3))

    def rule(grad, x):
        np.multiply(2 * grad, x, out=buffer)
        return buffer

    return function(lambda x: x * x, rule)


def output_scratch():
    scratch = [np.zeros(3), np.zeros(3)]

    class Sin(Function):
        def forward(self, x):
            np.cos(x, out=scratch[0])
            self.save_for_backward(scratch[0])
            return np.sin(x)

        def backward(self, grad):
            return grad * self.saved[0]

    return lambda x: Sin()(x)


def writes_upstream(grad, x):
    grad *= 2
    return grad * x


def writes_upstream_last(grad, x):
    gradient = 2 * grad * x
    grad[...] = 0
    return gradient


def in_memory_order(grad, x):
    return (2 * grad.reshape(-1) * x.ravel(order="K")).reshape(x.shape)


def into_a_copy(grad, x):
    gradient = np.zeros_like(x)
    gradient.reshape(-1)[:] = (2 * grad * x).reshape(-1)
    return gradient


def by_base(grad, x):
    base = x if x.base is None or x.base.size < x.size else x.base
    return 2 * grad * base.reshape(-1)[: x.size].reshape(x.shape)


def upstream_in_memory_order(grad, x):
    return 2 * grad.ravel(order="K").reshape(x.shape) * x


class AloneNothing(Function):
    def forward(self, x, y):
        self.save_for_backward(x, y)
        return x * y

    def backward(self, grad):
        x, y = self.saved
        return (grad * y, grad * x) if all(self.needs_input_grad) else (None, None)


class AloneSwapped(AloneNothing):
    def backward(self, grad):
        x, y = self.saved
        return (grad * y, grad * x) if all(self.needs_input_grad) else (grad * x, grad * y)


class AloneSecond(AloneNothing):
    def backward(self, grad):
        x, y = self.saved
        dx = grad * y
        return dx, dx / y * x if self.needs_input_grad[0] else grad


def first_value():
    first = []

    def rule(grad, x):
        first.append(np.array(x) + 0.1)
        return 2 * grad * first[0]

    return function(lambda x: x * x, rule)


FROZEN = _random.standard_normal((2, 3))
SMALL = np.array([1.0, 1.0, 1e-5, 1.0])
LARGE = 1 + np.random.default_rng(4).random((100, 100))


def large(spoil):
    return function(lambda x: x * x, lambda g, x: spoil(2 * g * x))


def scaled(scale):
    """scale·sin, whose rule is off by a thousandth."""
    return function(lambda x: scale * np.sin(x), lambda g, x: 1.001 * scale * g * np.cos(x))


# what is wrong: (function, inputs, kind)
PLANTED = {
    "saved in a shared buffer": (saves_in_a_buffer(), [real(2, 3)], "buffer"),
    "kept on the class": (keeps_on_the_class(), [real(2, 3)], "buffer"),
    "gradient in a shared buffer": (gradient_in_a_buffer(), [real(2, 3)], "buffer"),
    "saved in a scratch array": (output_scratch(), [real(3)], "buffer"),
    "doubles the upstream gradient": (function(lambda x: x * x, writes_upstream), [real(2, 3)], "in place"),
    "clears the upstream gradient": (function(lambda x: x * x, writes_upstream_last), [real(2, 3)], "in place"),
    "reads in memory order": (function(lambda x: x * x, in_memory_order), [real(2, 3)], "strided"),
    "writes into a copy": (function(lambda x: x * x, into_a_copy), [real(2, 3)], "strided"),
    "reads the base, not the view": (function(lambda x: x * x, by_base), [real(4)], "strided"),
    "upstream in memory order": (function(lambda x: x * x, upstream_in_memory_order), [real(2, 3)], "strided"),
    "nothing for one input alone": (AloneNothing.apply, [real(3), real(3)], "alone"),
    "swapped for one input alone": (AloneSwapped.apply, [real(3), real(3)], "alone"),
    "the second alone without its factor": (AloneSecond.apply, [real(3), real(3)], "alone"),
    "the first call's value": (first_value(), [real(2, 3)], "stale"),
    "a value from when it was written": (function(lambda x: x * x, lambda g, x: g * FROZEN), [real(2, 3)], "stale"),
    "1e-9 sin": (scaled(1e-9), [leaf(0.3, 1.0)], "factor"),
    "1e-30 sin": (scaled(1e-30), [leaf(0.3, 1.0)], "factor"),
    "1 + 1e-9 sin": (
        function(lambda x: 1 + 1e-9 * np.sin(x), lambda g, x: 1.001e-9 * g * np.cos(x)), [leaf(0.3, 1.0)], "factor"
    ),
    "x² at 1e-9": (function(lambda x: x * x, lambda g, x: 2.002 * g * x), [leaf(1e-9, -2e-9)], "factor"),
    "log at 1e-4": (function(np.log, lambda g, x: 1.001 * g / x), [leaf(1e-4, 3e-4)], "factor"),
    "1/x at 1e-3": (function(lambda x: 1 / x, lambda g, x: -1.001 * g / x**2), [leaf(1e-3, 2e-3)], "factor"),
    "x + 1e8": (function(lambda x: x + 1e8, lambda g, x: 1.001 * g), [leaf(1.0, 2.0)], "factor"),
    "a small element of a large gradient": (
        function(lambda x: x * SMALL, lambda g, x: at(2, 1.001)(g * SMALL)), [real(4)], "element"
    ),
    "exp at 20, one element": (
        function(np.exp, lambda g, x: at(1, 1.001)(g * np.exp(x))), [leaf(20, 5, 19)], "element"
    ),
    "a thousandth in one of 10,000": (large(at((70, 3), 1.001)), [Tensor(LARGE, requires_grad=True)], "element"),
    "a thousandth in all of 10,000": (large(lambda g: 1.001 * g), [Tensor(LARGE, requires_grad=True)], "factor"),
    "the sign of 10,000": (large(lambda g: -g), [Tensor(LARGE, requires_grad=True)], "sign"),
    "relu at 0: 2": (function(lambda x: np.maximum(x, 0), lambda g, x: g * ((x > 0) + 2.0 * (x == 0))),
                     [leaf(0, 1, -1)], "kink"),
    "abs at 0: -1.5": (function(np.abs, lambda g, x: g * (np.sign(x) - 1.5 * (x == 0))), [leaf(0, 1, -1)], "kink"),
    "a step: slope 1": (function(np.floor, lambda g, x: g * (x == 1)), [leaf(0.5, 1)], "kink"),
    "relu beside 0: 0": (
        function(lambda x: np.maximum(x, 0), lambda g, x: g * (x > 1e-6)), [leaf(3e-7, 1, -1)], "element"
    ),
    "bias: the first column only": (
        function(lambda x, b: x + b, lambda g, x, b: (g, g[:, :1])), [real(4, 3), real(4, 1)], "broadcast"
    ),
    "one output of two": (
        lambda x: (mg.sin(x), function(np.cos, lambda g, x: g * np.sin(x))(x)), [leaf(0.3, 1.0)], "unknown"
    ),
    "tiny beside huge": (
        function(lambda x, y: np.stack([1e12 * x, 1e-9 * y]), lambda g, x, y: (1e12 * g[0], 1.001e-9 * g[1])),
        [real(3), real(3)],
        "factor",
    ),
    "nothing for 1e-9": (function(lambda x: 1e-9 * x, lambda g, x: 0 * g), [real(3)], "zero"),
}  # fmt: skip


@pytest.mark.parametrize("what", PLANTED)
def test_it_is_caught_and_named(what):
    fn, inputs, kind = PLANTED[what]
    with pytest.raises(mg.GradcheckError) as error:
        mg.gradcheck(fn, inputs)
    assert error.value.kind == kind, str(error.value)
    assert kind in KINDS


def test_the_error_of_the_differences_is_told():
    with pytest.raises(mg.GradcheckError) as error:
        mg.gradcheck(PLANTED["log at 1e-4"][0], PLANTED["log at 1e-4"][1])
    assert 0 < error.value.error < 1e-4 * abs(error.value.numerical)
    assert f"{error.value.numerical:.8g} ± {error.value.error:.1g}" in str(error.value)


class WithComposite(Function):
    """sin with a wrong kernel and a right composite."""

    def forward(self, x):
        self.save_for_backward(x)
        return np.sin(x)

    def backward(self, grad):
        return grad * np.sin(unwrap(self.saved[0]))

    def composite(self, x):
        return mg.sin(x)


class NotLinear(Function):
    """2x, whose rule squares the upstream gradient."""

    def forward(self, x):
        return 2 * x

    def backward(self, grad):
        return 2 * grad * grad


WITNESSES = {
    "composite": (WithComposite, "the recorded rule is right, this one not"),
    "not linear": (NotLinear, "not linear in grad"),
}


@pytest.mark.parametrize("case", WITNESSES)
def test_forward_mode_is_a_third_witness(case):
    operation, words = WITNESSES[case]
    with pytest.raises(mg.GradcheckError, match=words) as error:
        mg.gradcheck(operation.apply, leaf(0.4, 1.0))
    assert error.value.forward is not None
    assert f"Forward mode (jvp) gives {error.value.forward:.8g}" in str(error.value)


def test_forward_mode_is_left_out_where_the_rule_takes_arrays_only():
    rule = function(np.sin, lambda g, x: np.sin(np.asarray(x.data, dtype=float)) * np.negative(g.flat[0]))
    with pytest.raises(mg.GradcheckError) as error:
        mg.gradcheck(rule, leaf(0.4, 1.0))
    assert error.value.forward is None
    assert "Forward mode" not in str(error.value)
