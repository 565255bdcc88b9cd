# %% [markdown]
# # 14. Multi-head attention and the Transformer
#
# | | |
# |---|---|
# | Builds on | lesson 13: attention, masks, the dates; lesson 3: gradients |
# | You will have | an encoder and a decoder without recurrence, each part checked against the paper |
# | Time | 90 minutes, of which 40 seconds are computing |
# | Memory | 0.4 GB |
#
# This lesson reads *Attention is all you need* (Vaswani et al. 2017) beside the code. The numbers of sections in
# brackets are those of the paper.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
import nn
from lessons.material.dates import PAD, START, VOCABULARY, dates, decoded, encoded
from lessons.material.kit import fast, goal, show_source
from nn import functional as F
from nn import optim

plt.style.use("lessons.material.grey")
mg.manual_seed(0)
rng = np.random.default_rng(0)

# %% [markdown]
# ## The question
#
# The translator of lesson 13 looks back by attention, and still reads by a recurrent network: letter 30 has to wait
# for the state after letter 29. Thirty steps one after another, however many processors there are. And a
# gradient from the last letter to the first has to pass through all thirty.
#
# Attention has neither fault. All its products can be made at once, and any two places are one step apart. Can
# we leave out the recurrent network, and keep the attention alone? Three things are lost with it: the order of
# the letters; the arrow of time, that nobody sees the future; and a place to compute something between two
# looks. We shall put back each.

# %% [markdown]
# ## A picture of the whole
#
# Figure 1 of the paper, turned on its side. The gray band that goes through is the *residual stream*: a vector of
# $d$ numbers for each letter. Every box reads the stream and adds something to it. The dashed arrow is the
# only way from the source to the answer.

# %%
figure, ax = plt.subplots(figsize=(8.5, 3.6))
rows = {"encoder": 2.0, "decoder": 0.0}
blocks = {
    "encoder": ["letters\n+ positions", "self-\nattention", "feed-\nforward"],
    "decoder": [
        "answer so far\n+ positions",
        "causal self-\nattention",
        "cross-\nattention",
        "feed-\nforward",
    ],
}
for name, y in rows.items():
    ax.plot([0, 10.2], [y, y], color="0.88", linewidth=16, linestyle="-", zorder=0)
    ax.text(-1.15, y, name, ha="right", va="center", fontsize=10)
    for i, text in enumerate(blocks[name]):
        x = 2.4 * i if name == "decoder" or i < 2 else 7.2
        box = {"boxstyle": "round,pad=0.4", "fc": "white", "ec": "0.2"}
        ax.text(x, y, text, ha="center", va="center", fontsize=9, bbox=box)
for y in rows.values():
    ax.add_patch(plt.Rectangle((1.35, y - 0.62), 6.9, 1.24, fill=False, ec="0.5", linestyle=":"))
    ax.text(8.4, y + 0.42, "N times", fontsize=9)
ax.text(10.5, 2.0, "memory", va="center", fontsize=9)
ax.text(10.5, 0.0, "linear,\nsoftmax", va="center", fontsize=9)
dashed = {
    "arrowstyle": "-|>",
    "linestyle": "--",
    "color": "0.2",
    "connectionstyle": "arc3,rad=0.12",
}
ax.annotate("", (5.0, 0.45), (10.7, 1.75), arrowprops=dashed)
ax.text(7.7, 1.03, "keys and values", fontsize=9)
ax.set_xlim(-2.6, 12)
ax.set_ylim(-0.8, 2.8)
ax.set_axis_off()
plt.show()

# %% [markdown]
# ## Many heads (3.2.2)
#
# One softmax gives one average. A letter may want to look at two places for two reasons, and the average of two
# places is neither. So look several times. Each *head* has its own projections of the stream to queries, keys
# and values, of $d_h = d / h$ numbers where $h$ is the number of heads:
#
# $$ \text{head}_i = \text{attention}(X W_i^Q, X W_i^K, X W_i^V) $$
#
# $$ Y = [\text{head}_1, \ldots, \text{head}_h] W^O $$
#
# Written like this there are $3 h$ small matrices. Put those for the queries side by side, and they are *one*
# matrix of $d$ columns, of which head $i$ owns $d_h$ neighbouring ones. So make one large product, and cut the
# result: a reshape. The cost is that of one head with all $d$ numbers.
#
# The cut has one trap. Look at two letters, $d = 6$ and two heads:

