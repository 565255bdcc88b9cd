# %% [markdown]
# # 4. A neuron, an MLP, softmax and cross-entropy
#
# | | |
# |---|---|
# | Builds on | lessons 1 to 3: einsum, gradient rules, backward |
# | You will have | a network that reads digits better than lesson 1 did, with a thirtieth of the numbers |
# | Time | 80 minutes, of which 15 seconds are computing |
# | Memory | 0.3 GB |
#
# The engine can differentiate anything. This lesson gives it something worth it.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
import nn
from lessons.material.digits import digits
from lessons.material.kit import fast, goal, show_source
from nn import functional as F
from nn import optim

plt.style.use("lessons.material.grey")
mg.manual_seed(0)
rng = np.random.default_rng(0)

# %% [markdown]
# ## The question
#
# Lesson 1 read a digit by comparing it with all the pictures it knew. It kept every
# picture, and it had learnt nothing. Can a fixed number of weights *learn* from the
# pictures what a 7 looks like, and say how sure it is: "a 7, with 93 %"?

# %% [markdown]
# ## A picture of one neuron
#
# A neuron multiplies each input by a weight, adds up, adds a bias, and bends the result:
#
# $$ y = \phi(w \cdot x + b) $$
#
# With two inputs we can draw all of it. The weights point in the direction in which the
# output grows, and $w \cdot x + b = 0$ is a straight line. The bend $\phi$ below is the sigmoid
# $\sigma(z) = 1 / (1 + e^{-z})$, from 0 to 1.

# %%
corners = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
gates = {
    "and": np.array([0, 0, 0, 1.0]),
    "or": np.array([0, 1, 1, 1.0]),
    "xor": np.array([0, 1, 1, 0.0]),
}


def fit_neuron(targets, steps=2000):
    """One sigmoid neuron, trained on the four corners by gradient descent."""
    w, b = mg.zeros(2, requires_grad=True), mg.zeros(1, requires_grad=True)
    optimizer = optim.SGD([w, b], lr=2.0)
    x, t = mg.tensor(corners, dtype="float32"), mg.tensor(targets, dtype="float32")
    for _ in range(steps):
        loss = F.binary_cross_entropy_with_logits(x @ w + b, t)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return w.detach().numpy(), b.item()


figure, axes = plt.subplots(1, 3, figsize=(7.5, 2.8))
gx, gy = np.meshgrid(np.linspace(-0.5, 1.5, 80), np.linspace(-0.5, 1.5, 80))
right_corners = {}
for ax, (gate, targets) in zip(axes, gates.items()):
    w, b = fit_neuron(targets, 2000 if not fast() else 300)
    output = 1 / (1 + np.exp(-(w[0] * gx + w[1] * gy + b)))
    ax.contourf(gx, gy, output, np.linspace(0, 1, 11), cmap="Greys", alpha=0.5)
    for (x, y), target in zip(corners, targets):
        ax.plot(x, y, "o", markersize=11, mec="black", mfc="black" if target else "white")
    right_corners[gate] = int((((corners @ w + b) > 0) == (targets > 0.5)).sum())
    ax.set_title(f"{gate}: {right_corners[gate]} of 4 right")
    ax.set_xlabel("x₁")
axes[0].set_ylabel("x₂")
plt.show()

# %% [markdown]
# A full dot asks for 1, an empty one for 0, and dark ground means the neuron says 1. It learns *and*
# and *or*. It cannot learn *xor*, since no straight line parts the full dots from the empty ones: all
# four pull equally hard, and it says ½ everywhere. In 1969 Minsky and Papert proved what single
# neurons cannot do, and many people stopped trying.

# %% [markdown]
# ## Two layers
#
# Let two neurons look first, and a third look at *them*. With the bend $\text{relu}(z) = \max(0, z)$
# the weights can be found with a pencil:
#
# $$ h_1 = \text{relu}(x_1 + x_2) \qquad h_2 = \text{relu}(x_1 + x_2 - 1) \qquad y = h_1 - 2 h_2 $$

# %%
W1, b1, w2 = np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([0.0, -1.0]), np.array([1.0, -2.0])
hidden = np.maximum(corners @ W1 + b1, 0)
print("xor:", hidden @ w2)

figure, axes = plt.subplots(1, 2, figsize=(7.5, 2.8))
for ax, place, name in ((axes[0], corners, "x"), (axes[1], hidden, "h")):
    for (x, y), target in zip(place, gates["xor"]):
        ax.plot(x, y, "o", markersize=11, mec="black", mfc="black" if target else "white")
    ax.set_xlabel(f"{name}₁")
    ax.set_ylabel(f"{name}₂")
    ax.set_xlim(-0.4, 2.4)
    ax.set_ylim(-0.4, 1.4)
