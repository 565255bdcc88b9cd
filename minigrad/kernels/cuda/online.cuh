// The maximum of a row and the sum of e^(x - maximum), kept up to date number by number (Milakov and Gimelshein,
// "Online normalizer calculation for softmax", 2018). Right for -inf; a NaN or +inf makes the sum NaN.

#pragma once
#include "common.cuh"

struct Online {
    float maximum, sum;

    __device__ __forceinline__ void add(float x) {
        if (x > maximum) {
            sum = sum * expf(maximum - x) + (1 + (x - x));  // x - x: NaN for +inf
            maximum = x;
        } else {
            sum += expf(x - offset());
        }
    }

    __device__ __forceinline__ void add(float4 v) {
        float largest = fmaxf(fmaxf(v.x, v.y), fmaxf(v.z, v.w));
        if (largest > maximum) {
            sum *= expf(maximum - largest);
            maximum = largest;
        }
        float o = offset();
        sum += (expf(v.x - o) + expf(v.y - o)) + (expf(v.z - o) + expf(v.w - o));
    }

    // As if other's numbers had been added here. One that has none, or only -inf, has the maximum -inf and the sum 0.
    __device__ __forceinline__ void join(Online other) {
        float before = maximum;
        maximum = fmaxf(maximum, other.maximum);
        sum = sum * expf(before - offset()) + other.sum * expf(other.maximum - offset());
    }

    // Over all lanes of a warp.
    __device__ __forceinline__ Online over_warp() const {
        Online all = *this;
#pragma unroll
        for (int distance = 16; distance > 0; distance /= 2) {
            float maximum = __shfl_xor_sync(WHOLE_WARP, all.maximum, distance);
            all.join({maximum, __shfl_xor_sync(WHOLE_WARP, all.sum, distance)});
        }
        return all;
    }

    // Over a one-dimensional block of whole warps; `shared` has 32 places.
    __device__ __forceinline__ Online over_block(Online *shared) const {
        int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
        Online all = over_warp();
        if (warps == 1) return all;
        if (lane == 0) shared[warp] = all;
        __syncthreads();
        return (lane < warps ? shared[lane] : nothing()).over_warp();
    }

    __device__ static Online nothing() { return {-INFINITY, 0}; }

  private:
    __device__ __forceinline__ float offset() const { return maximum == -INFINITY ? 0 : maximum; }
};
