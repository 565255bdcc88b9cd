# %% [markdown]
# # 18. Online softmax and FlashAttention
#
# | | |
# |---|---|
# | Builds on | lesson 4: softmax; lesson 13: attention; lesson 17: tiles, warps, the emulator |
# | You will have | attention in memory that grows with the length, not its square, forward and backward |
# | Time | 85 minutes, of which 20 seconds are computing |
# | Memory | 0.7 GB |
#
# One identity with an exponential, used three times: for a row, for a tile, for the gradient.

# %%
import time
import tracemalloc

import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
from lessons.material import cuda
from lessons.material.kit import fast, goal, show_source
from minigrad import devices, kernels
from minigrad.kernels.reference.attention import AttentionSettings

plt.style.use("lessons.material.grey")
mg.manual_seed(0)
rng = np.random.default_rng(0)
device = cuda.find_device()

# %% [markdown]
# ## The question
#
# A text of $T$ tokens, each with a query, a key and a value of $d$ numbers. Attention is
#
# $$ S = \frac{Q K^\top}{\sqrt{d}} \qquad P = \text{softmax}(S) \qquad O = P V $$
#
# with the softmax over each row. $Q$, $K$, $V$ and $O$ are $T \times d$, small. $S$ and $P$ are $T \times T$:

# %%
for tokens in (1024, 4096, 16384, 65536):
    matrix, others = 4 * tokens**2 / 1e6, 4 * 4 * tokens * 64 / 1e6
    print(f"T = {tokens:6}: S has {matrix:8.0f} MB a head, Q, K, V and O {others:3.0f} MB")

# %% [markdown]
# Nobody ever looks at $S$ and $P$. They are made, read once, and thrown away. And training keeps them for the
# gradient. Can we have $O$ without them?

# %% [markdown]
# ## What is in the way
#
# If there were no softmax, it would be easy: $(Q K^\top) V$ is a sum over keys, and a sum can be added up
# piece by piece. The softmax of a row of scores $x_1, \ldots, x_n$ looks as if it needed the whole row,
# twice:
#
# $$ m = \max_j x_j \qquad l = \sum_j e^{x_j - m} \qquad p_j = \frac{e^{x_j - m}}{l} $$
#
# First all scores for the maximum $m$, then all again for the sum $l$, then a third time for the result.
# Without the maximum it would be one pass, but then $e^{x_j}$ overflows (lesson 4).

# %% [markdown]
# ## The identity
#
# Suppose you have $m$ and $l$ of the scores so far, and a new score $x$ comes. The maximum is now
# $m' = \max(m, x)$. What is the sum, measured against the new maximum? Nothing needs to be read again:
#
# $$ \sum_j e^{x_j - m'} = \sum_j e^{x_j - m} \cdot e^{m - m'} = l \cdot e^{m - m'} $$
#
# So the pair $(m, l)$ can be kept up to date, score by score:
#
# $$ m' = \max(m, x) \qquad l' = l \cdot e^{m - m'} + e^{x - m'} $$
#
# This is the *online softmax* of Milakov and Gimelshein (2018). One pass gives $m$ and $l$, a second the
# result. No exponent is ever above zero, so nothing overflows.


# %%
def online(row):
    """The maximum m of a row and the sum of e^(x - m), in one pass; and both after each number."""
    m, l, history = -np.inf, 0.0, []
    for x in row:
        new = max(m, x)
        l = l * np.exp(m - new) + np.exp(x - new)
        m = new
        history.append((m, l))
    return m, l, np.array(history)


row = 2 * rng.standard_normal(40) + np.linspace(0, 6, 40)
m, l, history = online(row)
print(f"online: m = {m:.4f}, l = {l:.4f}")
print(f"twice over the row: m = {row.max():.4f}, l = {np.exp(row - row.max()).sum():.4f}")
m, l, _ = online([1000.0, 1001.0, 999.0])
print(f"scores of a thousand and more: m = {m:.0f}, l = {l:.4f}")

