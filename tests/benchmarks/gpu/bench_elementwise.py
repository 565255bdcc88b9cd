"""Kernels that pass once over their numbers, as a share of the bandwidth that a copy reaches: GELU, dropout, casts,
embeddings, AdamW and the gradients' norm, with PyTorch's own beside those it has as one call.

    python -m tests.benchmarks.gpu.bench_elementwise [--dry]

Bytes are those that must be read and written once.
"""

import sys

from minigrad.kernels.reference.optimizer import AdamOptions
from tests.benchmarks.gpu.timing import Options, Row, as_torch, normal, run, seconds

LEAST, AIM = 0.80, 0.92
LAYERS, VOCABULARY, WIDTH = 12, 50304, 768  # GPT-2's smallest


def main(options: Options) -> list[Row]:
    import cupy
    import torch
    import torch.nn.functional as f

    from minigrad import kernels
    from minigrad.dtypes import as_dtype

    size = options.size(64 << 20, 4096)  # 256 MB
    vocabulary, width, layers = (options.size(n, s) for n, s in ((VOCABULARY, 50), (WIDTH, 32), (LAYERS, 1)))
    x, grad = normal(size), normal(size)
    y, half = cupy.empty_like(x), as_dtype("bfloat16")
    table, tokens = normal(vocabulary, width), size // width
    ids = cupy.asarray(cupy.arange(tokens) * 7919 % vocabulary)
    rows = normal(tokens, width)
    shapes = [(vocabulary, width), *[s for _ in range(layers) for s in _block(width)]]
    lists = [[normal(*shape) for shape in shapes] for _ in range(4)]
    for second_moment in lists[3]:
        second_moment *= second_moment
    parameters = sum(each.size for each in lists[0])
    hyper = (3, 1e-4, AdamOptions(0.9, 0.95, 1e-8, 0.1, True))

    n = x.size
    ours = {  # bytes, call
        "gelu tanh": (8 * n, lambda: kernels.gelu(x, "tanh")),
        "gelu tanh backward": (12 * n, lambda: kernels.gelu_backward(grad, x, "tanh")),
        "gelu backward": (12 * n, lambda: kernels.gelu_backward(grad, x, "none")),
        "dropout": (8 * n, lambda: kernels.dropout(x, 0.2, 5)),
        "cast to bfloat16": (6 * n, lambda: kernels.cast(x, half)),
        "embedding": (8 * rows.size, lambda: kernels.embedding(table, ids)),
        "embedding backward": (
            4 * rows.size + 8 * min(tokens, vocabulary) * width,
            lambda: kernels.embedding_backward(rows, ids, table, None),
        ),
        f"adamw of {len(shapes)} arrays": (28 * parameters, lambda: kernels.adamw(*lists, *hyper)),
        f"grad_norm of {len(shapes)} arrays": (4 * parameters, lambda: kernels.grad_norm(lists[1])),
    }
    tx, ttable, tids = as_torch(x, options), as_torch(table, options), as_torch(ids, options)
    weights = [as_torch(each, options).requires_grad_() for each in lists[0]]
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    optimizer = torch.optim.AdamW(weights, fused=not options.dry)
    theirs = {
        "gelu tanh": lambda: f.gelu(tx, approximate="tanh"),
        "dropout": lambda: f.dropout(tx, 0.2),
        "cast to bfloat16": lambda: tx.to(torch.bfloat16),
        "embedding": lambda: f.embedding(tids, ttable),
        f"adamw of {len(shapes)} arrays": optimizer.step,
    }
    contenders = {"copy": lambda: y.__setitem__(Ellipsis, x)}
    contenders |= {f"ours {name}": call for name, (_, call) in ours.items()}
    contenders |= {f"torch {name}": call for name, call in theirs.items()}
    times = seconds(contenders, rounds=options.size(9, 2))
    bandwidth = 8e-9 * n / times["copy"]
    found = []
    for name, (moved, _) in ours.items():
        reached = 1e-9 * moved / times[f"ours {name}"]
        found.append(Row(name, reached, bandwidth, "GB/s", "copy", LEAST, AIM))
        if name in theirs:
            found.append(Row(name, reached, 1e-9 * moved / times[f"torch {name}"], "GB/s", "torch"))
    return found


def _block(width: int) -> list[tuple]:
    """The shapes of a transformer block's parameters."""
    return [
        *[(width,)] * 4,
        (3 * width, width),
        (3 * width,),
        (width, width),
        (width,),
        (4 * width, width),
        (4 * width,),
        (width, 4 * width),
        (width,),
    ]


if __name__ == "__main__":
    sys.exit(run(main, __doc__))
