# %% [markdown]
# # 5. Training: how to go down
#
# | | |
# |---|---|
# | Builds on | lessons 2 to 4: gradients, a network, cross-entropy |
# | You will have | Adam from an empty file, and the network of lesson 4 with less than half of its errors |
# | Time | 90 minutes, of which 40 seconds are computing |
# | Memory | 0.3 GB |
#
# Lesson 4 trained a network with a learning rate that we gave you. Where did it come from? This
# lesson is about everything between "I have a gradient" and "it works on new pictures".

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
# The gradient $g$ says which way is down. It does not say how far to go. Also, it is the gradient on *one
# batch* of pictures that you have seen, and you want to be right on pictures that you have not.
# How do you get from there to a network that works?

# %% [markdown]
# ## A picture: the narrow valley
#
# Take two weights and a loss that bends 40 times more along one than along the other:
#
# $$ L(w) = \frac{1}{2} (\lambda_1 w_1^2 + \lambda_2 w_2^2) \qquad \lambda_1 = 1 \qquad \lambda_2 = 40 $$
#
# Real losses look like this near a minimum, with thousands of directions in place of two. The gradient along
# $w_i$ is $\lambda_i w_i$. One step of gradient descent with the learning rate $\eta$ gives
#
# $$ w_i \to w_i - \eta \lambda_i w_i = (1 - \eta \lambda_i) w_i $$
#
# So each weight is multiplied by its own number in each step. That number must lie between $-1$ and $1$, or the
# weight explodes. The steep direction therefore sets a limit for all: $\eta < 2 / \lambda_2 = 0.05$. The flat
# direction pays for it. At $\eta = 0.05$ it is multiplied by 0.95, so to come ten times closer takes
# $\ln 0.1 / \ln 0.95 = 45$ steps. The ratio $\lambda_2 / \lambda_1$ is called the *condition number*, and
# the number of steps grows with it.

# %%
CURVATURE = np.array([1.0, 40.0])
START = np.array([-9.0, 1.2])


def valley(w):
    return 0.5 * (CURVATURE * w * w).sum()


def path(make_optimizer, steps=60):
    """The places that an optimiser visits in the valley, (steps + 1, 2)."""
    w = mg.tensor(START, dtype="float64", requires_grad=True)
    optimizer = make_optimizer([w])
    places = [START]
    for _ in range(steps):
        loss = 0.5 * (mg.tensor(CURVATURE) * w * w).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        places.append(w.detach().numpy().copy())
    return np.array(places)


for rate in (0.02, 0.048, 0.051):
    end = path(lambda p, rate=rate: optim.SGD(p, lr=rate))[-1]
    predicted = (1 - rate * CURVATURE) ** 60 * START
    print(f"rate {rate}: ends at {end.round(4)}, predicted {predicted.round(4)}")
    assert np.allclose(end, predicted)

# %% [markdown]
# Just above 0.05 the steep weight grows: the sign changes in each step, and each step is longer than the last.
# If your loss ever swings and then becomes infinite, this is what happened.

# %% [markdown]
# ## Six ways to walk
#
# **Momentum.** Keep a velocity $v$, and let the gradient push it. The share $\mu$ of it is
# kept from step to step (0.9 is usual), and the rest is lost to friction:
#
# $$ v \to \mu v + g \qquad w \to w - \eta v $$
#
# Along the valley all pushes agree, and they add up to $1 + \mu + \mu^2 + \cdots = 1 / (1 - \mu) = 10$ gradients.
# Across it they alternate in sign and cancel. *Nesterov's* form uses $g + \mu v$ for the step: it looks
# one step ahead with the velocity it already has, and brakes a little sooner.
#
# **Adagrad.** Give each weight a rate of its own. Add up the squares of its gradients in $s$, and divide by the
# root. A weight with large gradients takes small steps:
#
# $$ s \to s + g^2 \qquad w \to w - \eta g / \sqrt{s} $$
#
# The sum only grows, so the steps only shrink. **RMSprop** repairs that with an average that forgets:
# $s \to \alpha s + (1 - \alpha) g^2$.
#
# **Adam** has both: a forgetting average $m$ of the gradients (momentum) and one of their squares, called $v$ here:
#
# $$ m \to \beta_1 m + (1 - \beta_1) g \qquad v \to \beta_2 v + (1 - \beta_2) g^2 $$
#
# Every method below has the best learning rate out of eight. Comparing with one rate for all would tell you nothing.

