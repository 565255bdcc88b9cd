# %% [markdown]
# # 1. Tensors: shapes, broadcasting, strides, einsum
#
# | | |
# |---|---|
# | Builds on | a little Python; no mathematics beyond sums |
# | You will have | a strided array of your own, and a classifier of digits in six lines that contain no loop |
# | Time | 60 minutes, of which 5 seconds are computing |
# | Memory | 0.3 GB |
#
# Every model in this course, up to GPT, is a few dozen operations on blocks of numbers.
# This lesson is about the blocks.

# %%
import time

import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
from lessons.material.digits import digits
from lessons.material.kit import fast, goal, show_source

plt.style.use("lessons.material.grey")
rng = np.random.default_rng(0)

# %% [markdown]
# ## The question
#
# Here are eight pictures of digits. Each is 16 × 16 pixels, so the eight are a block of
# 8 × 16 × 16 numbers: a *tensor* of shape `(8, 16, 16)`.
#
# Suppose you have a thousand such pictures with their labels, and get a new one.
# A simple way to read it: find the picture it is nearest to, and give the same answer.
# That takes 1000 × 256 subtractions, squares and sums for every new picture.
#
# Can you write that without a loop? And why would you want to?

# %%
images, labels = digits(1200 if not fast() else 400, seed=1)

figure, axes = plt.subplots(1, 8, figsize=(7.5, 1.3))
for ax, image, label in zip(axes, images, labels):
    ax.imshow(image)
    ax.set_title(f"label {label}", fontsize=8)
    ax.set_axis_off()
plt.show()

# %% [markdown]
# ## Shapes
#
# A tensor has a *shape*: how many numbers it holds along each of its *dimensions*.
# The shape is the first thing to ask about a tensor, and most errors are errors of shape.

# %%
x = mg.tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [9.0, 10.0, 11.0, 12.0]])
print("shape", x.shape, " dimensions", x.ndim, " numbers", x.numel(), " dtype", x.dtype)

# %% [markdown]
# A reduction, such as a sum, removes a dimension. `sum(0)` adds *along* dimension 0,
# so dimension 0 is the one that is gone. Say the result's shape before you read on.

# %%
print("x.sum(0)  ", x.sum(0).shape, x.sum(0).tolist())
print("x.sum(1)  ", x.sum(1).shape, x.sum(1).tolist())
print("keepdim   ", x.sum(1, keepdim=True).shape)

# %% [markdown]
# Inside the tensor there is a numpy array, `x.data`. minigrad adds what numpy lacks:
# gradients (lessons 2 and 3), kernels for the slow parts (lesson 6), and a GPU.

# %% [markdown]
# ## A picture of memory
#
# Memory is one long line of bytes. A table must be laid on that line row after row.
# How, then, do you transpose a table? You could move every number. Or you could leave
# them all where they are, and change how you *count*.

# %%
table = np.arange(12).reshape(3, 4)
figure, (above, below) = plt.subplots(
    2, 1, figsize=(7.5, 4.4), gridspec_kw={"height_ratios": [3.4, 1]}
)
above.set_axis_off()
above.set_xlim(-0.5, 12)
above.set_ylim(4.6, -1.2)
above.set_aspect("equal")
views = {"x: shape (3, 4), strides (4, 1)": table, "x.T: shape (4, 3), strides (1, 4)": table.T}
for left, (name, view) in zip((0, 6.5), views.items()):
    above.text(left, -0.6, name)
    for (i, j), place in np.ndenumerate(view):
        above.add_patch(plt.Rectangle((left + j, i), 1, 1, fc=str(1 - 0.05 * place), ec="0.3"))
        above.text(left + j + 0.5, i + 0.5, place + 1, ha="center", va="center")
below.set_axis_off()
below.set_xlim(-0.5, 12)
below.set_ylim(1.9, -0.8)
below.set_aspect("equal")
below.text(0, -0.3, "memory: the same twelve numbers, and the place of each")
for place in range(12):
    below.add_patch(plt.Rectangle((place, 0), 1, 1, fc=str(1 - 0.05 * place), ec="0.3"))
    below.text(place + 0.5, 0.5, place + 1, ha="center", va="center")
    below.text(place + 0.5, 1.5, place, ha="center", va="center", fontsize=8, color="0.4")
