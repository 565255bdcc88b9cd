"""The digits that the lessons draw."""

import numpy as np

from lessons.material.digits import digits


def test_shapes_and_seeds():
    images, labels = digits(40, seed=1)
    assert images.shape == (40, 16, 16)
    assert images.dtype == np.float32
    assert labels.dtype == np.int64
    assert set(labels.tolist()) <= set(range(10))
    again, _ = digits(40, seed=1)
    other, _ = digits(40, seed=2)
    assert np.array_equal(images, again)
    assert not np.array_equal(images, other)


def test_a_zero_has_a_hole_and_an_upright_one_has_none():
    images, labels = digits(300, seed=0, noise=0)
    assert images.min() == 0
    assert images.max() == 1
    middle = images[:, 7:9, 7:9].mean((1, 2))
    assert np.median(middle[labels == 0]) < 0.2
    assert np.median(middle[labels == 1]) > 0.5


def test_digits_are_alike_within_a_class_and_differ_between():
    images, labels = digits(400, seed=3)
    means = np.stack([images[labels == digit].mean(0).ravel() for digit in range(10)])
    nearest = ((images.reshape(-1, 1, 256) - means) ** 2).sum(-1).argmin(1)
    assert (nearest == labels).mean() > 0.5
