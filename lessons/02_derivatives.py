# %% [markdown]
# # 2. Derivatives: by hand, by finite differences, by autodiff
#
# | | |
# |---|---|
# | Builds on | lesson 1; what a slope is |
# | You will have | three ways to one derivative, an autodiff of twenty lines, and a minimum found to eight digits |
# | Time | 75 minutes, of which 5 seconds are computing |
# | Memory | 0.2 GB |
#
# A model has millions of numbers that can be turned up or down. Training asks of each:
# *if I turn this one a little, how much does the error change?* That is a derivative.

# %%
import math

import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
from lessons.material.kit import goal, show_source

plt.style.use("lessons.material.grey")
rng = np.random.default_rng(0)

# %% [markdown]
# ## The question
#
# Take one function for most of this lesson:
#
# $$ f(x) = x \sin(x^2) $$
#
# What is its slope at $x = 1.3$? You can answer with paper, with two evaluations, or with a
# program that reads the function. All three must agree, and each is good for something
# the others are bad at.

# %% [markdown]
# ## A picture
#
# A derivative is what is left of a curve under a strong magnifying glass: a straight line.


# %%
def f(x):
    return x * np.sin(x**2)


at = 1.3
slope = np.sin(at**2) + 2 * at**2 * np.cos(at**2)  # on paper, in the next section

figure, axes = plt.subplots(1, 3, figsize=(7.5, 2.6))
for ax, width in zip(axes, (1.2, 0.3, 0.05)):
    x = np.linspace(at - width, at + width, 200)
    ax.plot(x, f(x), label="f")
    ax.plot(x, f(at) + slope * (x - at), label="tangent")
    ax.plot(at, f(at), "o", color="black")
    ax.set_title(f"x = {at} ± {width}")
    ax.set_xlabel("x")
axes[0].set_ylabel("f(x)")
axes[0].legend()
plt.show()

# %% [markdown]
# ## By hand
#
# The derivative is the limit of the slope between two points that draw together:
#
# $$ f'(x) = \frac{f(x + h) - f(x)}{h} \quad \text{as} \quad h \to 0 $$
#
# From that follow a few rules. These three are enough for all of deep learning:
#
# $$ (u + v)' = u' + v' $$
#
# $$ (u v)' = u' v + u v' $$
#
# $$ f(g(x))' = f'(g(x)) \cdot g'(x) $$
#
# The last is the *chain rule*: slopes of functions in a row multiply. With it,
# $\sin(x^2)$ has the derivative $\cos(x^2) \cdot 2x$, and by the product rule
#
# $$ f'(x) = \sin(x^2) + 2 x^2 \cos(x^2) $$


# %%
def by_hand(x):
    return np.sin(x**2) + 2 * x**2 * np.cos(x**2)


print(f"f'({at}) = {by_hand(at):.12f}")

# %% [markdown]
# ## By finite differences
#
# Do not let $h$ go to zero; just make it small. How wrong is that? Taylor's series says
#
# $$ f(x + h) = f(x) + h f'(x) + \frac{h^2}{2} f''(x) + \frac{h^3}{6} f'''(x) + \cdots $$
#
# so the *forward* difference is off by about $\frac{h}{2} f''$. Take the point on the
# other side too, and the even terms cancel:
#
# $$ \frac{f(x + h) - f(x - h)}{2h} = f'(x) + \frac{h^2}{6} f'''(x) + \cdots $$
#
# Halve $h$, and this *central* difference is four times as good. So make $h$ as small as
# possible? A computer rounds: $f(x)$ is known to about 16 digits, $\varepsilon \approx 10^{-16}$, and
# dividing by a tiny $h$ magnifies the rest. The error of rounding is about $\varepsilon / h$.

# %%
steps = np.logspace(-13, 0, 80)
forward = np.abs((f(at + steps) - f(at)) / steps - by_hand(at))
central = np.abs((f(at + steps) - f(at - steps)) / (2 * steps) - by_hand(at))

figure, ax = plt.subplots()
ax.loglog(steps, forward, label="forward")
ax.loglog(steps, central, label="central")
ax.set_xlabel("step h")
ax.set_ylabel("error of the slope")
ax.annotate("rounding, ε/h", (3e-12, 3e-3))
ax.annotate("h²", (6e-2, 2e-4))
ax.annotate("h", (1e-4, 6e-3))
ax.legend(loc="lower left")
plt.show()
print(f"best forward step {steps[forward.argmin()]:.0e}, error {forward.min():.0e}")
print(f"best central step {steps[central.argmin()]:.0e}, error {central.min():.0e}")