# %% [markdown]
# ## A picture of it
#
# Each time the maximum rises, the sum is measured against a larger number, and shrinks.

# %%
figure, axes = plt.subplots(2, 1, figsize=(7.5, 4.2), sharex=True)
steps = np.arange(1, len(row) + 1)
axes[0].plot(steps, row, "o", color="0.5", markersize=4, label="score x")
axes[0].step(steps, history[:, 0], where="post", label="running maximum m")
axes[0].set_ylabel("score")
axes[0].legend(loc="lower right")
axes[1].step(steps, history[:, 1], where="post", color="black", label="running sum l")
rises = [i for i in range(1, len(row)) if history[i, 0] > history[i - 1, 0]]
for ax in axes:
    for i in rises:
        ax.axvline(steps[i], color="0.85", lw=1, zorder=0)
axes[1].set_ylabel("sum")
axes[1].legend(loc="upper left")
axes[1].set_xlabel("scores seen (grey lines: the maximum rises)")
plt.show()

# %% [markdown]
# The same identity *joins two pieces* of a row. If one piece has $(m_1, l_1)$ and the other $(m_2, l_2)$,
# then together
#
# $$ m = \max(m_1, m_2) \qquad l = l_1 e^{m_1 - m} + l_2 e^{m_2 - m} $$
#
# A new score is the piece $(x, 1)$. In which order pieces are joined makes no difference, so 32 lanes of a
# warp may take a part of the row each and join their pairs at the end. That is `Online` in the library, where
# a row that is all $-\infty$ is taken care of as well:

# %%
CUDA = "minigrad/kernels/cuda"
show_source(f"{CUDA}/online.cuh:Online::join", f"{CUDA}/softmax.cu:softmax_online")

# %% [markdown]
# ## From a row to attention
#
# Now take the values along. Keep, beside $m$ and $l$, the sum of values weighted so far, a vector $o$ of $d$
# numbers:
#
# $$ o = \sum_j e^{x_j - m} v_j $$
#
# It is a sum of the same kind as $l$. So it is rescaled by the same factor when the maximum rises:
#
# $$ o' = o \cdot e^{m - m'} + e^{x - m'} v $$
#
# At the end $o / l$ is the output. Nothing is approximated. That is all of FlashAttention's mathematics. The
# rest is doing it for *tiles*: a block of queries keeps its $m$, $l$ and $o$, and the keys come by, a tile at
# a time.
#
# With a causal mask query $i$ sees the keys $j \le i$. Tiles above the diagonal are not computed at all. Only
# tiles on the diagonal need the mask.

# %%
tiles = 8
kind = np.tri(tiles) + np.tri(tiles, k=-1)  # 0 skipped, 1 on the diagonal, 2 below it
figure, ax = plt.subplots(figsize=(7.5, 3.6))
ax.imshow(kind, vmin=0, vmax=4)
for i, j in np.ndindex(tiles, tiles):
    name = ("–", "mask", f"{j + 1}")[int(kind[i, j])]
    ax.text(j, i, name, ha="center", va="center", fontsize=7)
ax.add_patch(plt.Rectangle((-0.5, 4.5), 6, 1, fill=False, lw=2))
note = "a block of queries meets the keys\nfrom left to right: tile 1, 2, 3 …\nIts m, l and o go along."
ax.annotate(note, (5.6, 5), (8.2, 5), arrowprops={"arrowstyle": "->"}, va="center")
ax.text(8.2, 1, "– is not computed at all", va="center")
ax.set_xlabel("tiles of keys", x=0.25)
ax.set_ylabel("blocks of queries")
ax.set_xticks([])
ax.set_yticks([])
ax.set_xlim(-0.6, 15)
ax.spines.bottom.set_visible(False)
ax.grid(False)
plt.show()
computed = tiles * (tiles + 1) // 2
print(f"{computed} of {tiles**2} tiles are computed: for many tiles, half")