plt.show()

# %% [markdown]
# ## Strides, derived
#
# Let the shape be $(n_0, n_1, \ldots, n_{d-1})$. Each dimension has a *stride*: how many
# places in memory lie between one index and the next. The element $(i_0, \ldots, i_{d-1})$ is at
#
# $$ \text{place} = \text{offset} + \sum_k i_k s_k $$
#
# Laid out row after row, the last index moves by one place, and an earlier one must jump
# over everything behind it:
#
# $$ s_k = \prod_{l > k} n_l $$
#
# In the table above: $s_1 = 1$ and $s_0 = 4$. To transpose, swap the two strides (and the
# two sizes). No number moves, so it costs the same for twelve numbers or twelve billion.
#
# Much follows from that one formula:
#
# - every second column: double the stride;
# - start further in: add to the offset;
# - backwards: a negative stride, counted from the end;
# - **repeat a number without copying it: a stride of zero.**

# %% [markdown]
# ## The smallest code
#
# Here is an array of your own: a flat list, a shape, strides, an offset. Read each method
# and say what it does to the four.

# %%
from itertools import product
from math import prod


class Strided:
    """A view of a flat list: element (i0, i1, ...) is data[offset + Σ ik·sk]."""

    def __init__(self, data, shape, strides=None, offset=0):
        self.data, self.shape, self.offset = data, tuple(shape), offset
        row_major = [prod(shape[k + 1 :]) for k in range(len(shape))]
        self.strides = tuple(row_major if strides is None else strides)

    def __getitem__(self, index):
        return self.data[self.offset + sum(i * s for i, s in zip(index, self.strides))]

    def permute(self, *order):
        shape, strides = ([old[k] for k in order] for old in (self.shape, self.strides))
        return Strided(self.data, shape, strides, self.offset)

    def flip(self, dim):
        strides, last = list(self.strides), self.shape[dim] - 1
        strides[dim] = -strides[dim]
        return Strided(self.data, self.shape, strides, self.offset + last * self.strides[dim])

    def expand(self, *shape):
        """Repeat the dimensions of size 1."""
        strides = [
            0 if have == 1 != want else s for s, have, want in zip(self.strides, self.shape, shape)
        ]
        return Strided(self.data, shape, strides, self.offset)

    def tolist(self):
        return [self[index] for index in product(*map(range, self.shape))]


mine = Strided(list(range(24)), (2, 3, 4))
print("strides        ", mine.strides)
print("permute(2,0,1) ", mine.permute(2, 0, 1).shape, mine.permute(2, 0, 1).strides)
print("flip(1)        ", mine.flip(1).strides, "from place", mine.flip(1).offset)

# %% [markdown]
# Is it right? numpy counts strides in bytes; four bytes per number here.

# %%
theirs = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
assert mine.permute(2, 0, 1).tolist() == theirs.transpose(2, 0, 1).ravel().tolist()
assert mine.flip(1).tolist() == np.flip(theirs, 1).ravel().tolist()
row = Strided([1, 2, 3], (1, 3))
assert row.expand(2, 3).tolist() == [1, 2, 3, 1, 2, 3]
for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
    in_bytes = theirs.transpose(order).strides
    assert tuple(4 * s for s in mine.permute(*order).strides) == in_bytes
print("the same numbers and the same strides as numpy")

# %% [markdown]
# ## The library's own
#
# This is how minigrad permutes and expands. The two lines in each `forward` are what you
# just wrote, done by numpy; `backward` is for lesson 3.

# %%
from minigrad.ops.shape import Expand, Permute

show_source(Permute, Expand)

# %% [markdown]
# A view shares its memory with what it views. That makes it free, and it has a price:
# write into one and you have written into the other.

# %%
big = mg.zeros(1000, 1000)
turned = big.permute(1, 0)
print("transposed shares memory:", np.shares_memory(big.data, turned.data))
wide = mg.zeros(1000, 1).expand(1000, 1000)
print("expanded, a million numbers seen; strides in bytes:", wide.data.strides)

