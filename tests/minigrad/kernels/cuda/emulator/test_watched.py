"""The emulator's watched mode: it names the line of every kind of mistake, and finds none in our kernels."""

import copy

import numpy as np
import pytest

from minigrad import kernels
from minigrad.kernels.cuda import compile, emulator
from minigrad.kernels.reference.attention import AttentionSettings
from minigrad.kernels.reference.optimizer import AdamOptions, SGDOptions
from minigrad.kernels.reference.recurrent import LSTMSaved
from tests.minigrad.kernels.implementations import run

pytestmark = pytest.mark.emulator

SOURCE = """
#include "tensor_core.cuh"

extern "C" __global__ void read_outside(const float *x, float *y) {
    y[threadIdx.x] = x[threadIdx.x + 1];  // out of bounds: reads element 32 of x, which has 32
}
extern "C" __global__ void write_outside(const float *x, float *y) {
    float v = x[threadIdx.x];
    y[static_cast<int>(threadIdx.x) - 1] = v;  // out of bounds: writes element -1 of y, which has 32
}
extern "C" __global__ void far_outside(const float *x, float *y) {
    y[threadIdx.x + (1 << 28)] = x[0];  // out of bounds: writes address
}
extern "C" __global__ void uninitialised(const float *x, float *y) {
    __shared__ float tile[64];
    if (threadIdx.x != 7) tile[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = tile[threadIdx.x];  // uninitialised: reads element 7 of tile
}
extern "C" __global__ void race_of_writers(const float *x, float *y) {
    y[threadIdx.x / 2] = x[threadIdx.x];  // race: writes element 0 of y, thread (0, 0, 0) writes it
}
extern "C" __global__ void race_between_warps(const float *x, float *y) {
    __shared__ float tile[64];
    tile[threadIdx.x] = x[threadIdx.x % 32];
    __syncthreads();
    float other = tile[63 - threadIdx.x];
    tile[threadIdx.x] = other;  // race: reads it in
    y[threadIdx.x % 32] = 1;    // race: writes it in
}
extern "C" __global__ void race_within_a_warp(const float *x, float *y) {
    __shared__ float tile[32];
    tile[threadIdx.x] = x[threadIdx.x];
    y[threadIdx.x] = tile[threadIdx.x ^ 1];  // race: writes it in  // uninitialised: reads element 1 of tile
}
extern "C" __global__ void race_with_an_atomic(const float *x, float *y) {
    atomicAdd(&y[0], x[threadIdx.x]);
    if (threadIdx.x == 31) y[0] = 0;  // race: writes element 0 of y
}
extern "C" __global__ void wrong_index(const float *x, float *y) {
    __shared__ float tile[4][8];
    for (int i = 0; i < 8; i++) tile[0][i] = tile[1][i] = x[i];
    y[threadIdx.x] = tile[0][threadIdx.x / 4 + 1];  // out of bounds: uses the index 8
}
extern "C" __global__ void misaligned(const float *x, float *y) {
    y[0] = reinterpret_cast<const float4 *>(x + 1)->y;  // misaligned: accesses element 1 of x
}
extern "C" __global__ void copy_not_waited_for(const float *x, float *y) {
    __shared__ __align__(16) float tile[4];
    cp_async16(tile, x);
    cp_async_commit();
    y[0] = tile[1];  // uninitialised: reads element 1 of tile
    cp_async_wait<0>();
}
extern "C" __global__ void copy_seen_by_others(const float *x, float *y) {
    __shared__ __align__(16) float tile[4];
    if (threadIdx.x == 0) cp_async16(tile, x);
    cp_async_commit();
    cp_async_wait<0>();
    y[threadIdx.x] = tile[1];  // race: thread (0, 0, 0) writes it in mistakes.cu
}

// --- as these, and right ---

extern "C" __global__ void by_barriers(const float *x, float *y) {
    __shared__ float tile[64];
    extern __shared__ float more[];
    more[threadIdx.x] = tile[threadIdx.x] = x[threadIdx.x % 32];
    __syncthreads();
    float other = tile[63 - threadIdx.x] + more[63 - threadIdx.x];
    __syncthreads();
    tile[threadIdx.x] = other;
    if (threadIdx.x < 32) y[threadIdx.x] = other;
}
extern "C" __global__ void by_syncwarp(const float *x, float *y) {
    __shared__ float tile[64];
    int first = threadIdx.x / 32 * 32, lane = threadIdx.x % 32;
    tile[first + lane] = x[lane];
    __syncwarp();
    float other = tile[first + (lane ^ 1)];
    __shfl_xor_sync(0xffffffff, other, 1);
    tile[first + lane] = other;
    if (first == 0) y[lane] = other;
}
extern "C" __global__ void by_atomics(const float *x, float *y) {
    __shared__ float total;
    if (threadIdx.x == 0) total = 0;
    __syncthreads();
    atomicAdd(&total, x[threadIdx.x % 32]);
    atomicAdd(&y[0], 1.0f);
    __syncthreads();
    if (threadIdx.x == 9) y[1] = total;
}
extern "C" __global__ void by_waiting(const float *x, float *y) {
    __shared__ __align__(16) float tile[128];
    cp_async16(tile + 4 * threadIdx.x, x + 4 * (threadIdx.x % 8));
    cp_async_commit();
    cp_async_wait<0>();
    __syncthreads();
    y[threadIdx.x % 32] = threadIdx.x < 32 ? tile[127 - threadIdx.x] : 0;
}
"""
MISTAKES = [name for name in emulator.kernel_names(SOURCE) if not name.startswith("by_")]
RIGHT = [name for name in emulator.kernel_names(SOURCE) if name.startswith("by_")]


