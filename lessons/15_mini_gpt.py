# %% [markdown]
# # 15. Mini-GPT: training a language model
#
# | | |
# |---|---|
# | Builds on | lessons 4, 5 and 7: cross-entropy, AdamW, characters; lesson 14: the Transformer block |
# | You will have | a GPT that writes like a play, and a ladder of losses to judge any language model by |
# | Time | 90 minutes, of which 90 seconds are computing |
# | Memory | 0.3 GB |
#
# All the parts are there. Today you put them together, train them, and learn to tell from a few numbers
# whether the training is right.

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import FixedLocator, NullLocator

import minigrad as mg
from lessons.material.kit import corpus, fast, goal, show_source
from models.generation.generate import generate_text
from models.gpt import GPT, MLP, Block, GPTConfig
from models.tasks.evaluation import evaluate, mean_loss
from models.text.batching import TokenBatches
from models.text.tokenizers import CharTokenizer
from nn import functional as F
from nn.optim import AdamW
from nn.optim.lr_scheduler import LinearWarmupCosine
from nn.utils import clip_grad_norm_, decay_groups

plt.style.use("lessons.material.grey")

# %% [markdown]
# ## The question
#
# Cover the end of a line with your hand: *To be, or not to b*. What comes next? You are almost sure. Now cover
# more: *To be, or not*. Less sure. A language model plays this game for every character of a text. It gives each
# possible next character a probability, and it is judged by the one that came.
#
# How well can the game be played? And how do we know whether a model that plays it is any good?

# %%
text = corpus("shakespeare")
train_text, valid_text = (
    text[: 500_000 if not fast() else 60_000],
    text[-20_000 if not fast() else -3_000 :],
)
tokenizer = CharTokenizer.from_text(train_text + valid_text)
train_ids, valid_ids = tokenizer.encode(train_text), tokenizer.encode(valid_text)
V = tokenizer.vocab_size
print(
    f"{len(train_ids):,} characters to learn from, {len(valid_ids):,} to be judged by, {V} different ones"
)
print(train_text[2000:2300])

# %% [markdown]
# ## The measure, derived
#
# A text is a row of characters $x_1, x_2, \ldots, x_T$. The probability of all of it is a product, each character
# given those before it:
#
# $$ p(x_1 \ldots x_T) = \prod_t p(x_t \mid x_1 \ldots x_{t-1}) $$
#
# This is no assumption. It is what "given" means, applied $T$ times. Take the logarithm, a minus sign, and the
# mean, and you have the cross-entropy of lesson 4, now for a text:
#
# $$ L = -\frac{1}{T} \sum_t \ln p(x_t \mid x_1 \ldots x_{t-1}) $$
#
# The same number is told in three ways:
#
# - **loss**, in *nats*: $L$ itself, with the natural logarithm. Training makes it small.
# - **perplexity**, $e^L$: "as unsure as if it chose among that many equally likely characters". Check it: a model
#   that gives each of $V$ characters the same $1/V$ has $L = \ln V$, and $e^{\ln V} = V$.
# - **bits per character**, $L / \ln 2$: the same with $\log_2$. A compression program that used the model
#   would need that many bits for each character. A file spends 8.
#
# If you know nothing, you pay $\ln V$. So that is the first rung of the ladder.


# %%
def tell(name, loss):
    print(
        f"{name:24} loss {loss:.3f}   perplexity {np.exp(loss):6.2f}   bits {loss / np.log(2):.2f}"
    )


ladder = {"all equally likely": np.log(V)}
tell("all equally likely", np.log(V))

# %% [markdown]
# ## A picture: what counting knows
#
# The second rung: count how often each character occurs. The third: count *pairs*. Divide each row of the table
# of pairs by its sum, and it says what follows what. That is a language model with $V \times V$ numbers, a
# *bigram* model.

