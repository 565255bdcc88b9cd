"""The exercises of lesson 13: scores, weights, masks, and the attention kernel with its gradient."""

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad.kernels.reference import attention as kernel
from nn import alignment
from nn.alignment import _attend
from tests.lessons.exercises import expect

QUERY = np.array([[[1.0, 0.0]]])
KEYS = np.array([[[np.log(3), 5.0], [0.0, 7.0]]])
VALUES = np.array([[[8.0], [4.0]]])


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def softmax(scores):
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.fixture
def attend(monkeypatch):
    """What happens to the scores is exercise 13.3: here a stand-in for it in simple operations."""

    def stand_in(layer, score, query, key, value, key_padding_mask):
        if query.ndim == 2:
            results = stand_in(layer, score, query.reshape(len(query), 1, -1), key, value, key_padding_mask)
            return tuple(result[:, 0] for result in results)
        scores = score(query, key)
        if key_padding_mask is not None:
            scores = scores + mg.tensor(np.where(key_padding_mask[:, None], -1e9, 0.0), dtype=scores.dtype)
        e = mg.exp(scores - scores.detach().numpy().max())
        weights = e * e.sum(-1, keepdim=True) ** -1.0
        return mg.einsum("bqk,bkd->bqd", weights, key if value is None else value), weights

    monkeypatch.setattr(alignment, "_attend", stand_in)


@pytest.mark.usefixtures("attend")
class TestDotProduct:
    def test_an_example_for_a_pencil(self):
        """q = (1, 0) with keys (ln 3, 5) and (0, 7) gives weights 3/4 and 1/4; with values 8 and 4, context 7."""
        context, weights = nn.DotProductAttention()(*map(mg.tensor, (QUERY, KEYS, VALUES)))
        expect.close(weights, [[[0.75, 0.25]]], "the weights of keys (ln 3, 5) and (0, 7) for the query (1, 0)")
        expect.close(context, [[[7.0]]], "the context of the values 8 and 4")

    def test_scaled_divides_by_the_root_of_the_size(self):
        """With scaled=True a score is q·k/√d, d being the last size of the query: here √4 = 2."""
        query, keys = np.array([[[2.0, 0, 0, 0]]]), np.array([[[np.log(3), 1, 1, 1], [0, 2, 2, 2]]])
        _, weights = nn.DotProductAttention(scaled=True)(mg.tensor(query), mg.tensor(keys))
        expect.close(weights, [[[0.75, 0.25]]], "the weights for scores 2·ln 3 and 0, divided by √4")

    def test_many_queries_in_a_batch(self):
        """Weights (batch, queries, keys): the softmax, along the keys, of every query with every key of its batch."""
        query, keys, values = normal(2, 3, 5), normal(2, 4, 5, seed=1), normal(2, 4, 6, seed=2)
        for scaled in (False, True):
            scores = np.einsum("bqd,bkd->bqk", query, keys) / (5**0.5 if scaled else 1)
            context, weights = nn.DotProductAttention(scaled)(*map(mg.tensor, (query, keys, values)))
            expect.close(weights, softmax(scores), f"the weights of 3 queries and 4 keys, scaled={scaled}")
            expect.close(context, softmax(scores) @ values, f"the contexts, scaled={scaled}")

    def test_the_padding_is_passed_on(self):
        """A key that key_padding_mask marks gets the weight 0."""
        mask = np.array([[False, True, False]])
        _, weights = nn.DotProductAttention()(
            mg.tensor(normal(1, 2, 4)), mg.tensor(normal(1, 3, 4)), key_padding_mask=mask
        )
        expect.equal(weights.numpy()[0, :, 1], np.zeros(2), "the weights of the key that is padding")


