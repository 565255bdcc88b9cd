// The matrix product in bf16 or fp16 on tensor cores, step 8 of the ladder that starts in matmul.cu. Sums are float.
//
// A tensor core multiplies a (16, 16) fragment with a (16, 8) one in one instruction of a warp, mma.sync: 2,048
// multiply-adds where a warp's own units do 32. An H100 does about 300 operations this way for each byte its memory
// delivers, and 34 for each byte of shared memory, so every level of step 7 has to be wider, and nothing may wait:
//
//   block tile     128 x 256: 85 multiply-adds for each number from global memory
//   warp tile      64 x 64: 8 ldmatrix bring the operands of 32 mma, 32 operations for each byte of shared memory;
//                  the sums are 128 registers per lane
//   copies         cp.async into a ring of STAGES buffers: while one is multiplied, STAGES - 1 are on their way, and
//                  nothing passes through registers
//   fragments      ldmatrix reads 8 x 8 matrices, 16 bytes per row, and .trans turns them: all four transposes cost the
//                  same. While 16 steps along k are multiplied, the next 16 are being loaded.
//   swizzle        rows of a tile are 128 bytes or a multiple: the 8 rows of a matrix at one column would all lie in
//                  the same 4 banks. Of each row r the 16-byte chunks are stored in the order chunk ^ (r % 8): the 8
//                  rows of a column then lie in 32 different banks, and so does a row, without a byte of padding.
//
// What remains: registers. mma.sync takes its operands from them, so a warp must load, wait and issue for itself, and
// 8 warps with 200 registers per lane are all that fit. On Hopper that keeps about a third of the tensor cores'
// time from being used; its own instructions read shared memory directly (step 9).
//
// Layout constants as in matmul_fp32.cu; ALIGNED=1 where addresses, strides and the contiguous axis are multiples of 8
// numbers, ALIGNED=0 loads number by number. RESULT is TYPE, or float for a product cut along k (add_parts_half).
//
// needs: sm_80
// compile: TYPE=bf16 A_TRANSPOSED=0 B_TRANSPOSED=0 ALIGNED=1
// compile: TYPE=bf16 A_TRANSPOSED=0 B_TRANSPOSED=1 ALIGNED=1
// compile: TYPE=bf16 A_TRANSPOSED=1 B_TRANSPOSED=0 ALIGNED=1
// compile: TYPE=fp16 A_TRANSPOSED=1 B_TRANSPOSED=1 ALIGNED=1
// compile: TYPE=bf16 A_TRANSPOSED=0 B_TRANSPOSED=1 ALIGNED=1 BLOCK_ROWS=128 BLOCK_COLUMNS=128 WARP=64
// compile: TYPE=bf16 A_TRANSPOSED=0 B_TRANSPOSED=0 ALIGNED=0 BLOCK_ROWS=128 BLOCK_COLUMNS=128 WARP=64
// compile: TYPE=bf16 A_TRANSPOSED=0 B_TRANSPOSED=0 ALIGNED=1 BLOCK_ROWS=64 BLOCK_COLUMNS=64 WARP=32 RESULT=float

#include "matmul.cuh"
#include "tensor_core.cuh"

#ifndef BLOCK_ROWS
#define BLOCK_ROWS 128
#define BLOCK_COLUMNS 256
#define WARP 64  // side of a warp's tile
#endif
#ifndef RESULT
#define RESULT TYPE
#endif

constexpr int DEPTH = 64, STAGES = 3;
constexpr int WARPS_ACROSS = BLOCK_COLUMNS / WARP, THREADS = BLOCK_ROWS / WARP * WARPS_ACROSS * 32;
constexpr int PIECES = WARP / 16;  // fragments of 16 lines in a warp's tile
// Blocks on a multiprocessor at a time, as many as have 200 registers per lane and a ring in 200 KB.
constexpr int BLOCKS = THREADS >= 256 ? 1 : WARP == 64 ? 2 : 4;

// --- a tile of one operand in shared memory ----------------------------------------------------------------------