axes[0].set_title("as the inputs see it")
axes[1].set_title("as the hidden layer sees it")
line = np.array([0.2, 2.2])
axes[1].plot(line, (line - 0.5) / 2, label="y = ½")
axes[1].legend()
plt.show()

# %% [markdown]
# The hidden layer *folded the plane*: both full dots fell on the same place, and now a line parts
# them from the empty ones. That is what layers do, and training finds the folds.
#
# The bend is what makes it work. Without it two layers are only one, since a product of matrices is a matrix:
#
# $$ W_2 (W_1 x + b_1) + b_2 = (W_2 W_1) x + (W_2 b_1 + b_2) $$
#
# A network of such layers, each output joined to every input of the next, is a *multilayer perceptron*, MLP.

# %% [markdown]
# ## From numbers to probabilities
#
# For ten digits, let the last layer have ten outputs $x_0, \ldots, x_9$, called *logits*. They may
# be any numbers. Probabilities must be positive and add up to one. So take the exponential,
# which is positive, and divide by the sum:
#
# $$ p_i = \text{softmax}(x)_i = \frac{e^{x_i}}{\sum_j e^{x_j}} $$
#
# Two properties are worth a minute with a pencil. Adding the same number to all logits changes
# nothing. And only *differences* of logits matter: $p_i / p_j = e^{x_i - x_j}$.
#
# Now the loss. The network should give the right class $t$ a high probability. For many
# pictures, their probabilities multiply; a product of thousands of numbers below one is zero
# for a computer, so take the logarithm, and a minus sign to have something to make small:
#
# $$ L = -\ln p_t = \ln \sum_j e^{x_j} - x_t $$
#
# This is the *cross-entropy*. It asks: how surprised was the network by the truth?

# %%
p = np.linspace(0.005, 1, 300)
figure, ax = plt.subplots(figsize=(7.5, 2.8))
ax.plot(p, -np.log(p))
names = {
    0.01: "quite wrong: 4.61",
    0.1: "a guess among ten: ln 10 = 2.30",
    0.93: "quite sure: 0.07",
}
for value, name in names.items():
    ax.plot(value, -np.log(value), "o", color="black")
    ax.annotate(name, (value, -np.log(value)), xytext=(8, 8), textcoords="offset points")
ax.set_xlabel("probability given to the right class")
ax.set_ylabel("cross-entropy")
plt.show()

# %% [markdown]
# ## Its gradient, derived
#
# What does the loss ask of each logit? The derivative of $\ln \sum_j e^{x_j}$ with respect to $x_i$ is, by the chain
# rule, $e^{x_i} / \sum_j e^{x_j} = p_i$. That of $-x_t$ is $-1$ where $i = t$, else $0$. So
#
# $$ \frac{\partial L}{\partial x_i} = p_i - [i = t] $$
#
# *What you said, minus what is true.* If the network gives 0.93 to the right class, the push
# is only $-0.07$. There is no simpler gradient in this course, and it is the one
# that trains GPT.

# %% [markdown]
# ## The smallest code
#
# A computer adds one complication: $e^{800}$ is infinite. But adding a number $m$ to all logits
# changes nothing, so subtract the largest, and no exponent is above zero:
#
# $$ \ln \sum_j e^{x_j} = m + \ln \sum_j e^{x_j - m} \qquad m = \max_j x_j $$
#
# Never compute $-\ln p_t$ from $p_t$: where $p_t$ is too small for a float, it is zero, and the loss infinite.
# With the sum in hand, the loss is a difference of two ordinary numbers.


# %%
def cross_entropy(logits, targets):
    """The mean loss of logits (n, classes) against targets (n,), and its gradient (n, classes)."""
    rows = np.arange(len(logits))
    m = logits.max(1, keepdims=True)
    log_sum = m + np.log(np.exp(logits - m).sum(1, keepdims=True))
    loss = (log_sum[:, 0] - logits[rows, targets]).mean()
    gradient = np.exp(logits - log_sum)  # the probabilities
    gradient[rows, targets] -= 1
    return loss, gradient / len(logits)


logits, targets = 3 * rng.standard_normal((6, 10)), rng.integers(0, 10, 6)
loss, gradient = cross_entropy(logits, targets)
print(f"loss {loss:.6f}")
print(f"each row of the gradient adds up to zero: {np.abs(gradient.sum(1)).max():.0e}")
print("large logits:", cross_entropy(np.array([[800.0, 0.0]]), np.array([1]))[0])

# %% [markdown]
# ## The library's own
#
# The same few lines, with what a library must also think of: classes to ignore, weights, rows of nothing
# but $-\infty$. First the operation with its rule and, as `composite`, the same function in simple
# operations; then the softmax that every faster kernel is compared with; then the layer.

