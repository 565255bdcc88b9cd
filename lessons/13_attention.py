# %% [markdown]
# # 13. Attention: looking back
#
# | | |
# |---|---|
# | Builds on | lessons 4 and 12: softmax, GRU; lesson 2: gradient rules |
# | You will have | a translator of dates that shows where it looks, and a derivation of attention and its gradient |
# | Time | 80 minutes, of which 35 seconds are computing |
# | Memory | 0.4 GB |
#
# A recurrent network squeezes all it has read into one vector. In this lesson you measure
# what that costs, and let the network look back instead.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
import nn
from lessons.material.dates import PAD, START, VOCABULARY, dates, decoded, encoded
from lessons.material.kit import fast, goal, show_source
from nn import functional as F
from nn import optim
from nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

plt.style.use("lessons.material.grey")
mg.manual_seed(0)
rng = np.random.default_rng(0)

# %% [markdown]
# ## The question
#
# To translate a sentence, a network must read all of it before it writes the first word: German puts its
# verbs last. So split the work. An *encoder* reads, a *decoder* writes, and what the encoder
# remembers is handed over. In 2014 that was its last state, one vector of fixed size, for three words
# as for fifty.
#
# How much fits into such a vector? Take a task whose difficulty is its length and nothing else: read a word of random
# letters and write it backwards, `qzkda` → `adkzq`. A program needs one line for it. One random letter
# has $\log_2 26 = 4.7$ bits, so 14 letters have 66 bits, and every one of them must survive.

# %%
LETTERS = 26
longest = 14 if not fast() else 6


def backwards(lengths):
    """Random words of these lengths as rows of ids from 2 on, filled up with 0, and the same
    words backwards."""
    words = np.full((len(lengths), max(lengths)), PAD)
    reversed_words = words.copy()
    for i, n in enumerate(lengths):
        words[i, :n] = rng.integers(2, 2 + LETTERS, n)
        reversed_words[i, :n] = words[i, :n][::-1]
    return words, reversed_words


words, answers = backwards([5, 3])
print("read:", *words, "\nwrite:", *answers)

# %% [markdown]
# Here are both halves. The encoder is a GRU in both directions; its two last states, side by side, are the
# *summary*. The decoder is a GRU that starts from the summary. At each step it gets the letter
# before, and gives logits for the next. While it learns, the letter before is the right one, whatever it
# would have written itself (*teacher forcing*).
#
# Read `decode` twice. Its `context` is what the decoder knows of the source when it writes. With
# `attention=None` that is always the summary.