# %%
methods = {
    "SGD": lambda p, lr: optim.SGD(p, lr=lr),
    "momentum": lambda p, lr: optim.SGD(p, lr=lr, momentum=0.9),
    "Nesterov": lambda p, lr: optim.SGD(p, lr=lr, momentum=0.9, nesterov=True),
    "Adagrad": lambda p, lr: optim.Adagrad(p, lr=lr),
    "RMSprop": lambda p, lr: optim.RMSprop(p, lr=lr, alpha=0.9),
    "Adam": lambda p, lr: optim.Adam(p, lr=lr),
}
rates = [0.005, 0.01, 0.02, 0.045, 0.1, 0.3, 1.0, 3.0]
rates = rates if not fast() else [0.01, 0.045, 1.0]
paths, best_rates, ends = {}, {}, {}
with np.errstate(over="ignore", invalid="ignore"):
    for name, make in methods.items():
        tried = {rate: path(lambda p, r=rate, m=make: m(p, r)) for rate in rates}
        losses_at_end = {rate: valley(places[-1]) for rate, places in tried.items()}
        best_rates[name] = min(rates, key=lambda r: np.nan_to_num(losses_at_end[r], nan=np.inf))
        paths[name] = tried[best_rates[name]]
        ends[name] = losses_at_end[best_rates[name]]

figure, axes = plt.subplots(2, 3, figsize=(7.5, 4.2), sharex=True, sharey=True)
gx, gy = np.meshgrid(np.linspace(-10, 4, 120), np.linspace(-2, 2, 80))
height = 0.5 * (CURVATURE[0] * gx**2 + CURVATURE[1] * gy**2)
for ax, (name, places) in zip(axes.flat, paths.items()):
    ax.contour(gx, gy, height, [0.5, 2, 8, 20, 40, 70], colors="0.75", linewidths=0.8)
    ax.plot(*places.T, ".-", linewidth=0.9, markersize=4, color="black")
    ax.plot(0, 0, "x", color="black")
    ax.set_title(f"{name}, rate {best_rates[name]:g}\nloss after 60: {ends[name]:.0e}", fontsize=9)
    ax.set_xlim(-10, 4)
    ax.set_ylim(-2, 2)
for ax in axes[1]:
    ax.set_xlabel("w₁, flat")
for ax in axes[:, 0]:
    ax.set_ylabel("w₂, steep")
plt.show()

# %% [markdown]
# Adagrad wins here, and you should ask why before you believe it. The valley lies *along the axes*. A rate for
# each weight can undo exactly that kind of narrowness, and no other. Turn the valley by 45 degrees (exercise 4)
# and the advantage is gone. Adam is not at its best on two weights and without noise either. What it is good at is
# that one learning rate, 0.001 or so, works for very different networks, because of what comes next.

# %% [markdown]
# ## Derived: Adam's bias correction
#
# Both averages of Adam start at zero, so at first they are too small. By how much? Write out the average
# after $t$ steps:
#
# $$ m_t = (1 - \beta_1) \sum_{k=1}^{t} \beta_1^{t-k} g_k $$
#
# If all the gradients were equal to $g$, this is $g$ times $(1 - \beta_1)(1 + \beta_1 + \cdots + \beta_1^{t-1})$. A
# sum of powers like this is $(1 - \beta_1^t) / (1 - \beta_1)$. So
#
# $$ m_t = (1 - \beta_1^t) g $$
#
# Divide by $1 - \beta_1^t$, and the average is right from the first step on. The same holds for $v$ with $\beta_2$.
# The whole step is
#
# $$ w \to w - \eta \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \varepsilon} $$
#
# Look at the first step: both corrections together leave $g / \sqrt{g^2}$. Each weight moves by exactly
# $\eta$, up or down, whether its gradient is a million or a millionth. That is why one learning rate suits so many
# networks. ($\varepsilon = 10^{-8}$ is there for a gradient of zero.)
#
# Without the corrections the first step would be
# $(1 - \beta_1) / \sqrt{1 - \beta_2} = 0.1 / \sqrt{0.001} = 3.2$ times too long.

# %% [markdown]
# ## The smallest code
#
# Here is Adam, with the weight decay that the next section is about.


# %%
def adam_step(w, g, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.0, decoupled=True):
    """One step of Adam on an array w with gradient g, in place; decoupled is AdamW."""
    if decoupled:
        w -= lr * decay * w
    else:
        g = g + decay * w
    state["t"] += 1
    state["m"] = beta1 * state["m"] + (1 - beta1) * g
    state["v"] = beta2 * state["v"] + (1 - beta2) * g * g
    m_hat = state["m"] / (1 - beta1 ** state["t"])
    v_hat = state["v"] / (1 - beta2 ** state["t"])
    w -= lr * m_hat / (np.sqrt(v_hat) + eps)