# %% [markdown]
# ## The smallest code
#
# One head, `q`, `k` and `v` of shape $(T, d)$. Beside the output it returns the *log-sum-exp* of each row,
#
# $$ \text{lse} = \ln \sum_j e^{x_j} = m + \ln l $$
#
# a single number per row, in which $m$ and $l$ are both contained. The gradient will want it.


# %%
def scores(q, k, rows, keys, causal):
    """A tile of S; -inf where a query may not look."""
    s = q[rows] @ k[keys].T / q.shape[1] ** 0.5
    if causal:
        s[keys > rows[:, None]] = -np.inf
    return s


def forward(q, k, v, causal=False, tile=64):
    """softmax(q kᵀ / √d) v, and the log-sum-exp of each row of scores. No array is T × T."""
    T, d = q.shape
    out, lse = np.empty_like(v), np.empty(T, q.dtype)
    for start in range(0, T, tile):
        rows = np.arange(start, min(start + tile, T))
        m, l = np.full(len(rows), -np.inf, q.dtype), np.zeros(len(rows), q.dtype)
        o = np.zeros((len(rows), d), q.dtype)
        for first in range(0, rows[-1] + 1 if causal else T, tile):
            keys = np.arange(first, min(first + tile, T))
            s = scores(q, k, rows, keys, causal)
            new = np.maximum(m, s.max(1))
            p = np.exp(s - new[:, None])
            factor = np.exp(m - new)
            l = l * factor + p.sum(1)
            o = o * factor[:, None] + p @ v[keys]
            m = new
        out[rows], lse[rows] = o / l[:, None], m + np.log(l)
    return out, lse


