# %% [markdown]
# # 7. Text to numbers: cleaning, characters, words, bytes, vocabularies
#
# | | |
# |---|---|
# | Builds on | lessons 1 to 4: einsum, gradients, softmax and cross-entropy |
# | You will have | UTF-8 and three tokenizers by hand, and a first language model, of pairs of characters |
# | Time | 85 minutes, of which 20 seconds are computing |
# | Memory | 1.0 GB |
#
# From here on the data is text. A network multiplies numbers, so the text must become numbers first.
# The choice of numbers decides what a model can read, what it can say, and how much it costs.

# %%
import re
import unicodedata
from collections import Counter
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
import nn
from lessons.material.kit import corpus, fast, goal, show_source
from models.text import tokenizers
from models.text.batching import TokenBatches, train_val_split
from models.text.tokenizers import ByteTokenizer, CharTokenizer, StreamDecoder, WordTokenizer
from models.text.words import piece_pattern
from nn import functional as F
from nn import optim

plt.style.use("lessons.material.grey")
mg.manual_seed(0)
rng = np.random.default_rng(0)

# %% [markdown]
# ## The question
#
# A text is a row of signs, and a model wants a row of whole numbers, each below some size $V$. The
# numbers are called *tokens*, or their *ids*. The list that says which id means what is the *vocabulary*. Which pieces
# of text should get an id: letters, words, something else? And what happens to a piece that is not on the list?

# %% [markdown]
# ## A picture: one line, cut three ways

# %%
line = "naïve cafés: 3 €"
cuts = {
    "characters": list(line),
    "words": piece_pattern(line).findall(line),
    "bytes": [f"{byte:02x}" for byte in line.encode()],
}
figure, axes = plt.subplots(3, 1, figsize=(7.5, 2.9))
for ax, (name, pieces) in zip(axes, cuts.items()):
    widths = [max(len(piece), 1) if name == "words" else 1 for piece in pieces]
    left = 0.0
    for i, (piece, width) in enumerate(zip(pieces, widths)):
        shade = "0.88" if i % 2 else "0.97"
        ax.barh(0, width, left=left, color=shade, edgecolor="0.4")
        label = "␣" if piece == " " else piece
        ax.text(left + width / 2, 0, label, ha="center", va="center", fontsize=9)
        left += width
    ax.set_title(f"{len(pieces)} {name}", fontsize=9, loc="left")
    ax.set_xlim(0, left)
    ax.set_axis_off()
plt.show()

# %% [markdown]
# Few long pieces make short rows but need a large vocabulary. Many short pieces make long rows, but a small
# vocabulary is enough. `ï` is one character, and two bytes. Why two? The next sections start there.

# %% [markdown]
# ## Characters are numbers already
#
# *Unicode* gives every sign a number, its *code point*: 97 for `a`, 239 for `ï`, 20320 for the Chinese 你. It is
# written in base 16: U+0061, U+00EF, U+4F60. There is room for 1,114,112 of them, up to U+10FFFF, and about 150,000
# are in use. Python's `ord` gives the number, `chr` the sign.

# %%
for character in "aï€你🎭":
    print(character, f"code point {ord(character):6}, U+{ord(character):04X}")

# %% [markdown]
# A file holds bytes, numbers from 0 to 255, so a code point needs up to three of them. Three for each would waste two
# on every English letter. *UTF-8* (Thompson and Pike, 1992) uses one to four. Let us derive it from
# three wishes:
#
# 1. Old English files stay as they are: a code point below 128 is one byte, whose first bit is 0.
# 2. From any byte one can see whether it starts a character. So all other bytes of a character start with the bits 10.
# 3. The first byte says how many bytes there are: 110 for two, 1110 for three, 11110 for four.
#
# What the marks leave free carries the number: 6 bits in every byte that follows.
#
# | bytes | bits of the number | code points below |
# |---|---|---|
# | 1 | 7 | $2^7 = 128$ |
# | 2 | 5 + 6 = 11 | $2^{11} = 2048$ |
# | 3 | 4 + 6 + 6 = 16 | $2^{16} = 65536$ |
# | 4 | 3 + 6 + 6 + 6 = 21 | $2^{21}$, more than enough |
#
# The euro sign by hand: U+20AC is 8364, in bits 10000010101100. It needs 14 bits, so three bytes. Cut it from the
# right into 6 and 6, and fill the rest with zeros to 4: 0010, 000010, 101100. With the marks before them:
# 11100010, 10000010, 10101100. In base 16 that is `e2 82 ac`, the last three bytes of the picture.

