# %% [markdown]
# # 20. Trust: how a wrong gradient hides, and how to find it
#
# | | |
# |---|---|
# | Builds on | lessons 2 to 5: difference quotients, gradient rules, layers, training |
# | You will have | a check of twenty lines that catches every wrong rule in this lesson, and habits that catch others |
# | Time | 80 minutes, of which 20 seconds are computing |
# | Memory | 0.3 GB |
#
# This is the last lesson. You can build all of it now. Can you believe what you built?

# %%
import inspect
import itertools

import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
import nn
from lessons.material.digits import digits
from lessons.material.kit import fast, goal, show_source
from minigrad import threads
from minigrad.function import Function
from nn import functional as F
from nn import optim

plt.style.use("lessons.material.grey")
mg.manual_seed(0)
rng = np.random.default_rng(0)

# %% [markdown]
# ## The question
#
# A program that crashes tells you that it is wrong. A program with a wrong gradient trains. The loss
# falls, only a little more slowly, to a place that is a little worse. You blame the data, or the
# learning rate. **How do you know that a gradient is right?**

# %% [markdown]
# ## A picture: three networks, and one is right
#
# Each of these networks reads digits, with a layer norm in the middle: every row is brought to mean 0 and variance 1.
# Call the result $h$, the row's deviation $\sigma$, and $g$ the gradient that comes from above. The rule is (lesson 6)
#
# $$ \frac{\partial L}{\partial x} = \frac{1}{\sigma} (g - \text{mean}(g) - h \cdot \text{mean}(g h)) $$
#
# One network uses it. One leaves out the second term, and one the last. Which curve is which?


# %%
def normalised(x):
    centred = x - x.mean(-1, keepdims=True)
    rstd = 1 / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return centred * rstd, rstd


def layer_norm_rule(g, x, mean=True, slope=True):
    h, rstd = normalised(x)
    dx = g - mean * g.mean(-1, keepdims=True) - slope * h * (g * h).mean(-1, keepdims=True)
    return rstd * dx


def operation(forward, rule):
    """An operation from two functions of arrays: forward(*inputs) and rule(gradient, *inputs)."""

    class Operation(Function):
        def forward(self, *inputs):
            self.save_for_backward(*inputs)
            return forward(*inputs)

        def backward(self, grad):
            return rule(grad, *self.saved)

    return lambda *inputs: Operation()(*inputs)


images, labels = digits(1000 if not fast() else 300, seed=1)
new_images, new_labels = digits(500 if not fast() else 200, seed=2)


