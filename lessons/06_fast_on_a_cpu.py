# %% [markdown]
# # 6. Fast on a CPU
#
# | | |
# |---|---|
# | Builds on | lesson 1: strides and what a loop costs; lesson 4: softmax |
# | You will have | a matrix product many times faster than three loops in C, and the reason in numbers |
# | Time | 80 minutes, of which 15 seconds are computing |
# | Memory | 0.5 GB |
#
# Nearly all the time of a neural network goes into products of matrices, and most of the rest into
# moving numbers from one place to another. This lesson measures both on *your* machine. Close what else is
# running: a busy browser shows in every number below.

# %%
import time

import matplotlib.pyplot as plt
import numba
import numpy as np
from numba import njit, prange

import minigrad as mg
from lessons.material.kit import fast, goal, show_source
from minigrad import threads
from minigrad.function import Function
from minigrad.kernels.cpu import matmul as library
from minigrad.kernels.cpu import micro_kernel, simd, softmax
from minigrad.kernels.cpu.micro_kernel import COLUMNS, ROWS, multiply_tile

plt.style.use("lessons.material.grey")
rng = np.random.default_rng(0)
CORES = threads.get_num_threads()
print("threads:", CORES)

# %% [markdown]
# ## The question
#
# Lesson 1 showed that Python is slow at small steps. So let us not use Python: **numba** turns a
# function into machine code, as a C compiler would. Here are the three loops of the matrix product in
# machine code, against numpy's `A @ B`. Both do the same $n^3$ multiplications and additions.


# %%
def seconds(act, times=5):
    """The shortest of several runs: the others were disturbed by something."""
    act()  # compiles, and brings the data into the cache
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        act()
        taken.append(time.perf_counter() - start)
    return min(taken)


machine = {"fastmath": simd.REORDER, "error_model": "numpy"}  # sums may be reordered; no checks


@njit(**machine)
def three_loops(A, B, C):
    n = len(A)
    for i in range(n):
        for j in range(n):
            total = np.float32(0)
            for k in range(n):
                total += A[i, k] * B[k, j]
            C[i, j] = total


n = 576 if not fast() else 192
A, B = (rng.standard_normal((n, n)).astype(np.float32) for _ in range(2))
C = np.empty_like(A)
times = {"three loops": seconds(lambda: three_loops(A, B, C), 2)}
assert np.allclose(C, A @ B, atol=1e-3)
times["numpy, one thread"] = seconds(lambda: np.matmul(A, B, out=C))
print(
    f"three loops take {times['three loops'] / times['numpy, one thread']:.0f} times as long as numpy"
)

# %% [markdown]
# Where does such a factor come from, if both are machine code and use one core? That is the question of this lesson.
# The answer has two parts. The core can do much more arithmetic than the loops ask of it. And the memory brings
# numbers more slowly than the core could use them.

# %% [markdown]
# ## A picture of your memory
#
# A core cannot compute with numbers in memory. They must come to it first. On the way there are *caches*: small
# fast memories that keep what was used last, in lines of 64 bytes (16 floats). The first, L1, is inside the core and
# has some 32 to 48 KB. L2 has about 1 MB. L3 has many, and is shared by the cores.
#
# You cannot see them, but you can measure them. Add up an array again and again, and vary its size. As long as it
# fits a cache, it comes from there.


# %%
@njit(**machine)
def add_up(x, times):
    total = np.float32(0)
    for _ in range(times):
        part = np.float32(0)
        for i in range(x.size):
            part += x[i]
        total = total * np.float32(0.5) + part  # the compiler must not skip a turn
    return total


def cache_sizes():
    """Bytes of this core's L1, L2 and L3, where the system tells (Linux)."""
    from pathlib import Path

    found = {}
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        read = lambda name, index=index: (index / name).read_text().strip()  # noqa: E731
        if read("type") != "Instruction":
            found[f"L{read('level')}"] = int(read("size").removesuffix("K")) * 1024
    return dict(sorted(found.items()))


