"""The ladder of matrix products in CUDA C: every step by name, how work is cut, faults that the tests must see."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.kernels.cuda import compile, emulator
from minigrad.kernels.cuda import matmul as cuda_matmul
from minigrad.kernels.cuda.loader import Module

ORDERS = pytest.mark.parametrize("order", emulator.ORDERS)
FLOAT_STEPS = cuda_matmul.STEPS["float32"]
LAYOUTS = list(itertools.product((False, True), repeat=2))


def operand(shape, transposed=False, seed=0):
    x = np.random.default_rng(seed).standard_normal(shape, np.float32)
    return np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2) if transposed else x


def error(a, b, c) -> float:
    """The largest error of c = a @ b, as a part of what rounding each of k products may cost."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    allowed = 6e-8 * (a.shape[-1] + 8) * (abs(a) @ abs(b)) + 1e-30
    return float(np.nan_to_num(abs(c - a @ b) / allowed, nan=np.inf).max(initial=0))


@pytest.mark.emulator
@ORDERS
@pytest.mark.parametrize("step", FLOAT_STEPS)
@pytest.mark.parametrize(("a_transposed", "b_transposed"), LAYOUTS)
@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 0, 3), (33, 17, 65), (130, 20, 132)], ids=str)
def test_every_step(step, order, a_transposed, b_transposed, shape):
    m, k, n = shape
    a, b = operand((m, k), a_transposed), operand((k, n), b_transposed, 1)
    with emulator.order(order):
        assert error(a, b, cuda_matmul.matmul(a, b, step)) <= 1


@pytest.mark.emulator
@settings(max_examples=40, deadline=None)
@given(
    step=st.sampled_from(FLOAT_STEPS), order=st.sampled_from(emulator.ORDERS), m=st.integers(0, 40),
    k=st.integers(0, 40), n=st.integers(0, 40), batch=st.sampled_from(((), (3,), (2, 3), (2, 1, 2))),
    layout=st.sampled_from(LAYOUTS), broadcast=st.booleans(),
)  # fmt: skip
def test_any_shape_and_batch(step, order, m, k, n, batch, layout, broadcast):
    a, b = operand((*batch, m, k), layout[0]), operand((k, n) if broadcast else (*batch, k, n), layout[1], 1)
    with emulator.order(order):
        c = cuda_matmul.matmul(a, b, step)
    assert c.shape == (*batch, m, n)
    assert error(a, b, c) <= 1


@pytest.mark.emulator
@ORDERS
@pytest.mark.parametrize(("a_transposed", "b_transposed"), LAYOUTS)
def test_a_product_cut_along_k(order, a_transposed, b_transposed):
    m, k, n = 10, 512, 12
    assert cuda_matmul.plan(m, n, k, 1, cuda_matmul.FLOAT_TILES) == (64, 64, 4)
    a, b = operand((m, k), a_transposed), operand((k, n), b_transposed, 1)
    with emulator.order(order):
        assert error(a, b, cuda_matmul.matmul(a, b)) <= 1


@pytest.mark.emulator
def test_large_tiles():
    """What a large product runs, on a few tiles."""
    a, b = operand((140, 24)), operand((24, 132), False, 1)
    c = np.full((140, 132), np.nan, np.float32)
    views = [x[None, None] for x in (a, b)]
    for defines in ({"ASYNCHRONOUS": 0}, {}):  # Turing's way and Ampere's
        c[:] = np.nan
        module = Module(compile.HERE / "matmul_fp32.cu", {**cuda_matmul.laid_out(*views)[2], **defines})
        arguments = (a, b, c, None, None, np.int32(0), cuda_matmul.product(*views))
        module.launch("matmul_warp_tile", cuda_matmul.blocks(*views, 128, 128), 256, arguments)
        assert error(a, b, c) <= 1


