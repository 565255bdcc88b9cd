"""Compile the numba kernels ahead, in two processes at a time.

Numba compiles a kernel at its first call, and the machine code is kept on disk. What a training step of a Transformer
needs takes half a minute that way, on one core. Each process can compile some of them, because all find them on disk
afterwards.
"""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from minigrad import kernels
from minigrad.kernels import compiled_cache
from minigrad.kernels.reference.attention import AttentionSettings
from minigrad.kernels.reference.optimizer import AdamOptions
from minigrad.kernels.reference.recurrent import GRUSaved, LSTMSaved

# Which kernels a training step takes: two shares that two processes compile in about the same time.
Shares = tuple[tuple[str, ...], tuple[str, ...]]
_UPDATE = ("grad_norm", "scale", "adamw", "embedding", "embedding_backward")
_LAYERS = ("linear", "linear_backward", "cross_entropy", "cross_entropy_backward")
TRANSFORMER: Shares = (("attention", *_UPDATE), (*_LAYERS, "layer_norm", "layer_norm_backward"))


def recurrent(cell: str) -> Shares:
    """The shares of a network of that cell: "lstm", "gru" or "rnn"."""
    return (cell, f"{cell}_backward", *_UPDATE), _LAYERS


def compile_ahead(shares: Shares) -> bool:
    """Compile these kernels, unless an earlier call left them on disk or nothing can be kept there; whether it did."""
    missing = [[name for name in share if not _mark(name).exists()] for share in shares]
    if not any(missing) or not compiled_cache.is_writable():
        return False
    command = [sys.executable, "-m", "minigrad.kernels.ahead", *missing[0]]
    helper = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) if missing[0] else None
    try:
        call(missing[1])
    finally:
        if helper:
            helper.wait()
    return True


def _mark(name: str) -> Path:
    """The file that says that a kernel, as its source is now, was compiled ahead."""
    module = getattr(kernels, name).implementations["numba"].module
    source = Path(__file__).parent.joinpath(*module.split(".")).with_suffix(".py")
    return (compiled_cache.folder() or Path()) / f"ahead.{name}-{compiled_cache.digest_of(source)}"


def call(names: Iterable[str]) -> None:
    """Call each kernel once on something small; numba compiles it if it is not on disk."""
    x, v = np.ones((4, 8), np.float32), np.ones(8, np.float32)
    rows, ids = np.ones(4, np.float32), np.zeros(4, np.int64)
    heads = np.ones((1, 1, 4, 8), np.float32)
    state, steps = np.ones((2, 8), np.float32), np.array([2, 2])  # two sequences of two steps
    gates, weight = np.ones((4, 32), np.float32), np.ones((32, 8), np.float32)  # an LSTM's; GRU and RNN take fewer
    arguments = {
        "attention": (heads, heads, heads, None, AttentionSettings(0, 1.0, 0.0, 0)),
        "grad_norm": ([x],),
        "scale": ([x], 1.0),
        "adamw": ([x], [x], [x.copy()], [x.copy()], 1, 1e-3, AdamOptions(0.9, 0.99, 1e-8, 0.1, True)),
        "embedding": (x, ids),
        "embedding_backward": (x, ids, x.copy(), None),
        "linear": (x, np.ones((8, 8), np.float32), v, "gelu_tanh"),
        "linear_backward": (x, x, np.ones((8, 8), np.float32), x, "gelu_tanh", (True, True, True)),
        "layer_norm": (x, v, v, 1e-5),
        "layer_norm_backward": (x, x, v, rows, rows),
        "cross_entropy": (x, ids, -100, 0.0, None),
        "cross_entropy_backward": (rows, x, ids, rows, -100, 0.0, None),
        "lstm": (gates, state, state, weight, steps, False),
        "lstm_backward": (x, state, state, LSTMSaved(state, state, weight, x, gates, x), steps, False),
        "gru": (gates[:, :24], state, weight[:24], None, steps, False),
        "gru_backward": (x, state, GRUSaved(state, weight[:24], x, gates[:, :24], x), steps, False),
        "rnn": (x, state, weight[:8], steps, False, False),
        "rnn_backward": (x, state, state, weight[:8], x, steps, False, False),
    }
    with kernels.use("numba"):
        for name in names:
            getattr(kernels, name)(*arguments[name])
            if compiled_cache.is_writable():
                mark = _mark(name)
                for old in mark.parent.glob(f"ahead.{name}-*"):
                    old.unlink(missing_ok=True)
                mark.touch()


if __name__ == "__main__":
    call(sys.argv[1:])
