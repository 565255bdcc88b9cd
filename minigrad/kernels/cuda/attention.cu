// Scaled dot-product attention in float: out = softmax(q kᵀ scale + mask) v. Two steps of a ladder that
// attention_half.cu goes on with, and the gradients:
//
//   1 attention_naive      one block per query; its scores are in shared memory, every key is read for every query
//   2 attention_tiled      a block QUERIES queries, which pass over the keys KEYS at a time with a running maximum and
//                          sum (Dao, "FlashAttention-2", 2023, algorithm 1): no matrix of scores, and a key is read
//                          once for QUERIES queries. The products are in registers, 4 x 4 of them per thread.
//
// Arithmetic bounds step 2: 4 query_time key_time head_dim operations per head, half of them if causal.
//
//   attention_delta, attention_dkdv, attention_dq   the gradients (algorithm 2): probabilities are found again from
//       lse; a block owns either keys or queries and passes over the others, so no sum needs an atomic addition, and
//       every run gives the same bits. The price: two of the seven products would be shared by a single pass.
//
// A grid is (batch * heads, blocks of queries or keys). HEAD_DIM, a multiple of 32, is head_dim and value_dim or more.
//
// compile: HEAD_DIM=32
// compile: HEAD_DIM=64
// compile: HEAD_DIM=96
// compile: HEAD_DIM=128

#include "attention.cuh"

#ifndef HEAD_DIM
#define HEAD_DIM 32
#endif

constexpr int THREADS = 128, QUERIES = 64, KEYS = 32;
constexpr int QUERIES_BACKWARD = HEAD_DIM > 96 ? 16 : 32;  // so that a block fits in 64 KB of shared memory
constexpr int PITCH = HEAD_DIM + 4, SCORES = KEYS + 4;     // of rows in shared memory: no two threads want one bank
constexpr int VECTORS = HEAD_DIM / 32;                     // float4 of a row a thread has

// --- 1: naive ----------------------------------------------------------------------------------------------------

// Dynamic shared memory: key_time numbers. One-dimensional grid: a block for every batch, head and query.
extern "C" __global__ void attention_naive(Problem p, const float *q, const float *k, const float *v,
                                           const unsigned char *allowed, const float *bias,
                                           const unsigned long long *seed, float *out, float *lse) {
    extern __shared__ float scores[];
    __shared__ float shared[32];
    Head head(p, blockIdx.x / p.query_time);
    Mask mask(p, head, allowed, bias, seed);
    int i = blockIdx.x % p.query_time;
    q = at(q, p.q, head.batch, head.head, i);
    float maximum = -INFINITY, sum = 0;
    for (int j = threadIdx.x; j < p.key_time; j += blockDim.x) {
        const float *key = at(k, p.k, head.batch, head.kv_head, j);
        float product = 0;
        for (int d = 0; d < p.head_dim; d++) product += q[d] * key[d];
        scores[j] = mask.score(product, i, j);
        maximum = fmaxf(maximum, scores[j]);
    }
    maximum = block_reduce<Max>(maximum, shared);
    float offset = maximum == -INFINITY ? 0 : maximum;
    for (int j = threadIdx.x; j < p.key_time; j += blockDim.x) {
        float e = expf(scores[j] - offset);
        sum += e;
        scores[j] = mask.dropped(e, i, j);
    }
    sum = block_reduce<Sum>(sum, shared);  // and a barrier: all scores are written
    for (int d = threadIdx.x; d < p.value_dim; d += blockDim.x) {
        float total = 0;
        for (int j = 0; j < p.key_time; j++) total += scores[j] * at(v, p.v, head.batch, head.kv_head, j)[d];
        at(out, p.out, head.batch, head.head, i)[d] = sum == 0 ? 0 : total / sum;
    }
    if (threadIdx.x == 0) lse[head.rows + i] = offset + logf(sum);
}

// --- tiles -------------------------------------------------------------------------------------------------------

// The row and first column of this thread in a tile: it has rows ty, ty + 16, ... and columns tx, tx + 8, ...
__device__ __forceinline__ int tx() { return threadIdx.x % 8; }
__device__ __forceinline__ int ty() { return threadIdx.x / 8; }

// ROWS rows of `from` to shared memory, with zeros after row `rows` and column `dim`.
template <int ROWS>
__device__ __forceinline__ void load_tile(float *tile, const float *from, long long stride, int rows, int dim) {
    for (int i = threadIdx.x; i < ROWS * HEAD_DIM; i += THREADS) {
        int row = i / HEAD_DIM, d = i % HEAD_DIM;
        tile[row * PITCH + d] = row < rows && d < dim ? from[row * stride + d] : 0;
    }
}

