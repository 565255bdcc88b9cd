# %% [markdown]
# # 19. Precision and memory: float16, bfloat16, loss scaling, checkpointing, the profiler
#
# | | |
# |---|---|
# | Builds on | lesson 3: what an engine saves; lesson 5: training; lesson 11 helps: vanishing gradients |
# | You will have | a training in 16 bits that reaches what 32 bits reach, in less memory, and a profile of it |
# | Time | 85 minutes, of which 12 seconds are computing |
# | Memory | 0.4 GB |
#
# Large models do not fit, and wait for memory more than for arithmetic. Half the bits are half the memory. This
# lesson is about what breaks then, and how it is fixed.

# %%
import time
import tracemalloc

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator

import minigrad as mg
import nn
from lessons.material.kit import fast, goal, show_source
from minigrad import amp, checkpointing
from minigrad.dtypes import as_dtype, epsilon
from nn import functional as F
from nn import optim
from nn.utils import clip_grad_norm_

plt.style.use("lessons.material.grey")
rng = np.random.default_rng(0)
try:
    bfloat16 = as_dtype("bfloat16")
except ImportError as error:
    bfloat16 = None
    print(
        f"{error}\nThe lesson continues with float16; bfloat16 is shown where plain numpy can do it."
    )

# %% [markdown]
# ## The question
#
# A float32 has 32 bits: a sign, 8 bits of exponent, 23 of fraction. There are two ways to halve it. float16 keeps
# more of the fraction, bfloat16 all of the exponent. Which half of a number can a network do without?

# %% [markdown]
# ## A picture: three formats

# %%
formats = {"float32": (8, 23), "float16": (5, 10), "bfloat16": (8, 7)}
figure, ax = plt.subplots(figsize=(7.5, 2.2))
for row, (name, (e, f)) in enumerate(formats.items()):
    for start, bits, shade, part in (
        (0, 1, "0.35", "sign"),
        (1, e, "0.65", "exponent"),
        (1 + e, f, "0.92", "fraction"),
    ):
        ax.barh(-row, bits, left=start, color=shade, edgecolor="black", height=0.7)
        if bits > 1:
            ax.text(
                start + bits / 2,
                -row,
                f"{part} {bits}",
                ha="center",
                va="center",
                fontsize=8,
            )
    ax.text(-0.3, -row, name, ha="right", va="center")
ax.set_xlim(-4.5, 32.5)
ax.set_axis_off()
plt.show()

# %% [markdown]
# ## The derivation: what the bits mean
#
# Let $s$ be the sign bit, $e$ the exponent bits and $f$ the fraction bits, read as whole numbers. For float16:
#
# $$ x = (-1)^s \cdot 2^{e - 15} \cdot (1 + f / 1024) \qquad 1 \le e \le 30 $$
#
# The 1 before the fraction is not stored, it is always there. In one *binade*, from $2^k$ to $2^{k+1}$, there are
# 1,024 numbers at equal distances. In the next the distances are twice as large: a float has a constant
# **relative** precision, $2^{-10}$ here. Two exponents are special. $e = 31$ means infinity, or NaN where $f$ is
# not 0. And $e = 0$ means *subnormal*:
#
# $$ x = (-1)^s \cdot 2^{-14} \cdot f / 1024 \qquad e = 0 $$
#
# Here the 1 is missing, so the numbers go down to 0 in equal steps of $2^{-24} = 6 \cdot 10^{-8}$. Below is nothing.
#
# bfloat16 is the upper half of a float32: add sixteen zero bits and you have it.

# %% [markdown]
# ## The smallest code: decoding by hand


# %%
def decode_float16(bits):
    """The value of 16 bits, given as a whole number."""
    s, e, f = bits >> 15, (bits >> 10) & 31, bits & 1023
    sign = -1.0 if s else 1.0
    if e == 31:
        return sign * np.inf if f == 0 else np.nan
    return sign * 2.0**-14 * (f / 1024) if e == 0 else sign * 2.0 ** (e - 15) * (1 + f / 1024)


