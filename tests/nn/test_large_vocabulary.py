"""Negative sampling, hierarchical softmax, and the trees and tables below them."""

import heapq

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
import nn
from nn import functional as F
from nn.alias import alias_table
from nn.huffman import huffman_paths, huffman_tree

rng = np.random.default_rng(0)
counts_lists = st.lists(st.integers(0, 1000), min_size=2, max_size=60)


# Huffman's tree.


@given(counts_lists)
def test_no_tree_has_shorter_paths(counts):
    """The cost, Σ count·depth, is the sum of all merged weights, here by the textbook's priority queue."""
    heap = list(counts)
    heapq.heapify(heap)
    cost = 0
    while len(heap) > 1:
        merged = heapq.heappop(heap) + heapq.heappop(heap)
        cost += merged
        heapq.heappush(heap, merged)
    _, signs = huffman_paths(huffman_tree(counts), np.arange(len(counts)))
    assert ((signs != 0).sum(1) * counts).sum() == cost


@given(counts_lists)
def test_paths_are_a_full_binary_tree(counts):
    nodes, signs = huffman_paths(huffman_tree(counts), np.arange(len(counts)))
    depth = (signs != 0).sum(1)
    assert (0.5**depth).sum() == 1  # Kraft's equality: no code is missing and none is another's prefix
    codes = {tuple(zip(n[:d][::-1], s[:d][::-1], strict=True)) for n, s, d in zip(nodes, signs, depth, strict=True)}
    assert len(codes) == len(counts)
    for code in codes:
        assert code[0][0] == len(counts) - 2  # the root comes first, seen from above


def test_frequent_words_have_short_paths():
    _, signs = huffman_paths(huffman_tree([1000, 500, 20, 10, 5, 1]), np.arange(6))
    assert (signs != 0).sum(1).tolist() == [1, 2, 3, 4, 5, 5]


# The alias table.


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50).filter(lambda weights: sum(weights) > 0))
def test_an_alias_table_holds_the_distribution(weights):
    thresholds, aliases = alias_table(weights)
    found = thresholds.copy()
    np.add.at(found, aliases, 1 - thresholds)
    assert (thresholds >= 0).all()
    np.testing.assert_allclose(found / len(weights), np.array(weights) / sum(weights), atol=1e-12)


def test_negatives_follow_the_counts_and_avoid_the_target():
    counts = np.array([1.0, 16.0, 81.0, 256.0])
    loss = nn.NegativeSamplingLoss(4, 2, counts, num_negatives=7)
    target = np.zeros(20_000, np.int64)
    negatives = loss.sample(target)
    assert negatives.shape == (20_000, 7)
    shares = np.bincount(negatives.reshape(-1), minlength=4) / negatives.size
    expected = np.array([0, 8, 27, 64]) / 99  # counts^0.75, without the target
    np.testing.assert_allclose(shares, expected, atol=4 * np.sqrt(0.25 / negatives.size))


# The losses, beside their formulas.


def leaf(*shape):
    return mg.tensor(rng.standard_normal(shape), requires_grad=True)


@pytest.mark.parity
def test_negative_sampling_against_torch():
    torch = pytest.importorskip("torch")
    hidden, weight = leaf(6, 4), leaf(9, 4)
    target, negatives = rng.integers(0, 9, 6), rng.integers(0, 9, (6, 3))
    loss = F.negative_sampling_loss(hidden, weight, mg.tensor(target), mg.tensor(negatives))
    loss.backward()

    theirs = [torch.tensor(x.detach().numpy(), requires_grad=True) for x in (hidden, weight)]
    h, w = theirs
    positive = torch.nn.functional.logsigmoid((w[target] * h).sum(1))
    negative = torch.nn.functional.logsigmoid(-torch.einsum("nd,nkd->nk", h, w[negatives])).sum(1)
    expected = -(positive + negative).mean()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    for x, y in zip((hidden, weight), theirs, strict=True):
        np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=1e-10, atol=1e-13)


