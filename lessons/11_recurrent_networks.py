# %% [markdown]
# # 11. Recurrent networks, back-propagation through time, vanishing gradients
#
# | | |
# |---|---|
# | Builds on | lessons 3 to 5 and 7: backpropagation, cross-entropy, Adam, characters |
# | You will have | a network that reads a text letter by letter, and a measurement of how far back it can learn |
# | Time | 85 minutes, of which 25 seconds are computing |
# | Memory | 0.3 GB |
#
# A network with a memory. You derive its gradient, write it down in twenty lines, and then find
# out, with numbers, why it forgets.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
import nn
from lessons.material.kit import fast, goal, show_source
from minigrad.kernels.reference import recurrent
from models.errors import DataError
from models.text.batching import StreamBatches
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
# "The keys to the cabinet near the old door ___ lost." *Was* or *were*? The answer stands eight words
# back, and it might as well stand eighty back. A network with a window of four words (lesson 8) cannot know. A window
# of eighty words would need a weight for each place, and would have to learn what "keys" means eighty times over.
#
# Could a network read one word after the other, with the *same* weights at each step, and keep what matters?

# %% [markdown]
# ## A picture: the loop, unrolled
#
# The network has a *state* $h_t$, a vector of fixed size. At each step $t$ it makes a new state
# from the input $x_t$ and the old state:
#
# $$ h_t = \tanh(W_{ih} x_t + W_{hh} h_{t-1} + b) $$
#
# $W_{ih}$ reads "from input to hidden", $W_{hh}$ "from hidden to hidden". Drawn once it is a loop. Drawn for each step
# side by side, it is an ordinary deep network, as deep as the text is long, in which every layer has the same
# weights. Everything of lesson 3 applies to it.

# %%
figure, ax = plt.subplots(figsize=(7.5, 2.9))
circle = {"boxstyle": "circle,pad=0.45", "fc": "0.93", "ec": "0.3"}
node = {"ha": "center", "va": "center", "bbox": circle}
forward = {"arrowstyle": "-|>", "color": "0.35", "shrinkA": 17, "shrinkB": 17}
backward = forward | {"color": "black", "linestyle": "--", "connectionstyle": "arc3,rad=0.35"}
for x, t in ((0, ""), (3.8, "_1"), (5.2, "_2"), (6.6, "_3"), (8.0, "_4")):
    for height, name in enumerate("xhy"):
        ax.text(x, height, f"${name}{t}$", **node)
    ax.annotate("", (x, 1), (x, 0), arrowprops=forward)
    ax.annotate("", (x, 2), (x, 1), arrowprops=forward)
    if t:
        ax.annotate("", (x, 1), (x - 1.4, 1), arrowprops=forward)
        ax.annotate("", (x - 1.4, 1), (x, 1), arrowprops=backward)
        ax.text(x - 0.7, 0.86, "$W_{hh}$", ha="center", va="top", fontsize=9)
ax.text(2.4, 1, "$h_0$", **node)
loop = {"arrowstyle": "-|>", "color": "0.35", "connectionstyle": "arc3,rad=1.8"}
ax.annotate("", (0.2, 1.18), (0.2, 0.82), arrowprops=loop)
ax.text(0.75, 1.0, "$W_{hh}$", va="center")
ax.text(1.55, 1, "=", fontsize=18, ha="center", va="center")
ax.text(2.4, 1.85, "dashed: the way\nof the gradient", fontsize=9, ha="center")
ax.set_xlim(-0.6, 8.5)
ax.set_ylim(-0.4, 2.4)
ax.set_axis_off()
plt.show()

