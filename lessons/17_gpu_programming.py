# %% [markdown]
# # 17. GPU programming: from one thread to tensor cores
#
# | | |
# |---|---|
# | Builds on | lesson 1: strides; lesson 4: a network that reads digits; lesson 6: the same climb on a CPU |
# | You will have | nine matrix products in CUDA C, and for each the number that holds it back |
# | Time | 90 minutes, of which 10 seconds are computing |
# | Memory | 0.2 GB |
#
# You need no GPU. Without one the kernels run in an *emulator*: your C++ compiler builds them, and one core
# plays all the threads. Results are those of a GPU, and mistakes are reported. Speed is the one thing it
# cannot show, so here we predict speed by counting.

# %%
import contextlib
import io
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
import nn
from lessons.material import cuda
from lessons.material.digits import digits
from lessons.material.kit import fast, goal, show_source
from minigrad import devices, kernels
from minigrad.kernels.cuda.emulator import EmulatorError, order
from minigrad.kernels.cuda.matmul import matmul
from nn import functional as F
from nn import optim

plt.style.use("lessons.material.grey")
mg.manual_seed(0)
rng = np.random.default_rng(0)
device = cuda.find_device()
emulated = cuda.can_emulate()


def on_device(x):
    """The array where the kernels run."""
    return devices.move(x, "cuda" if device == "cuda" else "cpu")


def on_host(x):
    return devices.move(x, "cpu")


# %% [markdown]
# ## The question
#
# An H100 does 66.9 million million float additions and multiplications a second, a laptop's processor less
# than a hundredth of that. Yet the matrix product that everyone writes first, three loops, reaches one per
# cent of it. Where do the other 99 go? And what does a program look like that gets them back?

# %% [markdown]
# ## A picture of the machine
#
# A GPU has little patience and many hands. An H100 has 132 *multiprocessors*, each with 128 units that
# multiply and add: 16,896 in all. You do not write a loop over the data. You write what happens to *one*
# element, a **thread**, and ask for as many threads as there are elements.
#
# - A **kernel** is the function that every thread runs. `__global__` marks it.
# - A **block** is up to 1,024 threads. It stays on one multiprocessor. Its threads can wait for each other
#   and share a little fast memory.
# - The **grid** is all blocks. They run in any order, some at a time, and cannot wait for each other.
# - A **warp** is 32 neighbouring threads of a block, called its *lanes*. They execute each instruction
#   together. What is fast on a GPU is decided warp by warp.

# %%
figure, ax = plt.subplots(figsize=(7.5, 3.0))
for bx in range(4):
    for by in range(3):
        chosen = (bx, by) == (3, 1)
        shade = "0.55" if chosen else "0.9"
        ax.add_patch(plt.Rectangle((bx * 0.9, by * 0.9), 0.8, 0.8, fc=shade, ec="black", lw=0.8))
ax.text(1.75, 2.85, "a grid of 4 × 3 blocks", ha="center")
for warp in range(4):
    ax.add_patch(plt.Rectangle((5.0, 0.05 + warp * 0.65), 8.2, 0.5, fc="0.97", ec="black", lw=0.8))
    for lane in range(32):
        place = (5.05 + lane * 0.255, 0.12 + warp * 0.65)
        mine = (warp, lane) == (2, 13)
        ax.add_patch(plt.Rectangle(place, 0.2, 0.36, fc="black" if mine else "0.75", ec="none"))
ax.text(9.1, 2.85, "one block: 4 warps of 32 lanes, 128 threads", ha="center")
ax.plot([3.5, 5.0], [1.7, 2.5], "-", color="0.5", lw=0.8)
ax.plot([3.5, 5.0], [0.9, 0.05], "-", color="0.5", lw=0.8)
ax.annotate("a thread", (8.46, 1.44), (8.46, -0.55), arrowprops={"arrowstyle": "->"}, ha="center")
ax.set_xlim(-0.2, 13.5)
ax.set_ylim(-0.8, 3.2)
ax.set_axis_off()
plt.show()

# %% [markdown]
# There are four kinds of memory, each larger and slower than the one before. Figures of one H100:
#
# | memory | who sees it | how much | how fast, all together |
# |---|---|---|---|
# | registers | one thread | 255 numbers at most | as fast as the arithmetic |
# | shared memory | the threads of a block | 227 KB a block | 33 TB/s |
# | L2 cache | everyone, by itself | 50 MB | about 5 TB/s |
# | global memory | everyone, and the CPU | 80 GB | 3.35 TB/s |
#
# Arrays live in global memory. All of this lesson is one idea: *load a number once from a slow memory, and
# use it many times from a faster one*.

# %% [markdown]
# ## The smallest code
#
# Add two vectors. `blockIdx`, `blockDim` and `threadIdx` tell a thread who it is. They have `.x`, `.y` and
# `.z`, because blocks and grids may have up to three dimensions.