@pytest.mark.usefixtures("attend")
class TestAdditive:
    def layer(self):
        return nn.AdditiveAttention(3, 4, 5, dtype="float64")

    def scores(self, layer, query, keys):
        """v·tanh(W q + U k), pair by pair."""
        W, U, v = (p.weight.detach().numpy() for p in (layer.query_proj, layer.key_proj, layer.score_proj))
        return np.array(
            [[[(v @ np.tanh(W @ q + U @ k))[0] for k in ks] for q in qs] for qs, ks in zip(query, keys, strict=True)]
        )

    def test_the_scores(self):
        """The weights are the softmax of v·tanh(W q + U k), computed here for each pair of query and key on its own."""
        layer, query, keys = self.layer(), normal(2, 3, 3), normal(2, 6, 4, seed=1)
        context, weights = layer(mg.tensor(query), mg.tensor(keys))
        expected = softmax(self.scores(layer, query, keys))
        expect.close(weights, expected, "the weights (batch, queries, keys)")
        expect.close(context, expected @ keys, "the contexts; without values the keys are averaged")

    def test_a_single_query(self):
        """A query (batch, query_dim), without a time, gives contexts (batch, value_dim) and weights (batch, keys)."""
        layer, query, keys = self.layer(), normal(2, 3), normal(2, 6, 4, seed=1)
        context, weights = layer(mg.tensor(query), mg.tensor(keys))
        expected = softmax(self.scores(layer, query[:, None], keys))
        expect.close(weights, expected[:, 0], "the weights of a single query")
        expect.close(context, (expected @ keys)[:, 0], "the context of a single query")

    def test_values_and_padding(self):
        """Values other than the keys are averaged, and padding gets the weight 0."""
        layer, query, keys, values = self.layer(), normal(1, 2, 3), normal(1, 3, 4, seed=1), normal(1, 3, 7, seed=2)
        context, weights = layer(*map(mg.tensor, (query, keys, values)), np.array([[False, False, True]]))
        expected = softmax(self.scores(layer, query, keys[:, :2]))
        expect.close(weights, np.pad(expected, ((0, 0), (0, 0), (0, 1))), "the weights with the last key hidden")
        expect.close(context, expected @ values[:, :2], "the average of the values")

    def test_its_gradient(self):
        """Finite differences agree: nothing on the way was taken out of the graph."""
        layer, values = self.layer(), mg.tensor(normal(2, 3, 2, seed=2))
        expect.gradients(
            lambda q, k: layer(q, k, values)[0], [normal(2, 2, 3), normal(2, 3, 4, seed=1)], "additive attention"
        )


class TestWeightsAndPadding:
    def attend(self, scores, values, mask=None):
        """_attend with given scores."""
        batch, queries, keys = scores.shape
        query, key = mg.tensor(normal(batch, queries, 2)), mg.tensor(normal(batch, keys, 3))
        return _attend("the layer", lambda q, k: mg.tensor(scores), query, key, mg.tensor(values), mask)

    def test_a_softmax_along_the_keys(self):
        """Each query's weights are positive and add up to 1; the contexts are the weighted averages."""
        scores, values = normal(2, 3, 3), normal(2, 3, 5, seed=1)
        context, weights = self.attend(scores, values)
        expect.close(weights, softmax(scores), "the weights of scores (2, 3, 3)")
        expect.close(context, softmax(scores) @ values, "the contexts")

    def test_padding_gets_no_weight_and_the_rest_adds_up_to_one(self):
        """Scores ln 3, 0 and one that is padding: the weights are 3/4, 1/4 and 0, whatever the padding's score."""
        for score in (-5.0, 0.0, 5.0):
            scores, mask = np.array([[[np.log(3), 0.0, score]]]), np.array([[False, False, True]])
            context, weights = self.attend(scores, np.array([[[8.0], [4.0], [99.0]]]), mask)
            expect.close(weights, [[[0.75, 0.25, 0.0]]], f"the weights; the last key is padding, its score {score}")
            expect.close(context, [[[7.0]]], "the context of values 8, 4 and padding")

    def test_each_sequence_has_its_own_padding(self):
        """Row b of key_padding_mask is for sequence b and all of its queries."""
        scores, mask = normal(2, 2, 2), np.array([[False, True], [True, False]])
        _, weights = self.attend(scores, normal(2, 2, 3), mask)
        expected = np.broadcast_to(~mask[:, None], (2, 2, 2)).astype(float)
        expect.close(weights, expected, "the weights where each sequence has one key left")

    def test_nothing_to_see(self):
        """Where all keys are padding, weights and context are 0, and no NaN reaches the gradient."""
        values = mg.tensor(normal(1, 2, 3), requires_grad=True)
        query = mg.tensor(normal(1, 1, 3), requires_grad=True)
        context, weights = nn.DotProductAttention()(query, values, key_padding_mask=np.array([[True, True]]))
        expect.equal(weights.detach().numpy(), np.zeros((1, 1, 2)), "the weights where all keys are padding")
        expect.equal(context.detach().numpy(), np.zeros((1, 1, 3)), "the context where all keys are padding")
        context.sum().backward()
        expect.holds(np.isfinite(query.grad.numpy()).all(), "the gradient with respect to the query is finite")

    def test_a_single_query(self):
        """A query (batch, query_dim) gives the results of a time of one, without that dimension."""
        keys, query = normal(2, 4, 3), normal(2, 3, seed=1)
        context, weights = nn.DotProductAttention()(mg.tensor(query), mg.tensor(keys))
        expected = softmax(np.einsum("bd,bkd->bk", query, keys))
        expect.close(weights, expected, "the weights (batch, keys) of a single query")
        expect.close(context, np.einsum("bk,bkd->bd", expected, keys), "the context (batch, value_dim)")