# %% [markdown]
# ## Broadcasting
#
# Stride zero is what makes this work: shapes `(3, 1)` and `(1, 4)`, added, give `(3, 4)`.

# %%
column = mg.tensor([[0.0], [10.0], [20.0]])
row = mg.tensor([[1.0, 2.0, 3.0, 4.0]])

figure, axes = plt.subplots(1, 3, figsize=(7.5, 2.1))
panels = (column.expand(3, 4), row.expand(3, 4), column + row)
names = ("(3, 1), repeated to the right", "(1, 4), repeated downwards", "their sum, (3, 4)")
for ax, panel, name in zip(axes, panels, names):
    ax.imshow(panel.numpy(), vmin=-15, vmax=40)
    for (i, j), number in np.ndenumerate(panel.numpy()):
        ax.text(j, i, f"{number:.0f}", ha="center", va="center")
    ax.set_title(name)
    ax.set_xticks([])
    ax.set_yticks([])
plt.show()

# %% [markdown]
# The rule has two parts. Write the shapes under each other, *aligned at the right*, with
# ones where the shorter has nothing. Then each pair of sizes must be equal, or one of
# them 1; the result has the larger.
#
#         images     (8, 16, 16)
#         brightness (8,  1,  1)     →  (8, 16, 16)
#
#         features   (32, 128, 64)
#         bias               (64,)   →  (32, 128, 64)


# %%
def broadcast_shape(a, b):
    n = max(len(a), len(b))
    a, b = (1,) * (n - len(a)) + tuple(a), (1,) * (n - len(b)) + tuple(b)
    for i, j in zip(a, b):
        if i != j and 1 not in (i, j):
            raise ValueError(f"{a} and {b}: {i} beside {j}")
    return tuple(j if i == 1 else i for i, j in zip(a, b))


for _ in range(200):
    full = rng.integers(1, 4, 4)
    some_ones = [np.where(rng.random(4) < 0.5, full, 1) for _ in range(2)]
    a, b = (tuple(shape[rng.integers(0, 5) :]) for shape in some_ones)  # of 0 to 4 dimensions
    assert broadcast_shape(a, b) == np.broadcast_shapes(a, b)
print("200 random pairs of shapes, the same as numpy's")

# %% [markdown]
# ## Einsum
#
# One notation covers products of every kind. Name each dimension by a letter. A letter
# that is missing on the right is summed over:
#
# $$ C_{ik} = \sum_j A_{ij} B_{jk} \qquad \text{is} \qquad \text{ij,jk->ik} $$
#
# The definition, as slow as it is short: loop over all values of all letters.


# %%
def slow_einsum(equation, *operands):
    left, output = equation.split("->")
    terms = left.split(",")
    size = {c: n for term, x in zip(terms, operands) for c, n in zip(term, x.shape)}
    result = np.zeros([size[c] for c in output])
    for values in product(*(range(n) for n in size.values())):
        at = dict(zip(size, values))
        factors = (x[tuple(at[c] for c in term)] for term, x in zip(terms, operands))
        result[tuple(at[c] for c in output)] += prod(factors)
    return result


A, B = rng.standard_normal((4, 5)), rng.standard_normal((5, 3))
Q, K = rng.standard_normal((2, 6, 4)), rng.standard_normal((2, 6, 4))
u, S = rng.standard_normal(5), rng.standard_normal((4, 4))
cases = {
    "matrix product": ("ij,jk->ik", A, B),
    "matrix by vector": ("ij,j->i", A, u),
    "outer product": ("i,j->ij", u, u),
    "sum of squares": ("ij,ij->", A, A),
    "trace": ("ii->", S),
    "transpose": ("ij->ji", A),
    "attention scores": ("bqd,bkd->bqk", Q, K),
}
for name, (equation, *operands) in cases.items():
    ours = mg.einsum(equation, *map(mg.tensor, operands)).numpy()
    error = np.abs(ours - slow_einsum(equation, *operands)).max()
    print(f"{name:18} {equation:14} result {ours.shape!s:10} difference {error:.0e}")
    assert error < 1e-12

