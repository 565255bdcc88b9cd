// Rows of a table picked by ids, and the gradient that adds them back.
//
// Memory bounds both: forward reads and writes 4 bytes per number; backward reads the gradients once and reads and
// writes the table's rows that occur. Backward uses no atomic addition of floats, whose order would change from run
// to run. The first token with an id does the work of all tokens with that id, in the order of the tokens:
//
//   1 first_tokens        the first token of each id, by an atomic minimum of integers: the same in any order
//   2 embedding_backward  one warp per token and 128 columns; one that is not the first of its id ends, the first
//                         looks for the others, 32 ids a load

#include "common.cuh"

constexpr int COLUMNS = 128;  // a warp's, four per lane

__device__ __forceinline__ float4 load_columns(const float *row, int column, int dim) {
    if (dim % 4 == 0) return column < dim ? load4(row + column) : make_float4(0, 0, 0, 0);
    return make_float4(column < dim ? row[column] : 0, column + 1 < dim ? row[column + 1] : 0,
                       column + 2 < dim ? row[column + 2] : 0, column + 3 < dim ? row[column + 3] : 0);
}

__device__ __forceinline__ void store_columns(float *row, int column, int dim, float4 v) {
    if (dim % 4 == 0) {
        if (column < dim) store4(row + column, v);
        return;
    }
    if (column < dim) row[column] = v.x;
    if (column + 1 < dim) row[column + 1] = v.y;
    if (column + 2 < dim) row[column + 2] = v.z;
    if (column + 3 < dim) row[column + 3] = v.w;
}

// One warp per token. An id that has no row gives NaN.
extern "C" __global__ void embedding(const float *weight, const long long *ids, float *out, int tokens, int vocabulary,
                                     int dim) {
    int token = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    if (token >= tokens) return;
    long long id = ids[token];
    bool known = 0 <= id && id < vocabulary;
    weight += (known ? id : 0) * dim;
    out += static_cast<long long>(token) * dim;
    for (int column = 4 * (threadIdx.x % 32); column < dim; column += COLUMNS) {
        float4 v = load_columns(weight, column, dim);
        if (!known) v.x = v.y = v.z = v.w = __int_as_float(0x7fc00000);
        store_columns(out, column, dim, v);
    }
}

// `first` (vocabulary,) holds a number no smaller than `tokens` everywhere.
extern "C" __global__ void first_tokens(const long long *ids, int *first, int tokens, int vocabulary) {
    int token = blockIdx.x * blockDim.x + threadIdx.x;
    if (token >= tokens) return;
    long long id = ids[token];
    if (0 <= id && id < vocabulary) atomicMin(first + id, token);
}

// The grid is (blocks of tokens, blocks of columns).
extern "C" __global__ void embedding_backward(const float *grad, const long long *ids, const int *first, float *dweight,
                                              int tokens, int vocabulary, int dim, long long padding_idx) {
    int token = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (token >= tokens) return;
    long long id = ids[token];
    if (id < 0 || id >= vocabulary || id == padding_idx || first[id] != token) return;  // the whole warp
    int column = COLUMNS * blockIdx.y + 4 * lane;
    dweight += id * dim;
    float4 sum = load_columns(dweight, column, dim);
    for (int start = token; start < tokens; start += 32) {
        unsigned same = __ballot_sync(WHOLE_WARP, start + lane < tokens && ids[start + lane] == id);
        while (same) {  // four at a time, so that four loads are under way
            float4 v[4];
#pragma unroll
            for (int k = 0; k < 4; k++) {
                int next = __ffs(same) - 1;  // -1: there is none
                const float *row = grad + static_cast<long long>(start + next) * dim;
                v[k] = next >= 0 ? load_columns(row, column, dim) : make_float4(0, 0, 0, 0);
                same &= same - 1;  // without its lowest bit; 0 stays 0
            }
#pragma unroll
            for (int k = 0; k < 4; k++)
                sum = make_float4(sum.x + v[k].x, sum.y + v[k].y, sum.z + v[k].z, sum.w + v[k].w);
        }
    }
    store_columns(dweight, column, dim, sum);
}
