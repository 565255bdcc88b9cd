"""The emulator: that it runs CUDA C as a GPU would, and reports what a GPU would leave unsaid."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minigrad.kernels.cuda import emulator, loader

pytestmark = pytest.mark.emulator

SOURCE = """
extern "C" __global__ void indices(int *out) {
    int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    out[block * blockDim.x * blockDim.y * blockDim.z + thread] = 1000 * block + thread;
}

extern "C" __global__ void shuffles(const int *x, int *out, int width, int n) {
    int i = threadIdx.x;
    out[i] = __shfl_sync(0xffffffff, x[i], n, width);
    out[32 + i] = __shfl_up_sync(0xffffffff, x[i], n, width);
    out[64 + i] = __shfl_down_sync(0xffffffff, x[i], n, width);
    out[96 + i] = __shfl_xor_sync(0xffffffff, x[i], n, width);
}

// Two halves of a warp, each on its own, a different number of times.
extern "C" __global__ void halves(float *out) {
    float x = threadIdx.x;
    if (threadIdx.x < 16) {
        for (int d = 8; d > 0; d /= 2) x += __shfl_xor_sync(0x0000ffff, x, d);
    } else {
        x = __shfl_sync(0xffff0000, x, 31);
    }
    out[threadIdx.x] = x;
}

extern "C" __global__ void votes(const int *x, int *out) {
    int i = threadIdx.x, p = x[i];
    out[i] = __ballot_sync(0xffffffff, p);
    out[64 + i] = __any_sync(0xffffffff, p);
    out[128 + i] = __all_sync(0xffffffff, p);
    out[192 + i] = __syncthreads_count(p);
    out[256 + i] = __syncthreads_or(p);
    out[320 + i] = __syncthreads_and(p);
}

extern "C" __global__ void atomics(const int *x, int *out, float *sum, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    atomicAdd(&out[0], x[i]);
    atomicMax(&out[1], x[i]);
    atomicMin(&out[2], x[i]);
    atomicOr(&out[3], 1 << x[i] % 31);
    for (int old = out[4];;) {
        int seen = atomicCAS(&out[4], old, old + 2);
        if (seen == old) break;
        old = seen;
    }
    atomicAdd(sum, 0.5f);
}