@pytest.mark.parity
def test_hierarchical_softmax_against_torch():
    """The same product of decisions, walked down from the root one class at a time."""
    torch = pytest.importorskip("torch")
    counts = [50, 3, 8, 1, 1, 20, 4]
    layer = nn.HierarchicalSoftmax(7, 4, counts).double()
    layer.weight.data[:] = rng.standard_normal((6, 4))
    hidden, target = leaf(5, 4), np.array([0, 6, 3, 1, 3])
    loss = layer(hidden, mg.tensor(target))
    loss.backward()

    h = torch.tensor(hidden.detach().numpy(), requires_grad=True)
    w = torch.tensor(layer.weight.detach().numpy(), requires_grad=True)
    children = {}
    for child, step in enumerate(layer.tree.numpy()):
        children.setdefault(step >> 1, {})[step & 1] = child

    def log_p(row, node, wanted):
        """ln p of the wanted class below an inner node; None if it is not there."""
        for side, child in children[node].items():
            below = (torch.zeros(()) if child == wanted else None) if child < 7 else log_p(row, child - 7, wanted)
            if below is not None:
                return below + torch.nn.functional.logsigmoid((w[node] * h[row]).sum() * (-1 if side else 1))
        return None

    expected = -sum(log_p(row, 5, t) for row, t in enumerate(target)) / 5
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(hidden.grad.numpy(), h.grad.numpy(), rtol=1e-10)
    np.testing.assert_allclose(layer.weight.grad.numpy(), w.grad.numpy(), rtol=1e-10, atol=1e-15)


@given(counts_lists, st.integers(0, 100))
def test_hierarchical_probabilities_add_up_to_1(counts, seed):
    r = np.random.default_rng(seed)
    layer = nn.HierarchicalSoftmax(len(counts), 3, counts).double()
    layer.weight.data[:] = r.standard_normal(layer.weight.shape)
    hidden = mg.tensor(r.standard_normal((len(counts), 3)))
    log_p = layer.log_prob(hidden).detach().numpy()
    np.testing.assert_allclose(np.exp(log_p).sum(1), 1, rtol=1e-12)
    target = r.permutation(len(counts))
    layer.reduction = "none"
    losses = layer(hidden, mg.tensor(target)).detach().numpy()
    np.testing.assert_allclose(losses, -log_p[np.arange(len(target)), target], rtol=1e-9, atol=1e-12)


def test_extreme_scores_stay_finite():
    hidden = mg.tensor([[1e20]], dtype="float64", requires_grad=True)
    loss = F.negative_sampling_loss(
        hidden, mg.tensor([[-1.0], [1.0]], dtype="float64"), mg.tensor([0]), mg.tensor([[1]])
    )
    loss.backward()
    assert loss.item() == 2e20
    assert hidden.grad.numpy().tolist() == [[2.0]]


def test_a_state_dict_carries_the_tree_and_the_table():
    for layer in (nn.HierarchicalSoftmax, nn.NegativeSamplingLoss):
        ours, other = layer(5, 3, [5, 9, 1, 1, 30]), layer(5, 3)
        other.load_state_dict(ours.state_dict())
        for name, buffer in ours.named_buffers():
            np.testing.assert_array_equal(dict(other.named_buffers())[name].numpy(), buffer.numpy())


X, W = mg.zeros(2, 3), mg.zeros(4, 3)


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda: nn.HierarchicalSoftmax(1, 3), ValueError, "num_classes=1; with fewer than two"),
        (lambda: nn.NegativeSamplingLoss(1, 3), ValueError, "num_classes=1; with fewer than two"),
        (lambda: nn.HierarchicalSoftmax(3, 3, [1, 2]), ValueError, r"counts \(2,\); expected one for each of the 3"),
        (
            lambda: nn.NegativeSamplingLoss(3, 3, [1, -2, 0]),
            ValueError,
            "counts from -2.0 to 1.0; expected none",
        ),
        (lambda: huffman_tree([1, np.inf]), ValueError, "none below 0 or infinite"),
        (lambda: alias_table([0, 0]), ValueError, "not all of them 0"),
        (lambda: F.negative_sampling_loss(X, W, mg.tensor([0, 1]), mg.tensor([0, 1])), ValueError, r"\(n, k\)"),
        (lambda: F.negative_sampling_loss(X, W, mg.tensor([0]), mg.tensor([[0]])), ValueError, "expected .n, dim"),
        (lambda: F.negative_sampling_loss(X, W, mg.tensor([0, 4]), mg.tensor([[0], [1]])), IndexError, "4"),
        (lambda: F.hierarchical_softmax(X, W, mg.zeros(2), huffman_tree([1] * 5)), TypeError, "float32; expected"),
        (lambda: F.hierarchical_softmax(X, W, mg.tensor([0, 5]), huffman_tree([1] * 5)), IndexError, "target 5"),
    ],
)
def test_bad_input(act, error, message):
    with pytest.raises(error, match=message):
        act()
