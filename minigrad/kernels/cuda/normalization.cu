// layer_norm over the rows of x (rows, n), and with RMS = 1 rms_norm, in three steps:
//
//   1 norm_block        one block per row, x is read three times: the mean, the variance about it, the result
//   2 norm_warp         one warp per row: no shared memory, no barrier
//   3 norm_vectorised   16 bytes per access, and the row stays in registers: x is read once
//
// Memory bounds them: step 3 moves 8 bytes per number. The variance is taken about the mean in a second pass over the
// registers, because the mean of squares less the square of the mean loses everything once the mean is large.
//
// Backward, with h = (x - mean) rstd and g = grad weight:  dx = rstd (g - mean(g) - h mean(g h)), and the sums over
// the rows dweight = sum(grad h), dbias = sum(grad), in two stages, each in a fixed order:
//
//   norm_backward_vectorised  dx and the column sums of a block's rows in one pass, 12 bytes per number
//   norm_backward_warp, norm_columns   the same for other n, in two passes
//   add_parts                 the blocks' column sums become one
//
// compile: RMS=0 VECTORS=8
// compile: RMS=1 VECTORS=8

#include "common.cuh"

#ifndef RMS
#define RMS 0
#endif
#ifndef VECTORS
#define VECTORS 1  // float4 a lane in the vectorised kernels: n is at most 128 * VECTORS
#endif

__device__ __forceinline__ float reciprocal_std(float squares, int n, float eps) {
    return 1 / sqrtf(squares / n + eps);
}

__device__ __forceinline__ float result(float x, float mean, float rstd, const float *weight, const float *bias,
                                        int j) {
    float y = (x - mean) * rstd;
    if (weight) y *= weight[j];
    return bias ? y + bias[j] : y;
}

// --- 1: one block per row ----------------------------------------------------------------------------------------

extern "C" __global__ void norm_block(const float *x, const float *weight, const float *bias, float *y, float *mean,
                                      float *rstd, int n, float eps) {
    __shared__ float shared[32];
    x += static_cast<long long>(blockIdx.x) * n;
    y += static_cast<long long>(blockIdx.x) * n;
    float sum = 0, squares = 0;
    if (!RMS)
        for (int j = threadIdx.x; j < n; j += blockDim.x) sum += x[j];
    float mu = RMS ? 0 : block_reduce<Sum>(sum, shared) / n;
    for (int j = threadIdx.x; j < n; j += blockDim.x) squares += (x[j] - mu) * (x[j] - mu);
    float r = reciprocal_std(block_reduce<Sum>(squares, shared), n, eps);
    for (int j = threadIdx.x; j < n; j += blockDim.x) y[j] = result(x[j], mu, r, weight, bias, j);
    if (threadIdx.x) return;
    if (!RMS) mean[blockIdx.x] = mu;
    rstd[blockIdx.x] = r;
}

// --- 2: one warp per row -----------------------------------------------------------------------------------------

extern "C" __global__ void norm_warp(const float *x, const float *weight, const float *bias, float *y, float *mean,
                                     float *rstd, int rows, int n, float eps) {
    int lane = threadIdx.x % 32, i = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    if (i >= rows) return;  // the whole warp
    x += static_cast<long long>(i) * n;
    y += static_cast<long long>(i) * n;
    float sum = 0, squares = 0;
    if (!RMS)
        for (int j = lane; j < n; j += 32) sum += x[j];
    float mu = RMS ? 0 : warp_reduce<Sum>(sum) / n;
    for (int j = lane; j < n; j += 32) squares += (x[j] - mu) * (x[j] - mu);
    float r = reciprocal_std(warp_reduce<Sum>(squares), n, eps);
    for (int j = lane; j < n; j += 32) y[j] = result(x[j], mu, r, weight, bias, j);
    if (lane) return;
    if (!RMS) mean[i] = mu;
    rstd[i] = r;
}

// --- 3: float4, and the row in registers -------------------------------------------------------------------------

