# %% [markdown]
# # 12. LSTM and GRU: a generator in English and in Chinese
#
# | | |
# |---|---|
# | Builds on | lesson 11: recurrent networks, vanishing gradients, truncated back-propagation |
# | You will have | a cell that remembers sixty steps, and a network that writes English and Chinese |
# | Time | 85 minutes, of which 50 seconds are computing |
# | Memory | 0.3 GB |
#
# Lesson 11 ended badly: after some fifteen steps the network could not learn what came first. This lesson
# repairs it, with an idea of 1997 that is still inside most things that are called recurrent.

# %%
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
import nn
from lessons.material.kit import fast, goal, show_source
from minigrad.kernels.reference import recurrent
from models.errors import DataError
from models.generation.generate import generate_text
from models.rnn import CarriedState, RNNConfig, RNNGenerator
from models.text.batching import (
    StreamBatches,
    count_targets,
    stream_evaluation_batches,
    train_val_split,
)
from models.text.sources import corpora
from models.text.tokenizers import CharTokenizer
from nn import functional as F
from nn import optim
from nn.utils import clip_grad_norm_

plt.style.use("lessons.material.grey")
mg.manual_seed(0)
rng = np.random.default_rng(0)

# %% [markdown]
# ## The question
#
# One step back in a plain network multiplies the gradient by $W_{hh}^\top$ and by $1 - h^2$. Sixty steps back, by a
# product of sixty such matrices: zero, or enormous. Could there be a cell in which one step back multiplies by
# *one*?

# %% [markdown]
# ## The idea: a carousel
#
# Take the matrix and the $\tanh$ away from the path. Let a cell keep a number $c$, and let each step only *add* to it:
#
# $$ c_t = c_{t-1} + \text{something new} \qquad \frac{\partial c_t}{\partial c_{t-1}} = 1 $$
#
# The gradient goes round and round, and stays what it is. Hochreiter and Schmidhuber called it the *constant error
# carousel*. But a cell that adds everything it sees is useless: after a hundred words its number is a heap. It
# needs doors. Each door, a *gate*, is a small network of its own that looks at the input and the last output, and
# answers between 0 (shut) and 1 (open), by a sigmoid $\sigma$:
#
# - the **input gate** $i$: should what is new be written?
# - the **forget gate** $f$: should the old number be kept? (Gers, Schmidhuber & Cummins added this one in 2000.)
# - the **output gate** $o$: should anyone see the number now?
#
# With the candidate $g$ for what to write, and $\odot$ for a product element by element, one step is
#
# $$ i, f, o = \sigma(W_{ih} x_t + W_{hh} h_{t-1} + b) \qquad g = \tanh(\ldots) $$
# $$ c_t = f \odot c_{t-1} + i \odot g \qquad h_t = o \odot \tanh(c_t) $$
#
# Each of $i$, $f$, $g$, $o$ has weights of its own. The state is now two vectors: $c$, the memory, and $h$, what is
# shown of it. This is *long short-term memory*, LSTM.

# %% [markdown]
# ## A picture of the cell

# %%
figure, ax = plt.subplots(figsize=(7.5, 3.9))
ax.add_patch(plt.Rectangle((1.2, 0.7), 6.9, 3.3, fc="0.96", ec="0.6"))
line = {"arrowstyle": "-|>", "color": "0.2", "shrinkA": 0, "shrinkB": 0, "lw": 1.3}
road = line | {"lw": 4, "color": "0.45"}


def arrow(*points, style=line):
    """A line through the points, an arrow at the last."""
    for start, end in pairwise(points):
        last = end == points[-1]
        ax.annotate("", end, start, arrowprops=style if last else style | {"arrowstyle": "-"})


def knot(x, y, sign):
    ax.text(
        x,
        y,
        sign,
        ha="center",
        va="center",
        bbox={"boxstyle": "circle,pad=0.22", "fc": "white", "ec": "0.2"},
    )


def box(x, name):
    look = {"boxstyle": "square,pad=0.35", "fc": "0.85", "ec": "0.2"}
    ax.text(x, 1.75, name, ha="center", va="center", bbox=look)