# %% [markdown]
# ## The derivation: back-propagation through time
#
# Let $L$ be a loss that looks at the states $h_1, \ldots, h_T$, and write $a_t$ for what is inside the $\tanh$.
# A state is used twice: by the loss at its own step, and by the next state. Lesson 3 says: used twice, so add.
#
# $$ \frac{\partial L}{\partial h_t} = g_t + W_{hh}^\top \frac{\partial L}{\partial a_{t+1}} $$
#
# where $g_t$ is what the loss says directly to $h_t$. The slope of $\tanh$ is $1 - \tanh^2$, so
#
# $$ \frac{\partial L}{\partial a_t} = \frac{\partial L}{\partial h_t} \odot (1 - h_t^2) $$
#
# ($\odot$ multiplies element by element.) Begin at $t = T$, where nothing comes from the future, and walk to $t = 1$.
# The weights are used at every step, so they add up over the steps:
#
# $$ \frac{\partial L}{\partial W_{hh}} = \sum_t \frac{\partial L}{\partial a_t} h_{t-1}^\top \qquad
# \frac{\partial L}{\partial W_{ih}} = \sum_t \frac{\partial L}{\partial a_t} x_t^\top \qquad
# \frac{\partial L}{\partial b} = \sum_t \frac{\partial L}{\partial a_t} $$
#
# This is all of *back-propagation through time*. The name is longer than the idea.

# %% [markdown]
# ## The smallest code
#
# A batch of sequences side by side: `x` is (time, batch, inputs). In the code a state is a row, so $W h$
# is written `h @ W.T`.


# %%
def rnn(x, h, W_ih, W_hh, b):
    """All states (time + 1, batch, hidden), the initial one first."""
    states = [h]
    for x_t in x:
        states.append(np.tanh(x_t @ W_ih.T + states[-1] @ W_hh.T + b))
    return np.stack(states)


def rnn_backward(g, x, states, W_ih, W_hh):
    """Gradients with respect to x, the initial state, W_ih, W_hh and b, given g (time, batch, hidden),
    those with respect to the states."""
    dx, dW_ih, dW_hh, db = np.zeros_like(x), np.zeros_like(W_ih), np.zeros_like(W_hh), 0
    from_the_future = np.zeros_like(states[0])
    for t in reversed(range(len(x))):
        dh = g[t] + from_the_future
        da = dh * (1 - states[t + 1] ** 2)
        dx[t] = da @ W_ih
        dW_ih += da.T @ x[t]
        dW_hh += da.T @ states[t]
        db += da.sum(0)
        from_the_future = da @ W_hh
    return dx, from_the_future, dW_ih, dW_hh, db


x, h0 = rng.standard_normal((6, 2, 3)), rng.standard_normal((2, 4))
g = rng.standard_normal((6, 2, 4))  # a gradient that is different everywhere
layer = nn.RNN(3, 4, dtype="float64")
W_ih, W_hh, b, b_hh = (parameter.detach().numpy() for parameter in layer.parameters())
b = b + b_hh  # the library has two, as PyTorch does; their sum counts
states = rnn(x, h0, W_ih, W_hh, b)
ours = rnn_backward(g, x, states, W_ih, W_hh)

x_, h_ = mg.tensor(x, requires_grad=True), mg.tensor(h0[None], requires_grad=True)
output, _ = layer(x_, h_)
output.backward(mg.tensor(g))
theirs = (
    x_.grad,
    h_.grad[0],
    layer.weight_ih_l0.grad,
    layer.weight_hh_l0.grad,
    layer.bias_ih_l0.grad,
)
assert np.allclose(states[1:], output.detach().numpy())
for name, a, c in zip(("x", "h0", "W_ih", "W_hh", "b"), ours, theirs):
    print(
        f"gradient with respect to {name}: ours and the library's differ by {np.abs(a - c.numpy()).max():.0e}"
    )
    assert np.allclose(a, c.numpy())

# %% [markdown]
# ## The library's own
#
# Three differences. The product with the inputs does not depend on the state, so it is made for all steps at
# once, before the loop (the argument `gates`). Sequences of different lengths are packed, so that a step has only the
# rows that are still running. And the gradient of the weight is one large product after the loop. The loop itself is
# yours.