// result[r][c] += the product of row ty + 16 r of a and row tx + 8 c of b.
template <int ROWS>
__device__ __forceinline__ void multiply(float (&result)[ROWS][4], const float *a, const float *b) {
#pragma unroll 4
    for (int d = 0; d < HEAD_DIM; d += 4) {
        float4 x[ROWS], y[4];
#pragma unroll
        for (int r = 0; r < ROWS; r++) x[r] = load4(a + (ty() + 16 * r) * PITCH + d);
#pragma unroll
        for (int c = 0; c < 4; c++) y[c] = load4(b + (tx() + 8 * c) * PITCH + d);
#pragma unroll
        for (int r = 0; r < ROWS; r++)
#pragma unroll
            for (int c = 0; c < 4; c++)
                result[r][c] += x[r].x * y[c].x + x[r].y * y[c].y + x[r].z * y[c].z + x[r].w * y[c].w;
    }
}

__device__ __forceinline__ void add(float4 &sum, float factor, float4 v) {
    sum = make_float4(sum.x + factor * v.x, sum.y + factor * v.y, sum.z + factor * v.z, sum.w + factor * v.w);
}

// sums[m] += factor times the columns 4 (tx + 8 m) ... of a row.
__device__ __forceinline__ void add_row(float4 (&sums)[VECTORS], float factor, const float *row) {
#pragma unroll
    for (int m = 0; m < VECTORS; m++) add(sums[m], factor, load4(row + 4 * (tx() + 8 * m)));
}

__device__ __forceinline__ void store_row(float *row, const float4 (&sums)[VECTORS], float factor, int dim) {
#pragma unroll
    for (int m = 0; m < VECTORS; m++) {
        int d = 4 * (tx() + 8 * m);
        if (d < dim) row[d] = sums[m].x * factor;
        if (d + 1 < dim) row[d + 1] = sums[m].y * factor;
        if (d + 2 < dim) row[d + 2] = sums[m].z * factor;
        if (d + 3 < dim) row[d + 3] = sums[m].w * factor;
    }
}

// --- 2: tiled, with a running maximum and sum --------------------------------------------------------------------

// Dynamic shared memory: (QUERIES + KEYS) PITCH + QUERIES SCORES numbers.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
    attention_tiled(Problem p, const float *q, const float *k, const float *v, const unsigned char *allowed,
                    const float *bias, const unsigned long long *seed, float *out, float *lse) {
    extern __shared__ __align__(16) float shared[];
    float *queries = shared, *keys = queries + QUERIES * PITCH, *values = keys;  // one after the other in one place
    float *weights = keys + KEYS * PITCH;
    Head head(p, blockIdx.x);
    Mask mask(p, head, allowed, bias, seed);
    int first = (gridDim.y - 1 - blockIdx.y) * QUERIES;  // the causal blocks with the most keys start first
    load_tile<QUERIES>(queries, at(q, p.q, head.batch, head.head, first), p.q.time, p.query_time - first, p.head_dim);

    float maximum[4], sum[4];
    float4 result[4][VECTORS];
#pragma unroll
    for (int r = 0; r < 4; r++) {
        maximum[r] = -INFINITY, sum[r] = 0;
#pragma unroll
        for (int m = 0; m < VECTORS; m++) result[r][m] = make_float4(0, 0, 0, 0);
    }
    int end = mask.visible_keys(first + QUERIES);
    for (int start = 0; start < end; start += KEYS) {
        int rest = p.key_time - start;
        load_tile<KEYS>(keys, at(k, p.k, head.batch, head.kv_head, start), p.k.time, rest, p.head_dim);
        __syncthreads();
        float s[4][4] = {};
        multiply(s, queries, keys);
        __syncthreads();  // before the values take the keys' place
        load_tile<KEYS>(values, at(v, p.v, head.batch, head.kv_head, start), p.v.time, rest, p.value_dim);
#pragma unroll
        for (int r = 0; r < 4; r++) {
            int row = ty() + 16 * r;
            float largest = maximum[r], total = 0;
#pragma unroll
            for (int c = 0; c < 4; c++) {
                s[r][c] = mask.score(s[r][c], first + row, start + tx() + 8 * c);
                largest = fmaxf(largest, s[r][c]);
            }
            largest = warp_reduce<Max, 8>(largest);
            float offset = largest == -INFINITY ? 0 : largest, factor = expf(maximum[r] - offset);
#pragma unroll
            for (int c = 0; c < 4; c++) {
                int column = tx() + 8 * c;
                float e = expf(s[r][c] - offset);
                total += e;
                weights[row * SCORES + column] = mask.dropped(e, first + row, start + column);
            }
            maximum[r] = largest;
            sum[r] = sum[r] * factor + warp_reduce<Sum, 8>(total);
#pragma unroll
            for (int m = 0; m < VECTORS; m++)
                result[r][m] = make_float4(result[r][m].x * factor, result[r][m].y * factor, result[r][m].z * factor,
                                           result[r][m].w * factor);
        }
        __syncthreads();
#pragma unroll 4
        for (int j = 0; j < KEYS; j++) {
            float4 value[VECTORS];
#pragma unroll
            for (int m = 0; m < VECTORS; m++) value[m] = load4(values + j * PITCH + 4 * (tx() + 8 * m));
#pragma unroll
            for (int r = 0; r < 4; r++)
#pragma unroll
                for (int m = 0; m < VECTORS; m++)
                    add(result[r][m], weights[(ty() + 16 * r) * SCORES + j], value[m]);
        }
        __syncthreads();  // before the next keys come
    }
#pragma unroll
    for (int r = 0; r < 4; r++) {
        int i = first + ty() + 16 * r;
        if (i >= p.query_time) continue;
        float factor = sum[r] == 0 ? 0 : 1 / sum[r];
        store_row(at(out, p.out, head.batch, head.head, i), result[r], factor, p.value_dim);
        if (tx() == 0) lse[head.rows + i] = maximum[r] + logf(sum[r]);  // -inf + -inf if it saw nothing
    }
}

