// What NVRTC gives cupy's kernels and the emulator's header does not.
#pragma once
#include <cstddef>
#include <initializer_list>
#include <limits>
#include <math.h>
#include <type_traits>
#include <utility>

#define __CUDACC_VER_MAJOR__ 13  // so that cupy takes cuda_fp16.h

inline double __longlong_as_double(long long x) { return emulator::bits<double>(x); }
inline long long __double_as_longlong(double x) { return emulator::bits<long long>(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clzll(long long x) { return x ? __builtin_clzll(x) : 64; }
