// Attention in float16 or bfloat16 on tensor cores: the last steps of attention.cu's ladder, in its notation.
//
//   3 attention_mma   a warp 16 queries; scores by mma_m16n8k16, keys and values by cp.async while the others are
//                     worked on. A warp's scores lie in its registers as the next product's operand wants them, so the
//                     probabilities never go through shared memory (Dao, "FlashAttention-2", 2023, section 3.3)
//
//   attention_delta, attention_dkdv, attention_dq   the gradients, with either keys or queries in place: no atomics
//
// Tensor cores bound them: 4 query_time key_time head_dim operations per head forward and 14 backward, half if causal.
// NUMBER is bf16 or fp16; sums and the softmax are in float. HEAD_DIM is a multiple of 16 and no less than head_dim and
// value_dim, which are multiples of 8, as are all strides: rows are copied 16 bytes at a time.
//
// needs: sm_80
// compile: HEAD_DIM=32 NUMBER=bf16
// compile: HEAD_DIM=64 NUMBER=bf16
// compile: HEAD_DIM=80 NUMBER=bf16
// compile: HEAD_DIM=96 NUMBER=bf16
// compile: HEAD_DIM=128 NUMBER=bf16
// compile: HEAD_DIM=64 NUMBER=fp16
// compile: HEAD_DIM=128 NUMBER=fp16

#include "attention.cuh"
#include "tensor_core.cuh"

#ifndef HEAD_DIM
#define HEAD_DIM 32
#endif
#ifndef NUMBER
#define NUMBER bf16
#endif

constexpr int THREADS = 128, OWNED = 64;  // rows that stay with a block: queries or keys, 16 per warp
constexpr int KEYS = 64;                  // that pass by, forward
constexpr int PASSING = HEAD_DIM > 64 ? 32 : 64;  // rows that pass by, backward: fewer where rows are long
constexpr int PITCH = HEAD_DIM + 8;  // of rows in shared memory: the 8 rows of an ldmatrix lie in different banks
constexpr float LOG2E = 1.4426950408889634f, LN2 = 0.6931471805599453f;

// --- products of a warp: 16 rows, of which a lane has the numbers (g, 2t) (g, 2t+1) (g+8, 2t) (g+8, 2t+1) of every 8
// columns, with g = lane / 4 and t = lane % 4 ----------------------------------------------------------------------

__device__ __forceinline__ int lane() { return threadIdx.x % 32; }
__device__ __forceinline__ int warp() { return threadIdx.x / 32; }

// Row and column of number `e` of the 8 columns from 8 n on.
__device__ __forceinline__ int row_of(int e) { return lane() / 4 + e / 2 * 8; }
__device__ __forceinline__ int column_of(int n, int e) { return 8 * n + 2 * (lane() % 4) + e % 2; }

__device__ __forceinline__ void multiply_pair(float (&left)[4], float (&right)[4], const unsigned (&a)[4],
                                              const unsigned (&b)[4]) {
    unsigned first[2] = {b[0], b[1]}, second[2] = {b[2], b[3]};
    mma_m16n8k16<NUMBER>(left, a, first, left);
    mma_m16n8k16<NUMBER>(right, a, second, right);
}

// result = a bᵀ: 16 rows of a and N rows of b, in shared memory.
template <int N>
__device__ __forceinline__ void product(float (&result)[N / 8][4], const NUMBER *a, const NUMBER *b) {
#pragma unroll
    for (int n = 0; n < N / 8; n++) result[n][0] = result[n][1] = result[n][2] = result[n][3] = 0;
#pragma unroll
    for (int k = 0; k < HEAD_DIM; k += 16) {
        unsigned rows[4], columns[4];
        ldmatrix_x4(rows, a + lane() % 16 * PITCH + k + lane() / 16 * 8);
#pragma unroll
        for (int n = 0; n < N; n += 16) {
            ldmatrix_x4(columns, b + (n + lane() / 16 * 8 + lane() % 8) * PITCH + k + lane() / 8 % 2 * 8);
            multiply_pair(result[n / 8], result[n / 8 + 1], rows, columns);
        }
    }
}

