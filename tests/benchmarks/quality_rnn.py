"""How well a character LSTM learns: ours and PyTorch's from the same weights on the same batches.

    python -m tests.benchmarks.quality_rnn ours|torch OUT.json [--epochs N]

2 layers of 512 on the first million characters of the default corpus, the last tenth of them held out:
batches of 50 streams of 50 characters with the state carried over, AdamW with clipping and the schedule of
models/training/trainer.py. The validation text is read once, with the state carried over, at the end of each epoch.
"""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np

from models.text.batching import StreamBatches, count_targets, stream_evaluation_batches, train_val_split
from models.text.sources import corpora
from models.text.tokenizers import CharTokenizer

CHARACTERS, HIDDEN, LAYERS, BATCH, WINDOW = 1_000_000, 512, 2, 50, 50
RATE, LOWEST_RATE, WARMUP, DECAY, BETAS, CLIP = 2e-3, 1e-4, 100, 0.1, (0.9, 0.99), 1.0


def initial_weights(vocabulary: int, seed: int = 0) -> dict[str, np.ndarray]:
    """PyTorch's distributions, drawn once for both sides: uniform on ±1/√HIDDEN, the embedding normal."""
    random, bound = np.random.default_rng(seed), 1 / math.sqrt(HIDDEN)

    def uniform(*shape):
        return random.uniform(-bound, bound, shape).astype(np.float32)

    weights = {"embedding.weight": random.standard_normal((vocabulary, HIDDEN), np.float32)}
    for layer in range(LAYERS):
        for kind in ("ih", "hh"):
            weights[f"rnn.weight_{kind}_l{layer}"] = uniform(4 * HIDDEN, HIDDEN)
            weights[f"rnn.bias_{kind}_l{layer}"] = uniform(4 * HIDDEN)
    return weights | {"head.weight": uniform(vocabulary, HIDDEN), "head.bias": uniform(vocabulary)}


def our_side(weights, train, validation, epochs):
    """(seconds, validation loss) after each epoch, by models.Trainer."""
    import minigrad as mg
    from models.rnn import CarriedState, RNNConfig, RNNGenerator
    from models.training.trainer import TrainConfig, Trainer

    model = RNNGenerator(RNNConfig(len(weights["head.bias"]), WINDOW, LAYERS, HIDDEN, HIDDEN, cell="lstm", dropout=0.0))
    model.load_state_dict({name: mg.tensor(value) for name, value in weights.items()})
    batches = StreamBatches(train, BATCH, WINDOW)
    config = TrainConfig(
        steps=epochs * batches.windows, batch_size=BATCH, learning_rate=RATE, min_learning_rate=LOWEST_RATE,
        warmup_steps=WARMUP, weight_decay=DECAY, betas=BETAS, grad_clip=CLIP,
    )  # fmt: skip
    trainer = Trainer(model, batches, config, validation=validation, loss=CarriedState(), quiet=True)
    for epoch in range(1, epochs + 1):
        started = time.process_time()
        trainer.steps = epoch * batches.windows  # stop here; the schedule was made for all of them
        loss = trainer.run().loss
        yield time.process_time() - started, trainer.evaluate(), loss


def torch_side(weights, train, validation, epochs):
    """The same with PyTorch, written out."""
    import torch
    from torch import nn
    from torch.nn.functional import cross_entropy

    torch.set_num_threads(1)  # slower alone, but it waits for nobody on a machine that is shared
    vocabulary = len(weights["head.bias"])
    model = nn.ModuleDict({
        "embedding": nn.Embedding(vocabulary, HIDDEN), "rnn": nn.LSTM(HIDDEN, HIDDEN, LAYERS),
        "head": nn.Linear(HIDDEN, vocabulary),
    })  # fmt: skip
    model.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": DECAY},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=BETAS)
    batches = StreamBatches(train, BATCH, WINDOW)
    total = epochs * batches.windows

    def loss_of(batch, state):
        x, starts, y = (torch.from_numpy(array) for array in batch)
        state = None if starts.item() else state
        output, state = model["rnn"](model["embedding"](x.T), state)
        logits = model["head"](output)
        loss = cross_entropy(logits.reshape(-1, vocabulary), y.T.reshape(-1))
        return loss, tuple(s.detach() for s in state)

    def rate(step):
        if step < WARMUP:
            return RATE * (step + 1) / (WARMUP + 1)
        cosine = 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / (total - WARMUP)))
        return LOWEST_RATE + (RATE - LOWEST_RATE) * cosine

    state, step = None, 0
    for _ in range(epochs):
        started = time.process_time()
        for _ in range(batches.windows):
            for group in optimizer.param_groups:
                group["lr"] = rate(step)
            loss, state = loss_of(next(batches), state)
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, CLIP)
            optimizer.step()
            optimizer.zero_grad()
            step += 1
        seconds = time.process_time() - started
        losses, counts, carried = [], [], None
        with torch.no_grad():
            for batch in validation:
                value, carried = loss_of(batch, carried)
                losses.append(value.item())
                counts.append(count_targets(batch[-1]))
        yield seconds, float(np.average(losses, weights=counts)), loss.item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("side", choices=("ours", "torch"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=2)
    arguments = parser.parse_args()
    text = corpora.text(corpora.DEFAULT)[:CHARACTERS]
    tokenizer = CharTokenizer.from_text(text)
    train, held_out = train_val_split(tokenizer.encode(text))
    validation = list(stream_evaluation_batches(held_out, BATCH, WINDOW))
    side = our_side if arguments.side == "ours" else torch_side
    rows = []
    for seconds, val_loss, loss in side(initial_weights(tokenizer.vocab_size), train, validation, arguments.epochs):
        rows.append({"cpu_seconds": seconds, "loss": loss, "val_loss": val_loss, "bits": val_loss / math.log(2)})
        print(len(rows), rows[-1], flush=True)
        arguments.out.write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