byte_sizes = 2 ** np.arange(13, 27 if not fast() else 24)
volume = 2**24  # bytes read in one measurement, if the array is not larger
bandwidth = []
for size in byte_sizes:
    x = np.ones(size // 4, np.float32)
    turns = max(1, volume // int(size))
    bandwidth.append(turns * size / seconds(lambda x=x, turns=turns: add_up(x, turns), 12) / 1e9)

figure, ax = plt.subplots(figsize=(7.5, 3))
ax.semilogx(byte_sizes, bandwidth, "o-", base=2)
labels = {
    2**13: "8 KB",
    2**15: "32 KB",
    2**17: "128 KB",
    2**20: "1 MB",
    2**23: "8 MB",
    2**26: "64 MB",
}
ax.set_xticks(
    [s for s in labels if s <= byte_sizes[-1]],
    [t for s, t in labels.items() if s <= byte_sizes[-1]],
)
ax.minorticks_off()
for name, size in cache_sizes().items():
    if byte_sizes[0] < size <= byte_sizes[-1]:
        ax.axvline(size, color="0.5", linestyle=":")
        ax.text(size * 1.05, ax.get_ylim()[1] * 0.93, name, color="0.3")
ax.set_xlabel("size of the array")
ax.set_ylabel("GB read in a second")
ax.set_ylim(0)
plt.show()
near, far = max(bandwidth), bandwidth[-1]
print(f"best {near:.0f} GB/s, the largest array {far:.0f} GB/s")

# %% [markdown]
# Each step down is a cache that has become too small. One core of a usual machine reads 50 to 200 GB/s from L1 and
# 10 to 30 from memory.

# %% [markdown]
# ## How fast could it compute?
#
# A core has vector registers: 8 floats wide with AVX2, 16 with AVX-512. One instruction, a *fused multiply-add*, does
# $a \cdot b + c$ on all of them at once, and most cores begin two in each cycle. A core at 3 GHz with AVX2 can do
# $3 \cdot 2 \cdot 8 = 48$ billion of them in a second. A multiply-add counts as two operations, so it has 96
# *GFlop/s*.
#
# To measure your core's speed we need a loop that does nothing but multiply-adds on registers. The library has one,
# the innermost loop of its matrix product. We let it run on two small panels that stay in L1.


# %%
@njit
def only_arithmetic(a, b, c, depth, times):
    for _ in range(times):
        multiply_tile(depth, a, 0, b, 0, c, (0, COLUMNS), False)


depth, turns = 128, 1000
panels = [np.ones(depth * size, np.float32) for size in (ROWS, COLUMNS)]
corner = np.empty(ROWS * COLUMNS, np.float32)
taken = seconds(lambda: only_arithmetic(*panels, corner, depth, turns), 40)
peak = 2 * ROWS * COLUMNS * depth * turns / taken / 1e9
print(f"vectors of {micro_kernel.WIDTH} floats; one core reaches {peak:.0f} GFlop/s")


# %% [markdown]
# ## Derived: the roofline
#
# Take a loop that does $F$ operations and moves $M$ bytes. The arithmetic needs at least $F / \text{peak}$ seconds,
# the bytes at least $M / \text{bandwidth}$. At best both happen at the same time, so the loop takes at least the
# longer of the two. Its speed is $F$ divided by its time:
#
# $$ \text{speed} \le \min(\text{peak}, I \cdot \text{bandwidth}) \qquad I = F / M $$
#
# $I$ is the *intensity*: operations for each byte moved. On paper with logarithmic axes the limit is a slope and
# then a flat roof, hence *roofline*. Left of the edge you are bound by memory: compute cleverly, and nothing
# changes. Right of it you are bound by arithmetic.
#
# Now count for the three loops. Each turn loads two floats, 8 bytes, for 2 operations: $I = 1/4$. Here is what
# *could* be. The product as a whole does $2 n^3$ operations on $3 n^2$ numbers of 4 bytes:
#
# $$ I = \frac{2 n^3}{12 n^2} = n / 6 $$
#
# For $n = 576$ that is 96 operations for each byte instead of a quarter. Every number is used $n$ times. All the art
# is in *using it again while it is near*.

# %% [markdown]
# ## The smallest code: a ladder
#
# **Step 1: another order.** The inner loop above walks down a *column* of $B$. Neighbours in a column are a whole
# row apart in memory, so each brings a line of 16 floats from the cache, and 15 are not used. No vector can load
# them either. Exchange the loops: for each $i$ and $k$, add $A_{ik}$ times a row of $B$ to a row of $C$. Now
# everything is read along rows.


# %%
@njit(**machine)
def add_row(c, a, b):
    for j in range(c.size):
        c[j] += a * b[j]


@njit(**machine)
def by_rows(A, B, C):
    C[:] = 0
    for i in range(len(A)):
        for k in range(len(A)):
            add_row(C[i], A[i, k], B[k])


def gained(name, before):
    """Check C, and say how much faster this step is than the one before."""
    assert np.allclose(C, A @ B, atol=1e-3)
    print(
        f"{name}: {times[name] * 1e3:.1f} ms, {times[before] / times[name]:.1f} times as fast as {before}"
    )


times["by rows"] = seconds(lambda: by_rows(A, B, C), 3)
gained("by rows", "three loops")

# %% [markdown]
# **Step 2: registers.** `add_row` loads $c_j$ and $b_j$ and stores $c_j$: 12 bytes for 2 operations. Take eight rows
# of $B$ at once, and $c_j$ is loaded and stored once for eight multiply-adds. That is 40 bytes for 16 operations.
# The sum stays in a register meanwhile.


# %%
@njit(**machine)
def add_eight_rows(c, a, b0, b1, b2, b3, b4, b5, b6, b7):
    a0, a1, a2, a3, a4, a5, a6, a7 = a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]
    for j in range(c.size):
        first = a0 * b0[j] + a1 * b1[j] + a2 * b2[j] + a3 * b3[j]
        c[j] += first + a4 * b4[j] + a5 * b5[j] + a6 * b6[j] + a7 * b7[j]


@njit(**machine)
def rows_by_eight(A, B, C, start, stop):
    """Rows start to stop of C = A @ B, for a number of columns of A that eight divides."""
    C[start:stop] = 0
    for k in range(0, A.shape[1], 8):
        b0, b1, b2, b3, b4, b5, b6, b7 = (
            B[k], B[k + 1], B[k + 2], B[k + 3], B[k + 4], B[k + 5], B[k + 6], B[k + 7],
        )  # fmt: skip
        for i in range(start, stop):
            add_eight_rows(C[i], A[i, k : k + 8], b0, b1, b2, b3, b4, b5, b6, b7)


times["by eight rows"] = seconds(lambda: rows_by_eight(A, B, C, 0, n), 3)
gained("by eight rows", "by rows")

# %% [markdown]
# **Step 3: tiles.** For each group of eight rows of $B$ we walk over *all* of $C$, 1.3 MB, and it does not stay in
# L1 or L2. So do it for 48 rows of $C$ at a time: 110 KB, which stay in L2 until they are finished. This is called
# *tiling* or *blocking*, and costs nothing but a loop.
#
# **Step 4: threads.** The tiles do not depend on each other, so the cores can share them: `prange` deals them out.


# %%
TILE = 48


@njit(**machine)
def by_tiles(A, B, C):
    for start in range(0, len(A), TILE):
        rows_by_eight(A, B, C, start, min(start + TILE, len(A)))


@njit(parallel=True, **machine)
def by_threads(A, B, C):
    for tile in prange((len(A) + TILE - 1) // TILE):
        rows_by_eight(A, B, C, tile * TILE, min((tile + 1) * TILE, len(A)))


C[:] = 0
times["tiles"] = seconds(lambda: by_tiles(A, B, C))
gained("tiles", "by eight rows")
C[:] = 0
times["tiles, threads"] = seconds(lambda: by_threads(A, B, C))
gained("tiles, threads", "tiles")

# %% [markdown]
# ## The library's own
#
# The last step that you can take is from the book of Goto and van de Geijn (2008): hold a *tile of C in registers*,
# here `ROWS` by `COLUMNS`. One step of the inner loop loads a column of $A$ and a row of $B$, as many floats as the
# sum of both sides, and does as many multiply-adds as their product. `multiply_tile` is that loop. Around it, blocks
# of $A$ and $B$ are *packed*: copied into the order in which the loop reads them. The comment at the top of the file
# names the cache for each loop. Read the code from the bottom upwards.

# %%
print(library.__doc__)
show_source(library._multiply_block.py_func, library._multiply.py_func)

times["minigrad"] = seconds(lambda: library.matmul(A, B))
assert np.allclose(library.matmul(A, B), A @ B, atol=1e-3)
with threads.all_threads_for_blas():
    times["numpy, all threads"] = seconds(lambda: np.matmul(A, B, out=C))

# %% [markdown]
# The ladder and the roofline together. The intensity of each step is counted at the innermost loop, from what it
# loads and stores, as above.

# %%
speed = {name: 2 * n**3 / taken / 1e9 for name, taken in times.items()}
for name, value in sorted(speed.items(), key=lambda item: item[1]):
    print(
        f"{name:>20}: {value:7.1f} GFlop/s, {value / speed['three loops']:5.0f} times three loops"
    )

tile_bytes = 4 * (ROWS + COLUMNS)
intensity = {
    "three loops": 2 / 8, "by rows": 2 / 12, "by eight rows": 16 / 40, "tiles": 16 / 40,
}  # fmt: skip
figure, axes = plt.subplots(1, 2, figsize=(7.5, 3.6), width_ratios=[1.1, 1])
names = list(speed)
order = sorted(range(len(names)), key=lambda i: speed[names[i]])
axes[0].barh([names[i] for i in order], [speed[names[i]] for i in order], color="0.6")
axes[0].axvline(peak, color="black", linestyle="--", label="one core at most")
axes[0].legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1))
axes[0].set_xscale("log")
axes[0].set_xlabel("GFlop/s")
ax = axes[1]
x = np.geomspace(0.05, 30, 100)
ax.loglog(x, np.minimum(peak, x * near), label="from L1")
ax.loglog(x, np.minimum(peak, x * far), label="from the largest array")
marks = dict(zip(intensity, "osv^"))
for name, value in intensity.items():
    ax.loglog(value, speed[name], marks[name], color="black", markersize=6, label=name, mfc="white")