# %%
figure, axes = plt.subplots(4, 1, figsize=(7.5, 3.4))
for ax, character in zip(axes, "aï€🎭"):
    data = character.encode()
    for k, byte in enumerate(data):
        mark = 2 if k else 1 if len(data) == 1 else len(data) + 1  # how many bits
        for i, bit in enumerate(f"{byte:08b}"):
            x = 9 * k + i
            fill, ink = ("0.25", "white") if i < mark else ("0.93", "black")
            ax.barh(0, 1, left=x, color=fill, edgecolor="white")
            ax.text(x + 0.5, 0, bit, ha="center", va="center", color=ink, fontsize=9)
    ax.set_title(f"U+{ord(character):04X}", fontsize=9, loc="left")
    ax.set_xlim(0, 35)
    ax.set_axis_off()
plt.show()

# %% [markdown]
# Dark bits are marks, light ones the number. Now the same as a program.

# %% [markdown]
# ## The smallest code: UTF-8
#
# `point >> 6` drops the last six bits, `point & 0x3F` keeps only them (0x3F is 111111), and `|` sets the mark.


# %%
def to_bytes(text):
    """The UTF-8 bytes of a text, a list of numbers."""
    data = []
    for point in map(ord, text):
        last = 0x80 | point & 0x3F
        if point < 0x80:
            data += [point]
        elif point < 0x800:
            data += [0xC0 | point >> 6, last]
        elif point < 0x10000:
            data += [0xE0 | point >> 12, 0x80 | point >> 6 & 0x3F, last]
        else:
            data += [0xF0 | point >> 18, 0x80 | point >> 12 & 0x3F, 0x80 | point >> 6 & 0x3F, last]
    return data


def to_text(data):
    """The text of UTF-8 bytes that are whole characters."""
    characters, i = [], 0
    while i < len(data):
        first = data[i]
        length = 1 if first < 0x80 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
        point = first if length == 1 else first & (0x7F >> length)  # without the mark
        for byte in data[i + 1 : i + length]:
            point = point << 6 | byte & 0x3F
        characters.append(chr(point))
        i += length
    return "".join(characters)


print([f"{byte:02x}" for byte in to_bytes("€")])
# Every code point there is, but for the 2048 that UTF-8 does not have (Python calls them surrogates).
points = [*range(0xD800), *range(0xE000, 0x110000)][:: 1 if not fast() else 97]
everything = "".join(map(chr, points))
assert bytes(to_bytes(everything)) == everything.encode()
assert to_text(to_bytes(everything)) == everything
print(f"{len(points):,} code points: the same bytes as Python's, and back again")

# %% [markdown]
# Wish 2 pays off when a text is cut in the middle. Of 你好, six bytes, take the first four: one whole character and
# a third of the next. Python refuses, or puts in U+FFFD, the sign for "something was broken here". A program that
# shows text as it comes must wait for the rest. The library's `StreamDecoder` does:

# %%
data = "你好".encode()
print("cut after four bytes:", data[:4].decode("utf-8", "replace"))
stream = StreamDecoder(ByteTokenizer())
print("byte by byte:", [stream.feed(byte) for byte in data])

# %% [markdown]
# ## Cleaning, and what it destroys
#
# One look, several code points. `é` is U+00E9, or an `e` followed by U+0301, an accent that sits on the letter before
# it. To a reader they are the same, to a program they are two different words. *Normalisation* chooses one form:
#
# - **NFC** puts together what can be put together: `e` + accent becomes `é`. It changes no meaning. Use it always.
# - **NFKC** also replaces signs that are variants of others: `ﬁ` becomes `fi`, the wide `，` of Chinese texts a
#   comma, and `²` becomes `2`. That can change the meaning.

# %%
two = "cafe\u0301"
print(two, "café", two == "café", unicodedata.normalize("NFC", two) == "café")
for text in ("ﬁnd", "很好，谢谢！", "10² m", "½"):
    print(f"{text} becomes {unicodedata.normalize('NFKC', text)}")