__device__ __forceinline__ float4 operator-(float4 a, float b) {
    return make_float4(a.x - b, a.y - b, a.z - b, a.w - b);
}
__device__ __forceinline__ float4 operator*(float4 a, float b) {
    return make_float4(a.x * b, a.y * b, a.z * b, a.w * b);
}
__device__ __forceinline__ float4 operator*(float4 a, float4 b) {
    return make_float4(a.x * b.x, a.y * b.y, a.z * b.z, a.w * b.w);
}
__device__ __forceinline__ float4 operator+(float4 a, float4 b) {
    return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}
__device__ __forceinline__ float total(float4 a) { return (a.x + a.y) + (a.z + a.w); }

extern "C" __global__ void norm_vectorised(const float *x, const float *weight, const float *bias, float *y,
                                           float *mean, float *rstd, int rows, int n, float eps) {
    int lane = threadIdx.x % 32, i = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    if (i >= rows) return;
    x += static_cast<long long>(i) * n;
    y += static_cast<long long>(i) * n;

    float4 v[VECTORS];
    float sum = 0, squares = 0;
#pragma unroll
    for (int k = 0; k < VECTORS; k++) {
        int j = 4 * (32 * k + lane);
        v[k] = j < n ? load4(x + j) : make_float4(0, 0, 0, 0);
        sum += total(v[k]);
    }
    float mu = RMS ? 0 : warp_reduce<Sum>(sum) / n;
#pragma unroll
    for (int k = 0; k < VECTORS; k++) {
        if (4 * (32 * k + lane) < n) {
            v[k] = v[k] - mu;
            squares += total(v[k] * v[k]);
        }
    }
    float r = reciprocal_std(warp_reduce<Sum>(squares), n, eps);
#pragma unroll
    for (int k = 0; k < VECTORS; k++) {
        int j = 4 * (32 * k + lane);
        if (j >= n) continue;
        float4 h = v[k] * r;
        if (weight) h = h * load4(weight + j);
        if (bias) h = h + load4(bias + j);
        store4(y + j, h);
    }
    if (lane) return;
    if (!RMS) mean[i] = mu;
    rstd[i] = r;
}

// --- backward ----------------------------------------------------------------------------------------------------

// `parts` is (blocks, 2, n), null without a weight: the sums over a block's rows of grad h and of grad. Dynamic
// shared memory holds one row of it. A warp takes the rows i, i + the number of warps, ... of the grid.
extern "C" __global__ void norm_backward_vectorised(const float *grad, const float *x, const float *weight,
                                                    const float *mean, const float *rstd, float *dx, float *parts,
                                                    int rows, int n) {
    extern __shared__ float sums[];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    float4 dweight[VECTORS], dbias[VECTORS];
#pragma unroll
    for (int k = 0; k < VECTORS; k++) dweight[k] = dbias[k] = make_float4(0, 0, 0, 0);

    for (int i = blockIdx.x * warps + warp; i < rows; i += gridDim.x * warps) {
        long long start = static_cast<long long>(i) * n;
        float mu = RMS ? 0 : mean[i], r = rstd[i], sum_g = 0, sum_gh = 0;
        float4 g[VECTORS], h[VECTORS];
#pragma unroll
        for (int k = 0; k < VECTORS; k++) {
            int j = 4 * (32 * k + lane);
            g[k] = h[k] = make_float4(0, 0, 0, 0);
            if (j >= n) continue;
            g[k] = load4(grad + start + j);
            h[k] = (load4(x + start + j) - mu) * r;
            if (weight) {
                dweight[k] = dweight[k] + g[k] * h[k];
                dbias[k] = dbias[k] + g[k];
                g[k] = g[k] * load4(weight + j);
            }
            sum_g += total(g[k]);
            sum_gh += total(g[k] * h[k]);
        }
        float mean_g = RMS ? 0 : warp_reduce<Sum>(sum_g) / n, mean_gh = warp_reduce<Sum>(sum_gh) / n;
#pragma unroll
        for (int k = 0; k < VECTORS; k++) {
            int j = 4 * (32 * k + lane);
            if (j < n) store4(dx + start + j, (g[k] - mean_g + h[k] * -mean_gh) * r);
        }
    }
    if (!parts) return;

    for (int w = 0; w < warps; w++) {  // one warp after the other, so that the order is always the same
        if (w == warp) {
#pragma unroll
            for (int k = 0; k < VECTORS; k++) {
                int j = 4 * (32 * k + lane);
                if (j >= n) continue;
                store4(sums + j, w ? load4(sums + j) + dweight[k] : dweight[k]);
                store4(sums + n + j, w ? load4(sums + n + j) + dbias[k] : dbias[k]);
            }
        }
        __syncthreads();
    }
    parts += static_cast<long long>(blockIdx.x) * 2 * n;
    for (int j = threadIdx.x; j < 2 * n; j += blockDim.x) parts[j] = sums[j];
}