arrow((0.5, 3.5), (2.0, 3.5), style=road | {"arrowstyle": "-"})
arrow((2.0, 3.5), (4.0, 3.5), style=road | {"arrowstyle": "-"})
arrow((4.0, 3.5), (9.0, 3.5), style=road)
arrow((0.5, 1.0), (6.0, 1.0), style=line | {"arrowstyle": "-"})
arrow((1.6, 0.1), (1.6, 1.0))
for x, name in ((2.0, "σ  f"), (3.2, "σ  i"), (4.8, "tanh  g"), (6.0, "σ  o")):
    arrow((x, 1.0), (x, 1.45))
    box(x, name)
arrow((2.0, 2.05), (2.0, 3.27))
arrow((3.2, 2.05), (3.2, 2.6), (3.77, 2.6))
arrow((4.8, 2.05), (4.8, 2.6), (4.23, 2.6))
arrow((4.0, 2.8), (4.0, 3.27))
arrow((7.3, 3.5), (7.3, 2.35))
arrow((6.0, 2.05), (6.0, 2.15), (7.05, 2.15))
arrow((7.3, 1.95), (7.3, 1.0), (9.0, 1.0))
knot(2.0, 3.5, "×")
knot(4.0, 3.5, "+")
knot(4.0, 2.6, "×")
knot(7.3, 2.15, "×")
ax.text(
    7.3,
    2.95,
    "tanh",
    ha="center",
    va="center",
    fontsize=9,
    bbox={"fc": "white", "ec": "0.6", "pad": 2},
)
for x, y, name in ((0.1, 3.5, "$c_{t-1}$"), (0.1, 1.0, "$h_{t-1}$"), (1.6, -0.1, "$x_t$")):
    ax.text(x, y, name, ha="center", va="center", fontsize=12)
ax.text(9.3, 3.5, "$c_t$", ha="center", va="center", fontsize=12)
ax.text(9.3, 1.0, "$h_t$", ha="center", va="center", fontsize=12)
ax.text(5.7, 3.68, "the carousel", ha="center", fontsize=9)
ax.set_xlim(-0.4, 9.7)
ax.set_ylim(-0.4, 4.2)
ax.set_axis_off()
plt.show()

# %% [markdown]
# Follow the thick road from right to left. The gradient meets a $+$, which lets it through, and one $\times$, which
# multiplies it by $f$. No matrix, no slope of $\tanh$. Along the road
#
# $$ \frac{\partial c_t}{\partial c_{t-k}} = f_t \odot f_{t-1} \odot \cdots \odot f_{t-k+1} $$
#
# (there are also detours through $h$ and the gates, which behave as in lesson 11). If the forget gates stay open,
# near 1, so does the product. And the network itself decides, number by number, when to keep and when to forget.

# %% [markdown]
# ## The way back, derived
#
# Let $dh$ be the gradient with respect to $h_t$, and $dc$ the part of that with respect to $c_t$ which comes along the
# road from the future. First, $h_t$ depends on $c_t$, so more is added to $dc$; the slope of $\tanh(c)$ is
# $1 - \tanh^2(c)$:
#
# $$ dc \to dc + dh \odot o \odot (1 - \tanh^2(c_t)) $$
#
# Then each factor gets the gradient times the other one:
#
# $$ do = dh \odot \tanh(c_t) \qquad di = dc \odot g \qquad dg = dc \odot i \qquad df = dc \odot c_{t-1} $$
#
# And through the bends to what is inside them. The slope of $\sigma$ is $\sigma (1 - \sigma)$, of $\tanh$ again
# $1 - \tanh^2$. From there on it is a linear layer, as in lesson 11. What goes back along the road is $dc \odot f$.

# %% [markdown]
# ## The smallest code
#
# The four gates share one product, their weights one below the other, in PyTorch's order $i, f, g, o$.


# %%
def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def lstm_step(x, h, c, W_ih, W_hh, b):
    """The next h and c (batch, hidden), and what the way back needs."""
    i, f, g, o = np.split(x @ W_ih.T + h @ W_hh.T + b, 4, axis=1)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    new = f * c + i * g
    return o * np.tanh(new), new, (x, h, c, i, f, g, o, new)