# %%
pairs = np.zeros((V, V))
np.add.at(pairs, (train_ids[:-1], train_ids[1:]), 1)
common = np.argsort(-pairs.sum(1))[:24]
names = [
    "␣" if c == " " else "↵" if c == "\n" else c for c in map(tokenizer.decode, common[:, None])
]
shares = pairs[np.ix_(common, common)] / pairs[common].sum(1, keepdims=True)
figure, ax = plt.subplots(figsize=(6, 5))
shown = ax.imshow(shares, vmin=0, vmax=0.6)
ax.set_xticks(range(24), names)
ax.set_yticks(range(24), names)
ax.set_xlabel("the next character")
ax.set_ylabel("this character")
ax.grid(False)
figure.colorbar(shown, label="how often it comes next")
plt.show()

# %% [markdown]
# Read a row. After *t* comes *h*, after a comma a space. The table has learnt some spelling, and no words.

# %% [markdown]
# ## The smallest code: counting
#
# Why stop at pairs? Count triples: what follows *th*? Then groups of four. There is one difficulty. Some
# groups occur in the new text and never in the old one. Their count is 0, the probability is 0, and the loss is
# infinite. So we mix each count with what the shorter group says, as if we had seen $\kappa$ more characters
# that were distributed in that way (MacKay and Peto 1995):
#
# $$ p_n(c \mid \text{context}) = \frac{\text{count}(\text{context}, c) + \kappa \cdot p_{n-1}(c \mid
# \text{shorter})}{\text{count}(\text{context}) + \kappa} $$
#
# The shorter context leaves out the oldest character. With a frequent context the counts win, with a rare
# one the shorter context does. At the bottom stands $p_0 = 1/V$. All of it in twenty lines:


# %%
def groups(ids, n):
    """Each n neighbouring ids as one number, written in base V."""
    return sum(ids[k : len(ids) - n + 1 + k] * V ** (n - 1 - k) for k in range(n))


def count_of(numbers, kinds, counts):
    """How often each number was counted."""
    place = np.minimum(np.searchsorted(kinds, numbers), len(kinds) - 1)
    return np.where(kinds[place] == numbers, counts[place], 0)


def counting(train_ids, texts, longest, kappa=3.0):
    """The loss on each text for groups of 1, ..., longest characters, and the share of groups
    never counted."""
    p = [np.full(len(ids) - longest + 1, 1 / V) for ids in texts]
    losses, unseen = [], []
    for n in range(1, longest + 1):
        kinds, counts = np.unique(groups(train_ids, n), return_counts=True)
        contexts, first = np.unique(kinds // V, return_index=True)
        totals = np.add.reduceat(counts, first)
        for k, ids in enumerate(texts):
            asked = groups(ids, n)[longest - n :]  # the groups that end at each target
            found = count_of(asked, kinds, counts)
            p[k] = (found + kappa * p[k]) / (count_of(asked // V, contexts, totals) + kappa)
        losses.append([-np.log(each).mean() for each in p])
        unseen.append((found == 0).mean())
    return np.array(losses), np.array(unseen)


longest = 7
started = time.perf_counter()
by_counting, unseen = counting(train_ids, [train_ids, valid_ids], longest)
print(f"{time.perf_counter() - started:.1f} s for all of it")
for n, name in enumerate(
    ("single characters", "pairs", "triples", "groups of 4", "groups of 5"), 1
):
    ladder[name] = by_counting[n - 1, 1]
for name, loss in ladder.items():
    tell(name, loss)

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.2))
n = np.arange(1, longest + 1)
left.plot(n, by_counting[:, 1], "o-", label="new text")
left.plot(n, by_counting[:, 0], "s--", label="the text that was counted")
left.set_xlabel("characters in a group")
left.set_ylabel("loss (nats a character)")
left.legend()
right.bar(n, 100 * unseen, color="0.6", edgecolor="black")
right.set_xlabel("characters in a group")
right.set_ylabel("never seen before (%)")
plt.show()

# %% [markdown]
# Look at both curves on the left. On the text that was counted, longer groups are always better: in the end the
# table knows that text by heart. On new text there is a best length, and then it gets worse. The distance between
# the curves is the *generalisation gap*, and you see why we never judge by the text that was learnt.
#
# The bars say what is wrong with counting. The longer the groups, the more of them are new, and of a
# new group a table knows nothing at all. It cannot see that *my noble lord* is like *my gracious lord*. A network
# with vectors in place of table rows can: similar contexts get similar vectors, so what was learnt for one
# serves the other.

# %% [markdown]
# ## The smallest code: a GPT in numpy
#
# From lesson 14 you know the block: attention gathers from earlier places, an MLP thinks at each place, both
# *add* to a stream of vectors. A GPT is a stack of them, with a table of vectors at the entrance. At the
# exit the same table is used again: the logit of a character is the product of the last vector with the
# vector of that character. Here is all of it, for one text:


# %%
def layer_norm(x, weight, bias):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * weight + bias


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def gpt(ids, w, num_layers, num_heads):
    """Logits (time, V) for ids (time,), with weights w as a GPT's state_dict names them."""
    T, d = len(ids), w["token_embedding.weight"].shape[1]
    x = w["token_embedding.weight"][ids] + w["position_embedding.weight"][:T]
    for i in range(num_layers):
        b = {name.removeprefix(f"blocks.{i}."): value for name, value in w.items()}
        h = layer_norm(x, b["norm_1.weight"], b["norm_1.bias"])
        qkv = h @ b["attention.in_proj_weight"].T + b["attention.in_proj_bias"]
        q, k, v = qkv.reshape(T, 3, num_heads, d // num_heads).transpose(
            1, 2, 0, 3
        )  # (heads, T, d/heads) each
        scores = q @ k.swapaxes(1, 2) / np.sqrt(d // num_heads)
        scores = np.where(np.tri(T, dtype=bool), scores, -np.inf)  # nobody looks ahead
        mixed = (softmax(scores) @ v).transpose(1, 0, 2).reshape(T, d)
        x = x + mixed @ b["attention.out_proj.weight"].T + b["attention.out_proj.bias"]
        h = layer_norm(x, b["norm_2.weight"], b["norm_2.bias"])
        h = h @ b["mlp.expand.weight"].T + b["mlp.expand.bias"]
        h = 0.5 * h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))  # GELU
        x = x + h @ b["mlp.project.weight"].T + b["mlp.project.bias"]
    x = layer_norm(x, w["final_norm.weight"], w["final_norm.bias"])
    return x @ w["token_embedding.weight"].T


