"""How gradients flow: backward and grad, hooks, in-place checks, memory, long chains."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.engine import unbroadcast
from minigrad.function import Function, Identity
from minigrad.ops.shape import Split
from minigrad.tensor import Tensor


def leaf(*shape, dtype=np.float64):
    return mg.randn(*shape, dtype=dtype, requires_grad=True)


# backward


def test_backward_adds_to_grad():
    x = leaf(3)
    (x * 2.0).sum().backward()
    (x * 3.0).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [5, 5, 5])


def test_backward_with_an_upstream_gradient():
    x = leaf(2, 3)
    g = np.arange(6.0).reshape(2, 3)
    (x * 2.0).backward(Tensor(g))
    np.testing.assert_array_equal(x.grad.data, 2 * g)


def test_backward_from_a_leaf():
    x = leaf()
    x.backward()
    assert x.grad.item() == 1


@pytest.mark.parametrize("uses", range(1, 6))
@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_a_tensor_used_several_times(uses, shape):
    x = leaf(*shape)
    y = x * 1.0
    total = y * 0.0
    for i in range(uses):
        total = total + y * (i + 1.0)
    total.sum().backward()
    assert isinstance(x.grad.data, np.ndarray)
    np.testing.assert_array_equal(x.grad.data, np.full(shape, sum(range(1, uses + 1))))


@settings(max_examples=100)
@given(st.data())
def test_random_graphs_agree_with_finite_differences(data):
    """Any way of combining tensors: shared results, unused ones, several roots."""
    shape = data.draw(st.sampled_from([(), (1,), (2,), (2, 1)]))
    leaves = [leaf(*shape) for _ in range(data.draw(st.integers(1, 3)))]
    steps = data.draw(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30), st.integers(0, 30)), max_size=8))

    def build(*leaves):
        made = list(leaves)
        for kind, i, j in steps:
            x, y = made[i % len(made)], made[j % len(made)]
            made.append([x + y, x * y, mg.sin(x), x - y, mg.tanh(x) * 2.0][kind])
        return made[-1] if len(made) > len(leaves) else made[0] * 1.0

    mg.gradcheck(build, leaves, order=2, atol=1e-5)


def test_chain_of_100_000_operations():
    x = leaf()
    y = x
    for _ in range(100_000):
        y = y + 1e-6
    y.backward()
    assert x.grad.item() == 1
    del y  # freeing the graph must not recurse either


def test_a_deep_graph_of_shared_nodes_is_walked_once():
    x = leaf()
    y = x
    for _ in range(200):  # 2^200 paths
        y = y * 0.5 + y * 0.5
    y.backward()
    assert x.grad.item() == pytest.approx(1)


def test_backward_twice_needs_retain_graph():
    x = leaf(3)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_allclose(x.grad.data, 4 * x.data)
    with pytest.raises(RuntimeError, match=r"second time.*retain_graph=True"):
        y.backward()


def test_non_scalar_backward():
    with pytest.raises(RuntimeError, match=r"shape \(2, 3\) has 6 elements.*loss.mean\(\)"):
        (leaf(2, 3) * 2.0).backward()


def test_upstream_gradient_of_the_wrong_shape():
    with pytest.raises(ValueError, match=r"upstream gradient has shape \(3,\), the tensor \(2, 3\)"):
        (leaf(2, 3) * 2.0).backward(np.ones(3))


def test_backward_without_a_graph():
    with pytest.raises(RuntimeError, match="does not depend on any that requires grad"):
        mg.ones(1).backward()
    with mg.no_grad():
        y = leaf(3).sum()
    with pytest.raises(RuntimeError, match="not under no_grad"):
        y.backward()


# grad


def test_grad_leaves_grad_attributes_alone():
    x, y = leaf(3), leaf(3)
    dx, dy = mg.grad((x * y).sum(), [x, y])
    np.testing.assert_array_equal(dx.data, y.data)
    np.testing.assert_array_equal(dy.data, x.data)
    assert x.grad is None
    assert y.grad is None


def test_grad_of_an_intermediate_result():
    x = leaf(3)
    y = x * 2.0
    z = mg.exp(y).sum()
    dy, dx = mg.grad(z, [y, x])
    np.testing.assert_allclose(dy.data, np.exp(y.data))
    np.testing.assert_allclose(dx.data, 2 * np.exp(y.data))


def test_grad_of_several_outputs_with_upstream():
    x = leaf(3)
    (dx,) = mg.grad([x * 2.0, x * x], x, [mg.ones(3, dtype=np.float64), mg.full((3,), 3.0, dtype=np.float64)])
    np.testing.assert_allclose(dx.data, 2 + 6 * x.data)


def test_grad_of_one_output_given_twice():
    x = leaf()
    y = x * 2.0
    assert mg.grad([y, y], x)[0].item() == 4


def test_seeds_and_paths_add_up_for_0d_tensors():
    x, y = leaf(), leaf()
    total = x + y
    assert mg.grad([x, x, total, total * 2.0], x, [mg.ones((), dtype=np.float64)] * 4)[0].item() == 5


def test_grad_runs_only_the_rules_on_the_way():
    ran = []

    class Spy(Function):
        def forward(self, x):
            return x * 1

        def backward(self, grad):
            ran.append(1)
            return grad

    x, y = leaf(3), leaf(3)
    loss = (x * 2.0 + Spy()(y)).sum()
    mg.grad(loss, x)
    assert not ran
    mg.grad((x * 2.0 + Spy()(y)).sum(), y)
    assert ran


def test_grad_of_an_unused_input():
    x, y = leaf(3), leaf(3)
    with pytest.raises(RuntimeError, match=r"do not depend on input 1 \(shape \(3,\)\).*allow_unused"):
        mg.grad(x.sum(), [x, y])
    assert mg.grad(x.sum(), [x, y], allow_unused=True)[1] is None


def test_grad_refusals():
    x = leaf(3)
    with pytest.raises(RuntimeError, match=r"input 0 .* does not require grad"):
        mg.grad(x.sum(), mg.ones(3))
    with pytest.raises(ValueError, match="1 outputs but 2 grad_outputs"):
        mg.grad(x, x, [x, x])


def test_gradients_of_gradients():
    x = leaf(3)
    (first,) = mg.grad((x**4).sum(), x, create_graph=True)
    (second,) = mg.grad(first.sum(), x, create_graph=True)
    (third,) = mg.grad(second.sum(), x)
    np.testing.assert_allclose(third.data, 24 * x.data)


def test_backward_of_a_gradient_penalty():
    x = leaf(3)
    (g,) = mg.grad((x**3).sum(), x, create_graph=True)
    (g * g).sum().backward()
    np.testing.assert_allclose(x.grad.data, 36 * x.data**3)


def test_create_graph_backward_accumulates_differentiable_gradients():
    x = leaf(2)
    (x**3).sum().backward(create_graph=True)
    assert x.grad.requires_grad
    (second,) = mg.grad(x.grad.sum(), x)
    np.testing.assert_allclose(second.data, 6 * x.data)


# no_grad


def test_no_grad_and_enable_grad():
    x = leaf(3)
    with mg.no_grad():
        assert not (x * 2.0).requires_grad
        with mg.enable_grad():
            assert (x * 2.0).requires_grad
        assert not mg.is_grad_enabled()
    assert mg.is_grad_enabled()


def test_no_grad_as_a_decorator_and_through_errors():
    @mg.no_grad()
    def f(n):
        assert not mg.is_grad_enabled()
        return f(n - 1) if n else 0

    f(3)
    with pytest.raises(ZeroDivisionError), mg.no_grad():
        raise ZeroDivisionError
    assert mg.is_grad_enabled()


# hooks


def test_hooks_see_and_replace_the_whole_gradient():
    x = leaf(3)
    y = x * 2.0
    seen = []
    handle = y.register_hook(lambda g: seen.append(g.data.copy()))
    y.register_hook(lambda g: g * 10.0)
    (y + y).sum().backward(retain_graph=True)
    np.testing.assert_array_equal(seen, [[2, 2, 2]])  # once, after both uses
    np.testing.assert_array_equal(x.grad.data, [40, 40, 40])
    handle.remove()
    (y + y).sum().backward()
    assert len(seen) == 1


def test_hook_on_a_leaf():
    x = leaf(3)
    x.register_hook(lambda g: g * 0.0)
    (x * 2.0).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [0, 0, 0])


def test_hook_on_one_of_several_outputs():
    x = leaf(4)
    first, second = mg.split(x, 2)
    first.register_hook(lambda g: g * 5.0)
    (first + second).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [5, 5, 1, 1])


def test_hook_refusals():
    with pytest.raises(RuntimeError, match="does not require grad"):
        mg.ones(3).register_hook(print)
    x = leaf(3)
    x.register_hook(lambda g: g.sum())
    with pytest.raises(ValueError, match=r"hook returned shape \(\) for a gradient of shape \(3,\)"):
        (x * 2.0).sum().backward()


def test_retain_grad():
    x = leaf(3)
    y = x * 2.0
    y.retain_grad()
    (y * 3.0).sum().backward()
    np.testing.assert_array_equal(y.grad.data, [3, 3, 3])
    z = x * 2.0
    z.sum().backward()
    assert z.grad is None


# in-place and versions


def test_input_written_to_before_backward():
    x = leaf(3)
    y = (x * x).sum()
    with mg.no_grad():
        x.add_(1.0)
    with pytest.raises(RuntimeError, match=r"input or output of Mul, .* was modified in place.*\.clone\(\)"):
        y.backward()


def test_constant_or_output_not_needed_may_be_written_to():
    x = leaf(3)
    y = x * 2.0
    loss = y.sum()  # a sum saves nothing
    with mg.no_grad():
        y.add_(1.0)
    loss.backward()


def test_in_place_on_what_requires_grad():
    x = leaf(3)
    with pytest.raises(RuntimeError, match=r"add_ on a leaf that requires grad.*no_grad.*clone"):
        x.add_(1.0)
    with pytest.raises(RuntimeError, match=r"leaf that requires grad.*clone"):
        x[0] = 1.0
    with mg.no_grad():
        x[0] = 1.0
        x.zero_()
    np.testing.assert_array_equal(x.data, 0)


def test_augmented_assignment_keeps_the_graph():
    x = leaf(3)
    y = x * 2.0
    before, memory = y, y.data
    y += x
    y *= 3.0
    assert before is y
    assert y.data is memory
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, [9, 9, 9])


def test_augmented_assignment_is_in_place_outside_the_graph():
    x = mg.ones(3)
    same = x
    x += 1.0
    assert same is x
    np.testing.assert_array_equal(x.data, 2)


# memory


def test_gradients_share_no_memory():
    x, y = leaf(3), leaf(3)
    upstream = np.ones(3)
    (x + y).backward(upstream)
    assert not np.shares_memory(x.grad.data, y.grad.data)
    assert not np.shares_memory(x.grad.data, upstream)
    x.grad.data += 1
    np.testing.assert_array_equal(y.grad.data, [1, 1, 1])


@pytest.mark.parametrize(
    "op",
    [
        lambda x: x.sum(),
        lambda x: mg.expand(x, 2, 3).sum(),
        lambda x: x[::-1].sum(),
        lambda x: x.reshape(3, 1).T.sum(),
        lambda x: Identity()(x).sum(),
    ],
)
def test_grad_is_a_writable_array_of_its_own(op):
    x = leaf(3)
    op(x).backward()
    kept = x.grad.data.copy()
    x.grad.data += 1
    assert x.grad.data.base is None
    x.grad = None
    op(x).backward()
    np.testing.assert_array_equal(x.grad.data, kept)


def test_accumulating_changes_nobody_elses_gradient():
    x = leaf(3)
    y = x * 1.0
    seen = []
    y.register_hook(lambda g: seen.append(g))
    (y + x).sum().backward()
    np.testing.assert_array_equal(seen[0].data, [1, 1, 1])
    np.testing.assert_array_equal(x.grad.data, [2, 2, 2])


def test_graphs_are_freed_at_once():
    """No cycles: without the garbage collector, the graph goes when its last tensor goes."""
    gc.collect()
    gc.disable()
    try:
        x = leaf(4, 4)
        y = mg.softmax(x @ x.T)
        parts = mg.split(mg.layer_norm(y), 2)
        loss = (parts[0] * parts[1]).sum() + mg.dropout(y, 0.5).sum()
        nodes = [weakref.ref(y), weakref.ref(parts[0]), weakref.ref(loss)]
        loss.backward(create_graph=True)
        x.grad = None
        del y, parts, loss
        assert [ref() for ref in nodes] == [None] * 3
    finally:
        gc.enable()


class Watched(np.ndarray):
    """An array that can be weakly referenced."""


@pytest.mark.parametrize("retain_graph", [False, True])
def test_backward_frees_what_the_rules_saved(retain_graph):
    x, constant = leaf(1000), Tensor(np.ones(1000).view(Watched))
    saved = weakref.ref(constant.data)
    y = x * constant
    del constant
    assert saved() is not None
    y.sum().backward(retain_graph=retain_graph)
    assert (saved() is None) == (not retain_graph)


def test_results_without_gradient_hold_no_graph():
    x = leaf(3)
    assert (x.detach() * 2.0).grad_fn is None
    assert x.argmax().grad_fn is None


# rules that are wrong


def rule_returning(value, forward=lambda x: x * 2):
    class Bad(Function):
        def forward(self, x):
            return forward(x)

        def backward(self, grad):
            return value(grad)

    return Bad()


def test_gradient_of_the_wrong_shape():
    with pytest.raises(mg.GradientError, match=r"Bad.backward gave .* \(2, 2\) for input 0 of shape \(3,\).*rule at"):
        rule_returning(lambda g: np.ones((2, 2)))(leaf(3)).sum().backward()


def test_gradient_of_the_wrong_dtype():
    with pytest.raises(mg.GradientError, match="float64 gradient for input 0, which is float32"):
        rule_returning(lambda g: g.astype(np.float64))(leaf(3, dtype=np.float32)).sum().backward()


def test_gradient_that_is_no_array():
    with pytest.raises(mg.GradientError, match=r"Bad.backward gave a str for input 0"):
        rule_returning(lambda g: "2")(leaf(3)).sum().backward()


def test_too_many_gradients():
    with pytest.raises(mg.GradientError, match="returned 2 gradients for 1 inputs"):
        rule_returning(lambda g: (g, g))(leaf(3)).sum().backward()


def test_the_error_names_the_forward_line_under_detect_anomaly():
    with pytest.raises(mg.GradientError, match=r"called at .*test_engine.py"), mg.detect_anomaly():
        rule_returning(lambda g: np.ones((2, 2)))(leaf(3)).sum().backward()


def test_a_function_without_a_rule():
    class OneWay(Function):
        def forward(self, x):
            return x + 1

    with pytest.raises(NotImplementedError, match="OneWay is not differentiable"):
        OneWay()(leaf(3)).sum().backward()
    with pytest.raises(NotImplementedError, match="Function has no forward"):
        Function()(leaf(3))


# broadcasting


@pytest.mark.parametrize("shape", [(), (1,), (4,), (3, 1), (1, 4), (3, 4), (2, 1, 1), (1, 1, 4), (2, 3, 4)])
def test_unbroadcast(shape):
    g = np.random.default_rng(0).standard_normal((2, 3, 4))
    repeated = np.broadcast_to(np.zeros(shape), (2, 3, 4))
    axes = tuple(i for i, stride in enumerate(repeated.strides) if stride == 0 and repeated.shape[i] > 1)
    np.testing.assert_allclose(unbroadcast(g, shape), g.sum(axes).reshape(shape))


@pytest.mark.parametrize("shape", [(2,), (4, 3), (1, 2, 3, 4)])
def test_unbroadcast_of_what_was_not_broadcast(shape):
    with pytest.raises(ValueError, match="not a broadcast"):
        unbroadcast(np.zeros((2, 3, 4)), shape)


def test_your_own_function():
    class Cube(Function):
        def forward(self, x):
            self.save_for_backward(x)
            return x**3

        def backward(self, grad):
            (x,) = self.saved
            return 3 * x * x * grad

    assert mg.gradcheck(Cube.apply, leaf(3), order=3, atol=1e-5)


def test_a_function_of_several_outputs():
    class SinCos(Function):
        def forward(self, x):
            sine, cosine = np.sin(x), np.cos(x)
            self.save_for_backward(sine, cosine)
            return sine, cosine

        def backward(self, dsine, dcosine):
            sine, cosine = self.saved
            return dsine * cosine - dcosine * sine

    assert mg.gradcheck(lambda x: SinCos()(x), leaf(3), order=2)
    assert mg.gradcheck(lambda x: SinCos()(x)[1], leaf(3), order=2)


def test_needs_input_grad():
    seen = []

    class Needs(Function):
        def forward(self, x, y):
            seen.append(self.needs_input_grad)
            return x + y

        def backward(self, grad):
            return grad, None

    Needs()(leaf(3), mg.ones(3, dtype=np.float64)).sum().backward()
    assert seen == [(True, False)]


@given(st.permutations(range(3)), st.integers(0, 2), st.booleans())
def test_split_joins_gradients_without_a_copy_only_where_they_lie_side_by_side(order, dim, same_array):
    together = np.arange(12.0**3).reshape(12, 12, 12)[..., ::-1].swapaxes(0, 1)  # any strides will do
    pieces = np.split(together, (3, 7), axis=dim)
    grads = [pieces[i] if same_array else pieces[i].copy() for i in order]
    joined = Split([g.shape[dim] for g in grads], dim).backward(*grads)
    np.testing.assert_array_equal(joined, np.concatenate(grads, dim))
    assert np.shares_memory(joined, together) == (same_array and list(order) == [0, 1, 2])
