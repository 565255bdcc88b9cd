# %% [markdown]
# # 16. Generation: greedy, temperature, top-k, top-p, beam, the key/value cache
#
# | | |
# |---|---|
# | Builds on | lesson 15: a GPT and its loss; lesson 14: attention |
# | You will have | every usual way to draw a text from a model, measured, and a cache that makes it quick |
# | Time | 85 minutes, of which 55 seconds are computing |
# | Memory | 0.3 GB |
#
# A language model gives probabilities. A text needs decisions. This lesson is about what lies between.

# %%
import re
import time
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
from lessons.material.kit import corpus, fast, goal, show_source
from models.generation.beam import beam_search, extend_beams
from models.generation.generate import generate_text
from models.generation.sampling import Sampling, draw, keep_top_k, keep_top_p, penalize_repetition
from models.gpt import GPT, GPTConfig
from models.tasks.evaluation import mean_loss
from models.text.batching import TokenBatches
from models.text.tokenizers import CharTokenizer
from nn import KVCache
from nn.optim import AdamW
from nn.optim.lr_scheduler import LinearWarmupCosine
from nn.utils import clip_grad_norm_, decay_groups

plt.style.use("lessons.material.grey")
rng = np.random.default_rng(0)

# %% [markdown]
# ## The question
#
# Someone asks the model of lesson 15 for a text. It answers with 65 probabilities for the first character. Take the
# likeliest? Then each request gets the same text. Draw at random? Then, once in a hundred characters, comes one
# that the model itself thought a hundred times less likely than its favourite. What is the right way?
#
# First a model, trained as in lesson 15, so that there is something to draw from.

# %%
text = corpus("shakespeare")
train_text, valid_text = (
    text[: 500_000 if not fast() else 60_000],
    text[-20_000 if not fast() else -3_000 :],
)
tokenizer = CharTokenizer.from_text(train_text + valid_text)
train_ids, valid_ids = tokenizer.encode(train_text), tokenizer.encode(valid_text)
V, context = tokenizer.vocab_size, 64

mg.manual_seed(0)
layers, width = (2, 96) if not fast() else (1, 32)
model = GPT(GPTConfig(V, context, num_layers=layers, num_heads=4, embedding_dim=width))
steps = 1200 if not fast() else 150
parameters = list(model.parameters())
optimizer = AdamW(decay_groups(parameters, 0.1), lr=0.01, betas=(0.9, 0.99))
schedule = LinearWarmupCosine(optimizer, 40, steps, 0.001)
batches = TokenBatches(train_ids, 16, context)
for _ in range(steps):
    loss = model(*map(mg.tensor, next(batches)))[1]
    loss.backward()
    clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    schedule.step()
    optimizer.zero_grad()
model.eval()
model_loss = mean_loss(model, valid_ids)
print(f"loss on new text: {model_loss:.2f}")

# %% [markdown]
# ## A picture of two moments
#
# Sometimes the model is nearly sure, and sometimes it has no idea. Both moments are in every line.


# %%
@mg.no_grad()
def next_logits(beginning):
    """The logits of what comes after a text, (V,), in float64."""
    ids = tokenizer.encode(beginning)[-context:]
    return model.next_logits(mg.tensor(ids[None])).numpy()[0].astype("float64")


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def shown(id):
    return {" ": "␣", "\n": "↵"}.get(tokenizer.decode([id]), tokenizer.decode([id]))


moments = {
    "sure": "That is the thing that I kno",
    "unsure": "That is the thing that I ",
}
logits = {name: next_logits(beginning) for name, beginning in moments.items()}


def bars(ax, p, title, kept=None):
    """The likeliest 16 characters; those that are not kept in outline."""
    order = np.argsort(-p)[:16]
    kept = np.ones(V, bool) if kept is None else kept
    colours = ["0.45" if kept[id] else "white" for id in order]
    ax.bar(range(16), p[order], color=colours, edgecolor="black")
    ax.set_xticks(range(16), [shown(id) for id in order])
    ax.set_title(title, fontsize=10)


figure, axes = plt.subplots(1, 2, figsize=(7.5, 2.6))
for ax, (name, beginning) in zip(axes, moments.items()):
    bars(ax, softmax(logits[name]), f"{name}: after {beginning[-8:]!r}")
    ax.set_xlabel("next character")
axes[0].set_ylabel("probability")
plt.show()