def to_bfloat16(x):
    """float32 numbers rounded to the nearest bfloat16, a tie to the even one; still as float32."""
    bits = np.asarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


every = np.arange(65536, dtype=np.uint16)
decoded = np.array([decode_float16(int(bits)) for bits in every])
all_equal = np.array_equal(decoded, every.view(np.float16).astype(float), equal_nan=True)
print("all 65,536 patterns of float16 decoded as numpy does:", all_equal)
assert all_equal
for value in (1.0, 0.1, 65504.0, 6e-8):
    print(
        f"{value:8g} is stored as {int(np.float16(value).view(np.uint16)):016b} = {float(np.float16(value)):.10g}"
    )
if bfloat16 is not None:
    numbers = rng.standard_normal(100_000).astype("float32") * 10.0 ** rng.integers(
        -30, 30, 100_000
    )
    same = np.array_equal(
        to_bfloat16(numbers), numbers.astype(np.float32).astype(bfloat16).astype(np.float32)
    )
    print("bfloat16 rounded as ml_dtypes does:", same)

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3), width_ratios=[1.2, 1])
for name, low, smallest, precision, high in (
    ("float32", -126, -149, 23, 127),
    ("float16", -14, -24, 10, 15),
    ("bfloat16", -126, -133, 7, 127),
):
    k = np.arange(max(smallest, -45), min(high, 40))
    left.plot(k, np.maximum(k, low) - precision - k, label=name)
left.set_xlabel("exponent of the number, $2^k$")
left.set_ylabel("relative distance of neighbours, $2^n$")
left.legend(fontsize=8)
step = 2.0**-24
for k, height in zip(
    (0, 1, 2), (1.0, 0.75, 0.5)
):  # subnormals, and the first two binades, every 64th number
    start, distance = (0, step) if k == 0 else (2.0 ** (-15 + k), step * 2 ** (k - 1))
    right.vlines(
        (start + distance * np.arange(0, 1024, 64)) * 1e4, 0, height, color="black", linewidth=0.8
    )
right.set_ylim(0, 1.3)
right.set_yticks([])
right.grid(False)
right.set_xlabel("every 64th float16 ($10^{-4}$)")
right.annotate("subnormal", (0.3, 1.06), ha="center", fontsize=8)
right.annotate("normal", (1.5, 0.82), ha="center", fontsize=8)
plt.show()

# %% [markdown]
# float16 is precise within a narrow range: from $6 \cdot 10^{-8}$ to 65,504. bfloat16 is coarse, but it has
# float32's range. Remember both sides: float16 loses **small and large** numbers, bfloat16 loses **digits**.

# %% [markdown]
# ## Sums that stall
#
# Add 1 again and again. At 2,048 the distance of float16's numbers becomes 2. The sum 2,049 lies in the middle
# of two numbers and is rounded to the even one, 2,048. From there on nothing is added any more. In bfloat16 that
# happens at 256. Three ways out:
#
# - **pairwise**: add halves to halves. No sum is ever much larger than what is added to it. numpy does so.
# - **Kahan** (1965): keep what was rounded off, and add it the next time.
# - **a wider accumulator**: add 16-bit numbers in float32. That is what GPUs and this library's products do.


# %%
def running_sum(numbers, dtype):
    total, totals = dtype(0), []
    for x in numbers:
        total = dtype(total + dtype(x))
        totals.append(float(total))
    return totals


def kahan_sum(numbers, dtype):
    total, lost, totals = dtype(0), dtype(0), []
    for x in numbers:
        wanted = dtype(dtype(x) - lost)
        longer = dtype(total + wanted)
        lost = dtype(
            dtype(longer - total) - wanted
        )  # what has been added, less what should have been
        total = longer
        totals.append(float(total))
    return totals


def pairwise_sum(numbers, dtype):
    if len(numbers) == 1:
        return dtype(numbers[0])
    half = len(numbers) // 2
    return dtype(pairwise_sum(numbers[:half], dtype) + pairwise_sum(numbers[half:], dtype))