# %% [markdown]
# The last line is half of attention (lesson 13): for each of `b` sentences, how well each
# query `q` matches each key `k`, added up over `d` features.
#
# minigrad does not loop. It turns every product into permutations and matrix products,
# so that one fast kernel serves all of them:

# %%
show_source(mg.einsum)

# %% [markdown]
# ## Checked by finite differences
#
# All of these have gradients. What that means is the next lesson's subject. For now, see
# that a check exists: change each input a little, watch the output, and compare with
# what the library claims.

# %%
a = mg.tensor(Q, requires_grad=True)
b = mg.tensor(rng.standard_normal((6, 1)), requires_grad=True)
ok = mg.gradcheck(lambda a, b: mg.einsum("bqd,bkd->bqk", a + b, a.permute(0, 1, 2)), [a, b])
print(f"einsum, broadcasting and permute: {ok}")

# %% [markdown]
# ## The run: reading digits with distances
#
# Back to the question. The squared distance from each of $m$ new pictures $x_i$ to each of
# $n$ known ones $y_j$, first as loops:

# %%
known = mg.tensor(images).reshape(-1, 256)  # (n, 256)
new_images, new_labels = digits(300 if not fast() else 100, seed=2)
new = mg.tensor(new_images).reshape(-1, 256)  # (m, 256)


def with_loops(x, y):
    return [[sum((p - q) ** 2 for p, q in zip(a, b)) for b in y] for a in x]


few, some = new[:2].tolist(), known[:50].tolist()
start = time.perf_counter()
slow = with_loops(few, some)
loop_seconds = (time.perf_counter() - start) / (2 * 50)  # for one pair

# %% [markdown]
# With broadcasting it is one line. Give the new pictures a dimension of size 1 where the
# known ones count, and the other way round:
#
#         new      (m, 1, 256)
#         known    (1, n, 256)    →  differences (m, n, 256)
#
# That block of differences is large: 300 × 1200 × 256 numbers are 369 MB. So multiply out:
#
# $$ \sum_d (x_{id} - y_{jd})^2 = \sum_d x_{id}^2 - 2 \sum_d x_{id} y_{jd} + \sum_d y_{jd}^2 $$
#
# The middle term is a matrix product, and nothing larger than $(m, n)$ is ever made.


# %%
def with_broadcasting(x, y):
    return ((x.unsqueeze(1) - y.unsqueeze(0)) ** 2).sum(-1)


def with_a_product(x, y):
    return (x * x).sum(1, keepdim=True) - 2 * mg.einsum("id,jd->ij", x, y) + (y * y).sum(1)


piece = new[:20]
in_blocks, by_product = with_broadcasting(piece, known), with_a_product(piece, known)
assert np.allclose(in_blocks.numpy(), by_product.numpy(), atol=1e-2)
assert np.allclose(by_product[:2, :50].numpy(), slow, atol=1e-2)

seconds = {"loops": loop_seconds}
for name, distances in {"broadcasting": with_broadcasting, "a product": with_a_product}.items():
    distances(piece, known)  # the first call also compiles
    start = time.perf_counter()
    for _ in range(5):
        distances(piece, known)
    seconds[name] = (time.perf_counter() - start) / 5 / (len(piece) * len(known))
for name, each in seconds.items():
    print(f"{name:13} {1e9 * each:10.1f} ns per pair")

# %% [markdown]
# Now the classifier: the label of the nearest.

# %%
distances = with_a_product(new, known)  # (m, n)
nearest = distances.argmin(1)  # (m,)
answers = mg.tensor(labels)[nearest]
accuracy = (answers == mg.tensor(new_labels)).astype("float32").mean().item()

figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3), gridspec_kw={"width_ratios": [1, 1.2]})
left.barh(list(seconds), [1e9 * s for s in seconds.values()], color=["0.75", "0.5", "0.25"])
left.set_xscale("log")
left.set_xlabel("nanoseconds for one distance")
left.invert_yaxis()
right.set_axis_off()
right.set_title("new picture above, its nearest below")
top = np.concatenate(list(new_images[:8]), 1)
bottom = np.concatenate(list(images[nearest.numpy()[:8]]), 1)
right.imshow(np.concatenate([top, bottom]))
plt.show()