one_core_tile = 2 * ROWS * COLUMNS / tile_bytes
ax.loglog(one_core_tile, peak, "D", color="black", label="register tile")
ax.set_xlabel("operations for each byte")
ax.set_ylabel("GFlop/s, one core")
ax.legend(fontsize=7)
plt.show()

# %% [markdown]
# The steps with few operations for each byte lie under the slope: no cleverness lifts them but using numbers again.
# The three loops lie far below even their slope, since they use one float out of each line that they bring. The
# register tile is the first that gets to the flat roof.

# %% [markdown]
# ## Fusing: softmax and layer norm
#
# For a sum, a softmax or a layer norm no number is used $n$ times. These are bound by memory, so *count the passes*:
# how often is an array read or written as a whole? Softmax of the rows of $x$ in numpy:
#
# | line | reads | writes |
# |---|---|---|
# | `m = x.max(1)` | 1 | |
# | `d = x - m` | 1 | 1 |
# | `e = np.exp(d)` | 1 | 1 |
# | `s = e.sum(1)` | 1 | |
# | `y = e / s` | 1 | 1 |
#
# Eight passes. But a row is short, and stays in L1. A *fused* loop does all five lines for one row, and then goes to
# the next: $x$ comes from memory once and $y$ goes there once. Two passes, so the prediction is a factor of 4 where
# memory is what limits us, and nothing lost where it is not.
#
# Layer norm makes the mean of each row 0 and its variance 1. In numpy: the mean (1 read), $x - m$ (1 read, 1 write),
# its square (1, 1), the mean of it (1), times $1 / \sigma$ (1, 1). That is 8 passes again, and fused they are 2.