def bf16(x):
    return to_bfloat16(np.float32(x))[()]


ones = np.ones(4096 if not fast() else 2600)
sums = {
    "float16": running_sum(ones, np.float16),
    "bfloat16": running_sum(ones, bf16),
    "float16, Kahan": kahan_sum(ones, np.float16),
}
figure, ax = plt.subplots(figsize=(7.5, 2.8))
for name, totals in sums.items():
    ax.plot(totals, label=f"{name}: {totals[-1]:g}")
ax.set_xlabel("ones added")
ax.set_ylabel("sum")
ax.legend()
plt.show()
print(
    f"pairwise in float16: {float(pairwise_sum(ones, np.float16)):g}; the right sum is {len(ones)}"
)

# %% [markdown]
# The same happens to **weights**. A step changes a weight of 1 by 0.0001, and the next float16 above 1 is
# 1.00098. So the step is rounded away, and a thousand steps are too:

# %%
half, master = np.float16(1), np.float32(1)
for _ in range(1000):
    half = np.float16(half + np.float16(1e-4))
    master = np.float32(master + np.float32(1e-4))
print(f"after 1,000 steps of 0.0001: float16 {float(half):.4f}, float32 {float(master):.4f}")
print(f"distance from 1 to the next number: float16 {epsilon(np.dtype('float16')):.5f}")

# %% [markdown]
# Hence *mixed* precision (Micikevicius et al. 2018): **master weights** in float32, products in 16 bits with sums
# in float32, and what is delicate (softmax, norms, losses) in float32. The library decides it in two functions: every
# product asks `for_products` about its operands, everything delicate asks `for_sums`.

# %%
show_source(amp.for_products, amp.for_sums)

# %% [markdown]
# ## Gradients that underflow
#
# A network learns to predict positions, given in **kilometres**, though they are only metres. The loss is a square
# of small numbers, its gradient is small, and with 512 examples in the mean it is divided by 512 too. In float32
# that is no problem: Adam divides by the usual size anyway. In float16 all of it, below the last layer, is under
# $2^{-24}$.

# %%
inputs = rng.uniform(-1, 1, (512, 1)).astype("float32")
unit = 1e-3  # a metre in kilometres
outputs = (unit * np.sin(3 * inputs)).astype("float32")
x, y = mg.tensor(inputs), mg.tensor(outputs)


def make_network():
    mg.manual_seed(1)
    network = nn.Sequential(
        nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1)
    )
    network[4].weight.data *= unit  # so that the first outputs are of the right size
    network[4].bias.data *= unit
    return network


def gradients(precision, scale=1.0):
    """All gradients of the first step, divided by the scale again."""
    network = make_network()
    with mg.autocast(precision, enabled=precision != "float32"):
        loss = F.mse_loss(network(x), y)
    (loss * scale).backward()
    return {name: p.grad.numpy() / scale for name, p in network.named_parameters()}


exact, halves, scaled = gradients("float32"), gradients("float16"), gradients("float16", 2.0**16)
for name in exact:
    print(
        f"{name:9} zero in float16 {(halves[name] == 0).mean():4.0%}, scaled {(scaled[name] == 0).mean():4.0%}"
    )

# %% [markdown]
# The last layer gets its gradient, and the layers below it nothing. The picture shows why: the exponents of the
# gradient with respect to the hidden numbers, as float32 computes them.

# %%
network = make_network()
hidden = network[3](network[2](network[1](network[0](x))))
small = mg.grad(F.mse_loss(network[4](hidden), y), [hidden])[0].numpy()
exponents = np.log2(np.abs(small[small != 0]))
figure, ax = plt.subplots(figsize=(7.5, 2.8))
bins = np.arange(-46, 2)
ax.hist(exponents, bins, color="0.75", edgecolor="black", label="as it is")
ax.hist(exponents + 16, bins, histtype="step", linewidth=2, linestyle="--", label="times $2^{16}$")
for place, name in ((-24, "smallest\nfloat16"), (-14, "smallest\nnormal")):
    ax.axvline(place, color="black", linestyle=":")
    ax.annotate(
        name,
        (place, 1),
        xycoords=("data", "axes fraction"),
        xytext=(4, -24),
        textcoords="offset points",
        fontsize=8,
    )
