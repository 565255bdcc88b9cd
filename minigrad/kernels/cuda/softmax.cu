// Softmax over the rows of a matrix x (rows, n), and its logarithm with LOG = 1, in four steps:
//
//   1 softmax_three_pass   one block per row: the maximum, the sum, the result; x is read three times
//   2 softmax_online       maximum and sum in one pass (Milakov and Gimelshein, "Online normalizer calculation for
//                          softmax", 2018); x is read twice
//   3 softmax_warp         one warp per row: no shared memory, no barrier
//   4 softmax_vectorised   16 bytes per access, and the row stays in registers: x is read once
//     softmax_wide         step 2 with 16 bytes per access, for rows too long for that
//
// Blocks are one-dimensional and made of whole warps. A row of nothing but -inf gives NaN.
//
// compile: LOG=0 VECTORS=8
// compile: LOG=1 VECTORS=8

#include "online.cuh"

#ifndef LOG
#define LOG 0
#endif
#ifndef VECTORS
#define VECTORS 1  // float4 a lane in softmax_vectorised: n is at most 128 * VECTORS
#endif

// A row's result from its maximum and `norm`, which is made from the sum of e^(x - maximum).
__device__ __forceinline__ float norm_of(float sum) { return LOG ? logf(sum) : 1 / sum; }

__device__ __forceinline__ float result(float x, float maximum, float norm) {
    return LOG ? (x - maximum) - norm : expf(x - maximum) * norm;
}

// --- 1: three passes ---------------------------------------------------------------------------------------------

extern "C" __global__ void softmax_three_pass(const float *x, float *y, int n) {
    __shared__ float shared[32];
    x += static_cast<long long>(blockIdx.x) * n;
    y += static_cast<long long>(blockIdx.x) * n;
    float maximum = -INFINITY;
    for (int i = threadIdx.x; i < n; i += blockDim.x) maximum = fmaxf(maximum, x[i]);
    maximum = block_reduce<Max>(maximum, shared);
    float sum = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) sum += expf(x[i] - maximum);
    float norm = norm_of(block_reduce<Sum>(sum, shared));
    for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = result(x[i], maximum, norm);
}

// --- 2: the running maximum and sum ------------------------------------------------------------------------------



extern "C" __global__ void softmax_online(const float *x, float *y, int n) {
    __shared__ Online shared[32];
    x += static_cast<long long>(blockIdx.x) * n;
    y += static_cast<long long>(blockIdx.x) * n;
    Online row = Online::nothing();
    for (int i = threadIdx.x; i < n; i += blockDim.x) row.add(x[i]);
    row = row.over_block(shared);
    float norm = norm_of(row.sum);
    for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = result(x[i], row.maximum, norm);
}

// --- 3: one warp per row -----------------------------------------------------------------------------------------

extern "C" __global__ void softmax_warp(const float *x, float *y, int rows, int n) {
    int lane = threadIdx.x % 32, i = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    if (i >= rows) return;  // the whole warp
    x += static_cast<long long>(i) * n;
    y += static_cast<long long>(i) * n;
    Online row = Online::nothing();
    for (int j = lane; j < n; j += 32) row.add(x[j]);
    row = row.over_warp();
    float norm = norm_of(row.sum);
    for (int j = lane; j < n; j += 32) y[j] = result(x[j], row.maximum, norm);
}

// --- 4: float4, and the row in registers -------------------------------------------------------------------------

