"""The ladder of matrix products in CUDA C: every step by name, how work is cut, faults that the tests must see."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.dtypes import HALVES, as_dtype, epsilon
from minigrad.kernels.cuda import emulator
from minigrad.kernels.cuda import linear as cuda_linear
from minigrad.kernels.cuda import matmul as cuda_matmul
from minigrad.kernels.cuda.loader import load
from minigrad.kernels.reference import linear as reference
from tests.minigrad.kernels.cuda.test_planted_faults import plant  # noqa: F401  a fixture

ORDERS = pytest.mark.parametrize("order", emulator.ORDERS)
FLOAT_STEPS = cuda_matmul.STEPS["float32"]
LAYOUTS = list(itertools.product((False, True), repeat=2))


def operand(shape, transposed=False, seed=0, dtype="float32"):
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    x = np.random.default_rng(seed).standard_normal(shape).astype(as_dtype(dtype))
    return np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2) if transposed else x


def error(a, b, c) -> float:
    """The largest error of c = a @ b, as a part of what rounding each of k products, and c in the end, may cost."""
    unit = 0 if c.dtype == np.float32 else epsilon(c.dtype) / 2
    a, b, c = (x.astype(np.float64) for x in (a, b, c))
    allowed = 6e-8 * (a.shape[-1] + 8) * (abs(a) @ abs(b)) + unit * abs(a @ b) + 1e-30
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
@ORDERS
@pytest.mark.parametrize(
    ("dtype", "a_transposed", "b_transposed"),
    [("bfloat16", False, True), *(("float16", *layout) for layout in LAYOUTS)],
)
@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 0, 3), (33, 17, 65), (72, 264, 72)], ids=str)
def test_tensor_cores(order, dtype, a_transposed, b_transposed, shape):
    m, k, n = shape
    a, b = operand((m, k), a_transposed, dtype=dtype), operand((k, n), b_transposed, 1, dtype)
    with emulator.order(order):
        c = cuda_matmul.matmul(a, b, "tensor_cores")
    assert c.dtype == a.dtype
    assert error(a, b, c) <= 1


@pytest.mark.emulator
@settings(max_examples=40, deadline=None)
@given(
    step=st.sampled_from((*FLOAT_STEPS, "tensor_cores")), order=st.sampled_from(emulator.ORDERS), m=st.integers(0, 40),
    k=st.integers(0, 40), n=st.integers(0, 40), batch=st.sampled_from(((), (3,), (2, 3), (2, 1, 2))),
    layout=st.sampled_from(LAYOUTS), broadcast=st.booleans(),
)  # fmt: skip
def test_any_shape_and_batch(step, order, m, k, n, batch, layout, broadcast):
    dtype = "float16" if step == "tensor_cores" else "float32"
    a = operand((*batch, m, k), layout[0], 0, dtype)
    b = operand((k, n) if broadcast else (*batch, k, n), layout[1], 1, dtype)
    with emulator.order(order):
        c = cuda_matmul.matmul(a, b, step)
    assert c.shape == (*batch, m, n)
    assert error(a, b, c) <= 1


@pytest.mark.emulator
@ORDERS
@pytest.mark.parametrize(
    ("dtype", "a_transposed", "b_transposed"), [("float16", False, True), *(("float32", *layout) for layout in LAYOUTS)]
)
def test_a_product_cut_along_k(order, dtype, a_transposed, b_transposed):
    m, k, n = 16, 512, 16
    assert cuda_matmul.plan(m, n, k, 1, cuda_matmul.FLOAT_TILES) == (64, 64, 4)
    a, b = operand((m, k), a_transposed, 0, dtype), operand((k, n), b_transposed, 1, dtype)
    with emulator.order(order):
        assert error(a, b, cuda_matmul.matmul(a, b)) <= 1


@pytest.mark.emulator
@pytest.mark.parametrize(("dtype", "tile"), [("float32", (128, 128)), ("float16", (128, 256)), ("float16", (128, 128))])
@pytest.mark.parametrize("shape", [(140, 72, 264), (130, 33, 131)], ids=str)
def test_large_tiles(monkeypatch, dtype, tile, shape):
    """What a large product runs, on a few tiles."""
    monkeypatch.setattr(cuda_matmul, "plan", lambda *sizes: (*tile, 1))
    m, k, n = shape
    a, b = operand((m, k), dtype=dtype), operand((k, n), True, 1, dtype)
    assert error(a, b, cuda_matmul.matmul(a, b)) <= 1


@pytest.mark.emulator
def test_warp_tile_without_asynchronous_copies(monkeypatch):
    """Turing's way, by registers."""
    monkeypatch.setattr(cuda_matmul, "load", lambda file, defines: load(file, defines | {"ASYNCHRONOUS": 0}))
    a, b = operand((40, 36)), operand((36, 68), False, 1)
    assert error(a, b, cuda_matmul.matmul(a, b)) <= 1


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize(("a_transposed", "b_transposed"), LAYOUTS)
@pytest.mark.parametrize(
    "shapes",
    [((8, 16), (16, 8)), ((128, 64), (64, 256)), ((136, 328), (328, 520)), ((4096, 768), (768, 3072)),
     ((2, 3, 64, 320), (2, 3, 320, 72)), ((3, 200, 72), (72, 264)), ((2, 200, 72), (1, 72, 264))],
    ids=str,
)  # fmt: skip
def test_hopper(dtype, a_transposed, b_transposed, shapes):
    cupy = pytest.importorskip("cupy")
    if cupy.cuda.Device().compute_capability != "90":
        pytest.skip("needs a Hopper GPU")
    a, b = operand(shapes[0], a_transposed, 0, dtype), operand(shapes[1], b_transposed, 1, dtype)
    on_gpu = [cupy.asarray(x.swapaxes(-1, -2)).swapaxes(-1, -2) if turned else cupy.asarray(x)
              for x, turned in ((a, a_transposed), (b, b_transposed))]  # fmt: skip
    assert error(a, b, cuda_matmul.matmul(*on_gpu, "hopper").get()) <= 1


