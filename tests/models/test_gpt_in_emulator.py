"""A whole GPT trains on the CUDA kernels, in the emulator, as it does on the CPU."""

import numpy as np
import pytest

import minigrad
import nn
from minigrad import kernels
from minigrad.kernels.dispatch import Kernel
from models.gpt import GPT, GPTConfig
from nn.optim import AdamW

STEPS = 5
CONFIG = GPTConfig(vocab_size=31, context_length=24, num_layers=2, num_heads=2, embedding_dim=36, dropout=0.1)


def losses() -> list[float]:
    """Of a training run on a seed: dropout, clipped gradients, AdamW."""
    minigrad.manual_seed(7)
    model = GPT(CONFIG)
    optimizer = AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    rng = np.random.default_rng(7)
    found = []
    for _ in range(STEPS):
        tokens = minigrad.tensor(rng.integers(0, CONFIG.vocab_size // 2, (3, CONFIG.context_length + 1)))
        _, loss = model(tokens[:, :-1], tokens[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        found.append(loss.item())
    return found


@pytest.mark.emulator
def test_the_emulator_trains_to_the_losses_of_the_cpu(monkeypatch):
    on_cpu = losses()
    called = {}
    choose = Kernel.choose

    def recorded(kernel, *args):
        function = choose(kernel, *args)
        called.setdefault(kernel.name, set()).add(function.__module__)
        return function

    monkeypatch.setattr(Kernel, "choose", recorded)
    with kernels.use("emulator"), kernels.strict():
        in_emulator = losses()
    np.testing.assert_allclose(in_emulator, on_cpu, atol=1e-3)
    assert on_cpu[-1] < on_cpu[0] - 0.2  # it learns that only half of the tokens occur

    everywhere = {"linear", "layer_norm", "attention", "embedding", "cross_entropy"}
    assert called.keys() >= everywhere | {f"{name}_backward" for name in everywhere} | {"dropout", "adamw", "grad_norm"}
    elsewhere = {name for name, modules in called.items() if any(".cuda." not in module for module in modules)}
    assert not elsewhere, f"not on our kernels: {elsewhere}"
