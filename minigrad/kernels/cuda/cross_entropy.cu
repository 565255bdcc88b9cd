// Cross-entropy of logits x (rows, n) against one target class per row, one block of whole warps per row.
//
// Forward reads the logits once (twice with label smoothing) and backward reads and writes them once: with a
// vocabulary of 50,257 they are the largest arrays of a training step. Probabilities are never stored; backward
// finds them again from the log-sum-exp. It may work in place: dx may be x.
//
// A target that is no class makes its loss and its row's gradient NaN.

#include "online.cuh"

__device__ __forceinline__ float weight_of(const float *weight, long long i) { return weight ? weight[i] : 1; }

extern "C" __global__ void cross_entropy(const float *x, const long long *targets, const float *weight, float *losses,
                                         float *lse, int n, long long ignore_index, float smoothing) {
    __shared__ Online partial[32];
    __shared__ float sums[32];
    x += static_cast<long long>(blockIdx.x) * n;
    Online row = Online::nothing();
    if (n % 4 == 0)
        for (int i = 4 * threadIdx.x; i < n; i += 4 * blockDim.x) row.add(load4(x + i));
    else
        for (int i = threadIdx.x; i < n; i += blockDim.x) row.add(x[i]);
    row = row.over_block(partial);
    float log_sum = row.maximum + logf(row.sum);

    float spread = 0;  // over the classes, of weight * -log p
    if (smoothing != 0) {
        for (int i = threadIdx.x; i < n; i += blockDim.x) spread += (log_sum - x[i]) * weight_of(weight, i);
        spread = block_reduce<Sum>(spread, sums);
    }
    if (threadIdx.x) return;
    long long target = targets[blockIdx.x];
    float loss = 0;
    if (target != ignore_index) {
        loss = 0 <= target && target < n ? (log_sum - x[target]) * weight_of(weight, target) : NAN;
        if (smoothing != 0) loss = (1 - smoothing) * loss + smoothing / n * spread;
    }
    losses[blockIdx.x] = loss;
    lse[blockIdx.x] = log_sum;
}

// dx = g (p (the weight of all of the row's terms) - the weight of this class's own); total_weight is the sum of
// `weight`, one number.
extern "C" __global__ void cross_entropy_backward(const float *g, const float *x, const long long *targets,
                                                  const float *lse, const float *weight, const float *total_weight,
                                                  float *dx, int n, long long ignore_index, float smoothing) {
    long long start = static_cast<long long>(blockIdx.x) * n, target = targets[blockIdx.x];
    x += start, dx += start;
    if (target == ignore_index) {
        for (int i = threadIdx.x; i < n; i += blockDim.x) dx[i] = 0;
        return;
    }
    float grad = g[blockIdx.x], log_sum = lse[blockIdx.x];
    bool is_class = 0 <= target && target < n;
    float on_target = (1 - smoothing) * (is_class ? weight_of(weight, target) : NAN), on_each = smoothing / n;
    float on_p = grad * (on_target + on_each * (weight ? *total_weight : n));
    on_target *= grad, on_each *= grad;
    auto gradient = [&](float v, int i) {
        float own = on_each * weight_of(weight, i) + (i == target ? on_target : 0);
        return on_p * expf(v - log_sum) - own;
    };
    if (n % 4 == 0)
        for (int i = 4 * threadIdx.x; i < n; i += 4 * blockDim.x) {
            float4 v = load4(x + i);
            store4(dx + i, make_float4(gradient(v.x, i), gradient(v.y, i + 1), gradient(v.z, i + 2),
                                       gradient(v.w, i + 3)));
        }
    else
        for (int i = threadIdx.x; i < n; i += blockDim.x) dx[i] = gradient(x[i], i);
}
