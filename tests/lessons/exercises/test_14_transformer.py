"""The exercises of lesson 14: heads, masks, positions, layer norm and the Transformer's layers."""

import numpy as np

import minigrad as mg
import nn
from minigrad.kernels.reference import normalization
from minigrad.ops.attention import attention_with_weights
from nn.positional import Rotate, _angles
from tests.lessons.exercises import expect


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def softmax(scores):
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


class TestHeads:
    def test_neighbouring_features_belong_to_one_head(self):
        """Two letters of six features, two heads: head 0 has features 0 to 2 of both letters, head 1 has 3 to 5."""
        layer = nn.MultiheadAttention(6, 2, batch_first=True)
        heads = layer._heads(mg.tensor(np.arange(12.0).reshape(1, 2, 6)), 2)
        expected = [[[[0, 1, 2], [6, 7, 8]], [[3, 4, 5], [9, 10, 11]]]]
        expect.close(heads, np.array(expected, float), "the heads of two letters of six features")

    def test_batch_first(self):
        """Element [b, h, t, i] of the result is element [b, t, h·head_dim + i] of the input."""
        x = normal(2, 3, 8)
        heads = nn.MultiheadAttention(8, 4, batch_first=True)._heads(mg.tensor(x), 4)
        expected = np.stack([x[..., 2 * h : 2 * h + 2] for h in range(4)], 1)
        expect.close(heads, expected, "the heads (batch 2, heads 4, time 3, head_dim 2)")

    def test_time_first(self):
        """Without batch_first the input is (time, batch, features); the result is (batch, heads, time, head_dim)."""
        x = normal(3, 2, 8)
        heads = nn.MultiheadAttention(8, 4)._heads(mg.tensor(x), 4)
        expected = np.stack([x[..., 2 * h : 2 * h + 2].swapaxes(0, 1) for h in range(4)], 1)
        expect.close(heads, expected, "the heads of an input with time first")

    def test_the_number_of_heads_is_given(self):
        """Keys and values may have fewer heads than queries: the argument counts, not the layer's num_heads."""
        x = normal(1, 3, 4)
        layer = nn.MultiheadAttention(8, 4, num_kv_heads=2, batch_first=True)
        expect.close(layer._heads(mg.tensor(x), 2), np.stack([x[..., :2], x[..., 2:]], 1), "two heads of size 2")


class TestWeightsAndMasks:
    def attend(self, q, k, v, mask=None, causal_offset=None):
        mask = None if mask is None else mg.tensor(mask)
        return attention_with_weights(*map(mg.tensor, (q, k, v)), mask, causal_offset, q.shape[-1] ** -0.5, 0.0, 0)

    def test_scores_are_scaled(self):
        """Weights are softmax(q·k/√head_dim) along the keys, the output their product with the values."""
        q, k, v = normal(2, 3, 4, 5), normal(2, 3, 6, 5, seed=1), normal(2, 3, 6, 2, seed=2)
        out, weights = self.attend(q, k, v)
        expected = softmax(q @ k.swapaxes(2, 3) / 5**0.5)
        expect.close(weights, expected, "the weights (batch, heads, queries, keys)")
        expect.close(out, expected @ v, "the output")

    def test_causal(self):
        """causal_offset: query i sees the keys up to i + offset. The first row of offset 0 is (1, 0, 0)."""
        q, k, v = normal(1, 1, 3, 4), normal(1, 1, 3, 4, seed=1), normal(1, 1, 3, 4, seed=2)
        _, weights = self.attend(q, k, v, causal_offset=0)
        scores = np.where(np.tril(np.ones((3, 3), bool)), q @ k.swapaxes(2, 3) / 2, -np.inf)
        expect.close(weights, softmax(scores), "the weights under a causal mask")
        _, weights = self.attend(q[:, :, :1], k, v, causal_offset=1)
        scores = np.where([True, True, False], q[:, :, :1] @ k.swapaxes(2, 3) / 2, -np.inf)
        expect.close(weights, softmax(scores), "one query that stands at place 1")

    def test_a_bool_mask(self):
        """A bool mask is True where a query may look, and broadcasts over heads and queries."""
        q, k, v = normal(2, 2, 3, 4), normal(2, 2, 5, 4, seed=1), normal(2, 2, 5, 4, seed=2)
        mask = np.array([[True] * 5, [True, True, False, False, False]])[:, None, None]
        _, weights = self.attend(q, k, v, mask)
        expect.close(weights, softmax(np.where(mask, q @ k.swapaxes(2, 3) / 2, -np.inf)), "the weights with padding")

    def test_a_float_mask(self):
        """A float mask is added to the scores, after they were scaled."""
        q, k, v, mask = normal(1, 2, 3, 4), normal(1, 2, 5, 4, seed=1), normal(1, 2, 5, 4, seed=2), normal(1, 1, 3, 5)
        _, weights = self.attend(q, k, v, mask)
        expect.close(weights, softmax(q @ k.swapaxes(2, 3) / 2 + mask), "the weights with a float mask")

    def test_nothing_to_see(self):
        """A query that may look nowhere gets weights and output 0, not NaN."""
        q, k, v = normal(1, 1, 2, 4), normal(1, 1, 3, 4, seed=1), normal(1, 1, 3, 4, seed=2)
        mask = np.array([[False] * 3, [True] * 3])[None, None]
        out, weights = self.attend(q, k, v, mask)
        expect.equal(weights.numpy()[0, 0, 0], np.zeros(3), "the weights of a query that may look nowhere")
        expect.equal(out.numpy()[0, 0, 0], np.zeros(4), "its output")
        expect.close(weights.numpy()[0, 0, 1].sum(), 1.0, "the sum of the weights of the other query")