# %%
x = np.arange(12).reshape(1, 2, 6)  # (batch, time, d): two letters of six numbers
print("time 0:", x[0, 0], " time 1:", x[0, 1])
heads = x.reshape(1, 2, 2, 3).swapaxes(1, 2)  # (batch, heads, time, d_h)
print("right, head 0:", heads[0, 0].tolist(), "head 1:", heads[0, 1].tolist())
wrong = x.reshape(1, 2, 2, 3)
print("no swap, 'head' 0:", wrong[0, 0].tolist(), "'head' 1:", wrong[0, 1].tolist())

# %% [markdown]
# Without the swap the shapes agree as well, if there are as many letters as heads. But each "head" is then one
# letter, and its "letters" are pieces of it.

# %% [markdown]
# ## The smallest code: multi-head attention
#
# With the weights of the library's layer, so that we can compare. `hidden` is True where a query may not look.


# %%
def softmax(scores):
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def split(x, heads):
    """(batch, time, d) to (batch, heads, time, d/heads)."""
    batch, time, d = x.shape
    return x.reshape(batch, time, heads, d // heads).swapaxes(1, 2)


def multihead(x, source, heads, W_in, b_in, W_out, b_out, hidden=False):
    """Attention of x (batch, queries, d) to source (batch, keys, d); W_in stacks the matrices
    for Q, K and V."""
    W, b = np.split(W_in, 3), np.split(b_in, 3)
    q, k, v = (split(y @ W[i].T + b[i], heads) for i, y in enumerate((x, source, source)))
    scores = q @ k.swapaxes(2, 3) / np.sqrt(q.shape[-1])
    weights = softmax(np.where(hidden, -np.inf, scores))
    joined = (weights @ v).swapaxes(1, 2).reshape(x.shape)
    return joined @ W_out.T + b_out, weights


layer = nn.MultiheadAttention(12, 3, batch_first=True, dtype="float64")
parameters = [p.detach().numpy() for p in layer.parameters()]
x = rng.standard_normal((2, 5, 12))
causal = np.triu(np.ones((5, 5), bool), 1)
ours, our_weights = multihead(x, x, 3, *parameters, hidden=causal)
theirs, _ = layer(*[mg.tensor(x)] * 3, is_causal=True)
print("ours and the library's differ by", np.abs(ours - theirs.detach().numpy()).max())
assert np.allclose(ours, theirs.detach().numpy(), atol=1e-12)

# %% [markdown]
# ## Order (3.5)
#
# Attention is a sum over keys, and a sum does not know order. Shuffle the letters, and the outputs are shuffled
# likewise, with not a digit changed: `dog bites man` and `man bites dog` are one sentence.

# %%
order = rng.permutation(5)
straight, _ = multihead(x, x, 3, *parameters)
shuffled, _ = multihead(x[:, order], x[:, order], 3, *parameters)
print("shuffled in, shuffled out:", np.allclose(shuffled, straight[:, order], atol=1e-12))

# %% [markdown]
# So each letter must carry its place $t$. The paper adds to it a vector of sines and cosines of different speeds
# $\omega_i = 10000^{-2i/d}$:
#
# $$ \text{PE}(t)_{2i} = \sin(\omega_i t) \qquad \text{PE}(t)_{2i+1} = \cos(\omega_i t) $$
#
# Think of a clock with $d/2$ hands. The fastest turns by one radian a letter; the slowest needs tens of thousands
# of letters to go round once. Why pairs? By the addition theorems, walking on by $n$ letters turns each pair by the
# angle $\omega_i n$, wherever one starts:
#
# $$ \sin(\omega (t + n)) = \cos(\omega n) \sin(\omega t) + \sin(\omega n) \cos(\omega t) $$
#
# $$ \cos(\omega (t + n)) = \cos(\omega n) \cos(\omega t) - \sin(\omega n) \sin(\omega t) $$
#
# "Three letters to the left" is one fixed matrix, so a head can learn it. And the product of two places depends on
# their distance alone: $\text{PE}(t) \cdot \text{PE}(s) = \sum_i \cos(\omega_i (t - s))$.

# %%
encoding = nn.SinusoidalPositionalEncoding(64, max_length=100).encoding.numpy()
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), width_ratios=[1.2, 1])
left.imshow(encoding[:60].T, aspect="auto")
left.set_xlabel("place t")
left.set_ylabel("index in the vector")
left.grid(False)
for t, style in ((20, "-"), (50, "--")):
    distance = np.arange(-20, 21)
    right.plot(
        distance,
        encoding[t + distance] @ encoding[t],
        style,
        label=f"t = {t}",
        linewidth=4 if t == 20 else 1.5,
    )
