"""Training steps on a GPU in bfloat16: mini-GPT and GPT-2 124M against PyTorch, eager and compiled.

    python -m tests.benchmarks.gpu.bench_training [--dry]

Both sides do the whole step: forward in autocast, backward, clip to norm 1, AdamW (PyTorch's fused). Ours is
measured as it is and as a CUDA graph.
"""

import sys

import numpy as np

from tests.benchmarks.bench_training import torch_gpt_model
from tests.benchmarks.gpu.timing import Options, Row, run, seconds

# sizes; at least and aim against eager and against compiled
MODELS = {
    "mini-GPT": (
        {"layers": 6, "heads": 6, "width": 384, "time": 256, "vocabulary": 65}, 64, (1.0, 2.5), (None, 1.0),
    ),
    "GPT-2 124M": (
        {"layers": 12, "heads": 12, "width": 768, "time": 1024, "vocabulary": 50304}, 16, (1.0, None), (None, 0.95),
    ),
}  # fmt: skip
DRY = {"layers": 1, "heads": 2, "width": 8, "time": 8, "vocabulary": 11}


def our_step(sizes: dict, batch: int, options: Options, as_graph: bool):
    """A step of a Trainer, whose batches are on the host, as in a real run."""
    import minigrad as mg
    from models.gpt import GPT, GPTConfig
    from models.training.trainer import TrainConfig, Trainer

    mg.manual_seed(0)
    config = GPTConfig(
        vocab_size=sizes["vocabulary"], context_length=sizes["time"], num_layers=sizes["layers"],
        num_heads=sizes["heads"], embedding_dim=sizes["width"], dropout=0.0,
    )  # fmt: skip
    training = TrainConfig(precision="bfloat16", batch_size=batch, cuda_graph=as_graph, learning_rate=1e-4)
    trainer = Trainer(GPT(config).cuda(), iter(()), training, quiet=True)
    data = [pair(sizes, batch)]
    steps = trainer.stepper
    update = steps._replay if as_graph else steps._update
    return lambda: update(data)


def torch_step(sizes: dict, batch: int, options: Options, compiled: bool):
    import torch

    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    model = torch_gpt_model(**sizes).to(options.device)
    forward = torch.compile(model) if compiled else model
    fused = {"fused": True} if options.device == "cuda" else {}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.1, betas=(0.9, 0.99), **fused)
    data = [torch.from_numpy(array) for array in pair(sizes, batch)]

    def step():
        x, y = (tensor.to(options.device) for tensor in data)
        with torch.autocast(options.device, torch.bfloat16):
            loss = forward(x, y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step


def pair(sizes: dict, batch: int):
    ids = np.random.default_rng(0).integers(0, sizes["vocabulary"], (batch, sizes["time"] + 1))
    return np.ascontiguousarray(ids[:, :-1]), np.ascontiguousarray(ids[:, 1:])


def main(options: Options) -> list[Row]:
    rows = []
    for name, (sizes, batch, eager, compiled) in MODELS.items():
        sizes, batch = (DRY, 2) if options.dry else (sizes, batch)
        steps = {"ours": our_step(sizes, batch, options, False), "eager": torch_step(sizes, batch, options, False)}
        if not options.dry:  # the stand-in cannot record, and compiling takes a minute
            steps["ours as a graph"] = our_step(sizes, batch, options, True)
            steps["compiled"] = torch_step(sizes, batch, options, True)
        times = seconds(steps, rounds=options.size(7, 1), calls=options.size(5, 1))
        speed = {side: batch * sizes["time"] / t for side, t in times.items()}
        for side in ("ours", "ours as a graph"):
            for opponent, goals in (("eager", eager), ("compiled", compiled)):
                if side in speed and opponent in speed:
                    work = f"{name} step, bfloat16, {side}"
                    rows.append(Row(work, speed[side], speed[opponent], "tokens/s", f"torch {opponent}", *goals))
    return rows


if __name__ == "__main__":
    sys.exit(run(main, __doc__))