// sum += a b: a is 16 rows of K numbers in registers, b K rows in shared memory.
template <int K>
__device__ __forceinline__ void add_product(float (&sum)[HEAD_DIM / 8][4], const float (&a)[K / 8][4],
                                            const NUMBER *b) {
#pragma unroll
    for (int k = 0; k < K; k += 16) {
        const float(&low)[4] = a[k / 8], (&high)[4] = a[k / 8 + 1];
        unsigned columns[4], rows[4] = {pack<NUMBER>(low[0], low[1]), pack<NUMBER>(low[2], low[3]),
                                        pack<NUMBER>(high[0], high[1]), pack<NUMBER>(high[2], high[3])};
#pragma unroll
        for (int n = 0; n < HEAD_DIM; n += 16) {
            ldmatrix_x4_trans(columns, b + (k + lane() % 16) * PITCH + n + lane() / 16 * 8);
            multiply_pair(sum[n / 8], sum[n / 8 + 1], rows, columns);
        }
    }
}

// Begin to copy ROWS rows to shared memory, with zeros after row `rows` and column `dim`.
template <int ROWS>
__device__ __forceinline__ void copy_tile(NUMBER *tile, const NUMBER *from, long long stride, int rows, int dim) {
    constexpr int PIECES = HEAD_DIM / 8;
    for (int i = threadIdx.x; i < ROWS * PIECES; i += THREADS) {
        int row = i / PIECES, d = i % PIECES * 8;
        bool exists = row < rows && d < dim;
        cp_async16(tile + row * PITCH + d, from + (exists ? row * stride + d : 0), exists);
    }
}

// The warp's 16 rows, times a factor for the rows g and g + 8, to rows of global memory.
__device__ __forceinline__ void store_rows(NUMBER *to, long long stride, const float (&sum)[HEAD_DIM / 8][4],
                                           float factor, float factor_8, int rows, int dim) {
#pragma unroll
    for (int n = 0; n < HEAD_DIM / 8; n++) {
        int d = column_of(n, 0);
        if (d >= dim) continue;
        if (row_of(0) < rows)
            *reinterpret_cast<unsigned *>(to + row_of(0) * stride + d) =
                pack<NUMBER>(sum[n][0] * factor, sum[n][1] * factor);
        if (row_of(2) < rows)
            *reinterpret_cast<unsigned *>(to + row_of(2) * stride + d) =
                pack<NUMBER>(sum[n][2] * factor_8, sum[n][3] * factor_8);
    }
}

// Whether the queries from `first` on and the `keys` keys from `start` on all see each other and nothing is added.
__device__ __forceinline__ bool all_visible(const Mask &mask, int first, int queries, int start, int keys) {
    return !mask.allowed && !mask.bias && start + keys <= mask.p.key_time && first + queries <= mask.p.query_time &&
           start + keys - 1 <= first + mask.p.causal_offset;
}

// --- 3: forward --------------------------------------------------------------------------------------------------

