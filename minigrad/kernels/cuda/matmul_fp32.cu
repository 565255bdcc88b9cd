// The matrix product in float32, steps 6 and 7 of the ladder that starts in matmul.cu: what is left to do once a thread
// computes 8 x 8 elements.
//
//   6 matmul_vectorised   16 bytes per load, global and shared
//   7 matmul_warp_tile    warps compute rectangles, free of bank conflicts, while the next tiles are on their way
//
// Which axis of an operand is contiguous is a constant:
//   A_TRANSPOSED=0   a's depth (row-major)        A_TRANSPOSED=1   a's lines
//   B_TRANSPOSED=0   b's lines (row-major)        B_TRANSPOSED=1   b's depth
//   ALIGNED=1        addresses, strides and the length of that axis are multiples of 4 numbers
//
// compile: A_TRANSPOSED=0 B_TRANSPOSED=0 ALIGNED=1
// compile: A_TRANSPOSED=0 B_TRANSPOSED=1 ALIGNED=1
// compile: A_TRANSPOSED=1 B_TRANSPOSED=0 ALIGNED=1
// compile: A_TRANSPOSED=1 B_TRANSPOSED=1 ALIGNED=1
// compile: A_TRANSPOSED=0 B_TRANSPOSED=0 ALIGNED=0
// compile: A_TRANSPOSED=0 B_TRANSPOSED=0 ALIGNED=1 BLOCK_ROWS=64 BLOCK_COLUMNS=64

#include "matmul.cuh"
#include "tensor_core.cuh"

#ifndef BLOCK_ROWS
#define BLOCK_ROWS 128
#define BLOCK_COLUMNS 128
#endif

#ifndef ASYNCHRONOUS
#define ASYNCHRONOUS (__CUDA_ARCH__ >= 800)  // Turing has no copies past the registers
#endif

// Four numbers along the contiguous axis, zeros outside.
template <bool ALONG_DEPTH>
__device__ __forceinline__ float4 load_four(const Lines<float> &x, int line, int q) {
    const float *from = ALONG_DEPTH ? x.x + line * x.stride + q : x.x + q * x.stride + line;
    int left = ALONG_DEPTH ? x.depth - q : x.lines - line;
    bool inside = ALONG_DEPTH ? line < x.lines : q < x.depth;
    float4 v = make_float4(0, 0, 0, 0);
    if (!inside) return v;
    if (ALIGNED) return left > 0 ? load4(from) : v;
    if (left > 0) v.x = from[0];
    if (left > 1) v.y = from[1];
    if (left > 2) v.z = from[2];
    if (left > 3) v.w = from[3];
    return v;
}

// A tile of DEPTH x LINES in shared memory, lines side by side so that a thread reads 4 of them at once, and the
// threads' part in filling it. 4 numbers of padding, because a row of 128 would start in the same bank as the last.
template <int LINES, int DEPTH, int THREADS, bool ALONG_DEPTH, bool BY_COPY>
struct Panel {
    static constexpr int PITCH = LINES + 4, VECTORS = LINES * DEPTH / 4 / THREADS;
    static_assert(LINES * DEPTH % (4 * THREADS) == 0, "the threads share the tile evenly");
    static constexpr bool COPIED = BY_COPY && ALIGNED && !ALONG_DEPTH;  // as it lies, without a register

    float4 kept[VECTORS];

    static __device__ __forceinline__ int line(int i) {
        int vector = threadIdx.x + i * THREADS;
        return ALONG_DEPTH ? vector / (DEPTH / 4) : vector % (LINES / 4) * 4;
    }
    static __device__ __forceinline__ int depth(int i) {
        int vector = threadIdx.x + i * THREADS;
        return ALONG_DEPTH ? vector % (DEPTH / 4) * 4 : vector / (LINES / 4);
    }

    // Ask for the tile from `from` on: into registers, or past them.
    __device__ __forceinline__ void start(float *tile, const Lines<float> &x, int from) {
#pragma unroll
        for (int i = 0; i < VECTORS; i++)
            if (COPIED) {
                int l = line(i), q = depth(i);
                bool inside = l < x.lines && from + q < x.depth;
                cp_async16(tile + q * PITCH + l, inside ? x.x + (from + q) * x.stride + l : x.x, inside);
            } else {
                kept[i] = load_four<ALONG_DEPTH>(x, line(i), from + depth(i));
            }
    }

    // What was kept in registers goes to its place; along the depth, it is transposed on the way.
    __device__ __forceinline__ void finish(float *tile) const {
        if (COPIED) return;
#pragma unroll
        for (int i = 0; i < VECTORS; i++) {
            float *to = tile + depth(i) * PITCH + line(i);
            if (ALONG_DEPTH)
                to[0] = kept[i].x, to[PITCH] = kept[i].y, to[2 * PITCH] = kept[i].z, to[3 * PITCH] = kept[i].w;
            else
                store4(to, kept[i]);
        }
    }
};