ax.set_xlabel("exponent of the gradient, $2^k$")
ax.set_ylabel("how many")
ax.legend(loc="upper left")
plt.show()
lost = (exponents < -25).mean()
print(f"below half the smallest float16, so zero: {lost:.0%}")

# %% [markdown]
# The range of float16 goes up to $2^{15}$, and nobody is there. So multiply the loss by $2^{16}$ before `backward`.
# By the chain rule *all* gradients are multiplied with it. Divide the weights' gradients by it before the step, in
# float32. No rounding comes from that, since a power of 2 only changes exponents.

# %% [markdown]
# ## The smallest code: a loss scaler
#
# Which factor? Too small, and numbers are lost below. Too large, and some become infinite. The second is easy to
# see, so: try a large one. If a gradient is infinite, leave this step out and halve the factor. If all went well
# for long, double it.


# %%
class Scaler:
    def __init__(self, scale=2.0**16, patience=2000):
        self.scale, self.patience, self.good = scale, patience, 0

    def step(self, optimizer, parameters):
        """Make the step, or not; the loss was multiplied by self.scale before backward."""
        for p in parameters:
            p.grad /= self.scale
        if not all(np.isfinite(p.grad.numpy()).all() for p in parameters):
            self.scale, self.good = self.scale / 2, 0
            return
        optimizer.step()
        self.good += 1
        if self.good == self.patience:
            self.scale, self.good = self.scale * 2, 0


# %% [markdown]
# ## The library's own
#
# The same, with the division and the update as steps of their own, so that one can look at the true gradients in
# between:

# %%
show_source(mg.GradScaler.scale, mg.GradScaler.unscale_, mg.GradScaler.step, mg.GradScaler.update)

# %% [markdown]
# ## The run: 16 bits that learn

# %%
steps = 600 if not fast() else 60


def train(precision, scaler=None, steps=steps):
    """The loss of each step, in units of the outputs squared; the scales, if there is a scaler."""
    network, losses, scales = make_network(), [], []
    parameters = list(network.parameters())
    optimizer = optim.Adam(parameters, lr=3e-3)
    for _ in range(steps):
        with mg.autocast(precision, enabled=precision != "float32"):
            loss = F.mse_loss(network(x), y)
        optimizer.zero_grad()
        if isinstance(scaler, Scaler):
            (loss * scaler.scale).backward()
            scaler.step(optimizer, parameters)
            scales.append(scaler.scale)
        elif scaler:
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            scales.append(scaler.get_scale())
        else:
            loss.backward()
            optimizer.step()
        losses.append(loss.item() / unit**2)
    return losses, scales


patience = 20
runs = {
    "float32": train("float32"),
    "float16": train("float16"),
    "float16, scaled": train("float16", mg.GradScaler(growth_interval=patience)),
}
if bfloat16 is not None:
    runs["bfloat16"] = train("bfloat16")
_, our_scales = train("float16", Scaler(patience=patience))
same_scales = our_scales == runs["float16, scaled"][1]
print("your scaler and the library's chose the same factors:", same_scales)

figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.2), width_ratios=[1.6, 1])
for name, (losses, _) in runs.items():
    left.semilogy(losses, linewidth=1.3, label=f"{name}: {losses[-1]:.1g}")
left.set_xlabel("step")
left.set_ylabel("mean squared error (m²)")
left.legend(fontsize=8, loc="lower left")
right.step(range(steps), np.log2(our_scales))
right.set_xlabel("step")
right.set_ylabel("factor, $2^k$")
right.yaxis.set_major_locator(MaxNLocator(integer=True))
plt.show()
final = {name: np.mean(losses[-20:]) for name, (losses, _) in runs.items()}
goal("mean squared error with float16 and scaling", final["float16, scaled"], at_most=0.002)