# %% [markdown]
# 10² m has become 102 m. Every step of cleaning throws something away, and no later step can bring it back:
#
# | step | merges, as wished | merges, not wished |
# |---|---|---|
# | lower case | The, the | US, us; Polish, polish; May, may |
# | accents off | café, cafe | peché (fished), péché (sin) |
# | punctuation off | word, "word" | we're, were; 3.5, 35 |
# | digits to 0 | 1999, 1998 | every number |
# | stop words off | nothing | *not* good, good |
#
# A model that must *write* text can only write what its vocabulary holds: without capitals it never writes one. A
# model that only sorts texts may do better with less. So clean as little as the task allows, keep the original, and
# count what each step does:

# %%
text = corpus("shakespeare")
original = re.findall(r"\S+", text)
steps = {
    "as it is": original,
    "lower case": [word.lower() for word in original],
    "no punctuation": [re.sub(r"[^\w]", "", word.lower()) for word in original],
}
for name, cleaned in steps.items():
    print(f"{name:15} {len(set(cleaned)):7,} different pieces of {len(cleaned):,}")

# %% [markdown]
# ## The smallest code: three tokenizers
#
# Bytes are the easiest: UTF-8 has 256 ids and needs no vocabulary. Characters: list those that occur, in order, and
# number them. Words: cut the text, count, keep those that occur at least `min_count` times, the most frequent
# first, and give all others one common id, the *unknown token* `<unk>`.


# %%
def byte_ids(text):
    return np.array(to_bytes(text))


def char_vocabulary(text):
    return {character: i for i, character in enumerate(sorted(set(text)))}


def words_of(text):
    """Words, with inner apostrophes and hyphens (o'er, to-night), and marks of punctuation,
    each by itself."""
    return re.findall(r"\w+(?:['’-]\w+)*|[^\w\s]", text.lower())


def word_vocabulary(text, min_count):
    counts = Counter(words_of(text))
    kept = [word for word, n in counts.items() if n >= min_count]
    kept.sort(key=lambda word: (-counts[word], word))  # ties in the order of the alphabet
    return {word: i for i, word in enumerate(kept)}


def encode(pieces, vocabulary):
    """Ids of pieces, the last id for what the vocabulary lacks."""
    return np.array([vocabulary.get(piece, len(vocabulary)) for piece in pieces])


training_text, new_text = train_val_split(text)  # the first nine tenths, and the rest
sample = new_text[:20_000]
characters = char_vocabulary(text)
words = word_vocabulary(training_text, min_count=5)
print(f"{len(characters)} characters, {len(words):,} words; the first: {list(words)[:8]}")
for name, ids in (
    ("bytes", byte_ids(sample)),
    ("characters", encode(sample, characters)),
    ("words", encode(words_of(sample), words)),
):
    print(f"{name:10} {len(ids):6,} ids for {len(sample):,} characters: {ids[:10]} ...")

# %% [markdown]
# ## The library's own
#
# The same three, behind one interface: `encode`, `decode`, `save`, `load`. What is added: special tokens, errors that
# name the character and its position, and speed. `CharTokenizer` looks all characters up at once, in a table
# with the code point as the index. Read these, then compare.

# %%
show_source(CharTokenizer.encode, WordTokenizer.from_text, ByteTokenizer.encode)

char_tokenizer = CharTokenizer.from_text(text)
word_tokenizer = WordTokenizer.from_text(
    training_text, min_count=5, lowercase=True, whitespace=False
)
assert np.array_equal(ByteTokenizer().encode(sample), byte_ids(sample))
assert np.array_equal(char_tokenizer.encode(sample), encode(sample, characters))
assert np.array_equal(word_tokenizer.encode(sample), encode(words_of(sample), words))
print("all three give the ids of the smallest code")
print("what the words keep of it:", word_tokenizer.decode(word_tokenizer.encode(sample[:120])))