def lstm_step_backward(dh, dc, kept, W_ih, W_hh):
    """Gradients with respect to x, h, c, W_ih, W_hh and b, given those with respect to the next h and c."""
    x, h, c, i, f, g, o, new = kept
    dc = dc + dh * o * (1 - np.tanh(new) ** 2)
    di, df, dg, do = dc * g, dc * c, dc * i, dh * np.tanh(new)
    inside = [di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)]
    da = np.concatenate(inside, axis=1)
    return da @ W_ih, da @ W_hh, dc * f, da.T @ x, da.T @ h, da.sum(0)


cell = nn.LSTMCell(3, 4, dtype="float64")
W_ih, W_hh, b_ih, b_hh = (parameter.detach().numpy() for parameter in cell.parameters())
x, h, c = (rng.standard_normal((2, n)) for n in (3, 4, 4))
next_h, next_c, kept = lstm_step(x, h, c, W_ih, W_hh, b_ih + b_hh)
dh, dc = rng.standard_normal((2, 2, 4))
ours = lstm_step_backward(dh, dc, kept, W_ih, W_hh)

tensors = [mg.tensor(array, requires_grad=True) for array in (x, h, c)]
their_h, their_c = cell(tensors[0], tuple(tensors[1:]))
((their_h * mg.tensor(dh)).sum() + (their_c * mg.tensor(dc)).sum()).backward()
theirs = [t.grad for t in tensors] + [cell.weight_ih.grad, cell.weight_hh.grad, cell.bias_ih.grad]
assert np.allclose(next_h, their_h.detach().numpy())
for name, a, t in zip(("x", "h", "c", "W_ih", "W_hh", "b"), ours, theirs):
    print(
        f"gradient with respect to {name}: ours and nn.LSTMCell's differ by {np.abs(a - t.numpy()).max():.0e}"
    )
    assert np.allclose(a, t.numpy())

# %% [markdown]
# ## The library's own
#
# The same formulas for all steps of packed sequences. On a CPU the library compiles this loop for float32 (numba; the
# very first call on a machine takes some ten seconds for that, and is then kept on disk).

# %%
show_source(recurrent.lstm, recurrent.lstm_backward, nn.LSTMCell)

# %% [markdown]
# ## GRU: the same with fewer doors
#
# In 2014 Cho and others asked what could go. Their *gated recurrent unit* has no separate memory: $h$ is on the road
# itself. One gate $z$ decides both what to keep and what to write, and a gate $r$ how much of the past the candidate
# $n$ may see:
#
# $$ r, z = \sigma(W x_t + U h_{t-1} + b) \qquad n = \tanh(W_n x_t + b_n + r \odot (U_n h_{t-1} + b_n')) $$
# $$ h_t = (1 - z) \odot n + z \odot h_{t-1} $$
#
# Three quarters of the weights. With $z$ near 1, the gradient goes back unharmed.


# %%
def gru_step(x, h, W_ih, W_hh, b_ih, b_hh):
    """The next h (batch, hidden)."""
    r_x, z_x, n_x = np.split(x @ W_ih.T + b_ih, 3, axis=1)
    r_h, z_h, n_h = np.split(h @ W_hh.T + b_hh, 3, axis=1)
    r, z = sigmoid(r_x + r_h), sigmoid(z_x + z_h)
    n = np.tanh(n_x + r * n_h)
    return (1 - z) * n + z * h


gru = nn.GRUCell(3, 4, dtype="float64")
ours = gru_step(x, h, *(parameter.detach().numpy() for parameter in gru.parameters()))
theirs = gru(mg.tensor(x), mg.tensor(h)).detach().numpy()
print(f"GRU: ours and nn.GRUCell's differ by {np.abs(ours - theirs).max():.0e}")
assert np.allclose(ours, theirs)
for layer in (nn.RNN, nn.GRU, nn.LSTM):
    print(
        f"{layer.__name__}(64, 192) has {sum(p.numel() for p in layer(64, 192).parameters()):,} weights"
    )

# %% [markdown]
# ## Checked by finite differences

# %%
sequence = mg.tensor(rng.standard_normal((5, 2, 3)), requires_grad=True)
for layer in (nn.LSTM(3, 4, dtype="float64"), nn.GRU(3, 4, dtype="float64")):
    through_time = mg.gradcheck(lambda x, layer=layer: layer(x)[0], [sequence])
    print(f"{type(layer).__name__} over five steps: {through_time}")