// Dynamic shared memory: (OWNED + 2 KEYS) PITCH numbers.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
    attention_mma(Problem p, const NUMBER *q, const NUMBER *k, const NUMBER *v, const unsigned char *allowed,
                  const float *bias, const unsigned long long *seed, NUMBER *out, float *lse) {
    extern __shared__ __align__(16) NUMBER shared[];
    NUMBER *queries = shared, *keys = queries + OWNED * PITCH, *values = keys + KEYS * PITCH;
    Head head(p, blockIdx.x);
    Mask mask(p, head, allowed, bias, seed);
    int block_first = (gridDim.y - 1 - blockIdx.y) * OWNED, first = block_first + 16 * warp();
    int end = mask.visible_keys(block_first + OWNED);
    auto copy_keys = [&](int start) {
        copy_tile<KEYS>(keys, at(k, p.k, head.batch, head.kv_head, start), p.k.time, end - start, p.head_dim);
        cp_async_commit();
    };
    auto copy_values = [&](int start) {
        copy_tile<KEYS>(values, at(v, p.v, head.batch, head.kv_head, start), p.v.time, end - start, p.value_dim);
        cp_async_commit();
    };
    copy_tile<OWNED>(queries, at(q, p.q, head.batch, head.head, block_first), p.q.time, p.query_time - block_first,
                     p.head_dim);
    copy_keys(0);
    copy_values(0);

    float maximum[2] = {-INFINITY, -INFINITY}, total[2] = {0, 0};  // of the rows g and g + 8, in powers of 2
    float result[HEAD_DIM / 8][4] = {};
    for (int start = 0; start < end; start += KEYS) {
        cp_async_wait<1>();
        __syncthreads();  // the keys are here
        float s[KEYS / 8][4];
        product<KEYS>(s, queries + 16 * warp() * PITCH, keys);
        __syncthreads();
        copy_keys(start + KEYS);

        float scale = p.scale * LOG2E, largest[2] = {maximum[0], maximum[1]};
        if (all_visible(mask, first, 16, start, KEYS)) {
#pragma unroll
            for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
                for (int e = 0; e < 4; e++) s[n][e] *= scale;
        } else {
#pragma unroll
            for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
                for (int e = 0; e < 4; e++)
                    s[n][e] = mask.score(s[n][e], first + row_of(e), start + column_of(n, e)) * LOG2E;
        }
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
            for (int e = 0; e < 4; e++) largest[e / 2] = fmaxf(largest[e / 2], s[n][e]);
#pragma unroll
        for (int r = 0; r < 2; r++) {
            largest[r] = warp_reduce<Max, 4>(largest[r]);
            float offset = largest[r] == -INFINITY ? 0 : largest[r], factor = exp2f(maximum[r] - offset), sum = 0;
            maximum[r] = largest[r];
#pragma unroll
            for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
                for (int e = 2 * r; e < 2 * r + 2; e++) {
                    s[n][e] = exp2f(s[n][e] - offset);
                    sum += s[n][e];
                }
            total[r] = total[r] * factor + warp_reduce<Sum, 4>(sum);
#pragma unroll
            for (int n = 0; n < HEAD_DIM / 8; n++) result[n][2 * r] *= factor, result[n][2 * r + 1] *= factor;
        }
        if (mask.dropout.threshold) {
#pragma unroll
            for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
                for (int e = 0; e < 4; e++)
                    s[n][e] = mask.dropped(s[n][e], first + row_of(e), start + column_of(n, e));
        }
        cp_async_wait<1>();
        __syncthreads();  // the values are here
        add_product<KEYS>(result, s, values);
        __syncthreads();
        copy_values(start + KEYS);
    }
    cp_async_wait<0>();

    float factor[2];
#pragma unroll
    for (int r = 0; r < 2; r++) {
        factor[r] = total[r] == 0 ? 0 : 1 / total[r];
        int i = first + row_of(2 * r);
        if (lane() % 4 == 0 && i < p.query_time) lse[head.rows + i] = (maximum[r] + log2f(total[r])) * LN2;
    }
    store_rows(at(out, p.out, head.batch, head.head, first), p.out.time, result, factor[0], factor[1],
               p.query_time - first, p.value_dim);
}

// --- gradients ---------------------------------------------------------------------------------------------------

// delta = rowsum(grad * out). One warp per row.
extern "C" __global__ void attention_delta(Problem p, const NUMBER *grad, const NUMBER *out, float *delta, int rows) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    if (row >= rows) return;  // the whole warp
    Head head(p, row / p.query_time);
    int i = row % p.query_time;
    grad = at(grad, p.grad, head.batch, head.head, i);
    out = at(out, p.out, head.batch, head.head, i);
    float sum = 0;
    for (int d = lane(); d < p.value_dim; d += 32) sum += to_float(grad[d]) * to_float(out[d]);
    sum = warp_reduce<Sum>(sum);
    if (lane() == 0) delta[row] = sum;
}