# %% [markdown]
# The best step is where both errors are equal: near $\varepsilon^{1/2}$ for forward and $\varepsilon^{1/3}$ for
# central differences. In float32, where $\varepsilon \approx 10^{-7}$, the best you can get is three or
# four digits. So gradients are checked in float64.
#
# Finite differences need nothing but the function, so they make the perfect *check*. For
# training they are hopeless: two evaluations for each number. A model of a million numbers
# would need two million evaluations for one step.

# %% [markdown]
# ## The smallest code: autodiff, forwards
#
# The rules of calculus are mechanical, so let the program apply them *while it computes*.
# Carry two numbers instead of one: the value, and its derivative with respect to the input. Each
# operation knows what it does to both.


# %%
class Dual:
    """A value and its derivative with respect to the input."""

    def __init__(self, value, slope=0.0):
        self.value, self.slope = value, slope

    def __add__(self, other):
        return Dual(self.value + other.value, self.slope + other.slope)

    def __mul__(self, other):  # the product rule
        return Dual(
            self.value * other.value,
            self.slope * other.value + self.value * other.slope,
        )


def sin(x):  # the chain rule
    return Dual(math.sin(x.value), math.cos(x.value) * x.slope)


x = Dual(at, 1.0)  # the derivative of x with respect to x is 1
y = x * sin(x * x)
print(f"autodiff {y.slope:.15f}")
print(f"by hand  {by_hand(at):.15f}")
assert abs(y.slope - by_hand(at)) < 1e-14

# %% [markdown]
# There is no $h$ and no error but rounding. And there is no formula either: the function was
# an ordinary program, which may have loops and branches.
#
# It costs one pass through the program *for each input*, since each pass follows one
# slope. With a million inputs that is a million passes. One more idea is needed.

# %% [markdown]
# ## Forwards or backwards
#
# Functions in a row, $y = f_3(f_2(f_1(x)))$, with many inputs and many values in between. The
# derivative of each is a table, its *Jacobian* $J$: entry $(i, j)$ says how output $i$ changes
# with input $j$. The chain rule multiplies them:
#
# $$ J = J_3 \, J_2 \, J_1 $$
#
# The error of a model is one number, so $J_3$ has one row. Matrix products may be worked
# out in any order, but the orders do not cost the same:

# %%
figure, axes = plt.subplots(2, 1, figsize=(7.5, 3.8))
row, square, wide = (0.4, 2), (2, 2), (2, 3.2)
plans = {
    "from the right, along with the computation: large times large": (1, 2),
    "from the left, back from the output: a row times large": (0, 1),
}
for ax, (plan, first) in zip(axes, plans.items()):
    left = 0.0
    for k, ((height, width), name) in enumerate(zip((row, square, wide), ("J₃", "J₂", "J₁"))):
        shade = "0.7" if k in first else "0.95"
        ax.add_patch(plt.Rectangle((left, -height / 2), width, height, fc=shade, ec="0.3"))
        ax.text(left + width / 2, 0, name, ha="center", va="center")
        left += width + 0.3
    ax.text(left + 0.2, 0, "shaded: multiplied first", va="center", color="0.3")
    ax.set_title(plan)
    ax.set_xlim(-0.2, 13)
    ax.set_ylim(-1.1, 1.1)
    ax.set_aspect("equal")
    ax.set_axis_off()
plt.show()

n = 1000
print(f"three layers of {n}: from the right {n * n * n + n * n:,} products,")
print(f"                       from the left {n * n + n * n:,}")

# %% [markdown]
# From the left, a row meets a table and gives a row, at each step. That is *reverse mode*,
# or *backpropagation*. One pass gives the derivative with respect to **all** inputs, for about the cost
# of computing the function a few times. It has to wait until the output is known, and
# must remember what happened on the way: lesson 3 builds the machine.
#
# No table is ever written down. An operation only has to answer one question: *given the
# row $g$, the derivative of the end with respect to my output, what is it with respect to my input?* This
# is the vector-Jacobian product $g J$, and the answer is called a **gradient rule**.

# %% [markdown]
# ## A rule, derived
#
# The most important one in this course: $C = A B$. Let $L$ be the number at the end, and
# $G_{ik} = \frac{\partial L}{\partial C_{ik}}$ given. We know $C_{ik} = \sum_j A_{ij} B_{jk}$. Which entries
# of $C$ does $A_{ij}$ reach? Those in row $i$, and $C_{ik}$ with the factor $B_{jk}$. Add them up:
#
# $$ \frac{\partial L}{\partial A_{ij}} = \sum_k G_{ik} B_{jk} = (G B^\top)_{ij} $$
#
# By the same steps, $\frac{\partial L}{\partial B} = A^\top G$. A check that catches most slips is to
# write down the shapes: only one order of $G$ and $B^\top$ fits that of $A$.