right.set_xlabel("distance s - t")
right.set_ylabel("PE(t) · PE(s)")
right.legend()
plt.show()

# %% [markdown]
# Two other ways are in `nn/positional.py`. *Learned* positions, as in GPT-2, are a table with a trained vector for
# each place: nothing to derive, and nothing beyond the end of the table. *Rotary* positions (Su et al. 2021), as in
# most models of today, add nothing. They turn the pairs of each query and key, at place $t$ by $\omega_i t$. If
# both are turned by the same angle, their product stays; so only the difference of their places counts, exactly:

# %%
rotary = nn.RotaryEmbedding(16)
q, k = (mg.tensor(rng.standard_normal((1, 16))) for _ in range(2))
rotary_scores = {}
for t, s in ((3, 1), (10, 8), (500, 498), (10, 5)):
    rotary_scores[t, s] = (rotary(q, t) * rotary(k, s)).sum().item()
    print(f"query at {t:3}, key at {s:3}, distance {t - s}: score {rotary_scores[t, s]:.6f}")

# %% [markdown]
# ## The stream and its norms (3.1)
#
# Each box adds: $x + \text{box}(x)$. In lesson 11 a product of many factors made gradients vanish. A sum does
# not: the derivative of $x + f(x)$ is $1 + f'(x)$, and the 1 carries the gradient past any number of boxes.
#
# But a sum of many things grows. *Layer norm* brings each vector to mean 0 and variance 1:
#
# $$ h = \frac{x - \mu}{\sigma} \qquad y = w \odot h + b $$
#
# with $\mu$ the mean and $\sigma^2$ the variance (plus a small $\varepsilon$) of the $d$ numbers of this
# vector. Its gradient is worth deriving once. Let $g = \frac{\partial L}{\partial h}$. A change of $x_j$ acts
# in three ways: on its own $h_j$, on the mean, and on $\sigma$. With
# $\frac{\partial \mu}{\partial x_j} = \frac{1}{d}$ and $\frac{\partial \sigma}{\partial x_j} = \frac{h_j}{d}$,
#
# $$ \frac{\partial h_i}{\partial x_j} = \frac{1}{\sigma} ([i = j] - \frac{1}{d} - \frac{h_i h_j}{d}) $$
#
# and multiplied by $g_i$ and summed over $i$, with the means over the $d$ numbers of the vector:
#
# $$ \frac{\partial L}{\partial x} = \frac{1}{\sigma} (g - \text{mean}(g) - h \cdot \text{mean}(g \odot h)) $$
#
# *Take out of the gradient what would only move the mean, and what would only change the length*: both would be
# undone by the norm. What is left is divided by $\sigma$.


# %%
def layer_norm(x):
    h = x - x.mean(-1, keepdims=True)
    sigma = np.sqrt((h * h).mean(-1, keepdims=True) + 1e-5)
    return h / sigma, sigma


