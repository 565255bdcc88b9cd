# %% [markdown]
# # 3. Backpropagation: an engine from an empty file
#
# | | |
# |---|---|
# | Builds on | lessons 1 and 2: broadcasting, the chain rule, gradient rules |
# | You will have | an engine in 70 lines that differentiates programs on arrays, and a network trained with it |
# | Time | 90 minutes, of which 5 seconds are computing |
# | Memory | 0.2 GB |
#
# Lesson 2 ended with a promise: one pass backwards gives the derivative with respect to *all* inputs.
# Now you build the machine that does it, from an empty file, and find each piece of it in the library.

# %%
import time

import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
from lessons.material.kit import fast, goal, show_source

plt.style.use("lessons.material.grey")
rng = np.random.default_rng(0)

# %% [markdown]
# ## The question
#
# A program computes one number $L$ from many. We have not seen the program; we may only watch
# it run. How do we get $\frac{\partial L}{\partial x}$ for every number $x$ that took part?

# %% [markdown]
# ## A picture
#
# Watch this one: `c = a * b`, `d = c + a`, `L = c * d`, with $a = 2$ and $b = 3$. Each operation makes a
# node, with an arrow from each of its inputs. Values flow to the right along the arrows,
# derivatives to the left.

# %%
nodes = {  # name: place, value, derivative of L with respect to it (how they come about is the next section)
    "a": ((0, 0), 2, 48),
    "b": ((0, 2), 3, 28),
    "c = a·b": ((2.4, 2), 6, 14),
    "d = c+a": ((4.8, 0), 8, 6),
    "L = c·d": ((7.2, 1.2), 48, 1),
}
arrows = {  # from, to: local derivative
    ("a", "c = a·b"): "b = 3",
    ("b", "c = a·b"): "a = 2",
    ("c = a·b", "d = c+a"): "1",
    ("a", "d = c+a"): "1",
    ("c = a·b", "L = c·d"): "d = 8",
    ("d = c+a", "L = c·d"): "c = 6",
}
figure, ax = plt.subplots(figsize=(7.5, 3.3))
for (start, end), local in arrows.items():
    (x0, y0), (x1, y1) = nodes[start][0], nodes[end][0]
    style = {"arrowstyle": "-|>", "color": "0.5", "shrinkA": 34, "shrinkB": 36}
    ax.annotate("", (x1, y1), (x0, y0), arrowprops=style)
    middle = ((x0 + x1) / 2, (y0 + y1) / 2)
    background = {"fc": "white", "ec": "none", "pad": 1}
    ax.text(*middle, local, ha="center", va="center", fontsize=9, bbox=background)
for name, ((x, y), value, derivative) in nodes.items():
    label = f"{name}\nvalue {value}\nslope {derivative}"
    box = {"boxstyle": "round,pad=0.4", "fc": "0.93", "ec": "0.3"}
    ax.text(x, y, label, ha="center", va="center", fontsize=9, bbox=box)
ax.set_xlim(-0.8, 8)
ax.set_ylim(-0.7, 2.7)
ax.set_axis_off()
plt.show()

# %% [markdown]
# ## The derivation
#
# Start at the end: $\frac{\partial L}{\partial L} = 1$. Take any node $x$ whose value went into the nodes
# $y_1, \ldots, y_m$. A small change of $x$ changes each of them, and $L$ feels all of it:
#
# $$ \frac{\partial L}{\partial x} = \sum_k \frac{\partial L}{\partial y_k} \cdot \frac{\partial y_k}{\partial x} $$
#
# That is all of backpropagation. Read it as instructions for one node $y$ whose own derivative
# is known: *for each of my inputs $x$, add (mine) times (the local slope) to what $x$
# has so far.* Two words matter:
#
# - **add**: $a$ is used twice, so it hears twice. $48 = 14 \cdot 3 + 6 \cdot 1$.
# - **known**: a node may speak only when everybody who used it has spoken. `c` must wait
#   for `d` as well as for `L`. An order in which nobody speaks early is a *topological order*.
#
# Follow the picture from right to left with a pencil and check each slope.

