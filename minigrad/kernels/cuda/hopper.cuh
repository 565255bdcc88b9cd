// Instructions that only Hopper (sm_90a) has, one function each: the tensor memory accelerator, which copies a box of a
// tensor when one thread asks for it, the barriers that count what it has copied, and wgmma, in which four warps
// multiply matrices where they lie in shared memory (PTX ISA, "Tensor copies", "mbarrier" and "Asynchronous warpgroup
// level matrix instructions"). The emulator does not model them.

#pragma once
#include "tensor_core.cuh"

#ifdef MINIGRAD_EMULATOR
#error "the emulator does not model Hopper's instructions: this kernel needs a GPU"
#endif

// --- barriers: a phase ends when `count` threads have arrived and all bytes they expect have been copied ---------

using Barrier = unsigned long long;  // in shared memory

__device__ __forceinline__ void barrier_init(Barrier *barrier, int count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(count) : "memory");
}

// Before a __syncthreads(): what was initialised is visible to the copies, too.
__device__ __forceinline__ void barrier_init_done() {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("fence.proxy.async;" ::: "memory");
}

__device__ __forceinline__ void barrier_arrive(Barrier *barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}

// Arrive, and let the phase wait for that many bytes as well.
__device__ __forceinline__ void barrier_expect(Barrier *barrier, int bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes)
                 : "memory");
}

// Wait for the end of the phase of that parity: the first phase is 0, the next 1, then 0 again. Before the first one
// has ended, phase 1 counts as over.
__device__ __forceinline__ void barrier_wait(Barrier *barrier, int parity) {
    unsigned done;
    do {
        asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                     : "=r"(done)
                     : "r"(shared_address(barrier)), "r"(parity)
                     : "memory");
    } while (!done);
}

// --- tensor copies -----------------------------------------------------------------------------------------------

// CUtensorMap of the driver: where a tensor is, and the size of the box that a copy takes (see tensor_map.py).
struct alignas(64) TensorMap {
    unsigned char bytes[128];
};

// Start to copy the box at those coordinates, the contiguous axis first; outside the tensor it is zero.
__device__ __forceinline__ void copy_box(void *shared, const TensorMap &map, Barrier *barrier, int x, int y, int inner,
                                         int outer) {
    asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
                 "[%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(shared_address(shared)),
                 "l"(&map), "r"(shared_address(barrier)), "r"(x), "r"(y), "r"(inner), "r"(outer)
                 : "memory");
}

// --- wgmma -------------------------------------------------------------------------------------------------------

// A matrix in shared memory whose rows of 128 bytes are swizzled as TMA writes them (16-byte chunks in the order
// chunk ^ (row % 8), row 0 at a multiple of 1,024 bytes). With the depth contiguous, `stride` is the distance in bytes
// of 8 lines, and `leading` is not used. With the lines contiguous, 64 to a row, `stride` is the distance of 8 steps
// along the depth and `leading` that of 64 lines.
using Descriptor = unsigned long long;

__device__ __forceinline__ Descriptor descriptor(const void *matrix, int leading, int stride) {
    auto field = [](unsigned bytes) { return static_cast<Descriptor>((bytes & 0x3ffff) >> 4); };
    return field(shared_address(matrix)) | field(leading) << 16 | field(stride) << 32 | 1ull << 62;
}

// d += a b for four warps: a (64, 16), b (16, 256), T is bf16 or fp16. A_LINES: a's lines are contiguous, not its
// depth. Lane l of warp w holds d[4 j + i] = (16 w + l / 4 + 8 (i / 2), 8 j + 2 (l % 4) + i % 2). It is under way until
// waited for.
#define MINIGRAD_SUMS(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])

#define MINIGRAD_WGMMA(T, name)                                                                                       \
    template <bool A_LINES, bool B_LINES>                                                                             \
    __device__ __forceinline__ void wgmma_m64n256k16(float (&d)[128], Descriptor a, Descriptor b, T) {                \
        asm volatile("wgmma.mma_async.sync.aligned.m64n256k16.f32." name "." name " "                                 \
            "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                                 \
            " %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "                       \
            " %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "                       \
            " %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "                       \
            " %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "                       \
            " %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "                       \
            " %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "           \
            " %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127}, "      \
            "%128, %129, 1, 1, 1, %130, %131;"                                                                        \
            : MINIGRAD_SUMS(0), MINIGRAD_SUMS(4), MINIGRAD_SUMS(8), MINIGRAD_SUMS(12),                                \
              MINIGRAD_SUMS(16), MINIGRAD_SUMS(20), MINIGRAD_SUMS(24), MINIGRAD_SUMS(28),                             \
              MINIGRAD_SUMS(32), MINIGRAD_SUMS(36), MINIGRAD_SUMS(40), MINIGRAD_SUMS(44),                             \
              MINIGRAD_SUMS(48), MINIGRAD_SUMS(52), MINIGRAD_SUMS(56), MINIGRAD_SUMS(60),                             \
              MINIGRAD_SUMS(64), MINIGRAD_SUMS(68), MINIGRAD_SUMS(72), MINIGRAD_SUMS(76),                             \
              MINIGRAD_SUMS(80), MINIGRAD_SUMS(84), MINIGRAD_SUMS(88), MINIGRAD_SUMS(92),                             \
              MINIGRAD_SUMS(96), MINIGRAD_SUMS(100), MINIGRAD_SUMS(104), MINIGRAD_SUMS(108),                          \
              MINIGRAD_SUMS(112), MINIGRAD_SUMS(116), MINIGRAD_SUMS(120), MINIGRAD_SUMS(124)                          \
            : "l"(a), "l"(b), "n"(A_LINES), "n"(B_LINES));                                                            \
    }
MINIGRAD_WGMMA(bf16, "bf16")
MINIGRAD_WGMMA(fp16, "f16")

// Before the first wgmma: the registers it adds to have been written.
__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

// Wait until at most the `PENDING` newest groups are under way.
template <int PENDING>
__device__ __forceinline__ void wgmma_wait() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
}

// Change the number of registers of each lane of four warps.
template <int COUNT>
__device__ __forceinline__ void give_registers_up() {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(COUNT));
}
template <int COUNT>
__device__ __forceinline__ void take_registers() {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(COUNT));
}
