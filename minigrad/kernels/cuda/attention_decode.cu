// Attention of few queries and many keys, as in generating text: one query and a long cache.
//
// A block for every query would leave most of the GPU idle, so the keys are split and every part has a warp of its own
// (Dao et al., "Flash-Decoding", 2023): attention_parts, then attention_join. Memory bounds it: keys and values are
// read once for each query, and the second kernel's share is small. A lane has the numbers lane, lane + 32, ... of a
// row; a product of two rows is a sum over the warp, and UNROLL of them are under way at once.
//
// NUMBER is float, bf16 or fp16; HEAD_DIM, a multiple of 32, is head_dim and value_dim or more.
//
// compile: HEAD_DIM=128 NUMBER=float
// compile: HEAD_DIM=128 NUMBER=bf16
// compile: HEAD_DIM=128 NUMBER=fp16
// compile: HEAD_DIM=64 NUMBER=bf16

#include "attention.cuh"

#ifndef HEAD_DIM
#define HEAD_DIM 32
#endif
#ifndef NUMBER
#define NUMBER float
#endif

constexpr int EACH = HEAD_DIM / 32, UNROLL = 4;

__device__ __forceinline__ void load_row(float (&row)[EACH], const NUMBER *from, int dim) {
#pragma unroll
    for (int m = 0; m < EACH; m++) {
        int d = threadIdx.x % 32 + 32 * m;
        row[m] = d < dim ? to_float(from[d]) : 0;
    }
}

// One warp per row of lse and one part of its keys. `parts` (rows, count, HEAD_DIM + 2): the values weighted by
// e^(score - maximum), the maximum, the sum. The grid is (rows, blocks of warps).
extern "C" __global__ void attention_parts(Problem p, const NUMBER *q, const NUMBER *k, const NUMBER *v,
                                           const unsigned char *allowed, const float *bias,
                                           const unsigned long long *seed, float *parts, int count) {
    int lane = threadIdx.x % 32, part = (blockIdx.y * blockDim.x + threadIdx.x) / 32;
    if (part >= count) return;  // the whole warp
    int row = blockIdx.x, i = row % p.query_time;
    Head head(p, row / p.query_time);
    Mask mask(p, head, allowed, bias, seed);
    int each = (p.key_time + count - 1) / count, start = part * each, end = min(start + each, p.key_time);

    float query[EACH], sums[EACH] = {}, maximum = -INFINITY, sum = 0;
    load_row(query, at(q, p.q, head.batch, head.head, i), p.head_dim);
    for (; start < end; start += UNROLL) {
        float scores[UNROLL], largest = maximum;
#pragma unroll
        for (int u = 0; u < UNROLL; u++) {
            float key[EACH], product = 0;
            int j = min(start + u, p.key_time - 1);  // past the end: a row that exists
            load_row(key, at(k, p.k, head.batch, head.kv_head, j), p.head_dim);
#pragma unroll
            for (int m = 0; m < EACH; m++) product += query[m] * key[m];
            scores[u] = product;
        }
#pragma unroll
        for (int u = 0; u < UNROLL; u++) {
            float product = warp_reduce<Sum>(scores[u]);
            scores[u] = start + u < end ? mask.score(product, i, start + u) : -INFINITY;
            largest = fmaxf(largest, scores[u]);
        }
        float offset = largest == -INFINITY ? 0 : largest, factor = expf(maximum - offset);
        maximum = largest;
        sum *= factor;
#pragma unroll
        for (int m = 0; m < EACH; m++) sums[m] *= factor;
#pragma unroll
        for (int u = 0; u < UNROLL; u++) {
            int j = min(start + u, p.key_time - 1);
            float value[EACH], e = start + u < end ? expf(scores[u] - offset) : 0;
            load_row(value, at(v, p.v, head.batch, head.kv_head, j), p.value_dim);
            sum += e;
            e = mask.dropped(e, i, start + u);
#pragma unroll
            for (int m = 0; m < EACH; m++)
                if (start + u < end) sums[m] += e * value[m];
        }
    }
    parts += (static_cast<long long>(row) * count + part) * (HEAD_DIM + 2);
#pragma unroll
    for (int m = 0; m < EACH; m++) parts[lane + 32 * m] = sums[m];
    if (lane == 0) parts[HEAD_DIM] = maximum, parts[HEAD_DIM + 1] = sum;
}

// The parts of a row become its result. One warp per row.
extern "C" __global__ void attention_join(Problem p, const float *parts, NUMBER *out, float *lse, int rows, int count) {
    int lane = threadIdx.x % 32, row = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    if (row >= rows) return;  // the whole warp
    parts += static_cast<long long>(row) * count * (HEAD_DIM + 2);
    float maximum = -INFINITY, sum = 0, sums[EACH] = {};
    for (int c = lane; c < count; c += 32) maximum = fmaxf(maximum, parts[c * (HEAD_DIM + 2) + HEAD_DIM]);
    maximum = warp_reduce<Max>(maximum);
    float offset = maximum == -INFINITY ? 0 : maximum;
    for (int c = 0; c < count; c++, parts += HEAD_DIM + 2) {
        float factor = expf(parts[HEAD_DIM] - offset);
        sum += factor * parts[HEAD_DIM + 1];
#pragma unroll
        for (int m = 0; m < EACH; m++) sums[m] += factor * parts[lane + 32 * m];
    }
    Head head(p, row / p.query_time);
    out = at(out, p.out, head.batch, head.head, row % p.query_time);
#pragma unroll
    for (int m = 0; m < EACH; m++) {
        int d = lane + 32 * m;
        if (d < p.value_dim) out[d] = from_float<NUMBER>(sum == 0 ? 0 : sums[m] / sum);
    }
    if (lane == 0) lse[row] = maximum + logf(sum);
}
