"""Conv1d beside torch's, float32, two threads each, in turn.

    python -m tests.benchmarks.bench_convolution

x is (batch, channels, time): contiguous, or with the channels last in memory, as it comes from an embedding.
"""

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


def _problems():
    """(name, x, weight, bias, upstream gradient, padding) of every work."""
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


if __name__ == "__main__":
    print(f"{machine()}; {THREADS} threads\n")
    here = "tests.benchmarks.bench_convolution"
    print(table(compare_all("torch eager", f"{here}:ours", f"{here}:eager", {}, rounds=15)))