# %% [markdown]
# ## Zipf's law, and how large a vocabulary must be
#
# Sort the words by how often they occur; the most frequent has *rank* 1. In 1935 Zipf saw in one text after another
# that the count of a word is a constant divided by its rank:
#
# $$ f(r) \approx \frac{C}{r} $$
#
# With logarithms on both axes that is a straight line falling one step down for each step to the right. Two
# things follow, and both can be checked with a pencil.
#
# **Half of all words occur once.** A word occurs $n$ times or more if $C / r \ge n$, that is if its rank is at
# most $C / n$. So $C / n$ words do. Exactly $n$ times occur $C/n - C/(n+1)$ of them, and as a share of all $C$ words
#
# $$ \frac{1}{n} - \frac{1}{n+1} = \frac{1}{n (n+1)} $$
#
# That is 1/2 for $n = 1$, 1/6 for $n = 2$, 1/12 for $n = 3$.
#
# **A few words cover most of a text.** The sum $1 + 1/2 + \ldots + 1/K$ is about $\ln K + 0.577$. So the $K$ most
# frequent of $V$ words make up this share of the text:
#
# $$ \text{coverage} \approx \frac{\ln K + 0.577}{\ln V + 0.577} $$

# %%
training_words, new_words = words_of(training_text), words_of(new_text)
counts = Counter(training_words)
frequency = np.array(sorted(counts.values(), reverse=True))
rank = np.arange(1, len(frequency) + 1)
once = (frequency == 1).mean()
print("times  share of words  by Zipf's law")
for n in (1, 2, 3, 4):
    print(f"{n:5}  {(frequency == n).mean():14.3f}  {1 / (n * (n + 1)):13.3f}")

by_rank = {word: r for r, (word, _) in enumerate(counts.most_common(), 1)}
new_ranks = np.array([by_rank.get(word, len(by_rank) + 1) for word in new_words])
sizes = np.unique(np.geomspace(10, len(frequency), 40).astype(int))
seen = np.cumsum(frequency)[sizes - 1] / frequency.sum()
on_new_text = np.array([(new_ranks <= size).mean() for size in sizes])

figure, (left, right) = plt.subplots(1, 2)
left.loglog(rank, frequency, label="counted")
left.loglog(rank, frequency[99] * 100 / rank, label="C / r", color="0.4", linestyle="--")
left.set_xlabel("rank r")
left.set_ylabel("count")
left.set_title("Zipf's law")
left.legend()
right.semilogx(sizes, seen, label="of the text it was made from")
right.semilogx(sizes, on_new_text, label="of new text")
by_zipf = (np.log(sizes) + 0.577) / (np.log(len(frequency)) + 0.577)
right.semilogx(sizes, by_zipf, label="by Zipf's law", color="0.6", linestyle=":")
right.set_xlabel("words in the vocabulary")
right.set_ylabel("share of the text that is known")
right.set_title("Coverage")
right.legend(fontsize=8)
plt.show()
unknown = 1 - on_new_text[-1]
print(
    f"{len(frequency):,} different words; of new text {unknown:.1%} is still unknown with all of them"
)

# %% [markdown]
# The law is no more than a rule of thumb: the counted line falls faster at the end, so there are fewer rare words
# than it says, and the frequent ones cover more. Now follow the two curves on the right. On the text that the
# vocabulary was made from, coverage goes to 1. On new text it stops below, because new text has new words: names,
# spellings, compounds. They never end. Here is how the number of different words grows as one reads on. Heaps' law
# says it grows as $k n^{\beta}$ with $\beta$ around one half, a straight line again.

# %%
first_seen = np.zeros(len(training_words), int)
known = set()
for i, word in enumerate(training_words):
    if word not in known:
        known.add(word)
        first_seen[i] = 1
growth = np.cumsum(first_seen)
read = np.unique(np.geomspace(1000, len(growth), 30).astype(int))
beta, log_k = np.polyfit(np.log(read), np.log(growth[read - 1]), 1)

figure, ax = plt.subplots(figsize=(7.5, 2.8))
ax.loglog(read, growth[read - 1], "o", markersize=4, label="counted")
heaps = np.exp(log_k) * read**beta
ax.loglog(read, heaps, label=f"Heaps' law, β = {beta:.2f}", color="0.4", linestyle="--")
ax.set_xlabel("words read")
ax.set_ylabel("different words")
ax.legend()
plt.show()

