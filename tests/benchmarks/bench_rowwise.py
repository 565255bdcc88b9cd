"""Row-wise, element-wise and optimiser kernels beside torch eager, float32, two threads each, in turn.

    python -m tests.benchmarks.bench_rowwise [WORD ...]      only the rows whose name has one of the words

Each side loads its own library alone: torch's thread pool would slow our kernels down, and our setting of
malloc would speed torch's up.
"""

import sys

import numpy as np

from minigrad.kernels.reference.optimizer import AdamOptions, SGDOptions
from tests.benchmarks.turns import compare_all, machine, table

THREADS = 2
SHAPES = ((768, 128), (1024, 256), (8192, 1024))
LOGITS = ((768, 65), (512, 50257))  # rows, classes
TABLES = ((65, 128, 768), (50257, 256, 512))  # vocabulary, dim, ids
PARAMETERS = (1_000_000, 10_000_000)


def ours(words=()) -> dict:
    """Our kernels by name and shape."""
    from minigrad.threads import set_num_threads

    set_num_threads(THREADS)
    return _chosen(words, our_rows, our_cross_entropy, our_embedding, our_optimizers)


def eager(words=()) -> dict:
    """PyTorch's, below its autograd, by the same names."""
    import torch

    torch.set_num_threads(THREADS)
    return _chosen(words, torch_rows, torch_cross_entropy, torch_embedding, torch_optimizers)


def _chosen(words, rows, cross_entropy, embedding, optimizers) -> dict:
    steps = {}
    for make, arguments in ((rows, SHAPES), (cross_entropy, LOGITS), (embedding, TABLES), (optimizers, PARAMETERS)):
        for argument in arguments:
            named = make(*argument) if isinstance(argument, tuple) else make(argument)
            size = "×".join(map(str, argument)) if isinstance(argument, tuple) else f"{argument:,} in 50"
            for kernel, step in named.items():
                steps[f"{kernel}, {size}"] = step
    return {name: step for name, step in steps.items() if not words or any(word in name for word in words)}


# ---- rows and elements ---------------------------------------------------------------------


def _row_arrays(rows: int, n: int):
    """x, grad, weight, bias, and what a forward pass hands to the backward one: softmax(x), mean, 1/deviation."""
    rng = np.random.default_rng(0)
    x, grad = (rng.standard_normal((rows, n), np.float32) for _ in range(2))
    weight, bias = (rng.standard_normal(n, np.float32) for _ in range(2))
    y = np.exp(x - x.max(-1, keepdims=True))
    y /= y.sum(-1, keepdims=True)
    return x, grad, weight, bias, y, x.mean(-1), 1 / np.sqrt(x.var(-1) + 1e-5)


def our_rows(rows: int, n: int) -> dict:
    from minigrad.kernels.cpu import activation, dropout, normalization, softmax

    x, grad, weight, bias, y, mean, rstd = _row_arrays(rows, n)
    return {
        "softmax": lambda: softmax.softmax(x),
        "softmax_backward": lambda: softmax.softmax_backward(grad, y),
        "log_softmax": lambda: softmax.log_softmax(x),
        "layer_norm": lambda: normalization.layer_norm(x, weight, bias, 1e-5),
        "layer_norm_backward": lambda: normalization.layer_norm_backward(grad, x, weight, mean, rstd),
        "rms_norm": lambda: normalization.rms_norm(x, weight, 1e-5),
        "gelu tanh": lambda: activation.gelu(x, "tanh"),
        "gelu_backward tanh": lambda: activation.gelu_backward(grad, x, "tanh"),
        "gelu none": lambda: activation.gelu(x, "none"),
        "gelu_backward none": lambda: activation.gelu_backward(grad, x, "none"),
        "silu": lambda: activation.silu(x),
        "silu_backward": lambda: activation.silu_backward(grad, x),
        "dropout": lambda: dropout.dropout(x, 0.1, 1),
    }


def torch_rows(rows: int, n: int) -> dict:
    import torch

    aten = torch.ops.aten
    x, grad, weight, bias, y, mean, rstd = map(torch.from_numpy, _row_arrays(rows, n))
    mean, rstd = mean[:, None], rstd[:, None]
    return {
        "softmax": lambda: torch.softmax(x, -1),
        "softmax_backward": lambda: aten._softmax_backward_data(grad, y, -1, torch.float32),
        "log_softmax": lambda: torch.log_softmax(x, -1),
        "layer_norm": lambda: aten.native_layer_norm(x, [n], weight, bias, 1e-5),
        "layer_norm_backward": lambda: aten.native_layer_norm_backward(
            grad, x, [n], mean, rstd, weight, bias, [True] * 3
        ),
        "rms_norm": lambda: torch.nn.functional.rms_norm(x, [n], weight, 1e-5),
        "gelu tanh": lambda: aten.gelu(x, approximate="tanh"),
        "gelu_backward tanh": lambda: aten.gelu_backward(grad, x, approximate="tanh"),
        "gelu none": lambda: aten.gelu(x, approximate="none"),
        "gelu_backward none": lambda: aten.gelu_backward(grad, x, approximate="none"),
        "silu": lambda: aten.silu(x),
        "silu_backward": lambda: aten.silu_backward(grad, x),
        "dropout": lambda: aten.native_dropout(x, 0.1, True),
    }