@pytest.fixture(scope="module")
def library():
    return emulator.build(SOURCE, compile.HERE / "mistakes.cu", {}, checked=True)


def problems(library, kernel, threads):
    x, y = np.ones(32, np.float32), np.zeros(32, np.float32)
    return emulator.check(library, kernel, (1, 1, 1), (threads, 1, 1), (x, y), 256)


def expected(kernel):
    """{line: the words of its comments} of a kernel in SOURCE."""
    lines = SOURCE.splitlines()
    start = next(i for i, line in enumerate(lines) if f" {kernel}(" in line)
    end = next(i for i in range(start, len(lines)) if lines[i] == "}")
    return {i + 1: lines[i].split("  // ")[1:] for i in range(start, end) if "  // " in lines[i]}


@pytest.mark.parametrize("order", emulator.ORDERS)
@pytest.mark.parametrize("kernel", MISTAKES)
def test_a_mistake_is_named_with_its_line(library, kernel, order):
    with emulator.order(order):
        found = problems(library, kernel, 64 if kernel == "race_between_warps" else 32)
    marked = expected(kernel)
    kinds = {words.partition(":")[0] for all_words in marked.values() for words in all_words}
    assert {f.what.partition(":")[0] for f in found} <= kinds | {"race", "uninitialised"}
    if order == "forward":
        for line, all_words in marked.items():
            for words in all_words:
                kind, _, what = words.partition(": ")
                here = [str(f) for f in found if f.where == f"mistakes.cu:{line}" and f.what.startswith(kind)]
                assert any(what in text for text in here), "\n".join(map(str, found))
    else:
        assert kinds & {f.what.partition(":")[0] for f in found}


@pytest.mark.parametrize("order", emulator.ORDERS)
@pytest.mark.parametrize("kernel", RIGHT)
def test_what_is_right_is_left_alone(library, kernel, order):
    with emulator.order(order):
        assert problems(library, kernel, 32 if kernel == "by_waiting" else 64) == []


def test_a_header_names_the_line_that_called_it():
    source = '#include "common.cuh"\n__global__ void k(const float *x, float *y) {\n    store4(y, load4(x));\n}\n'
    library = emulator.build(source, compile.HERE / "header.cu", {}, checked=True)
    found = emulator.check(library, "k", (1, 1, 1), (1, 1, 1), (np.ones(3, np.float32), np.ones(4, np.float32)))
    assert len(found) == 1
    assert found[0].where.startswith("common.cuh:")
    assert found[0].where.endswith(", from header.cu:3")
    assert "reads element 3 of x, which has 3" in found[0].what


# --- our own kernels ---------------------------------------------------------------------------------------------


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