# %%
class Translator(nn.Module):
    """Ids (batch, time) to logits (batch, answer time, vocabulary).

    0 fills up the rows, and 1 starts an answer.
    attention  takes (queries, keys, key_padding_mask=…) and gives (contexts, weights);
               None: the summary is all
    """

    def __init__(self, vocabulary, size, attention=None):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, size)
        self.encoder = nn.GRU(size, size // 2, batch_first=True, bidirectional=True)
        self.decoder = nn.GRU(size, size, batch_first=True)
        self.attention = attention
        self.join = nn.Linear(2 * size, size)
        self.output = nn.Linear(size, vocabulary)

    def encode(self, source):
        """A state for each letter (batch, time, size), the summary (batch, size), and True
        where padding is."""
        padding = source == PAD
        packed = pack_padded_sequence(
            self.embedding(mg.tensor(source)),
            (~padding).sum(1),
            batch_first=True,
            enforce_sorted=False,
        )
        states, (left, right) = self.encoder(packed)
        states, _ = pad_packed_sequence(states, batch_first=True)
        return states, mg.cat([left, right], 1), padding

    def decode(self, given, encoded, state=None):
        """Logits for the letters after those given, the weights of the attention, and the
        decoder's last state."""
        states, summary, padding = encoded
        start = summary.unsqueeze(0) if state is None else state
        hidden, state = self.decoder(self.embedding(mg.tensor(given)), start)
        if self.attention is None:
            context, weights = summary.unsqueeze(1).expand(*hidden.shape), None
        else:
            context, weights = self.attention(hidden, states, key_padding_mask=padding)
        joined = mg.tanh(self.join(mg.cat([hidden, context], 2)))
        return self.output(joined), weights, state

    def forward(self, source, given):
        return self.decode(given, self.encode(source))[0]


def train(model, make_batch, steps, learning_rate=4e-3):
    """Adam on fresh batches (source, answer), each answer shifted by one place to be what the
    decoder is given."""
    optimizer = optim.Adam(model.parameters(), lr=learning_rate)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses = []
    for _ in range(steps):
        source, answer = make_batch()
        given = np.pad(answer[:, :-1], ((0, 0), (1, 0)), constant_values=START)
        logits = model(source, given)
        loss = F.cross_entropy(
            logits.reshape(-1, logits.shape[-1]), mg.tensor(answer.ravel()), ignore_index=PAD
        )
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def translate(model, source, length):
    """The likeliest letter at each step, fed back: ids (batch, length), and the weights (batch,
    length, source)."""
    given, state, written, looked = np.full((len(source), 1), START), None, [], []
    with mg.no_grad():
        encoded = model.encode(source)
        for _ in range(length):
            logits, weights, state = model.decode(given, encoded, state)
            given = logits.numpy().argmax(2)
            written.append(given)
            looked.append(weights)
    looked = None if looked[0] is None else np.concatenate([w.numpy() for w in looked], 1)
    return np.concatenate(written, 1), looked


# %% [markdown]
# Train it on words of 1 to 14 letters, then ask for a hundred new words of each length. A word counts
# when all of it is right.

# %%
steps = 600 if not fast() else 25
size = 64 if not fast() else 24


def batch_of_words(n=64):
    return backwards(rng.integers(1, longest + 1, n))


def by_length(model):
    """The share of words and of letters that come out right, for each length."""
    words_right, letters_right = [], []
    for n in range(1, longest + 1):
        source, answer = backwards([n] * (100 if not fast() else 20))
        right = translate(model, source, n)[0] == answer
        words_right.append(right.all(1).mean())
        letters_right.append(right.mean())
    return np.array(words_right), np.array(letters_right)


mg.manual_seed(1)
one_vector = Translator(2 + LETTERS, size)
one_vector_losses = train(one_vector, batch_of_words, steps)
words_one_vector, letters_one_vector = by_length(one_vector)

figure, ax = plt.subplots(figsize=(7.5, 2.8))
ax.plot(range(1, longest + 1), words_one_vector, "o-", label="whole words")
ax.plot(range(1, longest + 1), letters_one_vector, "s--", label="letters")
ax.axhline(1 / LETTERS, color="0.6", linestyle=":", linewidth=1)
ax.text(1, 1 / LETTERS + 0.02, "a guess among 26 letters", fontsize=8)
ax.set_xlabel("length of the word")
ax.set_xticks(range(1, longest + 1))
ax.set_ylabel("share right")
ax.set_title("all that was read, in one vector")
ax.legend()
plt.show()

# %% [markdown]
# Short words are fine. Then it breaks down: the vector is full, or rather, training has not found
# out how to pack more into it. A larger vector and more training move the cliff to the right and do not
# remove it. Cho et al. (2014) saw the same with sentences.

# %% [markdown]
# ## A picture of looking back
#
# The encoder had a state after each letter. All but the last were thrown away. Keep them. At each step
# the decoder asks a question, compares it with every state, and takes a weighted average of the
# states that fit. Below it has written `t` and `a` of `tac`, and looks for the next letter. The darker the
# arrow, the larger the weight.

# %%
weights_drawn = [0.85, 0.11, 0.04]
figure, ax = plt.subplots(figsize=(7.5, 3.1))
box = {"boxstyle": "round,pad=0.4", "fc": "0.93", "ec": "0.3"}
places = {"context:\nweighted average": (6.2, 2.0), "next letter: 'c'": (9.4, 2.0)}
places["decoder, having written 'ta'\nquery"] = (9.4, 0)
for i, (letter, weight) in enumerate(zip("cat", weights_drawn)):
    places[f"state of '{letter}'\nkey, value\nweight {weight:.2f}"] = (2.1 * i, 0)
    arrow = {"arrowstyle": "-|>", "color": str(0.85 - weight), "linewidth": 1 + 4 * weight}
    ax.annotate("", (5.7 + 0.3 * i, 1.6), (2.1 * i, 0.55), arrowprops=arrow)
for text, place in places.items():
    ax.text(*place, text, ha="center", va="center", fontsize=9, bbox=box)
for start, end in (((7.5, 2.0), (8.4, 2.0)), ((9.4, 0.45), (9.4, 1.7))):
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": "0.3"})
dashed = {"arrowstyle": "-|>", "color": "0.3", "linestyle": "--"}
ax.annotate("", (5.2, 0), (7.7, 0), arrowprops=dashed)
ax.text(6.45, 0.12, "compared\nwith each", ha="center", fontsize=9)
ax.set_xlim(-0.9, 11.1)
ax.set_ylim(-0.6, 2.5)
ax.set_axis_off()
plt.show()

# %% [markdown]
# ## The derivation: a look-up that can be differentiated
#
# A dictionary compares a query with its keys and returns the value of the one that is equal. That has no
# gradient: move the query a little, and the answer stays, or jumps. So let *every* value be
# returned, each in the measure in which its key fits. With a query $q$, keys $k_j$ and values $v_j$:
#
# $$ s_j = q \cdot k_j \qquad a_j = \frac{e^{s_j}}{\sum_i e^{s_i}} \qquad c = \sum_j a_j v_j $$
#
# $s_j$ is the *score* of key $j$, $a_j$ its *weight*, and $c$ the *context*. The weights are positive and add
# up to one, since they are a softmax (lesson 4). If one score is far above the others, this is a dictionary
# again. If all are equal, it is the plain mean.
#
# A case for your pencil: $q = (1, 0)$, keys $(\ln 3, 5)$ and $(0, 7)$, values $8$ and $4$. The scores are $\ln 3$
# and $0$, their exponentials $3$ and $1$, the weights ¾ and ¼, and the context is $7$.

# %% [markdown]
# ## Its gradient, derived
#
# Let $g = \frac{\partial L}{\partial c}$ be what comes back from the loss. A value enters with the factor $a_j$, so
#
# $$ \frac{\partial L}{\partial v_j} = a_j g \qquad \frac{\partial L}{\partial a_j} = g \cdot v_j $$
#
# Then through the softmax. Its derivative is $\frac{\partial a_i}{\partial s_j} = a_i ([i = j] - a_j)$, where
# $[i = j]$ is 1 if true, else 0. Multiply by $g \cdot v_i$ and add up over $i$:
#
# $$ \frac{\partial L}{\partial s_j} = a_j (g \cdot v_j) - a_j \sum_i a_i (g \cdot v_i) = a_j g \cdot (v_j - c) $$
#
# Read it aloud: *a score changes as its value differs from the context, in the measure in which it was
# looked at.* Values better than the average get more weight in the next step, worse ones less. A key
# with weight 0 gets no gradient at all: what is never looked at cannot learn to be found.
#
# The last step is the product $s_j = q \cdot k_j$:
#
# $$ \frac{\partial L}{\partial q} = \sum_j \frac{\partial L}{\partial s_j} k_j $$
#
# $$ \frac{\partial L}{\partial k_j} = \frac{\partial L}{\partial s_j} q $$

# %% [markdown]
# ## The smallest code
#
# For many queries at once, each sum is a matrix product. $Q$ has a row for each query, $K$ and $V$ a row for
# each key. Weights are (queries, keys), and the softmax runs along the keys.


# %%
def attention(Q, K, V):
    """Contexts (queries, value size) and weights (queries, keys)."""
    scores = Q @ K.T
    weights = np.exp(scores - scores.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    return weights @ V, weights


def attention_backward(G, Q, K, V):
    """Gradients with respect to Q, K and V from that with respect to the contexts, G."""
    contexts, weights = attention(Q, K, V)
    to_scores = weights * (G @ V.T - (G * contexts).sum(1, keepdims=True))
    return to_scores @ K, to_scores.T @ Q, weights.T @ G


Q, K, V = np.array([[1.0, 0.0]]), np.array([[np.log(3), 5], [0, 7]]), np.array([[8.0], [4.0]])
context, weights = attention(Q, K, V)
print("weights", weights, "context", context)
assert np.allclose(context, 7)

# %% [markdown]
# ## Three ways to score
#
# How well a query fits a key need not be a plain product. The papers differ in this line alone:
#
# | name | score of query $q$ and key $k$ | parameters | paper |
# |---|---|---|---|
# | additive | $v \cdot \tanh(W q + U k)$ | $W$, $U$, $v$ | Bahdanau, Cho, Bengio 2015 |
# | general | $q \cdot W k$ | $W$ | Luong, Pham, Manning 2015 |
# | dot | $q \cdot k$ | none | Luong, Pham, Manning 2015 |
# | scaled dot | $q \cdot k / \sqrt{d}$ | none | Vaswani et al. 2017 |
#
# Additive is a small network with one hidden layer: it can compare sizes that differ, and it needs a tanh
# for each pair of query and key. The products are one matrix product, and for that, hardware is built. So the
# products won. But where does $\sqrt{d}$ come from?

# %% [markdown]
# ## Why divide by √d
#
# Let $q$ and $k$ have $d$ numbers each, independent, with mean 0 and variance 1. Then $q_i k_i$ has mean 0, and
# its variance is $1 \cdot 1 = 1$. Variances of independent numbers add up:
#
# $$ s = \sum_{i=1}^{d} q_i k_i \qquad \operatorname{Var}(s) = d $$
#
# A typical score is therefore as large as $\sqrt{d}$: 8 for 64 numbers. And $e^8 = 2981$. Softmax of such
# scores gives nearly all weight to one key, by chance, before anything has been learnt. There the gradient
# $a_i ([i = j] - a_j)$ is nearly zero: for $a_j$ near 0 and for $a_j$ near 1. Divide the scores by $\sqrt{d}$,
# and their variance is 1 for every $d$.
#
# We measure both. The *entropy* $-\sum_j a_j \ln a_j$ says over how many keys the weight is spread: $e$ to its
# power is that number, 32 if all 32 keys count alike, 1 if one has all.

# %%
sizes = [1, 4, 16, 64, 256, 1024]
spread, slope = {}, {}
for name, scaled in (("q·k", False), ("q·k/√d", True)):
    spread[name], slope[name] = [], []
    for d in sizes:
        q, k = rng.standard_normal((200, 1, d)), rng.standard_normal((200, 32, d))
        scores = (q @ k.swapaxes(1, 2))[:, 0] / (d**0.5 if scaled else 1)
        a = F.softmax(mg.tensor(scores)).numpy()
        spread[name].append(np.exp(-(a * np.log(a + 1e-300)).sum(1)).mean())
        jacobian = a[:, :, None] * (np.eye(32) - a[:, None, :])
        slope[name].append(np.sqrt((jacobian**2).sum((1, 2))).mean())

figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3))
for name in spread:
    left.semilogx(sizes, spread[name], "o-" if "√" in name else "s--", base=2, label=name)
    right.loglog(sizes, slope[name], "o-" if "√" in name else "s--", base=2, label=name)