# %% [markdown]
# So a vocabulary of words is a trade. `min_count` (or a largest size) decides. Rare words cannot be learnt anyway from
# one or two sights, and each costs a row in the first layer and a row in the last. But all of them together are
# the most telling words of a text, and `<unk>` says none of them.

# %%
print("min_count  vocabulary  unknown in new text")
for least in (1, 2, 5, 20, 100):
    size = sum(n >= least for n in counts.values())
    missing = np.mean([counts[word] < least for word in new_words])
    print(f"{least:9}  {size:10,}  {missing:19.1%}")

# %% [markdown]
# ## Chinese: where is the space?
#
# English writes a space between words, Chinese does not. A tokenizer that trusts in spaces takes
# everything between two commas for one word. Watch how much of a new text it knows. (At reduced size, and without a
# network, a few lines written for this lesson stand in for the reviews.)

# %%
few_lines = """这家酒店的房间很干净，服务也很好，下次还会来。
这本书写得太差了，我看了三页就不想看了。
电脑的屏幕很大，速度也快，就是电池不好。
房间太小，服务很差，早饭也不好吃，下次不会来了。
书的内容很好，我一个晚上就看完了，很喜欢。
这台电脑太慢了，屏幕也不好，我很不喜欢。
酒店的早饭很好吃，房间也大，我很喜欢。
这本书的内容太少，写得也不好，不值得买。
"""
chinese = corpus(
    "chinese-reviews", instead=few_lines * 3 + "服务员很客气，房间的床太硬了，电池用得很快。\n" * 3
)
chinese_training, chinese_new = train_val_split(chinese)
unknown_in_chinese = {}
for name, pieces in (("words", re.compile(r"\w+").findall), ("characters", list)):
    there = set(pieces(chinese_training))
    new = pieces(chinese_new)
    unknown_in_chinese[name] = np.mean([piece not in there for piece in new])
    print(
        f"{name:10} {len(there):7,} different, unknown in new text: {unknown_in_chinese[name]:.2%}"
    )
print("a long 'word':", max(words_of(chinese_training)[:200], key=len))
print(f"bytes: {len(chinese.encode()) / len(chinese):.2f} for each character, in English 1")

# %% [markdown]
# Chinese characters already mean something, a few thousand write everything, and nearly none of a new text is
# unknown. So models of Chinese often read characters. Cutting Chinese into words is a task of its own, for
# which one uses a list of words or trains a model. Bytes work for every language, at three for each character.

# %% [markdown]
# ## Outlook: pieces between characters and words
#
# *Byte-pair encoding* (Gage 1994; for text Sennrich et al. 2016) finds a middle. Start with characters. Count all
# pairs of neighbours, join the most frequent pair into a new token, and repeat, as often as you want tokens. Take the
# example of Sennrich's paper with a pencil: *low* 5 times, *lower* 2, *newest* 6, *widest* 3. The pair `e s` occurs 6
# + 3 = 9 times, and no other more often. So `es` becomes a token. Then `es t`, 9 times again.


# %%
def merge(symbols, pair):
    """The symbols of one word, with each such pair of neighbours joined."""
    joined, i = [], 0
    while i < len(symbols):
        if tuple(symbols[i : i + 2]) == pair:
            joined.append(pair[0] + pair[1])
            i += 2
        else:
            joined.append(symbols[i])
            i += 1
    return tuple(joined)


def learn_merges(counts, steps):
    """The pairs to join, in order, learnt from {word: how often}; an underscore marks the end
    of a word."""
    spelt = {(*word, "_"): n for word, n in counts.items()}
    merges = []
    for _ in range(steps):
        pairs = Counter()
        for symbols, n in spelt.items():
            for pair in pairwise(symbols):
                pairs[pair] += n
        best = max(pairs, key=pairs.get)  # the first of those that are equally frequent
        merges.append(best)
        spelt = {merge(symbols, best): n for symbols, n in spelt.items()}
    return merges


print(learn_merges({"low": 5, "lower": 2, "newest": 6, "widest": 3}, 5))

frequent = dict(counts.most_common(2000 if not fast() else 300))
merges = learn_merges(frequent, 300 if not fast() else 40)


def cut(word, merges):
    symbols = (*word, "_")
    for pair in merges:
        symbols = merge(symbols, pair)
    return symbols


