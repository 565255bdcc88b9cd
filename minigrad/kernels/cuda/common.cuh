// What most kernels use: the 16-bit float types, reductions over a warp and a block, vector loads.
//
// bf16 and fp16 are stored as 16 bits and computed with as float. In Python an array of fp16 is float16, one of
// bf16 is uint16.

#pragma once

#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#endif

#ifndef NAN
#define NAN __int_as_float(0x7fffffff)
#endif

constexpr unsigned WHOLE_WARP = 0xffffffff;

// --- 16-bit floats -----------------------------------------------------------------------------------------------

struct bf16 {
    unsigned short bits;
};

struct fp16 {
    unsigned short bits;
};

__device__ __forceinline__ float to_float(float x) { return x; }

__device__ __forceinline__ float to_float(bf16 x) { return __uint_as_float(static_cast<unsigned>(x.bits) << 16); }

__device__ __forceinline__ float to_float(fp16 x) {
#ifdef MINIGRAD_EMULATOR
    return emulator::half_to_float(x.bits);
#else
    float result;
    asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(x.bits));
    return result;
#endif
}

// A float rounded to the nearest T, to the even one of two as near.
template <class T>
__device__ T from_float(float x);

template <>
__device__ __forceinline__ float from_float<float>(float x) {
    return x;
}

template <>
__device__ __forceinline__ bf16 from_float<bf16>(float x) {
    unsigned bits = __float_as_uint(x);
    if (x != x) return {0x7fff};
    return {static_cast<unsigned short>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

template <>
__device__ __forceinline__ fp16 from_float<fp16>(float x) {
#ifdef MINIGRAD_EMULATOR
    return {emulator::float_to_half(x)};
#else
    fp16 result;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(x));
    return result;
#endif
}

// Two T in one register as tensor cores take them, the first in the low half.
template <class T>
__device__ __forceinline__ unsigned pack(float low, float high) {
    return from_float<T>(low).bits | static_cast<unsigned>(from_float<T>(high).bits) << 16;
}

#if !defined(MINIGRAD_EMULATOR) && __CUDA_ARCH__ >= 800
template <>
__device__ __forceinline__ unsigned pack<bf16>(float low, float high) {
    unsigned result;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
    return result;
}
#endif

#ifndef MINIGRAD_EMULATOR
template <>
__device__ __forceinline__ unsigned pack<fp16>(float low, float high) {
    unsigned result;
    asm("{ .reg .b16 l, h; cvt.rn.f16.f32 l, %1; cvt.rn.f16.f32 h, %2; mov.b32 %0, {l, h}; }"
        : "=r"(result)
        : "f"(low), "f"(high));
    return result;
}
#endif

// --- vectors: 16 bytes in one instruction; the address must be a multiple of 16 ----------------------------------

__device__ __forceinline__ float4 load4(const float *address) { return *reinterpret_cast<const float4 *>(address); }

__device__ __forceinline__ void store4(float *address, float4 v) { *reinterpret_cast<float4 *>(address) = v; }

// --- reductions: every thread gets the result --------------------------------------------------------------------

struct Sum {
    __device__ static float identity() { return 0; }
    __device__ static float join(float a, float b) { return a + b; }
};

struct Max {
    __device__ static float identity() { return -INFINITY; }
    __device__ static float join(float a, float b) { return fmaxf(a, b); }
};

// Of the x of `WIDTH` neighbouring lanes, a power of two, joined by Operation::join. All lanes of the warp must come
// here: __shfl_xor_sync(WHOLE_WARP, x, distance) gives each the x of lane ^ distance.
template <class Operation, int WIDTH = 32>
__device__ __forceinline__ float warp_reduce(float x) {
#pragma unroll
    for (int distance = WIDTH / 2; distance > 0; distance /= 2)
        x = Operation::join(x, __shfl_xor_sync(WHOLE_WARP, x, distance));
    return x;
}

// Over a one-dimensional block of whole warps. All its threads must come here; `shared` has 32 places and may be
// used again at once.
template <class Operation>
__device__ __forceinline__ float block_reduce(float x, float *shared) {
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    x = warp_reduce<Operation>(x);
    if (warps == 1) return x;
    if (lane == 0) shared[warp] = x;
    __syncthreads();
    x = warp_reduce<Operation>(lane < warps ? shared[lane] : Operation::identity());
    __syncthreads();  // before the next use of `shared`
    return x;
}
