"""Optimiser kernels against a transcription of the published rules, and against torch.optim."""

import math

import numpy as np
import pytest

from minigrad.kernels.reference.optimizer import AdamOptions, SGDOptions
from tests.minigrad.kernels.implementations import others, run

BACKENDS = others("adamw")
EVERY = [*BACKENDS, "reference"]
PLAIN_SGD = SGDOptions(0.0, 0.0, False, 0.0)
SHAPES = [(3,), (), (0,), (20, 30), (40_000,), (2, 0, 3), (16_384,), (16_385,)]  # around and across a chunk


def arrays(seed, shapes=SHAPES):
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.standard_normal(shape).astype(np.float32)) for shape in shapes]


def zeros():
    return [np.zeros(shape, np.float32) for shape in SHAPES]


def close(actual, expected, rtol=2e-5, atol=2e-6):
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=rtol, atol=atol)


def published_adam(theta, gradients, alpha, beta1, beta2, epsilon, decay, decoupled):
    """Kingma and Ba, algorithm 1; Loshchilov and Hutter, algorithm 2 (with their eta * lambda = lr * decay)."""
    m = v = np.zeros_like(theta)
    for t, g in enumerate(gradients, start=1):
        if not decoupled:
            g = g + decay * theta
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
        step = alpha * m_hat / (np.sqrt(v_hat) + epsilon)
        theta = theta - step - (alpha * decay * theta if decoupled else 0)
    return theta


@pytest.mark.parametrize("backend", EVERY)
@pytest.mark.parametrize("decoupled", [True, False])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adamw_follows_the_papers(backend, decoupled, decay):
    params, m, v = arrays(0), zeros(), zeros()
    steps = [arrays(seed) for seed in range(1, 6)]
    expected = [
        published_adam(p.astype(float), [g[i].astype(float) for g in steps], 0.01, 0.9, 0.99, 1e-8, decay, decoupled)
        for i, p in enumerate(params)
    ]
    for step, grads in enumerate(steps, start=1):
        before = [g.copy() for g in grads]
        run(backend, "adamw", params, grads, m, v, step, 0.01, AdamOptions(0.9, 0.99, 1e-8, decay, decoupled))
        close(grads, before, 0, 0)
    close(params, expected)


@pytest.mark.parametrize("backend", [p for p in BACKENDS if "numba" not in p.values])
@pytest.mark.parametrize("decoupled", [True, False])
def test_adamw_with_the_rate_and_the_step_in_memory(backend, decoupled):
    ours, theirs = ([arrays(0), arrays(1), arrays(2), [abs(a) for a in arrays(3)]] for _ in range(2))
    options = AdamOptions(0.9, 0.99, 1e-8, 0.1, decoupled)
    run(backend, "adamw", *ours, np.array(7.0), np.array(0.01), options)
    run("reference", "adamw", *theirs, 7, 0.01, options)
    for a, e in zip(ours, theirs, strict=True):
        close(a, e)


@pytest.mark.parametrize("backend", [p for p in BACKENDS if "numba" not in p.values])
def test_more_arrays_than_one_table_holds(backend):
    params, grads = ([np.full(3 + i % 4, i + n, np.float32) for i in range(700)] for n in (0, 1))
    run(backend, "sgd", params, grads, [], 0.5, PLAIN_SGD, False)
    close(params, [np.full(3 + i % 4, i - 0.5 * (i + 1)) for i in range(700)])


def published_sgd(theta, gradients, lr, momentum, dampening, nesterov, decay):
    """The update in the documentation of torch.optim.SGD (Sutskever et al., 2013, with the rate taken outside)."""
    b = None
    for g in gradients:
        g = g + decay * theta
        if momentum:
            b = g if b is None else momentum * b + (1 - dampening) * g
            g = g + momentum * b if nesterov else b
        theta = theta - lr * g
    return theta


SGD = [  # lr, momentum, dampening, nesterov, weight_decay
    (0.1, 0.0, 0.0, False, 0.0),
    (0.1, 0.0, 0.0, False, 0.2),
    (0.1, 0.9, 0.0, False, 0.0),
    (0.1, 0.9, 0.3, False, 0.1),
    (0.1, 0.9, 0.0, True, 0.1),
]


