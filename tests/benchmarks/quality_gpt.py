"""What a small GPT learns here and in PyTorch: nanoGPT's CPU setting on a million characters, ours and theirs.

    python -m tests.benchmarks.quality_gpt [FIRST CHARACTER] [SEED]

4 layers, 4 heads, 128 wide, 64 tokens, batch 12, 2,000 steps, learning rate 1e-3 to 1e-4 by a cosine after 100
steps of warm-up, AdamW (0.9, 0.99) with weight decay 0.1 on matrices, norm clipped to 1, no dropout, the last
tenth of the characters for validation. Both sides see the same batches and start from their own random weights
of the same distributions. The validation loss is over the whole of the validation text.
"""

import math
import sys

import numpy as np

from models.text.batching import TokenBatches, evaluation_batches, train_val_split
from models.text.sources import corpora
from models.text.tokenizers import TOKENIZERS
from models.training.train_config import TrainConfig

CHARACTERS = 1_000_000
SIZES = {"layers": 4, "heads": 4, "width": 128, "time": 64, "batch": 12}


def ours(vocabulary: int, config: TrainConfig):
    """(step, loss of a batch): functions of (ids, targets) and, for the step, of the learning rate."""
    import minigrad as mg
    from models.gpt import GPT, GPTConfig
    from nn import optim
    from nn.utils import clip_grad_norm_, decay_groups

    mg.manual_seed(config.seed)
    model = GPT(GPTConfig.preset("nano", vocab_size=vocabulary))
    parameters = list(model.parameters())
    optimizer = optim.AdamW(decay_groups(parameters, config.weight_decay), lr=1.0, betas=config.betas)

    def step(x, y, learning_rate):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        _, loss = model(x, y)
        loss.backward()
        clip_grad_norm_(parameters, config.grad_clip)
        optimizer.step()
        optimizer.zero_grad()

    def loss(x, y):
        with mg.no_grad():
            return model(x, y)[1].item()

    return step, loss


def theirs(vocabulary: int, config: TrainConfig):
    """The same in PyTorch."""
    import torch

    from tests.benchmarks.bench_training import torch_gpt_model

    torch.manual_seed(config.seed)
    model = torch_gpt_model(**{k: v for k, v in SIZES.items() if k != "batch"}, vocabulary=vocabulary)
    for name, parameter in model.named_parameters():  # GPT-2's initial weights, as ours
        if parameter.ndim == 2:
            residual = name.endswith(("out.weight", "down.weight"))
            torch.nn.init.normal_(parameter, 0, 0.02 / math.sqrt(2 * SIZES["layers"]) if residual else 0.02)
        elif name.endswith("bias"):
            torch.nn.init.zeros_(parameter)
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1.0, betas=config.betas)

    def step(x, y, learning_rate):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        model(torch.from_numpy(x), torch.from_numpy(y)).backward()
        torch.nn.utils.clip_grad_norm_(parameters, config.grad_clip)
        optimizer.step()
        optimizer.zero_grad()

    def loss(x, y):
        with torch.no_grad():
            return model(torch.from_numpy(x), torch.from_numpy(y)).item()

    return step, loss


def train(make, train_ids, val_ids, vocabulary: int, config: TrainConfig) -> float:
    """Train one side; returns its validation loss."""
    step, loss = make(vocabulary, config)
    batches = TokenBatches(train_ids, SIZES["batch"], SIZES["time"], config.seed)
    for i in range(config.steps):
        warm = min(1.0, (i + 1) / config.warmup_steps)
        done = max(0, i - config.warmup_steps) / (config.steps - config.warmup_steps)
        low, high = config.min_learning_rate, config.learning_rate
        x, y = (np.ascontiguousarray(ids) for ids in next(batches))
        step(x, y, warm * (low + 0.5 * (1 + math.cos(math.pi * done)) * (high - low)))
    total = count = 0.0
    for x, y in evaluation_batches(val_ids, SIZES["batch"], SIZES["time"]):
        total += loss(np.ascontiguousarray(x), np.ascontiguousarray(y)) * y.size
        count += y.size
    return total / count


def main(first: int = 0, seed: int = 1337) -> None:
    text = corpora.text(corpora.DEFAULT)[first : first + CHARACTERS]
    tokenizer = TOKENIZERS["char"].from_text(text)
    train_ids, val_ids = train_val_split(tokenizer.encode(text))
    for name, make in (("ours", ours), ("torch", theirs)):
        loss = train(make, train_ids, val_ids, tokenizer.vocab_size, TrainConfig(seed=seed))
        print(f"characters {first:,} on, seed {seed}, {name}: validation loss {loss:.4f}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