print("the first ten:", [a + b for a, b in merges[:10]])
for word in ("the", "another", "thereabouts"):
    print(word, "is cut into", *cut(word, merges))

# %% [markdown]
# Frequent words become one token, rare ones fall into parts, and nothing is unknown. Starting from bytes instead of
# characters, this is the tokenizer of GPT-2 and of most models since. The library has none so far:

# %%
print("the library's tokenizers:", *tokenizers.TOKENIZERS)

# %% [markdown]
# ## Ids to batches: the target is the next token
#
# A language model says, after each token, which one comes next. So one window of a text holds many
# examples at once. The inputs are the window without its last token. The targets are the window without its first:

# %%
ids = char_tokenizer.encode(text)
show_source(TokenBatches.__next__)
x, y = next(TokenBatches(ids, batch_size=2, context_length=12, seed=3))
for name, row in (("inputs ", x[0]), ("targets", y[0])):
    print(
        name, " ".join(char_tokenizer.decode([i]).replace(" ", "␣").replace("\n", "↵") for i in row)
    )
assert np.array_equal(x[:, 1:], y[:, :-1])

# %% [markdown]
# Under each input stands the token that the model has to guess from it and from what is left of it. Nothing more is
# needed to learn from any text there is, without anybody labelling it.

# %% [markdown]
# ## The lookup, checked by finite differences
#
# The first layer of every model in the coming lessons is a table $W$ with a row for each id. Looking up id $i$ gives
# row $W_i$. Written as algebra: let $e_i$ be the *one-hot* vector, all zeros but a one at place $i$. Then
#
# $$ e_i W = W_i $$
#
# so a lookup is a product with a matrix of zeros and ones, without the work. The gradient follows from the rule of the
# product in lesson 2, $\frac{\partial L}{\partial W} = E^\top g$, where the rows of $E$ are the one-hot vectors of a
# batch and $g$ is the gradient with respect to the rows that were looked up. In words: *row $i$ of $W$ gets the sum of
# all gradients of the places where $i$ was looked up.* This is called *scatter-add*.

# %%
V, dim = 6, 3
W = rng.standard_normal((V, dim))
some_ids = np.array([[2, 0, 2], [5, 2, 0]])  # 2 three times, 0 twice, 5 once
E = np.eye(V)[some_ids]  # (2, 3, V)
g = rng.standard_normal((2, 3, dim))

weight = mg.tensor(W, requires_grad=True)
looked_up = F.embedding(some_ids, weight)
looked_up.backward(mg.tensor(g))
assert np.allclose(looked_up.detach().numpy(), E @ W)
by_algebra = np.einsum("btv,btd->vd", E, g)
by_scatter = np.zeros_like(W)
np.add.at(by_scatter, some_ids, g)
lossy = np.zeros_like(W)
lossy[some_ids] += g
print("gradient as E transposed times g:", np.allclose(weight.grad.numpy(), by_algebra))
print("as scatter-add:                  ", np.allclose(weight.grad.numpy(), by_scatter))
print("with W[ids] += g:                ", np.allclose(weight.grad.numpy(), lossy))
print("gradcheck:", mg.gradcheck(lambda w: F.embedding(some_ids, w), [weight]))

# %% [markdown]
# The third is a trap of numpy. `W[ids] += g` reads, adds and writes back once for each id, so of the three gradients
# of id 2 only the last survives. `np.add.at` adds them all. The library's rule and its plainest kernel:

# %%
from minigrad.kernels.reference import embedding as reference
from minigrad.ops.embedding import Embedding

show_source(Embedding, reference.embedding_backward)

# %% [markdown]
# ## The run: a first language model
#
# The smallest model of text looks at one character and guesses the next. Its table has a row of $V$ logits for each of
# the $V$ characters: an embedding, and nothing else. It is called a *bigram* model.
#
# What should its loss be? Cross-entropy is measured here in *bits*, that is with $\log_2$ instead of $\ln$: divide by
# $\ln 2 = 0.693$. If it knows nothing: $\log_2 V$. The best it can do can be computed without any training, by
# counting: of all `t`, how many were followed by `h`? One is added to each count, so that no pair is impossible.


