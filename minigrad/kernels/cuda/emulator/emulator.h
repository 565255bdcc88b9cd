// Enough of CUDA C for a .cu file to compile with a C++ compiler and run on a CPU.
//
// The compiler reads this header before the .cu file. It holds what a kernel may use: qualifiers, vector types,
// mathematics, atomics, and the warp's and the block's operations. threads.cpp runs the threads and decides when
// they wait; warp_matrix.h has the tensor cores' and the asynchronous copies' stand-ins.

#pragma once
#define MINIGRAD_EMULATOR 1
#define __CUDA_ARCH__ 800  // what is emulated: mma.sync and cp.async, not Hopper's instructions

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>

// One block runs at a time, on one thread of the machine, so a thread_local array is a block's shared memory; and
// unlike a static one, the runtime finds all of them, and only them, in one place: the library's TLS segment.
#define __shared__ thread_local
#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __launch_bounds__(...)
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __align__(bytes) __attribute__((aligned(bytes)))

// A vector's alignment: what the GPU demands where accesses are checked, nothing otherwise, because a C++ program
// would be killed by a misaligned access before it could say which.
#ifdef EMULATOR_CHECKED
#define EMULATOR_VECTOR(bytes) __attribute__((aligned(bytes)))
#else
#define EMULATOR_VECTOR(bytes)
#endif

#define EMULATOR_VECTORS(name, type)                                                              \
    struct EMULATOR_VECTOR(2 * sizeof(type)) name##2 { type x, y; };                              \
    struct name##3 { type x, y, z; };                                                             \
    struct EMULATOR_VECTOR(4 * sizeof(type) > 16 ? 16 : 4 * sizeof(type)) name##4 { type x, y, z, w; }; \
    inline name##2 make_##name##2(type x, type y) { return {x, y}; }                              \
    inline name##3 make_##name##3(type x, type y, type z) { return {x, y, z}; }                   \
    inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }

EMULATOR_VECTORS(char, signed char)
EMULATOR_VECTORS(uchar, unsigned char)
EMULATOR_VECTORS(short, short)
EMULATOR_VECTORS(ushort, unsigned short)
EMULATOR_VECTORS(int, int)
EMULATOR_VECTORS(uint, unsigned)
EMULATOR_VECTORS(float, float)
EMULATOR_VECTORS(double, double)

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
constexpr int warpSize = 32;

namespace emulator {

// Where in the .cu file a call stands; as a default argument it is the caller's line.
struct Site {
    const char *file;
    int line;
    static constexpr Site here(const char *file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }
};

// Wait for the whole block; the number of its threads whose predicate is true.
int barrier(bool predicate, Site site);

// Wait for the lanes in mask. The last one to come calls finish, if there is one, with every lane's request (null
// for a lane that does not take part), and so does on one thread what the hardware does for a warp at once.
using Finish = void (*)(void **requests);
void collective(const char *name, unsigned mask, void *request, Finish finish, Site site);

// An atomic access is about to happen.
#ifdef EMULATOR_CHECKED
void atomic_access(void *address, int bytes);
#else
inline void atomic_access(void *, int) {}
#endif

// Stop the launch with a report.
[[noreturn]] void fault(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Asynchronous copies of 16 bytes: asked for, gathered into groups, written when waited for.
void copy_later(void *destination, uint4 value);
void commit_copies();
void wait_for_copies(unsigned pending_groups);

int lane();
unsigned live_lanes();
void *dynamic_shared();

}  // namespace emulator

// --- the block's and the warp's operations ---------------------------------------------------------------------

inline void __syncthreads(emulator::Site site = emulator::Site::here()) { emulator::barrier(false, site); }
inline int __syncthreads_count(int p, emulator::Site site = emulator::Site::here()) { return emulator::barrier(p, site); }
inline int __syncthreads_or(int p, emulator::Site site = emulator::Site::here()) { return emulator::barrier(p, site) > 0; }
inline int __syncthreads_and(int p, emulator::Site site = emulator::Site::here()) {
    return emulator::barrier(!p, site) == 0;
}
inline void __syncwarp(unsigned mask = 0xffffffff, emulator::Site site = emulator::Site::here()) {
    emulator::collective("__syncwarp", mask, nullptr, nullptr, site);
}

namespace emulator {

template <class T>
struct Shuffle {
    T value, result;
    int source;  // the lane whose value becomes the result

