"""Each sampling option against its definition, and the draw against the distribution it is to have."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.errors import UserError
from models.generation.sampling import (
    Sampling,
    draw,
    keep_top_k,
    keep_top_p,
    penalize_repetition,
    probabilities,
)

shapes = st.tuples(st.integers(1, 3), st.integers(1, 12))
logits_arrays = shapes.flatmap(lambda shape: arrays(np.float64, shape, elements=st.floats(-20, 20)))
tied_arrays = shapes.flatmap(lambda shape: arrays(np.float64, shape, elements=st.integers(-2, 2).map(float)))
any_logits = logits_arrays | tied_arrays


@given(any_logits, st.integers(1, 15))
def test_top_k_keeps_what_fewer_than_k_exceed(logits, k):
    kept = keep_top_k(logits, k)
    for row, result in zip(logits, kept, strict=True):
        for value, out in zip(row, result, strict=True):
            assert out == (value if (row > value).sum() < k else -math.inf)


@given(any_logits, st.floats(0.01, 1))
def test_top_p_keeps_the_smallest_set_that_reaches_p(logits, p):
    kept = keep_top_p(logits, p)
    for row, out in zip(probabilities(logits), kept > -math.inf, strict=True):
        assert out.any()
        assert row[out].sum() >= p - 1e-9  # it reaches p
        if out.sum() > 1:
            assert row[out].sum() - row[out].min() < p + 1e-9  # and no longer without its unlikeliest token
        if not out.all():
            assert row[out].min() >= row[~out].max() - 1e-12  # no token outside is likelier
    assert (logits[kept > -math.inf] == kept[kept > -math.inf]).all()


def test_top_p_against_every_subset():
    row = np.log([0.4, 0.3, 0.2, 0.1])
    for p in (0.05, 0.4, 0.41, 0.69, 0.71, 0.89, 0.91, 1.0):
        reaching = [
            s
            for n in range(1, 5)
            for s in itertools.combinations(range(4), n)
            if sum(np.exp(row[list(s)])) >= p - 1e-12
        ]
        smallest = min(reaching, key=lambda s: (len(s), -sum(np.exp(row[list(s)]))))
        assert tuple(np.flatnonzero(keep_top_p(row[None], p)[0] > -math.inf)) == smallest, p


@given(any_logits, st.floats(0.1, 5), st.randoms(use_true_random=False))
def test_repetition_penalty_is_ctrls(logits, penalty, random):
    seen = np.array([[random.random() < 0.5 for _ in row] for row in logits])
    result = penalize_repetition(logits, seen, penalty)
    for value, was_seen, out in zip(logits.flat, seen.flat, result.flat, strict=True):
        assert out == (value if not was_seen else value / penalty if value > 0 else value * penalty)


@given(logits_arrays)
def test_probabilities_are_a_softmax(logits):
    p = probabilities(logits)
    np.testing.assert_allclose(p.sum(-1), 1)
    np.testing.assert_allclose(np.log(p), logits - np.log(np.exp(logits).sum(-1, keepdims=True)), atol=1e-9)
    assert (probabilities(np.array([[0, -math.inf, 1e300]])) == [[0, 0, 1]]).all()


def test_draw_inverts_the_cumulative_distribution():
    p = np.array([[0.0, 0.25, 0.0, 0.5, 0.25, 0.0]])
    for uniform, token in {0.0: 1, 0.2499: 1, 0.25: 3, 0.7499: 3, 0.75: 4, 1 - 2**-53: 4}.items():
        assert draw(p, np.array([uniform])) == [token]


@given(any_logits, st.floats(0, 1, exclude_max=True))
def test_impossible_tokens_are_never_drawn(logits, uniform):
    kept = keep_top_k(logits, 2)
    drawn = draw(probabilities(kept), np.full(len(logits), uniform))
    assert (kept[np.arange(len(kept)), drawn] > -math.inf).all()


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(), [0.4, 0.3, 0.2, 0.1]),
        (Sampling(temperature=0.5), [16 / 30, 9 / 30, 4 / 30, 1 / 30]),
        (Sampling(top_k=2), [4 / 7, 3 / 7, 0, 0]),
        (Sampling(top_p=0.75), [4 / 9, 3 / 9, 2 / 9, 0]),
        (Sampling(top_k=3, top_p=0.5), [4 / 7, 3 / 7, 0, 0]),  # 4/9 of what top_k left does not reach 0.5
        (Sampling(repetition_penalty=2), [0.16 / 0.76, 0.3 / 0.76, 0.2 / 0.76, 0.1 / 0.76]),  # token 0 squared
    ],
)
def test_frequencies_of_what_is_chosen(sampling, expected):
    """Chi-square at a fixed seed: 99.9% of right samplers stay below 16.27 (3 degrees of freedom)."""
    n = 20_000
    logits = np.tile(np.log([0.4, 0.3, 0.2, 0.1]), (n, 1))
    seen = np.zeros((n, 4), bool)
    seen[:, 0] = True
    chosen = sampling.choose(logits, seen, np.random.default_rng(0).random(n))
    counts = np.bincount(chosen, minlength=4)
    possible = np.array(expected) > 0
    assert (counts[~possible] == 0).all()
    expectation = n * np.array(expected)[possible]
    assert ((counts[possible] - expectation) ** 2 / expectation).sum() < 16.27


@given(any_logits, st.floats(0, 0.99))
def test_temperature_0_and_top_k_1_take_the_likeliest(logits, uniform):
    uniform = np.full(len(logits), uniform)
    seen = np.zeros(logits.shape, bool)
    greedy = Sampling(temperature=0).choose(logits, seen, uniform)
    assert (greedy == logits.argmax(-1)).all()
    top_1 = Sampling(top_k=1).choose(logits, seen, uniform)
    assert (logits[np.arange(len(logits)), top_1] == logits.max(-1)).all()  # one of those that tie


def test_choose_leaves_float32_logits_alone():
    logits = np.array([[1, 2, 3]], np.float32)
    before = logits.copy()
    Sampling(0.5, 2, 0.9, 1.5).choose(logits, np.ones((1, 3), bool), np.array([0.5]))
    assert (logits == before).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -0.1}, "temperature -0.1: expected 0"),
        ({"temperature": math.nan}, "temperature nan"),
        ({"temperature": math.inf}, "temperature inf"),
        ({"top_k": 0}, "top_k 0: expected at least 1"),
        ({"top_p": 0}, "top_p 0: expected a probability above 0"),
        ({"top_p": 1.1}, "top_p 1.1: expected a probability"),
        ({"top_p": math.nan}, "top_p nan"),
        ({"repetition_penalty": 0}, "repetition_penalty 0: expected a positive number"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(UserError, match=message):
        Sampling(**options)


def chosen(row, uniform=0.5, **options) -> int:
    logits = np.array([row])
    return int(Sampling(**options).choose(logits, np.zeros(logits.shape, bool), np.array([uniform]))[0])


@given(any_logits, st.sampled_from([1e-3, 1e-30, 1e-300, 5e-324]), st.floats(0, 0.99))
def test_near_temperature_0_only_the_likeliest_are_drawn(logits, temperature, uniform):
    seen = np.zeros(logits.shape, bool)
    token = Sampling(temperature=temperature).choose(logits * 1000, seen, np.full(len(logits), uniform))
    tie = 40 * temperature / 1000  # a logit that is nearer than this is drawn once in e^40 times, or more often
    assert (logits[np.arange(len(logits)), token] >= logits.max(-1) - tie).all()


@pytest.mark.parametrize("temperature", [0, 5e-324, 1e-30, 1.0, 1e308])
@pytest.mark.parametrize("options", [{}, {"top_k": 2}, {"top_p": 0.5}, {"repetition_penalty": 1e308}])
def test_infinite_logits(temperature, options):
    inf = math.inf
    assert chosen([0.0, inf, 5.0], temperature=temperature, **options) == 1
    assert chosen([-inf, -inf, -3.0, -inf], temperature=temperature, **options) == 2
    assert chosen([1.7e308, -1.7e308, -inf], temperature=min(temperature, 1), **options) == 0
    for uniform in (0.0, 0.3, 0.99):
        assert chosen([inf, 1e308, -inf, inf], uniform, temperature=temperature, **options) in (0, 3)


def test_several_infinite_logits_share_the_probability():
    np.testing.assert_array_equal(probabilities(np.array([[math.inf, 3.0, math.inf, -math.inf]])), [[0.5, 0, 0.5, 0]])


@pytest.mark.parametrize("temperature", [0, 0.7])
def test_logits_that_name_no_token(temperature):
    with pytest.raises(UserError, match="hold NaN"):
        chosen([0.0, math.nan, 1.0], temperature=temperature)
    with pytest.raises(UserError, match="every token has a logit of -inf"):
        chosen([-math.inf, -math.inf], temperature=temperature)


def test_a_huge_vocabulary():
    logits = np.zeros((1, 300_000), np.float32)
    logits[0, 299_999] = 30
    seen = np.zeros(logits.shape, bool)
    assert Sampling(top_k=1).choose(logits, seen, np.array([0.999999])) == [299_999]
    assert Sampling(top_p=0.9).choose(logits, seen, np.array([0.999999])) == [299_999]
    flat = Sampling(top_p=0.5).choose(np.zeros((1, 300_000)), seen, np.array([1 - 2**-53]))
    assert 149_990 < flat[0] < 150_010  # the fewest that hold half of the probability, the lower ids first