class TestClock:
    def encoding(self, embed_dim, length):
        return nn.SinusoidalPositionalEncoding(embed_dim, length).encoding.numpy()

    def test_the_first_places(self):
        """Place 0 is (0, 1, 0, 1); with d = 4 the speeds are 1 and 1/100, so place 1 starts sin 1, cos 1, sin 0.01."""
        expected = [[0, 1, 0, 1], [np.sin(1), np.cos(1), np.sin(0.01), np.cos(0.01)]]
        expect.close(self.encoding(4, 2), np.array(expected, np.float32), "the vectors of places 0 and 1", atol=1e-6)

    def test_the_formula(self):
        """PE(t, 2i) = sin(t/10000^(2i/d)) and PE(t, 2i+1) = cos of it, for 50 places and d = 12."""
        expected = np.array(
            [[(np.sin, np.cos)[j % 2](t / 10000 ** ((j - j % 2) / 12)) for j in range(12)] for t in range(50)]
        )
        expect.close(self.encoding(12, 50), expected.astype(np.float32), "the table (50, 12)", atol=1e-5)

    def test_an_odd_size(self):
        """An odd d drops the last cosine; the speeds are those of the next even d."""
        expect.close(self.encoding(5, 7), self.encoding(6, 7)[:, :5], "the table (7, 5), against that of d = 6")
        expect.close(self.encoding(5, 7)[3, 4], np.float32(np.sin(3 / 10000 ** (4 / 6))), "place 3, index 4 of d = 5")

    def test_products_depend_on_the_distance(self):
        """PE(t)·PE(t + 7) is the same wherever t is."""
        table = self.encoding(32, 100)
        products = [table[t] @ table[t + 7] for t in (0, 20, 90)]
        expect.close(products, [products[0]] * 3, "PE(t)·PE(t + 7) for t = 0, 20 and 90", rtol=1e-4)

    def test_the_angles(self):
        """_angles gives t·base^(-2i/dim), one column per pair, in float64: the rotary embedding uses it too."""
        got = _angles(np.arange(3), 4, 100.0)
        expect.close(got, [[0, 0], [1, 0.1], [2, 0.2]], "the angles of 3 places, dim 4 and base 100")


class TestRotary:
    def test_a_quarter_turn(self):
        """By 90 degrees (cos 0, sin 1) the pair (1, 2) becomes (-2, 1)."""
        turn = Rotate(np.array([[0.0]]), np.array([[1.0]]), True)
        expect.close(turn(mg.tensor([[1.0, 2.0]], dtype="float64")), [[-2.0, 1.0]], "the pair (1, 2), a quarter turned")

    def test_pairs(self):
        """Interleaved pairs are (0, 1), (2, 3); otherwise (0, 2), (1, 3). Each pair has its own angle."""
        cos, sin = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
        x = mg.tensor([[1.0, 2.0, 3.0, 4.0]], dtype="float64")
        expect.close(
            Rotate(cos, sin, True)(x), [[1.0, 2.0, -4.0, 3.0]], "interleaved: the second pair a quarter turned"
        )
        expect.close(Rotate(cos, sin, False)(x), [[1.0, -4.0, 3.0, 2.0]], "halves: the second pair a quarter turned")

    def test_scores_depend_on_the_distance(self):
        """The product of a turned query and key is the same for places 3 and 1 as for 10 and 8; lengths are kept."""
        rotary, q, k = nn.RotaryEmbedding(8), mg.tensor(normal(1, 8)), mg.tensor(normal(1, 8, seed=1))
        scores = [float((rotary(q, t).numpy() * rotary(k, s).numpy()).sum()) for t, s in ((3, 1), (10, 8), (2, 0))]
        expect.close(scores, [scores[0]] * 3, "the scores at distance 2")
        expect.close(np.linalg.norm(rotary(q, 5).numpy()), np.linalg.norm(q.numpy()), "the length of a turned query")

    def test_its_gradient(self):
        """The gradient is turned back: finite differences agree for both kinds of pairs."""
        for interleaved in (True, False):
            rotary = nn.RotaryEmbedding(6, interleaved=interleaved)
            expect.gradients(
                lambda x, r=rotary: r(x, 3), [normal(4, 6)], f"rotary positions, interleaved={interleaved}"
            )