    static void finish(void **requests) {
        for (int i = 0; i < 32; i++) {
            if (!requests[i]) continue;
            auto *request = static_cast<Shuffle *>(requests[i]);
            auto *other = static_cast<Shuffle *>(requests[request->source]);
            if (!other)
                fault("a shuffle reads from lane %d, which takes no part in it (lane %d asked)", request->source, i);
            request->result = other->value;
        }
    }
};

template <class T>
T shuffle(const char *name, unsigned mask, T value, int source, Site site) {
    Shuffle<T> request{value, value, source};
    collective(name, mask, &request, Shuffle<T>::finish, site);
    return request.result;
}

struct Vote {
    bool predicate;
    unsigned result;

    static void finish(void **requests) {
        unsigned votes = 0;
        for (int i = 0; i < 32; i++)
            if (requests[i] && static_cast<Vote *>(requests[i])->predicate) votes |= 1u << i;
        for (int i = 0; i < 32; i++)
            if (requests[i]) static_cast<Vote *>(requests[i])->result = votes;
    }
};

inline unsigned vote(const char *name, unsigned mask, bool predicate, Site site) {
    Vote request{predicate, 0};
    collective(name, mask, &request, Vote::finish, site);
    return request.result;
}

}  // namespace emulator

// A shuffle works in groups of `width` lanes; a lane whose source lies outside its group keeps its own value.
template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, emulator::Site site = emulator::Site::here()) {
    int group = emulator::lane() & -width;
    return emulator::shuffle("__shfl_sync", mask, value, group + (source & (width - 1)), site);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, emulator::Site site = emulator::Site::here()) {
    int lane = emulator::lane(), source = lane - static_cast<int>(delta), group = lane & -width;
    return emulator::shuffle("__shfl_up_sync", mask, value, source < group ? lane : source, site);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, emulator::Site site = emulator::Site::here()) {
    int lane = emulator::lane(), source = lane + static_cast<int>(delta), group = lane & -width;
    return emulator::shuffle("__shfl_down_sync", mask, value, source >= group + width ? lane : source, site);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, emulator::Site site = emulator::Site::here()) {
    int lane = emulator::lane(), source = lane ^ bits, group = lane & -width;
    return emulator::shuffle("__shfl_xor_sync", mask, value, source >= group + width ? lane : source, site);
}
inline unsigned __ballot_sync(unsigned mask, int p, emulator::Site site = emulator::Site::here()) {
    return emulator::vote("__ballot_sync", mask, p, site);
}
inline int __any_sync(unsigned mask, int p, emulator::Site site = emulator::Site::here()) {
    return emulator::vote("__any_sync", mask, p, site) != 0;
}
inline int __all_sync(unsigned mask, int p, emulator::Site site = emulator::Site::here()) {
    return emulator::vote("__all_sync", mask, !p, site) == 0;
}
inline unsigned __activemask() { return emulator::live_lanes(); }

inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
[[noreturn]] inline void __trap() { emulator::fault("__trap() was called"); }

// --- atomics: one thread runs at a time, so plain code is atomic ------------------------------------------------

#define EMULATOR_ATOMIC(name, expression)                                                       \
    template <class T, class V>                                                                 \
    __attribute__((no_sanitize("thread"), noinline)) T name(T *address, V given) {              \
        emulator::atomic_access(address, sizeof(T));                                            \
        T old = *address, value = static_cast<T>(given);                                        \
        *address = expression;                                                                  \
        return old;                                                                             \
    }

