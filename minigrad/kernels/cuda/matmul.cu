// The matrix product in float32, from the definition to the idea that makes it fast: keep what you load.
//
// A product of n x n matrices does 2 n^3 operations on 12 n^2 bytes: at n = 4096, 680 operations for each byte. An
// H100 does about 20 float32 operations in the time in which its memory delivers one byte, so the product ought to
// be limited by arithmetic alone. It is, if every number loaded is used often enough before it is loaded again;
// each step below loads from a slower memory less often. "Intensity" is multiply-adds for each number loaded.
//
//   1 matmul_naive          one thread per element of c; neighbouring threads read other rows of a
//   2 matmul_coalesced      the same, but neighbouring threads read neighbouring columns of b
//   3 matmul_shared         a block loads a tile of a and of b once for all its threads
//   4 matmul_tile_1d        a thread computes a column of 8 elements
//   5 matmul_tile_2d        a thread computes 8 x 8 elements
//   6, 7                    in matmul_fp32.cu: vectorised loads; warp tiles and double buffering
//   8                       in matmul_tensor_cores.cu: bf16 and fp16 on tensor cores
//   9                       in matmul_hopper.cu: the same with Hopper's own instructions
//
// These five take operands of any strides: a transpose, or every other row, is only another pair of numbers.
// The comments on speed are about row-major ones.
//
// compile:

#include "matmul.cuh"

// --- 1: naive ----------------------------------------------------------------------------------------------------
// Blocks of 32 x 32 threads. The lanes of a warp (threadIdx.x) have different rows: where they load an element of a,
// k numbers apart, each gets a 32-byte sector of memory of its own and uses 4 bytes of it, and their stores to c are as
// scattered. Intensity 1/2, and of the traffic this makes seven eighths is thrown away.

extern "C" __global__ void matmul_naive(const float *a, const float *b, float *c, Product p) {
    Tile tile = tile_of_block<32, 32>(p);
    a = operand(a, p.a, p, tile.batch), b = operand(b, p.b, p, tile.batch), c = result(c, p, tile.batch);
    int row = tile.row + threadIdx.x, column = tile.column + threadIdx.y;
    if (row >= p.m || column >= p.n) return;
    float sum = 0;
    for (int q = 0; q < p.k; q++) sum += a[row * p.a.row + q * p.a.column] * b[q * p.b.row + column * p.b.column];
    c[static_cast<long long>(row) * p.n + column] = sum;
}

// --- 2: coalesced ------------------------------------------------------------------------------------------------
// x and y change places: y counts a tile's rows and x its columns. The lanes of a warp now have one row and 32
// neighbouring columns: they load one number of a (a broadcast) and 128 neighbouring bytes of b. Every byte that moves
// is used, but the intensity is still 1/2, and the caches, not the arithmetic, set the pace.

extern "C" __global__ void matmul_coalesced(const float *a, const float *b, float *c, Product p) {
    Tile tile = tile_of_block<32, 32>(p);
    a = operand(a, p.a, p, tile.batch), b = operand(b, p.b, p, tile.batch), c = result(c, p, tile.batch);
    int row = tile.row + threadIdx.y, column = tile.column + threadIdx.x;
    if (row >= p.m || column >= p.n) return;
    float sum = 0;
    for (int q = 0; q < p.k; q++) sum += a[row * p.a.row + q * p.a.column] * b[q * p.b.row + column * p.b.column];
    c[static_cast<long long>(row) * p.n + column] = sum;
}

// --- 3: a tile in shared memory ----------------------------------------------------------------------------------
// The 32 x 32 threads load a 32 x 32 tile of a and of b, a number each, and use them 32 times: global intensity 16.
// Outside the operands a tile is filled up with zeros, so the loop needs no case for the edge. What remains: each
// multiply-add reads two numbers from shared memory, which delivers an eighth of what that takes.

extern "C" __global__ void matmul_shared(const float *a, const float *b, float *c, Product p) {
    constexpr int SIDE = 32;
    __shared__ float a_tile[SIDE][SIDE], b_tile[SIDE][SIDE];
    Tile tile = tile_of_block<SIDE, SIDE>(p);
    a = operand(a, p.a, p, tile.batch), b = operand(b, p.b, p, tile.batch), c = result(c, p, tile.batch);
    int x = threadIdx.x, y = threadIdx.y, row = tile.row + y, column = tile.column + x;
    float sum = 0;
    for (int from = 0; from < p.k; from += SIDE) {
        a_tile[y][x] = row < p.m && from + x < p.k ? a[row * p.a.row + (from + x) * p.a.column] : 0;
        b_tile[y][x] = from + y < p.k && column < p.n ? b[(from + y) * p.b.row + column * p.b.column] : 0;
        __syncthreads();  // the tiles are complete
#pragma unroll
        for (int q = 0; q < SIDE; q++) sum += a_tile[y][q] * b_tile[q][x];
        __syncthreads();  // and read, so they may be overwritten
    }
    if (row < p.m && column < p.n) c[static_cast<long long>(row) * p.n + column] = sum;
}

