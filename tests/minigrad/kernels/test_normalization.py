"""layer_norm and rms_norm: every implementation against reference; reference by finite differences; all by torch."""

import numpy as np
import pytest

from minigrad.kernels.reference import normalization as reference
from tests.minigrad.kernels.implementations import others, run

BACKENDS = others("layer_norm")
SHAPES = [(1,), (9,), (1, 1), (5, 33), (2, 3, 64), (100, 7), (3, 2000), (0, 4)]


def normal(shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def compare(actual, expected, scale=1.0):
    for a, e in zip(actual, expected, strict=True):
        if e is None:
            assert a is None
        else:
            assert a.dtype == e.dtype == np.float32
            assert a.shape == e.shape
            np.testing.assert_allclose(a, e, rtol=1e-4, atol=2e-5 * scale)


def check_layer_norm(backend, x, weight, bias, grad):
    expected = reference.layer_norm(x, weight, bias, 1e-5)
    compare(run(backend, "layer_norm", x, weight, bias, 1e-5), expected)
    rest = (grad, x, weight, *expected[1:])
    scale = max(1, x.size / x.shape[-1]) ** 0.5
    compare(run(backend, "layer_norm_backward", *rest), reference.layer_norm_backward(*rest), scale)


def check_rms_norm(backend, x, weight, grad):
    expected = reference.rms_norm(x, weight, 1e-5)
    compare(run(backend, "rms_norm", x, weight, 1e-5), expected)
    rest = (grad, x, weight, expected[1])
    scale = max(1, x.size / x.shape[-1]) ** 0.5
    compare(run(backend, "rms_norm_backward", *rest), reference.rms_norm_backward(*rest), scale)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("has_weight", "has_bias"), [(True, True), (True, False), (False, False), (False, True)])
def test_matches_reference(backend, shape, has_weight, has_bias):
    x, grad = normal(shape), normal(shape, 1)
    weight = normal(shape[-1], 2) if has_weight else None
    bias = normal(shape[-1], 3) if has_bias else None
    check_layer_norm(backend, x, weight, bias, grad)
    check_rms_norm(backend, x, weight, grad)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", [(3, 0), (0, 0)], ids=str)
def test_rows_of_nothing(backend, shape):
    x = np.empty(shape, np.float32)
    y, mean, rstd = run(backend, "layer_norm", x, None, None, 1e-5)
    assert y.shape == shape
    assert mean.shape == rstd.shape == shape[:-1]
    dx, dweight, dbias = run(backend, "layer_norm_backward", x, x, np.empty(0, np.float32), mean, rstd)
    assert dx.shape == shape
    assert dweight.shape == dbias.shape == (0,)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("view", [lambda x: x.T, lambda x: x[::2, ::-3], lambda x: np.broadcast_to(x[:1], (4, 60))])
def test_any_strides(backend, view):
    x, grad = view(normal((40, 60))), view(normal((40, 60), 1))
    weight, bias = normal(2 * x.shape[1], 2)[::2], normal(2 * x.shape[1], 3)[::2]
    check_layer_norm(backend, x, weight, bias, grad)
    check_rms_norm(backend, x, weight, grad)


@pytest.mark.parametrize("backend", [*BACKENDS, "reference"])
@pytest.mark.parametrize("offset", [1e3, 1e4, -1e5])
def test_variance_survives_a_large_mean(backend, offset):
    """Against float64 on the same float32 numbers. E[x^2] - E[x]^2 would have no correct digit here."""
    x = normal((6, 1500)) + np.float32(offset)
    exact = x.astype(np.float64)
    y, mean, rstd = run(backend, "layer_norm", x, None, None, 1e-5)
    ulp = np.spacing(np.float32(abs(offset)))
    np.testing.assert_allclose(mean, exact.mean(axis=-1), atol=ulp)
    np.testing.assert_allclose(rstd, 1 / np.sqrt(exact.var(axis=-1) + 1e-5), rtol=2e-4)
    np.testing.assert_allclose(y, (exact - exact.mean(-1, keepdims=True)) * rstd[:, None], atol=2 * ulp)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("eps", [0.0, 1e-5])