goal("accuracy", accuracy, at_least=0.85)
goal("loops take, times as long", seconds["loops"] / seconds["a product"], at_least=50)

# %% [markdown]
# The loop and the product do the same arithmetic. Python spends its time on looking up
# what `-` means for each pair of numbers. An array operation looks it up once. Lesson 6
# shows what the processor does with the difference.

# %% [markdown]
# ## A bug to find
#
# A model predicts a temperature for each of 500 days. `predicted` came out of a layer, so
# its shape is `(500, 1)`. The predictions are very good: off by about 0.1 degrees. Yet the
# mean squared error says otherwise, and no error was raised. What went wrong, in one word
# and one line? (The answer is at the end.)

# %%
true = mg.tensor(15 + 5 * rng.standard_normal(500))
predicted = (true + mg.tensor(0.1 * rng.standard_normal(500))).reshape(500, 1)


def mean_squared_error(predicted, true):
    return ((predicted - true) ** 2).mean()


wrong = mean_squared_error(predicted, true).item()
print(f"mean squared error {wrong:.2f}, expected about 0.01")

# %% [markdown]
# ## Exercises
#
# **Small** (5 minutes each)
#
# 1. Without running it: the shape of `mg.zeros(4, 1, 3) + mg.zeros(5, 1)`? And of
#    `mg.zeros(4, 3) + mg.zeros(4)`?
# 2. What are the strides, in numbers, of `x.permute(2, 0, 1)` for `x` of shape `(5, 6, 7)`?
# 3. Write the mean of every picture, shape `(n,)`, as an einsum.
#
# **Medium** (20 minutes each)
#
# 4. Add `__getitem__` with slices to `Strided`: `x[:, 1:3, ::2]` without copying.
# 5. Add `reshape` to `Strided`. When can it be done without copying, and when not? Find a
#    permuted array for which it cannot.
# 6. Let the three nearest vote instead of the nearest alone. Better? (`distances.topk`)
#
# **Large** (an evening)
#
# 7. Sliding windows by strides alone: a view of shape `(n - k + 1, k)` of a line of `n` numbers in
#    which each row is the next window. Use it to blur every picture with a 3 × 3 mean, no
#    loops, and see whether blurred pictures are classified better.
#
# **In the course kit** you write a piece of the library itself, and `minigrad course test 1.1` tells you
# whether it is right:
#
# - 1.1 A dimension of size one
# - 1.2 The variance
# - 1.3 Broadcasting, undone
# - 1.4 Einsum by matrix products

# %% [markdown]
# ## Answers
#
# **The bug.** Broadcasting. `(500, 1) - (500,)` aligns at the right, `(500, 1)` and `(1, 500)`,
# and gives `(500, 500)`: every prediction minus every temperature. The mean of all that is
# a plausible number. Cure: `predicted.reshape(500)`, and a habit: check the shapes first.
# The library's `F.mse_loss` refuses two different shapes for this reason.

# %%
right = mean_squared_error(predicted.reshape(500), true).item()
print(f"with equal shapes: {right:.4f}")

# %% [markdown]
# **Small 1.** `(4, 5, 3)`; the second is an error, 3 beside 4. **2.** `(1, 42, 7)`.
# **3.** `mg.einsum("nhw->n", x) / 256`.

# %% [markdown]
# ## Sources
#
# - C. Harris et al., *Array programming with NumPy*, Nature 585, 2020: figure 1 is this
#   lesson in one picture.
# - S. van der Walt, S. C. Colbert, G. Varoquaux, *The NumPy array: a structure for efficient
#   numerical computation*, Computing in Science & Engineering 13, 2011: the parts on memory layout and broadcasting.
# - A. Rogozhnikov, *Einops: clear and reliable tensor manipulations with Einstein-like
#   notation*, ICLR 2022: sections 2 and 3, on why names beat positions.
#
# Next: lesson 2, how much the result changes when an input does.
