"""cross_entropy: every implementation against reference, reference against finite differences, both against torch."""

import numpy as np
import pytest

from minigrad.kernels import cuda
from minigrad.kernels.reference import cross_entropy as reference
from tests.minigrad.kernels.implementations import others, run

BACKENDS = others("cross_entropy")
OPTIONS = [  # ignore_index, label_smoothing, weighted
    (-100, 0.0, False),
    (-100, 0.1, False),
    (2, 0.0, True),
    (0, 0.3, True),
    (-1, 1.0, False),
]


def problem(rows, classes, ignore_index, weighted, dtype=np.float32):
    rng = np.random.default_rng(rows * 1000 + classes)
    logits = 3 * rng.standard_normal((rows, classes)).astype(dtype)
    targets = rng.integers(0, max(classes, 1), rows)
    targets[::5] = ignore_index
    weight = rng.uniform(0.2, 2, classes).astype(dtype) if weighted else None
    return logits, targets, weight, rng.standard_normal(rows).astype(dtype)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (0, 5), (33, 65), (12, 4096), (5, 9001)], ids=str)
def test_matches_reference(backend, shape, options):
    ignore_index, smoothing, weighted = options
    if not ignore_index < shape[1]:
        ignore_index = -100
    logits, targets, weight, grad = problem(*shape, ignore_index, weighted)
    expected = reference.cross_entropy(logits, targets, ignore_index, smoothing, weight)
    actual = run(backend, "cross_entropy", logits, targets, ignore_index, smoothing, weight)
    for a, e in zip(actual, expected, strict=True):
        assert a.dtype == e.dtype == np.float32
        np.testing.assert_allclose(a, e, rtol=1e-5, atol=1e-5)
    rest = (logits, targets, expected[1], ignore_index, smoothing, weight)
    expected = reference.cross_entropy_backward(grad, *rest)
    actual = run(backend, "cross_entropy_backward", grad, *rest)
    assert actual.dtype == expected.dtype == np.float32
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("integers", [np.int8, np.int32, np.uint16, np.int64])
def test_strides_and_integer_types(backend, integers):
    logits, targets, weight, grad = problem(20, 30, 3, True)
    logits, targets = np.asfortranarray(logits)[::2, ::-1], targets[::2].astype(integers)
    weight, grad = np.repeat(weight, 2)[::2], np.broadcast_to(grad[0], 10)
    losses, lse = reference.cross_entropy(logits, targets, 3, 0.1, weight)
    np.testing.assert_allclose(run(backend, "cross_entropy", logits, targets, 3, 0.1, weight)[0], losses, rtol=1e-5)
    np.testing.assert_allclose(
        run(backend, "cross_entropy_backward", grad, logits, targets, lse, 3, 0.1, weight),
        reference.cross_entropy_backward(grad, logits, targets, lse, 3, 0.1, weight),
        rtol=1e-5,
        atol=1e-6,
    )


