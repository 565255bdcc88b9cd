"""Draws with given probabilities: their frequencies, their seeds, and what is refused."""

import numpy as np
import pytest

import minigrad as mg


def test_frequencies_of_multinomial():
    mg.manual_seed(1)
    weights = mg.tensor([[1.0, 0.0, 3.0], [2.0, 2.0, 0.0]])
    drawn = mg.multinomial(weights, 20_000, replacement=True)
    assert drawn.dtype == mg.int64
    for row, expected in zip(drawn.data, [[0.25, 0, 0.75], [0.5, 0.5, 0]], strict=True):
        np.testing.assert_allclose(np.bincount(row, minlength=3) / 20_000, expected, atol=0.02)
        assert np.bincount(row, minlength=3)[np.array(expected) == 0].sum() == 0


def test_without_replacement_no_class_comes_twice():
    mg.manual_seed(1)
    weights = mg.tensor([0.0, 5.0, 1.0, 1.0])
    first = []
    for _ in range(2000):
        drawn = mg.multinomial(weights, 3).tolist()
        assert sorted(drawn) == [1, 2, 3]
        first.append(drawn[0])
    assert first.count(1) / 2000 == pytest.approx(5 / 7, abs=0.04)


def test_bernoulli_and_normal():
    mg.manual_seed(2)
    p = mg.tensor([0.0, 0.25, 1.0]).expand(10_000, 3)
    np.testing.assert_allclose(mg.bernoulli(p).data.mean(0), [0, 0.25, 1], atol=0.02)
    assert mg.bernoulli(mg.zeros(1000), 0.5).data.mean() == pytest.approx(0.5, abs=0.1)
    drawn = mg.normal(mg.tensor([0.0, 10.0]).expand(10_000, 2), mg.tensor([1.0, 3.0]))
    np.testing.assert_allclose(drawn.data.mean(0), [0, 10], atol=0.15)
    np.testing.assert_allclose(drawn.data.std(0), [1, 3], atol=0.1)
    assert mg.normal(1.0, 2.0, (2, 3)).shape == (2, 3)


@pytest.mark.parametrize(
    "draw",
    [
        lambda g: mg.rand(3, generator=g),
        lambda g: mg.randn(3, generator=g),
        lambda g: mg.randint(0, 9, (3,), generator=g),
        lambda g: mg.randperm(5, generator=g),
        lambda g: mg.multinomial(mg.ones(9), 4, generator=g),
        lambda g: mg.bernoulli(mg.full((9,), 0.5), generator=g),
        lambda g: mg.normal(0.0, 1.0, (3,), generator=g),
    ],
)
def test_a_generator_is_a_stream_of_its_own(draw):
    state = mg.get_rng_state()
    own = mg.Generator().manual_seed(7)
    before = own.get_state()
    first = draw(own).tolist()
    assert own.initial_seed() == 7
    assert mg.get_rng_state() == state
    own.set_state(before)
    assert draw(own).tolist() == first == draw(mg.Generator().manual_seed(7)).tolist()


REFUSED = {
    "negative": (lambda: mg.multinomial(mg.tensor([1.0, -1.0]), 1), ValueError, "finite and not negative"),
    "none": (lambda: mg.multinomial(mg.zeros(3), 1, replacement=True), ValueError, "0 positive weights"),
    "too many": (lambda: mg.multinomial(mg.tensor([1.0, 0.0]), 2), ValueError, "1 positive weights"),
    "integers": (lambda: mg.multinomial(mg.arange(3), 1), ValueError, "int64"),
    "p": (lambda: mg.bernoulli(mg.tensor([1.5])), ValueError, r"\[0, 1\]"),
    "std": (lambda: mg.normal(mg.zeros(2), mg.tensor([1.0, -1.0])), ValueError, "negative"),
    "size": (lambda: mg.normal(0.0, 1.0), TypeError, "of which size"),
    "seed": (lambda: mg.Generator().manual_seed(-1), ValueError, "-1"),
    "device": (lambda: mg.Generator("cuda"), ValueError, "live on the CPU"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    call, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        call()
