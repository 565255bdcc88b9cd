"""Training steps against PyTorch: mini-GPT and MLP, AdamW, gradient clipping, float32, two threads.

    python -m tests.benchmarks.bench_training [--compile] [WORD ...]

Both sides do the whole step on the same shapes: forward, loss, backward, clip to
norm 1, AdamW, zero_grad. With --compile torch.compile is a second opponent; with
words, only the rows whose name has one of them are measured.
"""

import importlib
import sys

import numpy as np

from tests.benchmarks.turns import compare, machine, table

GPTS = {
    "GPT 4 layers, 4 heads, 128 wide, T 64, B 12, V 65": {
        "layers": 4, "heads": 4, "width": 128, "time": 64, "batch": 12, "vocabulary": 65,
    },
    "GPT 6 layers, 6 heads, 384 wide, T 256, B 8, V 65": {
        "layers": 6, "heads": 6, "width": 384, "time": 256, "batch": 8, "vocabulary": 65,
    },
    "GPT 4 layers, 4 heads, 256 wide, T 128, B 4, V 50257": {
        "layers": 4, "heads": 4, "width": 256, "time": 128, "batch": 4, "vocabulary": 50257,
    },
}  # fmt: skip
THREADS = 2


def _batch(batch: int, time: int, vocabulary: int):
    ids = np.random.default_rng(0).integers(0, vocabulary, (batch, time + 1))
    return ids[:, :-1].copy(), ids[:, 1:].copy()


def our_gpt(layers, heads, width, time, batch, vocabulary, compiled=False):
    import minigrad as mg
    from models.gpt import GPT, GPTConfig
    from nn import optim
    from nn.utils import clip_grad_norm_

    mg.threads.set_num_threads(THREADS)
    mg.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=vocabulary, context_length=time, num_layers=layers, num_heads=heads,
                          embedding_dim=width, dropout=0.0))  # fmt: skip
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)
    parameters = list(model.parameters())
    x, y = _batch(batch, time, vocabulary)

    def step():
        _, loss = model(x, y)
        loss.backward()
        clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step


def torch_gpt_model(layers, heads, width, time, vocabulary):
    """The same GPT in PyTorch; model(ids, targets) is the loss."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x):
            b, t, c = x.shape
            q, k, v = (z.view(b, t, heads, c // heads).transpose(1, 2) for z in self.qkv(self.ln_1(x)).split(c, 2))
            a = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(a.transpose(1, 2).reshape(b, t, c))
            return x + self.down(functional.gelu(self.up(self.ln_2(x)), approximate="tanh"))

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(time, width)
            self.blocks = nn.ModuleList(Block() for _ in range(layers))
            self.ln_f, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)
            self.head.weight = self.wte.weight

        def forward(self, x, y):
            h = self.wte(x) + self.wpe(torch.arange(x.shape[1], device=x.device))
            for block in self.blocks:
                h = block(h)
            logits = self.head(self.ln_f(h))
            return functional.cross_entropy(logits.view(-1, vocabulary), y.view(-1))

    return GPT()


def torch_gpt(layers, heads, width, time, batch, vocabulary, compiled=False):
    import torch

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    model = torch_gpt_model(layers, heads, width, time, vocabulary)
    run = torch.compile(model) if compiled else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    x, y = (torch.from_numpy(z) for z in _batch(batch, time, vocabulary))

    def step():
        loss = run(x, y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step


def our_mlp():
    import minigrad as mg
    import nn
    from nn import functional, optim

    mg.threads.set_num_threads(THREADS)
    model = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 10))
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)
    rng = np.random.default_rng(0)
    x = mg.tensor(rng.standard_normal((128, 256)).astype("float32"))
    y = mg.tensor(rng.integers(0, 10, 128))

    def step():
        loss = functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step


def torch_mlp():
    import torch
    from torch import nn

    torch.set_num_threads(THREADS)
    model = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.standard_normal((128, 256)).astype("float32"))
    y = torch.from_numpy(rng.integers(0, 10, 128))

    def step():
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step


def _chain(x, tanh):
    """1,000 element-wise operations on 16 floats."""
    y = x
    for _ in range(250):
        y = y * 1.01
        y = y + x
        y = tanh(y)
        y = -y
    return y


def our_chain():
    import minigrad as mg

    x = mg.randn(16, requires_grad=True)
    return lambda: _chain(x, mg.tanh).sum().backward()


def torch_chain():
    import torch

    x = torch.randn(16, requires_grad=True)
    return lambda: _chain(x, torch.tanh).sum().backward()


def _load_ours():
    for name in ("minigrad.kernels.cpu.attention", "minigrad.kernels.cpu.linear", "models.gpt", "nn.optim"):
        importlib.import_module(name)


def _load_torch():
    importlib.import_module("torch")


for _make in (our_gpt, our_mlp, our_chain):
    _make.load = _load_ours
for _make in (torch_gpt, torch_mlp, torch_chain):
    _make.load = _load_torch


def main(arguments: list[str]) -> None:
    here = "tests.benchmarks.bench_training"
    compiled, words = "--compile" in arguments, [a for a in arguments if a != "--compile"]
    rows = []  # work, opponent, ours, theirs, options, rounds
    for work, options in GPTS.items():
        rounds = {"rounds": 30, "steps": 5} if options["width"] == 128 else {"rounds": 7, "steps": 1}
        rows.append((work, "torch eager", "our_gpt", "torch_gpt", options, rounds))
        if compiled:
            rows.append((work, "torch.compile", "our_gpt", "torch_gpt", {**options, "compiled": True}, rounds))
    rows.append(("MLP 128×256→512→10", "torch eager", "our_mlp", "torch_mlp", {}, {"rounds": 15, "steps": 50}))
    rows.append(("chain of 1,000 ops", "torch eager", "our_chain", "torch_chain", {}, {"rounds": 15, "steps": 5}))
    print(f"{machine()}; {THREADS} threads\n")
    results = []
    for work, opponent, ours, theirs, options, rounds in rows:
        if not words or any(word in work for word in words):
            results.append(compare(work, opponent, f"{here}:{ours}", f"{here}:{theirs}", options, **rounds))
            print(table(results[-1:]).splitlines()[-1], flush=True)
    print()
    print(table(results))


if __name__ == "__main__":
    main(sys.argv[1:])
