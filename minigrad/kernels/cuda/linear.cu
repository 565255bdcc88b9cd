// The backward pass of a linear layer before its two products, in one pass over the gradient: through the activation,
//   h = grad act'(before),
// and the sums of h's columns, which are the bias's gradient. (Forward needs no kernel of its own: bias and activation
// are the epilogue of the product.) `before` is null without an activation, h too, then h is grad.
//
// A block sums ROWS rows of 32 columns: its 8 warps take every eighth row, 32 neighbours per load. Its sums are
// one row of `parts`, which add_parts of normalization.cu adds up, always in the same order.
//
// compile: TYPE=float
// compile: TYPE=bf16
// compile: TYPE=fp16

#include "activation.cuh"

constexpr int ROWS = 256;

extern "C" __global__ void linear_backward(const TYPE *grad, const TYPE *before, TYPE *h, float *parts, int activation,
                                           int rows, int n) {
    __shared__ float shared[8][32];
    int column = 32 * blockIdx.x + threadIdx.x, end = min(rows, static_cast<int>(blockIdx.y + 1) * ROWS);
    float sum = 0;
    for (int row = blockIdx.y * ROWS + threadIdx.y; row < end && column < n; row += 8) {
        long long i = static_cast<long long>(row) * n + column;
        float g = to_float(grad[i]);
        if (before) {
            g = activate_backward(g, to_float(before[i]), activation);
            h[i] = from_float<TYPE>(g);
        }
        sum += g;
    }
    shared[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y || column >= n) return;
    for (int y = 1; y < 8; y++) sum += shared[y][threadIdx.x];
    parts[static_cast<long long>(blockIdx.y) * n + column] = sum;
}