// --- gradients ---------------------------------------------------------------------------------------------------

// delta = rowsum(grad * out), which is rowsum(P * dP). One warp per row of value_dim numbers; the rows of all heads are
// numbered one after the other, query_time of them per head, and delta is contiguous.
extern "C" __global__ void attention_delta(Problem p, const float *grad, const float *out, float *delta, int rows) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;  // the whole warp
    Head head(p, row / p.query_time);
    int i = row % p.query_time;
    grad = at(grad, p.grad, head.batch, head.head, i);
    out = at(out, p.out, head.batch, head.head, i);
    float sum = 0;
    for (int d = lane; d < p.value_dim; d += 32) sum += grad[d] * out[d];
    sum = warp_reduce<Sum>(sum);
    if (lane == 0) delta[row] = sum;
}

constexpr int ROWS = QUERIES_BACKWARD / 16;

// Shared memory of the two kernels below.
struct Tiles {
    float *queries, *grads, *keys, *values;
    float *weights, *dscores;  // P after dropout and dS = P (dP - delta) scale, (QUERIES_BACKWARD, SCORES)

    __device__ __forceinline__ Tiles(float *shared)
        : queries(shared), grads(queries + QUERIES_BACKWARD * PITCH), keys(grads + QUERIES_BACKWARD * PITCH),
          values(keys + KEYS * PITCH), weights(values + KEYS * PITCH), dscores(weights + QUERIES_BACKWARD * SCORES) {}

    // From the four tiles of queries from `first` on and keys from `start` on.
    __device__ __forceinline__ void find_scores(const Problem &p, const Mask &mask, const float *lse,
                                                const float *delta, int first, int start) {
        float s[ROWS][4] = {}, dp[ROWS][4] = {};
        multiply(s, queries, keys);
        multiply(dp, grads, values);
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            int i = first + ty() + 16 * r;
            bool exists = i < p.query_time;
            float offset = exists ? exponent_offset(lse[mask.rows + i]) : INFINITY;
            float row_delta = exists ? delta[mask.rows + i] : 0;
#pragma unroll
            for (int c = 0; c < 4; c++) {
                int j = start + tx() + 8 * c, place = (ty() + 16 * r) * SCORES + tx() + 8 * c;
                float probability = expf(mask.score(s[r][c], i, j) - offset);
                weights[place] = mask.dropped(probability, i, j);
                dscores[place] = probability * (mask.dropped(dp[r][c], i, j) - row_delta) * p.scale;
            }
        }
    }
};

__device__ __forceinline__ void load_queries(Tiles &tiles, const Problem &p, const Head &head, const float *q,
                                             const float *grad, int first) {
    int rest = p.query_time - first;
    load_tile<QUERIES_BACKWARD>(tiles.queries, at(q, p.q, head.batch, head.head, first), p.q.time, rest, p.head_dim);
    load_tile<QUERIES_BACKWARD>(tiles.grads, at(grad, p.grad, head.batch, head.head, first), p.grad.time, rest,
                                p.value_dim);
}

