// Activations number by number. Memory bounds them: forward moves 8 bytes per number, backward 12, and the arithmetic
// hides behind that. So every thread takes four numbers, 16 bytes per access.

#include "activation.cuh"

template <class Activation>
__device__ __forceinline__ void forward(const float *x, float *y, long long n) {
    long long i = 4 * (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x);
    if (i + 3 < n) {
        float4 v = load4(x + i);
        store4(y + i, make_float4(Activation::forward(v.x), Activation::forward(v.y), Activation::forward(v.z),
                                  Activation::forward(v.w)));
    } else {
        for (; i < n; i++) y[i] = Activation::forward(x[i]);
    }
}

template <class Activation>
__device__ __forceinline__ void backward(const float *grad, const float *x, float *dx, long long n) {
    long long i = 4 * (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x);
    if (i + 3 < n) {
        float4 g = load4(grad + i), v = load4(x + i);
        store4(dx + i, make_float4(Activation::backward(g.x, v.x), Activation::backward(g.y, v.y),
                                   Activation::backward(g.z, v.z), Activation::backward(g.w, v.w)));
    } else {
        for (; i < n; i++) dx[i] = Activation::backward(grad[i], x[i]);
    }
}

extern "C" __global__ void gelu(const float *x, float *y, long long n) { forward<Gelu>(x, y, n); }
extern "C" __global__ void gelu_tanh(const float *x, float *y, long long n) { forward<GeluTanh>(x, y, n); }
extern "C" __global__ void silu(const float *x, float *y, long long n) { forward<Silu>(x, y, n); }

extern "C" __global__ void gelu_backward(const float *grad, const float *x, float *dx, long long n) {
    backward<Gelu>(grad, x, dx, n);
}
extern "C" __global__ void gelu_tanh_backward(const float *grad, const float *x, float *dx, long long n) {
    backward<GeluTanh>(grad, x, dx, n);
}
extern "C" __global__ void silu_backward(const float *grad, const float *x, float *dx, long long n) {
    backward<Silu>(grad, x, dx, n);
}
