// As much of NVIDIA's header as cupy's bfloat16 uses.
#pragma once

struct __nv_bfloat16 {
    unsigned short x;

    __nv_bfloat16() = default;
    __nv_bfloat16(float value) {
        unsigned bits = emulator::bits<unsigned>(value);
        x = value != value ? 0x7fff : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    }
    operator float() const { return emulator::bits<float>(static_cast<unsigned>(x) << 16); }
};

inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 value) { return value.x; }
inline __nv_bfloat16 __ushort_as_bfloat16(unsigned short x) {
    __nv_bfloat16 value;
    value.x = x;
    return value;
}
inline bool __hisnan(__nv_bfloat16 value) { return (value.x & 0x7fff) > 0x7f80; }
inline int __hisinf(__nv_bfloat16 value) { return (value.x & 0x7fff) == 0x7f80; }