@given(m=st.integers(1, 10**5), n=st.integers(1, 10**5), k=st.integers(1, 10**5), batch=st.integers(1, 100))
def test_a_plan_covers_the_product(m, n, k, batch):
    rows, columns, parts = cuda_matmul.plan(m, n, k, batch)
    assert k % parts == 0
    tiles = batch * -(-m // rows) * -(-n // columns)
    assert parts == 1 or (batch == 1 and k // parts >= cuda_matmul.SHORTEST_PART and tiles * parts <= cuda_matmul.FULL)


def test_an_unknown_step():
    with pytest.raises(ValueError, match=r"matmul: no step 'fast'; choose one of naive, coalesced"):
        cuda_matmul.matmul(operand((2, 2)), operand((2, 2)), "fast")


def test_a_dtype_that_no_kernel_takes():
    with pytest.raises(TypeError, match=r"matmul: float64 @ float64: the CUDA C kernels take float32"):
        cuda_matmul.matmul(np.ones((2, 2)), np.ones((2, 2)))


FAULTS = {  # step, file, what stands in it, what it becomes
    "no barrier after loading": (
        "shared", "matmul.cu", "__syncthreads();  // the tiles are complete", ""),
    "no barrier before loading again": (
        "shared", "matmul.cu", "__syncthreads();  // and read, so they may be overwritten", ""),
    "a tail one too long": ("shared", "matmul.cu", "from + y < p.k && column", "from + y <= p.k && column"),
    "a row too many": ("tile_1d", "matmul.cu", "if (row < p.m && column < p.n)", "if (row <= p.m && column < p.n)"),
    "the wrong stride": ("tile_2d", "matmul.cu", "i_row * strides.row", "i_row * strides.column"),
    "the tile of another batch": ("tile_2d", "matmul.cuh", "batch % p.inner * strides.inner", "batch * strides.inner"),
    "a vector past the end": ("vectorised", "matmul_fp32.cu", "if (left > 2) v.z", "if (left > 1) v.z"),
    "transposed the wrong way": ("vectorised", "matmul_fp32.cu", "to[PITCH] = kept[i].y", "to[PITCH] = kept[i].z"),
    "no wait for the copies": ("warp_tile", "matmul_fp32.cu", "if (ASYNCHRONOUS) cp_async_wait<0>();", ""),
    "no barrier between buffers": ("warp_tile", "matmul_fp32.cu",
        "cp_async_wait<0>();\n        __syncthreads();", "cp_async_wait<0>();"),
    "one buffer for two": ("warp_tile", "matmul_fp32.cu", "b_tile[(t + 1) % 2]", "b_tile[0]"),
    "lanes in each other's place": ("warp_tile", "matmul_fp32.cu", "+ lane % 2) * 4", "+ lane / 2 % 2) * 4"),
}  # fmt: skip


def is_caught(monkeypatch, file, old, new, wrong) -> bool:
    """Whether, with the text of a .cu or .cuh file changed, wrong() is true or the emulator objects in some order."""
    text = (compile.HERE / file).read_text()
    assert text.count(old), f"{file} has changed: {old!r} is not in it"

    def load(name, defines=None):
        module = Module(compile.HERE / name, defines or {})
        source = module.path.read_text()
        changed = (
            text.replace(old, new) if name == file else source.replace(f'#include "{file}"', text.replace(old, new))
        )
        module._library = emulator.build(changed, module.path, module.defines)
        return module

    monkeypatch.setattr(cuda_matmul, "load", load)
    for order in emulator.ORDERS:
        try:
            with emulator.order(order):
                if wrong():
                    return True
        except emulator.EmulatorError:
            return True
    return False


@pytest.mark.emulator
@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_caught(monkeypatch, fault):
    step, *change = FAULTS[fault]
    k, n = (46, 38) if step == "vectorised" else (44, 36)
    a, b = operand((2, 2, 34, k)), operand((2, 2, k, n), False, 1)

    def wrong():
        return error(a, b, cuda_matmul.matmul(a, b, step)) > 1

    assert is_caught(monkeypatch, *change, wrong)


@pytest.mark.nvcc
@pytest.mark.parametrize("file", ["matmul.cu", "matmul_fp32.cu"])
def test_compiles_without_spills(file):
    for architecture, defines in compile.versions(compile.HERE / file):
        usage = compile.cubin(compile.HERE / file, defines, architecture)[1]
        assert usage
        assert not [u for u in usage if u.spills], (architecture, defines)