def new_state(w):
    return {"t": 0, "m": np.zeros_like(w), "v": np.zeros_like(w)}


worst = 0.0
for library, decoupled in ((optim.Adam, False), (optim.AdamW, True)):
    w = rng.standard_normal(50)
    theirs = mg.tensor(w.copy(), requires_grad=True)
    optimizer, state = library([theirs], lr=0.01, weight_decay=0.1), new_state(w)
    first = w.copy()
    for step in range(200):
        g = np.sin(w) * rng.standard_normal(50) * 10.0 ** rng.integers(-3, 4, 50)
        theirs.grad = mg.tensor(g.copy())
        adam_step(w, g, state, 0.01, decay=0.1, decoupled=decoupled)
        optimizer.step()
        worst = max(worst, np.abs(w - theirs.detach().numpy()).max())
        if step == 0 and not decoupled:
            print("first moves:", np.abs(w - first).round(6)[:5])
print(f"200 steps of ours and of the library differ by {worst:.0e}")
assert worst < 1e-12

# %% [markdown]
# ## Weight decay, and why Adam needs its own
#
# Smaller weights make a smoother function, and a smoother function is a safer bet on new data. The
# oldest way to ask for them is a penalty on the loss, called *L2*:
#
# $$ L + \frac{\lambda}{2} \sum_i w_i^2 $$
#
# Its gradient is $g_i + \lambda w_i$. With plain SGD, the new term shrinks each weight by the factor
# $1 - \eta \lambda$ in each step, hence the name *weight decay*.
#
# With Adam the same line does something else. There, $g + \lambda w$ is divided by $\sqrt{v}$,
# so a weight with *large gradients is hardly decayed at all*. Loshchilov and Hutter noticed it in 2017. Their
# repair, AdamW, takes the decay out of the gradient and shrinks the weight itself:
# $w \to (1 - \eta \lambda) w$, before the step.
#
# Watch it. A thousand weights begin at 1. Their gradients are pure noise with mean 0, so the
# decay is all that pulls. Half of them have gradients a hundred times larger.

# %%
steps = 600
scale = np.repeat([0.1, 10.0], 500)
remaining = {}
for name, decoupled in (("L2 in the gradient", False), ("decoupled", True)):
    w, kept = np.ones(1000), []
    state, noise = new_state(w), np.random.default_rng(1)
    for _ in range(steps):
        g = scale * noise.standard_normal(1000)
        adam_step(w, g, state, lr=1e-2, decay=0.1, decoupled=decoupled)
        kept.append((w[:500].mean(), w[500:].mean()))
    remaining[name] = np.array(kept)

figure, axes = plt.subplots(1, 2, figsize=(7.5, 2.8), sharey=True)
for ax, (name, kept) in zip(axes, remaining.items()):
    ax.plot(kept[:, 0], label="small gradients")
    ax.plot(kept[:, 1], label="large gradients")
    ax.set_title(name)
    ax.set_xlabel("step")
axes[1].plot((1 - 1e-3) ** np.arange(steps), label="(1 - ηλ)ᵗ")
axes[0].set_ylabel("mean weight")
axes[0].legend()
axes[1].legend()
plt.show()

print("large gradients, what is left of the weights:")
print({name: round(float(kept[-1, 1]), 3) for name, kept in remaining.items()})

# %% [markdown]
# On the right both kinds follow the curve that the formula predicts. On the left,
# one kind fell to zero ten times as fast as promised, and the other stayed nearly where it was, though both were
# promised the same $\lambda$.

# %% [markdown]
# ## The library's own
#
# The definition of the step, which all faster versions are compared with, and the class around it. The
# loop over `by_step` is for weights that had no gradient in some steps: each has its own $t$.

# %%
from minigrad.kernels.reference import optimizer as reference

show_source(reference.adamw, reference.sgd, optim.Adam.update)

# %% [markdown]
# ## Checked by finite differences
#
# Is $\lambda w$ really the gradient of the penalty, and $\lambda\,\text{sign}(w)$ that of the other usual one,
# *L1*, $\lambda \sum_i |w_i|$? Let the difference quotient say so. Then ask the optimiser: one step with
# its option must equal one step on the loss with the penalty written out.

# %%
x, t = rng.standard_normal((20, 5)), rng.integers(0, 3, 20)


def data_loss(w):
    return F.cross_entropy(mg.tensor(x) @ w, mg.tensor(t))