def call(q, k, v, mask=None, causal_offset=None, scale=1.0):
    return kernel.attention(q, k, v, mask, kernel.AttentionSettings(causal_offset, scale, 0.0, 0))


class TestForward:
    def test_an_example_for_a_pencil(self):
        """Scores ln 3 and 0: the weights are 3/4 and 1/4, the output 7, and lse is the log of 3 + 1."""
        out, lse = call(QUERY[None], KEYS[None], VALUES[None])
        expect.close(out, [[[[7.0]]]], "the output for values 8 and 4")
        expect.close(lse, [[[np.log(4)]]], "lse, the log of the sum of the exponentials")

    def test_scale_and_a_mask_that_is_added(self):
        """Scores are scale·q·k plus a float mask, which broadcasts over batch and heads."""
        q, k, v, mask = normal(2, 3, 4, 5), normal(2, 3, 6, 5, seed=1), normal(2, 3, 6, 2, seed=2), normal(1, 1, 4, 6)
        scores = 0.3 * q @ k.swapaxes(2, 3) + mask
        out, lse = call(q, k, v, mask, scale=0.3)
        expect.close(out, softmax(scores) @ v, "the output with scale 0.3 and a float mask")
        expect.close(lse, np.log(np.exp(scores).sum(-1)), "lse")

    def test_who_may_look(self):
        """A bool mask is True where a query may look; causal_offset lets query i see the keys up to i + offset."""
        q, k, v = normal(1, 1, 3, 4), normal(1, 1, 5, 4, seed=1), normal(1, 1, 5, 2, seed=2)
        for offset in (0, 2):
            allowed = np.array([[j <= i + offset for j in range(5)] for i in range(3)])
            scores = np.where(allowed, q @ k.swapaxes(2, 3), -np.inf)
            expect.close(call(q, k, v, None, offset)[0], softmax(scores) @ v, f"the output with causal_offset {offset}")
            expect.close(call(q, k, v, allowed[None, None])[0], softmax(scores) @ v, "the same by a bool mask")

    def test_large_scores(self):
        """Scores of 2000 do not overflow: subtract the largest before the exponential."""
        q, k = np.array([[[[1.0]]]]), np.array([[[[2000.0], [2000.0 - np.log(3)]]]])
        out, lse = call(q, k, VALUES[None])
        expect.close(out, [[[[7.0]]]], "the output for scores 2000 and 2000 - ln 3")
        expect.close(lse, [[[2000 + np.log(4 / 3)]]], "lse of scores 2000 and 2000 - ln 3")

    def test_nothing_to_see(self):
        """A query that may see nothing gets output 0 and lse -inf; the others are not touched."""
        mask = np.array([[False, False], [True, True]])[None, None]
        out, lse = call(np.repeat(QUERY[None], 2, 2), KEYS[None], VALUES[None], mask)
        expect.close(out, [[[[0.0], [7.0]]]], "the outputs of a blind query and of one that sees all")
        expect.close(lse, [[[-np.inf, np.log(4)]]], "their lse")