def layer_norm_backward(g, x):
    h, sigma = layer_norm(x)
    return (g - g.mean(-1, keepdims=True) - h * (g * h).mean(-1, keepdims=True)) / sigma


g = rng.standard_normal(x.shape)
leaf = mg.tensor(x, requires_grad=True)
F.layer_norm(leaf, 12).backward(mg.tensor(g))
assert np.allclose(leaf.grad.numpy(), layer_norm_backward(g, x), atol=1e-12)
print("layer norm: the derived gradient is the library's")

# %% [markdown]
# ## Where to put the norm
#
# The paper puts it *after* the sum: $\text{norm}(x + f(x))$, post-norm. Then the stream itself goes through a
# norm in each layer. Since GPT-2 most put it *before* the box: $x + f(\text{norm}(x))$, pre-norm, with one norm
# at the end.
#
# What does it change? We stack layers, put a loss on top, and look before any training: how large is the gradient
# of the last matrix of each layer, $W_2$ of its feed-forward network?


# %%
def gradients_of_layers(depth, norm_first):
    """The size of the gradient with respect to each layer's linear2.weight, and of the stream after each
    layer, at the start."""
    mg.manual_seed(3)
    options = {"dropout": 0.0, "batch_first": True, "norm_first": norm_first}
    layers = [nn.TransformerEncoderLayer(64, 4, 256, **options) for _ in range(depth)]
    for block in layers:
        for parameter in block.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)
    draws = np.random.default_rng(7)
    x, sizes = mg.tensor(draws.standard_normal((4, 16, 64)).astype("float32")), []
    for block in layers:
        x = block(x)
        sizes.append(x.detach().numpy().std())
    logits = nn.Linear(64, 20)(F.layer_norm(x, 64) if norm_first else x)
    loss = F.cross_entropy(logits.reshape(-1, 20), mg.tensor(draws.integers(0, 20, 64)))
    gradients = mg.grad(loss, [block.linear2.weight for block in layers])
    return [np.sqrt((gradient.numpy() ** 2).sum()) for gradient in gradients], sizes


depths = [2, 6, 12, 24] if not fast() else [2, 6]
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
last = {}
for name, norm_first in (("pre-norm", True), ("post-norm", False)):
    measured = [gradients_of_layers(depth, norm_first) for depth in depths]
    last[name] = [gradients[-1] for gradients, _ in measured]
    marks = "o-" if norm_first else "s--"
    left.plot(range(1, depths[-1] + 1), measured[-1][0], marks, markersize=4, label=name)
    right.semilogx(depths, last[name], marks, label=name)
    print(f"{name}: the stream after the last layer has size {measured[-1][1][-1]:.2f}")
left.set_xlabel(f"layer, of {depths[-1]}")
left.set_ylabel("gradient with respect to its last matrix")
right.set_xlabel("number of layers")
right.set_ylabel("the same, of the last layer")
right.set_xticks(depths, depths)
right.minorticks_off()
right.set_ylim(0)
left.set_ylim(0)
for ax in (left, right):
    ax.legend()
plt.show()

# %% [markdown]
# Under pre-norm the stream grows with each layer, so what a layer adds is a smaller and smaller share of it,
# and so is its gradient. Under post-norm every sum is brought back to size 1. The last layer has as large a say
# in a deep stack as in a shallow one, and it is told to take large steps before the layers below have learnt
# anything. Xiong et al. (2020) prove it: the last layer's gradient falls as $1 / \sqrt{L}$ with $L$ layers of
# pre-norm, and does not depend on $L$ with post-norm. That is why the original Transformer needs a careful
# *warm-up* of the learning rate. We use pre-norm.

# %% [markdown]
# ## A place to compute (3.3)
#
# Attention averages values: within a head it is a linear map of them. Between two looks each letter, by itself, goes
# through two linear layers with a bend, four times as wide in the middle (in our small run twice):
#
# $$ \text{FFN}(x) = W_2 \max(0, W_1 x + b_1) + b_2 $$
#
# How many parameters has a layer? Attention has four matrices of $d^2$ and four biases; the feed-forward
# network of width $f$ has $2 d f + f + d$; each norm $2 d$. A decoder layer has one more attention and one more
# norm.