def make_gpt(layers, width, seed=0):
    mg.manual_seed(seed)
    return GPT(GPTConfig(V, context, num_layers=layers, num_heads=4, embedding_dim=width))


size = (2, 96) if not fast() else (1, 32)  # blocks, and numbers in a vector
context = 64 if not fast() else 32
model = make_gpt(*size)
weights = {name: value.detach().numpy() for name, value in model.state_dict().items()}
with mg.no_grad():
    theirs = model(mg.tensor(valid_ids[None, :30])).numpy()[0]
difference = np.abs(gpt(valid_ids[:30], weights, size[0], 4) - theirs).max()
print(f"largest difference from the library's logits: {difference:.1e}")
assert difference < 1e-4

# %% [markdown]
# ## The library's own
#
# Read it from top to bottom; it is short. First a block, with its MLP:

# %%
show_source(MLP, Block)

# %% [markdown]
# Then the way through the whole model. `features` makes the vectors, `head` compares them with the table, and
# `forward` adds the loss. One text of 64 characters gives **64 predictions at once**, because attention
# never looks ahead: place $t$ has seen only $x_1 \ldots x_t$. That is why a Transformer learns so
# quickly from a text.

# %%
show_source(GPT.forward, GPT.features, GPT.head)

# %% [markdown]
# ## How it must start
#
# The first numbers in the weights are drawn at random. Three decisions are in the next method. Cover the
# text below it and ask why, for each.

# %%
show_source(GPT.reset_parameters)