EMULATOR_ATOMIC(atomicAdd, old + value)
EMULATOR_ATOMIC(atomicSub, old - value)
EMULATOR_ATOMIC(atomicMax, old < value ? value : old)
EMULATOR_ATOMIC(atomicMin, value < old ? value : old)
EMULATOR_ATOMIC(atomicExch, value)
EMULATOR_ATOMIC(atomicAnd, old &value)
EMULATOR_ATOMIC(atomicOr, old | value)
EMULATOR_ATOMIC(atomicXor, old ^ value)
EMULATOR_ATOMIC(atomicInc, old >= value ? 0 : old + 1)

template <class T>
__attribute__((no_sanitize("thread"), noinline)) T atomicCAS(T *address, T compare, T value) {
    emulator::atomic_access(address, sizeof(T));
    T old = *address;
    if (old == compare) *address = value;
    return old;
}

// --- mathematics ------------------------------------------------------------------------------------------------

inline float rsqrtf(float x) { return 1 / sqrtf(x); }
inline double rsqrt(double x) { return 1 / sqrt(x); }
inline float __expf(float x) { return expf(x); }
inline float __exp10f(float x) { return powf(10, x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1 / x; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __frsqrt_rn(float x) { return 1 / sqrtf(x); }
inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __saturatef(float x) { return fminf(fmaxf(x, 0), 1); }

#define EMULATOR_MINIMUM_MAXIMUM(type)                           \
    inline type min(type a, type b) { return b < a ? b : a; }    \
    inline type max(type a, type b) { return a < b ? b : a; }
EMULATOR_MINIMUM_MAXIMUM(int)
EMULATOR_MINIMUM_MAXIMUM(unsigned)
EMULATOR_MINIMUM_MAXIMUM(long)
EMULATOR_MINIMUM_MAXIMUM(unsigned long)
EMULATOR_MINIMUM_MAXIMUM(long long)
EMULATOR_MINIMUM_MAXIMUM(unsigned long long)
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }

namespace emulator {
template <class To, class From>
To bits(From value) {
    static_assert(sizeof(To) == sizeof(From), "a bit cast between types of two sizes");
    To result;
    memcpy(&result, &value, sizeof result);
    return result;
}
}  // namespace emulator

namespace emulator {

inline float half_to_float(unsigned short half) {
    unsigned sign = half >> 15, exponent = half >> 10 & 31, fraction = half & 1023;
    float size = exponent == 0    ? fraction * 0x1p-24f
                 : exponent == 31 ? (fraction ? NAN : INFINITY)
                                  : bits<float>((exponent + 112) << 23 | fraction << 13);
    return sign ? -size : size;
}

inline unsigned short float_to_half(float x) {
    unsigned short sign = bits<unsigned>(x) >> 16 & 0x8000;
    float size = fabsf(x);
    if (std::isnan(x)) return 0x7fff;
    if (size >= 65520) return sign | 0x7c00;
    if (size < 0x1p-14f) return sign | static_cast<unsigned short>(nearbyintf(size * 0x1p24f));
    unsigned rounded = bits<unsigned>(size);
    rounded += 0xfff + (rounded >> 13 & 1);
    return sign | ((rounded >> 13) - (112 << 10));
}

}  // namespace emulator

inline int __float_as_int(float x) { return emulator::bits<int>(x); }
inline unsigned __float_as_uint(float x) { return emulator::bits<unsigned>(x); }
inline float __int_as_float(int x) { return emulator::bits<float>(x); }
inline float __uint_as_float(unsigned x) { return emulator::bits<float>(x); }
inline int __float2int_rn(float x) { return static_cast<int>(nearbyintf(x)); }
inline int __float2int_rd(float x) { return static_cast<int>(floorf(x)); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x ? __builtin_clz(static_cast<unsigned>(x)) : 32; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline unsigned __umulhi(unsigned x, unsigned y) { return (static_cast<uint64_t>(x) * y) >> 32; }
template <class T>
T __ldg(const T *address) { return *address; }