# %%
from minigrad.ops.recurrent import RNN

show_source(recurrent.rnn, recurrent.rnn_backward, RNN.composite)

# %% [markdown]
# ## Checked by finite differences
#
# Your own first: nudge a few numbers of `W_hh`, one at a time, and watch $L = \sum_t g_t \cdot h_t$.

# %%
dW_hh = ours[3]
for i, j in ((0, 0), (1, 3), (3, 2)):
    nudged = []
    for sign in (1, -1):
        W = W_hh.copy()
        W[i, j] += sign * 1e-6
        nudged.append((g * rnn(x, h0, W_ih, W, b)[1:]).sum())
    quotient = (nudged[0] - nudged[1]) / 2e-6
    print(f"W_hh[{i}, {j}]: by hand {dW_hh[i, j]:.6f}, difference quotient {quotient:.6f}")
    assert abs(quotient - dW_hh[i, j]) < 1e-5

two_layers = nn.RNN(3, 4, num_layers=2, bidirectional=True, dtype="float64")
inputs = mg.tensor(rng.standard_normal((5, 2, 3)), requires_grad=True)
print(
    "gradcheck, two layers in both directions:", mg.gradcheck(lambda x: two_layers(x)[0], [inputs])
)

# %% [markdown]
# ## How far back does the gradient reach?
#
# Follow the dashed arrows of the picture. One step back, the gradient is multiplied by $1 - h^2$, which is
# at most 1, and by $W_{hh}^\top$. How much can a matrix stretch a vector? At most by its largest *singular value*
# $\sigma_1$. So for $k$ steps (Pascanu, Mikolov & Bengio 2013, section 2.1)
#
# $$ \lVert \frac{\partial L}{\partial h_{t-k}} \rVert \le
# \sigma_1^k \cdot \lVert \frac{\partial L}{\partial h_t} \rVert $$
#
# if the loss looks at $h_t$ alone. The same factor, $k$ times. With $\sigma_1 = 0.9$, a hundred steps leave
# $0.9^{100} = 0.00003$. The past is not forgotten forwards: it is *not learnt from*, because its gradient vanishes.
# With $\sigma_1$ above 1 the bound allows the opposite: the gradient may explode.
#
# Measure it. An orthogonal matrix turns vectors and stretches none, so all singular values of $s$ times an orthogonal
# matrix are $s$. We let the loss look at the last state only, and ask how large its gradient with respect to the input
# at each earlier step is.

# %%
size, steps = 64, 60
turn = np.linalg.qr(rng.standard_normal((size, size)))[0]
weak_inputs = 0.2 * rng.standard_normal((steps + 1, 16, 8))
loss_direction = mg.tensor(rng.standard_normal((16, size)))
reach = {}
for s in (2.0, 1.5, 1.0, 0.7):
    network = nn.RNN(8, size, dtype="float64")
    network.weight_hh_l0.data[...] = s * turn
    inputs = mg.tensor(weak_inputs, requires_grad=True)
    output, _ = network(inputs)
    (output[-1] * loss_direction).sum().backward()
    norms = np.linalg.norm(inputs.grad.numpy(), axis=(1, 2))[::-1]
    reach[s] = norms / norms[0]

figure, ax = plt.subplots(figsize=(7.5, 3.4))
for s, norms in reach.items():
    ax.plot(norms, label=f"σ₁ = {s:g}: after 60 steps {norms[60]:.1g}")
