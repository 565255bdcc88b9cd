// The instructions of a matrix product on tensor cores, one function each (PTX ISA, "Warp-level matrix
// instructions" and "Asynchronous copy"). In the emulator the same functions come from emulator/warp_matrix.h.

#pragma once
#include "common.cuh"

#ifdef MINIGRAD_EMULATOR
#include "warp_matrix.h"
#else

// d = a b + c for a warp: a (16, 16) row-major, b (16, 8) column-major, c and d (16, 8) in float; T is bf16 or fp16.
// With g = lane / 4 and t = lane % 4, a lane holds (row, column)
//   a: (g, 2t) (g, 2t+1) | (g+8, 2t) .. | (g, 2t+8) .. | (g+8, 2t+8) ..   two to a register
//   b: (2t, g) (2t+1, g) | (2t+8, g) (2t+9, g)                            two to a register
//   c: (g, 2t) | (g, 2t+1) | (g+8, 2t) | (g+8, 2t+1)
template <class T>
__device__ void mma_m16n8k16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], const float (&c)[4]);

#define MINIGRAD_MMA(T, name)                                                                                       \
    template <>                                                                                                     \
    __device__ __forceinline__ void mma_m16n8k16<T>(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2],  \
                                                    const float (&c)[4]) {                                          \
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." name "." name ".f32 "                                 \
                     "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%11,%12,%13};"                                    \
                     : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])                                               \
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(c[0]), "f"(c[1]),      \
                       "f"(c[2]), "f"(c[3]));                                                                       \
    }
MINIGRAD_MMA(bf16, "bf16")
MINIGRAD_MMA(fp16, "f16")

__device__ __forceinline__ unsigned shared_address(const void *pointer) {
    return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}

// Four (two) 8 x 8 matrices of 16-bit numbers from shared memory: lane i gives the address of row i % 8 of matrix
// i / 8, a multiple of 16 bytes, and gets of each matrix the elements (lane / 4, 2 * (lane % 4)) and the one after;
// of its transpose with _trans. x2 uses the addresses of lanes 0 to 15.
#define MINIGRAD_LDMATRIX(name, form)                                                                                \
    __device__ __forceinline__ void name##_x4##form(unsigned (&r)[4], const void *row) {                             \
        asm volatile("ldmatrix.sync.aligned.m8n8.x4" MINIGRAD_TRANS##form ".shared.b16 {%0,%1,%2,%3}, [%4];"         \
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])                                                \
                     : "r"(shared_address(row))                                                                      \
                     : "memory");                                                                                    \
    }                                                                                                                \
    __device__ __forceinline__ void name##_x2##form(unsigned (&r)[2], const void *row) {                             \
        asm volatile("ldmatrix.sync.aligned.m8n8.x2" MINIGRAD_TRANS##form ".shared.b16 {%0,%1}, [%2];"               \
                     : "=r"(r[0]), "=r"(r[1])                                                                        \
                     : "r"(shared_address(row))                                                                      \
                     : "memory");                                                                                    \
    }
#define MINIGRAD_TRANS ""
#define MINIGRAD_TRANS_trans ".trans"
MINIGRAD_LDMATRIX(ldmatrix, )
MINIGRAD_LDMATRIX(ldmatrix, _trans)

// Start to copy 16 bytes from global to shared memory, past the registers; where `valid` is false nothing is read
// and zeros are written. Both addresses are multiples of 16.
__device__ __forceinline__ void cp_async16(void *shared, const void *global, bool valid = true) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global),
                 "r"(valid ? 16 : 0)
                 : "memory");
}

// The copies started since the last commit become one group.
__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Wait until at most the `PENDING` newest groups of this thread are under way. Other threads see what was copied
// after a barrier that follows.
template <int PENDING>
__device__ __forceinline__ void cp_async_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

#endif
