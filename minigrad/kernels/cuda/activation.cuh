// Activation functions and their derivatives, one struct each, for kernels that end in one and for activation.cu.
// The formulas are those of reference/activation.py.

#pragma once
#include "common.cuh"

__device__ __forceinline__ float logistic(float x) { return 1 / (1 + expf(-x)); }

// Beyond this the Gaussian tail is 0; there it would meet inf, and inf * 0 is NaN.
__device__ __forceinline__ float inside_tail(float x) { return x != x ? x : fminf(fmaxf(x, -40.0f), 40.0f); }

struct Relu {
    __device__ static float forward(float x) { return x < 0 ? 0 : x; }
    __device__ static float backward(float grad, float x) { return grad * (x > 0 ? 1.0f : 0.0f); }
};

// x Phi(x), Phi the normal distribution function. By erfc: 1 + erf would lose the lower tail to rounding.
struct Gelu {
    __device__ static float phi(float x) { return 0.5f * erfcf(-0.70710678118654752f * x); }
    __device__ static float forward(float x) { return x * phi(x); }
    __device__ static float backward(float grad, float x) {
        x = inside_tail(x);
        return grad * (phi(x) + x * (0.39894228040143268f * expf(-0.5f * x * x)));
    }
};

// The same with Phi(x) = (1 + tanh u) / 2 = logistic(2u), u = sqrt(2 / pi) (x + 0.044715 x^3).
struct GeluTanh {
    __device__ static float phi(float x) { return logistic(1.5957691216057308f * (x + 0.044715f * x * x * x)); }
    __device__ static float forward(float x) { return x * phi(x); }
    __device__ static float backward(float grad, float x) {
        x = inside_tail(x);
        float p = phi(x), slope = 1.5957691216057308f * (1 + 0.134145f * x * x) * p * (1 - p);
        return grad * (p + x * slope);
    }
};

struct Silu {
    __device__ static float forward(float x) { return x * logistic(x); }
    __device__ static float backward(float grad, float x) {
        float s = logistic(x);
        return grad * (s + x * s * (1 - s));
    }
};

// By number, for kernels that are compiled once for all of them.
enum Activation { NONE, RELU, GELU, GELU_TANH, SILU };

__device__ __forceinline__ float activate(float x, int activation) {
    switch (activation) {
        case RELU: return Relu::forward(x);
        case GELU: return Gelu::forward(x);
        case GELU_TANH: return GeluTanh::forward(x);
        case SILU: return Silu::forward(x);
        default: return x;
    }
}

__device__ __forceinline__ float activate_backward(float grad, float x, int activation) {
    switch (activation) {
        case RELU: return Relu::backward(grad, x);
        case GELU: return Gelu::backward(grad, x);
        case GELU_TANH: return GeluTanh::backward(grad, x);
        case SILU: return Silu::backward(grad, x);
        default: return grad;
    }
}