# %% [markdown]
# **Small numbers.** Before training, all characters should be about equally likely, so all logits
# should be near 0. A standard deviation of 0.02 does that.
#
# **One table at both ends.** The table of characters is used twice and stored once (*weight tying*). What
# the entrance learns about a rare character, the exit knows too. With GPT-2's 50,257 tokens and 768 numbers
# each the table is 38.6 of 124 million weights, so it also saves a quarter of the model.
#
# **The smaller start of what adds to the stream.** With $N$ blocks the stream is a sum of $2N$ terms on
# top of the embedding, since each block adds twice:
#
# $$ x_{\text{end}} = x_{\text{start}} + b_1 + b_2 + \cdots + b_{2N} $$
#
# At the start the terms are about independent, and variances of independent numbers add. If each term has variance
# $s^2$, the stream ends with $2 N s^2$ more than it began with. It grows with the depth. Divide the
# last weights of each term by $\sqrt{2N}$, and each has variance $s^2 / 2N$. The sum has $s^2$, however
# deep the model is. Measured on a model of 24 blocks:


# %%
def stream(model, ids):
    """The standard deviation of the stream after each block."""
    with mg.no_grad():
        x = model.token_embedding(ids) + model.position_embedding.weight[: ids.shape[1]]
        spreads = [x.numpy().std()]
        for block in model.blocks:
            x = block(x)
            spreads.append(x.numpy().std())
    return spreads


depth = 24 if not fast() else 8
ids = mg.tensor(train_ids[: 8 * context].reshape(8, context))
deep = make_gpt(depth, 128 if not fast() else 64)
spread = {"as in GPT-2: divided by √(2N)": stream(deep, ids)}
with mg.no_grad():
    for block in deep.blocks:
        for last in (block.attention.out_proj.weight, block.mlp.project.weight):
            last *= np.sqrt(2 * depth)  # undo the division
spread["all weights alike"] = stream(deep, ids)

figure, ax = plt.subplots(figsize=(7.5, 2.8))
for (name, values), mark in zip(spread.items(), "os"):
    ax.plot(np.array(values) / values[0], mark + "-", markersize=4, label=name)
ax.set_xlabel("block")
ax.set_ylabel("spread of the stream,\nthat of the start = 1")
ax.legend()
plt.show()
growth = {name: values[-1] / values[0] for name, values in spread.items()}

# %% [markdown]
# ## Checked by finite differences
#
# Every weight of a tiny GPT, in float64. The table of characters gets its gradient from two places, the entrance
# and the exit, and the engine must add them.

# %%
mg.manual_seed(0)
tiny = GPT(GPTConfig(vocab_size=5, context_length=4, num_layers=1, num_heads=2, embedding_dim=4))
for p in tiny.parameters():
    p.data = p.data.astype("float64") * (10 if p.ndim == 2 else 1)  # so that every part matters
x, y = mg.tensor([[0, 3, 1, 1]]), mg.tensor([[3, 1, 1, 4]])
print("gradcheck:", mg.gradcheck(lambda *p: tiny(x, y)[1], list(tiny.parameters())))

# %% [markdown]
# ## A log of losses, with its mistakes
#
# Before a long run, short ones. Each asks one question whose answer is known. Keep such a log for every model you
# train. First the loop, the one of lesson 5:


# %%
def next_loss(model, x, y):
    return model(x, y)[1]