def naive(q, k, v, causal=False):
    """The same with the whole matrix; returns it, too."""
    everything = np.arange(len(q))
    s = scores(q, k, everything, everything, causal)
    p = np.exp(s - s.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return p @ v, p


T, d = 300, 16
q, k, v = rng.standard_normal((3, T, d))
for causal in (False, True):
    out, lse = forward(q, k, v, causal)
    exact, probabilities = naive(q, k, v, causal)
    print(f"causal {causal!s:5}: largest difference {np.abs(out - exact).max():.0e}")

# %% [markdown]
# ## The gradient, derived
#
# Training needs $dQ$, $dK$ and $dV$ from $dO$, the gradient of the loss with respect to the output. (Here $dX$ is short
# for $\partial L / \partial X$.) From $O = P V$, a matrix product:
#
# $$ dV = P^\top dO \qquad dP = dO \, V^\top $$
#
# Then through the softmax. For one row, $p_j = e^{x_j} / \sum_i e^{x_i}$ has the derivatives
# $\partial p_i / \partial x_j = p_i ([i = j] - p_j)$, as in lesson 4. So
#
# $$ dx_j = \sum_i dp_i \, p_i ([i = j] - p_j) = p_j (dp_j - D) \qquad D = \sum_i p_i \, dp_i $$
#
# And from $S = Q K^\top / \sqrt{d}$:
#
# $$ dQ = \frac{dS \, K}{\sqrt{d}} \qquad dK = \frac{dS^\top Q}{\sqrt{d}} $$
#
# Two things seem to need the big matrix.
#
# **The probabilities $P$.** We threw them away. But a tile of them is found again from a tile of scores,
# *without* a running maximum, because the log-sum-exp of its rows is known now: $p_j = e^{x_j - \text{lse}}$.
#
# **The number $D$ of each row.** It is a sum over the whole row of $P$. Put in what $dp$ is, and exchange the
# sums:
#
# $$ D = \sum_i p_i \, (dO \cdot v_i) = dO \cdot \sum_i p_i v_i = dO \cdot O $$
#
# A row of $dO$ times a row of $O$. Both are there, and both have $d$ numbers.
#
# The price: $Q K^\top$ is computed a second time. Often computing a number is cheaper than fetching it.


# %%
def backward(grad, q, k, v, out, lse, causal=False, tile=64):
    """Gradients of q, k and v from that of the output. No array is T × T."""
    T, d = q.shape
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    D = (grad * out).sum(1)
    for first in range(0, T, tile):
        keys = np.arange(first, min(first + tile, T))
        for start in range(first if causal else 0, T, tile):
            rows = np.arange(start, min(start + tile, T))
            p = np.exp(scores(q, k, rows, keys, causal) - lse[rows, None])
            dv[keys] += p.T @ grad[rows]
            dp = grad[rows] @ v[keys].T
            ds = p * (dp - D[rows, None]) / d**0.5
            dq[rows] += ds @ k[keys]
            dk[keys] += ds.T @ q[rows]
    return dq, dk, dv


grad = rng.standard_normal((T, d))
dp = grad @ v.T
with_matrix = (probabilities * dp).sum(1)
out, lse = forward(q, k, v, causal=True)
print(f"D with and without the matrix: {np.abs(with_matrix - (grad * out).sum(1)).max():.0e} apart")

# %% [markdown]
# ## Checked by finite differences
#
# As an operation of the engine, with tiles of 3, so that 7 tokens make whole tiles and a rest:


# %%
class FlashAttention(mg.Function):
    """O = softmax(Q Kᵀ / √d) V by tiles, with the gradient above."""

    def __init__(self, causal):
        self.causal = causal

    def forward(self, q, k, v):
        out, lse = forward(q, k, v, self.causal, tile=3)
        self.save_for_backward(q, k, v, out, lse)
        return out

    def backward(self, grad):
        return backward(grad, *self.saved, self.causal, tile=3)


small = [mg.randn(7, 4, dtype="float64", requires_grad=True) for _ in range(3)]
for causal in (False, True):
    call = lambda *qkv, causal=causal: FlashAttention(causal)(*qkv)  # noqa: E731
    print(f"causal {causal!s:5}: gradcheck", mg.gradcheck(call, small))

# %% [markdown]
# ## Memory, counted and measured
#
# What does each version hold at most? The naive one at least $S$ and $P$, $2 T^2$ numbers, and for the
# gradient it must keep $T^2$ of them. Ours keeps the output and one number per row, $T d + T$, and while it
# runs a few tiles. Python's `tracemalloc` counts what numpy really asks for:


# %%
def peak(function, *arguments):
    """The most bytes that were held at once during a call."""
    tracemalloc.start()
    function(*arguments)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


lengths = [256, 512, 1024, 2048, 4096] if not fast() else [128, 256, 512]
memory = {"with the matrix": [], "by tiles": []}
for T in lengths:
    q, k, v = rng.standard_normal((3, T, 64)).astype(np.float32)
    memory["with the matrix"].append(peak(naive, q, k, v, True))
    memory["by tiles"].append(peak(forward, q, k, v, True))
    print(
        f"T = {T:5}:",
        "   ".join(f"{name} {used[-1] / 1e6:7.2f} MB" for name, used in memory.items()),
    )
saved = memory["with the matrix"][-1] / memory["by tiles"][-1]
doubling = [used[-1] / used[-2] for used in memory.values()]
print(
    f"from T = {lengths[-2]} to {lengths[-1]}: times {doubling[0]:.1f} and times {doubling[1]:.1f}"
)

# %% [markdown]
# Twice the length is four times the memory in one case, twice in the other.

# %% [markdown]
# ## The library's own, in numba
#
# The same algorithm, compiled and threaded. What is different from ours is what lesson 6 taught. Tiles are
# copied into buffers that fit in the cache. Vectors run along the *queries*: then the running maximum of 16
# queries is 16 lanes of one register, and no row has to be reduced. First what happens to one tile of scores,
# then the loop around it.

# %%
from minigrad.kernels.cpu import attention_backward, attention_forward

show_source(attention_forward._online_softmax, attention_forward.forward)

# %% [markdown]
# In `_online_softmax`, find the four lines of our loop: `new`, `factor`, `l` and `p`. `shift` is the maximum,
# or 0 for a query that has seen nothing yet, because $-\infty - (-\infty)$ is not a number. `diagonal` says
# which keys the causal mask hides. The gradient's heart is a few lines:

# %%
show_source(attention_backward._dscores)

# %% [markdown]
# ## The library's own, in CUDA C
#
# A block of 128 threads has 64 queries. Each thread computes 4 × 4 scores of a tile of 64 × 32 in registers,
# as in step 5 of lesson 17. Eight lanes share a row, so the row's maximum and sum are joined among 8 lanes by
# shuffles. Keys and then values use the same place in shared memory, one after the other: count the barriers,
# and say what each one guards.

# %%
show_source(f"{CUDA}/attention.cu:attention_tiled", f"{CUDA}/attention.cu:attention_delta")

# %% [markdown]
# For the gradient there are two kernels, for $dK$ and $dV$ (a block owns keys and passes over the queries)
# and for $dQ$ (the other way round). Our loop above did both in one pass, and added to `dq[rows]` again and
# again. On a GPU, blocks would then add to the same numbers at the same time, in an order that changes from
# run to run. Two passes compute two of seven products twice, and give the same bits each time.
#
# Now launch them, and compare with the definition:


# %%
def both_ways(backend, q, k, v, grad, causal):
    """Output, log-sum-exp and the three gradients, computed by that backend, as numpy arrays."""
    offset = 0 if causal else None  # query i sees the keys up to i + offset
    settings = AttentionSettings(offset, q.shape[-1] ** -0.5, 0.0, 0)  # offset, scale, no dropout
    arrays = [devices.move(x, "cuda" if backend == "cuda" else "cpu") for x in (q, k, v, grad)]
    with kernels.use(backend), kernels.strict():
        out, lse = kernels.attention(*arrays[:3], None, settings)
        gradients = kernels.attention_backward(arrays[3], *arrays[:3], out, lse, None, settings)
    return [devices.move(x, "cpu") for x in (out, lse, *gradients)]


shape = (1, 2, 100, 32) if not fast() else (1, 1, 70, 32)  # batch, heads, time, head_dim
q, k, v, grad = rng.standard_normal((4, *shape)).astype(np.float32)
apart = {}
for backend in ("numba", *((device,) if device else ())):
    for causal in (False, True):
        expected = both_ways("reference", q, k, v, grad, causal)
        got = both_ways(backend, q, k, v, grad, causal)
        differences = [np.abs(a - b).max() for a, b in zip(got, expected)]
        apart[backend, causal] = max(differences)
        shown = "  ".join(
            f"{n} {x:.0e}" for n, x in zip(("O", "lse", "dQ", "dK", "dV"), differences)
        )
        print(f"{backend:9} causal {causal!s:5}: {shown}")

# %% [markdown]
# ## The run: time and memory against the matrix
#
# On the CPU, two causal heads of 64 numbers. `reference` is the definition in numpy, with the whole matrix;
# `numba` is FlashAttention. Forward and backward together:


# %%
def milliseconds(backend, *arguments):
    """The best of three calls; the first one may have to compile."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        both_ways(backend, *arguments)
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


timings = {"reference": [], "numba": []}
for T in lengths:
    arrays = rng.standard_normal((4, 1, 2, T, 64)).astype(np.float32)
    for backend, found in timings.items():
        found.append(milliseconds(backend, *arrays, True))
    print(
        f"T = {T:5}:", "   ".join(f"{name} {found[-1]:8.1f} ms" for name, found in timings.items())
    )

figure, axes = plt.subplots(1, 2, figsize=(7.5, 3.4))
for name, used in memory.items():
    axes[0].plot(lengths, np.array(used) / 1e6, "o-", label=name)
for name, found in zip(memory, timings.values()):
    axes[1].plot(lengths, found, "o-", label=name)
for ax, title in zip(axes, ("memory, MB (numpy, forward)", "time, ms (forward and backward)")):
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xticks(lengths, lengths)
    ax.minorticks_off()
    ax.set_xlabel("length T")
    ax.set_title(title)
axes[0].legend()
plt.show()

speedup = timings["reference"][-1] / timings["numba"][-1]
goal(f"memory saved at T = {lengths[-1]}, times", saved, at_least=20)
goal(f"time saved at T = {lengths[-1]}, times", speedup, at_least=2)

# %% [markdown]
# Both time curves rise with the square of $T$ in the end: the *operations* are still $4 T^2 d$ a head,
# forward. What is saved is memory, and the time that moving it took.
#
# On a GPU this weighs more. Per head, the naive version writes $S$, reads it for the softmax, writes $P$ and
# reads it again: $4 T^2$ numbers through global memory, against $4 T d$ for $Q$, $K$, $V$ and $O$. (Blocks of
# queries read the keys again and again, but those stay in the L2 cache.)

# %%
T, d = 4096, 64
through_memory = {"with the matrix": 4 * T**2 + 4 * T * d, "by tiles": 4 * T * d}
for name, numbers in through_memory.items():
    intensity = 4 * T**2 * d / (2 * numbers)  # operations per byte, with 2 bytes per number
    print(f"{name:16}: {numbers / 1e6:6.1f} million numbers, {intensity:7.0f} operations a byte")
print("an H100's tensor cores want", round(989e12 / 3.35e12), "operations a byte (lesson 17)")

# %% [markdown]
# With the matrix, attention waits for memory. By tiles it is limited by arithmetic. Measured times on a GPU
# are owed here, as in lesson 17. On a machine that has one, this cell measures them.

# %%
if device == "cuda":
    T = 4096 if not fast() else 256
    arrays = rng.standard_normal((3, 1, 8, T, 64)).astype(np.float32)
    arguments = (
        *(devices.move(x, "cuda") for x in arrays),
        None,
        AttentionSettings(0, 1 / 8, 0.0, 0),
    )
    for backend in ("reference", "cuda"):
        with kernels.use(backend):
            ms = cuda.milliseconds(lambda: kernels.attention(*arguments))
        print(f"{backend:9} forward, 8 heads, T = {T}: {ms:8.3f} ms")
else:
    print("no GPU here: no times")

# %% [markdown]
# ## A bug to find
#
# A colleague wrote the forward pass from memory. For 60 tokens it agrees with the naive version to the last
# digit, so it went into use. Then the texts grew longer. There is no NaN, and outputs look as smooth as
# before.


# %%
def planted(q, k, v, tile=64):
    """What the colleague wrote."""
    T, d = q.shape
    out = np.empty_like(v)
    for start in range(0, T, tile):
        rows = np.arange(start, min(start + tile, T))
        m, l, o = np.full(len(rows), -np.inf), np.zeros(len(rows)), np.zeros((len(rows), d))
        for first in range(0, T, tile):
            keys = np.arange(first, min(first + tile, T))
            s = scores(q, k, rows, keys, causal=False)
            new = np.maximum(m, s.max(1))
            p = np.exp(s - new[:, None])
            l = l * np.exp(m - new) + p.sum(1)
            o = o + p @ v[keys]
            m = new
        out[rows] = o / l[:, None]
    return out


wrong = {}
for T in (60, 300, 1000):
    q, k, v = rng.standard_normal((3, T, 16))
    exact = naive(q, k, v)[0]
    wrong[T] = np.abs(planted(q, k, v) - exact).max()
    print(f"T = {T:4}: largest error {wrong[T]:.2g}, largest output {np.abs(exact).max():.2g}")

# %% [markdown]
# One question finds such bugs without a second implementation. An output is a *weighted mean* of values. What
# must come out if every value is 1?

# %%
ones = np.ones_like(v)
of_ones = {"ours": forward(q, k, ones)[0][:, 0], "the colleague's": planted(q, k, ones)[:, 0]}
figure, ax = plt.subplots(figsize=(7.5, 2.8))
for name, values in of_ones.items():
    ax.plot(values[:200], lw=1.2, label=name)
ax.set_xlabel("query")
ax.set_ylabel("output for v = 1")
ax.legend(loc="upper right")
plt.show()

# %% [markdown]
# Which line is it? And why are some queries right?

# %% [markdown]
# ## Exercises
#
# **Small** (5 minutes each)
#
# 1. Join the pairs $(m, l) = (0, 1)$ and $(\ln 2, 3)$ with a pencil.
# 2. How many numbers does one head keep for the gradient, with the matrix and by tiles, for $T = 2048$ and
#    $d = 64$?
# 3. The output of query 0 under a causal mask is known without computing. What is it?
#
# **Medium** (20 minutes each)
#
# 4. Give `forward` a window: query $i$ sees only keys $i - w < j \le i$. Skip every tile that nobody sees.
#    How does the time grow with $T$ now?
# 5. For one new query and 100,000 keys (generation, lesson 16) there is only one block of queries, and a GPU
#    would be idle. Split the keys among 8 workers, and join their $(m, l, o)$. Then read
#    `attention_decode.cu`.
# 6. Change `lse` in `forward` to `m + l`. Which test of this lesson notices, and which does not?
#
# **Large** (an evening)
#
# 7. Write FlashAttention for one head as a CUDA kernel of your own, one warp per query, 32 keys at a time: each
#    lane one score, `Online::over_warp` for the row. Check it with `minigrad emulate`. What is its intensity
#    (lesson 17)?
#
# **In the course kit**
#
# To be written in the library itself, and checked with `minigrad course test 18.1`: 18.1 *Two halves of a
# row*, 18.2 *The gradient of the scores*, 18.3 *D without the matrix*, 18.4 *Online softmax for a tile*, 18.5
# *FlashAttention in CUDA C*.

# %% [markdown]
# ## Answers
#
# **The bug.** $o$ is not rescaled when the maximum rises: it should be `o * factor[:, None] + p @ v[keys]`.
# $l$ is rescaled, so the weights no longer add up to one, and the output for values of 1 is too large.
# Queries whose largest score is in the first tile never see the maximum rise, and are right. With 60 tokens
# there is only one tile.

# %%
excess = of_ones["the colleague's"] - 1
everything = np.arange(len(q))
first_is_largest = scores(q, k, everything, everything, causal=False).argmax(1) < 64
print(f"ours: {np.abs(of_ones['ours'] - 1).max():.0e} from 1")
print(
    f"the colleague's: up to {excess.max():.2f} above 1, {np.isclose(excess, 0).mean():.1%} right"
)
print(f"queries whose largest score is in the first tile: {first_is_largest.mean():.1%}")
assert wrong[60] < 1e-12 < 1e-3 < wrong[1000]
assert (np.isclose(excess, 0) == first_is_largest).all()

# %% [markdown]
# **Small 1.** $m = \ln 2$, and $l = 1 \cdot e^{0 - \ln 2} + 3 = 3.5$. **Small 2.** $2048^2 = 4.2$ million
# against $2048 \cdot 65 = 133$ thousand (besides $Q$, $K$ and $V$). **Small 3.** It sees only key 0, so it is
# $v_0$.

# %%
print("small 1:", max(0, np.log(2)), 1 * np.exp(0 - np.log(2)) + 3)
print("small 2:", 2048**2, 2048 * 65)

# %% [markdown]
# ## Sources
#
# - M. Milakov, N. Gimelshein, *Online normalizer calculation for softmax*, arXiv:1805.02867, 2018: algorithm
#   3, and the join in section 3.1.
# - T. Dao, D. Fu, S. Ermon, A. Rudra, C. Ré, *FlashAttention: fast and memory-efficient exact attention with
#   IO-awareness*, NeurIPS 2022: the gradient is in appendix B.
# - T. Dao, *FlashAttention-2: faster attention with better parallelism and work partitioning*, ICLR 2024
#   (arXiv:2307.08691, 2023): algorithms 1 and 2, which the library follows.
# - M. Rabe, C. Staats, *Self-attention does not need $O(n^2)$ memory*, arXiv:2112.05682, 2021: the same
#   identity, found independently.
# - J. Shah et al., *FlashAttention-3*, NeurIPS 2024: with Hopper's instructions.
#
# Next: lesson 19, half the bits, and half the memory again.