# %%
def count(d, f):
    """Parameters of an encoder and of a decoder layer, by formula."""
    attention, feed_forward, norm = 4 * d * d + 4 * d, 2 * d * f + f + d, 2 * d
    return attention + feed_forward + 2 * norm, 2 * attention + feed_forward + 3 * norm


def counted(module):
    return sum(p.numel() for p in module.parameters())


counts = {}
for d, f in ((64, 256), (512, 2048)):
    of_layers = [
        counted(kind(d, 8, f)) for kind in (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)
    ]
    counts[d] = tuple(of_layers)
    print(f"d = {d}: by formula {count(d, f)}, counted {counts[d]}")
    assert counts[d] == count(d, f)
print(
    f"the paper's base model, six layers of each: {6 * sum(counts[512]):,}, and the embeddings besides"
)

# %% [markdown]
# ## Who sees whom (3.2.3)
#
# Three attentions, and they differ in who may look where:
#
# | where | queries | keys and values | hidden |
# |---|---|---|---|
# | encoder | source | source | padding |
# | decoder, self | answer | answer | the future |
# | decoder, cross | answer | memory, the encoder's output | padding |
#
# The *causal mask* is what makes training parallel. The decoder gets the whole answer at once, shifted by one
# place, and predicts all of its letters in one pass. That is honest only if letter $t$ cannot see the letters
# after it. Do not trust the mask: ask the gradients. If $\frac{\partial y_t}{\partial x_s}$ is not zero, then
# output $t$ knows input $s$.


# %%
def who_sees_whom(function, source):
    """Size of the derivative of each output (time, d) with respect to each input (time, d): (outputs,
    inputs)."""
    source = mg.tensor(source, requires_grad=True)
    output = function(source)
    rows = []
    for t in range(output.shape[0]):
        direction = np.zeros(output.shape)
        direction[t] = rng.standard_normal(output.shape[1])
        (gradient,) = mg.grad(output, [source], mg.tensor(direction), retain_graph=True)
        rows.append(np.sqrt((gradient.numpy() ** 2).sum(1)))
    return np.array(rows)


mg.manual_seed(4)
options = {"dropout": 0.0, "batch_first": True, "norm_first": True, "dtype": "float64"}
encoder_layer = nn.TransformerEncoderLayer(16, 4, 64, **options)
decoder_layer = nn.TransformerDecoderLayer(16, 4, 64, **options)
answer, memory = rng.standard_normal((6, 16)), rng.standard_normal((8, 16))
padding = np.arange(8)[None] >= 6  # the last two letters of the source are padding
seen = {
    "encoder: source by source": who_sees_whom(
        lambda x: encoder_layer(x[None], src_key_padding_mask=mg.tensor(padding))[0], memory
    ),
    "decoder: answer by answer": who_sees_whom(
        lambda x: decoder_layer(x[None], mg.tensor(memory[None]), tgt_is_causal=True)[0], answer
    ),
    "decoder: answer by memory": who_sees_whom(
        lambda m: decoder_layer(
            mg.tensor(answer[None]), m[None], memory_key_padding_mask=mg.tensor(padding)
        )[0],
        memory,
    ),
}
figure, axes = plt.subplots(1, 3, figsize=(8.5, 3))
for ax, (title, size) in zip(axes, seen.items()):
    shade = np.where(size > 0, np.log10(size + 1e-300), np.nan)
    ax.imshow(shade, vmin=-3, vmax=0.5, aspect="auto")
    ax.set_title(title, fontsize=9)
    ax.set_xlabel("input")
    ax.grid(False)
axes[0].set_ylabel("output")
plt.show()
causal_seen = seen["decoder: answer by answer"]
print("largest derivative with respect to a later letter:", np.triu(causal_seen, 1).max())