# %% [markdown]
# ## The library's own
#
# Here are four rules as minigrad has them. `forward` computes and saves what the rule will need;
# `backward` takes $g$ and returns $g J$.

# %%
from minigrad.ops.activation import Tanh
from minigrad.ops.arithmetic import Mul
from minigrad.ops.elementwise import Sin
from minigrad.ops.linalg import MatMul

show_source(Mul, Sin, Tanh, MatMul)

# %% [markdown]
# And this is how it is used. Say which inputs you want derivatives for, compute, and ask.

# %%
x = mg.tensor(at, dtype="float64", requires_grad=True)
y = x * mg.sin(x * x)
y.backward()
print(f"minigrad {x.grad.item():.15f}")
print(f"by hand  {by_hand(at):.15f}")

# %% [markdown]
# ## Checked by finite differences
#
# `gradcheck` compares a rule with central differences. It multiplies the outputs by random
# numbers $u$ first, so that $L = \sum_i u_i f_i(x)$ is one number, and every entry of the
# Jacobian takes part. Below you will see why they are random.

# %%
A = mg.tensor(rng.standard_normal((3, 4)), requires_grad=True)
B = mg.tensor(rng.standard_normal((4, 2)), requires_grad=True)
print("matmul:", mg.gradcheck(mg.matmul, [A, B]))
print("f:     ", mg.gradcheck(lambda x: x * mg.sin(x * x), [x]))

# %% [markdown]
# ## The run: a bent valley
#
# What are derivatives good for? Here is Rosenbrock's function, a valley bent like a banana:
#
# $$ f(x, y) = (1 - x)^2 + 100 (y - x^2)^2 $$
#
# Its lowest point is $(1, 1)$. *Gradient descent* takes a small step against the gradient,
# again and again.


# %%
def valley(p):
    x, y = p[0], p[1]
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def gradient_descent(start, steps, learning_rate):
    p, path = mg.tensor(start, dtype="float64", requires_grad=True), [start]
    for _ in range(steps):
        (g,) = mg.grad(valley(p), p)
        p = (p.detach() - learning_rate * g).requires_grad_()
        path.append(p.tolist())
    return np.array(path)


# %% [markdown]
# *Newton's method* also asks how the gradient itself changes: second derivatives, the table $H$.
# Near $p$ the gradient is about $g + H d$ for a step $d$. At the lowest point it is zero, so solve
#
# $$ H d = -g $$
#
# Second derivatives are derivatives of derivatives. With `create_graph=True`, minigrad records
# how it computed the gradient, so you can ask it for the gradient of each entry.


# %%
def newton(start, steps):
    p, path = mg.tensor(start, dtype="float64", requires_grad=True), [start]
    for _ in range(steps):
        (g,) = mg.grad(valley(p), p, create_graph=True)
        H = np.stack([mg.grad(g[i], p, retain_graph=True)[0].numpy() for i in range(2)])
        step = np.linalg.solve(H, -g.detach().numpy())
        p = (p.detach() + mg.tensor(step)).requires_grad_()
        path.append(p.tolist())
    return np.array(path)


start = [-1.2, 1.0]
slow = gradient_descent(start, 500, 1e-3)
quick = newton(start, 6)
distances = {
    name: np.linalg.norm(path - 1, axis=1)
    for name, path in {"gradient descent": slow, "Newton": quick}.items()
}

figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.4))
gx, gy = np.meshgrid(np.linspace(-1.6, 1.5, 200), np.linspace(-3.6, 1.9, 200))
left.contour(gx, gy, np.log10(valley((gx, gy)) + 1e-3), 12, colors="0.75", linewidths=0.8)
left.plot(*slow.T, label="gradient descent")
left.plot(*quick.T, marker="o", markersize=4, label="Newton")
left.plot(1, 1, "*", color="black", markersize=12)
left.set_xlabel("x")
left.set_ylabel("y")
left.legend(fontsize=8, loc="lower left")
for name, d in distances.items():
    right.loglog(np.arange(1, len(d)), np.maximum(d[1:], 1e-16), label=name)
right.set_xlabel("step")
right.set_ylabel("distance to the lowest point")
right.legend(fontsize=8)
plt.show()

goal("distance after 6 steps of Newton", distances["Newton"][-1], at_most=1e-8)
print(f"distance after 500 steps of gradient descent: {distances['gradient descent'][-1]:.2f}")