// DEPTH x LINES numbers as they lie in global memory: rows along the contiguous axis.
template <int LINES, bool ALONG_DEPTH>
struct Panel {
    static constexpr int WIDTH = ALONG_DEPTH ? DEPTH : LINES, CHUNKS = WIDTH / 8, SIZE = LINES * DEPTH;
    static constexpr int COPIES = SIZE / 8 / THREADS;
    static_assert(SIZE % (8 * THREADS) == 0, "the threads share the tile evenly");
    static_assert(CHUNKS % 8 == 0, "the swizzle permutes 8 chunks");

    // Where the 8 numbers `chunk` of a row are.
    static __device__ __forceinline__ int place(int row, int chunk) { return 8 * (row * CHUNKS + (chunk ^ row % 8)); }

    // The threads' copies of the tile from `from` on, zeros outside the operand.
    static __device__ __forceinline__ void start(TYPE *tile, const Lines<TYPE> &x, int from) {
        constexpr int STEP = THREADS / CHUNKS;  // rows from a thread's copy to its next, whose chunk is the same
        static_assert(STEP % 8 == 0, "so is its place in the row");
        int row = threadIdx.x / CHUNKS, chunk = threadIdx.x % CHUNKS;
        const TYPE *first = x.x + (ALONG_DEPTH ? row * x.stride + from : (from + row) * x.stride) + 8 * chunk;
        int rows = (ALONG_DEPTH ? x.lines : x.depth - from) - row;
        int columns = (ALONG_DEPTH ? x.depth - from : x.lines) - 8 * chunk;
        TYPE *to = tile + place(row, chunk);
#pragma unroll
        for (int i = 0; i < COPIES; i++) {
            int count = i * STEP < rows ? columns : 0;
            if (ALIGNED)
                cp_async16(to + i * STEP * WIDTH, count > 0 ? first + i * STEP * x.stride : x.x, count > 0);
            else
                copy_singly(to + i * STEP * WIDTH, first + i * STEP * x.stride, count);
        }
    }

    // `count` numbers, at most 8, and zeros after them; without alignment there is nothing faster to ask for.
    static __device__ __forceinline__ void copy_singly(TYPE *to, const TYPE *from, int count) {
        unsigned pairs[4];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            unsigned low = 2 * i < count ? from[2 * i].bits : 0, high = 2 * i + 1 < count ? from[2 * i + 1].bits : 0;
            pairs[i] = low | high << 16;
        }
        *reinterpret_cast<uint4 *>(to) = make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
    }

    // 16 lines x 16 along the depth, for mma: (lines, depth) = (0-7, 0-7), (8-15, 0-7), (0-7, 8-15), (8-15, 8-15).
    static __device__ __forceinline__ void fragment(unsigned (&r)[4], const TYPE *tile, int line, int q) {
        int lane = threadIdx.x % 32;
        if (ALONG_DEPTH)
            ldmatrix_x4(r, tile + place(line + lane % 16, q / 8 + lane / 16));
        else
            ldmatrix_x4_trans(r, tile + place(q + lane % 8 + lane / 16 * 8, line / 8 + lane / 8 % 2));
    }
};

using PanelA = Panel<BLOCK_ROWS, !A_TRANSPOSED>;
using PanelB = Panel<BLOCK_COLUMNS, B_TRANSPOSED>;

// --- a warp's tile -----------------------------------------------------------------------------------------------

// What a warp multiplies in 16 steps along k.
struct Fragments {
    unsigned a[PIECES][4], b[PIECES][4];

    __device__ __forceinline__ void load(const TYPE *a_tile, const TYPE *b_tile, int row, int column, int q) {
#pragma unroll
        for (int i = 0; i < PIECES; i++) PanelA::fragment(a[i], a_tile, row + 16 * i, q);
#pragma unroll
        for (int j = 0; j < PIECES; j++) PanelB::fragment(b[j], b_tile, column + 16 * j, q);
    }