left.set_ylabel("keys that count, of 32")
right.set_ylabel("size of the softmax's gradient")
for ax in (left, right):
    ax.set_xlabel("d, numbers in query and key")
    ax.legend()
plt.show()

# %% [markdown]
# ## Padding
#
# Words in a batch differ in length, and short ones are filled up. Nobody may look at the filling: it is not
# part of the word, and how much there is depends on the neighbours in the batch. Set the *scores* of such keys
# to $-\infty$. Then $e^{-\infty} = 0$: they get weight 0, and the others still add up to one.

# %%
scores = np.array([[2.0, 1.0, 0.0, 0.0]])
padding = np.array([[False, False, True, True]])
shown = np.where(padding, -np.inf, scores)
print("without a mask:", F.softmax(mg.tensor(scores)).numpy().round(3))
print("with one:      ", F.softmax(mg.tensor(shown)).numpy().round(3))

# %% [markdown]
# ## The library's own
#
# `nn/alignment.py` has the three scores. They differ in a function, and share the rest. Find your three formulas in
# it; `blind` are queries all of whose keys are padding, for which softmax has no answer.

# %%
from nn import alignment

show_source(nn.DotProductAttention, nn.AdditiveAttention, alignment._attend)

# %% [markdown]
# When nobody asks for the weights, attention can be one fused operation that never stores them (lesson 18). This is
# its definition, which every faster kernel is compared with, and its gradient. `delta` is the
# $g \cdot c$ that you derived.

