// What all attention kernels share: the sizes of a problem, and which query sees which key.
//
// q (batch, heads, query_time, head_dim), k (batch, heads / group, key_time, head_dim), v (.., value_dim), out and its
// gradient (batch, heads, query_time, value_dim); lse and delta (batch, heads, query_time), contiguous.

#pragma once
#include "dropout.cuh"

// In numbers; those of the last dimension lie side by side.
struct Strides {
    long long batch, head, time;
};

struct Problem {
    int heads, group, query_time, key_time, head_dim, value_dim;
    int causal_offset;  // query i sees the keys j <= i + causal_offset; key_time or more: all
    float scale;
    Strides q, k, v, out, grad, dq, dk, dv;
    long long mask[4];  // strides of the mask over (batch, heads, query_time, key_time), 0 where it broadcasts
    Dropout dropout;
};

// One head of one batch.
struct Head {
    int batch, head, kv_head;
    long long rows;  // of the heads before this one in lse and delta

    __device__ __forceinline__ Head(const Problem &p, int number)
        : batch(number / p.heads), head(number % p.heads), kv_head(head / p.group),
          rows(static_cast<long long>(number) * p.query_time) {}
};

template <class T>
__device__ __forceinline__ T *at(T *array, Strides strides, int batch, int head, int time = 0) {
    return array + batch * strides.batch + head * strides.head + time * strides.time;
}

// What is added to or hides the scores, and which probabilities are dropped.
struct Mask {
    const Problem &p;
    const unsigned char *allowed;  // null, or 0 where a query may not look
    const float *bias;             // null, or what is added to the scores
    Dropout dropout;
    long long rows;

    __device__ __forceinline__ Mask(const Problem &p, const Head &head, const unsigned char *allowed, const float *bias,
                                    const unsigned long long *seed)
        : p(p), dropout(p.dropout.seeded(seed)), rows(head.rows) {
        long long start = head.batch * p.mask[0] + head.head * p.mask[1];
        this->allowed = allowed ? allowed + start : nullptr;
        this->bias = bias ? bias + start : nullptr;
    }

    // The score of query i and key j, from their product; -inf if the query may not look.
    __device__ __forceinline__ float score(float product, int i, int j) const {
        float s = product * p.scale;
        if (j >= p.key_time || i >= p.query_time || j > i + p.causal_offset) return -INFINITY;
        long long here = i * p.mask[2] + j * p.mask[3];
        if (bias) s += bias[here];
        return allowed && !allowed[here] ? -INFINITY : s;
    }

    // x, or after dropout 0 or a little more than x.
    __device__ __forceinline__ float dropped(float x, int i, int j) const {
        if (dropout.threshold == 0) return x;
        return dropout.apply(x, (rows + i) * static_cast<unsigned long long>(p.key_time) + j);
    }

    // How many keys the queries before `end` may see.
    __device__ __forceinline__ int visible_keys(int end) const {
        return min(p.key_time, min(end, p.query_time) + p.causal_offset);
    }
};

// e^(score - this) is 0 for every score of a query that sees nothing, whose lse is -inf.
__device__ __forceinline__ float exponent_offset(float lse) { return lse == -INFINITY ? INFINITY : lse; }