    __device__ __forceinline__ void multiply_add(float (&sums)[PIECES][2 * PIECES][4]) const {
#pragma unroll
        for (int i = 0; i < PIECES; i++)
#pragma unroll
            for (int j = 0; j < 2 * PIECES; j++) {
                unsigned half[2] = {b[j / 2][j % 2], b[j / 2][j % 2 + 2]};  // 8 of the 16 columns
                mma_m16n8k16<TYPE>(sums[i][j], a[i], half, sums[i][j]);
            }
    }
};

// --- 8 -----------------------------------------------------------------------------------------------------------

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
    matmul_tensor_cores(const TYPE *a, const TYPE *b, RESULT *c, const TYPE *bias, RESULT *before, int activation,
                        Product p) {
    extern __shared__ uint4 shared[];
    TYPE *ring = reinterpret_cast<TYPE *>(shared);
    constexpr int STAGE = PanelA::SIZE + PanelB::SIZE;

    Tile tile = tile_of_block<BLOCK_ROWS, BLOCK_COLUMNS>(p);
    auto lines_a = rows_of_a<A_TRANSPOSED>(a, p, tile);
    auto lines_b = columns_of_b<B_TRANSPOSED>(b, p, tile);
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    int y = warp / WARPS_ACROSS * WARP, x = warp % WARPS_ACROSS * WARP;
    int tiles = (p.k + DEPTH - 1) / DEPTH;

    auto start = [&](int t) {
        TYPE *a_tile = ring + t % STAGES * STAGE, *b_tile = a_tile + PanelA::SIZE;
        if (t < tiles) PanelA::start(a_tile, lines_a, t * DEPTH), PanelB::start(b_tile, lines_b, t * DEPTH);
        cp_async_commit();  // an empty group keeps the count
    };
    for (int t = 0; t < STAGES - 1; t++) start(t);

    float sums[PIECES][2 * PIECES][4] = {};
    for (int t = 0; t < tiles; t++) {
        cp_async_wait<STAGES - 2>();  // this thread's part of tile t is there;
        __syncthreads();              // now everyone's, and everyone has finished with tile t - 1,
        start(t + STAGES - 1);        // whose buffer this takes
        const TYPE *a_tile = ring + t % STAGES * STAGE, *b_tile = a_tile + PanelA::SIZE;
        Fragments fragments[2];
        fragments[0].load(a_tile, b_tile, y, x, 0);
#pragma unroll
        for (int q = 0; q < DEPTH; q += 16) {
            if (q + 16 < DEPTH) fragments[(q / 16 + 1) % 2].load(a_tile, b_tile, y, x, q + 16);
            fragments[q / 16 % 2].multiply_add(sums);
        }
    }

    c = result(c, p, tile.batch);
    if (before) before = result(before, p, tile.batch);
#pragma unroll
    for (int i = 0; i < PIECES; i++)
#pragma unroll
        for (int j = 0; j < 2 * PIECES; j++)
#pragma unroll
            for (int half = 0; half < 2; half++) {
                int row = tile.row + y + 16 * i + 8 * half + lane / 4;
                int column = tile.column + x + 8 * j + 2 * (lane % 4);
                if (row >= p.m || column >= p.n) continue;
                float left = sums[i][j][2 * half], right = sums[i][j][2 * half + 1];
                if (bias) left += to_float(bias[column]), right += column + 1 < p.n ? to_float(bias[column + 1]) : 0;
                long long start = static_cast<long long>(row) * p.n;
                if (before) store_pair(before + start, column, p.n, left, right);
                store_pair(c + start, column, p.n, activate(left, activation), activate(right, activation));
            }
}

// The sum of a product's parts, as add_parts in matmul_fp32.cu.
extern "C" __global__ void add_parts_half(const float *partial, TYPE *c, const TYPE *bias, TYPE *before, int activation,
                                          int parts, long long size, int n) {
    long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i >= size) return;
    float sum = 0;
    for (int part = 0; part < parts; part++) sum += partial[part * size + i];
    if (bias) sum += to_float(bias[i % n]);
    if (before) before[i] = from_float<TYPE>(sum);
    c[i] = from_float<TYPE>(activate(sum, activation));
}