def train(normalise, tanh=lambda x: x.tanh(), loss_function=F.cross_entropy, steps=None):
    """Train a network of these parts; losses of each step, and the accuracy on new pictures."""
    mg.manual_seed(1)
    first, second = nn.Linear(256, 48), nn.Linear(48, 10)
    optimizer = optim.SGD([*first.parameters(), *second.parameters()], lr=0.05, momentum=0.9)
    shuffled, losses = np.random.default_rng(3), []
    for _ in range(steps or (200 if not fast() else 25)):
        batch = shuffled.choice(len(labels), 50, replace=False)
        x = mg.tensor(images[batch]).reshape(-1, 256)
        loss = loss_function(second(tanh(normalise(first(x)))), mg.tensor(labels[batch]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with mg.no_grad():
        logits = second(tanh(normalise(first(mg.tensor(new_images).reshape(-1, 256)))))
    return losses, float((logits.numpy().argmax(1) == new_labels).mean())


rules = {
    "A": layer_norm_rule,
    "B": lambda g, x: layer_norm_rule(g, x, mean=False),
    "C": lambda g, x: layer_norm_rule(g, x, slope=False),
}
figure, ax = plt.subplots(figsize=(7.5, 2.8))
trained = {}
for name, rule in rules.items():
    trained[name] = train(operation(lambda x: normalised(x)[0], rule))
    smooth = np.convolve(trained[name][0], np.ones(10) / 10, "valid")
    ax.semilogy(smooth, label=f"network {name}: accuracy {trained[name][1]:.3f}")
ax.set_xlabel("step")
ax.set_ylabel("loss, mean of 10 steps")
ax.legend()
plt.show()

# %% [markdown]
# You cannot tell. A is the right one, and a wrong one may even come out best. Why do wrong gradients train? A step
# of length $\eta$ along a direction $d$ changes the loss by about $-\eta g \cdot d$, where $g$ is the true gradient.
# That is negative whenever the angle between the two is below 90 degrees. A wrong gradient need not be right, it
# must only point down, roughly:

# %%
x, g = rng.standard_normal((50, 48)), rng.standard_normal((50, 48))
h, _ = normalised(x)
g += 2 * h  # upstream gradients of a trained network have a part along h
right = layer_norm_rule(g, x).ravel()
for name, rule in rules.items():
    d = rule(g, x).ravel()
    cosine = right @ d / np.linalg.norm(right) / np.linalg.norm(d)
    print(
        f"network {name}: angle to the right gradient {np.degrees(np.arccos(min(cosine, 1))):.0f} degrees"
    )

# %% [markdown]
# So "it trains" is no evidence. Compare the gradient itself with something that does not use the rule at all: the
# difference quotient of lesson 2.

# %% [markdown]
# ## Derived: one number for a whole rule
#
# A rule gives thousands of numbers. To check each of them with a difference quotient takes two evaluations per
# number. But take *any* direction $d$, as large as the input, and move along it:
#
# $$ \frac{L(x + \varepsilon d) - L(x - \varepsilon d)}{2 \varepsilon}
#    \approx \nabla L \cdot d + \frac{\varepsilon^2}{6} L''' $$
#
# where $L'''$ is the third derivative along $d$. Two evaluations check all the numbers at once. If $d$ is random and
# the gradient wrong anywhere, the two sides agree only by a freak accident.
#
# Two errors fight over $\varepsilon$. The formula is off by $\varepsilon^2$, and rounding by about
# $u / \varepsilon$, with $u = 10^{-16}$ for float64 and $10^{-7}$ for float32. The best is near $u^{1/3}$. See how
# far float32 gets:

# %%
epsilons = np.logspace(-9, -0.5, 35)
weights = rng.standard_normal((6, 8))
start, direction = rng.standard_normal((6, 8)), rng.standard_normal((6, 8))
true = (layer_norm_rule(weights, start) * direction).sum()
wrong_slope = (layer_norm_rule(weights, start, mean=False) * direction).sum()
errors = {}
for dtype in ("float64", "float32"):
    w, s, d = (each.astype(dtype) for each in (weights, start, direction))
    errors[dtype] = []
    for eps in epsilons.astype(dtype):
        above, below = ((w * normalised(s + sign * eps * d)[0]).sum() for sign in (1, -1))
        errors[dtype].append(abs(float(above - below) / (2 * float(eps)) / true - 1))

figure, ax = plt.subplots(figsize=(7.5, 2.9))
for dtype, values in errors.items():
    ax.loglog(epsilons, np.maximum(values, 1e-12), label=dtype)
ax.axhline(
    abs(wrong_slope / true - 1), color="0.4", linestyle=":", label="error of the rule of network B"
)
ax.set_xlabel("ε")
ax.set_ylabel("relative error of the quotient")
ax.legend(fontsize=8)
plt.show()
for dtype, values in errors.items():
    print(f"{dtype}: best error {min(values):.0e} at ε = {epsilons[np.argmin(values)]:.0e}")

# %% [markdown]
# In float64 any $\varepsilon$ between $10^{-7}$ and $10^{-4}$ is good. In float32 the quotient is off by a hundredth
# at one $\varepsilon$ and by a thousandth at the next. A tolerance that lets it pass lets wrong rules pass too.
# **Check in float64**, even what will run in float32.

# %% [markdown]
# ## Derived: the sum that sees nothing
#
# To get one number $L$ from an operation with many outputs, most people write `y.sum()`. For a softmax that is the
# worst choice there is. Its outputs add up to 1 in every row, so $L$ is the number of rows,
# *whatever x is*. The true gradient is zero. And the rule $y (g - \sum_j g_j y_j)$ with $g = 1$ gives $y (1 - 1) = 0$.
# So do many wrong rules. Nothing at all was checked. The same holds for layer norm, whose rows add up to 0.
#
# The remedy: multiply each output by a *random number* of its own before adding up. That is the upstream gradient $u$:
#
# $$ L = \sum_i u_i y_i $$

# %% [markdown]
# ## The smallest code
#
# All three ideas: float64, a random direction, a random upstream gradient. Beside it a version with
# `sum`, to see what it misses.


# %%
def check(function, *arrays, upstream=None, eps=1e-6, tolerance=1e-6):
    """Whether the gradients of function(*tensors) agree with the difference quotient along
    random directions."""
    dice = np.random.default_rng(1)
    tensors = [mg.tensor(array, dtype="float64", requires_grad=True) for array in arrays]
    output = function(*tensors)
    u = dice.uniform(0.5, 1.5, output.shape) * dice.choice([-1, 1], output.shape)
    u = u if upstream is None else np.full(output.shape, upstream)
    gradients = mg.grad(output, tensors, mg.tensor(u))
    for i, gradient in enumerate(gradients):
        for _ in range(3):
            d = dice.standard_normal(arrays[i].shape)
            ends = []
            for sign in (1, -1):
                moved = [mg.tensor(array, dtype="float64") for array in arrays]
                moved[i] = moved[i] + sign * eps * mg.tensor(d)
                ends.append((u * function(*moved).numpy()).sum())
            quotient = (ends[0] - ends[1]) / (2 * eps)
            if not abs((gradient.numpy() * d).sum() - quotient) < tolerance * (1 + abs(quotient)):
                return False
    return True


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


x = rng.standard_normal((4, 5))
softmax_rules = {
    "right": lambda g, x: softmax(x) * (g - (g * softmax(x)).sum(-1, keepdims=True)),
    "always zero": lambda g, x: 0 * x,
    "mean for the weighted sum": lambda g, x: softmax(x) * (g - g.mean(-1, keepdims=True)),
    "sum over the wrong axis": lambda g, x: softmax(x) * (g - (g * softmax(x)).sum(0)),
}
for name, rule in softmax_rules.items():
    f = operation(softmax, rule)
    with_sum = "passes" if check(f, x, upstream=1.0) else "caught"
    at_random = "passes" if check(f, x) else "caught"
    print(f"{name:>26}: with sum() {with_sum}, with random numbers {at_random}")

# %% [markdown]
# ## The library's own
#
# `minigrad.gradcheck` is this check, with four things more. Small inputs are checked number by number,
# so it can say *which* is wrong. It looks for a pattern in the differences, and says what usually causes it. Where one
# $\varepsilon$ cannot tell, it tries others: what shrinks with $\varepsilon$ is curvature, what grows is rounding, and
# what stays is a mistake. And it makes sure that the function leaves its inputs alone, gives the same twice, also with
# another call in between, and the same for strided inputs and for each input alone.

# %%
from minigrad.gradcheck import _Check, _upstream

print(inspect.getdoc(mg.gradcheck))
show_source(_Check.at, _Check.difference, _Check.check_elements, _upstream)

# %% [markdown]
# ## Checked by finite differences, to the second order
#
# Ask it about the three networks, and read what it says about B and C.

# %%
for name, rule in rules.items():
    f = operation(lambda x: normalised(x)[0], rule)
    try:
        mg.gradcheck(f, [mg.tensor(x, requires_grad=True)])
        print(f"network {name}: right\n")
    except mg.GradcheckError as error:
        print(f"network {name}: {error}\n")

# %% [markdown]
# A rule may be right and still be wrong one level up. Gradients of gradients need a rule that *records itself*.
# This cube computes its rule with a plain array, behind the engine's back:


# %%
class HiddenCube(Function):
    """x³ with a right rule that the engine cannot see into."""

    def forward(self, x):
        self.save_for_backward(x)
        return x**3

    def backward(self, grad):
        x = self.saved[0]
        x = x.data if isinstance(x, mg.Tensor) else x
        return grad * (3 * x**2)


z = mg.tensor([1.0, 2.0], dtype="float64", requires_grad=True)
print("first order:", mg.gradcheck(lambda x: HiddenCube()(x), [z]))
try:
    mg.gradgradcheck(lambda x: HiddenCube()(x), [z])
    second_order_caught = False
except mg.GradcheckError as error:
    second_order_caught = True
    print("second order:", error)

# %% [markdown]
# ## Property tests: let the computer choose the examples
#
# A check is as good as the inputs you think of. Here is a rule for the mean along an axis:


# %%
def mean_rule(g, x):
    """For x.mean(1): each of the numbers of a row gets its share."""
    return np.repeat(g[:, None], x.shape[1], 1) / len(x)


mean = operation(lambda x: x.mean(1), mean_rule)
print("a 3 by 3 matrix:", check(mean, rng.standard_normal((3, 3))))

# %% [markdown]
# It passes, and it is wrong. Instead of an example, state a **property**: *for all shapes, the check passes*. Then
# let the computer look for a counterexample. If you go from small to large, the first one found is also the simplest:


# %%
def find_counterexample(property, *choices):
    """The first combination of choices, small ones first, for which the property does not hold,
    or None."""
    for example in sorted(itertools.product(*choices), key=sum):
        if not property(*example):
            return example
    return None


def holds_for(rows, columns):
    return check(mean, np.random.default_rng(2).standard_normal((rows, columns)))


counterexample = find_counterexample(holds_for, range(1, 5), range(1, 5))
print("our own search:", counterexample)

try:
    from hypothesis import find, settings
    from hypothesis import strategies as st
except ImportError:
    print("hypothesis is not installed (pip install hypothesis); our own search has to do")
else:
    sizes = st.integers(1, 20)
    found = find(
        st.tuples(sizes, sizes),
        lambda shape: not holds_for(*shape),
        settings=settings(max_examples=200, database=None, derandomize=True),
    )
    print("hypothesis:", found)

# %% [markdown]
# The shape says what is wrong: it divides by the number of *rows*. Square matrices cannot show that.
#
# *hypothesis* is a library for exactly this. It draws examples at random, and when one fails it makes it
# smaller as long as it still fails. Every operation of minigrad is tested by it, over shapes, broadcasting,
# strides and empty arrays. Good properties to state: it agrees with a slow version that is plainly right; doing and
# undoing gives back the input; a batch gives what its rows give one by one; changing the future does not change the
# past (lesson 14).

# %% [markdown]
# ## NaN: find the line
#
# A NaN spreads. One bad number at step 700, and by step 702 all the weights are gone. Where did it begin? Inside
# `detect_anomaly()` each operation and each rule is looked at, and the first that makes a NaN or an infinity out of
# good numbers is named, with the line that called it. It is slow, so use it for finding, not for training.


# %%
def distance_loss(a, b):
    difference = a - b
    squares = (difference * difference).sum(1)
    distance = squares.sqrt()
    return distance.mean()


a = mg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
b = mg.tensor([[1.0, 2.0], [0.0, 0.0]])
loss = distance_loss(a, b)
with np.errstate(all="ignore"):  # numpy would warn; in a long training nobody reads it
    loss.backward()
print("loss", loss.item(), "gradient", a.grad.numpy().tolist())
try:
    with np.errstate(all="ignore"), mg.detect_anomaly():
        distance_loss(a, b).backward()
    named_line = ""
except FloatingPointError as error:
    named_line = str(error)
    print(named_line)

# %% [markdown]
# The forward pass was perfect. The first two points coincide, their distance is 0, and the derivative of $\sqrt{s}$ at
# 0 is $1 / (2 \sqrt{0})$. Infinity times the zero that comes next is NaN. The cure is to add a tiny $\varepsilon$
# under the root, where the message points.

# %% [markdown]
# ## The same seed, the same bits
#
# If a training run cannot be repeated, a bug in it cannot be found by bisection, and no two numbers in your table
# can be compared. minigrad has one source of randomness, set by `manual_seed`. So the same program twice must give
# the same bits:

# %%
first, second = (train(lambda x: F.layer_norm(x, x.shape[-1:]), steps=30)[0] for _ in range(2))
same_twice = first == second
print("30 steps twice, equal to the last bit:", same_twice)

# %% [markdown]
# Threads are where this is lost. Addition of floats depends on the order: $(a + b) + c$ and $a + (b + c)$ round
# differently. If threads add up their shares in the order in which they happen to finish, the sum changes from run
# to run. Here are the same 100,000 numbers in 300 orders:

# %%
numbers = rng.standard_normal(100_000 if not fast() else 20_000).astype(np.float32)
exact = numbers.astype(np.float64).sum()
sums = [float(np.cumsum(rng.permutation(numbers))[-1]) for _ in range(300 if not fast() else 60)]
figure, ax = plt.subplots(figsize=(7.5, 2.4))
ax.hist(np.array(sums) - exact, 40, color="0.6")
ax.axvline(0, color="black", linestyle="--", label="exact")
ax.set_xlabel("error of the sum")
ax.set_ylabel("orders")
ax.legend()
plt.show()
print(f"{len(set(sums))} different sums of the same numbers; the exact one is {exact:.4f}")

# %% [markdown]
# The remedy is not to forbid threads but to fix the order. The library cuts rows into chunks whose number does *not*
# depend on the threads. Each chunk is added by one thread, and the chunks in order at the end. So one thread or many
# give the same bits:

# %%
from minigrad.kernels.cpu import normalization

show_source(normalization._layer_norm_backward.py_func)

x32, g32 = (rng.standard_normal((2000, 64)).astype(np.float32) for _ in range(2))
statistics = x32.mean(1), 1 / x32.std(1)
ones = np.ones(64, np.float32)
cores, results = threads.get_num_threads(), []
for count in (1, cores):
    threads.set_num_threads(count)
    results.append(normalization.layer_norm_backward(g32, x32, ones, *statistics)[1])
same_with_threads = bool((results[0] == results[1]).all())
print(f"gradient of the weight with 1 and {cores} threads, equal bits: {same_with_threads}")

# %% [markdown]
# ## The run: ten wrong rules
#
# Ten mistakes that people make, each in a network that is trained as above. Three judges look at them. The first only
# looks whether the loss fell to half. The second is the check with `sum`. The third is yours. How many does each
# catch?


# %%
def log_softmax(x):
    shifted = x - x.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def cross_entropy(x, t):
    return -log_softmax(x)[np.arange(len(t)), t].mean()


def cross_entropy_rule(g, x, t, hot=1.0, scale=None, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    p = e / e.sum(axis, keepdims=True)
    return g * (p - hot * np.eye(x.shape[1], dtype=x.dtype)[t]) * (scale or 1 / len(t)), None


def tanh_rule(g, x):
    return g * (1 - np.tanh(x) ** 2)


def first_rows(g):
    g = g.copy()
    g[len(g) // 2 :] = 0
    return g


mistakes = {  # which part of the network, and its rule
    "layer norm: mean(g) forgotten": ("normalise", rules["B"]),
    "layer norm: h·mean(gh) forgotten": ("normalise", rules["C"]),
    "layer norm: 1/σ forgotten": (
        "normalise",
        lambda g, x: layer_norm_rule(g, x) / normalised(x)[1],
    ),
    "layer norm: σ taken as constant": ("normalise", lambda g, x: g * normalised(x)[1]),
    "tanh: 1 - y instead of 1 - y²": ("tanh", lambda g, x: g * (1 - np.tanh(x))),
    "tanh: factor forgotten": ("tanh", lambda g, x: g),
    "tanh: half the batch lost": ("tanh", lambda g, x: tanh_rule(first_rows(g), x)),
    "cross-entropy: not divided by n": (
        "loss",
        lambda g, x, t: cross_entropy_rule(g, x, t, scale=1.0),
    ),
    "cross-entropy: softmax over rows": (
        "loss",
        lambda g, x, t: cross_entropy_rule(g, x, t, axis=0),
    ),
    "cross-entropy: targets forgotten": (
        "loss",
        lambda g, x, t: cross_entropy_rule(g, x, t, hot=0.0),
    ),
}
parts = {"normalise": lambda x: normalised(x)[0], "tanh": np.tanh}
x, classes = rng.standard_normal((6, 5)), np.array([0, 1, 2, 3, 4, 0])


def judged(part, rule):
    """(loss fell, check with sum passes, check passes) for a rule in this part of the network."""
    if part == "loss":
        made = operation(cross_entropy, rule)
        losses, _ = train(lambda x: F.layer_norm(x, x.shape[-1:]), loss_function=made)
        f = lambda x: made(x, mg.tensor(classes))  # noqa: E731
    else:
        f = operation(parts[part], rule)
        normal = {"normalise": lambda x: F.layer_norm(x, x.shape[-1:])}
        losses, _ = train(**(normal | {part: f}))
    fell = np.mean(losses[-10:]) < (0.5 if not fast() else 0.8) * losses[0]
    return bool(fell), check(f, x, upstream=1.0), check(f, x)


verdicts = {name: judged(*mistake) for name, mistake in mistakes.items()}
figure, ax = plt.subplots(figsize=(7.5, 3.4))
judges = ["the loss falls", "check with sum()", "check"]
for row, verdict in enumerate(verdicts.values()):
    for column, passes in enumerate(verdict):
        face = "white" if passes else "0.25"
        ax.plot(column, -row, "o", markersize=11, mec="black", mfc=face)
ax.set_yticks(-np.arange(len(verdicts)), list(verdicts), fontsize=8)
ax.set_xticks(range(3), judges)
ax.set_xlim(-0.5, 2.5)
ax.set_title("full: caught, empty: let through", fontsize=9)
ax.grid(False)
plt.show()
caught = np.mean([[not passes for passes in verdict] for verdict in verdicts.values()], axis=0)
print({judge: f"{share:.0%} caught" for judge, share in zip(judges, caught)})

right_rules = {
    "normalise": operation(parts["normalise"], layer_norm_rule),
    "tanh": operation(np.tanh, tanh_rule),
    "loss": lambda x: operation(cross_entropy, cross_entropy_rule)(x, mg.tensor(classes)),
}
assert all(
    check(f, x) for f in right_rules.values()
)  # a check that says no to everything is no check
goal("share of the wrong rules that your check catches", caught[2], at_least=1)

# %% [markdown]
# The last assertion matters. To judge a check, show it right rules *and* wrong ones. The tests of minigrad plant eighty
# wrong rules, and `gradcheck` must catch each (tests/minigrad/test_planted_faults.py).

# %% [markdown]
# ## A bug to find
#
# Outliers spoil a fit by least squares. The *Huber loss* is a square near zero and a straight line outside
# $\pm \delta$:
#
# $$ L(r) = \frac{1}{2} r^2 \quad \text{if } |r| \le \delta, \text{ else } \quad \delta (|r| - \delta / 2) $$
#
# A friend wrote it, with a rule. The friend learnt from this lesson: the check below is random, in float64, on inputs
# from both branches. It is green. Then the friend fits a line with the slope 2 through points of which a tenth are
# far off. The result is much better than least squares, so the friend is content. Still, it is more than twice as
# far from 2 as it should be. What is wrong, and why did the check not see it?


# %%
def huber(r, delta=1.0):
    inside = np.abs(r) <= delta
    return np.where(inside, 0.5 * r * r, delta * (np.abs(r) - delta / 2))


def huber_rule(g, r, delta=1.0):
    return g * np.where(np.abs(r) <= delta, r, np.sign(r))


print("the friend's check:", check(operation(huber, huber_rule), 3 * rng.standard_normal((5, 6))))

positions = np.linspace(0, 1, 60)
heights = 2 * positions + 0.02 * rng.standard_normal(60)
heights[54:] += 3  # outliers, all on one side


def fitted_slope(rule, delta=0.2, steps=400):
    f = operation(lambda r: huber(r, delta), lambda g, r: rule(g, r, delta))
    line = mg.zeros(2, dtype="float64", requires_grad=True)
    optimizer = optim.SGD([line], lr=0.5)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 1.0 * (1 - step / steps)
        residual = line[0] * mg.tensor(positions) + line[1] - mg.tensor(heights)
        optimizer.zero_grad()
        f(residual).mean().backward()
        optimizer.step()
    return float(line[0].item())


friends_slope = fitted_slope(huber_rule)
print(
    f"slope: {friends_slope:.2f}, and 2 is right; least squares: {np.polyfit(positions, heights, 1)[0]:.2f}"
)

# %% [markdown]
# ## Exercises
#
# **Small** (5 minutes each)
#
# 1. For which operations does the check with `sum()` see everything? Name three.
# 2. Why must `check` use the same upstream numbers in both evaluations?
# 3. What does gradcheck say about relu at $x = 0$? Try it. Who is right?
#
# **Medium** (20 minutes each)
#
# 4. Lesson 5 had a network with `.detach()` after its first layer. Write a test that finds it: after `backward`, each
#    parameter has a gradient, and it is not zero everywhere.
# 5. Write the property "a batch gives what its rows give one by one" for a `TransformerEncoder` with padding. Does
#    it hold?
# 6. How large must an error be in *one* of 10,000 numbers for a random direction to see it with a tolerance of
#    $10^{-6}$? Test your answer.
#
# **Large** (an evening)
#
# 7. A *mutation test*: take a file of rules, change one sign or index at a time by a program, and run its tests on
#    each. Which changes survive? Each survivor is a test that is missing.
#
# **In the course kit**, to be written in the library itself and checked with `minigrad course test 20.1`:
# 20.1 *Many numbers at once*, 20.2 *An upstream gradient that hides nothing*, 20.3 *Whose NaN is it?*,
# 20.4 *Gradients of gradients, checked*.

# %% [markdown]
# ## Answers
#
# **The bug.** Outside, the derivative is $\delta \, \text{sign}(r)$. The rule has no $\delta$. The check used the
# default $\delta = 1$, and multiplying by 1 changes nothing. The fit used 0.2, so each outlier pulls five times too
# hard. *Check with numbers that are unlike each other and unlike 0 and 1*: a delta of 0.7, a matrix of 3 by 5, a
# batch of 2, dropout of 0.3. Square shapes, ones and zeros are where wrong rules hide.


# %%
def fixed_rule(g, r, delta=1.0):
    return g * np.where(np.abs(r) <= delta, r, delta * np.sign(r))


sample = 3 * rng.standard_normal((5, 6))
verdict = {}
for name, rule in (("the friend's", huber_rule), ("fixed", fixed_rule)):
    f = operation(lambda r: huber(r, 0.7), lambda g, r, rule=rule: rule(g, r, 0.7))
    verdict[name] = check(f, sample)
print("with a delta of 0.7:", verdict)
fixed_slope = fitted_slope(fixed_rule)
print(f"slope with the fixed rule: {fixed_slope:.2f}")

# %% [markdown]
# **Small 1.** All that work number by number: exp, tanh, products. Each output depends on its own inputs, and a sum
# keeps them apart. **Small 2.** The quotient is one of $L$, and other numbers would be another $L$. **Small 3.** A
# difference finds $1/2$, the mean of both sides, and the rule says 0. Nobody is right: there is no derivative at a
# kink. gradcheck looks at each side, finds the slopes 0 and 1, and lets pass what lies between them; a rule that says
# 2 it calls wrong.

# %% [markdown]
# ## Sources
#
# - D. Maclaurin, D. Duvenaud, R. Adams, *Autograd*, 2015: its tests check with random projections and to the second
#   order.
# - K. Claessen, J. Hughes, *QuickCheck: a lightweight tool for random testing of Haskell programs*, ICFP 2000; D.
#   MacIver, *Hypothesis*, Journal of Open Source Software 4, 2019.
# - N. Higham, *Accuracy and Stability of Numerical Algorithms*, SIAM 2002: chapter 4 on the order of summation.
# - P. Huber, *Robust estimation of a location parameter*, Annals of Mathematical Statistics 35, 1964.
# - R. DeMillo, R. Lipton, F. Sayward, *Hints on test data selection*, Computer 11, 1978: planted mistakes.
#
# That was the last lesson. The library is yours now: read it, break it, and make a rule of your own.