// --- tiles for steps 4 and 5 -------------------------------------------------------------------------------------

// All of the block's threads copy a ROWS x COLUMNS tile of x from (row, column) on, zeros outside (rows, columns).
template <int ROWS, int COLUMNS, int THREADS>
__device__ __forceinline__ void load_tile(float (&tile)[ROWS][COLUMNS], const float *x, const Strides &strides, int row,
                                          int column, int rows, int columns) {
#pragma unroll
    for (int i = threadIdx.x; i < ROWS * COLUMNS; i += THREADS) {
        int i_row = row + i / COLUMNS, i_column = column + i % COLUMNS;
        bool inside = i_row < rows && i_column < columns;
        tile[i / COLUMNS][i % COLUMNS] = inside ? x[i_row * strides.row + i_column * strides.column] : 0;
    }
}

// --- 4: a column of elements per thread --------------------------------------------------------------------------
// Blocks of 512 threads compute 64 x 64 elements, a thread 8 of one column. A number of b is read from shared memory
// once for 8 multiply-adds; with those of a that is 9 reads for 8 multiply-adds where there were 16. Global intensity
// 32. Shared memory is still the limit: of a and the sums, only the sums stay in registers.

extern "C" __global__ void __launch_bounds__(512, 2)
    matmul_tile_1d(const float *a, const float *b, float *c, Product p) {
    constexpr int SIDE = 64, DEPTH = 8, EACH = 8, THREADS = SIDE * SIDE / EACH;
    __shared__ float a_tile[SIDE][DEPTH], b_tile[DEPTH][SIDE];
    Tile tile = tile_of_block<SIDE, SIDE>(p);
    a = operand(a, p.a, p, tile.batch), b = operand(b, p.b, p, tile.batch), c = result(c, p, tile.batch);
    int x = threadIdx.x % SIDE, y = threadIdx.x / SIDE * EACH;
    float sums[EACH] = {};
    for (int from = 0; from < p.k; from += DEPTH) {
        load_tile<SIDE, DEPTH, THREADS>(a_tile, a, p.a, tile.row, from, p.m, p.k);
        load_tile<DEPTH, SIDE, THREADS>(b_tile, b, p.b, from, tile.column, p.k, p.n);
        __syncthreads();
#pragma unroll 2
        for (int q = 0; q < DEPTH; q++) {
            float of_b = b_tile[q][x];
#pragma unroll
            for (int i = 0; i < EACH; i++) sums[i] += a_tile[y + i][q] * of_b;
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        int row = tile.row + y + i, column = tile.column + x;
        if (row < p.m && column < p.n) c[static_cast<long long>(row) * p.n + column] = sums[i];
    }
}

// --- 5: a square of elements per thread --------------------------------------------------------------------------
// Blocks of 256 threads compute 128 x 128 elements, a thread 8 x 8 of them: for each step along k it reads 8 numbers of
// a and 8 of b from shared memory into registers and does 64 multiply-adds with them, 4 for each read. Global intensity
// 64. Arithmetic is now the larger part; what remains is the number of instructions (each read moves 4 bytes, and could
// move 16) and bank conflicts (the 16 threads of a row read b 8 numbers apart, 4 of them in the same bank).

extern "C" __global__ void __launch_bounds__(256) matmul_tile_2d(const float *a, const float *b, float *c, Product p) {
    constexpr int SIDE = 128, DEPTH = 8, EACH = 8, THREADS = SIDE * SIDE / (EACH * EACH);
    __shared__ float a_tile[SIDE][DEPTH], b_tile[DEPTH][SIDE];
    Tile tile = tile_of_block<SIDE, SIDE>(p);
    a = operand(a, p.a, p, tile.batch), b = operand(b, p.b, p, tile.batch), c = result(c, p, tile.batch);
    int x = threadIdx.x % (SIDE / EACH) * EACH, y = threadIdx.x / (SIDE / EACH) * EACH;
    float sums[EACH][EACH] = {};
    for (int from = 0; from < p.k; from += DEPTH) {
        load_tile<SIDE, DEPTH, THREADS>(a_tile, a, p.a, tile.row, from, p.m, p.k);
        load_tile<DEPTH, SIDE, THREADS>(b_tile, b, p.b, from, tile.column, p.k, p.n);
        __syncthreads();
#pragma unroll 1  // or the compiler loads for several steps at once, and runs out of registers
        for (int q = 0; q < DEPTH; q++) {
            float of_a[EACH], of_b[EACH];
#pragma unroll
            for (int i = 0; i < EACH; i++) of_a[i] = a_tile[y + i][q], of_b[i] = b_tile[q][x + i];
#pragma unroll
            for (int i = 0; i < EACH; i++)
#pragma unroll
                for (int j = 0; j < EACH; j++) sums[i][j] += of_a[i] * of_b[j];
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < EACH; i++)
#pragma unroll
        for (int j = 0; j < EACH; j++) {
            int row = tile.row + y + i, column = tile.column + x + j;
            if (row < p.m && column < p.n) c[static_cast<long long>(row) * p.n + column] = sums[i][j];
        }
}