# %% [markdown]
# Without scaling the lower layers stay nearly as they were drawn. The last one alone mixes the curves that it finds
# there, and slowly gets somewhere. That is the danger: nothing fails, it looks like a training that needs more
# time. With scaling the curve lies on that of float32. (All overshoot at first, because Adam's steps of 0.003 are
# large for weights of 0.001.)
#
# On the right the factor climbs until something overflows, and is halved. bfloat16 needs no scaler, its range is wide
# enough. It pays with digits: at the end it is a little above the others.

# %% [markdown]
# ## Memory: what is kept for the way back
#
# The other consumer are activations. Each layer saves for `backward` what its rule needs (lesson 3). Take $n$ layers
# `tanh(Linear(h))` of width $d$ and a batch of $B$. A layer keeps its output, which the next one keeps as its
# input, the same array. So
#
# $$ \text{memory} \approx n \cdot B \cdot d \cdot 4 \text{ bytes} $$
#
# Now give most of it up (Chen et al. 2016). Cut the chain into $k$ segments and keep only the input of each. On the
# way back, compute a segment again from its input, go back through it, and forget it. Kept are $k$ inputs and the
# $n / k$ outputs of one segment:
#
# $$ m(k) = k + n / k \qquad m'(k) = 1 - n / k^2 = 0 \qquad k = \sqrt{n} $$
#
# With $\sqrt{n}$ segments the memory is $2 \sqrt{n}$ instead of $n$. The price is one more forward pass. A backward
# pass costs about two, so 4 instead of 3: a third more time, whatever $n$ is. By hand:

# %%
n, d, B = 64, 64, 2048
if fast():
    n, B = 16, 512
mg.manual_seed(0)
layers = [nn.Sequential(nn.Linear(d, d), nn.Tanh()) for _ in range(n)]
start = mg.randn(B, d, requires_grad=True)
parameters = [p for layer in layers for p in layer.parameters()]


def forward(h, part):
    for layer in part:
        h = layer(h)
    return h


def by_hand(k):
    """Gradients with respect to all parameters, with k segments."""
    length, kept = n // k, [start.detach()]
    with mg.no_grad():
        for i in range(0, n, length):
            kept.append(forward(kept[-1], layers[i : i + length]))
    gradient = 2 * kept.pop()  # of the sum of squares, by the last output
    collected = []
    for i in reversed(range(0, n, length)):
        part = layers[i : i + length]
        h = kept.pop().requires_grad_()
        own = [p for layer in part for p in layer.parameters()]
        gradient, *found = mg.grad(forward(h, part), [h, *own], gradient)
        collected = found + collected
    return collected


def plain():
    h = forward(start, layers)
    return mg.grad((h * h).sum(), parameters)


