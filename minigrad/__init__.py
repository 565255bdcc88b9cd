"""minigrad: tensors, gradients and kernels, written to be read.

import minigrad as mg

x = mg.randn(3, requires_grad=True)
y = (x * x).sum()
y.backward()
x.grad            # 2x
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from minigrad import memory, threads

threads.configure()  # before numpy starts its own threads
memory.keep_freed_memory()

from minigrad import array_operators, kernels, methods, ops
from minigrad.aliases import *
from minigrad.amp import autocast
from minigrad.creation import (
    arange,
    as_tensor,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    linspace,
    logspace,
    ones,
    ones_like,
    tensor,
    tril_indices,
    triu_indices,
    zeros,
    zeros_like,
)
from minigrad.devices import Device as device
from minigrad.devices import float32_matmul_precision
from minigrad.dtype_names import *
from minigrad.engine import grad
from minigrad.function import Function, GradientError
from minigrad.gradcheck import GradcheckError, gradcheck, gradgradcheck
from minigrad.io import load, save
from minigrad.modes import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from minigrad.ops import *
from minigrad.properties import finfo, get_default_dtype, iinfo, is_floating_point, is_tensor, numel
from minigrad.random import Generator, get_rng_state, manual_seed, set_rng_state
from minigrad.sampling import (
    bernoulli,
    multinomial,
    normal,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
)
from minigrad.tensor import Tensor

if TYPE_CHECKING:
    from minigrad.anomaly import AnomalyError, detect_anomaly
    from minigrad.checkpointing import checkpoint
    from minigrad.cuda_graph import CudaGraph
    from minigrad.functional import functional_call, hessian, hvp, jacobian, jvp, vhp, vjp
    from minigrad.grad_scaler import GradScaler
    from minigrad.graph import draw_graph
    from minigrad.profiler import profile

# Tools that most programs do without: each is loaded when it is first asked for.
_ON_DEMAND = {
    "AnomalyError": "anomaly",
    "detect_anomaly": "anomaly",
    "checkpoint": "checkpointing",
    "CudaGraph": "cuda_graph",
    "functional_call": "functional",
    "hessian": "functional",
    "hvp": "functional",
    "jacobian": "functional",
    "jvp": "functional",
    "vhp": "functional",
    "vjp": "functional",
    "GradScaler": "grad_scaler",
    "draw_graph": "graph",
    "profile": "profiler",
}


def __getattr__(name: str) -> Any:
    if name in _ON_DEMAND:
        return getattr(import_module(f"minigrad.{_ON_DEMAND[name]}"), name)
    if name == "bfloat16":  # made by the package ml_dtypes, which is loaded when it is first asked for
        from minigrad.dtypes import as_dtype

        return as_dtype("bfloat16")
    raise AttributeError(f"module 'minigrad' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_ON_DEMAND, "bfloat16"})