penalties = {
    "weight_decay": lambda w: 0.5 * 0.3 * (w * w).sum(),
    "l1": lambda w: 0.3 * w.abs().sum(),
}
w0 = rng.standard_normal((5, 3))
for option, penalty in penalties.items():
    moved = []
    for loss_function, options in (
        (data_loss, {option: 0.3}),
        (lambda w, penalty=penalty: data_loss(w) + penalty(w), {}),
    ):
        w = mg.tensor(w0.copy(), requires_grad=True)
        mg.gradcheck(loss_function, [w])
        optimizer = optim.SGD([w], lr=0.1, **options)
        loss_function(w).backward()
        optimizer.step()
        moved.append(w.detach().numpy())
    difference = np.abs(moved[0] - moved[1]).max()
    print(f"{option}: as an option and written out differ by {difference:.0e}")
    assert difference < 1e-12

# %% [markdown]
# ## Before training: the first weights
#
# Twenty layers, each $h_k = \phi(W_k h_{k-1})$. How large should the random numbers in $W$ be? Take one output,
# $z = \sum_i w_i h_i$ with $n$ terms, the $w_i$ independent with mean 0 and variance $\sigma^2$. The mean of each
# product is 0, so variances add, and
#
# $$ \text{Var}(z) = n \sigma^2 \text{ E}[h^2] $$
#
# where $\text{E}[h^2]$ is the mean square of what came in. If $\phi(z) \approx z$ near 0, as for tanh, the signal
# keeps its size when $n \sigma^2 = 1$. That is *Xavier's* rule (Glorot and Bengio 2010; they average it with the
# same demand on the way back, and get $\sigma^2 = 2 / (n_{in} + n_{out})$).
#
# Relu throws away the negative half. By symmetry that is half the mean square:
# $\text{E}[h^2] = \text{Var}(z) / 2$. So relu wants twice as much, $\sigma^2 = 2 / n$. That is *He's* rule.
#
# The formula is about one layer; the power is in the number of layers. With relu and Xavier's rule each
# layer halves the mean square. After 20 layers $2^{-20}$ is left, a thousandth in size. The same holds for
# gradients on their way back.

# %%
width, depth = 256, 20
scales = {"half of He": 0.5, "Xavier": 0.5**0.5, "He": 1.0, "twice He": 2.0}  # times He's deviation


def signal(gain):
    """Root mean square of the activations of each layer, and of the gradients that come back."""
    hidden = [mg.tensor(rng.standard_normal((128, width)), dtype="float32", requires_grad=True)]
    for _ in range(depth):
        W = nn.init.kaiming_normal_(mg.zeros(width, width), nonlinearity="relu") * gain
        hidden.append((hidden[-1] @ W.T).relu())
    upstream = mg.tensor(rng.standard_normal((128, width)), dtype="float32")
    gradients = mg.grad(hidden[-1], hidden[:-1], upstream)
    rms = [[float((x.detach() ** 2).mean()) ** 0.5 for x in each] for each in (hidden, gradients)]
    return rms


figure, axes = plt.subplots(1, 2, figsize=(7.5, 3.2))
sizes = {}
for name, gain in scales.items():
    forward, back = signal(gain)
    sizes[name] = forward[-1] / forward[0]
    axes[0].semilogy(forward, label=name)
    axes[1].semilogy(back, label=name)
    print(f"{name:>10}: size after 20 layers {sizes[name]:.1e}, predicted {gain**depth:.1e}")
axes[0].set_title("activations on the way forward")
axes[1].set_title("gradients on the way back")
axes[0].set_ylabel("root mean square")
for ax in axes:
    ax.set_xlabel("layer")
axes[0].legend(fontsize=8)
plt.show()

show_source(nn.init.kaiming_normal_, nn.init._kaiming_std)

# %% [markdown]
# ## The first test of a training program
#
# Before you train on thousands of pictures, train on *sixteen*, the same sixteen again and again. Any
# network of this size can learn them by heart, so the loss must go to zero. If it does not, there is a
# bug, and you have found it in a second instead of in a night. Here the test meets three programs. Two have a
# bug. Find both before you read on.

# %%
train_images, train_labels = digits(2000 if not fast() else 500, seed=1)
test_images, test_labels = digits(1000 if not fast() else 200, seed=2)
test_x, test_y = mg.tensor(test_images).reshape(-1, 256), mg.tensor(test_labels)


def make_network(hidden=64):
    mg.manual_seed(1)
    return nn.Sequential(nn.Linear(256, hidden), nn.ReLU(), nn.Linear(hidden, 10))


def by_heart(network, loss_function, parameters, steps=60):
    """Losses while a network learns 16 pictures by heart."""
    x, t = mg.tensor(train_images[:16]).reshape(-1, 256), mg.tensor(train_labels[:16])
    optimizer = optim.Adam(parameters, lr=3e-3)
    losses = []
    for _ in range(steps):
        loss = loss_function(network(x), t)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def first_loss(logits, t):
    return F.cross_entropy(logits, t)