# %%
from minigrad.kernels.reference import softmax
from minigrad.ops.loss import CrossEntropy

show_source(CrossEntropy, softmax.softmax, nn.Linear)

# %% [markdown]
# ## Checked by finite differences
#
# Your gradient, the library's, and the difference quotient:

# %%
x = mg.tensor(logits, requires_grad=True)
F.cross_entropy(x, mg.tensor(targets)).backward()
print(f"ours and the library's differ by {np.abs(gradient - x.grad.numpy()).max():.0e}")
assert np.allclose(gradient, x.grad.numpy(), atol=1e-12)
print("gradcheck:", mg.gradcheck(lambda x: F.cross_entropy(x, mg.tensor(targets)), [x]))

# %% [markdown]
# ## The run: reading digits again
#
# 256 pixels, 64 hidden numbers, 10 logits: 17,098 weights, however many pictures there are. Before you train
# anything, ask what the loss should be *before* training. The network knows nothing, so it should give
# each digit about 0.1, and the loss should be near $\ln 10 = 2.303$. If it is far off, the start is wrong.

# %%
train_images, train_labels = digits(2000 if not fast() else 600, seed=1)
test_images, test_labels = digits(500 if not fast() else 200, seed=2)
test_x, test_y = mg.tensor(test_images).reshape(-1, 256), mg.tensor(test_labels)


def make_network():
    mg.manual_seed(1)
    return nn.Sequential(nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 10))


def evaluate(network, loss_function=F.cross_entropy):
    """Loss and accuracy on pictures that were not trained on."""
    with mg.no_grad():
        logits = network(test_x)
        right = (logits.argmax(1) == test_y).astype("float32").mean()
        return loss_function(logits, test_y).item(), right.item()


