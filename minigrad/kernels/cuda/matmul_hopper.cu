// The matrix product in bf16 or fp16 with Hopper's own instructions, step 9 and last of the ladder that starts in
// matmul.cu.
//
// It compiles, and has never run: the emulator does not model these instructions, and no GPU was at hand. Nothing
// takes it unless asked for by name (step="hopper"); the tests marked gpu judge it.
//
// In step 8 every warp copies, loads fragments and multiplies by turns. Here each does one thing:
//
//   one thread        asks the tensor memory accelerator for tiles, 64 steps along k at a time, into a ring of STAGES
//                     buffers: 49,152 bytes for two or five instructions, no addresses, no edge to look after
//   2 x 4 warps       multiply: wgmma takes both operands from shared memory, 64 x 256 x 16 in one instruction, and the
//                     warps only wait. 128 registers per lane hold the sums; there are no fragments.
//
// They meet at two barriers for each buffer. `full` ends a phase when all its bytes have come, `empty` when both groups
// have multiplied it. The thread that asks needs few registers, so its warps hand theirs to the others. The swizzle is
// that of step 8, done by the copies and undone by wgmma, which also takes either axis as the contiguous one: again all
// four transposes cost the same.
//
// For each byte from shared memory a wgmma does 51 operations, and for each number from global memory the block's
// tile of 128 x 256 does 85 multiply-adds. What remains: while a block stores its results its tensor cores
// rest (a persistent kernel would load the next tile meanwhile), and neighbouring blocks read the same tiles apart (a
// cluster could share one copy).
//
// The last axes and all strides of a and b are multiples of 16 bytes, and not 0.
//
// needs: sm_90a
// compile: TYPE=bf16 A_TRANSPOSED=0 B_TRANSPOSED=1
// compile: TYPE=fp16 A_TRANSPOSED=1 B_TRANSPOSED=0

#include "hopper.cuh"
#include "matmul.cuh"

constexpr int ROWS = 128, COLUMNS = 256, DEPTH = 64, STAGES = 4;
constexpr int GROUP = 128;  // threads of four warps, which execute a wgmma together
constexpr int GROUP_ROWS = 64, MULTIPLYING = ROWS / GROUP_ROWS;

// A tile of one operand: along the depth, LINES rows of 64 numbers; along the lines, for each 64 of them a box of DEPTH
// rows of 64. Both rows are the 128 bytes of the swizzle.
template <int LINES, bool ALONG_DEPTH>
struct Panel {
    static constexpr int SIZE = LINES * DEPTH, BOX = 64 * DEPTH;

    static __device__ __forceinline__ void start(TYPE *tile, const TensorMap &map, Barrier *full, int line, int q,
                                                 int inner, int outer) {
        if constexpr (ALONG_DEPTH)
            copy_box(tile, map, full, q, line, inner, outer);
        else
            for (int i = 0; i < LINES / 64; i++) copy_box(tile + i * BOX, map, full, line + 64 * i, q, inner, outer);
    }

    // The matrix of 16 steps along the depth from q on, and of the lines from `line`, a multiple of 64, on.
    static __device__ __forceinline__ Descriptor matrix(const TYPE *tile, int line, int q) {
        if (ALONG_DEPTH) return descriptor(tile + line * DEPTH + q, 16, 8 * 128);
        return descriptor(tile + line / 64 * BOX + q * 64, BOX * sizeof(TYPE), 8 * 128);
    }
};

using PanelA = Panel<ROWS, !A_TRANSPOSED>;
using PanelB = Panel<COLUMNS, B_TRANSPOSED>;
constexpr int STAGE = PanelA::SIZE + PanelB::SIZE;

extern "C" __global__ void __launch_bounds__((1 + MULTIPLYING) * GROUP, 1)
    matmul_hopper(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, TYPE *c, const TYPE *bias,
                  TYPE *before, int activation, Product p) {
    extern __shared__ unsigned char shared[];
    __shared__ Barrier full[STAGES], empty[STAGES];
    TYPE *ring = reinterpret_cast<TYPE *>(shared + (1024 - shared_address(shared) % 1024) % 1024);

    Tile tile = tile_of_block<ROWS, COLUMNS>(p);
    int tiles = (p.k + DEPTH - 1) / DEPTH, group = threadIdx.x / GROUP;
    if (threadIdx.x == 0) {
        for (int s = 0; s < STAGES; s++) barrier_init(&full[s], 1), barrier_init(&empty[s], MULTIPLYING);
        barrier_init_done();
    }
    __syncthreads();

    if (group == 0) {
        give_registers_up<40>();
        if (threadIdx.x) return;
        int inner = tile.batch % p.inner, outer = tile.batch / p.inner;
        for (int t = 0; t < tiles; t++) {
            int s = t % STAGES, round = t / STAGES;
            TYPE *a_tile = ring + s * STAGE;
            barrier_wait(&empty[s], round % 2 ^ 1);  // multiplied in the last round; in the first, there is no wait
            barrier_expect(&full[s], STAGE * sizeof(TYPE));
            PanelA::start(a_tile, a, &full[s], tile.row, t * DEPTH, inner, outer);
            PanelB::start(a_tile + PanelA::SIZE, b, &full[s], tile.column, t * DEPTH, inner, outer);
        }
        return;
    }

    take_registers<232>();
    int first = (group - 1) * GROUP_ROWS;
    float sums[COLUMNS / 2] = {};
    for (int t = 0; t < tiles; t++) {
        int s = t % STAGES;
        const TYPE *a_tile = ring + s * STAGE, *b_tile = a_tile + PanelA::SIZE;
        barrier_wait(&full[s], t / STAGES % 2);
        wgmma_fence();
#pragma unroll
        for (int q = 0; q < DEPTH; q += 16)
            wgmma_m64n256k16<A_TRANSPOSED, !B_TRANSPOSED>(sums, PanelA::matrix(a_tile, first, q),
                                                          PanelB::matrix(b_tile, 0, q), TYPE{});
        wgmma_commit();
        wgmma_wait<1>();  // for the tile before, whose buffer is free now
        if (t && threadIdx.x % GROUP == 0) barrier_arrive(&empty[(t - 1) % STAGES]);
    }
    wgmma_wait<0>();

    c = result(c, p, tile.batch);
    if (before) before = result(before, p, tile.batch);
    int lane = threadIdx.x % 32, warp = threadIdx.x % GROUP / 32;
#pragma unroll
    for (int j = 0; j < COLUMNS / 8; j++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            int row = tile.row + first + 16 * warp + 8 * half + lane / 4, column = tile.column + 8 * j + 2 * (lane % 4);
            if (row >= p.m || column >= p.n) continue;
            float left = sums[4 * j + 2 * half], right = sums[4 * j + 2 * half + 1];
            if (bias) left += to_float(bias[column]), right += column + 1 < p.n ? to_float(bias[column + 1]) : 0;
            long long start = static_cast<long long>(row) * p.n;
            if (before) store_pair(before + start, column, p.n, left, right);
            store_pair(c + start, column, p.n, activate(left, activation), activate(right, activation));
        }
}