# %%
from minigrad.kernels.reference import attention as kernel

show_source(kernel._probabilities, kernel.attention_backward)

# %% [markdown]
# ## Checked by finite differences
#
# Your forward and backward against the library's, both of its forms, and the difference quotient.

# %%
Q, K, V, G = (rng.standard_normal(shape) for shape in ((3, 8), (5, 8), (5, 4), (3, 4)))
q, k, v = (mg.tensor(x[None], requires_grad=True) for x in (Q, K, V))
context, weights = nn.DotProductAttention()(q, k, v)
gradients = mg.grad(context, [q, k, v], mg.tensor(G[None]))
assert np.allclose(context.detach().numpy()[0], attention(Q, K, V)[0], rtol=1e-12)
for ours, theirs in zip(attention_backward(G, Q, K, V), gradients):
    assert np.allclose(ours, theirs.numpy()[0], rtol=1e-10, atol=1e-12)
fused = F.scaled_dot_product_attention(q, k, v, scale=1.0)
assert np.allclose(fused.detach().numpy()[0], attention(Q, K, V)[0], rtol=1e-10)

additive = nn.AdditiveAttention(8, 8, 6, dtype="float64")
hidden_keys = np.arange(5) > 2
for name, function in (
    ("dot", lambda q, k, v: nn.DotProductAttention()(q, k, v, hidden_keys[None])[0]),
    ("additive", lambda q, k, v: additive(q, k, v)[0]),
    ("fused", F.scaled_dot_product_attention),
):
    print(f"gradcheck, {name}:", mg.gradcheck(function, [q, k, v]))

