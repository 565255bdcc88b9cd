// Whether an element is dropped, as a function of its index and a seed: bit for bit reference/dropout.py.

#pragma once
#include "common.cuh"

struct Dropout {
    unsigned key_1, key_2, threshold;
    float factor;  // of what is kept; 1 and threshold 0 for no dropout

    // 32 random bits for an index: two rounds of shift and multiply, a key before each.
    __device__ __forceinline__ unsigned random_bits(unsigned long long index) const {
        unsigned h = static_cast<unsigned>(index) ^ key_1 ^ (static_cast<unsigned>(index >> 32) * 0x9E3779B9u);
        h ^= h >> 16;
        h *= 0x7FEB352Du;
        h ^= h >> 15;
        h += key_2;
        h *= 0x846CA68Bu;
        return h ^ (h >> 16);
    }

    // The same with the keys that follow from a seed in memory, if there is one, by a step of SplitMix64: a CUDA graph
    // repeats the numbers it was recorded with, but reads what its arrays hold.
    __device__ __forceinline__ Dropout seeded(const unsigned long long *seed) const {
        if (!seed) return *this;
        unsigned long long z = *seed + 0x9E3779B97F4A7C15ull;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
        z ^= z >> 31;
        return {static_cast<unsigned>(z), static_cast<unsigned>(z >> 32), threshold, factor};
    }

    // x times the factor, or 0.
    __device__ __forceinline__ float apply(float x, unsigned long long index) const {
        return random_bits(index) >= threshold ? x * factor : 0;
    }
};