class TestLayerNorm:
    def test_an_example_for_a_pencil(self):
        """(1, 3, 5, 7) has mean 4 and variance 5: it becomes (-3, -1, 1, 3)/√5."""
        y, mean, rstd = normalization.layer_norm(np.array([[1.0, 3, 5, 7]]), None, None, 0.0)
        expect.close(y, np.array([[-3, -1, 1, 3]]) / 5**0.5, "(1, 3, 5, 7), normalised with eps = 0")
        expect.close(mean, [4.0], "its mean, of shape x.shape[:-1]")
        expect.close(rstd, [5**-0.5], "one over its standard deviation")

    def test_weight_bias_and_eps(self):
        """y = (x - mean)/√(variance + eps)·weight + bias, over the last axis of any number of dimensions."""
        x, w, b = normal(2, 3, 6), normal(6, seed=1), normal(6, seed=2)
        expected = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 0.1) * w + b
        y, mean, rstd = normalization.layer_norm(x, w, b, 0.1)
        expect.close(y, expected, "y for x (2, 3, 6), with weight, bias and eps = 0.1")
        expect.close(mean, x.mean(-1), "the means (2, 3)")
        expect.close(rstd, 1 / np.sqrt(x.var(-1) + 0.1), "rstd (2, 3)")

    def test_a_large_mean(self):
        """Numbers near 10,000 in float32: the variance must be taken about the mean."""
        x = np.float32([[10000, 10001, 10002, 10003]])
        y, _, _ = normalization.layer_norm(x, None, None, 0.0)
        expect.close(y, np.float32([[-3, -1, 1, 3]]) / np.float32(5**0.5), "(10000, …, 10003), normalised", rtol=1e-3)

    def test_the_gradient_by_the_input(self):
        """dx against central differences of (y·grad).sum(), with a weight."""
        x, w, b, grad = normal(2, 5), normal(5, seed=1), normal(5, seed=2), normal(2, 5, seed=3)
        _, mean, rstd = normalization.layer_norm(x, w, b, 1e-5)
        dx, _, _ = normalization.layer_norm_backward(grad, x, w, mean, rstd)
        expected = np.zeros_like(x)
        for index in np.ndindex(x.shape):
            sums = []
            for step in (1e-6, -1e-6):
                moved = x.copy()
                moved[index] += step
                centred = moved - moved.mean(-1, keepdims=True)
                sums.append(((centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * w + b) * grad).sum())
            expected[index] = (sums[0] - sums[1]) / 2e-6
        expect.close(dx, expected, "dx, against finite differences", rtol=1e-5, atol=1e-7)

    def test_the_gradients_by_weight_and_bias(self):
        """They are summed over all rows: dweight = Σ grad·normalised x, dbias = Σ grad; both None without a weight."""
        x, w, grad = normal(2, 3, 4), normal(4, seed=1), normal(2, 3, 4, seed=3)
        mean, rstd = x.mean(-1), 1 / np.sqrt(x.var(-1) + 1e-5)
        _, dweight, dbias = normalization.layer_norm_backward(grad, x, w, mean, rstd)
        expect.close(
            dweight,
            (grad * (x - mean[..., None]) * rstd[..., None]).sum((0, 1)),
            "the gradient with respect to the weight",
        )
        expect.close(dbias, grad.sum((0, 1)), "the gradient with respect to the bias")
        expect.equal(normalization.layer_norm_backward(grad, x, None, mean, rstd)[1:], (None, None), "without a weight")


def norm(x, layer):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * array(layer.weight) + array(
        layer.bias
    )


def array(tensor):
    return tensor.detach().numpy()


def feed_forward(layer, x):
    hidden = np.maximum(x @ array(layer.linear1.weight).T + array(layer.linear1.bias), 0)
    return hidden @ array(layer.linear2.weight).T + array(layer.linear2.bias)