def checkpointed(k):
    h = start
    for i in range(0, n, n // k):
        h = mg.checkpoint(lambda h, i=i: forward(h, layers[i : i + n // k]), h)
    return mg.grad((h * h).sum(), parameters)


for way in (by_hand(4), checkpointed(4)):
    assert all(
        np.allclose(a.numpy(), b.numpy(), rtol=1e-3, atol=1e-4) for a, b in zip(way, plain())
    )
print("by hand, by the library, and without checkpoints: the same gradients")
show_source(checkpointing.checkpoint, checkpointing._Stretch.second_run)


# %%
def measure(act):
    """The peak of memory while it runs, in arrays of B × d numbers, and seconds."""
    act()
    tracemalloc.start()
    act()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - started)
    return peak / (B * d * 4), min(seconds)


segments = [k for k in (1, 2, 4, 8, 16, 32, 64) if k <= n]
whole, whole_seconds = measure(plain)
measured = [measure(lambda k=k: checkpointed(k)) for k in segments]
peaks = [peak for peak, _ in measured]
figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3))
left.plot(segments, peaks, "o-", label="measured")
left.plot(segments, [k + n / k for k in segments], "s--", label="k + n/k")
left.axhline(whole, color="0.5", linestyle=":", label="without checkpoints")
left.set_xscale("log", base=2)
left.set_xlabel("segments k")
left.set_ylabel("arrays kept")
left.set_ylim(0, 1.5 * whole)
left.legend(fontsize=8)
right.plot(segments, [seconds / whole_seconds for _, seconds in measured], "o-", label="measured")
right.axhline(4 / 3, color="0.2", linestyle="--", linewidth=1, label="4/3")
right.axhline(1, color="0.5", linestyle=":", label="without checkpoints")
right.set_xscale("log", base=2)
right.set_xlabel("segments k")
right.set_ylabel("time, that without = 1")
right.set_ylim(0)
right.legend(fontsize=8, loc="lower center")
plt.show()
best = segments[int(np.argmin(peaks))]
print(f"{whole:.0f} arrays without checkpoints, {min(peaks):.0f} with {best} segments")

# %% [markdown]
# ## Checked by finite differences
#
# A checkpoint must not change gradients. In float64 that is checked as always. In float16 it could not be: a
# difference quotient with a step of 0.001 has an error of about $2^{-11} / 0.001$, a half.

# %%
few = [nn.Sequential(nn.Linear(3, 3), nn.Tanh()) for _ in range(2)]
for layer in few:
    for p in layer.parameters():
        p.data = p.data.astype("float64")
h = mg.tensor(rng.standard_normal((2, 3)), requires_grad=True)
print("gradcheck:", mg.gradcheck(lambda h: mg.checkpoint(lambda h: forward(h, few), h), [h]))

# %% [markdown]
# ## The profiler: one thing found, and fixed
#
# Do not guess where time and memory go. Here is a small word model by someone who knows that "an embedding is a
# product with one-hot vectors". Five thousand words, 64 numbers each:

# %%
words, batch = (5000, 512) if not fast() else (500, 128)
table = mg.randn(words, 64, requires_grad=True)
head = nn.Linear(64, 20)
ids, labels = mg.tensor(rng.integers(0, words, batch)), mg.tensor(rng.integers(0, 20, batch))


def slow_step():
    one_hot = mg.tensor(np.eye(words, dtype="float32")[ids.numpy()])
    F.cross_entropy(head(one_hot @ table), labels).backward()


def quick_step():
    F.cross_entropy(head(F.embedding(ids, table)), labels).backward()


def profiled(step):
    step()  # the first call compiles
    table.grad = None
    with mg.profile() as profile:
        step()
    return profile, table.grad.numpy().copy()


(slow, slow_gradient), (quick, quick_gradient) = profiled(slow_step), profiled(quick_step)
print(slow.table(4), "\n\n", quick.table(4), sep="")
assert np.allclose(slow_gradient, quick_gradient, atol=1e-6)

# %% [markdown]
# Read it from left to right. One `MatMul` has most of the time, and nearly all of the arithmetic,
# though every product but one in five thousand is a product with zero. The last line counts what is outside of
# them: making the one-hot vectors is not an operation of the library, so it is there. A lookup takes 64 numbers for
# each word and gives the same gradients.

# %%
sizes = {
    name: sum(row["bytes"] for row in p.rows()) / 1e6
    for name, p in (("one-hot", slow), ("lookup", quick))
}
times = {"one-hot": slow.wall_ns / 1e6, "lookup": quick.wall_ns / 1e6}
for name in sizes:
    print(f"{name}: {times[name]:.1f} ms, {sizes[name]:.1f} MB read and written by operations")

# %% [markdown]
# ## A bug to find
#
# A colleague adds gradient clipping to the loop with the scaler. It runs, no number is infinite, no step is left out.
# But with plain SGD her network learns nothing at all, whatever the learning rate within reason.


# %%
def clipped(order):
    """The losses of SGD with clipping, on outputs of size 1."""
    mg.manual_seed(1)
    network = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 1))
    parameters = list(network.parameters())
    optimizer, scaler = optim.SGD(parameters, lr=0.1), mg.GradScaler()
    losses = []
    for _ in range(120 if not fast() else 40):
        with mg.autocast("float16"):
            loss = F.mse_loss(network(x), y / unit)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        if order == "hers":
            norm = clip_grad_norm_(parameters, 1.0)
            scaler.unscale_(optimizer)
        else:
            scaler.unscale_(optimizer)
            norm = clip_grad_norm_(parameters, 1.0)
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    return losses, norm.item()