# %%
def numpy_softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def numpy_layer_norm(x):
    d = x - x.mean(1, keepdims=True)
    return d * (1 / np.sqrt((d * d).mean(1, keepdims=True) + 1e-5))


@njit(**machine)
def normalise_row(x, y):
    total, squares = x.dtype.type(0), x.dtype.type(0)
    for j in range(x.size):
        total += x[j]
    mean = total / x.dtype.type(x.size)
    for j in range(x.size):
        squares += (x[j] - mean) * (x[j] - mean)
    rstd = x.dtype.type(1) / np.sqrt(squares / x.dtype.type(x.size) + x.dtype.type(1e-5))
    for j in range(x.size):
        y[j] = (x[j] - mean) * rstd
    return rstd


@njit(**machine)
def fused_layer_norm(x, y, rstd):
    for i in range(len(x)):
        rstd[i] = normalise_row(x[i], y[i])


rows = 8192 if not fast() else 512
x = rng.standard_normal((rows, 1024)).astype(np.float32)  # 32 MB
y, rstd = np.empty_like(x), np.empty(rows, np.float32)
numba.set_num_threads(1)
fused = {
    "softmax": (seconds(lambda: numpy_softmax(x), 3), seconds(lambda: softmax.softmax(x), 3)),
    "layer norm": (
        seconds(lambda: numpy_layer_norm(x), 3),
        seconds(lambda: fused_layer_norm(x, y, rstd), 3),
    ),
}
numba.set_num_threads(CORES)
assert np.allclose(softmax.softmax(x), numpy_softmax(x), atol=1e-6)
assert np.allclose(y, numpy_layer_norm(x), atol=1e-4)
for name, (separate, together) in fused.items():
    ratio = separate / together
    print(
        f"{name:>10}: {separate * 1e3:.1f} ms in 8 passes, {together * 1e3:.1f} in 2: {ratio:.1f} times"
    )