# ---- losses and tables ---------------------------------------------------------------------


def _logits(rows: int, classes: int):
    rng = np.random.default_rng(0)
    return rng.standard_normal((rows, classes), np.float32), rng.integers(0, classes, rows)


def our_cross_entropy(rows: int, classes: int) -> dict:
    from minigrad.kernels.cpu import cross_entropy as ce

    logits, targets = _logits(rows, classes)
    grad = np.full(rows, 1 / rows, np.float32)

    def step():
        _, lse = ce.cross_entropy(logits, targets, -100, 0.0, None)
        return ce.cross_entropy_backward(grad, logits, targets, lse, -100, 0.0, None)

    return {"cross_entropy + backward": step}


def torch_cross_entropy(rows: int, classes: int) -> dict:
    import torch

    logits, targets = map(torch.from_numpy, _logits(rows, classes))
    logits.requires_grad_()
    loss = torch.nn.functional.cross_entropy
    return {"cross_entropy + backward": lambda: torch.autograd.grad(loss(logits, targets), logits)}


def _table(vocabulary: int, dim: int, tokens: int):
    """weight, ids, gradient of the rows that were looked up."""
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((vocabulary, dim), np.float32)
    return weight, rng.integers(0, vocabulary, tokens), rng.standard_normal((tokens, dim), np.float32)


def our_embedding(vocabulary: int, dim: int, tokens: int) -> dict:
    from minigrad.kernels.cpu import embedding

    weight, ids, grad = _table(vocabulary, dim, tokens)
    return {
        "embedding": lambda: embedding.embedding(weight, ids),
        "embedding_backward": lambda: embedding.embedding_backward(
            grad, ids, np.zeros((vocabulary, dim), np.float32), None
        ),
    }


def torch_embedding(vocabulary: int, dim: int, tokens: int) -> dict:
    import torch

    aten = torch.ops.aten
    weight, ids, grad = map(torch.from_numpy, _table(vocabulary, dim, tokens))
    return {
        "embedding": lambda: aten.embedding(weight, ids),
        "embedding_backward": lambda: aten.embedding_dense_backward(grad, ids, vocabulary, -1, False),
    }


# ---- optimisers ----------------------------------------------------------------------------


def _parameters(count: int) -> list[list]:
    """Parameters, gradients and two moments: most of them in a few large arrays, many small ones beside them."""
    rng = np.random.default_rng(0)
    sizes = [count // 10] * 10 + [256] * 40
    return [[abs(rng.standard_normal(size, np.float32)) for size in sizes] for _ in range(4)]


def our_optimizers(count: int) -> dict:
    from minigrad.kernels.cpu import optimizer

    lists = _parameters(count)
    adam, sgd = AdamOptions(0.9, 0.999, 1e-8, 0.01, True), SGDOptions(0.9, 0.0, False, 0.0)
    return {
        "adamw (torch: fused)": lambda: optimizer.adamw(*lists, 10, 1e-6, adam),
        "sgd, momentum (torch: foreach)": lambda: optimizer.sgd(*lists[:3], 1e-6, sgd, False),
        "grad_norm": lambda: optimizer.grad_norm(lists[1]),
        "scale": lambda: optimizer.scale(lists[1], 1.0),
    }


def torch_optimizers(count: int) -> dict:
    import torch

    parameters, grads, *_ = ([torch.from_numpy(a) for a in arrays] for arrays in _parameters(count))
    for parameter, grad in zip(parameters, grads, strict=True):
        parameter.grad = grad
    return {
        "adamw (torch: fused)": torch.optim.AdamW(parameters, lr=1e-6, fused=True).step,
        "sgd, momentum (torch: foreach)": torch.optim.SGD(parameters, lr=1e-6, momentum=0.9, foreach=True).step,
        "grad_norm": lambda: torch.nn.utils.get_total_norm(grads),
        "scale": lambda: torch._foreach_mul_(grads, 1.0),
    }


if __name__ == "__main__":
    print(f"{machine()}; {THREADS} threads\n")
    here = "tests.benchmarks.bench_rowwise"
    print(table(compare_all("torch eager", f"{here}:ours", f"{here}:eager", {"words": tuple(sys.argv[1:])})))
