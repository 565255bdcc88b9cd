"""Distances at their edges: vectors of length 0, of no elements, no vectors, negative dims."""

import numpy as np
import pytest

import minigrad as mg

VALUES = {
    "normalize, 0 stays 0": (
        lambda: mg.normalize(mg.tensor([[0.0, 0.0], [3.0, 4.0]])),
        np.float32([[0, 0], [0.6, 0.8]]),
    ),
    "normalize along -2": (lambda: mg.normalize(mg.tensor([[3.0], [4.0]]), dim=-2), np.float32([[0.6], [0.8]])),
    "normalize by p=1": (lambda: mg.normalize(mg.tensor([[1.0, 3.0]]), p=1.0), [[0.25, 0.75]]),
    "normalize nothing": (lambda: mg.normalize(mg.zeros(0, 3)), np.zeros((0, 3))),
    "normalize integers": (lambda: mg.normalize(mg.tensor([[0, 2]])), [[0.0, 1.0]]),
    "cosine with 0": (lambda: mg.cosine_similarity(mg.zeros(1, 2), mg.ones(1, 2)), [0.0]),
    "cosine broadcasts": (
        lambda: mg.cosine_similarity(mg.tensor([[2.0, 0.0], [0.0, -3.0]]), mg.tensor([[0.0, 1.0]])),
        [0.0, -1.0],
    ),
    "cosine of vectors": (lambda: mg.cosine_similarity(mg.tensor([2.0]), mg.tensor([-5.0]), dim=-1), -1.0),
    "pairwise, kept": (
        lambda: mg.pairwise_distance(mg.zeros(2, 1), mg.zeros(2, 1), eps=0.5, keepdim=True),
        [[0.5], [0.5]],
    ),
    "cdist to none": (lambda: mg.cdist(mg.ones(2, 3), mg.ones(0, 3)), np.zeros((2, 0))),
    "cdist of empty vectors": (lambda: mg.cdist(mg.ones(2, 0), mg.ones(3, 0)), np.zeros((2, 3))),
    "cdist, the largest": (lambda: mg.cdist(mg.tensor([[0.0, 0.0]]), mg.tensor([[1.0, -4.0]]), p=np.inf), [[4.0]]),
    "cdist, how many differ": (lambda: mg.cdist(mg.tensor([[0.0, 1.0]]), mg.tensor([[0.0, 2.0]]), p=0), [[1.0]]),
}
REFUSED = {
    "cdist of vectors": (lambda: mg.cdist(mg.ones(3), mg.ones(3)), ValueError, "expected .…, n, d. and"),
    "cdist of other sizes": (lambda: mg.cdist(mg.ones(2, 3), mg.ones(2, 4)), ValueError, r"\(2, 3\) and \(2, 4\)"),
    "normalize": (lambda: mg.normalize(mg.ones(3)), IndexError, "dim 1 of a tensor with 1 dimensions"),
    "cosine": (lambda: mg.cosine_similarity(mg.ones(2, 3), mg.ones(2, 4)), ValueError, "do not go together"),
}


@pytest.mark.parametrize(("call", "expected"), VALUES.values(), ids=VALUES)
def test_values(call, expected):
    result = call()
    np.testing.assert_array_equal(result.data, expected)
    assert result.shape == np.shape(expected)


@pytest.mark.parametrize(("call", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_in_words(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, np.inf])
def test_the_gradient_at_distance_0_is_0(p):
    x = mg.ones(2, 3, requires_grad=True)
    mg.cdist(x, x).diagonal().sum().backward()
    np.testing.assert_array_equal(x.grad.data, 0)