__device__ __forceinline__ void unpack(float (&to)[8], float4 a, float4 b) {
    to[0] = a.x, to[1] = a.y, to[2] = a.z, to[3] = a.w, to[4] = b.x, to[5] = b.y, to[6] = b.z, to[7] = b.w;
}

// The outer product of two vectors of 8, added to the sums.
__device__ __forceinline__ void multiply_add(float (&sums)[8][8], const float (&a)[8], const float (&b)[8]) {
#pragma unroll
    for (int i = 0; i < 8; i++)
#pragma unroll
        for (int j = 0; j < 8; j++) sums[i][j] += a[i] * b[j];
}

// Four neighbours of a row of c, as far as the row goes.
__device__ __forceinline__ void store_row(float *row, int column, int n, float4 v) {
    if (n % 4 == 0) {
        if (column < n) store4(row + column, v);
        return;
    }
    if (column < n) row[column] = v.x;
    if (column + 1 < n) row[column + 1] = v.y;
    if (column + 2 < n) row[column + 2] = v.z;
    if (column + 3 < n) row[column + 3] = v.w;
}

// --- 6: vectorised loads -----------------------------------------------------------------------------------------
// The tiles and the work are those of step 5. A thread loads 16 bytes at once from global memory, one load of a and one
// of b for each tile; a is transposed on the way into shared memory, so that there, too, a thread reads its 8 numbers
// with two loads of 16 bytes. Four times fewer instructions for the same bytes. What remains: a thread's 8 columns lie
// together, so a quarter of a warp reads every other 16 bytes, two threads in the same banks; and while tiles are
// loaded nobody computes.

extern "C" __global__ void __launch_bounds__(256, 2)
    matmul_vectorised(const float *a, const float *b, float *c, Product p) {
    constexpr int SIDE = 128, DEPTH = 8;
    using PanelA = Panel<SIDE, DEPTH, 256, !A_TRANSPOSED, false>;
    using PanelB = Panel<SIDE, DEPTH, 256, B_TRANSPOSED, false>;
    __shared__ alignas(16) float a_tile[DEPTH * PanelA::PITCH], b_tile[DEPTH * PanelB::PITCH];
    Tile tile = tile_of_block<SIDE, SIDE>(p);
    auto lines_a = rows_of_a<A_TRANSPOSED>(a, p, tile);
    auto lines_b = columns_of_b<B_TRANSPOSED>(b, p, tile);
    PanelA panel_a;
    PanelB panel_b;
    int x = threadIdx.x % (SIDE / 8) * 8, y = threadIdx.x / (SIDE / 8) * 8;
    float sums[8][8] = {};
    for (int from = 0; from < p.k; from += DEPTH) {
        panel_a.start(a_tile, lines_a, from), panel_b.start(b_tile, lines_b, from);
        panel_a.finish(a_tile), panel_b.finish(b_tile);
        __syncthreads();
#pragma unroll
        for (int q = 0; q < DEPTH; q++) {
            const float *of_a = a_tile + q * PanelA::PITCH + y, *of_b = b_tile + q * PanelB::PITCH + x;
            float eight_a[8], eight_b[8];
            unpack(eight_a, load4(of_a), load4(of_a + 4));
            unpack(eight_b, load4(of_b), load4(of_b + 4));
            multiply_add(sums, eight_a, eight_b);
        }
        __syncthreads();
    }
    c = result(c, p, tile.batch);
#pragma unroll
    for (int i = 0; i < 8; i++) {
        int row = tile.row + y + i, column = tile.column + x;
        if (row >= p.m) continue;
        float *to = c + static_cast<long long>(row) * p.n;
        store_row(to, column, p.n, make_float4(sums[i][0], sums[i][1], sums[i][2], sums[i][3]));
        store_row(to, column + 4, p.n, make_float4(sums[i][4], sums[i][5], sums[i][6], sums[i][7]));
    }
}

// --- 7: warp tiles, double buffering -----------------------------------------------------------------------------
// Each warp computes 32 x 64 elements. Its lanes stand 4 high and 8 wide, and a lane's 8 x 8 elements are four pieces
// of 4 x 4, 16 rows and 32 columns apart: what the lanes read of b at once is 128 neighbouring bytes, and of a 64.
// Lanes are numbered in pairs down (i and i + 1 read the same of b, i and i + 2 the same of a), which lets the hardware
// serve a whole load of 16 bytes per lane in two turns instead of four.
//
// There are two buffers. While one is multiplied the other is filled: past the registers by cp.async where an operand
// lies in global memory as it must in shared memory, otherwise by registers, which wait for their loads only when the
// multiplication is over. One barrier a tile is enough.
//
// With 8 steps along k a tile, global intensity 64, 64 multiply-adds for 4 loads from shared memory, and nothing ever
// waiting, the multiply-adds themselves are the limit; in the same time tensor cores do ten times as many, on numbers
// half as long: step 8. The epilogue adds a bias and applies an activation, on sums still in registers; `before` gets
// what the activation was applied to, unless it is null.

