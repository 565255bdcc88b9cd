// As much of NVIDIA's header as cupy's float16 uses.
#pragma once

struct __half_raw {
    unsigned short x;
};

struct half {
    unsigned short x;

    half() = default;
    half(const __half_raw &raw) : x(raw.x) {}
    half(float value) : x(emulator::float_to_half(value)) {}
    template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
    explicit half(T value) : half(static_cast<float>(value)) {}
    operator float() const { return emulator::half_to_float(x); }
    operator __half_raw() const { return {x}; }
};
using __half = half;

inline half __float2half_rn(float value) { return half(value); }
inline float __half2float(half value) { return value; }
inline unsigned short __half_as_ushort(half value) { return value.x; }
inline half __ushort_as_half(unsigned short x) { return half(__half_raw{x}); }