hers, her_norm = clipped("hers")
print(
    f"her loss: {hers[0]:.3f} at first, {hers[-1]:.3f} at the end; the norm she prints: {her_norm:.0f}"
)

# %% [markdown]
# ## Exercises
#
# **Small** (5 minutes each)
#
# 1. Which float16 has the bits 0 10000 1000000000? And what bits has $-0.375$?
# 2. What is the largest float16, and what becomes of $300 \cdot 300$?
# 3. Where does a running sum of 0.5 stall in float16?
#
# **Medium** (20 minutes each)
#
# 4. Write softmax in float16 without subtracting the largest logit. From which logit on is it infinite? And at which
#    logit do you lose the smallest probabilities *with* subtraction?
# 5. *Stochastic rounding*: round up with a probability that is the distance from the number below. Show that the weight
#    of "after 1,000 steps" then moves as it should, on average.
# 6. Count the bytes of one block of GPT that are kept for the way back, by formula, and compare with `tracemalloc`
#    (Korthikanti et al. 2022, section 4, has the terms).
#
# **Large** (an evening)
#
# 7. Checkpoints in checkpoints: with $k$ levels the memory is about $k \cdot n^{1/k}$. Write it as a recursion and
#    measure time against memory for one, two and three levels (Griewank 1992).
#
# **In the course kit**, to be written in the library itself: 19.1 *The precision of a format*, 19.2 *The rule of
# the loss scale*, 19.3 *Unscale*, 19.4 *A step that may be left out*, 19.5 *Run it again*.
# `minigrad course test 19.1` checks the first.

# %% [markdown]
# ## Answers
#
# **The bug.** She clips the *scaled* gradients. Their norm is 65,536 times too large, so clipping to 1 divides by
# some tens of thousands, and unscaling then divides by 65,536 once more. The steps are about that factor too small.
# The norm that she prints is the hint: no network has one like it. With Adam the bug would be nearly invisible,
# since Adam does not care about constant factors; only clipping would have no meaning. Unscale first:

# %%
right, our_norm = clipped("unscale first")
print(f"unscaled first: {right[0]:.3f} at first, {right[-1]:.3f} at the end; norm {our_norm:.2f}")
assert right[-1] < 0.5 * hers[-1]

# %% [markdown]
# **Small 1.** $2^{16 - 15} \cdot 1.5 = 3$. $-0.375 = -2^{-2} \cdot 1.5$: 1 01101 1000000000. **Small 2.** 65,504;
# $300 \cdot 300 = 90,000$ is infinite already. **Small 3.** At 1,024, where the distance is 1.

# %% [markdown]
# ## Sources
#
# - P. Micikevicius et al., *Mixed precision training*, ICLR 2018: master weights, loss scaling; figure 3 is our
#   histogram.
# - D. Kalamkar et al., *A study of bfloat16 for deep learning training*, arXiv:1905.12322, 2019.
# - D. Goldberg, *What every computer scientist should know about floating-point arithmetic*, ACM Computing
#   Surveys 23, 1991.
# - W. Kahan, *Further remarks on reducing truncation errors*, Communications of the ACM 8, 1965.
# - N. Higham, *Accuracy and Stability of Numerical Algorithms*, SIAM 2002: chapter 4, sums.
# - T. Chen, B. Xu, C. Zhang, C. Guestrin, *Training deep nets with sublinear memory cost*, arXiv:1604.06174, 2016.
# - A. Griewank, *Achieving logarithmic growth of temporal and spatial complexity in reverse automatic
#   differentiation*, Optimization Methods and Software 1, 1992.
# - V. Korthikanti et al., *Reducing activation recomputation in large Transformer models*, arXiv:2205.05198, 2022.
#
# Next: lesson 20, whom to trust.