def second_loss(logits, t):
    return F.nll_loss(logits.log_softmax(0), t)


network, other = make_network(), make_network()
heart = {
    "program 1": by_heart(network, first_loss, network.parameters()),
    "program 2": by_heart(make_network(), first_loss, other.parameters()),
    "program 3": by_heart(network := make_network(), second_loss, network.parameters()),
}
figure, ax = plt.subplots(figsize=(7.5, 2.8))
for name, curve in heart.items():
    ax.plot(curve, label=f"{name}: {curve[-1]:.2f} at the end")
ax.set_xlabel("step")
ax.set_ylabel("loss on 16 pictures")
ax.legend()
plt.show()

# %% [markdown]
# *Program 2* is flat to the last digit: nothing is being trained. The optimiser holds the parameters of
# `other`, a network that nobody uses. This happens when a model is created again, or moved, after its optimiser.
#
# *Program 3* learns something and then stops well above zero. Its softmax runs along the wrong axis: over the 16
# pictures instead of the ten classes. Each class has only the probability 1 to share among its pictures. If $k$
# pictures are of one class, the best for each is $1/k$, and the loss $\ln k$. The floor can be computed:

# %%
counts = np.bincount(train_labels[:16])
floor = (counts[counts > 0] * np.log(counts[counts > 0])).sum() / 16
print(f"floor {floor:.4f}, reached {heart['program 3'][-1]:.4f}")

# %% [markdown]
# A long training on thousands of pictures would have shown both too, but as "this does not work very well". Run
# this test whenever you write a new program. It takes a second.

# %% [markdown]
# ## Overfitting, and what helps
#
# To learn by heart is a test of the program and a disaster for its user. Take 300 pictures, and let a tired person
# have labelled them: a quarter of the labels are random. The network can learn even those by heart.
# New pictures, correctly labelled, show the damage. Four remedies, with the strengths found by a few tries:
#
# - **L2** shrinks every weight by a *share* of itself. Large weights hurt most, none becomes zero.
# - **L1** has the gradient $\lambda\,\text{sign}(w)$: it takes the same *amount* from each, so small weights go
#   to zero and stay there.
# - **Dropout** sets each hidden number to 0 with probability $p$, drawn again in each step, and multiplies the others
#   by $1 / (1 - p)$. The mean stays what it was: $p \cdot 0 + (1 - p) \cdot h / (1 - p) = h$. No neuron can rely on
#   a certain other one. On new pictures it is off: that is what `network.eval()` is for.
# - **Stopping early** is free: keep the weights of the epoch that was best on pictures you did not train on.

# %%
few_images, few_labels = train_images[:300].reshape(-1, 256), train_labels[:300].copy()
careless = np.random.default_rng(9)
wrong = careless.random(300) < 0.25
few_labels[wrong] = careless.integers(0, 10, wrong.sum())


def evaluate(network, x=test_x, t=test_y):
    """Loss and accuracy, with dropout off."""
    network.eval()
    with mg.no_grad():
        logits = network(x)
        right = (logits.argmax(1) == t).astype("float32").mean().item()
        loss = F.cross_entropy(logits, t).item()
    network.train()
    return loss, right