# %% [markdown]
# ## Temperature, derived
#
# Divide the logits $x_i$ by a number $T$ before the softmax:
#
# $$ p_i = \frac{e^{x_i / T}}{\sum_j e^{x_j / T}} $$
#
# With $T = 1$ these are the model's own probabilities. As $T \to 0$ the largest logit wins everything: that is
# *greedy* choice. As $T \to \infty$ all quotients go to 0, and all characters become equally likely.
#
# How unsure a distribution is, is told by its *entropy* $H = -\sum_i p_i \ln p_i$, the loss that one should expect.
# $e^H$ is a number of choices, as perplexity is. How does $H$ change with $T$? Write $\beta = 1/T$ and
# $Z = \sum_j e^{\beta x_j}$, so that $\ln p_i = \beta x_i - \ln Z$. Let $m = \sum_i p_i x_i$ be the mean logit. Then
#
# $$ H = \ln Z - \beta m $$
#
# The derivative of $\ln Z$ with respect to $\beta$ is $m$ (compare lesson 4). That of $m$ is the variance of the
# logits, call it $v = \sum_i p_i (x_i - m)^2$. So $dH / d\beta = m - m - \beta v = -\beta v$. With the chain rule and
# $d\beta / dT = -1 / T^2$
#
# $$ \frac{dH}{dT} = \frac{v}{T^3} $$
#
# A variance is never negative. So a higher temperature *always* means more choice, whatever the logits are.


# %%
def entropy(p):
    return -(p * np.log(np.maximum(p, 1e-300))).sum(-1)


temperatures = np.geomspace(0.1, 10, 80)
figure, ax = plt.subplots(figsize=(7.5, 3))
for name, x in logits.items():
    ax.plot(temperatures, [np.exp(entropy(softmax(x / T))) for T in temperatures], label=name)
ax.axhline(V, color="0.5", linestyle=":")
ax.annotate(
    f"all {V} characters", (0.11, V), xytext=(0, -12), textcoords="offset points", fontsize=9
)
ax.set_xscale("log")
ax.set_yscale("log")
ax.set_xticks([0.1, 0.3, 1, 3, 10], ["0.1", "0.3", "1", "3", "10"])
ax.set_yticks([1, 3, 10, 30], ["1", "3", "10", "30"])
ax.set_xlabel("temperature T")
ax.set_ylabel("choices, exp(H)")
ax.legend()
plt.show()

# %% [markdown]
# ## Checked by finite differences
#
# The formula against the engine, and the engine against difference quotients:


# %%
def entropy_at(x, T):
    p = (x / T).softmax(-1)
    return -(p * p.log()).sum()


x = mg.tensor(logits["unsure"], requires_grad=True)
T = mg.tensor(0.7, dtype="float64", requires_grad=True)
slope = mg.grad(entropy_at(x, T), [T])[0].item()
p = softmax(logits["unsure"] / 0.7)
m = (p * logits["unsure"]).sum()
v = (p * (logits["unsure"] - m) ** 2).sum()
print(f"dH/dT: by the engine {slope:.9f}, v/T³ = {v / 0.7**3:.9f}")
assert abs(slope - v / 0.7**3) < 1e-8
print("gradcheck:", mg.gradcheck(entropy_at, [x, T]))

# %% [markdown]
# ## The smallest code: cutting the tail
#
# A low temperature makes the favourites stronger and leaves a little to everybody else. 60 unlikely characters with
# 0.1 % each are 6 % together: one character in 17 would be nonsense. So cut the tail off.
#
# - **top-k** (Fan et al. 2018) keeps the $k$ likeliest, always as many.
# - **top-p**, or *nucleus* (Holtzman et al. 2020), keeps the fewest likeliest that hold the probability $p$ together.
#   Their number changes with the moment.


# %%
def top_k(p, k):
    """Which tokens stay: the k likeliest."""
    return np.argsort(np.argsort(-p)) < k


def top_p(p, share):
    """Which tokens stay: the likeliest, until they hold the share."""
    order = np.argsort(-p)
    before = np.cumsum(p[order]) - p[order]  # the probability of all likelier ones
    kept = np.zeros(len(p), bool)
    kept[order[before < share]] = True
    return kept


def choose(p, uniform):
    """The token at which the running sum of p first exceeds a random number from 0 to 1."""
    return int(np.searchsorted(np.cumsum(p), uniform * p.sum(), side="right"))


