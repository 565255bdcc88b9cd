"""The emulator's tensor-core instructions and asynchronous copies, against numpy; with nvcc, that they compile."""

import numpy as np
import pytest

from minigrad.kernels.cuda import compile, emulator

SOURCE = """
#include "tensor_core.cuh"

// c = a b for a (16, 16), b (16, 8); a by ldmatrix, b by ldmatrix and a transposition.
template <class T>
__device__ void multiply(const T *a, const T *b, float *c) {
    __shared__ alignas(16) T tile_a[16][16], tile_b[16][8];
    int lane = threadIdx.x;
    cp_async16(&tile_a[lane / 2][lane % 2 * 8], a + lane * 8);
    if (lane < 16) cp_async16(&tile_b[lane], b + lane * 8);
    cp_async_commit();
    cp_async_wait<0>();
    __syncthreads();
    unsigned fa[4], fb[2];
    float d[4] = {0, 0, 0, 0};
    ldmatrix_x4(fa, &tile_a[lane % 16][lane / 16 * 8]);
    ldmatrix_x2_trans(fb, &tile_b[lane % 16][0]);
    mma_m16n8k16<T>(d, fa, fb, d);
    for (int i = 0; i < 4; i++) c[(lane / 4 + i / 2 * 8) * 8 + 2 * (lane % 4) + i % 2] = d[i];
}
extern "C" __global__ void multiply_bf16(const bf16 *a, const bf16 *b, float *c) { multiply(a, b, c); }
extern "C" __global__ void multiply_fp16(const fp16 *a, const fp16 *b, float *c) { multiply(a, b, c); }

template <class T>
__device__ void convert(const float *x, T *half, float *back, unsigned *pairs, int n) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        half[i] = from_float<T>(x[i]);
        back[i] = to_float(half[i]);
        pairs[i] = pack<T>(x[i], 1);
    }
}
extern "C" __global__ void convert_bf16(const float *x, bf16 *half, float *back, unsigned *pairs, int n) {
    convert(x, half, back, pairs, n);
}
extern "C" __global__ void convert_fp16(const float *x, fp16 *half, float *back, unsigned *pairs, int n) {
    convert(x, half, back, pairs, n);
}

// Two copies in two groups; only the first has been waited for when the tile is written out.
extern "C" __global__ void pipeline(const float *x, float *y) {
    __shared__ alignas(16) float tile[12];
    cp_async16(tile, x);
    cp_async_commit();
    cp_async16(tile + 4, x + 4);
    cp_async16(tile + 8, x + 8, false);
    cp_async_commit();
    cp_async_wait<1>();
    for (int i = 0; i < 12; i++) y[i] = tile[i];
    cp_async_wait<0>();
    for (int i = 0; i < 12; i++) y[12 + i] = tile[i];
}
"""


@pytest.fixture(scope="module")
def library():
    return emulator.build(SOURCE, compile.HERE / "test.cu", {})


def bf16(x) -> np.ndarray:
    """float32 to bfloat16's bits, to the nearest even, as the definition says."""
    bits = x.astype(np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def to_float(x) -> np.ndarray:
    return (x.astype(np.uint32) << 16).view(np.float32) if x.dtype == np.uint16 else x.astype(np.float32)


@pytest.mark.emulator
@pytest.mark.parametrize("order", emulator.ORDERS)
@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_a_product_by_fragments(library, name, order):
    rng = np.random.default_rng(0)
    narrow = bf16 if name == "bf16" else lambda x: x.astype(np.float16)
    a, b = narrow(rng.standard_normal((16, 16))), narrow(rng.standard_normal((16, 8)))
    c = np.empty((16, 8), np.float32)
    with emulator.order(order):
        emulator.launch(library, f"multiply_{name}", (1, 1, 1), (32, 1, 1), (a, b, c))
    np.testing.assert_allclose(c, to_float(a) @ to_float(b), atol=1e-5)


SPECIAL = [0, -0.0, 1, -1, 65504, 65519.99, 65520, 1e-7, 6e-8, 2.9e-8, 3e-8, 6.1e-5, 1e38, 3.4e38, -3.4e38, 1e-40]


@pytest.mark.emulator
@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_conversions_round_to_the_nearest_even(library, name):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(4000) * 10.0 ** rng.integers(-9, 6, 4000)
    halfway = (rng.integers(0, 2**16, 500).astype(np.uint32) << 16 | 0x8000).view(np.float32)
    x = np.concatenate([x, halfway[np.isfinite(halfway)], SPECIAL, [np.inf, -np.inf]]).astype(np.float32)
    half = np.empty(x.size, np.uint16 if name == "bf16" else np.float16)
    back, pairs = np.empty(x.size, np.float32), np.empty(x.size, np.uint32)
    emulator.launch(library, f"convert_{name}", (1, 1, 1), (64, 1, 1), (x, half, back, pairs, np.int32(x.size)))
    with np.errstate(over="ignore"):
        expected = bf16(x) if name == "bf16" else x.astype(np.float16)
    np.testing.assert_array_equal(half.view(np.uint16), expected.view(np.uint16))
    np.testing.assert_array_equal(back, to_float(expected))
    one = 0x3F80 if name == "bf16" else 0x3C00
    np.testing.assert_array_equal(pairs, expected.view(np.uint16) | np.uint32(one << 16))


@pytest.mark.emulator
@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_nan_stays_nan(library, name):
    x = np.array([0x7F800001, 0x7FFFFFFF, 0xFF800001, 0x7FC00000], np.uint32).view(np.float32)
    half = np.zeros(4, np.uint16 if name == "bf16" else np.float16)
    back, pairs = np.zeros(4, np.float32), np.zeros(4, np.uint32)
    emulator.launch(library, f"convert_{name}", (1, 1, 1), (32, 1, 1), (x, half, back, pairs, np.int32(4)))
    assert np.isnan(back).all()


@pytest.mark.emulator
def test_a_copy_arrives_when_it_is_waited_for(library):
    x, y = np.arange(12, dtype=np.float32), np.empty(24, np.float32)
    emulator.launch(library, "pipeline", (1, 1, 1), (1, 1, 1), (x, y))
    np.testing.assert_array_equal(y[:4], x[:4])
    assert np.isnan(y[4:12]).all()
    np.testing.assert_array_equal(y[12:], [*x[:8], 0, 0, 0, 0])


@pytest.mark.nvcc
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_the_instructions_compile(tmp_path, architecture):
    (tmp_path / "test.cu").write_text(SOURCE)
    _, usage = compile.cubin(tmp_path / "test.cu", {}, architecture)
    assert {u.kernel for u in usage} >= {"multiply_bf16", "multiply_fp16", "convert_bf16", "pipeline"}
    assert not any(u.spills for u in usage)
