"""Exercises of lesson 15: how a GPT is built, started, fed and judged."""

import math

import numpy as np

import minigrad as mg
from models.gpt import GPT, GPTConfig
from models.metrics import perplexity
from models.tasks.evaluation import mean_loss
from tests.lessons.exercises import expect


def small(layers=2, width=8, heads=2, context=6, vocab=7, dropout=0.0):
    """A GPT in float64 whose weights are large enough for each part to matter."""
    mg.manual_seed(0)
    model = GPT(GPTConfig(vocab, context, layers, heads, width, dropout=dropout)).eval()
    rng = np.random.default_rng(0)
    for parameter in model.parameters():
        parameter.data = rng.normal(0, 0.5, parameter.shape)
    return model


def weights(module):
    return {name: value.detach().numpy() for name, value in module.state_dict().items()}


def norm(x, w, name):
    centred = x - x.mean(-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return centred / spread * w[f"{name}.weight"] + w[f"{name}.bias"]


def attention(x, w, heads):
    """Causal self-attention of x (time, width)."""
    T, width = x.shape
    projected = x @ w["attention.in_proj_weight"].T + w["attention.in_proj_bias"]
    q, k, v = projected.reshape(T, 3, heads, width // heads).transpose(1, 2, 0, 3)
    scores = q @ k.swapaxes(1, 2) / math.sqrt(width // heads)
    e = np.exp(np.where(np.tri(T, dtype=bool), scores, -np.inf))
    mixed = (e / e.sum(-1, keepdims=True) @ v).transpose(1, 0, 2).reshape(T, width)
    return mixed @ w["attention.out_proj.weight"].T + w["attention.out_proj.bias"]


def mlp(x, w):
    h = x @ w["mlp.expand.weight"].T + w["mlp.expand.bias"]
    h = 0.5 * h * (1 + np.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3)))
    return h @ w["mlp.project.weight"].T + w["mlp.project.bias"]


def block(x, w, heads):
    x = x + attention(norm(x, w, "norm_1"), w, heads)
    return x + mlp(norm(x, w, "norm_2"), w)


class TestInitialisation:
    def make(self, layers):
        mg.manual_seed(3)
        return GPT(GPTConfig(vocab_size=300, context_length=100, num_layers=layers, num_heads=4, embedding_dim=64))

    def test_ordinary_matrices_have_standard_deviation_0_02(self):
        """Token and position tables, in_proj and expand are drawn with standard deviation 0.02."""
        for name, value in weights(self.make(3)).items():
            if value.ndim == 2 and not name.endswith(("out_proj.weight", "project.weight")):
                expect.close(value.std(), 0.02, f"standard deviation of {name}", rtol=0.06)

    def test_what_adds_to_the_stream_starts_smaller(self):
        """With N blocks the stream gets 2N additions: their last weights are drawn with 0.02 / sqrt(2N)."""
        for layers in (1, 3, 8):
            for name, value in weights(self.make(layers)).items():
                if name.endswith(("out_proj.weight", "project.weight")):
                    what = f"standard deviation of {name} with {layers} blocks"
                    expect.close(value.std(), 0.02 / math.sqrt(2 * layers), what, rtol=0.06)

    def test_biases_are_zero_and_gains_one(self):
        """All biases start at 0, and the gains of the normalisations stay at 1, also when called a second time."""
        model = self.make(2)
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.data += 1
        model.reset_parameters()
        for name, value in weights(model).items():
            if name.endswith("bias"):
                expect.close(value, np.zeros(value.shape), name)
            elif value.ndim == 1:
                expect.close(value, np.ones(value.shape), name)

    def test_the_first_loss_is_that_of_knowing_nothing(self):
        """Before training the loss is near ln V."""
        ids = np.random.default_rng(0).integers(0, 300, (4, 51))
        with mg.no_grad():
            loss = self.make(4)(mg.tensor(ids[:, :-1]), mg.tensor(ids[:, 1:]))[1].item()
        expect.close(loss, math.log(300), "loss before training, V = 300", rtol=0.02)


class TestBlock:
    def test_it_is_the_formula(self):
        """x + attention(norm_1(x)), then that + mlp(norm_2(that)), computed here with numpy."""
        model = small()
        x = np.random.default_rng(1).normal(size=(1, 5, 8))
        with mg.no_grad():
            got = model.blocks[0](mg.tensor(x))
        expect.close(got, block(x[0], weights(model.blocks[0]), 2)[None], "a block of width 8 with 2 heads", rtol=1e-4)

    def test_no_place_sees_a_later_one(self):
        """Changing the last vector leaves the output at all earlier places as it was, and changes the last."""
        a_block = small().blocks[0]
        x = np.random.default_rng(2).normal(size=(1, 5, 8))
        changed = x.copy()
        changed[0, 4] += 1
        with mg.no_grad():
            before, after = a_block(mg.tensor(x)).numpy(), a_block(mg.tensor(changed)).numpy()
        expect.close(after[:, :4], before[:, :4], "outputs before the changed place")
        expect.holds(np.abs(after[:, 4] - before[:, 4]).max() > 1e-3, "the output at the changed place changes")

    def test_with_silent_parts_the_stream_passes_unchanged(self):
        """With zeros in out_proj and project nothing is added: the block gives back its input."""
        a_block = small().blocks[0]
        for layer in (a_block.attention.out_proj, a_block.mlp.project):
            layer.weight.data[:], layer.bias.data[:] = 0, 0
        x = np.random.default_rng(3).normal(size=(2, 4, 8))
        with mg.no_grad():
            expect.close(a_block(mg.tensor(x)), x, "a block that adds nothing")

    def test_dropout_falls_on_what_is_added(self):
        """While training with dropout, the stream itself is never dropped: with silent parts it still passes."""
        a_block = small(dropout=0.5).blocks[0].train()
        x = mg.tensor(np.random.default_rng(4).normal(size=(1, 4, 8)))
        with mg.no_grad():
            expect.holds(np.abs((a_block(x) - a_block(x)).numpy()).max() > 1e-6, "two runs with dropout differ")
            for layer in (a_block.attention.out_proj, a_block.mlp.project):
                layer.weight.data[:], layer.bias.data[:] = 0, 0
            expect.close(a_block(x), x.numpy(), "a block that adds nothing, with dropout")

    def test_its_gradient(self):
        """The gradient with respect to the input agrees with finite differences."""
        x = np.random.default_rng(5).normal(size=(1, 3, 8))
        expect.gradients(small().blocks[0], [x], "a block")


class TestFeatures:
    def test_they_are_the_blocks_over_tokens_and_places(self):
        """Token vectors plus place vectors, through the blocks in order, then final_norm: computed here with numpy."""
        model = small()
        w, ids = weights(model), np.array([3, 0, 6, 6])
        x = w["token_embedding.weight"][ids] + w["position_embedding.weight"][:4]
        for a_block in model.blocks:
            x = block(x, weights(a_block), 2)
        with mg.no_grad():
            got = model.features(mg.tensor(ids[None]))
        expect.close(got, norm(x, w, "final_norm")[None], "features of 4 tokens", rtol=1e-4)

    def test_places_count_on_behind_a_cache(self):
        """Three tokens, then two more with the caches, give what five at once give."""
        model, ids = small(), mg.tensor([[1, 5, 2, 2, 4]])
        for parameter in model.parameters():
            parameter.data = parameter.data.astype("float32")
        with mg.no_grad():
            at_once = model.features(ids).numpy()
            caches = model.new_caches(1)
            model.features(ids[:, :3], caches)
            expect.close(model.features(ids[:, 3:], caches), at_once[:, 3:], "features behind a cache", atol=1e-4)

    def test_bad_ids_get_the_error_of_the_docstring(self):
        """More tokens than context_length raise a ValueError that says so."""
        try:
            small(context=6).features(mg.tensor([[0] * 7]))
        except ValueError as error:
            expect.holds("context_length=6" in str(error), f"the message names context_length=6 (it is {error})")
        else:
            expect.holds(False, "7 tokens for context_length=6 raise ValueError")


class TestPerplexity:
    def test_a_fair_choice(self):
        """Losses of ln 65 mean a choice among 65."""
        expect.close(perplexity([math.log(65)] * 3), 65, "perplexity of three losses ln 65")

    def test_it_is_the_exponential_of_the_mean(self):
        """ln 2 and ln 8: the mean is ln 4. (The mean of 2 and 8 would be 5.)"""
        expect.close(perplexity([math.log(2), math.log(8)]), 4, "perplexity of ln 2 and ln 8")

    def test_counts_weigh(self):
        """A loss of ln 2 for 3 tokens and of ln 32 for one: the mean is 2 ln 2."""
        expect.close(perplexity([math.log(2), math.log(32)], [3, 1]), 4, "perplexity with counts 3 and 1")

    def test_hopeless_and_empty(self):
        """A huge loss is infinite perplexity, no error; no tokens at all are a UserError."""
        from models.errors import UserError

        expect.equal(perplexity([1e6]), math.inf, "perplexity of a loss of a million")
        try:
            perplexity([])
        except UserError:
            return
        expect.holds(False, "no losses raise a UserError")


class TestMeanLoss:
    def by_hand(self, model, ids):
        """Each window of context_length by itself, target by target."""
        losses = []
        with mg.no_grad():
            for start in range(0, len(ids) - 1, 6):
                x, y = ids[start : start + 6], ids[start + 1 : start + 7]
                logits = model(mg.tensor(x[None, : len(y)])).numpy()[0].astype(np.float64)
                log_sums = np.log(np.exp(logits).sum(-1))
                losses.extend(log_sums - logits[np.arange(len(y)), y])
        return np.mean(losses)

    def test_every_token_counts_once(self):
        """21 tokens in windows of 6 leave a last window of 2: each target counts the same, wherever it stands."""
        model, ids = small(), np.random.default_rng(0).integers(0, 7, 21)
        expect.close(mean_loss(model, ids, batch_size=2), self.by_hand(model, ids), "mean loss of 21 tokens", rtol=1e-4)

    def test_the_size_of_the_batches_does_not_matter(self):
        """One window at a time or all at once: the same mean."""
        model, ids = small(), np.random.default_rng(1).integers(0, 7, 33)
        expected = self.by_hand(model, ids)
        for size in (1, 3, 16):
            expect.close(mean_loss(model, ids, size), expected, f"mean loss with batch_size={size}", rtol=1e-4)

    def test_without_dropout_and_the_mode_stays(self):
        """A model in training mode is judged without dropout, and is in training mode afterwards; so with eval."""
        model, ids = small(dropout=0.5), np.random.default_rng(2).integers(0, 7, 25)
        expected = self.by_hand(model.eval(), ids)
        expect.close(mean_loss(model.train(), ids), expected, "mean loss of a model in training mode", rtol=1e-4)
        expect.holds(model.training, "the model is in training mode as before")
        mean_loss(model.eval(), ids)
        expect.holds(not model.training, "a model in evaluation mode stays in it")