show_source(softmax._softmax.py_func)

# %% [markdown]
# You may see more than the factor of 4. Each line of numpy's version makes a new array, and the system has to find
# fresh memory for it, page by page. You may see less where the loop itself takes longer than its two passes through
# memory.

# %% [markdown]
# ## Checked by finite differences
#
# A fused loop needs a fused way back, and that is where mistakes live. With $h$ the normalised row and $g$ the
# gradient that comes in, the rule is (exercise 14.5 derives it)
#
# $$ \frac{\partial L}{\partial x_i} = \frac{1}{\sigma} (g_i - \text{mean}(g) - h_i \text{ mean}(g h)) $$
#
# Softmax has the same shape: $y_i (g_i - \sum_j g_j y_j)$. Both need one sum over the row, and then one pass. We write
# the first, make it an operation with the loops of this lesson inside, and let finite differences judge it.


# %%
@njit(**machine)
def layer_norm_back(g, h, rstd, dx):
    n = h.dtype.type(h.shape[1])
    for i in range(len(h)):
        g_sum, gh_sum = h.dtype.type(0), h.dtype.type(0)
        for j in range(h.shape[1]):
            g_sum += g[i, j]
            gh_sum += g[i, j] * h[i, j]
        for j in range(h.shape[1]):
            dx[i, j] = rstd[i] * (g[i, j] - g_sum / n - h[i, j] * gh_sum / n)


class Normalise(Function):
    """The fused layer norm above as an operation, for x (rows, n)."""

    def forward(self, x):
        h, rstd = np.empty_like(x), np.empty(len(x), x.dtype)
        fused_layer_norm(x, h, rstd)
        self.save_for_backward(h, rstd)
        return h

    def backward(self, grad):
        h, rstd = self.saved
        dx = np.empty_like(h)
        layer_norm_back(np.ascontiguousarray(grad), h, rstd, dx)
        return dx


small = mg.tensor(rng.standard_normal((4, 7)), requires_grad=True)
print("layer norm, gradcheck:", mg.gradcheck(lambda x: Normalise()(x), [small]))
print("softmax, gradcheck:", mg.gradcheck(lambda x: x.softmax(1), [small]))

