"""Functions in PyTorch's static style: the same class body gives PyTorch's values and gradients."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.function import Function


def classes(base) -> dict:
    """The same functions on either library's base class."""

    class Scaled(base):
        @staticmethod
        def forward(ctx, x, w, power):
            ctx.save_for_backward(x, w)
            ctx.power = power
            return x.detach() ** power * w

        @staticmethod
        def backward(ctx, grad):
            x, w = ctx.saved_tensors
            dw = grad * x**ctx.power if ctx.needs_input_grad[1] else None
            return grad * ctx.power * x ** (ctx.power - 1) * w, dw, None

    class Separate(base):
        @staticmethod
        def forward(x):
            return x.exp(), x * 2.0

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(output[0])

        @staticmethod
        def backward(ctx, first, second):
            (y,) = ctx.saved_tensors
            return first * y + second * 2.0

    return {"Scaled": Scaled, "Separate": Separate}


def result(functions, x, w):
    first, second = functions["Separate"].apply(functions["Scaled"].apply(x, w, 3))
    return (first * 0.5 + second * second).sum()


def test_gradients_of_both_orders():
    x, w = (mg.rand(3, dtype=np.float64, requires_grad=True) for _ in range(2))
    mg.gradcheck(lambda x, w: result(classes(Function), x, w), [x, w], order=2)
    (only,) = mg.grad(result(classes(Function), x, w.detach()), x)
    assert only.shape == (3,)


@pytest.mark.parity
def test_as_in_torch():
    torch = pytest.importorskip("torch")
    arrays = [np.random.default_rng(i).uniform(0.5, 1.0, 3) for i in range(2)]
    ours = [mg.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, t = result(classes(Function), *ours), result(classes(torch.autograd.Function), *theirs)
    y.backward()
    t.backward()
    assert y.item() == pytest.approx(t.item())
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.grad.data, b.grad.numpy())
