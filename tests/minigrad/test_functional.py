"""Jacobians, Hessians and products with them: against closed forms, each other, and PyTorch."""

import numpy as np
import pytest

import minigrad as mg
import nn

f64 = "float64"
A = np.array([[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]])


def real(*shape):
    return mg.tensor(np.random.default_rng(3).standard_normal(shape))


def test_jacobian_of_a_linear_function_is_its_matrix():
    np.testing.assert_allclose(mg.jacobian(lambda x: mg.tensor(A) @ x, real(3)).data, A)


def test_shapes_of_jacobians():
    x, y = real(2, 3), real(4)
    assert mg.jacobian(lambda x: x.exp(), x).shape == (2, 3, 2, 3)
    pair = mg.jacobian(lambda x, y: x.sum() * y, (x, y))
    assert [j.shape for j in pair] == [(4, 2, 3), (4, 4)]
    nested = mg.jacobian(lambda x, y: (x.sum(), y * 2), (x, y))
    assert [[j.shape for j in row] for row in nested] == [[(2, 3), (4,)], [(4, 2, 3), (4, 4)]]
    np.testing.assert_array_equal(nested[0][1].data, 0)  # x.sum() does not depend on y
    assert mg.jacobian(lambda x: x[:0], y).shape == (0, 4)
    assert mg.jacobian(lambda x: x * x, mg.tensor(3.0)).item() == 6


def test_hessian_of_a_quadratic_form():
    m = real(3, 3)
    found = mg.hessian(lambda x: x @ m @ x / 2, real(3))
    np.testing.assert_allclose(found.data, (m.data + m.data.T) / 2)
    np.testing.assert_array_equal(mg.hessian(lambda x: x.sum(), real(2)).data, np.zeros((2, 2)))


def test_hessian_of_two_inputs():
    x, y = real(2), real(3)
    ((xx, xy), (yx, yy)) = mg.hessian(lambda x, y: (x * x).sum() * y.sum(), (x, y))
    np.testing.assert_allclose(xx.data, 2 * y.data.sum() * np.eye(2))
    np.testing.assert_allclose(xy.data, np.repeat(2 * x.data[:, None], 3, 1))
    np.testing.assert_allclose(yx.data, xy.data.T)
    np.testing.assert_array_equal(yy.data, np.zeros((3, 3)))


def test_products_are_those_with_the_jacobian():
    def f(x):
        return (mg.tensor(A) @ x.sin()).exp()

    x, u, v = real(3), real(2), real(3)
    j = mg.jacobian(f, x).data
    y, forward = mg.jvp(f, x, v)
    np.testing.assert_allclose(y.data, f(x).data)
    np.testing.assert_allclose(forward.data, j @ v.data)
    np.testing.assert_allclose(mg.vjp(f, x, u)[1].data, u.data @ j)

    def g(x):
        return f(x).sum()

    h = mg.hessian(g, x).data
    np.testing.assert_allclose(mg.hvp(g, x, v)[1].data, h @ v.data)
    np.testing.assert_allclose(mg.vhp(g, x, v)[1].data, v.data @ h)


def test_they_work_under_no_grad_and_leave_no_gradient():
    x = mg.randn(3, dtype=f64, requires_grad=True)
    with mg.no_grad():
        j = mg.jacobian(mg.exp, x)
    np.testing.assert_allclose(j.data, np.diag(np.exp(x.data)))
    assert x.grad is None
    assert not j.requires_grad


def test_create_graph_goes_on():
    x = mg.tensor([0.5, 1.0], dtype=f64, requires_grad=True)
    mg.jacobian(lambda x: x**3, x, create_graph=True).sum().backward()
    np.testing.assert_allclose(x.grad.data, 6 * x.data)


def test_functional_call_takes_other_parameters():
    layer = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    before = layer[0].weight
    w = real(2, 3).float().requires_grad_()
    x = real(4, 3).float()
    y = mg.functional_call(layer, {"0.weight": w}, (x,))
    np.testing.assert_allclose(y.data, np.tanh(x.data @ w.data.T + layer[0].bias.data), rtol=1e-5)
    y.sum().backward()
    assert w.grad is not None
    assert before.grad is None
    assert layer[0].weight is before
    with pytest.raises(KeyError, match=r"no parameter or buffer '1.weight'; there are 0.weight, 0.bias"):
        mg.functional_call(layer, {"1.weight": w}, x)


def test_functional_call_puts_back_after_an_error():
    layer = nn.Linear(3, 2)
    before = layer.weight
    with pytest.raises(ValueError, match="linear"):
        mg.functional_call(layer, {"weight": real(5, 5).float()}, real(4, 3).float())
    assert layer.weight is before


REFUSED = {
    "integers": (lambda: mg.jacobian(mg.exp, mg.arange(3)), TypeError, "input 0 is int64"),
    "no tensor": (lambda: mg.jacobian(lambda x: 3.0, real(3)), TypeError, "returned a float as output 0"),
    "hessian": (lambda: mg.hessian(mg.exp, real(3)), ValueError, r"hessian: shape \(3,\); expected one number"),
    "vjp": (lambda: mg.vjp(mg.exp, real(3)), ValueError, r"vjp: shape \(3,\)"),
    "v": (lambda: mg.jvp(mg.exp, real(3), real(2)), ValueError, r"v has shapes \[\(2,\)\]; expected \[\(3,\)\]"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    call, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parity
@pytest.mark.parametrize("name", ["jacobian", "hessian", "vjp", "jvp", "hvp", "vhp"])
@pytest.mark.parametrize("several", [False, True])
def test_like_torch(name, several):
    torch = pytest.importorskip("torch")

    def f(x, y=1.0):
        z = (x * x * y).sin()
        return z.sum() if name not in ("jacobian", "vjp", "jvp") else z

    x, y = real(2, 3), real(3)
    inputs = (x, y) if several else x
    v = {"vjp": real(2, 3), "jacobian": None, "hessian": None}.get(name, inputs)
    arguments = [inputs] if v is None else [inputs, v]

    def theirs(value):
        return tuple(map(theirs, value)) if isinstance(value, tuple) else torch.tensor(value.data)

    def same(ours, expected):
        if isinstance(expected, tuple):
            assert len(ours) == len(expected)
            for a, b in zip(ours, expected, strict=True):
                same(a, b)
        else:
            assert ours.shape == tuple(expected.shape)
            np.testing.assert_allclose(ours.data, expected.detach().numpy(), rtol=1e-9)

    expected = getattr(torch.autograd.functional, name)(f, *map(theirs, arguments))
    same(getattr(mg, name)(f, *arguments), expected)