# %% [markdown]
# ## The smallest code: recording
#
# The file is empty. First we watch the program run. Python lets us say what `a * b` means for our own class, so
# each operation can leave a note: which values went in, and the rule for going back.


# %%
class Value:
    """A number that remembers how it was computed.

    parents  the values it was made from
    rule     given the derivative with respect to this value, those for its parents, one each
    """

    def __init__(self, data, parents=(), rule=None):
        self.data = np.asarray(data, dtype="float64")
        self.parents, self.rule = parents, rule
        self.grad = 0.0

    def __add__(self, other):
        return type(self)(self.data + other.data, (self, other), lambda g: (g, g))

    def __mul__(self, other):
        x, y = self.data, other.data
        return type(self)(x * y, (self, other), lambda g: (g * y, g * x))

    def tanh(self):
        y = np.tanh(self.data)
        return type(self)(y, (self,), lambda g: (g * (1 - y * y),))


a, b = Value(2), Value(3)
c = a * b
d = c + a
L = c * d
print("L =", L.data, "made from", [float(p.data) for p in L.parents])

# %% [markdown]
# Look at what a rule is: a function that was made during the computation and remembers the values
# of that moment. Nobody wrote down the program, and yet we hold all of it.

# %% [markdown]
# ## The smallest code: the order
#
# Now the way back. A depth-first walk from $L$ to the inputs, in which each node is written
# down *after* its parents, gives an order in which parents come first. Reversed, it is the
# order we need. We keep our own stack rather than call ourselves: Python gives up after a
# thousand nested calls, and a network may have a hundred thousand operations in a row.


# %%
def topological_order(root):
    """The nodes behind root, every one after its parents."""
    order, seen, stack = [], set(), [(root, False)]
    while stack:
        node, parents_done = stack.pop()
        if parents_done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((parent, False) for parent in node.parents)
    return order


def backward(root):
    """Set .grad of every node that root was made from: root's derivative with respect to it."""
    order = topological_order(root)
    for node in order:
        node.grad = np.zeros_like(node.data)
    root.grad = np.ones_like(root.data)
    for node in reversed(order):
        if node.rule is not None:
            for parent, gradient in zip(node.parents, node.rule(node.grad)):
                parent.grad = parent.grad + gradient  # add, never replace


backward(L)
print("slopes of a, b, c, d:", *(float(node.grad) for node in (a, b, c, d)))
assert [float(n.grad) for n in (a, b, c, d)] == [48, 28, 14, 6]

# %% [markdown]
# That is an engine. It has less than forty lines, and it does not mind a long chain:

# %%
x = Value(1.0)
y = x
for _ in range(100_000 if not fast() else 5_000):
    y = y + x
backward(y)
print("a sum of many:", float(x.grad))

# %% [markdown]
# ## From numbers to arrays
#
# A node for each number is slow: lesson 1 showed what Python does with a million small steps. Let
# a value be a whole array. Look at the code again: nothing in it says "number". What breaks?

# %%
w = Value(rng.standard_normal((3, 1)))
v = Value(rng.standard_normal((1, 4)))
total = w * v
backward(total)
print("w has shape", w.data.shape, "but its gradient", w.grad.shape)

# %% [markdown]
# Broadcasting. `w` was repeated to the right four times, so each of its numbers was used in four
# places. The derivation already says what to do: *used several times, so add*. The
# gradient must be summed over the dimensions along which its value was repeated.
#
# That is work for the engine, once for all rules: `backward` brings each gradient to the shape of
# its value. Networks also need two more operations. The rule of `@` is from lesson 2. A sum
# hands its $g$ to everything that was summed.


# %%
def unbroadcast(gradient, shape):
    """Sum a gradient over the dimensions along which a value of this shape was repeated."""
    if gradient.shape == shape:
        return gradient
    gradient = gradient.sum(axis=tuple(range(gradient.ndim - len(shape))))
    repeated = [i for i, n in enumerate(shape) if n == 1]
    return gradient.sum(axis=tuple(repeated), keepdims=True)