__device__ __forceinline__ void load_keys(Tiles &tiles, const Problem &p, int batch, int kv_head, const float *k,
                                          const float *v, int start) {
    int rest = p.key_time - start;
    load_tile<KEYS>(tiles.keys, at(k, p.k, batch, kv_head, start), p.k.time, rest, p.head_dim);
    load_tile<KEYS>(tiles.values, at(v, p.v, batch, kv_head, start), p.v.time, rest, p.value_dim);
}

// dk = sum of dSᵀ q and dv = sum of Pᵀ grad, over the queries of all heads of the group. A block KEYS keys; the grid
// is (batch * kv heads, blocks of keys). Dynamic shared memory: 2 (QUERIES_BACKWARD + KEYS) PITCH + 2 QUERIES_BACKWARD
// SCORES numbers.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
    attention_dkdv(Problem p, const float *grad, const float *q, const float *k, const float *v, const float *lse,
                   const float *delta, const unsigned char *allowed, const float *bias,
                   const unsigned long long *seed, float *dk, float *dv) {
    extern __shared__ __align__(16) float shared[];
    Tiles tiles(shared);
    int kv_heads = p.heads / p.group, batch = blockIdx.x / kv_heads, kv_head = blockIdx.x % kv_heads;
    int start = blockIdx.y * KEYS, seen_from = max(0, start - p.causal_offset) / QUERIES_BACKWARD * QUERIES_BACKWARD;
    load_keys(tiles, p, batch, kv_head, k, v, start);
    float4 key_sums[2][VECTORS], value_sums[2][VECTORS];
#pragma unroll
    for (int r = 0; r < 2; r++)
#pragma unroll
        for (int m = 0; m < VECTORS; m++) key_sums[r][m] = value_sums[r][m] = make_float4(0, 0, 0, 0);

    for (int g = 0; g < p.group; g++) {
        Head head(p, batch * p.heads + kv_head * p.group + g);
        Mask mask(p, head, allowed, bias, seed);
        for (int first = seen_from; first < p.query_time; first += QUERIES_BACKWARD) {
            load_queries(tiles, p, head, q, grad, first);
            __syncthreads();
            tiles.find_scores(p, mask, lse, delta, first, start);
            __syncthreads();
#pragma unroll 2
            for (int i = 0; i < QUERIES_BACKWARD; i++) {
#pragma unroll
                for (int r = 0; r < 2; r++) {
                    int place = i * SCORES + ty() + 16 * r;
                    add_row(value_sums[r], tiles.weights[place], tiles.grads + i * PITCH);
                    add_row(key_sums[r], tiles.dscores[place], tiles.queries + i * PITCH);
                }
            }
            __syncthreads();  // before the next queries
        }
    }
#pragma unroll
    for (int r = 0; r < 2; r++) {
        int j = start + ty() + 16 * r;
        if (j >= p.key_time) continue;
        store_row(at(dk, p.dk, batch, kv_head, j), key_sums[r], 1, p.head_dim);
        store_row(at(dv, p.dv, batch, kv_head, j), value_sums[r], 1, p.value_dim);
    }
}

// dq = sum of dS k. A block QUERIES_BACKWARD queries; the same shared memory.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
    attention_dq(Problem p, const float *grad, const float *q, const float *k, const float *v, const float *lse,
                 const float *delta, const unsigned char *allowed, const float *bias,
                 const unsigned long long *seed, float *dq) {
    extern __shared__ __align__(16) float shared[];
    Tiles tiles(shared);
    Head head(p, blockIdx.x);
    Mask mask(p, head, allowed, bias, seed);
    int first = (gridDim.y - 1 - blockIdx.y) * QUERIES_BACKWARD;
    load_queries(tiles, p, head, q, grad, first);
    float4 sums[ROWS][VECTORS];
#pragma unroll
    for (int r = 0; r < ROWS; r++)
#pragma unroll
        for (int m = 0; m < VECTORS; m++) sums[r][m] = make_float4(0, 0, 0, 0);

    int end = mask.visible_keys(first + QUERIES_BACKWARD);
    for (int start = 0; start < end; start += KEYS) {
        load_keys(tiles, p, head.batch, head.kv_head, k, v, start);
        __syncthreads();
        tiles.find_scores(p, mask, lse, delta, first, start);
        __syncthreads();
#pragma unroll 2
        for (int j = 0; j < KEYS; j++)
#pragma unroll
            for (int r = 0; r < ROWS; r++)
                add_row(sums[r], tiles.dscores[(ty() + 16 * r) * SCORES + j], tiles.keys + j * PITCH);
        __syncthreads();  // before the next keys
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        int i = first + ty() + 16 * r;
        if (i < p.query_time) store_row(at(dq, p.dq, head.batch, head.head, i), sums[r], 1, p.head_dim);
    }
}
