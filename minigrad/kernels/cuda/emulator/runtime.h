// What the emulator's parts know of each other: runtime.cpp runs threads, checks.cpp watches what they access.

#pragma once
#include <cstddef>

#include "emulator.h"

namespace emulator {

enum Order { FORWARD, REVERSE, PERMUTED };

struct Range {
    const char *begin, *end;
    bool has(const void *p) const { return p >= begin && p < end; }
};

Range shared_arrays();   // the __shared__ arrays with a size: this library's TLS segment
Range dynamic_shared_memory();
Range stacks_range();
void describe_thread(char *text, size_t size, int thread);
int thread_number();

#ifdef EMULATOR_CHECKED
void block_started();
void barrier_passed();                    // by the whole block
void collective_passed(unsigned lanes);   // by these lanes of the current thread's warp
#else
inline void block_started() {}
inline void barrier_passed() {}
inline void collective_passed(unsigned) {}
inline void atomic_access(void *, int) {}
#endif

}  // namespace emulator