def backward(root):
    """Set .grad of every node that root was made from: root's derivative with respect to it."""
    order = topological_order(root)
    for node in order:
        node.grad = np.zeros_like(node.data)
    root.grad = np.ones_like(root.data)
    for node in reversed(order):
        if node.rule is not None:
            for parent, gradient in zip(node.parents, node.rule(node.grad)):
                parent.grad = parent.grad + unbroadcast(gradient, parent.data.shape)


class Array(Value):
    """A value that is an array, with products and sums as well."""

    def __matmul__(self, other):
        A, B = self.data, other.data
        return Array(A @ B, (self, other), lambda g: (g @ B.T, A.T @ g))

    def sum(self):
        return Array(self.data.sum(), (self,), lambda g: (g * np.ones_like(self.data),))


w, v = Array(w.data), Array(v.data)
backward(w * v)
print("w has shape", w.data.shape, "and its gradient", w.grad.shape)

# %% [markdown]
# ## The library's own
#
# minigrad is this engine with more operations, better messages, and less wasted memory. Side by side:
#
# | yours | minigrad | what is added |
# |---|---|---|
# | the lambda | `Function.backward`, a class for each operation | saved arrays are let go after use |
# | `Value(…, parents, rule)` | `Function.__call__` | records only what needs a gradient |
# | `topological_order` | `_flow`: the order of creation, reversed | no search, just a sort by number |
# | `unbroadcast` | `unbroadcast` | a check of shape and dtype, with the rule's name |
# | `parent.grad + gradient` | `pending[parent]` | added in place where nobody else looks |
#
# Why is the order of creation good enough? A node is always made after its parents.
# Here is one operation, then how a call is recorded:

# %%
from minigrad import engine
from minigrad.function import Function
from minigrad.ops.arithmetic import Mul

show_source(Mul, Function.__call__)

# %% [markdown]
# And here is how gradients flow. Find in it your four steps: the order, the one at the end,
# the rule, the adding. Skip what is new to you (`hooks`, `PartialGradient`); it will be met later.

# %%
show_source(engine._flow, engine.unbroadcast)

# %% [markdown]
# The graph of a real tensor can be looked at: `draw_graph(y)` is a picture in a notebook,
# and its text reads like the program it recorded.

# %%
a = mg.tensor(2.0, requires_grad=True)
b = mg.tensor(3.0, requires_grad=True)
c = a * b
L = c * (c + a)
print(mg.draw_graph(L, {"a": a, "b": b}).text())

# %% [markdown]
# ## Checked by finite differences
#
# A small network, with every operation you have. Each number of each parameter is moved a
# little to both sides, and the engine must agree. Then minigrad is asked too.


# %%
def network(x, W1, b1, W2):
    return ((x @ W1 + b1).tanh() @ W2).tanh().sum()


values = [rng.standard_normal(shape) for shape in ((5, 2), (2, 3), (3,), (3, 1))]
arrays = [Array(value) for value in values]
backward(network(*arrays))

h, worst = 1e-6, 0.0
for k, value in enumerate(values):
    for index in np.ndindex(value.shape):
        moved = []
        for step in (h, -h):
            changed = [other.copy() for other in values]
            changed[k][index] += step
            moved.append(float(network(*map(Array, changed)).data))
        worst = max(worst, abs((moved[0] - moved[1]) / (2 * h) - arrays[k].grad[index]))
print(f"largest difference from finite differences: {worst:.0e}")
assert worst < 1e-8

tensors = [mg.tensor(value, requires_grad=True) for value in values]
network(*tensors).backward()
for ours, theirs in zip(arrays, tensors):
    assert np.allclose(ours.grad, theirs.grad.numpy(), rtol=1e-12, atol=1e-14)
print("minigrad gives the same gradients; gradcheck:", mg.gradcheck(network, tensors))

# %% [markdown]
# And the promise of lesson 2: one pass back costs about as much as a few passes forward, however
# many numbers there are.


# %%
def seconds(act):
    """The shortest of several runs: the others were disturbed by something."""
    times = []
    for _ in range(40):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return min(times)