# %% [markdown]
# ## The run: words backwards, once more
#
# The same network and the same training. One line differs: what `context` is. Dot-product attention does not
# even bring a parameter.

# %%
mg.manual_seed(1)
looking = Translator(2 + LETTERS, size, nn.DotProductAttention())
looking_losses = train(looking, batch_of_words, steps)
words_looking, letters_looking = by_length(looking)
print("parameters:", *(sum(p.numel() for p in m.parameters()) for m in (one_vector, looking)))

figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3))
left.plot(looking_losses, label="attention")
left.plot(one_vector_losses, label="one vector")
left.set_xlabel("step")
left.set_ylabel("cross-entropy")
right.plot(range(1, longest + 1), words_looking, "o-", label="attention")
right.plot(range(1, longest + 1), words_one_vector, "s--", label="one vector")
right.set_xlabel("length of the word")
right.set_xticks(range(2, longest + 1, 2))
right.set_ylabel("share of whole words right")
for ax in (left, right):
    ax.legend()
plt.show()

at_length = min(10, longest)
goal(
    f"words of {at_length} letters right, with attention",
    words_looking[at_length - 1],
    at_least=0.7,
)
print(f"with one vector: {words_one_vector[at_length - 1]:.2f}")

# %% [markdown]
# ## The run: dates
#
# Now a real, if small, translation: dates as people write them into the form of ISO 8601, `1998-03-03`. There are
# eight ways of writing in `lessons/material/dates.py`. Some say the month in letters, some name the weekday, and a few
# put the month first. The order changes, and the network is told none of the rules. The attention is the additive one,
# as in Bahdanau et al., who translated English to French with it.