# gradcheck wants float64; the library's float32 loops must agree with what it has checked
g32, y32 = (rng.standard_normal((50, 300)).astype(np.float32) for _ in range(2))
y32 = softmax.softmax(y32)
exact = y32 * (g32.astype(float) - (g32.astype(float) * y32).sum(1, keepdims=True))
difference = np.abs(softmax.softmax_backward(g32, y32) - exact).max()
print(f"softmax backward in float32 against the formula in float64: {difference:.0e}")
assert difference < 1e-6

# %% [markdown]
# ## Threads, and when they do not help
#
# More cores bring more arithmetic. They bring little more memory bandwidth, since the cores share the wires. And to
# wake them takes some microseconds, in which one core would have done ten thousand additions. Four jobs, each with
# one thread and with all:


# %%
@njit(parallel=True, **machine)
def scale_all(x, y):
    for i in prange(len(x)):
        y[i] = x[i] * np.float32(2)


short, long = (np.ones(size, np.float32) for size in (2_000, 2**24 if not fast() else 2**20))
long_out, short_out = np.empty_like(long), np.empty_like(short)
jobs = {
    "matrix product": lambda: library.matmul(A, B),
    "softmax of rows": lambda: softmax.softmax(x),
    f"doubling {len(long):,}": lambda: scale_all(long, long_out),
    f"doubling {len(short):,}": lambda: scale_all(short, short_out),
}
gain = {}
for name, job in jobs.items():
    numba.set_num_threads(1)
    alone = seconds(job, 20)
    numba.set_num_threads(CORES)
    gain[name] = alone / seconds(job, 20)
figure, ax = plt.subplots(figsize=(7.5, 2.4))
ax.barh(list(gain)[::-1], list(gain.values())[::-1], color="0.6")
ax.axvline(CORES, color="black", linestyle="--", label="all that the cores could give")
ax.axvline(1, color="black", linestyle=":", label="no gain")
ax.set_xlabel(f"times as fast with {CORES} threads as with one")
ax.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
plt.show()

# %% [markdown]
# There is another danger. If two threads add to *the same* number, one may overwrite what the other has just
# written, and the sum is short by it. This is a *race*, and it is different in each run. The loops of this lesson
# never do it: each tile of $C$ belongs to one thread. Lesson 20 looks at sums over threads.

# %% [markdown]
# ## The run
#
# The whole ladder once more, measured in turn so that all see the same machine. Two numbers to reach: how much faster
# your ladder is than the three loops, and how close the library comes to the BLAS that numpy was built with.

# %%
best = dict.fromkeys(("three loops", "ours", "minigrad", "BLAS"), np.inf)
with threads.all_threads_for_blas():
    for _ in range(6 if not fast() else 2):
        for name, act in {
            "three loops": lambda: three_loops(A, B, C),
            "ours": lambda: by_threads(A, B, C),
            "minigrad": lambda: library.matmul(A, B),
            "BLAS": lambda: np.matmul(A, B, out=C),
        }.items():
            start = time.perf_counter()
            act()
            best[name] = min(best[name], time.perf_counter() - start)
print({name: f"{taken * 1e3:.2f} ms" for name, taken in best.items()})
goal("ladder over three loops", best["three loops"] / best["ours"], at_least=8)
goal("minigrad over BLAS", best["BLAS"] / best["minigrad"], at_least=0.5)

# %% [markdown]
# ## A bug to find
#
# A friend read the section on fusing and saved one more walk along the row. The variance is
# $\text{E}[x^2] - \text{E}[x]^2$, so both sums can be made together. It is right on our test data, and faster. Would
# you take it?


# %%
@njit(**machine)
def faster_row(x, y):
    total, squares = np.float32(0), np.float32(0)
    for j in range(x.size):
        total += x[j]
        squares += x[j] * x[j]
    mean = total / np.float32(x.size)
    rstd = np.float32(1) / np.sqrt(squares / np.float32(x.size) - mean * mean + np.float32(1e-5))
    for j in range(x.size):
        y[j] = (x[j] - mean) * rstd


@njit(**machine)
def faster_layer_norm(x, y):
    for i in range(len(x)):
        faster_row(x[i], y[i])