constexpr int WARP_ROWS = 32, WARP_COLUMNS = 64;
constexpr int WARP_TILE_THREADS = BLOCK_ROWS / WARP_ROWS * (BLOCK_COLUMNS / WARP_COLUMNS) * 32;
// Blocks on a multiprocessor at a time: 16 warps of 128 registers per lane, or where those are too few, 12 or 8 warps.
constexpr int BLOCKS = ALIGNED && WARP_TILE_THREADS >= 256 ? 512 / WARP_TILE_THREADS : 384 / WARP_TILE_THREADS;

extern "C" __global__ void __launch_bounds__(WARP_TILE_THREADS, BLOCKS)
    matmul_warp_tile(const float *a, const float *b, float *c, const float *bias, float *before, int activation,
                     Product p) {
    constexpr int DEPTH = 8;
    using PanelA = Panel<BLOCK_ROWS, DEPTH, WARP_TILE_THREADS, !A_TRANSPOSED, ASYNCHRONOUS>;
    using PanelB = Panel<BLOCK_COLUMNS, DEPTH, WARP_TILE_THREADS, B_TRANSPOSED, ASYNCHRONOUS>;
    __shared__ alignas(16) float a_tile[2][DEPTH * PanelA::PITCH], b_tile[2][DEPTH * PanelB::PITCH];
    Tile tile = tile_of_block<BLOCK_ROWS, BLOCK_COLUMNS>(p);
    auto lines_a = rows_of_a<A_TRANSPOSED>(a, p, tile);
    auto lines_b = columns_of_b<B_TRANSPOSED>(b, p, tile);
    PanelA panel_a;
    PanelB panel_b;
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    int y = warp / (BLOCK_COLUMNS / WARP_COLUMNS) * WARP_ROWS + (lane / 16 * 2 + lane % 2) * 4;
    int x = warp % (BLOCK_COLUMNS / WARP_COLUMNS) * WARP_COLUMNS + lane / 2 % 8 * 4;
    float sums[8][8] = {};

    int tiles = (p.k + DEPTH - 1) / DEPTH;
    for (int t = -1; t < tiles; t++) {  // round -1 only fills the first buffer
        float *next_a = a_tile[(t + 1) % 2], *next_b = b_tile[(t + 1) % 2];
        bool more = t + 1 < tiles;
        if (more) panel_a.start(next_a, lines_a, (t + 1) * DEPTH), panel_b.start(next_b, lines_b, (t + 1) * DEPTH);
        if (ASYNCHRONOUS) cp_async_commit();
        if (t >= 0) {
#pragma unroll
            for (int q = 0; q < DEPTH; q++) {
                const float *of_a = a_tile[t % 2] + q * PanelA::PITCH + y;
                const float *of_b = b_tile[t % 2] + q * PanelB::PITCH + x;
                float eight_a[8], eight_b[8];
                unpack(eight_a, load4(of_a), load4(of_a + 16));
                unpack(eight_b, load4(of_b), load4(of_b + 32));
                multiply_add(sums, eight_a, eight_b);
            }
        }
        if (more) panel_a.finish(next_a), panel_b.finish(next_b);
        if (ASYNCHRONOUS) cp_async_wait<0>();
        __syncthreads();
    }

    c = result(c, p, tile.batch);
    if (before) before = result(before, p, tile.batch);
#pragma unroll
    for (int i = 0; i < 8; i++) {
        int row = tile.row + y + i / 4 * 16 + i % 4;
        if (row >= p.m) continue;
        long long start = static_cast<long long>(row) * p.n;
#pragma unroll
        for (int half = 0; half < 2; half++) {
            int column = tile.column + x + 32 * half;
            float *s = sums[i] + 4 * half;
            if (bias)
                for (int j = 0; j < 4; j++) s[j] += column + j < p.n ? bias[column + j] : 0;
            if (before) store_row(before + start, column, p.n, make_float4(s[0], s[1], s[2], s[3]));
            for (int j = 0; j < 4; j++) s[j] = activate(s[j], activation);
            store_row(c + start, column, p.n, make_float4(s[0], s[1], s[2], s[3]));
        }
    }
}

// --- a product cut along k ---------------------------------------------------------------------------------------
// Few tiles leave most of a GPU idle: the product is then computed as a batch of products with a part of k each, and
// their results, `parts` arrays of (m, n), are added up here, always in the same order.

extern "C" __global__ void add_parts(const float *partial, float *c, const float *bias, float *before, int activation,
                                     int parts, long long size, int n) {
    long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i >= size) return;
    float sum = 0;
    for (int part = 0; part < parts; part++) sum += partial[part * size + i];
    if (bias) sum += bias[i % n];
    if (before) before[i] = sum;
    c[i] = activate(sum, activation);
}