@pytest.mark.parametrize("backend", EVERY)
@pytest.mark.parametrize("options", SGD, ids=str)
def test_sgd_follows_the_rule(backend, options):
    lr, momentum, dampening, nesterov, decay = options
    params = arrays(0)
    buffers = [np.full(shape, np.nan, np.float32) for shape in SHAPES] if momentum else []  # uninitialised
    steps = [arrays(seed) for seed in range(1, 6)]
    expected = [
        published_sgd(p.astype(float), [g[i].astype(float) for g in steps], *options) for i, p in enumerate(params)
    ]
    for step, grads in enumerate(steps):
        run(backend, "sgd", params, grads, buffers, lr, SGDOptions(momentum, dampening, nesterov, decay), step == 0)
    close(params, expected)


@pytest.mark.parametrize("backend", EVERY)
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan], ids=str)
def test_without_decay_a_parameter_out_of_range_does_not_reach_the_averages(backend, value):
    """0 · inf is NaN: it must not be added to the gradient."""

    def array(*numbers):
        return np.array(numbers, np.float32)

    for decay, decoupled in [(0.0, False), (0.1, True)]:
        param, m, v = array(value, 1), array(0, 0), array(0, 0)
        run(backend, "adamw", [param], [array(1, 1)], [m], [v], 1, 0.1, AdamOptions(0.9, 0.99, 1e-8, decay, decoupled))
        np.testing.assert_allclose(m, 0.1, rtol=1e-5)
        np.testing.assert_allclose(v, 0.01, rtol=1e-5)
        np.testing.assert_array_equal(param[0], value)
    for momentum, nesterov in [(0.0, False), (0.9, False), (0.9, True)]:
        param, buffer = array(value, 1), array(1, 1)
        buffers = [buffer] if momentum else []
        run(backend, "sgd", [param], [array(1, 1)], buffers, 0.1, SGDOptions(momentum, 0.0, nesterov, 0.0), False)
        np.testing.assert_array_equal(param[0], value)
        np.testing.assert_allclose(buffer, 1.9 if momentum else 1, rtol=1e-6)


@pytest.mark.parametrize("backend", EVERY)
def test_an_infinite_gradient_moves_a_parameter_to_infinity(backend):
    """And not to NaN, as 0 times the gradient would in the step without Nesterov's look-ahead."""
    param, buffer = np.ones(2, np.float32), np.ones(2, np.float32)
    run(
        backend,
        "sgd",
        [param],
        [np.array([np.inf, 1], np.float32)],
        [buffer],
        0.1,
        SGDOptions(0.9, 0.0, False, 0.0),
        False,
    )
    np.testing.assert_allclose(param, [-np.inf, 0.81], rtol=1e-6)


@pytest.mark.parametrize("backend", EVERY)
def test_grad_norm_and_scale(backend):
    grads = arrays(0)
    exact = math.sqrt(sum(float((g.astype(float) ** 2).sum()) for g in grads))
    norm = run(backend, "grad_norm", grads)
    assert type(norm) is float or backend == "cuda"  # where it stays on the GPU
    assert norm == pytest.approx(exact, rel=1e-12)
    before = [g.copy() for g in grads]
    run(backend, "scale", grads, 0.25)
    close(grads, [g / 4 for g in before], 0, 0)


@pytest.mark.parametrize("backend", EVERY)
def test_no_arrays_at_all(backend):
    assert run(backend, "grad_norm", []) == 0.0
    run(backend, "scale", [], 2.0)
    run(backend, "adamw", [], [], [], [], 1, 0.1, AdamOptions(0.9, 0.99, 1e-8, 0.1, True))


@pytest.mark.parametrize("backend", EVERY)
def test_norms_neither_overflow_nor_hide_nan(backend):
    assert run(backend, "grad_norm", [np.full(5000, 1e30, np.float32)]) == pytest.approx(
        1e30 * math.sqrt(5000), rel=1e-6
    )
    assert math.isnan(run(backend, "grad_norm", [np.array([1, np.nan], np.float32)]))
    assert run(backend, "grad_norm", [np.array([1, np.inf], np.float32)]) == math.inf


@pytest.mark.parametrize("backend", BACKENDS)
def test_grad_norm_is_the_same_bits_with_any_number_of_threads(backend):
    numba = pytest.importorskip("numba")
    grads = arrays(0)
    norms = set()
    for threads in range(1, numba.config.NUMBA_NUM_THREADS + 1):
        numba.set_num_threads(threads)
        norms |= {run(backend, "grad_norm", grads) for _ in range(3)}
    assert len(norms) == 1