# %%
def bigram_probabilities(ids, size):
    """Row a, column b: how likely b is after a, counted, with one added to each count."""
    table = np.ones((size, size), "float32")
    pairs, times = np.unique(ids[:-1] * size + ids[1:], return_counts=True)
    table.flat[pairs] += times
    table /= table.sum(1, keepdims=True)
    return table


def bits_a_token(ids, probabilities):
    return -np.log2(probabilities[ids[:-1], ids[1:]]).mean()


V = char_tokenizer.vocab_size
training_ids, new_ids = train_val_split(ids)
counted = bigram_probabilities(training_ids, V)
best = bits_a_token(new_ids, counted)

table = nn.Embedding(V, V)
nn.init.zeros_(table.weight)
optimizer = optim.Adam(table.parameters(), lr=0.05)
batches = TokenBatches(training_ids, batch_size=64, context_length=64, seed=1)
losses = []
for _ in range(400 if not fast() else 100):
    x, y = next(batches)
    logits = table(mg.tensor(x))  # (64, 64, V)
    loss = F.cross_entropy(logits.reshape(-1, V), mg.tensor(y.reshape(-1)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item() / np.log(2))

learnt = table.weight.detach().softmax(1).numpy()
bits = bits_a_token(new_ids, learnt)
print(f"knowing nothing: {np.log2(V):.3f} bits a character, the first loss {losses[0]:.3f}")
print(f"learnt {bits:.3f}, counted {best:.3f}, on new text")
goal("bits a character on new text", bits, at_most=3.65)

# %%
letters = "etaoinshrdlu "
rows = [char_tokenizer.encode(c)[0] for c in letters]
figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.6), width_ratios=[1.3, 1])
left.plot(losses, linewidth=1, label="each batch")
left.axhline(best, color="0.3", linestyle="--", label="counted, on new text")
left.axhline(np.log2(V), color="0.6", linestyle=":", label="knowing nothing")
left.set_xlabel("step")
left.set_ylabel("bits a character")
left.legend(fontsize=8)
right.imshow(learnt[np.ix_(rows, rows)] ** 0.5)
right.set_xticks(range(len(letters)), letters.replace(" ", "␣"))
right.set_yticks(range(len(letters)), letters.replace(" ", "␣"))
right.set_xlabel("next")
right.set_ylabel("after")
right.set_title("learnt: dark is likely")
right.grid(False)
plt.show()

# %% [markdown]
# Find the dark cell in row `t`: an `h`. Let the model write: draw the next character by its probabilities, again
# and again. It has the letters of the text and some of its syllables, and no word on purpose.

# %%
letter = char_tokenizer.encode("\n")[0]
written = []
for _ in range(200):
    letter = rng.choice(V, p=learnt[letter] / learnt[letter].sum())
    written.append(letter)
print(char_tokenizer.decode(written))

# %% [markdown]
# One more thing before two models are compared. A loss for each *token* depends on what a token is: guessing a byte of
# Chinese is easier than guessing a whole character, since three guesses share the work. What can be
# compared is the loss for each *character*: all bits that the new text costs, divided by its number of characters.

# %%
print("text     tokens      bits/token    bits/character")
for language, old, new in (
    ("English", training_text, new_text),
    ("Chinese", chinese_training, chinese_new),
):
    for tokenizer in (CharTokenizer.from_text(old, ["<unk>"]), ByteTokenizer()):
        old_ids, held_out = tokenizer.encode(old), tokenizer.encode(new)
        a_token = bits_a_token(held_out, bigram_probabilities(old_ids, tokenizer.vocab_size))
        a_character = a_token * (len(held_out) - 1) / len(new)
        print(f"{language}  {tokenizer.type:10} {a_token:13.2f}  {a_character:16.2f}")

# %% [markdown]
# English has one byte for each character, so both rows are the same. In Chinese a byte costs less than a character,
# 4.0 against 7.3 bits, and yet three of them cost more: this model sees only the token before, and for bytes that is
# a third of a character. (At reduced size the numbers are others.) Models with a longer memory, from lesson 11 on,
# narrow the gap.

# %% [markdown]
# ## A bug to find
#
# A friend measures how many words of new text a vocabulary of words lacks, finds none, and
# concludes that Shakespeare's vocabulary is closed and `<unk>` a waste. Your number above was not zero. The code is
# six lines long, and each of them looks as it should. Which one is wrong?