# %%
pairs = dates(20_000 if not fast() else 500, seed=1)
for text, iso in pairs[:6]:
    print(f"{iso}  {text}")


def batch_of_dates(n=64):
    texts, answers = zip(*(pairs[i] for i in rng.integers(0, len(pairs), n)))
    return encoded(texts), encoded(answers)


date_steps = 300 if not fast() else 40
mg.manual_seed(2)
translator = Translator(VOCABULARY, size, nn.AdditiveAttention(size, size, size))
date_losses = train(translator, batch_of_dates, date_steps)

new_texts, new_answers = zip(*dates(500 if not fast() else 50, seed=2))


def share_translated(model, show=0):
    """The share of new dates that come out right; a few of the others are printed."""
    written = decoded(translate(model, encoded(new_texts), 10)[0])
    right = np.array(written) == np.array(new_answers)
    for i in np.flatnonzero(~right)[:show]:
        print(f"wrong: {new_texts[i]} read as {written[i]}")
    return right.mean()


accuracy = share_translated(translator, show=3)
goal("new dates translated without a mistake", accuracy, at_least=0.97)

# %% [markdown]
# Where did it look? Each row is one letter of the answer, and the grey of a row adds up to one. Such a picture is
# called an *alignment*. Nobody taught it: it came out of the wish to predict.

# %%
examples = ["Tuesday, 3rd of March 1998", "Jul 20, 1969", "12.8.2031"]
written, looked = translate(translator, encoded(examples), 10)
widths = [len(text) for text in examples]
figure, axes = plt.subplots(1, 3, figsize=(9, 3.1), width_ratios=[w + 5 for w in widths])
for ax, text, answer, weights in zip(axes, examples, decoded(written), looked):
    ax.imshow(weights[:, : len(text)], vmin=0, vmax=1, aspect="auto")
    ax.set_xticks(range(len(text)), text.replace(" ", "␣"), fontsize=8, family="monospace")
    ax.set_yticks(range(10), answer, fontsize=8, family="monospace")
    ax.grid(False)
axes[0].set_ylabel("written, from top to bottom")
axes[0].set_xlabel("read")
plt.show()

# %% [markdown]
# ## A bug to find
#
# A friend writes the attention from scratch, with the same three matrices, and trains the translator from the start.
# The loss falls as it should. Then the friend translates, and hardly a date comes out right. All shapes agree, nothing
# warns, and the code that translates is the one that worked above. What is wrong?


# %%
class FriendsAttention(nn.AdditiveAttention):
    """Additive attention, written from scratch."""

    def forward(self, query, key, key_padding_mask):
        hidden = self.query_proj(query).unsqueeze(2) + self.key_proj(key).unsqueeze(1)
        scores = self.score_proj(mg.tanh(hidden)).squeeze(3)  # (batch, queries, keys)
        weights = scores.softmax(1)
        weights = weights.masked_fill(mg.tensor(key_padding_mask[:, None]), 0.0)
        return weights @ key, weights


mg.manual_seed(2)
friends = Translator(VOCABULARY, size, FriendsAttention(size, size, size))
friends_losses = train(friends, batch_of_dates, date_steps)
friends_accuracy = share_translated(friends)
print(f"loss at the end {friends_losses[-1]:.3f}; dates right {friends_accuracy:.2f}")

figure, ax = plt.subplots(figsize=(7.5, 2.6))
ax.plot(date_losses, label=f"ours: {accuracy:.0%} of new dates right")
ax.plot(friends_losses, label=f"the friend's: {friends_accuracy:.0%}")
ax.set_xlabel("step")
ax.set_ylabel("cross-entropy")
ax.legend()
plt.show()