# %% [markdown]
# ## The reach of the gradient, and the forget gate's first bias
#
# Lesson 11's measurement once more: a loss that sees the last state only, and the size of its gradient with respect to
# each earlier input. Before any training the gate's weights are small, so $f \approx \sigma(b_f)$ with the bias $b_f$
# that we choose:
#
# | $b_f$ | $f = \sigma(b_f)$ | $f^{60}$ |
# |---|---|---|
# | 0 | 0.50 | 0.000000000000000001 |
# | 1 | 0.73 | 0.000000007 |
# | 3 | 0.95 | 0.05 |
# | ln 59 = 4.08 | 0.983 | 0.36 |
#
# The last row is a rule: with $b_f = \ln(T - 1)$ we have $f = 1 - 1/T$, and $(1 - 1/T)^T$ is near $1/e = 0.37$.
# Whoever expects to need $T$ steps should start there (Tallec & Ollivier 2018). The usual advice, $b_f = 1$, means
# $T = 4$.


# %%
def set_forget_bias(lstm, value):
    """Of i, f, g, o the second quarter is f; there are two biases, which are added."""
    n = lstm.hidden_size
    lstm.bias_ih_l0.data[n : 2 * n] = value
    lstm.bias_hh_l0.data[n : 2 * n] = 0.0


def reach(network, steps=60):
    """The size of the gradient with respect to the input k steps before the last, for k = 0, 1, ..., as a
    share of the first."""
    inputs = mg.tensor(0.2 * rng.standard_normal((steps + 1, 16, 8)), requires_grad=True)
    output, _ = network(inputs)
    (output[-1] * mg.tensor(rng.standard_normal(output[-1].shape))).sum().backward()
    norms = np.linalg.norm(inputs.grad.numpy(), axis=(1, 2))[::-1]
    return norms / norms[0]


networks = {"RNN": nn.RNN(8, 64, dtype="float64"), "GRU": nn.GRU(8, 64, dtype="float64")}
for bias in (0, 1, 3, 4.08):
    networks[f"LSTM, forget bias {bias:g}"] = lstm = nn.LSTM(8, 64, dtype="float64")
    set_forget_bias(lstm, bias)
reached = {name: reach(network) for name, network in networks.items()}

figure, ax = plt.subplots(figsize=(7.5, 3.4))
for (name, norms), shade in zip(reached.items(), ("0.0", "0.0", "0.65", "0.5", "0.3", "0.0")):
    style = {"RNN": ":", "GRU": "--"}.get(name, "-")
    ax.plot(norms, style, color=shade, label=f"{name}: {norms[60]:.1g}")
ax.set_yscale("log")
ax.set_xlabel("k, steps back from the loss")
ax.set_ylabel("size of the gradient")
ax.legend(fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# With the library's (and PyTorch's) own start, which has $b_f$ near 0, an LSTM forgets by half at each step: hardly
# better than the plain network. *The carousel must be opened.* (More than $f^{60}$ is left, since
# the detours through $h$ and the gates add their part.) A GRU has the same trouble, and its $z$ the same
# remedy.

# %% [markdown]
# ## The memory task, solved
#
# The task of lesson 11: read $T$ random digits, name the first. The same size of network, the same number of steps.


# %%
class FirstDigit(nn.Module):
    """Which digit came first? Logits (batch, 4) for digits (batch, time)."""

    def __init__(self, layer, hidden_size=32):
        super().__init__()
        self.embedding = nn.Embedding(4, 16)
        self.rnn = layer(16, hidden_size, batch_first=True)
        self.output = nn.Linear(hidden_size, 4)

    def forward(self, digits):
        states, _ = self.rnn(self.embedding(digits))
        return self.output(states[:, -1])


def remembers(length, steps, layer=nn.LSTM, prepare=None, batch_size=64):
    """Accuracy on new sequences after that many steps of training; prepare sets first values."""
    mg.manual_seed(0)
    digits = np.random.default_rng(0)
    model = FirstDigit(layer)
    if prepare:
        prepare(model.rnn)
    optimizer = optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(steps):
        x = mg.tensor(digits.integers(0, 4, (batch_size, length)))
        loss = F.cross_entropy(model(x), x[:, 0])
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    x = digits.integers(0, 4, (500, length))
    with mg.no_grad():
        return float((model(mg.tensor(x)).argmax(1).numpy() == x[:, 0]).mean())


lengths, steps = ((10, 20, 40, 60), 300) if not fast() else ((20,), 80)
memory = {"RNN": {}, "LSTM, forget bias 1": {}, "LSTM, forget bias ln(T - 1)": {}}
for T in lengths:
    memory["RNN"][T] = remembers(T, steps, nn.RNN)
    memory["LSTM, forget bias 1"][T] = remembers(
        T, steps, prepare=lambda lstm: set_forget_bias(lstm, 1.0)
    )
    opened = lambda lstm, T=T: set_forget_bias(lstm, np.log(T - 1))  # noqa: E731
    memory["LSTM, forget bias ln(T - 1)"][T] = remembers(T, steps, prepare=opened)

figure, ax = plt.subplots(figsize=(7.5, 2.9))
for (name, found), marker in zip(memory.items(), "ovs"):
    ax.plot(found.keys(), found.values(), marker=marker, label=name)
ax.axhline(0.25, color="0.6", linewidth=1)
ax.text(lengths[-1], 0.28, "guessing", ha="right")
ax.set_xlabel("T, digits read, the first of which is asked for")
ax.set_ylabel("accuracy")
ax.set_ylim(0, 1.08)
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=9)
plt.show()
goal(
    f"accuracy at {lengths[-1]} digits",
    memory["LSTM, forget bias ln(T - 1)"][lengths[-1]],
    at_least=0.95,
)

