"""Random reductions, scans, softmaxes and orders against PyTorch: every dtype, shape, dim, tie, zero and infinity.

What is left out, and why: gradients where infinities meet 0 (both libraries give NaN or inf, by different ways),
which of equal elements topk takes, variances of fewer elements than they need (an error here, NaN there), and what
PyTorch refuses.
"""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad.tensor import Tensor

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

FLOATING = {"float64": 1e-9, "float32": 3e-5, "float16": 3e-3, "bfloat16": 2e-2}  # and how near the two must be
INTEGERS = ["int64", "int32", "uint8", "int8", "bool"]
EXACT_AT_INFINITY = {"sum", "mean", "max", "min", "logsumexp", "cumsum", "sort", "sort descending", "flip", "unbind"}


def over(name, **options):
    return lambda m, x, dim, keepdim: getattr(m, name)(x, dim=dim, keepdim=keepdim, **options)


def along(name, **options):
    return lambda m, x, dim, keepdim: getattr(m, name)(x, dim, **options)


def extreme(name):
    return lambda m, x, dim, keepdim: getattr(m, name)(x) if dim is None else getattr(m, name)(x, dim, keepdim)


def prod(m, x, dim, keepdim):
    return m.prod(x) if dim is None else m.prod(x, dim, keepdim)


def everything(name):
    return lambda m, x, dim, keepdim: getattr(m, name)(x, tuple(range(x.ndim)) if dim is None else dim, keepdim)


def norm(p):
    def call(m, x, dim, keepdim):
        return m.norm(x, p, dim, keepdim) if m is mg else m.linalg.vector_norm(x, p, dim, keepdim)

    return call


def sort(descending):
    def call(m, x, dim, keepdim):
        return m.sort(x, dim=dim, descending=descending, **({} if m is mg else {"stable": True}))

    return call


