"""Whose memory a gradient is: added to in place only where the engine made it, and shared with nobody at the end."""

import gc
import itertools
import threading

import numpy as np
import pytest

import minigrad as mg
from minigrad import ops
from minigrad.function import Function, PartialGradient
from minigrad.tensor import Tensor
from tests.support.ops_table import CASES

every_op = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)


def leaf(*shape, dtype=np.float64):
    return mg.randn(*shape, dtype=dtype, requires_grad=True)


def test_a_gradient_that_two_inputs_got_is_not_added_to_in_place():
    a, b, w = leaf(3), leaf(3), leaf(3)
    e = a.exp()
    ((e + b) * w + e).sum().backward()
    np.testing.assert_allclose(b.grad.data, w.data)
    np.testing.assert_allclose(a.grad.data, (w.data + 1) * np.exp(a.data))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_a_broadcast_0d_tensor_used_twice_keeps_both_contributions(dtype):
    s, a = mg.tensor(2.0, dtype=dtype, requires_grad=True), mg.ones(3, dtype=dtype)
    (a * s + a * s).sum().backward()
    assert s.grad.item() == 6
    assert isinstance(s.grad.data, np.ndarray)
    assert (s.grad.shape, s.grad.dtype) == ((), dtype)
    s.grad.mul_(0.5)
    assert s.grad.item() == 3
    s.grad.zero_()
    assert s.grad.item() == 0


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize(
    "use",
    [
        lambda s: s * np.ones(3),
        lambda s: s * s,
        lambda s: s.sum(),
        lambda s: s.reshape(1),
        lambda s: s.expand(2, 2),
        lambda s: s[...],
        lambda s: mg.stack([s, s]),
        lambda s: mg.maximum(s, 0.0),
        lambda s: s.astype("float32"),
        lambda s: mg.where(np.array([True, False]), s, 0.0),
    ],
)
def test_0d_gradients_are_arrays_whatever_uses_the_tensor(use, times):
    s = mg.tensor(1.5, dtype="float64", requires_grad=True)
    one, *_ = mg.grad(use(s).sum(), s)
    sum(use(s).sum() for _ in range(times)).backward()
    assert type(s.grad.data) is type(one.data) is np.ndarray
    assert s.grad.item() == pytest.approx(times * one.item())


@pytest.mark.parametrize("loss", [np.inf, -np.inf, np.nan])
def test_a_loss_that_is_not_finite_seeds_ones(loss):
    x, y = leaf(3), leaf(2)
    (x.sum() + y.sum() * loss).backward()
    np.testing.assert_array_equal(x.grad.data, [1, 1, 1])
    z = mg.tensor(loss, dtype="float64", requires_grad=True)
    z.backward()
    assert z.grad.item() == 1
    assert mg.grad(z * 2.0, z)[0].item() == 2
    assert mg.grad(z * 2.0, z, create_graph=True)[0].item() == 2


# What a rule promises.


def nodes_of(*roots: Tensor) -> set[Function]:
    found, stack = set(), [root.grad_fn for root in roots if root.grad_fn]
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack += [parent for parent in node.parents if parent is not None and not isinstance(parent, Tensor)]
    return {node for node in found if isinstance(node, Function)}


def arrays_in(*values) -> list[np.ndarray]:
    found = []
    for value in values:
        if isinstance(value, (tuple, list)):
            found += arrays_in(*value)
        elif isinstance(value, np.ndarray):
            found.append(value)
    return found


@every_op
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_fresh_rules_return_memory_that_nothing_shares(case, dtype):
    inputs = [Tensor(x.astype(dtype), requires_grad=True) for x in case.inputs]
    output = case.expression(mg, *inputs)
    random = np.random.default_rng(3)
    for node in sorted(nodes_of(output), key=lambda node: node.order):
        if not type(node).fresh:
            continue
        several = isinstance(node.dtype, tuple)
        kinds = zip(node.shape, node.dtype, strict=True) if several else [(node.shape, node.dtype)]
        upstream = [np.asarray(random.uniform(0.5, 1.5, shape), kind) for shape, kind in kinds]
        before = [array.copy() for array in upstream]
        results = []
        for _ in range(2):  # a rule that hands out a buffer of its own would give the same one again
            result = node.backward(*upstream)
            results += arrays_in(result)
        others = arrays_in(upstream, node.saved, list(vars(node).values()), [x.data for x in inputs], output.data)
        for array, other in [*itertools.product(results, others), *itertools.combinations(results, 2)]:
            assert not np.shares_memory(array, other), f"{node.name} says fresh = True"
        for array, kept in zip(upstream, before, strict=True):
            np.testing.assert_array_equal(array, kept, err_msg=f"{node.name} wrote into its upstream gradient")