# %% [markdown]
# ## The run: a generator in English and in Chinese
#
# A language model is a network that says how probable each next character is. Its loss $L$ (lesson 4, in nats) has
# three names. $L / \ln 2$ is *bits per character*. $e^L$ is the *perplexity*: the number of equally likely
# characters among which the model seems to choose. A perplexity of 5 means: as unsure as with a die of five faces.
#
# English has some 65 different characters, Chinese some thousands. We keep the 2,000 most frequent ones; the others
# are one token, `<unk>`. At reduced size the Chinese is made on the spot, from four lists of words.


# %%
def made_up_chinese(sentences=3000):
    """Who does what, when and where."""
    who = ["我", "他", "老师", "学生", "妈妈", "朋友"]
    when = ["今天", "明天", "早上", "晚上"]
    where = ["在家", "在学校", "在公园", "在北京"]
    what = ["看书", "喝茶", "写字", "吃苹果", "学中文", "打电话"]
    chosen = [[rng.choice(part) for part in (when, who, where, what)] for _ in range(sentences)]
    return "。\n".join("".join(parts) for parts in chosen)


def texts():
    """English and Chinese; of the Chinese reviews each once, since the source repeats half of
    them."""
    if not fast():
        try:
            reviews = dict.fromkeys(corpora.text("chinese-reviews").splitlines())
            return corpora.text("shakespeare")[:1_500_000], "\n".join(reviews)[:1_000_000]
        except DataError as error:
            print(
                f"Python's reference and made-up sentences in place of plays and reviews: {error}"
            )
    return corpora.text("pydoc")[: 1_000_000 if not fast() else 60_000], made_up_chinese()


def bits_on(model, ids, window=50):
    """Bits per character on a text, read in order, the state carried along."""
    loss, total, count = CarriedState(), 0.0, 0
    model.eval()
    with mg.no_grad():
        for x, starts, targets in stream_evaluation_batches(ids, 16, window):
            targets_here = count_targets(targets)
            total += loss(model, (mg.tensor(x), starts, mg.tensor(targets))).item() * targets_here
            count += targets_here
    model.train()
    return total / count / np.log(2)


def train(ids, vocab_size, steps, hidden_size, window=50, batch_size=16, learning_rate=6e-3):
    """A generator trained on ids; its bits per character at each step."""
    mg.manual_seed(0)
    config = RNNConfig(
        vocab_size=vocab_size, num_layers=1, hidden_size=hidden_size, embedding_dim=64
    )
    model = RNNGenerator(config)
    set_forget_bias(model.rnn, 1.0)
    optimizer = optim.Adam(model.parameters(), lr=learning_rate)
    batches, loss, history = StreamBatches(ids, batch_size, window), CarriedState(), []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * (1 - 0.9 * step / steps)
        x, starts, targets = next(batches)
        value = loss(model, (mg.tensor(x), starts, mg.tensor(targets)))
        optimizer.zero_grad()
        value.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        history.append(value.item() / np.log(2))
    return model, history