ax.plot(
    0.7 ** np.arange(steps + 1),
    color="0.75",
    linewidth=4,
    zorder=0,
    label="0.7ᵏ, the bound for σ₁ = 0.7",
)
ax.set_yscale("log")
ax.set_xlabel("k, steps back from the loss")
ax.set_ylabel("size of the gradient")
ax.legend(fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# A straight line on this scale is the same factor at each step. Below 1 the gradient vanishes, with certainty. Above 1
# it may explode: by less than $\sigma_1^k$, since $1 - h^2$ holds it down. Even at exactly 1 the $\tanh$ eats a little
# at each step. There is no safe value: a plain recurrent network learns from far back only by luck.

# %% [markdown]
# ## The cliff, and how not to fall off
#
# What does an explosion look like from the weight's side? Take the smallest network, one number for a state:
# $h_t = \tanh(w h_{t-1} + b)$, with $b = -0.1$, $h_0 = 0.3$, and the loss $(h_T - 0.5)^2$. Draw the loss for each $w$.


# %%
def one_unit(w, T, b=-0.1, h=0.3):
    """The loss after T steps, and its derivative with respect to w."""
    dh = 0.0
    for _ in range(T):
        new = np.tanh(w * h + b)
        dh = (1 - new**2) * (h + w * dh)
        h = new
    return (h - 0.5) ** 2, 2 * (h - 0.5) * dh


w = np.linspace(0.8, 2.0, 1201)
steepest = {}
figure, ax = plt.subplots(figsize=(7.5, 3.0))
for T in (5, 10, 40):
    loss, slope = one_unit(w, T)
    steepest[T] = np.abs(slope).max()
    ax.plot(w, loss, label=f"{T} steps: steepest slope {steepest[T]:,.0f}")
ax.set_xlabel("w")
ax.set_ylabel("loss")
ax.legend()
plt.show()

# %% [markdown]
# For 40 steps the loss is two plains with a wall between. A step of gradient descent that starts on the wall is thrown
# far away, to a place that nobody chose. The remedy is blunt: if the norm of the whole gradient is above
# a limit $c$, shorten it to $c$ and keep its direction (their algorithm 1):
#
# $$ g \to g \cdot \min(1, \frac{c}{\lVert g \rVert}) $$

# %%
show_source(clip_grad_norm_)

w = np.linspace(1.36, 1.37, 20_001)
at = w[np.abs(one_unit(w, 40)[1]).argmax()]
slope = one_unit(at, 40)[1]
print(f"on the wall, w = {at:.4f}, the slope is {slope:,.0f}")
print(f"a step with learning rate 0.01 goes to w = {at - 0.01 * slope:,.1f};", end=" ")
print(f"clipped at 1, to {at - 0.01 * np.sign(slope):.4f}")

# %% [markdown]
# Clipping cures the explosion. Nothing of the kind cures the vanishing: there is no direction left to keep.

# %% [markdown]
# ## What it means for learning: a memory task
#
# The network reads $T$ random digits from 0 to 3, and is then asked for the *first*. To us this is easy. The
# only difficulty is the distance. Each length gets a fresh network of 32 numbers, and the same training.


# %%
class FirstDigit(nn.Module):
    """Which digit came first? Logits (batch, 4) for digits (batch, time)."""

    def __init__(self, hidden_size=32):
        super().__init__()
        self.embedding = nn.Embedding(4, 16)
        self.rnn = nn.RNN(16, hidden_size, batch_first=True)
        self.output = nn.Linear(hidden_size, 4)

    def forward(self, digits):
        states, _ = self.rnn(self.embedding(digits))
        return self.output(states[:, -1])


def remembers(length, steps, batch_size=32):
    """Accuracy on new sequences after that many steps of training."""
    mg.manual_seed(0)
    digits = np.random.default_rng(0)
    model = FirstDigit()
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


lengths = (2, 5, 10, 15, 20, 30) if not fast() else (3, 40)
memory = {length: remembers(length, 400 if not fast() else 100) for length in lengths}

figure, ax = plt.subplots(figsize=(7.5, 2.7))
ax.plot(memory.keys(), memory.values(), marker="o")
ax.axhline(0.25, color="0.6", linewidth=1)
ax.text(max(lengths), 0.28, "guessing", ha="right")
ax.set_xlabel("digits read, the first of which is asked for")
ax.set_ylabel("accuracy")
ax.set_ylim(0, 1.05)
plt.show()

# %% [markdown]
# Perfect, and then nothing. The network is large enough: the state would have to hold one digit. What is missing is
# the gradient that would tell the first step what to do. Lesson 12 repairs this.

# %% [markdown]
# ## Long texts: truncated back-propagation
#
# A text of a million letters cannot be unrolled: all states would have to be kept, and the gradient would be gone
# after some dozen steps anyhow. So cut the text into windows of, say, 50 letters. Two things happen at a border:
#
# - the **state** is carried over: the next window begins where this one ended, and so does not forget;
# - the **gradient** is not: `detach` cuts the dashed arrow. The state counts as a given number.
#
# This is *truncated* back-propagation through time (Williams & Peng 1990). For the carried state to be the right one,
# window after window must come in the order of the text. To have a batch all the same, cut the text into 32 long
# pieces and read them side by side. `StreamBatches` does that. The library's `RNNGenerator` is trained so:

# %%
from models.rnn import CarriedState

show_source(StreamBatches.__next__, CarriedState.__call__)

# %% [markdown]
# ## The run: a model of letters
#
# At each letter, guess the next. The loss is the cross-entropy of lesson 4, divided by $\ln 2$: *bits per character*.
# If all letters were equally likely, a text of 64 different ones would cost 6 bits each. Before we train, let
# us have something to compare with, by counting: how often does each letter occur (no memory), and how often does
# each follow each (a memory of one letter)?

# %%
try:
    text = corpora.text("shakespeare" if not fast() else "pydoc")
except DataError as error:
    print(f"Python's reference in place of Shakespeare: {error}")
    text = corpora.text("pydoc")
text = text[: 1_000_000 if not fast() else 120_000]
tokenizer = CharTokenizer.from_text(text)
ids, letters = tokenizer.encode(text), tokenizer.vocab_size
train_ids, test_ids = ids[: len(ids) * 19 // 20], ids[len(ids) * 19 // 20 :]
print(
    f"{len(train_ids):,} letters to learn from, {letters} different ones; {len(test_ids):,} to test on"
)

single = np.bincount(train_ids, minlength=letters) + 0.01  # smoothed, as in lesson 10
pairs = np.full((letters, letters), 0.01)
np.add.at(pairs, (train_ids[:-1], train_ids[1:]), 1)
following = pairs / pairs.sum(1, keepdims=True)
counted = {
    "equally likely": np.log2(letters),
    "each letter by itself": -np.log2((single / single.sum())[test_ids]).mean(),
    "given the letter before": -np.log2(following[test_ids[:-1], test_ids[1:]]).mean(),
}
for name, value in counted.items():
    print(f"{name}: {value:.2f} bits per character")


# %%
class LetterModel(nn.Module):
    """Logits of the next letter for letters (batch, time), and the state behind the last one."""

    def __init__(self, hidden_size):
        super().__init__()
        self.embedding = nn.Embedding(letters, 64)
        self.rnn = nn.RNN(64, hidden_size, batch_first=True)
        self.output = nn.Linear(hidden_size, letters)

    def forward(self, ids, state=None):
        states, state = self.rnn(self.embedding(ids), state)
        return self.output(states), state


def bits(logits, targets):
    """Bits per character, one number per position (batch, time)."""
    each = F.cross_entropy(logits.reshape(-1, letters), targets.reshape(-1), reduction="none")
    return each.reshape(*targets.shape) / float(np.log(2))


def train(model, steps, batch_size=32, window=50):
    """Truncated back-propagation through time; returns bits per character of each window."""
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    batches = StreamBatches(train_ids, batch_size, window)
    history, state = [], None
    for _ in range(steps):
        x, starts, targets = next(batches)
        logits, state = model(mg.tensor(x), None if starts else state)
        state = state.detach()
        loss = bits(logits, mg.tensor(targets)).mean()
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        history.append(loss.item())
    return history


def evaluate(model, carry=True, batch_size=10, window=50):
    """Bits per character on the test text, for each position in a window."""
    batches, state, found = StreamBatches(test_ids, batch_size, window), None, []
    with mg.no_grad():
        for _ in range(batches.windows):
            x, _, targets = next(batches)
            logits, state = model(mg.tensor(x), state if carry else None)
            found.append(bits(logits, mg.tensor(targets)).numpy().mean(0))
    return np.mean(found, 0)


size, steps = (192, 800) if not fast() else (64, 150)
mg.manual_seed(0)
model = LetterModel(size)
history = train(model, steps)
test_bits = evaluate(model).mean()

figure, ax = plt.subplots(figsize=(7.5, 3.2))
ax.plot(history, linewidth=1, label="each window")
for name, value in counted.items():
    ax.axhline(value, color="0.6", linewidth=1)
    ax.text(steps, value + 0.06, name, ha="right", fontsize=9)
ax.axhline(test_bits, color="0.3", linestyle="--", label=f"test text at the end: {test_bits:.2f}")
ax.set_xlabel("step")
ax.set_ylabel("bits per character")
ax.set_ylim(top=counted["equally likely"] + 0.7)
ax.legend(loc="center right", bbox_to_anchor=(1, 0.72))
plt.show()
goal("bits per character on the test text", test_bits, at_most=2.75 if not fast() else 3.8)

# %% [markdown]
# What did it cost to forget? Once more the test text, by position in the window: with the state carried over, and with
# a fresh state for each window.

# %%
carried, fresh = evaluate(model), evaluate(model, carry=False)
figure, ax = plt.subplots(figsize=(7.5, 2.9))
ax.plot(range(1, 51), fresh, label=f"a fresh state for each window: {fresh.mean():.2f}")
ax.plot(range(1, 51), carried, label=f"carried over: {carried.mean():.2f}")
ax.set_xlabel("letters of the window that were read")
ax.set_ylabel("bits per character")
ax.set_ylim(bottom=0)
ax.legend()
plt.show()
apart = np.flatnonzero(fresh - carried < 0.1)[0]
print(f"after {apart} letters, a fresh state has caught up to 0.1 bits")

# %% [markdown]
# The two lines meet after a few letters. So *that* is how much the state knows: about the word it is in, and not
# much more. It could be carried over from far back, and yet it brings nothing from there.

# %% [markdown]
# ## A bug to find
#
# A colleague wrote the model once more. It runs, all shapes fit, the loss falls nicely at first. But however long it
# trains, and however large it is made, it does not get below a certain number. Which, and why?


# %%
class AnotherLetterModel(LetterModel):
    def __init__(self, hidden_size):
        super().__init__(hidden_size)
        self.rnn = nn.RNN(64, hidden_size)


mg.manual_seed(0)
another = AnotherLetterModel(size)
stuck = train(another, steps)

figure, ax = plt.subplots(figsize=(7.5, 2.9))
ax.plot(history, linewidth=1, label="our model")
ax.plot(stuck, linewidth=1, label="the colleague's")
ax.set_xlabel("step")
ax.set_ylabel("bits per character")
ax.legend()
plt.show()
late = slice(-steps // 4, None)
print(
    f"last quarter: ours {np.mean(history[late]):.2f} bits, the colleague's {np.mean(stuck[late]):.2f}"
)

# %% [markdown]
# ## Exercises
#
# **Small** (5 minutes each)
#
# 1. How many weights has `nn.RNN(64, 192)`? How many more if the text is twice as long?
# 2. The gradient is $(3, 4)$ and the limit 1. What does clipping the norm make of it, and what clipping each
#    element to $\pm 1$? Which of the two points where the gradient did?
# 3. A loss of 2.0 bits per character: how many bytes would a text of a million letters need, packed by such a model?
#
# **Medium** (20 minutes each)
#
# 4. Remove the `detach` and run `train`. Read the error, and say in your own words why it must come.
# 5. Train with `TokenBatches` (random windows) in place of `StreamBatches`, and carry the state all the same. Then
#    draw the bits by position in the window. What has the network learnt to do with its first state?
# 6. Set `W_hh` of `FirstDigit` to the identity and use `nonlinearity="relu"` (Le, Jaitly & Hinton 2015). How far
#    does the memory reach now?
#
# **Large** (an evening)
#
# 7. Measure the singular values of `W_hh` and the reach of the gradient during the training of the letter model,
#    every 50 steps. Does it learn to remember? Then add the penalty of Pascanu et al. (section 3.3), and look again.
#
# **In the course kit**, to be written in the library itself and checked with `minigrad course test 11.1`:
#
# - 11.1 Carrying the state from window to window
# - 11.2 A text as parallel streams
# - 11.3 Clipping the norm of the gradient
# - 11.4 A recurrent network, forward
# - 11.5 Back-propagation through time

# %% [markdown]
# ## Answers
#
# **The bug.** `batch_first=True` is missing. The layer takes the first dimension for time. So its state runs from one
# piece of the text to the next, across the batch, where there is nothing to learn, and never along the text. What is
# left is the letter just read: a memory of one. The best that a memory of one can do is the number we counted,
# "given the letter before". Both dimensions are plain sizes, so nothing can complain.

# %%
floor = -np.log2(following[train_ids[:-1], train_ids[1:]]).mean()
print(
    f"counted on the training text: {floor:.2f} bits; the colleague's model: {np.mean(stuck[late]):.2f}"
)
assert np.mean(stuck[late]) > floor - 0.1
assert np.mean(history[late]) < np.mean(stuck[late]) - 0.1

# The test that finds it in a second: change the past of one sequence, and see who notices.
with mg.no_grad():
    x = train_ids[:120].reshape(3, 40)
    changed = x.copy()
    changed[0, 0] = (x[0, 0] + 1) % letters
    for name, candidate in (("ours", model), ("the colleague's", another)):
        moved = np.abs(
            candidate(mg.tensor(x))[0].numpy() - candidate(mg.tensor(changed))[0].numpy()
        ).max(2)
        print(
            f"{name}: the next letter of the same text notices: {moved[0, 1] > 0}; another text: {moved[1, 0] > 0}"
        )

# %% [markdown]
# **Small 1.** $64 \cdot 192 + 192 \cdot 192 + 2 \cdot 192 = 49{,}536$, and none more: that is the point.
# **Small 2.** The norm is 5: $(0.6, 0.8)$, the same direction. Each by itself: $(1, 1)$, another one.
# **Small 3.** Two million bits, 250,000 bytes. A good predictor *is* a good packer.

# %% [markdown]
# ## Sources
#
# - J. Elman, *Finding structure in time*, Cognitive Science 14, 1990: the network.
# - P. Werbos, *Backpropagation through time: what it does and how to do it*, Proceedings of the IEEE 78, 1990;
#   R. Williams, J. Peng, *An efficient gradient-based algorithm*, Neural Computation 2, 1990: truncation.
# - Y. Bengio, P. Simard, P. Frasconi, *Learning long-term dependencies with gradient descent is difficult*,
#   IEEE Transactions on Neural Networks 5, 1994.
# - R. Pascanu, T. Mikolov, Y. Bengio, *On the difficulty of training recurrent neural networks*, ICML 2013: the bound,
#   the cliff, clipping.
# - Q. Le, N. Jaitly, G. Hinton, *A simple way to initialize recurrent networks of rectified linear units*, 2015.
# - C. Shannon, *Prediction and entropy of printed English*, Bell System Technical Journal 30, 1951: people need about
#   1 bit.
#
# Next: lesson 12, a cell that keeps its gradient.