# %% [markdown]
# Near the end Newton doubles the number of correct digits with each step. Then why does
# nobody train GPT this way? For $n$ numbers, $H$ has $n^2$ entries: a model of a million
# numbers would need a table of a million millions. Lesson 5 is about what to do with
# first derivatives only.

# %% [markdown]
# ## A bug to find
#
# Softmax turns numbers into probabilities: $y_i = e^{x_i} / \sum_j e^{x_j}$. Someone wrote the rule
# below, and a test that compares with finite differences of `softmax(x).sum()`. The test
# passes, yet the rule is wrong. Which symbol is wrong, and why did the test not see it?


# %%
class MySoftmax(mg.Function):
    def forward(self, x):
        e = np.exp(x - x.max(-1, keepdims=True))
        y = e / e.sum(-1, keepdims=True)
        self.save_for_backward(y)
        return y

    def backward(self, grad):
        (y,) = self.saved
        return y * (grad - grad.mean(-1, keepdims=True))


x = mg.tensor(rng.standard_normal(5), requires_grad=True)
(claimed,) = mg.grad(MySoftmax.apply(x).sum(), x)
h = 1e-6
numerical = [
    ((MySoftmax.apply(x + h * e).sum() - MySoftmax.apply(x - h * e).sum()) / (2 * h)).item()
    for e in mg.eye(5, dtype="float64")
]
print("the sum test passes:", np.allclose(claimed.numpy(), numerical, atol=1e-8))

try:
    mg.gradcheck(MySoftmax.apply, [x])
except mg.GradcheckError as error:
    print("gradcheck:", error)

# %% [markdown]
# ## Exercises
#
# **Small** (5 minutes each)
#
# 1. By hand: the derivative of the sigmoid $\sigma(x) = 1 / (1 + e^{-x})$. Write it with $\sigma$ alone.
# 2. Add `__sub__` and `exp` to `Dual`, and check exercise 1 with them.
# 3. Repeat the picture of errors in float32. Where is the best step now?
#
# **Medium** (20 minutes each)
#
# 4. Derive the rule of $y = x / \lVert x \rVert$ for a vector $x$. Write it as an `mg.Function` and let
#    `gradcheck` judge.
# 5. Give `Dual` *two* slopes, one for each of two inputs. What would it cost for $n$?
# 6. The trick of the imaginary step: $f'(x) \approx \text{Im} f(x + ih) / h$. Show by Taylor's series
#    why it does not round badly, and add it to the picture of errors.
#
# **Large** (an evening)
#
# 7. Newton without the table: solve $H d = -g$ with conjugate gradients, which needs only products $Hv$.
#    Get $Hv$ from two backward passes, without ever making $H$. (Pearlmutter 1994.)
#
# **In the course kit** you write rules of the library itself, and the difference that checks them.
# `minigrad course test 2.1` tells you whether the first is right:
#
# - 2.1 The rule of a running sum
# - 2.2 The rule of a quotient
# - 2.3 The rule of the matrix product
# - 2.4 A central difference
# - 2.5 The rule of a product that may have zeros

# %% [markdown]
# ## Answers
#
# **The bug.** `mean` should be a sum weighted by $y$: $y \odot (g - \sum_j g_j y_j)$. Softmax always adds up to
# one, so the true gradient of its sum is zero. With $g = 1$ everywhere both the right and the wrong rule
# give $1 - 1 = 0$. A random $g$ tells them apart. A check is only as good as
# what it looks at.


# %%
class Softmax(MySoftmax):
    def backward(self, grad):
        (y,) = self.saved
        return y * (grad - (grad * y).sum(-1, keepdims=True))


print("repaired:", mg.gradcheck(Softmax.apply, [x]))

# %% [markdown]
# **Small 1.** $\sigma'(x) = \sigma(x) (1 - \sigma(x))$. **Small 3.** Near $5 \cdot 10^{-3}$ for central differences,
# with about four digits.

# %% [markdown]
# ## Sources
#
# - A. Baydin, B. Pearlmutter, A. Radul, J. Siskind, *Automatic differentiation in machine
#   learning: a survey*, JMLR 18, 2018: section 2 on what autodiff is not, section 3 on the two modes.
# - A. Griewank, A. Walther, *Evaluating Derivatives*, 2nd edition, SIAM 2008: chapter 3.
# - J. Nocedal, S. Wright, *Numerical Optimization*, 2nd edition, Springer 2006: section 8.1 on finite
#   differences, chapter 3 on Newton's method.
# - B. Pearlmutter, *Fast exact multiplication by the Hessian*, Neural Computation 6, 1994.
#
# Next: lesson 3, the machine that goes backwards.