figure, axes = plt.subplots(2, 2, figsize=(7.5, 4.2))
for column, (name, x) in zip(axes.T, logits.items()):
    p = softmax(x)
    for ax, kept, rule in zip(
        column, (top_k(p, 5), top_p(p, 0.9)), ("top-k, k = 5", "top-p, p = 0.9")
    ):
        bars(ax, p, f"{name}, {rule}: {kept.sum()} stay", kept)
axes[0, 0].set_ylabel("probability")
axes[1, 0].set_ylabel("probability")
plt.show()

# %% [markdown]
# Look at the upper row. Five are too many where the model is sure: the last ones are its mistakes. They are too few
# where it is not. The lower row follows the moment. (The characters left are divided by their sum, so that they are
# probabilities again.)

# %% [markdown]
# ## The library's own
#
# The same on logits, for many texts at once. A cut token gets $-\infty$, so the softmax does the division. Note the
# order in `choose`: penalty, temperature, top-k, top-p.

# %%
show_source(Sampling.choose, keep_top_k, keep_top_p, draw)
for x in logits.values():
    p = softmax(x)
    assert ((keep_top_k(x[None], 5)[0] > -np.inf) == top_k(p, 5)).all()
    assert ((keep_top_p(x[None], 0.9)[0] > -np.inf) == top_p(p, 0.9)).all()
    for uniform in rng.random(100):
        assert draw(p[None], np.array([uniform]))[0] == choose(p, uniform)
print("yours and the library's keep the same tokens, and draw the same")

# %% [markdown]
# There is one more option, `repetition_penalty` (Keskar et al. 2019). It lowers the logits of tokens that have
# occurred. It is a patch for large models with words as tokens. With characters it forbids *e*, so we leave it.

# %%
show_source(penalize_repetition)

# %% [markdown]
# ## The run: greedy repeats itself
#
# Now texts. Two numbers for each:
#
# - **distinct**: of all pieces of 8 characters, the share that occurs for the first time. A loop has few.
# - **known words**: the share of words that occur in the text it learnt from. Nonsense has few.


# %%
def distinct(text, n=8):
    pieces = [text[i : i + n] for i in range(len(text) - n + 1)]
    return len(set(pieces)) / len(pieces)


vocabulary = set(re.findall("[a-z']+", train_text.lower()))


def known_words(text):
    words = re.findall("[a-z']+", text.lower())[1:-1]  # the first and the last may be cut
    return sum(word in vocabulary for word in words) / max(len(words), 1)


prompt = "What is "
ways = {
    "greedy": {"temperature": 0},
    "T = 0.4": {"temperature": 0.4},
    "T = 0.7": {"temperature": 0.7},
    "T = 1": {},
    "T = 1.4": {"temperature": 1.4},
    "top-k 5": {"top_k": 5},
    "top-p 0.9": {"top_p": 0.9},
    "top-p 0.7": {"top_p": 0.7},
}
length, texts, quality = 1500 if not fast() else 120, {}, {}
for name, options in ways.items():
    texts[name] = generate_text(model, tokenizer, prompt, max_tokens=length, seed=1, **options)
    quality[name] = distinct(texts[name]), known_words(texts[name])
    print(
        f"{name:10} distinct {quality[name][0]:.2f}   known words {quality[name][1]:.2f}   {texts[name][:60]!r}"
    )
human = distinct(valid_text[:length]), known_words(valid_text[:length])
print(f"{'a human':10} distinct {human[0]:.2f}   known words {human[1]:.2f}")

# %%
figure, ax = plt.subplots(figsize=(7.5, 3.6))
for (name, (x, y)), mark in zip(quality.items(), "oooooDss"):
    ax.plot(x, y, mark, color="0.3", markersize=6)
    side = {"xytext": (-7, -3), "ha": "right"} if "top-k" in name else {"xytext": (7, -3)}
    ax.annotate(name, (x, y), textcoords="offset points", fontsize=9, **side)
ax.plot(*human, "*", color="black", markersize=14)
ax.annotate("a human", human, xytext=(9, -3), textcoords="offset points", fontsize=9)
ax.set_xlim(-0.05, 1.18)
ax.set_xlabel("distinct pieces of 8 characters (share)")
ax.set_ylabel("known words (share)")
plt.show()
goal("known words with top-p 0.7", quality["top-p 0.7"][1], at_least=0.8)