def train(model, steps, rate, warmup=20, fall=10, loss_of=next_loss, batches=None, watch=None):
    """Train on random windows of the text; the loss of each step.

    The learning rate climbs to rate in the warm-up, and falls to rate / fall. watch is called after each step
    with the number of steps made.
    """
    parameters = list(model.parameters())
    optimizer = AdamW(decay_groups(parameters, 0.1), lr=rate, betas=(0.9, 0.99))
    schedule = LinearWarmupCosine(optimizer, min(warmup, steps // 2), steps, rate / fall)
    batches = batches or TokenBatches(train_ids, 16, context)
    losses = []
    for step in range(1, steps + 1):
        x, y = map(mg.tensor, next(batches))
        loss = loss_of(model, x, y)
        loss.backward()
        clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if watch:
            watch(step)
    return losses


x, y = map(mg.tensor, next(TokenBatches(train_ids, 16, context)))
print("x:", repr(tokenizer.decode(x.numpy()[0])))
print("y:", repr(tokenizer.decode(y.numpy()[0])))

# %% [markdown]
# *Always print one batch as text.* `y` is `x`, one character later. If you see that here, you will not
# have to look for it in the loss.
#
# **Entry 1, the loss at step 0.** It must be near $\ln V$. My first version had the embedding of most textbooks,
# with standard deviation 1, and I tied the exit to it:

# %%
with mg.no_grad():
    at_start = make_gpt(*size)(x, y)[1].item()
    textbook = make_gpt(*size)
    textbook.token_embedding.weight *= 1 / 0.02
    at_start_textbook = textbook(x, y)[1].item()
print(
    f"ln V = {np.log(V):.3f}, the library {at_start:.3f}, with standard deviation 1: {at_start_textbook:.1f}"
)

# %% [markdown]
# A model that loses more than $\ln V$ knows nothing and is sure of it. It would have learnt, after wasting its
# first hundred steps on getting less sure. Remember the small surplus of the library's own loss as well. The vector
# at each place still contains the character that stands there, and the exit compares it with the same table. So the
# model begins by expecting each character twice.
#
# **Entry 2, one batch.** Can it learn 16 windows by heart? If not, there is a bug, and no amount of data will help.

# %%
same = iter(lambda: (x.numpy(), y.numpy()), None)  # the same batch forever
by_heart = train(make_gpt(*size), 150 if not fast() else 30, 0.01, batches=same)
print(f"one batch again and again: {by_heart[0]:.2f} at first, {by_heart[-1]:.2f} at the end")

# %% [markdown]
# **Entry 3, the learning rate.** Three short runs, a factor of 20 apart. And a fourth, because at first I had taken a
# warm-up of 3 steps instead of 20, and nearly threw away the best rate:

# %%
short = 80 if not fast() else 24
tries = {
    "0.0005": (0.0005, 20),
    "0.01": (0.01, 20),
    "0.2": (0.2, 20),
    "0.01, short warm-up": (0.01, 3),
}
tried = {name: train(make_gpt(*size), short, *setting) for name, setting in tries.items()}
figure, ax = plt.subplots(figsize=(7.5, 3))
for name, each in tried.items():
    ax.plot(each, linewidth=1.4, label=name)
for rung in ("all equally likely", "single characters", "pairs"):
    ax.axhline(ladder[rung], color="0.8", linewidth=1)
    ax.annotate(rung, (short * 1.01, ladder[rung]), va="center", fontsize=8, annotation_clip=False)
ax.set_xlim(0, short)
ax.set_ylim(2.3, 5.2)
ax.set_xlabel("step")
ax.set_ylabel("loss of each batch")
ax.legend(title="learning rate", loc="upper right", ncols=2)
plt.show()
for name, each in tried.items():
    print(f"learning rate {name:20} mean of the last 5 steps: {np.mean(each[-5:]):.2f}")

# %% [markdown]
# The small rate is still on its way from the second rung to the third. The large one is thrown back in its first
# steps and does not get beyond the frequencies of single characters. The middle one is the best, but only with the
# longer warm-up. AdamW divides each gradient by its usual size (lesson 5), and after three steps it hardly knows
# the usual size. A full step then is a step at random, and it costs more than it saves.

# %% [markdown]
# ## Where the time goes
#
# How long will the run take? Count. In a product with a weight matrix each weight is multiplied once and added
# once for each token: 2 floating-point operations. Backwards there are two products of the same size, one
# for the gradient of the input and one for that of the weight: 4 more. So for $N$ weights and $D$ tokens
#
# $$ C \approx 6 N D $$
#
# Attention's own products are left out. In each layer they cost about $T / 12d$ of the rest, with $T$ places and
# width $d$: here $64 / (12 \cdot 96)$, six per cent.


# %%
def count(model):
    """The weights that take part in products: all but the table of places."""
    return sum(p.numel() for p in model.parameters()) - model.position_embedding.weight.numel()


def fastest(act, times=8):
    """The shortest of several runs in seconds: the others were disturbed by something."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


model = make_gpt(*size)
step = fastest(lambda: train(model, 1, 1e-9, warmup=0))
square = mg.randn(1024, 1024)
peak = 2 * 1024**3 / fastest(lambda: square @ square)
rate = 6 * count(model) * x.numel() / step
print(f"{count(model):,} weights: {x.numel() / step:,.0f} tokens/s, {rate / 1e9:.0f} GFLOP/s")
print(
    f"a large matrix product on this machine: {peak / 1e9:.0f} GFLOP/s; we use {rate / peak:.0%} of it"
)

# %% [markdown]
# The rest goes to what does few operations on many numbers: normalising, adding to the stream, AdamW, and to Python
# itself. The wider the model, the smaller that share.

# %% [markdown]
# ## The run
#
# 230,000 weights, 1.6 million characters, and the ladder beside the curve.

# %%
steps = 1600 if not fast() else 250
started = time.perf_counter()
losses = train(model := make_gpt(*size), steps, 0.01, warmup=80 if not fast() else 20)
seconds = time.perf_counter() - started
result = evaluate(model, tokenizer, valid_ids)
print(f"{seconds:.0f} s; expected {6 * count(model) * steps * x.numel() / rate:.0f} s")

figure, ax = plt.subplots(figsize=(7.5, 3.6))
ax.plot(losses, linewidth=0.8, color="0.6", label="each batch")
mean = np.convolve(losses, np.ones(20) / 20, "valid")
ax.plot(np.arange(len(mean)) + 10, mean, label="mean of 20")
ax.axhline(result.loss, color="0.2", linestyle="--", label="on new text, at the end")
place = 0  # of a label; one that would overlap the one below moves up
for name, loss in sorted(ladder.items(), key=lambda rung: rung[1]):
    ax.axhline(loss, color="0.4", linestyle=":", linewidth=1)
    place = max(loss, place + 0.12)
    ax.annotate(name, (steps * 1.01, place), va="center", fontsize=8, annotation_clip=False)
ax.set_xlim(0, steps)
ax.set_ylim(1.4, 4.8)
ax.set_xlabel("step")
ax.set_ylabel("loss (nats a character)")
ax.legend()
plt.show()

# %% [markdown]
# The curve comes down the ladder rung by rung, and you can say what it has learnt at each. In the first steps it
# learns which characters are frequent, soon after that which follow which. It needs a thousand steps more to use
# what lies further back. Now the numbers that are reported, on new text, and the generalisation gap:

# %%
for name, loss in ladder.items():
    tell(name, loss)
tell("this GPT", result.loss)
print(
    f"\nthe library's evaluate: {result.bits_per_character:.3f} bits, perplexity {result.perplexity:.2f}"
)
on_known = mean_loss(model, train_ids[: len(valid_ids)])
gap = result.loss - on_known
print(
    f"GPT on {len(valid_ids):,} characters that it was trained on: {on_known:.3f}, a gap of {gap:.3f}"
)
print(f"groups of 5, the same gap: {by_counting[4, 1] - by_counting[4, 0]:.3f}")
print(f"different groups of 5: {len(np.unique(groups(train_ids, 5))):,}")
goal("loss on new text", result.loss, at_most=1.9)

# %% [markdown]
# Be fair to the tables. The GPT ends a little below the best of them, after less than a minute of training, and the
# table took a second. Count the entries, though: the groups of 5 in this text are a hundred thousand numbers, and
# the loss on the counted text is far below that on new text. The table has nothing more to learn from this text but
# the text itself. The GPT has read the text three times, its gap is small, and its curve still falls. What would
# more computing buy?

# %% [markdown]
# ## Scaling a little
#
# Three sizes, 600,000 tokens each, with a constant learning rate after the warm-up, so that every point on the way
# is the end of a shorter run. The smallest is trained three times from different starts. How much those three
# differ is taken as the error of *every* point.


# %%
def loss_on_the_way(layers, width, seed):
    """The weights in products, and the loss on new text at each mark."""
    model, seen = make_gpt(layers, width, seed), []

    def watch(step):
        if step in marks:
            seen.append(mean_loss(model, valid_ids[:10_000]))

    batches = TokenBatches(train_ids, 16, context, seed)
    train(model, marks[-1], 0.005, batches=batches, fall=1, watch=watch)
    return count(model), seen


marks = [38, 75, 150, 300, 600] if not fast() else [2, 4, 8]
tokens = np.array(marks) * 16 * context
sizes = [(1, 16), (1, 32), (2, 64)] if not fast() else [(1, 8), (1, 16)]
runs = [loss_on_the_way(*size, seed=0) for size in sizes]
again = [loss_on_the_way(*sizes[0], seed=seed)[1] for seed in (1, 2)]
spread_of_seeds = np.std([runs[0][1], *again], axis=0, ddof=1)

figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.4), sharey=True)
for (weights_used, seen), mark in zip(runs, "os^"):
    name = f"{weights_used:,} weights"
    left.errorbar(tokens, seen, spread_of_seeds, marker=mark, markersize=4, capsize=2, label=name)
    right.errorbar(
        6 * weights_used * tokens, seen, spread_of_seeds, marker=mark, markersize=4, capsize=2
    )
for ax, name in ((left, "tokens seen, D"), (right, "operations, 6ND")):
    ax.set_xscale("log")
    ax.set_xlabel(name)
left.set_yscale("log")
for axis, ticks, form in (
    (left.yaxis, [2, 2.5, 3, 3.5], "{x:g}"),
    (left.xaxis, tokens, "{x:,.0f}"),
):
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(form)
    axis.set_minor_locator(NullLocator())
left.tick_params("x", rotation=30)
left.set_ylabel("loss on new text")
left.legend(fontsize=8)
plt.show()
print("standard deviation between starts:", np.round(spread_of_seeds, 3))
small, large = runs[0][1], runs[-1][1]

# %% [markdown]
# On the left, at equal **tokens**, the larger model is better: it learns more from each character. On the right, at
# equal **operations**, the order turns round: for a small budget a small model that has seen more text wins.
# But its curve is the first to flatten. Follow it to the right in your mind: the next larger one will cross it.
# So the best size grows with the budget. That is the whole idea of scaling laws. Kaplan et al. (2020)
# found straight lines on such axes over seven powers of ten, and Hoffmann et al. (2022) found that weights and
# tokens should grow together, about 20 tokens a weight.
#
# Do not read a law into our picture. It has three sizes, one learning rate for all, and two powers
# of ten. The bars show the chance of the start only, and the text of 10,000 characters is one
# text. What it can carry is the order of the points that are further apart than the bars.

# %% [markdown]
# ## A sample
#
# The loss is a number; look at the writing too.

# %%
prompt = "KING:\n" if "KING:\n" in train_text else "The "
print(prompt + generate_text(model, tokenizer, prompt, max_tokens=400, temperature=0.8, seed=2))

# %% [markdown]
# Names in capitals, colons, short lines, words that are nearly English. It learnt the shape of a play character by
# character. Sense needs more: the smallest GPT-2 has 500 times the weights, and it read 40 GB of text. Lesson 16
# is about how to draw such a text from the model.

# %% [markdown]
# ## A bug to find
#
# A colleague knows another library, where a language model is given its own input as the target. Her loop says:
# *the logits at each place are for the next one, so cut the last logits off, and the first target.* That is
# right, and it is what her library does. She trains with the batches of this lesson. The loss
# falls as it should, nothing crashes. But her model writes nonsense. What happened?


# %%
def her_loss(model, x, y):
    logits = model(x)
    return F.cross_entropy(logits[:, :-1].reshape(-1, V), y[:, 1:].reshape(-1))


her_model = make_gpt(*size)
her_losses = train(her_model, 300 if not fast() else 250, 0.01, loss_of=her_loss)
her_end, ours_then = (
    np.mean(each[len(her_losses) - 20 : len(her_losses)]) for each in (her_losses, losses)
)
print(
    f"her loss: {her_losses[0]:.2f} at first, {her_end:.2f} at the end; ours by then {ours_then:.2f}"
)
print(generate_text(her_model, tokenizer, prompt, max_tokens=150, temperature=0.8, seed=2))
her_result = mean_loss(her_model, valid_ids)
print(f"\nthe library's evaluation of her model: {her_result:.2f}")
print(f"counting single characters: {ladder['single characters']:.2f}")

# %% [markdown]
# ## Exercises
#
# **Small** (5 minutes each)
#
# 1. A model has a loss of 1.2 nats a *word piece* of 4 characters on average. How many bits per character? Another
#    has 1.2 bits per character. Which is better?
# 2. GPT-2 has 12 blocks. By what number are the last weights of each term divided at the start?
# 3. How long would your machine need to train GPT-2 (124 million weights) on 20 tokens a weight?
#
# **Medium** (20 minutes each)
#
# 4. Untie the exit: give the model an `nn.Linear(width, V, bias=False)` of its own. What changes in the loss at
#    step 0, and after 1,600 steps?
# 5. Take the mask away (`is_causal=False` in a copy of `Block`). What does the loss fall to, and what does the model
#    write?
# 6. Evaluate the trained model by place: the mean loss at places 1, 2, ..., 64 of a window. How
#    much does a longer context help? What does that say about `evaluate`, which starts each window from nothing?
#
# **Large** (an evening)
#
# 7. Find the best size for a budget: for each of three values of $6ND$, train four sizes to exactly that budget, each
#    with a cosine that ends there. Draw loss against size and mark the lowest points
#    (Hoffmann et al. 2022, section 3.2). Two starts each; say what the error allows you to conclude.
#
# **In the course kit**, to be written in the library itself: 15.1 *Perplexity*, 15.2 *How a GPT starts*, 15.3
# *A block of GPT-2*, 15.4 *From ids to vectors*, 15.5 *The loss of a whole text*. `minigrad course test 15.1` checks
# the first.

# %% [markdown]
# ## Answers
#
# **The bug.** The shift was made twice. `TokenBatches` already gives targets that are one later, and `GPT` does not
# shift. Her loss shifts again, so the model learnt to predict *two ahead*. That is a well-posed problem, so the
# loss falls; but its floor is higher, and a text of every second character is not a text. The test: her model,
# judged by what comes two later, is better than ours. Judged by the next character it is worse than one that only
# counted single characters. The first entry of the log would have shown nothing: at the start all targets are
# alike. Printing `x` and `y` as text, *as the loss sees them*, shows it.

# %%
x, y = map(mg.tensor, next(TokenBatches(valid_ids, 64, context)))
next_one, two_ahead = {}, {}
for name, judged in (("ours", model), ("hers", her_model)):
    with mg.no_grad():
        next_one[name] = next_loss(judged, x, y).item()
        two_ahead[name] = her_loss(judged, x, y).item()
    print(f"{name}: the next character {next_one[name]:.2f}, two ahead {two_ahead[name]:.2f}")
assert two_ahead["hers"] < two_ahead["ours"]
assert next_one["ours"] < next_one["hers"]

# %% [markdown]
# **Small 1.** $1.2 / 0.693 = 1.73$ bits a piece, $0.43$ bits a character: the first. **Small 2.**
# $\sqrt{24} = 4.9$. **Small 3.** $C = 6 \cdot 1.24 \cdot 10^8 \cdot 2.5 \cdot 10^9 = 1.8 \cdot 10^{18}$; at 60
# GFLOP/s about a year.

# %% [markdown]
# ## Sources
#
# - C. Shannon, *Prediction and entropy of printed English*, Bell System Technical Journal 30, 1951: the game of the
#   first section, played with people.
# - D. MacKay, L. Peto, *A hierarchical Dirichlet language model*, Natural Language Engineering 1, 1995.
# - A. Radford et al., *Language models are unsupervised multitask learners*, OpenAI 2019: section 2.3, the model.
# - O. Press, L. Wolf, *Using the output embedding to improve language models*, EACL 2017: weight tying.
# - J. Kaplan et al., *Scaling laws for neural language models*, arXiv:2001.08361, 2020: section 2.1 counts $6N$.
# - J. Hoffmann et al., *Training compute-optimal large language models*, arXiv:2203.15556, 2022.
# - A. Karpathy, *Let's build GPT* and *A recipe for training neural networks*, 2019 to 2023: short runs
#   whose answer is known.
#
# Next: lesson 16, how to draw a text from the model.
