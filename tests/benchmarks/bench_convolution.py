"""Convolution and pooling beside torch's, float32, in turn: conv1d on two threads each, the rest on one.

    python -m tests.benchmarks.bench_convolution

x of conv1d is (batch, channels, time): contiguous, or with the channels last in memory, as it comes from an embedding.
"""

import ctypes

import numpy as np

from tests.benchmarks.turns import compare_all, machine, table

THREADS = 2

# batch, channels, time, filters, width, padding, channels last
WORK = [
    (50, 100, 60, 100, 3, 0, True),
    (50, 100, 60, 100, 5, 4, True),
    (32, 128, 256, 128, 5, 2, False),
    (32, 128, 256, 128, 5, 2, True),
    (8, 384, 512, 384, 3, 1, False),
]

IMAGES = 64
# channels, height and width, filters, rows and columns of a filter, padding
WORK_2D = [(1, 28, 16, 5, 0), (6, 14, 16, 5, 0), (16, 14, 32, 3, 1), (32, 14, 64, 3, 1), (64, 7, 64, 3, 1)]
POOLS = [(16, 28), (32, 14)]  # channels, height and width; fields of 2 × 2


def _problems():
    """(name, x, weight, bias, upstream gradient, padding) of every conv1d."""
    rng = np.random.default_rng(0)
    for batch, channels, time, filters, width, padding, last in WORK:
        x = rng.standard_normal((batch, time, channels), np.float32).swapaxes(1, 2)
        x = x if last else np.ascontiguousarray(x)
        weight, bias = (rng.standard_normal(n, np.float32) for n in ((filters, channels, width), (filters,)))
        grad = rng.standard_normal((batch, filters, time + 2 * padding - width + 1), np.float32)
        layout = "channels last" if last else "contiguous"
        yield f"({batch}, {channels}, {time}), {filters} filters of {width}, {layout}", x, weight, bias, grad, padding


def ours() -> dict:
    """Our kernels."""
    import minigrad
    from minigrad.kernels.cpu.convolution import conv1d, conv1d_backward

    minigrad.threads.set_num_threads(THREADS)
    steps = {}
    for name, x, weight, bias, grad, padding in _problems():
        settings = 1, (padding, padding), 1, 1
        steps[f"{name}, forward"] = lambda a=(x, weight, bias, *settings): conv1d(*a)
        steps[f"{name}, backward"] = lambda a=(grad, x, weight, *settings, (True,) * 3): conv1d_backward(*a)
    return steps


def eager() -> dict:
    """PyTorch's."""
    import torch

    torch.set_num_threads(THREADS)
    convolution = torch.nn.functional.conv1d
    steps = {}
    for name, x, weight, bias, grad, padding in _problems():
        inputs = [torch.from_numpy(a) for a in (x, weight, bias)]
        grad = torch.from_numpy(grad)
        leaves = [t.detach().requires_grad_() for t in inputs]
        out = convolution(*leaves, padding=padding)
        steps[f"{name}, forward"] = lambda inputs=inputs, padding=padding: convolution(*inputs, padding=padding)
        steps[f"{name}, backward"] = lambda out=out, leaves=leaves, grad=grad: torch.autograd.grad(
            out, leaves, grad, retain_graph=True
        )
    return steps


def _problems_2d():
    """Likewise of every conv2d."""
    rng = np.random.default_rng(0)
    for channels, size, filters, field, padding in WORK_2D:
        x = rng.standard_normal((IMAGES, channels, size, size), np.float32)
        weight = rng.standard_normal((filters, channels, field, field), np.float32)
        bias = rng.standard_normal(filters, np.float32)
        out = size + 2 * padding - field + 1
        grad = rng.standard_normal((IMAGES, filters, out, out), np.float32)
        yield f"conv2d {x.shape}, {filters} filters of {field} × {field}", x, weight, bias, grad, padding


def _pools():
    """(name, x, upstream gradient) of every pooling."""
    rng = np.random.default_rng(0)
    for channels, size in POOLS:
        x = rng.standard_normal((IMAGES, channels, size, size), np.float32)
        grad = rng.standard_normal((IMAGES, channels, size // 2, size // 2), np.float32)
        yield f"max_pool2d {x.shape}", x, grad


def ours_2d() -> dict:
    """Our kernels, on one thread."""
    import minigrad
    from minigrad.kernels.cpu.convolution2d import conv2d, conv2d_backward
    from minigrad.kernels.cpu.pooling2d import max_pool2d, max_pool2d_backward

    minigrad.threads.set_num_threads(1)
    steps = {}
    for name, x, weight, bias, grad, padding in _problems_2d():
        settings = (1, 1), ((padding, padding),) * 2, (1, 1), 1
        steps[f"{name}, forward"] = lambda a=(x, weight, bias, *settings): conv2d(*a)
        for of, needs in (("x", (True, False, False)), ("weight, bias", (False, True, True))):
            steps[f"{name}, d{of}"] = lambda a=(grad, x, weight, *settings, needs): conv2d_backward(*a)
    for name, x, grad in _pools():
        x, grad = (a.reshape(-1, *a.shape[2:]) for a in (x, grad))
        settings = (2, 2), (2, 2), (0, 0), (1, 1), grad.shape[1:]
        _, position = max_pool2d(x, *settings)
        steps[f"{name}, forward"] = lambda a=(x, *settings): max_pool2d(*a)
        steps[f"{name}, dx"] = lambda a=(grad, position, x.shape): max_pool2d_backward(*a)
    return steps


def eager_2d() -> dict:
    """PyTorch's, on one thread."""
    import torch

    ctypes.CDLL(None).mallopt(-1, 2**30)  # M_TRIM_THRESHOLD and
    ctypes.CDLL(None).mallopt(-3, 2**30)  # M_MMAP_THRESHOLD: keeps freed memory, as minigrad does
    torch.set_num_threads(1)
    steps = {}

    def add(name, y, leaves, grad):
        steps[name] = lambda: torch.autograd.grad(y, leaves, grad, retain_graph=True)

    for name, x, weight, bias, grad, padding in _problems_2d():
        x, weight, bias, grad = (torch.from_numpy(a) for a in (x, weight, bias, grad))
        convolution = torch.nn.functional.conv2d
        steps[f"{name}, forward"] = lambda a=(x, weight, bias, 1, padding), c=convolution: c(*a)
        x_leaf, weight_leaf, bias_leaf = (a.detach().requires_grad_() for a in (x, weight, bias))
        add(f"{name}, dx", convolution(x_leaf, weight, bias, 1, padding), [x_leaf], grad)
        add(
            f"{name}, dweight, bias",
            convolution(x, weight_leaf, bias_leaf, 1, padding),
            [weight_leaf, bias_leaf],
            grad,
        )
    for name, x, grad in _pools():
        x, grad = torch.from_numpy(x), torch.from_numpy(grad)
        steps[f"{name}, forward"] = lambda x=x: torch.nn.functional.max_pool2d(x, 2)
        leaf = x.detach().requires_grad_()
        add(f"{name}, dx", torch.nn.functional.max_pool2d(leaf, 2), [leaf], grad)
    return steps


if __name__ == "__main__":
    here = "tests.benchmarks.bench_convolution"
    print(f"{machine()}; {THREADS} threads\n")
    print(table(compare_all("torch eager", f"{here}:ours", f"{here}:eager", {}, rounds=15)))
    print("\nOne thread\n")
    print(table(compare_all("torch eager", f"{here}:ours_2d", f"{here}:eager_2d", {}, rounds=15)))