# %% [markdown]
# Greedy choice fell into a loop. In a loop each round makes the next one likelier, since the model has learnt that
# what has occurred comes again. Its words are perfect, and there are hardly any. At the other end, a high temperature
# invents words. In between you buy one with the other.
#
# How far can these numbers be trusted? A text of 1,500 characters has about 300 words, so a share of known words is
# good to 0.02 or so. Top-p 0.9 before $T = 1$ is more than chance. Do not choose between $T = 0.7$, top-k 5 and top-p
# 0.7 by this picture: all three are near the human.

# %% [markdown]
# ## Beam search: a tree by hand
#
# Perhaps greedy choice fails because it is *short-sighted*. The text with the highest probability need not begin with
# the likeliest token. Look at this model with three tokens and texts of two:

# %%
first = {"a": 0.5, "b": 0.4, "c": 0.1}
second = {
    "a": {"a": 0.4, "b": 0.3, "c": 0.3},
    "b": {"a": 0.9, "b": 0.05, "c": 0.05},
    "c": {"a": 0.6, "b": 0.2, "c": 0.2},
}
figure, ax = plt.subplots(figsize=(7.5, 3.6))
ax.annotate("start", (0, 0), ha="center", va="center", fontsize=10)
for i, (token, p) in enumerate(first.items()):
    y = 3 - 3 * i
    style = {"color": "black" if token in "ab" else "0.7", "linewidth": 2 if token in "ab" else 1}
    ax.plot([0.25, 1.75], [0, y], linestyle="-", **style)
    ax.text(1.05, 0.62 * y + (0.35 if i < 2 else -0.45), f"{p}", ha="center", fontsize=9)
    ax.text(2, y, f"{token}: {p:.2f}", ha="center", va="center", fontsize=10)
    for k, (after, q) in enumerate(second[token].items()):
        end = y + 0.9 - 0.9 * k
        best = token + after in ("ba", "aa")
        style = {"color": "black" if best else "0.7", "linewidth": 2 if best else 1}
        ax.plot([2.3, 3.7], [y, end], linestyle="-", **style)
        label = f"{token}{after}: {p} · {q} = {p * q:.2f}"
        ax.text(3.8, end, label, va="center", fontsize=9, weight="bold" if best else "normal")
ax.set_xlim(-0.4, 5.6)
ax.set_ylim(-4.3, 4.3)
ax.set_axis_off()
plt.show()

# %% [markdown]
# Greedy takes *a* and then *a*: 0.20. But *ba* has 0.36. **Beam search** keeps the $B$ best beginnings at each step
# (here 2, in black), extends each by every token, and keeps the $B$ best of all those. $B = 1$ is greedy. With
# $B$ as large as the number of all texts it is exact. In code, with sums of logarithms in place of products:


# %%
def beam(log_p, length, width):
    """The likeliest texts of that many tokens; log_p(text) gives those of the next token."""
    beams = [("", 0.0)]
    for _ in range(length):
        longer = [(t + token, total + lp) for t, total in beams for token, lp in log_p(t).items()]
        beams = sorted(longer, key=lambda beam: -beam[1])[:width]
    return beams


def tree(text):
    p = second[text] if text else first
    return {token: np.log(q) for token, q in p.items()}


for width_of_beam in (1, 2):
    found, total = beam(tree, 2, width_of_beam)[0]
    print(f"beam of {width_of_beam}: {found}, probability {np.exp(total):.2f}")

# %% [markdown]
# The library's step does the same with arrays: `ids` are the beams, `totals` their sums. It also takes out the texts
# that end with an end token. Both on our model, from the same beginning:

# %%
show_source(extend_beams)


def log_p(after):
    x = next_logits(prompt + after)
    values = x - x.max() - np.log(np.exp(x - x.max()).sum())
    return {tokenizer.decode([i]): value for i, value in enumerate(values)}


ours = beam(log_p, 12, 3)
theirs = beam_search(model, tokenizer, prompt, num_beams=3, max_tokens=12)
for (found, total), other in zip(ours, theirs):
    print(f"{found!r} {total:.4f}   {other.text!r} {other.log_probability:.4f}")
assert [found for found, _ in ours] == [other.text for other in theirs]

# %% [markdown]
# ## The likelihood trap
#
# So we can find likelier texts. Are they better? Take beginnings from a text that the model has not seen. Continue
# each by a wider and wider search, and ask the model what it thinks of the results, and of what the *author* wrote.


