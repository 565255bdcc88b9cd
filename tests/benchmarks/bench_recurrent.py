"""Training steps of recurrent networks against PyTorch: float32, two threads.

    python -m tests.benchmarks.bench_recurrent [WORK ...]      # such as "LSTM 2×512"

2 layers, batch 50, 50 tokens. A character model is an embedding, the layers and a linear head over 80
characters, with the cross-entropy; "layers alone" are the recurrent layers on a float input that gets a
gradient. Both sides do the whole step: forward, backward, clip to norm 1, AdamW, zero_grad.
"""

import importlib
import sys

import numpy as np

from tests.benchmarks.turns import compare, machine, table

THREADS, LAYERS, BATCH, TIME, VOCABULARY = 2, 2, 50, 50, 80
WORKS = {
    f"{cell.upper()} 2×{hidden}, {what}": {"cell": cell, "hidden": hidden, "alone": what != "character model"}
    for cell in ("lstm", "gru", "rnn")
    for hidden in (128, 512)
    for what in ("character model", "layers alone")
}


def _batch(hidden: int, alone: bool):
    random = np.random.default_rng(0)
    if alone:
        return random.standard_normal((2, TIME, BATCH, hidden), np.float32)
    ids = random.integers(0, VOCABULARY, (BATCH, TIME + 1))
    return ids[:, :-1].copy(), ids[:, 1:].copy()


def ours(cell: str, hidden: int, alone: bool):
    import minigrad as mg
    import nn
    from models.rnn import CELLS, CarriedState, RNNConfig, RNNGenerator
    from nn.utils import clip_grad_norm_

    mg.threads.set_num_threads(THREADS)
    mg.manual_seed(0)
    if alone:
        model = CELLS[cell](hidden, hidden, LAYERS)
        x, goal = (mg.Tensor(array) for array in _batch(hidden, alone))
        x.requires_grad_()

        def loss_of():
            x.grad = None
            return (model(x)[0] * goal).sum()
    else:
        model = RNNGenerator(RNNConfig(VOCABULARY, TIME, LAYERS, hidden, hidden, cell))
        loss, (x, y) = CarriedState(), map(mg.Tensor, _batch(hidden, alone))
        starts = [mg.Tensor(np.array(True)), mg.Tensor(np.array(False))]

        def loss_of():
            return loss(model, (x, starts.pop(0) if len(starts) > 1 else starts[0], y))

    optimizer = nn.optim.AdamW(model.parameters(), lr=1e-3)
    parameters = list(model.parameters())

    def step():
        value = loss_of()
        value.backward()
        clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return value.item()

    return step


def theirs(cell: str, hidden: int, alone: bool):
    import torch
    from torch import nn
    from torch.nn.functional import cross_entropy

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    layers = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[cell](hidden, hidden, LAYERS)
    if alone:
        model = layers
        x, goal = (torch.from_numpy(array) for array in _batch(hidden, alone))
        x.requires_grad_()

        def loss_of():
            x.grad = None
            return (model(x)[0] * goal).sum()
    else:
        model = nn.ModuleList([nn.Embedding(VOCABULARY, hidden), layers, nn.Linear(hidden, VOCABULARY)])
        x, y = (torch.from_numpy(array.T.copy()) for array in _batch(hidden, alone))
        carried = [None]

        def loss_of():
            output, state = model[1](model[0](x), carried[0])
            carried[0] = tuple(s.detach() for s in state) if cell == "lstm" else state.detach()
            return cross_entropy(model[2](output).reshape(-1, VOCABULARY), y.reshape(-1))

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step():
        value = loss_of()
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return value.item()

    return step


def _load_ours() -> None:
    for name in ("minigrad.kernels.cpu.recurrent", "minigrad.kernels.cpu.linear", "models.rnn", "nn.optim"):
        importlib.import_module(name)


ours.load = _load_ours
theirs.load = lambda: importlib.import_module("torch")


def main(wanted: list[str]) -> None:
    here = "tests.benchmarks.bench_recurrent"
    print(f"{machine()}; {THREADS} threads\n")
    results = []
    for work, options in WORKS.items():
        if not wanted or any(work.startswith(name) for name in wanted):
            rounds = {"rounds": 12, "steps": 4} if options["hidden"] == 128 else {"rounds": 9, "steps": 1}
            results.append(compare(work, "torch eager", f"{here}:ours", f"{here}:theirs", options, **rounds))
            print(table(results[-1:]).splitlines()[-1], flush=True)
    print(f"\n{table(results)}")


if __name__ == "__main__":
    main(sys.argv[1:])