# %% [markdown]
# ## Exercises
#
# **Small** (5 minutes each)
#
# 1. All keys are equal. What are the weights, and what is the gradient with respect to the query?
# 2. Show with a pencil that $\sum_j \frac{\partial L}{\partial s_j} = 0$. Which property of softmax does it express?
# 3. How many numbers does additive attention compute for 50 queries, 60 keys and a hidden size of 128, and how many
#    products of two numbers does the dot product take with $d = 128$?
#
# **Medium** (20 minutes each)
#
# 4. Replace `nn.DotProductAttention()` by `nn.GeneralAttention(size, size)` and by the scaled one. Compare the curves
#    of the loss. Which starts fastest, and why?
# 5. Draw the alignment of a word backwards. Then ask for a word of 25 letters, longer than any it has
#    seen. Where does it look when it goes wrong?
# 6. Take the summary away: start the decoder from zeros. What accuracy is left? What did the
#    summary still do?
#
# **Large** (an evening)
#
# 7. *Input feeding*: give the decoder the context of the step before beside the letter (Luong et al. 2015, section
#    3.3). It now needs a loop over steps. Does it learn words backwards in fewer steps?
# 8. *Local attention*: let the query predict a position, and look only at keys within five places (section 3.2). How
#    must the gradient reach the position?
#
# **In the course kit** you write the pieces of this lesson in the library itself, and check them with
# `minigrad course test 13.1`:
# 13.1 Dot-product attention, 13.2 Additive attention, 13.3 Weights, context and padding, 13.4 The attention kernel,
# forward, and, for an afternoon, 13.5 The attention kernel, backward. All you need for them is above.

# %% [markdown]
# ## Answers
#
# **The bug.** The softmax runs along dimension 1, the queries. Each *key* hands out one unit of weight among
# the ten letters of the answer. While it learns, all ten queries are there at once, and that is good enough to
# predict with. When it translates, there is one query at a time. A softmax of one number is 1, so every key
# gets the weight 1, and the context is the *sum* of all states, the same at each step. The check is one line:
# the weights of a query must add up to one.
#
# There is a second fault in it: the mask comes after the softmax. With the right dimension, too, the padding
# would take part in the sum below the fraction, and what is left would add up to less than one. The longer a
# date's neighbours in the batch are, the less. An answer must not depend on its neighbours: that is the second
# check.

# %%
for name, model in (("ours", translator), ("the friend's", friends)):
    _, looked = translate(model, encoded(examples), 10)
    print(f"{name}: the weights of a query add up to", looked[:, 0].sum(-1).round(2))

# %% [markdown]
# **Small 1.** All weights are equal, and
# $\frac{\partial L}{\partial q} = \sum_j \frac{\partial L}{\partial s_j} k = 0$ by small 2: no query can tell
# equal keys apart. **Small 2.** $\sum_j a_j g \cdot (v_j - c) = g \cdot (c - c) = 0$. Adding one number to all
# scores changes nothing. **Small 3.** $50 \cdot 60 \cdot 128 = 384000$ hyperbolic tangents, and as many
# products.

# %% [markdown]
# ## Sources
#
# - I. Sutskever, O. Vinyals, Q. Le, *Sequence to sequence learning with neural networks*, NeurIPS 2014.
# - K. Cho et al., *On the properties of neural machine translation*, SSST-8, 2014: figure 4, quality against length.
# - D. Bahdanau, K. Cho, Y. Bengio, *Neural machine translation by jointly learning to align and translate*,
#   ICLR 2015: section 3.1 is the attention, figure 3 the alignments.
# - M.-T. Luong, H. Pham, C. Manning, *Effective approaches to attention-based neural machine translation*,
#   EMNLP 2015: equation 8 has the scores; our decoder is figure 2.
# - A. Vaswani et al., *Attention is all you need*, NeurIPS 2017: section 3.2.1, footnote 4 is the variance.
#
# Next: lesson 14, attention without the recurrent network.