# %%
english, chinese = texts()
settings = {
    "English": (192, 1100, 6e-3),
    "Chinese": (128, 800, 8e-3),
}  # width, steps, learning rate
if fast():
    settings = dict.fromkeys(settings, (48, 90, 1e-2))
runs = {}
for language, text, size in (("English", english, None), ("Chinese", chinese, 2000)):
    tokenizer = CharTokenizer.from_text(text, max_size=size)
    train_ids, test_ids = train_val_split(tokenizer.encode(text), 0.95)
    test_ids = test_ids[:20_000]
    width, training_steps, rate = settings[language]
    model, history = train(
        train_ids, tokenizer.vocab_size, training_steps, width, learning_rate=rate
    )
    found = bits_on(model, test_ids)
    runs[language] = {"tokenizer": tokenizer, "model": model, "history": history, "bits": found}
    bytes_each = len(text[:100_000].encode()) / len(text[:100_000])
    print(f"{language}: {len(text):,} characters, {tokenizer.vocab_size:,} different ones")
    print(f"    on new text {found:.2f} bits per character, a perplexity of {2**found:.1f}")
    print(f"    {bytes_each:.2f} bytes per character, so {found / bytes_each:.2f} bits per byte")

figure, axes = plt.subplots(1, 2, figsize=(7.5, 3.0))
for ax, (language, run) in zip(axes, runs.items()):
    guess = np.log2(run["tokenizer"].vocab_size)
    ax.plot(run["history"], linewidth=1, label="each window")
    ax.axhline(run["bits"], linestyle="--", color="0.3", label=f"new text: {run['bits']:.2f}")
    ax.axhline(guess, color="0.6", linewidth=1)
    ax.text(len(run["history"]), guess, "guessing", ha="right", va="bottom", fontsize=9)
    ax.set_ylim(0, guess * 1.15)
    ax.set_title(language)
    ax.set_xlabel("step")
    ax.legend(fontsize=9, loc="lower left")
axes[0].set_ylabel("bits per character")
plt.show()
goal(
    "English, bits per character on new text",
    runs["English"]["bits"],
    at_most=2.5 if not fast() else 4.8,
)
goal(
    "Chinese, bits per character on new text",
    runs["Chinese"]["bits"],
    at_most=6.3 if not fast() else 4,
)

# %% [markdown]
# Is Chinese harder? By bits per *character*, much. But a Chinese character is more than a letter: often a whole
# word. By bits per *byte* of the file the two are near each other. A perplexity says nothing without its unit: the
# same text in words, characters or bytes has quite different ones.
#
# Now let them write. At each step a character is drawn from what the network says. A *temperature* below 1 makes it
# choose more safely; lesson 16 explains how.

# %%
for language, beginning in (("English", "The "), ("Chinese", "今天" if fast() else "这本书")):
    tokenizer, model = runs[language]["tokenizer"], runs[language]["model"]
    if any(character not in tokenizer.characters for character in beginning):
        beginning = tokenizer.characters[-1]
    for temperature in (0.5, 1.0):
        written = generate_text(
            model,
            tokenizer,
            beginning,
            max_tokens=160 if not fast() else 30,
            temperature=temperature,
            seed=1,
        )
        print(f"--- {language}, temperature {temperature}\n{beginning}{written}\n")

# %% [markdown]
# After half a minute of learning there are words, lines, speakers, and no sense. The English knows that a speaker
# stands in capitals on a line alone, with a colon. The Chinese knows which characters make words, and slides from a
# book into a hotel within one sentence: so far its memory reaches. Nobody told either what a word is. (At reduced size
# there is less to see.)

# %% [markdown]
# ## A bug to find
#
# A colleague knows all of this lesson, and wrote his own `set_forget_bias`. His LSTM trains without a complaint. On
# the memory task it is as bad as a plain network.


# %%
def his_forget_bias(lstm, value):
    """Open the forget gate: of i, g, f, o it is the third quarter."""
    n = lstm.hidden_size
    lstm.bias_ih_l0.data[2 * n : 3 * n] = value
    lstm.bias_hh_l0.data[2 * n : 3 * n] = 0.0