big = [Array(rng.standard_normal(shape)) for shape in ((400, 300), (300, 300), (300,), (300, 1))]
end = network(*big)
ratio = seconds(lambda: backward(end)) / seconds(lambda: network(*big))
count = sum(array.data.size for array in big)
print(f"{count:,} derivatives for {ratio:.1f} times the cost of computing the function")

# %% [markdown]
# ## The run: two moons
#
# Two bent clouds of points, which no straight line can part. The network has 2 inputs, 16
# hidden numbers and one output, and every gradient comes from **your** engine. The
# error is the mean of $(\text{output} - \text{target})^2$ with targets $-1$ and $1$.


# %%
def moons(n, rng):
    angle = np.pi * rng.random(n)
    upper = np.column_stack([np.cos(angle), np.sin(angle)])
    side = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    points = np.where(side[:, None] > 0, upper, [1.0, 0.4] - upper)
    return points + 0.12 * rng.standard_normal((n, 2)), side[:, None]


def predict(x, W1, b1, W2, b2):
    return ((x @ W1 + b1).tanh() @ W2 + b2).tanh()


points, side = moons(200, rng)
shapes = {"W1": (2, 16), "b1": (16,), "W2": (16, 1), "b2": (1,)}
start = [rng.standard_normal(shape) / shape[0] ** 0.5 for shape in shapes.values()]


def train(steps, make, gradients, learning_rate=0.5):
    """Gradient descent; make turns arrays into the engine's kind, gradients(loss, leaves) asks
    it."""
    parameters, losses = [value.copy() for value in start], []
    for _ in range(steps):
        leaves = [make(value) for value in parameters]
        error = predict(make(points), *leaves) + make(-side)
        loss = (error * error).sum() * make(1 / len(points))
        losses.append(float(loss.data))
        for value, gradient in zip(parameters, gradients(loss, leaves)):
            value -= learning_rate * gradient
    return parameters, losses


def ours(loss, leaves):
    backward(loss)
    return [leaf.grad for leaf in leaves]


def minigrads(loss, leaves):
    return [gradient.numpy() for gradient in mg.grad(loss, leaves)]


steps = 600 if not fast() else 150
parameters, losses = train(steps, Array, ours)
_, check = train(20, lambda value: mg.tensor(value, dtype="float64", requires_grad=True), minigrads)
print(f"after 20 steps: ours {losses[19]:.12f}, minigrad {check[19]:.12f}")
assert abs(losses[19] - check[19]) < 1e-10

# %% [markdown]
# The check on *new* points is what counts: lesson 5 says why.

# %%
new_points, new_side = moons(1000, rng)
answers = predict(*map(Array, [new_points, *parameters])).data
accuracy = ((answers > 0) == (new_side > 0)).mean()

figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.2))
left.semilogy(losses)
left.set_xlabel("step")
left.set_ylabel("mean squared error")
gx, gy = np.meshgrid(np.linspace(-1.5, 2.5, 120), np.linspace(-1.2, 1.6, 100))
grid = np.column_stack([gx.ravel(), gy.ravel()])
surface = predict(*map(Array, [grid, *parameters])).data.reshape(gx.shape)
right.contourf(gx, gy, surface, 8, cmap="Greys", alpha=0.5)
right.contour(gx, gy, surface, [0.0], colors="black")
for sign, mark, name in ((1, "o", "target 1"), (-1, "^", "target -1")):
    chosen = points[side[:, 0] == sign]
    fill = "white" if sign < 0 else "0.3"
    right.plot(*chosen.T, mark, markersize=3.5, label=name, mec="black", mfc=fill)
right.set_xlabel("x₁")
right.set_ylabel("x₂")
right.legend(fontsize=8, loc="upper right", frameon=True)
plt.show()

goal("accuracy on new points", accuracy, at_least=0.97)

# %% [markdown]
# ## A bug to find
#
# A friend writes a shorter `backward`. It keeps a queue, and lets each node speak as its turn comes.
# It gives the right answer for `a * b`, for `a * a`, and for the network above. It is
# wrong for the five nodes of our first picture. What did the friend forget, and why do
# most programs not notice?