// From a score's product and dP: P after dropout, which takes the product's place, and dS = P (dP - delta) scale, which
// takes dP's. i and j are the query and the key.
__device__ __forceinline__ void find_gradient(float &score, float &dp, const Mask &mask, bool plain, int i, int j,
                                              float lse, float delta) {
    float s = plain ? score * mask.p.scale : mask.score(score, i, j);
    float probability = exp2f((s - lse) * LOG2E);
    score = mask.dropped(probability, i, j);
    dp = probability * (mask.dropped(dp, i, j) - delta) * mask.p.scale;
}

// dk and dv of OWNED keys, for which the queries of all heads of the group pass by. The products are transposed, keys
// by queries. The grid is (batch * kv heads, blocks of keys). Dynamic shared memory: (2 OWNED + 4 PASSING) PITCH numbers
// and 4 PASSING floats.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
    attention_dkdv(Problem p, const NUMBER *grad, const NUMBER *q, const NUMBER *k, const NUMBER *v, const float *lse,
                   const float *delta, const unsigned char *allowed, const float *bias,
                   const unsigned long long *seed, NUMBER *dk, NUMBER *dv) {
    extern __shared__ __align__(16) NUMBER shared[];
    NUMBER *keys = shared, *values = keys + OWNED * PITCH, *stages = values + OWNED * PITCH;
    float *rows = reinterpret_cast<float *>(stages + 4 * PASSING * PITCH);  // lse and delta of a stage's queries
    int kv_heads = p.heads / p.group, batch = blockIdx.x / kv_heads, kv_head = blockIdx.x % kv_heads;
    int block_start = blockIdx.y * OWNED, start = block_start + 16 * warp(), rest = p.key_time - block_start;
    int seen_from = max(0, block_start - p.causal_offset) / PASSING * PASSING;
    int tiles = max(0, (p.query_time - seen_from + PASSING - 1) / PASSING), count = tiles * p.group;

    copy_tile<OWNED>(keys, at(k, p.k, batch, kv_head, block_start), p.k.time, rest, p.head_dim);
    copy_tile<OWNED>(values, at(v, p.v, batch, kv_head, block_start), p.v.time, rest, p.value_dim);
    auto copy_queries = [&](int n) {  // tile n to stage n % 2
        if (n < count) {
            Head head(p, batch * p.heads + kv_head * p.group + n / tiles);
            int first = seen_from + n % tiles * PASSING, queries = p.query_time - first;
            NUMBER *stage = stages + n % 2 * 2 * PASSING * PITCH;
            copy_tile<PASSING>(stage, at(q, p.q, batch, head.head, first), p.q.time, queries, p.head_dim);
            copy_tile<PASSING>(stage + PASSING * PITCH, at(grad, p.grad, batch, head.head, first), p.grad.time,
                               queries, p.value_dim);
            float *row = rows + n % 2 * 2 * PASSING;
            for (int i = threadIdx.x; i < PASSING; i += THREADS) {
                row[i] = i < queries ? exponent_offset(lse[head.rows + first + i]) : INFINITY;
                row[PASSING + i] = i < queries ? delta[head.rows + first + i] : 0;
            }
        }
        cp_async_commit();
    };
    copy_queries(0);

    float key_sums[HEAD_DIM / 8][4] = {}, value_sums[HEAD_DIM / 8][4] = {};
    for (int n = 0; n < count; n++) {
        copy_queries(n + 1);
        cp_async_wait<1>();
        __syncthreads();  // tile n is here
        const NUMBER *queries = stages + n % 2 * 2 * PASSING * PITCH, *grads = queries + PASSING * PITCH;
        const float *row = rows + n % 2 * 2 * PASSING;
        Mask mask(p, Head(p, batch * p.heads + kv_head * p.group + n / tiles), allowed, bias, seed);
        int first = seen_from + n % tiles * PASSING;
        float s[PASSING / 8][4], dp[PASSING / 8][4];
        product<PASSING>(s, keys + 16 * warp() * PITCH, queries);
        product<PASSING>(dp, values + 16 * warp() * PITCH, grads);
        bool plain = all_visible(mask, first, PASSING, start, 16);
#pragma unroll
        for (int c = 0; c < PASSING / 8; c++)
#pragma unroll
            for (int e = 0; e < 4; e++) {
                int i = column_of(c, e);
                find_gradient(s[c][e], dp[c][e], mask, plain, first + i, start + row_of(e), row[i], row[PASSING + i]);
            }
        add_product<PASSING>(value_sums, s, grads);
        add_product<PASSING>(key_sums, dp, queries);
        __syncthreads();  // before the next tile takes its place
    }
    cp_async_wait<0>();
    store_rows(at(dk, p.dk, batch, kv_head, start), p.dk.time, key_sums, 1, 1, p.key_time - start, p.head_dim);
    store_rows(at(dv, p.dv, batch, kv_head, start), p.dv.time, value_sums, 1, 1, p.key_time - start, p.value_dim);
}