def odd_copies(plain):
    """The same numbers as arrays that the numba kernels cannot take as they are, among some that they can."""
    strided = np.empty((2 * plain[3].shape[0], 30), np.float32)[::2]
    strided[...] = plain[3]
    return [*plain[:3], strided, plain[4][::-1].copy()[::-1], *plain[5:]]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("which", range(4))
def test_arrays_that_are_not_contiguous(backend, which):
    hyper = (3, 0.01, AdamOptions(0.9, 0.99, 1e-8, 0.1, True))
    plain = [arrays(0), arrays(1), arrays(2), [abs(a) for a in arrays(3)]]
    odd = [[a.copy() for a in each] for each in plain]
    odd[which] = odd_copies(odd[which])
    run("reference", "adamw", *plain, *hyper)
    run(backend, "adamw", *odd, *hyper)
    for ours, expected in zip(odd, plain, strict=True):
        close(ours, expected)
    if which == 0:
        assert run(backend, "grad_norm", odd[0]) == pytest.approx(run("reference", "grad_norm", plain[0]), rel=1e-6)
        run(backend, "scale", odd[0], 0.5)
        close(odd[0], [a * 0.5 for a in plain[0]])


@pytest.mark.parametrize("backend", BACKENDS)
def test_float64_among_float32(backend):
    pytest.importorskip("numba")
    from minigrad.kernels.cpu import optimizer

    mixed = [np.full(10, 2.0), np.full(20, 2.0, np.float32)]
    assert optimizer.grad_norm(mixed) == pytest.approx(math.sqrt(120))
    optimizer.sgd(mixed, [np.ones(10), np.ones(20, np.float32)], [], 0.5, PLAIN_SGD, False)
    close(mixed, [np.full(10, 1.5), np.full(20, 1.5)])


@pytest.mark.parametrize("backend", EVERY)
def test_bad_arguments(backend):
    read_only = np.ones(5000, np.float32)
    read_only.flags.writeable = False
    if backend != "cuda":  # cupy has no such arrays
        with pytest.raises(ValueError, match="read-only"):
            run(backend, "scale", [read_only], 2.0)
    with pytest.raises(ValueError):
        run(backend, "sgd", arrays(0), arrays(1)[:-1], [], 0.1, PLAIN_SGD, False)
    short = [np.ones(7, np.float32)]
    with pytest.raises(ValueError):
        run(backend, "sgd", [np.ones(8, np.float32)], short, [], 0.1, PLAIN_SGD, False)


@pytest.mark.parity
@pytest.mark.parametrize("backend", EVERY)
@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_torch_adam(backend, name):
    torch = pytest.importorskip("torch")
    params, m, v = arrays(0), zeros(), zeros()
    theirs = [torch.tensor(p) for p in params]
    optimizer = getattr(torch.optim, name)(theirs, lr=0.01, betas=(0.8, 0.95), weight_decay=0.1)
    for step in range(1, 11):
        grads = arrays(step)
        for parameter, grad in zip(theirs, grads, strict=True):
            parameter.grad = torch.tensor(grad)
        optimizer.step()
        run(backend, "adamw", params, grads, m, v, step, 0.01, AdamOptions(0.8, 0.95, 1e-8, 0.1, name == "AdamW"))
    close(params, [p.numpy() for p in theirs], rtol=1e-5, atol=1e-5)


@pytest.mark.parity
@pytest.mark.parametrize("backend", EVERY)
@pytest.mark.parametrize("options", SGD, ids=str)
def test_torch_sgd(backend, options):
    torch = pytest.importorskip("torch")
    lr, momentum, dampening, nesterov, decay = options
    params, buffers = arrays(0), zeros() if momentum else []
    theirs = [torch.tensor(p) for p in params]
    optimizer = torch.optim.SGD(theirs, lr, momentum, dampening, decay, nesterov)
    for step in range(1, 11):
        grads = arrays(step)
        for parameter, grad in zip(theirs, grads, strict=True):
            parameter.grad = torch.tensor(grad)
        optimizer.step()
        run(backend, "sgd", params, grads, buffers, lr, SGDOptions(momentum, dampening, nesterov, decay), step == 1)
    close(params, [p.numpy() for p in theirs], rtol=1e-5, atol=1e-5)