// One warp per row of any length.
extern "C" __global__ void norm_backward_warp(const float *grad, const float *x, const float *weight,
                                              const float *mean, const float *rstd, float *dx, int rows, int n) {
    int lane = threadIdx.x % 32, i = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    if (i >= rows) return;
    long long start = static_cast<long long>(i) * n;
    grad += start, x += start, dx += start;
    float mu = RMS ? 0 : mean[i], r = rstd[i], sum_g = 0, sum_gh = 0;
    for (int j = lane; j < n; j += 32) {
        float g = weight ? grad[j] * weight[j] : grad[j];
        sum_g += g;
        sum_gh += g * ((x[j] - mu) * r);
    }
    float mean_g = RMS ? 0 : warp_reduce<Sum>(sum_g) / n, mean_gh = warp_reduce<Sum>(sum_gh) / n;
    for (int j = lane; j < n; j += 32) {
        float g = weight ? grad[j] * weight[j] : grad[j];
        dx[j] = r * (g - mean_g - (x[j] - mu) * r * mean_gh);
    }
}

// parts (blocks, 2, n) again: a block is 32 columns wide and 8 high, the grid is (columns / 32, blocks of rows).
extern "C" __global__ void norm_columns(const float *grad, const float *x, const float *mean, const float *rstd,
                                        float *parts, int rows, int n) {
    __shared__ float weights[8][32], biases[8][32];
    int j = 32 * blockIdx.x + threadIdx.x, each = (rows + gridDim.y - 1) / gridDim.y;
    int first = blockIdx.y * each, last = min(rows, first + each);
    float dweight = 0, dbias = 0;
    for (int i = first + threadIdx.y; j < n && i < last; i += 8) {
        long long at = static_cast<long long>(i) * n + j;
        dweight += grad[at] * ((x[at] - (RMS ? 0 : mean[i])) * rstd[i]);
        dbias += grad[at];
    }
    weights[threadIdx.y][threadIdx.x] = dweight;
    biases[threadIdx.y][threadIdx.x] = dbias;
    __syncthreads();
    if (threadIdx.y || j >= n) return;
    for (int y = 1; y < 8; y++) {
        dweight += weights[y][threadIdx.x];
        dbias += biases[y][threadIdx.x];
    }
    parts += static_cast<long long>(blockIdx.y) * 2 * n;
    parts[j] = dweight;
    parts[n + j] = dbias;
}

// sums (n,) = the sum of parts (count, n) over its rows; a block is 32 columns wide and 8 high.
extern "C" __global__ void add_parts(const float *parts, float *sums, int count, int n) {
    __shared__ float shared[8][32];
    int j = 32 * blockIdx.x + threadIdx.x;
    float sum = 0;
    for (int i = threadIdx.y; j < n && i < count; i += 8) sum += parts[static_cast<long long>(i) * n + j];
    shared[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y || j >= n) return;
    for (int y = 1; y < 8; y++) sum += shared[y][threadIdx.x];
    sums[j] = sum;
}