// dq of OWNED queries, for which the keys pass by. Dynamic shared memory: (2 OWNED + 4 PASSING) PITCH numbers.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
    attention_dq(Problem p, const NUMBER *grad, const NUMBER *q, const NUMBER *k, const NUMBER *v, const float *lse,
                 const float *delta, const unsigned char *allowed, const float *bias,
                 const unsigned long long *seed, NUMBER *dq) {
    extern __shared__ __align__(16) NUMBER shared[];
    NUMBER *queries = shared, *grads = queries + OWNED * PITCH, *stages = grads + OWNED * PITCH;
    Head head(p, blockIdx.x);
    Mask mask(p, head, allowed, bias, seed);
    int block_first = (gridDim.y - 1 - blockIdx.y) * OWNED, first = block_first + 16 * warp();
    int rest = p.query_time - block_first, end = mask.visible_keys(block_first + OWNED);
    copy_tile<OWNED>(queries, at(q, p.q, head.batch, head.head, block_first), p.q.time, rest, p.head_dim);
    copy_tile<OWNED>(grads, at(grad, p.grad, head.batch, head.head, block_first), p.grad.time, rest, p.value_dim);
    auto copy_keys = [&](int start) {
        NUMBER *stage = stages + start / PASSING % 2 * 2 * PASSING * PITCH;
        copy_tile<PASSING>(stage, at(k, p.k, head.batch, head.kv_head, start), p.k.time, end - start, p.head_dim);
        copy_tile<PASSING>(stage + PASSING * PITCH, at(v, p.v, head.batch, head.kv_head, start), p.v.time,
                           end - start, p.value_dim);
        cp_async_commit();
    };
    copy_keys(0);

    float row_lse[2], row_delta[2];
#pragma unroll
    for (int r = 0; r < 2; r++) {
        int i = first + row_of(2 * r);
        row_lse[r] = i < p.query_time ? exponent_offset(lse[head.rows + i]) : INFINITY;
        row_delta[r] = i < p.query_time ? delta[head.rows + i] : 0;
    }
    float sums[HEAD_DIM / 8][4] = {};
    for (int start = 0; start < end; start += PASSING) {
        copy_keys(start + PASSING);
        cp_async_wait<1>();
        __syncthreads();
        const NUMBER *keys = stages + start / PASSING % 2 * 2 * PASSING * PITCH, *values = keys + PASSING * PITCH;
        float s[PASSING / 8][4], dp[PASSING / 8][4];
        product<PASSING>(s, queries + 16 * warp() * PITCH, keys);
        product<PASSING>(dp, grads + 16 * warp() * PITCH, values);
        bool plain = all_visible(mask, first, 16, start, PASSING);
#pragma unroll
        for (int c = 0; c < PASSING / 8; c++)
#pragma unroll
            for (int e = 0; e < 4; e++)
                find_gradient(s[c][e], dp[c][e], mask, plain, first + row_of(e), start + column_of(c, e),
                              row_lse[e / 2], row_delta[e / 2]);
        add_product<PASSING>(sums, dp, keys);
        __syncthreads();
    }
    cp_async_wait<0>();
    store_rows(at(dq, p.dq, head.batch, head.head, first), p.dq.time, sums, 1, 1, p.query_time - first, p.head_dim);
}