@every_op
def test_gradients_share_no_memory_with_each_other_or_anything(case):
    """Each input used twice, so that the engine adds up; then nobody's array may be somebody else's."""
    inputs = [Tensor(x, requires_grad=True) for x in case.inputs]
    once = case.expression(mg, *inputs)
    upstream = np.random.default_rng(4).uniform(0.5, 1.5, once.shape)
    expected = [g.data for g in mg.grad(once, inputs, upstream)]
    kept = upstream.copy()
    y = case.expression(mg, *inputs)
    (y + y).backward(upstream, retain_graph=True)
    np.testing.assert_array_equal(upstream, kept)
    saved = [array for node in nodes_of(y) for array in arrays_in(node.saved, list(vars(node).values()))]
    grads = [x.grad.data for x in inputs]
    others = [*saved, upstream, y.data, *(x.data for x in inputs)]
    for array, other in [*itertools.product(grads, others), *itertools.combinations(grads, 2)]:
        assert not np.shares_memory(array, other)
    for found, want, x in zip(grads, expected, inputs, strict=True):
        assert (found.shape, found.dtype, type(found)) == (x.shape, x.dtype, np.ndarray)
        np.testing.assert_allclose(found, 2 * want, rtol=1e-12)


def test_a_users_function_may_return_what_it_likes():
    held = np.ones(3)

    class Held(Function):
        def forward(self, x):
            return x * 1

        def backward(self, grad):
            return held

    x, y = leaf(3), leaf(3)
    (Held()(x) + Held()(x) + x + Held()(y)).sum().backward()
    np.testing.assert_array_equal(held, 1)
    np.testing.assert_array_equal(x.grad.data, 3)
    assert not np.shares_memory(y.grad.data, held)


def test_partial_gradients_never_write_into_what_they_meet():
    x, w = leaf(4), leaf(4)
    y = x * 1.0
    (y * w + y[1:3].sum() + y[np.array([0, 0])].sum()).sum().backward()
    np.testing.assert_allclose(x.grad.data, w.data + np.array([8, 4, 4, 0]))
    base = np.zeros(3)
    upstream = np.ones(3)
    z = leaf(3)
    (z + z[:1].sum()).backward(upstream)
    np.testing.assert_array_equal(upstream, 1)
    np.testing.assert_array_equal(z.grad.data, [4, 1, 1])
    partial = PartialGradient(base, lambda buffer: buffer.__iadd__(1))
    assert partial.joined_to(base, False, z) is not base


# Where somebody may hold the array.


def test_hooks_may_hold_or_change_what_they_see():
    a, b = leaf(3), leaf(3)
    y = a * 2.0
    seen = []
    y.register_hook(lambda g: seen.append(g))
    (y + b).backward(np.ones(3))
    seen[0].data[...] = 7.0
    np.testing.assert_array_equal(b.grad.data, 1)
    np.testing.assert_array_equal(a.grad.data, 2)
    a.grad = b.grad = None
    y = a * 2.0
    y.register_hook(lambda g: (g.mul_(10.0), None)[1])
    (y + b).backward(np.ones(3))
    np.testing.assert_array_equal(a.grad.data, 20)
    np.testing.assert_array_equal(b.grad.data, 1)


def test_what_a_hook_returns_stays_its_own():
    mine = mg.ones(3, dtype="float64")
    a = leaf(3)
    y = a * 1.0
    y.register_hook(lambda g: mine)
    (y + y).sum().backward()
    a.register_hook(lambda g: mine)
    (a * 3.0).sum().backward()
    np.testing.assert_array_equal(mine.data, 1)
    np.testing.assert_array_equal(a.grad.data, 2)


