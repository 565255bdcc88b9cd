"""minigrad: tensors, gradients and kernels, written to be read.

    import minigrad as mg

    x = mg.randn(3, requires_grad=True)
    y = (x * x).sum()
    y.backward()
    x.grad            # 2x
"""

from minigrad import memory, threads

threads.configure()  # before numpy starts its own threads
memory.keep_freed_memory()

from minigrad import kernels, methods, ops  # noqa: E402
from minigrad.anomaly import AnomalyError, detect_anomaly  # noqa: E402
from minigrad.checkpointing import checkpoint  # noqa: E402
from minigrad.creation import (  # noqa: E402
    arange, empty, eye, full, full_like, linspace, ones, ones_like, rand, rand_like, randint, randn, randn_like,
    randperm, tensor, zeros, zeros_like,
)
from minigrad.function import Function, GradientError, enable_grad, grad, is_grad_enabled, no_grad  # noqa: E402
from minigrad.gradcheck import GradcheckError, gradcheck, gradgradcheck  # noqa: E402
from minigrad.graph import draw_graph  # noqa: E402
from minigrad.io import load, save  # noqa: E402
from minigrad.ops import *  # noqa: E402, F403
from minigrad.profiler import profile  # noqa: E402
from minigrad.random import get_rng_state, manual_seed, set_rng_state  # noqa: E402
from minigrad.tensor import Tensor  # noqa: E402