def test_hopper_needs_a_hopper():
    half = operand((8, 8), dtype="float16")
    with pytest.raises(ValueError, match=r'matmul: step "hopper" needs a Hopper GPU \(compute capability 9.0\)'):
        cuda_matmul.matmul(half, half, "hopper")


@given(
    m=st.integers(1, 10**5), n=st.integers(1, 10**5), k=st.integers(1, 10**5), batch=st.integers(1, 100),
    tiles=st.sampled_from((cuda_matmul.FLOAT_TILES, cuda_matmul.HALF_TILES)),
)  # fmt: skip
def test_a_plan_covers_the_product(m, n, k, batch, tiles):
    rows, columns, parts = cuda_matmul.plan(m, n, k, batch, tiles)
    assert k % parts == 0
    tiles = batch * -(-m // rows) * -(-n // columns)
    assert parts == 1 or (batch == 1 and k // parts >= cuda_matmul.SHORTEST_PART and tiles * parts <= cuda_matmul.FULL)


def test_an_unknown_step():
    with pytest.raises(ValueError, match=r"matmul: no step 'fast' for float32; choose one of naive, coalesced"):
        cuda_matmul.matmul(operand((2, 2)), operand((2, 2)), "fast")
    with pytest.raises(ValueError, match=r"matmul: no step 'naive' for float16; choose one of tensor_cores"):
        cuda_matmul.matmul(operand((2, 2), dtype="float16"), operand((2, 2), dtype="float16"), "naive")


@pytest.mark.parametrize("dtypes", [("float64", "float64"), ("float32", "float16"), ("int32", "int32")])
def test_dtypes_that_no_kernel_takes(dtypes):
    with pytest.raises(TypeError, match=rf"matmul: {dtypes[0]} @ {dtypes[1]}: the CUDA C kernels take two of float32"):
        cuda_matmul.matmul(*(np.ones((2, 2), dtype) for dtype in dtypes))


@pytest.mark.emulator
@pytest.mark.parametrize("activation", cuda_linear.ACTIVATIONS)
@pytest.mark.parametrize(
    ("dtype", "sizes"), [("bfloat16", (70, 11, 13)), ("float16", (9, 24, 40)), ("float16", (8, 512, 24))], ids=str
)
def test_linear_in_half_precision(dtype, activation, sizes):
    """Whole tiles, tails, and a sum of parts: against the reference in float32."""
    rows, n_in, n_out = sizes
    shapes = ((rows, n_in), (n_out, n_in), n_out, (rows, n_out))
    x, weight, bias, grad = (operand(shape, False, seed, dtype) for seed, shape in enumerate(shapes))
    wide = [array.astype(np.float32) for array in (x, weight, bias, grad)]
    y, before = cuda_linear.linear(x, weight, bias, activation)
    expected_y, expected_before = reference.linear(*wide[:3], activation)
    expected = reference.linear_backward(wide[3], *wide[:2], expected_before, activation, (True, True, True))
    gradients = cuda_linear.linear_backward(grad, x, weight, before, activation, (True, True, True))
    assert y.dtype == x.dtype
    assert (before is None) == (activation is None)
    for actual, right in zip((y, *gradients), (expected_y, *expected), strict=True):
        size = abs(right).max()
        assert abs(actual.astype(np.float32) - right).max() <= 3 * epsilon(x.dtype) * size


TENSOR_CORES = "matmul_tensor_cores.cu"
FAULTS = {  # step, file, the text in it, what replaces it
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
    "no wait for a tile": ("tensor_cores", TENSOR_CORES, "cp_async_wait<STAGES - 2>();", ""),
    "a wait for one copy too few": (
        "tensor_cores", TENSOR_CORES, "cp_async_wait<STAGES - 2>();", "cp_async_wait<STAGES - 1>();"),
    "no barrier in the ring": ("tensor_cores", TENSOR_CORES, "__syncthreads();              // now", "// now"),
    "stored without a swizzle": (
        "tensor_cores", TENSOR_CORES, "*to = tile + place(row, chunk)", "*to = tile + 8 * (row * CHUNKS + chunk)"),
    "read by another swizzle": (
        "tensor_cores", TENSOR_CORES, "place(line + lane % 16, q / 8", "place(line + lane % 16, (q / 8 ^ 1)"),
    "the next tile of the ring": ("tensor_cores", TENSOR_CORES, "ring + t % STAGES * STAGE, *b", "ring + STAGE, *b"),
    "a row past the end": ("tensor_cores", TENSOR_CORES, "i * STEP < rows ?", "i * STEP <= rows ?"),
    "the other half of a fragment": ("tensor_cores", TENSOR_CORES, "b[j / 2][j % 2 + 2]", "b[j / 2][j % 2 + 1]"),
}  # fmt: skip


@pytest.mark.emulator
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(plant, fault):  # noqa: F811  the fixture
    step, *change = FAULTS[fault]
    k, n = {"vectorised": (46, 38), "tensor_cores": (264, 72)}.get(step, (44, 36))
    dtype = "float16" if step == "tensor_cores" else "float32"
    a, b = operand((2, 2, 34, k), dtype=dtype), operand((2, 2, k, n), False, 1, dtype)
    plant(*change)

    def is_wrong(order):
        try:
            with emulator.order(order):
                return error(a, b, cuda_matmul.matmul(a, b, step)) > 1
        except emulator.EmulatorError:
            return True

    assert any(map(is_wrong, emulator.ORDERS))
