"""An epoch of a neural classifier beside PyTorch's eager mode: the same texts, batches, shapes and optimiser.

    python -m tests.benchmarks.bench_classifiers

The texts are random ids, their lengths as those of Reuters news (a median of 67 words, cut at 256), in batches of
like length, as the trainer makes them. A step takes one batch: forward, cross-entropy, backward, clip to norm 1,
AdamW, zero_grad. PyTorch's TextCNN is spared the masking of windows past a text's end, which ours has.
"""

import importlib

import numpy as np

from tests.benchmarks.turns import compare, machine, table

THREADS = 2
VOCABULARY, CLASSES, TEXTS, BATCH, LONGEST = 12_000, 8, 1024, 32, 256
PAD = VOCABULARY - 1
WIDTHS = (3, 4, 5)
WORK = {
    "TextCNN, 100 filters of widths 3, 4, 5, 100 wide": {"body": "textcnn", "embedding_dim": 100, "filters": 100},
    "TextCNN, 128 filters of widths 3, 4, 5, 256 wide": {"body": "textcnn", "embedding_dim": 256, "filters": 128},
    "Transformer, 1 layer, 4 heads, 100 wide, 128 hidden": {
        "body": "transformer", "embedding_dim": 100, "num_heads": 4, "hidden_size": 128, "num_layers": 1,
    },
    "Transformer, 2 layers, 4 heads, 128 wide, 512 hidden": {
        "body": "transformer", "embedding_dim": 128, "num_heads": 4, "hidden_size": 512, "num_layers": 2,
    },
}  # fmt: skip


def epoch() -> list[tuple[np.ndarray, np.ndarray]]:
    """The batches, ids (32, time) and targets (32,)."""
    from models.classifiers.batches import TextBatches

    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(np.log(67), 0.9, TEXTS), 5, LONGEST).astype(int)
    words = 1 / np.arange(1, PAD)  # Zipf's law
    texts = [rng.choice(PAD - 1, length, p=words / words.sum()) for length in lengths]
    batches = TextBatches(texts, rng.integers(0, CLASSES, TEXTS), BATCH, PAD, seed=0)
    return [next(batches) for _ in range(len(batches))]


def ours(body, **sizes):
    import minigrad as mg
    from models.classifiers.config import ClassifierConfig
    from models.classifiers.model import ClassifierModel
    from models.classifiers.training import Loss
    from nn.optim import AdamW
    from nn.utils import clip_grad_norm_

    mg.threads.set_num_threads(THREADS)
    mg.manual_seed(0)
    labels = tuple(map(str, range(CLASSES)))
    config = ClassifierConfig(body=body, vocab_size=VOCABULARY, labels=labels, max_length=LONGEST, dropout=0.3, **sizes)
    model, loss_of = ClassifierModel(config), Loss(None, multi_label=False)
    parameters = list(model.parameters())
    optimizer = AdamW(parameters, lr=1e-3)
    batches = [tuple(map(mg.Tensor, batch)) for batch in epoch()]

    def step():
        for batch in batches:
            loss = loss_of(model, batch)
            loss.backward()
            clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad()
            loss.item()

    return step


def theirs(body, embedding_dim, filters=0, num_heads=0, hidden_size=0, num_layers=0):
    import torch
    from torch import nn
    from torch.nn import functional

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)

    class TextCNN(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(VOCABULARY, embedding_dim, padding_idx=PAD)
            self.convolutions = nn.ModuleList(nn.Conv1d(embedding_dim, filters, w, padding=w - 1) for w in WIDTHS)
            self.dropout, self.output = nn.Dropout(0.3), nn.Linear(3 * filters, CLASSES)

        def forward(self, ids):
            x = self.embedding(ids).transpose(1, 2)
            found = [convolution(x).relu().max(2).values for convolution in self.convolutions]
            return self.output(self.dropout(torch.cat(found, 1)))

    class Transformer(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(VOCABULARY, embedding_dim)
            self.register_buffer("positions", torch.randn(LONGEST, embedding_dim))
            layer = nn.TransformerEncoderLayer(
                embedding_dim, num_heads, hidden_size, 0.3, "gelu", batch_first=True, norm_first=True
            )
            self.encoder = nn.TransformerEncoder(
                layer, num_layers, nn.LayerNorm(embedding_dim), enable_nested_tensor=False
            )
            self.dropout, self.output = nn.Dropout(0.3), nn.Linear(embedding_dim, CLASSES)

        def forward(self, ids):
            padding = ids == PAD
            x = self.dropout(self.embedding(ids) * embedding_dim**0.5 + self.positions[: ids.shape[1]])
            x = self.encoder(x, src_key_padding_mask=padding if padding.any() else None)
            text = ~padding[..., None]
            return self.output(self.dropout((x * text).sum(1) / text.sum(1)))

    model = (TextCNN if body == "textcnn" else Transformer)()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    batches = [tuple(map(torch.from_numpy, batch)) for batch in epoch()]

    def step():
        for ids, targets in batches:
            loss = functional.cross_entropy(model(ids), targets)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            loss.item()

    return step


ours.load = lambda: importlib.import_module("models.classifiers.model")
theirs.load = lambda: importlib.import_module("torch")


def main() -> None:
    here = "tests.benchmarks.bench_classifiers"
    print(f"{machine()}; {THREADS} threads; an epoch of {TEXTS} texts in batches of {BATCH}\n")
    results = []
    for work, options in WORK.items():
        results.append(
            compare(work, "torch eager", f"{here}:ours", f"{here}:theirs", options, rounds=6, steps=1, warmup=1)
        )
        print(table(results[-1:]).splitlines()[-1], flush=True)
    print()
    print(table(results))


if __name__ == "__main__":
    main()
