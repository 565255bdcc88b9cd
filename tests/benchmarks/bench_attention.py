"""Attention beside torch's scaled_dot_product_attention, float32, two threads each, in turn.

    python -m tests.benchmarks.bench_attention

q, k and v are views of one packed (batch, time, 3, heads, head_dim) array, as a model has them.
"""

import numpy as np

from tests.benchmarks.turns import compare_all, machine, table

THREADS = 2

# batch, heads, time, head_dim, causal; the last has a single query, as in decoding
WORK = [
    (12, 4, 64, 32, True),
    (8, 6, 256, 64, True),
    (4, 4, 128, 64, True),
    (2, 8, 1024, 64, True),
    (2, 8, 1024, 64, False),
]
DECODING = (4, 8, 1024, 64)


def _problems():
    """(name, packed q, k and v, upstream gradient, causal) of every work."""
    rng = np.random.default_rng(0)
    for batch, heads, length, head_dim, causal in WORK:
        packed = rng.standard_normal((batch, length, 3, heads, head_dim), np.float32)
        grad = rng.standard_normal((batch, length, heads, head_dim), np.float32).swapaxes(1, 2)
        name = f"({batch}, {heads}, {length}, {head_dim}) {'causal' if causal else 'full'}"
        yield name, packed, grad, causal


def _decoding_problem():
    batch, heads, length, head_dim = DECODING
    rng = np.random.default_rng(1)
    q = rng.standard_normal((batch, heads, 1, head_dim), np.float32)
    return q, *rng.standard_normal((2, batch, heads, length, head_dim), np.float32)


def ours() -> dict:
    """Our kernels."""
    import minigrad
    from minigrad.kernels.cpu.attention import attention, attention_backward
    from minigrad.kernels.reference.attention import AttentionSettings

    minigrad.threads.set_num_threads(THREADS)
    steps = {}
    for name, packed, grad, causal in _problems():
        qkv = [packed[:, :, n].swapaxes(1, 2) for n in range(3)]
        settings = (None, AttentionSettings(0 if causal else None, packed.shape[-1] ** -0.5, 0.0, 0))
        kept = attention(*qkv, *settings)
        steps[f"{name} forward"] = lambda qkv=qkv, settings=settings: attention(*qkv, *settings)
        steps[f"{name} backward"] = lambda grad=grad, qkv=qkv, kept=kept, settings=settings: attention_backward(
            grad, *qkv, *kept, *settings
        )
    q, k, v = _decoding_problem()
    all_keys = AttentionSettings(None, q.shape[-1] ** -0.5, 0.0, 0)
    steps["decoding, 1 query, 1,024 keys"] = lambda: attention(q, k, v, None, all_keys)
    return steps


def eager() -> dict:
    """PyTorch's."""
    import torch

    torch.set_num_threads(THREADS)
    sdpa = torch.nn.functional.scaled_dot_product_attention
    steps = {}
    for name, packed, grad, causal in _problems():
        packed, grad = torch.from_numpy(packed).requires_grad_(), torch.from_numpy(grad)
        qkv = [packed[:, :, n].transpose(1, 2) for n in range(3)]
        out = sdpa(*qkv, is_causal=causal)
        free = [x.detach() for x in qkv]
        steps[f"{name} forward"] = lambda free=free, causal=causal: sdpa(*free, is_causal=causal)
        steps[f"{name} backward"] = lambda out=out, qkv=qkv, grad=grad: torch.autograd.grad(
            out, qkv, grad, retain_graph=True
        )
    q, k, v = map(torch.from_numpy, _decoding_problem())
    steps["decoding, 1 query, 1,024 keys"] = lambda: sdpa(q, k, v)
    return steps


if __name__ == "__main__":
    print(f"{machine()}; {THREADS} threads\n")
    here = "tests.benchmarks.bench_attention"
    print(table(compare_all("torch eager", f"{here}:ours", f"{here}:eager", {})))