# %%
@mg.no_grad()
def surprises(beginning, continuation):
    """-ln p of each character of the continuation."""
    ids = tokenizer.encode(beginning + continuation)
    x = model(mg.tensor(ids[None, :-1])).numpy()[0].astype("float64")
    lp = x - x.max(-1, keepdims=True)
    lp -= np.log(np.exp(lp).sum(-1, keepdims=True))
    return -lp[np.arange(len(ids) - 1), ids[1:]][len(beginning) - 1 :]


places = 700 * np.arange(1, 11 if not fast() else 3)
beginnings = [valid_text[at : at + 16] for at in places]
size = 48 if not fast() else 12
continued = {"the author": [valid_text[at + 16 : at + 16 + size] for at in places]}
for B in (1, 2, 4, 8):
    name = "greedy" if B == 1 else f"beam {B}"
    continued[name] = [
        beam_search(model, tokenizer, beginning, num_beams=B, max_tokens=size)[0].text
        for beginning in beginnings
    ]
for name, options in (("T = 1", {}), ("top-p 0.9", {"top_p": 0.9})):
    continued[name] = [
        generate_text(model, tokenizer, beginning, max_tokens=size, seed=i, **options)
        for i, beginning in enumerate(beginnings)
    ]
surprise = {
    name: np.array([surprises(beginning, each) for beginning, each in zip(beginnings, list_of)])
    for name, list_of in continued.items()
}
for name, values in surprise.items():
    print(f"{name:10} {values.mean():.2f} nats a character   {continued[name][0][:44]!r}")

figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.3), width_ratios=[1, 1.5])
names = list(surprise)
left.barh(
    range(len(names)), [surprise[name].mean() for name in names], color="0.6", edgecolor="black"
)
left.set_yticks(range(len(names)), names)
left.invert_yaxis()
left.set_xlabel("nats a character")
right.plot(surprise["the author"][0], label="the author")
right.plot(surprise["beam 8"][0], label="beam 8")
right.set_xlabel("character of the continuation")
right.set_ylabel("surprise (nats)")
right.legend()
plt.show()

# %% [markdown]
# People do not write what is likeliest. The author's line goes up and down: after some easy characters comes a
# surprise, the beginning of a new word that carries news. The searched text avoids every surprise, and with them
# the news. Its likelihood is far above the author's, and nobody wants to read it. Holtzman et al. (2020, figure 2)
# found the same for GPT-2. The text that the model finds *likeliest* is not *typical* of it. A drawn text has about
# the author's level; that is what training made the probabilities for.
#
# Search is right where one answer is, as in translation. There the input carries the news.

# %% [markdown]
# ## The key/value cache, derived
#
# Now speed. To draw token $t+1$ the model must look at $t$ tokens. A naive loop gives it all of them each time. What
# is computed again? In each attention layer, place $i$ makes a query, a key and a value from its vector:
#
# $$ q_i = W_q h_i \qquad k_i = W_k h_i \qquad v_i = W_v h_i $$
#
# Because of the mask, $h_i$ depends on places up to $i$ only. A new token at the end changes *none* of the earlier
# $h_i$, so none of their keys and values. And of the earlier queries nothing is needed any more. So keep all keys and
# values, compute one new row of each, and let the one new query look at all (the division by $\sqrt{d}$ is left out):
#
# $$ y_t = \sum_i a_i v_i \qquad a = \text{softmax}(q_t \cdot k_1, \ldots, q_t \cdot k_t) $$
#
# | for token $t$ | products with weights | scores |
# |---|---|---|
# | without a cache | $t$ rows | $t^2 / 2$ |
# | with a cache | 1 row | $t$ |
#
# Each token costs $O(t)$ instead of $O(t^2)$, and most of all, the weights meet one row instead of $t$. The price is
# memory: 2 numbers for each layer, place and dimension. GPT-2 with 12 layers, 1,024 places and 768
# dimensions needs $2 \cdot 12 \cdot 1024 \cdot 768$ numbers, 75 MB in float32, for each text.

# %% [markdown]
# ## The smallest code: a cache
#
# One head, in numpy:

# %%
d, T = 16, 10
Wq, Wk, Wv = rng.standard_normal((3, d, d)) / np.sqrt(d)
h = rng.standard_normal((T, d))

scores = (h @ Wq) @ (h @ Wk).T / np.sqrt(d)
at_once = softmax(np.where(np.tri(T, dtype=bool), scores, -np.inf)) @ (h @ Wv)