def fit_few(epochs, dropout=(0.0, 0.0), **options):
    mg.manual_seed(1)
    before, after = nn.Dropout(dropout[0]), nn.Dropout(dropout[1])
    network = nn.Sequential(before, nn.Linear(256, 128), nn.ReLU(), after, nn.Linear(128, 10))
    optimizer = optim.SGD(network.parameters(), lr=0.02, momentum=0.9, **options)
    shuffled, curve = np.random.default_rng(3), []
    x, t = mg.tensor(few_images), mg.tensor(few_labels)
    for epoch in range(epochs):
        for batch in shuffled.permutation(300).reshape(-1, 30):
            loss = F.cross_entropy(network(x[batch]), t[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if epoch % 2 == 1:
            curve.append((epoch + 1, evaluate(network, x, t)[0], *evaluate(network)))
    weights = network[1].weight.detach().numpy()
    return np.array(curve), (np.abs(weights) < 1e-3).mean()


remedies = {
    "nothing": {},
    "L2": {"weight_decay": 0.01},
    "L1": {"l1": 5e-4},
    "dropout": {"dropout": (0.2, 0.5)},
}
figure, axes = plt.subplots(1, 4, figsize=(7.5, 2.9), sharey=True)
few = {}
for ax, (name, options) in zip(axes, remedies.items()):
    few[name], zeros = fit_few(40 if not fast() else 6, **options)
    epoch, on_known, on_new, right = few[name].T
    ax.plot(epoch, on_known, label="known")
    ax.plot(epoch, on_new, label="new")
    best = on_new.argmin()
    ax.plot(epoch[best], on_new[best], "o", color="black", markersize=5)
    ax.set_title(f"{name}: {right[-1]:.0%} right", fontsize=9)
    ax.set_xlabel("epoch")
    print(
        f"{name:>8}: new loss {on_new[-1]:.2f} (best {on_new.min():.2f}), "
        f"accuracy {right[-1]:.3f}, weights near zero {zeros:.0%}"
    )
axes[0].set_ylabel("cross-entropy")
axes[0].legend(fontsize=8)
plt.show()

# %% [markdown]
# Look at "nothing". The loss on known pictures goes to zero, though a quarter of the labels are wrong. The
# loss on new pictures falls, turns at the dot, and rises again. That turn is what *overfitting* means. L2 and L1
# help a little here, dropout more, and stopping at the dot costs nothing. None of them works wonders. What would 300
# more pictures do? (Exercise 5.)

# %% [markdown]
# ## The learning rate over time
#
# Two observations lead to the schedule that GPT was trained with.
#
# - At the start the averages of Adam know one or two batches, and every weight moves by the full $\eta$ because of
#   them. So begin with a small rate, and raise it in a line: the *warm-up*.
# - Near the end the weights hop about in the valley, because each batch has a slightly different gradient. The
#   hopping is the wider the larger $\eta$ is. So lower the rate to zero, along half a cosine.
#
# After the warm-up the rate is
#
# $$ \eta_t = \eta_{max} \frac{1 + \cos(\pi p)}{2} \qquad p = \text{the part of the way after the warm-up} $$
#
# Both together are `LinearWarmupCosine`. It must be stepped **once for every step of the optimiser**.

# %%
show_source(optim.lr_scheduler.LinearWarmupCosine.lr_at)

# %% [markdown]
# To see the hopping we need a network that cannot know its pictures by heart. So each time a picture is
# used, we move it by $-1$, 0 or 1 pixels in both directions: a 7 moved by one pixel is still a 7.


# %%
def moved(images, rng):
    """Each image moved by up to one pixel in both directions."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    result = np.empty_like(images)
    for i, (down, right) in enumerate(rng.integers(0, 3, (len(images), 2))):
        result[i] = padded[i, down : down + 16, right : right + 16]
    return result


def fit(network, steps, batch_size=50, lr=3e-3, schedule=True, augment=lambda x, rng: x):
    """AdamW on the training pictures; losses and rates of each step."""
    optimizer = optim.AdamW(network.parameters(), lr=lr, weight_decay=0.01)
    scheduler = optim.lr_scheduler.LinearWarmupCosine(optimizer, steps // 10, steps)
    shuffled, losses, used = np.random.default_rng(3), [], []
    while len(losses) < steps:
        for batch in shuffled.permutation(len(train_labels)).reshape(-1, batch_size):
            x = augment(train_images[batch], shuffled).reshape(-1, 256)
            loss = F.cross_entropy(network(mg.tensor(x)), mg.tensor(train_labels[batch]))
            optimizer.zero_grad()
            loss.backward()
            used.append(optimizer.param_groups[0]["lr"] if schedule else lr)
            optimizer.param_groups[0]["lr"] = used[-1]
            optimizer.step()
            scheduler.step()
            losses.append(loss.item())
    return losses, used


steps = 400 if not fast() else 40
figure, axes = plt.subplots(1, 2, figsize=(7.5, 2.9))
late = {}
for name, schedule in (("constant", False), ("warm-up, cosine", True)):
    network = make_network()
    losses, used = fit(network, steps, lr=2e-2, schedule=schedule, augment=moved)
    smooth = np.convolve(losses, np.ones(10) / 10, "valid")
    late[name] = np.mean(losses[-steps // 10 :])
    print(f"{name}: accuracy on new pictures {evaluate(network)[1]:.3f}")
    axes[0].plot(used, label=name)
    axes[1].semilogy(smooth, label=f"{name}: {late[name]:.3f} at the end")
axes[0].set_ylabel("learning rate")
axes[1].set_ylabel("loss, mean of 10 steps")
for ax in axes:
    ax.set_xlabel("step")
axes[1].legend(fontsize=8)
plt.show()

# %% [markdown]
# ## How large a batch?
#
# The gradient of a batch is the mean over $B$ pictures, an estimate of the gradient over all. The error of a mean
# shrinks with $1 / \sqrt{B}$. Four times the work halves the noise, no more. While noise is what limits you,
# a larger batch saves steps. Once the gradient is good enough, it saves nothing and costs pictures.
#
# We count the steps that SGD needs to bring the loss on new pictures below 0.6, for each size with the best of
# three rates.


# %%
def steps_to(target, batch_size, rate, limit):
    network, shuffled = make_network(32), np.random.default_rng(4)
    optimizer = optim.SGD(network.parameters(), lr=rate, momentum=0.9)
    for step in range(1, limit + 1):
        batch = shuffled.choice(len(train_labels), batch_size, replace=False)
        x = mg.tensor(train_images[batch]).reshape(-1, 256)
        loss = F.cross_entropy(network(x), mg.tensor(train_labels[batch]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 4 == 0 and evaluate(network, test_x[:300], test_y[:300])[0] < target:
            return step
    return np.inf


batch_sizes = [4, 16, 64, 256, 1024] if not fast() else [16, 256]
target, limit = (0.6, 240) if not fast() else (1.2, 40)
step_rates = [0.02, 0.05, 0.1] if not fast() else [0.1]
needed = [min(steps_to(target, size, rate, limit) for rate in step_rates) for size in batch_sizes]
figure, axes = plt.subplots(1, 2, figsize=(7.5, 2.9))
axes[0].loglog(batch_sizes, needed, "o-")
axes[0].set_ylabel("steps")
axes[1].loglog(batch_sizes, np.array(needed) * batch_sizes, "o-")
axes[1].set_ylabel("pictures looked at")
for ax in axes:
    ax.set_xlabel("batch size")
    ax.set_xticks(batch_sizes, batch_sizes)
    ax.minorticks_off()
axes[0].set_yticks([20, 50, 100, 200], [20, 50, 100, 200])
plt.show()
for size, step in zip(batch_sizes, needed):
    print(f"batch of {size:>4}: {step:>4} steps, {step * size:>7,} pictures")

# %% [markdown]
# ## The run
#
# Everything together, on the same 2,000 pictures as lesson 4: He's start (`nn.Linear` has its own; we overwrite it),
# AdamW, the schedule, dropout. And the strongest remedy of all, more data, made from what we have: the moved pictures.
# This is called *augmentation*. Moving is free; a new picture with a label costs somebody's time.


# %%
def make_best():
    mg.manual_seed(1)
    layers = [nn.Linear(256, 128), nn.ReLU(), nn.Dropout(0.2)]
    layers += [nn.Linear(128, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10)]
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return nn.Sequential(*layers)


steps = 800 if not fast() else 120
results = {}
for name, augment in (("as they are", lambda x, rng: x), ("moved", moved)):
    network = make_best()
    losses, _ = fit(network, steps, augment=augment)
    results[name] = evaluate(network)
    print(
        f"{name:>11}: loss on new pictures {results[name][0]:.3f}, accuracy {results[name][1]:.3f}"
    )
accuracy = results["moved"][1]
goal("accuracy on new pictures", accuracy, at_least=0.97)

# %% [markdown]
# ## A bug to find
#
# The same loop once more, with plain SGD this time. One line is missing. The loss
# falls, so nobody looks twice. Which line is it? And what *exactly* does the program do without it?


# %%
def bumpy_training(network, optimizer, steps):
    shuffled, losses = np.random.default_rng(5), []
    for _ in range(steps):
        batch = shuffled.choice(len(train_labels), 50, replace=False)
        x = mg.tensor(train_images[batch]).reshape(-1, 256)
        loss = F.cross_entropy(network(x), mg.tensor(train_labels[batch]))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


steps = 300 if not fast() else 60
bumpy = make_network()
bumpy_losses = bumpy_training(bumpy, optim.SGD(bumpy.parameters(), lr=2e-3), steps)
print(f"loss {bumpy_losses[0]:.2f} at first, {np.mean(bumpy_losses[-20:]):.2f} at the end")
print(f"accuracy on new pictures {evaluate(bumpy)[1]:.3f}")
figure, ax = plt.subplots(figsize=(7.5, 2.6))
ax.plot(bumpy_losses, linewidth=1)
ax.set_xlabel("step")
ax.set_ylabel("loss of each batch")
plt.show()

# %% [markdown]
# ## Exercises
#
# **Small** (5 minutes each)
#
# 1. A loss bends with $\lambda = 500$ along its steepest direction. What is the largest learning rate for SGD?
# 2. Write `nn.init` for a layer of 300 inputs before a relu: what standard deviation?
# 3. How long is Adam's second step if both gradients are equal? If the second is the negative of the first?
#
# **Medium** (20 minutes each)
#
# 4. Turn the valley by 45 degrees: $w_1 = (u + v)/\sqrt{2}$ and $w_2 = (u - v)/\sqrt{2}$. Which of the six paths
#    change, and which do not change at all? Why?
# 5. Draw the accuracy on new pictures against the number of training pictures (100 to 2,000), with and without
#    `moved`. How many real pictures is moving worth?
# 6. Forget `network.train()` in `evaluate`. What happens to dropout after the first evaluation? Which number in this
#    lesson would have told you?
# 7. Put `.detach()` after the first layer and run the test with the sixteen pictures. It passes! What
#    would find this bug? (Lesson 20 has an answer.)
#
# **Large** (an evening)
#
# 8. For a quadratic valley, momentum has a best $\eta$ and $\mu$. Derive them: write one step as a 2 by 2 matrix
#    on $(w, v)$, find its eigenvalues, and make the larger as small as you can. How does the number of steps grow
#    with the condition number now? (Goh 2017.)
#
# **In the course kit**, to be written in the library itself and checked with `minigrad course test 5.1`:
# 5.1 *Adam and AdamW*, 5.2 *Momentum and Nesterov*, 5.3 *Warm-up and cosine*, 5.4 *He initialisation*,
# 5.5 *RMSprop*.

# %% [markdown]
# ## Answers
#
# **The bug.** `optimizer.zero_grad()` is missing. `backward` adds to `.grad`, so the gradients of all batches add
# up forever: $G_t = g_1 + \cdots + g_t$. Compare with momentum, $v \to \mu v + g$. It is momentum with $\mu = 1$: a
# ball without friction. It cannot rest at the bottom, it rolls through and up the other side. Is it *exactly* that?
# Ask:

# %%
same = make_network()
frictionless = optim.SGD(same.parameters(), lr=2e-3, momentum=1.0)
shuffled = np.random.default_rng(5)
for _ in range(steps):
    batch = shuffled.choice(len(train_labels), 50, replace=False)
    x = mg.tensor(train_images[batch]).reshape(-1, 256)
    loss = F.cross_entropy(same(x), mg.tensor(train_labels[batch]))
    frictionless.zero_grad()
    loss.backward()
    frictionless.step()
apart = max(
    float((p.detach() - q.detach()).abs().max())
    for p, q in zip(bumpy.parameters(), same.parameters())
)
print(f"without zero_grad, and with friction 0: weights differ by {apart:.0e}")

# %% [markdown]
# **Small 1.** $2 / 500 = 0.004$. **Small 2.** $\sqrt{2 / 300} = 0.082$. **Small 3.** Again $\eta$; and the other way,
# $m = 0.9 \cdot 0.1 g - 0.1 g = -0.01 g$, corrected by $1 - 0.81 = 0.19$: $0.053 \eta$.
# **Medium 4.** SGD, momentum and Nesterov take the same paths, turned. They only add gradients, and a sum does not
# know the axes. The other three divide each coordinate by something of its own, so they do. **Medium 6.** It stays
# off for the rest of the training. The loss of the batches falls as it does with "nothing".

# %% [markdown]
# ## Sources
#
# - I. Sutskever, J. Martens, G. Dahl, G. Hinton, *On the importance of initialization and momentum in deep learning*,
#   ICML 2013: momentum and Nesterov in the form above.
# - J. Duchi, E. Hazan, Y. Singer, *Adaptive subgradient methods*, JMLR 12, 2011; G. Hinton, lecture 6e of *Neural
#   networks for machine learning*, 2012: RMSprop.
# - D. Kingma, J. Ba, *Adam: a method for stochastic optimization*, ICLR 2015: algorithm 1, and section 3 for the
#   correction.
# - I. Loshchilov, F. Hutter, *Decoupled weight decay regularization*, ICLR 2019; *SGDR*, ICLR 2017: the cosine.
# - X. Glorot, Y. Bengio, *Understanding the difficulty of training deep feedforward neural networks*, AISTATS 2010;
#   K. He, X. Zhang, S. Ren, J. Sun, *Delving deep into rectifiers*, ICCV 2015: section 2.2.
# - N. Srivastava et al., *Dropout*, JMLR 15, 2014.
# - C. Shallue et al., *Measuring the effects of data parallelism on neural network training*, JMLR 20, 2019: steps
#   against batch size, done properly.
# - G. Goh, *Why momentum really works*, Distill 2017.
# - A. Karpathy, *A recipe for training neural networks*, 2019: one batch first.
#
# Next: lesson 6, how to make it fast.
