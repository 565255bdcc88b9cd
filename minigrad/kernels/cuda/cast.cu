// Between float and the 16-bit floats, rounded to the nearest. Memory bounds it: 6 bytes per number.
//
// compile: FROM=float TO=bf16
// compile: FROM=float TO=fp16
// compile: FROM=bf16 TO=float
// compile: FROM=fp16 TO=float
// compile: FROM=bf16 TO=fp16

#include "common.cuh"

#ifndef FROM
#define FROM float
#define TO bf16
#endif

template <class T>
struct alignas(4 * sizeof(T)) Four {
    T v[4];
};

extern "C" __global__ void cast(const FROM *x, TO *y, long long n) {
    long long i = 4 * (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x);
    if (i + 3 < n) {
        Four<FROM> from = *reinterpret_cast<const Four<FROM> *>(x + i);
        Four<TO> to;
#pragma unroll
        for (int k = 0; k < 4; k++) to.v[k] = from_float<TO>(to_float(from.v[k]));
        *reinterpret_cast<Four<TO> *>(y + i) = to;
    } else {
        for (; i < n; i++) y[i] = from_float<TO>(to_float(x[i]));
    }
}