def test_constant_rows(backend, eps):
    x = np.repeat(np.array([[3.0], [-7.0], [0.0], [2.0**20]], np.float32), 64, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        compare(run(backend, "layer_norm", x, None, None, eps), reference.layer_norm(x, None, None, eps))
        compare(run(backend, "rms_norm", x, None, eps), reference.rms_norm(x, None, eps))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("odd", [1e30, -1e30, np.inf, -np.inf, np.nan, 1e-40])
def test_extreme_values(backend, odd):
    x = normal((3, 40))
    x[1, 5] = odd
    compare(run(backend, "layer_norm", x, None, None, 1e-5), reference.layer_norm(x, None, None, 1e-5), 1e30)
    compare(run(backend, "rms_norm", x, None, 1e-5), reference.rms_norm(x, None, 1e-5))


@pytest.mark.parametrize("backend", BACKENDS)
def test_column_sums_are_the_same_bits_with_any_number_of_threads(backend):
    numba = pytest.importorskip("numba")
    x, grad, weight = normal((1000, 50)), normal((1000, 50), 1), normal(50, 2)
    _, mean, rstd = reference.layer_norm(x, weight, None, 1e-5)
    results = []
    for threads in range(1, numba.config.NUMBA_NUM_THREADS + 1):
        numba.set_num_threads(threads)
        results.append(run(backend, "layer_norm_backward", grad, x, weight, mean, rstd))
        results.append(run(backend, "layer_norm_backward", grad, x, weight, mean, rstd))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("has_weight", [True, False])
def test_reference_gradients_by_finite_differences(has_weight):
    x, grad, dx = (normal((4, 7), seed, np.float64) for seed in range(3))
    weight, bias, dw, db = (normal(7, seed, np.float64) for seed in range(3, 7))
    if not has_weight:
        weight = bias = dw = db = None
    h = 1e-6

    def nudged(value, direction, sign):
        return None if value is None else value + sign * h * direction

    def numeric(forward, *pairs):
        up, down = ([nudged(v, d, sign) for v, d in pairs] for sign in (1, -1))
        return ((forward(*up, 1e-5)[0] - forward(*down, 1e-5)[0]) / (2 * h) * grad).sum()

    _, mean, rstd = reference.layer_norm(x, weight, bias, 1e-5)
    gradients = reference.layer_norm_backward(grad, x, weight, mean, rstd)
    slope = sum((g * d).sum() for g, d in zip(gradients, (dx, dw, db), strict=True) if g is not None)
    np.testing.assert_allclose(slope, numeric(reference.layer_norm, (x, dx), (weight, dw), (bias, db)), rtol=1e-7)

    _, rstd = reference.rms_norm(x, weight, 1e-5)
    gradients = reference.rms_norm_backward(grad, x, weight, rstd)
    slope = sum((g * d).sum() for g, d in zip(gradients, (dx, dw), strict=True) if g is not None)
    np.testing.assert_allclose(slope, numeric(reference.rms_norm, (x, dx), (weight, dw)), rtol=1e-7)


@pytest.mark.parity
@pytest.mark.parametrize("backend", [*BACKENDS, "reference"])
def test_torch_parity(backend):
    torch = pytest.importorskip("torch")
    x, grad, weight, bias = normal((5, 8, 48)), normal((5, 8, 48), 1), normal(48, 2), normal(48, 3)

    tensors = [torch.tensor(a, requires_grad=True) for a in (x, weight, bias)]
    theirs = torch.nn.functional.layer_norm(tensors[0], (48,), *tensors[1:], 1e-5)
    theirs.backward(torch.tensor(grad))
    y, mean, rstd = run(backend, "layer_norm", x, weight, bias, 1e-5)
    np.testing.assert_allclose(y, theirs.detach().numpy(), rtol=1e-5, atol=1e-5)
    for ours, tensor in zip(run(backend, "layer_norm_backward", grad, x, weight, mean, rstd), tensors, strict=True):
        np.testing.assert_allclose(ours, tensor.grad.numpy(), rtol=1e-4, atol=1e-5)

    tensors = [torch.tensor(a, requires_grad=True) for a in (x, weight)]
    theirs = torch.nn.functional.rms_norm(tensors[0], (48,), tensors[1], 1e-5)
    theirs.backward(torch.tensor(grad))
    y, rstd = run(backend, "rms_norm", x, weight, 1e-5)
    np.testing.assert_allclose(y, theirs.detach().numpy(), rtol=1e-5, atol=1e-5)
    for ours, tensor in zip(run(backend, "rms_norm_backward", grad, x, weight, rstd), tensors, strict=True):
        np.testing.assert_allclose(ours, tensor.grad.numpy(), rtol=1e-4, atol=1e-5)
