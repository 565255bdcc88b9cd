// y = x / (1 - p) or, with probability p, 0. Memory bounds it, 8 bytes per number: no mask is read or written, since
// backward asks the generator again.

#include "dropout.cuh"

extern "C" __global__ void dropout(const float *x, float *y, long long n, Dropout dropout,
                                   const unsigned long long *seed) {
    dropout = dropout.seeded(seed);
    long long i = 4 * (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x);
    if (i + 3 < n) {
        float4 v = load4(x + i);
        store4(y + i, make_float4(dropout.apply(v.x, i), dropout.apply(v.y, i + 1), dropout.apply(v.z, i + 2),
                                  dropout.apply(v.w, i + 3)));
    } else {
        for (; i < n; i++) y[i] = dropout.apply(x[i], i);
    }
}