# %% [markdown]
# White is exactly zero. In the first picture the last two *columns* are white but for the diagonal: nobody looks at
# padding, and what is on the diagonal is the stream, which carries each letter past the attention.

# %% [markdown]
# ## The library's own
#
# First the cut into heads, then the two layers. Find in them: pre-norm and post-norm, the stream, the three
# attentions.

# %%
show_source(
    nn.MultiheadAttention._heads,
    nn.TransformerEncoderLayer.forward,
    nn.TransformerDecoderLayer.forward,
)

# %% [markdown]
# The norm and the clock:

# %%
from minigrad.kernels.reference import normalization

show_source(
    normalization.layer_norm,
    normalization.layer_norm_backward,
    nn.SinusoidalPositionalEncoding.__init__,
)

# %% [markdown]
# ## Checked by finite differences
#
# Both layers whole, by their inputs and by the memory.

# %%
small = {
    "dropout": 0.0,
    "batch_first": True,
    "norm_first": True,
    "activation": "gelu",
    "dtype": "float64",
}
block = nn.TransformerDecoderLayer(8, 2, 12, **small)
y, m = (
    mg.tensor(rng.standard_normal(shape), requires_grad=True) for shape in ((1, 3, 8), (1, 4, 8))
)
print("decoder layer:", mg.gradcheck(lambda y, m: block(y, m, tgt_is_causal=True), [y, m]))
post = nn.TransformerEncoderLayer(8, 2, 12, **small | {"norm_first": False})
print("encoder layer, post-norm:", mg.gradcheck(post, [m]))

# %% [markdown]
# ## The run: dates without recurrence
#
# The task of lesson 13: a date as people write it, to ISO form. Embeddings, positions, two layers on each side,
# four heads. Compare with the `Translator` of lesson 13: there is no loop over time anywhere.


# %%
class Transformer(nn.Module):
    """Ids (batch, time) and the answer so far (batch, answer time) to logits (batch, answer
    time, vocabulary)."""

    def __init__(self, vocabulary, d, heads, layers):
        super().__init__()
        options = {"dropout": 0.0, "batch_first": True, "norm_first": True}
        self.embedding = nn.Embedding(vocabulary, d)
        self.positions = nn.SinusoidalPositionalEncoding(d, max_length=64)
        encoder_layer = nn.TransformerEncoderLayer(d, heads, 2 * d, **options)
        decoder_layer = nn.TransformerDecoderLayer(d, heads, 2 * d, **options)
        self.encoder = nn.TransformerEncoder(encoder_layer, layers, nn.LayerNorm(d))
        self.decoder = nn.TransformerDecoder(decoder_layer, layers, nn.LayerNorm(d))
        self.output = nn.Linear(d, vocabulary)
        for parameter in (*self.encoder.parameters(), *self.decoder.parameters()):
            if parameter.ndim > 1:  # the layers are copies: give each its own start
                nn.init.xavier_uniform_(parameter)

    def hidden(self, n):
        """(n, n), True where answer letter t, in row t, may not look."""
        return np.triu(np.ones((n, n), bool), 1)

    def forward(self, source, given):
        padding = mg.tensor(source == PAD)
        memory = self.encoder(
            self.positions(self.embedding(mg.tensor(source))), src_key_padding_mask=padding
        )
        answer = self.positions(self.embedding(mg.tensor(given)))
        mask = mg.tensor(self.hidden(given.shape[1]))
        answer = self.decoder(answer, memory, tgt_mask=mask, memory_key_padding_mask=padding)
        return self.output(answer)