# %%
def unknown_share(text):
    tokenizer = WordTokenizer.from_text(text, lowercase=True, whitespace=False)
    ids = tokenizer.encode(text)
    _, new = train_val_split(ids)
    return (new == tokenizer.unk_id).mean()


claimed = unknown_share(text)
print(f"the friend: {claimed:.2%} of new text is unknown; above: {unknown:.2%}")

# %% [markdown]
# ## Exercises
#
# **Small** (5 minutes each)
#
# 1. Write 你, U+4F60, as UTF-8 with a pencil. Then decode the bytes `f0 9f 8e ad`.
# 2. A byte is 10110010. Does a character start here? How many bytes back can its start be at most?
# 3. A vocabulary follows Zipf's law and has 50,000 words. Which share of a text do the first 1,000 cover?
#
# **Medium** (20 minutes each)
#
# 4. Change the targets to `window[2:]`, the token after the next. What does the best bigram model reach now,
#    and why does nothing look broken?
# 5. Build a bigram model of words with `min_count` 100, and with 1. Which has the smaller loss for each token? Spell
#    unknown words with the character model, add those bits, and compare for each character.
# 6. Cut Chinese into words by a list: always take the longest word of the list that fits (maximum matching). Take
#    as the list all pairs of characters that occur at least 50 times. How many tokens are saved?
#
# **Large** (an evening)
#
# 7. Byte-pair encoding that starts from the 256 bytes, with `encode` and `decode` behind the library's `Tokenizer`.
#    Draw tokens for each character against the number of merges, for English and for Chinese.
#
# **In the course kit**, written in the library itself and checked with `minigrad course test 7.1` and so on:
#
# - 7.1 *The gradient of an embedding*
# - 7.2 *Vocabularies by frequency*
# - 7.3 *Windows of a text*
# - 7.4 *Padding*

# %% [markdown]
# ## Answers
#
# **The bug.** The first line. The vocabulary is made from *all* of the text, the new part included, so of course it
# knows each word of it. Whatever is learnt from data, and a vocabulary is, must come from the training part alone.
# This mistake is called a *leak*, and it always makes a result look better than it is. Split first:


# %%
def honest_unknown_share(text):
    training, new = train_val_split(text)
    tokenizer = WordTokenizer.from_text(training, lowercase=True, whitespace=False)
    return (tokenizer.encode(new) == tokenizer.unk_id).mean()


honest = honest_unknown_share(text)
print(f"split first: {honest:.2%} unknown")
assert claimed == 0 < honest
assert abs(honest - unknown) < 1e-3

# %% [markdown]
# (This lesson has taken the list of *characters* from all of the text, too. With 77 of them it makes no difference, as
# you can check. With the thousands of Chinese it does, and there the table used the training part and `<unk>`.)
#
# **Small 1.** 0100 111101 100000, so `e4 bd a0`; the bytes are U+1F3AD, 🎭. **Small 2.** No: it starts with 10. Three
# at most. **Small 3.** $(6.91 + 0.58) / (10.82 + 0.58) = 66$ %. **Medium 4.** The loss is higher, but it falls and it
# ends, as losses do. Only the number beside the counted bigram shows it. Try shifts of 0, 1, 2 and 3, and say why 0
# is the most dangerous.

# %% [markdown]
# ## Sources
#
# - The Unicode Standard, chapter 3.9 (UTF-8) and annex 15 (normalisation); R. Pike, K. Thompson, *Hello world*,
#   USENIX 1993.
# - G. Zipf, *The Psycho-Biology of Language*, Houghton Mifflin 1935; H. Heaps, *Information Retrieval*, 1978, section
#   7.5.
# - P. Gage, *A new algorithm for data compression*, C Users Journal 1994; R. Sennrich, B. Haddow, A. Birch, *Neural
#   machine translation of rare words with subword units*, ACL 2016, section 3.2.
# - C. Shannon, *A mathematical theory of communication*, 1948: section 3 has the bigram model, and text it wrote.
# - C. Manning, P. Raghavan, H. Schütze, *Introduction to Information Retrieval*, 2008: sections 2.2 and 5.1.
#
# Next: lesson 8, numbers that say what a word means.