# %%
from collections import deque


def hasty_backward(root):
    for node in topological_order(root):
        node.grad = np.zeros_like(node.data)
    root.grad = np.ones_like(root.data)
    queue, seen = deque([root]), {root}
    while queue:
        node = queue.popleft()
        if node.rule is None:
            continue
        for parent, gradient in zip(node.parents, node.rule(node.grad)):
            parent.grad = parent.grad + unbroadcast(gradient, parent.data.shape)
            if parent not in seen:
                seen.add(parent)
                queue.append(parent)


a, b = Value(2), Value(3)
hasty_backward(a * a)
print("a·a, right:", float(a.grad) == 4)
again = [Array(value) for value in values]
hasty_backward(network(*again))
print("network, right:", all(np.allclose(x.grad, y.grad) for x, y in zip(again, arrays)))
c = a * b
hasty_backward(c * (c + a))
hasty_slopes = float(a.grad), float(b.grad)
print("slopes of a and b:", hasty_slopes, "expected (48, 28)")

# %% [markdown]
# ## Exercises
#
# **Small** (5 minutes each)
#
# 1. Add `exp` and `relu` to `Array`, with their rules.
# 2. What is `x.grad` after `backward(x * x * x)` at $x = 2$? In how many places was it added?
# 3. In `backward`, write `parent.grad = gradient` instead of adding. Which slopes of the picture change?
#
# **Medium** (20 minutes each)
#
# 4. Add `max` over all elements. Where does the gradient go, and what do you do at a tie?
# 5. The order of creation: give each `Value` a running number, and replace
#    `topological_order` by a sort. Why is it right?
# 6. After `backward` nothing in the graph is needed but the leaves. Let each node forget its
#    rule once it has spoken. What must happen when someone calls `backward` twice?
#
# **Large** (an evening)
#
# 7. Gradients of gradients: write the rules with `Array` operations instead of numpy's, so that
#    `backward` records itself. Check it with $x^3$, whose second derivative is $6x$.
# 8. *Checkpointing*: keep only every tenth value of a long chain, and compute the others again on
#    the way back. How much memory, how much time? (Chen et al. 2016, section 4.)
#
# **In the course kit** you write a piece of the library itself, and `minigrad course test 3.1` tells you
# whether it is right:
#
# - 3.1 The rule of a product
# - 3.2 A leaf collects its gradient
# - 3.3 What leads to a target
# - 3.4 The engine

# %% [markdown]
# ## Answers
#
# **The bug.** It forgot to wait. `L` speaks to `c` and to `d`. Then `c` speaks, before `d` has told it
# its share: it passes on 8 instead of 14. Where all paths between two nodes are equally
# long, as in most small examples, a queue happens to be in order.
# Residual connections (lesson 14) are paths of unequal length, so there this bug would
# be everywhere.

# %%
backward(c * (c + a))
right_slopes = float(a.grad), float(b.grad)
print("in topological order:", right_slopes)

# %% [markdown]
# **Small 2.** 12, added three times: the outer product gives $4$, and the inner one twice $2 \cdot 2$.
# **Small 3.** $a$ and $c$ hear twice, so only the last they heard is kept; and what `c`
# passes on to `b` is wrong with it.

# %% [markdown]
# ## Sources
#
# - D. Rumelhart, G. Hinton, R. Williams, *Learning representations by back-propagating errors*,
#   Nature 323, 1986: equations 5 to 7 are the derivation above.
# - A. Baydin et al., *Automatic differentiation in machine learning: a survey*, JMLR 18, 2018: section 3.2.
# - A. Griewank, A. Walther, *Evaluating Derivatives*, 2nd edition, SIAM 2008: chapter 3, and section 4.4 for
#   the bound on the cost.
# - A. Karpathy, *micrograd*, 2020: an engine for single numbers, to compare with yours.
# - T. Chen, B. Xu, C. Zhang, C. Guestrin, *Training deep nets with sublinear memory cost*, arXiv:1604.06174, 2016.
#
# Next: lesson 4, what to build with it.