def test_hooks_return_a_tensor_of_the_same_dtype():
    for result, error, message in [
        (1.0, TypeError, "hook returned a float; expected a Tensor"),
        (mg.ones(3), TypeError, "hook returned float32 for a float64 gradient"),
    ]:
        x = leaf(3)
        x.register_hook(lambda g, result=result: result)
        with pytest.raises(error, match=message):
            (x * 2.0).sum().backward()


def test_retained_gradients_are_their_own():
    a = leaf(3)
    y = a + 1.0
    z = y + 0.0
    y.retain_grad()
    z.retain_grad()
    (z * 2.0).sum().backward()
    for g, h in itertools.combinations([a.grad.data, y.grad.data, z.grad.data], 2):
        assert not np.shares_memory(g, h)
    y.grad.zero_()
    np.testing.assert_array_equal(a.grad.data, 2)


@pytest.mark.parametrize("create_graph", [False, True])
def test_results_of_grad_are_their_own(create_graph):
    x, y, upstream = leaf(3), leaf(3), mg.ones(3, dtype="float64")
    z = x + y
    found = mg.grad([z, z + 0.0], [x, y, z], [upstream, upstream], create_graph=create_graph)
    for g, h in itertools.combinations([upstream, *found], 2):
        assert not np.shares_memory(g.data, h.data)
    for g in found:
        np.testing.assert_array_equal(g.data, 2)


def test_recorded_gradients_of_leaves_are_their_own():
    x, y = leaf(3), leaf(3)
    (x + y).sum().backward(create_graph=True)
    assert x.grad is not y.grad
    x.grad.detach().zero_()
    np.testing.assert_array_equal(y.grad.data, 1)


def test_grad_does_not_run_a_rule_that_nothing_wanted_is_behind():
    x = leaf(3)
    y = x * x
    y.sum().backward()
    (g,) = mg.grad((y * 2.0).sum(), y)  # the rule of x * x has let go of what it saved
    np.testing.assert_array_equal(g.data, 2)


# backward(inputs=...)


def test_backward_to_some_inputs_only():
    x, w = leaf(3), leaf(3)
    y = x * w
    (y * 2.0).sum().backward(inputs=[w, y])
    assert x.grad is None
    np.testing.assert_allclose(w.grad.data, 2 * x.data)
    np.testing.assert_allclose(y.grad.data, 2)
    (w * 3.0).sum().backward(inputs=w)
    np.testing.assert_allclose(w.grad.data, 2 * x.data + 3)
    w.sum().backward(inputs=[x, w])  # x is not behind it
    assert x.grad is None


def test_backward_refuses_inputs_it_cannot_serve():
    x = leaf(3)
    with pytest.raises(ValueError, match="inputs is empty"):
        x.sum().backward(inputs=[])
    with pytest.raises(RuntimeError, match=r"backward: input 0 .* does not require grad"):
        x.sum().backward(inputs=[mg.ones(3)])


def test_a_gradient_of_another_shape_is_not_added_to():
    x = leaf(3)
    x.grad = mg.ones(2, 3, dtype="float64")
    with pytest.raises(ValueError, match=r"\.grad has shape \(2, 3\), its tensor \(3,\)"):
        x.sum().backward()


def test_eight_threads_add_to_one_leaf():
    x = leaf(20_000)
    start = threading.Barrier(8)

    def work():
        start.wait()
        for _ in range(20):
            (x * 1.0).sum().backward()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(x.grad.data, 160)


def test_a_leaf_takes_over_what_a_fresh_rule_made():
    """No copy of each parameter's gradient: the array of the rule becomes .grad."""
    made = []

    class Spy(ops.linalg.Linear):
        def backward(self, grad):
            made.append(super().backward(grad))
            return made[-1]

    w = leaf(4, 3)
    Spy(None)(leaf(2, 3), w, None).sum().backward()
    assert w.grad.data is made[0][1]
    gc.collect()