def attention(layer, x, source, hidden=False):
    """Multi-head attention of one sequence, head by head: x (queries, d), source (keys, d)."""
    projected = [
        y @ w.T + b
        for y, w, b in zip(
            (x, source, source),
            np.split(array(layer.in_proj_weight), 3),
            np.split(array(layer.in_proj_bias), 3),
            strict=True,
        )
    ]
    outputs = []
    for h in range(layer.num_heads):
        q, k, v = (p[:, h * layer.head_dim : (h + 1) * layer.head_dim] for p in projected)
        outputs.append(softmax(np.where(hidden, -np.inf, q @ k.T / layer.head_dim**0.5)) @ v)
    return np.concatenate(outputs, 1) @ array(layer.out_proj.weight).T + array(layer.out_proj.bias)


class TestLayers:
    def make(self, kind, norm_first):
        """A layer with parameters drawn at random, so that no two norms are alike."""
        layer = kind(8, 2, 12, dropout=0.0, batch_first=True, norm_first=norm_first, dtype="float64")
        for i, parameter in enumerate(layer.parameters()):
            parameter.data[...] = normal(*parameter.shape, seed=i) * 0.5
        return layer

    def test_an_encoder_layer_with_the_norm_after(self):
        """x = norm1(x + attention(x)); then norm2(x + feed-forward(x)): the paper's figure 1."""
        layer, x = self.make(nn.TransformerEncoderLayer, False), normal(5, 8)
        middle = norm(x + attention(layer.self_attn, x, x), layer.norm1)
        expected = norm(middle + feed_forward(layer, middle), layer.norm2)
        expect.close(layer(mg.tensor(x[None]))[0], expected, "an encoder layer with norm_first=False")

    def test_an_encoder_layer_with_the_norm_before(self):
        """x = x + attention(norm1(x)); then x + feed-forward(norm2(x)), causal if is_causal says so."""
        layer, x = self.make(nn.TransformerEncoderLayer, True), normal(5, 8)
        for causal in (False, True):
            hidden = np.triu(np.ones((5, 5), bool), 1) & causal
            normed = norm(x, layer.norm1)
            middle = x + attention(layer.self_attn, normed, normed, hidden)
            expected = middle + feed_forward(layer, norm(middle, layer.norm2))
            got = layer(mg.tensor(x[None]), is_causal=causal)[0]
            expect.close(got, expected, f"an encoder layer with norm_first=True, is_causal={causal}")

    def test_padding_in_the_encoder(self):
        """src_key_padding_mask hides keys from every query."""
        layer, x = self.make(nn.TransformerEncoderLayer, True), normal(5, 8)
        padding = np.array([False, False, False, True, True])
        short = layer(mg.tensor(x[None, :3]))[0]
        padded = layer(mg.tensor(x[None]), src_key_padding_mask=mg.tensor(padding[None]))[0]
        expect.close(padded[:3], short, "three letters with two of padding behind, against the three alone")

    def test_a_decoder_layer_with_the_norm_after(self):
        """norm1 after self-attention, norm2 after attention to the memory, norm3 after the feed-forward network."""
        layer, x, memory = self.make(nn.TransformerDecoderLayer, False), normal(4, 8), normal(6, 8, seed=1)
        hidden = np.triu(np.ones((4, 4), bool), 1)
        first = norm(x + attention(layer.self_attn, x, x, hidden), layer.norm1)
        second = norm(first + attention(layer.multihead_attn, first, memory), layer.norm2)
        expected = norm(second + feed_forward(layer, second), layer.norm3)
        got = layer(mg.tensor(x[None]), mg.tensor(memory[None]), tgt_is_causal=True)[0]
        expect.close(got, expected, "a causal decoder layer with norm_first=False")

    def test_a_decoder_layer_with_the_norm_before(self):
        """Each of the three reads norm(x) and adds to x; the memory is not normed, and its padding is hidden."""
        layer, x, memory = self.make(nn.TransformerDecoderLayer, True), normal(4, 8), normal(6, 8, seed=1)
        padding = np.arange(6) >= 4
        normed = norm(x, layer.norm1)
        first = x + attention(layer.self_attn, normed, normed)
        second = first + attention(layer.multihead_attn, norm(first, layer.norm2), memory[:4])
        expected = second + feed_forward(layer, norm(second, layer.norm3))
        got = layer(mg.tensor(x[None]), mg.tensor(memory[None]), memory_key_padding_mask=mg.tensor(padding[None]))[0]
        expect.close(got, expected, "a decoder layer with norm_first=True and padding in the memory")