keys, values = np.zeros((T, d)), np.zeros((T, d))  # the cache
for t in range(T):
    keys[t], values[t] = h[t] @ Wk, h[t] @ Wv  # one new row of each
    weights = softmax(
        (h[t] @ Wq) @ keys[: t + 1].T / np.sqrt(d)
    )  # the new query looks at all so far
    assert np.allclose(weights @ values[: t + 1], at_once[t])
print("one row at a time, or all at once: the same")

# %% [markdown]
# The library's cache is that, for all heads of many texts. A GPT has one for each block. `features` (lesson 15)
# only has to know how many tokens came before, for the place vectors.

# %%
show_source(KVCache.append, GPT.new_caches, GPT.next_logits)

ids = mg.tensor(valid_ids[None, :40])
with mg.no_grad():
    whole = model(ids).numpy()[0]
    caches = model.new_caches(1)
    steps_by_cache = [model.next_logits(ids[:, t : t + 1], caches).numpy()[0] for t in range(40)]
worst = np.abs(np.array(steps_by_cache) - whole).max()
print(f"largest difference of logits, with and without the cache: {worst:.0e}")
assert worst < 1e-4

# %% [markdown]
# And the time for one token, by the number of tokens before it. The weights do not matter for that, so
# this is a larger model, fresh from the start:


# %%
def milliseconds(act, times=5):
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        act()
        taken.append(time.perf_counter() - started)
    return 1000 * min(taken)


