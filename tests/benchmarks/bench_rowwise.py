"""Row-wise, element-wise and optimiser kernels beside torch eager, float32, two threads each, in turn.

python -m tests.benchmarks.bench_rowwise
"""

import numpy as np

from tests.benchmarks.turns import compare_all, machine, table

THREADS = 2
SHAPES = ((768, 128), (1024, 256), (8192, 1024))


def ours() -> dict:
    """Our kernels by name and shape."""
    import torch

    from minigrad.threads import set_num_threads

    set_num_threads(THREADS)
    return {f"{kernel}, {shape}": step for kernel, shape, step, _ in _cases(torch)}


def eager() -> dict:
    """PyTorch's."""
    import torch

    torch.set_num_threads(THREADS)
    return {f"{kernel}, {shape}": step for kernel, shape, _, step in _cases(torch)}


def _cases(torch):
    """(kernel, shape, our call, torch's call) of everything measured."""
    for shape in SHAPES:
        yield from _rowwise(torch, shape)
    for rows, classes in ((768, 65), (512, 50257)):
        yield from _cross_entropy(torch, rows, classes)
    for vocabulary, dim, tokens in ((65, 128, 768), (50257, 256, 512)):
        yield from _embedding(torch, vocabulary, dim, tokens)
    for count in (1_000_000, 10_000_000):
        yield from _optimizers(torch, count)


def _rowwise(torch, shape):
    from minigrad.kernels.cpu import activation, dropout, normalization, softmax

    rng = np.random.default_rng(0)
    x, grad = (rng.standard_normal(shape, np.float32) for _ in range(2))
    weight, bias = (rng.standard_normal(shape[1], np.float32) for _ in range(2))
    tx, tgrad, tweight, tbias = (torch.from_numpy(a) for a in (x, grad, weight, bias))
    aten = torch.ops.aten  # the kernels below torch's functions: no autograd on their side either
    name = "×".join(map(str, shape))

    y = softmax.softmax(x)
    ty = torch.from_numpy(y)
    yield "softmax", name, lambda: softmax.softmax(x), lambda: torch.softmax(tx, -1)
    yield (
        "softmax_backward",
        name,
        lambda: softmax.softmax_backward(grad, y),
        lambda: aten._softmax_backward_data(tgrad, ty, -1, torch.float32),
    )
    yield "log_softmax", name, lambda: softmax.log_softmax(x), lambda: torch.log_softmax(tx, -1)

    _, mean, rstd = normalization.layer_norm(x, weight, bias, 1e-5)
    tmean, trstd = (torch.from_numpy(a[:, None]) for a in (mean, rstd))
    n = [shape[1]]
    yield (
        "layer_norm",
        name,
        lambda: normalization.layer_norm(x, weight, bias, 1e-5),
        lambda: aten.native_layer_norm(tx, n, tweight, tbias, 1e-5),
    )
    yield (
        "layer_norm_backward",
        name,
        lambda: normalization.layer_norm_backward(grad, x, weight, mean, rstd),
        lambda: aten.native_layer_norm_backward(tgrad, tx, n, tmean, trstd, tweight, tbias, [True] * 3),
    )
    yield (
        "rms_norm",
        name,
        lambda: normalization.rms_norm(x, weight, 1e-5),
        lambda: torch.nn.functional.rms_norm(tx, n, tweight, 1e-5),
    )
    for approximate in ("tanh", "none"):
        yield (
            f"gelu {approximate}",
            name,
            lambda a=approximate: activation.gelu(x, a),
            lambda a=approximate: aten.gelu(tx, approximate=a),
        )
        yield (
            f"gelu_backward {approximate}",
            name,
            lambda a=approximate: activation.gelu_backward(grad, x, a),
            lambda a=approximate: aten.gelu_backward(tgrad, tx, approximate=a),
        )
    yield "silu", name, lambda: activation.silu(x), lambda: aten.silu(tx)
    yield "silu_backward", name, lambda: activation.silu_backward(grad, x), lambda: aten.silu_backward(tgrad, tx)
    yield "dropout", name, lambda: dropout.dropout(x, 0.1, 1), lambda: aten.native_dropout(tx, 0.1, True)


