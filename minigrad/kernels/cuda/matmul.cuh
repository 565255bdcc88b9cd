// What every matrix product needs: where its operands' elements are, which tile of the result a block computes,
// and what becomes of a finished sum.

#pragma once
#include "activation.cuh"

// An operand's strides, in elements. The batch has two axes, so that heads cut out of a width need no copy.
struct Strides {
    long long outer, inner, row, column;
};

// c = a b for a batch of products: a (m, k), b (k, n), c (m, n). c is C-contiguous.
struct Product {
    int m, n, k;
    int inner;  // length of the batch's second axis
    Strides a, b;
};

struct Tile {
    int batch, row, column;  // of its first element
};

// Blocks that run at the same time should read the same rows and columns, or the L2 cache is of no use: tiles are
// numbered down groups of 8 rows of tiles, so that the 132 blocks an H100 runs at once cover a rectangle of
// about 8 x 16 tiles and not a strip of 1 x 132.
template <int ROWS, int COLUMNS>
__device__ __forceinline__ Tile tile_of_block(const Product &p) {
    constexpr int GROUP = 8;
    int down = (p.m + ROWS - 1) / ROWS, across = (p.n + COLUMNS - 1) / COLUMNS;
    int batch = blockIdx.x / (down * across), index = blockIdx.x % (down * across);
    int first = index / (GROUP * across) * GROUP, height = min(GROUP, down - first);
    index %= GROUP * across;
    return {batch, (first + index % height) * ROWS, index / height * COLUMNS};
}

// The operand of one product of the batch.
template <class T>
__device__ __forceinline__ const T *operand(const T *x, const Strides &strides, const Product &p, int batch) {
    return x + batch / p.inner * strides.outer + batch % p.inner * strides.inner;
}

template <class T>
__device__ __forceinline__ T *result(T *c, const Product &p, int batch) {
    return c + static_cast<long long>(batch) * p.m * p.n;
}

// --- operands for vector loads -----------------------------------------------------------------------------------
// Vectors need to know along which axis an operand is contiguous. The kernels see a as rows and b as columns, "lines"
// along the inner dimension: an element is (line, depth), and one of the two axes has stride 1. A row-major a is
// contiguous along its depth, a row-major b along its lines; a transpose is the other way round.

// One operand of one product: its lines from the tile's first one on.
template <class T>
struct Lines {
    const T *x;
    long long stride;  // of the axis that is not contiguous
    int lines, depth;
};

template <bool TRANSPOSED, class T>
__device__ __forceinline__ Lines<T> rows_of_a(const T *a, const Product &p, Tile tile) {
    a = operand(a, p.a, p, tile.batch) + tile.row * p.a.row;
    return {a, TRANSPOSED ? p.a.column : p.a.row, p.m - tile.row, p.k};
}

template <bool TRANSPOSED, class T>
__device__ __forceinline__ Lines<T> columns_of_b(const T *b, const Product &p, Tile tile) {
    b = operand(b, p.b, p, tile.batch) + tile.column * p.b.column;
    return {b, TRANSPOSED ? p.b.column : p.b.row, p.n - tile.column, p.k};
}

// --- results in pairs, as tensor cores leave them ----------------------------------------------------------------

// Two neighbours of a row, as far as the row goes.
__device__ __forceinline__ void store_pair(float *row, int column, int n, float x, float y) {
    if (column < n) row[column] = x;
    if (column + 1 < n) row[column + 1] = y;
}

template <class T>
__device__ __forceinline__ void store_pair(T *row, int column, int n, float x, float y) {
    if (n % 2 == 0) {
        if (column < n) *reinterpret_cast<unsigned *>(row + column) = pack<T>(x, y);
        return;
    }
    if (column < n) row[column] = from_float<T>(x);
    if (column + 1 < n) row[column + 1] = from_float<T>(y);
}