# %%
ADD = """
extern "C" __global__ void add(const float *x, const float *y, float *z, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) z[i] = x[i] + y[i];
}
"""
n = 1000
x, y = rng.standard_normal((2, n)).astype(np.float32)
z = np.zeros(n, np.float32)
blocks = -(-n // 256)  # rounded up
print(f"{blocks} blocks of 256 threads are {blocks * 256} threads for {n} numbers")

if device:
    x_there, y_there, z_there = on_device(x), on_device(y), on_device(z)
    vector = cuda.kernels("add", ADD)
    vector.launch("add", blocks, 256, (x_there, y_there, z_there, np.int32(n)))
    print("x + y:", np.array_equal(on_host(z_there), x + y))

# %% [markdown]
# 1,000 is no multiple of 256, so the last block has 24 threads too many: the *tail*. The `if` sends them
# home. Without it they write past the end of `z`, on a GPU into whatever array happens to lie there. The
# emulator puts a guarded zone around each array, and tells.

# %%
if emulated:
    careless = cuda.kernels("careless", ADD.replace("if (i < n) ", ""))
    try:
        careless.launch("add", blocks, 256, (x, y, z, np.int32(n)))
    except EmulatorError as error:
        print(error)

# %% [markdown]
# Now the matrix product, $c_{ij} = \sum_q a_{iq} b_{qj}$. The loops over $i$ and $j$ disappear: a thread has
# one of each. The loop over $q$ stays. A block here is 16 × 16 threads, `x` counts columns and `y` rows. `a`
# is $m \times k$, `b` is $k \times n$, all of them row after row.

# %%
SMALLEST = """
extern "C" __global__ void product(const float *a, const float *b, float *c, int m, int k, int n) {
    int row = blockIdx.y * blockDim.y + threadIdx.y, column = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= m || column >= n) return;
    float sum = 0;
    for (int q = 0; q < k; q++) sum += a[row * k + q] * b[q * n + column];
    c[row * n + column] = sum;
}
"""


def run_product(source, a, b, name="product", block=16):
    """The product of two arrays by a kernel with that signature."""
    (m, k), n = a.shape, b.shape[1]
    c = on_device(np.zeros((m, n), np.float32))
    grid = (-(-n // block), -(-m // block))
    sizes = (np.int32(m), np.int32(k), np.int32(n))
    arguments = (on_device(a), on_device(b), c, *sizes)
    cuda.kernels(name, source).launch("product", grid, (block, block), arguments)
    return on_host(c)


a, b = rng.standard_normal((50, 40)), rng.standard_normal((40, 70))
a, b = a.astype(np.float32), b.astype(np.float32)
if device:
    print(f"largest difference to numpy: {np.abs(run_product(SMALLEST, a, b) - a @ b).max():.0e}")

# %% [markdown]
# It is right. Why is it slow? Two reasons, and we can count both.

# %% [markdown]
# ## What memory hands over
#
# Memory does not hand over numbers. It hands over *lines* of 128 bytes, 32 floats side by side. When a warp
# executes a load, the 32 addresses of its lanes are sorted into lines, and each line takes a turn, a
# *transaction*. Neighbouring addresses: one. Scattered ones: up to 32, and of each line 4 bytes are used.
#
# A warp is 32 neighbours in `threadIdx.x`. So everything hangs on what `x` means. Take a 4096 × 4096 product
# and count what one warp asks for in one round of the loop:

# %%
lane = np.arange(32)


def transactions(addresses):
    """How many lines of 128 bytes one load of a warp touches."""
    return len(np.unique(np.asarray(addresses) // 128))


k = n = 4096
row, column, q = 64 + 0 * lane, 96 + lane, 7  # lanes are neighbouring columns
by_column = transactions(4 * (row * k + q)), transactions(4 * (q * n + column))
row, column = 64 + lane, 96 + 0 * lane  # lanes are neighbouring rows
by_row = transactions(4 * (row * k + q)), transactions(4 * (q * n + column))
for name, (of_a, of_b) in {"columns": by_column, "rows": by_row}.items():
    print(f"lanes are {name}: {of_a} lines of a + {of_b} of b = {of_a + of_b} transactions")

# %% [markdown]
# One letter in the code, `threadIdx.x` or `threadIdx.y`, and 16 times the transactions. The good case is
# called **coalesced**. The picture shows it for any stride: how far apart the addresses of neighbouring lanes
# are.

# %%
strides = [1, 2, 4, 8, 16, 32, 64]
figure, axes = plt.subplots(1, 2, figsize=(7.5, 3.0))
axes[0].plot(strides, [transactions(4 * s * lane) for s in strides], "o-")
axes[0].set_xscale("log", base=2)
axes[0].set_xticks(strides, strides)
axes[0].set_xlabel("numbers between neighbouring lanes")
axes[0].set_ylabel("transactions of a load")
axes[0].set_title("stride")
offsets = np.arange(0, 33)
axes[1].step(offsets, [transactions(4 * (lane + o)) for o in offsets], where="mid")
axes[1].set_ylim(0, 3)
axes[1].set_yticks([0, 1, 2, 3])
axes[1].set_xlabel("numbers between line and first lane")
axes[1].set_title("neighbours that start anywhere")
plt.show()

# %% [markdown]
# ## How often a number is used
#
# The second reason. A thread loads two numbers, $a_{iq}$ and $b_{qj}$, and does one multiply-add with them.
# That is half a multiply-add for each number loaded. Call this ratio the **intensity** $I$.
#
# A multiply-add is 2 operations and a float 4 bytes. So a kernel of intensity $I$ does $2I / 4$ operations
# for each byte, and memory that delivers $B$ bytes per second allows at most
#
# $$ \text{speed} \le \min(\text{peak}, \frac{I}{2} \cdot B) $$
#
# operations a second. Drawn over $I$ it looks like a *roofline*. At $I = 1/2$ an H100 is held at
# $0.25 \cdot 3.35 = 0.84$ million million, 1.3 % of its peak.
#
# How to raise it? Let a *block* compute a tile of $R \times C$ elements of $c$, and load what they need
# together: for each step along $k$, $R$ numbers of $a$ and $C$ of $b$. They serve $R C$ multiply-adds:
#
# $$ I = \frac{R C}{R + C} $$
#
# which is 16 for a tile of 32 × 32, and 64 for one of 128 × 128. Each element of $c$ then costs
# $k (1/R + 1/C)$ loaded numbers.


# %%
def intensity(rows, columns):
    return rows * columns / (rows + columns)


# Memory's bytes/s, float32 operations/s, tensor cores' bf16 operations/s (dense): NVIDIA's figures.
GPUS = {
    "H100 SXM": (3.35e12, 66.9e12, 989e12),
    "H200": (4.8e12, 66.9e12, 989e12),
    "RTX 4060 laptop": (0.256e12, 14.6e12, 29.1e12),
}
# rows and columns of c that a block (in the first two steps, a thread) computes from what it loads
TILES = {"naive": (1, 1), "coalesced": (1, 1), "shared": (32, 32), "tile_1d": (64, 64)}
TILES |= dict.fromkeys(("tile_2d", "vectorised", "warp_tile"), (128, 128))
TILES |= {"tensor_cores": (128, 256)}


def roofline(gpu, step):
    """The operations a second that global memory allows, were every load of a block to reach it."""
    bandwidth, peak, tensor_peak = GPUS[gpu]
    bytes_each = 4
    if step == "tensor_cores":
        peak, bytes_each = tensor_peak, 2
    return min(peak, 2 * intensity(*TILES[step]) / bytes_each * bandwidth)


figure, ax = plt.subplots(figsize=(7.5, 3.6))
over = np.geomspace(0.25, 512, 100)
for gpu, (bandwidth, peak, _) in GPUS.items():
    ax.plot(over, np.minimum(peak, over / 2 * bandwidth) / 1e12, label=gpu)
names = {0.5: "naive,\ncoalesced", 16: "shared", 32: "tile_1d", 64: "tile_2d\nand on"}
for value, name in names.items():
    ax.axvline(value, color="0.8", lw=1, zorder=0)
    ax.text(value * 1.06, 0.012, name, fontsize=9, va="bottom")
ax.set_xscale("log", base=2)
ax.set_yscale("log")
ax.set_xticks([0.5, 2, 8, 32, 128, 512], ["½", "2", "8", "32", "128", "512"])
ax.set_ylim(0.01, 150)
ax.set_xlabel("intensity: multiply-adds for each number loaded")
ax.set_ylabel("10¹² operations a second")
ax.legend(loc="upper left")
plt.show()

# %% [markdown]
# This line is drawn as if there were no caches. With them it is kinder, since neighbouring blocks find in the
# L2 what others loaded. It still says what must be done: *intensity 32 or more*.

# %% [markdown]
# ## The library's own ladder
#
# `minigrad/kernels/cuda/matmul.cu` climbs in steps. The first two differ in the one letter that you counted.
# `Product` holds sizes and strides, so a transpose needs no copy, and `tile_of_block` says which tile of $c$
# the block has.

# %%
CUDA = "minigrad/kernels/cuda"
show_source(f"{CUDA}/matmul.cu:matmul_naive", f"{CUDA}/matmul.cu:matmul_coalesced")

# %% [markdown]
# **Step 3, shared memory.** The block loads its two tiles together, a number each, into `__shared__` arrays.
# Then every thread reads from there what the others loaded. Two *barriers* make that safe. `__syncthreads()`
# lets nobody pass until all threads of the block have come. The first: do not read before all have written.
# The second: do not write the next tile before all have read this one.

# %%
show_source(f"{CUDA}/matmul.cu:matmul_shared")

# %% [markdown]
# ## Banks
#
# Shared memory has its own rule. It is 32 *banks*, each 4 bytes wide: word number $w$ lies in bank $w$ mod
# 32. In one turn each bank delivers one word. Lanes that want the *same* word share it. Lanes that want
# different words of one bank wait for each other: a **bank conflict**.


# %%
def turns(words):
    """How many turns shared memory needs for a warp's load of one word a lane."""
    words = np.unique(words)
    return int(np.bincount(words % 32).max())


print("32 neighbours:", turns(lane))
print("all the same word:", turns(0 * lane))
print("every second word:", turns(2 * lane))
print("down a column of a 32 × 32 tile:", turns(32 * lane))
print("down a column, rows padded to 33:", turns(33 * lane))

# %% [markdown]
# Two cures are used. *Padding*, above, makes the rows a little longer. A *swizzle* costs no memory: tensor
# cores (below) read tiles in pieces of 16 bytes, 8 rows at a time, and rows are 128 bytes. Unswizzled, the 8
# pieces lie in the same 4 banks. Now store piece $p$ of row $r$ at place $p \oplus (r \bmod 8)$, where
# $\oplus$ is the exclusive or of the bits. Follow one grey tone down in both pictures:

# %%
rows_of_tile, pieces = np.mgrid[0:8, 0:8]
layouts = {"as it comes": pieces, "swizzled": pieces ^ rows_of_tile}
figure, axes = plt.subplots(1, 2, figsize=(7.5, 3.3))
for ax, (name, place) in zip(axes, layouts.items()):
    where = np.empty((8, 8), int)
    np.put_along_axis(where, place, pieces, 1)  # which piece stands at each place
    ax.imshow(where, vmin=-4, vmax=11)
    for r, p in np.ndindex(8, 8):
        ax.text(p, r, where[r, p], ha="center", va="center", fontsize=8)
    words = (rows_of_tile * 32 + place * 4)[:, 2]  # where piece 2 of each row starts
    conflict = turns((words[:, None] + np.arange(4)).ravel())
    ax.set_title(f"{name}: piece 2 of 8 rows, {conflict} turn{'s' if conflict > 1 else ''}")
    ax.set_xticks(range(8), [f"{4 * i}–{4 * i + 3}" for i in range(8)], fontsize=7)
    ax.set_xlabel("banks")
    ax.set_ylabel("row of the tile")
    ax.grid(False)
plt.show()

# %% [markdown]
# ## Registers: steps 4 to 7
#
# Step 3 moved the problem. Each multiply-add still reads two numbers from shared memory, and a multiprocessor
# does 4 warps' multiply-adds in the time of one turn. So count turns for each multiply-add, and keep more in
# registers.
#
# In **step 4** a thread computes 8 elements below each other: one number of $b$ serves 8 times. In **step 5**
# it computes 8 × 8: it reads 8 + 8 numbers and does 64 multiply-adds. This is the roofline argument once
# more, one memory nearer: $I = 8 \cdot 8 / (8 + 8) = 4$.

# %%
show_source(f"{CUDA}/matmul.cu:matmul_tile_2d")

# %% [markdown]
# **Step 6** loads 16 bytes an instruction, a `float4`. **Step 7** arranges the lanes of a warp so that they
# read neighbouring pieces, and uses two buffers: while one pair of tiles is multiplied, the next is on its
# way (*double buffering*), and one barrier a tile is enough.

# %%
show_source(f"{CUDA}/matmul_fp32.cu:matmul_warp_tile")

# %% [markdown]
# Now count. For each step, what does a warp read from shared memory in one round along $k$, and how many
# multiply-adds does each lane do with it? `x` and `y` say where in the block's tile a lane's elements begin.
# A load of 16 bytes per lane is served in four parts of 8 lanes, each in one turn if there is no conflict. Four
# multiply-adds for each turn are the peak.


# %%
def turns_of_four(words):
    """The same for 16 bytes per lane, `words` being the first of each lane's four."""
    return sum(turns((part[:, None] + np.arange(4)).ravel()) for part in words.reshape(4, 8))


# Steps 1 and 2 have none: their loads from global memory, counted above, pass the same unit.
counts = {"naive": (sum(by_row), 1), "coalesced": (sum(by_column), 1)}

# Step 3: a warp is one row of c, so it reads one number of a's tile and 32 neighbours of b's.
counts["shared"] = turns(0 * lane) + turns(lane), 1

# Step 4: the same, with a column of 8 numbers of a. Rows of a's tile are 8 numbers long.
counts["tile_1d"] = sum(turns(8 * i + 0 * lane) for i in range(8)) + turns(lane), 8

# Step 5: a warp is two rows of 16 lanes, and each lane has 8 × 8 elements.
x, y = lane % 16 * 8, lane // 16 * 8
of_a, of_b = [turns((y + i) * 8) for i in range(8)], [turns(x + i) for i in range(8)]
counts["tile_2d"] = sum(of_a) + sum(of_b), 64

# Step 6: the same lanes. a's tile is transposed: a lane's 8 numbers are two loads of four.
of_a, of_b = (turns_of_four(first) + turns_of_four(first + 4) for first in (y, x))
counts["vectorised"] = of_a + of_b, 64

# Step 7: lanes stand 4 high and 8 wide, and have four pieces of 4 × 4 elements.
x, y = lane // 2 % 8 * 4, (lane // 16 * 2 + lane % 2) * 4
counts["warp_tile"] = sum(turns_of_four(first) for first in (x, x + 32, y, y + 16)), 64

limits = {}
for step, (count, multiply_adds) in counts.items():
    limits[step] = min(1.0, multiply_adds / count / 4)
    work = f"{count:3} turns for {multiply_adds:2} multiply-adds"
    print(f"{step:12} {work}: at most {limits[step]:6.1%} of the peak")

# %% [markdown]
# Every step removes what held the one before. Simon Boehm measured seven such kernels of his own on an RTX
# A6000 (see Sources). His figures are shares of what NVIDIA's library reaches, ours are bounds from counting,
# so do not expect equal numbers. Look at the shape.

# %%
BOEHM = dict(zip(limits, (0.013, 0.085, 0.128, 0.365, 0.687, 0.784, 0.937)))
figure, ax = plt.subplots(figsize=(7.5, 3.2))
places = np.arange(len(limits))
ax.bar(
    places - 0.2, [100 * v for v in limits.values()], 0.38, color="0.35", label="our count of turns"
)
ax.bar(
    places + 0.2, [100 * v for v in BOEHM.values()], 0.38, color="0.75", label="measured by Boehm"
)
for place, value in zip(places - 0.2, limits.values()):
    ax.text(place, 100 * value + 2, f"{100 * value:.3g}", ha="center", fontsize=8)
for place, value in zip(places + 0.2, BOEHM.values()):
    ax.text(place, 100 * value + 2, f"{100 * value:.3g}", ha="center", fontsize=8)
ax.set_xticks(places, [f"{i}\n{name}" for i, name in enumerate(limits, 1)], fontsize=9)
ax.set_ylabel("% of the peak")
ax.grid(axis="x", visible=False)
ax.legend(loc="upper left")
plt.show()

# %% [markdown]
# His steps 4 and 5 are better than the count. The reason is the compiler: where numbers lie side by side it
# loads several at once, which we did by hand only in step 6. A count is a way to think, not a stopwatch.

# %% [markdown]
# ## Tensor cores
#
# One multiply-add a lane is not the end. A *tensor core* takes a 16 × 16 matrix $A$ and a 16 × 8 matrix $B$
# of 16-bit numbers (fp16 or bf16) and adds their product to a 16 × 8 matrix of floats, in one instruction of
# a warp: `mma.sync.m16n8k16`, 2,048 multiply-adds. On an H100 that is 15 times the float32 peak.
#
# The matrices live in the registers of the 32 lanes, scattered in a fixed way. With $g$ = lane / 4 (rounded
# down) and $t$ = lane mod 4, lane $(g, t)$ holds the elements drawn below. The numbers are lanes, the greys
# are registers. Two 16-bit numbers share a register.

# %%
g, t = lane // 4, lane % 4
owner = {
    name: np.zeros(shape, int) for name, shape in (("A", (16, 16)), ("B", (16, 8)), ("C", (16, 8)))
}
register = {name: np.zeros(o.shape, int) for name, o in owner.items()}
for i in range(8):  # 8 numbers of A a lane
    at = g + i // 2 % 2 * 8, 2 * t + i % 2 + i // 4 * 8
    owner["A"][at], register["A"][at] = lane, i // 2
for i in range(4):  # 4 of B, and 4 of C
    at = 2 * t + i % 2 + i // 2 * 8, g
    owner["B"][at], register["B"][at] = lane, i // 2
    at = g + i // 2 * 8, 2 * t + i % 2
    owner["C"][at], register["C"][at] = lane, i

figure, axes = plt.subplots(1, 3, figsize=(7.5, 4.0), width_ratios=[2, 1, 1])
for ax, name in zip(axes, owner):
    ax.imshow(register[name], vmin=-1, vmax=7)
    for (i, j), of_lane in np.ndenumerate(owner[name]):
        mine = of_lane == 6
        ax.text(
            j, i, of_lane, ha="center", va="center", fontsize=6, weight="bold" if mine else "normal"
        )
        if mine:
            ax.add_patch(plt.Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, lw=1.5))
    ax.set_title({"A": "A, 16 × 16", "B": "B, 16 × 8", "C": "C, 16 × 8"}[name])
    ax.set_xticks([])
    ax.set_yticks([0, 8, 15])
    ax.grid(False)
axes[0].set_xlabel("framed: what lane 6 holds")
plt.show()

# %% [markdown]
# A kernel of one warp that multiplies one such pair. Read the indices against the picture: `pack` puts two
# numbers into one register, `tensor_core.cuh` wraps the instruction.

# %%
ONE_WARP = """
#include "tensor_core.cuh"

// a (16, 16), b (16, 8), c (16, 8), row after row
extern "C" __global__ void one_warp(const fp16 *a, const fp16 *b, float *c) {
    int g = threadIdx.x / 4, t = threadIdx.x % 4;
    unsigned of_a[4], of_b[2];
    for (int r = 0; r < 4; r++) {
        const fp16 *pair = a + (g + r % 2 * 8) * 16 + 2 * t + r / 2 * 8;
        of_a[r] = pack<fp16>(to_float(pair[0]), to_float(pair[1]));
    }
    for (int r = 0; r < 2; r++) {
        const fp16 *above = b + (2 * t + r * 8) * 8 + g;
        of_b[r] = pack<fp16>(to_float(above[0]), to_float(above[8]));
    }
    float sums[4] = {};
    mma_m16n8k16<fp16>(sums, of_a, of_b, sums);
    for (int i = 0; i < 4; i++) c[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = sums[i];
}
"""
small_a = rng.standard_normal((16, 16)).astype(np.float16)
small_b = rng.standard_normal((16, 8)).astype(np.float16)
if device:
    small_c = on_device(np.zeros((16, 8), np.float32))
    arguments = on_device(small_a), on_device(small_b), small_c
    cuda.kernels("one_warp", ONE_WARP).launch("one_warp", 1, 32, arguments)
    exact = small_a.astype(float) @ small_b.astype(float)
    print(f"largest difference to numpy: {np.abs(on_host(small_c) - exact).max():.0e}")

# %% [markdown]
# **Step 8** builds the product from these pieces. What is new beside `mma`:
#
# - `ldmatrix` loads fragments from shared memory, four 8 × 8 matrices at once. Each lane names the address of
#   one row and gets what the picture above gives it. It reads 8 rows at one column: the case of the swizzle.
# - `cp.async` copies from global to shared memory past the registers, and the thread goes on at once. Three
#   buffers form a ring. While one is multiplied the other two are on their way: a *pipeline*.

# %%
show_source(f"{CUDA}/matmul_tensor_cores.cu:matmul_tensor_cores")

# %% [markdown]
# **Step 9** is for Hopper GPUs only, and the emulator does not have its instructions, so read it as a story.
# A warp that copies and multiplies by turns does neither all the time. So warps specialise. *One thread* asks
# the tensor memory accelerator (TMA) for whole tiles: it gives coordinates, and the hardware computes
# addresses, swizzles and fills the edge with zeros. *Two groups of four warps* do nothing but `wgmma`, a
# product of 64 × 256 × 16 that reads its operands from shared memory itself, without fragments in registers.
# They meet at barriers in shared memory that count arriving bytes: one says "full", one says "empty". The
# project has not run this kernel on a GPU yet, and its header says so.

# %%
show_source(f"{CUDA}/matmul_hopper.cu:matmul_hopper")

# %% [markdown]
# ## The run: every step, and what it costs
#
# Each step is launched on an awkward shape, where no size is a multiple of a tile, and compared with numpy in
# double precision. *Error* is the largest difference, as a part of the largest number.
#
# *Loads* are the numbers that a block takes from global memory for each element of $c$, for $k = 4096$.
# *Shared* is its shared memory. *Regs* are the registers that NVIDIA's compiler (NVRTC 13, for an H100) gave
# a thread. Then come three rooflines without caches, in $10^{12}$ operations a second, and the bound from
# counting *turns*.

# %%
m, k, n = (130, 72, 140) if not fast() else (66, 40, 72)
a = rng.standard_normal((m, k)).astype(np.float32)
b = rng.standard_normal((k, n)).astype(np.float32)
SHARED = dict(zip(TILES, (0, 0, 8192, 4096, 8192, 8448, 16896, 3 * (128 + 256) * 64 * 2)))
REGISTERS = dict(zip(TILES, (32, 32, 40, 64, 128, 128, 127, 217)))

errors = {}
print("step            error  loads   shared  regs   H100   H200  laptop   turns")
for step, (rows, columns) in TILES.items():
    dtype = np.float16 if step == "tensor_cores" else np.float32
    left, right = a.astype(dtype), b.astype(dtype)
    exact = left.astype(np.float64) @ right.astype(np.float64)
    error = "not run"
    if device:
        c = on_host(matmul(on_device(left), on_device(right), step))
        errors[step] = np.abs(c - exact).max() / np.abs(exact).max()
        error = f"{errors[step]:.0e}"
    loads = round(4096 * (1 / rows + 1 / columns))
    shared = f"{SHARED[step] / 1024:.1f} KB"
    roofs = "".join(f"{roofline(gpu, step) / 1e12:7.1f}" for gpu in GPUS)
    bound = f"{limits[step]:.1%}" if step in limits else "-"
    print(f"{step:13}{error:>8}{loads:7} {shared:>8} {REGISTERS[step]:5}{roofs} {bound:>8}")

if device:
    goal("largest float32 error", max(errors[step] for step in limits), at_most=1e-6)
gain = limits["warp_tile"] / limits["naive"]
goal("predicted gain from naive to warp_tile, times", gain, at_least=50)

# %% [markdown]
# The error of *tensor_cores* is larger because its result is rounded to 16 bits. Its sums are float32, too.
#
# Read the table downwards, and you know what each step bought. *naive* to *coalesced*: the same loads, a
# sixteenth of the turns. *coalesced* to *shared*: the same turns, but a thirty-second of the traffic with
# global memory. *shared* to *warp_tile*: registers are spent to save turns. *tensor_cores*, with a peak of
# 989, would need an intensity that no block can hold. At 286 it lives from the L2, where neighbouring blocks
# find each other's tiles. That is why `tile_of_block` numbers the tiles in groups.
#
# Measured times belong here as well. They are owed: at the time of writing the project had no GPU to run on.
# On a machine that has one, the next cell measures every step by itself, on 4096 × 4096.

# %%
if device == "cuda":
    size = 4096 if not fast() else 256
    xp = devices.library("cuda")
    square = {
        dtype: xp.asarray(rng.standard_normal((size, size)).astype(dtype))
        for dtype in ("float32", "float16")
    }
    for step in TILES:
        x = square["float16" if step == "tensor_cores" else "float32"]
        ms = cuda.milliseconds(lambda x=x, step=step: matmul(x, x, step))
        print(f"{step:13} {ms:9.3f} ms  {2 * size**3 / ms / 1e9:8.1f} · 10¹² operations/s")
    for x in square.values():
        ms = cuda.milliseconds(lambda x=x: xp.matmul(x, x))
        print(f"cuBLAS {x.dtype} {ms:9.3f} ms  {2 * size**3 / ms / 1e9:8.1f} · 10¹² operations/s")
else:
    print("no GPU here: no times")

# %% [markdown]
# And now something real: the digits of lesson 4, *trained* on these kernels. Inside `kernels.use("emulator")`
# every product, forward and backward, is one of the kernels you have read. So are cross-entropy and the
# optimiser.

# %%
images, labels = digits(2000 if not fast() else 400, seed=1)
new_images, new_labels = digits(500 if not fast() else 100, seed=2)
images, new_images = images.reshape(-1, 256), new_images.reshape(-1, 256)


def train_on(backend):
    """Losses, and accuracy on new pictures, of the network of lesson 4 trained by those kernels."""
    mg.manual_seed(1)
    network = nn.Sequential(nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    losses, shuffled = [], np.random.default_rng(3)
    with kernels.use(backend):
        for _ in range(4 if not fast() else 6):
            for batch in shuffled.permutation(len(labels)).reshape(-1, 50):
                loss = F.cross_entropy(network(mg.tensor(images[batch])), mg.tensor(labels[batch]))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
        with mg.no_grad():
            guesses = network(mg.tensor(new_images)).argmax(1).numpy()
    return losses, (guesses == new_labels).mean()


losses, accuracy = train_on("reference")
print(f"numpy:    last loss {losses[-1]:.4f}, accuracy {accuracy:.3f}")
if emulated:
    losses_of_cuda, accuracy_of_cuda = train_on("emulator")
    print(f"CUDA C:   last loss {losses_of_cuda[-1]:.4f}, accuracy {accuracy_of_cuda:.3f}")
    apart = np.abs(np.subtract(losses, losses_of_cuda)).max()
    print(f"the two runs' losses are at most {apart:.0e} apart")
    goal("accuracy of the network trained by CUDA kernels", accuracy_of_cuda, at_least=0.9)

# %% [markdown]
# ## Checked by finite differences
#
# A linear layer of our own, $y = x W^\top + b$, with its gradient rule (lesson 2), whose three products run
# on a step of the ladder. The two backward products multiply transposed arrays. The kernels get them as they
# lie, as strides.
#
# The kernels are float32, and difference quotients in float32 are rough: a step small enough for a curve is
# too small for the rounding. But this layer is a *straight line* in each of its inputs. For a straight line
# the quotient is exact for any step. So take a large one, ½, and rounding no longer matters.


# %%
class Layer(mg.Function):
    """y = x Wᵀ + b;  dx = g W,  dW = gᵀ x,  db = the sum of g over rows."""

    def __init__(self, step):
        self.step = step

    def product(self, a, b):
        a, b = (on_device(each.astype(np.float32)) for each in (a, b))
        return on_host(matmul(a, b, self.step)).astype(np.float64)

    def forward(self, x, weight, bias):
        self.save_for_backward(x, weight)
        return self.product(x, weight.T) + bias

    def backward(self, grad):
        x, weight = self.saved
        return self.product(grad, weight), self.product(grad.T, x), grad.sum(0)


shapes = ((3, 9), (5, 9), (5,))
inputs = [mg.randn(*shape, dtype="float64", requires_grad=True) for shape in shapes]
for step in limits if device else ():
    right = mg.gradcheck(
        lambda x, w, b, step=step: Layer(step)(x, w, b), inputs, eps=0.5, atol=1e-3, rtol=1e-3
    )
    print(f"gradcheck of {step}: {right}")

# %% [markdown]
# ## A bug to find
#
# Someone wrote a product with tiles in shared memory, 16 × 16, and tested it: two matrices of 16 × 16, all
# right. Then they used it for $k = 64$. There is no NaN and no crash, and the numbers look like numbers. They
# are wrong.

# %%
PLANTED = """
extern "C" __global__ void product(const float *a, const float *b, float *c, int m, int k, int n) {
    __shared__ float a_tile[16][16], b_tile[16][16];
    int x = threadIdx.x, y = threadIdx.y, row = blockIdx.y * 16 + y, column = blockIdx.x * 16 + x;
    float sum = 0;
    for (int from = 0; from < k; from += 16) {
        a_tile[y][x] = row < m && from + x < k ? a[row * k + from + x] : 0;
        b_tile[y][x] = from + y < k && column < n ? b[(from + y) * n + column] : 0;
        __syncthreads();
        for (int q = 0; q < 16; q++) sum += a_tile[y][q] * b_tile[q][x];
    }
    if (row < m && column < n) c[row * n + column] = sum;
}
"""


def error_of(source, k):
    """The largest error of a product of 16 x k and k x 16, in the emulator."""
    a = np.random.default_rng(k).standard_normal((16, k)).astype(np.float32)
    b = np.random.default_rng(k + 1).standard_normal((k, 16)).astype(np.float32)
    c, sizes = np.zeros((16, 16), np.float32), (np.int32(16), np.int32(k), np.int32(16))
    cuda.kernels("planted", source).launch("product", 1, (16, 16), (a, b, c, *sizes))
    return float(np.abs(c - a @ b).max())


wrong = {}
if emulated:
    for k in (16, 64):
        for name in ("forward", "reverse", "permuted"):
            with order(name):
                wrong[k, name] = error_of(PLANTED, k)
                print(f"k = {k}, threads in {name:8} order: largest error {wrong[k, name]:.2g}")

# %% [markdown]
# On a GPU this kernel is often right, and that is worse: the warps happen to run nearly together. It fails on
# another card, or on a busy day. `minigrad emulate FILE.cu` looks at every access to memory instead of at
# results. Here is its report. Which line is missing, and where?


# %%
def report_on(source):
    """What `minigrad emulate` prints about a product of 16 × 64 and 64 × 16."""
    from models.commands.emulate import main

    given = ["a=randn(16, 64)", "b=randn(64, 16)", "c=zeros(16, 16)", "m=16", "k=64", "n=16"]
    options = ["--block", "16,16"] + [part for each in given for part in ("--arg", each)]
    printed = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(printed):
        file = Path(folder) / "planted.cu"
        file.write_text(source.strip())
        main([str(file), *options])
    return printed.getvalue()


if emulated:
    report = report_on(PLANTED)
    print(report)

# %% [markdown]
# ## Exercises
#
# **Small** (5 minutes each)
#
# 1. A grid of 3 blocks of 128 threads. What is `i` in the vector addition for thread 5 of block 2?
# 2. How many transactions does a warp need that reads every third float? And if each lane reads a `float4`,
#    side by side?
# 3. What intensity has a tile of 64 × 256? Which tile of the same number of elements is best, and why?
#
# **Medium** (20 minutes each)
#
# 4. Write a kernel that transposes a matrix, so that both its loads and its stores are coalesced. You need a
#    tile in shared memory. Count its bank conflicts with `turns`, and pad them away.
# 5. `turns` says that step 5 has conflicts in `a_tile`, too. How many, and what padding removes them? Count
#    again.
# 6. Take a barrier out of step 3 (copy the file), and run `minigrad emulate` on it. Is every missing barrier
#    found in all three orders of the threads?
#
# **Large** (an evening)
#
# 7. Write a product on tensor cores from `one_warp`: a loop along $k$, a grid of warps, fragments straight
#    from global memory. Compare it with step 8 for shapes that are no multiples of 16. What is its intensity?
#
# **In the course kit**
#
# To be written in the library itself, and checked with `minigrad course test 17.1`: 17.1 *Every lane gets the
# sum*, 17.2 *A coalesced matrix product*, 17.3 *Tiles in shared memory*, 17.4 *A warp's softmax, on the way
# back*, 17.5 *Eight by eight in registers*.

# %% [markdown]
# ## Answers
#
# **The bug.** The second barrier is missing, at the end of the loop. A fast warp goes on to the next tile and
# overwrites numbers that a slow one has yet to multiply. The report says just that: one thread writes,
# another reads, and no barrier lies between. With $k = 16$ there is no next tile, so the test could not see
# it.

# %%
loop = "sum += a_tile[y][q] * b_tile[q][x];\n"
repaired = PLANTED.replace(loop, loop + "        __syncthreads();\n")
if emulated:
    fixed = max(error_of(repaired, k) for k in (16, 64))
    print(f"with the barrier: largest error {fixed:.0e}")
    print(report_on(repaired).splitlines()[-1])
    assert fixed < 1e-4 < wrong[64, "forward"]
    assert "race" in report

# %% [markdown]
# **Small 1.** $2 \cdot 128 + 5 = 261$. **Small 2.** $32 \cdot 3 \cdot 4 = 384$ bytes are 3 lines. 16 bytes per
# lane are 512 bytes, 4 lines, each used in full. **Small 3.** $64 \cdot 256 / 320 = 51.2$. A square, 128 ×
# 128, has 64: of all rectangles of one area the square has the smallest border, and the border is what must
# be loaded.

# %%
print("every third:", transactions(4 * 3 * lane), " float4:", transactions(16 * lane))
print("64 × 256:", intensity(64, 256), " 128 × 128:", intensity(128, 128))

# %% [markdown]
# ## Sources
#
# - NVIDIA, *CUDA C++ Programming Guide*, and *PTX ISA*, sections on `mma`, `ldmatrix`, `cp.async` and
#   `wgmma`.
# - NVIDIA, *H100 Tensor Core GPU Architecture* (white paper, 2022); data sheets of the H100 SXM and H200;
#   *Ada GPU Architecture* (white paper). The laptop's peak is 3,072 cores × 2 × 2.37 GHz, its tensor cores'
#   twice that.
# - S. Williams, A. Waterman, D. Patterson, *Roofline: an insightful visual performance model for multicore
#   architectures*, Communications of the ACM 52(4), 2009.
# - V. Volkov, J. Demmel, *Benchmarking GPUs to tune dense linear algebra*, Supercomputing 2008: registers
#   before shared memory.
# - S. Boehm, *How to optimize a CUDA matmul kernel for cuBLAS-like performance*, 2022 (siboehm.com): steps 1
#   to 7, measured.
# - W. Hwu, D. Kirk, I. El Hajj, *Programming Massively Parallel Processors*, 4th edition, Morgan Kaufmann
#   2022.
#
# Next: lesson 18, where the same ideas save the memory of attention.