def topk(largest):
    def call(m, x, dim, keepdim):
        return m.topk(x, (x.shape[dim] + 1) // 2 if x.ndim else 1, dim, largest)[0]

    return call


# name: (call, which dims it takes: one only "1", one or all "1*", any "*"; whether integers, too)
CASES = {
    **{name: (over(name), "*", True) for name in ("sum",)},
    **{name: (over(name), "*", False) for name in ("mean",)},
    **{name: (over(name, correction=0), "*", False) for name in ("var", "std")},
    **{name: (everything(name), "*", True) for name in ("amax", "amin", "logsumexp")},
    **{f"norm {p}": (norm(p), "*", False) for p in (0, 0.5, 1, 1.5, 2, 3, math.inf, -math.inf, -1, -2)},
    **{name: (extreme(name), "1*", True) for name in ("max", "min")},
    **{name: (extreme(name), "1*", True) for name in ("argmax", "argmin")},
    "prod": (prod, "1*", True),
    **{name: (along(name), "1", True) for name in ("cumsum", "cumprod", "squeeze", "unbind")},
    **{name: (along(name), "1", False) for name in ("softmax", "log_softmax")},
    "flip": (lambda m, x, dim, keepdim: m.flip(x, (dim,)), "1", True),
    "sort": (sort(False), "1", True),
    "sort descending": (sort(True), "1", True),
    "topk": (topk(True), "1", True),
    "topk smallest": (topk(False), "1", True),
}


def drawn_dim(rng, kind: str, ndim: int):
    one = int(rng.integers(-max(ndim, 1), max(ndim, 1)))
    if kind == "1" or (kind == "1*" and rng.random() < 0.7):
        return one
    if kind == "*" and ndim and rng.random() < 0.7:
        return tuple(int(d) for d in rng.permutation(ndim)[: rng.integers(1, ndim + 1)])
    return None


def drawn_array(rng, dtype: str):
    """An array, and what is special about it."""
    shape = tuple(int(n) for n in rng.integers(0 if rng.random() < 0.15 else 1, 5, rng.integers(0, 4)))
    kind = str(rng.choice(["normal", "ties", "zeros", "infinities"]))
    if dtype in INTEGERS:
        top = {"bool": 2, "uint8": 200}.get(dtype, 100)
        array = rng.integers(0 if top != 100 else -100, top, shape)
        if dtype == "int64" and kind == "zeros":
            array = np.where(rng.random(shape) < 0.3, np.iinfo(np.int64).min, array)
        return (array % 3 if kind == "ties" else array).astype(dtype), kind
    array = rng.integers(-2, 3, shape).astype(float) if kind == "ties" else rng.standard_normal(shape)
    if kind == "zeros":
        array = np.where(rng.random(shape) < 0.5, 0.0, array)
    if kind == "infinities":
        array = np.where(rng.random(shape) < 0.4, rng.choice([np.inf, -np.inf, np.nan], shape), array)
    return array, kind


def outcome(call, *arguments):
    """A result as a tuple, or None for an error."""
    try:
        result = call(*arguments)
    except (RuntimeError, IndexError, ValueError, TypeError):
        return None
    return tuple(result) if isinstance(result, (tuple, list)) else (result,)


def float64(x) -> np.ndarray:
    return x.data.astype(np.float64) if isinstance(x, Tensor) else x.detach().double().numpy()


@pytest.mark.parametrize("name", CASES)
def test_random_cases(name):
    torch = pytest.importorskip("torch")
    call, dims, integers = CASES[name]
    rng = np.random.default_rng(len(name))
    for _ in range(250):
        dtype = str(rng.choice([*FLOATING, *(INTEGERS if integers else [])]))
        if dtype == "bool" and name.startswith(("arg", "topk")):
            continue  # PyTorch refuses
        array, kind = drawn_array(rng, dtype)
        dim, keepdim = drawn_dim(rng, dims, array.ndim), bool(rng.random() < 0.5)
        theirs = torch.tensor(array).to(getattr(torch, dtype))
        ours = Tensor(float64(theirs) if dtype in FLOATING else array).astype(dtype)
        if dtype in FLOATING:
            ours.requires_grad_()
            theirs.requires_grad_()
        if name in ("var", "std") and (array.size == 0 or dtype == "bfloat16"):
            continue  # bfloat16 means are rounded there before they are taken off
        case = f"{name} {dtype} {array.tolist()} dim={dim} keepdim={keepdim}"
        found, expected = (outcome(call, *arguments, dim, keepdim) for arguments in ((mg, ours), (torch, theirs)))
        assert (found is None) == (expected is None), case
        if found is None:
            continue
        tolerance = FLOATING.get(dtype, 1e-6)
        assert len(found) == len(expected), case
        for y, t in zip(found, expected, strict=True):
            assert (y.shape, str(y.dtype)) == (tuple(t.shape), str(t.dtype).removeprefix("torch.")), case
            np.testing.assert_allclose(float64(y), float64(t), tolerance, tolerance, err_msg=case)
        if dtype not in FLOATING or not found or not expected[0].requires_grad:
            continue
        if (kind == "infinities" and name not in EXACT_AT_INFINITY) or (kind != "normal" and name.startswith("topk")):
            continue
        upstream = rng.uniform(0.5, 1.5, found[0].shape)
        (g,) = mg.grad(found[0], ours, Tensor(upstream).astype(dtype))
        weight = torch.tensor(upstream).to(theirs.dtype)
        (g_theirs,) = torch.autograd.grad(expected[0], theirs, weight, allow_unused=True, materialize_grads=True)
        assert g.dtype == ours.dtype
        wanted = float64(g_theirs)
        # Where PyTorch's intermediate halves overflow, ours are float32 and give a number.
        compared = np.isfinite(wanted) if "16" in dtype and name.startswith("norm") else np.ones(wanted.shape, bool)
        np.testing.assert_allclose(
            float64(g)[compared], wanted[compared], 5 * tolerance, 5 * tolerance, err_msg=f"gradient of {case}"
        )