sample, out = x[:64], np.empty_like(x[:64])
faster_layer_norm(sample, out)
print(f"differs on our data by {np.abs(out - numpy_layer_norm(sample)).max():.0e}")
print(f"deviation of its rows: {out.std(1).mean():.4f}, and 1 is right")

# %% [markdown]
# ## Exercises
#
# **Small** (5 minutes each)
#
# 1. Adding two arrays of floats: how many operations for each byte? What does your roofline allow?
# 2. The tile of the library on your machine is `ROWS` by `COLUMNS`. Compute its intensity. Why not a tile of 100 by
#    100?
# 3. How many passes has `y = x * sigmoid(x)` in numpy, as $1 / (1 + e^{-x})$, and how many fused?
#
# **Medium** (20 minutes each)
#
# 4. Set $n$ to 512 and to 520 and compare the times of the three loops. One is far slower, for less work. Why? (Lines
#    that are a power of two apart share a place in the cache.)
# 5. Measure `by_tiles` for tiles of 8, 16, 32, … rows. Where is the best, and which cache explains it?
# 6. Fuse cross-entropy: from logits to the loss and its gradient, two passes in all.
#
# **Large** (an evening)
#
# 7. Keep four rows of $C$ in registers as well: `add_eight_rows` for four rows at once, so that each $b_j$ is used
#    four times. Count the intensity first, predict the speed from the roofline, then measure.
#
# **In the course kit**, to be written in the library itself and checked with `minigrad course test 6.1`:
# 6.1 *A fused softmax*, 6.2 *RMSNorm and its way back*, 6.3 *The way back of softmax, fused*,
# 6.4 *Sums over threads, the same in every run*.

# %% [markdown]
# ## Answers
#
# **The bug.** Cancellation, as in lesson 2. If the mean is large beside the deviation, $\text{E}[x^2]$ and
# $\text{E}[x]^2$ are nearly equal, and a float has only 7 digits. At mean 1000 and deviation 1 they are 1000001 and
# 1000000: the difference is in the last digit, and the sum of 1024 squares has lost more than that. The result may
# even be negative, and its root NaN. Nothing in the test data had a mean, so nothing showed it. The fused loop above
# takes the mean off *first*. Its third walk along the row is in L1 and costs little.

# %%
means = [0, 10, 100, 1000, 3000]
deviations = {"two sums at once": [], "mean first": []}
for mean in means:
    moved = sample + np.float32(mean)
    faster_layer_norm(moved, out)
    deviations["two sums at once"].append(float(np.abs(out.std(1) - 1).max()))
    fused_layer_norm(moved, out, rstd[:64])
    deviations["mean first"].append(float(np.abs(out.std(1) - 1).max()))
print("mean of the data:", means)
for name, off in deviations.items():
    print(f"{name:>16}: deviation off by", [f"{value:.0e}" for value in off])

# %% [markdown]
# **Small 1.** 12 bytes for one operation, $I = 1/12$, so a twelfth of the bandwidth in GFlop/s. **Small 2.** A tile of
# $r$ by $c$ has $2 r c / (4 (r + c))$. One of 100 by 100 would need 10,000 accumulators, and a core has 16 or 32
# registers. **Small 3.** Negate, exp, add 1, divide, multiply: 2 passes each and 3 for the last, 11. Fused 2.

# %% [markdown]
# ## Sources
#
# - S. Williams, A. Waterman, D. Patterson, *Roofline: an insightful visual performance model for multicore
#   architectures*, Communications of the ACM 52, 2009.
# - K. Goto, R. van de Geijn, *Anatomy of high-performance matrix multiplication*, ACM TOMS 34, 2008.
# - F. Van Zee, R. van de Geijn, *BLIS: a framework for rapidly instantiating BLAS functionality*, ACM TOMS 41, 2015.
# - U. Drepper, *What every programmer should know about memory*, 2007.
# - J. Ba, J. Kiros, G. Hinton, *Layer normalization*, arXiv:1607.06450, 2016.
# - T. Chan, G. Golub, R. LeVeque, *Algorithms for computing the sample variance*, The American Statistician 37, 1983.
#
# Next: lesson 7, text to numbers.