template <int WIDTH>
__global__ void reversed(const float *x, float *y) {
    extern __shared__ float tile[];
    tile[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = tile[WIDTH - 1 - threadIdx.x];
}

extern "C" __global__ void vectors(const float4 *x, float2 *y, double *z) {
    float4 v = x[threadIdx.x];
    y[threadIdx.x] = make_float2(v.x + v.y, rsqrtf(v.z));
    z[threadIdx.x] = max(v.w, 0.5f) + __popc(7u);
}

extern "C" __global__ void without_barrier(float *y) {
    __shared__ float tile[64];
    tile[threadIdx.x] = threadIdx.x;
    y[threadIdx.x] = tile[63 - threadIdx.x];
}

extern "C" __global__ void says(int n) {
    if (threadIdx.x == 3) printf("thread %d of %d\\n", threadIdx.x, n);
}

// --- what no kernel may do ---

extern "C" __global__ void two_barriers(int *x) {
    if (threadIdx.x < 40) {
        __syncthreads();
    } else {
        __syncthreads();
    }
}

extern "C" __global__ void leaves_early(int *x) {
    if (threadIdx.x >= 40) return;
    __syncthreads();
}

extern "C" __global__ void waits_for_ever(int *x) {
    if (threadIdx.x != 5) __syncwarp();
}

extern "C" __global__ void other_mask(int *x) { __syncwarp(0x0000ffff); }

extern "C" __global__ void mixed(int *x) {
    if (threadIdx.x % 2) __syncwarp();
    else __shfl_sync(0xffffffff, 1, 0);
}

extern "C" __global__ void from_no_lane(float *x) { x[threadIdx.x] = __shfl_xor_sync(0xffffffff, 1.0f, 16); }

extern "C" __global__ void at(float *x, int i) { x[i] = 1; }

extern "C" __global__ void shared_at(float *x, int i) {
    __shared__ float tile[8];
    tile[i] = 1;
    x[0] = tile[0];
}

extern "C" __global__ void dynamic_at(int i) {
    extern __shared__ float tile[];
    tile[i] = 1;
}

extern "C" __global__ void large_local(float *x) {
    volatile float local[60000];
    for (int i = 59999; i >= 0; i -= 100) local[i] = i;
    x[0] = local[100];
}

extern "C" __global__ void gives_up(int n) {
    if (threadIdx.x == n) __trap();
}
"""
KERNELS = [*emulator.kernel_names(SOURCE), "reversed<64>"]


@pytest.fixture(scope="module")
def library():
    return emulator.build(SOURCE, Path("kernels.cu").resolve(), {}, KERNELS)


@pytest.fixture(params=emulator.ORDERS)
def order(request):
    with emulator.order(request.param):
        yield request.param


@pytest.fixture
def launch(library):
    def launch(kernel, grid, block, *arguments, shared_bytes=0):
        emulator.launch(library, kernel, grid, block, arguments, shared_bytes)

    return launch


def test_kernels_are_found_and_templates_left_out():
    assert KERNELS[:3] == ["indices", "shuffles", "halves"]
    assert "reversed" not in KERNELS
    text = "/* __global__ void a() */ __global__ void __launch_bounds__(128, 2) b(int n) {}\n// __global__ void c()"
    assert emulator.kernel_names(text) == ["b"]


def test_every_thread_of_a_grid_knows_its_place(order, launch):
    out = np.zeros((24, 30), np.int32)
    launch("indices", (2, 3, 4), (5, 3, 2), out)
    np.testing.assert_array_equal(out, 1000 * np.arange(24)[:, None] + np.arange(30))


@pytest.mark.parametrize("width", [32, 16, 4])
@pytest.mark.parametrize("n", [1, 3, 17])
def test_shuffles(order, launch, width, n):
    lane = np.arange(32)
    x = 100 + lane.astype(np.int32)
    out = np.zeros((4, 32), np.int32)
    launch("shuffles", (1, 1, 1), (32, 1, 1), x, out, np.int32(width), np.int32(n))
    group = lane // width * width
    expected = [
        group + n % width,
        np.where(lane - n < group, lane, lane - n),
        np.where(lane + n >= group + width, lane, lane + n),
        np.where(lane ^ n, lane ^ n, 0),
    ]
    expected[3] = np.where(expected[3] >= group + width, lane, expected[3])
    np.testing.assert_array_equal(out, 100 + np.stack(expected))


def test_parts_of_a_warp_on_their_own(order, launch):
    out = np.zeros(32, np.float32)
    launch("halves", (1, 1, 1), (32, 1, 1), out)
    np.testing.assert_array_equal(out, [120] * 16 + [31] * 16)


def test_votes(order, launch):
    x = (np.random.default_rng(0).random(64) < 0.5).astype(np.int32)
    x[32:] = 1
    out = np.zeros((6, 64), np.int32)
    launch("votes", (1, 1, 1), (64, 1, 1), x, out)
    ballot = (x.reshape(2, 32).astype(np.uint64) << np.arange(32, dtype=np.uint64)).sum(1).astype(np.uint32)
    np.testing.assert_array_equal(out[0].view(np.uint32), np.repeat(ballot, 32))
    np.testing.assert_array_equal(out[1], 1)
    np.testing.assert_array_equal(out[2], [0] * 32 + [1] * 32)
    np.testing.assert_array_equal(out[3:], [[x.sum()] * 64, [1] * 64, [0] * 64])


def test_atomics(order, launch):
    x = np.random.default_rng(0).integers(1, 1000, 300).astype(np.int32)
    out, total = np.array([0, 0, 10_000, 0, 0], np.int32), np.zeros(1, np.float32)
    launch("atomics", (4, 1, 1), (96, 1, 1), x, out, total, np.int32(300))
    np.testing.assert_array_equal(out, [x.sum(), x.max(), x.min(), np.bitwise_or.reduce(1 << x % 31), 600])
    assert total[0] == 150


def test_templates_and_dynamic_shared_memory(order, launch):
    x, y = np.arange(64, dtype=np.float32), np.zeros(64, np.float32)
    launch("reversed<64>", (1, 1, 1), (64, 1, 1), x, y, shared_bytes=256)
    np.testing.assert_array_equal(y, x[::-1])


def test_vectors_and_mathematics(launch):
    x = np.array([[1, 2, 4, 8], [3, 4, 16, -1]], np.float32)
    y, z = np.zeros((2, 2), np.float32), np.zeros(2)
    launch("vectors", (1, 1, 1), (2, 1, 1), x, y, z)
    np.testing.assert_allclose(y, [[3, 0.5], [7, 0.25]])
    np.testing.assert_array_equal(z, [11, 3.5])


def test_a_missing_barrier_shows_in_some_order(launch):
    results = []
    for each in emulator.ORDERS:
        y = np.zeros(64, np.float32)
        with emulator.order(each):
            launch("without_barrier", (1, 1, 1), (64, 1, 1), y)
        results.append(y)
    assert not np.array_equal(results[0], results[1])
    assert np.isnan(results[0]).any()  # shared memory holds NaN until somebody writes


def test_a_kernel_may_print(capfd, launch):
    launch("says", (1, 1, 1), (8, 1, 1), np.int32(8))
    assert capfd.readouterr().out == "thread 3 of 8\n"


def test_arrays_may_be_views_and_share_memory(launch):
    base = np.zeros(100, np.float32)
    launch("at", (1, 1, 1), (1, 1, 1), base[10:20], np.int32(3))
    x = np.arange(64, dtype=np.float32)
    launch("reversed<64>", (1, 1, 1), (64, 1, 1), x, x, shared_bytes=256)
    np.testing.assert_array_equal(np.flatnonzero(base), [13])
    np.testing.assert_array_equal(x, np.arange(64)[::-1])


# --- what is reported --------------------------------------------------------------------------------------------

LINES = SOURCE.splitlines()


def line_of(kernel, text):
    start = next(i for i, line in enumerate(LINES) if f" {kernel}(" in line)
    return next(i for i in range(start, len(LINES)) if text in LINES[i]) + 1


def report(launch, kernel, block, *arguments, **options):
    with pytest.raises(emulator.EmulatorError) as error:
        launch(kernel, (1, 1, 1), (block, 1, 1), *arguments, **options)
    return str(error.value)


def test_divergent_barriers(order, launch):
    x = np.zeros(64, np.int32)
    text = report(launch, "two_barriers", 64, x)
    first = line_of("two_barriers", "__syncthreads")
    assert f"two_barriers, {order} order: block (0, 0, 0): divergent barrier" in text
    assert f"40 threads, the first thread (0, 0, 0), at the barrier in kernels.cu:{first}" in text
    assert f"24 threads, the first thread (40, 0, 0), at the barrier in kernels.cu:{first + 2}" in text


def test_a_barrier_that_part_of_a_block_never_reaches(order, launch):
    text = report(launch, "leaves_early", 64, np.zeros(64, np.int32))
    assert "divergent barrier, part of the block ended without reaching it" in text
    assert "24 threads, the first thread (40, 0, 0), have ended" in text


def test_a_deadlock(order, launch):
    text = report(launch, "waits_for_ever", 32, np.zeros(32, np.int32))
    line = line_of("waits_for_ever", "__syncwarp")
    assert "deadlock" in text
    assert f"31 threads, the first thread (0, 0, 0), at __syncwarp(mask 0xffffffff) in kernels.cu:{line}" in text
    assert "1 thread, the first thread (5, 0, 0), has ended" in text


def test_wrong_masks_and_mixed_operations(order, launch):
    x = np.zeros(32, np.int32)
    assert "the mask 0x0000ffff does not name the calling lane" in report(launch, "other_mask", 32, x)
    assert "lanes of one warp wait in different operations" in report(launch, "mixed", 32, x)


def test_a_shuffle_from_a_lane_that_is_not_there(order, launch):
    text = report(launch, "from_no_lane", 16, np.zeros(16, np.float32))
    assert "a shuffle reads from lane" in text
    assert "which takes no part in it" in text


@pytest.mark.parametrize(
    ("index", "what"),
    [(10, "writes past the end of x (float32[10]), 0 bytes behind it"),
     (12, "writes past the end of x (float32[10]), 8 bytes behind it"),
     (-1, "writes before the start of x (float32[10]), 4 bytes before it")],
)  # fmt: skip
def test_guard_zones_name_the_array(launch, index, what):
    x = np.zeros(10, np.float32)
    assert what in report(launch, "at", 1, x, np.int32(index))
    assert not x.any()


def test_a_wild_pointer_and_a_null_pointer(launch):
    x = np.zeros(10, np.float32)
    text = "block (0, 0, 0), thread (0, 0, 0): an access far outside every array"
    assert text in report(launch, "at", 1, x, np.int32(2**30))
    assert text in report(launch, "at", 1, None, np.int32(0))


def test_shared_memory_overflows(launch, library):
    size = library.functions.emulator_static_shared()  # of all the file's arrays: one may be followed by another
    text = report(launch, "shared_at", 1, np.zeros(1, np.float32), np.int32(size // 4))
    assert f"writes past the end of its {size} bytes of __shared__ arrays" in text
    text = report(launch, "dynamic_at", 1, np.int32(25), shared_bytes=100)
    assert "writes past the end of its 100 bytes of dynamic shared memory, at byte 100" in text


def test_a_stack_overflow(launch):
    assert "its local variables do not fit" in report(launch, "large_local", 1, np.zeros(1, np.float32))


def test_a_trap(launch):
    assert "thread (7, 0, 0): __trap() was called" in report(launch, "gives_up", 32, np.int32(7))


def test_a_launch_after_a_report_is_as_good_as_new(order, launch):
    for _ in range(2):
        report(launch, "leaves_early", 64, np.zeros(64, np.int32))
        report(launch, "at", 1, np.zeros(10, np.float32), np.int32(2**30))
        out = np.zeros((1, 64), np.int32)
        launch("indices", (1, 1, 1), (64, 1, 1), out)
        np.testing.assert_array_equal(out[0], np.arange(64))


# --- what Python checks before a launch --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(3, np.float32),), "1 arguments were given and it has 2 parameters"),
        ((np.zeros(3, np.float32), 1), "i is int32 and was given int 1; give numbers as numpy scalars"),
        ((np.zeros(3, np.float32), np.int64(1)), "i is int32 and was given int64"),
        ((np.zeros(3, np.float64), np.int32(1)), r"x is a pointer to float32 and was given float64\[3\]"),
        ((np.float32(1), np.int32(1)), "x is a pointer to float32 and was given float32"),
        ((np.broadcast_to(np.float32(1), 3), np.int32(1)), "x is not const and was given a read-only array"),
    ],
)
def test_wrong_arguments(launch, arguments, message):
    with pytest.raises(TypeError, match=f"at: {message}"):
        launch("at", (1, 1, 1), (1, 1, 1), *arguments)


def test_wrong_sizes(launch, library):
    x = (np.zeros(3, np.float32), np.int32(0))
    with pytest.raises(ValueError, match=r"2048 threads; a GPU takes 1 to 1024"):
        launch("at", (1, 1, 1), (64, 32, 1), *x)
    with pytest.raises(ValueError, match=r"a grid \(0, 1, 1\) has no blocks"):
        launch("at", (0, 1, 1), (1, 1, 1), *x)
    with pytest.raises(ValueError, match=r"bytes of shared memory; a block has at most 232448"):
        launch("at", (1, 1, 1), (1, 1, 1), *x, shared_bytes=300_000)
    with pytest.raises(ValueError, match=r"there is no kernel 'nothing'; the file has indices, shuffles"):
        launch("nothing", (1, 1, 1), (1, 1, 1))
    with pytest.raises(ValueError, match=r"choose one of forward, reverse, permuted"), emulator.order("sideways"):
        pass


def test_a_compile_error_names_the_line():
    with pytest.raises(emulator.CompileError, match=r"wrong\.cu:3:.*undeclared|wrong\.cu:3:.*not declared"):
        emulator.build("\n__global__ void k(float *x) {\n    x[0] = missing;\n}\n", Path("wrong.cu").resolve(), {})


def test_without_a_compiler_it_says_what_to_install(tmp_path):
    program = "from minigrad.kernels.cuda import emulator; emulator.compiler()"
    environment = {**os.environ, "PATH": str(tmp_path), "CXX": ""}
    result = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert "there is none: install one (Debian and Ubuntu: apt install g++" in result.stderr


def test_a_library_is_built_once(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path))
    text = "__global__ void k(float *x) { x[0] = VALUE; }"
    path = Path("k.cu").resolve()
    first = emulator.build(text, path, {"VALUE": 1}).path
    written = first.stat().st_mtime_ns
    assert emulator.build(text, path, {"VALUE": 1}).path == first
    assert first.stat().st_mtime_ns == written
    assert emulator.build(text, path, {"VALUE": 2}).path != first
    assert {file.suffix for file in (tmp_path / "emulator").iterdir()} == {".so", ".o"}


def test_the_loader_takes_short_sizes_and_remembers():
    module = loader.load("softmax.cu", {"LOG": 0})
    assert loader.load("softmax.cu", {"LOG": 0}) is module
    x = np.random.default_rng(0).standard_normal((3, 10), np.float32)
    y = loader.empty(x.shape, like=x)
    assert np.isnan(y).all()
    module.launch("softmax_three_pass", 3, 32, (x, y, np.int32(10)))
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-6)