extern "C" __global__ void softmax_vectorised(const float *x, float *y, int rows, int n) {
    int lane = threadIdx.x % 32, i = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    if (i >= rows) return;
    x += static_cast<long long>(i) * n;
    y += static_cast<long long>(i) * n;

    float4 v[VECTORS];
    float maximum = -INFINITY, sum = 0;
#pragma unroll
    for (int k = 0; k < VECTORS; k++) {
        int j = 4 * (32 * k + lane);
        v[k] = j < n ? load4(x + j) : make_float4(-INFINITY, -INFINITY, -INFINITY, -INFINITY);
        maximum = fmaxf(maximum, fmaxf(fmaxf(v[k].x, v[k].y), fmaxf(v[k].z, v[k].w)));
    }
    maximum = warp_reduce<Max>(maximum);
#pragma unroll
    for (int k = 0; k < VECTORS; k++) {
        float4 e = make_float4(expf(v[k].x - maximum), expf(v[k].y - maximum), expf(v[k].z - maximum),
                               expf(v[k].w - maximum));
        sum += (e.x + e.y) + (e.z + e.w);
        if (!LOG) v[k] = e;
    }
    float norm = norm_of(warp_reduce<Sum>(sum));
#pragma unroll
    for (int k = 0; k < VECTORS; k++) {
        int j = 4 * (32 * k + lane);
        float4 &a = v[k];
        if (LOG)
            a = make_float4(a.x - maximum - norm, a.y - maximum - norm, a.z - maximum - norm, a.w - maximum - norm);
        else
            a = make_float4(a.x * norm, a.y * norm, a.z * norm, a.w * norm);
        if (j < n) store4(y + j, a);
    }
}

extern "C" __global__ void softmax_wide(const float *x, float *y, int n) {
    __shared__ Online shared[32];
    x += static_cast<long long>(blockIdx.x) * n;
    y += static_cast<long long>(blockIdx.x) * n;
    Online row = Online::nothing();
    for (int i = 4 * threadIdx.x; i < n; i += 4 * blockDim.x) row.add(load4(x + i));
    row = row.over_block(shared);
    float norm = norm_of(row.sum);
    for (int i = 4 * threadIdx.x; i < n; i += 4 * blockDim.x) {
        float4 a = load4(x + i);
        store4(y + i, make_float4(result(a.x, row.maximum, norm), result(a.y, row.maximum, norm),
                                  result(a.z, row.maximum, norm), result(a.w, row.maximum, norm)));
    }
}

// --- backward, from the output y: dx = y (g - sum(g y)), and with LOG  dx = g - e^y sum(g) -------------------------

__device__ __forceinline__ float term(float g, float y) { return LOG ? g : g * y; }

__device__ __forceinline__ float gradient(float g, float y, float sum) {
    return LOG ? g - expf(y) * sum : y * (g - sum);
}

__device__ __forceinline__ float4 gradient(float4 g, float4 y, float sum) {
    return make_float4(gradient(g.x, y.x, sum), gradient(g.y, y.y, sum), gradient(g.z, y.z, sum),
                       gradient(g.w, y.w, sum));
}

// One warp per row of any length.
extern "C" __global__ void softmax_backward_warp(const float *g, const float *y, float *dx, int rows, int n) {
    int lane = threadIdx.x % 32, i = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    if (i >= rows) return;
    long long start = static_cast<long long>(i) * n;
    g += start, y += start, dx += start;
    float sum = 0;
    for (int j = lane; j < n; j += 32) sum += term(g[j], y[j]);
    sum = warp_reduce<Sum>(sum);
    for (int j = lane; j < n; j += 32) dx[j] = gradient(g[j], y[j], sum);
}

// One block per row; n is a multiple of 4.
extern "C" __global__ void softmax_backward_vectorised(const float *g, const float *y, float *dx, int n) {
    __shared__ float shared[32];
    long long start = static_cast<long long>(blockIdx.x) * n;
    g += start, y += start, dx += start;
    float sum = 0;
    for (int j = 4 * threadIdx.x; j < n; j += 4 * blockDim.x) {
        float4 a = load4(g + j), b = load4(y + j);
        sum += (term(a.x, b.x) + term(a.y, b.y)) + (term(a.z, b.z) + term(a.w, b.w));
    }
    sum = block_reduce<Sum>(sum, shared);
    for (int j = 4 * threadIdx.x; j < n; j += 4 * blockDim.x)
        store4(dx + j, gradient(load4(g + j), load4(y + j), sum));
}