def train(network, epochs, loss_function=F.cross_entropy, learning_rate=0.1, batch_size=50):
    """Stochastic gradient descent: a step for each batch of pictures, all of them in each epoch."""
    optimizer = optim.SGD(network.parameters(), lr=learning_rate, momentum=0.9)
    shuffled = np.random.default_rng(3)
    losses = []
    for _ in range(epochs):
        for batch in shuffled.permutation(len(train_labels)).reshape(-1, batch_size):
            x = mg.tensor(train_images[batch]).reshape(-1, 256)
            loss = loss_function(network(x), mg.tensor(train_labels[batch]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


network = make_network()
print("weights:", sum(p.numel() for p in network.parameters()))
print(f"before training: loss {evaluate(network)[0]:.3f}, ln 10 = {np.log(10):.3f}")
losses = train(network, 12)
test_loss, accuracy = evaluate(network)
print(f"after: loss on new pictures {test_loss:.3f}")

# %% [markdown]
# The curve, and the new pictures on which the network was most wrong. Always look at those: they show
# whether the data is hard or the program has a bug.

# %%
with mg.no_grad():
    probabilities = network(test_x).softmax(1).numpy()
of_truth = probabilities[np.arange(len(test_labels)), test_labels]
worst = of_truth.argsort()[:8]

figure = plt.figure(figsize=(7.5, 4.4))
grid = figure.add_gridspec(2, 8, height_ratios=[2.2, 1])
ax = figure.add_subplot(grid[0, :])
ax.plot(losses, linewidth=1, label="each batch")
ax.axhline(np.log(10), color="0.6", linestyle=":")
ax.text(len(losses) * 0.6, 2.1, "ln 10, knowing nothing")
at_the_end = f"new pictures at the end: {test_loss:.2f}"
ax.axhline(test_loss, label=at_the_end, color="0.3", linestyle="--")
ax.set_xlabel("step")
ax.set_ylabel("cross-entropy")
ax.legend(loc="center right")
for k, i in enumerate(worst):
    ax = figure.add_subplot(grid[1, k])
    ax.imshow(test_images[i])
    guess = probabilities[i].argmax()
    title = f"a {test_labels[i]}, read as\n{guess} ({probabilities[i, guess]:.0%})"
    ax.set_title(title, fontsize=7)
    ax.set_axis_off()
plt.show()

goal("accuracy on new pictures", accuracy, at_least=0.93)

known = mg.tensor(train_images).reshape(-1, 256)
distances = (test_x * test_x).sum(1, keepdim=True) - 2 * test_x @ known.T + (known * known).sum(1)
nearest = train_labels[distances.argmin(1).numpy()]
print(f"lesson 1, with the same pictures: {(nearest == test_labels).mean():.3f}")
print(f"numbers kept: lesson 1 {known.numel():,}, the network 17,098")

# %% [markdown]
# ## What did it learn?
#
# Each hidden neuron has a weight for each pixel, so its weights are a picture too. Dark pixels speak for it, light
# ones against. Nobody told it what a stroke is.

# %%
weights = network[0].weight.detach().numpy().reshape(-1, 16, 16)
figure, axes = plt.subplots(2, 8, figsize=(7.5, 2.1))
for ax, picture in zip(axes.flat, weights):
    ax.imshow(picture, vmin=-0.3, vmax=0.3)
    ax.set_axis_off()
plt.show()

# %% [markdown]
# ## A bug to find
#
# The same training once more, written by someone who learnt that a classifier ends in a softmax. It runs, the loss
# falls, the accuracy is good. But the loss refuses to go below a number near 1.46, however long
# you train. Where does that number come from, and what is wrong?


# %%
def another_loss(logits, targets):
    return F.cross_entropy(logits.softmax(1), targets)


second = make_network()
stuck = train(second, 12, another_loss)
stuck_loss, stuck_accuracy = evaluate(second, another_loss)
print(f"loss {stuck_loss:.3f}, accuracy {stuck_accuracy:.3f}; with the right loss {accuracy:.3f}")

figure, ax = plt.subplots(figsize=(7.5, 2.8))
ax.plot(losses, linewidth=1.2, label="cross-entropy of logits")
ax.plot(stuck, linewidth=1.2, label="the other one")
ax.set_xlabel("step")
ax.set_ylabel("loss of each batch")
ax.legend()
plt.show()

# %% [markdown]
# ## Exercises
#
# **Small** (5 minutes each)
#
# 1. Weights and a bias for one neuron that computes *nand*. Why can any computer be built from it?
# 2. Show that softmax of two logits is the sigmoid of their difference.
# 3. What loss do you expect before training with 50,257 classes (GPT-2's vocabulary)?
#
# **Medium** (20 minutes each)
#
# 4. Take the `ReLU` away (make it an `nn.Identity`). What accuracy is left, and why is it not 10 %?
# 5. Divide the logits by a *temperature* $T$ before the softmax. Draw the ten probabilities of one picture for $T$ of
#    0.25, 1 and 4. What happens as $T \to 0$, and as $T \to \infty$?
# 6. Is "93 %" true? Of the new pictures to which the network gave between 0.9 and 0.95, how many
#    did it read correctly? Draw it for ten such bins. (Guo et al. 2017, section 2.)
#
# **Large** (an evening)
#
# 7. Train the same MLP with *your* engine of lesson 3: write `relu` and `cross_entropy` for `Array`, start from equal
#    weights, and show that both give the same loss for a hundred steps.
#
# **In the course kit** you write a piece of the library itself, and `minigrad course test 4.1` tells you
# whether it is right:
#
# - 4.1 The slopes of three bends
# - 4.2 Softmax, forward and backward
# - 4.3 Cross-entropy from logits
# - 4.4 The gradient of cross-entropy
# - 4.5 A fully connected layer
# - 4.6 Where a layer starts

# %% [markdown]
# ## Answers
#
# **The bug.** Softmax twice: `cross_entropy` takes logits and has a softmax inside. Probabilities lie between
# 0 and 1, so as logits they never differ by more than 1. At best one is 1 and nine are 0, and the loss is
#
# $$ -\ln \frac{e^1}{e^1 + 9 e^0} = \ln(1 + 9 / e) = 1.461 $$
#
# The network learns, but through a blanket: the gradient has to pass through a second softmax, which is
# nearly flat where the network is sure. Nothing crashes, and only someone who knows what the loss
# *should* be will notice.

# %%
floor = np.log(1 + 9 / np.e)
print(f"the floor is {floor:.4f}; the lowest loss of a batch was {min(stuck):.4f}")
assert min(stuck) > floor - 1e-4

# %% [markdown]
# **Small 1.** $w = (-2, -2)$, $b = 3$: every logic gate can be built from *nand*. **Small 2.** Divide above and
# below by $e^{x_1}$. **Small 3.** $\ln 50257 = 10.8$.

# %% [markdown]
# ## Sources
#
# - F. Rosenblatt, *The perceptron*, Psychological Review 65, 1958; M. Minsky, S. Papert, *Perceptrons*, MIT Press 1969.
# - D. Rumelhart, G. Hinton, R. Williams, *Learning representations by back-propagating errors*, Nature 323, 1986.
# - J. Bridle, *Probabilistic interpretation of feedforward classification network outputs*,
#   Neurocomputing, Springer 1990: where softmax gets its name.
# - I. Goodfellow, Y. Bengio, A. Courville, *Deep Learning*, MIT Press 2016: section 6.1 solves xor as above, 6.2.2.3 is
#   about softmax.
# - C. Guo, G. Pleiss, Y. Sun, K. Weinberger, *On calibration of modern neural networks*, ICML 2017.
#
# Next: lesson 5, how to train it well.