longest = 512 if not fast() else 64
larger = GPT(GPTConfig(V, longest, num_layers=4, num_heads=4, embedding_dim=128)).eval()
many = mg.tensor(rng.integers(0, V, (1, longest)))
past = [longest // 32, longest // 8, longest // 4, longest // 2, longest - 1]
without, by_cache = [], []
with mg.no_grad():
    for t in past:
        without.append(milliseconds(lambda t=t: larger.next_logits(many[:, : t + 1])))
        caches = larger.new_caches(1)
        larger.next_logits(many[:, :t], caches)

        def one_more(t=t, caches=caches):
            for cache in caches:
                cache.length = t  # forget the last one again
            larger.next_logits(many[:, t : t + 1], caches)

        by_cache.append(milliseconds(one_more))
figure, ax = plt.subplots(figsize=(7.5, 3))
ax.plot(past, without, "o-", label="without a cache")
ax.plot(past, by_cache, "s--", label="with a cache")
ax.set_xlabel("tokens before")
ax.set_ylabel("milliseconds a token")
ax.set_ylim(0)
ax.legend()
plt.show()
faster = without[-1] / by_cache[-1]
print(
    f"at {past[-1]} tokens: {without[-1]:.1f} and {by_cache[-1]:.2f} ms, {faster:.0f} times faster"
)

# %% [markdown]
# ## A bug to find
#
# A colleague writes his own decoding step. He feeds one token at a time, with the library's caches and the library's
# blocks. Nothing fails, and his texts have words and lines. But they read like those of a model that was
# trained too short, so he trains longer. It does not help. Find the line.


# %%
def his_logits(id, caches):
    x = model.token_embedding(mg.tensor([[id]]))
    x = x + model.position_embedding.weight[: x.shape[1]]
    for block, cache in zip(model.blocks, caches):
        x = block(x, cache)
    return model.head(model.final_norm(x)[:, -1]).numpy()[0].astype("float64")


def loss_step_by_step(logits_of, ids):
    """The mean loss of ids, one token at a time."""
    caches, losses = model.new_caches(1), []
    with mg.no_grad():
        for id, target in pairwise(ids):
            p = softmax(logits_of(id, caches))
            losses.append(-np.log(p[target]))
    return np.mean(losses)


def library_logits(id, caches):
    return model.next_logits(mg.tensor([[id]]), caches).numpy()[0].astype("float64")


caches, id, written = model.new_caches(1), tokenizer.encode("T")[0], "T"
with mg.no_grad():
    for uniform in np.random.default_rng(3).random(60):
        id = choose(softmax(his_logits(id, caches) / 0.7), uniform)
        written += tokenizer.decode([id])
print(repr(written))
windows = [valid_ids[at : at + context] for at in range(0, 1920 if not fast() else 640, context)]
his_loss = np.mean([loss_step_by_step(his_logits, window) for window in windows])
our_loss = np.mean([loss_step_by_step(library_logits, window) for window in windows])
print(f"the loss on new text with his step {his_loss:.2f}, with the library's {our_loss:.2f}")

# %% [markdown]
# ## Exercises
#
# **Small** (5 minutes each)
#
# 1. The logits are 2, 1, 0. What are the probabilities at $T = 1$ and at $T = 1/2$? Show that $T = 1/2$ squares the
#    probabilities, up to a common factor.
# 2. Probabilities 0.5, 0.3, 0.15, 0.05. Which tokens stay with top-p 0.8? With 0.81? With $p$ near 0?
# 3. How many megabytes does the cache of a model with 32 layers, 4,096 dimensions and 8,192 places need in float16?
#
# **Medium** (20 minutes each)
#
# 4. *min-p* keeps the tokens with at least a fraction $f$ of the largest probability. Write it, draw the
#    two moments, and put it into the picture of known words.
# 5. Change the order: top-p first, temperature after. For which temperatures does it matter, and which is safer?
# 6. Give `beam` an end token and see that it prefers short texts. Divide the sums by $\text{length}^\alpha$
#    (Wu et al. 2016) and find an $\alpha$ that helps.
#
# **Large** (an evening)
#
# 7. *Speculative decoding* (Leviathan et al. 2023): let a bigram table propose 4 characters, let the GPT check all 4
#    in one pass, and accept each with probability $\min(1, p / q)$. Show that the texts have the GPT's
#    distribution, and measure how many passes you save.
#
# **In the course kit**, to be written in the library itself: 16.1 *Draw*, 16.2 *Top-k*, 16.3 *Top-p*, 16.4 *The
# repetition penalty*, 16.5 *A key/value cache*, 16.6 *One step of beam search*. `minigrad course test 16.1` checks
# the first.

# %% [markdown]
# ## Answers
#
# **The bug.** `weight[: x.shape[1]]`: his input is one token long, so it always gets the vector of place *zero*.
# The keys in the cache carry that too. The first token is right, and the rest come from a model that cannot tell
# near from far. Comparing one logit with the library's, *after the second token*, finds it at once. The right slice
# begins where the cache ends:


# %%
def repaired_logits(id, caches):
    past = caches[0].length
    x = model.token_embedding(mg.tensor([[id]])) + model.position_embedding.weight[past : past + 1]
    for block, cache in zip(model.blocks, caches):
        x = block(x, cache)
    return model.head(model.final_norm(x)[:, -1]).numpy()[0].astype("float64")


repaired_loss = np.mean([loss_step_by_step(repaired_logits, window) for window in windows])
print(f"repaired: {repaired_loss:.4f}, the library: {our_loss:.4f}")
assert abs(repaired_loss - our_loss) < 1e-5

# %% [markdown]
# **Small 1.** 0.67, 0.24, 0.09; then 0.87, 0.12, 0.02, for $e^{2x} = (e^x)^2$. **Small 2.** The first two, since 0.5
# and 0.3 reach 0.8; the first three; the first alone, always. **Small 3.** $2 \cdot 32 \cdot 8192 \cdot 4096$ numbers
# of 2 bytes are 4.3 GB, for one text.

# %% [markdown]
# ## Sources
#
# - A. Holtzman, J. Buys, L. Du, M. Forbes, Y. Choi, *The curious case of neural text degeneration*, ICLR 2020: top-p,
#   and the likelihood trap.
# - A. Fan, M. Lewis, Y. Dauphin, *Hierarchical neural story generation*, ACL 2018: section 5.2, top-k.
# - I. Sutskever, O. Vinyals, Q. Le, *Sequence to sequence learning with neural networks*, NIPS 2014: section 3.2, beam
#   search.
# - Y. Wu et al., *Google's neural machine translation system*, arXiv:1609.08144, 2016: section 7, length normalisation.
# - N. Keskar et al., *CTRL*, arXiv:1909.05858, 2019: section 4.1, the repetition penalty.
# - J. Li et al., *A diversity-promoting objective function for neural conversation models*, NAACL 2016: distinct-n.
# - N. Shazeer, *Fast Transformer decoding*, arXiv:1911.02150, 2019: why decoding waits for memory.
# - Y. Leviathan, M. Kalman, Y. Matias, *Fast inference from transformers via speculative decoding*, ICML 2023.
#
# Next: lesson 17, the same products on a GPU.