def _cross_entropy(torch, rows, classes):
    from minigrad.kernels.cpu import cross_entropy as ce

    rng = np.random.default_rng(0)
    logits = rng.standard_normal((rows, classes), np.float32)
    targets = rng.integers(0, classes, rows)
    grad = np.full(rows, 1 / rows, np.float32)
    tlogits, ttargets = torch.from_numpy(logits).requires_grad_(), torch.from_numpy(targets)

    def ours():
        _, lse = ce.cross_entropy(logits, targets, -100, 0.0, None)
        return ce.cross_entropy_backward(grad, logits, targets, lse, -100, 0.0, None)

    def theirs():
        return torch.autograd.grad(torch.nn.functional.cross_entropy(tlogits, ttargets), tlogits)

    yield "cross_entropy + backward", f"{rows}×{classes}", ours, theirs


def _embedding(torch, vocabulary, dim, tokens):
    from minigrad.kernels.cpu import embedding

    rng = np.random.default_rng(0)
    weight = rng.standard_normal((vocabulary, dim), np.float32)
    grad = rng.standard_normal((tokens, dim), np.float32)
    ids = rng.integers(0, vocabulary, tokens)
    tweight, tgrad, tids = (torch.from_numpy(a) for a in (weight, grad, ids))
    aten = torch.ops.aten
    name = f"{vocabulary}×{dim}, {tokens} ids"
    yield "embedding", name, lambda: embedding.embedding(weight, ids), lambda: aten.embedding(tweight, tids)
    yield (
        "embedding_backward",
        name,
        lambda: embedding.embedding_backward(grad, ids, np.zeros((vocabulary, dim), np.float32), None),
        lambda: aten.embedding_dense_backward(tgrad, tids, vocabulary, -1, False),
    )


def _optimizers(torch, count):
    """A transformer's mixture: most parameters in a few large arrays, many small ones beside them."""
    from minigrad.kernels.cpu import optimizer

    rng = np.random.default_rng(0)
    sizes = [count // 10] * 10 + [256] * 40
    lists = [[abs(rng.standard_normal(size, np.float32)) for size in sizes] for _ in range(4)]
    tensors = [[torch.from_numpy(a.copy()) for a in arrays] for arrays in lists]
    for parameter, grad in zip(tensors[0], tensors[1], strict=True):
        parameter.grad = grad
    fused = torch.optim.AdamW(tensors[0], lr=1e-6, fused=True)
    sgd = torch.optim.SGD(tensors[0], lr=1e-6, momentum=0.9, foreach=True)
    name = f"{count:,} in {len(sizes)}"
    hyper = (10, 1e-6, 0.9, 0.999, 1e-8, 0.01, True)
    yield "adamw (torch: fused)", name, lambda hyper=hyper: optimizer.adamw(*lists, *hyper), fused.step
    hyper = (1e-6, 0.9, 0.0, False, 0.0, False)
    yield "sgd, momentum (torch: foreach)", name, lambda hyper=hyper: optimizer.sgd(*lists[:3], *hyper), sgd.step
    yield (
        "grad_norm",
        name,
        lambda: optimizer.grad_norm(lists[1]),
        lambda: torch.nn.utils.get_total_norm(tensors[1]),
    )
    yield "scale", name, lambda: optimizer.scale(lists[1], 1.0), lambda: torch._foreach_mul_(tensors[1], 1.0)


if __name__ == "__main__":
    print(f"{machine()}; {THREADS} threads\n")
    here = "tests.benchmarks.bench_rowwise"
    print(table(compare_all("torch eager", f"{here}:ours", f"{here}:eager", {})))
