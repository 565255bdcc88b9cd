"""Compile the numba kernels ahead, in two processes at a time.

Numba compiles a kernel at its first call and keeps the machine code on disk. What a training step
of a Transformer needs takes half a minute that way, on one core. Each process can compile some of
them, because all find them on disk afterwards.
"""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from minigrad import kernels

# What two processes compile in about the same time.
SHARES = (
    ("attention", "grad_norm", "scale", "adamw", "embedding", "embedding_backward"),
    ("linear", "linear_backward", "layer_norm", "layer_norm_backward", "cross_entropy", "cross_entropy_backward"),
)
CACHE = Path(__file__).parent / "cpu" / "__pycache__"


def compile_ahead() -> bool:
    """Compile what a training step of a Transformer needs, unless an earlier run left it on disk; whether it did."""
    if any(CACHE.glob("attention*.nbi")):
        return False
    command = [sys.executable, "-m", "minigrad.kernels.ahead", *SHARES[0]]
    helper = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        call(SHARES[1])
    finally:
        helper.wait()
    return True


def call(names: Iterable[str]) -> None:
    """Call each kernel once on something small; numba compiles it if it is not on disk."""
    x, v = np.ones((4, 8), np.float32), np.ones(8, np.float32)
    rows, ids = np.ones(4, np.float32), np.zeros(4, np.int64)
    heads = np.ones((1, 1, 4, 8), np.float32)
    arguments = {
        "attention": (heads, heads, heads, None, 0, 1.0, 0.0, 0),
        "grad_norm": ([x],),
        "scale": ([x], 1.0),
        "adamw": ([x], [x], [x.copy()], [x.copy()], 1, 1e-3, 0.9, 0.99, 1e-8, 0.1, True),
        "embedding": (x, ids),
        "embedding_backward": (x, ids, x.copy(), None),
        "linear": (x, np.ones((8, 8), np.float32), v, "gelu_tanh"),
        "linear_backward": (x, x, np.ones((8, 8), np.float32), x, "gelu_tanh", (True, True, True)),
        "layer_norm": (x, v, v, 1e-5),
        "layer_norm_backward": (x, x, v, rows, rows),
        "cross_entropy": (x, ids, -100, 0.0, None),
        "cross_entropy_backward": (rows, x, ids, rows, -100, 0.0, None),
    }
    with kernels.use("numba"):
        for name in names:
            getattr(kernels, name)(*arguments[name])


if __name__ == "__main__":
    call(sys.argv[1:])