def backward(grad, q, k, v, mask=None, causal_offset=None, scale=1.0, dropout_p=0.0):
    settings = kernel.AttentionSettings(causal_offset, scale, dropout_p, 7)
    out, lse = kernel.attention(q, k, v, mask, settings)
    return kernel.attention_backward(grad, q, k, v, out, lse, mask, settings)


def differences(q, k, v, grad, mask=None, causal_offset=None, scale=1.0, dropout_p=0.0):
    """(dq, dk, dv) of (output·grad).sum() by central differences."""
    settings = kernel.AttentionSettings(causal_offset, scale, dropout_p, 7)
    found = []
    for array in (q, k, v):
        slopes = np.zeros(array.shape)
        for index in np.ndindex(array.shape):
            before, sums = array[index], []
            for step in (1e-6, -1e-6):
                array[index] = before + step
                sums.append((kernel.attention(q, k, v, mask, settings)[0] * grad).sum())
            array[index] = before
            slopes[index] = (sums[0] - sums[1]) / 2e-6
        found.append(slopes)
    return found


class TestBackward:
    def compare(self, what, q, k, v, grad, **settings):
        gradients = backward(grad, q, k, v, **settings)
        for name, got, expected in zip(("q", "k", "v"), gradients, differences(q, k, v, grad, **settings), strict=True):
            expect.close(
                got, expected, f"{what}: the gradient with respect to {name}, against finite differences", 1e-5, 1e-7
            )

    def test_an_example_for_a_pencil(self):
        """Weights 3/4 and 1/4, values 8 and 4, context 7: the scores' gradients are a·(v - c) = 3/4 and -3/4."""
        dq, dk, dv = backward(np.ones((1, 1, 1, 1)), QUERY[None], KEYS[None], VALUES[None])
        expect.close(dv, [[[[0.75], [0.25]]]], "the gradient with respect to the values: the weights")
        expect.close(dk, [[[[0.75, 0], [-0.75, 0]]]], "the gradient with respect to the keys: 3/4·q and -3/4·q")
        expect.close(
            dq, [[[[0.75 * np.log(3), 0.75 * (5 - 7)]]]], "the gradient with respect to the query: 3/4·k₀ - 3/4·k₁"
        )

    def test_against_finite_differences(self):
        """Two sequences with two heads, and a scale: every element of dq, dk and dv."""
        q, k, v = normal(2, 2, 3, 4), normal(2, 2, 5, 4, seed=1), normal(2, 2, 5, 2, seed=2)
        self.compare("attention with scale 0.5", q, k, v, normal(2, 2, 3, 2, seed=3), scale=0.5)

    def test_masks(self):
        """Causal, and with a query that may see nothing, whose gradients are 0."""
        q, k, v, grad = normal(1, 1, 3, 4), normal(1, 1, 3, 4, seed=1), normal(1, 1, 3, 2, seed=2), normal(1, 1, 3, 2)
        self.compare("causal attention", q, k, v, grad, causal_offset=0)
        blind = np.ones((1, 1, 3, 3), bool)
        blind[..., 1, :] = False
        self.compare("attention with a blind query", q, k, v, grad, mask=blind)

    def test_shared_heads(self):
        """Four query heads share two key and value heads: their gradients are added."""
        q, k, v = normal(1, 4, 2, 3), normal(1, 2, 3, 3, seed=1), normal(1, 2, 3, 2, seed=2)
        self.compare("four heads on two", q, k, v, normal(1, 4, 2, 2, seed=3))

    def test_dropout(self):
        """Weights that dropout removed carry no gradient, and the others are scaled up."""
        q, k, v = normal(1, 1, 3, 4), normal(1, 1, 6, 4, seed=1), normal(1, 1, 6, 2, seed=2)
        self.compare("attention with dropout 0.4", q, k, v, normal(1, 1, 3, 2, seed=3), dropout_p=0.4)
