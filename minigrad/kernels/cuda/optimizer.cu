// What an optimiser does to all its parameters, one launch for all of them.
//
// A model's parameters are many arrays and mostly small, so one launch per array would be mostly launches. Here the
// addresses of all arrays are one argument, a Table, which the GPU receives with the launch itself: nothing is copied
// to it first. Each block takes a chunk of CHUNK numbers of one array. Memory bounds all of these: AdamW moves 28
// bytes per parameter, SGD 12 or, with momentum, 20, the norm reads 4 and scaling moves 8.
//
// compile: ARRAYS=80
// compile: ARRAYS=512

#include "common.cuh"

#ifndef ARRAYS
#define ARRAYS 80  // with these a Table fits the 4 KB of arguments that every driver takes; 512 need CUDA 12.1
#endif
constexpr int LISTS = 4, CHUNK = 8192;
constexpr int GRADIENTS = 1;  // the list that is read only

// LISTS lists of arrays: array i of each has sizes[i] numbers and is the work of the blocks from first[i] on.
struct Table {
    float *arrays[LISTS][ARRAYS];
    long long sizes[ARRAYS];
    int first[ARRAYS];
    int count;
};

// This block's part of an array.
struct Chunk {
    int array, size;
    long long start;
};

__device__ __forceinline__ Chunk chunk_of(const Table &table) {
    int low = 0, high = table.count - 1;  // the last array whose first block is not after this one
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (table.first[middle] <= static_cast<int>(blockIdx.x))
            low = middle;
        else
            high = middle - 1;
    }
    long long start = static_cast<long long>(blockIdx.x - table.first[low]) * CHUNK, rest = table.sizes[low] - start;
    return {low, static_cast<int>(rest < CHUNK ? rest : CHUNK), start};
}

// `update` for every number of the block's chunk, given by reference a number of each of the first USED lists. Four at
// a time where the addresses allow.
template <int USED, class Update>
__device__ __forceinline__ void for_each(const Table &table, Update update) {
    Chunk chunk = chunk_of(table);
    float *arrays[LISTS] = {};
    bool aligned = true;
#pragma unroll
    for (int l = 0; l < USED; l++) {
        arrays[l] = table.arrays[l][chunk.array] + chunk.start;
        aligned = aligned && reinterpret_cast<unsigned long long>(arrays[l]) % 16 == 0;
    }
    int vectors = aligned ? chunk.size / 4 : 0;
    for (int i = threadIdx.x; i < vectors; i += blockDim.x) {
        float4 v[LISTS] = {};
#pragma unroll
        for (int l = 0; l < USED; l++) v[l] = load4(arrays[l] + 4 * i);
        update(v[0].x, v[1].x, v[2].x, v[3].x);
        update(v[0].y, v[1].y, v[2].y, v[3].y);
        update(v[0].z, v[1].z, v[2].z, v[3].z);
        update(v[0].w, v[1].w, v[2].w, v[3].w);
#pragma unroll
        for (int l = 0; l < USED; l++)
            if (l != GRADIENTS) store4(arrays[l] + 4 * i, v[l]);
    }
    for (int i = 4 * vectors + threadIdx.x; i < chunk.size; i += blockDim.x) {
        float v[LISTS] = {};
#pragma unroll
        for (int l = 0; l < USED; l++) v[l] = arrays[l][i];
        update(v[0], v[1], v[2], v[3]);
#pragma unroll
        for (int l = 0; l < USED; l++)
            if (l != GRADIENTS) arrays[l][i] = v[l];
    }
}

// The three numbers of AdamW that change from step to step, from a learning rate and a step in memory: a CUDA graph
// repeats the numbers it was recorded with, but reads what its arrays hold. One thread.
extern "C" __global__ void adamw_numbers(const double *lr, const double *step, double beta1, double beta2,
                                         double decoupled_decay, float *numbers) {
    numbers[0] = static_cast<float>(*lr / (1 - pow(beta1, *step)));
    numbers[1] = static_cast<float>(1 / sqrt(1 - pow(beta2, *step)));
    numbers[2] = static_cast<float>(1 - *lr * decoupled_decay);
}

// Lists: parameters, gradients, exp_avgs, exp_avg_sqs. step_size is lr / (1 - beta1^step), `correction`
// 1 / sqrt(1 - beta2^step), `shrink` the factor of decoupled weight decay; `numbers`, if not null, has these three.
// `l2` is the other kind of weight decay.
extern "C" __global__ void adamw(Table table, float step_size, float correction, float shrink, const float *numbers,
                                 float rest1, float beta2, float rest2, float eps, float l2) {
    if (numbers) step_size = numbers[0], correction = numbers[1], shrink = numbers[2];
    for_each<4>(table, [=](float &param, float grad, float &m, float &v) {
        if (l2 != 0) grad += l2 * param;  // 0 times an infinite parameter would be NaN
        m += rest1 * (grad - m);
        v = beta2 * v + rest2 * grad * grad;
        param = param * shrink - step_size * m / (sqrtf(v) * correction + eps);
    });
}

// Lists: parameters, gradients.
extern "C" __global__ void sgd(Table table, float lr, float weight_decay) {
    for_each<2>(table, [=](float &param, float grad, float, float) {
        param -= lr * (weight_decay != 0 ? grad + weight_decay * param : grad);
    });
}

// Lists: parameters, gradients, buffers.
extern "C" __global__ void sgd_momentum(Table table, float lr, float momentum, float damped, bool nesterov,
                                        float weight_decay, bool first) {
    for_each<3>(table, [=](float &param, float grad, float &buffer, float) {
        if (weight_decay != 0) grad += weight_decay * param;
        buffer = first ? grad : momentum * buffer + damped * grad;
        param -= lr * (nesterov ? grad + momentum * buffer : buffer);
    });
}

// Times `factor`, or times *factor_on_device if that is not null.
extern "C" __global__ void scale(Table table, float factor, const float *factor_on_device) {
    if (factor_on_device) factor = *factor_on_device;
    for_each<1>(table, [=](float &x, float, float, float) { x *= factor; });
}

// --- the norm: each block's sum of squares, and the root of their sum ---------------------------------------------

// The same for double, whose squares of float are exact and whose sums neither overflow nor lose a digit that shows.
__device__ __forceinline__ double block_sum(double x, double *shared) {
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) x += __shfl_xor_sync(WHOLE_WARP, x, distance);
    if (lane == 0) shared[warp] = x;
    __syncthreads();
    x = 0;
    for (int i = 0; i < warps; i++) x += shared[i];
    return x;
}

extern "C" __global__ void sum_of_squares(Table table, double *parts) {
    __shared__ double shared[32];
    Chunk chunk = chunk_of(table);
    const float *x = table.arrays[0][chunk.array] + chunk.start;
    double sum = 0;
#pragma unroll 4
    for (int i = threadIdx.x; i < chunk.size; i += blockDim.x) sum += static_cast<double>(x[i]) * x[i];
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

// One block.
extern "C" __global__ void root_of_sum(const double *parts, double *norm, int count) {
    __shared__ double shared[32];
    double sum = 0;
    for (int i = threadIdx.x; i < count; i += blockDim.x) sum += parts[i];
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0) *norm = sqrt(sum);
}