ROWS = [(3, 5), (5, 128), (2, 1028), (2, 1029)]
IDS = np.array([1, 0, -100, 2, 1])
Q, K, HALF_MASK = normal(1, 4, 37, 32), normal(1, 2, 45, 32), np.random.default_rng(0).random((37, 45)) < 0.5
STEPS = np.array([3, 2])  # rows of a packed sequence
BOTH = [normal(7), normal(300, seed=1)]
OURS = {
    **{name: [(normal(*s),) for s in ROWS] for name in ("softmax", "log_softmax")},
    **{name: [(normal(*s), normal(*s)) for s in ROWS] for name in ("softmax_backward", "log_softmax_backward")},
    "cross_entropy": [(normal(5, 5), IDS, -100, 0.0, None), (normal(5, 260), IDS, -100, 0.1, normal(260))],
    "cross_entropy_backward": [
        (normal(5), normal(5, 5), IDS, normal(5), -100, 0.0, None),
        (normal(5), normal(5, 260), IDS, normal(5), -100, 0.1, normal(260)),
    ],
    "layer_norm": [(normal(*s), normal(s[1]), normal(s[1]), 1e-5) for s in ROWS],
    "layer_norm_backward": [(normal(*s), normal(*s), normal(s[1]), normal(s[0]), normal(s[0])) for s in ROWS],
    "rms_norm": [(normal(*s), normal(s[1]), 1e-5) for s in ROWS],
    "rms_norm_backward": [(normal(*s), normal(*s), normal(s[1]), normal(s[0])) for s in ROWS],
    "gelu": [(normal(37), "tanh"), (normal(512), "none")],
    "gelu_backward": [(normal(37), normal(37), "tanh"), (normal(512), normal(512), "none")],
    "silu": [(normal(37),), (normal(512),)],
    "silu_backward": [(normal(37), normal(37)), (normal(512), normal(512))],
    "dropout": [(normal(37), 0.3, 5), (normal(512), 0.3, 5)],
    "embedding": [(normal(9, 5), np.array([[3, 0], [8, 3]])), (normal(9, 64), np.arange(9))],
    "embedding_backward": [
        (normal(5, 5), np.array([3, 0, 8, 3, 3]), normal(9, 5), None),
        (normal(9, 64), np.arange(9), normal(9, 64), 2),
    ],
    "matmul": [
        (normal(37, 19), normal(19, 45)),
        (normal(2, 130, 40), normal(40, 132)),
        (normal(64, 64).T, normal(64, 8)),
        (normal(72, 264).astype(np.float16), normal(264, 72).astype(np.float16)),
        (normal(37, 19).astype(np.float16), normal(45, 19).astype(np.float16).T),
    ],
    "cast": [(normal(37), np.dtype("float16")), (normal(512).astype(np.float16), np.dtype("float32"))],
    "lstm": [(normal(5, 4 * n), normal(3, n), normal(3, n), normal(4 * n, n), STEPS, False) for n in (5, 32)],
    "lstm_backward": [
        (
            *(normal(r, n) for r in (5, 3, 3)),
            LSTMSaved(*(normal(r, n) for r in (3, 3, 4 * n, 5)), normal(5, 4 * n), normal(5, n)),
            STEPS,
            True,
        )
        for n in (5, 32)
    ],
    "linear": [(normal(37, 19), normal(45, 19), normal(45), "gelu"), (normal(64, 16), normal(8, 16), None, None)],
    "linear_backward": [
        (normal(37, 45), normal(37, 19), normal(45, 19), normal(37, 45), "gelu", (True, True, True)),
        (normal(64, 8), normal(64, 16), normal(8, 16), None, None, (True, True, True)),
    ],
    "attention": [
        (Q, K, K, None, AttentionSettings(8, 0.2, 0.0, 0)),
        (Q, K, K, HALF_MASK, AttentionSettings(None, 0.2, 0.3, 7)),
        (
            Q[:, :, :1],
            *[normal(1, 2, 300, 32)] * 2,
            None,
            AttentionSettings(290, 0.2, 0.1, 7),
        ),  # few queries, many keys
    ],
    "attention_backward": [
        (Q, Q, K, K, Q, normal(1, 4, 37), None, AttentionSettings(8, 0.2, 0.0, 0)),
        (Q, Q, K, K, Q, normal(1, 4, 37), HALF_MASK, AttentionSettings(None, 0.2, 0.3, 7)),
    ],
    "adamw": [(BOTH, BOTH, BOTH, [abs(b) for b in BOTH], 3, 1e-3, AdamOptions(0.9, 0.99, 1e-8, 0.1, True))],
    "sgd": [(BOTH, BOTH, BOTH, 0.1, SGDOptions(0.9, 0.0, True, 0.01), False)],
    "grad_norm": [(BOTH,)],
    "scale": [(BOTH, 0.5)],
}


def in_half(arguments):
    return tuple(a.astype(np.float16) if getattr(a, "dtype", None) == np.float32 else a for a in arguments)


# On tensor cores; the log-sum-exp of attention_backward stays float32.
OURS["matmul"] += [in_half(case) for case in OURS["matmul"]]
OURS["attention"] += [in_half(case) for case in OURS["attention"]]
OURS["attention_backward"] += [(*in_half(c[:5]), c[5], *c[6:]) for c in OURS["attention_backward"]]


@pytest.mark.parametrize("name", OURS)
def test_our_kernels_have_no_problem(name):
    for arguments in OURS[name]:
        with emulator.watched():
            run("emulator", name, *copy.deepcopy(arguments))


def test_every_kernel_in_cuda_c_is_watched():
    assert set(OURS) == {
        name
        for name, kernel in vars(kernels).items()
        if isinstance(kernel, kernels.Kernel) and "emulator" in kernel.implementations
    }


def test_watched_mode_raises_with_the_line(tmp_path):
    path = tmp_path / "k.cu"
    path.write_text("__global__ void k(float *x) {\n    x[2] = 1;\n}\n")
    from minigrad.kernels.cuda.loader import Module

    with emulator.watched(), pytest.raises(emulator.EmulatorError, match=r"^k\.cu:2: out of bounds: .* 2 of x"):
        Module(path, {}).launch("k", 1, 1, (np.zeros(2, np.float32),))
