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

from minigrad import kernels, methods, ops
from minigrad.amp import autocast
from minigrad.anomaly import AnomalyError, detect_anomaly
from minigrad.checkpointing import checkpoint
from minigrad.creation import (
    arange,
    empty,
    eye,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    rand,
    rand_like,
    randint,
    randn,
    randn_like,
    randperm,
    tensor,
    zeros,
    zeros_like,
)
from minigrad.cuda_graph import CudaGraph
from minigrad.devices import float32_matmul_precision
from minigrad.engine import grad
from minigrad.function import Function, GradientError, enable_grad, is_grad_enabled, no_grad
from minigrad.grad_scaler import GradScaler
from minigrad.gradcheck import GradcheckError, gradcheck, gradgradcheck
from minigrad.graph import draw_graph
from minigrad.io import load, save
from minigrad.ops import *
from minigrad.profiler import profile
from minigrad.random import get_rng_state, manual_seed, set_rng_state
from minigrad.tensor import Tensor