INF, NAN = np.inf, np.nan


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "row",
    [[1e30, 0, -1e30], [0, -INF, -INF], [-INF] * 3, [INF, 0, 0], [NAN, 0, 0], [-1e30] * 3, [3e38, 3e38, 0]],
    ids=str,
)
def test_extreme_logits(backend, row):
    logits = np.array([row, row[::-1], [1, 2, 3]], np.float32)
    targets = np.zeros(3, np.int64)
    expected = reference.cross_entropy(logits, targets, -100, 0.0, None)
    actual = run(backend, "cross_entropy", logits, targets, -100, 0.0, None)
    np.testing.assert_allclose(actual[0], expected[0], rtol=1e-6)
    np.testing.assert_allclose(actual[1], expected[1], rtol=1e-6)
    rest = (logits, targets, expected[1], -100, 0.0, None)
    grad = np.ones(3, np.float32)
    np.testing.assert_allclose(
        run(backend, "cross_entropy_backward", grad, *rest), reference.cross_entropy_backward(grad, *rest), atol=1e-6
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_masked_first_block_of_a_long_row(backend):
    """The running maximum is still -inf after the first block."""
    logits = np.full((2, 10_000), -np.inf, np.float32)
    logits[:, 9_000:9_002] = 5
    losses, lse = run(backend, "cross_entropy", logits, np.array([9_000, 0]), -100, 0.0, None)
    np.testing.assert_allclose(losses, [np.log(2), np.inf], rtol=1e-6)
    np.testing.assert_allclose(lse, 5 + np.log(2), rtol=1e-6)


@pytest.mark.parametrize("backend", [*BACKENDS, "reference"])
@pytest.mark.parametrize("target", [65, -1, 10**12, -(10**12)])
def test_a_target_out_of_range_is_named(backend, target):
    logits, targets, _, _ = problem(40, 65, -100, False)
    targets[7] = target
    if backend == "cuda":  # which does not wait for the GPU to have looked
        assert np.isnan(run(backend, "cross_entropy", logits, targets, -100, 0.0, None)[0][7])
        return
    with pytest.raises(IndexError, match=rf"target {target} in row 7 is not one of the 65 classes \(0 to 64\)"):
        run(backend, "cross_entropy", logits, targets, -100, 0.0, None)


@pytest.mark.emulator
@pytest.mark.parametrize("classes", [33, 260])
def test_backward_in_place(classes):
    """The CUDA kernel may overwrite the logits with their gradient."""
    logits, targets, _, grad = problem(5, classes, -100, False)
    lse = reference.cross_entropy(logits, targets, -100, 0.1, None)[1]
    expected = reference.cross_entropy_backward(grad, logits, targets, lse, -100, 0.1, None)
    numbers = (np.int32(classes), np.int64(-100), np.float32(0.1))
    arguments = (grad, logits, targets, lse, None, None, logits, *numbers)
    cuda.load("cross_entropy.cu").launch("cross_entropy_backward", 5, 64, arguments)
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_reference_gradient_by_finite_differences(options):
    ignore_index, smoothing, weighted = options
    logits, targets, weight, grad = problem(6, 5, ignore_index, weighted, np.float64)
    direction = np.random.default_rng(1).standard_normal(logits.shape)

    def loss(x):
        return (reference.cross_entropy(x, targets, ignore_index, smoothing, weight)[0] * grad).sum()

    h = 1e-6
    numeric = (loss(logits + h * direction) - loss(logits - h * direction)) / (2 * h)
    lse = reference.cross_entropy(logits, targets, ignore_index, smoothing, weight)[1]
    dlogits = reference.cross_entropy_backward(grad, logits, targets, lse, ignore_index, smoothing, weight)
    np.testing.assert_allclose((dlogits * direction).sum(), numeric, rtol=1e-7)


@pytest.mark.parity
@pytest.mark.parametrize("backend", [*BACKENDS, "reference"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_torch_parity(backend, options):
    torch = pytest.importorskip("torch")
    ignore_index, smoothing, weighted = options
    logits, targets, weight, grad = problem(50, 70, ignore_index, weighted)
    x = torch.tensor(logits, requires_grad=True)
    theirs = torch.nn.functional.cross_entropy(
        x,
        torch.tensor(targets),
        None if weight is None else torch.tensor(weight),
        ignore_index=ignore_index,
        label_smoothing=smoothing,
        reduction="none",
    )
    theirs.backward(torch.tensor(grad))
    losses, lse = run(backend, "cross_entropy", logits, targets, ignore_index, smoothing, weight)
    rest = (logits, targets, lse, ignore_index, smoothing, weight)
    np.testing.assert_allclose(losses, theirs.detach().numpy(), rtol=1e-5, atol=1e-5)
    dlogits = run(backend, "cross_entropy_backward", grad, *rest)
    np.testing.assert_allclose(dlogits, x.grad.numpy(), rtol=1e-5, atol=1e-6)