T = 20
right = remembers(T, steps, prepare=lambda lstm: set_forget_bias(lstm, np.log(T - 1)))
wrong = remembers(T, steps, prepare=lambda lstm: his_forget_bias(lstm, np.log(T - 1)))
print(f"accuracy at {T} digits: ours {right:.2f}, his {wrong:.2f}")

# %% [markdown]
# ## Exercises
#
# **Small** (5 minutes each)
#
# 1. Which values of $i$, $f$ and $o$ make an LSTM cell keep its number forever, unseen? Which make it a plain
#    network with two $\tanh$?
# 2. PyTorch has two biases for each gate, and someone sets the forget quarter of both to 1. What is $f$ at the start?
# 3. A model has 1.2 bits per character, another 4.9 bits per word. The words have 5.1 characters on
#    average, with the space. Which is better?
#
# **Medium** (20 minutes each)
#
# 4. Give the GRU of the memory task a first $z$ near 1. Which *third* of which bias is it? Does it now remember
#    60 digits? And the LSTM 80, if its input gate starts nearly shut as well, with the bias $-\ln(T - 1)$?
# 5. Draw the mean forget gate of each of the 256 numbers of the trained English model on a page of text, sorted. How
#    many have learnt to keep for more than 20 steps? (Karpathy, Johnson & Fei-Fei 2015 look at single cells.)
# 6. Train the English model on words of `WordTokenizer`, with the same number of weights. Compare in bits per
#    character.
#
# **Large** (an evening)
#
# 7. `minigrad train rnn --data chinese-reviews --out runs/reviews` for an hour. State the perplexity,
#    show three reviews it wrote, and measure how many runs of ten characters in them are copied from the training
#    text.
#
# **In the course kit**, to be written in the library itself and checked with `minigrad course test 12.1`:
#
# - 12.1 A language model's next step, with a memory
# - 12.2 An LSTM in simple operations
# - 12.3 LSTM, forward
# - 12.4 LSTM, backward
# - 12.5 GRU, forward and backward

# %% [markdown]
# ## Answers
#
# **The bug.** Order $i, g, f, o$ is TensorFlow's. PyTorch and this library have $i, f, g, o$. His third quarter is the
# candidate $g$: it starts at $\tanh(b) \approx 1$ for every input, so the cell writes the same number whatever it
# reads, and its forget gate is still at one half. Shapes cannot show it. A measurement does:

# %%
measured = {}
for name, prepare in (("ours", set_forget_bias), ("his", his_forget_bias)):
    lstm = nn.LSTM(8, 64, dtype="float64")
    prepare(lstm, 4.0)
    measured[name] = reach(lstm)[60]
    print(f"{name}: of the gradient, {measured[name]:.0e} is left after 60 steps")
assert measured["ours"] > 1e6 * measured["his"]

# %% [markdown]
# **Small 1.** $i = 0$, $f = 1$, $o = 0$ keeps it unseen. $i = 1$, $f = 0$, $o = 1$ gives $h = \tanh(\tanh(\ldots))$.
# **Small 2.** They add up: $\sigma(2) = 0.88$. **Small 3.** $1.2 \cdot 5.1 = 6.1$ bits per word: the second,
# if it may not skip unknown words. **Medium 4.** $z$ is the second third of `bias_ih` (or `bias_hh`).

# %% [markdown]
# ## Sources
#
# - S. Hochreiter, J. Schmidhuber, *Long short-term memory*, Neural Computation 9, 1997: section 3.2, the carousel.
# - F. Gers, J. Schmidhuber, F. Cummins, *Learning to forget*, Neural Computation 12, 2000: the forget gate.
# - K. Cho et al., *Learning phrase representations using RNN encoder-decoder*, EMNLP 2014: the GRU, section 2.3.
# - R. Jozefowicz, W. Zaremba, I. Sutskever, *An empirical exploration of recurrent network architectures*, ICML 2015:
#   the forget bias of 1.
# - C. Tallec, Y. Ollivier, *Can recurrent neural networks warp time?*, ICLR 2018: the bias ln(T - 1).
# - A. Karpathy, *The unreasonable effectiveness of recurrent neural networks*, 2015; A. Karpathy, J. Johnson, L.
#   Fei-Fei, *Visualizing and understanding recurrent networks*, 2015.
#
# Next: lesson 13, attention: do not carry everything along, look back at it.