def train(model, steps, learning_rate=3e-3):
    """Adam with warm-up; the answer, shifted by one place, is what the decoder is given."""
    optimizer = optim.Adam(model.parameters(), lr=learning_rate)
    schedule = optim.lr_scheduler.LinearWarmupCosine(optimizer, steps // 10, steps)
    batches, losses = np.random.default_rng(5), []
    for _ in range(steps):
        texts, answers = zip(*(pairs[i] for i in batches.integers(0, len(pairs), 64)))
        source, answer = encoded(texts), encoded(answers)
        given = np.pad(answer[:, :-1], ((0, 0), (1, 0)), constant_values=START)
        logits = model(source, given)
        loss = F.cross_entropy(logits.reshape(-1, VOCABULARY), mg.tensor(answer.ravel()))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def translate(model, texts, length=10):
    """The likeliest letter at each step, appended to what the decoder is given next."""
    source = encoded(texts)
    given = np.full((len(source), 1), START)
    with mg.no_grad():
        for _ in range(length):
            likeliest = model(source, given).numpy()[:, -1:].argmax(2)
            given = np.concatenate([given, likeliest], 1)
    return decoded(given)


pairs = dates(20_000 if not fast() else 500, seed=1)
new_texts, new_answers = zip(*dates(500 if not fast() else 40, seed=2))


def share_translated(model):
    return np.mean([w == answer for w, answer in zip(translate(model, new_texts), new_answers)])


sizes = {"d": 64, "heads": 4, "layers": 2} if not fast() else {"d": 16, "heads": 2, "layers": 1}
steps = 500 if not fast() else 30
mg.manual_seed(6)
model = Transformer(VOCABULARY, **sizes)
print(f"{counted(model):,} parameters")
losses = train(model, steps)
accuracy = share_translated(model)
print(f"loss at the end {losses[-1]:.3f}")
goal("new dates translated without a mistake", accuracy, at_least=0.95)

# %% [markdown]
# Each head of the last decoder layer may look at other letters. To see where, we ask the layer for its weights
# in passing.


# %%
def watch(attention):
    """Let a MultiheadAttention keep the weights of its last call, (batch, heads, queries, keys)."""
    plain = attention.forward

    def forward(*inputs, **options):
        output, attention.seen = plain(
            *inputs, **options | {"need_weights": True, "average_attn_weights": False}
        )
        return output, attention.seen

    attention.forward = forward


text = "Tuesday, 3rd of March 1998"
watched = model.decoder.layers[-1].multihead_attn
watch(watched)
answer = translate(model, [text])[0]
weights = watched.seen.numpy()[0]
figure, axes = plt.subplots(2, weights.shape[0] // 2, figsize=(8.5, 5.4), squeeze=False)
for i, ax in enumerate(axes.flat):
    ax.imshow(weights[i], vmin=0, vmax=1, aspect="auto")
    ax.set_xticks(range(len(text)), text.replace(" ", "␣"), fontsize=7, family="monospace")
    ax.set_yticks(range(10), answer, fontsize=8, family="monospace")
    ax.set_title(f"head {i}", fontsize=9)
    ax.grid(False)
plt.show()

# %% [markdown]
# Each row of each head adds up to one, as in lesson 13. Compare the heads row by row: they look at different
# letters when the same letter is to be written, and what they find is joined by $W^O$. Some rows are pale. There
# a head has nothing to do, and spreads its weight, since it must look somewhere.

# %% [markdown]
# ## A bug to find
#
# A friend's decoder learns faster than any before. The loss is far below ours after a few dozen steps. Then it
# is asked to translate. Only one line of the model differs from ours. Where would *you* look first, and which
# picture of this lesson would have shown it before training?


# %%
class FriendsTransformer(Transformer):
    def hidden(self, n):
        return np.triu(np.ones((n, n), bool), 2)


mg.manual_seed(6)
friends = FriendsTransformer(VOCABULARY, **sizes)
friends_losses = train(friends, steps // 2)
friends_accuracy = share_translated(friends)

figure, ax = plt.subplots(figsize=(7.5, 2.8))
ax.semilogy(losses, label=f"ours: {accuracy:.0%} of new dates right")
ax.semilogy(friends_losses, label=f"the friend's: {friends_accuracy:.0%}")
ax.set_xlabel("step")
ax.set_ylabel("cross-entropy")
ax.legend()
plt.show()
print(
    f"loss after {steps // 2} steps: ours {losses[steps // 2 - 1]:.4f}, the friend's {friends_losses[-1]:.4f}"
)
for text, written in zip(new_texts[:3], translate(friends, new_texts[:3])):
    print(f"{text} read as {written}")

# %% [markdown]
# ## Exercises
#
# **Small** (5 minutes each)
#
# 1. How many parameters has an encoder layer with $d = 768$ and $f = 3072$? Which share of them is in the
#    feed-forward network?
# 2. What does the causal mask look like for the first letter? What is its attention's output, in terms of its value?
# 3. Why divide by $\sqrt{d_h}$ and not by $\sqrt{d}$?
#
# **Medium** (20 minutes each)
#
# 4. Take the positions away (`nn.Identity()`), and train again. Which forms of date still come out right, and
#    why not all wrong? (The decoder's causal mask gives away something.)
# 5. Train with one head and with eight, with equal $d$. Draw the heads. Does each find a task of its own?
# 6. Put the norm after the sum and use six layers. Does it train without warm-up? With it?
#
# **Large** (an evening)
#
# 7. Replace the sinusoids by rotary positions: `nn.MultiheadAttention(…, rotary=…)` in your own layer. Train on
#    dates of at most 15 letters and test on longer ones, with both.
# 8. *Relative positions* (Shaw et al. 2018): add to the score of query $t$ and key $s$ a learned number for
#    $t - s$. Check it with `gradcheck`.
#
# **In the course kit** you write the pieces of this lesson in the library itself, and check them with
# `minigrad course test 14.1`:
# 14.1 The cut into heads, 14.2 Attention with weights and masks, 14.3 A clock of sines, 14.4 Rotary positions,
# 14.5 Layer normalisation, forward and backward, and 14.6 The Transformer's layers.

# %% [markdown]
# ## Answers
#
# **The bug.** The mask is off by one: `triu(…, 2)` hides what is two or more places ahead, so letter $t$ sees
# place $t + 1$. What is there? The decoder is given the answer *shifted by one*, so place $t + 1$ holds the
# very letter that place $t$ must predict. It learns to copy. When it translates, that place is not yet written,
# and it has learnt nothing else. A loss that is too good is a bug until proved otherwise. The picture of who
# sees whom shows it at once:


# %%
def sees(model):
    """Largest derivative of an answer's letter with respect to a later place, of the model's decoder."""
    memory = mg.tensor(rng.standard_normal((1, 5, sizes["d"])).astype("float32"))

    def decode(x):
        return model.decoder(x[None], memory, tgt_mask=mg.tensor(model.hidden(6)))[0]

    return np.triu(
        who_sees_whom(decode, rng.standard_normal((6, sizes["d"])).astype("float32")), 1
    ).max()


leaks = {"ours": sees(model), "the friend's": sees(friends)}
for name, leak in leaks.items():
    print(f"{name}: largest derivative with respect to a later letter {leak:.3g}")

# %% [markdown]
# **Small 1.** 7,087,872, of which 4,722,432, two thirds, are the feed-forward network's. **Small 2.** It sees
# itself alone: weight 1, and the output is its own value. **Small 3.** A score adds up $d_h$ products, so that
# is its variance.

# %% [markdown]
# ## Sources
#
# - A. Vaswani et al., *Attention is all you need*, NeurIPS 2017.
# - J. Ba, J. Kiros, G. Hinton, *Layer normalization*, arXiv:1607.06450, 2016.
# - R. Xiong et al., *On layer normalization in the Transformer architecture*, ICML 2020: section 3 on gradients
#   at the start.
# - J. Su et al., *RoFormer: enhanced Transformer with rotary position embedding*, arXiv:2104.09864, 2021:
#   section 3.2.
# - P. Shaw, J. Uszkoreit, A. Vaswani, *Self-attention with relative position representations*, NAACL 2018.
# - A. Rush et al., *The Annotated Transformer*, 2018 and 2022: the same paper, line by line, in PyTorch.
#
# Next: lesson 15, the decoder alone: a language model.
